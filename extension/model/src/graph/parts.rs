//! What a family gives of a network in candle's operations.

use candle_core::Tensor;

use crate::backend::Query;
use crate::error::Result;

/// An image encoder: (1, 3, side, side), normalised and padded, -> maps of (1, channels, rows, columns), the image
/// embedding first.
pub(crate) trait ImageEncoder: Send + Sync {
    fn forward(&self, input: &Tensor) -> Result<Vec<Tensor>>;
}

/// A prompt encoder and mask decoder: `maps` are those of the image encoder, (rows * columns, channels) each. The result
/// are low-resolution logits (masks, mask size, mask size) and predicted IoUs (masks) of every mask that it can give.
pub(crate) trait MaskDecoder: Send + Sync {
    fn forward(&self, maps: &[Tensor], query: &Query) -> Result<(Tensor, Tensor)>;
}
