//! `sam_version` and `sam_stats`: the extension about itself.

use crate::engine::{Input, Output, Overload, ScalarFunction, TableFunction, Type, Value};
use crate::failure::Result;
use crate::session::Session;

/// `sam_version()`
pub static VERSION: ScalarFunction =
    ScalarFunction { name: c"sam_version", overloads: &[Overload { parameters: &[], returns: Type::Varchar, run }] };

/// `sam_stats()`: how much work the process has done since the extension was loaded.
pub static STATS: TableFunction =
    TableFunction { name: c"sam_stats", columns: &[(c"counter", Type::Varchar), (c"value", Type::Double)], run: stats };

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    (0..input.rows()).try_for_each(|row| output.set_bytes(row, env!("CARGO_PKG_VERSION").as_bytes()))
}

fn stats() -> Result<Vec<Vec<Value>>> {
    let counters = Session::get()?.stats.snapshot().into_iter();
    Ok(counters.map(|(name, value)| vec![Value::Varchar(name.into()), Value::Double(value)]).collect())
}
