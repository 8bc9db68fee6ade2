//! ViT's decomposed relative positions: bias(query, key) = q . Rh[qy - ky] + q . Rw[qx - kx], q unscaled.

use super::tiled::TileWork;
use crate::gemm::Packed;
use crate::gemm::tile::{Acc, MAX_MR, PANEL, accumulate, zeros};
use crate::scalar::Scalar;
use crate::simd::Simd;

/// Scores are in units of ln 2.
const UNIT: f32 = std::f32::consts::LOG2_E;

/// Both tables of a block, packed for the product with the queries.
#[derive(Clone)]
pub struct RelativePositions<E> {
    /// `[height rows reversed; width rows reversed]` times d: the biases of a query are then contiguous.
    table: Packed<E>,
    height: usize,
    width: usize,
}

impl<E: Scalar> RelativePositions<E> {
    /// `rel_h` is `[2 * height - 1][d]` and `rel_w` is `[2 * width - 1][d]`, already interpolated to the grid (or window)
    /// of `height` x `width` tokens.
    pub fn new(rel_h: &[f32], rel_w: &[f32], height: usize, width: usize, d: usize) -> Self {
        assert!(height > 0 && width > 0 && d > 0);
        assert_eq!(rel_h.len(), (2 * height - 1) * d, "vertical relative positions");
        assert_eq!(rel_w.len(), (2 * width - 1) * d, "horizontal relative positions");
        let mut rows = Vec::with_capacity(rel_h.len() + rel_w.len());
        rel_h.chunks_exact(d).rev().for_each(|r| rows.extend_from_slice(r));
        rel_w.chunks_exact(d).rev().for_each(|r| rows.extend_from_slice(r));
        Self { table: Packed::linear(&rows, 2 * (height + width) - 2, d, None), height, width }
    }

    /// Height and width of the grid.
    pub fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    pub(super) fn d(&self) -> usize {
        self.table.k()
    }

    /// Columns of the buffer that `products` fills, per query.
    pub(super) fn product_columns(&self) -> usize {
        self.table.n().next_multiple_of(PANEL)
    }

    /// Products of `rows` queries with the tables into `to`, `product_columns` apart.
    ///
    /// # Safety
    /// `rows` is 1..=MR (`Scalar::height`). The first MR entries of `queries` are valid for reading `d` values, those beyond
    /// `rows` because they repeat one. `to` is valid for reading and writing MR rows of `product_columns` values.
    #[inline(always)]
    pub(super) unsafe fn products<S: Simd>(
        &self,
        s: S,
        work: &mut Option<TileWork<S::Tiles>>,
        queries: &[*const E; MAX_MR],
        rows: usize,
        to: *mut f32,
    ) {
        // SAFETY: the height picked is at least `rows` and at most `S::MR`, to which tiles of other heights are not compiled.
        // There is work on tiles only where products of `E` are computed so.
        unsafe {
            if let Some(work) = work {
                let (table, columns) = (&self.table, self.product_columns());
                let (packed, panels) = (table.panels.as_ptr(), columns / PANEL);
                work.product(s, queries, self.d(), packed, table.panel_len, panels, to, columns, false);
                for i in (0..rows * columns).step_by(S::LANES) {
                    s.store(to.add(i), s.mul(s.load(to.add(i)), s.splat(UNIT)));
                }
                return;
            }
            match rows {
                7..=12 => self.tile::<S, 12>(s, queries, rows, to),
                5..=6 => self.tile::<S, 6>(s, queries, rows, to),
                2..=4 => self.tile::<S, 4>(s, queries, rows, to),
                _ => self.tile::<S, 1>(s, queries, rows, to),
            }
        }
    }

    /// The products by a tile of `MR` >= `rows` rows.
    ///
    /// # Safety
    /// As [`RelativePositions::products`].
    #[inline(always)]
    unsafe fn tile<S: Simd, const MR: usize>(&self, s: S, queries: &[*const E; MAX_MR], rows: usize, to: *mut f32) {
        if MR > S::MR {
            return; // never called; keeps the compiler from generating it
        }
        let columns = self.product_columns();
        let unit = s.splat(UNIT);
        // SAFETY: MR <= S::MR queries have d values. Columns are padded to whole panels, in the table and in `to`, so that
        // two vectors from `col` on exist in both.
        unsafe {
            for col in (0..self.table.n()).step_by(2 * S::LANES) {
                let panel = self.table.panels.as_ptr();
                let panel = panel.add(col / PANEL * self.table.panel_len + col % PANEL * E::STEP);
                let mut acc: Acc<S, MR, 2> = zeros::<S, MR, 2>(s);
                accumulate::<S, E, MR, 2, false>(s, &mut acc, std::slice::from_ref(queries), self.d(), panel, 0);
                for r in 0..MR {
                    if r >= rows {
                        continue;
                    }
                    for v in 0..2 {
                        s.store(to.add(r * columns + col + v * S::LANES), s.mul(acc[r][v], unit));
                    }
                }
            }
        }
    }

    /// Writes the biases of the query at (`y`, `x`) against the keys of grid rows `from..to` to `bias`, from the
    /// query's `products`; may write up to a vector more.
    ///
    /// # Safety
    /// `y < height`, `x < width` and `from <= to <= height`. `products` is valid for reading `product_columns` values,
    /// `bias` for writing `(to - from) * width` and a vector more.
    #[inline(always)]
    pub(super) unsafe fn expand<S: Simd>(
        &self,
        s: S,
        products: *const f32,
        (y, x): (usize, usize),
        (from, to): (usize, usize),
        bias: *mut f32,
    ) {
        // SAFETY: the vertical products of the query are `height` values, the horizontal ones `width`, and both lie within the
        // table's columns; a vector that is stored begins in a key's place.
        unsafe {
            let vertical = products.add(self.height - 1 - y);
            let horizontal = products.add(2 * self.height - 1 + self.width - 1 - x);
            for ky in from..to {
                let h = s.splat(*vertical.add(ky));
                let line = bias.add((ky - from) * self.width);
                let mut c = 0;
                while c + S::LANES <= self.width {
                    s.store(line.add(c), s.add(s.load(horizontal.add(c)), h));
                    c += S::LANES;
                }
                if c < self.width {
                    s.store(line.add(c), s.add(s.load_n(horizontal.add(c), self.width - c), h));
                }
            }
        }
    }
}

/// Sets columns `keys..` of a bias row of `width` columns to minus infinity.
///
/// # Safety
/// `bias` is valid for writing `width` values.
#[inline(always)]
pub(super) unsafe fn close_row(bias: *mut f32, keys: usize, width: usize) {
    for c in keys..width {
        // SAFETY: c < width.
        unsafe { *bias.add(c) = f32::NEG_INFINITY };
    }
}
