//! The sizes of a TinyViT.

use serde::{Deserialize, Serialize};

use crate::sizes::{Checked, divides, require, width, window};

/// TinyViT (Wu et al. 2022) as MobileSAM uses it: four stages, the first of inverted bottlenecks.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(super) struct TinyVitConfig {
    /// Side of the square input in pixels.
    pub(super) img_size: usize,
    pub(super) embed_dims: Vec<usize>,
    pub(super) depths: Vec<usize>,
    /// Heads per stage; the first is unused.
    pub(super) num_heads: Vec<usize>,
    /// Window side per stage in tokens; the first is unused.
    pub(super) window_sizes: Vec<usize>,
    /// Stride of the merge after each stage but the last.
    pub(super) merge_strides: Vec<usize>,
    pub(super) out_chans: usize,
}

/// Keys that mean something in a `config`.
pub(super) const KEYS: &[&str] = &[
    "img_size",
    "in_chans",
    "embed_dims",
    "depths",
    "num_heads",
    "window_sizes",
    "merge_strides",
    "mlp_ratio",
    "mbconv_expand_ratio",
    "local_conv_size",
    "out_chans",
    "bn_eps",
    "ln_eps",
    "neck_ln_eps",
];

impl TinyVitConfig {
    /// Side of the image embedding in tokens.
    pub(super) fn grid(&self) -> usize {
        // The stem and each merge are 3 x 3 convolutions with padding 1: sides are rounded up.
        let stem = self.img_size.div_ceil(2).div_ceil(2);
        self.merge_strides.iter().fold(stem, |side, &stride| side.div_ceil(stride))
    }

    pub(super) fn validate(&self) -> Checked {
        let stages = self.embed_dims.len();
        require(
            stages >= 2
                && [self.depths.len(), self.num_heads.len(), self.window_sizes.len()] == [stages; 3]
                && self.merge_strides.len() == stages - 1,
            "every stage needs a width, depth, head count and window, and a merge stride between two stages",
        )?;
        for stage in 0..stages {
            width(self.embed_dims[stage], "a stage of the image encoder")?;
        }
        for stage in 1..stages {
            require(divides(self.num_heads[stage], self.embed_dims[stage]), "heads must divide the width")?;
            window(self.window_sizes[stage])?;
        }
        require(divides(2, self.embed_dims[0]), "the first width must be even")?;
        require(self.merge_strides.iter().all(|stride| (1..=2).contains(stride)), "merge strides are 1 or 2")
    }
}
