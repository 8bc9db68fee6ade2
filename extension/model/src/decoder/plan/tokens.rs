//! The tokens' side of the decoder: a handful of rows through attentions and small layers.

use sam_kernels::{Act, Epilogue, Heads, Isa, KeyValues, LayerNorm, MatMut, Out, Packed, Rows, Scratch, attend, gemm};

use super::image::{Queries, Update};
use crate::decoder::config::DecoderConfig;
use crate::error::Result;
use crate::plan::blocks::{layer_norm, linear};
use crate::weights::Weights;

/// A layer of the two-way transformer.
pub(super) struct Layer {
    self_attention: SelfAttention,
    norm1: LayerNorm,
    pub(super) token_to_image: TokenToImage,
    norm2: LayerNorm,
    lin1: Packed<f32>,
    lin2: Packed<f32>,
    norm3: LayerNorm,
    pub(super) image_to_token: ImageToToken,
}

struct SelfAttention {
    q: Packed<f32>,
    k: Packed<f32>,
    v: Packed<f32>,
    out: Packed<f32>,
    heads: usize,
}

/// The tokens attend to the image.
pub(super) struct TokenToImage {
    q: Packed<f32>,
    /// For each head, from a query to what an image row is multiplied by: (width, head)
    keys: Vec<Packed<f32>>,
    /// For each head, from a mean of image rows to a value: (head, width)
    values: Vec<Packed<f32>>,
    out: Packed<f32>,
}

/// The image attends to the tokens.
pub(super) struct ImageToToken {
    k: Packed<f32>,
    v: Packed<f32>,
    /// For each head, from a token's key to what an image row is multiplied by: (width, head)
    queries: Vec<Packed<f32>>,
    /// (inner): its product with a key belongs to the key's score
    query_bias: Vec<f32>,
    /// For each head, from a token's value to what is added to an image row: (width, head)
    out: Vec<Packed<f32>>,
    out_bias: Vec<f32>,
    norm: LayerNorm,
}

/// Linear layers with ReLU in between.
pub(super) struct Perceptron(Vec<Packed<f32>>);

impl Layer {
    pub(super) fn new(config: &DecoderConfig, weights: &Weights) -> Result<Self> {
        let (width, heads) = (config.transformer_dim, config.num_heads);
        let inner = width / config.attention_downsample_rate;
        let norm = |index: usize| layer_norm(&weights.at(format!("norm{index}")), width, 1e-5);
        let own = weights.at("self_attn");
        let mlp = weights.at("mlp");
        Ok(Self {
            self_attention: SelfAttention {
                q: linear(&own.at("q_proj"), width, width)?,
                k: linear(&own.at("k_proj"), width, width)?,
                v: linear(&own.at("v_proj"), width, width)?,
                out: linear(&own.at("out_proj"), width, width)?,
                heads,
            },
            norm1: norm(1)?,
            token_to_image: TokenToImage::new(&weights.at("cross_attn_token_to_image"), width, inner, heads)?,
            norm2: norm(2)?,
            lin1: linear(&mlp.at("lin1"), width, config.mlp_dim)?,
            lin2: linear(&mlp.at("lin2"), config.mlp_dim, width)?,
            norm3: norm(3)?,
            image_to_token: ImageToToken::new(&weights.at("cross_attn_image_to_token"), width, inner, heads, norm(4)?)?,
        })
    }

    /// Self attention and its norm; the first layer's sees the tokens alone: no positions and no residual.
    pub(super) fn attend_to_themselves(&self, isa: Isa, tokens: &mut Vec<f32>, positions: &[f32], first: bool) {
        let own = &self.self_attention;
        let width = own.q.n();
        let queries = if first { tokens.clone() } else { with(tokens, positions) };
        let attended = own.run(isa, &queries, tokens);
        if first {
            *tokens = attended;
        } else {
            add(tokens, &attended);
        }
        let count = tokens.len() / width;
        self.norm1.apply_in_place(isa, MatMut::new(tokens, width), count, Act::None);
    }

    /// Takes up what the tokens have seen of the image, `means` of its rows, and passes them through the small layers.
    pub(super) fn take_up(&self, isa: Isa, tokens: &mut [f32], means: &[f32]) {
        let width = self.lin1.k();
        let count = tokens.len() / width;
        add(tokens, &self.token_to_image.attended(isa, means));
        self.norm2.apply_in_place(isa, MatMut::new(tokens, width), count, Act::None);
        let hidden = apply(isa, &self.lin1, tokens, &Epilogue::RELU);
        add(tokens, &apply(isa, &self.lin2, &hidden, &Epilogue::BIAS));
        self.norm3.apply_in_place(isa, MatMut::new(tokens, width), count, Act::None);
    }
}

impl SelfAttention {
    fn run(&self, isa: Isa, queries: &[f32], tokens: &[f32]) -> Vec<f32> {
        let width = self.q.n();
        let (count, head) = (tokens.len() / width, width / self.heads);
        let q = apply(isa, &self.q, queries, &Epilogue::BIAS);
        let k = apply(isa, &self.k, queries, &Epilogue::BIAS);
        let v = apply(isa, &self.v, tokens, &Epilogue::BIAS);
        let layout = KeyValues::new(count, head, 1);
        let length = layout.packed_len::<f32>();
        let mut packed = vec![0.0; self.heads * length];
        let (k, v) = (Heads::alone(&k, width, head), Heads::alone(&v, width, head));
        for (index, packed) in packed.chunks_exact_mut(length).enumerate() {
            layout.pack(&k, &v, index, packed);
        }
        let mut mixed = vec![0.0; q.len()];
        let q = Heads::alone(&q, width, head);
        let (heads, scale, scratch) = (0..self.heads, (head as f32).powf(-0.5), &mut Scratch::new());
        attend(isa, &layout, &q, &packed, heads, 0..count, scale, None, &mut mixed, width, scratch);
        apply(isa, &self.out, &mixed, &Epilogue::BIAS)
    }
}

impl TokenToImage {
    pub(super) fn new(weights: &Weights, width: usize, inner: usize, heads: usize) -> Result<Self> {
        let keys = weights.at("k_proj").values("weight", &[inner, width])?;
        let values = weights.at("v_proj").values("weight", &[inner, width])?;
        let bias = weights.at("v_proj").values("bias", &[inner])?;
        // The keys' bias adds the same to all scores of a query: softmax does not see it.
        weights.at("k_proj").values("bias", &[inner])?;
        let head = inner / heads;
        let part = |weight: &[f32], index: usize| weight[index * head * width..(index + 1) * head * width].to_vec();
        Ok(Self {
            q: linear(&weights.at("q_proj"), width, inner)?,
            keys: (0..heads).map(|index| Packed::transposed(&part(&keys, index), width, head, None)).collect(),
            values: (0..heads)
                .map(|index| {
                    let bias = &bias[index * head..(index + 1) * head];
                    Packed::linear(&part(&values, index), head, width, Some(bias))
                })
                .collect(),
            out: linear(&weights.at("out_proj"), inner, width)?,
        })
    }

    /// The queries of tokens with their positions (count, width).
    pub(super) fn queries(&self, isa: Isa, tokens: &[f32]) -> Queries {
        let width = self.q.k();
        let mut q = apply(isa, &self.q, tokens, &Epilogue::BIAS);
        scale(&mut q, self.q.n() / self.keys.len());
        let columns = by_head(isa, &self.keys, &q);
        Queries { columns: Packed::linear(&columns, columns.len() / width, width, None) }
    }

    /// What the attention adds to the tokens (count, width), given the `means` of the rows that each column attends to.
    pub(super) fn attended(&self, isa: Isa, means: &[f32]) -> Vec<f32> {
        let (heads, width, inner) = (self.values.len(), self.out.n(), self.out.k());
        let (head, count) = (inner / heads, means.len() / (heads * width));
        let mut mixed = vec![0.0; count * inner];
        for (index, values) in self.values.iter().enumerate() {
            let rows = Rows::new(&means[index * width..], heads * width, width);
            gemm(isa, &rows, 0..count, values, &Epilogue::BIAS, Out::f32(&mut mixed[index * head..], inner));
        }
        apply(isa, &self.out, &mixed, &Epilogue::BIAS)
    }
}

impl ImageToToken {
    fn new(weights: &Weights, width: usize, inner: usize, heads: usize, norm: LayerNorm) -> Result<Self> {
        let queries = weights.at("q_proj").values("weight", &[inner, width])?;
        let out = weights.at("out_proj").values("weight", &[width, inner])?;
        let head = inner / heads;
        Ok(Self {
            k: linear(&weights.at("k_proj"), width, inner)?,
            v: linear(&weights.at("v_proj"), width, inner)?,
            queries: queries.chunks_exact(head * width).map(|w| Packed::transposed(w, width, head, None)).collect(),
            query_bias: weights.at("q_proj").values("bias", &[inner])?,
            out: (0..heads)
                .map(|index| {
                    let columns = |row: &[f32]| row[index * head..(index + 1) * head].to_vec();
                    let part: Vec<f32> = out.chunks_exact(inner).flat_map(columns).collect();
                    Packed::linear(&part, width, head, None)
                })
                .collect(),
            out_bias: weights.at("out_proj").values("bias", &[width])?,
            norm,
        })
    }

    /// What the tokens (count, width) do to the image.
    pub(super) fn update(&self, isa: Isa, tokens: &[f32], positions: &[f32]) -> Update<'_> {
        let (width, heads) = (self.k.k(), self.queries.len());
        let head = self.k.n() / heads;
        let mut k = apply(isa, &self.k, &with(tokens, positions), &Epilogue::BIAS);
        scale(&mut k, head);
        let v = apply(isa, &self.v, tokens, &Epilogue::BIAS);
        let (keys, values) = (by_head(isa, &self.queries, &k), by_head(isa, &self.out, &v));
        let columns = keys.len() / width;
        let product = |(key, bias): (&[f32], &[f32])| key.iter().zip(bias).map(|(a, b)| a * b).sum::<f32>();
        let biases = self.query_bias.chunks_exact(head).cycle();
        let bias: Vec<f32> = k.chunks_exact(head).zip(biases).map(product).collect();
        Update {
            keys: Packed::linear(&keys, columns, width, Some(&bias)),
            values: Packed::transposed(&values, width, columns, Some(&self.out_bias)),
            norm: &self.norm,
        }
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

/// Each head's layer (width, head) of `x` (count, heads, head): (count, heads, width).
fn by_head(isa: Isa, layers: &[Packed<f32>], x: &[f32]) -> Vec<f32> {
    let (heads, width, head) = (layers.len(), layers[0].n(), layers[0].k());
    let count = x.len() / (heads * head);
    let mut out = vec![0.0; count * heads * width];
    for (index, layer) in layers.iter().enumerate() {
        let rows = Rows::new(&x[index * head..], heads * head, head);
        let out = Out::f32(&mut out[index * width..], heads * width);
        gemm(isa, &rows, 0..count, layer, &Epilogue::BIAS, out);
    }
    out
}

/// Queries or keys of `head` values, scaled so that their products are scores in units of ln 2.
fn scale(values: &mut [f32], head: usize) {
    let scale = (head as f32).powf(-0.5) * std::f32::consts::LOG2_E;
    values.iter_mut().for_each(|value| *value *= scale);
}

/// A linear layer of a few rows.
pub(super) fn apply(isa: Isa, layer: &Packed<f32>, x: &[f32], epilogue: &Epilogue<'_>) -> Vec<f32> {
    let rows = x.len() / layer.k();
    let mut out = vec![0.0; rows * layer.n()];
    gemm(isa, &Rows::dense(x, layer.k()), 0..rows, layer, epilogue, Out::f32(&mut out, layer.n()));
    out
}

pub(super) fn add(to: &mut [f32], what: &[f32]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += what);
}

pub(super) fn with(values: &[f32], added: &[f32]) -> Vec<f32> {
    values.iter().zip(added).map(|(a, b)| a + b).collect()
}
