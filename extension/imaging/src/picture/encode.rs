//! From pixels to compressed bytes.

use std::io::Cursor;

use image::codecs::{bmp::BmpEncoder, jpeg::JpegEncoder, png::PngEncoder, tiff::TiffEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, GrayImage, ImageEncoder, ImageResult, RgbImage};

use super::Picture;
use crate::error::{ImageError, Limits};
use crate::format::Format;
use crate::mask::{NoMemory, Rle};

/// Quality of JPEGs, of 100: no visible loss.
const JPEG_QUALITY: u8 = 90;

impl Picture {
    /// The picture as a file, without metadata other than its colour profile (BMP has no room for one). Grey stays grey.
    /// JPEG has quality 90 and WebP is lossless. JPEG and BMP have no transparency: there it becomes white.
    ///
    /// # Errors
    /// [`ImageError::Encode`]: a side is longer than the format allows, or the format is [`Format::Gif`].
    pub fn encode(&self, format: Format) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Cursor::new(Vec::new());
        let written = match format {
            Format::Jpeg => self.write(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY), false),
            Format::Png => self.write(PngEncoder::new(&mut bytes), true),
            Format::WebP => self.write(WebPEncoder::new_lossless(&mut bytes), true),
            Format::Bmp => self.write(BmpEncoder::new(&mut bytes), false),
            Format::Tiff => self.write(TiffEncoder::new(&mut bytes), true),
            Format::Gif => {
                let reason = "GIFs are read but not written".to_string();
                return Err(ImageError::Encode { format: "GIF", reason });
            }
        };
        written.map_err(|error| ImageError::Encode { format: format.name(), reason: error.to_string() })?;
        Ok(bytes.into_inner())
    }

    fn write(&self, mut encoder: impl ImageEncoder, transparency: bool) -> ImageResult<()> {
        let single = self.grey && self.alpha.is_none();
        // A profile for grey does not fit pixels of three channels.
        if let Some(profile) = self.profile.as_ref().filter(|_| single || !self.grey) {
            // A format without profiles says so, and does without.
            let _ = encoder.set_icc_profile(profile.clone());
        }
        let [width, height] = self.size();
        match &self.alpha {
            Some(alpha) if transparency => {
                encoder.write_image(&interleave(&self.rgb, alpha), width, height, ExtendedColorType::Rgba8)
            }
            None if single => encoder.write_image(
                &self.rgb.iter().step_by(3).copied().collect::<Vec<_>>(),
                width,
                height,
                ExtendedColorType::L8,
            ),
            _ => encoder.write_image(self.flat().as_raw(), width, height, ExtendedColorType::Rgb8),
        }
    }
}

fn interleave(rgb: &RgbImage, alpha: &GrayImage) -> Vec<u8> {
    let pixels = rgb.as_raw().as_chunks::<3>().0.iter().zip(alpha.as_raw());
    pixels.flat_map(|(&[red, green, blue], &alpha)| [red, green, blue, alpha]).collect()
}

/// A mask as a PNG with one channel of 8 bits, Pillow's mode "L": 255 in the mask, 0 outside.
///
/// # Errors
/// [`ImageError::NoPixels`], [`ImageError::TooManyPixels`] and [`ImageError::SideTooLong`]: as for pictures, before anything
/// is decoded. [`ImageError::Encode`], without memory among others.
pub fn mask_png(mask: &Rle, limits: &Limits) -> Result<Vec<u8>, ImageError> {
    limits.check_size(mask.width, mask.height)?;
    let no_memory = |error: NoMemory| ImageError::Encode { format: "PNG", reason: error.to_string() };
    let mut pixels = mask.try_to_mask().and_then(|mask| mask.try_to_bytes()).map_err(no_memory)?;
    pixels.iter_mut().for_each(|pixel| *pixel *= 255);
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&pixels, mask.width, mask.height, ExtendedColorType::L8)
        .map_err(|error| ImageError::Encode { format: "PNG", reason: error.to_string() })?;
    Ok(bytes)
}
