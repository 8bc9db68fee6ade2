//! Error bounds of the functions; the ignored test goes through every f32.

mod common;

use common::{forms, gelu};
use sam_kernels::{Isa, math};

/// Checks all floats whose bits are `first`, `first + step`, ...
fn check(isa: Isa, first: u32, step: u64) {
    let mut bits = u64::from(first);
    let mut block = Vec::with_capacity(4096);
    while bits <= u64::from(u32::MAX) {
        block.clear();
        while block.len() < 4096 && bits <= u64::from(u32::MAX) {
            block.push(f32::from_bits(bits as u32));
            bits += step;
        }
        let (mut g, mut fast, mut e, mut s) = (block.clone(), block.clone(), block.clone(), block.clone());
        math::gelu(isa, &mut g);
        math::gelu_fast(isa, &mut fast);
        math::exp(isa, &mut e);
        math::sigmoid(isa, &mut s);
        for (i, &x) in block.iter().enumerate() {
            let what = || format!("{isa:?}: x = {x:e} ({:#x})", x.to_bits());
            if x.is_nan() || x == f32::NEG_INFINITY {
                assert!(g[i].is_nan() && fast[i].is_nan(), "{}", what());
            } else if x == f32::INFINITY {
                assert!(g[i] == x && fast[i] == x, "{}", what());
            } else {
                let (want, scale) = (gelu(f64::from(x)), f64::from(x.abs().max(1.0)));
                assert!((f64::from(g[i]) - want).abs() <= 7.5e-7 * scale, "{} gelu {} {want}", what(), g[i]);
                assert!((f64::from(fast[i]) - want).abs() <= 7.5e-5 * scale, "{} fast {} {want}", what(), fast[i]);
                if x.abs() > 5.3 {
                    assert_eq!(g[i], x.max(0.0), "{}", what());
                }
            }
            if x.is_nan() {
                assert!(e[i].is_nan() && s[i].is_nan(), "{}", what());
                continue;
            }
            let want = f64::from(x).exp();
            if x > 88.376 && e[i] == f32::INFINITY {
                assert!(x > 88.73 || isa.name() != "avx512", "{}", what());
            } else if x > 88.73 {
                assert_eq!(e[i], f32::INFINITY, "{}", what());
            } else if x < -87.33 {
                assert!(e[i] >= 0.0 && e[i] <= 1.2e-38, "{} exp {}", what(), e[i]);
                assert!(x > -110.9 || e[i] == 0.0, "{} exp {}", what(), e[i]);
            } else {
                assert!((f64::from(e[i]) - want).abs() <= 2.5e-7 * want, "{} exp {} {want}", what(), e[i]);
            }
            let want = 1.0 / (1.0 + (-f64::from(x)).exp());
            assert!((f64::from(s[i]) - want).abs() <= 2.5e-7, "{} sigmoid {} {want}", what(), s[i]);
        }
    }
}

#[test]
fn a_sample_of_all_floats() {
    for isa in forms() {
        check(isa, 1, 20_011);
    }
}

#[test]
fn the_interesting_range_densely() {
    for isa in forms() {
        for end in [5.3f32, 5.17, 4.15, 4.1, 88.0, 0.5, 1.0] {
            let bits = end.to_bits();
            let mut x: Vec<f32> = (bits - 3000..bits + 3000).map(f32::from_bits).collect();
            x.extend(x.clone().iter().map(|x| -x));
            let mut y = x.clone();
            math::gelu(isa, &mut y);
            for (x, y) in x.iter().zip(&y) {
                let error = (f64::from(*y) - gelu(f64::from(*x))).abs();
                assert!(error <= 7.5e-7 * f64::from(x.abs().max(1.0)), "{isa:?} {x} {y}");
            }
        }
    }
}

/// Minutes per instruction set: `cargo test --release -p sam-kernels -- --ignored all_floats`.
#[test]
#[ignore = "every f32: minutes"]
fn all_floats() {
    std::thread::scope(|scope| {
        for isa in forms() {
            scope.spawn(move || check(isa, 0, 1));
        }
    });
}
