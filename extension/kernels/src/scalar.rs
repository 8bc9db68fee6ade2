//! f32 and bf16 as the kernels read and write them: the bottom of all kernels, which know nothing of each other here.

use crate::Isa;
use crate::bf16::Bf16;
use crate::buffer::Plain;
use crate::simd::{Kernel, Simd, tiles};
use std::marker::PhantomData;

/// A number that can be an element of a matrix: f32 or [`Bf16`]. Sealed.
pub trait Scalar: Plain + Default + sealed::Vectors {
    /// Values of k that one multiply step takes: 1, or 2 for a pair of bf16.
    const STEP: usize;
    /// Rounded to nearest, ties to even.
    fn from_f32(x: f32) -> Self;
    /// Exact.
    fn to_f32(self) -> f32;

    /// Whether products of this type are computed on tiles.
    #[doc(hidden)]
    fn tiled<S: Simd>() -> bool {
        S::TILED && Self::STEP == 2
    }

    /// Rows of the left operand of a product that are taken at a time.
    #[doc(hidden)]
    fn height<S: Simd>() -> usize {
        if Self::tiled::<S>() { tiles::ROWS } else { S::MR }
    }
}

/// Rows of the left operand of a product that are taken at a time on `isa`: [`Scalar::height`] of its form.
pub(crate) fn tile_rows<E: Scalar>(isa: Isa) -> usize {
    struct Height<E>(PhantomData<E>);

    impl<E: Scalar> Kernel for Height<E> {
        type Out = usize;

        #[inline(always)]
        fn run<S: Simd>(self, _: S) -> usize {
            E::height::<S>()
        }
    }

    isa.run_tiled(Height::<E>(PhantomData))
}

mod sealed {
    use super::*;

    /// Vector access to an element type. Pointers are as [`Simd`] wants them: aligned for the element, no more.
    pub trait Vectors: Copy {
        type Operand<S: Simd>: Copy;
        /// # Safety
        /// `p` is valid for reading `LANES` elements.
        unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::F;
        /// # Safety
        /// `n <= LANES`, and `p` is valid for reading `n` elements.
        unsafe fn load_n<S: Simd>(s: S, p: *const Self, n: usize) -> S::F;
        /// # Safety
        /// `p` is valid for writing `LANES` elements.
        unsafe fn store<S: Simd>(s: S, p: *mut Self, v: S::F);
        /// # Safety
        /// `n <= LANES`, and `p` is valid for writing `n` elements.
        unsafe fn store_n<S: Simd>(s: S, p: *mut Self, n: usize, v: S::F);
        /// `STEP * LANES` packed weights.
        ///
        /// # Safety
        /// `p` is valid for reading as many.
        unsafe fn load_b<S: Simd>(s: S, p: *const Self) -> Self::Operand<S>;
        /// `STEP` values in every lane.
        ///
        /// # Safety
        /// `p` is valid for reading as many.
        unsafe fn splat_a<S: Simd>(s: S, p: *const Self) -> Self::Operand<S>;
        /// One value, and zero for the rest of the step, in every lane.
        ///
        /// # Safety
        /// `p` is valid for reading one element.
        unsafe fn splat_last<S: Simd>(s: S, p: *const Self) -> Self::Operand<S>;
        fn mac<S: Simd>(s: S, a: Self::Operand<S>, b: Self::Operand<S>, acc: S::F) -> S::F;
        /// [`Simd::products`] or [`Simd::dots`].
        ///
        /// # Safety
        /// As there.
        unsafe fn steps<S: Simd, const MR: usize, const NV: usize>(
            s: S,
            acc: &mut [[S::F; NV]; MR],
            rows: &[*const Self; MR],
            k: usize,
            w: *const Self,
            apart: usize,
        );
        /// Puts a tile of sums into the order that `steps` wants, or back.
        fn turn<S: Simd, const MR: usize, const NV: usize>(s: S, acc: &mut [[S::F; NV]; MR]);
    }
}
pub use sealed::Vectors;

impl Scalar for f32 {
    const STEP: usize = 1;
    fn from_f32(x: f32) -> f32 {
        x
    }
    fn to_f32(self) -> f32 {
        self
    }
}

impl Scalar for Bf16 {
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
    ($item:ty, $operand:ident, $load:ident, $load_n:ident, $store:ident, $store_n:ident, $b:ident, $a:ident, $last:ident, $mac:ident, $steps:ident, $turns:literal) => {
        impl Vectors for $item {
            type Operand<S: Simd> = S::$operand;
            #[inline(always)]
            unsafe fn load<S: Simd>(s: S, p: *const Self) -> S::F {
                // SAFETY: the contracts of the two methods are the same, here and below.
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
            #[inline(always)]
            unsafe fn steps<S: Simd, const MR: usize, const NV: usize>(
                s: S,
                acc: &mut [[S::F; NV]; MR],
                rows: &[*const Self; MR],
                k: usize,
                w: *const Self,
                apart: usize,
            ) {
                // SAFETY: as above.
                unsafe { s.$steps(acc, rows, k, w, apart) }
            }
            #[inline(always)]
            fn turn<S: Simd, const MR: usize, const NV: usize>(s: S, acc: &mut [[S::F; NV]; MR]) {
                if $turns {
                    s.turn(acc);
                }
            }
        }
    };
}

forward!(f32, F, load, load_n, store, store_n, load, splat_from, splat_from, fma, products, false);
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
    dots,
    true
);

/// Compiles a kernel for both element types, here and once: implements a sealed trait whose only method runs it. A kernel
/// of products is run `tiled` for bf16.
macro_rules! compile_for_scalars {
    ($element:ident::$method:ident($kernel:ty)) => {
        $crate::scalar::compile_for_scalars!($element::$method($kernel), run);
    };
    ($element:ident::$method:ident($kernel:ty), $run:ident) => {
        impl $element for f32 {
            fn $method(isa: $crate::Isa, kernel: $kernel) {
                isa.run(kernel);
            }
        }

        impl $element for $crate::Bf16 {
            fn $method(isa: $crate::Isa, kernel: $kernel) {
                isa.$run(kernel);
            }
        }
    };
}
pub(crate) use compile_for_scalars;
