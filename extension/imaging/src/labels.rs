//! Label images: one picture whose values are the numbers of objects, 0 where there is none.

use std::collections::HashMap;

use image::codecs::{png::PngEncoder, tiff::TiffEncoder};
use image::{ExtendedColorType, ImageEncoder};

use crate::bands::Bands;
use crate::decode;
use crate::error::{ImageError, Limits};
use crate::format::Format;
use crate::mask::{Rle, RunWriter};
use crate::memory::{NoMemory, zeroed};
use crate::orient;
use crate::picture::{Sink, unwritten};
use crate::pixels::{Colours, Pixels, Stored, by_type};
use crate::range::{Number, is_no_data};
use crate::tiff;

/// Most objects of a label image: each has a mask of its own.
const MAX_OBJECTS: usize = 1_000_000;

/// Why masks and label images do not become each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// More masks than 16 bits can number.
    #[error("{0} masks do not fit into one label image, whose 16 bits number 65535")]
    TooMany(usize),
    /// A picture with colours.
    #[error("the image has {0} channels; a label image has one, whose values are the numbers of objects")]
    Channels(usize),
    /// A value that is no number of an object.
    #[error("the image has the value {0}; the values of a label image are whole numbers, 0 where there is no object")]
    Value(String),
    /// More values than objects.
    #[error(
        "the image has more than {MAX_OBJECTS} different values, and so it is no label image, whose values are the numbers of objects"
    )]
    Objects,
    /// A picture whose numbers were changed by its compression.
    #[error(
        "the image is a {0}, whose compression changes the numbers of objects; write label images as PNG or TIFF, without loss"
    )]
    Lossy(&'static str),
    /// The picture cannot be read or written.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl From<NoMemory> for LabelError {
    fn from(error: NoMemory) -> Self {
        Self::Image(error.into())
    }
}

/// Masks of one size as one picture of 16 bits: 1 where the first is, 2 where the second is, and so on. Where several are,
/// the first of them counts. `None` leaves its number unused.
///
/// ```
/// use sam_imaging::{Format, Limits, Rle, label_image, masks_of_labels};
///
/// let left = Rle::from_counts(2, 2, vec![0, 2, 2])?;
/// let all = Rle::from_counts(2, 2, vec![0, 4])?;
/// let image = label_image(&[Some(left.clone()), None, Some(all)], [2, 2], Format::Png, &Limits::default())?;
/// let found = masks_of_labels(&image, &Limits::default())?;
/// assert_eq!(found, [(1, left), (3, Rle::from_counts(2, 2, vec![2, 2])?)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Too many masks; what a picture of this size, `[width, height]`, cannot be. [`Format::Png`] and [`Format::Tiff`] are
/// written.
pub fn label_image(
    masks: &[Option<Rle>],
    size: [u32; 2],
    format: Format,
    limits: &Limits,
) -> Result<Vec<u8>, LabelError> {
    if masks.len() > usize::from(u16::MAX) {
        return Err(LabelError::TooMany(masks.len()));
    }
    let [width, height] = size;
    limits.check_size(width, height)?;
    // Column by column, as runs go.
    let mut labels: Vec<u8> = zeroed(width as usize * height as usize * 2)?;
    let pixels = labels.as_chunks_mut::<2>().0;
    for (index, mask) in masks.iter().enumerate().rev() {
        let label = (index as u16 + 1).to_ne_bytes();
        for (start, end) in mask.iter().flat_map(Rle::foreground) {
            pixels[start as usize..end as usize].fill(label);
        }
    }
    // Mirrored at the diagonal, columns are rows.
    let labels = orient::turned::<2>(labels, [height, width], 5)?;
    NoMemory::expect(labels.len() as u64)?;
    let mut bytes = Sink::default();
    let written = match format {
        Format::Tiff => TiffEncoder::new(&mut bytes).write_image(&labels, width, height, ExtendedColorType::L16),
        _ => PngEncoder::new(&mut bytes).write_image(&labels, width, height, ExtendedColorType::L16),
    };
    written.map_err(|error| unwritten(format.name(), error))?;
    Ok(bytes.into_inner())
}

/// The objects of a label image with their numbers, in the order of these. Of a palette its numbers count.
///
/// # Errors
/// Pictures with several channels; JPEG, also in TIFF; values with a fraction; as [`crate::decode`].
pub fn masks_of_labels(bytes: &[u8], limits: &Limits) -> Result<Vec<(i64, Rle)>, LabelError> {
    let lossy = match Format::of(bytes) {
        Some(Format::Jpeg) => Some("JPEG"),
        Some(Format::Tiff) if tiff::is_lossy(bytes) => Some("TIFF of JPEGs or WebPs"),
        _ => None,
    };
    if let Some(lossy) = lossy {
        decode::info(bytes, limits)?;
        return Err(LabelError::Lossy(lossy));
    }
    let bands = Bands::read_labels(bytes, limits)?;
    let pixels = bands.pixels();
    if !matches!(pixels.colours, Colours::Grey | Colours::Palette(_)) {
        return Err(LabelError::Channels(bands.channels()));
    }
    let columns = bands.columns()?;
    by_type!(pixels.stored, collect(pixels, &columns))
}

/// Collects runs of equal values down the columns.
fn collect<T: Number + PartialEq, const N: usize>(
    of: &Pixels,
    columns: &[u8],
    read: impl Fn(&[u8; N]) -> T,
) -> Result<Vec<(i64, Rle)>, LabelError> {
    let pixels = columns.as_chunks::<N>().0;
    let mut found: HashMap<i64, RunWriter> = HashMap::new();
    let is_no_data = is_no_data::<T>(of);
    let mut at = 0;
    while let Some(first) = pixels.get(at) {
        let length = pixels[at..].iter().take_while(|pixel| *pixel == first).count();
        if is_no_data(read(first)) {
            at += length;
            continue;
        }
        let value = read(first).value();
        // Whole numbers up to here are exact.
        if value.fract() != 0.0 || value.abs() > (1u64 << 53) as f64 {
            return Err(LabelError::Value(value.to_string()));
        }
        if value != 0.0 {
            found.entry(value as i64).or_default().push(at as u64, (at + length) as u64);
            if found.len() > MAX_OBJECTS {
                return Err(LabelError::Objects);
            }
        }
        at += length;
    }
    let mut masks: Vec<(i64, Rle)> = Vec::new();
    masks.try_reserve_exact(found.len()).map_err(|_| NoMemory { bytes: found.len() * size_of::<(i64, Rle)>() })?;
    masks.extend(found.into_iter().map(|(label, runs)| (label, runs.finish(of.height, of.width, pixels.len() as u64))));
    masks.sort_unstable_by_key(|(label, _)| *label);
    Ok(masks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(color: png::ColorType, depth: png::BitDepth, size: [u32; 2], data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, size[0], size[1]);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == png::ColorType::Indexed {
            encoder.set_palette(vec![7; 3 * (1 << depth as u8)]);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    fn areas(bytes: &[u8]) -> Result<Vec<(i64, u64)>, LabelError> {
        let masks = masks_of_labels(bytes, &Limits::default())?;
        Ok(masks.iter().map(|(label, mask)| (*label, mask.area())).collect())
    }

    #[test]
    fn a_palette_has_numbers() {
        let bytes = png(png::ColorType::Indexed, png::BitDepth::Eight, [3, 2], &[0, 255, 1, 1, 1, 9]);
        assert_eq!(areas(&bytes).unwrap(), [(1, 3), (9, 1), (255, 1)]);
        // Of less than 8 bits, with a rest of a byte in each row.
        let bytes = png(png::ColorType::Indexed, png::BitDepth::Four, [3, 2], &[0x0f, 0x10, 0x21, 0xf0]);
        assert_eq!(areas(&bytes).unwrap(), [(1, 2), (2, 1), (15, 2)]);
        let bytes = png(png::ColorType::Indexed, png::BitDepth::One, [9, 1], &[0b1010_0000, 0x80]);
        assert_eq!(areas(&bytes).unwrap(), [(1, 3)]);
        assert!(matches!(areas(&bytes[..bytes.len() - 20]), Err(LabelError::Image(ImageError::Damaged { .. }))));
    }

    #[test]
    fn numbers_of_few_bits_are_no_levels() {
        let grey = |depth, size, data: &[u8]| areas(&png(png::ColorType::Grayscale, depth, size, data)).unwrap();
        assert_eq!(grey(png::BitDepth::Four, [3, 2], &[0x0f, 0x10, 0x21, 0xf0]), [(1, 2), (2, 1), (15, 2)]);
        assert_eq!(grey(png::BitDepth::Two, [4, 1], &[0b00_01_10_01]), [(1, 2), (2, 1)]);
        assert_eq!(grey(png::BitDepth::One, [9, 1], &[0b1010_0000, 0x80]), [(1, 3)]);
        // Files of 4 bits, 2 bits and 1 bit, where lower is lighter and where it is darker.
        for name in ["grey4_minisblack", "grey2_minisblack", "grey1_minisblack", "grey4_miniswhite", "palette4"] {
            let path = format!("{}/tests/data/tiff/{name}.tif", env!("CARGO_MANIFEST_DIR"));
            let bytes = std::fs::read(path).unwrap();
            let bits = name.bytes().find(u8::is_ascii_digit).unwrap() - b'0';
            let found = areas(&bytes).unwrap();
            let labels: Vec<i64> = found.iter().map(|(label, _)| *label).collect();
            assert!(
                !labels.is_empty() && labels.iter().all(|label| (1..1 << bits).contains(label)),
                "{name} {labels:?}"
            );
        }
    }

    #[test]
    fn numbers_of_many_bits_are_exact() {
        use ::tiff::encoder::colortype::{ColorType, Gray32, Gray32Float, Gray64, GrayI32};
        fn written<C: ColorType>(data: &[C::Inner]) -> Vec<u8>
        where
            [C::Inner]: ::tiff::encoder::TiffValue,
        {
            let mut bytes = std::io::Cursor::new(Vec::new());
            let mut file = ::tiff::encoder::TiffEncoder::new(&mut bytes).unwrap();
            file.write_image::<C>(data.len() as u32, 1, data).unwrap();
            bytes.into_inner()
        }
        let large = (1i64 << 53) - 1;
        assert_eq!(areas(&written::<Gray32>(&[0, 7, u32::MAX, 7])).unwrap(), [(7, 2), (u32::MAX.into(), 1)]);
        assert_eq!(areas(&written::<GrayI32>(&[0, -7, i32::MAX])).unwrap(), [(-7, 1), (i32::MAX.into(), 1)]);
        assert_eq!(areas(&written::<Gray64>(&[0, large as u64])).unwrap(), [(large, 1)]);
        assert_eq!(areas(&written::<Gray32Float>(&[0.0, 3.0, 16_777_216.0])).unwrap(), [(3, 1), (16_777_216, 1)]);
        for (value, said) in [(0.5, "0.5"), (f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
            let error = areas(&written::<Gray32Float>(&[0.0, value])).unwrap_err();
            assert_eq!(error, LabelError::Value(said.to_string()));
        }
    }

    #[test]
    fn what_changes_numbers_is_refused() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiff/jpeg_grey.tif");
        let error = areas(&std::fs::read(path).unwrap()).unwrap_err();
        assert_eq!(error, LabelError::Lossy("TIFF of JPEGs or WebPs"));
    }

    #[test]
    fn colours_are_no_labels() {
        let bytes = png(png::ColorType::Rgb, png::BitDepth::Eight, [1, 1], &[1, 2, 3]);
        let error = areas(&bytes).unwrap_err().to_string();
        assert_eq!(error, "the image has 3 channels; a label image has one, whose values are the numbers of objects");
    }

    #[test]
    fn the_first_of_overlapping_masks_counts() {
        let masks = [
            Some(Rle::from_counts(1, 3, vec![1, 1, 1]).unwrap()),
            None,
            Some(Rle::from_counts(1, 3, vec![0, 3]).unwrap()),
        ];
        for format in [Format::Png, Format::Tiff] {
            let bytes = label_image(&masks, [3, 1], format, &Limits::default()).unwrap();
            assert_eq!(areas(&bytes).unwrap(), [(1, 1), (3, 2)]);
        }
        let many = vec![None; 65_536];
        let error = label_image(&many, [1, 1], Format::Png, &Limits::default()).unwrap_err();
        assert_eq!(error, LabelError::TooMany(65_536));
    }
}
