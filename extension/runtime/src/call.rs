//! One call of a client: its settings as they were when it began, what becomes of rows that fail, cancellation.

use crate::client::{Client, Running};
use crate::errors::Entry;
use crate::failure::Result;
use crate::models::Loaded;
use crate::pool::map_in_parallel;
use crate::session::Session;
use crate::settings::{ClientSettings, OnError};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::SystemTime;

/// A call that runs: some rows of a client. It ends when this is dropped.
pub struct Call<'a> {
    session: &'a Session,
    client: &'a Client,
    function: &'static str,
    settings: Arc<ClientSettings>,
    running: Running,
}

impl<'a> Call<'a> {
    /// A call of `function`, which is named where a row fails, with the settings that the client has now.
    pub fn new(session: &'a Session, client: &'a Client, function: &'static str) -> Self {
        Self::with(session, client, function, client.settings())
    }

    /// The same with other settings than the client's own.
    pub fn with(
        session: &'a Session,
        client: &'a Client,
        function: &'static str,
        settings: Arc<ClientSettings>,
    ) -> Self {
        Self { session, client, function, settings, running: client.begin() }
    }

    /// The session.
    pub fn session(&self) -> &'a Session {
        self.session
    }

    /// The settings of the call.
    pub fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// The model that the user calls `name`, if the client may open it; loaded if necessary. To be called on a thread
    /// of the host.
    ///
    /// # Errors
    /// As [`Session::model`].
    pub fn model(&self, name: &str) -> Result<Arc<Loaded>> {
        self.session.model(name, self.settings.access())
    }

    /// Whether the first row that fails fails the call.
    pub fn stops(&self) -> bool {
        self.settings.on_error == OnError::Fail
    }

    /// Fails if the call was cancelled, or no memory is left; to be asked before each image and each prompt.
    ///
    /// # Errors
    /// [`crate::Kind::Cancelled`] or [`crate::Kind::Resources`].
    pub fn check(&self) -> Result<()> {
        self.running.check()
    }

    /// The value of a row; `None` if it has failed and is skipped, in which case it is listed in the client's errors with
    /// its model and image, as far as they are known.
    ///
    /// # Errors
    /// The row has failed, and is not to be skipped.
    pub fn pass<T>(&self, row: Result<T>, model: Option<&str>, image: Option<&[u8]>) -> Result<Option<T>> {
        match row {
            Ok(value) => Ok(Some(value)),
            Err(failure) if self.stops() || !failure.is_about_a_row() => Err(failure),
            Err(failure) => {
                self.client.errors().add(Entry {
                    at: SystemTime::now(),
                    function: self.function,
                    model: model.map(str::to_owned),
                    failure,
                    image: image.map(|bytes| (bytes.len(), format!("{:x}", Sha256::digest(bytes)))),
                });
                Ok(None)
            }
        }
    }

    /// The result of every row that has an argument, spread over the threads of the session: for rows that need no model.
    /// A thread does at least `together` rows before another takes over: 1 where a row takes milliseconds.
    ///
    /// # Errors
    /// The failure of the first row that fails, or a cancellation.
    pub fn rows<A: Sync, T: Send + Sync>(
        &self,
        arguments: &[Option<A>],
        together: usize,
        work: impl Fn(&A) -> Result<Option<T>> + Sync,
    ) -> Result<Vec<Option<T>>> {
        let row = |row: usize| match &arguments[row] {
            Some(arguments) => self.check().and_then(|()| work(arguments)),
            None => Ok(None),
        };
        let results: Vec<_> = match arguments.len() <= together {
            true => (0..arguments.len()).map(row).collect(),
            false => self.session.pool().run(|| map_in_parallel(arguments.len(), together, row))?,
        };
        results.into_iter().map(|result| Ok(self.pass(result, None, None)?.flatten())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Failure, Kind};
    use crate::settings::Settings;

    fn halve(number: &u32) -> Result<Option<u32>> {
        match number % 2 {
            0 => Ok(Some(number / 2)),
            _ => Err(Failure::input(format!("{number} is odd"))),
        }
    }

    #[test]
    fn the_first_row_that_fails_fails_the_call() {
        let session = Session::new(Settings { threads: 2, ..Settings::default() });
        let client = Client::new(ClientSettings::default());
        let call = Call::new(&session, &client, "halve");
        let rows: Vec<_> =
            (0..100).map(|row| (row != 50).then_some(if row > 60 { row | 1 } else { row * 2 })).collect();
        for together in [1, 7, 1000] {
            let failure = call.rows(&rows, together, halve).unwrap_err();
            assert_eq!((failure.kind(), failure.text()), (Kind::Input, "61 is odd"));
        }
        assert_eq!(client.errors().total(), 0);
    }

    #[test]
    fn rows_that_fail_can_be_skipped() {
        let session = Session::new(Settings::default());
        let client = Client::new(ClientSettings { on_error: OnError::Skip, ..ClientSettings::default() });
        let call = Call::new(&session, &client, "halve");
        assert_eq!(call.rows(&[Some(4), Some(3), None], 1, halve), Ok(vec![Some(2), None, None]));
        let entry = client.errors().latest().pop().unwrap();
        assert_eq!((entry.function, entry.failure.text()), ("halve", "3 is odd"));
        client.cancel();
        assert_eq!(call.rows(&[Some(4)], 1, halve).unwrap_err().kind(), Kind::Cancelled);
    }
}
