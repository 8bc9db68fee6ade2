//! A step of attention whose products are computed on tiles, for 16 queries: the rows of a tile.

use super::core::{State, Step, value_panel_len};
use crate::gemm::tile::{MAX_MR, PANEL};
use crate::gemm::tiled::{Copied, Left, PAIRS, even, load_panel};
use crate::scalar::Scalar;
use crate::simd::Simd;
use crate::simd::tiles::{BYTES, DEPTH, ROWS, Tiles};
use std::mem::MaybeUninit;

/// Tiles of a row that are made ready once for all panels; those of longer rows are made for each.
const READY: usize = 4;

/// The tiles of a thread, and where operands that lie unevenly are put together.
pub(super) struct TileWork<T> {
    tiles: T,
    left: [MaybeUninit<Copied>; READY],
    right: [MaybeUninit<Copied>; 2],
}

impl<T: Tiles> TileWork<T> {
    /// Takes the tiles, if products of `E` are computed on them.
    #[inline(always)]
    pub(super) fn start<S: Simd<Tiles = T>, E: Scalar>() -> Option<Self> {
        E::tiled::<S>().then(|| Self {
            tiles: T::start(),
            left: [const { MaybeUninit::uninit() }; READY],
            right: [const { MaybeUninit::uninit() }; 2],
        })
    }

    #[inline(always)]
    pub(super) fn finish(work: Option<Self>) {
        if let Some(work) = work {
            work.tiles.finish();
        }
    }

    /// Writes the products of 16 rows with `panels` panels of packed columns to `to`, or adds them to what is there.
    ///
    /// # Safety
    /// `E` is bf16. `rows` are valid for reading `depth` values each, `packed` for `panels` panels, `panel_len` apart, of
    /// `depth` rounded up to whole pairs, `to` for reading and writing 16 rows of whole panels, `to_stride` apart.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn product<S: Simd<Tiles = T>, E: Scalar>(
        &mut self,
        s: S,
        rows: &[*const E; MAX_MR],
        depth: usize,
        packed: *const E,
        panel_len: usize,
        panels: usize,
        to: *mut f32,
        to_stride: usize,
        add: bool,
    ) {
        let (stride, steps) = (even(rows), depth.div_ceil(DEPTH));
        let to_bytes = to_stride * size_of::<f32>();
        // SAFETY: k is a multiple of DEPTH below `depth`, so that `length(k)` values and pairs of them follow.
        unsafe {
            let length = |k: usize| (depth - k * DEPTH).min(DEPTH);
            let mut left = [Left::NOWHERE; READY];
            for k in 0..steps.min(READY) {
                left[k] = Left::new(s, rows, stride, k * DEPTH, length(k), &mut self.left[k]);
            }
            if steps == 1 && !add && depth == DEPTH {
                left[0].load::<T, 4>(&mut self.tiles);
                // two panels at a time, so that products of one are computed while the other's tiles are read
                for panel in (0..panels).step_by(2) {
                    let (right, to) = (packed.add(panel * panel_len).cast::<u8>(), to.add(panel * PANEL).cast::<u8>());
                    self.tiles.load::<6>(right, PAIRS);
                    self.tiles.zero::<0>();
                    self.tiles.dot::<0, 4, 6>();
                    self.tiles.load::<7>(right.add(BYTES), PAIRS);
                    self.tiles.zero::<1>();
                    self.tiles.dot::<1, 4, 7>();
                    if panel + 1 < panels {
                        let right = right.add(panel_len * size_of::<E>());
                        self.tiles.load::<5>(right, PAIRS);
                        self.tiles.zero::<2>();
                        self.tiles.dot::<2, 4, 5>();
                        self.tiles.load::<6>(right.add(BYTES), PAIRS);
                        self.tiles.zero::<3>();
                        self.tiles.dot::<3, 4, 6>();
                    }
                    self.tiles.store::<0>(to, to_bytes);
                    self.tiles.store::<1>(to.add(BYTES), to_bytes);
                    if panel + 1 < panels {
                        self.tiles.store::<2>(to.add(2 * BYTES), to_bytes);
                        self.tiles.store::<3>(to.add(3 * BYTES), to_bytes);
                    }
                }
                return;
            }
            for panel in 0..panels {
                let to = to.add(panel * PANEL).cast::<u8>();
                if add {
                    self.tiles.load::<0>(to, to_bytes);
                    self.tiles.load::<1>(to.add(BYTES), to_bytes);
                } else {
                    self.tiles.zero::<0>();
                    self.tiles.zero::<1>();
                }
                let packed = packed.add(panel * panel_len).cast::<u8>();
                for k in 0..steps {
                    if steps > READY {
                        let copy = &mut self.left[k % READY];
                        left[k % READY] = Left::new(s, rows, stride, k * DEPTH, length(k), copy);
                    }
                    let pairs = length(k).div_ceil(2);
                    load_panel::<T, 6, 7>(&mut self.tiles, packed.add(k * ROWS * PAIRS), pairs, &mut self.right);
                    left[k % READY].load::<T, 4>(&mut self.tiles);
                    self.tiles.dot::<0, 4, 6>();
                    self.tiles.dot::<1, 4, 7>();
                }
                self.tiles.store::<0>(to, to_bytes);
                self.tiles.store::<1>(to.add(BYTES), to_bytes);
            }
        }
    }
}

impl<E: Scalar> Step<'_, E> {
    /// Runs the step with the state of its queries; `work` where [`TileWork::start`] gave some.
    ///
    /// # Safety
    /// The fields are what their comments say, those of `BiasRows` included.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(&self, s: S, work: &mut Option<TileWork<S::Tiles>>, state: &mut State) {
        // SAFETY: by contract; there is such work only where products of `E` are computed on tiles.
        unsafe {
            match work {
                Some(work) => self.on_tiles(s, work, state),
                None => self.on_vectors(s, state),
            }
        }
    }

    /// The step on tiles.
    ///
    /// # Safety
    /// As [`Step::run`]; `E` is bf16, and MR is 16.
    #[inline(always)]
    pub(super) unsafe fn on_tiles<S: Simd>(&self, s: S, work: &mut TileWork<S::Tiles>, state: &mut State) {
        let panel = self.d.next_multiple_of(E::STEP) * PANEL;
        let panels = self.keys.div_ceil(PANEL);
        // SAFETY: scores, probabilities and partial outputs have 16 rows of whole panels; packed keys and values are whole
        // panels, and rows beyond those in use hold some numbers, whose products nobody reads.
        unsafe {
            work.product(s, self.queries, self.d, self.kt, panel, panels, self.scores, self.width, false);
            for r in 0..self.rows {
                let top = self.finished_scores(s, r);
                let shrink = self.exponentials(s, state, r, top);
                if !self.first {
                    for c in (0..self.d).step_by(S::LANES) {
                        let p = self.partial.add(r * self.partial_stride + c);
                        s.store(p, s.mul(s.load(p), shrink));
                    }
                }
            }
            let mut probabilities = [std::ptr::null(); MAX_MR];
            for r in 0..ROWS {
                probabilities[r] = self.probabilities.add(r * self.width).cast_const();
            }
            let (panel, panels) = (value_panel_len::<E>(self.keys), self.d.div_ceil(PANEL));
            let (to, stride) = (self.partial, self.partial_stride);
            work.product(
                s,
                &probabilities,
                self.keys.next_multiple_of(DEPTH),
                self.values,
                panel,
                panels,
                to,
                stride,
                !self.first,
            );
            if self.last {
                self.finish(s, state);
            }
        }
    }

    /// Makes the scores of query `r` of the products with its keys; returns the largest of some of them in each lane.
    ///
    /// # Safety
    /// As [`Step::run`]; `r < rows`, and the row of scores holds the products.
    #[inline(always)]
    unsafe fn finished_scores<S: Simd>(&self, s: S, r: usize) -> S::F {
        // SAFETY: a row has whole panels; biases are where `BiasRows` has them, a vector at a time.
        unsafe {
            let (row, biases, scale) = (self.scores.add(r * self.width), self.bias.rows[r], s.splat(self.scale));
            let (mut bias, mut left) = (0, self.bias.run);
            let mut tops = [s.splat(f32::NEG_INFINITY); 2];
            if self.bias.run > self.keys {
                for c in (0..self.keys).step_by(PANEL) {
                    for v in 0..2 {
                        let at = c + v * S::LANES;
                        let score = s.fma(s.load(row.add(at)), scale, s.load(biases.add(at)));
                        s.store(row.add(at), score);
                        tops[v] = s.max(tops[v], score);
                    }
                }
                return s.max(tops[0], tops[1]);
            }
            for c in (0..self.keys).step_by(S::LANES) {
                let score = s.fma(s.load(row.add(c)), scale, s.load(biases.add(bias)));
                s.store(row.add(c), score);
                let top = &mut tops[c / S::LANES % 2];
                *top = s.max(*top, score);
                (bias, left) = (bias + S::LANES, left - S::LANES);
                if left == 0 {
                    (bias, left) = (bias + self.bias.skip, self.bias.run);
                }
            }
            // a run of biases ends with the keys
            for c in (self.keys.next_multiple_of(S::LANES)..self.keys.next_multiple_of(PANEL)).step_by(S::LANES) {
                s.store(row.add(c), s.splat(f32::NEG_INFINITY));
            }
            s.max(tops[0], tops[1])
        }
    }
}
