//! What is refused, and how it is said.

use crate::memory::NoMemory;
use crate::recognise::Recognised;

/// Limits on untrusted pictures, checked on the header before any pixel is allocated.
///
/// Beside what [`Limits::check_work`] counts a decoder may take 64 MiB of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest number of pixels, width times height.
    pub max_pixels: u64,
    /// Largest width and largest height in pixels.
    pub max_side: u32,
    /// Largest number of encoded bytes.
    pub max_bytes: usize,
    /// Most bytes of memory that decoding may take, unless the file itself is long: see [`Limits::check_work`].
    pub max_work: u64,
}

/// How many bytes of memory each byte of a file may take, where that is more than [`Limits::max_work`]. The samples of
/// photographs, scans and measurements take up to 50 times the room of their files, those of a drawing with few lines up
/// to 1000 times; what is as large as a photograph and packed as well as that was made to do harm, or is empty.
const WORK_PER_BYTE: u64 = 100;

impl Default for Limits {
    /// 100 megapixels, sides of 32,768 pixels, 256 MiB of encoded bytes, 400 MB of memory.
    fn default() -> Self {
        Limits { max_pixels: 100_000_000, max_side: 32_768, max_bytes: 256 << 20, max_work: 400_000_000 }
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

    /// Checks what decoding takes, before it begins: `work` is the most bytes that it holds at a time, or passes
    /// through, whichever is more. A file of `length` bytes may take `max_work` or a hundred times its own length:
    /// 100 megapixels of 8 bits always, of 16 bits if they come from a file as long as a camera writes it.
    ///
    /// # Errors
    /// [`ImageError::TooMuchWork`].
    pub fn check_work(&self, format: &'static str, length: usize, work: u64) -> Result<(), ImageError> {
        let limit = self.max_work.max(length as u64 * WORK_PER_BYTE);
        match work <= limit {
            true => Ok(()),
            false => Err(ImageError::TooMuchWork { format, length, work, limit }),
        }
    }

    /// No limits, for what reads no pixels.
    pub(crate) fn none() -> Self {
        Limits { max_pixels: u64::MAX, max_side: u32::MAX, max_bytes: usize::MAX, max_work: u64::MAX }
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
    /// The bytes are something known that is not decoded here.
    #[error("{0}")]
    Recognised(Recognised),
    /// The data contradict the format or end too early.
    #[error("the {format} is damaged or truncated: {reason}")]
    Damaged {
        /// Name of the format, as "JPEG".
        format: &'static str,
        /// What the decoder found.
        reason: String,
    },
    /// A valid file that uses something the decoder lacks.
    #[error("the {format} uses a feature that is not supported here ({reason}); the file is sound: {remedy}")]
    Unsupported {
        /// Name of the format, as "TIFF".
        format: &'static str,
        /// The feature.
        reason: String,
        /// What to do, as "save it as PNG".
        remedy: &'static str,
    },
    /// Decoding would take more than the limits allow.
    #[error(
        "decoding the {format} of {length} bytes takes {work} bytes, the limit for a file of this length is {limit}"
    )]
    TooMuchWork {
        /// Name of the format.
        format: &'static str,
        /// Length of the input.
        length: usize,
        /// What it takes.
        work: u64,
        /// The larger of [`Limits::max_work`] and a hundred times the length.
        limit: u64,
    },
    /// The decoder found more tables or text in the file than it may keep.
    #[error("the {format} has more than 64 MiB of text, tables or profiles beside its pixels; save it without them")]
    Tables {
        /// Name of the format.
        format: &'static str,
    },
    /// The system gave no memory.
    #[error("there is no memory for {bytes} bytes of an image")]
    NoMemory {
        /// How much was asked for.
        bytes: usize,
    },
    /// There is no such page.
    #[error("there is no page {number}: the {format} has {pages}, counted from 1")]
    NoPage {
        /// Name of the format.
        format: &'static str,
        /// What was asked for.
        number: i64,
        /// How many there are.
        pages: u32,
    },
    /// A page or frame after the first.
    #[error("{what} {number}: {error}")]
    Page {
        /// "page" or "frame".
        what: &'static str,
        /// Its number, counted from 1.
        number: u32,
        /// What is wrong with it.
        error: Box<ImageError>,
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

impl From<NoMemory> for ImageError {
    fn from(NoMemory { bytes }: NoMemory) -> Self {
        ImageError::NoMemory { bytes }
    }
}

impl ImageError {
    /// The same, about a page or frame; the first is not named.
    pub(crate) fn on(self, what: &'static str, number: u32) -> Self {
        match number {
            1 => self,
            _ => ImageError::Page { what, number, error: Box::new(self) },
        }
    }

    /// What is wrong with the picture, or with the page that the error is about.
    pub fn cause(&self) -> &Self {
        match self {
            ImageError::Page { error, .. } => error.cause(),
            error => error,
        }
    }

    /// Whether the bytes are a picture all the same: a sound one that is too large, or of a kind that is not decoded.
    /// Otherwise they are none, or damaged.
    pub fn is_about_a_picture(&self) -> bool {
        match self {
            ImageError::Empty
            | ImageError::UnknownFormat { .. }
            | ImageError::NoPixels { .. }
            | ImageError::Damaged { .. } => false,
            ImageError::Recognised(recognised) => recognised.is_picture,
            ImageError::Page { error, .. } => error.is_about_a_picture(),
            ImageError::TooManyBytes { .. }
            | ImageError::TooManyPixels { .. }
            | ImageError::SideTooLong { .. }
            | ImageError::Unsupported { .. }
            | ImageError::TooMuchWork { .. }
            | ImageError::Tables { .. }
            | ImageError::NoMemory { .. }
            | ImageError::NoPage { .. }
            | ImageError::Encode { .. } => true,
        }
    }
}
