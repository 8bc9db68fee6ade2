//! Attention over all keys, tile by tile with a running softmax: no matrix of scores is stored.

use super::core::{BiasRows, State, Step, keys_len, values_len};
use super::heads::Heads;
use super::pack::{Tokens, pack_keys, pack_values};
use super::relative::{RelativePositions, close_row};
use super::tiled::TileWork;
use crate::Isa;
use crate::buffer::Scratch;
use crate::gemm::tile::{MAX_MR, PANEL};
use crate::scalar::{Scalar, compile_for_scalars};
use crate::simd::{Kernel, Simd, portable::Portable};
use std::ops::Range;

/// Keys of a tile, about; a multiple of the grid's width where there are relative positions.
const TILE: usize = 256;
/// Tiles of queries that meet a tile of keys while it is in the cache.
const GROUP: usize = 8;

/// How the keys and values of a head are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyValues {
    keys: usize,
    d: usize,
    tile: usize,
}

impl KeyValues {
    /// For `keys` keys of `d` values, `row` of them a row of the grid (1 where there is no grid).
    pub fn new(keys: usize, d: usize, row: usize) -> Self {
        assert!(keys > 0 && d > 0 && row > 0 && keys.is_multiple_of(row), "{keys} keys in rows of {row}");
        Self { keys, d, tile: (TILE / row).max(1) * row }
    }

    fn tile_len<E: Scalar>(&self) -> usize {
        keys_len::<E>(self.tile, self.d) + values_len::<E>(self.tile, self.d)
    }

    /// Elements that the packed form of a head takes.
    pub fn packed_len<E: Scalar>(&self) -> usize {
        self.keys.div_ceil(self.tile) * self.tile_len::<E>()
    }

    /// Packs a head of `k` and `v`.
    pub fn pack<E: Scalar>(&self, k: &Heads<'_, E>, v: &Heads<'_, E>, head: usize, packed: &mut [E]) {
        assert_eq!(packed.len(), self.packed_len::<E>(), "packed keys and values");
        k.check(self.keys, head + 1, self.d);
        v.check(self.keys, head + 1, self.d);
        let tokens: Vec<u32> = (0..self.keys as u32).collect();
        for (tokens, packed) in tokens.chunks(self.tile).zip(packed.chunks_exact_mut(self.tile_len::<E>())) {
            let (kt, values) = packed.split_at_mut(keys_len::<E>(self.tile, self.d));
            // SAFETY: sizes checked above; a tile has room for `tile` keys; no token is padding.
            unsafe {
                let k = Tokens { start: k.at(0, head), stride: k.stride, pad: std::ptr::null() };
                let v = Tokens { start: v.at(0, head), stride: v.stride, pad: std::ptr::null() };
                pack_keys(Portable, k, tokens, self.d, kt.as_mut_ptr());
                pack_values(v, tokens, self.d, values.as_mut_ptr());
            }
        }
    }
}

/// `softmax(scale * q k^T + relative) v` for heads `heads` of the queries `queries`; `packed` holds the keys and values
/// of heads 0.. one after the other. `out` has a row per query of the range, `out_stride` apart, head `h` at `h * d`.
///
/// With `relative`, queries and keys are the tokens of its grid. Panics where sizes do not fit.
#[allow(clippy::too_many_arguments)]
pub fn attend<E: AttendElem>(
    isa: Isa,
    layout: &KeyValues,
    q: &Heads<'_, E>,
    packed: &[E],
    heads: Range<usize>,
    queries: Range<usize>,
    scale: f32,
    relative: Option<&RelativePositions<E>>,
    out: &mut [E],
    out_stride: usize,
    scratch: &mut Scratch,
) {
    let d = layout.d;
    if queries.is_empty() || heads.is_empty() {
        return;
    }
    q.check(queries.end, heads.end, d);
    assert!(packed.len() >= heads.end * layout.packed_len::<E>(), "packed keys and values of {} heads", heads.end);
    assert!(out_stride >= heads.end * d && out.len() >= (queries.len() - 1) * out_stride + heads.end * d, "output");
    if let Some(r) = relative {
        let (height, width) = r.size();
        assert!(layout.keys == height * width && r.d() == d && queries.end <= layout.keys, "relative positions");
        assert!(layout.tile.is_multiple_of(width), "a key tile is made of grid rows");
    }
    E::attend_all(isa, AttendRun { layout, q, packed, heads, queries, scale, relative, out, out_stride, scratch });
}

pub struct AttendRun<'a, 'b, E> {
    layout: &'a KeyValues,
    q: &'a Heads<'b, E>,
    packed: &'a [E],
    heads: Range<usize>,
    queries: Range<usize>,
    scale: f32,
    relative: Option<&'a RelativePositions<E>>,
    out: &'a mut [E],
    out_stride: usize,
    scratch: &'a mut Scratch,
}

/// An element type that attention over all keys takes. Its method is not generic, so that the kernel is compiled here, once.
pub trait AttendElem: Scalar {
    fn attend_all(isa: Isa, run: AttendRun<'_, '_, Self>);
}

compile_for_scalars!(AttendElem::attend_all(AttendRun<'_, '_, Self>), run_tiled);

impl<E: Scalar> Kernel for AttendRun<'_, '_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let AttendRun { layout, q, packed, heads, queries, scale, relative, out, out_stride, scratch } = self;
        let KeyValues { keys: all, d, tile } = *layout;
        let columns = tile.next_multiple_of(PANEL);
        let block = E::height::<S>() * columns;
        let partial_stride = d.next_multiple_of(PANEL);
        let product_columns = relative.map_or(0, RelativePositions::product_columns);
        let (grid_width, bias_len) = (relative.map_or(1, |r| r.size().1), block + 16);
        let counts = [block, block + bias_len, GROUP * E::height::<S>() * (partial_stride + product_columns)];
        let (probabilities, floats, state) = scratch.take::<E, f32, f32>(counts);
        let (scores, bias_rows) = floats.split_at_mut(block);
        let (partial, products) = state.split_at_mut(GROUP * E::height::<S>() * partial_stride);
        let mut work = TileWork::start::<S, E>();

        for head in heads {
            let packed = &packed[head * layout.packed_len::<E>()..][..layout.packed_len::<E>()];
            for group in queries.clone().step_by(GROUP * E::height::<S>()) {
                let group_end = queries.end.min(group + GROUP * E::height::<S>());
                let mut states = [const { State::START }; GROUP];
                for first_key in (0..all).step_by(tile) {
                    let keys = tile.min(all - first_key);
                    let kt = packed[first_key / tile * layout.tile_len::<E>()..].as_ptr();
                    if relative.is_none() {
                        bias_rows[..keys].fill(0.0);
                        bias_rows[keys..columns].fill(f32::NEG_INFINITY);
                    }
                    for (t, first) in (group..group_end).step_by(E::height::<S>()).enumerate() {
                        let rows = E::height::<S>().min(group_end - first);
                        let mut from = [std::ptr::null(); MAX_MR];
                        let mut outs = [std::ptr::null_mut(); MAX_MR];
                        let mut biases = BiasRows { rows: [bias_rows.as_ptr(); MAX_MR], run: usize::MAX, skip: 0 };
                        for r in 0..E::height::<S>() {
                            let i = first + r.min(rows - 1);
                            from[r] = q.at(i, head);
                            // SAFETY: `attend` checked that the output has the row and its heads.
                            outs[r] = unsafe { out.as_mut_ptr().add((i - queries.start) * out_stride + head * d) };
                        }
                        if let Some(relative) = relative {
                            // SAFETY: there are products for GROUP * MR queries, and MR rows of biases with 16 values behind
                            // them; keys are whole rows of the grid, in which the query is.
                            unsafe {
                                let products = products.as_mut_ptr().add(t * E::height::<S>() * product_columns);
                                if first_key == 0 {
                                    relative.products(s, &mut work, &from, rows, products);
                                }
                                for r in 0..rows {
                                    let (i, row) = (first + r, bias_rows.as_mut_ptr().add(r * columns));
                                    let span = (first_key / grid_width, (first_key + keys) / grid_width);
                                    let at = (i / grid_width, i % grid_width);
                                    relative.expand(s, products.add(r * product_columns), at, span, row);
                                    close_row(row, keys, columns);
                                }
                                for (r, b) in biases.rows.iter_mut().enumerate().take(E::height::<S>()) {
                                    *b = bias_rows.as_ptr().add(r.min(rows - 1) * columns);
                                }
                            }
                        }
                        let step = Step {
                            queries: &from,
                            rows,
                            d,
                            kt,
                            // SAFETY: the values follow the keys of the tile.
                            values: unsafe { kt.add(keys_len::<E>(tile, d)) },
                            keys,
                            scale: scale * std::f32::consts::LOG2_E,
                            bias: &biases,
                            scores: scores.as_mut_ptr(),
                            probabilities: probabilities.as_mut_ptr(),
                            width: columns,
                            first: first_key == 0,
                            last: first_key + keys == all,
                            // SAFETY: room for GROUP * MR queries.
                            partial: unsafe { partial.as_mut_ptr().add(t * E::height::<S>() * partial_stride) },
                            partial_stride,
                            out: &outs,
                        };
                        // SAFETY: `attend` checked queries, packed keys and outputs; scores, probabilities and biases have MR
                        // rows of `columns`, which is at least the keys in whole panels.
                        unsafe { step.run(s, &mut work, &mut states[t]) };
                    }
                }
            }
        }
        TileWork::finish(work);
    }
}
