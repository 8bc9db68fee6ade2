//! PNG, WebP and BMP, by the decoders of the `image` crate.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{ColorType, ImageDecoder};

use crate::error::{ImageError, Limits};
use crate::format::{Format, ImageInfo, Numbers, SampleType};
use crate::memory::{NoMemory, zeroed};
use crate::metadata::{self, png_chunks, webp_chunks};
use crate::orient;
use crate::pixels::{Colours, Pixels, Stored};
use crate::samples::Raw;

/// Memory for tables, text chunks and rows that a decoder may take beside its pixels.
const TABLES: u64 = 64 << 20;

/// What to do about a file that is not decoded.
const REMEDY: &str = "save it again as an ordinary PNG";

/// What the header says.
pub(crate) fn info(format: Format, bytes: &[u8]) -> Result<ImageInfo, ImageError> {
    let decoder = open(format, bytes)?;
    let (width, height) = decoder.dimensions();
    let color = decoder.original_color_type();
    let channels = u32::from(color.channel_count());
    // Levels of fewer bits count as those of 8.
    let bits = (color.bits_per_pixel() / color.channel_count().max(1) as u16).max(8);
    let orientation = orientation(format, bytes);
    let [width, height] = orient::shown([width, height], orientation);
    let sample = SampleType { numbers: Numbers::Unsigned, bits: if format == Format::Png { bits } else { 8 } };
    Ok(ImageInfo {
        width,
        height,
        channels,
        format: format.id(),
        orientation,
        sample,
        pages: frames(format, bytes),
        no_data: None,
    })
}

/// The pixels, the orientation and the colour profile.
pub(crate) fn decode(format: Format, bytes: &[u8], limits: &Limits) -> Result<(Raw, u8, Option<Vec<u8>>), ImageError> {
    let mut decoder = open(format, bytes)?;
    let (width, height) = decoder.dimensions();
    limits.check_size(width, height)?;
    let (colours, alpha, stored) = match decoder.color_type() {
        ColorType::L8 => (Colours::Grey, false, Stored::U8),
        ColorType::La8 => (Colours::Grey, true, Stored::U8),
        ColorType::Rgb8 => (Colours::Rgb, false, Stored::U8),
        ColorType::Rgba8 => (Colours::Rgb, true, Stored::U8),
        ColorType::L16 => (Colours::Grey, false, Stored::U16),
        ColorType::La16 => (Colours::Grey, true, Stored::U16),
        ColorType::Rgb16 => (Colours::Rgb, false, Stored::U16),
        ColorType::Rgba16 => (Colours::Rgb, true, Stored::U16),
        color => {
            let reason = format!("colours of kind {color:?}");
            return Err(format.unsupported(reason, REMEDY));
        }
    };
    let pixels = Pixels { alpha, ..Pixels::new([width, height], stored, colours) };
    let orientation = orientation(format, bytes);
    let beside = beside(format, bytes, &pixels);
    limits.check_work(format.name(), bytes.len(), pixels.work(1) + beside)?;
    limits.check_work(format.name(), bytes.len(), pixels.work(orientation))?;
    NoMemory::expect(beside)?;
    // A damaged profile is no reason to lose the picture.
    let profile = decoder.icc_profile().ok().flatten();
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(pixels.work(1) + beside + TABLES);
    decoder.set_limits(allowed).map_err(|error| translate(format, error))?;
    let mut raw = Raw::new(pixels)?;
    decoder.read_image_boxed(raw.samples_mut()).map_err(|error| translate(format, error))?;
    Ok((raw, orientation, profile))
}

/// The numbers of a PNG with a palette, where [`decode`] gives the colours they stand for, or of one whose grey has fewer than
/// 8 bits, where it gives levels of 8, and the orientation; `None` for other PNGs.
pub(crate) fn decode_numbers(bytes: &[u8], limits: &Limits) -> Result<Option<(Raw, u8)>, ImageError> {
    let damaged = |error: png::DecodingError| match error {
        png::DecodingError::LimitsExceeded => ImageError::Tables { format: Format::Png.name() },
        error => Format::Png.damaged(error.to_string()),
    };
    let tables = png::Limits { bytes: TABLES as usize };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), tables);
    decoder.set_transformations(png::Transformations::IDENTITY);
    let header = decoder.read_header_info().map_err(damaged)?;
    let (width, height, bits) = (header.width, header.height, usize::from(header.bit_depth as u8));
    match header.color_type {
        png::ColorType::Indexed => (),
        png::ColorType::Grayscale if bits < 8 => (),
        _ => return Ok(None),
    }
    limits.check_size(width, height)?;
    // Which colour a number has is not asked.
    let pixels = Pixels::new([width, height], Stored::U8, Colours::Palette(Box::new([[0; 3]; 256])));
    let orientation = orientation(Format::Png, bytes);
    limits.check_work(Format::Png.name(), bytes.len(), pixels.work(orientation))?;
    let mut reader = decoder.read_info().map_err(damaged)?;
    let mut raw = Raw::new(pixels)?;
    let row_bytes = (width as usize * bits).div_ceil(8);
    let mut packed = zeroed(row_bytes * height as usize)?;
    reader.next_frame(&mut packed).map_err(damaged)?;
    let rows = packed.chunks_exact(row_bytes).zip(raw.samples_mut().chunks_exact_mut(width as usize));
    for (packed, row) in rows {
        for (x, number) in row.iter_mut().enumerate() {
            // The first is in the highest bits.
            let shift = 8 - bits - x * bits % 8;
            *number = packed[x * bits / 8] >> shift & (0xff >> (8 - bits));
        }
    }
    Ok(Some((raw, orientation)))
}

fn open<'a>(format: Format, bytes: &'a [u8]) -> Result<Box<dyn ImageDecoder + 'a>, ImageError> {
    let input = Cursor::new(bytes);
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(TABLES);
    let opened: image::ImageResult<Box<dyn ImageDecoder + 'a>> = match format {
        Format::Png => PngDecoder::with_limits(input, allowed).map(|decoder| Box::new(decoder) as _),
        Format::WebP => WebPDecoder::new(input).map(|decoder| Box::new(decoder) as _),
        Format::Bmp => BmpDecoder::new(input).map(|decoder| Box::new(decoder) as _),
        Format::Jpeg | Format::Gif | Format::Tiff => unreachable!("formats with modules of their own"),
    };
    opened.map_err(|error| translate(format, error))
}

fn orientation(format: Format, bytes: &[u8]) -> u8 {
    match format {
        Format::Png => metadata::of_png(bytes),
        Format::WebP => metadata::of_webp(bytes),
        _ => 1,
    }
}

/// Frames of an animation.
fn frames(format: Format, bytes: &[u8]) -> u32 {
    let count = match format {
        Format::Png => png_chunks(bytes).take_while(|(name, _)| name != b"IDAT").find_map(|(name, data)| {
            (name == *b"acTL").then(|| data.first_chunk().copied().map(u32::from_be_bytes))?
        }),
        Format::WebP => Some(webp_chunks(bytes).filter(|(name, _)| name == b"ANMF").count() as u32),
        _ => None,
    };
    count.unwrap_or(1).clamp(1, i32::MAX as u32)
}

/// Bytes that a decoder holds beside the samples.
fn beside(format: Format, bytes: &[u8], pixels: &Pixels) -> u64 {
    if format != Format::WebP {
        return 0;
    }
    let has = |wanted: &[u8; 4]| webp_chunks(bytes).take(16).any(|(name, _)| name == *wanted);
    let per_pixel = match (has(b"ANIM") || has(b"ANMF"), has(b"VP8L"), pixels.alpha) {
        // A frame and the canvas, in RGBA, and what is below.
        (true, ..) => 12,
        // Lossless pixels are RGBA; without alpha they are copied.
        (false, true, false) => 4,
        (false, true, true) => 0,
        // Planes of luma and halved colours; alpha is coded as a lossless picture of its own.
        (false, false, false) => 2,
        (false, false, true) => 7,
    };
    pixels.count() as u64 * per_pixel
}

fn translate(format: Format, error: image::ImageError) -> ImageError {
    match error {
        image::ImageError::Limits(_) => ImageError::Tables { format: format.name() },
        image::ImageError::Unsupported(error) => format.unsupported(error.to_string(), REMEDY),
        error => format.damaged(error.to_string()),
    }
}
