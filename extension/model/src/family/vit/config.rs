//! The sizes of a ViT.

use serde::{Deserialize, Serialize};

use crate::sizes::{Checked, divides, require, width, window};

/// ViT with windowed attention, some global blocks and decomposed relative positions (Li et al. 2022, ViTDet).
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(super) struct VitConfig {
    /// Side of the square input in pixels.
    pub(super) img_size: usize,
    pub(super) patch_size: usize,
    pub(super) embed_dim: usize,
    pub(super) num_heads: usize,
    pub(super) mlp_dim: usize,
    /// Window side in tokens of each block; `None` attends to the whole image.
    pub(super) windows: Vec<Option<usize>>,
    pub(super) out_chans: usize,
}

/// Keys that mean something in a `config`.
pub(super) const KEYS: &[&str] =
    &["img_size", "patch_size", "embed_dim", "num_heads", "mlp_dim", "windows", "out_chans"];

/// Largest patch in pixels: what the convolution over patches is made for.
const MAX_PATCH: usize = 16;

impl VitConfig {
    /// Side of the image embedding in tokens.
    pub(super) fn grid(&self) -> usize {
        self.img_size / self.patch_size
    }

    pub(super) fn validate(&self) -> Checked {
        width(self.embed_dim, "the image encoder")?;
        width(self.mlp_dim, "the image encoder's perceptron")?;
        require(divides(self.num_heads, self.embed_dim), "heads must divide the width")?;
        require(divides(self.patch_size, self.img_size), "patches must divide the input")?;
        let wide = format!("patches are {} pixels wide, and at most {MAX_PATCH} are supported", self.patch_size);
        require(self.patch_size <= MAX_PATCH, wide)?;
        self.windows.iter().flatten().try_for_each(|side| window(*side))
    }
}
