//! The CPU path: the network prepared once for the processor at hand, then run step by step over kept memory.
//!
//! At load batch norms are folded and weights packed in the order in which the kernels read them. At run activations
//! are rows of channels (NHWC); the residual stream is `f32`, the operands of matrix products are `E` (`f32` or
//! bf16), sums are `f32`. Everything is computed in ranges of rows whose results do not depend on how the rows are cut,
//! so that any number of threads gives the same bits. `graph` says what is computed.

mod arena;
mod blocks;
mod decoder;
mod element;
mod tiny_vit;
mod vit;

use sam_imaging::RgbImage;
use sam_kernels::{Bf16, Isa, Normalise};

use crate::config::{Config, EncoderConfig};
use crate::error::Result;
use crate::kept::Kept;
use crate::precision::Precision;
use crate::team::Team;
use crate::weights::Weights;
use arena::Arena;
pub(crate) use decoder::Decoder;
use element::Element;
use tiny_vit::TinyVit;
use vit::Vit;

/// A network ready to run on the CPU.
pub(crate) struct Plan {
    encoder: Encoder,
    pub(crate) decoder: Decoder,
}

enum Encoder {
    F32(EncoderPlan<f32>),
    Bf16(EncoderPlan<Bf16>),
}

/// An encoder with its operands in one type, and the memory of the pictures it is working on.
struct EncoderPlan<E> {
    isa: Isa,
    normalise: Normalise,
    network: Network<E>,
    /// Working memory that no picture is using: as many as there were pictures at the same time.
    arenas: Kept<Arena<E>>,
}

enum Network<E> {
    TinyVit(TinyVit<E>),
    Vit(Vit<E>),
}

impl Plan {
    /// Prepares the network for the processor, or for the instruction set that `SAM_ISA` names.
    pub(crate) fn new(config: &Config, weights: &Weights, precision: Precision, isa: Isa) -> Result<Self> {
        let encoder = if precision.is_bf16(isa) {
            Encoder::Bf16(EncoderPlan::new(config, weights, isa)?)
        } else {
            Encoder::F32(EncoderPlan::new(config, weights, isa)?)
        };
        let decoder = Decoder::new(&config.mask_decoder, config.image_encoder.grid(), weights, isa)?;
        Ok(Self { encoder, decoder })
    }

    /// Image embedding (grid * grid, channels) of a picture that is already resized to the model's input.
    pub(crate) fn encode(&self, resized: &RgbImage, team: Team) -> Vec<f32> {
        match &self.encoder {
            Encoder::F32(encoder) => encoder.run(resized, team),
            Encoder::Bf16(encoder) => encoder.run(resized, team),
        }
    }

    /// What the matrix products of the encoder are computed in.
    pub(crate) fn precision(&self) -> Precision {
        match &self.encoder {
            Encoder::F32(_) => Precision::F32,
            Encoder::Bf16(_) => Precision::Bf16,
        }
    }
}

impl<E: Element> EncoderPlan<E> {
    fn new(config: &Config, weights: &Weights, isa: Isa) -> Result<Self> {
        let encoder_weights = weights.at("image_encoder");
        let network = match &config.image_encoder {
            EncoderConfig::TinyVit(config) => Network::TinyVit(TinyVit::new(config, &encoder_weights)?),
            EncoderConfig::Vit(config) => Network::Vit(Vit::new(config, &encoder_weights)?),
        };
        let normalise = Normalise { mean: config.pixel_mean, std: config.pixel_std };
        Ok(Self { isa, normalise, network, arenas: Kept::default() })
    }

    fn run(&self, resized: &RgbImage, team: Team) -> Vec<f32> {
        let make = || match &self.network {
            Network::TinyVit(network) => network.arena(),
            Network::Vit(network) => network.arena(),
        };
        self.arenas.with(make, |arena| match &self.network {
            Network::TinyVit(network) => network.run(self.isa, &self.normalise, resized, arena, team),
            Network::Vit(network) => network.run(self.isa, &self.normalise, resized, arena, team),
        })
    }
}
