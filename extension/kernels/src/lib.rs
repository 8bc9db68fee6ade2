//! Arithmetic on slices for Segment Anything networks.
#![warn(missing_docs)]

mod bf16;
mod buffer;
mod elem;
mod gemm;
mod isa;
pub mod math;
mod simd;

pub use bf16::Bf16;
pub use buffer::{AlignedVec, Plain, Scratch, Shared};
pub use elem::Elem;
pub use gemm::{
    Act, Conv3x3, Epilogue, Gather, Mat, MatMut, Out, Packed, Patches, Residual, Rows, Source, gemm,
};
pub use isa::{ISA_VARIABLE, Isa, IsaError};
