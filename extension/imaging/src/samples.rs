//! Samples as a file has them, on their way to RGB of 8 bits.
//!
//! Decoders write into one buffer, and the pixels of the result are made in the same place: it is as long as the longer
//! of both. Where a pixel of the result is longer the samples stand at its end, so that what is written never reaches
//! what is still to be read.

use image::{GrayImage, RgbImage};

use crate::convert::{self, Colours};
use crate::error::ImageError;
use crate::format::{Numbers, SampleType};
use crate::mask::NoMemory;

/// Bytes of a pixel in RGB.
pub(crate) const RGB: usize = 3;

/// How samples of more than 8 bits, signed ones and fractions become levels of 8 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    /// Their own range: the lowest value in the picture, over all colours, becomes 0 and the highest 255, and between
    /// them it is linear. NaN and infinities have no part in it; they become 0 and the end they are nearest to. A
    /// picture of a single value becomes 0. Alpha and further bands have no part in it either. What stands for "no data"
    /// is not guessed.
    #[default]
    Own,
    /// The range of their type: the upper 8 bits of whole numbers, and 0 to 1 for fractions.
    Full,
}

/// The type of the samples in a buffer, in the byte order of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

impl Stored {
    /// The smallest type that holds samples; `None` where there is none.
    pub(crate) fn for_type(sample: SampleType) -> Option<Self> {
        Some(match (sample.numbers, sample.bits) {
            (Numbers::Unsigned, 1..=8) => Stored::U8,
            (Numbers::Unsigned, 9..=16) => Stored::U16,
            (Numbers::Unsigned, 17..=32) => Stored::U32,
            (Numbers::Unsigned, 64) => Stored::U64,
            (Numbers::Signed, 8) => Stored::I8,
            (Numbers::Signed, 16) => Stored::I16,
            (Numbers::Signed, 32) => Stored::I32,
            (Numbers::Signed, 64) => Stored::I64,
            (Numbers::Float, 16 | 24 | 32) => Stored::F32,
            (Numbers::Float, 64) => Stored::F64,
            _ => return None,
        })
    }

    pub(crate) fn bytes(self) -> usize {
        match self {
            Stored::U8 | Stored::I8 => 1,
            Stored::U16 | Stored::I16 => 2,
            Stored::U32 | Stored::I32 | Stored::F32 => 4,
            Stored::U64 | Stored::I64 | Stored::F64 => 8,
        }
    }
}

/// What the pixels of a buffer are.
#[derive(Clone, Debug)]
pub(crate) struct Pixels {
    pub width: u32,
    pub height: u32,
    pub stored: Stored,
    /// Bits of a sample in the file.
    pub bits: u16,
    pub colours: Colours,
    /// Whether a channel of alpha follows the colours.
    pub alpha: bool,
    /// Whether the colours are multiplied by it.
    pub premultiplied: bool,
    /// Whether the lowest value is white.
    pub inverted: bool,
}

impl Pixels {
    pub(crate) fn channels(&self) -> usize {
        self.colours.channels() + usize::from(self.alpha)
    }

    /// Bytes of a pixel in the buffer.
    pub(crate) fn stride(&self) -> usize {
        self.channels() * self.stored.bytes()
    }

    pub(crate) fn count(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Bytes of memory that the samples and the picture made of them take, turned if `orientation` says so.
    pub(crate) fn work(&self, orientation: u8) -> u64 {
        work(self.count() as u64, self.stride() as u64, orientation)
    }
}

/// As [`Pixels::work`], for `count` pixels of `stride` bytes.
pub(crate) fn work(count: u64, stride: u64, orientation: u8) -> u64 {
    let turned = if crate::orient::swaps_sides(orientation) { 2 * RGB as u64 } else { 0 };
    count * stride.max(RGB as u64).max(turned)
}

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
    /// [`ImageError::NoMemory`].
    pub(crate) fn new(pixels: Pixels) -> Result<Self, ImageError> {
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
    /// [`ImageError::NoMemory`].
    pub(crate) fn picture(
        mut self,
        range: Range,
        transparency: bool,
    ) -> Result<(RgbImage, Option<GrayImage>), ImageError> {
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

/// Memory whose pages are taken only when they are used.
///
/// # Errors
/// [`ImageError::NoMemory`].
pub(crate) fn zeroed(bytes: usize) -> Result<Vec<u8>, ImageError> {
    bytemuck::allocation::try_zeroed_vec(bytes).map_err(|()| ImageError::NoMemory { bytes })
}

/// Bytes one after the other.
///
/// # Errors
/// [`ImageError::NoMemory`].
pub(crate) fn joined(parts: &[&[u8]]) -> Result<Vec<u8>, ImageError> {
    let (mut all, bytes) = (Vec::new(), parts.iter().map(|part| part.len()).sum());
    all.try_reserve_exact(bytes).map_err(|_| ImageError::NoMemory { bytes })?;
    parts.iter().for_each(|part| all.extend_from_slice(part));
    Ok(all)
}

/// Asks for memory that a decoder is about to take, for it does not survive it if there is none, and gives it back.
///
/// # Errors
/// [`ImageError::NoMemory`].
pub(crate) fn expect_memory(bytes: u64) -> Result<(), ImageError> {
    Ok(NoMemory::expect(usize::try_from(bytes).unwrap_or(usize::MAX))?)
}
