//! Attention inside square windows of an image of tokens, read and written in image order.
//!
//! The image is thought of as padded to whole windows. Every padding token has the same q, k, v (given once); its keys
//! and values take part, its queries are skipped and nothing is stored for it.

use super::Heads;
use super::core::{State, Step, keys_len, values_len};
use super::pack::{PAD, Tokens, pack_keys, pack_values};
use super::relative::{RelativePositions, close_row};
use crate::Isa;
use crate::buffer::{AlignedVec, Scratch, Shared};
use crate::elem::Elem;
use crate::gemm::tile::{MAX_MR, PANEL};
use crate::simd::{Kernel, Simd};
use std::ops::Range;

/// Largest side of a window.
const MAX_WINDOW: usize = 16;
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
    /// Side of a window, at most 16.
    pub window: usize,
    /// Heads.
    pub heads: usize,
    /// Values per head.
    pub d: usize,
}

/// Some heads of some windows, and the right to write their outputs.
pub struct WindowPiece<'a, E> {
    sizes: Windows,
    /// Heads of windows, in the order that [`WindowRun`] takes them.
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
    pub fn pieces<'a, E: Elem>(&self, out: &'a mut [E], out_stride: usize, pieces: usize) -> Vec<WindowPiece<'a, E>> {
        let Windows { height, width, heads, d, .. } = *self;
        assert!(out_stride >= heads * d && out.len() + out_stride >= height * width * out_stride + heads * d, "output");
        let units = self.count() * heads;
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
}

/// What is added to the scores, before softmax.
#[derive(Clone)]
pub enum Bias<E> {
    /// For each head and pair of positions; made by [`Bias::by_distance`].
    Table(AlignedVec<f32>),
    /// ViT's relative positions over one window, the same for all heads.
    Relative(RelativePositions<E>),
}

impl<E: Elem> Bias<E> {
    /// TinyViT's biases: `biases` is `[heads][window * window]`, one value per (|dy|, |dx|).
    pub fn by_distance(biases: &[f32], heads: usize, window: usize) -> Self {
        let keys = window * window;
        assert_eq!(biases.len(), heads * keys, "attention biases");
        let width = keys.next_multiple_of(PANEL);
        let mut table = AlignedVec::zeroed(heads * keys * width);
        table.fill(f32::NEG_INFINITY);
        for (h, biases) in biases.chunks_exact(keys).enumerate() {
            for i in 0..keys {
                for j in 0..keys {
                    let (dy, dx) = ((i / window).abs_diff(j / window), (i % window).abs_diff(j % window));
                    // scores are in units of ln 2
                    table[(h * keys + i) * width + j] = biases[dy * window + dx] * std::f32::consts::LOG2_E;
                }
            }
        }
        Bias::Table(table)
    }
}

impl<E: Elem> WindowPiece<'_, E> {
    /// `softmax(scale * q k^T + bias) v`. `qkv` are the image's tokens in image order, `pad` the qkv row of a padding
    /// token, needed where [`Windows::padded`].
    ///
    /// Panics where sizes do not fit, or differ from those of other pieces of the same output.
    pub fn run(self, isa: Isa, qkv: &[Heads<'_, E>; 3], pad: &[E], bias: &Bias<E>, scale: f32, scratch: &mut Scratch) {
        let Windows { height, width, window, heads, d } = self.sizes;
        assert!((1..=MAX_WINDOW).contains(&window), "window of {window}");
        for part in qkv {
            part.check(height * width, heads, d);
            if self.sizes.padded() {
                Heads { data: pad, ..*part }.check(1, heads, d);
            }
        }
        let keys = window * window;
        match bias {
            Bias::Table(t) => assert_eq!(t.len(), heads * keys * keys.next_multiple_of(PANEL), "bias table"),
            Bias::Relative(r) => assert_eq!((r.size(), r.d()), ((window, window), d), "relative positions"),
        }
        E::window(isa, WindowRun { piece: self, qkv, pad, bias, scale, scratch });
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

/// The tokens of one window.
struct Window {
    /// Token of each position, or [`PAD`].
    keys: [u32; MAX_WINDOW * MAX_WINDOW],
    /// Positions of the real tokens, in order.
    queries: [u16; MAX_WINDOW * MAX_WINDOW],
    real: usize,
}

impl Window {
    fn new(sizes: &Windows, index: usize) -> Self {
        let Windows { height, width, window, .. } = *sizes;
        let across = width.div_ceil(window);
        let (top, left) = (index / across * window, index % across * window);
        let mut w = Window { keys: [PAD; MAX_WINDOW * MAX_WINDOW], queries: [0; MAX_WINDOW * MAX_WINDOW], real: 0 };
        for y in 0..window.min(height - top) {
            for x in 0..window.min(width - left) {
                let position = y * window + x;
                w.keys[position] = ((top + y) * width + left + x) as u32;
                w.queries[w.real] = position as u16;
                w.real += 1;
            }
        }
        w
    }
}

/// Buffers of a call, sized for one step.
struct Buffers<E> {
    kt: *mut E,
    values: *mut E,
    probabilities: *mut E,
    scores: *mut f32,
    bias_rows: *mut f32,
    partial: *mut f32,
    products: *mut f32,
}

impl<E: Elem> Kernel for WindowRun<'_, '_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Windows { window, heads, d, .. } = self.piece.sizes;
        let keys = window * window;
        let (kt_len, v_len) = (keys_len::<E>(keys, d), values_len::<E>(keys, d));
        let block = S::MR * keys.next_multiple_of(PANEL);
        let partial = S::MR * d.next_multiple_of(PANEL);
        let products = match self.bias {
            Bias::Table(_) => 0,
            Bias::Relative(r) => S::MR * r.product_columns(),
        };
        // The order of a bias depends on nothing but the bias: pieces of the same output do not overlap.
        let resident = heads * keys * keys.next_multiple_of(PANEL) * size_of::<f32>() <= RESIDENT_BYTES;
        let mut held = std::mem::take(self.scratch);
        let (packed, floats, _) =
            held.take::<E, f32, f32>([kt_len + v_len + block, 2 * block + 16 + products + partial, 0]);
        let (kt, floats) = (packed.as_mut_ptr(), floats.as_mut_ptr());
        // SAFETY: parts of the two buffers.
        let buffers = unsafe {
            Buffers {
                kt,
                values: kt.add(kt_len),
                probabilities: kt.add(kt_len + v_len),
                scores: floats,
                bias_rows: floats.add(block),
                partial: floats.add(2 * block + 16),
                products: floats.add(2 * block + 16 + partial),
            }
        };
        let count = self.piece.sizes.count();
        let place = |i: usize| if resident { (i / heads, i % heads) } else { (i % count, i / count) };
        let units = self.piece.units.clone();
        let mut at = place(units.start);
        let mut current = Window::new(&self.piece.sizes, at.0);
        for i in units.clone() {
            let next = if i + 1 < units.end { place(i + 1) } else { at };
            let mut following = None;
            if next.0 != at.0 {
                following = Some(Window::new(&self.piece.sizes, next.0));
            }
            self.fetch(s, following.as_ref().unwrap_or(&current), next.1);
            // SAFETY: the sizes were checked before the run.
            unsafe { self.head(s, &current, at.1, &buffers) };
            current = following.unwrap_or(current);
            at = next;
        }
        *self.scratch = held;
    }
}

impl<E: Elem> WindowRun<'_, '_, E> {
    /// Asks for the queries, keys and values of a head.
    #[inline(always)]
    fn fetch<S: Simd>(&self, s: S, w: &Window, head: usize) {
        for &position in &w.queries[..w.real] {
            for part in self.qkv {
                let at = w.keys[position as usize] as usize * part.stride + part.offset + head * part.step;
                for c in (0..self.piece.sizes.d).step_by(64 / size_of::<E>()) {
                    s.prefetch(part.data.as_ptr().wrapping_add(at + c));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn head<S: Simd>(&self, s: S, w: &Window, head: usize, to: &Buffers<E>) {
        let Windows { window, d, .. } = self.piece.sizes;
        let (keys, columns) = (window * window, (window * window).next_multiple_of(PANEL));
        let tokens = &w.keys[..keys];
        // SAFETY: real tokens are in the image, whose sizes were checked; so was `pad`, if there is padding.
        let q = unsafe {
            let mut parts = [Tokens { start: std::ptr::null(), stride: 0, pad: std::ptr::null() }; 3];
            for (to, from) in parts.iter_mut().zip(self.qkv) {
                let pad = self.pad.as_ptr().wrapping_add(from.offset + head * from.step);
                *to = Tokens { start: from.at(0, head), stride: from.stride, pad };
            }
            pack_keys(s, parts[1], tokens, d, to.kt);
            pack_values(parts[2], tokens, d, to.values);
            parts[0]
        };
        for first in (0..w.real).step_by(S::MR) {
            let rows = S::MR.min(w.real - first);
            let mut queries = [std::ptr::null(); MAX_MR];
            let mut outs = [std::ptr::null_mut(); MAX_MR];
            let mut biases = [to.bias_rows.cast_const(); MAX_MR];
            for r in 0..S::MR {
                let position = w.queries[first + r.min(rows - 1)] as usize;
                let token = tokens[position] as usize;
                queries[r] = q.start.wrapping_add(token * q.stride);
                outs[r] = self.piece.out.at(token * self.piece.out_stride + head * d, d);
                if let Bias::Table(table) = self.bias {
                    biases[r] = table[(head * keys + position) * columns..].as_ptr();
                }
            }
            if let Bias::Relative(relative) = self.bias {
                // SAFETY: the buffers were made for MR queries. A row of biases may be followed by a vector of
                // rubbish, which the next row, or the room behind the last one, takes.
                unsafe {
                    relative.products(s, &queries, rows, to.products);
                    for r in 0..rows {
                        let position = w.queries[first + r] as usize;
                        let (row, product) =
                            (to.bias_rows.add(r * columns), to.products.add(r * relative.product_columns()));
                        relative.expand(s, product, (position / window, position % window), (0, window), row);
                        close_row(row, keys, columns);
                    }
                    for (r, b) in biases.iter_mut().enumerate().take(S::MR) {
                        *b = to.bias_rows.add(r.min(rows - 1) * columns);
                    }
                }
            }
            let step = Step {
                queries: &queries,
                rows,
                d,
                kt: to.kt,
                values: to.values,
                keys,
                scale: self.scale * std::f32::consts::LOG2_E,
                bias: &biases,
                scores: to.scores,
                probabilities: to.probabilities,
                width: columns,
                first: true,
                last: true,
                partial: to.partial,
                partial_stride: d.next_multiple_of(PANEL),
                out: &outs,
            };
            // SAFETY: everything points to buffers of the sizes the step asks for; outputs are the caller's promise.
            unsafe { step.run(s, &mut { State::START }) };
        }
    }
}
