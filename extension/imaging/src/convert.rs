//! Samples of any type and colour to RGB of 8 bits.
//!
//! Of 8 bits, as Pillow's `Image.convert("RGB")`: alpha is dropped, not blended; grey is replicated. What has more is
//! first brought to 8 bits, by [`Range`].

use crate::range::{Level, Number, extremes, full};
use crate::samples::{Pixels, RGB, Range, Stored};

/// Pixels that are worked on at a time: what they become is written over where they were.
const BLOCK: usize = 1024;

/// What the channels of a pixel mean.
#[derive(Clone, Debug)]
pub(crate) enum Colours {
    Grey,
    Rgb,
    /// How much of each ink.
    Cmyk,
    /// Luma and two differences of colour, of 8 bits.
    YCbCr(Box<YCbCr>),
    /// A number of a colour.
    Palette(Box<[[u8; 3]; 256]>),
}

impl Colours {
    /// Channels without alpha.
    pub(crate) fn channels(&self) -> usize {
        match self {
            Colours::Grey | Colours::Palette(_) => 1,
            Colours::Rgb | Colours::YCbCr(_) => 3,
            Colours::Cmyk => 4,
        }
    }
}

/// How luma and differences of colour make red, green and blue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct YCbCr {
    /// The parts of red, green and blue in luma.
    pub luma: [f32; 3],
    /// The values of black and white in each channel, of the differences those of none and most.
    pub reference: [f32; 6],
}

impl Default for YCbCr {
    /// As in JPEG: ITU-R BT.601, the whole range of 8 bits.
    fn default() -> Self {
        Self { luma: [0.299, 0.587, 0.114], reference: [0.0, 255.0, 128.0, 255.0, 128.0, 255.0] }
    }
}

impl YCbCr {
    fn rgb(&self, [y, cb, cr]: [u8; 3]) -> [u8; 3] {
        let [r, g, b] = self.luma;
        let [black, white, no_cb, most_cb, no_cr, most_cr] = self.reference;
        let scaled = |value: u8, least: f32, most: f32, range: f32| {
            (f32::from(value) - least) * if most == least { 1.0 } else { range / (most - least) }
        };
        let y = scaled(y, black, white, 255.0);
        let (cb, cr) = (scaled(cb, no_cb, most_cb, 127.0), scaled(cr, no_cr, most_cr, 127.0));
        let (red, blue) = (y + cr * (2.0 - 2.0 * r), y + cb * (2.0 - 2.0 * b));
        let green = (y - r * red - b * blue) / g;
        [red, green, blue].map(|value| value.round() as u8)
    }
}

/// Turns the samples at `start` of `buffer` into RGB at its beginning.
pub(crate) fn to_rgb(pixels: &Pixels, range: Range, buffer: &mut [u8], start: usize) {
    match (&pixels.colours, pixels.stored, pixels.channels()) {
        (Colours::Rgb, Stored::U8, 3) if !pixels.inverted => (),
        (Colours::Grey, Stored::U8, 1) if !pixels.inverted => {
            in_place(pixels, buffer, start, |block, out| each::<1>(block, out, |&[grey]| [grey; 3]));
        }
        (Colours::Rgb, Stored::U8, 4) if !pixels.premultiplied && !pixels.inverted => {
            in_place(pixels, buffer, start, |block, out| each::<4>(block, out, |&[r, g, b, _]| [r, g, b]));
        }
        (Colours::Palette(colours), Stored::U8, 1) => {
            in_place(pixels, buffer, start, |block, out| each::<1>(block, out, |&[index]| colours[usize::from(index)]));
        }
        (Colours::Cmyk, Stored::U8, 4) => {
            in_place(pixels, buffer, start, |block, out| each::<4>(block, out, |&inks| cmyk(inks)));
        }
        (Colours::YCbCr(colours), Stored::U8, 3) => {
            in_place(pixels, buffer, start, |block, out| each::<3>(block, out, |&pixel| colours.rgb(pixel)));
        }
        _ => match pixels.stored {
            Stored::U8 => general(pixels, buffer, start, |&[byte]: &[u8; 1]| byte),
            Stored::I8 => numbers(pixels, range, buffer, start, |&bytes| i8::from_ne_bytes(bytes)),
            Stored::U16 => numbers(pixels, range, buffer, start, |&bytes| u16::from_ne_bytes(bytes)),
            Stored::I16 => numbers(pixels, range, buffer, start, |&bytes| i16::from_ne_bytes(bytes)),
            Stored::U32 => numbers(pixels, range, buffer, start, |&bytes| u32::from_ne_bytes(bytes)),
            Stored::I32 => numbers(pixels, range, buffer, start, |&bytes| i32::from_ne_bytes(bytes)),
            Stored::U64 => numbers(pixels, range, buffer, start, |&bytes| u64::from_ne_bytes(bytes)),
            Stored::I64 => numbers(pixels, range, buffer, start, |&bytes| i64::from_ne_bytes(bytes)),
            Stored::F32 => numbers(pixels, range, buffer, start, |&bytes| f32::from_ne_bytes(bytes)),
            Stored::F64 => numbers(pixels, range, buffer, start, |&bytes| f64::from_ne_bytes(bytes)),
        },
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
        return general(pixels, buffer, start, |bytes: &[u8; N]| full(pixels, bytes));
    }
    let samples = &buffer[start..][..pixels.count() * pixels.stride()];
    let (least, most) = extremes(pixels, samples, &read);
    let level = Level::between(least, most, 255.0);
    // Of 16 bits there are fewer values than pixels, mostly.
    let span = most - least;
    if N <= 2 && span < pixels.count() as f64 && span > 0.0 {
        let table: Vec<u8> = (0..=span as usize).map(|step| level.of(least + step as f64) as u8).collect();
        return general(pixels, buffer, start, |bytes| table[(read(bytes).value() - least) as usize]);
    }
    general(pixels, buffer, start, |bytes| level.of(read(bytes).value()) as u8);
}

/// Pixels of any shape, whose samples `level` reads.
fn general<const N: usize>(pixels: &Pixels, buffer: &mut [u8], start: usize, level: impl Fn(&[u8; N]) -> u8) {
    let stride = pixels.stride();
    let read = |pixel: &[u8], channel: usize| pixel[channel * N..].first_chunk().map_or(0, &level);
    let run = |buffer: &mut [u8], rgb: &dyn Fn(&[u8], &mut [[u8; 3]])| in_place(pixels, buffer, start, rgb);
    match &pixels.colours {
        _ if pixels.inverted || pixels.premultiplied => (),
        Colours::Grey => {
            return run(buffer, &|block, out| {
                for (rgb, pixel) in out.iter_mut().zip(block.chunks_exact(stride)) {
                    *rgb = [read(pixel, 0); 3];
                }
            });
        }
        Colours::Rgb => {
            return run(buffer, &|block, out| {
                for (rgb, pixel) in out.iter_mut().zip(block.chunks_exact(stride)) {
                    *rgb = [read(pixel, 0), read(pixel, 1), read(pixel, 2)];
                }
            });
        }
        _ => (),
    }
    let colours = pixels.colours.channels();
    run(buffer, &|block, out| {
        for (rgb, pixel) in out.iter_mut().zip(block.chunks_exact(stride)) {
            let mut levels = [0u8; 4];
            for (channel, value) in levels.iter_mut().enumerate().take(colours) {
                *value = read(pixel, channel);
            }
            let [a, b, c, _] = levels;
            *rgb = match &pixels.colours {
                Colours::Grey => [a; 3],
                Colours::Rgb => [a, b, c],
                Colours::Cmyk => cmyk(levels),
                Colours::YCbCr(colours) => colours.rgb([a, b, c]),
                Colours::Palette(colours) => colours[usize::from(a)],
            };
            if pixels.inverted {
                *rgb = rgb.map(|value| 255 - value);
            }
            if pixels.premultiplied && pixels.alpha {
                *rgb = divided(*rgb, full(pixels, &pixel[stride - N..]));
            }
        }
    });
}

/// Colours that were multiplied by alpha, as Pillow gives them.
fn divided(rgb: [u8; 3], alpha: u8) -> [u8; 3] {
    match alpha {
        0 => [0; 3],
        255 => rgb,
        alpha => rgb.map(|value| (255 * u32::from(value) / u32::from(alpha)).min(255) as u8),
    }
}

/// Inks on white, as Pillow: without a profile.
fn cmyk([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = 255 - k;
    [c, m, y].map(|ink| light - crate::picture::times(ink, light))
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
        let pixels = Pixels {
            width: values.len() as u32,
            height: 1,
            stored,
            bits,
            colours: Colours::Grey,
            alpha: false,
            premultiplied: false,
            inverted: false,
        };
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
    fn video_range_is_widened() {
        let video = YCbCr { reference: [16.0, 235.0, 128.0, 240.0, 128.0, 240.0], ..YCbCr::default() };
        assert_eq!(video.rgb([16, 128, 128]), [0; 3]);
        assert_eq!(video.rgb([235, 128, 128]), [255; 3]);
        assert_eq!(YCbCr::default().rgb([76, 85, 255]), [254, 0, 0]);
    }
}
