//! Functions of every element of a slice.

use crate::Isa;
use crate::bf16::Bf16;
use crate::simd::{Kernel, Simd, polynomial};

/// Writes the logistic function `1 / (1 + e^-x)` of each logit, on the best instruction set (or the one that `SAM_ISA`
/// names).
///
/// The absolute error is below 2e-7, results are in 0..=1, and their order around the threshold is kept: 0 gives exactly
/// 0.5, minus infinity 0, infinity 1. NaN gives NaN. Panics where the lengths differ.
///
/// ```
/// let mut probabilities = [0.0; 3];
/// sam_kernels::sigmoid(&[0.0, f32::INFINITY, -2.0], &mut probabilities);
/// assert_eq!(probabilities[..2], [0.5, 1.0]);
/// assert!((probabilities[2] - 0.119_202_92).abs() < 2e-7);
/// ```
pub fn sigmoid(logits: &[f32], probabilities: &mut [f32]) {
    // A wrong SAM_ISA is reported where a model is opened.
    let isa = Isa::get().unwrap_or_else(|_| Isa::available()[0]);
    apply(isa, Function::Sigmoid, logits, probabilities);
}

/// Writes each number, rounded to bf16 as by [`Bf16::from_f32`](crate::Bf16::from_f32). Panics where the lengths differ.
///
/// ```
/// use sam_kernels::{Bf16, Isa, round};
///
/// let mut rounded = [Bf16::ZERO; 2];
/// round(Isa::get()?, &[1.0, 0.1], &mut rounded);
/// assert_eq!(rounded.map(Bf16::to_f32), [1.0, 0.100_097_656]);
/// # Ok::<(), sam_kernels::IsaError>(())
/// ```
pub fn round(isa: Isa, numbers: &[f32], rounded: &mut [Bf16]) {
    assert_eq!(numbers.len(), rounded.len(), "numbers and room for them");
    isa.run(Round { numbers, rounded });
}

struct Round<'a> {
    numbers: &'a [f32],
    rounded: &'a mut [Bf16],
}

impl Kernel for Round<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Round { numbers, rounded } = self;
        let two = 2 * S::LANES;
        let (mut from, mut to) = (numbers.chunks_exact(two), rounded.chunks_exact_mut(two));
        for (from, to) in (&mut from).zip(&mut to) {
            // SAFETY: a chunk is two vectors.
            unsafe {
                let x = [s.load(from.as_ptr()), s.load(from.as_ptr().add(S::LANES))];
                s.store_bf16_two(to.as_mut_ptr(), x);
            }
        }
        for (from, to) in from.remainder().chunks(S::LANES).zip(to.into_remainder().chunks_mut(S::LANES)) {
            // SAFETY: a chunk of a remainder has at most LANES elements.
            unsafe { s.store_bf16_n(to.as_mut_ptr(), from.len(), s.load_n(from.as_ptr(), from.len())) }
        }
    }
}

/// What [`apply`] applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Sigmoid,
    /// The others are parts of kernels, and only tested here.
    #[cfg(test)]
    Gelu,
    #[cfg(test)]
    GeluFast,
    #[cfg(test)]
    Exp,
    #[cfg(test)]
    Exp2,
}

/// Writes the function of each element of `x` to `y`.
fn apply(isa: Isa, function: Function, x: &[f32], y: &mut [f32]) {
    assert_eq!(x.len(), y.len(), "arguments and results");
    isa.run(Apply { function, x, y });
}

struct Apply<'a> {
    function: Function,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Apply<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Apply { function, x, y } = self;
        let (mut from, mut to) = (x.chunks_exact(S::LANES), y.chunks_exact_mut(S::LANES));
        for (from, to) in (&mut from).zip(&mut to) {
            // SAFETY: a chunk has LANES elements.
            unsafe { s.store(to.as_mut_ptr(), function.of(s, s.load(from.as_ptr()))) }
        }
        let (from, to) = (from.remainder(), to.into_remainder());
        // SAFETY: both remainders have the same number of elements, less than LANES.
        unsafe { s.store_n(to.as_mut_ptr(), to.len(), function.of(s, s.load_n(from.as_ptr(), from.len()))) }
    }
}

impl Function {
    #[inline(always)]
    fn of<S: Simd>(self, s: S, x: S::F) -> S::F {
        match self {
            Function::Sigmoid => polynomial::sigmoid(s, x),
            #[cfg(test)]
            Function::Gelu => s.gelu::<false>(x),
            #[cfg(test)]
            Function::GeluFast => s.gelu::<true>(x),
            #[cfg(test)]
            Function::Exp => polynomial::exp(s, x),
            #[cfg(test)]
            Function::Exp2 => s.exp2(x),
        }
    }
}

#[cfg(test)]
mod tests;
