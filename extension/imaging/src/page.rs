//! One page of a TIFF, or one frame of a GIF.

use std::ops::ControlFlow;

use crate::decode::{self, guarded};
use crate::error::{ImageError, Limits};
use crate::format::Format;
use crate::original::{Original, png_page};
use crate::picture::Picture;
use crate::{gif, tiff};

/// Page `number` of a picture, counted from 1, upright, as a PNG; as a TIFF where a PNG cannot hold its values: signed ones,
/// those with a fraction or of more than 16 bits, many bands, "no data". Values are those of the page, but for palettes,
/// CMYK and levels of 8 bits or fewer from white to black, which are written as they are shown. Of other animations than GIF
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
            Format::Tiff => Original::of(tiff::decode_page(bytes, page as usize, limits)?, format, false)?.page(),
            Format::Gif => {
                let (rgb, alpha) = gif::page(bytes, page, limits)?;
                Picture { rgb, alpha, grey: false, profile: None, format, packed: false }.encode(Format::Png)
            }
            _ if page > 1 => Err(format.unsupported(
                "a frame after the first",
                "take the frame out first, for example with ffmpeg or ImageMagick, or save the animation as GIF",
            )),
            Format::Png => Original::of(png_page(bytes, limits)?, format, false)?.page(),
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
        Format::Tiff => tiff::decode_pages(bytes, limits, |page| Ok(take(Original::of(page, format, false)?.page()?))),
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
