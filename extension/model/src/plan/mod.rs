//! The CPU path: the network prepared once for the processor at hand, then run step by step over memory that is reused.
//!
//! At load batch norms are folded and weights packed in the order in which the kernels read them. At run activations
//! are rows of channels (NHWC); the residual stream is `f32`, the operands of matrix products are `E` (`f32` or
//! bf16), sums are `f32`. Everything is computed in ranges of rows whose results do not depend on how the rows are cut,
//! so that any number of threads gives the same bits. Each family has its own steps (`crate::family`); its graph says what
//! they compute.

mod backend;
pub(crate) mod blocks;
pub(crate) mod element;
mod parts;
pub(crate) mod workspace;

pub(crate) use backend::Plan;
pub(crate) use parts::{ImageEncoder, Input, MaskDecoder, Operands, Pooled, Steps};
