//! Bilinear resizing that equals Pillow's `Image.resize((w, h), Image.BILINEAR)` to the last bit.
//!
//! Segment Anything was trained on pictures resized by Pillow, whose "bilinear" is a triangle filter
//! that widens with the reduction (so it antialiases). Its arithmetic, from `src/libImaging/Resample.c`:
//!
//! - weights in f64, normalised to sum 1, then rounded half away from zero to 22 fractional bits;
//! - the horizontal pass first, rounded to u8, then the vertical pass on those bytes;
//! - a pass is skipped where the size does not change in its direction.
//!
//! Rounding between the passes is what other fast resizers do differently, and it shows as +-1 level.
//! Here the horizontal pass runs just ahead of the vertical one over a ring of rows, so that the
//! intermediate picture stays in cache and is never stored whole.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod filter;

use image::RgbImage;

use crate::memory::{NoMemory, zeroed};
use filter::{CHANNELS, Filter, HALF, LANCZOS, PRECISION_BITS, TRIANGLE};

/// Most bytes between the passes.
const RING: usize = 64 << 20;

#[cfg(target_arch = "x86_64")]
const PADDING: usize = avx2::PADDING;
#[cfg(not(target_arch = "x86_64"))]
const PADDING: usize = 0;

/// Resizes to `width` x `height` pixels, bit for bit as Pillow's `Image.resize((width, height), Image.BILINEAR)`.
///
/// Exceptions, +-1 level, where Pillow goes vertically first to save work: up to version 12 for pictures shrunk in
/// height that are more than 100 times as tall as wide; from 13 on where the height shrinks and the width
/// keeps more than (1 + the height's ratio) / 2 of its length. Resizing that keeps the aspect ratio, as SAM's, is
/// never among the latter.
///
/// Works for any sizes, up and down, in each direction on its own. One thread; about one row-window of
/// memory beside the result.
///
/// A picture of zero width or height, given or asked for, gives an all-black picture of the asked size.
///
/// ```
/// use sam_imaging::{Rgb, RgbImage, resize_bilinear};
///
/// let picture = RgbImage::from_fn(4, 2, |x, _| Rgb([80 * x as u8, 0, 200]));
/// let half = resize_bilinear(&picture, 2, 1);
/// assert_eq!([half[(0, 0)].0, half[(1, 0)].0], [[57, 0, 200], [183, 0, 200]]); // as Pillow
/// ```
///
/// # Panics
/// Without memory, as [`NoMemory::raise`].
pub fn resize_bilinear(src: &RgbImage, width: u32, height: u32) -> RgbImage {
    try_resize_bilinear(src, width, height).unwrap_or_else(|error| error.raise())
}

/// Levels of grey in another size, bit for bit as Pillow's `Image.resize((width, height), Image.LANCZOS)`, with the
/// exceptions of [`resize_bilinear`]. `row` fills one row of the `size` given, of whose sides none is 0.
///
/// # Errors
/// There is no memory for it.
pub(crate) fn resize_grey_lanczos(
    size: [u32; 2],
    [width, height]: [u32; 2],
    mut row: impl FnMut(usize, &mut [u8]),
) -> Result<Vec<u8>, NoMemory> {
    let [across, down] = [Filter::new(&LANCZOS, size[0], width), Filter::new(&LANCZOS, size[1], height)];
    let level = |sum: i32| (sum >> PRECISION_BITS).clamp(0, 255) as u8;
    let width = width as usize;
    let mut read = zeroed(size[0] as usize)?;
    let mut rows = zeroed(width * size[1] as usize)?;
    for (y, out) in rows.chunks_exact_mut(width).enumerate() {
        row(y, &mut read);
        for (x, out) in out.iter_mut().enumerate() {
            let (start, weights) = across.taps(x);
            let taps = weights.iter().zip(&read[start..]);
            *out = level(taps.fold(HALF, |sum, (weight, &value)| sum + weight * i32::from(value)));
        }
    }
    let mut out = zeroed(width * height as usize)?;
    for (y, out) in out.chunks_exact_mut(width).enumerate() {
        let (start, weights) = down.taps(y);
        for (x, out) in out.iter_mut().enumerate() {
            let taps = weights.iter().zip(rows[start * width + x..].iter().step_by(width));
            *out = level(taps.fold(HALF, |sum, (weight, &value)| sum + weight * i32::from(value)));
        }
    }
    Ok(out)
}

/// The same where there is memory for it.
///
/// # Errors
/// There is no memory for it.
pub(crate) fn try_resize_bilinear(src: &RgbImage, width: u32, height: u32) -> Result<RgbImage, NoMemory> {
    let (src_width, src_height) = src.dimensions();
    let mut out = zeroed(width as usize * height as usize * CHANNELS)?;
    if width > 0 && height > 0 && src_width > 0 && src_height > 0 {
        let horizontal = (src_width != width).then(|| Filter::new(&TRIANGLE, src_width, width));
        let vertical = (src_height != height).then(|| Filter::new(&TRIANGLE, src_height, height));
        let src_width = src_width as usize;
        let most = match (&horizontal, &vertical) {
            (Some(_), Some(vertical)) => (RING / (slots(vertical) * CHANNELS)).max(1),
            _ => width as usize,
        };
        match horizontal {
            Some(horizontal) if most < width as usize => {
                // So few rows come of so many that they are made in strips, for what is between the passes to stay small.
                for left in (0..width as usize).step_by(most) {
                    let columns = left..(left + most).min(width as usize);
                    let mut strip = zeroed(columns.len() * height as usize * CHANNELS)?;
                    let part = horizontal.part(columns.clone());
                    run(src.as_raw(), src_width, Some(&part), vertical.as_ref(), &mut strip, columns.len())?;
                    let rows = out.chunks_exact_mut(width as usize * CHANNELS);
                    for (row, made) in rows.zip(strip.chunks_exact(columns.len() * CHANNELS)) {
                        row[columns.start * CHANNELS..columns.end * CHANNELS].copy_from_slice(made);
                    }
                }
            }
            _ => run(src.as_raw(), src_width, horizontal.as_ref(), vertical.as_ref(), &mut out, width as usize)?,
        }
    }
    Ok(RgbImage::from_raw(width, height, out).expect("three bytes for each pixel"))
}

/// Rows that are kept between the passes. Windows only move down and none is longer than `stride` rows. A ring of that many
/// rows, one more for the second of a pair, and an even number so that a pair is never split, holds what is still needed.
fn slots(vertical: &Filter) -> usize {
    (vertical.stride + 2).next_multiple_of(2)
}

/// Calls [`passes`] compiled for the widest instruction set this processor has. The arithmetic is in integers, so
/// every version gives the same bytes.
fn run(
    src: &[u8],
    src_width: usize,
    horizontal: Option<&Filter>,
    vertical: Option<&Filter>,
    out: &mut [u8],
    width: usize,
) -> Result<(), NoMemory> {
    let mut ring = match (horizontal, vertical) {
        (Some(_), Some(vertical)) => zeroed(slots(vertical) * width * CHANNELS)?,
        _ => Vec::new(),
    };
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        let packed = horizontal.map(avx2::Packed::new);
        // SAFETY: the processor was just found to have AVX2, the only requirement of the function.
        unsafe { passes_avx2(src, src_width, packed.as_ref(), vertical, out, width, &mut ring) };
        return Ok(());
    }
    let rows = horizontal.map(|filter| {
        |src: [&[u8]; 2], out: [&mut [u8]; 2]| {
            for (src, out) in src.into_iter().zip(out) {
                resize_row(src, filter, out);
            }
        }
    });
    passes(src, src_width, rows, vertical, out, width, &mut ring);
    Ok(())
}

/// [`passes`] compiled for AVX2.
///
/// # Safety
/// The processor has the features that are enabled here.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn passes_avx2(
    src: &[u8],
    src_width: usize,
    horizontal: Option<&avx2::Packed>,
    vertical: Option<&Filter>,
    out: &mut [u8],
    width: usize,
    ring: &mut [u8],
) {
    let rows = horizontal.map(|packed| |src: [&[u8]; 2], out: [&mut [u8]; 2]| avx2::resize_rows(src, packed, out));
    passes(src, src_width, rows, vertical, out, width, ring);
}

/// Both passes. `src` has rows of `src_width` pixels, `out` rows of `width` pixels. `horizontal` resizes two rows,
/// which it may read [`PADDING`] bytes past their ends. `ring` has [`slots`] rows of `width` pixels, if there are two passes.
#[inline(always)]
fn passes(
    src: &[u8],
    src_width: usize,
    horizontal: Option<impl Fn([&[u8]; 2], [&mut [u8]; 2])>,
    vertical: Option<&Filter>,
    out: &mut [u8],
    width: usize,
    ring: &mut [u8],
) {
    let (src_stride, out_stride) = (src_width * CHANNELS, width * CHANNELS);
    let src_rows = src.len() / src_stride;
    // Rows near the end of the picture have too little behind them, so they are read from a padded copy.
    let tail_rows = src_rows.min(PADDING.div_ceil(src_stride) + 1);
    let tail_start = src.len() - tail_rows * src_stride;
    let tail = [&src[tail_start..], &[0; PADDING]].concat();
    let src_row = |y: usize| match (y * src_stride).checked_sub(tail_start) {
        Some(at) => &tail[at..at + src_stride + PADDING],
        None => &src[y * src_stride..][..src_stride + PADDING],
    };
    match (horizontal, vertical) {
        (None, None) => out.copy_from_slice(src),
        (Some(horizontal), None) => {
            let mut spare = vec![0; out_stride];
            for (pair, rows) in out.chunks_mut(2 * out_stride).enumerate() {
                let (first, second) = rows.split_at_mut(out_stride);
                let second = if second.is_empty() { &mut spare } else { second };
                let y = pair * 2;
                horizontal([src_row(y), src_row((y + 1).min(src_rows - 1))], [first, second]);
            }
        }
        (None, Some(vertical)) => {
            for (y, row) in out.chunks_exact_mut(out_stride).enumerate() {
                let (first, weights) = vertical.taps(y);
                blend_rows(weights, |tap| &src[(first + tap) * src_stride..][..src_stride], row);
            }
        }
        (Some(horizontal), Some(vertical)) => {
            let slots = slots(vertical);
            let mut ready = vertical.start[0] & !1;
            for (y, row) in out.chunks_exact_mut(out_stride).enumerate() {
                let (first, weights) = vertical.taps(y);
                ready = ready.max(first & !1);
                while ready < first + weights.len() {
                    let (one, two) = ring[ready % slots * out_stride..][..2 * out_stride].split_at_mut(out_stride);
                    horizontal([src_row(ready), src_row((ready + 1).min(src_rows - 1))], [one, two]);
                    ready += 2;
                }
                blend_rows(weights, |tap| &ring[(first + tap) % slots * out_stride..][..out_stride], row);
            }
        }
    }
}

/// A sum of weighted bytes to a byte: drops the fraction and clamps, as Pillow's `clip8`.
#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// One row of the horizontal pass.
#[inline(always)]
fn resize_row(src: &[u8], filter: &Filter, out: &mut [u8]) {
    for (x, pixel) in out.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
        let (first, weights) = filter.taps(x);
        let window = src[first * CHANNELS..][..weights.len() * CHANNELS].as_chunks::<CHANNELS>().0;
        let mut sums = [HALF; CHANNELS];
        for (tap, &weight) in window.iter().zip(weights) {
            for channel in 0..CHANNELS {
                sums[channel] += i32::from(tap[channel]) * weight;
            }
        }
        *pixel = sums.map(to_byte);
    }
}

/// One row of the vertical pass: the weighted sum of `weights.len()` rows as long as `out`.
#[inline(always)]
fn blend_rows<'a>(weights: &[i32], row: impl Fn(usize) -> &'a [u8], out: &mut [u8]) {
    // Sums of one block live in registers or L1 while all rows pass over it.
    const BLOCK: usize = 64;
    let len = out.len();
    let mut at = 0;
    while at + BLOCK <= len {
        let mut sums = [HALF; BLOCK];
        for (tap, &weight) in weights.iter().enumerate() {
            let bytes: &[u8; BLOCK] = row(tap)[at..].first_chunk().expect("rows are as long as the output");
            for (sum, &byte) in sums.iter_mut().zip(bytes) {
                *sum += i32::from(byte) * weight;
            }
        }
        for (byte, sum) in out[at..at + BLOCK].iter_mut().zip(sums) {
            *byte = to_byte(sum);
        }
        at += BLOCK;
    }
    for (offset, byte) in out[at..].iter_mut().enumerate() {
        let sum = weights
            .iter()
            .enumerate()
            .fold(HALF, |sum, (tap, &weight)| sum + i32::from(row(tap)[at + offset]) * weight);
        *byte = to_byte(sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every processor computes without special instructions.
    fn portable(src: &RgbImage, width: u32, height: u32) -> RgbImage {
        let mut out = RgbImage::new(width, height);
        let horizontal = (src.width() != width).then(|| Filter::new(&TRIANGLE, src.width(), width));
        let vertical = (src.height() != height).then(|| Filter::new(&TRIANGLE, src.height(), height));
        let rows = horizontal.as_ref().map(|filter| {
            |src: [&[u8]; 2], out: [&mut [u8]; 2]| {
                for (src, out) in src.into_iter().zip(out) {
                    resize_row(src, filter, out);
                }
            }
        });
        let mut ring = vec![0; vertical.as_ref().map_or(0, slots) * width as usize * CHANNELS];
        passes(src.as_raw(), src.width() as usize, rows, vertical.as_ref(), &mut out, width as usize, &mut ring);
        out
    }

    #[test]
    fn instruction_sets_agree() {
        let side = |n: u32| 1 + n * n % 97;
        for n in 0..200 {
            let src = RgbImage::from_fn(side(n), side(n + 3), |x, y| {
                image::Rgb(
                    [0, 1, 2].map(|c| (x * 7919 + y * 104_729 + c * 7 + n).wrapping_mul(0x9e37_79b9).to_le_bytes()[3]),
                )
            });
            let (width, height) = (side(n + 5), side(n + 8));
            assert_eq!(resize_bilinear(&src, width, height), portable(&src, width, height));
        }
        // In strips, which begin anywhere.
        let tall = RgbImage::from_fn(7, 32_768, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
        assert_eq!(try_resize_bilinear(&tall, 3_000, 1).unwrap(), portable(&tall, 3_000, 1));
        // Beyond 256 taps the lower sums of the split weights wrap around.
        let white = RgbImage::from_pixel(3000, 2, image::Rgb([255; 3]));
        assert!(resize_bilinear(&white, 2, 2).iter().all(|&byte| byte == 255));
    }
}
