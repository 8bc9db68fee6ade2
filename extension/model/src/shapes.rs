//! What the names and shapes of a checkpoint's tensors tell of its network, and what they do not.
//!
//! A ViT's shapes tell all but the heads of the decoder. A TinyViT's tell widths, depths, heads and windows, but neither
//! its input size nor the strides of its merges: these are known of published networks, which are recognised by
//! their sizes, and of no others.

use crate::checkpoint::{Checkpoint, HuggingFace};
use crate::config::{Config, DecoderConfig, EncoderConfig, TinyVitConfig, VitConfig, pixel_mean, pixel_std};
use crate::error::Result;
use crate::generate::Thresholds;

/// Channels of a decoder's head in every published SAM; heads leave no trace in the shapes.
const HEAD: usize = 32;

/// Width of the decoder of every published SAM.
const WIDTH: usize = 256;

/// The network of a checkpoint that carries no `config`.
///
/// # Errors
/// An architecture error: a missing tensor, or what cannot be told and how to state it.
pub(crate) fn config(checkpoint: &Checkpoint) -> Result<Config> {
    let shapes = Shapes(checkpoint);
    let license = checkpoint.metadata("license").map(str::to_owned);
    let decoder = shapes.decoder()?;
    if shapes.has("image_encoder.pos_embed") {
        let encoder = shapes.vit()?;
        if let Some(theirs) = &checkpoint.stated().hugging_face {
            shapes.compare(theirs, &encoder)?;
        }
        let mut notes = Vec::new();
        if decoder.transformer_dim != WIDTH && checkpoint.stated().hugging_face.is_none() {
            notes
                .push(format!("the decoder's heads are taken to have {HEAD} channels each, as in every published SAM"));
        }
        return Ok(Config {
            notes,
            image_encoder: EncoderConfig::Vit(encoder),
            mask_decoder: decoder,
            pixel_mean: pixel_mean(),
            pixel_std: pixel_std(),
            mask_generator: Thresholds::default(),
            upsampling: None,
            license,
        });
    }
    if !shapes.has("image_encoder.patch_embed.seq.0.c.weight") {
        return Err(checkpoint.architecture_error(
            "its image encoder is neither TinyViT (MobileSAM, TinySAM) nor ViT (SAM B, L, H)".into(),
        ));
    }
    let tiny = shapes.tiny_vit()?;
    let Some(mut config) = published().into_iter().find(|known| is_of(known, &tiny, &decoder)) else {
        return Err(checkpoint.architecture_error(format!(
            "its shapes (TinyViT of widths {:?}, depths {:?}, heads {:?}, windows {:?}, decoder of width {}) are not those of \
             MobileSAM, TinySAM or nano, and do not tell its input size, its merge strides and the heads of its decoder; \
             state them in '{}': {{\"config\": {{\"image_encoder\": {{\"type\": \"tiny_vit\", \"img_size\": ..., ...}}, \
             \"mask_decoder\": {{...}}}}}}, as the 'config' metadata of the built-in model has it",
            tiny.embed_dims,
            tiny.depths,
            tiny.num_heads,
            tiny.window_sizes,
            decoder.transformer_dim,
            checkpoint.stated_path().display()
        )));
    };
    // Stated beside the weights, or an attribute of a module that was saved whole.
    let side = checkpoint.stated().image_size.or(checkpoint.module_size());
    if let (EncoderConfig::TinyVit(encoder), Some(side)) = (&mut config.image_encoder, side) {
        encoder.img_size = side;
    }
    config.license = license;
    Ok(config)
}

/// The published networks whose shapes do not tell all.
fn published() -> Vec<Config> {
    let tiny = |img_size: usize, embed_dims: [usize; 4], depths: [usize; 4], num_heads, window_sizes, out_chans| {
        EncoderConfig::TinyVit(TinyVitConfig {
            img_size,
            embed_dims: embed_dims.into(),
            depths: depths.into(),
            num_heads,
            window_sizes,
            merge_strides: vec![2, 2, 1],
            out_chans,
        })
    };
    let config = |image_encoder, width: usize, mlp_dim, mask_generator| Config {
        image_encoder,
        mask_decoder: DecoderConfig {
            transformer_dim: width,
            depth: 2,
            num_heads: width / HEAD,
            mlp_dim,
            attention_downsample_rate: 2,
            num_multimask_outputs: 3,
            iou_head_depth: 3,
            iou_head_hidden_dim: width,
        },
        pixel_mean: pixel_mean(),
        pixel_std: pixel_std(),
        mask_generator,
        upsampling: None,
        license: None,
        notes: Vec::new(),
    };
    let mobile = tiny(1024, [64, 128, 160, 320], [2, 2, 6, 2], vec![1, 4, 5, 10], vec![1, 7, 14, 7], 256);
    let first = tiny(512, [32, 64, 128, 128], [1, 2, 3, 1], vec![1, 2, 4, 4], vec![1, 8, 16, 8], 128);
    let nano = Thresholds { pred_iou_thresh: 0.45, stability_score_thresh: 0.7, ..Thresholds::default() };
    // The built-in model; MobileSAM and TinySAM; nano as of 0.1.
    let mut all: Vec<Config> = crate::model::built_in_config().into_iter().collect();
    all.extend([config(mobile, 256, 2048, Thresholds::default()), config(first, 128, 512, nano)]);
    all
}

/// Whether a network is `known`, as far as shapes tell.
fn is_of(known: &Config, tiny: &TinyVitConfig, decoder: &DecoderConfig) -> bool {
    let EncoderConfig::TinyVit(encoder) = &known.image_encoder else { return false };
    // The first stage has neither heads nor windows.
    let told = |config: &TinyVitConfig| {
        let skip = |values: &[usize]| values.get(1..).unwrap_or_default().to_vec();
        (
            config.embed_dims.clone(),
            config.depths.clone(),
            skip(&config.num_heads),
            skip(&config.window_sizes),
            config.out_chans,
        )
    };
    told(encoder) == told(tiny) && known.mask_decoder == *decoder
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
            img_size: 0, // this and the strides are not in the shapes
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
        // A table that is longer than the image is either a window that reaches beyond it, or one that Meta's code would
        // shrink at run time; the shapes do not tell.
        if let Some(block) = windows.iter().position(|window| window.is_some_and(|window| window > grid)) {
            return Err(self.0.architecture_error(format!(
                "the relative positions of image_encoder.blocks.{block} are for a window of {} x {} tokens, and the image has \
                 {grid} x {grid}; resize them to the image, or state the block's window (null for none) in '{}'",
                windows[block].unwrap_or_default(),
                windows[block].unwrap_or_default(),
                self.0.stated_path().display()
            )));
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

    /// Compares what `config.json` of a Hugging Face folder says with what the shapes say.
    fn compare(&self, theirs: &HuggingFace, ours: &VitConfig) -> Result<()> {
        let vision = &theirs.vision_config;
        let sizes = [
            ("image_size", vision.image_size, ours.img_size),
            ("patch_size", vision.patch_size, ours.patch_size),
            ("hidden_size", vision.hidden_size, ours.embed_dim),
            ("num_hidden_layers", vision.num_hidden_layers, ours.windows.len()),
            ("num_attention_heads", vision.num_attention_heads, ours.num_heads),
        ];
        let wrong = sizes.into_iter().find(|(_, theirs, ours)| theirs.is_some_and(|theirs| theirs != *ours));
        if let Some((name, Some(theirs), ours)) = wrong {
            return Err(self.0.architecture_error(format!(
                "its config.json says that {name} is {theirs}, the shapes of its weights that it is {ours}"
            )));
        }
        let (Some(window), Some(global)) = (vision.window_size, &vision.global_attn_indexes) else { return Ok(()) };
        let grid = ours.img_size / ours.patch_size;
        let is_same = |block: usize, ours: Option<usize>| {
            let theirs = (!global.contains(&block)).then_some(window).filter(|window| *window > 0);
            // A window of the image's size is the whole image.
            ours.unwrap_or(grid) == theirs.unwrap_or(grid)
        };
        match ours.windows.iter().enumerate().find(|(block, ours)| !is_same(*block, **ours)) {
            None => Ok(()),
            Some((block, window)) => Err(self.0.architecture_error(format!(
                "its config.json has windows of {window_size} but for blocks {global:?}, the shapes of block {block} are for a \
                 window of {}",
                window.unwrap_or(grid),
                window_size = vision.window_size.unwrap_or_default(),
            ))),
        }
    }

    fn decoder(&self) -> Result<DecoderConfig> {
        let [_, transformer_dim] = self.shape::<2>("mask_decoder.iou_token.weight")?;
        let [mask_tokens, _] = self.shape::<2>("mask_decoder.mask_tokens.weight")?;
        let layer = "mask_decoder.transformer.layers.0";
        let stated = self.0.stated().hugging_face.as_ref();
        let [inner, _] = self.shape::<2>(&format!("{layer}.cross_attn_token_to_image.q_proj.weight"))?;
        Ok(DecoderConfig {
            transformer_dim,
            depth: self.count("mask_decoder.transformer.layers."),
            num_heads: stated
                .and_then(|theirs| theirs.mask_decoder_config.num_attention_heads)
                .unwrap_or(transformer_dim / HEAD),
            mlp_dim: self.shape::<2>(&format!("{layer}.mlp.lin1.weight"))?[0],
            attention_downsample_rate: transformer_dim.checked_div(inner).unwrap_or(0),
            num_multimask_outputs: mask_tokens.saturating_sub(1),
            iou_head_depth: self.count("mask_decoder.iou_prediction_head.layers."),
            iou_head_hidden_dim: self.shape::<2>("mask_decoder.iou_prediction_head.layers.0.weight")?[0],
        })
    }
}
