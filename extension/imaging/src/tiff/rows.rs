//! The rows of a chunk: prediction undone, samples of any width brought to a type of the machine.

use std::io;

use super::chunk::{Chunk, Shape};
use super::layout::{Layout, Predictor};
use crate::format::{Numbers, SampleType};
use crate::pixels::{Colours, NoData, Pixels, Stored};

/// Bytes behind a row that may be read.
const WORD: usize = size_of::<u64>();

/// What reads rows, with the memory for one.
pub(super) struct Rows {
    sample: SampleType,
    predictor: Predictor,
    big_endian: bool,
    subsampling: Option<[usize; 2]>,
    stored: Stored,
    /// Channels of a pixel of the picture.
    channels: usize,
    picture_width: usize,
    /// What becomes of levels of fewer than 8 bits.
    levels: Vec<u8>,
    row: Vec<u8>,
    other: Vec<u8>,
}

impl Rows {
    /// `are_numbers`: samples of fewer than 8 bits are no levels, and stay what they are.
    pub(super) fn new(layout: &Layout<'_>, pixels: &Pixels, are_numbers: bool) -> Self {
        let are_numbers = are_numbers || matches!(layout.colours, Colours::Palette(_));
        let levels = match (layout.sample.bits, are_numbers) {
            // Numbers stay what they are, the highest level becomes 255.
            (bits @ 1..8, true) => (0..=u8::MAX >> (8 - bits)).collect(),
            (bits @ 1..8, _) => (0..1u32 << bits).map(|value| level_of(value, bits)).collect(),
            _ => Vec::new(),
        };
        Self {
            sample: layout.sample,
            predictor: layout.predictor,
            big_endian: layout.file.big_endian,
            subsampling: layout.subsampling,
            stored: pixels.stored,
            channels: pixels.channels(),
            picture_width: pixels.width as usize,
            levels,
            row: Vec::new(),
            other: Vec::new(),
        }
    }

    /// Reads a chunk whose upper left corner is at `left`, `top` into the samples of the picture: `width` pixels of each
    /// row, and of those the samples that `channels` pairs with channels.
    pub(super) fn read(
        &mut self,
        chunk: &mut Chunk<'_>,
        shape: Shape,
        channels: &[(usize, usize)],
        out: &mut [u8],
        [left, top]: [u32; 2],
        width: u32,
    ) -> io::Result<()> {
        let width = width as usize;
        let mut row = std::mem::take(&mut self.row);
        // Bits are taken from a word of which the end may lie behind the row.
        row.resize(shape.row_bytes + WORD, 0);
        let row_bytes = shape.row_bytes;
        let pixel = self.channels * self.stored.bytes();
        let across = self.picture_width;
        let line = |y: u32| ((top + y) as usize * across + left as usize) * pixel..;
        match self.subsampling {
            Some(factors) => {
                for y in (0..shape.rows).step_by(factors[1]) {
                    chunk.read(&mut row[..row_bytes])?;
                    for below in 0..(factors[1] as u32).min(shape.rows - y) {
                        units(&row[..row_bytes], factors, below as usize, &mut out[line(y + below)][..width * pixel]);
                    }
                }
            }
            None => {
                for y in 0..shape.rows {
                    chunk.read(&mut row[..row_bytes])?;
                    self.predict(&mut row[..row_bytes], shape.samples);
                    self.store(&row, shape.samples, channels, &mut out[line(y)][..width * pixel]);
                }
            }
        }
        self.row = row;
        Ok(())
    }

    /// Undoes the prediction.
    fn predict(&mut self, row: &mut [u8], samples: usize) {
        match (self.predictor, self.sample.bits, self.big_endian) {
            (Predictor::None, ..) => (),
            (Predictor::Difference, 16, true) => {
                accumulate(row, samples, u16::from_be_bytes, u16::to_be_bytes, u16::wrapping_add);
            }
            (Predictor::Difference, 16, false) => {
                accumulate(row, samples, u16::from_le_bytes, u16::to_le_bytes, u16::wrapping_add);
            }
            (Predictor::Difference, 32, true) => {
                accumulate(row, samples, u32::from_be_bytes, u32::to_be_bytes, u32::wrapping_add);
            }
            (Predictor::Difference, 32, false) => {
                accumulate(row, samples, u32::from_le_bytes, u32::to_le_bytes, u32::wrapping_add);
            }
            (Predictor::Difference, 64, true) => {
                accumulate(row, samples, u64::from_be_bytes, u64::to_be_bytes, u64::wrapping_add);
            }
            (Predictor::Difference, 64, false) => {
                accumulate(row, samples, u64::from_le_bytes, u64::to_le_bytes, u64::wrapping_add);
            }
            (Predictor::Difference, ..) => {
                accumulate(row, samples, u8::from_ne_bytes, u8::to_ne_bytes, u8::wrapping_add);
            }
            (Predictor::FloatDifference, bits, _) => {
                accumulate(row, samples, u8::from_ne_bytes, u8::to_ne_bytes, u8::wrapping_add);
                match bits {
                    16 => self.join::<2>(row),
                    24 => self.join::<3>(row),
                    32 => self.join::<4>(row),
                    _ => self.join::<8>(row),
                }
            }
        }
    }

    /// Puts the bytes of numbers together: all first bytes come first, whatever the byte order of the file.
    fn join<const N: usize>(&mut self, row: &mut [u8]) {
        self.other.clear();
        self.other.extend_from_slice(row);
        let numbers = row.as_chunks_mut::<N>().0;
        for (byte, values) in self.other.chunks_exact(numbers.len().max(1)).take(N).enumerate() {
            let byte = if self.big_endian { byte } else { N - 1 - byte };
            for (number, value) in numbers.iter_mut().zip(values) {
                number[byte] = *value;
            }
        }
    }

    /// Brings samples to the picture.
    fn store(&self, row: &[u8], samples: usize, channels: &[(usize, usize)], out: &mut [u8]) {
        let direct = samples == self.channels && channels.len() == samples;
        let native = self.big_endian == cfg!(target_endian = "big");
        match (self.sample.numbers, self.sample.bits) {
            (_, 8) if direct => out.copy_from_slice(&row[..out.len()]),
            (numbers, bits @ (16 | 32 | 64)) if direct && native && (numbers, bits) != (Numbers::Float, 16) => {
                out.copy_from_slice(&row[..out.len()]);
            }
            (_, 8) => self.bytes::<1, 1>(row, samples, channels, out, |bytes| bytes),
            (Numbers::Unsigned, bits @ ..8) => {
                self.bits(row, bits, samples, channels, out, |value| [self.levels[value as usize]]);
            }
            (Numbers::Float, 16) => {
                self.bytes::<2, 4>(row, samples, channels, out, |bytes| half(u16::from_ne_bytes(bytes)).to_ne_bytes())
            }
            (Numbers::Float, 24) => {
                self.bytes::<3, 4>(row, samples, channels, out, |bytes| float24(bytes).to_ne_bytes())
            }
            (_, 16) => self.bytes::<2, 2>(row, samples, channels, out, |bytes| bytes),
            (_, 24) => self.bytes::<3, 4>(row, samples, channels, out, |bytes| {
                let [a, b, c] = bytes;
                if cfg!(target_endian = "little") { [a, b, c, 0] } else { [0, a, b, c] }
            }),
            (_, 32) => self.bytes::<4, 4>(row, samples, channels, out, |bytes| bytes),
            (_, 64) => self.bytes::<8, 8>(row, samples, channels, out, |bytes| bytes),
            (_, bits @ ..16) => self.bits(row, bits, samples, channels, out, |value| (value as u16).to_ne_bytes()),
            (_, bits) => self.bits(row, bits, samples, channels, out, u32::to_ne_bytes),
        }
    }

    /// Samples of `N` bytes, given in the byte order of the machine.
    fn bytes<const N: usize, const M: usize>(
        &self,
        row: &[u8],
        samples: usize,
        channels: &[(usize, usize)],
        out: &mut [u8],
        convert: impl Fn([u8; N]) -> [u8; M],
    ) {
        let swap = self.big_endian != cfg!(target_endian = "big");
        let (row, out) = (row.as_chunks::<N>().0, out.as_chunks_mut::<M>().0);
        for (pixel, out) in row.chunks_exact(samples).zip(out.chunks_exact_mut(self.channels)) {
            for &(sample, channel) in channels {
                let mut bytes = pixel[sample];
                if swap {
                    bytes.reverse();
                }
                out[channel] = convert(bytes);
            }
        }
    }

    /// Samples of fewer bits than a type has, one after the other.
    fn bits<const M: usize>(
        &self,
        row: &[u8],
        bits: u16,
        samples: usize,
        channels: &[(usize, usize)],
        out: &mut [u8],
        convert: impl Fn(u32) -> [u8; M],
    ) {
        let bits = usize::from(bits);
        let out = out.as_chunks_mut::<M>().0;
        let direct = samples == self.channels && channels.len() == samples;
        match (direct, bits) {
            (true, 1) => return whole_bytes::<M, 8>(row, out, convert),
            (true, 2) => return whole_bytes::<M, 4>(row, out, convert),
            (true, 4) => return whole_bytes::<M, 2>(row, out, convert),
            (true, _) => {
                for (index, out) in out.iter_mut().enumerate() {
                    *out = convert(take(row, index * bits, bits));
                }
                return;
            }
            (false, _) => (),
        }
        for (index, out) in out.chunks_exact_mut(self.channels).enumerate() {
            for &(sample, channel) in channels {
                out[channel] = convert(take(row, (index * samples + sample) * bits, bits));
            }
        }
    }
}

/// What becomes of a level of fewer than 8 bits.
fn level_of(value: u32, bits: u16) -> u8 {
    let most = (1u32 << bits) - 1;
    ((value * 255 + most / 2) / most) as u8
}

/// What becomes of "no data" among them; `None` where no level is it.
pub(super) fn level(value: i128, bits: u16) -> Option<NoData> {
    let level = u32::try_from(value).ok().filter(|&value| value < 1 << bits)?;
    Some(NoData::Whole(level_of(level, bits).into()))
}

/// Adds to each sample the one of the pixel left of it.
fn accumulate<T: Copy + Default, const N: usize>(
    row: &mut [u8],
    samples: usize,
    from: impl Fn([u8; N]) -> T,
    to: impl Fn(T) -> [u8; N],
    add: impl Fn(T, T) -> T,
) {
    let row = row.as_chunks_mut::<N>().0;
    // The usual numbers of samples with their sums in registers.
    match samples {
        1 => sums::<T, N, 1>(row, from, to, add),
        3 => sums::<T, N, 3>(row, from, to, add),
        4 => sums::<T, N, 4>(row, from, to, add),
        _ => {
            for index in samples..row.len() {
                row[index] = to(add(from(row[index]), from(row[index - samples])));
            }
        }
    }
}

fn sums<T: Copy + Default, const N: usize, const SAMPLES: usize>(
    row: &mut [[u8; N]],
    from: impl Fn([u8; N]) -> T,
    to: impl Fn(T) -> [u8; N],
    add: impl Fn(T, T) -> T,
) {
    let mut sums = [T::default(); SAMPLES];
    for pixel in row.as_chunks_mut::<SAMPLES>().0 {
        for (sum, sample) in sums.iter_mut().zip(pixel) {
            *sum = add(*sum, from(*sample));
            *sample = to(*sum);
        }
    }
}

/// Samples of which a byte has `COUNT`.
fn whole_bytes<const M: usize, const COUNT: usize>(row: &[u8], out: &mut [[u8; M]], convert: impl Fn(u32) -> [u8; M]) {
    let bits = 8 / COUNT;
    let mask = u8::MAX >> (8 - bits);
    let samples = |byte: u8| std::array::from_fn(|index| convert((byte >> (8 - bits * (index + 1)) & mask).into()));
    let table: [[[u8; M]; COUNT]; 256] = std::array::from_fn(|byte| samples(byte as u8));
    let (whole, rest) = out.as_chunks_mut::<COUNT>();
    for (out, &byte) in whole.iter_mut().zip(row) {
        *out = table[usize::from(byte)];
    }
    if let Some(&byte) = row.get(whole.len()) {
        rest.iter_mut().zip(table[usize::from(byte)]).for_each(|(out, sample)| *out = sample);
    }
}

/// `count` bits, 1 to 32, from bit `at` on; at least a word has to follow.
fn take(row: &[u8], at: usize, count: usize) -> u32 {
    let word = row[at / 8..].first_chunk().map_or(0, |word| u64::from_be_bytes(*word));
    (word << (at % 8) >> (64 - count)) as u32
}

/// Row `below` of a row of units: `h x v` values of luma, then the two differences of colour that they share.
fn units(row: &[u8], factors: [usize; 2], below: usize, out: &mut [u8]) {
    let out = out.as_chunks_mut::<3>().0;
    match factors {
        [4, v] => wide_units::<4>(row, v, below, out),
        [2, v] => wide_units::<2>(row, v, below, out),
        [_, v] => wide_units::<1>(row, v, below, out),
    }
}

fn wide_units<const H: usize>(row: &[u8], v: usize, below: usize, out: &mut [[u8; 3]]) {
    let pixel = |unit: &[u8], across: usize| [unit[below * H + across], unit[H * v], unit[H * v + 1]];
    let mut units = row.chunks_exact(H * v + 2);
    let (whole, rest) = out.as_chunks_mut::<H>();
    for (pixels, unit) in whole.iter_mut().zip(&mut units) {
        *pixels = std::array::from_fn(|across| pixel(unit, across));
    }
    if let Some(unit) = units.next() {
        rest.iter_mut().enumerate().for_each(|(across, out)| *out = pixel(unit, across));
    }
}

/// A float of 16 bits (IEEE 754 binary16).
fn half(bits: u16) -> f32 {
    small_float(u32::from(bits), 5, 10)
}

/// A float of 24 bits as in Adobe's technical note on TIFF: 7 bits of exponent, 16 of fraction.
fn float24(bytes: [u8; 3]) -> f32 {
    let [a, b, c] = bytes;
    let bits = if cfg!(target_endian = "little") { [a, b, c, 0] } else { [0, a, b, c] };
    small_float(u32::from_ne_bytes(bits), 7, 16)
}

/// A float with so many bits of exponent and fraction.
fn small_float(bits: u32, exponent_bits: u32, fraction_bits: u32) -> f32 {
    let fraction = bits & ((1 << fraction_bits) - 1);
    let exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
    let sign = if bits >> (fraction_bits + exponent_bits) & 1 == 1 { -1.0 } else { 1.0 };
    let bias = (1i32 << (exponent_bits - 1)) - 1;
    let part = fraction as f32 / (1u32 << fraction_bits) as f32;
    let value = match exponent {
        0 => part * 2f32.powi(1 - bias),
        e if e == (1 << exponent_bits) - 1 => {
            if fraction == 0 {
                f32::INFINITY
            } else {
                f32::NAN
            }
        }
        e => (1.0 + part) * 2f32.powi(e as i32 - bias),
    };
    sign * value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_taken_from_the_highest() {
        let row = [0b1010_0011, 0b1100_0001, 0xff, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!([take(&row, 0, 1), take(&row, 1, 3), take(&row, 4, 12), take(&row, 6, 12)], [1, 2, 0x3c1, 0xf07]);
    }

    #[test]
    fn small_floats() {
        for (bits, value) in [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (0x0001, 5.960_464_5e-8), (0, 0.0)] {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7e00).is_nan());
        assert_eq!(half(0xfc00), f32::NEG_INFINITY);
    }
}
