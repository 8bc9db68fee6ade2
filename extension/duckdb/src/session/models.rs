//! Models, loaded once for the process.
//!
//! A model is known by its canonical path, modification time and length: another name of the same file is the
//! same model, a replaced file is another one.

use super::Session;
use super::resolve::{self, BUILT_IN, Source};
use super::shelf::Shelf;
use crate::failure::{Failure, Result};
use sam_model::{Model, ModelError, ModelInfo};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// All models that the session has loaded or could find by name.
pub struct Models {
    folder: Option<PathBuf>,
    loaded: Shelf<Key, Model>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    BuiltIn,
    File { path: PathBuf, modified: Option<SystemTime>, length: u64 },
}

/// A model as `sam_models()` lists it.
pub struct Listing {
    /// The name it is found by: of the built-in model or of a file in the model folder; else the file's.
    pub name: String,
    /// The file.
    pub path: Option<PathBuf>,
    /// The size of the file.
    pub bytes: Option<u64>,
    /// The model, if it is loaded.
    pub model: Option<Arc<Model>>,
}

impl Listing {
    /// What the model says about itself, if it is loaded.
    pub fn info(&self) -> Option<&ModelInfo> {
        self.model.as_deref().map(Model::info)
    }
}

impl Key {
    fn of(source: Source) -> Result<Self> {
        let Source::File(path) = source else { return Ok(Key::BuiltIn) };
        let read = || {
            let path = path.canonicalize()?;
            let metadata = path.metadata()?;
            Ok(Key::File { path, modified: metadata.modified().ok(), length: metadata.len() })
        };
        read()
            .map_err(|error: std::io::Error| ModelError::Read { path: path.clone(), reason: error.to_string() }.into())
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Key::BuiltIn => None,
            Key::File { path, .. } => Some(path),
        }
    }
}

impl Models {
    /// No models yet; names are looked up in `folder`.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, loaded: Shelf::new() }
    }

    /// The model that the user calls `name`, loaded if need be.
    ///
    /// To be called on a thread of the engine, not of the pool: see [`super`].
    pub fn get(&self, name: &str, session: &Session) -> Result<Arc<Model>> {
        let precision = session.settings.precision;
        let key = Key::of(resolve::resolve(name, self.folder.as_deref())?)?;
        self.loaded.get_or_make(&key, || {
            let model = session.stats.seconds_load.time(|| {
                session.pool.run(|| match key.path() {
                    None => Model::nano(precision),
                    Some(path) => Model::open(path, precision),
                })
            })??;
            session.stats.models_loaded.count();
            // Should the file have been replaced, the model in the old file is of no more use to anybody.
            self.loaded.retain(|other| *other == key || key.path().is_none() || other.path() != key.path());
            Ok::<_, Failure>(model)
        })
    }

    /// The built-in model, the files in the model folder, and the loaded files from elsewhere. No file is opened.
    pub fn list(&self) -> Vec<Listing> {
        let mut loaded = self.loaded.values();
        let mut take = |key: &Key| {
            let index = loaded.iter().position(|(other, _)| other == key)?;
            Some(loaded.swap_remove(index).1)
        };
        let built_in = Listing { name: BUILT_IN.into(), path: None, bytes: None, model: take(&Key::BuiltIn) };
        let mut listings = vec![built_in];
        for path in self.files() {
            let Ok(key @ Key::File { length, .. }) = Key::of(Source::File(path.clone())) else { continue };
            let model = take(&key);
            listings.push(Listing { name: stem(&path), path: Some(path), bytes: Some(length), model });
        }
        loaded.sort_by(|(left, _), (right, _)| left.path().cmp(&right.path()));
        listings.extend(loaded.into_iter().map(|(key, model)| Listing {
            name: key.path().map(stem).unwrap_or_default(),
            path: key.path().map(Path::to_path_buf),
            bytes: None,
            model: Some(model),
        }));
        listings
    }

    /// The model files of the model folder, sorted; none if it cannot be read.
    fn files(&self) -> Vec<PathBuf> {
        let entries = self.folder.as_ref().and_then(|folder| folder.read_dir().ok());
        let paths = entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let mut files: Vec<_> = paths.filter(|path| resolve::is_model_file(path) && path.is_file()).collect();
        files.sort();
        files
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
