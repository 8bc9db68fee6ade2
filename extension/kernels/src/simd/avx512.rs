//! AVX-512 (F, BW, DQ, VL), 16 lanes, with or without the native bf16 dot product, with or without tiles.

use super::amx::Registers;
use super::emulated::Emulated;
use super::tiles::{NoTiles, Tiles};
use super::{Simd, gelu_table as table};
use crate::bf16::Bf16;
use std::arch::x86_64::*;
use std::marker::PhantomData;

/// Proof that the processor has AVX-512 F/BW/DQ/VL, FMA, and what `L` has beyond that.
pub struct Avx512<L>(PhantomData<L>);

impl<L> Clone for Avx512<L> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Avx512<L> {}

/// What there is beyond the common AVX-512.
pub trait Level {
    /// AVX512_BF16.
    const BF16: bool;
    /// Tiles, [`NoTiles`] where there are none.
    type Tiles: Tiles;
    const TILED: bool;
}

/// Nothing more.
pub enum Plain {}
/// AVX512_BF16.
pub enum Dot {}
/// AVX512_BF16 and AMX.
pub enum Amx {}
/// Nothing more, and tiles in memory, to test what is computed on them.
pub enum EmulatedAmx {}

impl Level for Plain {
    const BF16: bool = false;
    type Tiles = NoTiles;
    const TILED: bool = false;
}

impl Level for Dot {
    const BF16: bool = true;
    type Tiles = NoTiles;
    const TILED: bool = false;
}

impl Level for Amx {
    const BF16: bool = true;
    type Tiles = Registers;
    const TILED: bool = true;
}

impl Level for EmulatedAmx {
    const BF16: bool = false;
    type Tiles = Emulated;
    const TILED: bool = true;
}

impl<L: Level> Avx512<L> {
    /// The proof.
    ///
    /// # Safety
    /// The processor has what the type says.
    #[inline(always)]
    pub(crate) unsafe fn new() -> Self {
        Self(PhantomData)
    }
}

/// Evaluates intrinsics whose features the receiver proves.
macro_rules! v {
    ($e:expr) => {
        // SAFETY: `self` exists only where the features are present. Pointers are valid for what is read or written by the
        // contract of the method of `Simd` that this is; masks are of `n <= LANES` elements.
        unsafe { $e }
    };
}

/// A vector of bf16 pairs: raw for the native product, split into even and odd values for the emulated one.
#[derive(Clone, Copy)]
pub struct Pairs {
    even: __m512,
    odd: __m512,
}

#[inline(always)]
fn mask(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as __mmask16
}

impl<L: Level> Avx512<L> {
    #[inline(always)]
    fn pairs(self, raw: __m512i) -> Pairs {
        if L::BF16 {
            return v!(Pairs { even: _mm512_castsi512_ps(raw), odd: _mm512_setzero_ps() });
        }
        v!(Pairs {
            even: _mm512_castsi512_ps(_mm512_slli_epi32::<16>(raw)),
            odd: _mm512_castsi512_ps(_mm512_and_si512(raw, _mm512_set1_epi32(0xffff_0000u32 as i32))),
        })
    }

    #[inline(always)]
    fn narrow(self, x: __m512) -> __m256i {
        if L::BF16 {
            // SAFETY: `self` proves AVX512_BF16 when L::BF16 is true; the two types have the same bits.
            return unsafe { std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(x)) };
        }
        v!({
            let b = _mm512_castps_si512(x);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(b), _mm512_set1_epi32(1));
            let r = _mm512_add_epi32(b, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x);
            let r = _mm512_mask_or_epi32(r, nan, b, _mm512_set1_epi32(0x40_0000));
            _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(r))
        })
    }

    #[inline(always)]
    fn widen(self, x: __m256i) -> __m512 {
        v!(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(x))))
    }
}

impl<L: Level> Simd for Avx512<L> {
    const LANES: usize = 16;
    const MR: usize = 12;
    const LEAST_EXPONENT: f32 = -160.0;
    const TILED: bool = L::TILED;
    const SPLITS: bool = true;
    type F = __m512;
    type P = Pairs;
    type Tiles = L::Tiles;

    #[inline(always)]
    fn prefetch<T>(self, p: *const T) {
        v!(_mm_prefetch::<_MM_HINT_T0>(p.cast()))
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        v!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        v!(_mm512_loadu_ps(p))
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> __m512 {
        v!(_mm512_maskz_loadu_ps(mask(n), p))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: __m512) {
        v!(_mm512_storeu_ps(p, x))
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, n: usize, x: __m512) {
        v!(_mm512_mask_storeu_ps(p, mask(n), x))
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const Bf16) -> __m512 {
        self.widen(v!(_mm256_loadu_si256(p.cast())))
    }
    #[inline(always)]
    unsafe fn load_bf16_n(self, p: *const Bf16, n: usize) -> __m512 {
        self.widen(v!(_mm256_maskz_loadu_epi16(mask(n), p.cast())))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut Bf16, x: __m512) {
        v!(_mm256_storeu_si256(p.cast(), self.narrow(x)))
    }
    #[inline(always)]
    unsafe fn store_bf16_n(self, p: *mut Bf16, n: usize, x: __m512) {
        v!(_mm256_mask_storeu_epi16(p.cast(), mask(n), self.narrow(x)))
    }

    #[inline(always)]
    unsafe fn store_bf16_two(self, p: *mut Bf16, x: [__m512; 2]) {
        if L::BF16 {
            // SAFETY: `self` proves AVX512_BF16 when L::BF16 is true; the two types have the same bits.
            let both = unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(x[1], x[0])) };
            return v!(_mm512_storeu_si512(p.cast(), both));
        }
        // SAFETY: by contract.
        unsafe {
            self.store_bf16(p, x[0]);
            self.store_bf16(p.add(16), x[1]);
        }
    }
    #[inline(always)]
    unsafe fn load_bf16_split(self, p: *const Bf16) -> [__m512; 2] {
        v!({
            let both = _mm512_loadu_si512(p.cast());
            let odd = _mm512_and_si512(both, _mm512_set1_epi32(0xffff_0000u32 as i32));
            [_mm512_castsi512_ps(_mm512_slli_epi32::<16>(both)), _mm512_castsi512_ps(odd)]
        })
    }
    #[inline(always)]
    unsafe fn store_bf16_split(self, p: *mut Bf16, x: [__m512; 2]) {
        v!({
            let (even, odd) = (_mm512_cvtepu16_epi32(self.narrow(x[0])), _mm512_cvtepu16_epi32(self.narrow(x[1])));
            _mm512_storeu_si512(p.cast(), _mm512_or_si512(even, _mm512_slli_epi32::<16>(odd)));
        })
    }
    #[inline(always)]
    unsafe fn copy_some(self, from: *const u16, to: *mut u16, n: usize) {
        v!({
            let some = ((1u64 << n) - 1) as __mmask32;
            _mm512_storeu_si512(to.cast(), _mm512_maskz_loadu_epi16(some, from.cast()));
        })
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        v!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        v!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        v!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        v!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        v!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        v!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        v!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn round(self, x: __m512) -> __m512 {
        v!(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x))
    }
    #[inline(always)]
    fn scale2(self, x: __m512, n: __m512) -> __m512 {
        v!(_mm512_scalef_ps(x, n))
    }
    #[inline(always)]
    fn sum(self, x: __m512) -> f32 {
        v!(_mm512_reduce_add_ps(x))
    }
    #[inline(always)]
    fn top(self, x: __m512) -> f32 {
        v!(_mm512_reduce_max_ps(x))
    }

    #[inline(always)]
    unsafe fn transpose(self, rows: &[*const u32; 16], to: *mut u32, stride: usize) {
        v!({
            let mut a = [_mm512_setzero_si512(); 16];
            let mut b = a;
            for r in 0..16 {
                a[r] = _mm512_loadu_si512(rows[r].cast());
            }
            // 2 x 2 words, then 2 x 2 pairs: in each quarter of a vector 4 x 4 words are turned
            for r in (0..16).step_by(2) {
                b[r] = _mm512_unpacklo_epi32(a[r], a[r + 1]);
                b[r + 1] = _mm512_unpackhi_epi32(a[r], a[r + 1]);
            }
            for r in (0..16).step_by(4) {
                for i in 0..2 {
                    a[r + 2 * i] = _mm512_unpacklo_epi64(b[r + i], b[r + 2 + i]);
                    a[r + 2 * i + 1] = _mm512_unpackhi_epi64(b[r + i], b[r + 2 + i]);
                }
            }
            // then the quarters
            for i in 0..4 {
                for half in 0..2 {
                    let (top, bottom) = (a[8 * half + i], a[8 * half + 4 + i]);
                    b[8 * half + i] = _mm512_shuffle_i32x4::<0x88>(top, bottom);
                    b[8 * half + 4 + i] = _mm512_shuffle_i32x4::<0xdd>(top, bottom);
                }
            }
            for i in 0..4 {
                for odd in 0..2 {
                    let (top, bottom) = (b[4 * odd + i], b[8 + 4 * odd + i]);
                    let (even, next) =
                        (_mm512_shuffle_i32x4::<0x88>(top, bottom), _mm512_shuffle_i32x4::<0xdd>(top, bottom));
                    _mm512_storeu_si512(to.add((4 * odd + i) * stride).cast(), even);
                    _mm512_storeu_si512(to.add((8 + 4 * odd + i) * stride).cast(), next);
                }
            }
        })
    }

    /// 2^x = 2^floor(x) 2^r with 0 <= r < 1: both steps are one instruction each, and both take minus infinity. Minimax
    /// with p(0) = 1, relative error 8.3e-8 before rounding.
    #[inline(always)]
    fn exp2(self, x: __m512) -> __m512 {
        v!({
            let r = _mm512_reduce_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(x);
            let mut y = _mm512_set1_ps(0.001_867_13);
            for c in [0.009_017_03, 0.055_799_91, 0.240_164_45, 0.693_151_3, 1.0] {
                y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(c));
            }
            _mm512_scalef_ps(y, x)
        })
    }

    #[inline(always)]
    fn gelu<const FAST: bool>(self, x: __m512) -> __m512 {
        const SHIFT: f32 = 12_582_912.0; // 1.5 * 2^23: adding it leaves an integer in the low bits
        let (end, scale) = if FAST { (table::FAST_END, table::FAST_SCALE) } else { (table::END, table::SCALE) };
        let lines: &[table::Line] = if FAST { &table::FAST_H } else { &table::H };
        let (top, rest) = lines.split_last().expect("a polynomial has coefficients");
        v!({
            let a = _mm512_abs_ps(x);
            let c = _mm512_min_ps(a, _mm512_set1_ps(end));
            let shifted = _mm512_fmadd_ps(c, _mm512_set1_ps(scale), _mm512_set1_ps(SHIFT));
            let i = _mm512_castps_si512(shifted);
            let f = _mm512_fmsub_ps(c, _mm512_set1_ps(scale), _mm512_sub_ps(shifted, _mm512_set1_ps(SHIFT)));
            let mut h = _mm512_permutexvar_ps(i, _mm512_load_ps(top.0.as_ptr()));
            for line in rest.iter().rev() {
                h = _mm512_fmadd_ps(h, f, _mm512_permutexvar_ps(i, _mm512_load_ps(line.0.as_ptr())));
            }
            _mm512_fmadd_ps(a, h, _mm512_mul_ps(x, _mm512_set1_ps(0.5)))
        })
    }

    #[inline(always)]
    unsafe fn load_pairs(self, p: *const Bf16) -> Pairs {
        self.pairs(v!(_mm512_loadu_si512(p.cast())))
    }
    #[inline(always)]
    unsafe fn splat_pair(self, p: *const Bf16) -> Pairs {
        self.pairs(v!(_mm512_set1_epi32(p.cast::<i32>().read_unaligned())))
    }
    #[inline(always)]
    unsafe fn splat_half(self, p: *const Bf16) -> Pairs {
        self.pairs(v!(_mm512_set1_epi32(i32::from((*p).0))))
    }
    #[inline(always)]
    fn dot(self, a: Pairs, b: Pairs, acc: __m512) -> __m512 {
        if L::BF16 {
            // SAFETY: `self` proves AVX512_BF16 when L::BF16 is true; the operand types have the same bits.
            return unsafe {
                _mm512_dpbf16_ps(
                    acc,
                    std::mem::transmute::<__m512, __m512bh>(a.even),
                    std::mem::transmute::<__m512, __m512bh>(b.even),
                )
            };
        }
        v!(_mm512_fmadd_ps(a.odd, b.odd, _mm512_fmadd_ps(a.even, b.even, acc)))
    }
}
