//! JPEG, through zune-jpeg directly: the wrapper in the `image` crate decodes leniently, so that a truncated file
//! becomes a picture with a grey part, where Pillow and this crate report it.

use image::RgbImage;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::error::{ImageError, Limits};
use crate::{convert, orient};

/// Progressive files have about ten scans; thousands of them are a way to burn time with a small file.
const MAX_SCANS: usize = 100;

type Decoder<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

/// Stored width and height, channels and EXIF orientation.
pub(crate) fn header(bytes: &[u8], limits: &Limits) -> Result<(u32, u32, u8, u8), ImageError> {
    let (mut decoder, width, height) = open(bytes, limits, true)?;
    let channels = color(&mut decoder)?.num_components() as u8;
    Ok((width, height, channels, orientation(&decoder)))
}

/// The colour profile.
pub(crate) fn profile(bytes: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, ImageError> {
    Ok(open(bytes, limits, true)?.0.icc_profile())
}

/// The picture, upright.
pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage, ImageError> {
    let (mut decoder, width, height) = open(bytes, limits, true)?;
    let orientation = orientation(&decoder);
    let output = match color(&mut decoder)? {
        // Grey is replicated here rather than there, which writes a third of the bytes.
        ColorSpace::Luma => ColorSpace::Luma,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(output));
    let mut pixels = vec![0; width as usize * height as usize * output.num_components()];
    decoder.decode_into(&mut pixels).map_err(translate)?;
    if !has_end(bytes) {
        // Strict decoding notices missing rows of blocks, but not where the last of them is cut.
        return Err(damaged("the end-of-image marker is missing"));
    }
    if output == ColorSpace::Luma {
        pixels = convert::to_rgb(image::ColorType::L8, pixels).unwrap_or_default();
    }
    let picture = RgbImage::from_raw(width, height, pixels).ok_or_else(|| damaged("it has too few pixels"))?;
    Ok(orient::upright(picture, orientation))
}

fn open<'a>(bytes: &'a [u8], limits: &Limits, strict: bool) -> Result<(Decoder<'a>, u32, u32), ImageError> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_max_scans(MAX_SCANS);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    match decoder.decode_headers() {
        // Bytes between the segments of a header are wrong, but common, and harmless.
        Err(DecodeErrors::FormatStatic(text)) if strict && text.contains("Extra bytes between headers") => {
            return open(bytes, limits, false);
        }
        result => result.map_err(translate)?,
    }
    let (width, height) = decoder.dimensions().ok_or_else(|| damaged("it has no size"))?;
    // A JPEG's sides have 16 bits.
    let (width, height) = (width as u32, height as u32);
    limits.check_size(width, height)?;
    Ok((decoder, width, height))
}

fn color(decoder: &mut Decoder<'_>) -> Result<ColorSpace, ImageError> {
    match decoder.input_colorspace() {
        Some(color) if !matches!(color, ColorSpace::MultiBand(_) | ColorSpace::Unknown) => Ok(color),
        color => Err(ImageError::Unsupported { format: "JPEG", reason: format!("colours of kind {color:?}") }),
    }
}

fn orientation(decoder: &Decoder<'_>) -> u8 {
    decoder.exif().map_or(1, |exif| orient::from_exif(exif))
}

/// Whether an end-of-image marker follows the first scan. Before it, thumbnails may have one of their own.
fn has_end(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let [0xff, marker, high, low, ..] = *rest {
        if marker == 0xda {
            return rest.windows(2).any(|pair| pair == [0xff, 0xd9]);
        }
        // Markers may be preceded by any number of fill bytes 0xff.
        let length = if marker == 0xff { 1 } else { 2 + usize::from(u16::from_be_bytes([high, low])) };
        rest = rest.get(length..).unwrap_or_default();
    }
    // The header is irregular; the decoder has coped with it, and it ends as it should or it does not.
    bytes.windows(2).rev().take(1024).any(|pair| pair == [0xff, 0xd9])
}

fn damaged(reason: &str) -> ImageError {
    ImageError::Damaged { format: "JPEG", reason: reason.to_string() }
}

fn translate(error: DecodeErrors) -> ImageError {
    match error {
        DecodeErrors::Unsupported(scheme) => ImageError::Unsupported { format: "JPEG", reason: format!("{scheme:?}") },
        error => damaged(&error.to_string()),
    }
}
