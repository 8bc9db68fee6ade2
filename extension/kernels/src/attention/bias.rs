//! What a windowed attention adds to its scores: TinyViT's learned values by distance, or ViT's relative positions.

use super::core::BiasRows;
use super::relative::{RelativePositions, close_row};
use super::tiled::TileWork;
use crate::buffer::AlignedVec;
use crate::gemm::tile::{MAX_MR, PANEL};
use crate::scalar::Scalar;
use crate::simd::Simd;
use std::ops::Range;

/// Sides of windows below this have a table of all pairs of positions: of a few kilobytes, and rows shorter than a
/// vector could not be read where they are. It is the largest vector's length.
const SMALL: usize = 16;

/// What is added to the scores, before softmax.
#[derive(Clone)]
pub enum Bias<E> {
    /// Made by [`Bias::by_distance`].
    Distance(DistanceBias),
    /// ViT's relative positions over one window, the same for all heads.
    Relative(RelativePositions<E>),
}

/// A value for each head and distance (|dy|, |dx|) of two positions.
#[derive(Clone)]
pub struct DistanceBias {
    /// `[heads][rows][pitch]`
    table: AlignedVec<f32>,
    heads: usize,
    window: usize,
    rows: usize,
    pitch: usize,
}

/// A position of a window.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub y: u16,
    pub x: u16,
    /// Counted row by row.
    pub index: u32,
}

impl<E: Scalar> Bias<E> {
    /// TinyViT's biases: `biases` is `[heads][window * window]`, one value per (|dy|, |dx|).
    pub fn by_distance(biases: &[f32], heads: usize, window: usize) -> Self {
        assert!(heads > 0 && window > 0 && biases.len() == heads * window * window, "attention biases");
        // Small windows: a row for each position, rounded up to whole panels. Larger ones: a row for each dy in
        // -(window - 1)..window, whose columns are dx in the same range: the biases of a query against a row of keys
        // are then contiguous, and those against the next row of keys a row of the table further on.
        let (rows, pitch) = if window < SMALL {
            (window * window, (window * window).next_multiple_of(PANEL))
        } else {
            (2 * window - 1, 2 * window)
        };
        // a vector more, which the last row may be read beyond its end
        let mut table = AlignedVec::zeroed(heads * rows * pitch + SMALL);
        for (h, biases) in biases.chunks_exact(window * window).enumerate() {
            // scores are in units of ln 2
            let bias = |dy: usize, dx: usize| biases[dy * window + dx] * std::f32::consts::LOG2_E;
            for (row, line) in table[h * rows * pitch..].chunks_exact_mut(pitch).take(rows).enumerate() {
                if window < SMALL {
                    let (y, x) = (row / window, row % window);
                    for (j, to) in line.iter_mut().enumerate() {
                        let (dy, dx) = (y.abs_diff(j / window), x.abs_diff(j % window));
                        *to = if j < window * window { bias(dy, dx) } else { f32::NEG_INFINITY };
                    }
                } else {
                    for (column, to) in line.iter_mut().take(2 * window - 1).enumerate() {
                        *to = bias(row.abs_diff(window - 1), column.abs_diff(window - 1));
                    }
                }
            }
        }
        Bias::Distance(DistanceBias { table, heads, window, rows, pitch })
    }
}

impl DistanceBias {
    /// Bytes of the table.
    fn bytes(&self) -> usize {
        size_of_val(&*self.table)
    }

    /// Biases of a query against keys from the row `top` of the window on; `head` and `at` are of its sizes.
    #[inline(always)]
    fn at(&self, head: usize, at: Position, top: usize) -> *const f32 {
        let Self { window, rows, pitch, .. } = *self;
        let (row, column) = if window < SMALL {
            (at.index as usize, 0)
        } else {
            (window - 1 - usize::from(at.y) + top, window - 1 - usize::from(at.x))
        };
        self.table.as_ptr().wrapping_add((head * rows + row) * pitch + column)
    }
}

/// The biases of up to `MR` queries against a tile of keys, written out where they do not lie in a table.
pub(super) struct Expansion {
    /// Can be written: MR rows of `columns` values, and 16 values more.
    pub rows: *mut f32,
    /// `columns` of a tile.
    pub columns: usize,
    /// Can be written and read: MR rows of [`Bias::product_columns`] values.
    pub products: *mut f32,
}

impl<E: Scalar> Bias<E> {
    /// Whether it is one of windows of this size.
    pub(super) fn fits(&self, heads: usize, window: usize, d: usize) -> bool {
        match self {
            Bias::Distance(b) => (b.heads, b.window) == (heads, window),
            Bias::Relative(r) => (r.size(), r.d()) == ((window, window), d),
        }
    }

    /// Bytes that the heads of a window read of it.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Bias::Distance(b) => b.bytes(),
            Bias::Relative(_) => 0,
        }
    }

    /// Values of [`Expansion::products`] per query.
    pub(super) fn product_columns(&self) -> usize {
        match self {
            Bias::Distance(_) => 0,
            Bias::Relative(r) => r.product_columns(),
        }
    }

    /// The biases of `rows` queries at `positions` of the window against the rows `keys` of keys; `fresh` where they
    /// are the first keys that these queries meet.
    ///
    /// # Safety
    /// It fits ([`Bias::fits`]) the window, whose heads include `head`, and `d`. There are 1..=`MR` positions, all in the
    /// window, as are the rows `keys`, whose `keys.len() * window` keys are at most `to.columns`. The first `MR` of
    /// `queries` are valid for reading `d` values; those beyond the positions repeat one. The buffers of `to` are valid for
    /// what [`Expansion`] says; where not `fresh`, `to.products` holds what an earlier call left there.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn of<S: Simd>(
        &self,
        s: S,
        work: &mut Option<TileWork<S::Tiles>>,
        head: usize,
        window: usize,
        queries: &[*const E; MAX_MR],
        positions: impl ExactSizeIterator<Item = Position> + Clone,
        keys: Range<usize>,
        fresh: bool,
        to: &Expansion,
    ) -> BiasRows {
        let rows = positions.len();
        let mut biases = BiasRows { rows: [to.rows.cast_const(); MAX_MR], run: usize::MAX, skip: 0 };
        let count = keys.len() * window;
        // SAFETY: rows r < MR of `to` have `columns` values, and one may be followed by a vector of rubbish, which the next
        // row, or the room behind the last one, takes. A row of the table may be read a vector beyond its end.
        unsafe {
            match self {
                Bias::Distance(b) if window < SMALL || window.is_multiple_of(SMALL) => {
                    let mut last = to.rows.cast_const();
                    let mut positions = positions;
                    for row in biases.rows.iter_mut().take(E::height::<S>()) {
                        last = positions.next().map_or(last, |at| b.at(head, at, keys.start));
                        *row = last;
                    }
                    if window >= SMALL {
                        (biases.run, biases.skip) = (window, window);
                    }
                    return biases;
                }
                Bias::Distance(b) => {
                    for (r, at) in positions.enumerate() {
                        let row = to.rows.add(r * to.columns);
                        let from = b.at(head, at, keys.start);
                        for y in 0..keys.len() {
                            for x in (0..window).step_by(S::LANES) {
                                s.store(row.add(y * window + x), s.load(from.add(2 * window * y + x)));
                            }
                        }
                        close_row(row, count, to.columns);
                    }
                }
                Bias::Relative(relative) => {
                    if fresh {
                        relative.products(s, work, queries, rows, to.products);
                    }
                    for (r, at) in positions.enumerate() {
                        let row = to.rows.add(r * to.columns);
                        let products = to.products.add(r * relative.product_columns());
                        relative.expand(s, products, (at.y.into(), at.x.into()), (keys.start, keys.end), row);
                        close_row(row, count, to.columns);
                    }
                }
            }
            for (r, row) in biases.rows.iter_mut().enumerate().take(E::height::<S>()) {
                *row = to.rows.add(r.min(rows - 1) * to.columns);
            }
        }
        biases
    }
}
