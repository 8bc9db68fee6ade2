//! The two types of matrix operands, as the plan's steps see them.

use sam_kernels::{AlignedVec, Bf16, Elem, Isa, Out, round};

/// `f32` or bf16.
pub(crate) trait Element: Elem + Send + Sync + 'static {
    /// An output of this type alone.
    fn out(data: &mut [Self], stride: usize) -> Out<'_>;

    /// The values of the residual stream as operands: themselves, or rounded into `space`.
    fn operand<'a>(isa: Isa, values: &'a [f32], space: &'a mut AlignedVec<Self>) -> &'a [Self];
}

impl Element for f32 {
    fn out(data: &mut [Self], stride: usize) -> Out<'_> {
        Out::f32(data, stride)
    }

    fn operand<'a>(_isa: Isa, values: &'a [f32], _space: &'a mut AlignedVec<Self>) -> &'a [Self] {
        values
    }
}

impl Element for Bf16 {
    fn out(data: &mut [Self], stride: usize) -> Out<'_> {
        Out::bf16(data, stride)
    }

    fn operand<'a>(isa: Isa, values: &'a [f32], space: &'a mut AlignedVec<Self>) -> &'a [Self] {
        let space = &mut space[..values.len()];
        round(isa, values, space);
        space
    }
}
