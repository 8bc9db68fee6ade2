//! Stopping what is running. The C API does not tell a function that its query was interrupted, so there is a way of
//! our own: `sam_cancel()`, from another connection.

use crate::failure::{Failure, Result};
use crate::reserve;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The calls that run now.
#[derive(Default)]
pub struct Running(Mutex<Vec<Weak<AtomicBool>>>);

/// A call that runs; ends when dropped.
pub struct Call(Arc<AtomicBool>);

impl Running {
    /// A call begins.
    pub fn begin(&self) -> Call {
        let call = Arc::new(AtomicBool::new(false));
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calls.retain(|other| other.strong_count() > 0);
        calls.push(Arc::downgrade(&call));
        Call(call)
    }

    /// Cancels the calls that run now, and none that begins later. Returns how many they are.
    pub fn cancel(&self) -> usize {
        let calls = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let running = calls.iter().filter_map(Weak::upgrade);
        running.map(|call| call.store(true, Ordering::Relaxed)).count()
    }
}

impl Call {
    /// Whether the call has to stop.
    pub fn is_cancelled(&self) -> bool {
        self.check().is_err()
    }

    /// Fails if the call was cancelled, or no memory is left; asked before each picture and each prompt.
    pub fn check(&self) -> Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(Failure::query("cancelled by sam_cancel()")),
            false => reserve::hold(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancels_what_runs_and_nothing_else() {
        let running = Running::default();
        let (first, second) = (running.begin(), running.begin());
        drop(second);
        assert_eq!(first.check(), Ok(()));
        assert_eq!(running.cancel(), 1);
        assert_eq!(first.check().unwrap_err().to_string(), "cancelled by sam_cancel()");
        assert_eq!(running.begin().check(), Ok(()));
        assert_eq!(running.cancel(), 0);
    }
}
