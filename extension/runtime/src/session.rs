//! What outlives a query: settings, threads, loaded models, caches, counters.

use crate::cache::Caches;
use crate::client::Client;
use crate::failure::{Failure, Kind, Result};
use crate::models::{Listing, Loaded, Loader, Models};
use crate::pool::{Pool, check_host};
use crate::published::Published;
use crate::resolve::{self, BUILT_IN, Source};
use crate::settings::{ClientSettings, Settings};
use crate::stats::Stats;
use sam_model::{Conversion, ModelInfo};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// What all clients share. A process may have several sessions, which have nothing in common.
///
/// Threads never wait in a circle, because:
///
/// - No lock is held while work of the pool is awaited by a thread of the pool. Models are loaded by threads of the host
///   only, so that a worker never waits for a lock whose holder waits for workers.
/// - Threads of the pool never wait for a result that another call has in flight. Threads of the host do, while they have
///   nothing in flight themselves (see [`crate::Batch`]).
///
/// A process that forks leaves the session of its parent as it is, and makes its own: [`Session::inherit`].
pub struct Session {
    settings: Published<Settings>,
    pool: RwLock<Arc<Pool>>,
    models: Models,
    caches: Caches,
    stats: Stats,
}

/// What a client can reach of the models in files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Access<'a> {
    /// Where they are found by name.
    pub folder: Option<&'a Path>,
    /// The setting that forbids to open any.
    pub refused_by: Option<&'static str>,
}

impl Session {
    /// A session without models. Its threads start with the first work.
    pub fn new(settings: Settings) -> Self {
        Self::with(settings, Models::new())
    }

    /// The session of a forked child, with the settings and the loaded models of its parent's. It waits for no lock in
    /// `parent`, some of which may be held for ever. Models are immutable, and their weights are shared as pages that
    /// nobody writes. Caches, counters and what runs stay with the parent.
    pub fn inherit(parent: &Self) -> Self {
        Self::with(parent.settings.inherit(), Models::inherit(&parent.models))
    }

    fn with(settings: Settings, models: Models) -> Self {
        Self {
            pool: RwLock::new(Arc::new(Pool::new(settings.threads))),
            models,
            caches: Caches::new(settings.cache_bytes),
            stats: Stats::default(),
            settings: Published::new(settings),
        }
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.get()
    }

    /// The threads that rows are spread over. Who has them keeps them until the work is done.
    pub fn pool(&self) -> Arc<Pool> {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was computed before.
    pub fn caches(&self) -> &Caches {
        &self.caches
    }

    /// How much work was done.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The models that are loaded, by name.
    pub fn loaded(&self, access: Access) -> Vec<Arc<Loaded>> {
        let allowed = access.refused_by.is_none();
        let mut models = self.models.loaded();
        models.retain(|model| allowed || model.info().path.is_none());
        models
    }

    /// Changes settings of the session and of a client: all or, after a failure of `change`, none. Returns both. Calls that
    /// run go on with what they began with.
    ///
    /// `change` must not ask the session or the client for settings, or it waits for itself.
    ///
    /// # Errors
    /// That of `change`.
    pub fn configure(
        &self,
        client: &Client,
        change: impl FnOnce(&mut Settings, &mut ClientSettings) -> Result<()>,
    ) -> Result<(Arc<Settings>, Arc<ClientSettings>)> {
        let mut own = client.settings();
        // The locks are taken in this order and nowhere else together.
        let settings = self.settings.change(|current| {
            let mut next = current.clone();
            own = client.settings.change(|own| {
                let mut own = own.clone();
                change(&mut next, &mut own)?;
                Ok::<_, Failure>(own)
            })?;
            if next.threads != current.threads {
                *self.pool.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Pool::new(next.threads));
            }
            self.caches.set_budget(next.cache_bytes);
            Ok::<_, Failure>(next)
        })?;
        Ok((settings, own))
    }

    /// The model that the user calls `name`, loaded if necessary. Where files are refused there are no models but the
    /// built-in one, and no file is looked at. To be called on a thread of the host.
    ///
    /// # Errors
    /// It cannot be found, opened or run, or would be read from a file; [`Kind::Internal`] on a thread of a pool.
    pub fn model(&self, name: &str, access: Access) -> Result<Arc<Loaded>> {
        check_host("a model is asked for")?;
        access.check(name)?;
        let precision = self.settings().precision;
        let loader = Loader { precision, pool: &self.pool(), stats: &self.stats, caches: &self.caches };
        self.models.get(name, access.folder, &loader)
    }

    /// Drops the model that the user calls `name` and all that was computed with it. Returns whether it was loaded.
    ///
    /// # Errors
    /// The name means nothing, or several models.
    pub fn unload(&self, name: &str, access: Access) -> Result<bool> {
        access.check(name)?;
        let models = self.models.remove(name, access.folder)?;
        models.iter().for_each(|model| model.retire(&self.caches));
        Ok(!models.is_empty())
    }

    /// Writes the model that the user calls `name` to `target`; see [`sam_model::convert`]. To be called on a thread of the host.
    ///
    /// # Errors
    /// The model cannot be found, opened or run; `target` cannot be written, or clients may not touch files.
    pub fn convert(&self, name: &str, target: &Path, conversion: &Conversion, access: Access) -> Result<ModelInfo> {
        check_host("a model is converted")?;
        if let Some(setting) = access.refused_by {
            let text = format!("a model would be written to the file '{}', and {setting} is off", target.display());
            return Err(Failure::new(Kind::Model, text));
        }
        let source = match resolve::resolve(name, access.folder)? {
            Source::BuiltIn => None,
            Source::File(path) => Some(path),
        };
        self.pool().run(|| sam_model::convert(source.as_deref(), target, conversion))?.map_err(Failure::from)
    }

    /// The models that can be named.
    pub fn list(&self, access: Access) -> Vec<Listing> {
        let allowed = access.refused_by.is_none();
        let mut models = self.models.list(access.folder.filter(|_| allowed));
        models.retain(|model| allowed || model.path.is_none());
        models
    }
}

impl Access<'_> {
    fn check(&self, name: &str) -> Result<()> {
        match self.refused_by {
            Some(setting) if name != BUILT_IN => Err(Failure::new(
                Kind::Model,
                format!(
                    "model '{name}' would be read from a file, and {setting} is off; use '{BUILT_IN}', which is built in"
                ),
            )),
            _ => Ok(()),
        }
    }
}

impl ClientSettings {
    /// What the client can reach of the models in files.
    pub fn access(&self) -> Access<'_> {
        Access { folder: self.model_folder.as_deref(), refused_by: self.files_refused_by }
    }
}

/// Does what libraries do at their first use in a process, and never again. For hosts whose process may fork: a child that
/// finds it half done would wait for ever.
pub fn set_up() {
    // The queues of the pool have a collector.
    drop(crossbeam_epoch::pin());
    sam_model::set_up();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_have_nothing_in_common() {
        let session = || Session::new(Settings { threads: 2, ..Settings::default() });
        let (one, other) = (session(), session());
        let client = Client::new(ClientSettings::default());
        one.model("nano", Access::default()).unwrap();
        let change = |settings: &mut Settings, _: &mut ClientSettings| {
            settings.threads = 1;
            Ok(())
        };
        assert_eq!(one.configure(&client, change).unwrap().0.threads, 1);
        assert_eq!((one.pool().threads(), other.pool().threads()), (1, 2));
        let loaded = |session: &Session| session.list(Access::default())[0].model.is_some();
        assert!(loaded(&one) && !loaded(&other));
        assert_eq!((one.stats().models_loaded.get(), other.stats().models_loaded.get()), (1, 0));
    }

    #[test]
    fn a_change_that_fails_changes_nothing() {
        let session = Session::new(Settings::default());
        let client = Client::new(ClientSettings::default());
        let before = (session.settings(), client.settings());
        let change = |settings: &mut Settings, own: &mut ClientSettings| {
            (settings.cache_bytes, own.model_folder) = (1, Some("x".into()));
            Err(Failure::usage("no"))
        };
        assert!(session.configure(&client, change).is_err());
        assert_eq!((session.settings(), client.settings()), before);
    }

    #[test]
    fn files_can_be_refused() {
        let session = Session::new(Settings::default());
        let access = Access { folder: None, refused_by: Some("a setting") };
        let message = session.model("other.pt", access).err().map(|failure| failure.to_string());
        assert!(message.is_some_and(|message| message.contains("and a setting is off; use 'nano'")));
        assert!(session.model("nano", access).is_ok());
    }
}
