//! Prompt encoder and mask decoder: prompts become tokens, a two-way transformer lets tokens and image attend to each
//! other, and each mask token is compared with the upscaled image by a small perceptron (Kirillov et al. 2023).

use std::f64::consts::TAU;

use candle_core::{Device, Tensor};

use super::config::DecoderConfig;
use crate::backend::Query;
use crate::error::Result;
use crate::graph::MaskDecoder;
use crate::graph::layers::{LayerNorm, Linear, gelu, softmax};
use crate::weights::{Weights, take_mask_downscaling};

/// Prompt encoder and mask decoder.
pub(super) struct Decoder {
    prompts: PromptEncoder,
    /// (tokens, width): one row for each cell of the image grid
    image_positions: Tensor,
    /// (1 + masks, width): the IoU token, then the mask tokens
    output_tokens: Tensor,
    layers: Vec<TwoWayLayer>,
    final_attention: Attention,
    final_norm: LayerNorm,
    upscale1: Upscale,
    upscale_norm: LayerNorm,
    upscale2: Upscale,
    hypernetworks: Vec<Perceptron>,
    iou_head: Perceptron,
    grid: usize,
}

struct PromptEncoder {
    /// (2, width / 2): frequencies of the random Fourier features
    frequencies: Tensor,
    /// (5, width): not a point, background, foreground, first and second corner of a box
    labels: Tensor,
    /// (1, width): added to the image where no mask prompt is given
    no_mask: Tensor,
}

struct TwoWayLayer {
    self_attention: Attention,
    norm1: LayerNorm,
    token_to_image: Attention,
    norm2: LayerNorm,
    lin1: Linear,
    lin2: Linear,
    norm3: LayerNorm,
    image_to_token: Attention,
    norm4: LayerNorm,
}

struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    heads: usize,
}

/// A transposed convolution, kernel 2 and stride 2: every token becomes 2 x 2 tokens.
struct Upscale {
    /// (inputs, 4 * outputs), ordered (row, column, output)
    weight: Tensor,
    bias: Tensor,
}

/// Linear layers with ReLU in between.
struct Perceptron(Vec<Linear>);

impl Decoder {
    /// `weights` are those of the whole model; `grid` is the image embedding's side in tokens.
    pub(super) fn new(config: &DecoderConfig, grid: usize, weights: &Weights) -> Result<Self> {
        let width = config.transformer_dim;
        let masks = config.masks();
        let prompts = PromptEncoder::new(width, &weights.at("prompt_encoder"))?;
        let image_positions = prompts.grid_positions(grid, weights.device())?;
        let weights = weights.at("mask_decoder");
        let transformer = weights.at("transformer");
        let inner = width / config.attention_downsample_rate;
        let upscaling = weights.at("output_upscaling");
        Ok(Self {
            image_positions,
            output_tokens: Tensor::cat(
                &[
                    weights.tensor("iou_token.weight", &[1, width])?,
                    weights.tensor("mask_tokens.weight", &[masks, width])?,
                ],
                0,
            )?,
            layers: (0..config.depth)
                .map(|index| TwoWayLayer::new(config, &transformer.at("layers").at(index)))
                .collect::<Result<_>>()?,
            final_attention: Attention::new(
                &transformer.at("final_attn_token_to_image"),
                width,
                inner,
                config.num_heads,
            )?,
            final_norm: LayerNorm::new(&transformer.at("norm_final_attn"), width, 1e-5)?,
            upscale1: Upscale::new(&upscaling.at("0"), width, width / 4)?,
            upscale_norm: LayerNorm::new(&upscaling.at("1"), width / 4, 1e-6)?,
            upscale2: Upscale::new(&upscaling.at("3"), width / 4, width / 8)?,
            hypernetworks: (0..masks)
                .map(|index| {
                    Perceptron::new(&weights.at("output_hypernetworks_mlps").at(index), &config.hypernetwork())
                })
                .collect::<Result<_>>()?,
            iou_head: Perceptron::new(&weights.at("iou_prediction_head"), &config.iou_head())?,
            prompts,
            grid,
        })
    }
}

impl MaskDecoder for Decoder {
    /// Of `maps` the image embedding alone is used; the single mask comes first, then the multimask outputs.
    fn forward(&self, maps: &[Tensor], query: &Query) -> Result<(Tensor, Tensor)> {
        let (grid, embedding) = (self.grid, &maps[0]);
        let mut image = embedding.broadcast_add(&self.prompts.no_mask)?;
        let prompt_tokens =
            Tensor::cat(&[&self.output_tokens, &self.prompts.encode(&query.coords, &query.labels)?], 0)?;
        let mut tokens = prompt_tokens.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            (tokens, image) = layer.forward(&tokens, &image, &prompt_tokens, &self.image_positions, index == 0)?;
        }
        let keys = (&image + &self.image_positions)?;
        let attended = self.final_attention.forward(&(&tokens + &prompt_tokens)?, &keys, &image)?;
        let tokens = self.final_norm.forward(&(tokens + attended)?)?;

        let upscaled = gelu(&self.upscale_norm.forward(&self.upscale1.forward(&image, grid)?)?)?;
        let upscaled = gelu(&self.upscale2.forward(&upscaled, 2 * grid)?)?;
        let mut masks = Vec::with_capacity(self.hypernetworks.len());
        for (index, network) in self.hypernetworks.iter().enumerate() {
            let filter = network.forward(&tokens.narrow(0, 1 + index, 1)?)?;
            masks.push(filter.matmul(&upscaled.t()?)?);
        }
        let masks = Tensor::cat(&masks, 0)?.reshape((self.hypernetworks.len(), 4 * grid, 4 * grid))?;
        let iou = self.iou_head.forward(&tokens.narrow(0, 0, 1)?)?.squeeze(0)?;
        Ok((masks, iou))
    }
}

impl PromptEncoder {
    fn new(width: usize, weights: &Weights) -> Result<Self> {
        let mut labels = vec![weights.tensor("not_a_point_embed.weight", &[1, width])?];
        for index in 0..4 {
            labels.push(weights.at("point_embeddings").at(index).tensor("weight", &[1, width])?);
        }
        take_mask_downscaling(&weights.at("mask_downscaling"), width)?;
        Ok(Self {
            frequencies: weights.tensor("pe_layer.positional_encoding_gaussian_matrix", &[2, width / 2])?,
            labels: Tensor::cat(&labels, 0)?,
            no_mask: weights.tensor("no_mask_embed.weight", &[1, width])?,
        })
    }

    /// Random Fourier features (Tancik et al. 2020) of coordinates in 0..1: (n, 2) -> (n, width).
    fn positions(&self, coords: &Tensor) -> Result<Tensor> {
        let phases = (((coords * 2.0)? - 1.0)?.matmul(&self.frequencies)? * TAU)?;
        Ok(Tensor::cat(&[phases.sin()?, phases.cos()?], 1)?)
    }

    /// Features of the cell centres of a square grid, row by row: (side * side, width).
    fn grid_positions(&self, side: usize, device: &Device) -> Result<Tensor> {
        let centre = |index: usize| (index as f32 + 0.5) / side as f32;
        let coords: Vec<f32> = (0..side).flat_map(|y| (0..side).flat_map(move |x| [centre(x), centre(y)])).collect();
        self.positions(&Tensor::from_vec(coords, (side * side, 2), device)?)
    }

    /// Prompt tokens (n, width). A padding point (label -1) has no position, only its label's embedding.
    fn encode(&self, coords: &[[f32; 2]], labels: &[i8]) -> Result<Tensor> {
        let device = self.labels.device();
        let coords = Tensor::from_slice(coords.as_flattened(), (coords.len(), 2), device)?;
        let is_point: Vec<f32> = labels.iter().map(|&label| if label < 0 { 0.0 } else { 1.0 }).collect();
        let is_point = Tensor::from_vec(is_point, (labels.len(), 1), device)?;
        let rows: Vec<u32> = labels.iter().map(|&label| (label + 1) as u32).collect();
        let embeddings = self.labels.index_select(&Tensor::new(rows, device)?, 0)?;
        Ok((self.positions(&coords)?.broadcast_mul(&is_point)? + embeddings)?)
    }
}

impl TwoWayLayer {
    fn new(config: &DecoderConfig, weights: &Weights) -> Result<Self> {
        let width = config.transformer_dim;
        let inner = width / config.attention_downsample_rate;
        let norm = |index: usize| LayerNorm::new(&weights.at(format!("norm{index}")), width, 1e-5);
        let attention = |name: &str, inner| Attention::new(&weights.at(name), width, inner, config.num_heads);
        Ok(Self {
            self_attention: attention("self_attn", width)?,
            norm1: norm(1)?,
            token_to_image: attention("cross_attn_token_to_image", inner)?,
            norm2: norm(2)?,
            lin1: Linear::new(&weights.at("mlp").at("lin1"), width, config.mlp_dim)?,
            lin2: Linear::new(&weights.at("mlp").at("lin2"), config.mlp_dim, width)?,
            norm3: norm(3)?,
            image_to_token: attention("cross_attn_image_to_token", inner)?,
            norm4: norm(4)?,
        })
    }

    /// The first layer's self attention sees the tokens alone: no positions and no residual.
    fn forward(
        &self,
        tokens: &Tensor,
        image: &Tensor,
        token_positions: &Tensor,
        image_positions: &Tensor,
        first: bool,
    ) -> Result<(Tensor, Tensor)> {
        let tokens = if first {
            self.self_attention.forward(tokens, tokens, tokens)?
        } else {
            let queries = (tokens + token_positions)?;
            (tokens + self.self_attention.forward(&queries, &queries, tokens)?)?
        };
        let tokens = self.norm1.forward(&tokens)?;
        let keys = (image + image_positions)?;
        let attended = self.token_to_image.forward(&(&tokens + token_positions)?, &keys, image)?;
        let tokens = self.norm2.forward(&(tokens + attended)?)?;
        let mlp = self.lin2.forward(&self.lin1.forward(&tokens)?.relu()?)?;
        let tokens = self.norm3.forward(&(tokens + mlp)?)?;
        let attended = self.image_to_token.forward(&keys, &(&tokens + token_positions)?, &tokens)?;
        let image = self.norm4.forward(&(image + attended)?)?;
        Ok((tokens, image))
    }
}

impl Attention {
    fn new(weights: &Weights, width: usize, inner: usize, heads: usize) -> Result<Self> {
        Ok(Self {
            q: Linear::new(&weights.at("q_proj"), width, inner)?,
            k: Linear::new(&weights.at("k_proj"), width, inner)?,
            v: Linear::new(&weights.at("v_proj"), width, inner)?,
            out: Linear::new(&weights.at("out_proj"), inner, width)?,
            heads,
        })
    }

    /// q (n, width), k and v (m, width) -> (n, width)
    fn forward(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let split = |x: Tensor| -> Result<Tensor> {
            let (tokens, inner) = x.dims2()?;
            Ok(x.reshape((tokens, self.heads, inner / self.heads))?.transpose(0, 1)?.contiguous()?)
        };
        let (q, k, v) = (split(self.q.forward(q)?)?, split(self.k.forward(k)?)?, split(self.v.forward(v)?)?);
        let (_, tokens, head) = q.dims3()?;
        let scores = (q.matmul(&k.t()?)? * (head as f64).powf(-0.5))?;
        let mixed = softmax(&scores)?.matmul(&v)?.transpose(0, 1)?.reshape((tokens, self.heads * head))?;
        self.out.forward(&mixed)
    }
}

impl Upscale {
    fn new(weights: &Weights, inputs: usize, outputs: usize) -> Result<Self> {
        let weight = weights.tensor("weight", &[inputs, outputs, 2, 2])?;
        Ok(Self {
            weight: weight.permute((0, 2, 3, 1))?.reshape((inputs, 4 * outputs))?,
            bias: weights.tensor("bias", &[outputs])?,
        })
    }

    /// (side * side, inputs) -> (2 side * 2 side, outputs)
    fn forward(&self, x: &Tensor, side: usize) -> Result<Tensor> {
        let outputs = self.bias.elem_count();
        let cells = x.matmul(&self.weight)?.reshape((side, side, 2, 2, outputs))?;
        let map = cells.transpose(1, 2)?.reshape((4 * side * side, outputs))?;
        Ok(map.broadcast_add(&self.bias)?)
    }
}

impl Perceptron {
    fn new(weights: &Weights, sizes: &[usize]) -> Result<Self> {
        let layers = sizes
            .windows(2)
            .enumerate()
            .map(|(index, pair)| Linear::new(&weights.at("layers").at(index), pair[0], pair[1]))
            .collect::<Result<_>>()?;
        Ok(Self(layers))
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = x.clone();
        for (index, layer) in self.0.iter().enumerate() {
            if index > 0 {
                x = x.relu()?;
            }
            x = layer.forward(&x)?;
        }
        Ok(x)
    }
}
