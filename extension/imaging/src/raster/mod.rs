//! Pictures whose values are kept: those of more than 8 bits, with a sign or a fraction, of many bands, or with "no data".

mod file;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::bands::Bands;
use crate::error::ImageError;
use crate::memory::NoMemory;
use crate::picture::{Sink, unwritten};
use crate::pixels::Stored;
use crate::tiff::{Page, Tags};

/// A picture with its samples as the file has them, upright.
pub(crate) struct Raster {
    bands: Bands,
    /// What a TIFF has to say about them.
    tags: Tags,
    profile: Option<Vec<u8>>,
}

impl Raster {
    /// The samples of a page; the page itself where levels of 8 bits are all there is.
    ///
    /// # Errors
    /// There is no memory to turn them.
    pub(crate) fn of(mut page: Page) -> Result<Result<Self, Page>, NoMemory> {
        let Some(tags) = page.tags.take() else { return Ok(Err(page)) };
        // The colour space of the profile stands at a fixed place in its header.
        let space: &[u8] = if tags.has_colours { b"RGB " } else { b"GRAY" };
        let profile = page.profile.filter(|profile| profile.get(16..20) == Some(space));
        Ok(Ok(Self { bands: Bands::upright(page.raw, page.orientation)?, tags, profile }))
    }

    /// Width and height in pixels.
    pub(crate) fn size(&self) -> [u32; 2] {
        self.bands.size()
    }

    /// The part of `size` whose upper left corner is at `corner`: what of it lies inside.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn part(&self, corner: [u32; 2], size: [u32; 2]) -> Result<Self, NoMemory> {
        let bands = self.bands.part(corner, size)?;
        Ok(Self { bands, tags: self.tags.clone(), profile: self.profile.clone() })
    }

    /// The samples as a TIFF.
    ///
    /// # Errors
    /// [`ImageError::Encode`], [`ImageError::NoMemory`].
    pub(crate) fn tiff(&self) -> Result<Vec<u8>, ImageError> {
        file::tiff(&self.bands, &self.tags, self.profile.as_deref())
    }

    /// The samples as a PNG; `None` where that cannot hold them.
    ///
    /// # Errors
    /// As [`Raster::tiff`].
    pub(crate) fn png(&self) -> Result<Option<Vec<u8>>, ImageError> {
        let color = match (self.bands.pixels().stored, self.bands.channels()) {
            _ if !self.tags.is_plain => return Ok(None),
            (Stored::U8, 2) => ExtendedColorType::La8,
            (Stored::U16, 1) => ExtendedColorType::L16,
            (Stored::U16, 2) => ExtendedColorType::La16,
            (Stored::U16, 3) => ExtendedColorType::Rgb16,
            (Stored::U16, 4) => ExtendedColorType::Rgba16,
            _ => return Ok(None),
        };
        let ([width, height], levels) = (self.size(), self.bands.samples());
        // The encoder copies them, in the byte order of PNG.
        NoMemory::expect(levels.len() as u64)?;
        let mut bytes = Sink::default();
        let mut encoder = PngEncoder::new(&mut bytes);
        if let Some(profile) = &self.profile {
            // One that does not fit in is left out.
            let _ = encoder.set_icc_profile(profile.clone());
        }
        encoder.write_image(levels, width, height, color).map_err(|error| unwritten("PNG", error))?;
        Ok(Some(bytes.into_inner()))
    }
}
