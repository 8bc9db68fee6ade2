//! Tensor names: every convention in use is translated to the names of Meta's and MobileSAM's code.
//!
//! Meta's `.pth`, MobileSAM's and TinySAM's `.pt` and candle's `.safetensors` share one convention; Hugging Face's
//! `SamModel` has another. The rules below are the inverse of the published conversion from the first to the second.

use std::collections::{BTreeMap, BTreeSet};

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

/// Components that wrappers of PyTorch put into names, wherever they wrap.
const WRAPPERS: &[&str] =
    &["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"];

/// The parts of a network, as components of names; both conventions' encoders count as one.
const PARTS: &[(&str, u8)] = &[
    ("image_encoder", 1),
    ("vision_encoder", 1),
    ("prompt_encoder", 2),
    ("mask_decoder", 4),
    ("shared_image_embedding", 0),
];

/// Words in the prefix of a copy that training keeps beside the network.
const COPIES: &[&str] = &["ema", "swa", "shadow", "averaged"];

/// A file's tensors that are the network's.
#[derive(Debug, PartialEq)]
pub(crate) struct Network {
    /// Meta's name of each tensor of the network, and its place in the list of names.
    pub(crate) tensors: Vec<(String, usize)>,
    /// Places of the tensors that lie outside the network's prefix.
    pub(crate) outside: Vec<usize>,
    /// What is before the names of the network.
    pub(crate) prefix: String,
}

/// A name without what wrappers add to it.
pub(crate) fn unwrapped(name: &str) -> String {
    name.split('.').filter(|part| !WRAPPERS.contains(part)).collect::<Vec<_>>().join(".")
}

/// What is before the first component that names a part of a network, and the part.
fn split(name: &str) -> Option<(&str, u8)> {
    let mut at = 0;
    for component in name.split('.') {
        if let Some((_, part)) = PARTS.iter().find(|(known, _)| *known == component) {
            return Some((&name[..at], *part));
        }
        at += component.len() + 1;
    }
    None
}

/// Finds the network among the tensors of a file: the prefix below which there are an image encoder, a prompt encoder
/// and a mask decoder. What is outside it is none of its business: optimizers, losses, metrics, averaged copies.
///
/// Where no prefix has all three, everything is taken for the network, so that what is missing can be named. `same`
/// tells whether the tensors at two places are one and the same.
///
/// # Errors
/// Two networks that are not the same, by their prefixes; two tensors that claim one name.
pub(crate) fn network(raw: &[&str], same: impl Fn(usize, usize) -> bool) -> Result<Network, String> {
    let names: Vec<String> = raw.iter().map(|name| unwrapped(name)).collect();
    let mut parts: BTreeMap<&str, u8> = BTreeMap::new();
    for (prefix, part) in names.iter().filter_map(|name| split(name)) {
        *parts.entry(prefix).or_default() |= part;
    }
    let whole: Vec<&str> = parts.iter().filter(|(_, parts)| **parts == 7).map(|(prefix, _)| *prefix).collect();
    let members = |prefix: &str| -> BTreeMap<&str, usize> {
        let inside = |place: &usize| split(&names[*place]).is_some_and(|(before, _)| before == prefix);
        (0..names.len()).filter(inside).map(|place| (&names[place][prefix.len()..], place)).collect()
    };
    let chosen = choose(&whole, members, &same)?;
    let prefix = chosen.or(parts.keys().next().copied()).unwrap_or_default();
    // What lies below the prefix, as the file writes it: a wrapper's `module.` keeps apart what is beside it.
    let written: BTreeSet<&str> = (0..names.len())
        .filter(|place| split(&names[*place]).is_some_and(|(before, _)| before == prefix))
        .filter_map(|place| Some(split(raw[place])?.0))
        .collect();
    let others: Vec<&str> = whole.iter().copied().filter(|other| *other != prefix).collect();
    let is_inside = |place: &usize| {
        let name = names[*place].as_str();
        let nested = others.iter().any(|other| other.starts_with(prefix) && name.starts_with(other));
        chosen.is_none() || written.iter().any(|written| raw[*place].starts_with(written)) && !nested
    };
    let (inside, outside): (Vec<usize>, Vec<usize>) = (0..names.len()).partition(is_inside);

    let rest = |place: usize| names[place].strip_prefix(prefix).unwrap_or(&names[place]);
    let is_theirs = inside.iter().any(|place| rest(*place).starts_with("vision_encoder."));
    let mut tensors: BTreeMap<String, usize> = BTreeMap::new();
    for place in inside {
        let name = match rest(place) {
            HUGGING_FACE_DUPLICATE if is_theirs => continue,
            name if is_theirs => from_hugging_face(name),
            name => name.to_owned(),
        };
        if let Some(other) = tensors.insert(name.clone(), place)
            && !same(other, place)
        {
            return Err(format!("tensors '{}' and '{}' both stand for '{name}'", raw[other], raw[place]));
        }
    }
    let prefix = prefix.to_owned();
    Ok(Network { tensors: tensors.into_iter().collect(), outside, prefix })
}

/// Of the prefixes of whole networks the one that is meant: not that of a copy, and no other than all others if they
/// hold one and the same network.
fn choose<'a, 'm>(
    whole: &[&'a str],
    members: impl Fn(&str) -> BTreeMap<&'m str, usize>,
    same: impl Fn(usize, usize) -> bool,
) -> Result<Option<&'a str>, String> {
    let is_copy = |prefix: &str| prefix.split(['.', '_']).any(|word| COPIES.contains(&word.to_lowercase().as_str()));
    let mut candidates: Vec<&str> = whole.iter().copied().filter(|prefix| !is_copy(prefix)).collect();
    if candidates.is_empty() {
        candidates = whole.to_vec();
    }
    let Some((first, others)) = candidates.split_first() else { return Ok(None) };
    let ours = members(first);
    let differs = |other: &&&str| {
        let theirs = members(other);
        theirs.len() != ours.len() || ours.iter().zip(&theirs).any(|(a, b)| a.0 != b.0 || !same(*a.1, *b.1))
    };
    match others.iter().find(differs) {
        None => Ok(Some(first)),
        Some(other) => Err(format!(
            "it holds two networks, below '{first}' and below '{other}'; save the one that is wanted alone, as a state \
             dictionary"
        )),
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

    fn distinct(names: &[&str]) -> Result<Network, String> {
        network(names, |_, _| false)
    }

    /// A network of three tensors below `prefix`.
    fn three(prefix: &str) -> Vec<String> {
        ["image_encoder.a", "prompt_encoder.b", "mask_decoder.c"].map(|name| format!("{prefix}{name}")).into()
    }

    fn found(names: &[String]) -> Network {
        distinct(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap()
    }

    fn canonical(network: &Network) -> Vec<&str> {
        network.tensors.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn translates_hugging_face_names() {
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
            assert_eq!(from_hugging_face(theirs), ours, "{theirs}");
        }
        let names = ["vision_encoder.layers.0.x", "prompt_encoder.b", "mask_decoder.c", HUGGING_FACE_DUPLICATE];
        assert_eq!(
            canonical(&distinct(&names).unwrap()),
            ["image_encoder.blocks.0.x", "mask_decoder.c", "prompt_encoder.b"]
        );
    }

    #[test]
    fn finds_the_network_below_any_prefix() {
        for prefix in ["", "module.", "model.", "state_dict.model.sam.", "x.0.net.module.", "_orig_mod.", "ema_model."]
        {
            assert_eq!(
                canonical(&found(&three(prefix))),
                ["image_encoder.a", "mask_decoder.c", "prompt_encoder.b"],
                "{prefix}"
            );
        }
        let names = ["image_encoder._orig_mod.a", "mask_decoder.module.c", "prompt_encoder.b"];
        assert_eq!(canonical(&distinct(&names).unwrap()), ["image_encoder.a", "mask_decoder.c", "prompt_encoder.b"]);
        let metas = "mask_decoder.iou_prediction_head.layers.0.bias";
        assert_eq!(canonical(&distinct(&[metas]).unwrap()), [metas]);
    }

    #[test]
    fn what_is_outside_is_left_out() {
        let mut names = three("state_dict.model.");
        names.extend(
            ["state_dict.criterion.weight", "optimizer.state.0.exp_avg", "state_dict.model.extra"].map(String::from),
        );
        names.extend(three("state_dict.ema_model."));
        let network = found(&names);
        assert_eq!((network.prefix.as_str(), network.tensors.len()), ("state_dict.model.", 4));
        assert_eq!(network.outside, [3, 4, 6, 7, 8]);
        // A copy inside the network's own namespace.
        let network = found(&[three(""), three("ema.")].concat());
        assert_eq!((network.tensors.len(), network.outside.len()), (3, 3));
    }

    #[test]
    fn two_networks_are_refused_unless_they_are_one() {
        let both = [three("student."), three("other.")].concat();
        let names: Vec<&str> = both.iter().map(String::as_str).collect();
        let text = distinct(&names).unwrap_err();
        assert!(text.starts_with("it holds two networks, below 'other.' and below 'student.'"), "{text}");
        assert_eq!(network(&names, |_, _| true).unwrap().tensors.len(), 3);
        let names = ["module.image_encoder.a", "module.prompt_encoder.b", "module.mask_decoder.c", "rng_state"];
        assert_eq!(distinct(&names).unwrap().outside, [3]);
        let text = distinct(&["mask_decoder.c", "module.mask_decoder.c"]).unwrap_err();
        assert!(text.ends_with("both stand for 'mask_decoder.c'"), "{text}");
    }
}
