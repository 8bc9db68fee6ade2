//! The network written plainly in candle operations, `f32`, on any candle device.
//!
//! This is the readable definition of what every faster path must compute, the oracle of their tests, and the path
//! for devices other than the CPU. It follows the PyTorch code of Segment Anything and MobileSAM operation by operation.

mod decoder;
mod layers;
mod tiny_vit;
mod vit;

use candle_core::{Device, Tensor};

use crate::config::{Config, EncoderConfig};
use crate::error::Result;
use crate::weights::Weights;
use decoder::Decoder;
use tiny_vit::TinyVit;
use vit::Vit;

/// A Segment Anything network.
pub(crate) struct Graph {
    encoder: Encoder,
    decoder: Decoder,
    device: Device,
}

enum Encoder {
    TinyVit(TinyVit),
    Vit(Vit),
}

impl Graph {
    /// Builds the network from its sizes and weights.
    pub(crate) fn new(config: &Config, weights: &Weights) -> Result<Self> {
        let encoder_weights = weights.at("image_encoder");
        let encoder = match &config.image_encoder {
            EncoderConfig::TinyVit(config) => Encoder::TinyVit(TinyVit::new(config, &encoder_weights)?),
            EncoderConfig::Vit(config) => Encoder::Vit(Vit::new(config, &encoder_weights)?),
        };
        let grid = config.image_encoder.grid();
        let decoder = Decoder::new(&config.mask_decoder, grid, weights)?;
        Ok(Self { encoder, decoder, device: weights.device().clone() })
    }

    /// Image embedding of a normalised, padded picture.
    ///
    /// `pixels` is (3, side, side), channel first; the result is (grid * grid, channels), one row per token.
    pub(crate) fn encode(&self, pixels: &[f32], side: usize) -> Result<Vec<f32>> {
        let input = Tensor::from_slice(pixels, (1, 3, side, side), &self.device)?;
        let embedding = match &self.encoder {
            Encoder::TinyVit(encoder) => encoder.forward(&input)?,
            Encoder::Vit(encoder) => encoder.forward(&input)?,
        };
        Ok(embedding.flatten_from(2)?.squeeze(0)?.t()?.contiguous()?.flatten_all()?.to_vec1()?)
    }

    /// Low-resolution mask logits and predicted IoUs of every mask token: the single mask first, then the multimask
    /// outputs.
    ///
    /// `embedding` is (grid * grid, channels); `coords` are (x, y) in 0..1 of the padded input with their `labels`
    /// (-1 = padding, 0 = background, 1 = foreground, 2 and 3 = box corners). The logits are (tokens, 4 grid, 4 grid).
    pub(crate) fn decode(&self, embedding: &[f32], coords: &[[f32; 2]], labels: &[i8]) -> Result<(Vec<f32>, Vec<f32>)> {
        let (masks, iou) = self.decoder.forward(embedding, coords, labels)?;
        Ok((masks.flatten_all()?.to_vec1()?, iou.flatten_all()?.to_vec1()?))
    }
}
