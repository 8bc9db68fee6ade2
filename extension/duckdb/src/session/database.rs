//! What a database has of its own: settings, errors, and the calls that it runs.
//!
//! A database is an instance of DuckDB with all its connections and attached files. It loads the extension once; what it
//! has is kept with its functions and goes with them.

use super::fork::{PerProcess, Published};
use super::settings::{DatabaseSettings, Settings};
use super::{Errors, Running, Session};
use crate::failure::Result;
use std::sync::Arc;

/// A database that has loaded the extension.
pub struct Database(PerProcess<State>);

/// What it has in this process; a forked child makes its own, with the settings of its parent.
pub struct State {
    pub(super) settings: Published<DatabaseSettings>,
    /// The calls that it runs.
    pub running: Running,
    /// Its rows that failed and were made NULL.
    pub errors: Errors,
}

impl Database {
    /// A database that begins with the settings of the environment.
    pub fn new(session: &'static Session) -> Self {
        Self(PerProcess::new(session, State::new(session.defaults.clone())))
    }

    /// What it has in this process, whose session is `session`.
    pub fn state(&self, session: &'static Session) -> &State {
        self.0.get(session, |parent| State::new(parent.settings.inherit()))
    }
}

impl State {
    fn new(settings: DatabaseSettings) -> Self {
        Self { settings: Published::new(settings), running: Running::default(), errors: Errors::default() }
    }

    /// The settings as they are now, but for those in `given`: by their index in [`super::SETTINGS`], as texts.
    ///
    /// # Errors
    /// A text is none of the setting's values.
    pub fn settings(&self, session: &Session, given: &[(usize, String)]) -> Result<Arc<DatabaseSettings>> {
        let settings = self.settings.get();
        if given.is_empty() {
            return Ok(settings);
        }
        let mut settings =
            Settings { process: (*session.settings()).clone(), database: Arc::unwrap_or_clone(settings) };
        settings.take(given)?;
        Ok(Arc::new(settings.database))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{OnError, SETTINGS};

    #[test]
    fn a_database_has_settings_of_its_own() {
        let session = Session::get().unwrap();
        let (one, other) = (Database::new(session), Database::new(session));
        let change = |settings: &mut Settings| {
            settings.database.on_error = OnError::Null;
            Ok(())
        };
        let settings = session.configure(one.state(session), change).unwrap();
        assert_eq!(settings.database.on_error, OnError::Null);
        let on_error = |of: &Database, given: &[(usize, String)]| {
            of.state(session).settings(session, given).map(|all| all.on_error)
        };
        assert_eq!((on_error(&one, &[]), on_error(&other, &[])), (Ok(OnError::Null), Ok(OnError::Fail)));
        let index = SETTINGS.iter().position(|setting| setting.name == c"on_error").unwrap();
        assert_eq!(on_error(&one, &[(index, "fail".into())]), Ok(OnError::Fail));
        let message = on_error(&one, &[(index, "never".into())]).unwrap_err().to_string();
        assert_eq!(message, "sam_on_error = 'never' is unknown; it is 'fail' or 'null'");
    }
}
