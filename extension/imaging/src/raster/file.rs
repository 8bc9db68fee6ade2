//! TIFFs of samples of any type and number.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use tiff::encoder::{DirectoryEncoder, TiffEncoder, TiffKindStandard};
use tiff::tags::Tag;
use tiff::{TiffError, TiffResult};

use crate::bands::Bands;
use crate::error::ImageError;
use crate::memory::zeroed;
use crate::picture::Sink;
use crate::pixels::Stored;
use crate::tiff::Tags;

/// Bytes of a strip before compression, as others write them: a reader holds one at a time.
const STRIP: usize = 1 << 16;

/// Writes samples, compressed with deflate if `tags` say so.
///
/// # Errors
/// [`ImageError::Encode`]: it would be longer than 4 GB. [`ImageError::NoMemory`].
pub(super) fn tiff(bands: &Bands, tags: &Tags, profile: Option<&[u8]>) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Sink::default();
    // What is copied for a directory: one number for each band and strip.
    let written = TiffEncoder::new(&mut bytes).and_then(|mut file| {
        let mut page = file.image_directory()?;
        describe(&mut page, bands, tags, profile)?;
        strips(&mut page, bands, tags.is_compressed)?;
        page.finish()
    });
    match written {
        Ok(()) => Ok(bytes.into_inner()),
        Err(TiffError::IoError(error)) => Err(refused(&error)),
        Err(error) => Err(ImageError::Encode { format: "TIFF", reason: error.to_string() }),
    }
}

fn refused(error: &io::Error) -> ImageError {
    let known = error.get_ref().and_then(|inner| inner.downcast_ref::<ImageError>());
    known.cloned().unwrap_or_else(|| ImageError::Encode { format: "TIFF", reason: error.to_string() })
}

type Directory<'a, 'b> = DirectoryEncoder<'a, &'b mut Sink, TiffKindStandard>;

/// All tags but those of the strips.
fn describe(page: &mut Directory<'_, '_>, bands: &Bands, tags: &Tags, profile: Option<&[u8]>) -> TiffResult<()> {
    let ([width, height], channels) = (bands.size(), bands.channels());
    let stored = bands.pixels().stored;
    let format: u16 = match stored {
        Stored::U8 | Stored::U16 | Stored::U32 | Stored::U64 => 1,
        Stored::I8 | Stored::I16 | Stored::I32 | Stored::I64 => 2,
        Stored::F32 | Stored::F64 => 3,
    };
    let each = |value: u16| vec![value; channels];
    page.write_tag(Tag::ImageWidth, width)?;
    page.write_tag(Tag::ImageLength, height)?;
    page.write_tag(Tag::BitsPerSample, each(stored.bytes() as u16 * 8).as_slice())?;
    page.write_tag(Tag::SampleFormat, each(format).as_slice())?;
    page.write_tag(Tag::SamplesPerPixel, u16::try_from(channels)?)?;
    page.write_tag(Tag::PhotometricInterpretation, tags.photometric)?;
    page.write_tag(Tag::PlanarConfiguration, 1u16)?;
    if !tags.extra.is_empty() {
        page.write_tag(Tag::ExtraSamples, tags.extra.as_slice())?;
    }
    if let Some(profile) = profile {
        page.write_tag(Tag::IccProfile, profile)?;
    }
    if let Some(no_data) = &tags.no_data {
        page.write_tag(Tag::GdalNodata, no_data.as_str())?;
    }
    Ok(())
}

/// The strips, and where they are.
fn strips(page: &mut Directory<'_, '_>, bands: &Bands, is_compressed: bool) -> TiffResult<()> {
    const UNCOMPRESSED: u16 = 1;
    const DEFLATE: u16 = 8;
    let row_bytes = bands.pixels().stride() * bands.size()[0] as usize;
    let rows = (STRIP / row_bytes.max(1)).max(1);
    let (mut offsets, mut lengths): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    for strip in bands.samples().chunks(rows * row_bytes) {
        let start = match is_compressed {
            true => {
                // Nothing grows by more than a thousandth of itself.
                let room = zeroed::<u8>(strip.len() + strip.len() / 1000 + 64).map_err(refused_memory)?;
                let mut packed = ZlibEncoder::new(io::Cursor::new(room), Compression::default());
                packed.write_all(strip)?;
                let packed = packed.finish()?;
                let length = packed.position() as usize;
                lengths.push(u32::try_from(length)?);
                page.write_data(&packed.get_ref()[..length])?
            }
            false => {
                lengths.push(u32::try_from(strip.len())?);
                page.write_data(strip)?
            }
        };
        offsets.push(u32::try_from(start)?);
    }
    page.write_tag(Tag::Compression, if is_compressed { DEFLATE } else { UNCOMPRESSED })?;
    page.write_tag(Tag::RowsPerStrip, u32::try_from(rows)?.min(bands.size()[1]))?;
    page.write_tag(Tag::StripOffsets, offsets.as_slice())?;
    page.write_tag(Tag::StripByteCounts, lengths.as_slice())
}

fn refused_memory(error: crate::memory::NoMemory) -> TiffError {
    TiffError::IoError(io::Error::new(io::ErrorKind::OutOfMemory, ImageError::from(error)))
}
