//! Which network a checkpoint holds: what the file says of itself or what is stated beside it, else what the names and
//! shapes of its tensors tell.

use std::collections::BTreeSet;

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::decoder;
use crate::error::Result;
use crate::family;

/// Relatives of SAM that cannot be run: what the names of their tensors contain, and what they are called.
const RELATIVES: &[(&str, &str)] = &[
    ("sam_mask_decoder", "a SAM 2 model"),
    ("memory_attention", "a SAM 2 model"),
    ("mask_decoder.hf_token", "a SAM-HQ model"),
];

/// Tensors that published files carry but inference does not use: normalisation constants (which are read here), and
/// counters of PyTorch modules. A family knows more of its own.
const UNUSED: &[&str] = &["pixel_mean", "pixel_std"];
const UNUSED_LEAVES: &[&str] = &["num_batches_tracked", "n_averaged"];

/// Keys of `config` outside `image_encoder`. Those that the network does not read describe what is the same in all
/// networks that can be run, or are for people.
const KEYS: &[&str] = &[
    "format_version",
    "name",
    "image_encoder",
    "prompt_encoder",
    "mask_decoder",
    "pixel_mean",
    "pixel_std",
    "mask_threshold",
    "mask_generator",
    "upsampling",
    "license",
    "trained_on",
];
const PROMPT_ENCODER_KEYS: &[&str] = &["embed_dim", "mask_in_chans"];

/// The network in `checkpoint`: from what the file says of itself or what is stated beside it; else from the shapes of
/// its tensors, if they tell enough.
///
/// # Errors
/// An architecture error that says why the file is no Segment Anything model of a known family, what its shapes do
/// not tell and how to state it, or which statements contradict each other.
pub(crate) fn config(checkpoint: &Checkpoint) -> Result<Config> {
    let beside = stated_config(checkpoint)?;
    refuse_other_models(checkpoint)?;
    refuse_integers(checkpoint)?;
    let stated = checkpoint.stated();
    let contradiction = |what: String| Err(checkpoint.architecture_error(what));
    let own = match checkpoint.metadata("config") {
        None => None,
        Some(text) => Some(serde_json::from_str::<Config>(text).map_err(|error| {
            checkpoint.architecture_error(format!("its 'config' metadata cannot be understood: {error}"))
        })?),
    };
    let mut config = match (beside, own) {
        (Some(beside), Some(own)) if beside != own => {
            return contradiction(format!("its own 'config' and that of '{}' differ", stated.name()));
        }
        (Some(config), _) | (None, Some(config)) => config,
        (None, None) => family::guess(checkpoint)?,
    };
    let img_size = config.image_encoder.img_size();
    if let Some(side) = stated.image_size
        && side != img_size
    {
        let states = match stated.name() {
            name if name.is_empty() => format!("an image_size of {side} was asked for"),
            name => format!("'{name}' states an image_size of {side}"),
        };
        return contradiction(format!("{states}, but its weights are for {img_size}"));
    }
    let in_file = |name: &str, default| pixel_values(checkpoint, name).map(|values| values.unwrap_or(default));
    config.pixel_mean = in_file("pixel_mean", config.pixel_mean)?;
    config.pixel_std = in_file("pixel_std", config.pixel_std)?;
    config.pixel_mean = stated.pixel_mean.unwrap_or(config.pixel_mean);
    config.pixel_std = stated.pixel_std.unwrap_or(config.pixel_std);
    let unfit = |what| checkpoint.architecture_error(format!("its sizes do not fit: {what}"));
    config.validate().map_err(unfit)?;
    Ok(config)
}

/// The `config` in our own file beside the weights.
fn stated_config(checkpoint: &Checkpoint) -> Result<Option<Config>> {
    let Some(stated) = &checkpoint.stated().config else { return Ok(None) };
    if let Some(key) = unknown_key(&stated.value) {
        return Err(stated.refused(format!("the key '{key}' of 'config' is unknown")));
    }
    let config = serde_json::from_value(stated.value.clone());
    config.map(Some).map_err(|error| stated.refused(format!("its 'config': {error}")))
}

/// The first key of a `config` that means nothing.
fn unknown_key(config: &serde_json::Value) -> Option<String> {
    let unknown = |section: &serde_json::Value, known: &dyn Fn(&str) -> bool| {
        section.as_object()?.keys().find(|key| !known(key)).cloned()
    };
    let part = |name: &str, known: &dyn Fn(&str) -> bool| unknown(config.get(name)?, known);
    unknown(config, &|key| KEYS.contains(&key))
        .or_else(|| part("image_encoder", &family::is_key))
        .or_else(|| part("prompt_encoder", &|key| PROMPT_ENCODER_KEYS.contains(&key)))
        .or_else(|| part("mask_decoder", &|key| decoder::KEYS.contains(&key)))
}

/// Says what the file is, where it is a relative that cannot be run or no such model at all.
fn refuse_other_models(checkpoint: &Checkpoint) -> Result<()> {
    let has = |part: &str| checkpoint.names().any(|name| name.contains(part));
    let reason = if let Some((_, name)) = RELATIVES.iter().find(|(part, _)| has(part)) {
        format!("it is {name}, which is not supported; use SAM (B, L, H), MobileSAM or TinySAM")
    } else if !has("image_encoder.") || !has("mask_decoder.") || !has("prompt_encoder.") {
        let count = checkpoint.names().count();
        let first = checkpoint.names().next().unwrap_or_default();
        let missing = ["image_encoder", "prompt_encoder", "mask_decoder"]
            .into_iter()
            .filter(|part| !has(&format!("{part}.")))
            .collect::<Vec<_>>()
            .join(", ");
        format!("it has no {missing} among its {count} tensors (the first is '{first}')")
    } else {
        return Ok(());
    };
    Err(checkpoint.architecture_error(reason))
}

/// A quantised checkpoint, said once for the whole file.
fn refuse_integers(checkpoint: &Checkpoint) -> Result<()> {
    let is_weight = |name: &&str| !is_unused(name) && checkpoint.unread_kind(name).is_some();
    let quantised: Vec<&str> = checkpoint.names().filter(is_weight).collect();
    let Some(first) = quantised.first() else { return Ok(()) };
    let kind = checkpoint.unread_kind(first).unwrap_or_default();
    Err(checkpoint.architecture_error(format!(
        "{} of its tensors are not floating point numbers (the first is '{first}', stored as {kind}): a quantised checkpoint \
         cannot be run; use the one that it was made from, in float32, float16 or bfloat16",
        quantised.len()
    )))
}

/// Fails if the checkpoint has tensors that the network has no place for: running it without them would silently
/// give other masks than its authors' code. `taken` are those that the network has loaded.
pub(crate) fn refuse_leftovers(checkpoint: &Checkpoint, taken: &BTreeSet<String>) -> Result<()> {
    let left: Vec<&str> = checkpoint.names().filter(|name| !taken.contains(*name) && !is_unused(name)).collect();
    match left.first() {
        None => Ok(()),
        Some(first) => Err(checkpoint.architecture_error(format!(
            "it has {} tensors that this network has no place for (the first is '{first}')",
            left.len()
        ))),
    }
}

/// Whether a tensor is one that inference does not use.
pub(crate) fn is_unused(name: &str) -> bool {
    UNUSED.iter().any(|prefix| name.starts_with(prefix))
        || UNUSED_LEAVES.iter().any(|leaf| name.rsplit('.').next() == Some(leaf))
        || family::is_unused(name)
}

/// The three values of a colour constant that a file holds as a tensor, which `transformers` and some trainers write.
fn pixel_values(checkpoint: &Checkpoint, name: &str) -> Result<Option<[f32; 3]>> {
    let Some(shape) = checkpoint.shape(name).map(<[usize]>::to_vec) else { return Ok(None) };
    if shape.iter().try_fold(1usize, |count, side| count.checked_mul(*side)) != Some(3) {
        return Err(checkpoint.architecture_error(format!("tensor '{name}' has shape {shape:?}, expected 3 values")));
    }
    Ok(<[f32; 3]>::try_from(checkpoint.load(name, &shape)?).ok())
}
