//! Layer norm over the channels of NHWC rows; LayerNorm2d of the reference is the same thing in this layout.
//!
//! Mean first, then the variance of the centred values (two passes: no cancellation), both summed in f32 in an order
//! that depends only on the number of channels.

use crate::Isa;
use crate::buffer::AlignedVec;
use crate::gemm::{Act, Mat, MatMut};
use crate::scalar::{Scalar, compile_for_scalars};
use crate::simd::{Kernel, Simd};

/// Scale and shift of a layer norm.
///
/// ```
/// use sam_kernels::{Act, Isa, LayerNorm, Mat, MatMut};
///
/// let norm = LayerNorm::new(&[1.0, 1.0], &[0.0, 10.0], 0.0);
/// let mut out = [0.0f32; 4];
/// let x = [1.0, 3.0, -5.0, 5.0];
/// norm.apply(Isa::get()?, Mat::new(&x, 2), 2, Act::None, MatMut::new(&mut out, 2));
/// assert_eq!(out, [-1.0, 11.0, -1.0, 11.0]);
/// # Ok::<(), sam_kernels::IsaError>(())
/// ```
#[derive(Clone)]
pub struct LayerNorm {
    gamma: AlignedVec<f32>,
    beta: AlignedVec<f32>,
    eps: f32,
}

impl LayerNorm {
    /// One value per channel each.
    pub fn new(gamma: &[f32], beta: &[f32], eps: f32) -> Self {
        assert!(!gamma.is_empty() && gamma.len() == beta.len(), "layer norm of {} and {}", gamma.len(), beta.len());
        Self { gamma: AlignedVec::copy_of(gamma), beta: AlignedVec::copy_of(beta), eps }
    }

    /// Values per row.
    pub fn channels(&self) -> usize {
        self.gamma.len()
    }

    /// The first `rows` rows of `x`, normalised and activated, into `out`.
    pub fn apply<O: NormElem>(&self, isa: Isa, x: Mat<'_, f32>, rows: usize, act: Act, out: MatMut<'_, O>) {
        self.check(x.data.len(), x.stride, rows);
        self.check(out.data.len(), out.stride, rows);
        let (to, to_stride) = (out.data.as_mut_ptr(), out.stride);
        O::normalise(
            isa,
            NormRun { norm: self, from: x.data.as_ptr(), from_stride: x.stride, to, to_stride, rows, act },
        );
    }

    /// As [`LayerNorm::apply`], in place.
    pub fn apply_in_place(&self, isa: Isa, x: MatMut<'_, f32>, rows: usize, act: Act) {
        self.check(x.data.len(), x.stride, rows);
        let (to, to_stride) = (x.data.as_mut_ptr(), x.stride);
        f32::normalise(isa, NormRun { norm: self, from: to, from_stride: to_stride, to, to_stride, rows, act });
    }

    fn check(&self, len: usize, stride: usize, rows: usize) {
        let need = if rows == 0 { 0 } else { (rows - 1) * stride + self.channels() };
        assert!(stride >= self.channels() && len >= need, "{len} elements at stride {stride} for {rows} rows");
    }
}

/// `from` and `to` may be the same rows: a row is read before it is written, vector by vector.
pub struct NormRun<'a, O> {
    norm: &'a LayerNorm,
    from: *const f32,
    from_stride: usize,
    to: *mut O,
    to_stride: usize,
    rows: usize,
    act: Act,
}

/// An element type that a layer norm writes. Its method is not generic, so that the kernel is compiled here, once.
pub trait NormElem: Scalar {
    fn normalise(isa: Isa, run: NormRun<'_, Self>);
}

compile_for_scalars!(NormElem::normalise(NormRun<'_, Self>));

impl<O: Scalar> Kernel for NormRun<'_, O> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for i in 0..self.rows {
            // SAFETY: `check` covered both matrices.
            unsafe { row(s, self.norm, self.from.add(i * self.from_stride), self.to.add(i * self.to_stride), self.act) }
        }
    }
}

/// One row.
///
/// # Safety
/// `x` is valid for reading and `y` for writing `norm.channels()` values. They may be the same memory only if `O` is f32.
#[inline(always)]
unsafe fn row<S: Simd, O: Scalar>(s: S, norm: &LayerNorm, x: *const f32, y: *mut O, act: Act) {
    let n = norm.channels();
    let whole = n / S::LANES * S::LANES;
    let inverse = 1.0 / n as f32;
    // SAFETY: `x`, `y`, gamma and beta hold n values.
    unsafe {
        let mut sums = [s.splat(0.0); 2];
        for (v, c) in (0..whole).step_by(S::LANES).enumerate() {
            sums[v % 2] = s.add(sums[v % 2], s.load(x.add(c)));
        }
        let mut sum = s.sum(s.add(sums[0], sums[1]));
        for c in whole..n {
            sum += *x.add(c);
        }
        let mean = sum * inverse;
        let mean_v = s.splat(mean);

        let mut squares = [s.splat(0.0); 2];
        for (v, c) in (0..whole).step_by(S::LANES).enumerate() {
            let d = s.sub(s.load(x.add(c)), mean_v);
            squares[v % 2] = s.fma(d, d, squares[v % 2]);
        }
        let mut square = s.sum(s.add(squares[0], squares[1]));
        for c in whole..n {
            let d = *x.add(c) - mean;
            square += d * d;
        }
        let scale = s.splat(1.0 / (square * inverse + norm.eps).sqrt());

        let (gamma, beta) = (norm.gamma.as_ptr(), norm.beta.as_ptr());
        for c in (0..whole).step_by(S::LANES) {
            let d = s.mul(s.sub(s.load(x.add(c)), mean_v), scale);
            let z = activate::<S, O>(s, s.fma(d, s.load(gamma.add(c)), s.load(beta.add(c))), act);
            O::store(s, y.add(c), z);
        }
        if whole < n {
            let rest = n - whole;
            let d = s.mul(s.sub(s.load_n(x.add(whole), rest), mean_v), scale);
            let z = s.fma(d, s.load_n(gamma.add(whole), rest), s.load_n(beta.add(whole), rest));
            O::store_n(s, y.add(whole), rest, activate::<S, O>(s, z, act));
        }
    }
}

/// The activation in the precision that a result stored as `O` needs.
#[inline(always)]
pub(crate) fn activate<S: Simd, O: Scalar>(s: S, x: S::F, act: Act) -> S::F {
    match act {
        Act::None => x,
        Act::Relu => s.max(x, s.splat(0.0)),
        Act::Gelu if O::STEP == 2 => s.gelu::<true>(x),
        Act::Gelu => s.gelu::<false>(x),
    }
}
