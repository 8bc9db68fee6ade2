//! Pictures from lists of numbers.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::error::{ImageError, Limits};
use crate::memory::{NoMemory, zeroed};
use crate::picture::{Sink, unwritten};

/// Bits of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// 0 to 255.
    Eight,
    /// 0 to 65535.
    Sixteen,
}

impl Depth {
    fn highest(self) -> f64 {
        match self {
            Self::Eight => 255.0,
            Self::Sixteen => 65535.0,
        }
    }
}

/// Why numbers are no picture.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LevelError {
    /// Not as many as the picture has.
    #[error("there are {found} values, which are not height {height} times width {width} times {channels} channels")]
    Count {
        /// Values given.
        found: usize,
        /// Rows asked for.
        height: u32,
        /// Columns asked for.
        width: u32,
        /// Channels asked for.
        channels: u8,
    },
    /// Fewer or more channels than a PNG has.
    #[error("a picture of {0} channels cannot be written; it has 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha)")]
    Channels(u8),
    /// A number beyond the range.
    #[error("value {place} is {value}, and levels are 0 to {highest}; bring the values to this range first")]
    Range {
        /// Which it is, counted from 1.
        place: usize,
        /// The number.
        value: f64,
        /// The highest level.
        highest: f64,
    },
    /// Numbers from 0 to 1.
    #[error(
        "the values are fractions from 0 to 1, and levels are 0 to {highest}; multiply them by {highest}, or round them"
    )]
    Fractions {
        /// The highest level.
        highest: f64,
    },
    /// The picture cannot be written.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl From<NoMemory> for LevelError {
    fn from(error: NoMemory) -> Self {
        Self::Image(error.into())
    }
}

/// A PNG of `size`, `[width, height]`, of levels row by row, of each pixel all channels: grey, grey and alpha, RGB, or RGB and
/// alpha. They are rounded to whole numbers.
///
/// ```
/// use sam_imaging::{Depth, Limits, decode, png_of_levels};
///
/// let png = png_of_levels(&[0.0, 99.6, 255.0, 1.0, 2.0, 3.0], [2, 1], 3, Depth::Eight, &Limits::default())?;
/// assert_eq!(decode(&png, &Limits::default())?.into_raw(), [0, 100, 255, 1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Values beyond the range of `depth`, or all of them from 0 to 1 and some with a fraction; another number of them than the
/// picture has; what a picture of this size cannot be.
pub fn png_of_levels<T: Copy + Into<f64>>(
    values: &[T],
    size: [u32; 2],
    channels: u8,
    depth: Depth,
    limits: &Limits,
) -> Result<Vec<u8>, LevelError> {
    let [width, height] = size;
    let color = match (channels, depth) {
        (1, Depth::Eight) => ExtendedColorType::L8,
        (2, Depth::Eight) => ExtendedColorType::La8,
        (3, Depth::Eight) => ExtendedColorType::Rgb8,
        (4, Depth::Eight) => ExtendedColorType::Rgba8,
        (1, Depth::Sixteen) => ExtendedColorType::L16,
        (2, Depth::Sixteen) => ExtendedColorType::La16,
        (3, Depth::Sixteen) => ExtendedColorType::Rgb16,
        (4, Depth::Sixteen) => ExtendedColorType::Rgba16,
        _ => return Err(LevelError::Channels(channels)),
    };
    limits.check_size(width, height)?;
    let count = u64::from(width) * u64::from(height) * u64::from(channels);
    if count != values.len() as u64 {
        return Err(LevelError::Count { found: values.len(), height, width, channels });
    }
    let highest = depth.highest();
    let (mut most, mut fractions) = (0.0f64, false);
    for (index, &value) in values.iter().enumerate() {
        let value = value.into();
        if !(0.0..=highest).contains(&value.round()) {
            return Err(LevelError::Range { place: index + 1, value, highest });
        }
        (most, fractions) = (most.max(value), fractions || value.fract() != 0.0);
    }
    if fractions && most <= 1.0 {
        return Err(LevelError::Fractions { highest });
    }
    let bytes: Vec<u8> = match depth {
        Depth::Eight => {
            let mut bytes = zeroed(values.len())?;
            bytes.iter_mut().zip(values).for_each(|(out, &value)| *out = value.into().round() as u8);
            bytes
        }
        Depth::Sixteen => {
            let mut bytes = zeroed(values.len() * 2)?;
            let levels = bytes.as_chunks_mut::<2>().0.iter_mut().zip(values);
            levels.for_each(|(out, &value)| *out = (value.into().round() as u16).to_ne_bytes());
            bytes
        }
    };
    // The encoder copies them, in the byte order of PNG.
    NoMemory::expect(bytes.len() as u64)?;
    let mut png = Sink::default();
    PngEncoder::new(&mut png).write_image(&bytes, width, height, color).map_err(|error| unwritten("PNG", error))?;
    Ok(png.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bands;

    fn png(values: &[f64], channels: u8, depth: Depth) -> Result<Vec<u8>, String> {
        let width = values.len() as u32 / u32::from(channels.max(1));
        let png = png_of_levels(values, [width, 1], channels, depth, &Limits::default());
        png.map_err(|error| error.to_string())
    }

    #[test]
    fn levels_come_back() {
        for channels in 1..=4u8 {
            for (depth, highest) in [(Depth::Eight, 255.0f32), (Depth::Sixteen, 65535.0)] {
                let levels: Vec<f32> = (0..24u8).map(|index| (f32::from(index) / 23.0 * highest).round()).collect();
                let values: Vec<f64> = levels.iter().map(|&level| level.into()).collect();
                let bands = Bands::read(&png(&values, channels, depth).unwrap(), &Limits::default()).unwrap();
                let mut read = vec![0.0; 24];
                bands.write(None, &mut read);
                assert_eq!((read, bands.channels()), (levels, usize::from(channels)));
            }
        }
    }

    #[test]
    fn what_is_no_level_is_named() {
        let error = |values: &[f64], depth| png(values, 1, depth).unwrap_err();
        assert!(error(&[1.0, 255.5], Depth::Eight).starts_with("value 2 is 255.5, and levels are 0 to 255; bring"));
        assert!(error(&[f64::NAN], Depth::Sixteen).starts_with("value 1 is NaN, and levels are 0 to 65535"));
        assert!(error(&[-1.0], Depth::Eight).starts_with("value 1 is -1,"));
        assert!(error(&[0.0, 0.25, 1.0], Depth::Eight).contains("multiply them by 255"));
        assert!(png(&[0.0, 1.0], 1, Depth::Eight).is_ok() && png(&[-0.4, 255.4], 1, Depth::Eight).is_ok());
        assert!(png(&[0.0; 5], 5, Depth::Eight).unwrap_err().starts_with("a picture of 5 channels"));
        let three = png_of_levels(&[0.0f32; 3], [2, 2], 1, Depth::Eight, &Limits::default()).unwrap_err();
        let text = "there are 3 values, which are not height 2 times width 2 times 1 channels";
        assert_eq!(three.to_string(), text);
    }
}
