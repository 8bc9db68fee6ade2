//! Pixels, mask logits and enlargement against their definitions.

mod common;

use common::*;
use sam_kernels::*;

#[test]
fn pixels_are_normalised_inside_and_zero_outside() {
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
fn mask_logits_match_f64() {
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
fn enlargement_in_two_steps_matches_f64() {
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
