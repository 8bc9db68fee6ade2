//! Products of bf16 on tiles: 32 rows of A times a panel of 32 columns of W at a time, in four tiles of sums.
//!
//! Sums leave their tiles by way of a block in the first-level cache, where the epilogue finds them. The epilogue of a block is
//! computed between the products of the next one, a few rows after each of its steps, so that vector units and tiles
//! work at the same time.

use super::block::{Block, GROUPS};
use super::tile::{Acc, MAX_MR, PANEL};
use crate::scalar::Scalar;
use crate::simd::Simd;
use crate::simd::tiles::{BYTES, DEPTH, ROWS, Tiles};

/// Bytes from a row of a tile of packed weights to the next: a panel's pairs.
pub(crate) const PAIRS: usize = 2 * PANEL * size_of::<u16>();
/// Rows of a block.
const HEIGHT: usize = 2 * ROWS;
/// Rows to which the epilogue is applied at a time.
const FINISHED: usize = 4;

/// 16 rows of 64 bytes.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Copied([u8; ROWS * BYTES]);

impl Copied {
    pub(crate) const ZERO: Self = Self([0; ROWS * BYTES]);

    /// Copies `depth` values from each of the pointers, with zeros behind them.
    ///
    /// # Safety
    /// `E` is bf16, `depth <= DEPTH`, and each of the pointers valid for reading `depth` values.
    #[inline(always)]
    unsafe fn rows<S: Simd, E: Scalar>(&mut self, s: S, from: &[*const E; ROWS], depth: usize) -> *const u8 {
        let to = self.0.as_mut_ptr();
        for (r, from) in from.iter().enumerate() {
            // SAFETY: row r of the tile; no more than `depth` values are read.
            unsafe {
                let to = to.add(r * BYTES);
                if depth == DEPTH {
                    std::ptr::copy_nonoverlapping(from.cast::<u8>(), to, BYTES);
                    continue;
                }
                for first in (0..DEPTH).step_by(S::LANES) {
                    let n = depth.saturating_sub(first).min(S::LANES);
                    E::store(s, to.cast::<E>().add(first), E::load_n(s, from.wrapping_add(first), n));
                }
            }
        }
        to
    }

    /// Copies `pairs` rows of packed weights, with zeros behind them.
    ///
    /// # Safety
    /// `pairs <= ROWS`, and so many rows of 64 bytes, [`PAIRS`] apart, are valid for reading.
    #[inline(always)]
    unsafe fn pairs(&mut self, from: *const u8, pairs: usize) -> *const u8 {
        self.0[pairs * BYTES..].fill(0);
        for r in 0..pairs {
            // SAFETY: by contract, and row r of the tile.
            unsafe { std::ptr::copy_nonoverlapping(from.add(r * PAIRS), self.0.as_mut_ptr().add(r * BYTES), BYTES) };
        }
        self.0.as_ptr()
    }
}

/// Where a tile of A can be read: its first row, and the bytes from a row to the next.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    from: *const u8,
    stride: usize,
}

impl Left {
    /// Of no tile.
    pub(crate) const NOWHERE: Self = Self { from: std::ptr::null(), stride: 0 };

    /// The `depth` values from `k` on of each row: where they are, if they lie evenly and are a tile's depth, or copied.
    ///
    /// # Safety
    /// `E` is bf16, `depth <= DEPTH`, and each of `rows` valid for reading `k + depth` values.
    #[inline(always)]
    pub(crate) unsafe fn new<S: Simd, E: Scalar>(
        s: S,
        rows: &[*const E; MAX_MR],
        stride: Option<usize>,
        k: usize,
        depth: usize,
        copy: &mut Copied,
    ) -> Self {
        match stride {
            Some(stride) if depth == DEPTH => Self { from: rows[0].wrapping_add(k).cast(), stride },
            _ => {
                let rows: &[*const E; ROWS] = rows.first_chunk().expect("MAX_MR is a tile's rows");
                // SAFETY: by contract.
                let from = unsafe { copy.rows(s, &rows.map(|row| row.wrapping_add(k)), depth) };
                Self { from, stride: BYTES }
            }
        }
    }

    /// # Safety
    /// As for [`Left::new`], whose copy still holds it.
    #[inline(always)]
    pub(crate) unsafe fn load<T: Tiles, const TILE: usize>(self, tiles: &mut T) {
        // SAFETY: by contract.
        unsafe { tiles.load::<TILE>(self.from, self.stride) };
    }
}

/// The bytes from one row to the next, if that is the same for all.
#[inline(always)]
pub(crate) fn even<E>(rows: &[*const E; MAX_MR]) -> Option<usize> {
    let stride = (rows[1] as usize).wrapping_sub(rows[0] as usize);
    let mut same = true;
    for r in 1..ROWS {
        same &= (rows[r] as usize).wrapping_sub(rows[r - 1] as usize) == stride;
    }
    same.then_some(stride)
}

/// Loads the two tiles of a panel, whose first `pairs` rows are `panel`'s and the others zero.
///
/// # Safety
/// `pairs` is 1..=`ROWS`, and `panel` valid for reading so many rows of [`PAIRS`] bytes.
#[inline(always)]
pub(crate) unsafe fn load_panel<T: Tiles, const FIRST: usize, const SECOND: usize>(
    tiles: &mut T,
    panel: *const u8,
    pairs: usize,
    copies: &mut [Copied; 2],
) {
    // SAFETY: by contract.
    unsafe {
        if pairs == ROWS {
            tiles.load::<FIRST>(panel, PAIRS);
            tiles.load::<SECOND>(panel.add(BYTES), PAIRS);
        } else {
            tiles.load::<FIRST>(copies[0].pairs(panel, pairs), BYTES);
            tiles.load::<SECOND>(copies[1].pairs(panel.add(BYTES), pairs), BYTES);
        }
    }
}

/// The sums of a block, row by row.
#[repr(C, align(64))]
struct Sums([f32; HEIGHT * PANEL]);

/// A block of the output: its sums are, or will be, in one of two buffers.
#[derive(Clone, Copy)]
struct Place {
    row: usize,
    rows: usize,
    col: usize,
}

/// Computes all of `block`.
#[inline(always)]
pub(super) fn multiply<S: Simd, E: Scalar>(s: S, block: &Block<'_, E>) {
    assert!(E::tiled::<S>() && 2 * S::LANES == PANEL);
    let mut work = Work {
        block,
        tiles: S::Tiles::start(),
        sums: [const { Sums([0.0; HEIGHT * PANEL]) }; 2],
        left: [Copied::ZERO; 2],
        right: [Copied::ZERO; 2],
    };
    let (heights, columns) = (block.rows.div_ceil(HEIGHT), block.w.n.div_ceil(PANEL));
    let mut before = Place { row: 0, rows: 0, col: 0 };
    for i in 0..heights * columns {
        let (height, column) = if block.resident() { (i / columns, i % columns) } else { (i % heights, i / heights) };
        let (row, col) = (height * HEIGHT, column * PANEL);
        let place = Place { row, rows: (block.rows - row).min(HEIGHT), col };
        // SAFETY: a place of the block; the sums of the place before are in the other buffer.
        unsafe {
            if place.rows > ROWS {
                work.compute::<S, 2>(s, place, before, i % 2);
            } else {
                work.compute::<S, 1>(s, place, before, i % 2);
            }
        }
        before = place;
    }
    // SAFETY: the sums of the last place are in its buffer.
    unsafe { work.finish(s, before, (heights * columns + 1) % 2, 0, before.rows) };
    work.tiles.finish();
}

struct Work<'a, 'b, T, E> {
    block: &'a Block<'b, E>,
    tiles: T,
    sums: [Sums; 2],
    left: [Copied; 2],
    right: [Copied; 2],
}

impl<T: Tiles, E: Scalar> Work<'_, '_, T, E> {
    /// The sums of `place`, in `H` tiles of rows, into buffer `to`; meanwhile the epilogue of the place before, whose sums
    /// are in the other.
    ///
    /// # Safety
    /// `E` is bf16; both places are of the block, `place` with at most `H * ROWS` rows, `before` with as many as it says,
    /// which may be none.
    #[inline(always)]
    unsafe fn compute<S: Simd, const H: usize>(&mut self, s: S, place: Place, before: Place, to: usize) {
        let block = self.block;
        let (w, len) = (block.w, block.w.segment);
        let steps = w.segments * len.div_ceil(DEPTH);
        let at_a_time = before.rows.div_ceil(steps).next_multiple_of(FINISHED);
        let mut finished = 0;
        block.finish.prefetch(s, block.first + place.row, place.rows, place.col);
        // SAFETY: panels and bias are padded to whole panels; pointers are valid by the contract of `Source`, and there
        // are as many groups of them as rows in tiles.
        unsafe {
            let bias = w.bias.as_ptr().add(place.col).cast::<u8>();
            self.tiles.load::<0>(bias, 0);
            self.tiles.load::<1>(bias.add(BYTES), 0);
            if H == 2 {
                self.tiles.load::<2>(bias, 0);
                self.tiles.load::<3>(bias.add(BYTES), 0);
            }
            let mut panel = w.panels.as_ptr().add(place.col / PANEL * w.panel_len).cast::<u8>();
            for segment in 0..w.segments {
                let group = place.row / ROWS * w.segments + segment;
                debug_assert!(group + (H - 1) * w.segments < GROUPS);
                let top = &block.pointers[group];
                let bottom = &block.pointers[group + (H - 1) * w.segments];
                let strides = [even(top), even(bottom)];
                for k in (0..len).step_by(DEPTH) {
                    let depth = (len - k).min(DEPTH);
                    let pairs = depth.div_ceil(2);
                    load_panel::<T, 6, 7>(&mut self.tiles, panel, pairs, &mut self.right);
                    panel = panel.add(pairs * PAIRS);
                    Left::new(s, top, strides[0], k, depth, &mut self.left[0]).load::<T, 4>(&mut self.tiles);
                    self.tiles.dot::<0, 4, 6>();
                    self.tiles.dot::<1, 4, 7>();
                    if H == 2 {
                        Left::new(s, bottom, strides[1], k, depth, &mut self.left[1]).load::<T, 5>(&mut self.tiles);
                        self.tiles.dot::<2, 5, 6>();
                        self.tiles.dot::<3, 5, 7>();
                    }
                    let end = before.rows.min(finished + at_a_time);
                    self.finish(s, before, 1 - to, finished, end);
                    finished = end;
                }
            }
            let (sums, stride) = (self.sums[to].0.as_mut_ptr().cast::<u8>(), PANEL * size_of::<f32>());
            self.tiles.store::<0>(sums, stride);
            self.tiles.store::<1>(sums.add(BYTES), stride);
            if H == 2 {
                let sums = sums.add(ROWS * stride);
                self.tiles.store::<2>(sums, stride);
                self.tiles.store::<3>(sums.add(BYTES), stride);
            }
        }
    }

    /// Applies the epilogue to rows `from..to` of a place whose sums are in buffer `at`.
    ///
    /// # Safety
    /// The place is one of the block, which has rows up to `to`; `from` is a multiple of `FINISHED`.
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, s: S, place: Place, at: usize, from: usize, to: usize) {
        let (finish, w) = (self.block.finish, self.block.w);
        for first in (from..to).step_by(FINISHED) {
            // SAFETY: the buffer has `HEIGHT` rows, a multiple of `FINISHED`; rows and columns are the output's.
            unsafe {
                let mut acc: Acc<S, FINISHED, 2> = [[s.splat(0.0); 2]; FINISHED];
                for r in 0..FINISHED {
                    for v in 0..2 {
                        acc[r][v] = s.load(self.sums[at].0.as_ptr().add((first + r) * PANEL + v * S::LANES));
                    }
                }
                let row = self.block.first + place.row + first;
                finish.store::<S, FINISHED, 2>(s, acc, row, (to - first).min(FINISHED), place.col, w.n - place.col);
            }
        }
    }
}
