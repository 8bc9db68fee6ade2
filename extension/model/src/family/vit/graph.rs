//! The ViT image encoder of SAM B, L and H: plain transformer blocks over 16 x 16 patches, most of them with window
//! attention, some global, with relative positions decomposed into rows and columns (Li et al. 2022).

use candle_core::Tensor;

use super::config::VitConfig;
use crate::error::Result;
use crate::graph::ImageEncoder;
use crate::graph::layers::{LayerNorm, Linear, Neck, gelu, merge_windows, partition_windows, softmax};
use crate::weights::Weights;

/// The encoder: (1, 3, side, side) -> (1, channels, grid, grid).
pub(super) struct Vit {
    patch_weight: Tensor,
    patch_bias: Tensor,
    /// (1, grid, grid, width)
    positions: Tensor,
    blocks: Vec<Block>,
    neck: Neck,
}

struct Block {
    norm1: LayerNorm,
    attention: Attention,
    window: Option<usize>,
    norm2: LayerNorm,
    lin1: Linear,
    lin2: Linear,
}

struct Attention {
    qkv: Linear,
    proj: Linear,
    /// (query row, key row, head channels), gathered from the table of offsets
    relative_rows: Tensor,
    /// (query column, key column, head channels)
    relative_columns: Tensor,
    heads: usize,
    /// Side of the attended square in tokens.
    side: usize,
}

impl Vit {
    pub(super) fn new(config: &VitConfig, weights: &Weights) -> Result<Self> {
        let (width, patch) = (config.embed_dim, config.patch_size);
        let grid = config.img_size / patch;
        let blocks = config
            .windows
            .iter()
            .enumerate()
            .map(|(index, &window)| Block::new(config, window, &weights.at("blocks").at(index)))
            .collect::<Result<_>>()?;
        let embed = weights.at("patch_embed").at("proj");
        Ok(Self {
            patch_weight: embed.tensor("weight", &[width, 3, patch, patch])?,
            patch_bias: embed.tensor("bias", &[width])?,
            positions: weights.tensor("pos_embed", &[1, grid, grid, width])?,
            blocks,
            neck: Neck::new(&weights.at("neck"), width, config.out_chans)?,
        })
    }
}

impl ImageEncoder for Vit {
    fn forward(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let patches = x.conv2d(&self.patch_weight, 0, self.patch_weight.dim(3)?, 1, 1)?;
        let tokens = patches.permute((0, 2, 3, 1))?.contiguous()?.broadcast_add(&self.patch_bias)?;
        let mut tokens = (tokens + &self.positions)?;
        for block in &self.blocks {
            tokens = block.forward(&tokens)?;
        }
        Ok(vec![self.neck.forward(&tokens.permute((0, 3, 1, 2))?.contiguous()?)?])
    }
}

impl Block {
    fn new(config: &VitConfig, window: Option<usize>, weights: &Weights) -> Result<Self> {
        let width = config.embed_dim;
        let side = window.unwrap_or(config.img_size / config.patch_size);
        let mlp = weights.at("mlp");
        Ok(Self {
            norm1: LayerNorm::new(&weights.at("norm1"), width, 1e-6)?,
            attention: Attention::new(&weights.at("attn"), width, config.num_heads, side)?,
            window,
            norm2: LayerNorm::new(&weights.at("norm2"), width, 1e-6)?,
            lin1: Linear::new(&mlp.at("lin1"), width, config.mlp_dim)?,
            lin2: Linear::new(&mlp.at("lin2"), config.mlp_dim, width)?,
        })
    }

    /// (1, grid, grid, width) -> the same shape
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, height, width, channels) = x.dims4()?;
        // Padding comes after the norm: a padded token takes part in the attention as zeros.
        let normed = self.norm1.forward(x)?;
        let attended = match self.window {
            Some(side) => {
                let windows = self.attention.forward(&partition_windows(&normed, side)?)?;
                merge_windows(&windows, side, height, width)?
            }
            None => self.attention.forward(&normed.reshape((1, height * width, channels))?)?.reshape(x.shape())?,
        };
        let x = (x + attended)?;
        let mlp = self.lin2.forward(&gelu(&self.lin1.forward(&self.norm2.forward(&x)?)?)?)?;
        Ok((x + mlp)?)
    }
}

impl Attention {
    fn new(weights: &Weights, width: usize, heads: usize, side: usize) -> Result<Self> {
        let head = width / heads;
        let mut indices = Vec::with_capacity(side * side);
        for query in 0..side {
            for key in 0..side {
                indices.push((query + side - 1 - key) as u32);
            }
        }
        let indices = Tensor::new(indices, weights.device())?;
        let relative = |name| -> Result<Tensor> {
            let by_offset = weights.tensor(name, &[2 * side - 1, head])?;
            Ok(by_offset.index_select(&indices, 0)?.reshape((side, side, head))?)
        };
        Ok(Self {
            qkv: Linear::new(&weights.at("qkv"), width, 3 * width)?,
            proj: Linear::new(&weights.at("proj"), width, width)?,
            relative_rows: relative("rel_pos_h")?,
            relative_columns: relative("rel_pos_w")?,
            heads,
            side,
        })
    }

    /// (windows, side * side, width) -> the same shape
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (windows, tokens, width) = x.dims3()?;
        let qkv = self.qkv.forward(x)?.reshape((windows, tokens, 3, self.heads, width / self.heads))?;
        let mut mixed = Vec::with_capacity(self.heads);
        // Head by head: the scores of all heads of a global block at once would take 0.8 GB for SAM B.
        for index in 0..self.heads {
            let part = |which| qkv.narrow(2, which, 1)?.narrow(3, index, 1)?.squeeze(3)?.squeeze(2)?.contiguous();
            let (q, k, v): (Tensor, Tensor, Tensor) = (part(0)?, part(1)?, part(2)?);
            mixed.push(self.head(&q, &k, &v)?);
        }
        self.proj.forward(&Tensor::cat(&mixed, 2)?)
    }

    /// One head: q, k, v (windows, tokens, head channels) -> the same shape.
    fn head(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        let (windows, tokens, head) = q.dims3()?;
        let side = self.side;
        let map = q.reshape((windows, side, side, head))?;
        // Scores of query (y, x) with key row: q . R_h[y, key row]; the unscaled query is used, as in the reference.
        let by_row = map.transpose(0, 1)?.reshape((side, windows * side, head))?;
        let by_row = by_row.matmul(&self.relative_rows.t()?)?.reshape((side, windows, side, side))?;
        let by_row = by_row.transpose(0, 1)?.reshape((windows, tokens, side, 1))?;
        let by_column = map.permute((2, 0, 1, 3))?.reshape((side, windows * side, head))?;
        let by_column = by_column.matmul(&self.relative_columns.t()?)?.reshape((side, windows, side, side))?;
        let by_column = by_column.permute((1, 2, 0, 3))?.reshape((windows, tokens, 1, side))?;
        let scores = (q * (head as f64).powf(-0.5))?.matmul(&k.t()?)?.reshape((windows, tokens, side, side))?;
        let scores = scores.broadcast_add(&by_row)?.broadcast_add(&by_column)?.reshape((windows, tokens, tokens))?;
        Ok(softmax(&scores)?.matmul(v)?)
    }
}
