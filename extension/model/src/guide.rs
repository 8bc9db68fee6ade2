//! Edges that follow the picture: low-resolution logits refined with a colour guided filter before they are enlarged.
//!
//! The guide is the network's input at half its size. It is kept with an embedding, as bytes, so that masks from a stored
//! embedding are those from its picture. What the filter needs of a guide in numbers takes 16 times as much memory and
//! about as long as a mask: it is computed when the first mask of a picture is asked for, and lies in working memory until
//! another picture needs that. A checkpoint asks for all this in its configuration; its definition, and how its numbers were
//! chosen: `training/upsampling.py`, `training/MODEL_CARD.md`.

use std::sync::Arc;

use sam_imaging::RgbImage;
use sam_kernels::{GuidedFilter, Isa, Upsample, filled};
use serde::{Deserialize, Serialize};

use crate::frame::Frame;
use crate::pool::Pool;

/// How masks are brought to the picture's size, where a checkpoint says more than "bilinear".
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Upsampling {
    Guided(Guided),
}

/// A colour guided filter at half the input's size.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Guided {
    /// Of the windows, in pixels of the guide.
    pub(crate) radius: usize,
    /// Added to the variances of colours in 0..1: what varies less is flat.
    pub(crate) eps: f32,
    /// Logits are clipped to `-clip..clip` first.
    pub(crate) clip: f32,
}

/// The guide of a picture: bytes (rows, columns, 3). A clone copies nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guide(Arc<[u8]>);

impl Guide {
    /// Height and width of the guide for an input of this width and height before its padding.
    pub(crate) fn size((width, height): (usize, usize)) -> (usize, usize) {
        (height.div_ceil(2), width.div_ceil(2))
    }

    /// Means over 2 x 2 pixels of the input, rounded half up; at an odd edge of what is there.
    pub(crate) fn of(input: &RgbImage) -> Self {
        let (width, height) = (input.width() as usize, input.height() as usize);
        let (rows, columns) = Self::size((width, height));
        let pixels: &[u8] = input.as_raw();
        let mut bytes = Vec::with_capacity(rows * columns * 3);
        for y in 0..rows {
            let one = &pixels[2 * y * width * 3..][..width * 3];
            let other = &pixels[(2 * y + 1).min(height - 1) * width * 3..][..width * 3];
            // A row or column that is not there is the one before it again: the mean is the same.
            for (top, bottom) in one.chunks(6).zip(other.chunks(6)) {
                for c in 0..3 {
                    let second = if top.len() == 6 { c + 3 } else { c };
                    let sum = [top[c], top[second], bottom[c], bottom[second]].into_iter().map(u16::from).sum::<u16>();
                    bytes.push(((sum + 2) / 4) as u8);
                }
            }
        }
        Self(bytes.into())
    }

    /// A guide that was stored.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The filter of a model, with working memory for as many pictures as were at work at the same time.
#[derive(Debug)]
pub(crate) struct Edges {
    filter: Guided,
    free: Pool<Workspace>,
}

struct Workspace {
    filter: GuidedFilter,
    /// What the filter is prepared for.
    guide: Option<Guide>,
    plane: Vec<f32>,
}

impl Edges {
    pub(crate) fn new(upsampling: Upsampling) -> Self {
        let Upsampling::Guided(filter) = upsampling;
        Self { filter, free: Pool::default() }
    }

    /// Whether the picture is large enough: a side that is no longer than the radius cannot be mirrored at the border, and
    /// such pictures keep their plain logits.
    pub(crate) fn are_for(&self, frame: &Frame) -> bool {
        GuidedFilter::is_for(self.filter.radius, Guide::size(frame.input))
    }

    /// Refines `logits`, (mask size, mask size) over the padded square, and lends the result to `work`: (rows, columns) of
    /// the guide.
    pub(crate) fn refine<R>(
        &self,
        isa: Isa,
        guide: &Guide,
        frame: &Frame,
        logits: &[f32],
        work: impl FnOnce(&[f32]) -> R,
    ) -> R {
        let like = |space: &Workspace| space.guide.as_ref().is_some_and(|other| Arc::ptr_eq(&other.0, &guide.0));
        let make = || Workspace {
            filter: GuidedFilter::new(self.filter.radius, self.filter.eps),
            guide: None,
            plane: Vec::new(),
        };
        self.free.with_like(like, make, |space| {
            let (rows, columns) = Guide::size(frame.input);
            if !like(space) {
                space.guide = None;
                space.filter.prepare(isa, &guide.0, (rows, columns));
                space.guide = Some(guide.clone());
            }
            if space.plane.len() < rows * columns {
                space.plane = filled(0.0, rows * columns);
            }
            let plane = &mut space.plane[..rows * columns];
            let (mask, square) = (frame.mask_size, frame.image_size / 2);
            let enlarge = Upsample::new((mask, mask), (square, square), (rows, columns), (rows, columns));
            enlarge.rows(isa, logits, 0..rows, |y, row| plane[y * columns..(y + 1) * columns].copy_from_slice(row));
            space.filter.apply(isa, plane, self.filter.clip);
            work(plane)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_imaging::Rgb;

    #[test]
    fn guides_are_means_of_what_is_there() {
        let values = [[10, 20, 31], [11, 20, 255], [0, 1, 255]];
        let picture = RgbImage::from_fn(3, 3, |x, y| {
            let value = values[y as usize][x as usize];
            Rgb([value, 255 - value, 7])
        });
        let guide = Guide::of(&picture);
        assert_eq!(Guide::size((3, 3)), (2, 2));
        // 61 / 4, 286 / 2, 1 / 2 and 255: halves go up.
        assert_eq!(guide.as_bytes(), [15, 240, 7, 143, 112, 7, 1, 255, 7, 255, 0, 7]);
        assert_eq!(Guide::of(&RgbImage::from_pixel(1, 1, Rgb([1, 2, 3]))).as_bytes(), [1, 2, 3]);
        assert_eq!(Guide::from_bytes(guide.as_bytes()), guide);
    }

    /// What is prepared for a picture is used for all its masks, and never for another's.
    #[test]
    fn masks_of_a_picture_share_what_is_prepared() {
        let edges = Edges::new(Upsampling::Guided(Guided { radius: 2, eps: 1e-4, clip: 2.0 }));
        let isa = Isa::get().unwrap();
        let frame = Frame::new(40, 30, 64, 16).unwrap();
        let picture = |seed: u32| {
            Guide::of(&RgbImage::from_fn(64, 48, |x, y| Rgb([(x * seed) as u8, (y * 5) as u8, (x * y) as u8])))
        };
        let (one, other) = (picture(3), picture(90));
        let logits: Vec<f32> = (0..256).map(|i| ((i * 37 % 61) as f32 - 30.0) / 20.0).collect();
        let refined = |guide: &Guide| edges.refine(isa, guide, &frame, &logits, <[f32]>::to_vec);
        let first = refined(&one);
        assert_eq!(first.len(), 24 * 32);
        assert!(refined(&other) != first);
        assert!(refined(&one) == first);
        assert!(refined(&Guide::from_bytes(one.as_bytes())) == first);
        // Two at the same time, then each finds its own.
        edges.refine(isa, &one, &frame, &logits, |_| assert!(refined(&other) != first));
        assert!(refined(&one) == first);
        let prepared = |guide: &Guide| {
            let mut found = false;
            let like = |space: &Workspace| space.guide.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.0, &guide.0));
            edges.free.with_like(like, || unreachable!(), |space| found = like(space));
            found
        };
        assert!(prepared(&one) && prepared(&other) && !prepared(&picture(3)));
    }

    #[test]
    fn sides_that_cannot_be_mirrored_are_left_alone() {
        let edges = Edges::new(Upsampling::Guided(Guided { radius: 4, eps: 1e-4, clip: 2.0 }));
        let are_for = |width, height| edges.are_for(&Frame::new(width, height, 64, 16).unwrap());
        assert!(are_for(64, 9) && are_for(9, 64));
        assert!(!are_for(64, 8) && !are_for(1, 500));
    }
}
