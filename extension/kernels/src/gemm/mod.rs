//! `C[rows, N] = A[rows, K] * W[N, K]^T`, W packed at load, with a fused epilogue.
//!
//! Every output is the bias plus the products in ascending order of k, one after the other (pairs of k for bf16), so
//! its bits do not depend on the range of rows it is computed in. Error against exact arithmetic on the same (rounded)
//! operands: at most `(K + 1) * 2^-24 * (|bias| + sum |a w|)` before the epilogue (`1.5 (K + 1)` without FMA, `K + 2` for
//! bf16 on ARM, whose instructions round to odd).

mod block;
mod epilogue;
mod pack;
mod source;
pub(crate) mod tile;
pub(crate) mod tiled;

pub use epilogue::{Act, Epilogue, Out, Residual};
pub use pack::Packed;
pub use source::{Conv3x3, Mat, MatMut, Patches, Rows, Source};

use crate::Isa;
use crate::scalar::{Scalar, compile_for_scalars, tile_rows};
use crate::simd::{Kernel, Simd};
pub use block::Block;
use block::GROUPS;
use epilogue::Finish;
use std::ops::Range;
use tile::{Acc, MAX_MR, PANEL};

/// Bytes of A that are multiplied by one panel after the other: with a panel they stay in the second-level cache.
const BLOCK_BYTES: usize = 384 << 10;

/// Computes rows `rows` of `a` times `w`, applies `epilogue` and stores into `out`, whose first row is `rows.start`'s.
///
/// Rows of A whose stride is a multiple of 4096 bytes all fall into the same lines of the first-level cache and cost a
/// quarter of the speed: see [`good_stride`]. Panics where the shapes do not fit.
///
/// ```
/// use sam_kernels::{Epilogue, Isa, Out, Packed, Rows, gemm};
///
/// // Two rows of three values, and a layer of two outputs with a bias.
/// let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let layer = Packed::<f32>::linear(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], 2, 3, Some(&[0.5, -20.0]));
/// let mut c = [0.0; 4];
/// gemm(Isa::get()?, &Rows::dense(&a, 3), 0..2, &layer, &Epilogue::RELU, Out::f32(&mut c, 2));
/// assert_eq!(c, [1.5, 0.0, 4.5, 0.0]);
/// # Ok::<(), sam_kernels::IsaError>(())
/// ```
pub fn gemm<E: GemmElem, A: Source<E>>(
    isa: Isa,
    a: &A,
    rows: Range<usize>,
    w: &Packed<E>,
    epilogue: &Epilogue<'_>,
    mut out: Out<'_>,
) {
    assert_eq!((a.segments(), a.segment()), (w.segments, w.segment), "K of the operands: segments, length");
    assert!(rows.start <= rows.end && rows.end <= a.rows(), "rows {rows:?} of {}", a.rows());
    let finish = Finish::new(epilogue, &mut out, rows.len(), w.n);
    let (mr, segments) = (tile_rows::<E>(isa), w.segments);
    let tiles = (BLOCK_BYTES / (mr * w.k() * size_of::<E>())).clamp(1, GROUPS / segments);
    let mut pointers = [[std::ptr::null(); MAX_MR]; GROUPS];
    let mut start = rows.start;
    while start < rows.end {
        let end = rows.end.min(start + tiles * mr);
        for (t, first) in (start..end).step_by(mr).enumerate() {
            for r in 0..mr {
                // a short last tile repeats its last row
                a.segment_pointers((first + r).min(end - 1), |g, p| pointers[t * segments + g][r] = p);
            }
        }
        let (first, count) = (start - rows.start, end - start);
        E::multiply(isa, Block { pointers: &pointers, first, rows: count, w, finish: &finish, ahead: a.ahead(mr) });
        start = end;
    }
}

/// The stride, in elements, to give rows of `k` elements that are to be multiplied.
pub fn good_stride<E: Scalar>(k: usize) -> usize {
    if (k * size_of::<E>()).is_multiple_of(4096) { k + 64 / size_of::<E>() } else { k }
}

/// An element type that matrices can have. Its method is not generic, so that the kernel is compiled here, once.
pub trait GemmElem: Scalar {
    fn multiply(isa: Isa, block: Block<'_, Self>);
}

compile_for_scalars!(GemmElem::multiply(Block<'_, Self>), run_tiled);

impl<E: Scalar> Kernel for Block<'_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if E::tiled::<S>() {
            return tiled::multiply(s, &self);
        }
        let tiles = self.rows.div_ceil(S::MR);
        let columns = self.w.n.div_ceil(2 * S::LANES);
        if self.resident() {
            for i in 0..tiles * columns {
                self.tile(s, i / columns, i % columns);
            }
        } else {
            for i in 0..tiles * columns {
                self.tile(s, i % tiles, i / tiles);
            }
        }
    }
}

impl<E: Scalar> Block<'_, E> {
    #[inline(always)]
    fn tile<S: Simd>(&self, s: S, t: usize, column: usize) {
        let (w, first, col) = (self.w, t * S::MR, column * 2 * S::LANES);
        let tile = Tile {
            group: &self.pointers[t * w.segments..][..w.segments],
            len: w.segment,
            // SAFETY: the offset is that of a column in an existing panel.
            panel: unsafe { w.panels.as_ptr().add(col / PANEL * w.panel_len + col % PANEL * E::STEP) },
            bias: &w.bias[col..],
            finish: self.finish,
            col,
            cols: w.n - col,
            ahead: if col == 0 { self.ahead } else { 0 },
        };
        // SAFETY: pointers by the contract of `Source`, panel and bias by that of `Packed`, outputs checked by
        // `Finish::new`.
        unsafe { tile.dispatch(s, self.first + first, (self.rows - first).min(S::MR)) };
    }
}

struct Tile<'a, E> {
    group: &'a [[*const E; MAX_MR]],
    len: usize,
    panel: *const E,
    bias: &'a [f32],
    finish: &'a Finish,
    col: usize,
    cols: usize,
    /// Distance to the next tile's rows, to be asked for; 0 for none.
    ahead: usize,
}

impl<E: Scalar> Tile<'_, E> {
    /// Picks the smallest compiled tile height for `rows`; the sums are the same in each.
    ///
    /// # Safety
    /// `rows` is 1..=`S::MR`. The first `S::MR` pointers of each entry of `group` are valid for reading `len` elements.
    /// `panel` and `bias` are those of a packed weight from column `col` on, a multiple of `2 * LANES`, with `cols` more.
    /// Rows `row..row + rows` are among those that `finish` was made for, as are all columns.
    #[inline(always)]
    unsafe fn dispatch<S: Simd>(&self, s: S, row: usize, rows: usize) {
        // SAFETY: the height picked is at least `rows` and at most `S::MR`, to which tiles of other heights are not compiled.
        unsafe {
            if self.cols <= S::LANES {
                match rows {
                    7..=12 => self.run::<S, 12, 1>(s, row, rows),
                    5..=6 => self.run::<S, 6, 1>(s, row, rows),
                    2..=4 => self.run::<S, 4, 1>(s, row, rows),
                    _ => self.run::<S, 1, 1>(s, row, rows),
                }
            } else {
                match rows {
                    9..=12 => self.run::<S, 12, 2>(s, row, rows),
                    7..=8 => self.run::<S, 8, 2>(s, row, rows),
                    5..=6 => self.run::<S, 6, 2>(s, row, rows),
                    2..=4 => self.run::<S, 4, 2>(s, row, rows),
                    _ => self.run::<S, 1, 2>(s, row, rows),
                }
            }
        }
    }

    /// The tile by `MR` >= `rows` rows and `NV` vectors of columns.
    ///
    /// # Safety
    /// As [`Tile::dispatch`].
    #[inline(always)]
    unsafe fn run<S: Simd, const MR: usize, const NV: usize>(&self, s: S, row: usize, rows: usize) {
        if MR > S::MR {
            return; // never called; keeps the compiler from generating it
        }
        // SAFETY: bias and weights are padded to whole panels, so that `NV` vectors of columns exist; MR <= S::MR rows do.
        unsafe {
            if !self.finish.near {
                self.finish.prefetch(s, row, rows, self.col);
            }
            let mut bias = [s.load(self.bias.as_ptr()); NV];
            for v in 1..NV {
                bias[v] = s.load(self.bias.as_ptr().add(v * S::LANES));
            }
            let mut acc: Acc<S, MR, NV> = [bias; MR];
            let (group, len, panel) = (self.group, self.len, self.panel);
            if MR == S::MR && NV == 2 && self.ahead > 0 {
                tile::accumulate::<S, E, MR, NV, true>(s, &mut acc, group, len, panel, self.ahead);
            } else {
                tile::accumulate::<S, E, MR, NV, false>(s, &mut acc, group, len, panel, 0);
            }
            self.finish.store(s, acc, row, rows, self.col, self.cols);
        }
    }
}
