//! Sizes of a network, read from a checkpoint's tensor names and shapes, or from the `config` metadata that a file
//! may carry for what its shapes do not show (input size, merge strides, decoder heads).

use serde::Deserialize;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::generate::Thresholds;

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
    /// SPDX identifier of the weights' licence.
    pub(crate) license: Option<String>,
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

fn pixel_mean() -> [f32; 3] {
    [123.675, 116.28, 103.53]
}

fn pixel_std() -> [f32; 3] {
    [58.395, 57.12, 57.375]
}

/// Widest layer: what no published model comes near.
const MAX_WIDTH: usize = 1 << 16;

/// Widest window in tokens. One of 256 x 256 has 65,536 keys for each query.
const MAX_WINDOW: usize = 256;

/// Largest patch in pixels: what the convolution over patches is made for.
const MAX_PATCH: usize = 16;

/// Channels of a decoder head in every published SAM; heads leave no trace in the shapes.
const DECODER_HEAD_DIM: usize = 32;

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
    /// The sizes of the network in `checkpoint`.
    ///
    /// # Errors
    /// An architecture error that says why the file is no Segment Anything model of a known family.
    pub(crate) fn of(checkpoint: &Checkpoint) -> Result<Self> {
        if let Some(text) = checkpoint.metadata("config") {
            let config: Self = serde_json::from_str(text).map_err(|error| {
                checkpoint.architecture_error(format!("its 'config' metadata cannot be understood: {error}"))
            })?;
            return config.validate(checkpoint);
        }
        refuse_other_models(checkpoint)?;
        let shapes = Shapes(checkpoint);
        let image_encoder = if shapes.has("image_encoder.pos_embed") {
            EncoderConfig::Vit(shapes.vit()?)
        } else if shapes.has("image_encoder.patch_embed.seq.0.c.weight") {
            EncoderConfig::TinyVit(shapes.tiny_vit()?)
        } else {
            return Err(checkpoint.architecture_error(
                "its image encoder is neither TinyViT (MobileSAM, TinySAM) nor ViT (SAM B, L, H)".into(),
            ));
        };
        let config = Self {
            image_encoder,
            mask_decoder: shapes.decoder()?,
            pixel_mean: pixel_mean(),
            pixel_std: pixel_std(),
            mask_generator: Thresholds::default(),
            license: checkpoint.metadata("license").map(str::to_owned),
        };
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
                require(encoder.embed_dims[0].is_multiple_of(2), "the first width must be even")?;
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

/// Reads sizes off the shapes of a checkpoint.
struct Shapes<'a>(&'a Checkpoint);

impl Shapes<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.shape(name).is_some()
    }

    /// The tensor's shape, which must have `N` dimensions.
    fn shape<const N: usize>(&self, name: &str) -> Result<[usize; N]> {
        let shape =
            self.0.shape(name).ok_or_else(|| self.0.architecture_error(format!("tensor '{name}' is missing")))?;
        shape.try_into().map_err(|_| {
            self.0.architecture_error(format!("tensor '{name}' has shape {shape:?}, expected {N} dimensions"))
        })
    }

    /// How many of `prefix0.`, `prefix1.`, ... there are.
    fn count(&self, prefix: &str) -> usize {
        (0..).take_while(|index| self.0.names().any(|name| name.starts_with(&format!("{prefix}{index}.")))).count()
    }

    fn tiny_vit(&self) -> Result<TinyVitConfig> {
        let stages = self.count("image_encoder.layers.");
        let mut config = TinyVitConfig {
            img_size: 1024, // not in the shapes; MobileSAM's and TinySAM's
            embed_dims: vec![self.shape::<4>("image_encoder.patch_embed.seq.2.c.weight")?[0]],
            depths: vec![],
            num_heads: vec![],
            window_sizes: vec![],
            merge_strides: vec![],
            out_chans: self.shape::<4>("image_encoder.neck.0.weight")?[0],
        };
        for stage in 0..stages {
            let layer = format!("image_encoder.layers.{stage}");
            config.depths.push(self.count(&format!("{layer}.blocks.")));
            let (heads, window) = if stage == 0 {
                (1, 1)
            } else {
                let name = format!("{layer}.blocks.0.attn.attention_biases");
                let [heads, offsets] = self.shape::<2>(&name)?;
                let window = offsets.isqrt();
                if window * window != offsets {
                    return Err(self.0.architecture_error(format!("tensor '{name}' has {offsets} offsets, no square")));
                }
                (heads, window)
            };
            config.num_heads.push(heads);
            config.window_sizes.push(window);
            if stage + 1 < stages {
                let [width, ..] = self.shape::<4>(&format!("{layer}.downsample.conv1.c.weight"))?;
                config.embed_dims.push(width);
                // TinyViT's rule for dense prediction: the merges into its last widths keep the resolution.
                config.merge_strides.push(if matches!(width, 320 | 448 | 576) { 1 } else { 2 });
            }
        }
        Ok(config)
    }

    fn vit(&self) -> Result<VitConfig> {
        let [embed_dim, _, patch_size, _] = self.shape::<4>("image_encoder.patch_embed.proj.weight")?;
        let [_, grid, _, _] = self.shape::<4>("image_encoder.pos_embed")?;
        let blocks = self.count("image_encoder.blocks.");
        let [positions, head_dim] = self.shape::<2>("image_encoder.blocks.0.attn.rel_pos_h")?;
        let window_of = |positions: usize| if positions == 2 * grid - 1 { None } else { Some(positions.div_ceil(2)) };
        let mut windows = vec![window_of(positions)];
        for block in 1..blocks {
            let [positions, _] = self.shape::<2>(&format!("image_encoder.blocks.{block}.attn.rel_pos_h"))?;
            windows.push(window_of(positions));
        }
        Ok(VitConfig {
            img_size: grid * patch_size,
            patch_size,
            embed_dim,
            num_heads: embed_dim.checked_div(head_dim).unwrap_or(0),
            mlp_dim: self.shape::<2>("image_encoder.blocks.0.mlp.lin1.weight")?[0],
            windows,
            out_chans: self.shape::<4>("image_encoder.neck.0.weight")?[0],
        })
    }

    fn decoder(&self) -> Result<DecoderConfig> {
        let [_, transformer_dim] = self.shape::<2>("mask_decoder.iou_token.weight")?;
        let [mask_tokens, _] = self.shape::<2>("mask_decoder.mask_tokens.weight")?;
        let layer = "mask_decoder.transformer.layers.0";
        let [inner, _] = self.shape::<2>(&format!("{layer}.cross_attn_token_to_image.q_proj.weight"))?;
        Ok(DecoderConfig {
            transformer_dim,
            depth: self.count("mask_decoder.transformer.layers."),
            num_heads: transformer_dim / DECODER_HEAD_DIM,
            mlp_dim: self.shape::<2>(&format!("{layer}.mlp.lin1.weight"))?[0],
            attention_downsample_rate: transformer_dim.checked_div(inner).unwrap_or(0),
            num_multimask_outputs: mask_tokens.saturating_sub(1),
            iou_head_depth: self.count("mask_decoder.iou_prediction_head.layers."),
            iou_head_hidden_dim: self.shape::<2>("mask_decoder.iou_prediction_head.layers.0.weight")?[0],
        })
    }
}
