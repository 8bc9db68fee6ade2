//! Functions of every element of a slice.

use crate::Isa;
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
