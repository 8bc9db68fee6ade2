//! What stands beside the weights about what their shapes do not tell: our own JSON file, and the configuration of a
//! Hugging Face folder.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::folder::{read_json, stated_path};
use crate::error::{ModelError, Result};

/// Facts about a network that a file beside its weights states.
#[derive(Debug, Default)]
pub(crate) struct Stated {
    /// The files that state them, for messages and for the model's identity.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) image_size: Option<usize>,
    pub(crate) pixel_mean: Option<[f32; 3]>,
    pub(crate) pixel_std: Option<[f32; 3]>,
    pub(crate) config: Option<StatedConfig>,
    pub(crate) hugging_face: Option<HuggingFace>,
}

/// The `config` of our own file, as it stands there.
#[derive(Debug)]
pub(crate) struct StatedConfig {
    pub(crate) value: serde_json::Value,
    path: PathBuf,
}

impl StatedConfig {
    /// Says what is wrong with it.
    pub(crate) fn refused(&self, reason: String) -> ModelError {
        refused(&self.path, &reason)
    }
}

/// Says what is wrong with our own file.
fn refused(path: &Path, reason: &str) -> ModelError {
    let remedy = "it is taken for the file that states what the shapes of the weights beside it do not tell, \
                  {\"image_size\": 256, \"pixel_mean\": [...], \"pixel_std\": [...], \"config\": {...}}; if it is \
                  another file, rename it";
    ModelError::Format { path: path.to_owned(), reason: format!("{reason} ({remedy})") }
}

/// `NAME.json` beside `NAME.pt`, or `sam_config.json` in a folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    image_size: Option<usize>,
    pixel_mean: Option<[f32; 3]>,
    pixel_std: Option<[f32; 3]>,
    config: Option<serde_json::Value>,
}

/// The parts of `config.json` that describe the network; what is left out has `transformers`' default.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct HuggingFace {
    model_type: Option<String>,
    #[serde(default)]
    pub(crate) vision_config: Vision,
    #[serde(default)]
    pub(crate) mask_decoder_config: MaskDecoder,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Vision {
    pub(crate) image_size: Option<usize>,
    pub(crate) patch_size: Option<usize>,
    pub(crate) hidden_size: Option<usize>,
    pub(crate) num_hidden_layers: Option<usize>,
    pub(crate) num_attention_heads: Option<usize>,
    pub(crate) window_size: Option<usize>,
    pub(crate) global_attn_indexes: Option<Vec<usize>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct MaskDecoder {
    pub(crate) num_attention_heads: Option<usize>,
}

/// `preprocessor_config.json`.
#[derive(Debug, Deserialize)]
struct Preprocessor {
    /// Of values in 0..1.
    image_mean: Option<[f64; 3]>,
    image_std: Option<[f64; 3]>,
    size: Option<Size>,
}

#[derive(Debug, Deserialize)]
struct Size {
    longest_edge: Option<usize>,
}

impl Stated {
    /// Reads what stands beside the weights at `path`; nothing, if nothing does.
    ///
    /// # Errors
    /// A file that cannot be read or understood, with keys that are unknown, or of another model.
    pub(crate) fn beside(path: &Path) -> Result<Self> {
        let mut stated = Self::default();
        if path.is_dir() {
            stated.read_hugging_face(path)?;
        }
        let own = stated_path(path);
        if own != path && own.is_file() {
            stated.read_own(&own)?;
        }
        Ok(stated)
    }

    /// States the side of the input, in pixels, for a file that does not tell.
    ///
    /// # Errors
    /// What stands beside it says otherwise; the reason.
    pub(crate) fn set_image_size(&mut self, side: usize) -> std::result::Result<(), String> {
        match self.image_size.replace(side) {
            Some(other) if other != side => {
                Err(format!("'{}' states an image_size of {other}, and {side} was asked for", self.name()))
            }
            _ => Ok(()),
        }
    }

    /// A name for messages: the file that states most.
    pub(crate) fn name(&self) -> String {
        self.files.last().map(|path| path.display().to_string()).unwrap_or_default()
    }

    fn read_own(&mut self, path: &Path) -> Result<()> {
        let own: Own = read_json(path).map_err(|error| match error {
            ModelError::Format { reason, .. } => refused(path, &reason),
            other => other,
        })?;
        let positive = |values: Option<[f32; 3]>| values.is_none_or(|values| values.iter().all(|value| *value > 0.0));
        if !positive(own.pixel_std) {
            return Err(refused(path, "pixel_std has a value that is not above 0"));
        }
        if let Some(value) = own.config {
            self.config = Some(StatedConfig { value, path: path.to_owned() });
        }
        self.image_size = own.image_size.or(self.image_size);
        self.pixel_mean = own.pixel_mean.or(self.pixel_mean);
        self.pixel_std = own.pixel_std.or(self.pixel_std);
        self.files.push(path.to_owned());
        Ok(())
    }

    fn read_hugging_face(&mut self, folder: &Path) -> Result<()> {
        let path = folder.join("config.json");
        if path.is_file() {
            let config: HuggingFace = read_json(&path)?;
            if let Some(kind) = config.model_type.as_deref()
                && kind != "sam"
            {
                let reason = format!(
                    "it is a model of the type '{kind}'; use 'sam' (SAM B, L, H), MobileSAM or TinySAM; if its \
                             config.json is not about its weights, give the file of weights"
                );
                return Err(ModelError::Architecture { path: folder.to_owned(), reason });
            }
            self.hugging_face = Some(config);
            self.files.push(path);
        }
        let path = folder.join("preprocessor_config.json");
        if path.is_file() {
            let preprocessor: Preprocessor = read_json(&path)?;
            let scaled = |values: [f64; 3]| values.map(|value| ((value * 255.0 * 1e4).round() / 1e4) as f32);
            self.pixel_mean = preprocessor.image_mean.map(scaled);
            self.pixel_std = preprocessor.image_std.map(scaled);
            self.image_size = preprocessor.size.and_then(|size| size.longest_edge);
            self.files.push(path);
        }
        Ok(())
    }
}
