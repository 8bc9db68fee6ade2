//! Plain Rust over small arrays that the compiler vectorises for whatever the target has; 4 lanes.

use super::{Simd, polynomial};
use crate::bf16::Bf16;

/// Works on every processor.
#[derive(Clone, Copy)]
pub struct Portable;

const N: usize = 4;
type V = [f32; N];

/// Four pairs of bf16, widened.
#[derive(Clone, Copy)]
pub struct Pairs {
    even: V,
    odd: V,
}

#[inline(always)]
fn map2(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

/// A fused multiply-add where it is one instruction, two roundings elsewhere (a library call would be far too slow).
#[inline(always)]
fn fma1(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { a.mul_add(b, c) } else { a * b + c }
}

impl Simd for Portable {
    const LANES: usize = N;
    const MR: usize = 4;
    const LEAST_EXPONENT: f32 = -127.0;
    type F = V;
    type P = Pairs;
    type Tiles = super::tiles::NoTiles;

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; N]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        // SAFETY: `p` is valid for N f32, by the contract of `Simd`.
        unsafe { p.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_n(self, p: *const f32, n: usize) -> V {
        let mut t = [0f32; N];
        // SAFETY: `p` is valid for n values, and n <= N, by the contract of `Simd`.
        unsafe { std::ptr::copy_nonoverlapping(p, t.as_mut_ptr(), n) };
        t
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, x: V) {
        // SAFETY: `p` is valid for N f32, by the contract of `Simd`.
        unsafe { p.cast::<V>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn store_n(self, p: *mut f32, n: usize, x: V) {
        // SAFETY: `p` is valid for n values, and n <= N, by the contract of `Simd`.
        unsafe { std::ptr::copy_nonoverlapping(x.as_ptr(), p, n) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const Bf16) -> V {
        // SAFETY: `p` is valid for N bf16, by the contract of `Simd`.
        unsafe { p.cast::<[Bf16; N]>().read_unaligned() }.map(Bf16::to_f32)
    }
    #[inline(always)]
    unsafe fn load_bf16_n(self, p: *const Bf16, n: usize) -> V {
        let mut t = [Bf16::ZERO; N];
        // SAFETY: `p` is valid for n values, and n <= N, by the contract of `Simd`.
        unsafe { std::ptr::copy_nonoverlapping(p, t.as_mut_ptr(), n) };
        t.map(Bf16::to_f32)
    }
    #[inline(always)]
    unsafe fn store_bf16(self, p: *mut Bf16, x: V) {
        // SAFETY: `p` is valid for N bf16, by the contract of `Simd`.
        unsafe { p.cast::<[Bf16; N]>().write_unaligned(x.map(Bf16::from_f32)) }
    }
    #[inline(always)]
    unsafe fn store_bf16_n(self, p: *mut Bf16, n: usize, x: V) {
        // SAFETY: `p` is valid for n values, and n <= N, by the contract of `Simd`.
        unsafe { std::ptr::copy_nonoverlapping(x.map(Bf16::from_f32).as_ptr(), p, n) }
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        map2(a, b, |x, y| x + y)
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        map2(a, b, |x, y| x - y)
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        map2(a, b, |x, y| x * y)
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        map2(a, b, |x, y| x / y)
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        map2(a, b, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        map2(a, b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        [fma1(a[0], b[0], c[0]), fma1(a[1], b[1], c[1]), fma1(a[2], b[2], c[2]), fma1(a[3], b[3], c[3])]
    }
    #[inline(always)]
    fn round(self, x: V) -> V {
        const SHIFT: f32 = 12_582_912.0; // 1.5 * 2^23: adding it leaves no fraction bits
        x.map(|x| (x + SHIFT) - SHIFT)
    }
    #[inline(always)]
    fn scale2(self, x: V, n: V) -> V {
        map2(x, n, |x, n| x * f32::from_bits(((n as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    fn sum(self, x: V) -> f32 {
        (x[0] + x[2]) + (x[1] + x[3])
    }
    #[inline(always)]
    fn top(self, x: V) -> f32 {
        x[0].max(x[1]).max(x[2].max(x[3]))
    }

    #[inline(always)]
    fn exp2(self, x: V) -> V {
        polynomial::exp2(self, x)
    }
    #[inline(always)]
    fn gelu<const FAST: bool>(self, x: V) -> V {
        polynomial::gelu::<Self, FAST>(self, x)
    }

    #[inline(always)]
    unsafe fn load_pairs(self, p: *const Bf16) -> Pairs {
        // SAFETY: `p` is valid for 2 N bf16, by the contract of `Simd`.
        let t = unsafe { p.cast::<[u32; N]>().read_unaligned() };
        let t = if cfg!(target_endian = "big") { t.map(|x| x.rotate_left(16)) } else { t };
        Pairs { even: t.map(|x| f32::from_bits(x << 16)), odd: t.map(|x| f32::from_bits(x & 0xffff_0000)) }
    }
    #[inline(always)]
    unsafe fn splat_pair(self, p: *const Bf16) -> Pairs {
        // SAFETY: `p` is valid for two bf16, by the contract of `Simd`.
        let [a, b] = unsafe { p.cast::<[Bf16; 2]>().read_unaligned() };
        Pairs { even: [a.to_f32(); N], odd: [b.to_f32(); N] }
    }
    #[inline(always)]
    unsafe fn splat_half(self, p: *const Bf16) -> Pairs {
        // SAFETY: `p` is valid for one bf16, by the contract of `Simd`.
        Pairs { even: [unsafe { *p }.to_f32(); N], odd: [0.0; N] }
    }
    #[inline(always)]
    fn dot(self, a: Pairs, b: Pairs, acc: V) -> V {
        self.fma(a.odd, b.odd, self.fma(a.even, b.even, acc))
    }
}
