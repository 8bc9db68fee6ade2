//! A loaded model and what it computes: an embedding for each picture, a prediction for each prompt.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use once_cell::race::OnceBox;
use sam_imaging::{RgbImage, resize_bilinear};
use sam_kernels::Isa;
use sha2::{Digest, Sha256};

use crate::backend::{Backend, Features, Masks, is_finite};
use crate::built_in;
use crate::checkpoint::{Checkpoint, Part};
use crate::config::Config;
use crate::embedding::Embedding;
use crate::error::{ModelError, Result};
use crate::frame::Frame;
use crate::graph::Graph;
use crate::guide::{Edges, Guide};
use crate::network::{self, refuse_leftovers};
use crate::options::Options;
use crate::plan::Plan;
use crate::precision::Precision;
use crate::prediction::Prediction;
use crate::prompt::Prompt;
use crate::threads::Threads;
use crate::thresholds::Thresholds;
use crate::weights::Weights;

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
///
/// ```
/// use sam_imaging::{Rgb, RgbImage};
/// use sam_model::{Model, Precision, Prompt, Threads};
///
/// // A bright disc on a dark ground.
/// let picture = RgbImage::from_fn(64, 64, |x, y| {
///     let inside = x.abs_diff(32).pow(2) + y.abs_diff(32).pow(2) < 256;
///     Rgb(if inside { [230, 200, 40] } else { [20, 30, 60] })
/// });
/// let model = Model::nano(Precision::F32)?;
/// let embedding = model.embed(&picture, Threads::ONE)?;
/// let prediction = model.predict(&embedding, &Prompt::point(0.5, 0.5)?, Threads::ONE)?;
/// let (mask, _) = prediction.mask(prediction.best(), 1.0);
/// // The disc has 797 pixels.
/// assert!((600..1000).contains(&mask.area()));
/// # Ok::<(), sam_model::ModelError>(())
/// ```
pub struct Model {
    info: ModelInfo,
    config: Config,
    backend: Box<dyn Backend>,
    /// Of a model whose masks follow the edges of the picture.
    edges: Option<Arc<Edges>>,
    isa: Isa,
    static_bytes: Option<&'static [u8]>,
    /// The files that the model was made of.
    parts: Vec<Part>,
    /// Not behind a lock: a forked child might find it taken for ever.
    sha256: OnceBox<String>,
}

impl Model {
    /// The built-in model: rough masks, but no download.
    ///
    /// # Errors
    /// None in practice: the weights are part of the program and tested.
    pub fn nano(options: impl Into<Options>) -> Result<Self> {
        Self::build(&built_in::checkpoint()?, &options.into())
    }

    /// Opens a checkpoint of SAM (B, L, H), MobileSAM or TinySAM with the names of Meta's code or of Hugging Face's
    /// `SamModel`: safetensors, what `torch.save` writes, or a folder as Hugging Face keeps them.
    ///
    /// # Errors
    /// Unreadable, damaged and truncated files, and files that are no such model, each with what is wrong.
    pub fn open(path: &Path, options: impl Into<Options>) -> Result<Self> {
        Self::build(&Checkpoint::open(path)?, &options.into())
    }

    pub(crate) fn build(checkpoint: &Checkpoint, options: &Options) -> Result<Self> {
        let built = Self::build_from(checkpoint, options);
        // What was read of two versions of a file is no model, whatever came of it.
        checkpoint.check_unchanged()?;
        built
    }

    fn build_from(checkpoint: &Checkpoint, options: &Options) -> Result<Self> {
        let device = options.device.open()?;
        if options.reference && options.precision == Precision::Bf16 {
            return Err(ModelError::Device("the reference computes in f32; ask for precision 'auto' or 'f32'".into()));
        }
        let isa = options.isa.map_or_else(Isa::get, Ok).map_err(|error| ModelError::Processor(error.to_string()))?;
        let config = network::config(checkpoint)?;
        checkpoint.check_memory()?;
        let taken = RefCell::new(BTreeSet::new());
        let weights = Weights::new(checkpoint, &device, &taken);
        let backend: Box<dyn Backend> = if options.reference || !device.is_cpu() {
            Box::new(Graph::new(&config, &weights)?)
        } else {
            Box::new(Plan::new(&config, &weights, options.precision, isa)?)
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
            architecture: config.image_encoder.family().to_owned(),
            image_size: config.image_encoder.img_size(),
            embedding_shape: config.image_encoder.maps()[0],
            mask_size: 4 * grid,
            parameters: taken.iter().map(count).sum(),
            bytes: checkpoint.bytes(),
            license: config.license.clone(),
            notes: checkpoint.notes().iter().chain(&config.notes).cloned().collect(),
        };
        let parts = if static_bytes.is_some() { Vec::new() } else { checkpoint.parts()? };
        let edges = config.upsampling.map(|upsampling| Arc::new(Edges::new(upsampling)));
        Ok(Self { info, config, backend, edges, isa, static_bytes, parts, sha256: OnceBox::new() })
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
        self.backend.precision()
    }

    /// Sizes of a picture of this width and height on its way through the network.
    pub(crate) fn frame(&self, width: usize, height: usize) -> Result<Frame> {
        Frame::new(width, height, self.info.image_size, self.info.mask_size)
    }

    /// Channels, rows and columns of the maps of an embedding.
    pub(crate) fn map_shapes(&self) -> Vec<[usize; 3]> {
        self.config.image_encoder.maps()
    }

    /// How many prompts to give [`Model::predict_batch`] at once where there are many.
    pub(crate) fn prompts_at_once(&self) -> usize {
        self.backend.prompts_at_once()
    }

    /// Runs the image encoder: the picture is resized to the model's longest side as Pillow does, normalised, padded
    /// with zeros at the right and bottom, and encoded by `threads`.
    ///
    /// # Errors
    /// An empty picture, numbers beyond the range of `f32`, or a failure of the tensor library.
    pub fn embed(&self, image: &RgbImage, threads: Threads) -> Result<Embedding> {
        only(self.embed_batch(std::slice::from_ref(image), threads)?)
    }

    /// Runs the image encoder on several pictures, as [`Model::embed`] does on one: on the CPU each is worked on by one
    /// thread of `threads`, and a single one by all. The embeddings are those of [`Model::embed`], bit for bit.
    ///
    /// ```
    /// use sam_imaging::RgbImage;
    /// use sam_model::{Model, Precision, Threads};
    ///
    /// let model = Model::nano(Precision::F32)?;
    /// let embeddings = model.embed_batch(&[RgbImage::new(40, 30), RgbImage::new(20, 50)], Threads::ONE)?;
    /// assert_eq!(embeddings[1].original_size(), (20, 50));
    /// # Ok::<(), sam_model::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Model::embed`], for the first picture that fails.
    pub fn embed_batch(&self, images: &[RgbImage], threads: Threads) -> Result<Vec<Embedding>> {
        let frame = |image: &RgbImage| self.frame(image.width() as usize, image.height() as usize);
        let frames = images.iter().map(frame).collect::<Result<Vec<_>>>()?;
        let inputs: Vec<_> = images.iter().zip(&frames).collect();
        let resized = threads.map(&inputs, |(image, frame), _| {
            let (width, height) = frame.input;
            resize_bilinear(image, width as u32, height as u32)
        });
        let features = self.backend.encode(&resized, threads)?;
        let parts = features.into_iter().zip(frames).zip(&resized);
        let embedding = |((features, frame), resized): ((Features, Frame), &RgbImage)| {
            self.check_finite(features.is_finite()?)?;
            Ok(Embedding::new(features, frame, self.is_guided().then(|| Guide::of(resized))))
        };
        parts.map(embedding).collect()
    }

    /// Runs the prompt encoder and the mask decoder: three candidates for a single point, one mask for any other
    /// prompt, as SAM's authors recommend.
    ///
    /// # Errors
    /// An embedding of another model, numbers beyond the range of `f32`, or a failure of the tensor library.
    pub fn predict(&self, embedding: &Embedding, prompt: &Prompt, threads: Threads) -> Result<Prediction> {
        only(self.predict_batch(embedding, std::slice::from_ref(prompt), threads)?)
    }

    /// Answers several prompts on one picture, as [`Model::predict`] does one: on the CPU each is worked on by one thread
    /// of `threads`, and a single one by all. The predictions are those of [`Model::predict`], bit for bit.
    ///
    /// ```
    /// use sam_imaging::RgbImage;
    /// use sam_model::{Model, Precision, Prompt, Threads};
    ///
    /// let model = Model::nano(Precision::F32)?;
    /// let embedding = model.embed(&RgbImage::new(40, 30), Threads::ONE)?;
    /// let prompts = [Prompt::point(0.5, 0.6)?, Prompt::new(vec![], None, Some([0.1, 0.1, 0.9, 0.8]))?];
    /// let predictions = model.predict_batch(&embedding, &prompts, Threads::ONE)?;
    /// // A point is ambiguous, a box is not.
    /// assert_eq!(predictions[0].predicted_iou().len(), 3);
    /// assert_eq!(predictions[1].predicted_iou().len(), 1);
    /// # Ok::<(), sam_model::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Model::predict`], for the first prompt that fails.
    pub fn predict_batch(
        &self,
        embedding: &Embedding,
        prompts: &[Prompt],
        threads: Threads,
    ) -> Result<Vec<Prediction>> {
        self.predict_above(embedding, prompts, None, threads)
    }

    /// As [`Model::predict_batch`], but for candidates whose predicted IoU is not above `least`: they are left out, and not
    /// computed.
    pub(crate) fn predict_above(
        &self,
        embedding: &Embedding,
        prompts: &[Prompt],
        least: Option<f32>,
        threads: Threads,
    ) -> Result<Vec<Prediction>> {
        self.check_embedding(embedding)?;
        let (decoder, frame) = (self.config.image_encoder.decoder(), embedding.frame());
        let query = |prompt| decoder.query(&self.config.mask_decoder, prompt, frame);
        let queries: Vec<_> = prompts.iter().map(query).collect();
        let answers = self.backend.decode(embedding.features(), &queries, least, threads)?;
        let prediction = |Masks { logits, iou }: Masks| {
            self.check_finite(is_finite(&logits) && is_finite(&iou))?;
            let prediction = Prediction::new(logits, iou, *frame, self.isa);
            match (&self.edges, embedding.guide()) {
                (Some(edges), Some(guide)) => Ok(prediction.guided(edges, guide)),
                _ => Ok(prediction),
            }
        };
        answers.into_iter().map(prediction).collect()
    }

    /// Fails where another model has made the embedding, as far as its sizes tell.
    fn check_embedding(&self, embedding: &Embedding) -> Result<()> {
        let (theirs, ours) = (embedding.features().shapes(), self.map_shapes());
        if theirs != ours {
            let values =
                |shapes: &[[usize; 3]]| shapes.iter().map(|shape| shape.iter().product::<usize>()).sum::<usize>();
            let sizes: Vec<_> =
                ours.iter().map(|[channels, rows, columns]| format!("{channels} x {rows} x {columns}")).collect();
            return Err(ModelError::Embedding(format!(
                "the embedding has {} values, model '{}' needs {}",
                values(&theirs),
                self.info.name,
                sizes.join(" and ")
            )));
        }
        if self.is_guided() && embedding.guide().is_none() {
            return Err(ModelError::Embedding(format!(
                "the embedding has no guide, which the masks of model '{}' need; it was made by another",
                self.info.name
            )));
        }
        Ok(())
    }

    /// Fails where numbers have left the range of `f32` on their way: a mask made of them would be nonsense.
    fn check_finite(&self, is_finite: bool) -> Result<()> {
        if is_finite {
            return Ok(());
        }
        Err(ModelError::Range(format!(
            "what model '{}' computes leaves the range of float32: its weights are too large or damaged; load a sound copy of \
             it",
            self.info.name
        )))
    }
}

/// The one result of a batch of one.
fn only<T>(batch: Vec<T>) -> Result<T> {
    let missing = || candle_core::Error::Msg("a batch of one has no result".into()).into();
    batch.into_iter().next().ok_or_else(missing)
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
