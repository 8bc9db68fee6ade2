//! Shared by the tests: reproducible numbers, comparison with a reference in f64, and each property for both types.
#![allow(dead_code, unused_imports, unused_macros)]

mod reference;

pub use reference::gelu;
use sam_kernels::{Act, Bf16, Elem, Isa};

/// Makes a test for each element type of a property, which is a generic function of a tolerance.
macro_rules! for_both_types {
    ($property:ident, f32: $single:expr, bf16: $half:expr) => {
        mod $property {
            #[test]
            fn f32() {
                super::$property::<f32>($single);
            }

            #[test]
            fn bf16() {
                super::$property::<sam_kernels::Bf16>($half);
            }
        }
    };
}
pub(crate) use for_both_types;

/// Small linear congruential generator.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }

    /// In -1..1.
    pub fn unit(&mut self) -> f32 {
        self.next() as f32 / (1u64 << 30) as f32 - 1.0
    }

    pub fn vec(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.unit()).collect()
    }

    pub fn elems<E: Elem>(&mut self, n: usize) -> Vec<E> {
        (0..n).map(|_| E::from_f32(self.unit())).collect()
    }

    /// In -size..size.
    pub fn scaled<E: Elem>(&mut self, n: usize, size: f32) -> Vec<E> {
        (0..n).map(|_| E::from_f32(size * self.unit())).collect()
    }
}

/// Each form this processor has or can emulate.
pub fn forms() -> Vec<Isa> {
    Isa::testable()
}

pub fn wide<E: Elem>(x: &[E]) -> Vec<f64> {
    x.iter().map(|x| f64::from(x.to_f32())).collect()
}

pub fn narrow<E: Elem>(x: &[E]) -> Vec<f32> {
    x.iter().map(|x| x.to_f32()).collect()
}

/// As a weight of that element type would be stored.
pub fn as_stored<E: Elem>(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(E::from_f32(x).to_f32())).collect()
}

/// The first `n` values of rows that are `stride` apart.
pub fn rows<T: Copy>(x: &[T], stride: usize, n: usize) -> Vec<T> {
    x.chunks(stride).flat_map(|row| &row[..n]).copied().collect()
}

/// What lies between such rows.
pub fn gaps<T: Copy>(x: &[T], stride: usize, n: usize) -> Vec<T> {
    x.chunks(stride).flat_map(|row| &row[n..]).copied().collect()
}

/// An activation in f64.
pub fn activated(act: Act, x: f64) -> f64 {
    match act {
        Act::None => x,
        Act::Gelu => gelu(x),
        Act::Relu => x.max(0.0),
    }
}

/// Each value within `tolerance * max(1, |value|)`.
#[track_caller]
pub fn close(got: &[f32], want: &[f64], tolerance: f64, what: &str) {
    close_but(got, want, |want| tolerance * want.abs().max(1.0), what);
}

/// bf16 results: half a unit of the last place more.
#[track_caller]
pub fn close_bf16(got: &[Bf16], want: &[f64], tolerance: f64, what: &str) {
    close_but(&narrow(got), want, |want| tolerance * want.abs().max(1.0) + want.abs() / 250.0, what);
}

#[track_caller]
fn close_but(got: &[f32], want: &[f64], bound: impl Fn(f64) -> f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!((f64::from(*g) - w).abs() <= bound(*w), "{what}: [{i}] is {g}, not {w}");
    }
}

/// To the bit, signs of zeros included.
#[track_caller]
pub fn same_bits<E: Elem>(a: &[E], b: &[E], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        let [a, b] = [a, b].map(|x| x.to_f32());
        assert!(a.to_bits() == b.to_bits(), "{what}: [{i}] is {a} or {b}");
    }
}
