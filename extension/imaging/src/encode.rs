//! From pixels to compressed bytes.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::error::{ImageError, Limits};
use crate::mask::Mask;

/// A mask as a PNG with one channel of 8 bits, Pillow's mode "L": 255 in the mask, 0 outside.
///
/// # Errors
/// [`ImageError::NoPixels`], [`ImageError::TooManyPixels`] and [`ImageError::SideTooLong`]: as for pictures.
pub fn mask_png(mask: &Mask, limits: &Limits) -> Result<Vec<u8>, ImageError> {
    limits.check_size(mask.width(), mask.height())?;
    let mut pixels = mask.to_bytes();
    pixels.iter_mut().for_each(|pixel| *pixel *= 255);
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&pixels, mask.width(), mask.height(), ExtendedColorType::L8)
        .map_err(|error| ImageError::Encode { format: "PNG", reason: error.to_string() })?;
    Ok(bytes)
}
