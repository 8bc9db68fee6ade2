//! Arithmetic on slices for Segment Anything networks.
#![warn(missing_docs)]
// Loops over register tiles index several arrays by row and vector, with constant bounds.
#![allow(clippy::needless_range_loop)]

mod attention;
mod bf16;
mod buffer;
mod depthwise;
mod elem;
mod gemm;
mod isa;
mod masks;
pub mod math;
mod norm;
mod pixels;
mod simd;
mod upsample;

pub use attention::{Bias, Heads, KeyValues, RelativePositions, Windows, attend, attend_windows, window_attention};
pub use bf16::Bf16;
pub use buffer::{AlignedVec, Plain, Scratch, Shared};
pub use depthwise::Depthwise;
pub use elem::Elem;
pub use gemm::{
    Act, Conv3x3, Epilogue, Gather, Mat, MatMut, Out, Packed, Patches, Residual, Rows, Source, gemm, good_stride,
};
pub use isa::{ISA_VARIABLE, Isa, IsaError};
pub use masks::mask_logits;
pub use norm::LayerNorm;
pub use pixels::Normalise;
pub use upsample::Upsample;
