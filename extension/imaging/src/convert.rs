//! Samples of any type and colour to RGB of 8 bits.
//!
//! Of 8 bits, as Pillow's `Image.convert("RGB")`: alpha is dropped, not blended; grey is replicated. What has more is
//! first brought to 8 bits, by [`Range`].

use crate::pixels::{Colours, Pixels, RGB, Range, Stored, by_type, times};
use crate::range::{Level, Number, extremes, full, is_no_data};

/// Pixels that are worked on at a time: what they become is written over where they were.
const BLOCK: usize = 1024;

/// Channels of a pixel: four inks and alpha.
const MOST_CHANNELS: usize = 5;

/// Turns the samples at `start` of `buffer` into RGB at its beginning.
pub(crate) fn to_rgb(pixels: &Pixels, range: Range, buffer: &mut [u8], start: usize) {
    match (pixels.stored, &pixels.colours, pixels.alpha, pixels.inverted) {
        (Stored::U8, Colours::Rgb, false, false) => (),
        (Stored::U8, ..) => in_place(pixels, buffer, start, |block, out| colours(pixels, block, out)),
        (stored, ..) => by_type!(stored, numbers(pixels, range, buffer, start)),
    }
}

/// The alpha of each pixel of `samples`, in its full range.
pub(crate) fn alpha(pixels: &Pixels, samples: &[u8], out: &mut [u8]) {
    let (stride, size) = (pixels.stride(), pixels.stored.bytes());
    for (alpha, pixel) in out.iter_mut().zip(samples.chunks_exact(stride)) {
        *alpha = full(pixels, &pixel[stride - size..]);
    }
}

/// Levels by the range of the samples.
fn numbers<T: Number, const N: usize>(
    pixels: &Pixels,
    range: Range,
    buffer: &mut [u8],
    start: usize,
    read: impl Fn(&[u8; N]) -> T,
) {
    let own = range == Range::Own && matches!(pixels.colours, Colours::Grey | Colours::Rgb);
    if !own {
        return levels(pixels, buffer, start, |bytes: &[u8; N]| full(pixels, bytes));
    }
    let samples = &buffer[start..][..pixels.count() * pixels.stride()];
    let (least, most) = extremes(pixels, samples, &read);
    let level = Level::between(least, most, 255.0);
    let is_no_data = is_no_data::<T>(pixels);
    // Of 16 bits there are fewer values than pixels, mostly.
    let span = most - least;
    if N <= 2 && span < pixels.count() as f64 && span > 0.0 {
        let mut table: Vec<u8> = (0..=span as usize).map(|step| level.of(least + step as f64) as u8).collect();
        if let Some(level) =
            pixels.no_data.and_then(T::of_no_data).and_then(|no_data| table.get_mut(no_data.steps(least)))
        {
            *level = 0;
        }
        // Alpha has other values than the colours, and is not looked at; "no data" may have as well.
        return levels(pixels, buffer, start, |bytes| table.get(read(bytes).steps(least)).copied().unwrap_or(0));
    }
    levels(pixels, buffer, start, |bytes| match read(bytes) {
        value if is_no_data(value) => 0,
        value => level.of(value.value()) as u8,
    });
}

/// Pixels whose colours `level` brings to 8 bits.
fn levels<const N: usize>(pixels: &Pixels, buffer: &mut [u8], start: usize, level: impl Fn(&[u8; N]) -> u8) {
    let (channels, stride) = (pixels.channels(), pixels.stride());
    in_place(pixels, buffer, start, |block, out| {
        let mut levels: [u8; BLOCK * MOST_CHANNELS] = [0; BLOCK * MOST_CHANNELS];
        let levels = &mut levels[..out.len() * channels];
        for (value, sample) in levels.iter_mut().zip(block.as_chunks::<N>().0) {
            *value = level(sample);
        }
        if pixels.alpha && pixels.premultiplied {
            for (levels, pixel) in levels.chunks_exact_mut(channels).zip(block.chunks_exact(stride)) {
                levels[channels - 1] = full(pixels, &pixel[stride - N..]);
            }
        }
        colours(pixels, levels, out);
    });
}

/// Pixels of 8 bits a channel, alpha included, to RGB.
fn colours(pixels: &Pixels, levels: &[u8], out: &mut [[u8; 3]]) {
    match (&pixels.colours, pixels.alpha) {
        (Colours::Grey, false) => each::<1>(levels, out, |&[grey]| [grey; 3]),
        (Colours::Grey, true) => each::<2>(levels, out, |&[grey, _]| [grey; 3]),
        (Colours::Rgb, false) => each::<3>(levels, out, |&rgb| rgb),
        (Colours::Rgb, true) => each::<4>(levels, out, |&[r, g, b, _]| [r, g, b]),
        (Colours::Palette(colours), _) => {
            let channels = pixels.channels();
            for (rgb, pixel) in out.iter_mut().zip(levels.chunks_exact(channels)) {
                *rgb = colours[usize::from(pixel[0])];
            }
        }
        (Colours::Cmyk, false) => each::<4>(levels, out, |&inks| cmyk(inks)),
        (Colours::Cmyk, true) => each::<5>(levels, out, |&[c, m, y, k, _]| cmyk([c, m, y, k])),
        (Colours::YCbCr(colours), false) => each::<3>(levels, out, |&pixel| colours.rgb(pixel)),
        (Colours::YCbCr(colours), true) => each::<4>(levels, out, |&[y, cb, cr, _]| colours.rgb([y, cb, cr])),
        (Colours::Bands(_), _) => unreachable!("what is measured is not shown"),
    }
    if pixels.inverted {
        out.as_flattened_mut().iter_mut().for_each(|value| *value = 255 - *value);
    }
    if pixels.alpha && pixels.premultiplied {
        let alphas = levels.chunks_exact(pixels.channels()).map(|pixel| pixel[pixel.len() - 1]);
        out.iter_mut().zip(alphas).for_each(|(rgb, alpha)| *rgb = divided(*rgb, alpha));
    }
}

/// Colours that were multiplied by alpha, as Pillow gives them: `255 * value / alpha`, at most 255.
fn divided(rgb: [u8; 3], alpha: u8) -> [u8; 3] {
    /// 2^24 / alpha, rounded up: exact for products of 16 bits, and three times as fast as dividing.
    const RECIPROCALS: [u32; 256] = {
        let mut table = [0; 256];
        let mut alpha = 1;
        while alpha < 256 {
            table[alpha] = (1u32 << 24).div_ceil(alpha as u32);
            alpha += 1;
        }
        table
    };
    let reciprocal = u64::from(RECIPROCALS[usize::from(alpha)]);
    rgb.map(|value| ((u64::from(value) * 255 * reciprocal) >> 24).min(255) as u8)
}

/// Inks on white, as Pillow: without a profile.
fn cmyk([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = 255 - k;
    [c, m, y].map(|ink| light - times(ink, light))
}

/// Runs `work` on blocks of pixels and on where they are to become RGB.
fn in_place(pixels: &Pixels, buffer: &mut [u8], start: usize, work: impl Fn(&[u8], &mut [[u8; 3]])) {
    let (count, stride) = (pixels.count(), pixels.stride());
    let mut block = vec![0; BLOCK.min(count) * stride];
    for first in (0..count).step_by(BLOCK) {
        let together = BLOCK.min(count - first);
        let block = &mut block[..together * stride];
        block.copy_from_slice(&buffer[start + first * stride..][..together * stride]);
        work(block, buffer[first * RGB..][..together * RGB].as_chunks_mut::<3>().0);
    }
}

/// Pixels of `S` bytes.
fn each<const S: usize>(block: &[u8], out: &mut [[u8; 3]], rgb: impl Fn(&[u8; S]) -> [u8; 3]) {
    for (out, pixel) in out.iter_mut().zip(block.as_chunks::<S>().0) {
        *out = rgb(pixel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Raw;

    fn levels<T: Copy, const N: usize>(
        stored: Stored,
        bits: u16,
        values: &[T],
        bytes: fn(T) -> [u8; N],
    ) -> [Vec<u8>; 2] {
        let pixels = Pixels { bits, ..Pixels::new([values.len() as u32, 1], stored, Colours::Grey) };
        [Range::Own, Range::Full].map(|range| {
            let mut raw = Raw::new(pixels.clone()).unwrap();
            for (out, &value) in raw.samples_mut().as_chunks_mut::<N>().0.iter_mut().zip(values) {
                *out = bytes(value);
            }
            let (rgb, _) = raw.picture(range, false).unwrap();
            rgb.pixels().map(|pixel| pixel.0[2]).collect()
        })
    }

    #[test]
    fn every_type_has_its_own_range_and_its_full_one() {
        let check = |found: [Vec<u8>; 2], own: &[u8], full: &[u8]| assert_eq!(found, [own, full]);
        check(levels(Stored::U16, 16, &[0, 1000, 4095], u16::to_ne_bytes), &[0, 62, 255], &[0, 3, 15]);
        check(levels(Stored::U16, 12, &[0, 1000, 4095], u16::to_ne_bytes), &[0, 62, 255], &[0, 62, 255]);
        check(levels(Stored::I16, 16, &[-1000, 0, 1000], i16::to_ne_bytes), &[0, 128, 255], &[124, 128, 131]);
        check(levels(Stored::I8, 8, &[-128, 0, 127], i8::to_ne_bytes), &[0, 128, 255], &[0, 128, 255]);
        check(levels(Stored::U32, 32, &[0, u32::MAX / 2, u32::MAX], u32::to_ne_bytes), &[0, 127, 255], &[0, 127, 255]);
        check(levels(Stored::I64, 64, &[i64::MIN, 0, i64::MAX], i64::to_ne_bytes), &[0, 128, 255], &[0, 128, 255]);
        let values = [f32::NAN, -5.0, f32::INFINITY, 5.0, f32::NEG_INFINITY, 0.5];
        check(levels(Stored::F32, 32, &values, f32::to_ne_bytes), &[0, 0, 255, 255, 0, 140], &[0, 0, 255, 255, 0, 128]);
        let values = [f64::MIN, 0.0, f64::MAX];
        check(levels(Stored::F64, 64, &values, f64::to_ne_bytes), &[0, 128, 255], &[0, 0, 255]);
        // One value, and none at all.
        check(levels(Stored::U16, 16, &[700, 700], u16::to_ne_bytes), &[0, 0], &[2, 2]);
        check(levels(Stored::F32, 32, &[f32::NAN, f32::NAN], f32::to_ne_bytes), &[0, 0], &[0, 0]);
    }

    #[test]
    fn a_whole_range_of_16_bits_is_nearly_its_high_byte() {
        let values: Vec<u16> = (0..=u16::MAX).collect();
        let [own, full] = levels(Stored::U16, 16, &values, u16::to_ne_bytes);
        assert!(own.iter().zip(&full).all(|(&own, &full)| own.abs_diff(full) <= 1));
    }

    #[test]
    fn colours_are_divided_by_alpha() {
        for alpha in 0..=255u8 {
            for value in 0..=255u8 {
                let exact = (255 * u32::from(value)).checked_div(alpha.into()).unwrap_or(0).min(255) as u8;
                assert_eq!(divided([value; 3], alpha), [exact; 3], "{value} {alpha}");
            }
        }
    }
}
