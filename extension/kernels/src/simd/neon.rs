//! NEON, 4 lanes, on every ARM processor of 64 bits, with (`BF16 = true`) or without the bf16 instructions of ARMv8.6
//! (Neoverse V1 and N2, Apple M2, and what came after them).
//!
//! **f32.** A multiply-add takes one of its factors from a lane of a register (`fmla by element`), so that values of A are
//! loaded as they lie in memory: two at a time, 12 rows, and 8 columns of two packed steps, are 16 loads for 48
//! multiply-adds. 24 of the 32 registers hold sums, 4 weights. Loads of one value into all lanes (`ld1r`) would need a
//! vector unit each on Neoverse.
//!
//! **bf16.** `bfmmla` multiplies 2 x 4 values by 4 x 2: twice the products of `bfdot`, and the same bits, as it is defined
//! as two of these. Pairs of rows, and of packed steps, become its operands by one `zip` each: 10 of them for 24
//! `bfmmla`, where `bfdot` would take 48 and no `zip`. A tile's sums then lie in blocks of 2 x 2 (`turn`). Sums are
//! rounded to odd, subnormals are taken as zero. A tile of one row is left to `bfdot`.
//!
//! What the compiler makes of the inner loops, without a call or an access to the stack; `test/arm/loops.py` checks it:
//!
//! | loop | multiply-adds | instructions | loads |
//! |---|---|---|---|
//! | f32, 12 x 8 sums, 2 steps | 48 `fmla` of 4 | 66 to 78 | 12, and 2 of pairs |
//! | bf16, 12 x 8 sums, 2 steps of 2 | 24 `bfmmla` of 16 | 52 | 12, and 2 of pairs |
//! | GELU of 4 values, for f32 / for bf16 | 14 / 9 | 36 / 26 | 1 |
//! | 2^x of 4 values in a softmax | 5 | 24 | 1 |

use super::{Simd, polynomial};
use crate::bf16::Bf16;
use std::arch::{aarch64::*, asm};

/// Evaluates intrinsics whose features the receiver proves.
macro_rules! v {
    ($e:expr) => {
        // SAFETY: `self` exists only where the features are present. Pointers are valid for what is read or written by the
        // contract of the method of `Simd` that this is.
        unsafe { $e }
    };
}

/// An instruction that the standard library does not offer yet; it works on registers only, and the receiver proves its feature.
macro_rules! instruction {
    ($text:literal, $($operands:tt)*) => {
        // SAFETY: `self` proves bf16 where BF16 is true, as at all uses; nothing but the operands changes.
        unsafe { asm!($text, $($operands)*, options(pure, nomem, nostack, preserves_flags)) }
    };
}

/// Proof that the processor has NEON and, for `BF16`, its bf16 instructions.
#[derive(Clone, Copy)]
pub struct Neon<const BF16: bool>(());

impl Neon<true> {
    /// The proof; safe to call where the compiler knows of the features.
    ///
    /// # Safety
    /// The processor has the features that are enabled here.
    #[target_feature(enable = "neon,bf16")]
    pub(crate) fn new() -> Self {
        Self(())
    }
}

impl Neon<false> {
    /// The proof; safe to call where the compiler knows of the features.
    ///
    /// # Safety
    /// The processor has the features that are enabled here.
    #[target_feature(enable = "neon")]
    pub(crate) fn new() -> Self {
        Self(())
    }
}

/// Four pairs of bf16: raw in `even` for the native product, split into even and odd values for the emulated one.
#[derive(Clone, Copy)]
pub struct Pairs {
    even: float32x4_t,
    odd: float32x4_t,
}

impl<const BF16: bool> Neon<BF16> {
    #[inline(always)]
    fn pairs(self, raw: uint32x4_t) -> Pairs {
        if BF16 {
            return v!(Pairs { even: vreinterpretq_f32_u32(raw), odd: vdupq_n_f32(0.0) });
        }
        v!(Pairs {
            even: vreinterpretq_f32_u32(vshlq_n_u32::<16>(raw)),
            odd: vreinterpretq_f32_u32(vandq_u32(raw, vdupq_n_u32(0xffff_0000))),
        })
    }

    #[inline(always)]
    fn narrow(self, x: float32x4_t) -> uint16x4_t {
        if BF16 {
            let narrow: uint16x4_t;
            // SAFETY: `self` proves bf16; works on registers, and may say in the status that it was inexact.
            unsafe {
                asm!(
                    "bfcvtn {narrow:v}.4h, {x:v}.4s",
                    x = in(vreg) x, narrow = lateout(vreg) narrow,
                    options(pure, nomem, nostack)
                );
            }
            return narrow;
        }
        v!({
            let b = vreinterpretq_u32_f32(x);
            let odd = vandq_u32(vshrq_n_u32::<16>(b), vdupq_n_u32(1));
            let r = vaddq_u32(b, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
            let r = vbslq_u32(vceqq_f32(x, x), r, vorrq_u32(b, vdupq_n_u32(0x40_0000)));
            vshrn_n_u32::<16>(r)
        })
    }

    #[inline(always)]
    fn widen(self, x: uint16x4_t) -> float32x4_t {
        v!(vreinterpretq_f32_u32(vshll_n_u16::<16>(x)))
    }

    /// `acc` plus the products of the four pairs of `b` with pair `LANE` of `a`.
    #[inline(always)]
    fn dot_lane<const LANE: i32>(self, mut acc: float32x4_t, b: uint32x4_t, a: uint16x4_t) -> float32x4_t {
        instruction!(
            "bfdot {acc:v}.4s, {b:v}.8h, {a:v}.2h[{lane}]",
            acc = inout(vreg) acc, b = in(vreg) b, a = in(vreg) a, lane = const LANE
        );
        acc
    }

    /// Adds to two sums of 2 x 2 the products of two rows, four values each, with two blocks of weights. One piece of
    /// assembly, so that the loads stay where registers are free.
    ///
    /// # Safety
    /// `BF16` is true, and `offset` bytes from `rows` on four bf16 can be read.
    #[inline(always)]
    unsafe fn dot_blocks(
        self,
        sums: [float32x4_t; 2],
        rows: [*const Bf16; 2],
        offset: usize,
        b: [uint32x4_t; 2],
    ) -> [float32x4_t; 2] {
        let [mut left, mut right] = sums;
        // SAFETY: by the contract.
        unsafe {
            asm!(
                "ldr {a:d}, [{first}, {offset}]",
                "ldr {t:d}, [{second}, {offset}]",
                "zip1 {a:v}.2d, {a:v}.2d, {t:v}.2d",
                "bfmmla {left:v}.4s, {a:v}.8h, {b0:v}.8h",
                "bfmmla {right:v}.4s, {a:v}.8h, {b1:v}.8h",
                first = in(reg) rows[0], second = in(reg) rows[1], offset = in(reg) offset,
                a = out(vreg) _, t = out(vreg) _,
                left = inout(vreg) left, right = inout(vreg) right, b0 = in(vreg) b[0], b1 = in(vreg) b[1],
                options(pure, readonly, nostack, preserves_flags)
            )
        }
        [left, right]
    }

    /// As [`Neon::dot_blocks`], for four blocks.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn dot_blocks_twice(
        self,
        sums: [[float32x4_t; 2]; 2],
        rows: [*const Bf16; 2],
        offset: usize,
        b: [[uint32x4_t; 2]; 2],
    ) -> [[float32x4_t; 2]; 2] {
        let [[mut s0, mut s1], [mut s2, mut s3]] = sums;
        // SAFETY: by the contract.
        unsafe {
            asm!(
                "ldr {a:d}, [{first}, {offset}]",
                "ldr {t:d}, [{second}, {offset}]",
                "zip1 {a:v}.2d, {a:v}.2d, {t:v}.2d",
                "bfmmla {s0:v}.4s, {a:v}.8h, {b0:v}.8h",
                "bfmmla {s1:v}.4s, {a:v}.8h, {b1:v}.8h",
                "bfmmla {s2:v}.4s, {a:v}.8h, {b2:v}.8h",
                "bfmmla {s3:v}.4s, {a:v}.8h, {b3:v}.8h",
                first = in(reg) rows[0], second = in(reg) rows[1], offset = in(reg) offset,
                a = out(vreg) _, t = out(vreg) _,
                s0 = inout(vreg) s0, s1 = inout(vreg) s1, s2 = inout(vreg) s2, s3 = inout(vreg) s3,
                b0 = in(vreg) b[0][0], b1 = in(vreg) b[0][1], b2 = in(vreg) b[1][0], b3 = in(vreg) b[1][1],
                options(pure, readonly, nostack, preserves_flags)
            )
        }
        [[s0, s1], [s2, s3]]
    }
}

impl<const BF16: bool> Simd for Neon<BF16> {
    const LANES: usize = 4;
    const MR: usize = 12;
    const LEAST_EXPONENT: f32 = -127.0;
    const STEPS: usize = 2;
    type F = float32x4_t;
    type P = Pairs;
    type Tiles = super::tiles::NoTiles;

    #[inline(always)]
    fn prefetch<T>(self, p: *const T) {
        // SAFETY: a hint, whatever the address.
        unsafe { asm!("prfm pldl1keep, [{p}]", p = in(reg) p, options(nomem, nostack, preserves_flags)) }
    }
    #[inline(always)]
    fn splat(self, x: f32) -> float32x4_t {
        v!(vdupq_n_f32(x))
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> float32x4_t {
        v!(vld1q_f32(p))
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> float32x4_t {
        v!({
            if n >= 4 {
                return vld1q_f32(p);
            }
            let mut t = [0f32; 4];
            for (i, t) in t[..3].iter_mut().enumerate() {
                if i < n {
                    *t = *p.add(i);
                }
            }
            vld1q_f32(t.as_ptr())
        })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: float32x4_t) {
        v!(vst1q_f32(p, x))
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, n: usize, x: float32x4_t) {
        v!({
            if n >= 4 {
                return vst1q_f32(p, x);
            }
            if n >= 1 {
                vst1q_lane_f32::<0>(p, x);
            }
            if n >= 2 {
                vst1q_lane_f32::<1>(p.add(1), x);
            }
            if n >= 3 {
                vst1q_lane_f32::<2>(p.add(2), x);
            }
        })
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const Bf16) -> float32x4_t {
        self.widen(v!(vld1_u16(p.cast())))
    }
    #[inline(always)]
    unsafe fn load_bf16_n(self, p: *const Bf16, n: usize) -> float32x4_t {
        let mut t = [Bf16::ZERO; 4];
        for (i, t) in t.iter_mut().enumerate() {
            if i < n {
                *t = v!(*p.add(i));
            }
        }
        self.widen(v!(vld1_u16(t.as_ptr().cast())))
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut Bf16, x: float32x4_t) {
        v!(vst1_u16(p.cast(), self.narrow(x)))
    }
    #[inline(always)]
    unsafe fn store_bf16_n(self, p: *mut Bf16, n: usize, x: float32x4_t) {
        v!({
            let (p, x) = (p.cast::<u16>(), self.narrow(x));
            if n >= 4 {
                return vst1_u16(p, x);
            }
            if n >= 1 {
                vst1_lane_u16::<0>(p, x);
            }
            if n >= 2 {
                vst1_lane_u16::<1>(p.add(1), x);
            }
            if n >= 3 {
                vst1_lane_u16::<2>(p.add(2), x);
            }
        })
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        v!(vaddq_f32(a, b))
    }
    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        v!(vsubq_f32(a, b))
    }
    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        v!(vmulq_f32(a, b))
    }
    #[inline(always)]
    fn div(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        v!(vdivq_f32(a, b))
    }
    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        v!(vminq_f32(a, b))
    }
    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        v!(vmaxq_f32(a, b))
    }
    #[inline(always)]
    fn fma(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        v!(vfmaq_f32(c, a, b))
    }
    #[inline(always)]
    fn round(self, x: float32x4_t) -> float32x4_t {
        v!(vrndnq_f32(x))
    }
    #[inline(always)]
    fn scale2(self, x: float32x4_t, n: float32x4_t) -> float32x4_t {
        v!({
            let e = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
            vmulq_f32(x, vreinterpretq_f32_s32(vshlq_n_s32::<23>(e)))
        })
    }
    #[inline(always)]
    fn sum(self, x: float32x4_t) -> f32 {
        v!(vaddvq_f32(x))
    }
    #[inline(always)]
    fn top(self, x: float32x4_t) -> f32 {
        v!(vmaxvq_f32(x))
    }

    #[inline(always)]
    unsafe fn transpose(self, rows: &[*const u32; 16], to: *mut u32, stride: usize) {
        for c in (0..16).step_by(4) {
            for r in (0..16).step_by(4) {
                v!({
                    let row = |i: usize| vld1q_u32(rows[r + i].add(c));
                    let [a, b, c0, d] = [row(0), row(1), row(2), row(3)];
                    // 2 x 2 words, then 2 x 2 pairs
                    let (ab, cd) = ([vtrn1q_u32(a, b), vtrn2q_u32(a, b)], [vtrn1q_u32(c0, d), vtrn2q_u32(c0, d)]);
                    for i in 0..2 {
                        let (ab, cd) = (vreinterpretq_u64_u32(ab[i]), vreinterpretq_u64_u32(cd[i]));
                        let at = to.add((c + i) * stride + r);
                        vst1q_u32(at, vreinterpretq_u32_u64(vzip1q_u64(ab, cd)));
                        vst1q_u32(at.add(2 * stride), vreinterpretq_u32_u64(vzip2q_u64(ab, cd)));
                    }
                })
            }
        }
    }

    /// 2^x = 2^n 2^r with n = round(x) and |r| <= 1/2, by the coefficients of `polynomial::exp2`. Adding 1.5 * 2^23 + 127
    /// rounds x, and leaves the bits of 2^n, its exponent, at the end: no conversions, which are slow on Neoverse.
    #[inline(always)]
    fn exp2(self, x: float32x4_t) -> float32x4_t {
        const SHIFT: f32 = 12_582_912.0 + 127.0;
        v!({
            let x = vmaxq_f32(vdupq_n_f32(Self::LEAST_EXPONENT), x);
            let shifted = vaddq_f32(x, vdupq_n_f32(SHIFT));
            let r = vsubq_f32(x, vsubq_f32(shifted, vdupq_n_f32(SHIFT)));
            let mut y = vdupq_n_f32(polynomial::EXP2[0]);
            for &c in &polynomial::EXP2[1..] {
                y = vfmaq_f32(vdupq_n_f32(c), y, r);
            }
            vmulq_f32(y, vreinterpretq_f32_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(shifted))))
        })
    }
    #[inline(always)]
    fn gelu<const FAST: bool>(self, x: float32x4_t) -> float32x4_t {
        polynomial::gelu::<Self, FAST>(self, x)
    }
    #[inline(always)]
    fn gelu_all<const FAST: bool>(self, x: &mut [float32x4_t]) {
        v!(gelu_all::<FAST>(Neon(()), x))
    }

    #[inline(always)]
    unsafe fn load_pairs(self, p: *const Bf16) -> Pairs {
        self.pairs(v!(vreinterpretq_u32_u16(vld1q_u16(p.cast()))))
    }
    #[inline(always)]
    unsafe fn splat_pair(self, p: *const Bf16) -> Pairs {
        self.pairs(v!(vdupq_n_u32(p.cast::<u32>().read_unaligned())))
    }
    #[inline(always)]
    unsafe fn splat_half(self, p: *const Bf16) -> Pairs {
        self.pairs(v!(vdupq_n_u32(u32::from((*p).0))))
    }
    #[inline(always)]
    fn dot(self, a: Pairs, b: Pairs, mut acc: float32x4_t) -> float32x4_t {
        if BF16 {
            instruction!(
                "bfdot {acc:v}.4s, {a:v}.8h, {b:v}.8h",
                acc = inout(vreg) acc, a = in(vreg) a.even, b = in(vreg) b.even
            );
            return acc;
        }
        self.fma(a.odd, b.odd, self.fma(a.even, b.even, acc))
    }

    #[inline(always)]
    unsafe fn products<const MR: usize, const NV: usize>(
        self,
        acc: &mut [[float32x4_t; NV]; MR],
        rows: &[*const f32; MR],
        k: usize,
        w: *const f32,
        apart: usize,
    ) {
        v!({
            let mut b = [[vdupq_n_f32(0.0); NV]; 2];
            for v in 0..NV {
                b[0][v] = vld1q_f32(w.add(4 * v));
                b[1][v] = vld1q_f32(w.add(apart + 4 * v));
            }
            for r in 0..MR {
                let a = vld1_f32(rows[r].add(k));
                for v in 0..NV {
                    acc[r][v] = vfmaq_lane_f32::<0>(acc[r][v], b[0][v], a);
                }
                for v in 0..NV {
                    acc[r][v] = vfmaq_lane_f32::<1>(acc[r][v], b[1][v], a);
                }
            }
        })
    }

    #[inline(always)]
    unsafe fn dots<const MR: usize, const NV: usize>(
        self,
        acc: &mut [[float32x4_t; NV]; MR],
        rows: &[*const Bf16; MR],
        k: usize,
        w: *const Bf16,
        apart: usize,
    ) {
        v!({
            if !BF16 {
                for step in 0..2 {
                    let mut b = [self.load_pairs(w.add(step * apart)); NV];
                    for v in 1..NV {
                        b[v] = self.load_pairs(w.add(step * apart + 8 * v));
                    }
                    for r in 0..MR {
                        let a = self.splat_pair(rows[r].add(k + 2 * step));
                        for v in 0..NV {
                            acc[r][v] = self.dot(a, b[v], acc[r][v]);
                        }
                    }
                }
                return;
            }
            let mut b = [[vdupq_n_u32(0); NV]; 2];
            for v in 0..NV {
                b[0][v] = vreinterpretq_u32_u16(vld1q_u16(w.add(8 * v).cast()));
                b[1][v] = vreinterpretq_u32_u16(vld1q_u16(w.add(apart + 8 * v).cast()));
            }
            if MR % 2 == 1 {
                for r in 0..MR {
                    let a = vld1_u16(rows[r].add(k).cast());
                    for v in 0..NV {
                        acc[r][v] = self.dot_lane::<0>(acc[r][v], b[0][v], a);
                    }
                    for v in 0..NV {
                        acc[r][v] = self.dot_lane::<1>(acc[r][v], b[1][v], a);
                    }
                }
                return;
            }
            // two columns by four values of k each
            for v in 0..NV {
                (b[0][v], b[1][v]) = (vzip1q_u32(b[0][v], b[1][v]), vzip2q_u32(b[0][v], b[1][v]));
            }
            let offset = k * size_of::<Bf16>();
            for r in (0..MR).step_by(2) {
                let rows = [rows[r], rows[r + 1]];
                if NV == 2 {
                    let sums = [[acc[r][0], acc[r + 1][0]], [acc[r][1], acc[r + 1][1]]];
                    let b = [[b[0][0], b[1][0]], [b[0][1], b[1][1]]];
                    [[acc[r][0], acc[r + 1][0]], [acc[r][1], acc[r + 1][1]]] =
                        self.dot_blocks_twice(sums, rows, offset, b);
                } else {
                    for v in 0..NV {
                        [acc[r][v], acc[r + 1][v]] =
                            self.dot_blocks([acc[r][v], acc[r + 1][v]], rows, offset, [b[0][v], b[1][v]]);
                    }
                }
            }
        })
    }

    #[inline(always)]
    fn turn<const MR: usize, const NV: usize>(self, acc: &mut [[float32x4_t; NV]; MR]) {
        if !BF16 || MR % 2 == 1 {
            return;
        }
        for r in (0..MR).step_by(2) {
            for v in 0..NV {
                v!({
                    let (a, b) = (vreinterpretq_f64_f32(acc[r][v]), vreinterpretq_f64_f32(acc[r + 1][v]));
                    acc[r][v] = vreinterpretq_f32_f64(vzip1q_f64(a, b));
                    acc[r + 1][v] = vreinterpretq_f32_f64(vzip2q_f64(a, b));
                })
            }
        }
    }
}

/// GELU of a tile. A function of its own: in registers beside the sums there would be no room for the coefficients, which
/// would be loaded for each vector.
///
/// # Safety
/// The processor has the features that are enabled here.
#[target_feature(enable = "neon")]
#[inline(never)]
fn gelu_all<const FAST: bool>(s: Neon<false>, x: &mut [float32x4_t]) {
    for x in x {
        *x = polynomial::gelu::<_, FAST>(s, *x);
    }
}
