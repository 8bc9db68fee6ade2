//! Tensor names: every convention in use is translated to the names of Meta's and MobileSAM's code.
//!
//! Meta's `.pth`, MobileSAM's and TinySAM's `.pt` and candle's `.safetensors` share one convention; Hugging Face's
//! `SamModel` has another. The rules below are the inverse of the published conversion from the first to the second.

/// A naming convention of checkpoint files.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Convention {
    /// `image_encoder.*`, possibly below a prefix such as `module.` that a wrapper added.
    Meta { prefix: String },
    /// `vision_encoder.*`, possibly below a prefix.
    HuggingFace { prefix: String },
}

/// Prefix in Hugging Face's names -> prefix in Meta's; the first match is taken.
const HUGGING_FACE_PREFIXES: &[(&str, &str)] = &[
    ("shared_image_embedding.positional_embedding", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    ("vision_encoder.patch_embed.projection.", "image_encoder.patch_embed.proj."),
    ("vision_encoder.layers.", "image_encoder.blocks."),
    ("vision_encoder.neck.conv1.", "image_encoder.neck.0."),
    ("vision_encoder.neck.layer_norm1.", "image_encoder.neck.1."),
    ("vision_encoder.neck.conv2.", "image_encoder.neck.2."),
    ("vision_encoder.neck.layer_norm2.", "image_encoder.neck.3."),
    ("vision_encoder.", "image_encoder."),
    ("prompt_encoder.point_embed.", "prompt_encoder.point_embeddings."),
    ("prompt_encoder.mask_embed.conv1.", "prompt_encoder.mask_downscaling.0."),
    ("prompt_encoder.mask_embed.layer_norm1.", "prompt_encoder.mask_downscaling.1."),
    ("prompt_encoder.mask_embed.conv2.", "prompt_encoder.mask_downscaling.3."),
    ("prompt_encoder.mask_embed.layer_norm2.", "prompt_encoder.mask_downscaling.4."),
    ("prompt_encoder.mask_embed.conv3.", "prompt_encoder.mask_downscaling.6."),
    ("mask_decoder.upscale_conv1.", "mask_decoder.output_upscaling.0."),
    ("mask_decoder.upscale_layer_norm.", "mask_decoder.output_upscaling.1."),
    ("mask_decoder.upscale_conv2.", "mask_decoder.output_upscaling.3."),
];

/// The same matrix as `shared_image_embedding`, stored twice by some versions of the library.
const HUGGING_FACE_DUPLICATE: &str = "prompt_encoder.shared_embedding.positional_embedding";

impl Convention {
    /// Recognises the convention by the image encoder's names.
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Self {
        let prefix_before = |marker: &str| {
            names.clone().find_map(|name| {
                let at = name.find(marker)?;
                (at == 0 || name[..at].ends_with('.')).then(|| name[..at].to_owned())
            })
        };
        match prefix_before("vision_encoder.") {
            Some(prefix) => Self::HuggingFace { prefix },
            None => Self::Meta { prefix: prefix_before("image_encoder.").unwrap_or_default() },
        }
    }

    /// Meta's name of the tensor; `None` for a tensor that repeats another one.
    pub(crate) fn canonical(&self, name: &str) -> Option<String> {
        match self {
            Self::Meta { prefix } => Some(name.strip_prefix(prefix.as_str()).unwrap_or(name).to_owned()),
            Self::HuggingFace { prefix } => {
                let name = name.strip_prefix(prefix.as_str()).unwrap_or(name);
                (name != HUGGING_FACE_DUPLICATE).then(|| from_hugging_face(name))
            }
        }
    }
}

fn from_hugging_face(name: &str) -> String {
    let renamed = HUGGING_FACE_PREFIXES
        .iter()
        .find_map(|(theirs, ours)| name.strip_prefix(theirs).map(|rest| format!("{ours}{rest}")))
        .unwrap_or_else(|| name.to_owned());
    let renamed = renamed.replace(".layer_norm", ".norm");
    // A perceptron's layers are counted here and called by their role there.
    match renamed.rsplit_once(".proj_in.") {
        Some((head, leaf)) => return format!("{head}.layers.0.{leaf}"),
        None => {
            if let Some((head, leaf)) = renamed.rsplit_once(".proj_out.") {
                return format!("{head}.layers.2.{leaf}");
            }
        }
    }
    let perceptron = renamed.contains("output_hypernetworks_mlps.") || renamed.contains("iou_prediction_head.");
    if perceptron { renamed.replacen(".layers.0.", ".layers.1.", 1) } else { renamed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn translates_hugging_face_names() {
        let convention = Convention::of(["x", "vision_encoder.pos_embed"].into_iter());
        for (theirs, ours) in [
            ("vision_encoder.layers.3.layer_norm1.weight", "image_encoder.blocks.3.norm1.weight"),
            ("vision_encoder.layers.3.attn.rel_pos_h", "image_encoder.blocks.3.attn.rel_pos_h"),
            ("vision_encoder.patch_embed.projection.bias", "image_encoder.patch_embed.proj.bias"),
            ("vision_encoder.pos_embed", "image_encoder.pos_embed"),
            ("vision_encoder.neck.layer_norm2.bias", "image_encoder.neck.3.bias"),
            (
                "shared_image_embedding.positional_embedding",
                "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
            ),
            ("prompt_encoder.point_embed.2.weight", "prompt_encoder.point_embeddings.2.weight"),
            ("prompt_encoder.mask_embed.layer_norm2.weight", "prompt_encoder.mask_downscaling.4.weight"),
            ("mask_decoder.transformer.layers.1.layer_norm4.bias", "mask_decoder.transformer.layers.1.norm4.bias"),
            ("mask_decoder.transformer.layer_norm_final_attn.bias", "mask_decoder.transformer.norm_final_attn.bias"),
            ("mask_decoder.transformer.layers.0.mlp.lin1.weight", "mask_decoder.transformer.layers.0.mlp.lin1.weight"),
            ("mask_decoder.upscale_layer_norm.weight", "mask_decoder.output_upscaling.1.weight"),
            ("mask_decoder.iou_prediction_head.layers.0.bias", "mask_decoder.iou_prediction_head.layers.1.bias"),
            ("mask_decoder.iou_prediction_head.proj_out.bias", "mask_decoder.iou_prediction_head.layers.2.bias"),
            (
                "mask_decoder.output_hypernetworks_mlps.3.proj_in.weight",
                "mask_decoder.output_hypernetworks_mlps.3.layers.0.weight",
            ),
            (
                "mask_decoder.output_hypernetworks_mlps.3.layers.0.weight",
                "mask_decoder.output_hypernetworks_mlps.3.layers.1.weight",
            ),
        ] {
            assert_eq!(convention.canonical(theirs).as_deref(), Some(ours), "{theirs}");
        }
        assert_eq!(convention.canonical(HUGGING_FACE_DUPLICATE), None);
    }

    #[test]
    fn strips_wrapper_prefixes_and_keeps_metas_names() {
        let convention = Convention::of(["module.image_encoder.pos_embed", "module.mask_decoder.x"].into_iter());
        assert_eq!(convention, Convention::Meta { prefix: "module.".into() });
        assert_eq!(
            convention.canonical("module.mask_decoder.iou_token.weight").unwrap(),
            "mask_decoder.iou_token.weight"
        );
        let plain = Convention::of(["image_encoder.pos_embed"].into_iter());
        let name = "mask_decoder.iou_prediction_head.layers.0.bias";
        assert_eq!(plain.canonical(name).unwrap(), name);
    }
}
