//! Depthwise convolution against f64, on every instruction set and for every pair of types.

mod common;

use common::*;
use sam_kernels::*;

/// A convolution of an image, and what it is in f64.
struct Case<I> {
    height: usize,
    width: usize,
    stride: usize,
    image: Vec<I>,
    conv: Depthwise,
    act: Act,
    want: Vec<f64>,
}

impl<I: Elem> Case<I> {
    fn new(r: &mut Random, [height, width, channels, stride]: [usize; 4], act: Act) -> Self {
        let (image, weight) = (r.elems::<I>(height * width * channels), r.vec(channels * 9));
        let bias = r.vec(channels);
        let (out_height, out_width) = (height.div_ceil(stride), width.div_ceil(stride));
        let want = (0..out_height * out_width * channels).map(|i| {
            let (y, x, c) = (i / channels / out_width, i / channels % out_width, i % channels);
            let mut sum = f64::from(bias[c]);
            for (ky, kx) in (0..9).map(|tap| (tap / 3, tap % 3)) {
                let (y, x) = ((y * stride + ky).wrapping_sub(1), (x * stride + kx).wrapping_sub(1));
                if y < height && x < width {
                    let value = image[(y * width + x) * channels + c].to_f32();
                    sum += f64::from(value) * f64::from(weight[c * 9 + ky * 3 + kx]);
                }
            }
            activated(act, sum)
        });
        let want = want.collect();
        Self { height, width, stride, image, conv: Depthwise::new(&weight, &bias), act, want }
    }

    /// All output rows, computed in two ranges.
    fn run<O: Elem>(&self, isa: Isa, cut: usize) -> Vec<f32> {
        let Self { height, width, stride, act, .. } = *self;
        let mut out = vec![O::default(); self.want.len()];
        let (top, bottom) = out.split_at_mut(cut * width.div_ceil(stride) * self.conv.channels());
        for (rows, out) in [(0..cut, top), (cut..height.div_ceil(stride), bottom)] {
            self.conv.rows(isa, &self.image, height, width, stride, rows, act, out);
        }
        narrow(&out)
    }
}

/// Checks values, and that their bits do not depend on the ranges they are computed in.
fn check<I: Elem, O: Elem>(tolerance: f64) {
    let mut r = Random(12);
    for sizes in [
        [1, 1, 1, 1],
        [2, 1, 5, 1],
        [1, 2, 16, 2],
        [5, 7, 16, 1],
        [6, 6, 33, 2],
        [7, 13, 40, 1],
        [8, 11, 8, 2],
        [3, 22, 20, 1],
        [4, 21, 16, 2],
        [5, 11, 32, 1],
        [6, 9, 64, 2],
    ] {
        for act in [Act::None, Act::Gelu] {
            let case = Case::<I>::new(&mut r, sizes, act);
            let rows = case.height.div_ceil(case.stride);
            for isa in forms() {
                let (what, cut) = (format!("{isa:?} {sizes:?} {act:?}"), r.below(rows + 1));
                let whole = case.run::<O>(isa, rows);
                close(&whole, &case.want, tolerance, &what);
                same_bits(&case.run::<O>(isa, cut), &whole, &format!("{what} cut at {cut}"));
            }
        }
    }
}

#[test]
fn f32_to_f32_matches_f64_with_the_same_bits_for_any_rows() {
    check::<f32, f32>(2e-6);
}

#[test]
fn f32_to_bf16_matches_f64_with_the_same_bits_for_any_rows() {
    check::<f32, Bf16>(1.0 / 250.0 + 4e-4);
}

#[test]
fn bf16_to_bf16_matches_f64_with_the_same_bits_for_any_rows() {
    check::<Bf16, Bf16>(1.0 / 250.0 + 4e-4);
}

#[test]
fn bf16_to_f32_matches_f64_with_the_same_bits_for_any_rows() {
    check::<Bf16, f32>(2e-6);
}
