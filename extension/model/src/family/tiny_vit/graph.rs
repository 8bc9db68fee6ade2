//! TinyViT (Wu et al. 2022) as MobileSAM's image encoder: a convolutional stem, a stage of inverted bottlenecks and
//! stages of window attention with a learned bias for each offset, joined by strided merges.

use candle_core::Tensor;

use super::config::TinyVitConfig;
use crate::error::Result;
use crate::graph::ImageEncoder;
use crate::graph::layers::{Conv, LayerNorm, Linear, Neck, gelu, merge_windows, partition_windows, softmax};
use crate::weights::Weights;

/// The encoder: (1, 3, side, side) -> (1, channels, grid, grid).
pub(super) struct TinyVit {
    stem: [Conv; 2],
    bottlenecks: Vec<[Conv; 3]>,
    /// Blocks of the stages after the first.
    stages: Vec<Vec<Block>>,
    /// The merge after each stage but the last.
    merges: Vec<[Conv; 3]>,
    neck: Neck,
}

struct Block {
    attention: Attention,
    window: usize,
    local_conv: Conv,
    mlp_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

struct Attention {
    norm: LayerNorm,
    qkv: Linear,
    proj: Linear,
    /// (heads, tokens, tokens)
    bias: Tensor,
    heads: usize,
}

impl TinyVit {
    pub(super) fn new(config: &TinyVitConfig, weights: &Weights) -> Result<Self> {
        let widths = &config.embed_dims;
        let seq = weights.at("patch_embed").at("seq");
        let stem = [
            Conv::with_norm(&seq.at("0"), 3, widths[0] / 2, 3, 2, false)?,
            Conv::with_norm(&seq.at("2"), widths[0] / 2, widths[0], 3, 2, false)?,
        ];
        let mut bottlenecks = Vec::new();
        let mut stages = Vec::new();
        let mut merges = Vec::new();
        for (stage, &width) in widths.iter().enumerate() {
            let layer = weights.at("layers").at(stage);
            let mut blocks = Vec::new();
            for index in 0..config.depths[stage] {
                let block = layer.at("blocks").at(index);
                if stage == 0 {
                    let hidden = block.side("conv1.c.weight", 0).unwrap_or(4 * width);
                    bottlenecks.push([
                        Conv::with_norm(&block.at("conv1"), width, hidden, 1, 1, false)?,
                        Conv::with_norm(&block.at("conv2"), hidden, hidden, 3, 1, true)?,
                        Conv::with_norm(&block.at("conv3"), hidden, width, 1, 1, false)?,
                    ]);
                } else {
                    blocks.push(Block::new(&block, width, config.num_heads[stage], config.window_sizes[stage])?);
                }
            }
            if stage > 0 {
                stages.push(blocks);
            }
            if let Some((&next, &stride)) = widths.get(stage + 1).zip(config.merge_strides.get(stage)) {
                let merge = layer.at("downsample");
                merges.push([
                    Conv::with_norm(&merge.at("conv1"), width, next, 1, 1, false)?,
                    Conv::with_norm(&merge.at("conv2"), next, next, 3, stride, true)?,
                    Conv::with_norm(&merge.at("conv3"), next, next, 1, 1, false)?,
                ]);
            }
        }
        let neck = Neck::new(&weights.at("neck"), widths[widths.len() - 1], config.out_chans)?;
        Ok(Self { stem, bottlenecks, stages, merges, neck })
    }
}

impl ImageEncoder for TinyVit {
    fn forward(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let mut x = self.stem[1].forward(&gelu(&self.stem[0].forward(x)?)?)?;
        for [expand, depthwise, project] in &self.bottlenecks {
            let hidden = gelu(&depthwise.forward(&gelu(&expand.forward(&x)?)?)?)?;
            x = gelu(&(x + project.forward(&hidden)?)?)?;
        }
        for (blocks, [expand, depthwise, project]) in self.stages.iter().zip(&self.merges) {
            let hidden = gelu(&depthwise.forward(&gelu(&expand.forward(&x)?)?)?)?;
            x = project.forward(&hidden)?;
            for block in blocks {
                x = block.forward(&x)?;
            }
        }
        Ok(vec![self.neck.forward(&x)?])
    }
}

impl Block {
    fn new(weights: &Weights, width: usize, heads: usize, window: usize) -> Result<Self> {
        let mlp = weights.at("mlp");
        let hidden = mlp.side("fc1.weight", 0).unwrap_or(4 * width);
        let kernel = weights.side("local_conv.c.weight", 3).unwrap_or(3);
        Ok(Self {
            attention: Attention::new(&weights.at("attn"), width, heads, window)?,
            window,
            local_conv: Conv::with_norm(&weights.at("local_conv"), width, width, kernel, 1, true)?,
            mlp_norm: LayerNorm::new(&mlp.at("norm"), width, 1e-5)?,
            fc1: Linear::new(&mlp.at("fc1"), width, hidden)?,
            fc2: Linear::new(&mlp.at("fc2"), hidden, width)?,
        })
    }

    /// (1, width, height, width) -> the same shape
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let tokens = x.permute((0, 2, 3, 1))?.contiguous()?;
        // Padding comes before the norm: a padded token takes part in the attention as the norm's bias.
        let windows = self.attention.forward(&partition_windows(&tokens, self.window)?)?;
        let tokens = (tokens + merge_windows(&windows, self.window, height, width)?)?;
        let x = self.local_conv.forward(&tokens.permute((0, 3, 1, 2))?.contiguous()?)?;
        let tokens = x.permute((0, 2, 3, 1))?.contiguous()?;
        let mlp = self.fc2.forward(&gelu(&self.fc1.forward(&self.mlp_norm.forward(&tokens)?)?)?)?;
        Ok((tokens + mlp)?.permute((0, 3, 1, 2))?.contiguous()?)
    }
}

impl Attention {
    fn new(weights: &Weights, width: usize, heads: usize, window: usize) -> Result<Self> {
        let by_offset = weights.tensor("attention_biases", &[heads, window * window])?;
        // Column |dy| * window + |dx| belongs to the offset (dy, dx) between two tokens.
        let tokens = window * window;
        let mut indices = Vec::with_capacity(tokens * tokens);
        for a in 0..tokens {
            for b in 0..tokens {
                let (dy, dx) = ((a / window).abs_diff(b / window), (a % window).abs_diff(b % window));
                indices.push((dy * window + dx) as u32);
            }
        }
        let indices = Tensor::new(indices, weights.device())?;
        Ok(Self {
            norm: LayerNorm::new(&weights.at("norm"), width, 1e-5)?,
            qkv: Linear::new(&weights.at("qkv"), width, 3 * width)?,
            proj: Linear::new(&weights.at("proj"), width, width)?,
            bias: by_offset.index_select(&indices, 1)?.reshape((heads, tokens, tokens))?,
            heads,
        })
    }

    /// (windows, tokens, width) -> the same shape
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (windows, tokens, width) = x.dims3()?;
        let head = width / self.heads;
        // Each head's query, key and value lie side by side.
        let qkv = self.qkv.forward(&self.norm.forward(x)?)?.reshape((windows, tokens, self.heads, 3, head))?;
        let part = |index| qkv.narrow(3, index, 1)?.squeeze(3)?.transpose(1, 2)?.contiguous();
        let (q, k, v): (Tensor, Tensor, Tensor) = (part(0)?, part(1)?, part(2)?);
        let scores = (q * (head as f64).powf(-0.5))?.matmul(&k.t()?)?.broadcast_add(&self.bias)?;
        let mixed = softmax(&scores)?.matmul(&v)?.transpose(1, 2)?.reshape((windows, tokens, width))?;
        self.proj.forward(&mixed)
    }
}
