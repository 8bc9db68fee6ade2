//! Samples as a file has them, on their way to RGB of 8 bits.
//!
//! Decoders write into one buffer, and the pixels of the result are made in the same place: it is as long as the longer
//! of both. Where a pixel of the result is longer the samples stand at its end, so that what is written never reaches
//! what is still to be read.

use image::{GrayImage, RgbImage};

use crate::convert;
use crate::memory::{NoMemory, zeroed};
use crate::pixels::{Pixels, RGB, Range};

/// Pixels in the buffer in which they become a picture.
pub(crate) struct Raw {
    pub pixels: Pixels,
    buffer: Vec<u8>,
    start: usize,
}

impl Raw {
    /// Room for pixels, all 0.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn new(pixels: Pixels) -> Result<Self, NoMemory> {
        let (count, stride) = (pixels.count(), pixels.stride());
        let buffer = zeroed(count * stride.max(RGB))?;
        Ok(Self { start: buffer.len() - count * stride, pixels, buffer })
    }

    /// Where the samples are, row by row and pixel by pixel.
    pub(crate) fn samples(&self) -> &[u8] {
        &self.buffer[self.start..][..self.pixels.count() * self.pixels.stride()]
    }

    /// The same, to write them.
    pub(crate) fn samples_mut(&mut self) -> &mut [u8] {
        let length = self.pixels.count() * self.pixels.stride();
        &mut self.buffer[self.start..][..length]
    }

    /// The samples alone.
    pub(crate) fn into_samples(mut self) -> Vec<u8> {
        let length = self.samples().len();
        self.buffer.copy_within(self.start..self.start + length, 0);
        self.buffer.truncate(length);
        self.buffer
    }

    /// The picture, and its alpha where `transparency` is asked for and there is any.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn picture(
        mut self,
        range: Range,
        transparency: bool,
    ) -> Result<(RgbImage, Option<GrayImage>), NoMemory> {
        let Pixels { width, height, .. } = self.pixels;
        let alpha = match self.pixels.alpha && transparency {
            true => {
                let mut alpha = zeroed(self.pixels.count())?;
                convert::alpha(&self.pixels, self.samples(), &mut alpha);
                GrayImage::from_raw(width, height, alpha)
            }
            false => None,
        };
        convert::to_rgb(&self.pixels, range, &mut self.buffer, self.start);
        self.buffer.truncate(self.pixels.count() * RGB);
        // What is longer than a quarter of the picture goes back to the system.
        if self.buffer.capacity() > self.buffer.len() / 4 * 5 {
            self.buffer.shrink_to_fit();
        }
        let rgb = RgbImage::from_raw(width, height, self.buffer).expect("three bytes for each pixel");
        Ok((rgb, alpha))
    }
}
