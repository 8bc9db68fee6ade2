//! Fingerprints of what a picture shows.

use super::edit::Picture;
use crate::error::ImageError;
use crate::resize::{resize_grey_lanczos, try_resize_bilinear};

/// Side of the picture whose frequencies are looked at.
const SIDE: usize = 32;

/// Side of the block of lowest frequencies that make the bits.
const LOW: usize = 8;

impl Picture {
    /// The perceptual hash "pHash": of the picture reduced to 32 x 32 levels of grey the 8 x 8 lowest frequencies of its
    /// cosine transform, each a bit that tells whether it is above their median; row by row, the highest bit first.
    ///
    /// Pictures that look alike differ in few of the 64 bits, whatever their size and compression.
    ///
    /// # Errors
    /// [`ImageError::NoMemory`].
    pub fn hash(&self) -> Result<u64, ImageError> {
        let flat = self.flat()?;
        let small = try_resize_bilinear(&flat, SIDE as u32, SIDE as u32)?;
        // Luma as JPEG has it (ITU-R BT.601).
        let grey = small
            .pixels()
            .map(|&image::Rgb([r, g, b])| 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b));
        let grey: Vec<f64> = grey.collect();
        // The cosine transform along the rows, then along the columns; only what is needed of it.
        let wave = |frequency: usize, at: usize| {
            (std::f64::consts::PI * frequency as f64 * (2 * at + 1) as f64 / (2 * SIDE) as f64).cos()
        };
        let rows: Vec<[f64; LOW]> = grey
            .chunks_exact(SIDE)
            .map(|row| std::array::from_fn(|u| row.iter().enumerate().map(|(x, value)| value * wave(u, x)).sum()))
            .collect();
        let mut low = [0.0f64; LOW * LOW];
        for (index, value) in low.iter_mut().enumerate() {
            let sum: f64 = rows.iter().enumerate().map(|(y, row)| row[index % LOW] * wave(index / LOW, y)).sum();
            // So that what should be 0, as in a picture of one colour, is.
            *value = (sum * 1024.0).round();
        }
        let mut sorted = low;
        sorted.sort_by(f64::total_cmp);
        let median = (sorted[LOW * LOW / 2 - 1] + sorted[LOW * LOW / 2]) / 2.0;
        Ok(low.iter().fold(0, |bits, &value| bits << 1 | u64::from(value > median)))
    }
    /// The difference hash "dHash", as `imagehash.dhash`: of the picture reduced to 9 x 8 levels of grey, for each pixel
    /// whether the one to its right is lighter; row by row, the highest bit first. What is transparent counts as white.
    ///
    /// # Errors
    /// [`ImageError::NoMemory`].
    pub fn difference_hash(&self) -> Result<u64, ImageError> {
        let [width, height] = self.size();
        if width == 0 || height == 0 {
            return Ok(0);
        }
        let flat = self.flat()?;
        let stride = 3 * width as usize;
        // Luma by ITU-R BT.601, as Pillow rounds it.
        let luma = |&[r, g, b]: &[u8; 3]| {
            ((19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b) + 0x8000) >> 16) as u8
        };
        let small = resize_grey_lanczos([width, height], [9, 8], |y, row| {
            let pixels = flat.as_raw()[y * stride..][..stride].as_chunks::<3>().0;
            row.iter_mut().zip(pixels).for_each(|(grey, pixel)| *grey = luma(pixel));
        })?;
        let pairs = small.as_chunks::<9>().0.iter().flat_map(|row| row.windows(2));
        Ok(pairs.fold(0, |bits, pair| bits << 1 | u64::from(pair[1] > pair[0])))
    }
}
