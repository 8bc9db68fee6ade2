//! Pictures of which parts are taken as they are.

use crate::coded;
use crate::decode::{Whole, guarded};
use crate::error::{ImageError, Limits};
use crate::format::Format;
use crate::picture::Picture;
use crate::pixels::{Colours, Range, Stored};
use crate::raster::Raster;
use crate::tiff::{self, Page, Tags};

/// A picture whose parts have its values: of a TIFF or PNG with more than levels of 8 bits the samples are kept, with their
/// type, all bands, and what stands for "no data". Other pictures are as [`Picture`] has them.
///
/// ```
/// use sam_imaging::{Depth, Limits, Original, info, png_of_levels};
///
/// let png = png_of_levels(&[0.0, 700.0, 65535.0, 1.0], [2, 2], 1, Depth::Sixteen, &Limits::default())?;
/// let part = Original::read(&png, &Limits::default())?.part([1, 0], [1, 2])?;
/// assert_eq!(info(&part, &Limits::default())?.sample.to_string(), "uint16");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Original(Kind);

enum Kind {
    Shown(Picture),
    Values(Raster, Format),
}

impl Original {
    /// Reads the first page.
    ///
    /// # Errors
    /// As [`crate::decode`].
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ImageError> {
        let page = guarded(bytes, limits, |format| {
            Ok(match format {
                Format::Tiff => Some((tiff::decode_page(bytes, 1, limits)?, format)),
                Format::Png => Some((png_page(bytes, limits)?, format)),
                _ => None,
            })
        })?;
        match page {
            Some((page, Format::Tiff)) => Self::of(page, Format::Tiff, tiff::is_compressed(bytes)),
            Some((page, format)) => Self::of(page, format, false),
            None => Ok(Self(Kind::Shown(Picture::read(bytes, limits)?))),
        }
    }

    /// A page of a TIFF or PNG.
    pub(crate) fn of(page: Page, format: Format, packed: bool) -> Result<Self, ImageError> {
        Ok(Self(match Raster::of(page)? {
            Ok(raster) => Kind::Values(raster, format),
            Err(Page { raw, orientation, profile, .. }) => {
                let whole = Whole::of(raw, orientation, Range::Own, true, format)?;
                Kind::Shown(Picture::of(Whole { profile, packed, ..whole }))
            }
        }))
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [u32; 2] {
        match &self.0 {
            Kind::Shown(picture) => picture.size(),
            Kind::Values(raster, _) => raster.size(),
        }
    }

    /// The part of `size` (width and height) whose upper left corner is at `x`, `y`: what of it lies inside, as a file of the
    /// format it was read from, or a PNG for [`Format::Gif`].
    ///
    /// # Errors
    /// As [`Picture::encode`].
    pub fn part(&self, corner: [u32; 2], size: [u32; 2]) -> Result<Vec<u8>, ImageError> {
        match &self.0 {
            Kind::Shown(picture) => picture.crop(corner, size)?.encode(picture.format.writable()),
            Kind::Values(raster, Format::Png) => {
                let part = raster.part(corner, size)?;
                part.png()?.map_or_else(|| part.tiff(), Ok)
            }
            Kind::Values(raster, _) => raster.part(corner, size)?.tiff(),
        }
    }

    /// The whole as a PNG, or as a TIFF where a PNG cannot hold its values.
    pub(crate) fn page(&self) -> Result<Vec<u8>, ImageError> {
        match &self.0 {
            Kind::Shown(picture) => picture.encode(Format::Png),
            Kind::Values(raster, _) => raster.png()?.map_or_else(|| raster.tiff(), Ok),
        }
    }
}

/// The pixels of a PNG.
pub(crate) fn png_page(bytes: &[u8], limits: &Limits) -> Result<Page, ImageError> {
    let (raw, orientation, profile) = coded::decode(Format::Png, bytes, limits)?;
    // Pictures that are shown have no grey with alpha.
    let is_shown =
        raw.pixels.stored == Stored::U8 && !(raw.pixels.alpha && matches!(raw.pixels.colours, Colours::Grey));
    let tags = (!is_shown).then(|| Tags::of_levels(&raw.pixels));
    Ok(Page { raw, orientation, tags, profile })
}
