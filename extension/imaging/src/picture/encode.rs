//! From pixels to compressed bytes.

use std::io::{self, Seek, SeekFrom, Write};

use image::codecs::{bmp::BmpEncoder, jpeg::JpegEncoder, png::PngEncoder, tiff::TiffEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, GrayImage, ImageEncoder, ImageResult, RgbImage};

use super::edit::Picture;
use super::lossy_webp::LossyWebP;
use super::packed_tiff::PackedTiff;
use crate::error::{ImageError, Limits};
use crate::format::Format;
use crate::mask::Rle;
use crate::memory::{NoMemory, zeroed};

/// Quality of JPEGs, of 100: no visible loss.
const JPEG_QUALITY: u8 = 90;

impl Picture {
    /// The picture as a file, without metadata other than its colour profile (BMP has no room for one). Grey stays grey.
    /// JPEG has quality 90 and WebP is lossless. JPEG and BMP have no transparency: there it becomes white. A TIFF is
    /// compressed (deflate) if the picture was read from a compressed one.
    ///
    /// # Errors
    /// [`ImageError::Encode`]: a side is longer than the format allows, or the format is [`Format::Gif`].
    /// [`ImageError::NoMemory`].
    pub fn encode(&self, format: Format) -> Result<Vec<u8>, ImageError> {
        check_sides(format, self.size())?;
        let mut bytes = Sink::default();
        let written = match format {
            Format::Jpeg => self.write(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY), false),
            Format::Png => self.write(PngEncoder::new(&mut bytes), true),
            Format::WebP => self.write(WebPEncoder::new_lossless(&mut bytes), true),
            Format::Bmp => self.write(BmpEncoder::new(&mut bytes), false),
            Format::Tiff if self.packed => self.write(PackedTiff::new(&mut bytes), true),
            Format::Tiff => self.write(TiffEncoder::new(&mut bytes), true),
            Format::Gif => {
                let reason = "GIFs are read but not written".to_string();
                return Err(ImageError::Encode { format: "GIF", reason });
            }
        };
        written?.map_err(|error| unwritten(format.name(), error))?;
        Ok(bytes.into_inner())
    }

    /// The picture as a JPEG or WebP of a quality of 1 to 100. The transparency of a WebP is kept without loss.
    ///
    /// # Errors
    /// As [`Picture::encode`], and [`ImageError::Encode`] for a format that is lossless.
    pub fn encode_lossy(&self, format: Format, quality: u8) -> Result<Vec<u8>, ImageError> {
        check_sides(format, self.size())?;
        let mut bytes = Sink::default();
        let written = match format {
            Format::Jpeg => self.write(JpegEncoder::new_with_quality(&mut bytes, quality), false),
            Format::WebP => self.write(LossyWebP::new(&mut bytes, quality), true),
            _ => {
                let reason = "it is lossless and has no quality".to_string();
                return Err(ImageError::Encode { format: format.name(), reason });
            }
        };
        written?.map_err(|error| unwritten(format.name(), error))?;
        Ok(bytes.into_inner())
    }

    fn write(&self, mut encoder: impl ImageEncoder, transparency: bool) -> Result<ImageResult<()>, ImageError> {
        let single = self.grey && self.alpha.is_none();
        // A profile for grey does not fit pixels of three channels.
        if let Some(profile) = self.profile.as_ref().filter(|_| single || !self.grey) {
            // A format without profiles says so, and does without.
            let _ = encoder.set_icc_profile(profile.clone());
        }
        let [width, height] = self.size();
        // What encoders hold of their own is as much as the pixels, at most.
        let area = u64::from(width) * u64::from(height);
        Ok(match &self.alpha {
            Some(alpha) if transparency => {
                let pixels = interleave(&self.rgb, alpha)?;
                NoMemory::expect(area * 4)?;
                encoder.write_image(&pixels, width, height, ExtendedColorType::Rgba8)
            }
            None if single => {
                let mut pixels = zeroed(area as usize)?;
                pixels.iter_mut().zip(self.rgb.as_chunks::<3>().0).for_each(|(grey, rgb)| *grey = rgb[0]);
                NoMemory::expect(area * 4)?;
                encoder.write_image(&pixels, width, height, ExtendedColorType::L8)
            }
            _ => {
                let pixels = self.flat()?;
                NoMemory::expect(area * 4)?;
                encoder.write_image(pixels.as_raw(), width, height, ExtendedColorType::Rgb8)
            }
        })
    }
}

/// Checks what a format can hold, of which encoders say little.
fn check_sides(format: Format, [width, height]: [u32; 2]) -> Result<(), ImageError> {
    let most = match format {
        Format::WebP => 16_383,
        Format::Jpeg => 65_535,
        _ => return Ok(()),
    };
    if width.max(height) <= most {
        return Ok(());
    }
    let reason = format!(
        "it has {width} x {height} pixels, and a side of this format has at most {most}; write it as PNG or TIFF, or make \
         it smaller before"
    );
    Err(ImageError::Encode { format: format.name(), reason })
}

fn interleave(rgb: &RgbImage, alpha: &GrayImage) -> Result<Vec<u8>, ImageError> {
    let mut pixels = zeroed(alpha.len() * 4)?;
    let channels = rgb.as_chunks::<3>().0.iter().zip(alpha.iter());
    for (pixel, (&[red, green, blue], &alpha)) in pixels.as_chunks_mut::<4>().0.iter_mut().zip(channels) {
        *pixel = [red, green, blue, alpha];
    }
    Ok(pixels)
}

/// What an encoder writes into. Where there is no memory for it, it is an error.
#[derive(Default)]
pub(crate) struct Sink {
    bytes: Vec<u8>,
    at: usize,
}

impl Sink {
    pub(crate) fn into_inner(self) -> Vec<u8> {
        self.bytes
    }
}

impl Write for Sink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let end = self.at + buffer.len();
        if let Some(more) = end.checked_sub(self.bytes.len()) {
            if end > self.bytes.capacity() && self.bytes.try_reserve(more).is_err() {
                return Err(io::Error::new(io::ErrorKind::OutOfMemory, ImageError::NoMemory { bytes: end }));
            }
            self.bytes.resize(end, 0);
        }
        self.bytes[self.at..end].copy_from_slice(buffer);
        self.at = end;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Sink {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => (self.bytes.len() as u64).checked_add_signed(by),
            SeekFrom::Current(by) => (self.at as u64).checked_add_signed(by),
        };
        let at = at.ok_or(io::ErrorKind::InvalidInput)?;
        self.at = usize::try_from(at).map_err(io::Error::other)?;
        Ok(at)
    }
}

/// Why a picture was not written.
pub(crate) fn unwritten(format: &'static str, error: image::ImageError) -> ImageError {
    let refused = match &error {
        image::ImageError::IoError(error) => error.get_ref().and_then(|inner| inner.downcast_ref::<ImageError>()),
        _ => None,
    };
    let refused = refused.cloned();
    refused.unwrap_or_else(|| ImageError::Encode { format, reason: error.to_string() })
}

/// A mask as a PNG with one channel of 8 bits, Pillow's mode "L": 255 in the mask, 0 outside.
///
/// # Errors
/// [`ImageError::NoPixels`], [`ImageError::TooManyPixels`] and [`ImageError::SideTooLong`]: as for pictures, before anything
/// is decoded. [`ImageError::NoMemory`].
pub fn mask_png(mask: &Rle, limits: &Limits) -> Result<Vec<u8>, ImageError> {
    limits.check_size(mask.width, mask.height)?;
    let mut pixels = mask.try_to_mask()?.try_to_bytes()?;
    pixels.iter_mut().for_each(|pixel| *pixel *= 255);
    let mut bytes = Sink::default();
    PngEncoder::new(&mut bytes)
        .write_image(&pixels, mask.width, mask.height, ExtendedColorType::L8)
        .map_err(|error| unwritten("PNG", error))?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_that_a_format_cannot_have_are_named() {
        let picture = |width, height| {
            let png = mask_png(&Rle { height, width, counts: vec![height * width] }, &Limits::none()).unwrap();
            Picture::read(&png, &Limits::none()).unwrap()
        };
        let wide = picture(16_384, 2);
        let said = "the picture cannot be written as WebP: it has 16384 x 2 pixels, and a side of this format has at most \
                    16383; write it as PNG or TIFF, or make it smaller before";
        assert_eq!(wide.encode(Format::WebP).unwrap_err().to_string(), said);
        assert_eq!(wide.encode_lossy(Format::WebP, 80).unwrap_err().to_string(), said);
        for written in [wide.encode(Format::Png), wide.encode(Format::Jpeg), picture(2, 16_383).encode(Format::WebP)] {
            assert!(crate::decode(&written.unwrap(), &Limits::none()).is_ok());
        }
        let high = picture(1, 65_536);
        assert!(high.encode(Format::Jpeg).unwrap_err().to_string().contains("1 x 65536 pixels"));
        assert!(high.encode(Format::Tiff).is_ok());
    }
}
