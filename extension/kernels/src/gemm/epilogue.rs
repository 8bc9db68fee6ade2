//! What happens to a tile of sums while it is still in registers.

use super::source::{Mat, MatMut};
use super::tile::Acc;
use crate::bf16::Bf16;
use crate::simd::Simd;

/// Activation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Act {
    /// The value itself.
    #[default]
    None,
    /// erf-GELU, with an error of at most 7.5e-7 * max(1, |x|) where an f32 output is written, 7.5e-5 where only bf16 is.
    Gelu,
    /// max(x, 0).
    Relu,
}

/// What is added to the result.
#[derive(Clone, Copy, Debug, Default)]
pub enum Residual<'a> {
    /// Nothing.
    #[default]
    None,
    /// What the f32 output holds.
    InPlace,
    /// These rows, the first belonging to the first output row.
    From(Mat<'a, f32>),
}

/// `act_after(act(A * W^T + bias) + residual)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Before the residual.
    pub act: Act,
    /// Added after `act`.
    pub residual: Residual<'a>,
    /// After the residual.
    pub act_after: Act,
}

impl Epilogue<'_> {
    /// Only the bias.
    pub const BIAS: Epilogue<'static> = Epilogue { act: Act::None, residual: Residual::None, act_after: Act::None };
    /// Bias and GELU.
    pub const GELU: Epilogue<'static> = Epilogue { act: Act::Gelu, residual: Residual::None, act_after: Act::None };
    /// Bias and ReLU.
    pub const RELU: Epilogue<'static> = Epilogue { act: Act::Relu, residual: Residual::None, act_after: Act::None };
    /// Bias, added to what the output holds.
    pub const ADD: Epilogue<'static> = Epilogue { act: Act::None, residual: Residual::InPlace, act_after: Act::None };
}

/// Where the result goes: f32, bf16 or both; the first row of each belongs to the first row of the range asked for.
#[derive(Debug)]
pub struct Out<'a> {
    pub(crate) f32: Option<MatMut<'a, f32>>,
    pub(crate) bf16: Option<MatMut<'a, Bf16>>,
    pub(crate) near: bool,
}

impl<'a> Out<'a> {
    /// f32 only.
    pub fn f32(data: &'a mut [f32], stride: usize) -> Self {
        Self { f32: Some(MatMut::new(data, stride)), bf16: None, near: false }
    }
    /// bf16 only.
    pub fn bf16(data: &'a mut [Bf16], stride: usize) -> Self {
        Self { f32: None, bf16: Some(MatMut::new(data, stride)), near: false }
    }
    /// Says that the memory is in the second-level cache. Of other memory lines are asked for before results are there.
    pub fn near(self) -> Self {
        Self { near: true, ..self }
    }
    /// Both, the bf16 a rounded copy.
    pub fn both(f32: MatMut<'a, f32>, bf16: MatMut<'a, Bf16>) -> Self {
        Self { f32: Some(f32), bf16: Some(bf16), near: false }
    }
}

/// The epilogue with everything resolved to pointers; null where absent.
#[derive(Clone, Copy)]
pub(crate) struct Finish {
    pub act: Act,
    pub act_after: Act,
    pub fast: bool,
    pub near: bool,
    pub residual: *const f32,
    pub residual_stride: usize,
    pub f32: *mut f32,
    pub f32_stride: usize,
    pub bf16: *mut Bf16,
    pub bf16_stride: usize,
}

impl Finish {
    /// Checks that `rows` x `n` results fit everywhere, panics otherwise.
    pub(crate) fn new(epilogue: &Epilogue<'_>, out: &mut Out<'_>, rows: usize, n: usize) -> Self {
        let fits = |len: usize, stride: usize, what: &str| {
            let need = if rows == 0 { 0 } else { (rows - 1) * stride + n };
            assert!(stride >= n && len >= need, "{what}: {len} elements at stride {stride} for {rows} x {n}");
        };
        assert!(out.f32.is_some() || out.bf16.is_some());
        let mut f = Finish {
            act: epilogue.act,
            act_after: epilogue.act_after,
            fast: out.f32.is_none(),
            near: out.near,
            residual: std::ptr::null(),
            residual_stride: 0,
            f32: std::ptr::null_mut(),
            f32_stride: 0,
            bf16: std::ptr::null_mut(),
            bf16_stride: 0,
        };
        if let Some(m) = &mut out.f32 {
            fits(m.data.len(), m.stride, "f32 output");
            (f.f32, f.f32_stride) = (m.data.as_mut_ptr(), m.stride);
        }
        if let Some(m) = &mut out.bf16 {
            fits(m.data.len(), m.stride, "bf16 output");
            (f.bf16, f.bf16_stride) = (m.data.as_mut_ptr(), m.stride);
        }
        match epilogue.residual {
            Residual::None => {}
            Residual::InPlace => {
                assert!(!f.f32.is_null(), "a residual in place needs an f32 output");
                (f.residual, f.residual_stride) = (f.f32, f.f32_stride);
            }
            Residual::From(m) => {
                fits(m.data.len(), m.stride, "residual");
                (f.residual, f.residual_stride) = (m.data.as_ptr(), m.stride);
            }
        }
        f
    }

    /// Asks for the lines that `store` will touch, so that they arrive while the sums are computed.
    #[inline(always)]
    pub(crate) fn prefetch<S: Simd>(&self, s: S, row: usize, rows: usize, col: usize) {
        for r in row..row + rows {
            if !self.f32.is_null() {
                let p = self.f32.wrapping_add(r * self.f32_stride + col);
                s.prefetch(p);
                s.prefetch(p.wrapping_add(16));
            }
            if !self.bf16.is_null() {
                s.prefetch(self.bf16.wrapping_add(r * self.bf16_stride + col));
            }
            if !self.residual.is_null() && self.residual != self.f32 {
                let p = self.residual.wrapping_add(r * self.residual_stride + col);
                s.prefetch(p);
                s.prefetch(p.wrapping_add(16));
            }
        }
    }

    /// Applies the epilogue to a tile whose first element is (`row`, `col`) and stores its first `rows` rows and
    /// `cols` columns. The bias is already in the accumulators.
    ///
    /// # Safety
    /// `rows <= MR`; `row + rows` and `col + cols` are at most the `rows` and `n` for which `new` checked the outputs, which
    /// are still borrowed and written by nobody else.
    #[inline(always)]
    pub(crate) unsafe fn store<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        mut acc: Acc<S, MR, NV>,
        row: usize,
        rows: usize,
        col: usize,
        cols: usize,
    ) {
        let whole = cols >= NV * S::LANES;
        apply(s, &mut acc, self.act, self.fast);
        if !self.residual.is_null() {
            for (r, acc) in acc.iter_mut().enumerate() {
                for (v, x) in acc.iter_mut().enumerate() {
                    let n = cols.saturating_sub(v * S::LANES).min(S::LANES);
                    if r >= rows || n == 0 {
                        continue;
                    }
                    // SAFETY: a valid part of the tile.
                    unsafe {
                        let p = self.residual.add((row + r) * self.residual_stride + col + v * S::LANES);
                        *x = s.add(*x, if whole { s.load(p) } else { s.load_n(p, n) });
                    }
                }
            }
        }
        apply(s, &mut acc, self.act_after, self.fast);
        for (r, acc) in acc.iter().enumerate() {
            for (v, &x) in acc.iter().enumerate() {
                let n = cols.saturating_sub(v * S::LANES).min(S::LANES);
                if r >= rows || n == 0 {
                    continue;
                }
                // SAFETY: a valid part of the tile.
                unsafe {
                    if !self.f32.is_null() {
                        let p = self.f32.add((row + r) * self.f32_stride + col + v * S::LANES);
                        if whole { s.store(p, x) } else { s.store_n(p, n, x) }
                    }
                    if !self.bf16.is_null() {
                        let p = self.bf16.add((row + r) * self.bf16_stride + col + v * S::LANES);
                        if whole { s.store_bf16(p, x) } else { s.store_bf16_n(p, n, x) }
                    }
                }
            }
        }
    }
}

/// Written with plain loops: a closure would be compiled without the vector features and its calls not inlined.
#[inline(always)]
fn apply<S: Simd, const MR: usize, const NV: usize>(s: S, acc: &mut Acc<S, MR, NV>, act: Act, fast: bool) {
    match (act, fast) {
        (Act::None, _) => {}
        (Act::Relu, _) => {
            for x in acc.as_flattened_mut() {
                *x = s.max(*x, s.splat(0.0));
            }
        }
        (Act::Gelu, true) => s.gelu_all::<true>(acc.as_flattened_mut()),
        (Act::Gelu, false) => s.gelu_all::<false>(acc.as_flattened_mut()),
    }
}
