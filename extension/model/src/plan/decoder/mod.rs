//! The prompt encoder's and mask decoder's steps on the CPU, in `f32`; `graph::decoder` defines what they compute.
//!
//! The image is 4,096 tokens and a prompt a handful, so the time goes into three projections of the image to keys,
//! values and queries and into the upscaling. Each image row is read as few times as possible: the update of the image
//! by a layer and the next layer's projections are one pass over tiles of rows. The positions' share of a projection is
//! computed at load, and the first layer's projections, which no prompt changes, once for each image.

mod image;
mod prompt;
mod tokens;

use sam_kernels::{Act, Epilogue, Isa, LayerNorm, MatMut, Out, Packed, Rows, Scratch, gemm};

use super::blocks::{TILE_ROWS, layer_norm};
use crate::config::DecoderConfig;
use crate::error::Result;
use crate::team::Team;
use crate::weights::Weights;
use image::{ImageUpdate, Projection, upscale};
use prompt::PromptEncoder;
use tokens::{Layer, Perceptron, TokenSide, add, apply, with};

/// Prompt encoder and mask decoder, ready to run.
pub(crate) struct Decoder {
    isa: Isa,
    grid: usize,
    width: usize,
    heads: usize,
    prompts: PromptEncoder,
    /// (1 + masks, width): the IoU token, then the mask tokens
    output_tokens: Vec<f32>,
    layers: Vec<Layer>,
    final_attention: TokenSide,
    final_norm: LayerNorm,
    /// Projections of the image by each layer, then by the final attention.
    projections: Vec<Projection>,
    upscale1: Packed<f32>,
    upscale_norm: LayerNorm,
    upscale2: Packed<f32>,
    hypernetworks: Vec<Perceptron>,
    iou_head: Perceptron,
}

/// An image embedding with what all its prompts share.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// (tokens, width): the embedding plus the embedding of "no mask prompt"
    image: Vec<f32>,
    /// (tokens, outputs of the first projection)
    projected: Vec<f32>,
}

impl Decoder {
    /// `weights` are those of the whole model; `grid` is the image embedding's side in tokens.
    pub(crate) fn new(config: &DecoderConfig, grid: usize, weights: &Weights, isa: Isa) -> Result<Self> {
        let width = config.transformer_dim;
        let masks = config.num_multimask_outputs + 1;
        let inner = width / config.attention_downsample_rate;
        let prompts = PromptEncoder::new(width, &weights.at("prompt_encoder"))?;
        let positions = prompts.grid_positions(grid);
        let weights = weights.at("mask_decoder");
        let transformer = weights.at("transformer");
        let mut output_tokens = weights.values("iou_token.weight", &[1, width])?;
        output_tokens.extend(weights.values("mask_tokens.weight", &[masks, width])?);

        let mut layers = Vec::new();
        let mut projections = Vec::new();
        for index in 0..config.depth {
            let layer = transformer.at("layers").at(index);
            let (to_image, to_token) = (layer.at("cross_attn_token_to_image"), layer.at("cross_attn_image_to_token"));
            let parts = [to_image.at("k_proj"), to_image.at("v_proj"), to_token.at("q_proj")];
            projections.push(Projection::new(&parts, width, inner, &positions, isa)?);
            layers.push(Layer::new(config, &layer)?);
        }
        let last = transformer.at("final_attn_token_to_image");
        let parts = [last.at("k_proj"), last.at("v_proj")];
        projections.push(Projection::new(&parts, width, inner, &positions, isa)?);
        let upscaling = weights.at("output_upscaling");
        Ok(Self {
            isa,
            grid,
            width,
            heads: config.num_heads,
            prompts,
            output_tokens,
            layers,
            final_attention: TokenSide::new(&last, width, inner)?,
            final_norm: layer_norm(&transformer.at("norm_final_attn"), width, 1e-5)?,
            projections,
            upscale1: upscale(&upscaling.at("0"), width, width / 4)?,
            upscale_norm: layer_norm(&upscaling.at("1"), width / 4, 1e-6)?,
            upscale2: upscale(&upscaling.at("3"), width / 4, width / 8)?,
            hypernetworks: (0..masks)
                .map(|index| {
                    let sizes = [width, width, width, width / 8];
                    Perceptron::new(&weights.at("output_hypernetworks_mlps").at(index), &sizes)
                })
                .collect::<Result<_>>()?,
            iou_head: {
                let mut sizes = vec![config.iou_head_hidden_dim; config.iou_head_depth + 1];
                sizes[0] = width;
                sizes[config.iou_head_depth] = masks;
                Perceptron::new(&weights.at("iou_prediction_head"), &sizes)?
            },
        })
    }

    /// What all prompts on the image embedding (tokens, width) share.
    pub(crate) fn prepare(&self, embedding: &[f32], team: Team) -> Prepared {
        let mut image = embedding.to_vec();
        for row in image.chunks_exact_mut(self.width) {
            for (value, no_mask) in row.iter_mut().zip(&self.prompts.no_mask) {
                *value += no_mask;
            }
        }
        let projection = &self.projections[0];
        let mut projected = vec![0.0; image.len() / self.width * projection.outputs()];
        team.rows(&mut projected, projection.outputs(), TILE_ROWS, |rows, out| {
            projection.run(self.isa, &image[rows.start * self.width..rows.end * self.width], rows.start, out);
        });
        Prepared { image, projected }
    }

    /// Mask logits (wanted, 4 grid, 4 grid) of the mask tokens `wanted` and their predicted IoUs; see `Graph::decode`.
    pub(crate) fn run(
        &self,
        prepared: &Prepared,
        coords: &[[f32; 2]],
        labels: &[i8],
        wanted: std::ops::Range<usize>,
        team: Team,
    ) -> (Vec<f32>, Vec<f32>) {
        let (isa, width, heads) = (self.isa, self.width, self.heads);
        let mut positions = self.output_tokens.clone();
        positions.extend(self.prompts.encode(coords, labels));
        let mut tokens = positions.clone();
        let count = tokens.len() / width;
        let mut image = Vec::new();
        let mut projected = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let (source, keys) = if index == 0 { (&prepared.image, &prepared.projected) } else { (&image, &projected) };
            layer.update_tokens(isa, heads, &mut tokens, &positions, index == 0);
            let inner = self.projections[index].inner;
            let outputs = self.projections[index].outputs();
            let attended =
                layer.token_to_image.attend(isa, heads, &with(&tokens, &positions), keys, outputs, inner, team);
            add(&mut tokens, &attended);
            layer.norm2.apply_in_place(isa, MatMut::new(&mut tokens, width), count, Act::None);
            let hidden = apply(isa, &layer.lin1, &tokens, &Epilogue::RELU);
            add(&mut tokens, &apply(isa, &layer.lin2, &hidden, &Epilogue::BIAS));
            layer.norm3.apply_in_place(isa, MatMut::new(&mut tokens, width), count, Act::None);

            let next = &self.projections[index + 1];
            let update = ImageUpdate::new(isa, layer, heads, inner, &tokens, &positions);
            let (mut updated, mut next_projected) =
                (vec![0.0; source.len()], vec![0.0; source.len() / width * next.outputs()]);
            team.both_rows(
                &mut updated,
                width,
                &mut next_projected,
                next.outputs(),
                TILE_ROWS,
                |rows, image, projected| {
                    let scratch = &mut Scratch::new();
                    let mut mixed = vec![0.0; TILE_ROWS * inner];
                    let chunks =
                        image.chunks_mut(TILE_ROWS * width).zip(projected.chunks_mut(TILE_ROWS * next.outputs()));
                    for (start, (image, projected)) in rows.step_by(TILE_ROWS).zip(chunks) {
                        update.run(source, keys, outputs, start, &mut mixed, image, scratch);
                        next.run(isa, image, start, projected);
                    }
                },
            );
            (image, projected) = (updated, next_projected);
        }
        let last = &self.projections[self.layers.len()];
        let queries = with(&tokens, &positions);
        let attended = self.final_attention.attend(isa, heads, &queries, &projected, last.outputs(), last.inner, team);
        add(&mut tokens, &attended);
        self.final_norm.apply_in_place(isa, MatMut::new(&mut tokens, width), count, Act::None);

        let token = |index: usize| &tokens[index * width..(index + 1) * width];
        let filters: Vec<f32> =
            wanted.clone().flat_map(|mask| self.hypernetworks[mask].run(isa, token(1 + mask))).collect();
        let iou = self.iou_head.run(isa, token(0))[wanted].to_vec();
        (self.masks(&image, &filters, team), iou)
    }

    /// Upscales the image (tokens, width) twice by two and takes the product of each pixel with each filter
    /// (masks, width / 8): (masks, 4 grid, 4 grid).
    fn masks(&self, image: &[f32], filters: &[f32], team: Team) -> Vec<f32> {
        let (isa, width, grid) = (self.isa, self.width, self.grid);
        let (quarter, eighth) = (width / 4, width / 8);
        let masks = filters.len() / eighth;
        let filters = Packed::<f32>::linear(filters, masks, eighth, None);
        let side = 4 * grid;
        // Row by row of the grid; each gives four rows of every mask.
        let mut rows_first = vec![0.0; side * masks * side];
        team.rows(&mut rows_first, 4 * masks * side, 1, |rows, out| {
            let mut once = vec![0.0; grid * width];
            let mut twice = vec![0.0; 4 * grid * 4 * eighth];
            let mut logits = vec![0.0; 16 * grid * masks];
            for (y, out) in rows.zip(out.chunks_exact_mut(4 * masks * side)) {
                let line = Rows::dense(&image[y * grid * width..(y + 1) * grid * width], width);
                gemm(isa, &line, 0..grid, &self.upscale1, &Epilogue::BIAS, Out::f32(&mut once, width));
                self.upscale_norm.apply_in_place(isa, MatMut::new(&mut once, quarter), 4 * grid, Act::Gelu);
                let line = Rows::dense(&once, quarter);
                gemm(isa, &line, 0..4 * grid, &self.upscale2, &Epilogue::GELU, Out::f32(&mut twice, 4 * eighth));
                let line = Rows::dense(&twice, eighth);
                gemm(isa, &line, 0..16 * grid, &filters, &Epilogue::BIAS, Out::f32(&mut logits, masks));
                // Each token of the grid is 2 x 2 tokens of 2 x 2 pixels.
                for (pixel, values) in logits.chunks_exact(masks).enumerate() {
                    let (x, part) = (pixel / 16, pixel % 16);
                    let (row, column) = (part / 8 * 2 + part % 4 / 2, part / 4 % 2 * 2 + part % 2);
                    for (mask, value) in values.iter().enumerate() {
                        out[(row * masks + mask) * side + 4 * x + column] = *value;
                    }
                }
            }
        });
        let mut planes = vec![0.0; masks * side * side];
        for (y, row) in rows_first.chunks_exact(masks * side).enumerate() {
            for (mask, row) in row.chunks_exact(side).enumerate() {
                planes[(mask * side + y) * side..][..side].copy_from_slice(row);
            }
        }
        planes
    }
}
