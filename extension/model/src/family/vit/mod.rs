//! ViT: SAM B, L and H. Shapes tell all but the heads of the decoder.

mod config;
mod graph;
mod plan;

use serde::Deserialize;
use serde::de::value::MapDeserializer;

use super::{Encoder, EncoderConfig, Fields};
use crate::checkpoint::HuggingFace;
use crate::config::Config;
use crate::decoder::{self, Decoder, DecoderConfig, Sam};
use crate::error::Result;
use crate::graph::ImageEncoder as GraphEncoder;
use crate::plan::{ImageEncoder as PlanEncoder, Operands, Pooled};
use crate::shapes::Shapes;
use crate::sizes::Checked;
use crate::weights::Weights;
use config::{KEYS, VitConfig};

const NAME: &str = "vit";

/// The family; see the list in `family`.
pub(super) struct Family;

impl super::Family for Family {
    fn name(&self) -> &'static str {
        NAME
    }

    fn title(&self) -> &'static str {
        "ViT (SAM B, L, H)"
    }

    fn keys(&self) -> &'static [&'static str] {
        KEYS
    }

    fn read(&self, fields: Fields) -> serde_json::Result<EncoderConfig> {
        Ok(EncoderConfig::new(VitConfig::deserialize(MapDeserializer::new(fields.into_iter()))?))
    }

    fn recognises(&self, shapes: &Shapes) -> bool {
        shapes.has("image_encoder.pos_embed")
    }

    fn guess(&self, shapes: &Shapes) -> Result<Config> {
        let decoder = DecoderConfig::from_shapes(shapes)?;
        let encoder = from_shapes(shapes)?;
        let mut notes = Vec::new();
        match &shapes.stated().hugging_face {
            Some(theirs) => compare(shapes, theirs, &encoder)?,
            None if decoder.transformer_dim != decoder::WIDTH => notes.push(format!(
                "the decoder's heads are taken to have {} channels each, as in every published SAM",
                decoder::HEAD
            )),
            None => {}
        }
        Ok(Config { notes, ..Config::new(EncoderConfig::new(encoder), decoder) })
    }
}

impl Encoder for VitConfig {
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
        Ok(Box::new(graph::Vit::new(self, weights)?))
    }

    fn plan(&self, weights: &Weights, operands: Operands) -> Result<Box<dyn PlanEncoder>> {
        match operands {
            Operands::F32 => Ok(Pooled::boxed(plan::Vit::<f32>::new(self, weights)?)),
            Operands::Bf16 => Ok(Pooled::boxed(plan::Vit::<sam_kernels::Bf16>::new(self, weights)?)),
        }
    }
}

/// What shapes tell.
fn from_shapes(shapes: &Shapes) -> Result<VitConfig> {
    let [embed_dim, _, patch_size, _] = shapes.shape::<4>("image_encoder.patch_embed.proj.weight")?;
    let [_, grid, _, _] = shapes.shape::<4>("image_encoder.pos_embed")?;
    let blocks = shapes.count("image_encoder.blocks.");
    let [positions, head_dim] = shapes.shape::<2>("image_encoder.blocks.0.attn.rel_pos_h")?;
    let window_of = |positions: usize| if positions == 2 * grid - 1 { None } else { Some(positions.div_ceil(2)) };
    let mut windows = vec![window_of(positions)];
    for block in 1..blocks {
        let [positions, _] = shapes.shape::<2>(&format!("image_encoder.blocks.{block}.attn.rel_pos_h"))?;
        windows.push(window_of(positions));
    }
    // A table that is longer than the image is either a window that reaches beyond it, or one that Meta's code would
    // shrink at run time; the shapes do not tell.
    if let Some(block) = windows.iter().position(|window| window.is_some_and(|window| window > grid)) {
        return Err(shapes.error(format!(
            "the relative positions of image_encoder.blocks.{block} are for a window of {} x {} tokens, and the image has \
             {grid} x {grid}; resize them to the image, or state the block's window (null for none) in '{}'",
            windows[block].unwrap_or_default(),
            windows[block].unwrap_or_default(),
            shapes.stated_path()
        )));
    }
    Ok(VitConfig {
        img_size: grid * patch_size,
        patch_size,
        embed_dim,
        num_heads: embed_dim.checked_div(head_dim).unwrap_or(0),
        mlp_dim: shapes.shape::<2>("image_encoder.blocks.0.mlp.lin1.weight")?[0],
        windows,
        out_chans: shapes.shape::<4>("image_encoder.neck.0.weight")?[0],
    })
}

/// Compares what `config.json` of a Hugging Face folder says with what the shapes say.
fn compare(shapes: &Shapes, theirs: &HuggingFace, ours: &VitConfig) -> Result<()> {
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
        return Err(shapes.error(format!(
            "its config.json says that {name} is {theirs}, the shapes of its weights that it is {ours}"
        )));
    }
    let (Some(window), Some(global)) = (vision.window_size, &vision.global_attn_indexes) else { return Ok(()) };
    let grid = ours.grid();
    let is_same = |block: usize, ours: Option<usize>| {
        let theirs = (!global.contains(&block)).then_some(window).filter(|window| *window > 0);
        // A window of the image's size is the whole image.
        ours.unwrap_or(grid) == theirs.unwrap_or(grid)
    };
    match ours.windows.iter().enumerate().find(|(block, ours)| !is_same(*block, **ours)) {
        None => Ok(()),
        Some((block, window)) => Err(shapes.error(format!(
            "its config.json has windows of {window_size} but for blocks {global:?}, the shapes of block {block} are for a \
             window of {}",
            window.unwrap_or(grid),
            window_size = vision.window_size.unwrap_or_default(),
        ))),
    }
}
