//! Models, loaded once for a session.
//!
//! A model is identified by its canonical path, by the modification time and length of the files that make it, and by
//! what it computes in. Of a folder these are all files that may be part of it; a file of facts beside the weights
//! counts. Another name of the same file is the same model, a replaced file is another one.

use crate::cache::Caches;
use crate::failure::{Failure, Kind, Result};
use crate::once_map::OnceMap;
use crate::pool::Pool;
use crate::resolve::{self, BUILT_IN, Source};
use crate::stats::{Inference, Stats, Tally};
use sam_model::{Model, ModelError, ModelInfo, NoMemory, Precision};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::SystemTime;

/// Names of one model that are remembered; the rest can be told by its path.
const MAX_NAMES: usize = 100;

/// All models that the session has loaded.
pub struct Models {
    loaded: OnceMap<Key, Loaded>,
    /// How many were loaded.
    count: AtomicU64,
}

/// A loaded model with its number, which no other model of the session ever has.
pub struct Loaded {
    model: Model,
    number: u64,
    /// The names that it was loaded by.
    names: Mutex<BTreeSet<String>>,
    /// What its networks have done.
    stats: Inference,
    /// Nobody will ask for it any more.
    is_retired: AtomicBool,
}

/// What loading a model takes.
pub struct Loader<'a> {
    /// What its encoder is to compute in.
    pub precision: Precision,
    /// The threads that do the work.
    pub pool: &'a Pool,
    /// Where it is counted.
    pub stats: &'a Stats,
    /// What may hold results of the model that it replaces.
    pub caches: &'a Caches,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    origin: Origin,
    precision: Precision,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Origin {
    BuiltIn,
    /// A file or folder by its canonical path, and the files that make the model.
    File {
        path: PathBuf,
        stamps: Vec<Stamp>,
    },
}

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Stamp {
    path: PathBuf,
    modified: Option<SystemTime>,
    length: u64,
}

impl Loaded {
    /// The model's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What its networks have done since it was loaded.
    pub fn stats(&self) -> &Inference {
        &self.stats
    }

    /// Counts what is done with it, for it and for the session.
    pub(crate) fn tally<'a>(&'a self, session: &'a Stats) -> Tally<'a> {
        Tally { total: &session.inference, model: &self.stats }
    }

    /// Drops what was computed with the model, now that nobody will ask for it any more. Batches that still use it drop
    /// what they add to the caches when they end.
    pub(crate) fn retire(&self, caches: &Caches) {
        self.is_retired.store(true, Ordering::SeqCst);
        caches.forget(self.number);
    }

    /// Whether it was retired.
    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::SeqCst)
    }

    fn remember(&self, name: &str) {
        if let Some(mut names) = self.names()
            && names.len() < MAX_NAMES
            && !names.contains(name)
        {
            names.insert(name.to_owned());
        }
    }

    fn is_called(&self, name: &str) -> bool {
        self.names().is_some_and(|names| names.contains(name))
    }

    /// The names. They are inherited by a forked child, in which the lock may be held for ever: it is not waited for.
    fn names(&self) -> Option<MutexGuard<'_, BTreeSet<String>>> {
        for _ in 0..1000 {
            match self.names.try_lock() {
                Ok(names) => return Some(names),
                Err(TryLockError::Poisoned(names)) => return Some(names.into_inner()),
                Err(TryLockError::WouldBlock) => std::thread::yield_now(),
            }
        }
        None
    }
}

impl Deref for Loaded {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

/// A model in a list of those that can be named.
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
    fn of(source: &Source) -> Result<Self> {
        let Source::File(path) = source else { return Ok(Origin::BuiltIn) };
        let failed = |error: std::io::Error| ModelError::Read { path: path.clone(), reason: error.to_string() };
        let stamps = sam_model::model_files(path).into_iter().map(|path| {
            let metadata = path.metadata()?;
            Ok(Stamp { path, modified: metadata.modified().ok(), length: metadata.len() })
        });
        let path = path.canonicalize().map_err(failed)?;
        let stamps = stamps.collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
        Ok(Origin::File { path, stamps })
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Origin::BuiltIn => None,
            Origin::File { path, .. } => Some(path),
        }
    }

    /// Bytes of all files.
    fn bytes(&self) -> Option<u64> {
        match self {
            Origin::BuiltIn => None,
            Origin::File { stamps, .. } => Some(stamps.iter().map(|stamp| stamp.length).sum()),
        }
    }
}

impl Models {
    /// No models yet.
    pub fn new() -> Self {
        Self { loaded: OnceMap::new(), count: AtomicU64::new(0) }
    }

    /// Those that the parent of a forked child had loaded.
    pub fn inherit(parent: &Self) -> Self {
        Self { loaded: OnceMap::inherit(&parent.loaded), count: AtomicU64::new(parent.count.load(Ordering::Relaxed)) }
    }

    /// The model that the user calls `name`, found by name in `folder` or by its path; loaded if necessary.
    ///
    /// To be called on a thread of the host, not of the pool: see [`crate::Session`].
    pub fn get(&self, name: &str, folder: Option<&Path>, loader: &Loader<'_>) -> Result<Arc<Loaded>> {
        let precision = loader.precision;
        let source = resolve::resolve(name, folder)?;
        let key = Key { origin: Origin::of(&source)?, precision };
        let model = self.loaded.get_or_make(&key, || {
            // The tensors as they are read, and packed.
            let bytes = key.origin.bytes().unwrap_or(0);
            NoMemory::check(usize::try_from(bytes).unwrap_or(usize::MAX).saturating_mul(2));
            let model = loader.stats.seconds_load.time(|| {
                loader.pool.run_locked(|| match &source {
                    Source::BuiltIn => Model::nano(precision),
                    // Not the canonical path: in Hugging Face's cache it would be a hash.
                    Source::File(path) => Model::open(&std::path::absolute(path).unwrap_or(path.clone()), precision),
                })
            })??;
            loader.stats.models_loaded.count();
            // Should the file have been replaced, the model in the old file is of no more use to anybody.
            let replaced = |other: &Key| other.origin != key.origin && other.origin.path() == key.origin.path();
            let old = self.loaded.take(|other| key.origin.path().is_some() && replaced(other));
            old.iter().for_each(|model| model.retire(loader.caches));
            let number = self.count.fetch_add(1, Ordering::Relaxed);
            let (names, stats) = (Mutex::default(), Inference::default());
            Ok::<_, Failure>(Loaded { model, number, names, stats, is_retired: AtomicBool::new(false) })
        })?;
        model.remember(name);
        Ok(model)
    }

    /// Lets go of the models that the user calls `name`, in whatever precision; calls that use them finish with them.
    /// The file need not exist any more. `name` is what finds it now, else what it was loaded by, else its path.
    /// Failing these, it is its file name or stem, if only one file has it.
    pub fn remove(&self, name: &str, folder: Option<&Path>) -> Result<Vec<Arc<Loaded>>> {
        let resolved = resolve::resolve(name, folder);
        if resolved == Ok(Source::BuiltIn) {
            return Ok(self.loaded.take(|key| key.origin == Origin::BuiltIn));
        }
        let wanted = match &resolved {
            Ok(Source::File(path)) => path.clone(),
            _ => resolve::expand_home(name),
        };
        let wanted = real_path(&wanted);
        let loaded = self.loaded.values();
        let is_at = |key: &Key| key.origin.path() == Some(&wanted);
        let by_name = || loaded.iter().filter(|(_, model)| model.is_called(name)).map(|(key, _)| key);
        let is_named = |key: &Key| {
            let path = key.origin.path().unwrap_or(Path::new(""));
            let parts = [path.file_name(), path.file_stem()];
            parts.into_iter().flatten().any(|part| part.to_str() == Some(name))
        };
        let keys: Vec<&Key> = if loaded.iter().any(|(key, _)| is_at(key)) {
            loaded.iter().map(|(key, _)| key).filter(|key| is_at(key)).collect()
        } else if by_name().next().is_some() {
            by_name().collect()
        } else {
            let keys: Vec<&Key> = loaded.iter().map(|(key, _)| key).filter(|key| is_named(key)).collect();
            let paths: BTreeSet<_> = keys.iter().filter_map(|key| key.origin.path()).collect();
            if paths.len() > 1 {
                let paths: Vec<_> = paths.iter().map(|path| format!("'{}'", path.display())).collect();
                let paths = paths.join(", ");
                return Err(Failure::new(
                    Kind::Model,
                    format!(
                        "the name '{name}' means several loaded models: {paths}; give the path of the one that is meant"
                    ),
                ));
            }
            keys
        };
        if keys.is_empty() {
            // A name that means nothing is a mistake; a model that is not loaded is none.
            resolved?;
        }
        let keys: Vec<Key> = keys.into_iter().cloned().collect();
        Ok(self.loaded.take(|key| keys.contains(key)))
    }

    /// Those that are loaded, by name, path and precision.
    pub fn loaded(&self) -> Vec<Arc<Loaded>> {
        let mut models: Vec<_> = self.loaded.values().into_iter().map(|(_, model)| model).collect();
        models.sort_by_cached_key(|model| {
            let info = model.info();
            (info.name.clone(), info.path.clone(), model.precision().to_string())
        });
        models
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
        let files = files(folder);
        for path in &files {
            let Ok(origin) = Origin::of(&Source::File(path.clone())) else { continue };
            // The stem, unless it is that of another model too.
            let stems = files.iter().filter(|other| stem(other) == stem(path)).count();
            let name = if stems > 1 || stem(path) == BUILT_IN { file_name(path) } else { stem(path) };
            let model = take(&origin);
            listings.push(Listing { name, path: Some(path.clone()), bytes: origin.bytes(), model });
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

/// The model files and folders of the model folder, sorted; none if it cannot be read.
fn files(folder: Option<&Path>) -> Vec<PathBuf> {
    let entries = folder.and_then(|folder| folder.read_dir().ok());
    let paths = entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> = paths
        .filter(|path| resolve::is_model_file(path) && path.is_file() || sam_model::is_model_folder(path))
        .collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.unwrap_or_default().to_string_lossy().into_owned()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The canonical path, as far as the file and its folders are still there.
fn real_path(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = path.ancestors().find_map(|part| Some((part, part.canonicalize().ok()?)));
    match existing.and_then(|(part, real)| Some((real, path.strip_prefix(part).ok()?))) {
        Some((real, rest)) if rest.as_os_str().is_empty() => real,
        Some((real, rest)) => real.join(rest),
        None => path,
    }
}
