//! Runs a graph, picture by picture and prompt by prompt.

use candle_core::{Device, Tensor};
use sam_imaging::RgbImage;

use super::parts::{ImageEncoder, MaskDecoder};
use crate::backend::{Backend, Features, Map, Masks, Query};
use crate::config::Config;
use crate::error::Result;
use crate::precision::Precision;
use crate::threads::Threads;
use crate::weights::Weights;

/// Prompts that a device other than the CPU is given at once.
const BATCH: usize = 64;

/// A network in candle's operations.
pub(crate) struct Graph {
    encoder: Box<dyn ImageEncoder>,
    decoder: Box<dyn MaskDecoder>,
    device: Device,
    /// Side of the square input in pixels.
    side: usize,
    /// Mean and standard deviation of each colour channel.
    colours: [(f32, f32); 3],
}

impl Graph {
    /// Builds the network on the weights' device.
    pub(crate) fn new(config: &Config, weights: &Weights) -> Result<Self> {
        let encoder = &config.image_encoder;
        Ok(Self {
            encoder: encoder.graph(&weights.at("image_encoder"))?,
            decoder: encoder.decoder().graph(&config.mask_decoder, encoder.grid(), weights)?,
            device: weights.device().clone(),
            side: encoder.img_size(),
            colours: std::array::from_fn(|channel| (config.pixel_mean[channel], config.pixel_std[channel])),
        })
    }

    /// The padded, normalised input: (1, 3, side, side).
    fn input(&self, resized: &RgbImage) -> Result<Tensor> {
        let side = self.side;
        let width = resized.width() as usize;
        let mut pixels = vec![0.0; 3 * side * side];
        for (channel, plane) in pixels.chunks_exact_mut(side * side).enumerate() {
            let (mean, std) = self.colours[channel];
            for (row, line) in plane.chunks_exact_mut(side).zip(resized.chunks_exact(3 * width)) {
                for (value, pixel) in row.iter_mut().zip(line.chunks_exact(3)) {
                    *value = (f32::from(pixel[channel]) - mean) / std;
                }
            }
        }
        Ok(Tensor::from_vec(pixels, (1, 3, side, side), &self.device)?)
    }

    fn answer(&self, maps: &[Tensor], query: &Query, least: Option<f32>) -> Result<Masks> {
        let (logits, iou) = self.decoder.forward(maps, query)?;
        let all = iou.flatten_all()?.to_vec1::<f32>()?;
        let mut masks = Masks { logits: Vec::new(), iou: Vec::new() };
        for mask in query.wanted.clone().filter(|mask| least.is_none_or(|least| all[*mask] > least)) {
            masks.logits.extend(logits.get(mask)?.flatten_all()?.to_vec1::<f32>()?);
            masks.iou.push(all[mask]);
        }
        Ok(masks)
    }
}

impl Backend for Graph {
    /// Threads are candle's own.
    fn encode(&self, images: &[RgbImage], _team: Threads) -> Result<Vec<Features>> {
        let encode = |image| {
            let maps = self.encoder.forward(&self.input(image)?)?;
            Ok(Features::new(maps.iter().map(Map::on_device).collect::<Result<_>>()?))
        };
        images.iter().map(encode).collect()
    }

    fn decode(&self, features: &Features, queries: &[Query], least: Option<f32>, _team: Threads) -> Result<Vec<Masks>> {
        let maps = features.maps().iter().map(|map| map.tensor(&self.device)).collect::<Result<Vec<_>>>()?;
        queries.iter().map(|query| self.answer(&maps, query, least)).collect()
    }

    fn prompts_at_once(&self) -> usize {
        if self.device.is_cpu() { 1 } else { BATCH }
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }
}
