//! Layer norm, depthwise convolution, pixels, mask logits and enlargement against naive forms.

mod common;

use common::*;
use sam_kernels::*;

fn layer_norms<O: Elem>(tolerance: f64) {
    let mut r = Random(11);
    for (rows, c, offset) in
        [(1, 1, 0.0), (3, 7, 0.0), (5, 16, 3.0), (4, 33, -2.0), (6, 64, 100.0), (3, 160, 0.5), (2, 1280, 1000.0)]
    {
        let (stride, out_stride) = (c + r.below(3), c + r.below(3));
        let x: Vec<f32> = r.vec(rows * stride).iter().map(|x| x + offset).collect();
        let (gamma, beta, eps) = (r.vec(c), r.vec(c), 1e-5);
        let norm = LayerNorm::new(&gamma, &beta, eps);
        for act in [Act::None, Act::Gelu, Act::Relu] {
            let mut want = vec![];
            for row in x.chunks(stride) {
                let row = wide(&row[..c]);
                let mean = row.iter().sum::<f64>() / c as f64;
                let var = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / c as f64;
                want.extend(row.iter().zip(gamma.iter().zip(&beta)).map(|(x, (&g, &b))| {
                    let y = (x - mean) / (var + f64::from(eps)).sqrt() * f64::from(g) + f64::from(b);
                    match act {
                        Act::None => y,
                        Act::Gelu => gelu(y),
                        Act::Relu => y.max(0.0),
                    }
                }));
            }
            for isa in forms() {
                let what = format!("{isa:?} {rows}x{c} {act:?}");
                let mut out = vec![O::default(); rows * out_stride];
                norm.apply(isa, Mat::new(&x, stride), rows, act, MatMut::new(&mut out, out_stride));
                let got: Vec<f32> = out
                    .chunks(out_stride)
                    .flat_map(|r| r[..c].iter().map(|x| x.to_f32()).collect::<Vec<_>>())
                    .collect();
                // a large mean costs bits of the input itself
                let tolerance = tolerance + 4e-7 * f64::from(offset.abs()) * 5.0;
                close(&got, &want, tolerance, &what);
                if O::STEP == 1 {
                    let mut y = x.clone();
                    norm.apply_in_place(isa, MatMut::new(&mut y, stride), rows, act);
                    let y: Vec<f32> = y.chunks(stride).flat_map(|r| r[..c].to_vec()).collect();
                    assert_eq!(y, got, "{what} in place");
                }
            }
        }
    }
}

#[test]
fn layer_norm_f32() {
    layer_norms::<f32>(4e-6);
}

#[test]
fn layer_norm_bf16() {
    layer_norms::<Bf16>(1.0 / 250.0 + 1e-4);
}

fn depthwise<I: Elem, O: Elem>(tolerance: f64) {
    let mut r = Random(12);
    for (h, w, c, stride) in [
        (1, 1, 1, 1),
        (2, 1, 5, 1),
        (1, 2, 16, 2),
        (5, 7, 16, 1),
        (6, 6, 33, 2),
        (7, 13, 40, 1),
        (8, 11, 8, 2),
        (3, 22, 20, 1),
        (4, 21, 16, 2),
    ] {
        let (image, weight, bias) = (r.elems::<I>(h * w * c), r.vec(c * 9), r.vec(c));
        let (oh, ow) = (h.div_ceil(stride), w.div_ceil(stride));
        let conv = Depthwise::new(&weight, &bias);
        for act in [Act::None, Act::Gelu] {
            let mut want = vec![];
            for (y, x, ch) in (0..oh * ow * c).map(|i| (i / c / ow, i / c % ow, i % c)) {
                let mut sum = f64::from(bias[ch]);
                for (ky, kx) in (0..9).map(|k| (k / 3, k % 3)) {
                    let (iy, ix) = ((y * stride + ky).wrapping_sub(1), (x * stride + kx).wrapping_sub(1));
                    if iy < h && ix < w {
                        sum +=
                            f64::from(image[(iy * w + ix) * c + ch].to_f32()) * f64::from(weight[ch * 9 + ky * 3 + kx]);
                    }
                }
                want.push(if act == Act::Gelu { gelu(sum) } else { sum });
            }
            for isa in forms() {
                let what = format!("{isa:?} {h}x{w}x{c} stride {stride} {act:?}");
                let mut out = vec![O::default(); want.len()];
                conv.rows(isa, &image, h, w, stride, 0..oh, act, &mut out);
                let got: Vec<f32> = out.iter().map(|x| x.to_f32()).collect();
                close(&got, &want, tolerance, &what);
                let (mut split, cut) = (vec![O::default(); want.len()], r.below(oh + 1));
                let (top, bottom) = split.split_at_mut(cut * ow * c);
                conv.rows(isa, &image, h, w, stride, 0..cut, act, top);
                conv.rows(isa, &image, h, w, stride, cut..oh, act, bottom);
                assert!(out.iter().zip(&split).all(|(a, b)| a.to_f32().to_bits() == b.to_f32().to_bits()), "{what}");
            }
        }
    }
}

#[test]
fn depthwise_convolutions() {
    depthwise::<f32, f32>(2e-6);
    depthwise::<f32, Bf16>(1.0 / 250.0 + 4e-4);
    depthwise::<Bf16, Bf16>(1.0 / 250.0 + 4e-4);
    depthwise::<Bf16, f32>(2e-6);
}

#[test]
fn pixels() {
    let mut r = Random(13);
    let n = Normalise { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] };
    let (h, w, side) = (5, 7, 9);
    let rgb: Vec<u8> = (0..h * w * 3).map(|_| r.next() as u8).collect();
    for (border, stored) in [(0, 3), (1, 4), (1, 3), (0, 4)] {
        let full = side + 2 * border;
        let mut out = vec![9f32; full * full * stored];
        let (top, bottom) = out.split_at_mut(4 * full * stored);
        n.rows(&rgb, (h, w), side, border, stored, 0..4, top);
        n.rows(&rgb, (h, w), side, border, stored, 4..full, bottom);
        for (i, &got) in out.iter().enumerate() {
            let (y, x, c) = (i / stored / full, i / stored % full, i % stored);
            let (y, x) = (y.wrapping_sub(border), x.wrapping_sub(border));
            let inside = y < h && x < w && c < 3;
            let want = if inside { (f32::from(rgb[(y * w + x) * 3 + c]) - n.mean[c]) / n.std[c] } else { 0.0 };
            assert_eq!(got, want, "border {border}, {stored} channels, pixel {y} {x} {c}");
        }
    }
}

#[test]
fn logits_of_masks() {
    let mut r = Random(14);
    for (n, c, m) in [(1, 1, 1), (5, 32, 4), (9, 19, 3), (7, 16, 4)] {
        let (pixels, masks, plane) = (r.vec(n * c), r.vec(m * c), n + 2);
        for isa in forms() {
            let mut out = vec![0.0; plane * m];
            mask_logits(isa, &pixels, c, &masks, plane, &mut out);
            for (i, k) in (0..n * m).map(|i| (i % n, i / n)) {
                let want: f64 = (0..c).map(|c2| f64::from(pixels[i * c + c2]) * f64::from(masks[k * c + c2])).sum();
                assert!((f64::from(out[k * plane + i]) - want).abs() < 2e-6, "{isa:?}");
            }
        }
    }
}

/// One bilinear step, `align_corners = false`, in f64.
fn bilinear(x: &[f64], (h, w): (usize, usize), (oh, ow): (usize, usize)) -> Vec<f64> {
    let at = |i: usize, n: usize, o: usize| {
        let p = ((i as f64 + 0.5) * n as f64 / o as f64 - 0.5).max(0.0);
        let a = (p as usize).min(n - 1);
        (a, (a + 1).min(n - 1), p - a as f64)
    };
    let mut out = vec![];
    for (y, x2) in (0..oh * ow).map(|i| (i / ow, i % ow)) {
        let ((a, b, t), (c, d, u)) = (at(y, h, oh), at(x2, w, ow));
        let top = x[a * w + c] * (1.0 - u) + x[a * w + d] * u;
        let bottom = x[b * w + c] * (1.0 - u) + x[b * w + d] * u;
        out.push(top * (1.0 - t) + bottom * t);
    }
    out
}

#[test]
fn enlargement_in_two_steps() {
    let mut r = Random(15);
    for (low, middle, crop, output) in [
        ((16, 16), (64, 64), (64, 64), (64, 64)),
        ((16, 16), (64, 64), (43, 64), (100, 151)),
        ((16, 16), (64, 64), (64, 37), (21, 12)),
        ((8, 8), (32, 32), (1, 32), (1, 7)),
        ((2, 3), (12, 12), (9, 11), (33, 5)),
        ((5, 5), (5, 5), (5, 3), (11, 9)),
        ((7, 9), (14, 18), (13, 18), (13, 50)),
    ] {
        let logits = r.vec(low.0 * low.1);
        let big = bilinear(&wide(&logits), low, middle);
        let cropped: Vec<f64> = big.chunks(middle.1).take(crop.0).flat_map(|r| r[..crop.1].to_vec()).collect();
        let want = bilinear(&cropped, crop, output);
        let plan = Upsample::new(low, middle, crop, output);
        assert_eq!(plan.output_size(), output);
        for isa in forms() {
            let mut got = vec![0f32; want.len()];
            let cut = r.below(output.0 + 1);
            for range in [0..cut, cut..output.0] {
                plan.rows(isa, &logits, range, |y, row| got[y * output.1..][..output.1].copy_from_slice(row));
            }
            // positions are f32, as in the reference
            close(&got, &want, 2e-5, &format!("{isa:?} {low:?} {middle:?} {crop:?} {output:?}"));
        }
    }
}
