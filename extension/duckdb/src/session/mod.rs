//! What outlives a query. There is one session for the process, shared by all databases, connections and
//! threads: loaded models, the thread pool, counters and settings. A forked child makes its own: see [`fork`].
//!
//! Invariants that keep threads from waiting in a circle:
//!
//! - No lock is held while work of the pool is awaited by a thread of the pool. Models are loaded by the threads of
//!   the engine only, so that a worker never waits for a lock whose holder waits for workers.
//! - Threads of the pool never wait for a result that another call is making. Threads of the engine do, while they
//!   hold no claim of their own (see [`crate::batch`]).

mod cancel;
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
pub use errors::{Entry, Errors};
pub use memo::{Digest, ImageKey, Memo, PromptKey};
pub use models::{Listing, Loaded, Models};
pub use pool::Pool;
pub use settings::{OnError, SETTINGS, Settings};
pub use stats::Stats;
pub use store::{Claim, Look, Store};

use crate::failure::{Failure, Result};
use fork::Published;
use resolve::BUILT_IN;
use std::sync::{Arc, PoisonError, RwLock};

/// The process-wide state.
pub struct Session {
    settings: Published<Settings>,
    pool: RwLock<Arc<Pool>>,
    /// Loaded models.
    pub models: Models,
    /// What was computed before.
    pub memo: Memo,
    /// What runs now.
    pub running: Running,
    /// Rows that failed and were made NULL.
    pub errors: Errors,
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
                Some(parent) => Self::new(parent.settings.inherit(), Models::inherit(&parent.models)),
            })
        })
    }

    fn new(settings: Settings, models: Models) -> Self {
        Self {
            pool: RwLock::new(Arc::new(Pool::new(settings.threads))),
            models,
            memo: Memo::new(settings.memo_bytes),
            running: Running::default(),
            errors: Errors::default(),
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

    /// Changes settings, all or, after a failure of `change`, none, and returns them. Calls that run go on with what
    /// they began with.
    pub fn configure(&self, change: impl FnOnce(&mut Settings) -> Result<()>) -> Result<Arc<Settings>> {
        self.settings.change(|current| {
            let mut settings = current.clone();
            change(&mut settings)?;
            if settings.threads != current.threads {
                *self.pool.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Pool::new(settings.threads));
            }
            self.memo.set_budget(settings.memo_bytes);
            Ok(settings)
        })
    }

    /// The model that the user calls `name`, loaded if need be. Where the caller has no external access there are no
    /// models but the built-in one, and no look is taken at any file.
    pub fn model(&self, name: &str, external_access: bool) -> Result<Arc<Loaded>> {
        self.check_access(name, external_access)?;
        self.models.get(name, self)
    }

    /// Lets go of the model that the user calls `name` and of all that is remembered of it. Returns whether it was
    /// loaded.
    pub fn unload(&self, name: &str, external_access: bool) -> Result<bool> {
        self.check_access(name, external_access)?;
        let models = self.models.remove(name, self)?;
        models.iter().for_each(|model| self.memo.forget(model.number()));
        Ok(!models.is_empty())
    }

    /// The models that the caller can name.
    pub fn list(&self, external_access: bool) -> Vec<Listing> {
        let settings = self.settings();
        let allowed = external_access && settings.external_access;
        let mut models = self.models.list(settings.model_folder.as_deref().filter(|_| allowed));
        models.retain(|model| allowed || model.path.is_none());
        models
    }

    fn check_access(&self, name: &str, external_access: bool) -> Result<()> {
        if name == BUILT_IN || external_access && self.settings().external_access {
            return Ok(());
        }
        let setting = if external_access { "external_access of sam_configure" } else { "enable_external_access" };
        Err(Failure::query(format!(
            "model '{name}' would be read from a file, and {setting} is off; use '{BUILT_IN}', which is built in"
        )))
    }
}

/// What libraries set up at their first use in a process, and never again: the queues of the pool have a collector.
fn set_up() {
    drop(crossbeam_epoch::pin());
    sam_model::set_up();
}
