//! JPEG, through zune-jpeg directly: the wrapper in the `image` crate decodes leniently, so that a truncated file
//! becomes a picture with a grey part, where Pillow and this crate report it.

mod structure;

use std::borrow::Cow;

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::error::{ImageError, Limits};
use crate::format::{Format, ImageInfo, SampleType};
use crate::memory::{NoMemory, joined};
use crate::metadata;
use crate::orient;
use crate::pixels::{Colours, Pixels, Stored};
use crate::samples::Raw;
use structure::{Structure, unsupported};

/// Progressive files have about ten scans; thousands of them are a way to burn time with a small file.
const MAX_SCANS: usize = 100;

type Decoder<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

/// What the header says.
pub(crate) fn info(bytes: &[u8]) -> Result<ImageInfo, ImageError> {
    let structure = Structure::head(bytes);
    structure.check_supported()?;
    let bytes = &adapted(bytes, &structure)?;
    let (mut decoder, width, height) = open(bytes, &Limits::none(), true)?;
    color(&mut decoder)?;
    let channels = structure.channels();
    let orientation = orientation(&structure);
    let [width, height] = orient::shown([width, height], orientation);
    let format = Format::Jpeg.id();
    Ok(ImageInfo { width, height, channels, format, orientation, sample: SampleType::BYTE, pages: 1, no_data: None })
}

/// The colour profile.
pub(crate) fn profile(bytes: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, ImageError> {
    Ok(open(&adapted(bytes, &Structure::head(bytes))?, limits, true)?.0.icc_profile())
}

/// The pixels, and the orientation.
pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<(Raw, u8), ImageError> {
    let structure = Structure::of(bytes);
    structure.check_supported()?;
    let adapted = adapted(bytes, &structure)?;
    let (mut decoder, width, height) = open(&adapted, limits, true)?;
    let orientation = orientation(&structure);
    let (output, colours) = match color(&mut decoder)? {
        // Grey is replicated here rather than there, which writes a third of the bytes.
        ColorSpace::Luma => (ColorSpace::Luma, Colours::Grey),
        _ => (ColorSpace::RGB, Colours::Rgb),
    };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(output));
    let pixels = Pixels::new([width, height], Stored::U8, colours);
    let coefficients = structure.coefficient_bytes();
    let work = (pixels.work(1) + coefficients).max(pixels.work(orientation)).max(structure.scan_work());
    limits.check_work("JPEG", bytes.len(), work)?;
    NoMemory::expect(coefficients)?;
    let mut raw = Raw::new(pixels)?;
    decoder.decode_into(raw.samples_mut()).map_err(translate)?;
    if !structure.has_end {
        // Strict decoding notices missing rows of blocks, but not where the last of them is cut.
        return Err(Format::Jpeg.damaged("the end-of-image marker is missing"));
    }
    Ok((raw, orientation))
}

/// The work of the scans of a JPEG that stands in another file, as bytes; 0 for one scan.
pub(crate) fn scan_work(bytes: &[u8]) -> u64 {
    Structure::of(bytes).scan_work()
}

/// The same file, so that the decoder sees the colours that libjpeg sees. It rarely has to be another.
fn adapted<'a>(bytes: &'a [u8], structure: &Structure<'_>) -> Result<Cow<'a, [u8]>, ImageError> {
    Ok(match structure.colours() {
        None => Cow::Borrowed(bytes),
        Some((Some(at), transform)) => {
            let mut bytes = joined(&[bytes])?;
            bytes[at] = transform;
            Cow::Owned(bytes)
        }
        Some((None, transform)) => {
            let segment = [&b"\xff\xee\0\x0eAdobe\0d\0\0\0\0"[..], &[transform]].concat();
            Cow::Owned(joined(&[&bytes[..2], &segment, &bytes[2..]])?)
        }
    })
}

fn orientation(structure: &Structure<'_>) -> u8 {
    metadata::orientation(structure.exif, structure.xmp)
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
    let (width, height) = decoder.dimensions().ok_or_else(|| Format::Jpeg.damaged("it has no size"))?;
    // A JPEG's sides have 16 bits.
    let (width, height) = (width as u32, height as u32);
    limits.check_size(width, height)?;
    Ok((decoder, width, height))
}

fn color(decoder: &mut Decoder<'_>) -> Result<ColorSpace, ImageError> {
    match decoder.input_colorspace() {
        Some(color) if !matches!(color, ColorSpace::MultiBand(_) | ColorSpace::Unknown) => Ok(color),
        color => Err(unsupported(format!("colours of kind {color:?}"))),
    }
}

fn translate(error: DecodeErrors) -> ImageError {
    match error {
        DecodeErrors::Unsupported(scheme) => unsupported(format!("{scheme:?}")),
        error => Format::Jpeg.damaged(error.to_string()),
    }
}
