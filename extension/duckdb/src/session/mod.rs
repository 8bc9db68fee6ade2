//! What outlives a query. There is one session for the process, shared by all databases, connections and
//! threads: loaded models, the thread pool, the memo, counters and some settings. What every database has of its own is in
//! [`database`]. A forked child makes its own session: see [`fork`].
//!
//! Invariants that keep threads from waiting in a circle:
//!
//! - No lock is held while work of the pool is awaited by a thread of the pool. Models are loaded by the threads of
//!   the engine only, so that a worker never waits for a lock whose holder waits for workers.
//! - Threads of the pool never wait for a result that another call is making. Threads of the engine do, while they
//!   hold no claim of their own (see [`crate::batch`]).

mod cancel;
mod database;
mod errors;
#[allow(unsafe_code)]
mod fork;
mod memo;
mod models;
mod pool;
mod resolve;
mod settings;
mod shelf;
mod stats;
mod store;

pub use cancel::{Call, Running};
pub use database::{Database, State};
pub use errors::{Entry, Errors};
pub use memo::{Digest, ImageKey, Memo, PromptKey};
pub use models::{Listing, Loaded, Models};
pub use pool::Pool;
pub use settings::{DatabaseSettings, OnError, ProcessSettings, SETTINGS, Scope, SetAs, Setting, Settings};
pub use stats::Stats;
pub use store::{Claim, Look, Store};

use crate::failure::{Failure, Result};
use fork::Published;
use resolve::BUILT_IN;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

/// The process-wide state.
pub struct Session {
    settings: Published<ProcessSettings>,
    /// What the settings of a database begin with.
    defaults: DatabaseSettings,
    pool: RwLock<Arc<Pool>>,
    /// Loaded models.
    pub models: Models,
    /// What was computed before.
    pub memo: Memo,
    /// How much work was done.
    pub stats: Stats,
}

impl Session {
    /// The session; started by the first call in a process, which is that of the entry point, or in a forked child any.
    ///
    /// # Errors
    /// The settings in the environment are unusable. Later calls try again.
    pub fn get() -> Result<&'static Self> {
        fork::session(|parent| {
            fork::undivided(set_up);
            Ok(match parent {
                None => Self::new(Settings::from_environment()?, Models::new()),
                Some(parent) => {
                    let settings = Settings { process: parent.settings.inherit(), database: parent.defaults.clone() };
                    Self::new(settings, Models::inherit(&parent.models))
                }
            })
        })
    }

    fn new(Settings { process, database }: Settings, models: Models) -> Self {
        Self {
            pool: RwLock::new(Arc::new(Pool::new(process.threads))),
            models,
            memo: Memo::new(process.memo_bytes),
            stats: Stats::default(),
            settings: Published::new(process),
            defaults: database,
        }
    }

    /// The settings of the process as they are now.
    pub fn settings(&self) -> Arc<ProcessSettings> {
        self.settings.get()
    }

    /// The threads that rows are spread over. Who has them keeps them until the work is done.
    pub fn pool(&self) -> Arc<Pool> {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes settings of the process and of a database, all or, after a failure of `change`, none, and returns them.
    /// Calls that run go on with what they began with.
    pub fn configure(&self, database: &State, change: impl FnOnce(&mut Settings) -> Result<()>) -> Result<Settings> {
        let mut own = database.settings.get();
        // The locks are taken in this order and nowhere else together.
        let process = self.settings.change(|process| {
            let mut next = process.clone();
            own = database.settings.change(|own| {
                let mut settings = Settings { process: process.clone(), database: own.clone() };
                change(&mut settings)?;
                next = settings.process;
                Ok::<_, Failure>(settings.database)
            })?;
            if next.threads != process.threads {
                *self.pool.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Pool::new(next.threads));
            }
            self.memo.set_budget(next.memo_bytes);
            Ok::<_, Failure>(next)
        })?;
        Ok(Settings { process: (*process).clone(), database: (*own).clone() })
    }

    /// Fails if a setting, by its index in [`SETTINGS`], is given a text that is none of its values.
    pub fn check(&self, given: &[(usize, String)]) -> Result<()> {
        if given.is_empty() {
            return Ok(());
        }
        Settings { process: (*self.settings()).clone(), database: self.defaults.clone() }.take(given)
    }

    /// The model that the user calls `name`, loaded if need be. Where the caller has no access to files there are no
    /// models but the built-in one, and no look is taken at any file.
    pub fn model(&self, name: &str, access: Access) -> Result<Arc<Loaded>> {
        access.check(name)?;
        self.models.get(name, access.folder, self)
    }

    /// Lets go of the model that the user calls `name` and of all that is remembered of it. Returns whether it was
    /// loaded.
    pub fn unload(&self, name: &str, access: Access) -> Result<bool> {
        access.check(name)?;
        let models = self.models.remove(name, access.folder)?;
        models.iter().for_each(|model| self.memo.forget(model.number()));
        Ok(!models.is_empty())
    }

    /// The models that the caller can name.
    pub fn list(&self, access: Access) -> Vec<Listing> {
        let allowed = access.refused_by.is_none();
        let mut models = self.models.list(access.folder.filter(|_| allowed));
        models.retain(|model| allowed || model.path.is_none());
        models
    }
}

/// What a caller can reach of the models in files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Access<'a> {
    /// Where they are found by name.
    pub folder: Option<&'a Path>,
    /// The setting that forbids to open any.
    pub refused_by: Option<&'static str>,
}

impl Access<'_> {
    fn check(&self, name: &str) -> Result<()> {
        match self.refused_by {
            Some(setting) if name != BUILT_IN => Err(Failure::query(format!(
                "model '{name}' would be read from a file, and {setting} is off; use '{BUILT_IN}', which is built in"
            ))),
            _ => Ok(()),
        }
    }
}

/// What libraries set up at their first use in a process, and never again: the queues of the pool have a collector.
fn set_up() {
    drop(crossbeam_epoch::pin());
    sam_model::set_up();
}
