//! The network written plainly in candle operations, `f32`, on any candle device.
//!
//! This is the readable definition of what every faster path must compute, the oracle of their tests, and the path
//! for devices other than the CPU. It follows the PyTorch code of Segment Anything and MobileSAM operation by operation;
//! each family defines its own (`crate::family`).

mod backend;
pub(crate) mod layers;
mod parts;

pub(crate) use backend::Graph;
pub(crate) use parts::{ImageEncoder, MaskDecoder};
