//! TIFFs with compression, which the encoder of the `image` crate does not write.

use std::io::{Seek, Write};

use image::error::{EncodingError, UnsupportedError, UnsupportedErrorKind};
use image::{ExtendedColorType, ImageEncoder, ImageError, ImageFormat, ImageResult};
use tiff::TiffError;
use tiff::encoder::colortype::{ColorType, Gray8, RGB8, RGBA8};
use tiff::encoder::compression::DeflateLevel;
use tiff::encoder::{Compression, Predictor, TiffEncoder};
use tiff::tags::Tag;

/// Writes one page with deflate and differences between neighbours, which all readers know.
pub(super) struct PackedTiff<W> {
    to: W,
    profile: Option<Vec<u8>>,
}

impl<W: Write + Seek> PackedTiff<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, profile: None }
    }

    fn page<C: ColorType<Inner = u8>>(self, pixels: &[u8], width: u32, height: u32) -> Result<(), TiffError> {
        let mut file = TiffEncoder::new(self.to)?
            .with_compression(Compression::Deflate(DeflateLevel::Balanced))
            .with_predictor(Predictor::Horizontal);
        let mut page = file.new_image::<C>(width, height)?;
        if let Some(profile) = self.profile {
            page.encoder().write_tag(Tag::IccProfile, profile.as_slice())?;
        }
        page.write_data(pixels)
    }
}

impl<W: Write + Seek> ImageEncoder for PackedTiff<W> {
    fn write_image(self, pixels: &[u8], width: u32, height: u32, colours: ExtendedColorType) -> ImageResult<()> {
        let written = match colours {
            ExtendedColorType::L8 => self.page::<Gray8>(pixels, width, height),
            ExtendedColorType::Rgb8 => self.page::<RGB8>(pixels, width, height),
            ExtendedColorType::Rgba8 => self.page::<RGBA8>(pixels, width, height),
            _ => {
                let kind = UnsupportedErrorKind::Color(colours);
                let error = UnsupportedError::from_format_and_kind(ImageFormat::Tiff.into(), kind);
                return Err(ImageError::Unsupported(error));
            }
        };
        written.map_err(|error| match error {
            TiffError::IoError(error) => ImageError::IoError(error),
            error => ImageError::Encoding(EncodingError::new(ImageFormat::Tiff.into(), error)),
        })
    }

    fn set_icc_profile(&mut self, profile: Vec<u8>) -> Result<(), UnsupportedError> {
        self.profile = Some(profile);
        Ok(())
    }
}
