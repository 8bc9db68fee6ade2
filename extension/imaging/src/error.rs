//! What is refused, and how it is said.

/// Limits on untrusted pictures, checked on the header before any pixel is allocated.
///
/// A decoder may hold the picture in its own format (at most 16 bytes per pixel, usually 3 or 4) and 64 MiB of
/// tables beside the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest number of pixels, width times height.
    pub max_pixels: u64,
    /// Largest width and largest height in pixels.
    pub max_side: u32,
    /// Largest number of encoded bytes.
    pub max_bytes: usize,
}

impl Default for Limits {
    /// 100 megapixels, sides of 32,768 pixels, 256 MiB of encoded bytes.
    fn default() -> Self {
        Limits { max_pixels: 100_000_000, max_side: 32_768, max_bytes: 256 << 20 }
    }
}

impl Limits {
    /// Checks the size that a header claims, in pixels.
    ///
    /// # Errors
    /// No pixels, too many, or a side that is too long.
    pub fn check_size(&self, width: u32, height: u32) -> Result<(), ImageError> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels == 0 {
            return Err(ImageError::NoPixels { width, height });
        }
        if pixels > self.max_pixels {
            return Err(ImageError::TooManyPixels { width, height, pixels, limit: self.max_pixels });
        }
        if width.max(height) > self.max_side {
            return Err(ImageError::SideTooLong { width, height, limit: self.max_side });
        }
        Ok(())
    }
}

/// Why a picture was not decoded.
///
/// The texts name the value at fault and carry no name of a function, so that a caller can put its own in front.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// No bytes at all.
    #[error("the image is empty (0 bytes)")]
    Empty,
    /// More encoded bytes than allowed.
    #[error("the picture is {found} bytes long, the limit is {limit}")]
    TooManyBytes {
        /// Length of the input.
        found: usize,
        /// [`Limits::max_bytes`].
        limit: usize,
    },
    /// The first bytes belong to no supported format.
    #[error(
        "not a picture that can be decoded: {length} bytes beginning {head} match none of JPEG, PNG, WebP, GIF, BMP, TIFF"
    )]
    UnknownFormat {
        /// Length of the input.
        length: usize,
        /// The first bytes in hexadecimal.
        head: String,
    },
    /// A side of zero length.
    #[error("the picture has no pixels: its header says {width} x {height}")]
    NoPixels {
        /// Width in the header.
        width: u32,
        /// Height in the header.
        height: u32,
    },
    /// More pixels than allowed.
    #[error("the picture has {width} x {height} = {pixels} pixels, the limit is {limit}")]
    TooManyPixels {
        /// Width in the header.
        width: u32,
        /// Height in the header.
        height: u32,
        /// Their product.
        pixels: u64,
        /// [`Limits::max_pixels`].
        limit: u64,
    },
    /// A side longer than allowed.
    #[error("the picture has {width} x {height} pixels, the limit of a side is {limit}")]
    SideTooLong {
        /// Width in the header.
        width: u32,
        /// Height in the header.
        height: u32,
        /// [`Limits::max_side`].
        limit: u32,
    },
    /// The data contradict the format or end too early.
    #[error("the {format} is damaged or truncated: {reason}")]
    Damaged {
        /// Name of the format, as "JPEG".
        format: &'static str,
        /// What the decoder found.
        reason: String,
    },
    /// A valid file that uses something the decoder lacks.
    #[error("the {format} uses a feature that is not supported ({reason}); save it as PNG or as an ordinary JPEG")]
    Unsupported {
        /// Name of the format, as "TIFF".
        format: &'static str,
        /// The feature.
        reason: String,
    },
    /// Decoding would take more memory than the limits allow.
    #[error("decoding the {format} needs more memory than a picture of its size may take; save it as PNG or JPEG")]
    Memory {
        /// Name of the format.
        format: &'static str,
    },
    /// A picture cannot be written in a format.
    #[error("the picture cannot be written as {format}: {reason}")]
    Encode {
        /// Name of the format, as "JPEG".
        format: &'static str,
        /// What the encoder found.
        reason: String,
    },
}
