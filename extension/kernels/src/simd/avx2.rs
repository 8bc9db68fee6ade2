//! AVX2 with FMA, 8 lanes; bf16 is emulated exactly in f32.

use super::{Simd, polynomial};
use crate::bf16::Bf16;
use std::arch::x86_64::*;

/// Evaluates intrinsics whose features the receiver proves.
macro_rules! v {
    ($e:expr) => {
        // SAFETY: `self` exists only where the features are present. Pointers are valid for what is read or written by the
        // contract of the method of `Simd` that this is; copies of `n` elements fit the array, as `n <= LANES`.
        unsafe { $e }
    };
}

/// Proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    /// The proof; safe to call where the compiler knows of the features.
    ///
    /// # Safety
    /// The processor has the features that are enabled here.
    #[target_feature(enable = "avx2,fma")]
    pub(crate) fn new() -> Self {
        Self(())
    }

    #[inline(always)]
    fn pairs(self, raw: __m256i) -> Pairs {
        v!(Pairs {
            even: _mm256_castsi256_ps(_mm256_slli_epi32::<16>(raw)),
            odd: _mm256_castsi256_ps(_mm256_and_si256(raw, _mm256_set1_epi32(0xffff_0000u32 as i32))),
        })
    }

    #[inline(always)]
    fn narrow(self, x: __m256) -> __m128i {
        v!({
            let b = _mm256_castps_si256(x);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(b), _mm256_set1_epi32(1));
            let r = _mm256_add_epi32(b, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
            let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x));
            let r = _mm256_blendv_epi8(r, _mm256_or_si256(b, _mm256_set1_epi32(0x40_0000)), nan);
            let r = _mm256_srli_epi32::<16>(r);
            _mm_packus_epi32(_mm256_castsi256_si128(r), _mm256_extracti128_si256::<1>(r))
        })
    }

    #[inline(always)]
    fn widen(self, x: __m128i) -> __m256 {
        v!(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(x))))
    }
}

/// Eight pairs of bf16, widened.
#[derive(Clone, Copy)]
pub struct Pairs {
    even: __m256,
    odd: __m256,
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    const MR: usize = 6;
    const LEAST_EXPONENT: f32 = -127.0;
    type F = __m256;
    type P = Pairs;
    type Tiles = super::tiles::NoTiles;

    #[inline(always)]
    fn prefetch<T>(self, p: *const T) {
        v!(_mm_prefetch::<_MM_HINT_T0>(p.cast()))
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        v!(_mm256_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        v!(_mm256_loadu_ps(p))
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> __m256 {
        let mut t = [0f32; 8];
        v!({
            std::ptr::copy_nonoverlapping(p, t.as_mut_ptr(), n);
            _mm256_loadu_ps(t.as_ptr())
        })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: __m256) {
        v!(_mm256_storeu_ps(p, x))
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, n: usize, x: __m256) {
        let mut t = [0f32; 8];
        v!({
            _mm256_storeu_ps(t.as_mut_ptr(), x);
            std::ptr::copy_nonoverlapping(t.as_ptr(), p, n);
        })
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const Bf16) -> __m256 {
        self.widen(v!(_mm_loadu_si128(p.cast())))
    }
    #[inline(always)]
    unsafe fn load_bf16_n(self, p: *const Bf16, n: usize) -> __m256 {
        let mut t = [Bf16::ZERO; 8];
        self.widen(v!({
            std::ptr::copy_nonoverlapping(p, t.as_mut_ptr(), n);
            _mm_loadu_si128(t.as_ptr().cast())
        }))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut Bf16, x: __m256) {
        v!(_mm_storeu_si128(p.cast(), self.narrow(x)))
    }
    #[inline(always)]
    unsafe fn store_bf16_n(self, p: *mut Bf16, n: usize, x: __m256) {
        let mut t = [Bf16::ZERO; 8];
        v!({
            _mm_storeu_si128(t.as_mut_ptr().cast(), self.narrow(x));
            std::ptr::copy_nonoverlapping(t.as_ptr(), p, n);
        })
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        v!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        v!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        v!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        v!(_mm256_div_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        v!(_mm256_min_ps(a, b))
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        v!(_mm256_max_ps(a, b))
    }
    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        v!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn round(self, x: __m256) -> __m256 {
        v!(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x))
    }
    #[inline(always)]
    fn scale2(self, x: __m256, n: __m256) -> __m256 {
        v!({
            let e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(e)))
        })
    }
    #[inline(always)]
    fn sum(self, x: __m256) -> f32 {
        v!({
            let h = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let h = _mm_add_ps(h, _mm_movehl_ps(h, h));
            _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)))
        })
    }
    #[inline(always)]
    fn top(self, x: __m256) -> f32 {
        v!({
            let h = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let h = _mm_max_ps(h, _mm_movehl_ps(h, h));
            _mm_cvtss_f32(_mm_max_ss(h, _mm_movehdup_ps(h)))
        })
    }

    #[inline(always)]
    fn exp2(self, x: __m256) -> __m256 {
        polynomial::exp2(self, x)
    }
    #[inline(always)]
    fn gelu<const FAST: bool>(self, x: __m256) -> __m256 {
        polynomial::gelu::<Self, FAST>(self, x)
    }

    #[inline(always)]
    unsafe fn load_pairs(self, p: *const Bf16) -> Pairs {
        self.pairs(v!(_mm256_loadu_si256(p.cast())))
    }
    #[inline(always)]
    unsafe fn splat_pair(self, p: *const Bf16) -> Pairs {
        self.pairs(v!(_mm256_set1_epi32(p.cast::<i32>().read_unaligned())))
    }
    #[inline(always)]
    unsafe fn splat_half(self, p: *const Bf16) -> Pairs {
        self.pairs(v!(_mm256_set1_epi32(i32::from((*p).0))))
    }
    #[inline(always)]
    fn dot(self, a: Pairs, b: Pairs, acc: __m256) -> __m256 {
        v!(_mm256_fmadd_ps(a.odd, b.odd, _mm256_fmadd_ps(a.even, b.even, acc)))
    }
}
