//! From untrusted bytes to upright RGB pixels.
//!
//! The order is the safety: length, format, header, size limits, and only then pixels. Decoders are run under
//! `catch_unwind`, for on damaged data some of them panic.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::{ImageDecoder, RgbImage};

use crate::error::{ImageError, Limits};
use crate::{convert, jpeg, orient};

/// Memory for tables, text chunks and rows that a decoder may take beside its pixels.
const TABLES: u64 = 64 << 20;
/// Most bytes per pixel of any decoder's own format: four floats.
const MAX_PIXEL_BYTES: u64 = 16;

/// What the header of a picture says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// Width in pixels as displayed, EXIF orientation applied.
    pub width: u32,
    /// Height in pixels as displayed, EXIF orientation applied.
    pub height: u32,
    /// Channels in the file: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha or CMYK. A palette counts as
    /// the colours in it.
    pub channels: u8,
    /// "jpeg", "png", "webp", "gif", "bmp" or "tiff".
    pub format: &'static str,
    /// EXIF orientation as in the file, 1..=8; 1, upright, where it says nothing or nonsense.
    pub orientation: u8,
}

/// A format of picture files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JPEG
    Jpeg,
    /// PNG
    Png,
    /// WebP, lossy or lossless
    WebP,
    /// GIF, of which the first frame is read and none is written
    Gif,
    /// Windows bitmap
    Bmp,
    /// TIFF, of which the first page is read
    Tiff,
}

impl Format {
    fn of(bytes: &[u8]) -> Option<Format> {
        Some(match bytes {
            [0xff, 0xd8, 0xff, ..] => Format::Jpeg,
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Format::Png,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Format::WebP,
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Format::Gif,
            [b'B', b'M', ..] => Format::Bmp,
            // 42 is TIFF, 43 BigTIFF, in either byte order.
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Format::Tiff,
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

/// Decodes a picture to RGB pixels of 8 bits, upright: the EXIF orientation is applied, once.
///
/// Of JPEG, PNG, WebP, GIF, BMP and TIFF, told by their first bytes; the first frame or page where there are
/// several. Colours are converted as by Pillow's `convert("RGB")`: alpha is dropped, grey replicated, a palette
/// expanded, 16 bits cut to the upper 8, CMYK converted without a colour profile. Two things differ: grey of 16
/// bits, which Pillow clips at 255, is cut to its upper 8 bits like colour, and JPEG is decoded without the aim of
/// equal bits (see `tests/decode.rs` for how near it comes).
///
/// # Errors
/// Everything in [`ImageError`]. Whatever the bytes, there is no panic.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, ImageError> {
    guarded(bytes, limits, |format| match format {
        Format::Jpeg => jpeg::decode(bytes, limits),
        _ => decode_other(format, bytes, limits, false).map(|whole| whole.rgb),
    })
}

/// A picture with what [`decode`] leaves out.
pub(crate) struct Whole {
    pub rgb: RgbImage,
    /// Transparency, in all three channels.
    pub alpha: Option<RgbImage>,
    /// Whether the file has one channel of grey.
    pub grey: bool,
    pub profile: Option<Vec<u8>>,
    pub format: Format,
}

/// Decodes as [`decode`], and what it leaves out.
pub(crate) fn whole(bytes: &[u8], limits: &Limits) -> Result<Whole, ImageError> {
    guarded(bytes, limits, |format| match format {
        Format::Jpeg => {
            let (.., channels, _) = jpeg::header(bytes, limits)?;
            let (rgb, profile) = (jpeg::decode(bytes, limits)?, jpeg::profile(bytes, limits)?);
            Ok(Whole { rgb, alpha: None, grey: channels == 1, profile, format })
        }
        _ => decode_other(format, bytes, limits, true),
    })
}

/// Reads the header of a picture, which takes microseconds whatever its size.
///
/// # Errors
/// As [`decode`], limits included, but damage behind the header goes unnoticed.
pub fn info(bytes: &[u8], limits: &Limits) -> Result<ImageInfo, ImageError> {
    guarded(bytes, limits, |format| {
        let (width, height, channels, orientation) = match format {
            Format::Jpeg => jpeg::header(bytes, limits)?,
            _ => {
                let mut decoder = open(format, bytes, limits)?;
                let (width, height) = decoder.dimensions();
                let channels = match format {
                    // The decoder always gives RGBA.
                    Format::Gif => 3,
                    _ => decoder.original_color_type().channel_count(),
                };
                (width, height, channels, orientation(format, bytes, decoder.as_mut()))
            }
        };
        let (width, height) = if orient::swaps_sides(orientation) { (height, width) } else { (width, height) };
        Ok(ImageInfo { width, height, channels, format: format.id(), orientation })
    })
}

/// Checks length and format, then runs `work` with its panics turned into errors.
fn guarded<T>(
    bytes: &[u8],
    limits: &Limits,
    work: impl FnOnce(Format) -> Result<T, ImageError>,
) -> Result<T, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    if bytes.len() > limits.max_bytes {
        return Err(ImageError::TooManyBytes { found: bytes.len(), limit: limits.max_bytes });
    }
    let Some(format) = Format::of(bytes) else {
        let head: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        return Err(ImageError::UnknownFormat { length: bytes.len(), head: head.join(" ") });
    };
    // Unwind safety: all that a decoder could leave half done is dropped with it.
    catch_unwind(AssertUnwindSafe(|| work(format))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
        let reason = format!("the decoder stopped ({})", text.unwrap_or("no reason given"));
        Err(ImageError::Damaged { format: format.name(), reason })
    })
}

/// Any format but JPEG; transparency and profile only if asked for.
fn decode_other(format: Format, bytes: &[u8], limits: &Limits, all: bool) -> Result<Whole, ImageError> {
    let mut decoder = open(format, bytes, limits)?;
    let (width, height) = decoder.dimensions();
    let orientation = orientation(format, bytes, decoder.as_mut());
    let color = decoder.color_type();
    // A damaged profile is no reason to lose the picture.
    let profile = if all { decoder.icc_profile().ok().flatten() } else { None };
    let size = usize::try_from(decoder.total_bytes()).map_err(|_| ImageError::Memory { format: format.name() })?;
    let mut pixels = vec![0; size];
    decoder.read_image_boxed(&mut pixels).map_err(|error| translate(format, error))?;
    let unsupported = || ImageError::Unsupported { format: format.name(), reason: format!("pixels of type {color:?}") };
    let upright = |pixels: Vec<u8>| {
        let picture = RgbImage::from_raw(width, height, pixels).ok_or_else(unsupported)?;
        Ok(orient::upright(picture, orientation))
    };
    let alpha = if all { convert::alpha(color, &pixels).map(upright).transpose()? } else { None };
    let rgb = upright(convert::to_rgb(color, pixels).ok_or_else(unsupported)?)?;
    Ok(Whole { rgb, alpha, grey: !color.has_color(), profile, format })
}

/// A decoder of any format but JPEG with its header read and its size within the limits.
fn open<'a>(format: Format, bytes: &'a [u8], limits: &Limits) -> Result<Box<dyn ImageDecoder + 'a>, ImageError> {
    let input = Cursor::new(bytes);
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(TABLES);
    let opened: image::ImageResult<Box<dyn ImageDecoder + 'a>> = match format {
        Format::Jpeg => unreachable!("JPEG has a module of its own"),
        Format::Png => PngDecoder::with_limits(input, allowed.clone()).map(|decoder| Box::new(decoder) as _),
        Format::WebP => WebPDecoder::new(input).map(|decoder| Box::new(decoder) as _),
        Format::Gif => GifDecoder::new(input).map(|decoder| Box::new(decoder) as _),
        Format::Bmp => BmpDecoder::new(input).map(|decoder| Box::new(decoder) as _),
        Format::Tiff => TiffDecoder::new(input).map(|decoder| Box::new(decoder) as _),
    };
    let mut decoder = opened.map_err(|error| translate(format, error))?;
    let (width, height) = decoder.dimensions();
    limits.check_size(width, height)?;
    allowed.max_alloc = Some(u64::from(width) * u64::from(height) * MAX_PIXEL_BYTES + TABLES);
    decoder.set_limits(allowed).map_err(|error| translate(format, error))?;
    Ok(decoder)
}

fn orientation(format: Format, bytes: &[u8], decoder: &mut dyn ImageDecoder) -> u8 {
    match format {
        Format::Png => orient::of_png(bytes),
        Format::WebP => orient::of_webp(bytes),
        // A tag of the picture itself. A damaged tag is no reason to lose the picture.
        Format::Tiff => decoder.orientation().map_or(1, |orientation| orientation.to_exif()),
        Format::Jpeg | Format::Gif | Format::Bmp => 1,
    }
}

fn translate(format: Format, error: image::ImageError) -> ImageError {
    let format = format.name();
    match error {
        image::ImageError::Limits(_) => ImageError::Memory { format },
        image::ImageError::Unsupported(error) => ImageError::Unsupported { format, reason: error.to_string() },
        error => ImageError::Damaged { format, reason: error.to_string() },
    }
}
