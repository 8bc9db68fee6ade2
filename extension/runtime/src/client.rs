//! Who queries a session: with settings, errors and running calls of its own.

use crate::errors::ErrorLog;
use crate::failure::{Failure, Kind, Result};
use crate::published::Published;
use crate::reserve;
use crate::settings::ClientSettings;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A client of a session, such as a database or a user. What one sets, and what fails for it, is nothing to the others.
pub struct Client {
    pub(crate) settings: Published<ClientSettings>,
    running: Mutex<Vec<Weak<AtomicBool>>>,
    errors: ErrorLog,
}

/// A call that runs; it ends when this is dropped.
pub(crate) struct Running(Arc<AtomicBool>);

impl Client {
    /// A client that begins with these settings.
    pub fn new(settings: ClientSettings) -> Self {
        Self { settings: Published::new(settings), running: Mutex::default(), errors: ErrorLog::default() }
    }

    /// The client of a forked child, with the settings that its parent's had last. Waits for no lock in `parent`.
    pub fn inherit(parent: &Self) -> Self {
        Self::new(parent.settings.inherit())
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Arc<ClientSettings> {
        self.settings.get()
    }

    /// Rows that failed and were left without a result.
    pub fn errors(&self) -> &ErrorLog {
        &self.errors
    }

    /// Cancels the calls that run now, and none that begins later. They fail before their next image or prompt. Returns
    /// how many they are.
    pub fn cancel(&self) -> usize {
        let calls = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let running = calls.iter().filter_map(Weak::upgrade);
        running.map(|call| call.store(true, Ordering::Relaxed)).count()
    }

    /// A call begins.
    pub(crate) fn begin(&self) -> Running {
        let call = Arc::new(AtomicBool::new(false));
        let mut calls = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        calls.retain(|other| other.strong_count() > 0);
        calls.push(Arc::downgrade(&call));
        Running(call)
    }
}

impl Running {
    /// Fails if the call was cancelled, or no memory is left; asked before each image and each prompt.
    pub(crate) fn check(&self) -> Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(Failure::new(Kind::Cancelled, "cancelled")),
            false => reserve::hold(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancels_what_runs_and_nothing_else() {
        let client = Client::new(ClientSettings::default());
        let (first, second) = (client.begin(), client.begin());
        drop(second);
        assert_eq!(first.check(), Ok(()));
        assert_eq!(client.cancel(), 1);
        assert_eq!(first.check().unwrap_err().kind(), Kind::Cancelled);
        assert_eq!(client.begin().check(), Ok(()));
        assert_eq!(client.cancel(), 0);
    }
}
