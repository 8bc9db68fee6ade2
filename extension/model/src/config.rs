//! Sizes of a network: what a file says of itself in its `config` metadata or what is stated beside it, else what the
//! names and shapes of its tensors tell (see [`crate::shapes`]).

use serde::Deserialize;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::generate::Thresholds;
use crate::guide::{Guided, Upsampling};
use crate::shapes;

/// Everything needed to build a network.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Config {
    pub(crate) image_encoder: EncoderConfig,
    pub(crate) mask_decoder: DecoderConfig,
    /// Mean of each colour channel, 0..255.
    #[serde(default = "pixel_mean")]
    pub(crate) pixel_mean: [f32; 3],
    /// Standard deviation of each colour channel.
    #[serde(default = "pixel_std")]
    pub(crate) pixel_std: [f32; 3],
    /// What the mask generator takes as good enough.
    #[serde(default)]
    pub(crate) mask_generator: Thresholds,
    /// How masks are brought to the picture's size; `None` is bilinear, as in SAM.
    pub(crate) upsampling: Option<Upsampling>,
    /// SPDX identifier of the weights' licence.
    pub(crate) license: Option<String>,
    /// What was taken for granted, in words.
    #[serde(skip)]
    pub(crate) notes: Vec<String>,
}

/// The image encoders.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum EncoderConfig {
    /// MobileSAM, TinySAM, nano.
    TinyVit(TinyVitConfig),
    /// SAM B, L and H.
    Vit(VitConfig),
}

/// TinyViT (Wu et al. 2022) as MobileSAM uses it: four stages, the first of inverted bottlenecks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct TinyVitConfig {
    /// Side of the square input in pixels.
    pub(crate) img_size: usize,
    pub(crate) embed_dims: Vec<usize>,
    pub(crate) depths: Vec<usize>,
    /// Heads per stage; the first is unused.
    pub(crate) num_heads: Vec<usize>,
    /// Window side per stage in tokens; the first is unused.
    pub(crate) window_sizes: Vec<usize>,
    /// Stride of the merge after each stage but the last.
    pub(crate) merge_strides: Vec<usize>,
    pub(crate) out_chans: usize,
}

/// ViT with windowed attention, some global blocks and decomposed relative positions (Li et al. 2022, ViTDet).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct VitConfig {
    /// Side of the square input in pixels.
    pub(crate) img_size: usize,
    pub(crate) patch_size: usize,
    pub(crate) embed_dim: usize,
    pub(crate) num_heads: usize,
    pub(crate) mlp_dim: usize,
    /// Window side in tokens of each block; `None` attends to the whole image.
    pub(crate) windows: Vec<Option<usize>>,
    pub(crate) out_chans: usize,
}

/// Prompt encoder and mask decoder.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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

/// Most rows of an image embedding: four times those of SAM.
const MAX_GRID: usize = 256;

/// The mean of SAM's colours.
pub(crate) fn pixel_mean() -> [f32; 3] {
    [123.675, 116.28, 103.53]
}

/// The standard deviation of SAM's colours.
pub(crate) fn pixel_std() -> [f32; 3] {
    [58.395, 57.12, 57.375]
}

/// Widest layer: what no published model comes near.
const MAX_WIDTH: usize = 1 << 16;

/// Widest window in tokens. One of 256 x 256 has 65,536 keys for each query.
const MAX_WINDOW: usize = 256;

/// Largest patch in pixels: what the convolution over patches is made for.
const MAX_PATCH: usize = 16;

impl EncoderConfig {
    /// Side of the square input in pixels.
    pub(crate) fn img_size(&self) -> usize {
        match self {
            Self::TinyVit(config) => config.img_size,
            Self::Vit(config) => config.img_size,
        }
    }

    /// Channels of the image embedding.
    pub(crate) fn out_chans(&self) -> usize {
        match self {
            Self::TinyVit(config) => config.out_chans,
            Self::Vit(config) => config.out_chans,
        }
    }

    /// Side of the image embedding in tokens.
    pub(crate) fn grid(&self) -> usize {
        match self {
            Self::TinyVit(config) => {
                // The stem and each merge are 3 x 3 convolutions with padding 1: sides are rounded up.
                let halve = |side: usize, stride: usize| side.div_ceil(stride);
                config
                    .merge_strides
                    .iter()
                    .fold(halve(halve(config.img_size, 2), 2), |side, &stride| halve(side, stride))
            }
            Self::Vit(config) => config.img_size / config.patch_size,
        }
    }

    /// Name of the family.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::TinyVit(_) => "tiny_vit",
            Self::Vit(_) => "vit",
        }
    }
}

impl Config {
    /// The network in `checkpoint`: from what the file says of itself or what is stated beside it; else from the shapes
    /// of its tensors, if they tell enough.
    ///
    /// # Errors
    /// An architecture error that says why the file is no Segment Anything model of a known family, what its shapes do
    /// not tell and how to state it, or which statements contradict each other.
    pub(crate) fn of(checkpoint: &Checkpoint) -> Result<Self> {
        refuse_other_models(checkpoint)?;
        refuse_integers(checkpoint)?;
        let stated = checkpoint.stated();
        let contradiction = |what: String| Err(checkpoint.architecture_error(what));
        let own = match checkpoint.metadata("config") {
            None => None,
            Some(text) => Some(serde_json::from_str::<Self>(text).map_err(|error| {
                checkpoint.architecture_error(format!("its 'config' metadata cannot be understood: {error}"))
            })?),
        };
        let mut config = match (&stated.config, own) {
            (Some(beside), Some(own)) if *beside != own => {
                return contradiction(format!("its own 'config' and that of '{}' differ", stated.name()));
            }
            (Some(config), _) => config.clone(),
            (None, Some(config)) => config,
            (None, None) => shapes::config(checkpoint)?,
        };
        if let Some(side) = stated.image_size
            && side != config.image_encoder.img_size()
        {
            return contradiction(format!(
                "'{}' states an image_size of {side}, but its weights are for {}",
                stated.name(),
                config.image_encoder.img_size()
            ));
        }
        let in_file = |name: &str, default| pixel_values(checkpoint, name).map(|values| values.unwrap_or(default));
        config.pixel_mean = in_file("pixel_mean", config.pixel_mean)?;
        config.pixel_std = in_file("pixel_std", config.pixel_std)?;
        config.pixel_mean = stated.pixel_mean.unwrap_or(config.pixel_mean);
        config.pixel_std = stated.pixel_std.unwrap_or(config.pixel_std);
        config.validate(checkpoint)
    }

    /// Relations between sizes that the network relies on (divisibility, equal widths, plausible magnitudes). What is
    /// accepted here, and has tensors of these sizes, runs: the kernels have no limits of their own beyond these.
    fn validate(self, checkpoint: &Checkpoint) -> Result<Self> {
        let require = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(checkpoint.architecture_error(format!("its sizes do not fit: {what}"))) }
        };
        let divides = |divisor: usize, value: usize| divisor > 0 && value > 0 && value.is_multiple_of(divisor);
        let width = |width: usize, whose: &str| {
            let what = format!("{whose} has {width} channels, and 1 to {MAX_WIDTH} are supported");
            require((1..=MAX_WIDTH).contains(&width), &what)
        };
        let window = |side: usize| {
            let what = format!("a window is {side} tokens wide, and 1 to {MAX_WINDOW} are supported");
            require((1..=MAX_WINDOW).contains(&side), &what)
        };
        let img_size = self.image_encoder.img_size();
        require((16..=8192).contains(&img_size), "the input side must lie between 16 and 8192 pixels")?;
        let is_number = |value: &f32| value.is_finite();
        require(self.pixel_mean.iter().all(is_number), "the mean of the colours must be finite")?;
        let is_scale = |value: &f32| value.is_finite() && *value > 0.0;
        require(self.pixel_std.iter().all(is_scale), "the standard deviation of the colours must be above 0")?;
        match &self.image_encoder {
            EncoderConfig::TinyVit(encoder) => {
                let stages = encoder.embed_dims.len();
                require(
                    stages >= 2
                        && [encoder.depths.len(), encoder.num_heads.len(), encoder.window_sizes.len()] == [stages; 3]
                        && encoder.merge_strides.len() == stages - 1,
                    "every stage needs a width, depth, head count and window, and a merge stride between two stages",
                )?;
                for stage in 0..stages {
                    width(encoder.embed_dims[stage], "a stage of the image encoder")?;
                }
                for stage in 1..stages {
                    require(
                        divides(encoder.num_heads[stage], encoder.embed_dims[stage]),
                        "heads must divide the width",
                    )?;
                    window(encoder.window_sizes[stage])?;
                }
                require(divides(2, encoder.embed_dims[0]), "the first width must be even")?;
                require(
                    encoder.merge_strides.iter().all(|stride| (1..=2).contains(stride)),
                    "merge strides are 1 or 2",
                )?;
            }
            EncoderConfig::Vit(encoder) => {
                width(encoder.embed_dim, "the image encoder")?;
                width(encoder.mlp_dim, "the image encoder's perceptron")?;
                require(divides(encoder.num_heads, encoder.embed_dim), "heads must divide the width")?;
                require(divides(encoder.patch_size, encoder.img_size), "patches must divide the input")?;
                require(
                    encoder.patch_size <= MAX_PATCH,
                    &format!("patches are {} pixels wide, and at most {MAX_PATCH} are supported", encoder.patch_size),
                )?;
                for side in encoder.windows.iter().flatten() {
                    window(*side)?;
                }
            }
        }
        // Masks have four times the embedding's side, and are enlarged to the input.
        let grid = self.image_encoder.grid();
        require((1..=MAX_GRID).contains(&grid), "the image embedding must have between 1 and 256 rows")?;
        require(
            4 * grid <= img_size,
            &format!("masks would be {} pixels wide, more than the input's {img_size}", 4 * grid),
        )?;
        let decoder = &self.mask_decoder;
        require(self.image_encoder.out_chans() == decoder.transformer_dim, "encoder and decoder widths differ")?;
        width(decoder.transformer_dim, "the decoder")?;
        width(decoder.mlp_dim, "the decoder's perceptron")?;
        width(decoder.iou_head_hidden_dim, "the head of predicted IoUs")?;
        require(divides(8, decoder.transformer_dim), "the decoder's width must be a multiple of 8")?;
        require(
            divides(decoder.attention_downsample_rate, decoder.transformer_dim)
                && divides(decoder.num_heads, decoder.transformer_dim / decoder.attention_downsample_rate),
            "the decoder's heads must divide its width",
        )?;
        require(decoder.num_heads <= 16, "the decoder can have at most 16 heads")?;
        require((1..=16).contains(&decoder.num_multimask_outputs), "1 to 16 multimask outputs are supported")?;
        require(
            (1..=64).contains(&decoder.iou_head_depth) && (1..=64).contains(&decoder.depth),
            "the decoder and its head of predicted IoUs need 1 to 64 layers",
        )?;
        let Thresholds { pred_iou_thresh, stability_score_thresh, box_nms_thresh } = self.mask_generator;
        require(
            [pred_iou_thresh, stability_score_thresh, box_nms_thresh].iter().all(|least| (0.0..=1.0).contains(least)),
            "thresholds of the mask generator lie between 0 and 1",
        )?;
        if let Some(Upsampling::Guided(Guided { radius, eps, clip })) = self.upsampling {
            require((1..=16).contains(&radius), "the radius of guided upsampling lies between 1 and 16")?;
            require(
                [eps, clip].iter().all(|value| (1e-6..=1e6).contains(value)),
                "eps and clip of guided upsampling lie between 1e-6 and 1e6",
            )?;
            require(
                img_size.is_multiple_of(2) && 4 * grid <= img_size / 2,
                "guided upsampling needs an even input side, at least twice that of the masks",
            )?;
        }
        Ok(self)
    }
}

/// Says what the file is, where it is a relative that cannot be run or no such model at all.
fn refuse_other_models(checkpoint: &Checkpoint) -> Result<()> {
    let has = |part: &str| checkpoint.names().any(|name| name.contains(part));
    let reason = if has("sam_mask_decoder") || has("memory_attention") {
        "it is a SAM 2 model, which is not supported; use SAM (B, L, H), MobileSAM or TinySAM".into()
    } else if has("mask_decoder.hf_token") {
        "it is a SAM-HQ model, which is not supported; use SAM (B, L, H), MobileSAM or TinySAM".into()
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
    let is_weight = |name: &&str| !crate::weights::is_unused(name) && checkpoint.unread_kind(name).is_some();
    let quantised: Vec<&str> = checkpoint.names().filter(is_weight).collect();
    let Some(first) = quantised.first() else { return Ok(()) };
    let kind = checkpoint.unread_kind(first).unwrap_or_default();
    Err(checkpoint.architecture_error(format!(
        "{} of its tensors are not floating point numbers (the first is '{first}', stored as {kind}): a quantised checkpoint \
         cannot be run; use the one that it was made from, in float32, float16 or bfloat16",
        quantised.len()
    )))
}

/// The three values of a colour constant that a file holds as a tensor, which `transformers` and some trainers write.
fn pixel_values(checkpoint: &Checkpoint, name: &str) -> Result<Option<[f32; 3]>> {
    let Some(shape) = checkpoint.shape(name).map(<[usize]>::to_vec) else { return Ok(None) };
    if shape.iter().try_fold(1usize, |count, side| count.checked_mul(*side)) != Some(3) {
        return Err(checkpoint.architecture_error(format!("tensor '{name}' has shape {shape:?}, expected 3 values")));
    }
    Ok(<[f32; 3]>::try_from(checkpoint.load(name, &shape)?).ok())
}

/// Keys of `config` by section. Those that the network does not read describe what is the same in all networks that can be
/// run, or are for people.
const KEYS: &[(&str, &[&str])] = &[
    (
        "",
        &[
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
        ],
    ),
    (
        "image_encoder",
        &[
            "type",
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
            "patch_size",
            "embed_dim",
            "mlp_dim",
            "windows",
        ],
    ),
    ("prompt_encoder", &["embed_dim", "mask_in_chans"]),
    (
        "mask_decoder",
        &[
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
        ],
    ),
];

/// The first key of a `config` that means nothing.
pub(crate) fn unknown_key(config: &serde_json::Value) -> Option<String> {
    KEYS.iter().find_map(|(section, known)| {
        let object = if section.is_empty() { config.as_object() } else { config.get(section)?.as_object() };
        object?.keys().find(|key| !known.contains(&key.as_str())).cloned()
    })
}
