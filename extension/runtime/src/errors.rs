//! The rows that [`crate::OnError::Skip`] has left without a result.

use crate::failure::Failure;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// How many errors are listed: the latest.
const KEPT: usize = 1000;

/// Most bytes of a message that are kept.
const MESSAGE: usize = 2000;

/// One row that failed.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When.
    pub at: SystemTime,
    /// The function of the host.
    pub function: &'static str,
    /// What the row called the model; `None` where the failure came before it was read.
    pub model: Option<String>,
    /// What was wrong.
    pub failure: Failure,
    /// The length of the image and its SHA-256, in lower-case hex: what databases can compute as well.
    pub image: Option<(usize, String)>,
}

/// The latest errors and the number of all.
#[derive(Default)]
pub struct ErrorLog(Mutex<Log>);

#[derive(Default)]
struct Log {
    latest: VecDeque<Entry>,
    total: u64,
}

impl ErrorLog {
    /// Adds an error; the oldest makes room.
    pub fn add(&self, mut entry: Entry) {
        entry.failure.truncate(MESSAGE);
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.total += 1;
        if log.latest.len() == KEPT {
            log.latest.pop_front();
        }
        log.latest.push_back(entry);
    }

    /// The latest errors, the oldest first.
    pub fn latest(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).latest.iter().cloned().collect()
    }

    /// How many there were in all.
    pub fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_latest_and_counts_all() {
        let errors = ErrorLog::default();
        for index in 0..KEPT + 5 {
            let failure = Failure::input(format!("{index} {}", "ä".repeat(MESSAGE)));
            errors.add(Entry { at: SystemTime::now(), function: "f", model: None, failure, image: None });
        }
        let latest = errors.latest();
        assert_eq!((latest.len(), errors.total()), (KEPT, KEPT as u64 + 5));
        assert!(latest[0].failure.text().starts_with("5 ä") && latest[0].failure.text().len() <= MESSAGE);
    }
}
