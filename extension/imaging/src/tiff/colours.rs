//! What a directory says about the colours of its picture.

use super::chunk::Compression;
use super::directory::Directory;
use super::tags::{
    EXTRA_SAMPLES, INK_SET, PALETTE, REFERENCE_BLACK_WHITE, YCBCR_COEFFICIENTS, YCBCR_SUBSAMPLING, damaged, unsupported,
};
use crate::error::ImageError;
use crate::pixels::{Colours, YCbCr};

/// What the first samples of a pixel mean, and whether the lowest value is white.
pub(super) fn colours(
    directory: &Directory<'_>,
    photometric: u64,
    samples: usize,
    bits: u16,
) -> Result<(Colours, bool), ImageError> {
    let extra = directory.values(EXTRA_SAMPLES);
    let needs = |count: usize| match samples >= count {
        true => Ok(()),
        false => Err(damaged(format!("its colours need {count} samples for each pixel, and it has {samples}"))),
    };
    Ok(match photometric {
        0 | 1 | 4 => {
            // Bands without a meaning of their own are what satellites, drones and microscopes write: the first three
            // are shown.
            let opaque = |index| extra.and_then(|extra| extra.get(index)).is_none_or(|kind| kind == 0);
            let bands = 1 + (0..samples - 1).take_while(|&index| opaque(index)).count();
            let colours = if bands >= 3 { Colours::Rgb } else { Colours::Grey };
            (colours, photometric == 0)
        }
        2 => {
            needs(3)?;
            (Colours::Rgb, false)
        }
        3 => {
            if bits > 8 {
                return Err(unsupported(format!("a palette for samples of {bits} bits")));
            }
            (Colours::Palette(palette(directory, bits)?), false)
        }
        5 => {
            if directory.number(INK_SET).unwrap_or(1) != 1 {
                return Err(unsupported("inks other than cyan, magenta, yellow and black"));
            }
            needs(4)?;
            (Colours::Cmyk, false)
        }
        6 => {
            needs(3)?;
            if bits != 8 {
                return Err(unsupported(format!("YCbCr of {bits} bits")));
            }
            (Colours::YCbCr(Box::new(ycbcr(directory))), false)
        }
        8..=10 => return Err(unsupported("CIE L*a*b* colours")),
        32844 | 32845 => return Err(unsupported("LogLuv colours")),
        34892 => return Err(unsupported("the linear colours of a camera's raw picture")),
        other => return Err(unsupported(format!("photometric interpretation {other}"))),
    })
}

fn palette(directory: &Directory<'_>, bits: u16) -> Result<Box<[[u8; 3]; 256]>, ImageError> {
    let values = directory.values(PALETTE).ok_or_else(|| damaged("it has no palette"))?;
    let count = 1usize << bits;
    if values.len() < 3 * count {
        return Err(damaged(format!("its palette has {} values, not {}", values.len(), 3 * count)));
    }
    let value = |index| values.get(index).unwrap_or(0);
    // Colours have 16 bits, but some writers take 8.
    let shift = if (0..3 * count).any(|index| value(index) > 255) { 8 } else { 0 };
    let mut colours = Box::new([[0; 3]; 256]);
    for (index, colour) in colours.iter_mut().enumerate().take(count) {
        *colour = [0, 1, 2].map(|channel| (value(channel * count + index) >> shift) as u8);
    }
    Ok(colours)
}

fn ycbcr(directory: &Directory<'_>) -> YCbCr {
    fn fractions<const N: usize>(directory: &Directory<'_>, tag: u16, default: [f32; N]) -> [f32; N] {
        let values = directory.values(tag);
        let read = values.map(|values| std::array::from_fn(|index| values.fraction(index)));
        let read: Option<[Option<f32>; N]> = read.filter(|read: &[Option<f32>; N]| read.iter().all(Option::is_some));
        read.map_or(default, |read| read.map(Option::unwrap_or_default))
    }
    // As in JPEG: ITU-R BT.601, the whole range of 8 bits.
    const LUMA: [f32; 3] = [0.299, 0.587, 0.114];
    const WHOLE: [f32; 6] = [0.0, 255.0, 128.0, 255.0, 128.0, 255.0];
    let luma = fractions(directory, YCBCR_COEFFICIENTS, LUMA);
    let luma = if luma.iter().all(|&part| part > 0.0) { luma } else { LUMA };
    YCbCr::new(luma, fractions(directory, REFERENCE_BLACK_WHITE, WHOLE))
}

/// Which sample is alpha, and whether the colours are multiplied by it.
pub(super) fn alpha(directory: &Directory<'_>, samples: usize, colours: &Colours) -> (Option<usize>, bool) {
    let channels = colours.channels();
    let extra = directory.values(EXTRA_SAMPLES);
    // Where grey has become three bands, two of them were counted as extra.
    let count = extra.map_or(0, |extra| extra.len());
    let kind = |index: usize| {
        let index = index.checked_sub(samples.saturating_sub(count))?;
        extra.and_then(|extra| extra.get(index))
    };
    let found = (channels..samples.min(channels + 64)).find(|&index| matches!(kind(index), Some(1 | 2)));
    match (found, colours) {
        (Some(index), Colours::Grey | Colours::Rgb) => (found, kind(index) == Some(1)),
        _ => (None, false),
    }
}

pub(super) fn subsampling(
    directory: &Directory<'_>,
    colours: &Colours,
    compression: Compression,
    planar: bool,
) -> Result<Option<[usize; 2]>, ImageError> {
    // A JPEG says itself how it is subsampled.
    if !matches!(colours, Colours::YCbCr(_)) || matches!(compression, Compression::Jpeg | Compression::WebP) {
        return Ok(None);
    }
    let values = directory.values(YCBCR_SUBSAMPLING);
    let factor = |index| values.and_then(|values| values.get(index)).unwrap_or(2) as usize;
    match [factor(0), factor(1)] {
        [1, 1] => Ok(None),
        factors if factors.iter().all(|factor| matches!(factor, 1 | 2 | 4)) && !planar => Ok(Some(factors)),
        [h, v] => Err(unsupported(format!("colours subsampled by {h} x {v} in planes or units"))),
    }
}
