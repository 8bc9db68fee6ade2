//! Shared by the tests: reproducible numbers and comparison with a naive form.
#![allow(dead_code, unused_imports)]

mod reference;

pub use reference::gelu;
use sam_kernels::{AlignedVec, Bf16, Elem, Isa};

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
}

pub fn wide<E: Elem>(x: &[E]) -> Vec<f64> {
    x.iter().map(|x| f64::from(x.to_f32())).collect()
}

/// As a weight of that element type would be stored.
pub fn as_stored<E: Elem>(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(E::from_f32(x).to_f32())).collect()
}

pub fn aligned(x: &[f32]) -> AlignedVec<f32> {
    AlignedVec::copy_of(x)
}

/// Each form this processor has.
pub fn forms() -> Vec<Isa> {
    Isa::available()
}

#[track_caller]
pub fn close(got: &[f32], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let bound = tolerance * w.abs().max(1.0);
        assert!((f64::from(*g) - w).abs() <= bound, "{what}: [{i}] is {g}, not {w}");
    }
}

/// bf16 results: half a unit of the last place more.
#[track_caller]
pub fn close_bf16(got: &[Bf16], want: &[f64], tolerance: f64, what: &str) {
    let got: Vec<f32> = got.iter().map(|x| x.to_f32()).collect();
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let bound = tolerance * w.abs().max(1.0) + w.abs() / 250.0;
        assert!((f64::from(*g) - w).abs() <= bound, "{what}: [{i}] is {g}, not {w}");
    }
}
