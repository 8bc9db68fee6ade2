//! Where functions are registered.

use super::ffi;
use crate::failure::{Failure, Result};

/// A connection to the database that loads the extension, open while functions are registered. It is closed
/// on drop: a connection that stays open would keep the database alive.
pub struct Registry(pub(super) ffi::duckdb_connection);

impl Registry {
    /// Connects to `database`.
    ///
    /// # Safety
    /// `database` is a live database of the engine whose functions fill our table.
    pub unsafe fn connect(database: ffi::duckdb_database) -> Result<Self> {
        let mut connection = std::ptr::null_mut();
        // SAFETY: the caller vouches for the database.
        match unsafe { ffi::duckdb_connect(database, &mut connection) } {
            ffi::DuckDBSuccess => Ok(Self(connection)),
            _ => Err(Failure::internal("cannot connect to the database that loads the extension")),
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // SAFETY: the connection is ours and is closed once.
        unsafe { ffi::duckdb_disconnect(&mut self.0) }
    }
}
