//! What a prompt encoder and mask decoder are to the rest of the crate.

use sam_kernels::Isa;

use super::config::DecoderConfig;
use crate::backend::Query;
use crate::error::Result;
use crate::frame::Frame;
use crate::graph;
use crate::plan;
use crate::prompt::Prompt;
use crate::weights::Weights;

/// A kind of prompt encoder and mask decoder. Weights are those of the whole model; `grid` is the image embedding's side
/// in tokens.
pub(crate) trait Decoder: Sync {
    /// The prompt as tokens, and the masks that answer it.
    fn query(&self, config: &DecoderConfig, prompt: &Prompt, frame: &Frame) -> Query;

    /// The decoder in candle's operations.
    fn graph(&self, config: &DecoderConfig, grid: usize, weights: &Weights) -> Result<Box<dyn graph::MaskDecoder>>;

    /// The decoder's steps on the CPU.
    fn plan(
        &self,
        config: &DecoderConfig,
        grid: usize,
        weights: &Weights,
        isa: Isa,
    ) -> Result<Box<dyn plan::MaskDecoder>>;
}
