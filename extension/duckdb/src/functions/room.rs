//! The memory that the results of one vector may take.

use sam_runtime::{Call, Failure, Kind, Remedy, Result, ResultLimit, Results};
use std::sync::atomic::{AtomicU64, Ordering};

/// What is left of it is counted down while rows are computed, on all threads.
pub struct Room {
    limit: ResultLimit,
    taken: AtomicU64,
}

impl Room {
    /// The room of the results of `call`.
    pub fn new(call: &Call<'_>) -> Self {
        Self { limit: call.settings().results, taken: AtomicU64::new(0) }
    }

    /// Counts the bytes of an image.
    pub fn hold(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        self.take(bytes.len() as u64, "pictures", Results::Images)?;
        Ok(bytes)
    }

    /// Counts `bytes` of `results`, which are called `what`.
    pub fn take(&self, bytes: u64, what: &str, results: Results) -> Result<()> {
        let ResultLimit { bytes: limit, set_by } = self.limit;
        let taken = self.taken.fetch_add(bytes, Ordering::Relaxed);
        match taken.checked_add(bytes).is_some_and(|taken| taken <= limit) {
            true => Ok(()),
            false => {
                let text = format!("the {what} of these rows need more than the limit of {limit} bytes at once");
                Err(Failure::new(Kind::Limit, text).with(Remedy::FewerResults { results, set_by }))
            }
        }
    }
}
