//! The records of `test/reference`: what the original PyTorch code gave (see the README there for every tensor).

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

/// `test/reference` of this repository.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/reference")
}

/// One picture through one model.
pub struct Record {
    pub image: String,
    bytes: Vec<u8>,
}

impl Record {
    /// All records of a model, by picture name.
    pub fn all(model: &str) -> Vec<Self> {
        let mut records: Vec<Self> = std::fs::read_dir(folder().join(model))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
            .map(|path| Self {
                image: path.file_stem().unwrap().to_str().unwrap().to_owned(),
                bytes: std::fs::read(&path).unwrap(),
            })
            .collect();
        records.sort_by(|a, b| a.image.cmp(&b.image));
        records
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        tensors.tensor(name).unwrap_or_else(|error| panic!("{}: {name}: {error}", self.image)).data().to_vec()
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.bytes(name).chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    pub fn integers(&self, name: &str) -> Vec<i64> {
        self.bytes(name).chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap())).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(name).is_ok()
    }
}
