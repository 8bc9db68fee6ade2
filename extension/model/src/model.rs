//! A loaded model and what it computes: an embedding for each picture, a prediction for each prompt.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Device;
use once_cell::race::OnceBox;
use sam_imaging::{RgbImage, resize_bilinear};
use sam_kernels::Isa;
use sha2::{Digest, Sha256};

use crate::checkpoint::{Checkpoint, Part};
use crate::config::Config;
use crate::error::{ModelError, Result};
use crate::generate::Thresholds;
use crate::graph::Graph;
use crate::guide::{Edges, Guide};
use crate::plan::Plan;
use crate::precision::Precision;
use crate::prediction::{Frame, Prediction};
use crate::prompt::Prompt;
use crate::team::Team;
use crate::weights::{Weights, refuse_leftovers};

static NANO: &[u8] = include_bytes!("../assets/nano.safetensors");

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
    /// Bytes of the checkpoint file.
    pub bytes: u64,
    /// SPDX licence of the weights, if the file states it.
    pub license: Option<String>,
    /// What was left out of the checkpoint or taken for granted, in words.
    pub notes: Vec<String>,
}

/// A loaded model; immutable, shared by all threads.
pub struct Model {
    info: ModelInfo,
    config: Config,
    network: Network,
    /// Of a model whose masks follow the edges of the picture.
    edges: Option<Arc<Edges>>,
    isa: Isa,
    static_bytes: Option<&'static [u8]>,
    /// The files that the model was made of.
    parts: Vec<Part>,
    /// Not behind a lock: a forked child might find it taken for ever.
    sha256: OnceBox<String>,
}

/// What runs the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// The CPU path: weights packed at load for the processor at hand.
    Plan(Precision),
    /// The plain definition in candle's operations, `f32`: slow, and what the plan is compared with.
    Graph,
}

impl From<Precision> for Engine {
    fn from(precision: Precision) -> Self {
        Self::Plan(precision)
    }
}

enum Network {
    Plan(Box<Plan>),
    Graph(Box<Graph>),
}

/// A picture as the mask decoder sees it: what the image encoder made of it, its sizes, and what its masks are refined with.
/// Shared: a clone copies nothing.
#[derive(Debug, Clone)]
pub struct Embedding {
    /// (rows * columns, channels)
    values: Arc<Vec<f32>>,
    frame: Frame,
    /// Of a model that wants one.
    guide: Option<Guide>,
}

impl Model {
    /// The built-in model: rough masks, but no download.
    ///
    /// # Errors
    /// None in practice: the weights are part of the program and tested.
    pub fn nano(engine: impl Into<Engine>) -> Result<Self> {
        Self::build(&Checkpoint::from_static("nano", NANO)?, engine.into())
    }

    /// Opens a checkpoint of SAM (B, L, H), MobileSAM or TinySAM with the names of Meta's code or of Hugging Face's
    /// `SamModel`: safetensors, what `torch.save` writes, or a folder as Hugging Face keeps them.
    ///
    /// # Errors
    /// Unreadable, damaged and truncated files, and files that are no such model, each with what is wrong.
    pub fn open(path: &Path, engine: impl Into<Engine>) -> Result<Self> {
        Self::build(&Checkpoint::open(path)?, engine.into())
    }

    fn build(checkpoint: &Checkpoint, engine: Engine) -> Result<Self> {
        let built = Self::build_from(checkpoint, engine);
        // What was read of two versions of a file is no model, whatever came of it.
        checkpoint.check_unchanged()?;
        built
    }

    fn build_from(checkpoint: &Checkpoint, engine: Engine) -> Result<Self> {
        let config = Config::of(checkpoint)?;
        checkpoint.check_memory()?;
        let taken = RefCell::new(BTreeSet::new());
        let weights = Weights::new(checkpoint, &Device::Cpu, &taken);
        let isa = Isa::get().map_err(|error| ModelError::Processor(error.to_string()))?;
        let network = match engine {
            Engine::Graph => Network::Graph(Box::new(Graph::new(&config, &weights)?)),
            Engine::Plan(precision) => Network::Plan(Box::new(Plan::new(&config, &weights, precision, isa)?)),
        };
        let taken = taken.into_inner();
        refuse_leftovers(checkpoint, &taken)?;
        let count = |name: &String| checkpoint.shape(name).map_or(0, |shape| shape.iter().product::<usize>() as u64);
        let grid = config.image_encoder.grid();
        let static_bytes = checkpoint.static_bytes();
        let path = checkpoint.path();
        let info = ModelInfo {
            name: if path.is_dir() { path.file_name() } else { path.file_stem() }
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            path: static_bytes.is_none().then(|| path.to_owned()),
            architecture: config.image_encoder.name().to_owned(),
            image_size: config.image_encoder.img_size(),
            embedding_shape: [config.image_encoder.out_chans(), grid, grid],
            mask_size: 4 * grid,
            parameters: taken.iter().map(count).sum(),
            bytes: checkpoint.bytes(),
            license: config.license.clone(),
            notes: checkpoint.notes().iter().chain(&config.notes).cloned().collect(),
        };
        let parts = if static_bytes.is_some() { Vec::new() } else { checkpoint.parts()? };
        let edges = config.upsampling.map(|upsampling| Arc::new(Edges::new(upsampling)));
        Ok(Self { info, config, network, edges, isa, static_bytes, parts, sha256: OnceBox::new() })
    }

    /// What the checkpoint says about itself.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// SHA-256 of the checkpoint file in lower-case hex; computed once, on first use. Of a model in several files (its
    /// weights, an index, what is stated beside them) it is that of the list of their digests and names, as `sha256sum`
    /// prints it.
    ///
    /// # Errors
    /// A file can no longer be read, or has changed since.
    pub fn sha256(&self) -> Result<&str> {
        if let Some(known) = self.sha256.get() {
            return Ok(known);
        }
        let digest = match (self.static_bytes, self.parts.as_slice()) {
            (Some(bytes), _) => hex(Sha256::digest(bytes)),
            (None, [part]) => part_digest(part)?,
            (None, parts) => {
                let mut list = String::new();
                for part in parts {
                    let _ = writeln!(list, "{}  {}", part_digest(part)?, part.name());
                }
                hex(Sha256::digest(list))
            }
        };
        Ok(self.sha256.get_or_init(|| Box::new(digest)))
    }

    /// The thresholds of the mask generator that go with the checkpoint.
    pub(crate) fn thresholds(&self) -> Thresholds {
        self.config.mask_generator
    }

    /// Whether masks follow the edges of the picture, so that embeddings carry a guide.
    pub(crate) fn is_guided(&self) -> bool {
        self.edges.is_some()
    }

    /// What the encoder's matrix products are computed in.
    pub fn precision(&self) -> Precision {
        match &self.network {
            Network::Plan(plan) => plan.precision(),
            Network::Graph(_) => Precision::F32,
        }
    }

    /// Runs the image encoder: the picture is resized to the model's longest side as Pillow does, normalised, padded
    /// with zeros at the right and bottom, and encoded by the threads of `team`.
    ///
    /// # Errors
    /// An empty picture, or a failure of the tensor library.
    pub fn embed(&self, image: &RgbImage, team: Team) -> Result<Embedding> {
        let side = self.info.image_size;
        let frame = Frame::new(image.width() as usize, image.height() as usize, side, self.info.mask_size)?;
        let (width, height) = frame.input;
        let resized = resize_bilinear(image, width as u32, height as u32);
        let values = match &self.network {
            Network::Plan(plan) => plan.encode(&resized, team),
            Network::Graph(graph) => graph.encode(&self.planes(&resized), side)?,
        };
        self.check_finite(&values)?;
        Ok(Embedding::new(values, frame, self.is_guided().then(|| Guide::of(&resized))))
    }

    /// The padded, normalised input as the graph takes it: (3, side, side).
    fn planes(&self, resized: &RgbImage) -> Vec<f32> {
        let side = self.info.image_size;
        let width = resized.width() as usize;
        let mut pixels = vec![0.0; 3 * side * side];
        for (channel, plane) in pixels.chunks_exact_mut(side * side).enumerate() {
            let (mean, std) = (self.config.pixel_mean[channel], self.config.pixel_std[channel]);
            for (row, line) in plane.chunks_exact_mut(side).zip(resized.chunks_exact(3 * width)) {
                for (value, pixel) in row.iter_mut().zip(line.chunks_exact(3)) {
                    *value = (f32::from(pixel[channel]) - mean) / std;
                }
            }
        }
        pixels
    }

    /// Runs the prompt encoder and the mask decoder: three candidates for a single point, one mask for any other
    /// prompt, as SAM's authors recommend.
    ///
    /// # Errors
    /// An embedding of another model, or a failure of the tensor library.
    pub fn predict(&self, embedding: &Embedding, prompt: &Prompt, team: Team) -> Result<Prediction> {
        self.predict_above(embedding, prompt, None, team)
    }

    /// As [`Model::predict`], but for candidates whose predicted IoU is not above `least`: they are left out, and not
    /// computed.
    pub(crate) fn predict_above(
        &self,
        embedding: &Embedding,
        prompt: &Prompt,
        least: Option<f32>,
        team: Team,
    ) -> Result<Prediction> {
        let [channels, rows, columns] = self.info.embedding_shape;
        if embedding.values.len() != channels * rows * columns {
            return Err(ModelError::Embedding(format!(
                "the embedding has {} values, model '{}' needs {channels} x {rows} x {columns}",
                embedding.values.len(),
                self.info.name
            )));
        }
        let (coords, labels) = prompt_tokens(prompt, &embedding.frame);
        // The first output is the single mask, the others are the candidates for ambiguous prompts.
        let candidates = self.config.mask_decoder.num_multimask_outputs;
        let wanted = if prompt.is_ambiguous() { 1..candidates + 1 } else { 0..1 };
        let (logits, iou) = match &self.network {
            Network::Plan(plan) => plan.decoder.run(&embedding.values, &coords, &labels, wanted, least, team),
            Network::Graph(graph) => {
                let (logits, iou) = graph.decode(&embedding.values, &coords, &labels)?;
                let pixels = self.info.mask_size * self.info.mask_size;
                let kept: Vec<usize> = wanted.filter(|mask| least.is_none_or(|least| iou[*mask] > least)).collect();
                let planes = kept.iter().flat_map(|mask| &logits[mask * pixels..(mask + 1) * pixels]);
                (planes.copied().collect(), kept.iter().map(|mask| iou[*mask]).collect())
            }
        };
        self.check_finite(&logits)?;
        self.check_finite(&iou)?;
        let prediction = Prediction::new(logits, iou, embedding.frame, self.isa);
        match (&self.edges, &embedding.guide) {
            (None, _) => Ok(prediction),
            (Some(edges), Some(guide)) => Ok(prediction.guided(edges, guide)),
            (Some(_), None) => Err(ModelError::Embedding(format!(
                "the embedding has no guide, which the masks of model '{}' need; it was made by another",
                self.info.name
            ))),
        }
    }

    /// Fails where numbers have left the range of `f32` on their way: a mask made of them would be nonsense.
    fn check_finite(&self, values: &[f32]) -> Result<()> {
        // The maximum of the bits is one instruction for many values.
        let largest = values.iter().fold(0, |largest, value| largest.max(value.to_bits() & 0x7fff_ffff));
        if largest < f32::INFINITY.to_bits() {
            return Ok(());
        }
        Err(ModelError::Range(format!(
            "what model '{}' computes leaves the range of float32: its weights are too large or damaged; load a sound copy of \
             it",
            self.info.name
        )))
    }
}

/// The configuration of the built-in model, as its file states it.
pub(crate) fn built_in_config() -> Option<Config> {
    let checkpoint = Checkpoint::from_static("nano", NANO).ok()?;
    serde_json::from_str(checkpoint.metadata("config")?).ok()
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn part_digest(part: &Part) -> Result<String> {
    let mut hasher = Sha256::new();
    let read = std::io::copy(&mut part.open()?, &mut hasher);
    read.map_err(|error| ModelError::Read { path: part.name().into(), reason: error.to_string() })?;
    Ok(hex(hasher.finalize()))
}

impl Embedding {
    pub(crate) fn new(values: Vec<f32>, frame: Frame, guide: Option<Guide>) -> Self {
        Self { values: Arc::new(values), frame, guide }
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }

    pub(crate) fn guide(&self) -> Option<&Guide> {
        self.guide.as_ref()
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        let guide = self.guide.as_ref().map_or(0, |guide| guide.as_bytes().len());
        size_of::<Self>() + self.values.capacity() * size_of::<f32>() + guide
    }

    /// Width and height of the picture, in pixels.
    pub fn original_size(&self) -> (usize, usize) {
        self.frame.original
    }

    /// The image encoder's output, (rows * columns, channels).
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// Coordinates in 0..1 of the padded input, with the prompt encoder's labels. Pixel centres lie at + 0.5; a padding
/// point follows the points where there is no box.
fn prompt_tokens(prompt: &Prompt, frame: &Frame) -> (Vec<[f32; 2]>, Vec<i8>) {
    let (width, height) = frame.input;
    let place =
        |fraction: f32, pixels: usize| ((f64::from(fraction) * pixels as f64) as f32 + 0.5) / frame.image_size as f32;
    let mut coords: Vec<[f32; 2]> = prompt.points().iter().map(|&[x, y]| [place(x, width), place(y, height)]).collect();
    let mut labels: Vec<i8> = prompt.labels().iter().map(|&label| label as i8).collect();
    match prompt.bbox() {
        Some([x0, y0, x1, y1]) => {
            coords.extend([[place(x0, width), place(y0, height)], [place(x1, width), place(y1, height)]]);
            labels.extend([2, 3]);
        }
        None => {
            coords.push([0.0, 0.0]);
            labels.push(-1);
        }
    }
    (coords, labels)
}
