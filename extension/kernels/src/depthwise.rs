//! Depthwise 3x3 convolution of NHWC rows, one pixel of zeros around the image, stride 1 or 2.
//!
//! Each output is the bias plus up to nine products in the order of the taps; taps outside the image are left out, not
//! multiplied by zero. Four output pixels are computed at a time; the bits do not depend on that or on the row range.

use crate::Isa;
use crate::bf16::Bf16;
use crate::buffer::AlignedVec;
use crate::gemm::Act;
use crate::norm::activate;
use crate::scalar::Scalar;
use crate::simd::{Kernel, Simd};
use std::ops::Range;

/// Output pixels per register tile.
const PIXELS: usize = 4;
/// Channels of bf16 that are read at a time where even and odd ones come apart ([`Simd::SPLITS`]).
const SPLIT: usize = 32;

/// Weights as `[9][channels]`, and a bias.
#[derive(Clone)]
pub struct Depthwise {
    weight: AlignedVec<f32>,
    bias: AlignedVec<f32>,
    /// Both with the even ones of each [`SPLIT`] channels before the odd ones; empty if the channels are no multiple of it.
    split_weight: AlignedVec<f32>,
    split_bias: AlignedVec<f32>,
    channels: usize,
}

impl Depthwise {
    /// `weight` is `[channels][1][3][3]`, as a grouped convolution stores it.
    pub fn new(weight: &[f32], bias: &[f32]) -> Self {
        let channels = bias.len();
        assert_eq!(weight.len(), channels * 9, "weight of a depthwise 3x3 convolution");
        let mut packed = AlignedVec::zeroed(9 * channels);
        for c in 0..channels {
            for tap in 0..9 {
                packed[tap * channels + c] = weight[c * 9 + tap];
            }
        }
        let (mut split_weight, mut split_bias) = (AlignedVec::zeroed(0), AlignedVec::zeroed(0));
        if channels.is_multiple_of(SPLIT) {
            (split_weight, split_bias) = (split(&packed), split(bias));
        }
        Self { weight: packed, bias: AlignedVec::copy_of(bias), split_weight, split_bias, channels }
    }

    /// Channels of input and output.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Output rows `rows` (of `height.div_ceil(stride)`) of the image `[height][width][channels]`; `out` holds those
    /// rows only, `width.div_ceil(stride)` pixels each.
    #[allow(clippy::too_many_arguments)]
    pub fn rows<I: DepthwiseElem, O: DepthwiseElem>(
        &self,
        isa: Isa,
        image: &[I],
        height: usize,
        width: usize,
        stride: usize,
        rows: Range<usize>,
        act: Act,
        out: &mut [O],
    ) {
        let line = width * self.channels;
        assert_eq!(image.len(), height * line, "image of {height} x {width} x {}", self.channels);
        assert!(rows.end <= height.div_ceil(stride), "rows {rows:?} of {}", height.div_ceil(stride));
        let out_line = width.div_ceil(stride) * self.channels;
        assert_eq!(out.len(), rows.len() * out_line, "output rows");
        if out_line == 0 {
            return;
        }
        for (y, out) in rows.zip(out.chunks_exact_mut(out_line)) {
            let at = |y: usize| (y < height).then(|| &image[y * line..][..line]);
            let y = y * stride;
            self.row(isa, [at(y.wrapping_sub(1)), at(y), at(y + 1)], width, stride, act, out);
        }
    }

    /// One output row from the three input rows around it (`None` outside the image): for callers that keep only a few
    /// input rows.
    pub fn row<I: DepthwiseElem, O: DepthwiseElem>(
        &self,
        isa: Isa,
        input: [Option<&[I]>; 3],
        width: usize,
        stride: usize,
        act: Act,
        out: &mut [O],
    ) {
        assert!(stride == 1 || stride == 2, "stride {stride}");
        assert_eq!(out.len(), width.div_ceil(stride) * self.channels, "output row");
        for row in input.iter().flatten() {
            assert_eq!(row.len(), width * self.channels, "input row");
        }
        I::convolve(isa, Row { conv: self, input, width, stride, act, out });
    }
}

/// Numbers of channels, the even ones of each [`SPLIT`] before the odd ones.
fn split(numbers: &[f32]) -> AlignedVec<f32> {
    let mut to = AlignedVec::zeroed(numbers.len());
    for (to, from) in to.chunks_exact_mut(SPLIT).zip(numbers.chunks_exact(SPLIT)) {
        for (i, number) in from.iter().enumerate() {
            to[i % 2 * (SPLIT / 2) + i / 2] = *number;
        }
    }
    to
}

/// An output row whose sizes [`Depthwise::row`] has checked: input rows of `width` pixels, an output row of
/// `width.div_ceil(stride)`.
pub struct Row<'a, I, O> {
    conv: &'a Depthwise,
    input: [Option<&'a [I]>; 3],
    width: usize,
    stride: usize,
    act: Act,
    out: &'a mut [O],
}

/// An element type that the convolution reads and writes. The methods that run it are not generic, so that it is compiled
/// here, once for each pair of types.
pub trait DepthwiseElem: Scalar {
    /// Picks the method of the output's type.
    fn convolve<O: DepthwiseElem>(isa: Isa, row: Row<'_, Self, O>);
    fn convolve_f32(isa: Isa, row: Row<'_, f32, Self>);
    fn convolve_bf16(isa: Isa, row: Row<'_, Bf16, Self>);
}

impl DepthwiseElem for f32 {
    fn convolve<O: DepthwiseElem>(isa: Isa, row: Row<'_, f32, O>) {
        O::convolve_f32(isa, row);
    }
    fn convolve_f32(isa: Isa, row: Row<'_, f32, f32>) {
        isa.run(row);
    }
    fn convolve_bf16(isa: Isa, row: Row<'_, Bf16, f32>) {
        isa.run(row);
    }
}

impl DepthwiseElem for Bf16 {
    fn convolve<O: DepthwiseElem>(isa: Isa, row: Row<'_, Bf16, O>) {
        O::convolve_bf16(isa, row);
    }
    fn convolve_f32(isa: Isa, row: Row<'_, f32, Bf16>) {
        isa.run(row);
    }
    fn convolve_bf16(isa: Isa, row: Row<'_, Bf16, Bf16>) {
        isa.run(row);
    }
}

impl<I: Scalar, O: Scalar> Kernel for Row<'_, I, O> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let full = self.input.iter().all(Option::is_some);
        match (full, self.stride) {
            (true, 1) => self.line::<S, true, 1>(s),
            (true, _) => self.line::<S, true, 2>(s),
            (false, 1) => self.line::<S, false, 1>(s),
            (false, _) => self.line::<S, false, 2>(s),
        }
    }
}

impl<I: Scalar, O: Scalar> Row<'_, I, O> {
    /// The whole row. `FULL`: there are three input rows; `STRIDE`: that of the row.
    #[inline(always)]
    fn line<S: Simd, const FULL: bool, const STRIDE: usize>(&mut self, s: S) {
        let out_width = self.width.div_ceil(STRIDE);
        // the last output pixel whose right neighbour is inside
        let inner_end = if self.width < 2 { 1 } else { (self.width - 2) / STRIDE + 1 };
        // SAFETY: pixels end at the output's width, and each is given only taps whose columns are inside the image.
        unsafe {
            self.pixels::<S, FULL, STRIDE, 1>(s, 0, 1, if self.width > 1 { 3 } else { 2 });
            let mut x = 1;
            while x + PIXELS <= inner_end {
                self.pixels::<S, FULL, STRIDE, PIXELS>(s, x, 0, 3);
                x += PIXELS;
            }
            while x < inner_end {
                self.pixels::<S, FULL, STRIDE, 1>(s, x, 0, 3);
                x += 1;
            }
            while x < out_width {
                self.pixels::<S, FULL, STRIDE, 1>(s, x, 0, 2);
                x += 1;
            }
        }
    }

    /// Output pixels `x..x + P` from the taps in columns `from..to`.
    ///
    /// # Safety
    /// The pixels are inside the output. The columns `x * STRIDE + tap - 1` of these taps, for each of the pixels, are
    /// inside the image; `P > 1` only with all three taps.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const FULL: bool, const STRIDE: usize, const P: usize>(
        &mut self,
        s: S,
        x: usize,
        from: usize,
        to: usize,
    ) {
        let channels = self.conv.channels;
        let whole = channels / S::LANES * S::LANES;
        // SAFETY: these pixels and taps exist; a short vector where fewer than LANES channels are left.
        unsafe {
            let mut c = 0;
            if S::SPLITS && I::STEP == 2 && O::STEP == 2 && channels.is_multiple_of(SPLIT) {
                while c < channels {
                    self.two_vectors::<S, FULL, STRIDE, P>(s, x, from, to, c);
                    c += SPLIT;
                }
                return;
            }
            while c < whole {
                self.vector::<S, FULL, STRIDE, P, true>(s, x, from, to, c, S::LANES);
                c += S::LANES;
            }
            if c < channels {
                self.vector::<S, FULL, STRIDE, P, false>(s, x, from, to, c, channels - c);
            }
        }
    }

    /// Channel `c` of the left neighbour of output pixel `x` in input row `ky`: for x = 0 outside, and not to be read. None
    /// where there is no such row, which `FULL` excludes.
    #[inline(always)]
    fn left<const FULL: bool, const STRIDE: usize>(&self, ky: usize, x: usize, c: usize) -> Option<*const I> {
        let channels = self.conv.channels;
        match self.input[ky] {
            Some(row) => Some(row.as_ptr().wrapping_add(x * STRIDE * channels).wrapping_sub(channels).wrapping_add(c)),
            None if FULL => unreachable!(),
            None => None,
        }
    }

    /// Channels `c..c + SPLIT` of these pixels, even and odd ones apart: widening them then takes one instruction each.
    ///
    /// # Safety
    /// As [`Row::pixels`]; `I` and `O` are bf16, and the channels a multiple of `SPLIT`, as is `c`.
    #[inline(always)]
    unsafe fn two_vectors<S: Simd, const FULL: bool, const STRIDE: usize, const P: usize>(
        &mut self,
        s: S,
        x: usize,
        from: usize,
        to: usize,
        c: usize,
    ) {
        let channels = self.conv.channels;
        // SAFETY: channels c..c + SPLIT of existing pixels and taps; pointers are to bf16, as the types say.
        unsafe {
            let mut acc = [two(s, self.conv.split_bias.as_ptr().add(c)); P];
            for ky in 0..3 {
                let Some(left) = self.left::<FULL, STRIDE>(ky, x, c) else { continue };
                for kx in 0..3 {
                    if P == 1 && !(from..to).contains(&kx) {
                        continue;
                    }
                    let w = two(s, self.conv.split_weight.as_ptr().add((ky * 3 + kx) * channels + c));
                    for (p, acc) in acc.iter_mut().enumerate() {
                        let at = s.load_bf16_split(left.wrapping_add((p * STRIDE + kx) * channels).cast());
                        *acc = [s.fma(at[0], w[0], acc[0]), s.fma(at[1], w[1], acc[1])];
                    }
                }
            }
            for (p, &acc) in acc.iter().enumerate() {
                let y = [activate::<S, O>(s, acc[0], self.act), activate::<S, O>(s, acc[1], self.act)];
                s.store_bf16_split(self.out.as_mut_ptr().add((x + p) * channels + c).cast(), y);
            }
        }
    }

    /// Channels `c..c + n` of these pixels, `n` being LANES if they are a `WHOLE` vector, else less.
    ///
    /// # Safety
    /// As [`Row::pixels`], and `c + n` is at most the number of channels.
    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    unsafe fn vector<S: Simd, const FULL: bool, const STRIDE: usize, const P: usize, const WHOLE: bool>(
        &mut self,
        s: S,
        x: usize,
        from: usize,
        to: usize,
        c: usize,
        n: usize,
    ) {
        let channels = self.conv.channels;
        // SAFETY: channels c..c + n of existing pixels and taps.
        unsafe {
            let mut acc = [some::<S, f32, WHOLE>(s, self.conv.bias.as_ptr().add(c), n); P];
            for ky in 0..3 {
                let Some(left) = self.left::<FULL, STRIDE>(ky, x, c) else { continue };
                for kx in 0..3 {
                    if P == 1 && !(from..to).contains(&kx) {
                        continue;
                    }
                    let w = some::<S, f32, WHOLE>(s, self.conv.weight.as_ptr().add((ky * 3 + kx) * channels + c), n);
                    for (p, acc) in acc.iter_mut().enumerate() {
                        let at = left.wrapping_add((p * STRIDE + kx) * channels);
                        *acc = s.fma(some::<S, I, WHOLE>(s, at, n), w, *acc);
                    }
                }
            }
            for (p, &acc) in acc.iter().enumerate() {
                let y = activate::<S, O>(s, acc, self.act);
                let at = self.out.as_mut_ptr().add((x + p) * channels + c);
                if WHOLE { O::store(s, at, y) } else { O::store_n(s, at, n, y) }
            }
        }
    }
}

/// Two vectors.
///
/// # Safety
/// `p` is valid for reading `2 * LANES` elements.
#[inline(always)]
unsafe fn two<S: Simd>(s: S, p: *const f32) -> [S::F; 2] {
    // SAFETY: by contract.
    unsafe { [s.load(p), s.load(p.add(S::LANES))] }
}

/// A whole vector or its first `n` values.
///
/// # Safety
/// `p` is valid for reading LANES elements if `WHOLE`, else for `n`, which is less.
#[inline(always)]
unsafe fn some<S: Simd, E: Scalar, const WHOLE: bool>(s: S, p: *const E, n: usize) -> S::F {
    // SAFETY: as many elements can be read.
    unsafe { if WHOLE { E::load(s, p) } else { E::load_n(s, p, n) } }
}
