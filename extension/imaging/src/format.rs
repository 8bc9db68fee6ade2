//! The formats that are decoded, and what the header of a picture says.

use std::fmt;

use crate::error::ImageError;

/// A format of picture files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG
    Jpeg,
    /// PNG
    Png,
    /// WebP, lossy or lossless
    WebP,
    /// GIF, which is read but not written
    Gif,
    /// Windows bitmap
    Bmp,
    /// TIFF
    Tiff,
}

impl Format {
    /// The format that the first bytes tell.
    pub(crate) fn of(bytes: &[u8]) -> Option<Format> {
        Some(match bytes {
            [0xff, 0xd8, 0xff, ..] => Format::Jpeg,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Format::Png,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Format::WebP,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Format::Gif,
            [b'B', b'M', ..] => Format::Bmp,
            // 42 is TIFF, 43 BigTIFF, in either byte order.
            [b'I', b'I', 42 | 43, 0, ..] | [b'I', b'I', 0, 42, ..] => Format::Tiff,
            [b'M', b'M', 0, 42 | 43, ..] | [b'M', b'M', 42, 0, ..] => Format::Tiff,
            _ => return None,
        })
    }

    /// The format that users call `name`: an [`Format::id`] or a usual file ending, in any case.
    pub fn named(name: &str) -> Option<Format> {
        let all = [Format::Jpeg, Format::Png, Format::WebP, Format::Gif, Format::Bmp, Format::Tiff];
        let name = match name.to_ascii_lowercase().as_str() {
            "jpg" => "jpeg".to_string(),
            "tif" => "tiff".to_string(),
            name => name.to_string(),
        };
        all.into_iter().find(|format| format.id() == name)
    }

    /// The format in which a changed picture of this format is written: the same, or PNG where it cannot be written.
    pub fn writable(self) -> Format {
        if self == Format::Gif { Format::Png } else { self }
    }

    /// Its name in lower case, as in [`ImageInfo::format`].
    pub fn id(self) -> &'static str {
        match self {
            Format::Jpeg => "jpeg",
            Format::Png => "png",
            Format::WebP => "webp",
            Format::Gif => "gif",
            Format::Bmp => "bmp",
            Format::Tiff => "tiff",
        }
    }

    /// The error of data that contradict the format or end too early.
    pub(crate) fn damaged(self, reason: impl Into<String>) -> ImageError {
        ImageError::Damaged { format: self.name(), reason: reason.into() }
    }

    /// The error of a sound file that uses something the decoder lacks.
    pub(crate) fn unsupported(self, reason: impl Into<String>, remedy: &'static str) -> ImageError {
        ImageError::Unsupported { format: self.name(), reason: reason.into(), remedy }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::WebP => "WebP",
            Format::Gif => "GIF",
            Format::Bmp => "BMP",
            Format::Tiff => "TIFF",
        }
    }
}

/// What the header of a picture says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ImageInfo {
    /// Width in pixels as displayed, EXIF orientation applied.
    pub width: u32,
    /// Height in pixels as displayed, EXIF orientation applied.
    pub height: u32,
    /// Channels in the file: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha or CMYK; a TIFF may have more. A
    /// palette counts as the colours in it.
    pub channels: u32,
    /// "jpeg", "png", "webp", "gif", "bmp" or "tiff".
    pub format: &'static str,
    /// EXIF orientation as in the file, 1..=8; 1, upright, where it says nothing or nonsense.
    pub orientation: u8,
    /// What a sample is.
    pub sample: SampleType,
    /// Pages of a TIFF, frames of a GIF, WebP or animated PNG; of which the first is read.
    pub pages: u32,
    /// The value that stands for "no data", as a TIFF says by GDAL's tag.
    pub no_data: Option<f64>,
}

/// How the numbers of samples are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Whole, from 0.
    Unsigned,
    /// Whole, with a sign.
    Signed,
    /// With a fraction.
    Float,
}

/// What a sample is: shown as `uint8`, `uint16`, `float32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleType {
    /// How it is stored.
    pub numbers: Numbers,
    /// In how many bits. Unsigned numbers of fewer than 8 bits are levels as those of 8, and count as such.
    pub bits: u16,
}

impl SampleType {
    /// Levels of 8 bits, which are taken as they are. Everything else has a range of its own.
    pub const BYTE: SampleType = SampleType { numbers: Numbers::Unsigned, bits: 8 };
}

impl fmt::Display for SampleType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = match self.numbers {
            Numbers::Unsigned => "uint",
            Numbers::Signed => "int",
            Numbers::Float => "float",
        };
        write!(formatter, "{numbers}{}", self.bits)
    }
}
