//! From the image's rows and a filter for each mask to low-resolution logits.

use sam_kernels::{Act, Epilogue, Isa, LayerNorm, MatMut, Out, Packed, Rows, filled, gemm, mask_logits};

use crate::error::Result;
use crate::plan::blocks::layer_norm;
use crate::pool::Pool;
use crate::threads::Threads;
use crate::weights::Weights;

/// Two transposed convolutions, kernel 2 and stride 2, with a layer norm between them and GELU behind each.
pub(super) struct Upscaling {
    first: Packed<f32>,
    norm: LayerNorm,
    second: Packed<f32>,
    lines: Pool<Line>,
}

/// A line of the image on its way.
#[derive(Default)]
struct Line {
    once: Vec<f32>,
    twice: Vec<f32>,
    logits: Vec<f32>,
}

impl Upscaling {
    pub(super) fn new(weights: &Weights, width: usize) -> Result<Self> {
        Ok(Self {
            first: transposed_convolution(&weights.at("0"), width, width / 4)?,
            norm: layer_norm(&weights.at("1"), width / 4, 1e-6)?,
            second: transposed_convolution(&weights.at("3"), width / 4, width / 8)?,
            lines: Pool::default(),
        })
    }

    /// Upscales the image (grid * grid, width) twice by two and takes the product of each pixel with each filter
    /// (masks, width / 8): (masks, 4 grid, 4 grid).
    pub(super) fn run(&self, isa: Isa, image: &[f32], grid: usize, filters: &[f32], threads: Threads) -> Vec<f32> {
        let (width, quarter, eighth) = (self.first.k(), self.second.k(), self.second.n() / 4);
        let masks = filters.len() / eighth;
        let side = 4 * grid;
        // Row by row of the grid; each gives four rows of every mask.
        let mut rows_first = filled(0.0, side * masks * side);
        threads.rows(&mut rows_first, 4 * masks * side, 1, |rows, out| {
            self.lines.with(Line::default, |Line { once, twice, logits }| {
                once.resize(grid * width, 0.0);
                twice.resize(4 * grid * 4 * eighth, 0.0);
                logits.resize(16 * grid * masks, 0.0);
                for (y, out) in rows.zip(out.chunks_exact_mut(4 * masks * side)) {
                    let line = Rows::dense(&image[y * grid * width..(y + 1) * grid * width], width);
                    gemm(isa, &line, 0..grid, &self.first, &Epilogue::BIAS, Out::f32(once, width));
                    self.norm.apply_in_place(isa, MatMut::new(once, quarter), 4 * grid, Act::Gelu);
                    let line = Rows::dense(once, quarter);
                    gemm(isa, &line, 0..4 * grid, &self.second, &Epilogue::GELU, Out::f32(twice, 4 * eighth));
                    mask_logits(isa, twice, eighth, filters, 16 * grid, logits);
                    for (mask, logits) in logits.chunks_exact(16 * grid).enumerate() {
                        // Each token of the grid is 2 x 2 tokens of 2 x 2 pixels.
                        for (pixel, value) in logits.iter().enumerate() {
                            let (x, part) = (pixel / 16, pixel % 16);
                            let (row, column) = (part / 8 * 2 + part % 4 / 2, part / 4 % 2 * 2 + part % 2);
                            out[(row * masks + mask) * side + 4 * x + column] = *value;
                        }
                    }
                }
            });
        });
        let mut planes = filled(0.0, masks * side * side);
        for (y, row) in rows_first.chunks_exact(masks * side).enumerate() {
            for (mask, row) in row.chunks_exact(side).enumerate() {
                planes[(mask * side + y) * side..][..side].copy_from_slice(row);
            }
        }
        planes
    }
}

/// A transposed convolution, kernel 2 and stride 2, as a linear layer whose outputs are (row, column, channel).
fn transposed_convolution(weights: &Weights, inputs: usize, outputs: usize) -> Result<Packed<f32>> {
    let weight = weights.values("weight", &[inputs, outputs, 2, 2])?;
    let bias = weights.values("bias", &[outputs])?;
    let mut rows = vec![0.0; 4 * outputs * inputs];
    for input in 0..inputs {
        for output in 0..outputs {
            for cell in 0..4 {
                rows[(cell * outputs + output) * inputs + input] = weight[(input * outputs + output) * 4 + cell];
            }
        }
    }
    Ok(Packed::linear(&rows, 4 * outputs, inputs, Some(&bias.repeat(4))))
}
