//! Convolutions as matrix products, without an intermediate matrix, against sums in f64 on every instruction set.

mod common;

use common::*;
use sam_kernels::*;

/// An image and the weights of a convolution as they are usually given, and what it is in f64.
struct Convolution<E> {
    height: usize,
    width: usize,
    channels: usize,
    n: usize,
    size: usize,
    stride: usize,
    /// `[height][width][channels]`
    image: Vec<E>,
    /// `[n][channels][size][size]`
    weight: Vec<f32>,
    bias: Vec<f32>,
    want: Vec<f64>,
}

impl<E: Elem> Convolution<E> {
    /// `[height, width, channels, outputs, side of the window, stride, pixels of zeros around]`
    fn new(r: &mut Random, [height, width, channels, n, size, stride, pad]: [usize; 7]) -> Self {
        let (weight, bias) = (r.vec(n * channels * size * size), r.vec(n));
        let image = r.elems::<E>(height * width * channels);
        let (pixels, weights) = (wide(&image), as_stored::<E>(&weight));
        let side = |length: usize| (length + 2 * pad - size) / stride + 1;
        let mut want = Vec::new();
        for (y, x, o) in (0..side(height) * side(width) * n).map(|i| (i / n / side(width), i / n % side(width), i % n))
        {
            let mut sum = f64::from(bias[o]);
            for (ky, kx) in (0..size * size).map(|tap| (tap / size, tap % size)) {
                let (y, x) = ((y * stride + ky).wrapping_sub(pad), (x * stride + kx).wrapping_sub(pad));
                if y < height && x < width {
                    let pixel = &pixels[(y * width + x) * channels..][..channels];
                    let weight = |c: usize| weights[((o * channels + c) * size + ky) * size + kx];
                    sum += pixel.iter().enumerate().map(|(c, value)| value * weight(c)).sum::<f64>();
                }
            }
            want.push(sum);
        }
        Self { height, width, channels, n, size, stride, image, weight, bias, want }
    }

    fn packed(&self, stored: usize, merged: bool) -> Packed<E> {
        let Self { n, channels, size, .. } = *self;
        Packed::conv(&self.weight, n, channels, stored, size, merged, Some(&self.bias))
    }

    /// The image with a border of one pixel of zeros, and `stored` channels, those that it lacks being `surplus`.
    fn bordered(&self, stored: usize, surplus: f32) -> Vec<E> {
        let mut out = vec![E::default(); (self.height + 2) * (self.width + 2) * stored];
        for (i, pixel) in self.image.chunks(self.channels).enumerate() {
            let at = ((i / self.width + 1) * (self.width + 2) + i % self.width + 1) * stored;
            out[at..at + self.channels].copy_from_slice(pixel);
            out[at + self.channels..at + stored].fill(E::from_f32(surplus));
        }
        out
    }

    /// All output pixels, computed in two ranges.
    fn run(&self, isa: Isa, source: &impl Source<E>, packed: &Packed<E>, cut: usize) -> Vec<f32> {
        let mut out = vec![0.0; self.want.len()];
        let (top, bottom) = out.split_at_mut(cut * self.n);
        gemm(isa, source, 0..cut, packed, &Epilogue::BIAS, Out::f32(top, self.n));
        gemm(isa, source, cut..source.rows(), packed, &Epilogue::BIAS, Out::f32(bottom, self.n));
        out
    }
}

/// Convolutions of 3 x 3 taps.
fn each_3x3<E: Elem>(seed: u64, mut check: impl FnMut(&Convolution<E>, &str)) {
    let mut r = Random(seed);
    for [height, width, channels, n, stride] in
        [[5, 7, 4, 9, 1], [8, 6, 2, 33, 2], [7, 9, 16, 32, 2], [1, 1, 3, 5, 1], [6, 5, 8, 40, 1], [9, 4, 4, 20, 2]]
    {
        let convolution = Convolution::new(&mut r, [height, width, channels, n, 3, stride, 1]);
        check(&convolution, &format!("{height}x{width}x{channels}->{n} stride {stride}"));
    }
}

fn padded_convolution_matches_f64<E: Elem>(tolerance: f64) {
    each_3x3::<E>(3, |c, what| {
        let zeros = vec![E::default(); c.channels];
        let source = Conv3x3::padded(&c.image, &zeros, c.height, c.width, c.channels, c.stride);
        let pixels = source.output_size().0 * source.output_size().1;
        assert_eq!(pixels * c.n, c.want.len());
        for isa in forms() {
            let got = c.run(isa, &source, &c.packed(c.channels, false), pixels);
            close(&got, &c.want, tolerance, &format!("{isa:?} {what}"));
        }
    });
}
for_both_types!(padded_convolution_matches_f64, f32: 4e-6, bf16: 4e-6);

fn bordered_convolution_matches_f64<E: Elem>(tolerance: f64) {
    each_3x3::<E>(3, |c, what| {
        let image = c.bordered(c.channels, 0.0);
        let source = Conv3x3::bordered(&image, c.height, c.width, c.channels, c.stride);
        for isa in forms() {
            let got = c.run(isa, &source, &c.packed(c.channels, true), source.rows());
            close(&got, &c.want, tolerance, &format!("{isa:?} {what}"));
        }
    });
}
for_both_types!(bordered_convolution_matches_f64, f32: 4e-6, bf16: 4e-6);

fn convolution_same_bits_for_any_ranges<E: Elem>(_: f64) {
    let mut r = Random(4);
    each_3x3::<E>(4, |c, what| {
        let zeros = vec![E::default(); c.channels];
        let source = Conv3x3::padded(&c.image, &zeros, c.height, c.width, c.channels, c.stride);
        let packed = c.packed(c.channels, false);
        for isa in forms() {
            let (whole, cut) = (c.run(isa, &source, &packed, source.rows()), r.below(source.rows() + 1));
            same_bits(&c.run(isa, &source, &packed, cut), &whole, &format!("{isa:?} {what} cut at {cut}"));
        }
    });
}
for_both_types!(convolution_same_bits_for_any_ranges, f32: 0.0, bf16: 0.0);

#[test]
fn surplus_channels_count_for_nothing() {
    let c = Convolution::<f32>::new(&mut Random(4), [6, 6, 3, 10, 3, 2, 1]);
    let image = c.bordered(4, 7.0);
    let source = Conv3x3::bordered(&image, 6, 6, 4, 2);
    for isa in forms() {
        close(&c.run(isa, &source, &c.packed(4, true), 9), &c.want, 4e-6, isa.name());
    }
}

#[test]
fn patches_match_f64() {
    let c = Convolution::<f32>::new(&mut Random(5), [32, 48, 3, 21, 16, 16, 0]);
    let source = Patches::new(&c.image, 32, 48, 3, 16);
    for isa in forms() {
        close(&c.run(isa, &source, &c.packed(3, true), 6), &c.want, 2e-5, isa.name());
    }
}

#[test]
fn odd_segments_of_bf16_are_padded() {
    let c = Convolution::<Bf16>::new(&mut Random(6), [5, 4, 3, 6, 3, 1, 1]);
    let source = Conv3x3::padded(&c.image, &[Bf16::ZERO; 3], 5, 4, 3, 1);
    for isa in forms() {
        close(&c.run(isa, &source, &c.packed(3, false), 20), &c.want, 4e-6, isa.name());
    }
}

/// The transposed 2x2 convolution of stride 2 as the crate's documentation builds it.
#[test]
fn transposed_convolution_is_two_products_per_row() {
    let mut r = Random(31);
    let (h, w, c, n) = (3, 5, 24, 10);
    let (image, weight, bias) = (r.vec(h * w * c), r.vec(c * n * 4), r.vec(n));
    // weight is [c][n][2][2]; a product gives [dx][n]
    let packed: Vec<Packed<f32>> = (0..2)
        .map(|dy| {
            let row = |dx: usize, o: usize| (0..c).map(|i| weight[((i * n + o) * 2 + dy) * 2 + dx]).collect::<Vec<_>>();
            let rows: Vec<f32> = (0..2 * n).flat_map(|j| row(j / n, j % n)).collect();
            Packed::linear(&rows, 2 * n, c, Some(&[bias.clone(), bias.clone()].concat()))
        })
        .collect();
    let mut want = vec![];
    for (y, x, o) in (0..4 * h * w * n).map(|i| (i / n / (2 * w), i / n % (2 * w), i % n)) {
        let pixel = &image[(y / 2 * w + x / 2) * c..][..c];
        let tap = |i: usize| weight[((i * n + o) * 2 + y % 2) * 2 + x % 2];
        want.push(f64::from(bias[o]) + (0..c).map(|i| f64::from(pixel[i]) * f64::from(tap(i))).sum::<f64>());
    }
    for isa in forms() {
        let mut out = vec![0.0; 4 * h * w * n];
        for (y, out) in out.chunks_mut(2 * w * n).enumerate() {
            let rows = y / 2 * w..(y / 2 + 1) * w;
            gemm(isa, &Rows::dense(&image, c), rows, &packed[y % 2], &Epilogue::BIAS, Out::f32(out, 2 * n));
        }
        close(&out, &want, 4e-6, isa.name());
    }
}
