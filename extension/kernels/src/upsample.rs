//! Bilinear enlargement of mask logits in the reference's two steps, a row at a time.
//!
//! The reference enlarges the low-resolution logits to the network's input size, crops the part that holds the picture,
//! and resizes that to the picture's size (each bilinear, `align_corners = false`). Both steps are linear and act on rows
//! and columns separately, so each low-resolution row is enlarged horizontally once, and an output row is a combination
//! of up to four of these. Weights and positions are those of the reference in f32; the order of the four roundings
//! differs from its (relative 1e-6 of the largest logit near a pixel).

use crate::Isa;
use crate::simd::{Kernel, Simd};
use std::ops::Range;

/// One axis of the two steps: for each output position, four consecutive low-resolution weights.
#[derive(Clone, Debug)]
struct Axis {
    first: Vec<u32>,
    weights: Vec<[f32; 4]>,
}

/// The two neighbours of output `i` and the weight of the second, as PyTorch computes them.
fn neighbours(i: usize, input: usize, output: usize) -> (usize, usize, f32) {
    let scale = input as f32 / output as f32;
    let at = (scale * (i as f32 + 0.5) - 0.5).max(0.0);
    let low = (at as usize).min(input - 1);
    (low, (low + 1).min(input - 1), at - low as f32)
}

impl Axis {
    fn new(low: usize, middle: usize, crop: usize, output: usize) -> Self {
        let (mut first, mut weights) = (Vec::with_capacity(output), Vec::with_capacity(output));
        for i in 0..output {
            let (a, b, t) = neighbours(i, crop, output);
            let (a0, a1, ta) = neighbours(a, low, middle);
            let (b0, b1, tb) = neighbours(b, low, middle);
            // four consecutive positions hold all neighbours where the first step enlarges
            let base = a0.min(low.saturating_sub(4));
            let mut w = [0.0; 4];
            for (at, weight) in [(a0, (1.0 - t) * (1.0 - ta)), (a1, (1.0 - t) * ta), (b0, t * (1.0 - tb)), (b1, t * tb)]
            {
                if weight != 0.0 {
                    w[at - base] += weight;
                }
            }
            first.push(base as u32);
            weights.push(w);
        }
        Self { first, weights }
    }
}

/// The plan of an enlargement: positions and weights, reusable for all masks of a picture.
#[derive(Clone, Debug)]
pub struct Upsample {
    low: (usize, usize),
    rows: Axis,
    columns: Axis,
}

impl Upsample {
    /// Logits of `low` are enlarged to `middle`, cropped to `crop` and resized to `output`; all are (height, width).
    pub fn new(low: (usize, usize), middle: (usize, usize), crop: (usize, usize), output: (usize, usize)) -> Self {
        assert!(low.0 >= 1 && low.1 >= 1 && low.0 <= middle.0 && low.1 <= middle.1, "{low:?} to {middle:?}");
        assert!(crop.0 >= 1 && crop.1 >= 1 && crop.0 <= middle.0 && crop.1 <= middle.1, "crop {crop:?} of {middle:?}");
        let rows = Axis::new(low.0, middle.0, crop.0, output.0);
        let columns = Axis::new(low.1, middle.1, crop.1, output.1);
        Self { low, rows, columns }
    }

    /// Height and width of the result.
    pub fn output_size(&self) -> (usize, usize) {
        (self.rows.first.len(), self.columns.first.len())
    }

    /// Calls `consume(y, row)` for the output rows `rows` of the plane `logits`, in order.
    pub fn rows(&self, isa: Isa, logits: &[f32], rows: Range<usize>, mut consume: impl FnMut(usize, &[f32])) {
        let (height, width) = self.output_size();
        assert_eq!(logits.len(), self.low.0 * self.low.1, "logits of {:?}", self.low);
        assert!(rows.end <= height, "rows {rows:?} of {height}");
        // a ring of four enlarged rows, and the result
        let mut ring = vec![0f32; 5 * width];
        let (ring, line) = ring.split_at_mut(4 * width);
        let mut padded = vec![0f32; self.low.1 + 4];
        let mut held = [usize::MAX; 4];
        for y in rows {
            let (first, weights) = (self.rows.first[y] as usize, self.rows.weights[y]);
            let mut used = [(0usize, 0f32); 4];
            let mut n = 0;
            for (i, &weight) in weights.iter().enumerate() {
                let row = first + i;
                if weight == 0.0 || row >= self.low.0 {
                    continue;
                }
                if held[row % 4] != row {
                    padded[..self.low.1].copy_from_slice(&logits[row * self.low.1..][..self.low.1]);
                    self.columns.widen(&padded, &mut ring[row % 4 * width..][..width]);
                    held[row % 4] = row;
                }
                used[n] = (row % 4, weight);
                n += 1;
            }
            isa.run(Mix { ring, used: &used[..n], line });
            consume(y, line);
        }
    }
}

impl Axis {
    /// `row` is followed by four zeros.
    fn widen(&self, row: &[f32], out: &mut [f32]) {
        for ((out, &first), w) in out.iter_mut().zip(&self.first).zip(&self.weights) {
            let x = &row[first as usize..first as usize + 4];
            *out = (x[0] * w[0] + x[1] * w[1]) + (x[2] * w[2] + x[3] * w[3]);
        }
    }
}

/// Weighted sum of rows of the ring.
struct Mix<'a> {
    ring: &'a [f32],
    used: &'a [(usize, f32)],
    line: &'a mut [f32],
}

impl Kernel for Mix<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Mix { ring, used, line } = self;
        let width = line.len();
        assert!(used.iter().all(|&(row, _)| (row + 1) * width <= ring.len()));
        let mut x = 0;
        while x < width {
            let n = S::LANES.min(width - x);
            // SAFETY: rows were checked above; x + n <= width.
            unsafe {
                let mut sum = s.splat(0.0);
                for &(row, weight) in used {
                    let p = ring.as_ptr().add(row * width + x);
                    let v = if n == S::LANES { s.load(p) } else { s.load_n(p, n) };
                    sum = s.fma(v, s.splat(weight), sum);
                }
                let p = line.as_mut_ptr().add(x);
                if n == S::LANES { s.store(p, sum) } else { s.store_n(p, n, sum) }
            }
            x += S::LANES;
        }
    }
}
