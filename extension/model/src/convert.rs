//! A checkpoint as one safetensors file that says everything of itself.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fs::File;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, View, serialize_to_file};

use crate::built_in;
use crate::checkpoint::Checkpoint;
use crate::error::{ModelError, Result};
use crate::float_type::FloatType;
use crate::model::{Model, ModelInfo};
use crate::network;
use crate::precision::Precision;

/// How a checkpoint is to be written.
#[derive(Debug, Clone, Default)]
pub struct Conversion {
    /// What its weights are stored as.
    pub weights: FloatType,
    /// The side of the input in pixels, where the shapes of a TinyViT leave it open and nothing beside the file tells.
    pub image_size: Option<usize>,
    /// Whether an existing file is replaced.
    pub replace: bool,
}

/// Writes a checkpoint, or the built-in model if `source` is `None`, to the safetensors file `target`. It has the names of
/// Meta's code, the weights that inference uses and no others, and a `config` that tells all sizes, those too that were
/// stated beside the checkpoint. The file appears when it is whole. Returns what it says about itself.
///
/// # Errors
/// As [`Model::open`] for `source`; a `target` that exists, cannot be written or does not end in `.safetensors`; weights
/// beyond the range of `f16`.
pub fn convert(source: Option<&Path>, target: &Path, conversion: &Conversion) -> Result<ModelInfo> {
    let failed = |reason: String| ModelError::Write { path: target.to_owned(), reason };
    if target.extension().is_none_or(|ending| ending != "safetensors") {
        return Err(failed("its name must end in .safetensors, which is what is written".into()));
    }
    if !conversion.replace && target.exists() {
        return Err(failed("it exists; give another name, or say that it is to be replaced".into()));
    }
    let mut checkpoint = match source {
        Some(path) => Checkpoint::open(path)?,
        None => built_in::checkpoint()?,
    };
    if let Some(side) = conversion.image_size {
        checkpoint.set_image_size(side)?;
    }
    // What cannot be run is not written.
    let model = Model::build(&checkpoint, &Precision::F32.into())?;
    let config = serde_json::to_string(&network::config(&checkpoint)?).map_err(|error| failed(error.to_string()))?;
    let license = model.info().license.clone();
    drop(model);
    let mut metadata = checkpoint.all_metadata().clone();
    metadata.extend([("format".into(), "sam".into()), ("config".into(), config)]);
    metadata.extend(license.map(|license| ("license".into(), license)));
    let failure = RefCell::new(None);
    let tensors = checkpoint.names().filter(|name| !network::is_unused(name)).map(|name| {
        let shape = checkpoint.shape(name).unwrap_or_default();
        (name, Weight { checkpoint: &checkpoint, name, shape, kind: conversion.weights, failure: &failure })
    });
    let whole = unfinished(target);
    // A file that the writer makes is for its owner only; this one is for whom new files are.
    let permissions = File::create(&whole).and_then(|file| file.metadata()).map(|metadata| metadata.permissions());
    let permissions = permissions.map_err(|error| failed(error.to_string()))?;
    let written = serialize_to_file(tensors, Some(metadata), &whole).map_err(|error| failed(error.to_string()));
    let written =
        written.and_then(|()| std::fs::set_permissions(&whole, permissions).map_err(|error| failed(error.to_string())));
    let written = written.and_then(|()| failure.take().map_or(Ok(()), Err));
    let written = written.and_then(|()| checkpoint.check_unchanged());
    let placed = written.and_then(|()| std::fs::rename(&whole, target).map_err(|error| failed(error.to_string())));
    if placed.is_err() {
        let _ = std::fs::remove_file(&whole);
    }
    placed?;
    Ok(Model::open(target, Precision::F32)?.info().clone())
}

/// The name of `target` until it is whole; no model is looked for under it.
fn unfinished(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    name.into()
}

/// One tensor, read when it is written.
struct Weight<'a> {
    checkpoint: &'a Checkpoint,
    name: &'a str,
    shape: &'a [usize],
    kind: FloatType,
    /// The first failure of all tensors; the writer asks for bytes and takes no failures.
    failure: &'a RefCell<Option<ModelError>>,
}

impl Weight<'_> {
    fn bytes(&self) -> Result<Vec<u8>> {
        let values = self.checkpoint.load(self.name, self.shape)?;
        let mut bytes = Vec::with_capacity(self.data_len());
        match self.kind.append(&values, &mut bytes) {
            true => Ok(bytes),
            false => {
                let reason = format!("tensor '{}' has values beyond the range of f16; write it as 'f32'", self.name);
                Err(self.checkpoint.architecture_error(reason))
            }
        }
    }
}

impl View for Weight<'_> {
    fn dtype(&self) -> Dtype {
        match self.kind {
            FloatType::F32 => Dtype::F32,
            FloatType::F16 => Dtype::F16,
        }
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        // After a failure the file is not kept.
        if self.failure.borrow().is_some() {
            return Cow::Borrowed(&[]);
        }
        Cow::Owned(self.bytes().unwrap_or_else(|error| {
            self.failure.replace(Some(error));
            Vec::new()
        }))
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.kind.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::Prompt;
    use crate::threads::Threads;
    use sam_imaging::{Rgb, RgbImage};

    fn area(model: &Model) -> u64 {
        let picture = RgbImage::from_fn(64, 64, |x, y| {
            let inside = x.abs_diff(32).pow(2) + y.abs_diff(32).pow(2) < 256;
            Rgb(if inside { [230, 200, 40] } else { [20, 30, 60] })
        });
        let embedding = model.embed(&picture, Threads::ONE).unwrap();
        let prediction = model.predict(&embedding, &Prompt::point(0.5, 0.5).unwrap(), Threads::ONE).unwrap();
        prediction.mask(prediction.best(), 1.0).0.area()
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sam-convert-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_written_model_is_the_same_model() {
        let folder = folder("same");
        let nano = Model::nano(Precision::F32).unwrap();
        let (whole, half) = (folder.join("whole.safetensors"), folder.join("half.safetensors"));
        let info = convert(None, &whole, &Conversion::default()).unwrap();
        assert_eq!((info.name.as_str(), info.parameters), ("whole", nano.info().parameters));
        assert_eq!((&info.license, info.image_size), (&nano.info().license, nano.info().image_size));
        let model = Model::open(&whole, Precision::F32).unwrap();
        assert_eq!(model.thresholds(), nano.thresholds());
        assert!(model.is_guided());
        assert_eq!(area(&model), area(&nano));
        // A file into another one.
        let info = convert(Some(&whole), &half, &Conversion { weights: FloatType::F16, ..Conversion::default() });
        assert!(info.unwrap().bytes < std::fs::metadata(&whole).unwrap().len() * 6 / 10);
        let model = Model::open(&half, Precision::F32).unwrap();
        assert!(area(&model).abs_diff(area(&nano)) < 20);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn nothing_is_replaced_unasked_or_left_half_done() {
        let folder = folder("refused");
        let target = folder.join("model.safetensors");
        std::fs::write(&target, "mine").unwrap();
        let message = |result: Result<ModelInfo>| result.unwrap_err().to_string();
        assert!(message(convert(None, &target, &Conversion::default())).contains("it exists"));
        let wrong = Conversion { replace: true, image_size: Some(1024), ..Conversion::default() };
        let text = message(convert(None, &target, &wrong));
        assert!(text.ends_with("an image_size of 1024 was asked for, but its weights are for 512"), "{text}");
        assert!(
            message(convert(None, &folder.join("model.pt"), &Conversion::default())).contains("end in .safetensors")
        );
        assert!(convert(None, &folder.join("none/model.safetensors"), &Conversion::default()).is_err());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        convert(None, &target, &Conversion { replace: true, ..Conversion::default() }).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}
