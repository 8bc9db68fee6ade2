//! RGB bytes to the network's input: `(x - mean) / std` per channel, zero outside the picture.

use crate::scalar::Scalar;
use std::ops::Range;

/// Channel means and standard deviations in units of bytes (0..255).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalise {
    /// Subtracted.
    pub mean: [f32; 3],
    /// Divided by.
    pub std: [f32; 3],
}

impl Normalise {
    /// Rows `rows` of the input image into `out`, which holds those rows only.
    ///
    /// The input is `[side + 2 * border][side + 2 * border][stored]`: the picture `rgb`, `height` x `width` x 3, at
    /// (`border`, `border`), zeros elsewhere. `stored` is 3, or 4 with a fourth channel of zeros.
    #[allow(clippy::too_many_arguments)]
    pub fn rows<E: Scalar>(
        &self,
        rgb: &[u8],
        (height, width): (usize, usize),
        side: usize,
        border: usize,
        stored: usize,
        rows: Range<usize>,
        out: &mut [E],
    ) {
        assert_eq!(rgb.len(), height * width * 3, "picture of {height} x {width}");
        assert!(height <= side && width <= side && (3..=4).contains(&stored), "{height} x {width} in {side}");
        let line = (side + 2 * border) * stored;
        assert!(rows.end <= side + 2 * border && out.len() == rows.len() * line, "rows {rows:?}");
        if line == 0 {
            return;
        }
        // all values a byte can become, as the division gives them
        let table: [[E; 256]; 3] =
            std::array::from_fn(|c| std::array::from_fn(|x| E::from_f32((x as f32 - self.mean[c]) / self.std[c])));
        for (y, out) in rows.zip(out.chunks_exact_mut(line)) {
            let inside = y.wrapping_sub(border);
            if inside >= height {
                out.fill(E::default());
                continue;
            }
            let (left, rest) = out.split_at_mut(border * stored);
            let (pixels, right) = rest.split_at_mut(width * stored);
            left.fill(E::default());
            right.fill(E::default());
            let line = &rgb[inside * width * 3..][..width * 3];
            for (to, from) in pixels.chunks_exact_mut(stored).zip(line.chunks_exact(3)) {
                for c in 0..3 {
                    to[c] = table[c][from[c] as usize];
                }
                to[3..].fill(E::default());
            }
        }
    }
}
