//! The prompt encoder: coordinates and labels become tokens.

use std::f64::consts::TAU;

use super::tokens::add;
use crate::error::Result;
use crate::weights::{Weights, take_mask_downscaling};

/// The prompt encoder, ready to run.
pub(super) struct PromptEncoder {
    /// (2, width / 2)
    frequencies: Vec<f32>,
    /// (5, width): not a point, background, foreground, first and second corner of a box
    labels: Vec<f32>,
    /// (width)
    pub(super) no_mask: Vec<f32>,
}

impl PromptEncoder {
    pub(super) fn new(width: usize, weights: &Weights) -> Result<Self> {
        let mut labels = weights.values("not_a_point_embed.weight", &[1, width])?;
        for index in 0..4 {
            labels.extend(weights.at("point_embeddings").at(index).values("weight", &[1, width])?);
        }
        take_mask_downscaling(&weights.at("mask_downscaling"), width)?;
        Ok(Self {
            frequencies: weights.values("pe_layer.positional_encoding_gaussian_matrix", &[2, width / 2])?,
            labels,
            no_mask: weights.values("no_mask_embed.weight", &[1, width])?,
        })
    }

    /// Random Fourier features of a position in 0..1 (width).
    pub(super) fn features(&self, [x, y]: [f32; 2]) -> Vec<f32> {
        let half = self.frequencies.len() / 2;
        let (x, y) = (2.0 * x - 1.0, 2.0 * y - 1.0);
        let phase = |index: usize| (x * self.frequencies[index] + y * self.frequencies[half + index]) * TAU as f32;
        (0..half).map(|index| phase(index).sin()).chain((0..half).map(|index| phase(index).cos())).collect()
    }

    /// Features of the cell centres of a square grid, row by row (side * side, width).
    pub(super) fn grid_positions(&self, side: usize) -> Vec<f32> {
        let centre = |index: usize| (index as f32 + 0.5) / side as f32;
        (0..side * side).flat_map(|cell| self.features([centre(cell % side), centre(cell / side)])).collect()
    }

    /// Prompt tokens (count, width); a padding point (label -1) has no position.
    pub(super) fn encode(&self, coords: &[[f32; 2]], labels: &[i8]) -> Vec<f32> {
        let width = self.no_mask.len();
        let token = |(position, label): (&[f32; 2], &i8)| {
            let mut token = self.labels[(label + 1) as usize * width..][..width].to_vec();
            if *label >= 0 {
                add(&mut token, &self.features(*position));
            }
            token
        };
        coords.iter().zip(labels).flat_map(token).collect()
    }
}
