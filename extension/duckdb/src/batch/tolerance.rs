//! What becomes of a row whose values are wrong.

use crate::failure::Result;
use crate::session::{Digest, Entry, OnError, Session};
use std::time::SystemTime;

/// The policy of one call: the setting `on_error` as it was when the call began.
#[derive(Clone, Copy)]
pub struct Tolerance {
    session: &'static Session,
    function: &'static str,
    on_error: OnError,
}

impl Tolerance {
    /// For a call of `function`.
    pub fn new(function: &'static str) -> Result<Self> {
        let session = Session::get()?;
        Ok(Self { session, function, on_error: session.settings().on_error })
    }

    /// The session.
    pub fn session(&self) -> &'static Session {
        self.session
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
                    function: self.function,
                    model: model.map(str::to_owned),
                    message: failure.to_string(),
                    image: image.map(|bytes| (bytes.len(), Digest::of_bytes(bytes))),
                });
                Ok(None)
            }
        }
    }
}
