//! What becomes of a row whose values are wrong.

use crate::engine::Caller;
use crate::failure::Result;
use crate::session::{Digest, Entry, Loaded, OnError, Session};
use std::sync::Arc;
use std::time::SystemTime;

/// The policy of one call: the setting `on_error` as it was when the call began.
#[derive(Clone, Copy)]
pub struct Tolerance {
    session: &'static Session,
    caller: Caller,
    on_error: OnError,
}

impl Tolerance {
    /// For a call by `caller`.
    pub fn new(caller: Caller) -> Result<Self> {
        let session = Session::get()?;
        Ok(Self { session, caller, on_error: session.settings().on_error })
    }

    /// The session.
    pub fn session(&self) -> &'static Session {
        self.session
    }

    /// The model that the user calls `name`, if the caller may open it; loaded if need be.
    pub fn model(&self, name: &str) -> Result<Arc<Loaded>> {
        self.session.model(name, self.caller.terms.external_access)
    }

    /// Whether the first row that fails stops the query.
    pub fn stops(&self) -> bool {
        self.on_error == OnError::Fail
    }

    /// The value of a row; `None` if it has failed and is made NULL, in which case it is listed with its model and
    /// picture, as far as they are known.
    pub fn pass<T>(&self, row: Result<T>, model: Option<&str>, image: Option<&[u8]>) -> Result<Option<T>> {
        match row {
            Ok(value) => Ok(Some(value)),
            Err(failure) if self.stops() || !failure.is_about_a_row() => Err(failure),
            Err(failure) => {
                self.session.errors.add(Entry {
                    at: SystemTime::now(),
                    function: self.caller.function,
                    model: model.map(str::to_owned),
                    message: failure.to_string(),
                    image: image.map(|bytes| (bytes.len(), Digest::of_bytes(bytes))),
                });
                Ok(None)
            }
        }
    }
}
