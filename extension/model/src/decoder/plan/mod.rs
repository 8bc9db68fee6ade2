//! The prompt encoder's and mask decoder's steps on the CPU, in `f32`; `graph.rs` defines what they compute.
//!
//! The image is 4,096 tokens and a prompt a handful. Each attention between them is one pass over the image, with the
//! update of the image by the layer before in the same pass (`image.rs`); what remains is the upscaling (`masks.rs`).

mod image;
mod masks;
mod prompt;
mod tokens;

use sam_kernels::{Act, Isa, LayerNorm, MatMut, add};

use crate::backend::{Masks, Query};
use crate::decoder::config::DecoderConfig;
use crate::error::Result;
use crate::plan::MaskDecoder;
use crate::plan::blocks::layer_norm;
use crate::pool::Pool;
use crate::threads::Threads;
use crate::weights::Weights;
use image::{Image, Passes, Segment};
use masks::Upscaling;
use prompt::PromptEncoder;
use tokens::{Layer, Perceptron, TokenToImage, with};

/// Prompt encoder and mask decoder, ready to run.
pub(super) struct Decoder {
    isa: Isa,
    grid: usize,
    width: usize,
    heads: usize,
    prompts: PromptEncoder,
    /// (grid * grid, width)
    positions: Vec<f32>,
    /// The embedding of "no mask prompt", for as many rows as one line of the image has.
    no_mask: Vec<f32>,
    /// (1 + masks, width): the IoU token, then the mask tokens
    output_tokens: Vec<f32>,
    layers: Vec<Layer>,
    final_attention: TokenToImage,
    final_norm: LayerNorm,
    upscaling: Upscaling,
    hypernetworks: Vec<Perceptron>,
    iou_head: Perceptron,
    images: Pool<Image>,
    segments: Pool<Segment>,
}

impl Decoder {
    /// `weights` are those of the whole model; `grid` is the image embedding's side in tokens.
    pub(super) fn new(config: &DecoderConfig, grid: usize, weights: &Weights, isa: Isa) -> Result<Self> {
        let width = config.transformer_dim;
        let masks = config.masks();
        let inner = width / config.attention_downsample_rate;
        let heads = config.num_heads;
        let prompts = PromptEncoder::new(width, &weights.at("prompt_encoder"))?;
        let weights = weights.at("mask_decoder");
        let transformer = weights.at("transformer");
        let mut output_tokens = weights.values("iou_token.weight", &[1, width])?;
        output_tokens.extend(weights.values("mask_tokens.weight", &[masks, width])?);
        Ok(Self {
            isa,
            grid,
            width,
            heads,
            positions: prompts.grid_positions(grid),
            no_mask: prompts.no_mask.repeat(grid),
            prompts,
            output_tokens,
            layers: (0..config.depth)
                .map(|index| Layer::new(config, &transformer.at("layers").at(index)))
                .collect::<Result<_>>()?,
            final_attention: TokenToImage::new(&transformer.at("final_attn_token_to_image"), width, inner, heads)?,
            final_norm: layer_norm(&transformer.at("norm_final_attn"), width, 1e-5)?,
            upscaling: Upscaling::new(&weights.at("output_upscaling"), width)?,
            hypernetworks: (0..masks)
                .map(|index| {
                    Perceptron::new(&weights.at("output_hypernetworks_mlps").at(index), &config.hypernetwork())
                })
                .collect::<Result<_>>()?,
            iou_head: Perceptron::new(&weights.at("iou_prediction_head"), &config.iou_head())?,
            images: Pool::default(),
            segments: Pool::default(),
        })
    }

    /// The two-way transformer: what becomes of the output and prompt tokens (count, width) and, in `image`, of the
    /// embedding.
    fn transform(&self, embedding: &[f32], query: &Query, image: &mut Image, threads: Threads) -> Vec<f32> {
        let (isa, width) = (self.isa, self.width);
        let mut positions = self.output_tokens.clone();
        positions.extend(self.prompts.encode(&query.coords, &query.labels));
        let mut tokens = positions.clone();
        let passes = Passes {
            isa,
            heads: self.heads,
            width,
            grid: self.grid,
            positions: &self.positions,
            segments: &self.segments,
            threads,
        };
        // The first pass fetches the embedding, the others change it by the layer that is done.
        let fetch = |start: usize, rows: &mut [f32]| {
            let line = self.no_mask.len();
            for (rows, from) in rows.chunks_mut(line).zip(embedding[start..].chunks(line)) {
                add(isa, &from[..rows.len()], &self.no_mask[..rows.len()], rows);
            }
        };
        let mut update = None;
        for (index, layer) in self.layers.iter().enumerate() {
            layer.attend_to_themselves(isa, &mut tokens, &positions, index == 0);
            let queries = layer.token_to_image.queries(isa, &with(&tokens, &positions));
            let means = match &update {
                None => passes.run(image, fetch, None, &queries),
                update => passes.run(image, |_, _| {}, update.as_ref(), &queries),
            };
            layer.take_up(isa, &mut tokens, &means);
            update = Some(layer.image_to_token.update(isa, &tokens, &positions));
        }
        let queries = self.final_attention.queries(isa, &with(&tokens, &positions));
        let means = passes.run(image, |_, _| {}, update.as_ref(), &queries);
        tokens::add(&mut tokens, &self.final_attention.attended(isa, &means));
        let count = tokens.len() / width;
        self.final_norm.apply_in_place(isa, MatMut::new(&mut tokens, width), count, Act::None);
        tokens
    }
}

impl MaskDecoder for Decoder {
    /// Of `maps` the image embedding alone is used.
    fn run(&self, maps: &[&[f32]], query: &Query, least: Option<f32>, threads: Threads) -> Masks {
        let embedding = maps[0];
        let make = || Image::new(embedding.len());
        self.images.with(make, |image| {
            let tokens = self.transform(embedding, query, image, threads);
            let token = |index: usize| &tokens[index * self.width..(index + 1) * self.width];
            let iou = self.iou_head.run(self.isa, token(0));
            let is_above = |mask: &usize| least.is_none_or(|least| iou[*mask] > least);
            let chosen: Vec<usize> = query.wanted.clone().filter(is_above).collect();
            if chosen.is_empty() {
                return Masks { logits: Vec::new(), iou: Vec::new() };
            }
            let filter = |mask: &usize| self.hypernetworks[*mask].run(self.isa, token(1 + mask));
            let filters: Vec<f32> = chosen.iter().flat_map(filter).collect();
            let logits = self.upscaling.run(self.isa, &image.values, self.grid, &filters, threads);
            Masks { logits, iou: chosen.iter().map(|mask| iou[*mask]).collect() }
        })
    }
}
