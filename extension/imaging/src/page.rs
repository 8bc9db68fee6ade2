//! One page of a TIFF, or one frame of a GIF.

use std::ops::ControlFlow;

use crate::decode::{self, guarded};
use crate::error::{ImageError, Limits};
use crate::format::Format;
use crate::original::{Original, png_page};
use crate::picture::Picture;
use crate::{animation, gif, tiff};

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
        let Some(page) = u32::try_from(number).ok().filter(|number| (1..=pages).contains(number)) else {
            // Of a file that was cut nobody knows.
            return check_end(format, bytes).and(Err(missing()));
        };
        if page > 1 && matches!(format, Format::Png | Format::WebP) {
            check_end(format, bytes)?;
        }
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
/// As [`page`], with the number of the page; the pages before that have been taken. A file that ends too early to say
/// how many there are has none.
pub fn pages(
    bytes: &[u8],
    limits: &Limits,
    mut take: impl FnMut(Vec<u8>) -> ControlFlow<()>,
) -> Result<(), ImageError> {
    guarded(bytes, limits, |format| {
        check_end(format, bytes)?;
        let mut taken = 0;
        let mut take = |page| {
            taken += 1;
            take(page)
        };
        match format {
            Format::Tiff => {
                tiff::decode_pages(bytes, limits, |page| Ok(take(Original::of(page, format, false)?.page()?)))
                    .map_err(|error| error.on("page", taken + 1))
            }
            Format::Gif => gif::pages(bytes, limits, |rgb, alpha| {
                Ok(take(Picture { rgb, alpha, grey: false, profile: None, format, packed: false }.encode(Format::Png)?))
            })
            .map_err(|error| error.on("frame", taken + 1)),
            // A second one is refused.
            _ => {
                for number in 1..=decode::info_of_any_size(bytes)?.pages {
                    if take(page(bytes, number.into(), limits)?).is_break() {
                        break;
                    }
                }
                Ok(())
            }
        }
    })
}

/// Looks for damage in the whole file: in the first page, as [`crate::decode`] does, in those behind it, and at the end, without
/// which pages may be missing. Pages after the first that are intact but not read here, or over a limit, are no damage. Before
/// each page `go_on` says whether to read it.
///
/// # Errors
/// As [`crate::decode`] for the first page; for others [`ImageError::Page`].
///
/// ```
/// use std::ops::ControlFlow;
///
/// use sam_imaging::{Limits, check, decode};
///
/// // A GIF of one pixel, and the same without its last byte.
/// let gif = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
/// let limits = Limits::default();
/// assert!(check(gif, &limits, || ControlFlow::Continue(())).is_ok());
/// let cut = &gif[..gif.len() - 1];
/// assert!(decode(cut, &limits).is_ok());
/// let error = check(cut, &limits, || ControlFlow::Continue(())).unwrap_err();
/// assert!(error.to_string().contains("1 frame is found, and the file ends behind 34 bytes"));
/// ```
pub fn check(bytes: &[u8], limits: &Limits, go_on: impl FnMut() -> ControlFlow<()>) -> Result<(), ImageError> {
    decode::decode(bytes, limits)?;
    guarded(bytes, limits, |format| {
        match check_end(format, bytes) {
            Err(error) if !error.is_about_a_picture() => return Err(error),
            _ => (),
        }
        match format {
            Format::Tiff => tiff::check_pages(bytes, limits, go_on),
            Format::Gif => gif::check_frames(bytes, limits, go_on),
            _ => Ok(()),
        }
    })
}

/// Checks that a file of several pages has its end.
fn check_end(format: Format, bytes: &[u8]) -> Result<(), ImageError> {
    match format {
        Format::Tiff => tiff::check_chain(bytes),
        Format::Gif => gif::check_end(bytes),
        Format::Png => animation::check_png(bytes),
        Format::WebP => animation::check_webp(bytes),
        Format::Jpeg | Format::Bmp => Ok(()),
    }
}
