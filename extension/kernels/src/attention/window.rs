//! Attention inside square windows of an image of tokens, read and written in image order.
//!
//! The image is thought of as padded to whole windows. Every padding token has the same q, k, v (given once); its keys
//! and values take part, its queries are skipped and nothing is stored for it.

use super::Heads;
use super::core::{State, Step, keys_len, put_key, values_len};
use super::relative::{RelativePositions, close_row};
use crate::Isa;
use crate::buffer::{AlignedVec, Scratch, Shared};
use crate::elem::Elem;
use crate::gemm::tile::{MAX_MR, PANEL};
use crate::simd::{Kernel, Simd};
use std::ops::Range;

/// Sizes of a windowed attention.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Rows of tokens of the image.
    pub height: usize,
    /// Columns of tokens.
    pub width: usize,
    /// Side of a window.
    pub window: usize,
    /// Heads.
    pub heads: usize,
    /// Values per head.
    pub d: usize,
}

impl Windows {
    /// Number of windows; they are counted row by row.
    pub fn count(&self) -> usize {
        self.height.div_ceil(self.window) * self.width.div_ceil(self.window)
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

/// `softmax(scale * q k^T + bias) v` for all heads of the windows in `windows`; token `i` of the image goes to
/// `out[i * out_stride..]`, head after head. `qkv` are the image's tokens in image order, `pad` the qkv row of a padding
/// token, needed where [`Windows::padded`].
///
/// Panics where sizes do not fit.
///
/// # Safety
/// Nothing else touches the outputs of these windows' tokens meanwhile.
#[allow(clippy::too_many_arguments)]
pub unsafe fn window_attention<E: Elem>(
    isa: Isa,
    sizes: &Windows,
    windows: Range<usize>,
    qkv: &[Heads<'_, E>; 3],
    pad: &[E],
    bias: &Bias<E>,
    scale: f32,
    out: &Shared<'_, E>,
    out_stride: usize,
    scratch: &mut Scratch,
) {
    let Windows { height, width, window, heads, d } = *sizes;
    assert!(windows.end <= sizes.count(), "windows {windows:?} of {}", sizes.count());
    for part in qkv {
        part.check(height * width, heads, d);
        if sizes.padded() {
            Heads { data: pad, ..*part }.check(1, heads, d);
        }
    }
    assert!(out_stride >= heads * d && out.len() >= (height * width - 1) * out_stride + heads * d, "output");
    let keys = window * window;
    match bias {
        Bias::Table(t) => assert_eq!(t.len(), heads * keys * keys.next_multiple_of(PANEL), "bias table"),
        Bias::Relative(r) => assert_eq!((r.size(), r.d()), ((window, window), d), "relative positions"),
    }
    E::window(isa, WindowRun { sizes: *sizes, windows, qkv, pad, bias, scale, out, out_stride, scratch });
}

/// [`window_attention`] of all windows, whose tokens are all of `out`.
#[allow(clippy::too_many_arguments)]
pub fn attend_windows<E: Elem>(
    isa: Isa,
    sizes: &Windows,
    qkv: &[Heads<'_, E>; 3],
    pad: &[E],
    bias: &Bias<E>,
    scale: f32,
    out: &mut [E],
    out_stride: usize,
    scratch: &mut Scratch,
) {
    // SAFETY: `out` is borrowed exclusively for the duration of the call.
    unsafe {
        let out = Shared::new(out);
        window_attention(isa, sizes, 0..sizes.count(), qkv, pad, bias, scale, &out, out_stride, scratch);
    }
}

pub struct WindowRun<'a, 'b, E> {
    sizes: Windows,
    windows: Range<usize>,
    qkv: &'a [Heads<'b, E>; 3],
    pad: &'a [E],
    bias: &'a Bias<E>,
    scale: f32,
    out: &'a Shared<'b, E>,
    out_stride: usize,
    scratch: &'a mut Scratch,
}

impl<E: Elem> Kernel for WindowRun<'_, '_, E> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let WindowRun { sizes, windows, qkv, pad, bias, scale, out, out_stride, scratch } = self;
        let Windows { height, width, window, heads, d } = sizes;
        let keys = window * window;
        let columns = keys.next_multiple_of(PANEL);
        let (kt_len, v_len, block) = (keys_len::<E>(keys, d), values_len::<E>(keys, d), S::MR * columns);
        let products = if let Bias::Relative(r) = bias { S::MR * r.product_columns() } else { 0 };
        let (packed, floats, _) = scratch.take::<E, f32, f32>([kt_len + v_len + block, 2 * block + 16 + products, 0]);
        packed.fill(E::default());
        let (kt, rest) = packed.split_at_mut(kt_len);
        let (values, probabilities) = rest.split_at_mut(v_len);
        let (scores, rest) = floats.split_at_mut(block);
        let (bias_rows, products) = rest.split_at_mut(block + 16);
        let across = width.div_ceil(window);

        for head in 0..heads {
            for index in windows.clone() {
                let (top, left) = (index / across * window, index % across * window);
                let (in_y, in_x) = (window.min(height - top), window.min(width - left));
                let token = |i: usize| (top + i / in_x) * width + left + i % in_x;
                for j in 0..keys {
                    let (y, x) = (j / window, j % window);
                    let [_, k, v] = qkv;
                    // SAFETY: real tokens are in the image, and the sizes were checked; so was `pad` if needed.
                    unsafe {
                        let (k, v) = if y < in_y && x < in_x {
                            let token = (top + y) * width + left + x;
                            (k.at(token, head), v.at(token, head))
                        } else {
                            (Heads { data: pad, ..*k }.at(0, head), Heads { data: pad, ..*v }.at(0, head))
                        };
                        put_key(k, v, kt.as_mut_ptr(), values.as_mut_ptr(), j, keys, d);
                    }
                }
                let real = in_y * in_x;
                for first in (0..real).step_by(S::MR) {
                    let rows = S::MR.min(real - first);
                    let mut queries = [std::ptr::null(); MAX_MR];
                    let mut outs = [std::ptr::null_mut(); MAX_MR];
                    let mut biases = [std::ptr::null(); MAX_MR];
                    for r in 0..S::MR {
                        let i = first + r.min(rows - 1);
                        // SAFETY: a real token.
                        queries[r] = unsafe { qkv[0].at(token(i), head) };
                        outs[r] = out.at(token(i) * out_stride + head * d, d);
                        if let Bias::Table(table) = bias {
                            let position = i / in_x * window + i % in_x;
                            biases[r] = table[(head * keys + position) * columns..].as_ptr();
                        }
                    }
                    if let Bias::Relative(relative) = bias {
                        // SAFETY: the buffers were made for MR queries.
                        unsafe { relative.products(s, &queries, rows, products.as_mut_ptr()) };
                        for r in 0..rows {
                            let i = first + r;
                            // SAFETY: as above; a row of biases may be followed by a vector of rubbish, which the next
                            // row, or the room behind the last one, takes.
                            unsafe {
                                let row = bias_rows.as_mut_ptr().add(r * columns);
                                let product = products.as_ptr().add(r * relative.product_columns());
                                relative.expand(s, product, (i / in_x, i % in_x), (0, window), row);
                                close_row(row, keys, columns);
                            }
                        }
                        for (r, b) in biases.iter_mut().enumerate().take(S::MR) {
                            // SAFETY: a row of the buffer.
                            *b = unsafe { bias_rows.as_ptr().add(r.min(rows - 1) * columns) };
                        }
                    }
                    let step = Step {
                        queries: &queries,
                        rows,
                        d,
                        kt: kt.as_ptr(),
                        values: values.as_ptr(),
                        keys,
                        scale: scale * std::f32::consts::LOG2_E,
                        bias: &biases,
                        scores: scores.as_mut_ptr(),
                        probabilities: probabilities.as_mut_ptr(),
                        width: columns,
                        first: true,
                        last: true,
                        partial: std::ptr::null_mut(),
                        partial_stride: 0,
                        out: &outs,
                    };
                    // SAFETY: everything points to buffers of the sizes the step asks for; outputs are the caller's
                    // promise.
                    unsafe { step.run(s, &mut { State::START }) };
                }
            }
        }
    }
}
