//! One step of attention: up to `MR` queries of one head against one tile of packed keys and values.
//!
//! A tile of keys is stored as two matrices in the panel order of `gemm`: K transposed, `[keys / 32][d][32]`, and V,
//! `[d / 32][keys][32]` (steps of two along d, or along the keys, for bf16). Scores and probabilities of the step live in
//! two small buffers of `width` columns per query.

use crate::gemm::tile::{Acc, MAX_MR, PANEL, accumulate, zeros};
use crate::scalar::Scalar;
use crate::simd::{Simd, tiles::DEPTH};

/// Elements of the packed keys of a tile.
pub(super) fn keys_len<E: Scalar>(keys: usize, d: usize) -> usize {
    keys.next_multiple_of(PANEL) * d.next_multiple_of(E::STEP)
}

/// Elements of one panel (up to 32 dimensions) of the packed values of a tile: those of bf16 fill whole matrix tiles, with
/// zeros.
pub(super) fn value_panel_len<E: Scalar>(keys: usize) -> usize {
    keys.next_multiple_of(if E::STEP == 1 { 1 } else { DEPTH }) * PANEL
}

/// Elements of the packed values of a tile.
pub(super) fn values_len<E: Scalar>(keys: usize, d: usize) -> usize {
    value_panel_len::<E>(keys) * d.div_ceil(PANEL)
}

/// Running maximum and, lane by lane, sum of up to `MAX_MR` queries, for keys that come in several tiles.
#[derive(Clone)]
pub(super) struct State {
    max: [f32; MAX_MR],
    sum: [[f32; MAX_LANES]; MAX_MR],
}

/// Most lanes of a vector on any instruction set.
const MAX_LANES: usize = 16;

impl State {
    pub const START: State = State { max: [f32::NEG_INFINITY; MAX_MR], sum: [[0.0; MAX_LANES]; MAX_MR] };
}

/// Where the biases of the queries of a step are.
pub(super) struct BiasRows {
    /// For each of MR queries as many values to read as `keys` rounded up to whole panels, minus infinity from `keys` on;
    /// entries beyond the rows in use repeat one.
    pub rows: [*const f32; MAX_MR],
    /// Values that lie one behind the other, a multiple of 16 that divides the keys, or more than there are; behind them
    /// `skip` values are none of the query's.
    pub run: usize,
    pub skip: usize,
}

/// A step: scores, softmax, weighted sum of values. Comments say what pointers are valid for, in elements; MR is
/// `Scalar::height` of the instruction set that runs it.
pub(super) struct Step<'a, E> {
    /// The first MR: `d` to read. Those beyond `rows` repeat one.
    pub queries: &'a [*const E; MAX_MR],
    /// Queries of the step, 1 to MR.
    pub rows: usize,
    /// Dimensions of a head, 1 or more.
    pub d: usize,
    /// Packed keys: `keys_len(keys, d)` to read.
    pub kt: *const E,
    /// Packed values: `values_len(keys, d)` to read.
    pub values: *const E,
    /// Keys of the tile, 1 or more.
    pub keys: usize,
    /// Scores are `q k * scale + bias`, in units of ln 2 (the exponential is base 2).
    pub scale: f32,
    pub bias: &'a BiasRows,
    /// MR rows of `width` to read and write.
    pub scores: *mut f32,
    /// MR rows of `width` to read and write.
    pub probabilities: *mut E,
    /// At least `keys` rounded up to whole panels.
    pub width: usize,
    /// Whether these are the first (what the state holds is forgotten) and the last keys of the queries.
    pub first: bool,
    pub last: bool,
    /// Unfinished outputs: MR rows of `partial_stride` to read and write.
    pub partial: *mut f32,
    /// At least `d` rounded up to whole panels.
    pub partial_stride: usize,
    /// The first `rows`: `d` to write, by nobody else at the same time.
    pub out: &'a [*mut E; MAX_MR],
}

impl<E: Scalar> Step<'_, E> {
    /// Runs the step on vectors with the state of its queries.
    ///
    /// # Safety
    /// The fields are what their comments say, those of [`BiasRows`] included.
    #[inline(always)]
    pub(super) unsafe fn on_vectors<S: Simd>(&self, s: S, state: &mut State) {
        // SAFETY: the height picked is at least `rows` and at most `S::MR`, to which tiles of other heights are not compiled.
        unsafe {
            match self.rows {
                7..=12 => self.rows::<S, 12>(s, state),
                5..=6 => self.rows::<S, 6>(s, state),
                2..=4 => self.rows::<S, 4>(s, state),
                _ => self.rows::<S, 1>(s, state),
            }
        }
    }

    /// The step by tiles of `MR` >= `rows` rows.
    ///
    /// # Safety
    /// As [`Step::on_vectors`].
    #[inline(always)]
    unsafe fn rows<S: Simd, const MR: usize>(&self, s: S, state: &mut State) {
        if MR > S::MR {
            return; // never called; keeps the compiler from generating it
        }
        let pair = 2 * S::LANES;
        // SAFETY: panels are complete, so that a pair of vectors that begins before `keys`, or `d`, is inside one; rows r of
        // probabilities are those in use.
        unsafe {
            let panel = self.d.next_multiple_of(E::STEP) * PANEL;
            let (mut bias, mut left) = (0, self.bias.run);
            for col in (0..self.keys).step_by(pair) {
                let kt = self.kt.add(col / PANEL * panel + col % PANEL * E::STEP);
                let mut biases = [0; 2];
                for at in &mut biases {
                    *at = bias;
                    (bias, left) = (bias + S::LANES, left - S::LANES);
                    if left == 0 {
                        (bias, left) = (bias + self.bias.skip, self.bias.run);
                    }
                }
                if self.keys - col > S::LANES {
                    self.score::<S, MR, 2>(s, kt, col, biases);
                } else {
                    self.score::<S, MR, 1>(s, kt, col, biases);
                }
            }
            let mut shrink = [s.splat(1.0); MR];
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

    /// Scores of `NV` vectors of keys from `col` on, whose biases are those from `biases` on.
    ///
    /// # Safety
    /// As [`Step::on_vectors`]; `kt` are the packed keys from `col` on, which is a multiple of `2 * LANES` below `keys`; `biases`
    /// are where [`BiasRows`] has a vector each.
    #[inline(always)]
    unsafe fn score<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        kt: *const E,
        col: usize,
        biases: [usize; 2],
    ) {
        // SAFETY: the panel that `kt` is in has `NV` vectors of columns there for each of d; a row of scores has `width`
        // columns, which are whole panels.
        unsafe {
            let mut acc: Acc<S, MR, NV> = zeros::<S, MR, NV>(s);
            accumulate::<S, E, MR, NV, false>(s, &mut acc, std::slice::from_ref(self.queries), self.d, kt, 0);
            let scale = s.splat(self.scale);
            for r in 0..MR {
                for v in 0..NV {
                    let bias = s.load(self.bias.rows[r].add(biases[v]));
                    s.store(self.scores.add(r * self.width + col + v * S::LANES), s.fma(acc[r][v], scale, bias));
                }
            }
        }
    }

    /// Turns the scores of a query into unnormalised probabilities; returns the factor for what was summed before.
    ///
    /// # Safety
    /// As [`Step::on_vectors`]; `r < rows`, and the row's scores are written.
    #[inline(always)]
    unsafe fn softmax<S: Simd>(&self, s: S, state: &mut State, r: usize) -> S::F {
        // SAFETY: the row has `width` columns, at least `keys` rounded up to a vector.
        unsafe {
            let row = self.scores.add(r * self.width);
            // four maxima, so that none waits for the one before
            let mut tops = [s.load(row); 4];
            let mut c = 0;
            while c + 4 * S::LANES <= self.keys {
                for (v, top) in tops.iter_mut().enumerate() {
                    *top = s.max(*top, s.load(row.add(c + v * S::LANES)));
                }
                c += 4 * S::LANES;
            }
            for c in (c..self.keys).step_by(S::LANES) {
                tops[0] = s.max(tops[0], s.load(row.add(c)));
            }
            let top = s.max(s.max(tops[0], tops[1]), s.max(tops[2], tops[3]));
            self.exponentials(s, state, r, top)
        }
    }

    /// As [`Step::softmax`], given the largest scores of each lane. On tiles those of columns without a key, up to a whole
    /// panel, are minus infinity: their probabilities are zero.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    pub(super) unsafe fn exponentials<S: Simd>(&self, s: S, state: &mut State, r: usize, top: S::F) -> S::F {
        // SAFETY: the row has `width` columns, at least `keys` rounded up to a panel.
        unsafe {
            let (row, to) = (self.scores.add(r * self.width), self.probabilities.add(r * self.width));
            let (mut max, mut sum, mut shrink) = (s.top(top), s.splat(0.0), s.splat(0.0));
            if !self.first {
                max = max.max(state.max[r]);
                shrink = s.exp2(s.splat(state.max[r] - max));
                sum = s.mul(s.load(state.sum[r].as_ptr()), shrink);
            }
            let max_v = s.splat(max);
            let columns = if E::tiled::<S>() { self.keys.next_multiple_of(PANEL) } else { self.keys };
            for c in (0..columns).step_by(S::LANES) {
                let p = s.exp2(s.sub(s.load(row.add(c)), max_v));
                sum = s.add(sum, p);
                E::store(s, to.add(c), p);
            }
            s.store(state.sum[r].as_mut_ptr(), sum);
            state.max[r] = max;
            shrink
        }
    }

    /// Adds probabilities times values for `NV` vectors of dimensions from `col` on, in `partial`. Rows beyond those in
    /// use compute rubbish: without conditions the accumulators stay in registers.
    ///
    /// # Safety
    /// As [`Step::on_vectors`]; `values` are the packed values of the dimensions from `col` on, which is a multiple of
    /// `2 * LANES` below `d`; the first `MR` of `probabilities` are valid for reading `keys` elements.
    #[inline(always)]
    unsafe fn weigh<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        values: *const E,
        col: usize,
        probabilities: &[*const E; MAX_MR],
        shrink: &[S::F; MR],
    ) {
        // SAFETY: the panel that `values` are in has `NV` vectors of columns there for each key; `partial` has MR rows of whole
        // panels.
        unsafe {
            let mut acc: Acc<S, MR, NV> = zeros::<S, MR, NV>(s);
            if !self.first {
                for r in 0..MR {
                    for v in 0..NV {
                        let p = self.partial.add(r * self.partial_stride + col + v * S::LANES);
                        acc[r][v] = s.mul(s.load(p), shrink[r]);
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
    ///
    /// # Safety
    /// As [`Step::on_vectors`]; `partial` is written.
    #[inline(always)]
    pub(super) unsafe fn finish<S: Simd>(&self, s: S, state: &State) {
        for r in 0..self.rows {
            // SAFETY: a row of `partial` has whole panels, an output d elements, and a sum room for a vector.
            unsafe {
                let inverse = s.splat(1.0 / s.sum(s.load(state.sum[r].as_ptr())));
                for c in (0..self.d).step_by(S::LANES) {
                    let y = s.mul(s.load(self.partial.add(r * self.partial_stride + c)), inverse);
                    let (n, to) = (self.d - c, self.out[r].add(c));
                    if n >= S::LANES { E::store(s, to, y) } else { E::store_n(s, to, n, y) }
                }
            }
        }
    }
}
