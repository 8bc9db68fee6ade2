//! Attention between the many tokens of an image and the few of a prompt, where the few take over the projections of
//! the many: `q . (W x)` is `(W^T q) . x`, and a weighted sum of projected values is the projection of their weighted
//! sum. With `c` columns, one for each token and head, an image row then costs two products with `c` vectors instead
//! of its projections to keys and values.
//!
//! The products of image rows with the columns are those of `gemm`. Here is what comes after them: softmax over the
//! columns of a head (the image attends to the tokens) or over the rows of a column (the tokens attend to the
//! image), and sums of rows by the weights of a column. Scores are in units of ln 2: exponentials are base 2.

use crate::Isa;
use crate::gemm::tile::{Acc, zeros};
use crate::gemm::{Mat, MatMut};
use crate::simd::{Kernel, Simd};

/// Most heads that [`softmax_tokens`] takes.
const MAX_HEADS: usize = 16;

/// Softmax over the tokens of each head, in place: each of the first `rows` rows is `[tokens][heads]` scores.
///
/// The rows' stride is at least `tokens * heads` rounded up to 16; what lies between is overwritten. At most 16
/// heads; panics where something does not fit.
pub fn softmax_tokens(isa: Isa, scores: MatMut<'_, f32>, rows: usize, tokens: usize, heads: usize) {
    let columns = tokens * heads;
    assert!(tokens > 0 && (1..=MAX_HEADS).contains(&heads), "{tokens} tokens of {heads} heads");
    assert!(scores.stride >= columns.next_multiple_of(16), "{columns} columns at stride {}", scores.stride);
    assert!(scores.data.len() >= rows * scores.stride, "{rows} rows in {} scores", scores.data.len());
    isa.run(OverTokens { scores, rows, columns, heads });
}

struct OverTokens<'a> {
    scores: MatMut<'a, f32>,
    rows: usize,
    columns: usize,
    heads: usize,
}

impl Kernel for OverTokens<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (heads, columns) = (self.heads, self.columns);
        // After so many vectors the lanes belong to the same heads again: lcm(heads, LANES) / LANES, a divisor of heads.
        let mut period = 1;
        while period * S::LANES % heads != 0 {
            period += 1;
        }
        let padded = columns.next_multiple_of(S::LANES);
        for row in self.scores.data.chunks_mut(self.scores.stride).take(self.rows) {
            row[columns..padded].fill(f32::NEG_INFINITY);
            let row = row.as_mut_ptr();
            let mut tops = [s.splat(f32::NEG_INFINITY); MAX_HEADS];
            let mut sums = [s.splat(0.0); MAX_HEADS];
            // SAFETY: `padded` values of the row; the stride is not smaller, as LANES divides 16.
            unsafe {
                for (v, c) in (0..padded).step_by(S::LANES).enumerate() {
                    tops[v % period] = s.max(tops[v % period], s.load(row.add(c)));
                }
                per_head::<S>(s, &mut tops, period, heads, f32::max);
                for (v, c) in (0..padded).step_by(S::LANES).enumerate() {
                    let p = s.exp2(s.sub(s.load(row.add(c)), tops[v % period]));
                    sums[v % period] = s.add(sums[v % period], p);
                    s.store(row.add(c), p);
                }
                per_head::<S>(s, &mut sums, period, heads, |a, b| a + b);
                for (v, c) in (0..padded).step_by(S::LANES).enumerate() {
                    s.store(row.add(c), s.div(s.load(row.add(c)), sums[v % period]));
                }
            }
        }
    }
}

/// Combines the lanes of each head, in ascending order, and puts the result into all of them.
#[inline(always)]
fn per_head<S: Simd>(
    s: S,
    vectors: &mut [S::F; MAX_HEADS],
    period: usize,
    heads: usize,
    combine: impl Fn(f32, f32) -> f32,
) {
    let mut lanes = [0f32; MAX_HEADS * 16];
    let count = period * S::LANES;
    for v in 0..period {
        // SAFETY: period <= MAX_HEADS and LANES <= 16.
        unsafe { s.store(lanes.as_mut_ptr().add(v * S::LANES), vectors[v]) };
    }
    for group in (heads..count).step_by(heads) {
        for head in 0..heads {
            lanes[head] = combine(lanes[head], lanes[group + head]);
        }
    }
    for group in (heads..count).step_by(heads) {
        for head in 0..heads {
            lanes[group + head] = lanes[head];
        }
    }
    for v in 0..period {
        // SAFETY: as above.
        vectors[v] = unsafe { s.load(lanes.as_ptr().add(v * S::LANES)) };
    }
}

/// Softmax over the first `rows` rows of each column, but for the division: a score becomes `2^(score - max)`, in place.
/// Writes each column's `max` and the sum of what its scores became; their lengths say how many columns there are.
///
/// Panics where something does not fit.
pub fn softmax_rows(isa: Isa, scores: MatMut<'_, f32>, rows: usize, max: &mut [f32], sum: &mut [f32]) {
    assert_eq!(max.len(), sum.len(), "a maximum and a sum for each column");
    assert!(rows > 0 && scores.stride >= max.len(), "{} columns at stride {}", max.len(), scores.stride);
    assert!(scores.data.len() >= (rows - 1) * scores.stride + max.len(), "{rows} rows in {}", scores.data.len());
    isa.run(OverRows { scores, rows, max, sum });
}

struct OverRows<'a> {
    scores: MatMut<'a, f32>,
    rows: usize,
    max: &'a mut [f32],
    sum: &'a mut [f32],
}

impl Kernel for OverRows<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let columns = self.max.len();
        let stride = self.scores.stride;
        for c in (0..columns).step_by(S::LANES) {
            let n = S::LANES.min(columns - c);
            // SAFETY: `n` columns of `rows` rows, checked by `softmax_rows`.
            unsafe {
                let column = self.scores.data.as_mut_ptr().add(c);
                let mut top = s.load_n(column, n);
                for r in 1..self.rows {
                    top = s.max(top, s.load_n(column.add(r * stride), n));
                }
                let mut sum = s.splat(0.0);
                for r in 0..self.rows {
                    let at = column.add(r * stride);
                    let p = s.exp2(s.sub(s.load_n(at, n), top));
                    sum = s.add(sum, p);
                    s.store_n(at, n, p);
                }
                s.store_n(self.max.as_mut_ptr().add(c), n, top);
                s.store_n(self.sum.as_mut_ptr().add(c), n, sum);
            }
        }
    }
}

/// `out[c] = sum of weights[row][c] * values[row]` over the first `rows` rows, in ascending order; `out` has `columns`
/// rows of `width` values.
///
/// Error: at most `rows * 2^-24 * sum |w v|` (`1.5 rows` without FMA). Panics where something does not fit.
pub fn weighted_sums(
    isa: Isa,
    weights: Mat<'_, f32>,
    columns: usize,
    values: Mat<'_, f32>,
    width: usize,
    rows: usize,
    out: MatMut<'_, f32>,
) {
    let fits = |len: usize, stride: usize, rows: usize, n: usize, what: &str| {
        let need = if rows == 0 { 0 } else { (rows - 1) * stride + n };
        assert!(stride >= n && len >= need, "{what}: {len} elements at stride {stride} for {rows} x {n}");
    };
    assert!(columns > 0 && width > 0, "{columns} columns of {width} values");
    fits(weights.data.len(), weights.stride, rows, columns, "weights");
    fits(values.data.len(), values.stride, rows, width, "values");
    fits(out.data.len(), out.stride, columns, width, "sums");
    isa.run(Sums { weights, columns, values, width, rows, out });
}

struct Sums<'a> {
    weights: Mat<'a, f32>,
    columns: usize,
    values: Mat<'a, f32>,
    width: usize,
    rows: usize,
    out: MatMut<'a, f32>,
}

impl Kernel for Sums<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for n in (0..self.width).step_by(2 * S::LANES) {
            let left = self.width - n;
            let mut c = 0;
            while c < self.columns {
                // SAFETY: a tile inside the sums; sizes were checked by `weighted_sums`.
                unsafe {
                    c += match (self.columns - c, left >= 2 * S::LANES) {
                        (12.., true) if S::MR >= 12 => self.tile::<S, 12, 2>(s, c, n),
                        (8.., true) if S::MR >= 8 => self.tile::<S, 8, 2>(s, c, n),
                        (6.., true) if S::MR >= 6 => self.tile::<S, 6, 2>(s, c, n),
                        (4.., true) if S::MR >= 4 => self.tile::<S, 4, 2>(s, c, n),
                        (_, true) => self.tile::<S, 1, 2>(s, c, n),
                        (4.., false) => self.edge::<S, 4>(s, c, n),
                        (_, false) => self.edge::<S, 1>(s, c, n),
                    };
                }
            }
        }
    }
}

impl Sums<'_> {
    /// The sums of `MR` columns from `column` on, `NV` vectors of values from `n` on. Returns `MR`.
    ///
    /// # Safety
    /// `column + MR <= columns` and `n + NV * LANES <= width`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const MR: usize, const NV: usize>(&mut self, s: S, column: usize, n: usize) -> usize {
        if MR > S::MR {
            return MR; // never called; keeps the compiler from generating it
        }
        // SAFETY: `weighted_sums` checked that each row of weights has `columns`, of values and sums `width`. The pointers to
        // the rows go beyond the last one, but are not read there.
        unsafe {
            let mut acc: Acc<S, MR, NV> = zeros::<S, MR, NV>(s);
            let (mut w, mut x) = (self.weights.data.as_ptr().add(column), self.values.data.as_ptr().add(n));
            for _ in 0..self.rows {
                let mut b = [s.load(x); NV];
                for v in 1..NV {
                    b[v] = s.load(x.add(v * S::LANES));
                }
                for r in 0..MR {
                    let a = s.splat_from(w.add(r));
                    for v in 0..NV {
                        acc[r][v] = s.fma(a, b[v], acc[r][v]);
                    }
                }
                (w, x) = (w.wrapping_add(self.weights.stride), x.wrapping_add(self.values.stride));
            }
            for r in 0..MR {
                for v in 0..NV {
                    let at = (column + r) * self.out.stride + n + v * S::LANES;
                    s.store(self.out.data.as_mut_ptr().add(at), acc[r][v]);
                }
            }
        }
        MR
    }

    /// As `tile`, for all values from `n` on, of a width that is no multiple of two vectors.
    ///
    /// # Safety
    /// `column + MR <= columns`.
    #[inline(always)]
    unsafe fn edge<S: Simd, const MR: usize>(&mut self, s: S, column: usize, n: usize) -> usize {
        for n in (n..self.width).step_by(S::LANES) {
            let count = S::LANES.min(self.width - n);
            // SAFETY: as in `tile`, with the `count` values that are left.
            unsafe {
                let mut acc = [s.splat(0.0); MR];
                let (mut w, mut x) = (self.weights.data.as_ptr().add(column), self.values.data.as_ptr().add(n));
                for _ in 0..self.rows {
                    let b = s.load_n(x, count);
                    for r in 0..MR {
                        acc[r] = s.fma(s.splat_from(w.add(r)), b, acc[r]);
                    }
                    (w, x) = (w.wrapping_add(self.weights.stride), x.wrapping_add(self.values.stride));
                }
                for r in 0..MR {
                    s.store_n(self.out.data.as_mut_ptr().add((column + r) * self.out.stride + n), count, acc[r]);
                }
            }
        }
        MR
    }
}

/// `out = a + b`, element by element; panics where the lengths differ.
pub fn add(isa: Isa, a: &[f32], b: &[f32], out: &mut [f32]) {
    assert!(a.len() == out.len() && b.len() == out.len(), "{} + {} into {}", a.len(), b.len(), out.len());
    isa.run(Add { a, b, out });
}

struct Add<'a> {
    a: &'a [f32],
    b: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let len = self.out.len();
        for i in (0..len).step_by(S::LANES) {
            let n = S::LANES.min(len - i);
            // SAFETY: the three have `len` elements.
            unsafe {
                let sum = s.add(s.load_n(self.a.as_ptr().add(i), n), s.load_n(self.b.as_ptr().add(i), n));
                s.store_n(self.out.as_mut_ptr().add(i), n, sum);
            }
        }
    }
}
