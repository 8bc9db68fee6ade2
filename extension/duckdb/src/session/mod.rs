//! What outlives a query. There is one session for the process, shared by all databases, connections and
//! threads: loaded models, the thread pool, counters and settings.
//!
//! Invariant: no lock is held while work of the pool is awaited by a thread of the pool. Models are loaded by
//! the threads of the engine only, so that a worker never waits for a lock whose holder waits for workers.

mod models;
mod pool;
mod resolve;
mod settings;
mod shelf;
mod stats;

pub use models::Models;
pub use pool::Pool;
pub use settings::Settings;
pub use stats::Stats;

use crate::failure::Result;
use sam_model::Model;
use std::sync::{Arc, OnceLock};

/// The process-wide state.
pub struct Session {
    /// What the environment asks for.
    pub settings: Settings,
    /// Loaded models.
    pub models: Models,
    /// The threads that rows are spread over.
    pub pool: Pool,
    /// How much work was done.
    pub stats: Stats,
}

static SESSION: OnceLock<Session> = OnceLock::new();

impl Session {
    /// The session; started by the first call, which is that of the entry point.
    ///
    /// # Errors
    /// The settings in the environment are unusable. Later calls try again.
    pub fn get() -> Result<&'static Self> {
        if let Some(session) = SESSION.get() {
            return Ok(session);
        }
        let settings = Settings::from_environment()?;
        Ok(SESSION.get_or_init(|| Self {
            models: Models::new(settings.model_folder.clone()),
            pool: Pool::new(settings.threads),
            stats: Stats::default(),
            settings,
        }))
    }

    /// The model that the user calls `name`, loaded if need be.
    pub fn model(&self, name: &str) -> Result<Arc<Model>> {
        self.models.get(name, self)
    }
}
