//! The transposed 2x2 convolution of stride 2 as the crate's documentation builds it.

mod common;

use common::*;
use sam_kernels::*;

#[test]
fn two_products_per_row() {
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
    for isa in forms() {
        let mut out = vec![0.0; 4 * h * w * n];
        for (y, out) in out.chunks_mut(2 * w * n).enumerate() {
            let rows = y / 2 * w..(y / 2 + 1) * w;
            gemm(isa, &Rows::dense(&image, c), rows, &packed[y % 2], &Epilogue::BIAS, Out::f32(out, 2 * n));
        }
        let mut want = vec![];
        for (y, x, o) in (0..4 * h * w * n).map(|i| (i / n / (2 * w), i / n % (2 * w), i % n)) {
            let pixel = &image[(y / 2 * w + x / 2) * c..][..c];
            let tap = |i: usize| weight[((i * n + o) * 2 + y % 2) * 2 + x % 2];
            want.push(f64::from(bias[o]) + (0..c).map(|i| f64::from(pixel[i]) * f64::from(tap(i))).sum::<f64>());
        }
        close(&out, &want, 4e-6, isa.name());
    }
}
