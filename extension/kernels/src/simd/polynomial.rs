//! exp, exp2, erf-GELU and sigmoid of a vector, by minimax polynomials of our own, for any instruction set. Those of
//! GELU and exp2 that AVX-512 has beside them are in `avx512.rs`. Bounds, over every f32, are checked by the tests in
//! `functions.rs`:
//!
//! - GELU: |error| <= 7.5e-7 * max(1, |x|) against x/2 * (1 + erf(x / sqrt 2)); exactly x above 5.3, exactly 0 below
//!   -5.3; infinity gives infinity, minus infinity NaN (as 0 * inf does in the formula).
//! - Fast GELU, used where the result is stored as bf16: 7.5e-5 * max(1, |x|).
//! - exp: relative error <= 2.5e-7 where the result is a normal number, up to 88.37 (88.72 on AVX-512); above that
//!   infinity; below -87.33 the result is at most 2^-126, zero from -110.9 on.
//! - exp2, the softmax's: relative error <= 2.5e-7 for x <= 0 where the result is a normal number, at most 2^-126
//!   below; exactly 1 for 0 and 0 for minus infinity.
//! - sigmoid: absolute error < 2e-7; exactly 0.5 for 0, 0 and 1 for the infinities.

use super::Simd;

/// Odd minimax approximation of Phi(x) - 1/2 = x P(x^2) on [-5.17, 5.17], P in u = 2 x^2 / 5.17^2 - 1; found with the
/// weight |x| under the constraint 5.17 P = 1/2, so that the function is exact beyond the end points.
const GELU: [f32; 13] = [
    0.136_736_02,
    -0.068_117_775,
    0.050_257_1,
    -0.040_030_528,
    0.031_859_856,
    -0.024_431_286,
    0.018_115_811,
    -0.012_776_695,
    0.007_348_805,
    -0.003_428_244,
    0.002_714_072,
    -0.002_327_674,
    0.000_792_336_6,
];
const GELU_END: f32 = 5.17;

/// The same on [-4.15, 4.15] with fewer terms.
const GELU_FAST: [f32; 8] = [
    0.169_816_26,
    -0.082_283_854,
    0.055_999_488,
    -0.037_548_758,
    0.023_374_74,
    -0.015_873_289,
    0.010_297_46,
    -0.003_300_110_6,
];
const GELU_FAST_END: f32 = 4.15;

#[inline(always)]
fn gelu_by<S: Simd, const N: usize>(s: S, x: S::F, p: &[f32; N], end: f32) -> S::F {
    let xc = s.min(s.max(x, s.splat(-end)), s.splat(end));
    let u = s.fma(s.mul(xc, xc), s.splat(2.0 / (end * end)), s.splat(-1.0));
    let mut y = s.splat(p[N - 1]);
    for i in (0..N - 1).rev() {
        y = s.fma(y, u, s.splat(p[i]));
    }
    s.fma(x, s.mul(xc, y), s.mul(x, s.splat(0.5)))
}

/// erf-GELU, for [`Simd::gelu`].
#[inline(always)]
pub(super) fn gelu<S: Simd, const FAST: bool>(s: S, x: S::F) -> S::F {
    if FAST { gelu_by(s, x, &GELU_FAST, GELU_FAST_END) } else { gelu_by(s, x, &GELU, GELU_END) }
}

/// e^x = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2.
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::F) -> S::F {
    // constants first: min and max return their second argument when one is NaN
    let x = s.min(s.splat(89.0), s.max(s.splat((S::LEAST_EXPONENT - 0.01) * std::f32::consts::LN_2), x));
    let n = s.round(s.mul(x, s.splat(std::f32::consts::LOG2_E)));
    // ln 2 in two parts, the first short enough for an exact product with n even without a fused multiply-add
    let r = s.fma(n, s.splat(-0.693_359_4), x);
    let r = s.fma(n, s.splat(2.121_944_4e-4), r);
    let mut y = s.splat(0.008_290_272);
    for c in [0.041_898_16, 0.166_676_39, 0.499_991_48, 0.999_999_7, 1.0] {
        y = s.fma(y, r, s.splat(c));
    }
    s.scale2(y, n)
}

/// Minimax approximation of 2^r for |r| <= 1/2, highest degree first, p(0) = 1.
#[allow(clippy::approx_constant)] // a minimax coefficient near ln 2, not ln 2
pub(super) const EXP2: [f32; 6] = [0.001_326_466, 0.009_671_566, 0.055_507_347, 0.240_222_41, 0.693_147, 1.0];

/// 2^x for x <= 0, for [`Simd::exp2`]: 2^x = 2^n 2^r with n = round(x) and |r| <= 1/2.
#[inline(always)]
pub(super) fn exp2<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.max(s.splat(S::LEAST_EXPONENT), x);
    let n = s.round(x);
    let r = s.sub(x, n);
    let mut y = s.splat(EXP2[0]);
    for &c in &EXP2[1..] {
        y = s.fma(y, r, s.splat(c));
    }
    s.scale2(y, n)
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}
