//! The guided filter against its definition in f64.

#![allow(clippy::needless_range_loop)]

mod common;

use common::*;
use sam_kernels::*;

/// Means over windows, mirrored at the border.
fn means(x: &[f64], (h, w): (usize, usize), radius: usize) -> Vec<f64> {
    let mirror = |i: isize, n: usize| {
        let i = i.unsigned_abs();
        if i < n { i } else { 2 * (n - 1) - i }
    };
    let r = radius as isize;
    let count = ((2 * r + 1) * (2 * r + 1)) as f64;
    let mean = |i: usize| {
        let (y, x0) = ((i / w) as isize, (i % w) as isize);
        let window = (-r..=r).flat_map(|dy| (-r..=r).map(move |dx| (dy, dx)));
        window.map(|(dy, dx)| x[mirror(y + dy, h) * w + mirror(x0 + dx, w)]).sum::<f64>() / count
    };
    (0..h * w).map(mean).collect()
}

/// Solves a symmetric system of three equations by elimination.
fn solve(mut m: [[f64; 4]; 3]) -> [f64; 3] {
    for k in 0..3 {
        for row in k + 1..3 {
            let factor = m[row][k] / m[k][k];
            for column in k..4 {
                m[row][column] -= factor * m[k][column];
            }
        }
    }
    let mut x = [0.0; 3];
    for k in (0..3).rev() {
        let known: f64 = (k + 1..3).map(|column| m[k][column] * x[column]).sum();
        x[k] = (m[k][3] - known) / m[k][k];
    }
    x
}

/// The filter as its paper defines it, with the clipping and its undoing.
fn filtered(rgb: &[u8], size: (usize, usize), radius: usize, eps: f64, plane: &[f32], clip: f32) -> Vec<f64> {
    let mean = |x: Vec<f64>| means(&x, size, radius);
    let n = size.0 * size.1;
    let colour: [Vec<f64>; 3] = std::array::from_fn(|c| (0..n).map(|i| f64::from(rgb[3 * i + c]) / 255.0).collect());
    let p: Vec<f64> = plane.iter().map(|&p| f64::from(p.clamp(-clip, clip))).collect();
    let product = |a: &[f64], b: &[f64]| mean(a.iter().zip(b).map(|(a, b)| a * b).collect());
    let m: [Vec<f64>; 3] = std::array::from_fn(|c| mean(colour[c].clone()));
    let covariance: [[Vec<f64>; 3]; 3] =
        std::array::from_fn(|i| std::array::from_fn(|j| product(&colour[i], &colour[j])));
    let with_p: [Vec<f64>; 3] = std::array::from_fn(|c| product(&colour[c], &p));
    let mean_p = mean(p.clone());
    let mut coefficients: [Vec<f64>; 4] = std::array::from_fn(|_| vec![0.0; n]);
    for i in 0..n {
        let entry = |row: usize, column: usize| match column {
            3 => with_p[row][i] - m[row][i] * mean_p[i],
            _ => covariance[row][column][i] - m[row][i] * m[column][i] + if row == column { eps } else { 0.0 },
        };
        let a = solve(std::array::from_fn(|row| std::array::from_fn(|column| entry(row, column))));
        for c in 0..3 {
            coefficients[c][i] = a[c];
        }
        coefficients[3][i] = mean_p[i] - (0..3).map(|c| a[c] * m[c][i]).sum::<f64>();
    }
    let coefficients = coefficients.map(mean);
    let value = |i: usize| (0..3).map(|c| coefficients[c][i] * colour[c][i]).sum::<f64>() + coefficients[3][i];
    let sure = |value: f64, logit: f32| {
        let agree = value * f64::from(logit) > 0.0;
        value * if agree { (f64::from(logit.abs()) / f64::from(clip)).max(1.0) } else { 1.0 }
    };
    (0..n).map(|i| sure(value(i), plane[i])).collect()
}

/// Pictures with what is hard: noise, greys (their covariance is singular), flat parts, a sharp edge, the two extremes.
fn pictures(r: &mut Random, (h, w): (usize, usize)) -> Vec<Vec<u8>> {
    let noise = (0..h * w * 3).map(|_| r.next() as u8).collect();
    let grey = (0..h * w).map(|_| r.next() as u8).flat_map(|value| [value; 3]).collect();
    let edge = (0..h * w).flat_map(|i| if i % w * 2 < w + i / w { [0; 3] } else { [255; 3] }).collect();
    let soft = (0..h * w).flat_map(|i| [(i % w * 2) as u8, 200 + (i / w % 3) as u8, 255]).collect();
    vec![noise, grey, edge, soft, vec![255; h * w * 3]]
}

#[test]
fn guided_filter_matches_f64() {
    let mut r = Random(16);
    let sizes = [((5, 5), 4), ((2, 9), 1), ((12, 17), 4), ((33, 40), 4), ((9, 16), 3), ((20, 70), 5), ((17, 18), 16)];
    for (size, radius) in sizes {
        for (which, rgb) in pictures(&mut r, size).into_iter().enumerate() {
            // Smooth, as logits are, and beyond what they are clipped to.
            let tilt = r.unit();
            let wave = |i: usize| 3.0 * ((i % size.1) as f32 * 0.3 + (i / size.1) as f32 * tilt).sin();
            let plane: Vec<f32> = (0..size.0 * size.1).map(|i| wave(i) + 0.1 * r.unit()).collect();
            let want = filtered(&rgb, size, radius, 1e-4, &plane, 2.0);
            for isa in forms() {
                let mut filter = GuidedFilter::new(radius, 1e-4);
                filter.prepare(isa, &rgb, size);
                // The second time in memory that was used before.
                for round in 0..2 {
                    let mut got = plane.clone();
                    filter.apply(isa, &mut got, 2.0);
                    close(&got, &want, 2e-4, &format!("{isa:?} {size:?} radius {radius} picture {which} {round}"));
                }
            }
        }
    }
}

#[test]
fn guided_filter_same_bits_after_pictures_of_other_sizes() {
    let mut r = Random(17);
    let mut kept = GuidedFilter::new(2, 1e-3);
    for size in [(9, 31), (30, 8), (3, 3), (16, 32)] {
        let isa = forms()[0];
        let rgb = pictures(&mut r, size).swap_remove(0);
        let (plane, mut fresh) = (r.vec(size.0 * size.1), GuidedFilter::new(2, 1e-3));
        let [one, other] = [&mut kept, &mut fresh].map(|filter| {
            let mut plane = plane.clone();
            filter.prepare(isa, &rgb, size);
            filter.apply(isa, &mut plane, 1.0);
            plane
        });
        assert!(one == other, "{size:?}");
    }
    assert!(GuidedFilter::is_for(4, (5, 5)) && !GuidedFilter::is_for(4, (4, 90)) && !GuidedFilter::is_for(4, (90, 4)));
}
