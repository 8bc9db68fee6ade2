//! DuckDB as a host of [`sam_runtime`]: one session for the process, a client for each database, settings and failures in the
//! words of SQL.

mod database;
#[allow(unsafe_code)]
mod process;
mod settings;
mod words;

pub use database::Database;
pub use process::{Process, undivided};
pub use settings::{SETTINGS, Scope, SetAs, Setting, take};
pub use words::in_sql;
