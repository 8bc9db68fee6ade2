//! (API skeleton; being written)
use crate::{Prediction, Prompt, Result};
use sam_imaging::RgbImage;
use std::path::{Path, PathBuf};

/// What a checkpoint says about itself.
#[derive(Debug, Clone)]
pub struct ModelInfo {
    /// `nano`, or the file's name without its extension.
    pub name: String,
    /// The checkpoint file; `None` for the built-in model.
    pub path: Option<PathBuf>,
    /// `tiny_vit` (MobileSAM, TinySAM, nano) or `vit` (SAM B, L, H).
    pub architecture: String,
    /// Longest side, in pixels, that pictures are resized to.
    pub image_size: usize,
    /// Sides of the image embedding: channels, rows, columns.
    pub embedding_shape: [usize; 3],
    /// Side of the low-resolution mask logits.
    pub mask_size: usize,
    /// Number of weights used by the network.
    pub parameters: u64,
    /// Bytes of the weights as stored.
    pub bytes: u64,
    /// SPDX licence of the weights, if the file states it.
    pub license: Option<String>,
}

/// A loaded model; immutable, shared by all threads.
pub struct Model {}

/// A picture as the mask decoder sees it.
pub struct Embedding {}

impl Model {
    /// The built-in model.
    pub fn nano() -> Result<Self> {
        todo!()
    }
    /// Opens a `.safetensors`, `.pt` or `.pth` checkpoint.
    pub fn open(_path: &Path) -> Result<Self> {
        todo!()
    }
    /// What the checkpoint says about itself.
    pub fn info(&self) -> &ModelInfo {
        todo!()
    }
    /// SHA-256 of the checkpoint file in lower-case hex; computed once, on first use.
    pub fn sha256(&self) -> Result<&str> {
        todo!()
    }
    /// Runs the image encoder.
    pub fn embed(&self, _image: &RgbImage) -> Result<Embedding> {
        todo!()
    }
    /// Runs the prompt encoder and the mask decoder.
    pub fn predict(&self, _embedding: &Embedding, _prompt: &Prompt) -> Result<Prediction> {
        todo!()
    }
}

impl Embedding {
    /// Width and height of the picture, in pixels.
    pub fn original_size(&self) -> (usize, usize) {
        todo!()
    }
}
