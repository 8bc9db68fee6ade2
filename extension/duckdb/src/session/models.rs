//! Models, loaded once for the process.
//!
//! A model is known by its canonical path, modification time and length, and by what it computes in: another name of
//! the same file is the same model, a replaced file is another one.

use super::Session;
use super::resolve::{self, BUILT_IN, Source};
use super::shelf::Shelf;
use crate::failure::{Failure, Result};
use sam_model::{Model, ModelError, ModelInfo, NoMemory, Precision};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// All models that the session has loaded.
pub struct Models {
    loaded: Shelf<Key, Loaded>,
    /// How many were loaded.
    count: AtomicU64,
}

/// A loaded model with its number, which no other model in the process ever has.
pub struct Loaded {
    model: Model,
    number: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    origin: Origin,
    precision: Precision,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Origin {
    BuiltIn,
    File { path: PathBuf, modified: Option<SystemTime>, length: u64 },
}

impl Loaded {
    /// The model's number.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl Deref for Loaded {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
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
    pub model: Option<Arc<Loaded>>,
}

impl Listing {
    /// What the model says about itself, if it is loaded.
    pub fn info(&self) -> Option<&ModelInfo> {
        self.model.as_deref().map(|model| model.info())
    }
}

impl Origin {
    fn of(source: Source) -> Result<Self> {
        let Source::File(path) = source else { return Ok(Origin::BuiltIn) };
        let read = || {
            let path = path.canonicalize()?;
            let metadata = path.metadata()?;
            Ok(Origin::File { path, modified: metadata.modified().ok(), length: metadata.len() })
        };
        read()
            .map_err(|error: std::io::Error| ModelError::Read { path: path.clone(), reason: error.to_string() }.into())
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Origin::BuiltIn => None,
            Origin::File { path, .. } => Some(path),
        }
    }
}

impl Models {
    /// No models yet.
    pub fn new() -> Self {
        Self { loaded: Shelf::new(), count: AtomicU64::new(0) }
    }

    /// Those that the parent of a forked child had loaded; see [`super::fork`].
    pub fn inherit(parent: &Self) -> Self {
        Self { loaded: Shelf::inherit(&parent.loaded), count: AtomicU64::new(parent.count.load(Ordering::Relaxed)) }
    }

    /// The model that the user calls `name`, loaded if need be.
    ///
    /// To be called on a thread of the engine, not of the pool: see [`super`].
    pub fn get(&self, name: &str, session: &Session) -> Result<Arc<Loaded>> {
        let settings = session.settings();
        let precision = settings.precision;
        let origin = Origin::of(resolve::resolve(name, settings.model_folder.as_deref())?)?;
        let key = Key { origin, precision };
        self.loaded.get_or_make(&key, || {
            // The tensors as they are read, and packed.
            if let Origin::File { length, .. } = key.origin {
                NoMemory::check(usize::try_from(length).unwrap_or(usize::MAX).saturating_mul(2));
            }
            let model = session.stats.seconds_load.time(|| {
                session.pool().run(|| match key.origin.path() {
                    None => Model::nano(precision),
                    Some(path) => Model::open(path, precision),
                })
            })??;
            session.stats.models_loaded.count();
            // Should the file have been replaced, the model in the old file is of no more use to anybody.
            let replaced = |other: &Key| other.origin != key.origin && other.origin.path() == key.origin.path();
            let old = self.loaded.take(|other| key.origin.path().is_some() && replaced(other));
            old.iter().for_each(|model| session.memo.forget(model.number()));
            Ok::<_, Failure>(Loaded { model, number: self.count.fetch_add(1, Ordering::Relaxed) })
        })
    }

    /// Lets go of the model that the user calls `name`, in whatever precision. Calls that use it finish with it.
    pub fn remove(&self, name: &str, session: &Session) -> Result<Vec<Arc<Loaded>>> {
        let origin = Origin::of(resolve::resolve(name, session.settings().model_folder.as_deref())?)?;
        Ok(self.loaded.take(|key| key.origin == origin))
    }

    /// The built-in model, the files in `folder`, and the loaded files from elsewhere. No file is opened.
    pub fn list(&self, folder: Option<&Path>) -> Vec<Listing> {
        let mut loaded = self.loaded.values();
        let mut take = |origin: &Origin| {
            let index = loaded.iter().position(|(other, _)| other.origin == *origin)?;
            let (_, model) = loaded.swap_remove(index);
            // Loaded in another precision as well, it is still one model.
            loaded.retain(|(other, _)| other.origin != *origin);
            Some(model)
        };
        let built_in = Listing { name: BUILT_IN.into(), path: None, bytes: None, model: take(&Origin::BuiltIn) };
        let mut listings = vec![built_in];
        for path in files(folder) {
            let Ok(origin @ Origin::File { length, .. }) = Origin::of(Source::File(path.clone())) else { continue };
            let model = take(&origin);
            listings.push(Listing { name: stem(&path), path: Some(path), bytes: Some(length), model });
        }
        loaded.sort_by(|(left, _), (right, _)| left.origin.path().cmp(&right.origin.path()));
        loaded.dedup_by(|(left, _), (right, _)| left.origin == right.origin);
        listings.extend(loaded.into_iter().map(|(Key { origin, .. }, model)| Listing {
            name: origin.path().map(stem).unwrap_or_default(),
            path: origin.path().map(Path::to_path_buf),
            bytes: None,
            model: Some(model),
        }));
        listings
    }
}

/// The model files of the model folder, sorted; none if it cannot be read.
fn files(folder: Option<&Path>) -> Vec<PathBuf> {
    let entries = folder.and_then(|folder| folder.read_dir().ok());
    let paths = entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> = paths.filter(|path| resolve::is_model_file(path) && path.is_file()).collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
