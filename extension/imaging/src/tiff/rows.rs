//! The rows of a chunk: prediction undone, samples of any width brought to a type of the machine.

use std::io;

use super::chunk::{Chunk, Shape};
use super::layout::{Layout, Predictor};
use crate::convert::Colours;
use crate::format::{Numbers, SampleType};
use crate::samples::{Pixels, Stored};

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
    /// The highest level of fewer than 8 bits, which becomes 255; 255 where levels stay as they are.
    most: u32,
    row: Vec<u8>,
    other: Vec<u8>,
}

impl Rows {
    pub(super) fn new(layout: &Layout<'_>, pixels: &Pixels) -> Self {
        let most = match (layout.sample.bits, &layout.colours) {
            (bits @ 1..8, colours) if !matches!(colours, Colours::Palette(_)) => (1 << bits) - 1,
            _ => 255,
        };
        Self {
            sample: layout.sample,
            predictor: layout.predictor,
            big_endian: layout.file.big_endian,
            subsampling: layout.subsampling,
            stored: pixels.stored,
            channels: pixels.channels(),
            picture_width: pixels.width as usize,
            most,
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
        row.resize(shape.row_bytes, 0);
        let pixel = self.channels * self.stored.bytes();
        let across = self.picture_width;
        let line = |y: u32| ((top + y) as usize * across + left as usize) * pixel..;
        match self.subsampling {
            Some(factors) => {
                for y in (0..shape.rows).step_by(factors[1]) {
                    chunk.read(&mut row)?;
                    for below in 0..(factors[1] as u32).min(shape.rows - y) {
                        units(&row, factors, below as usize, &mut out[line(y + below)][..width * pixel]);
                    }
                }
            }
            None => {
                for y in 0..shape.rows {
                    chunk.read(&mut row)?;
                    self.predict(&mut row, shape.samples);
                    self.store(&row, shape.samples, channels, &mut out[line(y)][..width * pixel]);
                }
            }
        }
        self.row = row;
        Ok(())
    }

    /// Undoes the prediction.
    fn predict(&mut self, row: &mut [u8], samples: usize) {
        match (self.predictor, self.sample.bits) {
            (Predictor::None, _) => (),
            (Predictor::Difference, 16) => {
                self.accumulate(row, samples, u16::from_be_bytes, u16::to_be_bytes, u16::wrapping_add)
            }
            (Predictor::Difference, 32) => {
                self.accumulate(row, samples, u32::from_be_bytes, u32::to_be_bytes, u32::wrapping_add)
            }
            (Predictor::Difference, 64) => {
                self.accumulate(row, samples, u64::from_be_bytes, u64::to_be_bytes, u64::wrapping_add)
            }
            (Predictor::Difference, _) => {
                self.accumulate(row, samples, u8::from_be_bytes, u8::to_be_bytes, u8::wrapping_add);
            }
            (Predictor::FloatDifference, bits) => {
                for index in samples..row.len() {
                    row[index] = row[index].wrapping_add(row[index - samples]);
                }
                // All first bytes come first, whatever the byte order of the file.
                let size = usize::from(bits / 8);
                let count = row.len() / size;
                self.other.clear();
                self.other.extend_from_slice(row);
                for (index, sample) in row.chunks_exact_mut(size).enumerate() {
                    for (byte, value) in sample.iter_mut().enumerate() {
                        let byte = if self.big_endian { byte } else { size - 1 - byte };
                        *value = self.other[byte * count + index];
                    }
                }
            }
        }
    }

    /// Adds to each sample the one of the pixel left of it.
    fn accumulate<T: Copy + Default, const N: usize>(
        &self,
        row: &mut [u8],
        samples: usize,
        from: fn([u8; N]) -> T,
        to: fn(T) -> [u8; N],
        add: fn(T, T) -> T,
    ) {
        let swap = |mut bytes: [u8; N]| {
            if !self.big_endian {
                bytes.reverse();
            }
            bytes
        };
        let row = row.as_chunks_mut::<N>().0;
        for index in samples..row.len() {
            row[index] = swap(to(add(from(swap(row[index])), from(swap(row[index - samples])))));
        }
    }

    /// Brings samples to the picture.
    fn store(&self, row: &[u8], samples: usize, channels: &[(usize, usize)], out: &mut [u8]) {
        let direct = samples == self.channels && channels.len() == samples;
        match (self.sample.numbers, self.sample.bits) {
            (_, 8) if direct => out.copy_from_slice(&row[..out.len()]),
            (_, 8) => self.bytes::<1, 1>(row, samples, channels, out, |bytes| bytes),
            (Numbers::Unsigned, bits @ ..8) => {
                self.bits(row, bits, samples, channels, out, |value| {
                    [((value * 255 + self.most / 2) / self.most) as u8]
                });
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
        if (samples, self.channels) == (1, 1) && 8 % bits == 0 && M == 1 {
            let mask = (1u16 << bits) as u8 - 1;
            let levels: Vec<[u8; M]> = (0..=mask).map(|value| convert(value.into())).collect();
            let out = out.as_chunks_mut::<M>().0;
            for (&byte, out) in row.iter().zip(out.chunks_mut(8 / bits)) {
                for (index, out) in out.iter_mut().enumerate() {
                    *out = levels[usize::from(byte >> (8 - bits * (index + 1)) & mask)];
                }
            }
            return;
        }
        for (index, out) in out.as_chunks_mut::<M>().0.chunks_exact_mut(self.channels).enumerate() {
            for &(sample, channel) in channels {
                out[channel] = convert(take(row, (index * samples + sample) * bits, bits));
            }
        }
    }
}

/// `count` bits, at most 32, from bit `at` on.
fn take(row: &[u8], at: usize, count: usize) -> u32 {
    let (first, last) = (at / 8, (at + count - 1) / 8);
    let joined = row[first..=last].iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte));
    (joined >> ((last + 1) * 8 - at - count) & ((1 << count) - 1)) as u32
}

/// Row `below` of a row of units: `h x v` values of luma, then the two differences of colour that they share.
fn units(row: &[u8], [h, v]: [usize; 2], below: usize, out: &mut [u8]) {
    let units = row.chunks_exact(h * v + 2);
    for (unit, pixels) in units.zip(out.chunks_mut(h * 3)) {
        let (luma, colours) = unit.split_at(h * v);
        for (pixel, &luma) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(&luma[below * h..]) {
            *pixel = [luma, colours[0], colours[1]];
        }
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
        let row = [0b1010_0011, 0b1100_0001, 0xff];
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
