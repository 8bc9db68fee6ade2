//! The tokens' side of the decoder: a handful of rows through attentions and small layers.

use sam_kernels::{Act, Epilogue, Heads, Isa, KeyValues, LayerNorm, MatMut, Out, Packed, Rows, Scratch, attend, gemm};

use super::super::blocks::{layer_norm, linear};
use crate::config::DecoderConfig;
use crate::error::Result;
use crate::team::Team;
use crate::weights::Weights;

/// A layer of the two-way transformer, but for what it projects the image to.
pub(super) struct Layer {
    self_attention: SelfAttention,
    norm1: LayerNorm,
    pub(super) token_to_image: TokenSide,
    pub(super) norm2: LayerNorm,
    pub(super) lin1: Packed<f32>,
    pub(super) lin2: Packed<f32>,
    pub(super) norm3: LayerNorm,
    /// Keys and values of the tokens for the image's queries.
    pub(super) image_k: Packed<f32>,
    pub(super) image_v: Packed<f32>,
    pub(super) image_out: Packed<f32>,
    pub(super) norm4: LayerNorm,
}

struct SelfAttention {
    q: Packed<f32>,
    k: Packed<f32>,
    v: Packed<f32>,
    out: Packed<f32>,
}

/// The tokens' side of an attention whose keys and values are the image.
pub(super) struct TokenSide {
    q: Packed<f32>,
    out: Packed<f32>,
}

/// Linear layers with ReLU in between.
pub(super) struct Perceptron(Vec<Packed<f32>>);

impl Layer {
    pub(super) fn new(config: &DecoderConfig, weights: &Weights) -> Result<Self> {
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
    pub(super) fn update_tokens(&self, isa: Isa, heads: usize, tokens: &mut Vec<f32>, positions: &[f32], first: bool) {
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
    pub(super) fn new(weights: &Weights, width: usize, inner: usize) -> Result<Self> {
        Ok(Self {
            q: linear(&weights.at("q_proj"), width, inner)?,
            out: linear(&weights.at("out_proj"), inner, width)?,
        })
    }

    /// Attention of the queries (count, width) to the image, whose keys and values are the first columns of
    /// `projected` (tokens, outputs).
    #[allow(clippy::too_many_arguments)]
    pub(super) fn attend(
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

impl Perceptron {
    pub(super) fn new(weights: &Weights, sizes: &[usize]) -> Result<Self> {
        let layers = sizes
            .windows(2)
            .enumerate()
            .map(|(index, pair)| linear(&weights.at("layers").at(index), pair[0], pair[1]))
            .collect::<Result<_>>()?;
        Ok(Self(layers))
    }

    pub(super) fn run(&self, isa: Isa, x: &[f32]) -> Vec<f32> {
        let mut x = x.to_vec();
        for (index, layer) in self.0.iter().enumerate() {
            let last = index + 1 == self.0.len();
            x = apply(isa, layer, &x, if last { &Epilogue::BIAS } else { &Epilogue::RELU });
        }
        x
    }
}

/// A linear layer of a few rows.
pub(super) fn apply(isa: Isa, layer: &Packed<f32>, x: &[f32], epilogue: &Epilogue<'_>) -> Vec<f32> {
    let rows = x.len() / layer.k();
    let mut out = vec![0.0; rows * layer.n()];
    gemm(isa, &Rows::dense(x, layer.k()), 0..rows, layer, epilogue, Out::f32(&mut out, layer.n()));
    out
}

/// Keys and values (count, stride), packed head after head.
pub(super) fn pack(k: &[f32], v: &[f32], stride: usize, inner: usize, heads: usize) -> (KeyValues, Vec<f32>) {
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
pub(super) fn attend_all(
    isa: Isa,
    layout: &KeyValues,
    q: &[f32],
    packed: &[f32],
    heads: usize,
    count: usize,
) -> Vec<f32> {
    let inner = q.len() / count;
    let head = inner / heads;
    let mut out = vec![0.0; q.len()];
    let queries = Heads::alone(q, inner, head);
    let scale = (head as f32).powf(-0.5);
    attend(isa, layout, &queries, packed, 0..heads, 0..count, scale, None, &mut out, inner, &mut Scratch::new());
    out
}

pub(super) fn add(to: &mut [f32], what: &[f32]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += what);
}

pub(super) fn with(values: &[f32], added: &[f32]) -> Vec<f32> {
    values.iter().zip(added).map(|(a, b)| a + b).collect()
}
