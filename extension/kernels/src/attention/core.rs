//! One step of attention: up to `MR` queries of one head against one tile of packed keys and values.
//!
//! A tile of keys is stored as two matrices in the panel order of `gemm`: K transposed, `[keys / 32][d][32]`, and V,
//! `[d / 32][keys][32]` (steps of two along d, or along the keys, for bf16). Scores and probabilities of the step live in
//! two small buffers of `width` columns per query.

use crate::elem::Elem;
use crate::gemm::tile::{Acc, MAX_MR, PANEL, accumulate, zeros};
use crate::simd::Simd;

/// Elements of the packed keys of a tile.
pub(super) fn keys_len<E: Elem>(keys: usize, d: usize) -> usize {
    keys.next_multiple_of(PANEL) * d.next_multiple_of(E::STEP)
}

/// Elements of one panel (up to 32 dimensions) of the packed values of a tile.
pub(super) fn value_panel_len<E: Elem>(keys: usize) -> usize {
    keys.next_multiple_of(E::STEP) * PANEL
}

/// Elements of the packed values of a tile.
pub(super) fn values_len<E: Elem>(keys: usize, d: usize) -> usize {
    value_panel_len::<E>(keys) * d.div_ceil(PANEL)
}

/// Running maximum, sum and output of up to `MAX_MR` queries, for keys that come in several tiles.
pub(super) struct State {
    pub max: [f32; MAX_MR],
    pub sum: [f32; MAX_MR],
}

impl State {
    pub const START: State = State { max: [f32::NEG_INFINITY; MAX_MR], sum: [0.0; MAX_MR] };
}

/// A step: scores, softmax, weighted sum of values.
pub(super) struct Step<'a, E> {
    /// Queries of the step; entries beyond `rows` repeat a valid one. The same holds for `bias` and `out`.
    pub queries: &'a [*const E; MAX_MR],
    pub rows: usize,
    pub d: usize,
    pub kt: *const E,
    pub values: *const E,
    pub keys: usize,
    /// Scores are `q k * scale + bias`, in units of ln 2 (the exponential is base 2).
    pub scale: f32,
    /// `keys` rounded up to whole panels of values; minus infinity from `keys` on.
    pub bias: &'a [*const f32; MAX_MR],
    pub scores: *mut f32,
    pub probabilities: *mut E,
    pub width: usize,
    /// Whether these are the first and the last keys of the queries.
    pub first: bool,
    pub last: bool,
    /// Unfinished outputs of MR queries, `partial_stride`, a number of whole panels, apart.
    pub partial: *mut f32,
    pub partial_stride: usize,
    pub out: &'a [*mut E; MAX_MR],
}

impl<E: Elem> Step<'_, E> {
    /// # Safety
    /// All pointers are valid for what their comments say.
    #[inline(always)]
    pub unsafe fn run<S: Simd>(&self, s: S, state: &mut State) {
        // SAFETY: the caller's contract.
        unsafe {
            match self.rows {
                7..=12 => self.rows::<S, 12>(s, state),
                5..=6 => self.rows::<S, 6>(s, state),
                2..=4 => self.rows::<S, 4>(s, state),
                _ => self.rows::<S, 1>(s, state),
            }
        }
    }

    #[inline(always)]
    unsafe fn rows<S: Simd, const MR: usize>(&self, s: S, state: &mut State) {
        if MR > S::MR {
            return; // never called; keeps the compiler from generating it
        }
        let pair = 2 * S::LANES;
        // SAFETY: the caller's contract; a tile's panels are complete.
        unsafe {
            let panel = self.d.next_multiple_of(E::STEP) * PANEL;
            for col in (0..self.keys).step_by(pair) {
                let kt = self.kt.add(col / PANEL * panel + col % PANEL * E::STEP);
                if self.keys - col > S::LANES {
                    self.score::<S, MR, 2>(s, kt, col);
                } else {
                    self.score::<S, MR, 1>(s, kt, col);
                }
            }
            let mut shrink = [1f32; MR];
            for r in 0..self.rows {
                shrink[r] = self.softmax(s, state, r);
            }
            let mut queries = [std::ptr::null(); MAX_MR];
            for r in 0..MR {
                queries[r] = self.probabilities.add(r.min(self.rows - 1) * self.width).cast_const();
            }
            for col in (0..self.d).step_by(pair) {
                let v = self.values.add(col / PANEL * value_panel_len::<E>(self.keys) + col % PANEL * E::STEP);
                if self.d - col > S::LANES {
                    self.weigh::<S, MR, 2>(s, v, col, &queries, &shrink);
                } else {
                    self.weigh::<S, MR, 1>(s, v, col, &queries, &shrink);
                }
            }
            if self.last {
                self.finish(s, state);
            }
        }
    }

    /// Scores of `NV` vectors of keys from `col` on.
    #[inline(always)]
    unsafe fn score<S: Simd, const MR: usize, const NV: usize>(&self, s: S, kt: *const E, col: usize) {
        // SAFETY: the caller's contract.
        unsafe {
            let mut acc: Acc<S, MR, NV> = zeros::<S, MR, NV>(s);
            accumulate::<S, E, MR, NV, false>(s, &mut acc, std::slice::from_ref(self.queries), self.d, kt, 0);
            let scale = s.splat(self.scale);
            for r in 0..MR {
                for v in 0..NV {
                    let bias = s.load(self.bias[r].add(col + v * S::LANES));
                    s.store(self.scores.add(r * self.width + col + v * S::LANES), s.fma(acc[r][v], scale, bias));
                }
            }
        }
    }

    /// Turns the scores of a query into unnormalised probabilities; returns the factor for what was summed before.
    #[inline(always)]
    unsafe fn softmax<S: Simd>(&self, s: S, state: &mut State, r: usize) -> f32 {
        // SAFETY: the row has `width` columns, at least `keys` rounded up to a vector.
        unsafe {
            let (row, to) = (self.scores.add(r * self.width), self.probabilities.add(r * self.width));
            let mut top = s.load(row);
            for c in (S::LANES..self.keys).step_by(S::LANES) {
                top = s.max(top, s.load(row.add(c)));
            }
            let max = state.max[r].max(s.top(top));
            let max_v = s.splat(max);
            let mut sum = s.splat(0.0);
            for c in (0..self.keys).step_by(S::LANES) {
                let p = exp2_v(s, s.sub(s.load(row.add(c)), max_v));
                sum = s.add(sum, p);
                E::store(s, to.add(c), p);
            }
            let shrink = if self.first { 0.0 } else { (state.max[r] - max).exp2() };
            state.sum[r] = state.sum[r] * shrink + s.sum(sum);
            state.max[r] = max;
            shrink
        }
    }

    /// Adds probabilities times values for `NV` vectors of dimensions from `col` on, in `partial`. Rows beyond those in
    /// use compute rubbish: without conditions the accumulators stay in registers.
    #[inline(always)]
    unsafe fn weigh<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        values: *const E,
        col: usize,
        probabilities: &[*const E; MAX_MR],
        shrink: &[f32; MR],
    ) {
        // SAFETY: the caller's contract; `partial` has MR rows of whole panels.
        unsafe {
            let mut acc: Acc<S, MR, NV> = zeros::<S, MR, NV>(s);
            if !self.first {
                for r in 0..MR {
                    for v in 0..NV {
                        let p = self.partial.add(r * self.partial_stride + col + v * S::LANES);
                        acc[r][v] = s.mul(s.load(p), s.splat(shrink[r]));
                    }
                }
            }
            accumulate::<S, E, MR, NV, false>(s, &mut acc, std::slice::from_ref(probabilities), self.keys, values, 0);
            for r in 0..MR {
                for v in 0..NV {
                    s.store(self.partial.add(r * self.partial_stride + col + v * S::LANES), acc[r][v]);
                }
            }
        }
    }

    /// Divides by the sums and stores the results.
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, s: S, state: &State) {
        for r in 0..self.rows {
            let inverse = s.splat(1.0 / state.sum[r]);
            for c in (0..self.d).step_by(S::LANES) {
                // SAFETY: the caller's contract.
                unsafe {
                    let y = s.mul(s.load(self.partial.add(r * self.partial_stride + c)), inverse);
                    let (n, to) = (self.d - c, self.out[r].add(c));
                    if n >= S::LANES { E::store(s, to, y) } else { E::store_n(s, to, n, y) }
                }
            }
        }
    }
}

/// 2^x for x <= 0, relative error at most 2.5e-7 where the result is normal, 0 far below.
#[allow(clippy::approx_constant)] // a minimax coefficient near ln 2, not ln 2
#[inline(always)]
pub(super) fn exp2_v<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.max(s.splat(S::LEAST_EXPONENT), x);
    let n = s.round(x);
    let r = s.sub(x, n);
    let mut y = s.splat(0.001_326_466);
    for c in [0.009_671_566, 0.055_507_347, 0.240_222_41, 0.693_147, 1.0] {
        y = s.fma(y, r, s.splat(c));
    }
    s.scale2(y, n)
}
