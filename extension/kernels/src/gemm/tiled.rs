//! Products of bf16 on tiles: 32 rows of A times a panel of 32 columns of W at a time, in four tiles of sums.
//!
//! Sums leave their tiles by way of a block in the first-level cache, where the epilogue finds them. The epilogue of a block is
//! computed between the products of the next one, a few rows after each of its steps, so that vector units and tiles
//! work at the same time.

use super::block::{Block, GROUPS};
use super::epilogue::Act;
use super::tile::{Acc, MAX_MR, PANEL};
use crate::scalar::Scalar;
use crate::simd::Simd;
use crate::simd::tiles::{BYTES, DEPTH, ROWS, Tiles};
use std::mem::MaybeUninit;

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
    /// Copies `depth` values from each of the pointers, with zeros behind them.
    ///
    /// # Safety
    /// `E` is bf16, `depth <= DEPTH`, and each of the pointers valid for reading `depth` values.
    #[inline(always)]
    unsafe fn rows<S: Simd, E: Scalar>(
        copy: &mut MaybeUninit<Self>,
        s: S,
        from: &[*const E; ROWS],
        depth: usize,
    ) -> *const u8 {
        let to = copy.as_mut_ptr().cast::<u8>();
        for (r, from) in from.iter().enumerate() {
            // SAFETY: row r of the tile; no more than `depth` values are read.
            unsafe {
                let to = to.add(r * BYTES);
                if depth == DEPTH {
                    std::ptr::copy_nonoverlapping(from.cast::<u8>(), to, BYTES);
                    continue;
                }
                s.copy_some(from.cast::<u16>(), to.cast::<u16>(), depth);
            }
        }
        to
    }

    /// Copies `pairs` rows of packed weights, with zeros behind them.
    ///
    /// # Safety
    /// `pairs <= ROWS`, and so many rows of 64 bytes, [`PAIRS`] apart, are valid for reading.
    #[inline(always)]
    unsafe fn pairs(copy: &mut MaybeUninit<Self>, from: *const u8, pairs: usize) -> *const u8 {
        let to = copy.as_mut_ptr().cast::<u8>();
        // SAFETY: by contract; all rows are of the tile.
        unsafe {
            for r in 0..pairs {
                std::ptr::copy_nonoverlapping(from.add(r * PAIRS), to.add(r * BYTES), BYTES);
            }
            for r in pairs..ROWS {
                to.add(r * BYTES).write_bytes(0, BYTES);
            }
        }
        to
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
        copy: &mut MaybeUninit<Copied>,
    ) -> Self {
        match stride {
            Some(stride) if depth == DEPTH => Self { from: rows[0].wrapping_add(k).cast(), stride },
            _ => {
                let rows: &[*const E; ROWS] = rows.first_chunk().expect("MAX_MR is a tile's rows");
                // SAFETY: by contract.
                let from = unsafe { Copied::rows(copy, s, &rows.map(|row| row.wrapping_add(k)), depth) };
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
    copies: &mut [MaybeUninit<Copied>; 2],
) {
    // SAFETY: by contract.
    unsafe {
        if pairs == ROWS {
            tiles.load::<FIRST>(panel, PAIRS);
            tiles.load::<SECOND>(panel.add(BYTES), PAIRS);
        } else {
            tiles.load::<FIRST>(Copied::pairs(&mut copies[0], panel, pairs), BYTES);
            tiles.load::<SECOND>(Copied::pairs(&mut copies[1], panel.add(BYTES), pairs), BYTES);
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

/// The block whose epilogue is computed between the products of the next one.
struct Pending {
    place: Place,
    /// The buffer of its sums.
    at: usize,
    /// Rows that are finished.
    done: usize,
    /// Rows to finish at a time, a multiple of [`FINISHED`].
    each: usize,
}

/// Epilogues that are compiled by themselves: of outputs of whole panels in bf16 alone.
const ROUNDED: u8 = 0;
/// As [`ROUNDED`], after a GELU.
const GELU: u8 = 1;
/// Of outputs of whole panels in f32 alone, added to what is there.
const ADDED: u8 = 2;
/// All others.
const OTHER: u8 = 3;

/// Computes all of `block`.
#[inline(always)]
pub(super) fn multiply<S: Simd, E: Scalar>(s: S, block: &Block<'_, E>) {
    let finish = block.finish;
    let simple = block.w.n.is_multiple_of(PANEL) && finish.act_after == Act::None;
    let rounded = simple && finish.f32.is_null() && finish.residual.is_null();
    let added = simple && finish.bf16.is_null() && finish.residual == finish.f32;
    match finish.act {
        Act::None if rounded => all::<S, E, ROUNDED>(s, block),
        Act::Gelu if rounded => all::<S, E, GELU>(s, block),
        Act::None if added => all::<S, E, ADDED>(s, block),
        _ => all::<S, E, OTHER>(s, block),
    }
}

/// Computes all of a block whose epilogue is of the kind.
#[inline(always)]
fn all<S: Simd, E: Scalar, const KIND: u8>(s: S, block: &Block<'_, E>) {
    assert!(E::tiled::<S>() && 2 * S::LANES == PANEL);
    let mut work = Work {
        block,
        tiles: S::Tiles::start(),
        strides: [None; GROUPS],
        sums: [const { MaybeUninit::uninit() }; 2],
        left: [const { MaybeUninit::uninit() }; 2],
        right: [const { MaybeUninit::uninit() }; 2],
    };
    for (group, rows) in block.pointers[..block.rows.div_ceil(ROWS) * block.w.segments].iter().enumerate() {
        work.strides[group] = even(rows);
    }
    let (heights, columns) = (block.rows.div_ceil(HEIGHT), block.w.n.div_ceil(PANEL));
    let steps = block.w.segments * block.w.segment.div_ceil(DEPTH);
    let each = HEIGHT.div_ceil(steps).next_multiple_of(FINISHED);
    let mut pending = Pending { place: Place { row: 0, rows: 0, col: 0 }, at: 1, done: 0, each };
    let resident = block.resident();
    let (outer, inner) = if resident { (heights, columns) } else { (columns, heights) };
    for i in 0..outer {
        for j in 0..inner {
            let (height, column) = if resident { (i, j) } else { (j, i) };
            let (row, col, to) = (height * HEIGHT, column * PANEL, 1 - pending.at);
            let place = Place { row, rows: (block.rows - row).min(HEIGHT), col };
            // SAFETY: a place of the block; the sums of the pending one are in the other buffer.
            unsafe {
                if place.rows > ROWS {
                    work.compute::<S, 2, KIND>(s, place, &mut pending, to);
                } else {
                    work.compute::<S, 1, KIND>(s, place, &mut pending, to);
                }
                work.finish::<S, KIND>(s, &mut pending, HEIGHT);
            }
            pending = Pending { place, at: to, done: 0, each };
        }
    }
    // SAFETY: the sums of the last place are in its buffer.
    unsafe { work.finish::<S, KIND>(s, &mut pending, HEIGHT) };
    work.tiles.finish();
}

struct Work<'a, 'b, T, E> {
    block: &'a Block<'b, E>,
    tiles: T,
    /// Of the rows of each group, where they lie evenly.
    strides: [Option<usize>; GROUPS],
    sums: [MaybeUninit<Sums>; 2],
    left: [MaybeUninit<Copied>; 2],
    right: [MaybeUninit<Copied>; 2],
}

impl<T: Tiles, E: Scalar> Work<'_, '_, T, E> {
    /// The sums of `place`, in `H` tiles of rows, into buffer `to`; meanwhile some of the epilogue that is pending, whose
    /// sums are in the other.
    ///
    /// # Safety
    /// `E` is bf16; both places are of the block, `place` with at most `H * ROWS` rows, the pending one with as many as it
    /// says, which may be none.
    #[inline(always)]
    unsafe fn compute<S: Simd, const H: usize, const KIND: u8>(
        &mut self,
        s: S,
        place: Place,
        pending: &mut Pending,
        to: usize,
    ) {
        let block = self.block;
        let (w, len) = (block.w, block.w.segment);
        if !block.finish.near {
            block.finish.prefetch(s, block.first + place.row, place.rows, place.col);
        }
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
                let groups = [group, group + (H - 1) * w.segments];
                let ([top, bottom], strides) = (groups.map(|i| &block.pointers[i]), groups.map(|i| self.strides[i]));
                if let ([Some(upper), Some(lower)], true) = (strides, len.is_multiple_of(DEPTH)) {
                    let (mut top, mut bottom) = (top[0].cast::<u8>(), bottom[0].cast::<u8>());
                    for _ in 0..len / DEPTH {
                        self.tiles.load::<6>(panel, PAIRS);
                        self.tiles.load::<7>(panel.add(BYTES), PAIRS);
                        self.tiles.load::<4>(top, upper);
                        self.tiles.dot::<0, 4, 6>();
                        self.tiles.dot::<1, 4, 7>();
                        if H == 2 {
                            self.tiles.load::<5>(bottom, lower);
                            self.tiles.dot::<2, 5, 6>();
                            self.tiles.dot::<3, 5, 7>();
                        }
                        panel = panel.add(ROWS * PAIRS);
                        (top, bottom) = (top.wrapping_add(BYTES), bottom.wrapping_add(BYTES));
                        self.finish::<S, KIND>(s, pending, pending.each);
                    }
                    continue;
                }
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
                    self.finish::<S, KIND>(s, pending, pending.each);
                }
            }
            let (sums, stride) = (self.sums[to].as_mut_ptr().cast::<u8>(), PANEL * size_of::<f32>());
            self.tiles.store::<0>(sums, stride);
            self.tiles.store::<1>(sums.add(BYTES), stride);
            if H == 2 {
                let sums = sums.add(ROWS * stride);
                self.tiles.store::<2>(sums, stride);
                self.tiles.store::<3>(sums.add(BYTES), stride);
            }
        }
    }

    /// Applies the epilogue to at most `rows` more rows of the pending place.
    ///
    /// # Safety
    /// The place is one of the block, its sums in its buffer; the epilogue is of the kind. `rows` is a multiple of `FINISHED`.
    #[inline(always)]
    unsafe fn finish<S: Simd, const KIND: u8>(&self, s: S, pending: &mut Pending, rows: usize) {
        let (finish, w, place) = (self.block.finish, self.block.w, pending.place);
        let end = place.rows.min(pending.done + rows);
        for first in (pending.done..end).step_by(FINISHED) {
            // SAFETY: the buffer has `HEIGHT` rows, a multiple of `FINISHED`; rows and columns are the output's.
            unsafe {
                let sums = self.sums[pending.at].as_ptr().cast::<f32>().add(first * PANEL);
                let mut acc: Acc<S, FINISHED, 2> = [[s.splat(0.0); 2]; FINISHED];
                for r in 0..FINISHED {
                    for v in 0..2 {
                        acc[r][v] = s.load(sums.add(r * PANEL + v * S::LANES));
                    }
                }
                let row = self.block.first + place.row + first;
                if KIND == OTHER || end - first < FINISHED {
                    let count = (end - first).min(FINISHED);
                    finish.store::<S, FINISHED, 2>(s, acc, row, count, place.col, w.n - place.col);
                    continue;
                }
                if KIND == GELU {
                    s.gelu_all::<true>(acc.as_flattened_mut());
                }
                if KIND == ADDED {
                    let mut to = finish.f32.add(row * finish.f32_stride + place.col);
                    for r in 0..FINISHED {
                        for v in 0..2 {
                            let at = to.add(v * S::LANES);
                            s.store(at, s.add(acc[r][v], s.load(at)));
                        }
                        to = to.wrapping_add(finish.f32_stride);
                    }
                    continue;
                }
                let mut to = finish.bf16.add(row * finish.bf16_stride + place.col);
                for two in acc {
                    s.store_bf16_two(to, two);
                    to = to.wrapping_add(finish.bf16_stride);
                }
            }
        }
        pending.done = end;
    }
}
