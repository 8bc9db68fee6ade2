//! The prompt encoder's and mask decoder's steps on the CPU, in `f32`; `graph::decoder` defines what they compute.
//!
//! The image is 4,096 tokens and a prompt a handful, so the time goes into three projections of the image to keys,
//! values and queries and into the upscaling. Each image row is read as few times as possible: the update of the image
//! by a layer and the next layer's projections are one pass over tiles of rows. The positions' share of a projection is
//! computed at load, and the first layer's projections, which no prompt changes, once for each image.

use std::f64::consts::TAU;

use sam_kernels::{
    Act, Epilogue, Heads, Isa, KeyValues, LayerNorm, Mat, MatMut, Out, Packed, Residual, Rows, Scratch, attend, gemm,
};

use super::blocks::{TILE_ROWS, layer_norm, linear};
use crate::config::DecoderConfig;
use crate::error::Result;
use crate::team::Team;
use crate::weights::{Weights, take_mask_downscaling};

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

struct PromptEncoder {
    /// (2, width / 2)
    frequencies: Vec<f32>,
    /// (5, width): not a point, background, foreground, first and second corner of a box
    labels: Vec<f32>,
    /// (width)
    no_mask: Vec<f32>,
}

struct Layer {
    self_attention: SelfAttention,
    norm1: LayerNorm,
    token_to_image: TokenSide,
    norm2: LayerNorm,
    lin1: Packed<f32>,
    lin2: Packed<f32>,
    norm3: LayerNorm,
    /// Keys and values of the tokens for the image's queries.
    image_k: Packed<f32>,
    image_v: Packed<f32>,
    image_out: Packed<f32>,
    norm4: LayerNorm,
}

struct SelfAttention {
    q: Packed<f32>,
    k: Packed<f32>,
    v: Packed<f32>,
    out: Packed<f32>,
}

/// The tokens' side of an attention whose keys and values are the image.
struct TokenSide {
    q: Packed<f32>,
    out: Packed<f32>,
}

/// Keys and values for the tokens' attention, and queries of the image if it is going to be updated, as one product.
struct Projection {
    weight: Packed<f32>,
    /// (tokens, outputs): what the image's positions add
    positions: Vec<f32>,
    /// Values of a head's key.
    inner: usize,
}

struct Perceptron(Vec<Packed<f32>>);

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
                let line = Rows::dense(&*once, quarter);
                gemm(isa, &line, 0..4 * grid, &self.upscale2, &Epilogue::GELU, Out::f32(&mut twice, 4 * eighth));
                let line = Rows::dense(&*twice, eighth);
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

/// The update of the image by the tokens: each image token attends to the few tokens.
struct ImageUpdate<'a> {
    isa: Isa,
    layer: &'a Layer,
    heads: usize,
    inner: usize,
    layout: KeyValues,
    packed: Vec<f32>,
}

impl<'a> ImageUpdate<'a> {
    fn new(isa: Isa, layer: &'a Layer, heads: usize, inner: usize, tokens: &[f32], positions: &[f32]) -> Self {
        let k = apply(isa, &layer.image_k, &with(tokens, positions), &Epilogue::BIAS);
        let v = apply(isa, &layer.image_v, tokens, &Epilogue::BIAS);
        let (layout, packed) = pack(&k, &v, inner, inner, heads);
        Self { isa, layer, heads, inner, layout, packed }
    }

    /// Rows from `start` on of the updated image, as many as `out` has; `projected` holds the queries behind the keys
    /// and values.
    #[allow(clippy::too_many_arguments)]
    fn run(
        &self,
        image: &[f32],
        projected: &[f32],
        outputs: usize,
        start: usize,
        mixed: &mut [f32],
        out: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (isa, inner, width) = (self.isa, self.inner, self.layer.image_out.n());
        let head = inner / self.heads;
        let count = out.len() / width;
        let queries = Heads { data: projected, stride: outputs, offset: 2 * inner, step: head };
        let scale = (head as f32).powf(-0.5);
        let rows = start..start + count;
        attend(isa, &self.layout, &queries, &self.packed, 0..self.heads, rows, scale, None, mixed, inner, scratch);
        let residual = Residual::From(Mat::new(&image[start * width..(start + count) * width], width));
        let epilogue = Epilogue { residual, ..Epilogue::BIAS };
        let out_rows = Out::f32(&mut *out, width);
        gemm(isa, &Rows::dense(mixed, inner), 0..count, &self.layer.image_out, &epilogue, out_rows);
        self.layer.norm4.apply_in_place(isa, MatMut::new(out, width), count, Act::None);
    }
}

impl Layer {
    fn new(config: &DecoderConfig, weights: &Weights) -> Result<Self> {
        let width = config.transformer_dim;
        let inner = width / config.attention_downsample_rate;
        let norm = |index: usize| layer_norm(&weights.at(format!("norm{index}")), width, 1e-5);
        let own = weights.at("self_attn");
        let to_token = weights.at("cross_attn_image_to_token");
        let mlp = weights.at("mlp");
        Ok(Self {
            self_attention: SelfAttention {
                q: linear(&own.at("q_proj"), width, width)?,
                k: linear(&own.at("k_proj"), width, width)?,
                v: linear(&own.at("v_proj"), width, width)?,
                out: linear(&own.at("out_proj"), width, width)?,
            },
            norm1: norm(1)?,
            token_to_image: TokenSide::new(&weights.at("cross_attn_token_to_image"), width, inner)?,
            norm2: norm(2)?,
            lin1: linear(&mlp.at("lin1"), width, config.mlp_dim)?,
            lin2: linear(&mlp.at("lin2"), config.mlp_dim, width)?,
            norm3: norm(3)?,
            image_k: linear(&to_token.at("k_proj"), width, inner)?,
            image_v: linear(&to_token.at("v_proj"), width, inner)?,
            image_out: linear(&to_token.at("out_proj"), inner, width)?,
            norm4: norm(4)?,
        })
    }

    /// Self attention and its norm; the first layer's sees the tokens alone: no positions and no residual.
    fn update_tokens(&self, isa: Isa, heads: usize, tokens: &mut Vec<f32>, positions: &[f32], first: bool) {
        let own = &self.self_attention;
        let width = own.q.n();
        let queries = if first { tokens.clone() } else { with(tokens, positions) };
        let q = apply(isa, &own.q, &queries, &Epilogue::BIAS);
        let k = apply(isa, &own.k, &queries, &Epilogue::BIAS);
        let v = apply(isa, &own.v, tokens, &Epilogue::BIAS);
        let (layout, packed) = pack(&k, &v, width, width, heads);
        let count = tokens.len() / width;
        let mixed = attend_all(isa, &layout, &q, &packed, heads, count);
        let attended = apply(isa, &own.out, &mixed, &Epilogue::BIAS);
        if first {
            *tokens = attended;
        } else {
            add(tokens, &attended);
        }
        self.norm1.apply_in_place(isa, MatMut::new(tokens, width), count, Act::None);
    }
}

impl TokenSide {
    fn new(weights: &Weights, width: usize, inner: usize) -> Result<Self> {
        Ok(Self {
            q: linear(&weights.at("q_proj"), width, inner)?,
            out: linear(&weights.at("out_proj"), inner, width)?,
        })
    }

    /// Attention of the queries (count, width) to the image, whose keys and values are the first columns of
    /// `projected` (tokens, outputs).
    #[allow(clippy::too_many_arguments)]
    fn attend(
        &self,
        isa: Isa,
        heads: usize,
        queries: &[f32],
        projected: &[f32],
        outputs: usize,
        inner: usize,
        team: Team,
    ) -> Vec<f32> {
        let q = apply(isa, &self.q, queries, &Epilogue::BIAS);
        let (count, head) = (q.len() / inner, inner / heads);
        let k = Heads { data: projected, stride: outputs, offset: 0, step: head };
        let v = Heads { offset: inner, ..k };
        let layout = KeyValues::new(projected.len() / outputs, head, 1);
        let length = layout.packed_len::<f32>();
        // Head by head, each packed and attended to by one thread: (heads, count, head)
        let mut by_head = vec![0.0; heads * count * head];
        team.rows(&mut by_head, count * head, 1, |heads, out| {
            let scratch = &mut Scratch::new();
            let mut packed = vec![0.0; length];
            for (index, out) in heads.zip(out.chunks_exact_mut(count * head)) {
                layout.pack(&k, &v, index, &mut packed);
                let queries = Heads { data: &q, stride: inner, offset: index * head, step: head };
                let scale = (head as f32).powf(-0.5);
                attend(isa, &layout, &queries, &packed, 0..1, 0..count, scale, None, out, head, scratch);
            }
        });
        let mut mixed = vec![0.0; count * inner];
        for (index, rows) in by_head.chunks_exact(count * head).enumerate() {
            for (to, from) in mixed.chunks_exact_mut(inner).zip(rows.chunks_exact(head)) {
                to[index * head..(index + 1) * head].copy_from_slice(from);
            }
        }
        apply(isa, &self.out, &mixed, &Epilogue::BIAS)
    }
}

impl Projection {
    /// `parts` are linear layers of the image with its positions, but for the second, the values, without.
    fn new(parts: &[Weights], width: usize, inner: usize, positions: &[f32], isa: Isa) -> Result<Self> {
        let outputs = parts.len() * inner;
        let (mut rows, mut positional) = (Vec::new(), Vec::new());
        let mut bias = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let weight = part.values("weight", &[inner, width])?;
            if index == 1 {
                positional.extend(std::iter::repeat_n(0.0, weight.len()));
            } else {
                positional.extend_from_slice(&weight);
            }
            rows.extend(weight);
            bias.extend(part.values("bias", &[inner])?);
        }
        let by_position = Packed::<f32>::linear(&positional, outputs, width, Some(&bias));
        Ok(Self {
            weight: Packed::linear(&rows, outputs, width, None),
            positions: apply(isa, &by_position, positions, &Epilogue::BIAS),
            inner,
        })
    }

    fn outputs(&self) -> usize {
        self.weight.n()
    }

    /// The projection of image rows, the first of which is row `start` of the whole image.
    fn run(&self, isa: Isa, image: &[f32], start: usize, out: &mut [f32]) {
        let (width, outputs) = (self.weight.k(), self.outputs());
        let rows = out.len() / outputs;
        let positions = Mat::new(&self.positions[start * outputs..(start + rows) * outputs], outputs);
        let epilogue = Epilogue { residual: Residual::From(positions), ..Epilogue::BIAS };
        gemm(isa, &Rows::dense(image, width), 0..rows, &self.weight, &epilogue, Out::f32(out, outputs));
    }
}

impl PromptEncoder {
    fn new(width: usize, weights: &Weights) -> Result<Self> {
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
    fn features(&self, [x, y]: [f32; 2]) -> Vec<f32> {
        let half = self.frequencies.len() / 2;
        let (x, y) = (2.0 * x - 1.0, 2.0 * y - 1.0);
        let phase = |index: usize| (x * self.frequencies[index] + y * self.frequencies[half + index]) * TAU as f32;
        (0..half).map(|index| phase(index).sin()).chain((0..half).map(|index| phase(index).cos())).collect()
    }

    /// Features of the cell centres of a square grid, row by row (side * side, width).
    fn grid_positions(&self, side: usize) -> Vec<f32> {
        let centre = |index: usize| (index as f32 + 0.5) / side as f32;
        (0..side * side).flat_map(|cell| self.features([centre(cell % side), centre(cell / side)])).collect()
    }

    /// Prompt tokens (count, width); a padding point (label -1) has no position.
    fn encode(&self, coords: &[[f32; 2]], labels: &[i8]) -> Vec<f32> {
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

impl Perceptron {
    fn new(weights: &Weights, sizes: &[usize]) -> Result<Self> {
        let layers = sizes
            .windows(2)
            .enumerate()
            .map(|(index, pair)| linear(&weights.at("layers").at(index), pair[0], pair[1]))
            .collect::<Result<_>>()?;
        Ok(Self(layers))
    }

    fn run(&self, isa: Isa, x: &[f32]) -> Vec<f32> {
        let mut x = x.to_vec();
        for (index, layer) in self.0.iter().enumerate() {
            let last = index + 1 == self.0.len();
            x = apply(isa, layer, &x, if last { &Epilogue::BIAS } else { &Epilogue::RELU });
        }
        x
    }
}

/// A transposed convolution, kernel 2 and stride 2, as a linear layer whose outputs are (row, column, channel).
fn upscale(weights: &Weights, inputs: usize, outputs: usize) -> Result<Packed<f32>> {
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

/// A linear layer of a few rows.
fn apply(isa: Isa, layer: &Packed<f32>, x: &[f32], epilogue: &Epilogue<'_>) -> Vec<f32> {
    let rows = x.len() / layer.k();
    let mut out = vec![0.0; rows * layer.n()];
    gemm(isa, &Rows::dense(x, layer.k()), 0..rows, layer, epilogue, Out::f32(&mut out, layer.n()));
    out
}

/// Keys and values (count, stride), packed head after head.
fn pack(k: &[f32], v: &[f32], stride: usize, inner: usize, heads: usize) -> (KeyValues, Vec<f32>) {
    let head = inner / heads;
    let layout = KeyValues::new(k.len() / stride, head, 1);
    let length = layout.packed_len::<f32>();
    let mut packed = vec![0.0; heads * length];
    let (k, v) = (Heads::alone(k, stride, head), Heads::alone(v, stride, head));
    for (index, packed) in packed.chunks_exact_mut(length).enumerate() {
        layout.pack(&k, &v, index, packed);
    }
    (layout, packed)
}

/// Attention of `count` queries, rows of all heads.
fn attend_all(isa: Isa, layout: &KeyValues, q: &[f32], packed: &[f32], heads: usize, count: usize) -> Vec<f32> {
    let inner = q.len() / count;
    let head = inner / heads;
    let mut out = vec![0.0; q.len()];
    let queries = Heads::alone(q, inner, head);
    let scale = (head as f32).powf(-0.5);
    attend(isa, layout, &queries, packed, 0..heads, 0..count, scale, None, &mut out, inner, &mut Scratch::new());
    out
}

fn add(to: &mut [f32], what: &[f32]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += what);
}

fn with(values: &[f32], added: &[f32]) -> Vec<f32> {
    values.iter().zip(added).map(|(a, b)| a + b).collect()
}
