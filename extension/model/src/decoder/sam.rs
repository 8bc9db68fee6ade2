//! SAM's prompt encoder and mask decoder (Kirillov et al. 2023).

use sam_kernels::Isa;

use super::config::DecoderConfig;
use super::definition::Decoder;
use super::{graph, plan};
use crate::backend::Query;
use crate::error::Result;
use crate::frame::Frame;
use crate::graph::MaskDecoder as GraphDecoder;
use crate::plan::MaskDecoder as PlanDecoder;
use crate::prompt::Prompt;
use crate::weights::Weights;

/// SAM's prompt encoder and mask decoder.
pub(crate) struct Sam;

impl Decoder for Sam {
    /// Coordinates in 0..1 of the padded input, with their labels. Pixel centres lie at + 0.5; a padding point follows the
    /// points where there is no box. The first output is the single mask, the others are the candidates for ambiguous
    /// prompts.
    fn query(&self, config: &DecoderConfig, prompt: &Prompt, frame: &Frame) -> Query {
        let (width, height) = frame.input;
        let place = |fraction: f32, pixels: usize| {
            ((f64::from(fraction) * pixels as f64) as f32 + 0.5) / frame.image_size as f32
        };
        let mut coords: Vec<_> = prompt.points().iter().map(|&[x, y]| [place(x, width), place(y, height)]).collect();
        let mut labels: Vec<i8> = prompt.labels().iter().map(|&label| label as i8).collect();
        match prompt.bbox() {
            Some([x0, y0, x1, y1]) => {
                coords.extend([[place(x0, width), place(y0, height)], [place(x1, width), place(y1, height)]]);
                labels.extend([2, 3]);
            }
            None => {
                coords.push([0.0, 0.0]);
                labels.push(-1);
            }
        }
        let wanted = if prompt.is_ambiguous() { 1..config.num_multimask_outputs + 1 } else { 0..1 };
        Query { coords, labels, wanted }
    }

    fn graph(&self, config: &DecoderConfig, grid: usize, weights: &Weights) -> Result<Box<dyn GraphDecoder>> {
        Ok(Box::new(graph::Decoder::new(config, grid, weights)?))
    }

    fn plan(&self, config: &DecoderConfig, grid: usize, weights: &Weights, isa: Isa) -> Result<Box<dyn PlanDecoder>> {
        Ok(Box::new(plan::Decoder::new(config, grid, weights, isa)?))
    }
}
