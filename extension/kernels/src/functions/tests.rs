//! Every function against f64: a sample of all floats, and (ignored, minutes) every float there is:
//! `cargo test --release -p sam-kernels every_float -- --ignored`.

use super::{Function, apply, round, sigmoid};
use crate::{Bf16, Isa};

#[path = "../../tests/common/reference.rs"]
mod reference;

/// A function, what it is in f64, and what holds of an argument's result: (instruction set, x, result, in f64).
struct Property {
    function: Function,
    reference: fn(f64) -> f64,
    holds: fn(Isa, f32, f32, f64) -> bool,
}

impl Property {
    /// Checks all floats whose bits are `first`, `first + step`, ... up to `last`, on every instruction set.
    fn check_bits(&self, first: u32, last: u32, step: u64) {
        let mut bits = u64::from(first);
        while bits <= u64::from(last) {
            let block = (0..4096).map(|i| bits + i * step).take_while(|bits| *bits <= u64::from(last));
            self.check(&block.map(|bits| f32::from_bits(bits as u32)).collect::<Vec<_>>());
            bits += 4096 * step;
        }
    }

    fn check(&self, x: &[f32]) {
        let want: Vec<f64> = x.iter().map(|&x| (self.reference)(f64::from(x))).collect();
        let mut y = vec![0.0; x.len()];
        for isa in Isa::available() {
            apply(isa, self.function, x, &mut y);
            for ((&x, &got), &want) in x.iter().zip(&y).zip(&want) {
                let bits = x.to_bits();
                assert!((self.holds)(isa, x, got, want), "{isa:?} {:?}({x:e} {bits:#x}) = {got:e}", self.function);
            }
        }
    }

    /// A sample of all floats, and the surroundings of `ends`, positive and negative.
    fn check_sample(&self, ends: &[f32]) {
        self.check_bits(0, u32::MAX, 20_011);
        let near = ends.iter().flat_map(|end| (end.to_bits() - 3000..end.to_bits() + 3000).map(f32::from_bits));
        self.check(&near.flat_map(|x| [x, -x]).collect::<Vec<_>>());
    }
}

fn gelu_holds(x: f32, got: f32, want: f64, tolerance: f64) -> bool {
    if x.is_nan() || x == f32::NEG_INFINITY {
        return got.is_nan();
    }
    if x == f32::INFINITY {
        return got == x;
    }
    (f64::from(got) - want).abs() <= tolerance * f64::from(x.abs().max(1.0))
}

const GELU: Property = Property {
    function: Function::Gelu,
    reference: reference::gelu,
    holds: |_, x, got, want| {
        gelu_holds(x, got, want, 7.5e-7) && (x.is_nan() || x.is_infinite() || x.abs() <= 5.3 || got == x.max(0.0))
    },
};

const GELU_FAST: Property = Property {
    function: Function::GeluFast,
    reference: reference::gelu,
    holds: |_, x, got, want| gelu_holds(x, got, want, 7.5e-5),
};

const EXP: Property = Property {
    function: Function::Exp,
    reference: f64::exp,
    holds: |isa, x, got, want| {
        // Powers of two are made of the exponent's bits, which end earlier where there is no instruction for them.
        let overflow = if isa.name().starts_with("avx512") { 88.72 } else { 88.376 };
        if x.is_nan() {
            got.is_nan()
        } else if x > 88.73 {
            got == f32::INFINITY
        } else if x < -87.33 {
            (0.0..=1.2e-38).contains(&got) && (x > -110.9 || got == 0.0)
        } else {
            (x > overflow && got == f32::INFINITY) || (f64::from(got) - want).abs() <= 2.5e-7 * want
        }
    },
};

/// 2^x for x <= 0, as softmax uses it; what other arguments give does not matter.
const EXP2: Property = Property {
    function: Function::Exp2,
    reference: f64::exp2,
    holds: |_, x, got, want| {
        if x.is_nan() || x > 0.0 {
            return true;
        }
        let in_bound = if x >= -126.0 {
            (f64::from(got) - want).abs() <= 2.5e-7 * want
        } else {
            (0.0..=f32::MIN_POSITIVE).contains(&got)
        };
        in_bound && (x != 0.0 || got == 1.0) && (x != f32::NEG_INFINITY || got == 0.0)
    },
};

const SIGMOID: Property = Property {
    function: Function::Sigmoid,
    reference: |x| 1.0 / (1.0 + (-x).exp()),
    holds: |_, x, got, want| {
        if x.is_nan() {
            return got.is_nan();
        }
        let on_its_side = if x > 0.0 { got >= 0.5 } else { got <= 0.5 };
        let ends = (x != 0.0 || got == 0.5) && (!x.is_infinite() || f64::from(got) == want);
        (f64::from(got) - want).abs() < 2e-7 && (0.0..=1.0).contains(&got) && on_its_side && ends
    },
};

#[test]
fn gelu_is_within_its_bound() {
    GELU.check_sample(&[5.3, 5.17, 0.5, 1.0]);
}

#[test]
fn fast_gelu_is_within_its_bound() {
    GELU_FAST.check_sample(&[4.15, 4.1, 0.5, 1.0]);
}

#[test]
fn exp_is_within_its_bound() {
    EXP.check_sample(&[88.0, 88.376, 88.73, 87.33, 110.9, 1e-3]);
}

#[test]
fn exp2_is_within_its_bound() {
    EXP2.check_sample(&[126.0, 150.0, 160.0, 0.5, 1.0]);
    // Whole numbers, where the reduction to a fraction is exact, and their neighbours.
    EXP2.check(&(0..200).flat_map(|i| [-(i as f32), -(i as f32).next_up()]).collect::<Vec<_>>());
    EXP2.check(&(0..200_000).map(|i| -140.0 * (i as f32 / 200_000.0)).collect::<Vec<_>>());
}

#[test]
fn sigmoid_is_within_its_bound_and_keeps_sides() {
    SIGMOID.check_sample(&[88.0, 17.0, 1e-3, 0.5, 1.0]);
    SIGMOID.check(&(-200_000..=200_000).map(|step| step as f32 * 5e-4).collect::<Vec<_>>());
}

#[test]
fn sigmoid_of_any_length_is_that_of_each_element() {
    for len in 0..70 {
        let x: Vec<f32> = (0..len).map(|i| i as f32 * 0.37 - 9.0).collect();
        let (mut all, mut one) = (vec![2.0; len], [2.0]);
        sigmoid(&x, &mut all);
        for (x, all) in x.iter().zip(all) {
            sigmoid(&[*x], &mut one);
            assert_eq!(one, [all], "{x}, one of {len}");
        }
    }
}

#[test]
#[ignore = "every f32: minutes"]
fn every_float() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            // Sixteenths of an exponent's floats at a time: some cost more than others.
            scope.spawn(|| {
                loop {
                    let piece = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(first) = piece.checked_mul(1 << 19) else { break };
                    for property in [GELU, GELU_FAST, EXP, EXP2, SIGMOID] {
                        property.check_bits(first, first + ((1 << 19) - 1), 1);
                    }
                }
            });
        }
    });
}

#[test]
fn numbers_are_rounded_as_one_by_one() {
    let special = [0.0, -0.0, 1.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 3.3, 1.003_906_2, 1.011_718_8];
    let numbers: Vec<f32> = (0..100).map(|i| special[i % special.len()] * (1.0 + i as f32 * 0.001)).collect();
    for isa in Isa::testable() {
        for n in [0, 1, 15, 16, 31, 32, 33, 47, 100] {
            let mut rounded = vec![Bf16::ZERO; n];
            round(isa, &numbers[..n], &mut rounded);
            let want: Vec<Bf16> = numbers[..n].iter().map(|number| Bf16::from_f32(*number)).collect();
            assert_eq!(rounded, want, "{isa:?} {n}");
        }
    }
}
