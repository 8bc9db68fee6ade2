//! TIFF, in the forms that scanners, microscopes, drones and satellites write.
//!
//! The decoder of the `tiff` crate refuses what a directory says before its entries can be looked at, and with it
//! subsampled colours, palettes, several bands, samples of 12 bits and signed ones, planes that are wanted in part. So
//! directories and samples are read here, and libraries decompress the strips and tiles: each row goes from its chunk
//! to the picture, and only what is shown is kept.

mod chunk;
mod colours;
pub(crate) mod directory;
mod fax;
mod geo;
mod kept;
mod layout;
mod rows;
mod tags;

use std::ops::ControlFlow;

use chunk::{Chunk, Compression};
use directory::{Directory, Fault, File};
use layout::Layout;
use rows::Rows;
use tags::{PROFILE, damaged};

pub use geo::{Geo, geo};
pub(crate) use kept::Tags;

use crate::error::{ImageError, Limits};
use crate::format::{Format, ImageInfo};
use crate::jpeg;
use crate::memory::joined;
use crate::orient;
use crate::pixels::{Colours, NoData, Pixels, Stored};
use crate::samples::Raw;

/// The work of decompression beside what comes out of it, as bytes: for each strip or tile, and for each byte of it. A
/// file may give one and the same bytes for all of them, and bytes need not stand for samples: tables, empty blocks, codes
/// without effect. A byte of fax codes stands for up to eight changes of colour.
fn cost(compression: Compression) -> (u64, u64) {
    match compression {
        Compression::Jpeg | Compression::WebP => (12 << 10, 4),
        Compression::Deflate => (6 << 10, 8),
        Compression::Fax(_) => (2 << 10, 64),
        Compression::None => (2 << 10, 1),
        Compression::Lzw | Compression::PackBits | Compression::Zstd => (2 << 10, 4),
    }
}

/// Pages.
pub(crate) fn pages(bytes: &[u8]) -> u32 {
    File::new(bytes).map_or(0, |file| file.pages().count() as u32)
}

/// Checks that the chain of directories leads to its end, without which pages may be missing.
///
/// # Errors
/// Damage, and more pages than are counted.
pub(crate) fn check_chain(bytes: &[u8]) -> Result<(), ImageError> {
    let Some((file, fault)) = File::new(bytes).and_then(|file| Some((file, file.fault()?))) else { return Ok(()) };
    let (length, found) = (bytes.len(), file.pages().count());
    let found = if found == 1 { "1 page is found".to_string() } else { format!("{found} pages are found") };
    Err(match fault {
        Fault::Outside(place) => damaged(format!(
            "{found}, and the next should be described at byte {place}, but the file is {length} bytes long"
        )),
        Fault::Cut(place) => damaged(format!(
            "{found}, and the file of {length} bytes ends in the list at byte {place} that describes the last one"
        )),
        Fault::Loop(place) => damaged(format!(
            "{found}, and behind the last follows the one described at byte {place} again; others may be lost"
        )),
        Fault::TooMany(most) => Format::Tiff.unsupported(
            format!("more than {most} pages, overviews and masks"),
            "split it, for example with tiffsplit",
        ),
    })
}

/// Reads the pages after the first and keeps nothing, until `go_on` says to stop. Pages that are intact and not read, for
/// they are of a kind that is not decoded or over a limit, are passed over.
///
/// # Errors
/// Damage, with the number of the page; and where all pages take ten times what one may.
pub(crate) fn check_pages(
    bytes: &[u8],
    limits: &Limits,
    mut go_on: impl FnMut() -> ControlFlow<()>,
) -> Result<(), ImageError> {
    const TOGETHER: u64 = 10;
    let (file, _) = open(bytes, 1)?;
    let mut work = 0;
    for (index, directory) in file.pages().enumerate().skip(1) {
        if go_on().is_break() {
            break;
        }
        let number = index as u32 + 1;
        match whole_page(file, &directory, false, limits) {
            Ok(page) => work += size_of_val(page.raw.samples()) as u64,
            Err(error @ ImageError::NoMemory { .. }) => return Err(error),
            Err(error) if error.is_about_a_picture() => (),
            Err(error) => return Err(error.on("page", number)),
        }
        limits.check_work("TIFF", bytes.len(), work / TOGETHER).map_err(|error| error.on("page", number))?;
    }
    Ok(())
}

/// What the directory of a page says, as long as it is a picture.
pub(crate) fn info(bytes: &[u8]) -> Result<ImageInfo, ImageError> {
    let (file, directory) = open(bytes, 1)?;
    layout::check_raw(&file, &directory)?;
    let layout::Head { width, height, samples, sample, orientation } = layout::head(&directory)?;
    let [width, height] = orient::shown([width, height], orientation);
    let format = Format::Tiff.id();
    let no_data = layout::no_data(&directory).map(NoData::value);
    Ok(ImageInfo { width, height, channels: samples, format, orientation, sample, pages: pages(bytes), no_data })
}

/// The samples of a page, the first being 1, and its orientation.
///
/// # Errors
/// Damage, what is not supported, and the limits.
pub(crate) fn decode(bytes: &[u8], page: usize, limits: &Limits) -> Result<(Raw, u8), ImageError> {
    decode_channels(bytes, page, limits, Wanted::Shown)
}

/// The same with all bands, also those that have no part in what is shown, where they are numbers rather than colours.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_bands(bytes: &[u8], limits: &Limits) -> Result<(Raw, u8), ImageError> {
    decode_channels(bytes, 1, limits, Wanted::Bands)
}

/// The samples of the first page where they are numbers of something: those of fewer than 8 bits are no levels.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_numbers(bytes: &[u8], limits: &Limits) -> Result<(Raw, u8), ImageError> {
    decode_channels(bytes, 1, limits, Wanted::Numbers)
}

/// Whether the first page is compressed by what changes its samples: as JPEGs, or as WebPs.
pub(crate) fn is_lossy(bytes: &[u8]) -> bool {
    let directory = File::new(bytes).and_then(|file| file.pages().next());
    let compression = directory.and_then(|directory| layout::compression(&directory).ok());
    matches!(compression, Some(Compression::Jpeg | Compression::WebP))
}

/// What is wanted of the samples of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Those that are shown.
    Shown,
    /// All, where they are numbers rather than colours.
    Bands,
    /// Those that are shown, as numbers rather than levels.
    Numbers,
}

/// A page as it is in the file: with all bands, where there is more in them than is shown.
pub(crate) struct Page {
    pub raw: Raw,
    pub orientation: u8,
    /// What a TIFF with these samples has to say about them; `None` where what is shown is all there is.
    pub tags: Option<Tags>,
    pub profile: Option<Vec<u8>>,
}

/// A page as it is in the file, the first being 1.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_page(bytes: &[u8], page: usize, limits: &Limits) -> Result<Page, ImageError> {
    let (file, directory) = open(bytes, page)?;
    whole_page(file, &directory, page == 1, limits)
}

/// All pages as they are in the file, until `take` says to stop.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_pages(
    bytes: &[u8],
    limits: &Limits,
    mut take: impl FnMut(Page) -> Result<ControlFlow<()>, ImageError>,
) -> Result<(), ImageError> {
    let (file, _) = open(bytes, 1)?;
    for (index, directory) in file.pages().enumerate() {
        if take(whole_page(file, &directory, index == 0, limits)?)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn whole_page(file: File<'_>, directory: &Directory<'_>, is_first: bool, limits: &Limits) -> Result<Page, ImageError> {
    let layout = Layout::new(file, directory)?;
    let tags = Tags::of(&layout, directory);
    let wanted = if tags.is_some() { Wanted::Bands } else { Wanted::Shown };
    let (raw, orientation) = samples(file, directory, is_first, limits, wanted)?;
    let profile = directory.values(PROFILE).map(|profile| profile.bytes().to_vec());
    Ok(Page { raw, orientation, tags, profile })
}

fn decode_channels(bytes: &[u8], page: usize, limits: &Limits, wanted: Wanted) -> Result<(Raw, u8), ImageError> {
    let (file, directory) = open(bytes, page)?;
    samples(file, &directory, page == 1, limits, wanted)
}

fn samples(
    file: File<'_>,
    directory: &Directory<'_>,
    is_first: bool,
    limits: &Limits,
    wanted: Wanted,
) -> Result<(Raw, u8), ImageError> {
    if is_first {
        layout::check_raw(&file, directory)?;
    }
    let (head, bytes) = (layout::head(directory)?, file.bytes);
    limits.check_size(head.width, head.height)?;
    let mut layout = Layout::new(file, directory)?;
    if wanted == Wanted::Bands && matches!(layout.colours, Colours::Grey | Colours::Rgb) {
        (layout.colours, layout.alpha, layout.premultiplied) = (Colours::Bands(layout.samples), None, false);
    }
    let stored = Stored::for_type(layout.sample).ok_or_else(|| damaged("it has samples of an unknown type"))?;
    let mut pixels = Pixels {
        width: layout.width,
        height: layout.height,
        stored,
        bits: layout.sample.bits.max(8),
        colours: layout.colours.clone(),
        alpha: layout.alpha.is_some(),
        premultiplied: layout.premultiplied,
        inverted: layout.inverted,
        no_data: layout.no_data,
    };
    let is_level = wanted != Wanted::Numbers && !matches!(pixels.colours, Colours::Palette(_));
    if is_level && layout.sample.bits < 8 {
        pixels.no_data = pixels.no_data.and_then(|no_data| rows::level(no_data.whole()?, layout.sample.bits));
    }
    let work = work(&layout, &pixels, head.orientation);
    limits.check_work("TIFF", bytes.len(), work)?;
    if layout.compression == Compression::Jpeg {
        let scans: u64 = layout.all_chunks().map(jpeg::scan_work).sum();
        limits.check_work("TIFF", bytes.len(), work.saturating_add(scans))?;
    }
    let mut raw = Raw::new(pixels)?;
    read(&layout, &mut raw, wanted == Wanted::Numbers)?;
    Ok((raw, head.orientation))
}

/// The colour profile of the first page.
pub(crate) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(File::new(bytes)?.pages().next()?.values(PROFILE)?.bytes().to_vec())
}

/// Whether the first page is compressed.
pub(crate) fn is_compressed(bytes: &[u8]) -> bool {
    File::new(bytes).and_then(|file| file.pages().next()).is_some_and(|directory| layout::is_compressed(&directory))
}

fn open(bytes: &[u8], page: usize) -> Result<(File<'_>, Directory<'_>), ImageError> {
    let file = File::new(bytes).ok_or_else(|| damaged("its beginning is wrong"))?;
    let directory = file.pages().nth(page - 1).ok_or_else(|| damaged("it has no directory"))?;
    Ok((file, directory))
}

/// Bytes that decoding holds, or that pass through it.
fn work(layout: &Layout<'_>, pixels: &Pixels, orientation: u8) -> u64 {
    let chunks = &layout.chunks;
    let full = layout.shape(0);
    let planes = if layout.planar { layout.samples as u64 } else { 1 };
    let row_bytes = u64::from(chunks.across) * full.row_bytes as u64;
    let rows = match layout.subsampling {
        Some([_, v]) => u64::from(layout.height).div_ceil(v as u64),
        None => u64::from(layout.height),
    };
    let (per_chunk, per_byte) = cost(layout.compression);
    let tables = layout.tables.map_or(0, <[u8]>::len) as u64;
    let compressed = layout.all_chunks().map(|bytes| per_chunk + (bytes.len() as u64 + tables) * per_byte).sum();
    // What takes longer for what comes out of it than the others.
    let passes = match layout.compression {
        Compression::WebP => 2,
        Compression::Zstd => 3,
        _ => 1,
    };
    let through = rows.saturating_mul(row_bytes).saturating_mul(planes * passes).saturating_add(compressed);
    // What is decoded as a whole, with the coefficients that it may take.
    let whole = match layout.compression {
        Compression::Jpeg | Compression::WebP => 3 * full.row_bytes as u64 * u64::from(full.full_rows),
        _ => full.row_bytes as u64,
    };
    through.max(pixels.work(orientation).saturating_add(whole))
}

/// Reads all chunks.
fn read(layout: &Layout<'_>, raw: &mut Raw, are_numbers: bool) -> Result<(), ImageError> {
    let channels = raw.pixels.colours.channels();
    // Which sample of the file is which channel of the picture.
    let wanted: Vec<usize> = (0..channels).chain(layout.alpha).collect();
    let planes: Vec<(usize, Vec<(usize, usize)>)> = match layout.planar {
        true => wanted.iter().enumerate().map(|(channel, &sample)| (sample, vec![(0, channel)])).collect(),
        false => vec![(0, wanted.iter().enumerate().map(|(channel, &sample)| (sample, channel)).collect())],
    };
    let mut rows = Rows::new(layout, &raw.pixels, are_numbers);
    for (plane, channels) in planes {
        for down in 0..layout.chunks.down {
            for across in 0..layout.chunks.across {
                let index = (plane * layout.chunks.down as usize + down as usize) * layout.chunks.across as usize;
                let index = index + across as usize;
                let Some(bytes) = layout.chunk(index)? else { continue };
                let shape = layout.shape(down);
                let failed = |error: std::io::Error| damaged(format!("strip or tile {index}: {error}"));
                let mut reversed: Vec<u8>;
                let bytes = match layout.reversed_bits {
                    true => {
                        reversed = joined(&[bytes])?;
                        reversed.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
                        &reversed
                    }
                    false => bytes,
                };
                let mut chunk = Chunk::open(layout.compression, bytes, layout.tables, shape).map_err(failed)?;
                let left = across * layout.chunks.width;
                let width = layout.chunks.width.min(layout.width - left);
                let top = down * layout.chunks.height;
                rows.read(&mut chunk, shape, &channels, raw.samples_mut(), [left, top], width).map_err(failed)?;
            }
        }
    }
    Ok(())
}
