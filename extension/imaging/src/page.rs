//! One page of a TIFF, or one frame of a GIF.

use std::ops::ControlFlow;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::decode::{self, guarded};
use crate::error::{ImageError, Limits};
use crate::format::Format;
use crate::memory::NoMemory;
use crate::picture::{Picture, Sink, unwritten};
use crate::pixels::{Colours, Range, Stored};
use crate::samples::Raw;
use crate::{coded, gif, orient, range, tiff};

/// Page `number` of a picture, counted from 1, upright, as a PNG: samples of 8 bits, and grey and colours of 16, as they
/// are; any other number stretched to 16 bits, from the lowest in the page to the highest. Of other animations than GIF
/// only the first frame is read.
///
/// # Errors
/// As [`crate::decode`], and [`ImageError::NoPage`].
pub fn page(bytes: &[u8], number: i64, limits: &Limits) -> Result<Vec<u8>, ImageError> {
    let pages = decode::info_of_any_size(bytes)?.pages;
    guarded(bytes, limits, |format| {
        let missing = || ImageError::NoPage { format: format.name(), number, pages };
        let page = u32::try_from(number).ok().filter(|number| (1..=pages).contains(number)).ok_or_else(missing)?;
        match format {
            Format::Tiff => {
                let (raw, orientation) = tiff::decode(bytes, page as usize, limits)?;
                png(raw, orientation)
            }
            Format::Gif => {
                let (rgb, alpha) = gif::page(bytes, page, limits)?;
                Picture { rgb, alpha, grey: false, profile: None, format, packed: false }.encode(Format::Png)
            }
            _ if page > 1 => Err(format.unsupported(
                "a frame after the first",
                "take the frame out first, for example with ffmpeg or ImageMagick, or save the animation as GIF",
            )),
            Format::Png => {
                let (raw, orientation, _) = coded::decode(format, bytes, limits)?;
                png(raw, orientation)
            }
            Format::Jpeg | Format::WebP | Format::Bmp => Picture::read(bytes, limits)?.encode(Format::Png),
        }
    })
}

/// All pages, one after the other, as [`page`] makes them. `take` gets each, and says whether to go on.
///
/// # Errors
/// As [`page`]; the pages before that have been taken.
pub fn pages(
    bytes: &[u8],
    limits: &Limits,
    mut take: impl FnMut(Vec<u8>) -> ControlFlow<()>,
) -> Result<(), ImageError> {
    guarded(bytes, limits, |format| match format {
        Format::Tiff => tiff::decode_pages(bytes, limits, |raw, orientation| Ok(take(png(raw, orientation)?))),
        Format::Gif => gif::pages(bytes, limits, |rgb, alpha| {
            Ok(take(Picture { rgb, alpha, grey: false, profile: None, format, packed: false }.encode(Format::Png)?))
        }),
        // A second one is refused.
        _ => {
            for number in 1..=decode::info_of_any_size(bytes)?.pages {
                if take(page(bytes, number.into(), limits)?).is_break() {
                    break;
                }
            }
            Ok(())
        }
    })
}

fn png(raw: Raw, orientation: u8) -> Result<Vec<u8>, ImageError> {
    let pixels = raw.pixels.clone();
    let plain = matches!(pixels.colours, Colours::Grey | Colours::Rgb) && !pixels.premultiplied;
    if pixels.stored == Stored::U8 || !plain {
        let (format, grey) = (Format::Png, matches!(pixels.colours, Colours::Grey));
        let (rgb, alpha) = raw.picture(Range::Own, true)?;
        let rgb = orient::upright(rgb, orientation)?;
        let alpha = alpha.map(|alpha| orient::upright(alpha, orientation)).transpose()?;
        return Picture { rgb, alpha, grey, profile: None, format, packed: false }.encode(format);
    }
    // Of 16 bits they are as they should be.
    let levels = match pixels.stored == Stored::U16 && !pixels.inverted {
        true => raw.into_samples(),
        false => range::to_16(&pixels, raw.samples())?,
    };
    let size = [pixels.width, pixels.height];
    let (levels, color) = match pixels.channels() {
        1 => (orient::turned::<2>(levels, size, orientation)?, ExtendedColorType::L16),
        2 => (orient::turned::<4>(levels, size, orientation)?, ExtendedColorType::La16),
        3 => (orient::turned::<6>(levels, size, orientation)?, ExtendedColorType::Rgb16),
        _ => (orient::turned::<8>(levels, size, orientation)?, ExtendedColorType::Rgba16),
    };
    let [width, height] = orient::shown(size, orientation);
    // The encoder copies them, in the byte order of PNG.
    NoMemory::expect(levels.len() as u64)?;
    let mut bytes = Sink::default();
    PngEncoder::new(&mut bytes).write_image(&levels, width, height, color).map_err(|error| unwritten("PNG", error))?;
    Ok(bytes.into_inner())
}
