//! Error bounds of the functions; the ignored test goes through every f32.

mod common;

use common::{forms, gelu};
use sam_kernels::{Isa, math};

/// Checks all floats whose bits are `first`, `first + step`, ... up to `last`, on every instruction set.
fn check(first: u32, last: u32, step: u64) {
    let forms = forms();
    let (mut bits, last) = (u64::from(first), u64::from(last));
    while bits <= last {
        let block: Vec<f32> = (0..4096)
            .map(|i| bits + i * step)
            .take_while(|bits| *bits <= last)
            .map(|bits| f32::from_bits(bits as u32))
            .collect();
        bits += 4096 * step;
        let wanted: Vec<[f64; 2]> = block.iter().map(|&x| [gelu(f64::from(x)), f64::from(x).exp()]).collect();
        for isa in &forms {
            check_block(*isa, &block, &wanted);
        }
    }
}

/// `wanted` are GELU and exponential of the floats in `block`.
fn check_block(isa: Isa, block: &[f32], wanted: &[[f64; 2]]) {
    let [mut g, mut fast, mut e, mut s] = [(); 4].map(|()| block.to_vec());
    math::gelu(isa, &mut g);
    math::gelu_fast(isa, &mut fast);
    math::exp(isa, &mut e);
    math::sigmoid(isa, &mut s);
    // Powers of two are made of the exponent's bits, which end earlier, where there is no instruction for them.
    let overflow = if isa.name().starts_with("avx512") { 88.72 } else { 88.376 };
    for (i, (&x, &[want_gelu, want_exp])) in block.iter().zip(wanted).enumerate() {
        let what = || format!("{isa:?}: x = {x:e} ({:#x})", x.to_bits());
        if x.is_nan() || x == f32::NEG_INFINITY {
            assert!(g[i].is_nan() && fast[i].is_nan(), "{}", what());
        } else if x == f32::INFINITY {
            assert!(g[i] == x && fast[i] == x, "{}", what());
        } else {
            let scale = f64::from(x.abs().max(1.0));
            assert!((f64::from(g[i]) - want_gelu).abs() <= 7.5e-7 * scale, "{} gelu {} {want_gelu}", what(), g[i]);
            assert!(
                (f64::from(fast[i]) - want_gelu).abs() <= 7.5e-5 * scale,
                "{} fast {} {want_gelu}",
                what(),
                fast[i]
            );
            if x.abs() > 5.3 {
                assert_eq!(g[i], x.max(0.0), "{}", what());
            }
        }
        if x.is_nan() {
            assert!(e[i].is_nan() && s[i].is_nan(), "{}", what());
            continue;
        }
        if x > 88.73 {
            assert_eq!(e[i], f32::INFINITY, "{}", what());
        } else if x > overflow && e[i] == f32::INFINITY {
            // early, as documented
        } else if x < -87.33 {
            assert!(e[i] >= 0.0 && e[i] <= 1.2e-38, "{} exp {}", what(), e[i]);
            assert!(x > -110.9 || e[i] == 0.0, "{} exp {}", what(), e[i]);
        } else {
            assert!((f64::from(e[i]) - want_exp).abs() <= 2.5e-7 * want_exp, "{} exp {} {want_exp}", what(), e[i]);
        }
        let want = want_exp / (1.0 + want_exp);
        let want = if want.is_nan() { 1.0 } else { want };
        assert!((f64::from(s[i]) - want).abs() <= 2.5e-7, "{} sigmoid {} {want}", what(), s[i]);
    }
}

#[test]
fn a_sample_of_all_floats() {
    check(1, u32::MAX, 20_011);
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

/// Minutes: `cargo test --release -p sam-kernels --test math -- --ignored`.
#[test]
#[ignore = "every f32: minutes"]
fn all_floats() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            // Sixteenths of an exponent's floats at a time: some cost more than others.
            scope.spawn(|| {
                loop {
                    let piece = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(first) = piece.checked_mul(1 << 19) else { break };
                    check(first, first + ((1 << 19) - 1), 1);
                }
            });
        }
    });
}

/// 2^x for x <= 0, as softmax uses it.
#[test]
fn powers_of_two() {
    let sample = (0..200_000).map(|i| -140.0 * (i as f32 / 200_000.0)).chain([-1e30, -0.0, -1e-30, f32::NEG_INFINITY]);
    let x: Vec<f32> =
        sample.chain((0..200).map(|i| -(i as f32))).chain((0..200).map(|i| -(i as f32).next_up())).collect();
    for isa in forms() {
        let mut got = x.clone();
        math::exp2(isa, &mut got);
        for (x, got) in x.iter().zip(got) {
            let want = f64::from(*x).exp2();
            if *x >= -126.0 {
                assert!((f64::from(got) - want).abs() <= 2.5e-7 * want, "{isa:?}: {x} gives {got}");
            } else {
                assert!((0.0..=f32::MIN_POSITIVE).contains(&got), "{isa:?}: {x} gives {got}");
            }
            assert!(*x != 0.0 || got == 1.0);
            assert!(*x != f32::NEG_INFINITY || got == 0.0);
        }
    }
}
