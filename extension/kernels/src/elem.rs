//! The two element types of matrix operands, f32 and bf16, seen by the kernels.

use crate::Isa;
use crate::attention::{AttendRun, WindowRun};
use crate::bf16::Bf16;
use crate::buffer::Plain;
use crate::depthwise::Row;
use crate::gemm::Block;
use crate::norm::NormRun;
use crate::simd::Simd;

/// f32 or [`Bf16`]. Sealed: the methods are internal.
pub trait Elem: Plain + Default + sealed::Ops {
    /// Values of k that one multiply step takes: 1, or 2 for a pair of bf16.
    const STEP: usize;
    /// Rounded to nearest, ties to even.
    fn from_f32(x: f32) -> Self;
    /// Exact.
    fn to_f32(self) -> f32;
}

mod sealed {
    use super::*;

    /// Vector access to an element type. Pointer contracts are those of [`Simd`].
    pub trait Ops: Copy {
        type Operand<S: Simd>: Copy;
        unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::F;
        unsafe fn load_n<S: Simd>(s: S, p: *const Self, n: usize) -> S::F;
        unsafe fn store<S: Simd>(s: S, p: *mut Self, v: S::F);
        unsafe fn store_n<S: Simd>(s: S, p: *mut Self, n: usize, v: S::F);
        /// `STEP * LANES` packed weights.
        unsafe fn load_b<S: Simd>(s: S, p: *const Self) -> Self::Operand<S>;
        /// `STEP` values in every lane.
        unsafe fn splat_a<S: Simd>(s: S, p: *const Self) -> Self::Operand<S>;
        /// One value, and zero for the rest of the step, in every lane.
        unsafe fn splat_last<S: Simd>(s: S, p: *const Self) -> Self::Operand<S>;
        fn mac<S: Simd>(s: S, a: Self::Operand<S>, b: Self::Operand<S>, acc: S::F) -> S::F;

        // The kernels for this element type. Not generic, so that they are compiled here once, not by every user.
        fn gemm(isa: Isa, block: Block<'_, Self>);
        fn norm(isa: Isa, run: NormRun<'_, Self>);
        fn window(isa: Isa, run: WindowRun<'_, '_, Self>);
        fn attend(isa: Isa, run: AttendRun<'_, '_, Self>);
        fn depthwise<O: Elem>(isa: Isa, row: Row<'_, Self, O>);
        fn depthwise_from_f32(isa: Isa, row: Row<'_, f32, Self>);
        fn depthwise_from_bf16(isa: Isa, row: Row<'_, Bf16, Self>);
    }
}
pub use sealed::Ops;

impl Elem for f32 {
    const STEP: usize = 1;
    fn from_f32(x: f32) -> f32 {
        x
    }
    fn to_f32(self) -> f32 {
        self
    }
}

impl Elem for Bf16 {
    const STEP: usize = 2;
    fn from_f32(x: f32) -> Bf16 {
        Bf16::from_f32(x)
    }
    fn to_f32(self) -> f32 {
        Bf16::to_f32(self)
    }
}

/// Forwards to methods of the vector type.
macro_rules! forward {
    ($item:ty, $operand:ident, $load:ident, $load_n:ident, $store:ident, $store_n:ident, $b:ident, $a:ident, $last:ident, $mac:ident, $from:ident) => {
        impl Ops for $item {
            type Operand<S: Simd> = S::$operand;
            #[inline(always)]
            unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::F {
                // SAFETY: the caller's contract, here and below.
                unsafe { s.$load(p) }
            }
            #[inline(always)]
            unsafe fn load_n<S: Simd>(s: S, p: *const Self, n: usize) -> S::F {
                // SAFETY: as above.
                unsafe { s.$load_n(p, n) }
            }
            #[inline(always)]
            unsafe fn store<S: Simd>(s: S, p: *mut Self, v: S::F) {
                // SAFETY: as above.
                unsafe { s.$store(p, v) }
            }
            #[inline(always)]
            unsafe fn store_n<S: Simd>(s: S, p: *mut Self, n: usize, v: S::F) {
                // SAFETY: as above.
                unsafe { s.$store_n(p, n, v) }
            }
            #[inline(always)]
            unsafe fn load_b<S: Simd>(s: S, p: *const Self) -> S::$operand {
                // SAFETY: as above.
                unsafe { s.$b(p) }
            }
            #[inline(always)]
            unsafe fn splat_a<S: Simd>(s: S, p: *const Self) -> S::$operand {
                // SAFETY: as above.
                unsafe { s.$a(p) }
            }
            #[inline(always)]
            unsafe fn splat_last<S: Simd>(s: S, p: *const Self) -> S::$operand {
                // SAFETY: as above.
                unsafe { s.$last(p) }
            }
            #[inline(always)]
            fn mac<S: Simd>(s: S, a: S::$operand, b: S::$operand, acc: S::F) -> S::F {
                s.$mac(a, b, acc)
            }

            fn gemm(isa: Isa, block: Block<'_, Self>) {
                isa.run(block);
            }
            fn norm(isa: Isa, run: NormRun<'_, Self>) {
                isa.run(run);
            }
            fn window(isa: Isa, run: WindowRun<'_, '_, Self>) {
                isa.run(run);
            }
            fn attend(isa: Isa, run: AttendRun<'_, '_, Self>) {
                isa.run(run);
            }
            fn depthwise<O: Elem>(isa: Isa, row: Row<'_, Self, O>) {
                O::$from(isa, row);
            }
            fn depthwise_from_f32(isa: Isa, row: Row<'_, f32, Self>) {
                isa.run(row);
            }
            fn depthwise_from_bf16(isa: Isa, row: Row<'_, Bf16, Self>) {
                isa.run(row);
            }
        }
    };
}

forward!(f32, F, load, load_n, store, store_n, load, splat_from, splat_from, fma, depthwise_from_f32);
forward!(
    Bf16,
    P,
    load_bf16,
    load_bf16_n,
    store_bf16,
    store_bf16_n,
    load_pairs,
    splat_pair,
    splat_half,
    dot,
    depthwise_from_bf16
);
