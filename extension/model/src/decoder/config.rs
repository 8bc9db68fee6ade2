//! The sizes of a prompt encoder and mask decoder.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::shapes::Shapes;
use crate::sizes::{Checked, divides, require, width};

/// Prompt encoder and mask decoder.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(crate) struct DecoderConfig {
    pub(crate) transformer_dim: usize,
    pub(crate) depth: usize,
    pub(crate) num_heads: usize,
    pub(crate) mlp_dim: usize,
    pub(crate) attention_downsample_rate: usize,
    pub(crate) num_multimask_outputs: usize,
    pub(crate) iou_head_depth: usize,
    pub(crate) iou_head_hidden_dim: usize,
}

/// Keys of `mask_decoder` in a `config`.
pub(crate) const KEYS: &[&str] = &[
    "transformer_dim",
    "depth",
    "num_heads",
    "mlp_dim",
    "attention_downsample_rate",
    "num_multimask_outputs",
    "iou_head_depth",
    "iou_head_hidden_dim",
    "ln_eps",
    "upscale_ln_eps",
];

/// Channels of a head in every published SAM; heads leave no trace in the shapes.
pub(crate) const HEAD: usize = 32;

/// Width of the decoder of every published SAM.
pub(crate) const WIDTH: usize = 256;

impl DecoderConfig {
    /// A decoder as published ones are, of this width.
    pub(crate) fn sam(width: usize, mlp_dim: usize) -> Self {
        Self {
            transformer_dim: width,
            depth: 2,
            num_heads: width / HEAD,
            mlp_dim,
            attention_downsample_rate: 2,
            num_multimask_outputs: 3,
            iou_head_depth: 3,
            iou_head_hidden_dim: width,
        }
    }

    /// Masks that it gives: a single one, and the candidates for ambiguous prompts.
    pub(crate) fn masks(&self) -> usize {
        self.num_multimask_outputs + 1
    }

    /// Widths of the layers of the perceptron that makes the weights of a mask.
    pub(crate) fn hypernetwork(&self) -> [usize; 4] {
        let width = self.transformer_dim;
        [width, width, width, width / 8]
    }

    /// Widths of the layers of the perceptron that predicts the IoUs of the masks.
    pub(crate) fn iou_head(&self) -> Vec<usize> {
        let mut widths = vec![self.iou_head_hidden_dim; self.iou_head_depth + 1];
        widths[0] = self.transformer_dim;
        widths[self.iou_head_depth] = self.masks();
        widths
    }

    /// The decoder whose tensors have these shapes.
    ///
    /// # Errors
    /// A missing tensor.
    pub(crate) fn from_shapes(shapes: &Shapes) -> Result<Self> {
        let [_, transformer_dim] = shapes.shape::<2>("mask_decoder.iou_token.weight")?;
        let [mask_tokens, _] = shapes.shape::<2>("mask_decoder.mask_tokens.weight")?;
        let layer = "mask_decoder.transformer.layers.0";
        let stated = shapes.stated().hugging_face.as_ref();
        let [inner, _] = shapes.shape::<2>(&format!("{layer}.cross_attn_token_to_image.q_proj.weight"))?;
        Ok(Self {
            transformer_dim,
            depth: shapes.count("mask_decoder.transformer.layers."),
            num_heads: stated
                .and_then(|theirs| theirs.mask_decoder_config.num_attention_heads)
                .unwrap_or(transformer_dim / HEAD),
            mlp_dim: shapes.shape::<2>(&format!("{layer}.mlp.lin1.weight"))?[0],
            attention_downsample_rate: transformer_dim.checked_div(inner).unwrap_or(0),
            num_multimask_outputs: mask_tokens.saturating_sub(1),
            iou_head_depth: shapes.count("mask_decoder.iou_prediction_head.layers."),
            iou_head_hidden_dim: shapes.shape::<2>("mask_decoder.iou_prediction_head.layers.0.weight")?[0],
        })
    }

    /// Relations between sizes that the decoder relies on.
    ///
    /// # Errors
    /// The first that does not hold.
    pub(crate) fn validate(&self) -> Checked {
        width(self.transformer_dim, "the decoder")?;
        width(self.mlp_dim, "the decoder's perceptron")?;
        width(self.iou_head_hidden_dim, "the head of predicted IoUs")?;
        require(divides(8, self.transformer_dim), "the decoder's width must be a multiple of 8")?;
        require(
            divides(self.attention_downsample_rate, self.transformer_dim)
                && divides(self.num_heads, self.transformer_dim / self.attention_downsample_rate),
            "the decoder's heads must divide its width",
        )?;
        require(self.num_heads <= 16, "the decoder can have at most 16 heads")?;
        require((1..=16).contains(&self.num_multimask_outputs), "1 to 16 multimask outputs are supported")?;
        require(
            (1..=64).contains(&self.iou_head_depth) && (1..=64).contains(&self.depth),
            "the decoder and its head of predicted IoUs need 1 to 64 layers",
        )
    }
}
