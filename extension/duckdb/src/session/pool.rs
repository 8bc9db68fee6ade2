//! The threads. DuckDB gives a table of less than 122,880 rows one thread, so the rows of one vector are spread
//! over a pool of our own. All queries share it: it never oversubscribes the machine.

use crate::engine::POOL_THREAD;
use crate::failure::{Failure, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;

/// A pool whose threads start with the first work.
pub struct Pool {
    threads: usize,
    started: OnceLock<std::result::Result<ThreadPool, String>>,
}

impl Pool {
    /// A pool of `threads` threads.
    pub fn new(threads: usize) -> Self {
        Self { threads, started: OnceLock::new() }
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` on the pool and waits for it.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let pool = self.started.get_or_init(|| {
            let builder = ThreadPoolBuilder::new().num_threads(self.threads);
            builder.thread_name(|index| format!("{POOL_THREAD}{index}")).build().map_err(|error| error.to_string())
        });
        let pool = pool.as_ref().map_err(|error| {
            Failure::query(format!(
                "cannot start {} threads: {error}; ask for fewer with CALL sam_configure(threads := ...)",
                self.threads
            ))
        })?;
        Ok(pool.install(work))
    }
}
