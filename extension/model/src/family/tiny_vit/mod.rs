//! TinyViT: MobileSAM, TinySAM, nano.
//!
//! Shapes tell widths, depths, heads and windows, but neither the input size nor the strides of the merges: these are
//! known of published networks, which are recognised by their sizes, and of no others.

mod config;
mod graph;
mod plan;

use serde::Deserialize;
use serde::de::value::MapDeserializer;

use super::{Encoder, EncoderConfig, Fields};
use crate::built_in;
use crate::config::Config;
use crate::decoder::{Decoder, DecoderConfig, Sam};
use crate::error::Result;
use crate::graph::ImageEncoder as GraphEncoder;
use crate::plan::{ImageEncoder as PlanEncoder, Operands, Pooled};
use crate::shapes::Shapes;
use crate::sizes::Checked;
use crate::thresholds::Thresholds;
use crate::weights::Weights;
use config::{KEYS, TinyVitConfig};

const NAME: &str = "tiny_vit";

/// A tensor that every encoder of the family has, and no other.
const STEM: &str = "image_encoder.patch_embed.seq.0.c.weight";

/// The family; see the list in `family`.
pub(super) struct Family;

impl super::Family for Family {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "TinyViT (MobileSAM, TinySAM)"
    }

    fn keys(&self) -> &'static [&'static str] {
        KEYS
    }

    fn read(&self, fields: Fields) -> serde_json::Result<EncoderConfig> {
        Ok(EncoderConfig::new(TinyVitConfig::deserialize(MapDeserializer::new(fields.into_iter()))?))
    }

    fn recognises(&self, shapes: &Shapes) -> bool {
        shapes.has(STEM) && !shapes.has("image_encoder.pos_embed")
    }

    fn guess(&self, shapes: &Shapes) -> Result<Config> {
        let decoder = DecoderConfig::from_shapes(shapes)?;
        let told = from_shapes(shapes)?;
        for mut known in published() {
            if known.mask_decoder != decoder {
                continue;
            }
            let Some(encoder) = known.image_encoder.as_any().downcast_ref::<TinyVitConfig>() else { continue };
            if !is_of(encoder, &told) {
                continue;
            }
            // Stated beside the weights, or an attribute of a module that was saved whole.
            if let Some(img_size) = shapes.stated().image_size.or(shapes.module_size()) {
                known.image_encoder = EncoderConfig::new(TinyVitConfig { img_size, ..encoder.clone() });
            }
            return Ok(known);
        }
        Err(shapes.error(format!(
            "its shapes (TinyViT of widths {:?}, depths {:?}, heads {:?}, windows {:?}, decoder of width {}) are not those of \
             MobileSAM, TinySAM or nano, and do not tell its input size, its merge strides and the heads of its decoder; \
             state them in '{}': {{\"config\": {{\"image_encoder\": {{\"type\": \"tiny_vit\", \"img_size\": ..., ...}}, \
             \"mask_decoder\": {{...}}}}}}, as the 'config' metadata of the built-in model has it",
            told.embed_dims,
            told.depths,
            told.num_heads,
            told.window_sizes,
            decoder.transformer_dim,
            shapes.stated_path()
        )))
    }

    /// The classifier of the pre-training, and index buffers.
    fn is_unused(&self, name: &str) -> bool {
        ["image_encoder.norm_head.", "image_encoder.head."].iter().any(|prefix| name.starts_with(prefix))
            || ["attention_bias_idxs", "ab"].iter().any(|leaf| name.rsplit('.').next() == Some(leaf))
    }
}

impl Encoder for TinyVitConfig {
    fn family(&self) -> &'static str {
        NAME
    }

    fn img_size(&self) -> usize {
        self.img_size
    }

    fn maps(&self) -> Vec<[usize; 3]> {
        vec![[self.out_chans, self.grid(), self.grid()]]
    }

    fn validate(&self) -> Checked {
        self.validate()
    }

    fn decoder(&self) -> &'static dyn Decoder {
        &Sam
    }

    fn graph(&self, weights: &Weights) -> Result<Box<dyn GraphEncoder>> {
        Ok(Box::new(graph::TinyVit::new(self, weights)?))
    }

    fn plan(&self, weights: &Weights, operands: Operands) -> Result<Box<dyn PlanEncoder>> {
        match operands {
            Operands::F32 => Ok(Pooled::boxed(plan::TinyVit::<f32>::new(self, weights)?)),
            Operands::Bf16 => Ok(Pooled::boxed(plan::TinyVit::<sam_kernels::Bf16>::new(self, weights)?)),
        }
    }
}

/// What shapes tell; the input size and the strides are not among it.
fn from_shapes(shapes: &Shapes) -> Result<TinyVitConfig> {
    let stages = shapes.count("image_encoder.layers.");
    let mut config = TinyVitConfig {
        img_size: 0,
        embed_dims: vec![shapes.shape::<4>("image_encoder.patch_embed.seq.2.c.weight")?[0]],
        depths: vec![],
        num_heads: vec![],
        window_sizes: vec![],
        merge_strides: vec![],
        out_chans: shapes.shape::<4>("image_encoder.neck.0.weight")?[0],
    };
    for stage in 0..stages {
        let layer = format!("image_encoder.layers.{stage}");
        config.depths.push(shapes.count(&format!("{layer}.blocks.")));
        let (heads, window) = if stage == 0 {
            (1, 1)
        } else {
            let name = format!("{layer}.blocks.0.attn.attention_biases");
            let [heads, offsets] = shapes.shape::<2>(&name)?;
            let window = offsets.isqrt();
            if window * window != offsets {
                return Err(shapes.error(format!("tensor '{name}' has {offsets} offsets, no square")));
            }
            (heads, window)
        };
        config.num_heads.push(heads);
        config.window_sizes.push(window);
        if stage + 1 < stages {
            let [width, ..] = shapes.shape::<4>(&format!("{layer}.downsample.conv1.c.weight"))?;
            config.embed_dims.push(width);
        }
    }
    Ok(config)
}

/// The published networks: the built-in model; MobileSAM and TinySAM; nano as of 0.1.
fn published() -> Vec<Config> {
    let mobile = TinyVitConfig {
        img_size: 1024,
        embed_dims: vec![64, 128, 160, 320],
        depths: vec![2, 2, 6, 2],
        num_heads: vec![1, 4, 5, 10],
        window_sizes: vec![1, 7, 14, 7],
        merge_strides: vec![2, 2, 1],
        out_chans: 256,
    };
    let first = TinyVitConfig {
        img_size: 512,
        embed_dims: vec![32, 64, 128, 128],
        depths: vec![1, 2, 3, 1],
        num_heads: vec![1, 2, 4, 4],
        window_sizes: vec![1, 8, 16, 8],
        merge_strides: vec![2, 2, 1],
        out_chans: 128,
    };
    let config = |encoder, width, mlp_dim| Config::new(EncoderConfig::new(encoder), DecoderConfig::sam(width, mlp_dim));
    let nano = Thresholds { pred_iou_thresh: 0.45, stability_score_thresh: 0.7, ..Thresholds::default() };
    let first = Config { mask_generator: nano, ..config(first, 128, 512) };
    built_in().into_iter().chain([config(mobile, 256, 2048), first]).collect()
}

/// The configuration of the built-in model, as its file states it.
fn built_in() -> Option<Config> {
    let checkpoint = built_in::checkpoint().ok()?;
    serde_json::from_str(checkpoint.metadata("config")?).ok()
}

/// Whether a network is `known`, as far as its shapes have `told`.
fn is_of(known: &TinyVitConfig, told: &TinyVitConfig) -> bool {
    // The first stage has neither heads nor windows.
    let rest = |values: &[usize]| values.get(1..).unwrap_or_default().to_vec();
    let of_shapes = |config: &TinyVitConfig| {
        (
            config.embed_dims.clone(),
            config.depths.clone(),
            rest(&config.num_heads),
            rest(&config.window_sizes),
            config.out_chans,
        )
    };
    of_shapes(known) == of_shapes(told)
}
