//! Matrix products and implicit convolutions against naive sums in f64, on every instruction set.

mod common;

use common::*;
use sam_kernels::*;

fn act(a: Act, x: f64) -> f64 {
    match a {
        Act::None => x,
        Act::Gelu => gelu(x),
        Act::Relu => x.max(0.0),
    }
}

/// `[rows][k]` times `[n][k]`.
fn naive(a: &[f64], w: &[f64], bias: &[f32], rows: usize, k: usize, n: usize) -> Vec<f64> {
    let mut c = vec![0.0; rows * n];
    for i in 0..rows {
        for j in 0..n {
            c[i * n + j] = f64::from(bias[j]) + (0..k).map(|x| a[i * k + x] * w[j * k + x]).sum::<f64>();
        }
    }
    c
}

fn rows_with_gaps<T: Copy>(x: &[T], stride: usize, n: usize) -> Vec<T> {
    x.chunks(stride).flat_map(|r| r[..n].to_vec()).collect()
}

fn products<E: Elem>(tolerance: f64) {
    let mut r = Random(1);
    let epilogues = |i: usize| match i % 6 {
        0 => Epilogue::BIAS,
        1 => Epilogue::GELU,
        2 => Epilogue::RELU,
        3 => Epilogue::ADD,
        4 => Epilogue::ADD_GELU,
        _ => Epilogue { act: Act::Relu, residual: Residual::InPlace, act_after: Act::Gelu },
    };
    let sizes =
        [(1, 1, 1), (2, 3, 5), (7, 17, 33), (12, 32, 32), (13, 31, 64), (25, 64, 100), (40, 5, 7), (29, 129, 48)];
    for (case, &(rows, k, n)) in sizes.iter().chain(&sizes).chain(&sizes).enumerate() {
        let (lda, ldc) = (k + r.below(5), n + r.below(4));
        let a = r.elems::<E>(rows * lda);
        let (w, bias, old) = (r.vec(n * k), r.vec(n), r.vec(rows * ldc));
        let e = epilogues(case);
        let sums = naive(&rows_with_gaps(&wide(&a), lda, k), &as_stored::<E>(&w), &bias, rows, k, n);
        let want: Vec<f64> = sums
            .iter()
            .enumerate()
            .map(|(i, &x)| {
                let before = f64::from(old[i / n * ldc + i % n]);
                let residual = if matches!(e.residual, Residual::None) { 0.0 } else { before };
                act(e.act_after, act(e.act, x) + residual)
            })
            .collect();
        let packed = Packed::<E>::linear(&w, n, k, Some(&bias));
        for isa in forms() {
            let what = format!("{isa:?} {rows}x{k}->{n} case {case}");
            let (mut c, mut h) = (old.clone(), vec![Bf16::ZERO; rows * ldc]);
            let source = Rows::new(&a, lda, k);
            gemm(isa, &source, 0..rows, &packed, &e, Out::both(MatMut::new(&mut c, ldc), MatMut::new(&mut h, ldc)));
            close(&rows_with_gaps(&c, ldc, n), &want, tolerance, &what);
            close_bf16(&rows_with_gaps(&h, ldc, n), &want, tolerance, &what);
            // what lies between the rows is not touched
            for (i, (x, y)) in c.iter().zip(&old).enumerate() {
                assert!(i % ldc < n || x == y, "{what}: gap at {i}");
            }
            // a split range gives the same bits
            let (mut d, cut) = (old.clone(), r.below(rows + 1));
            let (top, bottom) = d.split_at_mut(cut * ldc);
            gemm(isa, &source, 0..cut, &packed, &e, Out::f32(top, ldc));
            gemm(isa, &source, cut..rows, &packed, &e, Out::f32(bottom, ldc));
            assert!(c.iter().zip(&d).all(|(x, y)| x.to_bits() == y.to_bits()), "{what}: split at {cut}");
            // gathered rows
            let index: Vec<u32> = (0..rows as u32).rev().collect();
            let mut g = vec![0.0; rows * n];
            gemm(isa, &Gather::new(source, &index), 0..rows, &packed, &Epilogue::BIAS, Out::f32(&mut g, n));
            let back: Vec<f64> = sums.chunks(n).rev().flatten().copied().collect();
            close(&g, &back, tolerance, &what);
            // bf16 only: the shorter GELU
            if matches!(e.residual, Residual::None) {
                gemm(isa, &source, 0..rows, &packed, &e, Out::bf16(&mut h, ldc));
                close_bf16(&rows_with_gaps(&h, ldc, n), &want, tolerance + 4e-4, &what);
            }
        }
    }
}

#[test]
fn f32_products() {
    products::<f32>(4e-6);
}

#[test]
fn bf16_products() {
    products::<Bf16>(6e-6);
}

#[test]
fn blocks_larger_than_a_cache() {
    let (rows, k, n) = (301, 1500, 70);
    let mut r = Random(2);
    let (a, w, bias) = (r.vec(rows * k), r.vec(n * k), r.vec(n));
    let want = naive(&wide(&a), &wide(&w), &bias, rows, k, n);
    let (old, packed) = (r.vec(rows * n), Packed::<f32>::linear(&w, n, k, Some(&bias)));
    for isa in forms() {
        let mut c = vec![0.0; rows * n];
        let e = Epilogue { residual: Residual::From(Mat::new(&old, n)), ..Epilogue::BIAS };
        gemm(isa, &Rows::dense(&a, k), 0..rows, &packed, &e, Out::f32(&mut c, n));
        let want: Vec<f64> = want.iter().zip(&old).map(|(x, y)| x + f64::from(*y)).collect();
        close(&c, &want, 1e-4, isa.name());
    }
}

/// NCHW-free naive convolution: `[h][w][c]` by `[n][c][size][size]`.
#[allow(clippy::too_many_arguments)]
fn naive_conv(
    image: &[f64],
    (h, w, c): (usize, usize, usize),
    weight: &[f64],
    bias: &[f32],
    n: usize,
    size: usize,
    stride: usize,
    pad: usize,
) -> Vec<f64> {
    let (oh, ow) = ((h + 2 * pad - size) / stride + 1, (w + 2 * pad - size) / stride + 1);
    let mut out = Vec::new();
    for y in 0..oh {
        for x in 0..ow {
            for o in 0..n {
                let mut sum = f64::from(bias[o]);
                for ky in 0..size {
                    for kx in 0..size {
                        let (iy, ix) = ((y * stride + ky).wrapping_sub(pad), (x * stride + kx).wrapping_sub(pad));
                        if iy < h && ix < w {
                            for ch in 0..c {
                                sum += image[(iy * w + ix) * c + ch] * weight[((o * c + ch) * size + ky) * size + kx];
                            }
                        }
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

fn convolutions<E: Elem>() {
    let mut r = Random(3);
    for (h, w, c, n, stride) in
        [(5, 7, 4, 9, 1), (8, 6, 2, 33, 2), (7, 9, 16, 32, 2), (1, 1, 3, 5, 1), (6, 5, 8, 40, 1), (9, 4, 4, 20, 2)]
    {
        let (weight, bias, image) = (r.vec(n * c * 9), r.vec(n), r.elems::<E>(h * w * c));
        let want = naive_conv(&wide(&image), (h, w, c), &as_stored::<E>(&weight), &bias, n, 3, stride, 1);
        let zeros = vec![E::default(); c];
        let mut bordered = vec![E::default(); (h + 2) * (w + 2) * c];
        for y in 0..h {
            bordered[((y + 1) * (w + 2) + 1) * c..][..w * c].copy_from_slice(&image[y * w * c..][..w * c]);
        }
        let apart = Packed::<E>::conv(&weight, n, c, c, 3, false, Some(&bias));
        let merged = Packed::<E>::conv(&weight, n, c, c, 3, true, Some(&bias));
        for isa in forms() {
            let what = format!("{isa:?} {h}x{w}x{c}->{n} stride {stride}");
            let padded = Conv3x3::padded(&image, &zeros, h, w, c, stride);
            let rows = want.len() / n;
            assert_eq!(padded.output_size().0 * padded.output_size().1, rows);
            let mut out = vec![0.0; want.len()];
            gemm(isa, &padded, 0..rows, &apart, &Epilogue::BIAS, Out::f32(&mut out, n));
            close(&out, &want, 4e-6, &what);
            let mut split = vec![0.0; want.len()];
            let cut = r.below(rows + 1);
            let (top, bottom) = split.split_at_mut(cut * n);
            gemm(isa, &padded, 0..cut, &apart, &Epilogue::BIAS, Out::f32(top, n));
            gemm(isa, &padded, cut..rows, &apart, &Epilogue::BIAS, Out::f32(bottom, n));
            assert_eq!(out, split, "{what}");
            let source = Conv3x3::bordered(&bordered, h, w, c, stride);
            gemm(isa, &source, 0..rows, &merged, &Epilogue::BIAS, Out::f32(&mut out, n));
            close(&out, &want, 4e-6, &what);
        }
    }
}

#[test]
fn f32_convolutions() {
    convolutions::<f32>();
}

#[test]
fn bf16_convolutions() {
    convolutions::<Bf16>();
}

#[test]
fn surplus_channels_count_for_nothing() {
    let mut r = Random(4);
    let (h, w, n) = (6, 6, 10);
    let (weight, bias, image) = (r.vec(n * 27), r.vec(n), r.vec(h * w * 3));
    let want = naive_conv(&wide(&image), (h, w, 3), &wide(&weight), &bias, n, 3, 2, 1);
    let mut stored = vec![0.0; (h + 2) * (w + 2) * 4];
    for (i, p) in image.chunks(3).enumerate() {
        let at = ((i / w + 1) * (w + 2) + i % w + 1) * 4;
        stored[at..at + 3].copy_from_slice(p);
        stored[at + 3] = 7.0;
    }
    let packed = Packed::<f32>::conv(&weight, n, 3, 4, 3, true, Some(&bias));
    for isa in forms() {
        let mut out = vec![0.0; want.len()];
        gemm(isa, &Conv3x3::bordered(&stored, h, w, 4, 2), 0..9, &packed, &Epilogue::BIAS, Out::f32(&mut out, n));
        close(&out, &want, 4e-6, isa.name());
    }
}

#[test]
fn patches() {
    let mut r = Random(5);
    let (h, w, n, size) = (32, 48, 21, 16);
    let (weight, bias, image) = (r.vec(n * 3 * size * size), r.vec(n), r.vec(h * w * 3));
    let want = naive_conv(&wide(&image), (h, w, 3), &wide(&weight), &bias, n, size, size, 0);
    let packed = Packed::<f32>::conv(&weight, n, 3, 3, size, true, Some(&bias));
    for isa in forms() {
        let mut out = vec![0.0; want.len()];
        gemm(isa, &Patches::new(&image, h, w, 3, size), 0..6, &packed, &Epilogue::BIAS, Out::f32(&mut out, n));
        close(&out, &want, 2e-5, isa.name());
    }
}

#[test]
fn odd_segments_of_bf16_are_padded() {
    let mut r = Random(6);
    let (h, w, c, n) = (5, 4, 3, 6);
    let (weight, bias, image) = (r.vec(n * c * 9), r.vec(n), r.elems::<Bf16>(h * w * c));
    let want = naive_conv(&wide(&image), (h, w, c), &as_stored::<Bf16>(&weight), &bias, n, 3, 1, 1);
    let packed = Packed::<Bf16>::conv(&weight, n, c, c, 3, false, Some(&bias));
    for isa in forms() {
        let mut out = vec![0.0; want.len()];
        let source = Conv3x3::padded(&image, &[Bf16::ZERO; 3], h, w, c, 1);
        gemm(isa, &source, 0..h * w, &packed, &Epilogue::BIAS, Out::f32(&mut out, n));
        close(&out, &want, 4e-6, isa.name());
    }
}

#[test]
fn weights_given_transposed_are_the_same_weights() {
    let mut r = Random(8);
    for (n, k) in [(1, 1), (33, 5), (256, 56)] {
        let (weight, bias, a) = (r.vec(n * k), r.vec(n), r.vec(3 * k));
        let turned: Vec<f32> = (0..k * n).map(|i| weight[i % n * k + i / n]).collect();
        let packed =
            [Packed::<f32>::linear(&weight, n, k, Some(&bias)), Packed::transposed(&turned, n, k, Some(&bias))];
        let [a, b] = packed.map(|packed| {
            let mut out = vec![0.0; 3 * n];
            gemm(forms()[0], &Rows::dense(&a, k), 0..3, &packed, &Epilogue::BIAS, Out::f32(&mut out, n));
            out
        });
        assert_eq!(a, b, "{n} x {k}");
    }
}
