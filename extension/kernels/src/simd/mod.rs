//! One vocabulary of vector operations, one implementation per instruction set.
//!
//! A kernel is written once, generic over [`Simd`], every function on the way marked `#[inline(always)]`, so that the
//! whole of it is compiled inside the `#[target_feature]` function of `isa.rs` that chose the implementation. A value of
//! an implementing type is a proof that the processor has the features: only `isa.rs` makes one.

use crate::bf16::Bf16;
use tiles::Tiles;

#[cfg(target_arch = "x86_64")]
pub(crate) mod amx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "x86_64")]
pub(crate) mod emulated;
#[cfg(target_arch = "x86_64")]
mod gelu_table;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
pub(crate) mod neon;
pub(crate) mod polynomial;
pub(crate) mod portable;
pub(crate) mod tiles;

/// Vectors of `LANES` f32 and the operations the kernels need. `LANES` divides 16.
///
/// A value of the type is the proof that the processor has the features, so that only pointers are left to be promised.
/// They are aligned for their elements, as those into a slice are, and need no more; what they point to is initialised
/// where it is read. The `_n` forms touch only the first `n` elements, and read the others as zero.
pub trait Simd: Copy {
    /// f32 values per vector.
    const LANES: usize;
    /// Rows of the register tile of a matrix product: `MR` x `2 * LANES` accumulators.
    const MR: usize;
    /// The least exponent that `scale2` takes.
    const LEAST_EXPONENT: f32;
    /// Whether products of bf16 are computed on [`Simd::Tiles`].
    const TILED: bool = false;
    /// Steps of k that [`Simd::products`] and [`Simd::dots`] take at a time; 1 where there is none of these.
    const STEPS: usize = 1;
    /// Vector of f32.
    type F: Copy;
    /// Vector of `LANES` pairs of bf16, in the form `dot` wants.
    type P: Copy;
    /// Tiles of this instruction set; only where `TILED`, and then `LANES` is 16.
    type Tiles: Tiles;

    /// Asks for the cache line at `p`, which need not be valid.
    #[inline(always)]
    fn prefetch<T>(self, p: *const T) {
        let _ = p;
    }

    fn splat(self, x: f32) -> Self::F;
    /// The value at `p` in every lane.
    ///
    /// # Safety
    /// `p` is valid for reading one f32.
    #[inline(always)]
    unsafe fn splat_from(self, p: *const f32) -> Self::F {
        // SAFETY: `p` is valid for one value.
        self.splat(unsafe { *p })
    }
    /// # Safety
    /// `p` is valid for reading `LANES` f32.
    unsafe fn load(self, p: *const f32) -> Self::F;
    /// # Safety
    /// `n <= LANES`, and `p` is valid for reading `n` f32.
    unsafe fn load_n(self, p: *const f32, n: usize) -> Self::F;
    /// # Safety
    /// `p` is valid for writing `LANES` f32.
    unsafe fn store(self, p: *mut f32, v: Self::F);
    /// # Safety
    /// `n <= LANES`, and `p` is valid for writing `n` f32.
    unsafe fn store_n(self, p: *mut f32, n: usize, v: Self::F);
    /// # Safety
    /// `p` is valid for reading `LANES` bf16.
    unsafe fn load_bf16(self, p: *const Bf16) -> Self::F;
    /// # Safety
    /// `n <= LANES`, and `p` is valid for reading `n` bf16.
    unsafe fn load_bf16_n(self, p: *const Bf16, n: usize) -> Self::F;
    /// Rounds to nearest, ties to even.
    ///
    /// # Safety
    /// `p` is valid for writing `LANES` bf16.
    unsafe fn store_bf16(self, p: *mut Bf16, v: Self::F);
    /// As [`Simd::store_bf16`], the first `n` values.
    ///
    /// # Safety
    /// `n <= LANES`, and `p` is valid for writing `n` bf16.
    unsafe fn store_bf16_n(self, p: *mut Bf16, n: usize, v: Self::F);

    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once where the hardware does so.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// To the nearest integer, ties to even; |v| < 2^22.
    fn round(self, v: Self::F) -> Self::F;
    /// `v * 2^n` for integer-valued `n` in LEAST_EXPONENT..=128; the least one gives 0 and 128 infinity.
    fn scale2(self, v: Self::F, n: Self::F) -> Self::F;
    /// Sum over the lanes, as a balanced tree.
    fn sum(self, v: Self::F) -> f32;
    /// Largest lane.
    fn top(self, v: Self::F) -> f32;

    /// Turns 16 x 16 words of 32 bits: word `c` of row `r` goes to `to[c * stride + r]`. Words need no alignment.
    ///
    /// # Safety
    /// Each of `rows` is valid for reading 16 words, `to` for writing `15 * stride + 16`; the two do not overlap.
    #[inline(always)]
    unsafe fn transpose(self, rows: &[*const u32; 16], to: *mut u32, stride: usize) {
        for (r, row) in rows.iter().enumerate() {
            for c in 0..16 {
                // SAFETY: c < 16 words of a row, and c * stride + r < 15 * stride + 16.
                unsafe { to.add(c * stride + r).write_unaligned(row.add(c).read_unaligned()) };
            }
        }
    }

    /// 2^x for x <= 0: relative error at most 2.5e-7 where the result is normal, 0 far below.
    fn exp2(self, x: Self::F) -> Self::F;
    /// erf-GELU; `FAST` is for results that are rounded to bf16. Bounds: `polynomial.rs`.
    fn gelu<const FAST: bool>(self, x: Self::F) -> Self::F;
    /// Two vectors side by side, rounded.
    ///
    /// # Safety
    /// `p` is valid for writing `2 * LANES` bf16.
    #[inline(always)]
    unsafe fn store_bf16_two(self, p: *mut Bf16, x: [Self::F; 2]) {
        // SAFETY: by contract.
        unsafe {
            self.store_bf16(p, x[0]);
            self.store_bf16(p.add(Self::LANES), x[1]);
        }
    }
    /// Whether reading bf16 with even and odd values apart is cheaper than in order.
    const SPLITS: bool = false;
    /// The even and the odd ones of `2 * LANES` values.
    ///
    /// # Safety
    /// `p` is valid for reading as many; asked for only where [`Simd::SPLITS`].
    unsafe fn load_bf16_split(self, _p: *const Bf16) -> [Self::F; 2] {
        unreachable!("asked for only where `Simd::SPLITS`")
    }
    /// Writes even and odd values, rounded.
    ///
    /// # Safety
    /// `p` is valid for writing `2 * LANES` of them; asked for only where [`Simd::SPLITS`].
    unsafe fn store_bf16_split(self, _p: *mut Bf16, _x: [Self::F; 2]) {
        unreachable!("asked for only where `Simd::SPLITS`")
    }
    /// Copies `n` numbers of 16 bits, and zeros behind them, to 32.
    ///
    /// # Safety
    /// `n <= 32`; `from` is valid for reading `n` numbers, `to` for writing 32.
    #[inline(always)]
    unsafe fn copy_some(self, from: *const u16, to: *mut u16, n: usize) {
        // SAFETY: by contract.
        unsafe {
            std::ptr::copy_nonoverlapping(from, to, n);
            to.add(n).write_bytes(0, 32 - n);
        }
    }
    /// [`Simd::gelu`] of each vector, in place.
    #[inline(always)]
    fn gelu_all<const FAST: bool>(self, x: &mut [Self::F]) {
        for x in x {
            *x = self.gelu::<FAST>(*x);
        }
    }

    /// `2 * LANES` consecutive bf16.
    ///
    /// # Safety
    /// `p` is valid for reading `2 * LANES` bf16.
    unsafe fn load_pairs(self, p: *const Bf16) -> Self::P;
    /// The pair at `p` in every lane.
    ///
    /// # Safety
    /// `p` is valid for reading two bf16.
    unsafe fn splat_pair(self, p: *const Bf16) -> Self::P;
    /// The value at `p` and zero in every lane: the last step of an odd length.
    ///
    /// # Safety
    /// `p` is valid for reading one bf16.
    unsafe fn splat_half(self, p: *const Bf16) -> Self::P;
    /// `acc + a0 * b0 + a1 * b1` per lane, products exact in f32.
    fn dot(self, a: Self::P, b: Self::P, acc: Self::F) -> Self::F;

    /// `STEPS` steps of a register tile, for instruction sets that load several values of A at once: adds to `acc[r][v]`
    /// the products of `rows[r][k..k + STEPS]` with vector `v` of as many packed steps, `apart` elements apart.
    ///
    /// # Safety
    /// STEPS is not 1. Each of `rows` is valid for reading `k + STEPS` f32, and `w`, for each step, for reading
    /// `NV * LANES`, `apart` after those of the step before.
    #[inline(always)]
    unsafe fn products<const MR: usize, const NV: usize>(
        self,
        acc: &mut [[Self::F; NV]; MR],
        rows: &[*const f32; MR],
        k: usize,
        w: *const f32,
        apart: usize,
    ) {
        let _ = (acc, rows, k, w, apart);
        unreachable!("STEPS is 1")
    }
    /// As [`Simd::products`], for pairs of bf16: `k` and `apart` count values, a step is two of them. The sums of the tile
    /// are in the order that [`Simd::turn`] gives them.
    ///
    /// # Safety
    /// As [`Simd::products`], for twice as many values.
    #[inline(always)]
    unsafe fn dots<const MR: usize, const NV: usize>(
        self,
        acc: &mut [[Self::F; NV]; MR],
        rows: &[*const Bf16; MR],
        k: usize,
        w: *const Bf16,
        apart: usize,
    ) {
        let _ = (acc, rows, k, w, apart);
        unreachable!("STEPS is 1")
    }
    /// Puts the sums of a tile into the order that [`Simd::dots`] wants, and, done again, back into that of rows.
    #[inline(always)]
    fn turn<const MR: usize, const NV: usize>(self, acc: &mut [[Self::F; NV]; MR]) {
        let _ = acc;
    }
}

/// A computation that runs under an instruction set chosen at run time; see `Isa::run`.
pub(crate) trait Kernel {
    type Out;
    fn run<S: Simd>(self, s: S) -> Self::Out;
}
