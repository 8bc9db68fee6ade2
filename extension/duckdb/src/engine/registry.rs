//! Where functions are registered.

use super::{Type, access, ffi};
use crate::host::{Database, Process, Scope, SetAs, Setting};
use sam_runtime::{Failure, Result};
use std::ffi::CString;
use std::sync::Arc;

/// A connection to the database that loads the extension, open while functions are registered. It is closed
/// on drop: a connection that stays open would keep the database alive.
pub struct Registry {
    pub(super) connection: ffi::duckdb_connection,
    pub(super) database: Arc<Database>,
}

impl Registry {
    /// Connects to `database`.
    ///
    /// # Errors
    /// The settings in the environment are unusable: better reported by LOAD than by the first query.
    ///
    /// # Safety
    /// `database` is a live database of the engine whose functions fill our table.
    pub unsafe fn connect(database: ffi::duckdb_database) -> Result<Self> {
        let state = Arc::new(Database::new(Process::get()?));
        let mut connection = std::ptr::null_mut();
        // SAFETY: the caller vouches for the database.
        match unsafe { ffi::duckdb_connect(database, &mut connection) } {
            ffi::DuckDBSuccess => Ok(Self { connection, database: state }),
            _ => Err(Failure::internal("cannot connect to the database that loads the extension")),
        }
    }
}

impl Registry {
    /// Registers what `SET` calls a setting of the database, with no value until one is given.
    pub fn option(&self, setting: &Setting) -> Result<()> {
        let (name, kind) = match setting.scope {
            Scope::Database(Some(SetAs::Number(name)), _) => (name, Type::Bigint),
            Scope::Database(Some(SetAs::Text(name)), _) => (name, Type::Varchar),
            _ => return Ok(()),
        };
        if !access::has_second_band() {
            return Ok(());
        }
        let meaning = CString::new(setting.meaning).map_err(Failure::internal)?;
        // SAFETY: the entries exist in engines that tell; the handle is created, used and destroyed here, and the engine
        // copies what it is given.
        let state = unsafe {
            let mut option = ffi::duckdb_create_config_option();
            ffi::duckdb_config_option_set_name(option, name.as_ptr());
            ffi::duckdb_config_option_set_type(option, kind.create().raw());
            ffi::duckdb_config_option_set_default_scope(option, ffi::SCOPE_SESSION);
            ffi::duckdb_config_option_set_description(option, meaning.as_ptr());
            let state = ffi::duckdb_register_config_option(self.connection, option);
            ffi::duckdb_destroy_config_option(&mut option);
            state
        };
        match state {
            ffi::DuckDBSuccess => Ok(()),
            _ => Err(Failure::input(format!("cannot register the setting {}", name.to_string_lossy()))),
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // SAFETY: the connection is ours and is closed once.
        unsafe { ffi::duckdb_disconnect(&mut self.connection) }
    }
}
