//! Runs a plan: of a batch each picture and each prompt is worked on by one thread, a single one by all.

use sam_imaging::RgbImage;
use sam_kernels::{Isa, Normalise};

use super::parts::{ImageEncoder, Input, MaskDecoder, Operands};
use crate::backend::{Backend, Features, Map, Masks, Query};
use crate::config::Config;
use crate::error::Result;
use crate::precision::Precision;
use crate::threads::Threads;
use crate::weights::Weights;

/// A network ready to run on the CPU.
pub(crate) struct Plan {
    encoder: Box<dyn ImageEncoder>,
    decoder: Box<dyn MaskDecoder>,
    operands: Operands,
    isa: Isa,
    normalise: Normalise,
    /// Of the encoder's maps.
    shapes: Vec<[usize; 3]>,
}

impl Plan {
    /// Prepares the network for the instruction set.
    pub(crate) fn new(config: &Config, weights: &Weights, precision: Precision, isa: Isa) -> Result<Self> {
        let encoder = &config.image_encoder;
        let operands = if precision.is_bf16(isa) { Operands::Bf16 } else { Operands::F32 };
        Ok(Self {
            encoder: encoder.plan(&weights.at("image_encoder"), operands)?,
            decoder: encoder.decoder().plan(&config.mask_decoder, encoder.grid(), weights, isa)?,
            operands,
            isa,
            normalise: Normalise { mean: config.pixel_mean, std: config.pixel_std },
            shapes: encoder.maps(),
        })
    }
}

impl Backend for Plan {
    fn encode(&self, images: &[RgbImage], threads: Threads) -> Result<Vec<Features>> {
        let encode = |picture: &RgbImage, threads| {
            let maps = self.encoder.run(Input { isa: self.isa, normalise: &self.normalise, picture, threads });
            let maps = self.shapes.iter().zip(maps).map(|(shape, values)| Map::on_host(*shape, values));
            Features::new(maps.collect())
        };
        Ok(threads.map(images, encode))
    }

    fn decode(
        &self,
        features: &Features,
        queries: &[Query],
        least: Option<f32>,
        threads: Threads,
    ) -> Result<Vec<Masks>> {
        let maps = features.maps().iter().map(Map::values).collect::<Result<Vec<_>>>()?;
        Ok(threads.map(queries, |query, threads| self.decoder.run(&maps, query, least, threads)))
    }

    /// Each is worked on by one thread, and no thread waits for another.
    fn prompts_at_once(&self) -> usize {
        1
    }

    fn precision(&self) -> Precision {
        match self.operands {
            Operands::F32 => Precision::F32,
            Operands::Bf16 => Precision::Bf16,
        }
    }
}
