//! Arithmetic on slices for Segment Anything networks.
//!
//! - **Layout**: images and token grids are NHWC, row-major; a row is the channels of a pixel or token. The residual
//!   stream is f32, operands of matrix products are f32 or [`Bf16`] ([`Elem`], [`Scalar`]), sums are f32.
//! - **Division of work**: no threads here. Kernels take a range of rows, windows or queries and write only theirs; the
//!   order of every sum is fixed by the shapes alone, so any division gives the same bits.
//! - **Instruction sets**: [`Isa`] picks one form at run time (`SAM_ISA` forces one). Each kernel is written once, over
//!   a small trait of vector operations, and compiled for AVX-512 and NEON, each with and without native bf16, for AMX,
//!   for AVX2 and in plain Rust. Forms agree up to the order of sums.
//! - **Weights** ([`Packed`], [`Depthwise`], [`LayerNorm`], [`Bias`], [`RelativePositions`]) own their storage, packed at
//!   load, the same for every form. Working memory comes from a [`Scratch`] per worker.
//! - A transposed 2x2 convolution of stride 2 is two products per image row (one per output row), each with
//!   `2 * channels` outputs: output row `2 y + dy` is then one dense matrix.
#![deny(missing_docs, clippy::missing_safety_doc)]
// Loops over register tiles index several arrays by row and vector, with constant bounds.
#![allow(clippy::needless_range_loop)]

mod attention;
mod bf16;
mod buffer;
mod depthwise;
mod elem;
mod functions;
mod gemm;
mod guided;
mod isa;
mod masks;
mod memory;
mod norm;
mod pixels;
mod rate;
mod scalar;
mod simd;
mod upsample;

pub use attention::{
    Bias, Heads, KeyValues, RelativePositions, WindowPiece, Windows, add, attend, softmax_rows, softmax_tokens,
    weighted_sums,
};
pub use bf16::Bf16;
pub use buffer::{AlignedVec, Plain, Scratch};
pub use depthwise::Depthwise;
pub use elem::Elem;
pub use functions::{round, sigmoid};
pub use gemm::{Act, Conv3x3, Epilogue, Mat, MatMut, Out, Packed, Patches, Residual, Rows, Source, gemm, good_stride};
pub use guided::GuidedFilter;
pub use isa::{ISA_VARIABLE, Isa, IsaError};
pub use masks::mask_logits;
pub use memory::{NoMemory, filled};
pub use norm::LayerNorm;
pub use pixels::Normalise;
pub use rate::bf16_rate;
pub use scalar::Scalar;
pub use upsample::Upsample;
