//! Attention inside square windows of an image of tokens, read and written in image order.
//!
//! The image is thought of as padded to whole windows. Every padding token has the same q, k, v (given once); its keys
//! and values take part, its queries are skipped and nothing is stored for it.
//!
//! The keys of a small window are one tile; those of a larger one are several, of whole rows of the window, over which
//! a block of queries goes with a running softmax, so that neither scores nor biases of a window are ever stored.

use super::bias::{Bias, Expansion, Position};
use super::core::{State, Step, keys_len, values_len};
use super::heads::Heads;
use super::pack::{PAD, Tokens, pack_keys, pack_queries, pack_values};
use super::tiled::TileWork;
use crate::Isa;
use crate::buffer::{Scratch, Shared};
use crate::gemm::tile::{MAX_MR, PANEL};
use crate::scalar::{Scalar, compile_for_scalars};
use crate::simd::{Kernel, Simd};
use std::ops::Range;

/// Most keys of a tile, but for windows of which a row has more.
const TILE: usize = 256;
/// Queries of a larger window that meet a tile of keys while it is in the cache; a multiple of every `MR`.
const BLOCK: usize = 96;
/// Bias tables up to this size stay in the cache while a window's heads are computed one after the other; with larger
/// ones all windows of a head are.
const RESIDENT_BYTES: usize = 256 << 10;

/// Sizes of a windowed attention.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Rows of tokens of the image.
    pub height: usize,
    /// Columns of tokens.
    pub width: usize,
    /// Side of a window, which may be larger than the image.
    pub window: usize,
    /// Heads.
    pub heads: usize,
    /// Values per head.
    pub d: usize,
}

/// Some heads of some windows, and the right to write their outputs.
pub struct WindowPiece<'a, E> {
    sizes: Windows,
    /// Heads of windows, or blocks of queries of these, in the order that [`WindowRun`] takes them.
    units: Range<usize>,
    out: Shared<'a, E>,
    out_stride: usize,
}

impl Windows {
    /// Number of windows; they are counted row by row.
    pub fn count(&self) -> usize {
        self.height.div_ceil(self.window) * self.width.div_ceil(self.window)
    }

    /// Cuts the work into at most `pieces` pieces, as even as possible, none of them empty. Token `i` of the image goes
    /// to `out[i * out_stride..]`, head after head.
    ///
    /// Panics where `out` is too short.
    pub fn pieces<'a, E: Scalar>(&self, out: &'a mut [E], out_stride: usize, pieces: usize) -> Vec<WindowPiece<'a, E>> {
        let Windows { height, width, heads, d, .. } = *self;
        assert!(out_stride >= heads * d && out.len() + out_stride >= height * width * out_stride + heads * d, "output");
        let units = (0..self.count()).map(|window| self.blocks(window)).sum::<usize>() * heads;
        let pieces = pieces.min(units);
        let out = Shared::new(out);
        let piece = |i: usize| WindowPiece {
            sizes: *self,
            units: i * units / pieces..(i + 1) * units / pieces,
            out,
            out_stride,
        };
        (0..pieces).map(piece).collect()
    }

    /// Whether some windows reach beyond the image, so that a padding token is needed.
    pub fn padded(&self) -> bool {
        !self.height.is_multiple_of(self.window) || !self.width.is_multiple_of(self.window)
    }

    /// Rows of a window whose keys are a tile.
    fn tile_rows(&self) -> usize {
        (TILE / self.window).clamp(1, self.window)
    }

    fn is_large(&self) -> bool {
        self.tile_rows() < self.window
    }

    /// Row and column of a window's first token.
    fn corner(&self, index: usize) -> (usize, usize) {
        let across = self.width.div_ceil(self.window);
        (index / across * self.window, index % across * self.window)
    }

    /// Blocks of queries of a window.
    fn blocks(&self, index: usize) -> usize {
        let (top, left) = self.corner(index);
        let real = self.window.min(self.height - top) * self.window.min(self.width - left);
        if self.is_large() { real.div_ceil(BLOCK) } else { 1 }
    }
}

impl<E: WindowElem> WindowPiece<'_, E> {
    /// `softmax(scale * q k^T + bias) v`. `qkv` are the image's tokens in image order, `pad` the qkv row of a padding
    /// token, needed where [`Windows::padded`].
    ///
    /// Panics where sizes do not fit, or differ from those of other pieces of the same output.
    pub fn run(self, isa: Isa, qkv: &[Heads<'_, E>; 3], pad: &[E], bias: &Bias<E>, scale: f32, scratch: &mut Scratch) {
        let Windows { height, width, window, heads, d } = self.sizes;
        for part in qkv {
            part.check(height * width, heads, d);
            if self.sizes.padded() {
                Heads { data: pad, ..*part }.check(1, heads, d);
            }
        }
        assert!(bias.fits(heads, window, d), "bias of another window");
        E::attend_windows(isa, WindowRun { piece: self, qkv, pad, bias, scale, scratch });
    }
}

pub struct WindowRun<'a, 'b, E> {
    piece: WindowPiece<'b, E>,
    qkv: &'a [Heads<'b, E>; 3],
    pad: &'a [E],
    bias: &'a Bias<E>,
    scale: f32,
    scratch: &'a mut Scratch,
}

/// An element type that attention in windows takes. Its method is not generic, so that the kernel is compiled here, once.
pub trait WindowElem: Scalar {
    fn attend_windows(isa: Isa, run: WindowRun<'_, '_, Self>);
}

compile_for_scalars!(WindowElem::attend_windows(WindowRun<'_, '_, Self>), run_tiled);

/// What is computed at a time.
#[derive(Clone, Copy, PartialEq)]
struct Unit {
    window: usize,
    head: usize,
    block: usize,
}

/// The tokens of one window.
struct Window {
    /// Token of each position, or [`PAD`].
    keys: Vec<u32>,
    /// The real tokens, in order, and their positions.
    queries: Vec<(u32, Position)>,
}

impl Window {
    fn new(sizes: &Windows) -> Self {
        let tokens = sizes.window * sizes.window;
        Self { keys: Vec::with_capacity(tokens), queries: Vec::with_capacity(tokens) }
    }

    fn set(&mut self, sizes: &Windows, index: usize) {
        let Windows { height, width, window, .. } = *sizes;
        let (top, left) = sizes.corner(index);
        self.queries.clear();
        self.keys.clear();
        self.keys.resize(window * window, PAD);
        for y in 0..window.min(height - top) {
            for x in 0..window.min(width - left) {
                let token = ((top + y) * width + left + x) as u32;
                self.keys[y * window + x] = token;
                self.queries.push((token, Position { y: y as u16, x: x as u16, index: (y * window + x) as u32 }));
            }
        }
    }
}

/// Buffers of a call, all of them to read and write.
struct Buffers<E> {
    /// For each tile of the window `tile_len` elements: keys, and `keys_len` further on values.
    packed: *mut E,
    tile_len: usize,
    keys_len: usize,
    /// On matrix tiles all queries of the head, one behind the other.
    queries: Option<*mut E>,
    /// MR rows of `bias.columns`.
    probabilities: *mut E,
    /// MR rows of `bias.columns`.
    scores: *mut f32,
    /// Its products have room for all queries of a block, for a step's in small windows.
    bias: Expansion,
    /// For as many queries `d` values each, rounded up to whole panels.
    partial: *mut f32,
}

impl<E: Scalar> Kernel for WindowRun<'_, '_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let sizes = self.piece.sizes;
        let Windows { window, d, .. } = sizes;
        let tile = sizes.tile_rows() * window;
        let keys_len = keys_len::<E>(tile, d);
        let tile_len = keys_len + values_len::<E>(tile, d);
        let packed_len = window.div_ceil(sizes.tile_rows()) * tile_len;
        let columns = tile.next_multiple_of(PANEL);
        let step = E::height::<S>() * columns;
        let queries = if sizes.is_large() { BLOCK } else { E::height::<S>() };
        let (partial, products) = (queries * d.next_multiple_of(PANEL), queries * self.bias.product_columns());
        let mut held = std::mem::take(self.scratch);
        let queries_len = if E::tiled::<S>() { window * window * d } else { 0 };
        let (packed, floats, _) =
            held.take::<E, f32, f32>([packed_len + step + queries_len, 2 * step + 16 + products + partial, 0]);
        let (packed, floats) = (packed.as_mut_ptr(), floats.as_mut_ptr());
        // SAFETY: parts of the two buffers.
        let buffers = unsafe {
            let products = floats.add(2 * step + 16 + partial);
            Buffers {
                packed,
                tile_len,
                keys_len,
                queries: E::tiled::<S>().then(|| packed.add(packed_len + step)),
                probabilities: packed.add(packed_len),
                scores: floats,
                bias: Expansion { rows: floats.add(step), columns, products },
                partial: floats.add(2 * step + 16),
            }
        };
        let units = self.piece.units.clone();
        let mut at = self.unit(units.start);
        let (mut current, mut following) = (Window::new(&sizes), Window::new(&sizes));
        current.set(&sizes, at.window);
        let mut fresh = true;
        let mut work = TileWork::start::<S, E>();
        let mut states = vec![State::START; queries / E::height::<S>()];
        for i in units.clone() {
            let next = if i + 1 < units.end { self.unit(i + 1) } else { at };
            let moves = next.window != at.window;
            if moves {
                following.set(&sizes, next.window);
            }
            if !sizes.is_large() {
                self.fetch(s, if moves { &following } else { &current }, next.head);
            }
            // SAFETY: `run` of the piece checked the sizes; the window is set for the unit, whose head is packed.
            unsafe {
                if fresh {
                    self.pack(s, &current, at.head, &buffers);
                }
                self.block(s, &mut work, &current, at, &buffers, &mut states);
            }
            if moves {
                std::mem::swap(&mut current, &mut following);
            }
            fresh = moves || next.head != at.head;
            at = next;
        }
        TileWork::finish(work);
        *self.scratch = held;
    }
}

impl<E: Scalar> WindowRun<'_, '_, E> {
    /// The unit that comes in the place `index`. The order depends on nothing but the bias and the sizes: pieces of the
    /// same output do not overlap.
    #[inline(always)]
    fn unit(&self, index: usize) -> Unit {
        let sizes = &self.piece.sizes;
        let (count, heads) = (sizes.count(), sizes.heads);
        if !sizes.is_large() {
            let (window, head) = if self.bias.bytes() <= RESIDENT_BYTES {
                (index / heads, index % heads)
            } else {
                (index % count, index / count)
            };
            return Unit { window, head, block: 0 };
        }
        let mut rest = index;
        for window in 0..count {
            let blocks = sizes.blocks(window);
            if rest < heads * blocks {
                return Unit { window, head: rest / blocks, block: rest % blocks };
            }
            rest -= heads * blocks;
        }
        unreachable!("units are counted when they are cut into pieces")
    }

    /// Asks for the queries, keys and values of a head.
    #[inline(always)]
    fn fetch<S: Simd>(&self, s: S, w: &Window, head: usize) {
        for &(token, _) in &w.queries {
            for part in self.qkv {
                let at = token as usize * part.stride + part.offset + head * part.step;
                for c in (0..self.piece.sizes.d).step_by(64 / size_of::<E>()) {
                    s.prefetch(part.data.as_ptr().wrapping_add(at + c));
                }
            }
        }
    }

    /// Rows of a head of q, k or v, by token.
    #[inline(always)]
    fn tokens(&self, part: usize, head: usize) -> Tokens<E> {
        let from = self.qkv[part];
        let at = from.offset + head * from.step;
        Tokens {
            start: from.data.as_ptr().wrapping_add(at),
            stride: from.stride,
            pad: self.pad.as_ptr().wrapping_add(at),
        }
    }

    /// Packs the keys and values of a head, tile by tile.
    ///
    /// # Safety
    /// The sizes are those that [`WindowPiece::run`] checked, `w` a window and `head` a head of them, `to` as it says.
    #[inline(always)]
    unsafe fn pack<S: Simd>(&self, s: S, w: &Window, head: usize, to: &Buffers<E>) {
        let Windows { window, d, .. } = self.piece.sizes;
        let (keys, values) = (self.tokens(1, head), self.tokens(2, head));
        for (tile, tokens) in w.keys.chunks(self.piece.sizes.tile_rows() * window).enumerate() {
            // SAFETY: real tokens are in the image, whose sizes were checked; so was `pad`, if there is padding. The
            // buffer has room for all tiles.
            unsafe {
                let to_keys = to.packed.add(tile * to.tile_len);
                pack_keys(s, keys, tokens, d, to_keys);
                pack_values(values, tokens, d, to_keys.add(to.keys_len));
            }
        }
        if let Some(queries) = to.queries {
            // SAFETY: as above; the buffer has room for all queries of a window.
            unsafe { pack_queries(self.tokens(0, head), w.queries.iter().map(|(token, _)| *token), d, queries) };
        }
    }

    /// Outputs of a block of queries, given the packed keys and values of the head.
    ///
    /// # Safety
    /// As [`WindowRun::pack`], which has packed the head; `unit` belongs to this piece, and is of the window `w`.
    #[inline(always)]
    unsafe fn block<S: Simd>(
        &self,
        s: S,
        work: &mut Option<TileWork<S::Tiles>>,
        w: &Window,
        unit: Unit,
        to: &Buffers<E>,
        states: &mut [State],
    ) {
        let sizes = &self.piece.sizes;
        let Windows { window, d, .. } = *sizes;
        let q = self.tokens(0, unit.head);
        let large = sizes.is_large();
        let (begin, end) = if large { (unit.block * BLOCK, (unit.block + 1) * BLOCK) } else { (0, w.queries.len()) };
        let all = &w.queries[begin..w.queries.len().min(end)];
        for (tile, top) in (0..window).step_by(sizes.tile_rows()).enumerate() {
            let bottom = window.min(top + sizes.tile_rows());
            for (t, some) in all.chunks(E::height::<S>()).enumerate() {
                let rows = some.len();
                let mut queries = [std::ptr::null(); MAX_MR];
                let mut outs = [std::ptr::null_mut(); MAX_MR];
                for r in 0..E::height::<S>() {
                    let index = r.min(rows - 1);
                    let token = some[index].0 as usize;
                    queries[r] = match to.queries {
                        Some(packed) => packed.wrapping_add((begin + t * E::height::<S>() + index) * d).cast_const(),
                        None => q.start.wrapping_add(token * q.stride),
                    };
                    outs[r] = self.piece.out.at(token * self.piece.out_stride + unit.head * d, d);
                }
                // In a small window each step is the first and last of its queries.
                let t = if large { t } else { 0 };
                // SAFETY: the buffers have room for MR queries and the largest tile, and for the products and partial outputs
                // of a block. Queries and outputs are of tokens in the image; units do not overlap, so that nobody else
                // writes these outputs.
                unsafe {
                    let products = to.bias.products.add(t * E::height::<S>() * self.bias.product_columns());
                    let expansion = Expansion { products, ..to.bias };
                    let positions = some.iter().map(|(_, position)| *position);
                    let bias = self.bias.of(
                        s,
                        work,
                        unit.head,
                        window,
                        &queries,
                        positions,
                        top..bottom,
                        top == 0,
                        &expansion,
                    );
                    let kt = to.packed.add(tile * to.tile_len);
                    let step = Step {
                        queries: &queries,
                        rows,
                        d,
                        kt,
                        values: kt.add(to.keys_len),
                        keys: (bottom - top) * window,
                        scale: self.scale * std::f32::consts::LOG2_E,
                        bias: &bias,
                        scores: to.scores,
                        probabilities: to.probabilities,
                        width: to.bias.columns,
                        first: top == 0,
                        last: bottom == window,
                        partial: to.partial.add(t * E::height::<S>() * d.next_multiple_of(PANEL)),
                        partial_stride: d.next_multiple_of(PANEL),
                        out: &outs,
                    };
                    step.run(s, work, &mut states[t]);
                }
            }
        }
    }
}
