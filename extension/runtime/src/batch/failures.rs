//! Which row fails first.

use crate::failure::Failure;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The first row known to have failed, where a failure fails the batch. Rows before it are still answered, as one of them
/// may fail as well; so what is reported in the end is the first of all.
pub(super) struct FirstFailure {
    stops: bool,
    row: AtomicUsize,
}

impl FirstFailure {
    /// None yet; `stops` tells whether the values of one row can fail the batch.
    pub(super) fn new(stops: bool) -> Self {
        Self { stops, row: usize::MAX.into() }
    }

    /// A row has failed.
    pub(super) fn note(&self, row: usize, failure: &Failure) {
        if self.stops || !failure.is_about_a_row() {
            self.row.fetch_min(row, Ordering::Relaxed);
        }
    }

    /// Whether a row before this one has failed.
    pub(super) fn before(&self, row: usize) -> bool {
        self.row.load(Ordering::Relaxed) < row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_behind_the_first_failure_are_left_out() {
        let (row, defect) = (Failure::input("row"), Failure::internal("defect"));
        let failures = FirstFailure::new(true);
        assert!(!failures.before(100));
        failures.note(7, &row);
        failures.note(9, &row);
        assert!(!failures.before(7) && !failures.before(3) && failures.before(8));
        let tolerant = FirstFailure::new(false);
        tolerant.note(7, &row);
        assert!(!tolerant.before(8));
        tolerant.note(7, &defect);
        assert!(tolerant.before(8));
    }
}
