//! What a database has of its own: settings, errors, and the calls that it runs.
//!
//! A database is an instance of DuckDB with all its connections and attached files. It loads the extension once; what it
//! has is kept with its functions and goes with them.

use super::process::{PerProcess, Process};
use sam_runtime::Client;

/// A database that has loaded the extension: a client of the session of each process that it is in.
pub struct Database(PerProcess<Client>);

impl Database {
    /// A database that begins with the settings of the environment.
    pub fn new(process: &'static Process) -> Self {
        Self(PerProcess::new(process, Client::new(process.defaults.clone())))
    }

    /// The client that it is in `process`; a forked child makes its own, with the settings of its parent.
    pub fn client(&self, process: &'static Process) -> &Client {
        self.0.get(process, Client::inherit)
    }
}
