//! What becomes of a row whose values are wrong.

use crate::engine::{Caller, Room};
use crate::failure::Result;
use crate::session::{Access, Call, DatabaseSettings, Digest, Entry, Loaded, OnError, Session, State};
use std::sync::Arc;
use std::time::SystemTime;

/// The policy of one call: the settings of its database as they were when the call began.
#[derive(Clone)]
pub struct Tolerance<'a> {
    session: &'static Session,
    state: &'a State,
    caller: Caller<'a>,
    settings: Arc<DatabaseSettings>,
}

impl<'a> Tolerance<'a> {
    /// For a call by `caller`.
    pub fn new(caller: Caller<'a>) -> Result<Self> {
        let session = Session::get()?;
        Ok(Self { session, state: caller.database.state(session), settings: caller.settings()?, caller })
    }

    /// The session.
    pub fn session(&self) -> &'static Session {
        self.session
    }

    /// The settings of the call.
    pub fn settings(&self) -> &DatabaseSettings {
        &self.settings
    }

    /// The memory that the results of one vector may take.
    pub fn room(&self) -> Room {
        self.caller.terms.room(self.settings.mask_bytes)
    }

    /// A call begins, which its database can cancel.
    pub fn begin(&self) -> Call {
        self.state.running.begin()
    }

    /// What the caller can reach of the models in files.
    pub fn access(&self) -> Access<'_> {
        self.settings.access(self.caller.terms.external_access)
    }

    /// The model that the user calls `name`, if the caller may open it; loaded if need be.
    pub fn model(&self, name: &str) -> Result<Arc<Loaded>> {
        self.session.model(name, self.access())
    }

    /// Whether the first row that fails stops the query.
    pub fn stops(&self) -> bool {
        self.settings.on_error == OnError::Fail
    }

    /// The value of a row; `None` if it has failed and is made NULL, in which case it is listed with its model and
    /// picture, as far as they are known.
    pub fn pass<T>(&self, row: Result<T>, model: Option<&str>, image: Option<&[u8]>) -> Result<Option<T>> {
        match row {
            Ok(value) => Ok(Some(value)),
            Err(failure) if self.stops() || !failure.is_about_a_row() => Err(failure),
            Err(failure) => {
                self.state.errors.add(Entry {
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
