//! The sizes of a picture on its way through a network.

use crate::error::{ModelError, Result};

/// Sizes of a picture on its way through the network; (width, height) in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub(crate) original: (usize, usize),
    /// After the resize, without padding.
    pub(crate) input: (usize, usize),
    /// Side of the padded square.
    pub(crate) image_size: usize,
    /// Side of the low-resolution logits, which cover the padded square.
    pub(crate) mask_size: usize,
}

impl Frame {
    /// The longest side becomes `image_size`; the other is rounded half up, as in SAM's `ResizeLongestSide`.
    pub(crate) fn new(width: usize, height: usize, image_size: usize, mask_size: usize) -> Result<Self> {
        if width == 0 || height == 0 {
            return Err(ModelError::Embedding(format!("the picture is empty: {width} x {height} pixels")));
        }
        let scale = image_size as f64 / width.max(height) as f64;
        // A side that would vanish (a picture more than 2,048 times as long as wide) keeps one pixel.
        let scaled = |side: usize| ((side as f64 * scale + 0.5) as usize).max(1);
        Ok(Self { original: (width, height), input: (scaled(width), scaled(height)), image_size, mask_size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_follow_resize_longest_side() {
        let frame = Frame::new(451, 300, 1024, 256).unwrap();
        assert_eq!(frame.input, (1024, 681));
        assert_eq!(Frame::new(300, 451, 512, 128).unwrap().input, (341, 512));
        assert_eq!(Frame::new(1, 1, 512, 128).unwrap().input, (512, 512));
        assert_eq!(Frame::new(1, 9000, 512, 128).unwrap().input, (1, 512));
        assert!(Frame::new(0, 5, 512, 128).unwrap_err().to_string().contains("0 x 5"));
    }
}
