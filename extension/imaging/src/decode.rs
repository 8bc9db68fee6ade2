//! From untrusted bytes to upright RGB pixels.
//!
//! The order is the safety: length, format, header, limits, and only then pixels. Decoders are run under
//! `catch_unwind`, for on damaged data some of them panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{GrayImage, RgbImage};

use crate::error::{ImageError, Limits};
use crate::format::{Format, ImageInfo};
use crate::pixels::{Colours, Range};
use crate::recognise::recognise;
use crate::samples::Raw;
use crate::{coded, gif, jpeg, orient, tiff};

/// Decodes a picture to RGB pixels of 8 bits, upright: the EXIF orientation is applied, once.
///
/// Of JPEG, PNG, WebP, GIF, BMP and TIFF, told by their first bytes; the first frame or page where there are
/// several. Colours are converted as by Pillow's `convert("RGB")`: alpha is dropped, grey replicated, a palette
/// expanded, CMYK converted without a colour profile. Samples of more than 8 bits, signed ones and fractions are brought
/// to 8 bits by [`Range::Own`]; of several bands without a meaning the first three are red, green and blue. JPEG is
/// decoded without the aim of equal bits (see `tests/decode.rs` for how near it comes).
///
/// # Errors
/// Everything in [`ImageError`] but [`ImageError::Encode`] and [`ImageError::NoPage`]. Whatever the bytes, there is no
/// panic.
///
/// ```
/// use sam_imaging::{Limits, Rle, decode, mask_png};
///
/// // A PNG of 2 x 3 pixels, of which the first is white.
/// let png = mask_png(&Rle { height: 3, width: 2, counts: vec![0, 1, 5] }, &Limits::default())?;
/// let picture = decode(&png, &Limits::default())?;
/// assert_eq!(picture.dimensions(), (2, 3));
/// assert_eq!([picture[(0, 0)].0, picture[(1, 2)].0], [[255; 3], [0; 3]]);
///
/// let error = decode(b"%PDF-1.7", &Limits::default()).unwrap_err();
/// assert!(error.to_string().starts_with("the picture is a PDF, which is not supported here"));
/// # Ok::<(), sam_imaging::ImageError>(())
/// ```
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, ImageError> {
    guarded(bytes, limits, |format| Ok(decode_as(format, bytes, limits, Range::Own, false)?.rgb))
}

/// A picture with what [`decode`] leaves out.
pub(crate) struct Whole {
    pub rgb: RgbImage,
    /// Transparency.
    pub alpha: Option<GrayImage>,
    /// Whether the file has one channel of grey.
    pub grey: bool,
    pub profile: Option<Vec<u8>>,
    pub format: Format,
    /// Whether it is a TIFF with compression.
    pub packed: bool,
}

impl Whole {
    /// What samples are, without a profile.
    pub(crate) fn of(
        raw: Raw,
        orientation: u8,
        range: Range,
        transparency: bool,
        format: Format,
    ) -> Result<Self, ImageError> {
        let grey = matches!(raw.pixels.colours, Colours::Grey);
        let (rgb, alpha) = raw.picture(range, transparency)?;
        let alpha = alpha.map(|alpha| orient::upright(alpha, orientation)).transpose()?;
        Ok(Self { rgb: orient::upright(rgb, orientation)?, alpha, grey, profile: None, format, packed: false })
    }
}

/// Decodes as [`decode`], by any range, and what it leaves out.
pub(crate) fn whole(bytes: &[u8], limits: &Limits, range: Range) -> Result<Whole, ImageError> {
    guarded(bytes, limits, |format| decode_as(format, bytes, limits, range, true))
}

fn decode_as(
    format: Format,
    bytes: &[u8],
    limits: &Limits,
    range: Range,
    transparency: bool,
) -> Result<Whole, ImageError> {
    let (raw, orientation, mut profile, alpha): (Raw, u8, _, Option<GrayImage>) = match format {
        Format::Jpeg => {
            let profile = if transparency { jpeg::profile(bytes, limits)? } else { None };
            let (raw, orientation) = jpeg::decode(bytes, limits)?;
            (raw, orientation, profile, None)
        }
        Format::Tiff => {
            let (raw, orientation) = tiff::decode(bytes, 1, limits)?;
            (raw, orientation, tiff::profile(bytes), None)
        }
        Format::Gif => {
            let (raw, alpha) = gif::decode(bytes, limits, transparency)?;
            (raw, 1, None, alpha)
        }
        Format::Png | Format::WebP | Format::Bmp => {
            let (raw, orientation, profile) = coded::decode(format, bytes, limits)?;
            (raw, orientation, profile, None)
        }
    };
    if !transparency {
        profile = None;
    }
    let packed = format == Format::Tiff && tiff::is_compressed(bytes);
    let whole = Whole::of(raw, orientation, range, transparency, format)?;
    let alpha = alpha.map(|alpha| orient::upright(alpha, orientation)).transpose()?.or(whole.alpha);
    Ok(Whole { alpha, profile, packed, ..whole })
}

/// Reads the header of a picture, which takes microseconds whatever its size.
///
/// # Errors
/// As [`decode`], limits of size included, but damage behind the header goes unnoticed.
///
/// ```
/// use sam_imaging::{Limits, Rle, info, mask_png};
///
/// let png = mask_png(&Rle { height: 3, width: 2, counts: vec![0, 1, 5] }, &Limits::default())?;
/// let info = info(&png[..45], &Limits::default())?;
/// assert_eq!((info.width, info.height, info.channels, info.format), (2, 3, 1, "png"));
/// # Ok::<(), sam_imaging::ImageError>(())
/// ```
pub fn info(bytes: &[u8], limits: &Limits) -> Result<ImageInfo, ImageError> {
    guarded(bytes, limits, |format| {
        let info = header(format, bytes)?;
        limits.check_size(info.width, info.height)?;
        Ok(info)
    })
}

/// Reads the header of a picture of any size.
///
/// # Errors
/// As [`info`], without limits.
pub fn info_of_any_size(bytes: &[u8]) -> Result<ImageInfo, ImageError> {
    info(bytes, &Limits::none())
}

fn header(format: Format, bytes: &[u8]) -> Result<ImageInfo, ImageError> {
    match format {
        Format::Jpeg => jpeg::info(bytes),
        Format::Tiff => tiff::info(bytes),
        Format::Gif => gif::info(bytes),
        Format::Png | Format::WebP | Format::Bmp => coded::info(format, bytes),
    }
}

/// Checks length and format, then runs `work` with its panics turned into errors.
pub(crate) fn guarded<T>(
    bytes: &[u8],
    limits: &Limits,
    work: impl FnOnce(Format) -> Result<T, ImageError>,
) -> Result<T, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    let format = Format::of(bytes);
    if let Some(recognised) = recognise(bytes, format.is_some()) {
        return Err(ImageError::Recognised(recognised));
    }
    if bytes.len() > limits.max_bytes {
        return Err(ImageError::TooManyBytes { found: bytes.len(), limit: limits.max_bytes });
    }
    let Some(format) = format else {
        let head: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        return Err(ImageError::UnknownFormat { length: bytes.len(), head: head.join(" ") });
    };
    // Unwind safety: all that a decoder could leave half done is dropped with it.
    catch_unwind(AssertUnwindSafe(|| work(format))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
        Err(format.damaged(format!("the decoder stopped ({})", text.unwrap_or("no reason given"))))
    })
}
