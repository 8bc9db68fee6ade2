//! What a directory says about its picture: where the samples are and what they mean.

use super::chunk::{Compression, Shape};
use super::colours::{alpha, colours, subsampling};
use super::directory::{Directory, File, ORIENTATION, Values};
use super::fax::Scheme;
use super::tags::{
    BITS, COMPRESSION, DNG_VERSION, FILL_ORDER, HEIGHT, JPEG_TABLES, MOSAIC, NO_DATA, PHOTOMETRIC, PLANAR, PREDICTOR,
    ROWS_PER_STRIP, SAMPLE_FORMAT, SAMPLES, STRIP_BYTES, STRIP_OFFSETS, SUB_DIRECTORIES, T4_OPTIONS, TILE_BYTES,
    TILE_HEIGHT, TILE_OFFSETS, TILE_WIDTH, WIDTH, XMP, damaged, unsupported,
};
use crate::error::ImageError;
use crate::format::{Format, Numbers, SampleType};
use crate::metadata;
use crate::pixels::{Colours, NoData, Stored};

const REMEDY_RAW: &str = "develop it to JPEG, PNG or TIFF first, for example with darktable, RawTherapee or rawpy";

/// How a row differs from the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    /// Each sample is a difference to the one left of it.
    Difference,
    /// The same for the bytes of fractions, all first bytes first.
    FloatDifference,
}

/// Where the chunks are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunks<'a> {
    pub width: u32,
    pub height: u32,
    /// How many stand side by side.
    pub across: u32,
    /// How many stand one below the other.
    pub down: u32,
    offsets: Values<'a>,
    bytes: Option<Values<'a>>,
}

/// A page.
pub(super) struct Layout<'a> {
    pub file: File<'a>,
    pub width: u32,
    pub height: u32,
    pub sample: SampleType,
    pub samples: usize,
    pub planar: bool,
    pub reversed_bits: bool,
    pub compression: Compression,
    pub predictor: Predictor,
    pub colours: Colours,
    pub inverted: bool,
    /// Which sample is alpha.
    pub alpha: Option<usize>,
    pub premultiplied: bool,
    /// Luma samples, across and down, for each pair of differences of colour, where they are interleaved as units.
    pub subsampling: Option<[usize; 2]>,
    pub tables: Option<&'a [u8]>,
    pub chunks: Chunks<'a>,
    pub no_data: Option<NoData>,
}

/// What is said of a picture even if it cannot be decoded.
pub(super) struct Head {
    pub width: u32,
    pub height: u32,
    pub samples: u32,
    pub sample: SampleType,
    pub orientation: u8,
}

/// Size and samples.
pub(super) fn head(directory: &Directory<'_>) -> Result<Head, ImageError> {
    let side = |tag, what: &str| {
        let side = directory.number(tag).ok_or_else(|| damaged(format!("it has no {what}")))?;
        u32::try_from(side).map_err(|_| damaged(format!("its {what} is {side}")))
    };
    let (width, height) = (side(WIDTH, "width")?, side(HEIGHT, "height")?);
    if [BITS, SAMPLE_FORMAT, PHOTOMETRIC, SAMPLES].into_iter().any(|tag| directory.has_lost(tag)) {
        return Err(damaged("it is cut: what its samples are lies behind its end"));
    }
    let bits = directory.number(BITS).unwrap_or(1);
    let numbers = match directory.number(SAMPLE_FORMAT) {
        Some(2) => Numbers::Signed,
        Some(3) => Numbers::Float,
        _ => Numbers::Unsigned,
    };
    let sample = match (numbers, bits) {
        (Numbers::Unsigned, ..=8) => SampleType::BYTE,
        (numbers, bits) => SampleType { numbers, bits: u16::try_from(bits).unwrap_or(u16::MAX) },
    };
    let samples = match directory.number(PHOTOMETRIC) {
        // Colours of a palette.
        Some(3) => 3,
        _ => u32::try_from(directory.number(SAMPLES).unwrap_or(1)).unwrap_or(u32::MAX),
    };
    let orientation = match directory.values(ORIENTATION) {
        Some(values) => values.orientation().and_then(|value| u8::try_from(value).ok()).unwrap_or(1),
        None => metadata::orientation(None, directory.values(XMP).map(|values| values.bytes())),
    };
    let orientation = if (1..=8).contains(&orientation) { orientation } else { 1 };
    Ok(Head { width, height, samples, sample, orientation })
}

/// Refuses what is a TIFF only on the outside: the picture in its first directory is a thumbnail.
pub(super) fn check_raw(file: &File<'_>, directory: &Directory<'_>) -> Result<(), ImageError> {
    let mosaic = |directory: &Directory<'_>| directory.number(PHOTOMETRIC) == Some(MOSAIC);
    // A thumbnail may come first, which is no page.
    let first = file.first();
    let says = |looks: &dyn Fn(&Directory<'_>) -> bool| looks(directory) || first.as_ref().is_some_and(looks);
    let what = if says(&|directory| directory.values(DNG_VERSION).is_some()) {
        "DNG"
    } else if file.bytes.get(8..10) == Some(b"CR") {
        "Canon CR2"
    } else if says(&|directory| mosaic(directory) || directory.children(SUB_DIRECTORIES).any(|child| mosaic(&child))) {
        "the mosaic of a sensor"
    } else {
        return Ok(());
    };
    Err(Format::Tiff.unsupported(format!("it is a camera's raw picture: {what}"), REMEDY_RAW))
}

impl<'a> Layout<'a> {
    /// Reads a directory.
    ///
    /// # Errors
    /// Damage, or a feature that is not supported.
    pub(super) fn new(file: File<'a>, directory: &Directory<'a>) -> Result<Self, ImageError> {
        let Head { width, height, .. } = head(directory)?;
        let number = |tag, default| directory.number(tag).unwrap_or(default);
        let samples = number(SAMPLES, 1) as usize;
        if !(1..=65_535).contains(&samples) {
            return Err(damaged(format!("it has {samples} samples for each pixel")));
        }
        let sample = sample_type(directory, samples)?;
        let photometric = number(PHOTOMETRIC, if samples >= 3 { 2 } else { 1 });
        let compression = compression(directory)?;
        let (colours, inverted) = colours(directory, photometric, samples, sample.bits)?;
        let (alpha, premultiplied) = alpha(directory, samples, &colours);
        let planar = samples > 1 && number(PLANAR, 1) == 2;
        let predictor = match number(PREDICTOR, 1) {
            1 => Predictor::None,
            2 => Predictor::Difference,
            3 => Predictor::FloatDifference,
            other => return Err(unsupported(format!("predictor {other}"))),
        };
        match predictor {
            Predictor::Difference if !matches!(sample.bits, 8 | 16 | 32 | 64) => {
                return Err(unsupported(format!("predictor 2 with samples of {} bits", sample.bits)));
            }
            Predictor::FloatDifference if sample.numbers != Numbers::Float => {
                return Err(damaged("predictor 3 is for fractions, and its samples are whole"));
            }
            _ => (),
        }
        if matches!(compression, Compression::Jpeg | Compression::WebP) && sample != SampleType::BYTE {
            return Err(unsupported(format!("JPEG with samples of {} bits", sample.bits)));
        }
        if matches!(compression, Compression::Fax(_)) && (samples, sample.bits) != (1, 1) {
            return Err(damaged("fax codes are for black and white"));
        }
        let subsampling = subsampling(directory, &colours, compression, planar)?;
        if subsampling.is_some() && predictor != Predictor::None {
            return Err(unsupported("a predictor with subsampled colours"));
        }
        let chunks = chunks(directory, [width, height], if planar { samples } else { 1 })?;
        let tables = directory.values(JPEG_TABLES).map(|values| values.bytes());
        let reversed_bits = number(FILL_ORDER, 1) == 2;
        Ok(Self {
            file,
            width,
            height,
            sample,
            samples,
            planar,
            reversed_bits,
            compression,
            predictor,
            colours,
            inverted,
            alpha,
            premultiplied,
            subsampling,
            tables,
            chunks,
            no_data: no_data(directory),
        })
    }

    /// The compressed bytes of all chunks that lie in the file.
    pub(super) fn all_chunks(&self) -> impl Iterator<Item = &'a [u8]> {
        let planes = if self.planar { self.samples } else { 1 };
        let count = self.chunks.across as usize * self.chunks.down as usize * planes;
        (0..count).filter_map(|index| self.chunk(index).ok().flatten())
    }

    /// Samples of a pixel in a chunk.
    pub(super) fn samples_of_chunk(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// What chunks of the row `down` of chunks are cut into.
    pub(super) fn shape(&self, down: u32) -> Shape {
        let Chunks { width, height, .. } = self.chunks;
        let samples = self.samples_of_chunk();
        let row_bytes = match self.subsampling {
            // A row of units, of all luma and the two differences.
            Some([h, v]) => (width as usize).div_ceil(h) * (h * v + 2),
            None => (width as usize * samples * usize::from(self.sample.bits)).div_ceil(8),
        };
        let rows = height.min(self.height - down * height);
        Shape { width, rows, full_rows: height, samples, row_bytes }
    }

    /// Where the compressed bytes of a chunk are; `None` for one that is left out, all of whose samples are 0.
    ///
    /// # Errors
    /// They lie outside the file.
    pub(super) fn chunk(&self, index: usize) -> Result<Option<&'a [u8]>, ImageError> {
        let missing = || damaged(format!("there is nothing for strip or tile {index}"));
        let offset = self.chunks.offsets.get(index).ok_or_else(missing)?;
        let length = match self.chunks.bytes {
            Some(bytes) => bytes.get(index).ok_or_else(missing)?,
            None => 0,
        };
        let length = match (offset, length) {
            (0, 0) => return Ok(None),
            // A length that was never filled in: it ends where it ends.
            (_, 0) => (self.file.bytes.len() as u64).saturating_sub(offset),
            _ => length,
        };
        let range = usize::try_from(offset).ok().zip(usize::try_from(length).ok());
        let bytes = range.and_then(|(offset, length)| self.file.bytes.get(offset..offset.checked_add(length)?));
        let outside = || {
            let end = self.file.bytes.len();
            damaged(format!("strip or tile {index} is {length} bytes at {offset}, and the file ends at {end}"))
        };
        bytes.map(Some).ok_or_else(outside)
    }
}

/// Whether a page is compressed.
pub(super) fn is_compressed(directory: &Directory<'_>) -> bool {
    const UNCOMPRESSED: u64 = 1;
    directory.number(COMPRESSION).is_some_and(|found| found != UNCOMPRESSED)
}

/// What the file says stands for "no data".
pub(super) fn no_data(directory: &Directory<'_>) -> Option<NoData> {
    NoData::parse(std::str::from_utf8(directory.values(NO_DATA)?.bytes()).ok()?)
}

fn sample_type(directory: &Directory<'_>, samples: usize) -> Result<SampleType, ImageError> {
    let bits = directory.number(BITS).unwrap_or(1);
    if let Some(values) = directory.values(BITS) {
        let others = (0..values.len().min(samples)).filter_map(|index| values.get(index)).find(|&other| other != bits);
        if let Some(other) = others {
            return Err(unsupported(format!("samples of {bits} and {other} bits in one pixel")));
        }
    }
    let numbers = match directory.number(SAMPLE_FORMAT).unwrap_or(1) {
        1 | 4 => Numbers::Unsigned,
        2 => Numbers::Signed,
        3 => Numbers::Float,
        5 | 6 => return Err(unsupported("complex numbers")),
        other => return Err(unsupported(format!("sample format {other}"))),
    };
    let sample = SampleType { numbers, bits: u16::try_from(bits).unwrap_or(u16::MAX) };
    match Stored::for_type(sample) {
        Some(_) => Ok(sample),
        None => Err(unsupported(format!("samples of type {sample}"))),
    }
}

pub(super) fn compression(directory: &Directory<'_>) -> Result<Compression, ImageError> {
    let two_dimensions = directory.number(T4_OPTIONS).unwrap_or(0) & 1 == 1;
    let name = match directory.number(COMPRESSION).unwrap_or(1) {
        1 => return Ok(Compression::None),
        2 => return Ok(Compression::Fax(Scheme::Runs)),
        3 if two_dimensions => return Ok(Compression::Fax(Scheme::Group3TwoDimensions)),
        3 => return Ok(Compression::Fax(Scheme::Group3)),
        4 => return Ok(Compression::Fax(Scheme::Group4)),
        5 => return Ok(Compression::Lzw),
        7 => return Ok(Compression::Jpeg),
        8 | 32946 => return Ok(Compression::Deflate),
        32773 => return Ok(Compression::PackBits),
        50000 => return Ok(Compression::Zstd),
        50001 => return Ok(Compression::WebP),
        6 => "old-style JPEG",
        9 | 10 | 34661 => "JBIG",
        32766 => "NeXT",
        32771 => "CCITT with words",
        32809 => "ThunderScan",
        32908 | 32909 => "PixarLog",
        33003 | 33004 | 33005 | 34712 => "JPEG 2000",
        34676 | 34677 => "LogLuv",
        34887 => "LERC",
        34892 => "lossy JPEG of DNG",
        34925 => "LZMA",
        34926 => "old Zstandard",
        34927 => "old WebP",
        34933 => "PNG",
        22610 | 34934 => "JPEG XR",
        50002 | 52546 => "JPEG XL",
        other => return Err(unsupported(format!("compression {other}"))),
    };
    Err(unsupported(format!("compression {name}")))
}

fn chunks<'a>(directory: &Directory<'a>, [width, height]: [u32; 2], planes: usize) -> Result<Chunks<'a>, ImageError> {
    let tiled = directory.values(TILE_WIDTH).is_some();
    let (offsets, bytes) = if tiled { (TILE_OFFSETS, TILE_BYTES) } else { (STRIP_OFFSETS, STRIP_BYTES) };
    // Some writers use the tags of strips for tiles.
    let values = |tag, other| directory.values(tag).or_else(|| directory.values(other));
    let offsets = values(offsets, STRIP_OFFSETS).ok_or_else(|| damaged("it does not say where its pixels are"))?;
    let bytes = values(bytes, STRIP_BYTES);
    let side = |tag, what: &str| {
        let side = directory.number(tag).unwrap_or(0);
        match u32::try_from(side) {
            Ok(side @ 1..) => Ok(side),
            _ => Err(damaged(format!("the {what} of its tiles is {side}"))),
        }
    };
    let (chunk_width, chunk_height) = match tiled {
        true => (side(TILE_WIDTH, "width")?, side(TILE_HEIGHT, "height")?),
        false => {
            let rows = directory.number(ROWS_PER_STRIP).unwrap_or(u64::from(height));
            (width, u32::try_from(rows).unwrap_or(height).clamp(1, height.max(1)))
        }
    };
    let (across, down) = (width.div_ceil(chunk_width), height.div_ceil(chunk_height));
    let chunks = Chunks { width: chunk_width, height: chunk_height, across, down, offsets, bytes };
    let needed = u64::from(across) * u64::from(down) * planes as u64;
    if needed > offsets.len() as u64 {
        return Err(damaged(format!("it has {} strips or tiles and needs {needed}", offsets.len())));
    }
    Ok(chunks)
}
