//! `sam_version`, `sam_stats` and `sam_functions`: the extension about itself.

use crate::engine::{
    Arguments, Category, Help, Input, Output, Overload, Parameter, ScalarFunction, TableFunction, Type, Value,
};
use crate::host::Process;
use sam_runtime::Result;
use std::ffi::CStr;
use std::sync::OnceLock;

/// `sam_version()`
pub static VERSION: ScalarFunction = ScalarFunction {
    name: c"sam_version",
    help: Help {
        category: Category::Extension,
        description: "Returns the version of the extension.",
        example: "sam_version()",
    },
    overloads: &[Overload { parameters: &[], returns: Type::Varchar, run }],
};

/// `sam_stats()`: how much work the process has done since the extension was loaded.
pub static STATS: TableFunction = TableFunction {
    name: c"sam_stats",
    help: Help {
        category: Category::Extension,
        description: "Returns how much work the process has done since the extension was loaded. It counts images \
            decoded, encoder and decoder runs, and the seconds spent in each stage, summed over all threads. It counts \
            what the cache has saved: `cache_hits` are prompts that needed no decoder run, `embedding_hits` are images \
            that needed no encoder run. It also returns what the cache holds now, and the number of errors of this \
            database, of which `sam_errors()` lists the latest.",
        example: "SELECT value FROM sam_stats() WHERE counter = 'encodes'",
    },
    positional: &[],
    named: &[],
    columns: &[(c"counter", Type::Varchar), (c"value", Type::Double)],
    run: stats,
};

/// `sam_functions()`: one row for each function and list of arguments.
pub static FUNCTIONS: TableFunction = TableFunction {
    name: c"sam_functions",
    help: Help {
        category: Category::Extension,
        description: "Lists the functions of the extension, one row for each list of arguments. The columns follow \
            those of `duckdb_functions()`. Where an argument may have one of several types, they are separated by \
            ` | `.",
        example: "SELECT function_name, parameters, description FROM sam_functions()",
    },
    positional: &[],
    named: &[],
    columns: &[
        (c"function_name", Type::Varchar),
        (c"function_type", Type::Varchar),
        (c"parameters", Type::List(&Type::Varchar)),
        (c"parameter_types", Type::List(&Type::Varchar)),
        (c"return_type", Type::Varchar),
        (c"description", Type::Varchar),
        (c"example", Type::Varchar),
        (c"category", Type::Varchar),
    ],
    run: functions,
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    (0..input.rows()).try_for_each(|row| output.set_bytes(row, env!("CARGO_PKG_VERSION").as_bytes()))
}

fn stats(arguments: &Arguments) -> Result<Vec<Vec<Value>>> {
    let process = Process::get()?;
    let session = &process.session;
    let (counters, held) = (session.stats().snapshot().into_iter(), session.caches().held());
    let now = [
        ("cache_entries", held.entries as f64),
        ("cache_bytes", held.bytes as f64),
        ("errors", arguments.database.client(process).errors().total() as f64),
    ];
    Ok(counters.chain(now).map(|(name, value)| vec![Value::Varchar(name.into()), Value::Double(value)]).collect())
}

/// The scalar and the table functions, set when they are registered: this file is below the list that it is in.
pub static LISTED: OnceLock<(&[&ScalarFunction], &[&TableFunction])> = OnceLock::new();

fn functions(_: &Arguments) -> Result<Vec<Vec<Value>>> {
    let (scalars, tables) = LISTED.get().copied().unwrap_or_default();
    let scalars = scalars.iter().flat_map(|function| {
        function.overloads.iter().map(|overload| {
            let returns = overload.returns.to_string();
            let names = overload.parameters.iter().map(|parameter| parameter.name.to_owned()).collect();
            let types = overload.parameters.iter().map(types_of).collect();
            described(function.name, "scalar", names, types, returns, &function.help)
        })
    });
    let tables = tables.iter().map(|function| {
        let columns = function.columns.iter().map(|(name, kind)| format!("{} {kind}", name.to_string_lossy()));
        let returns = format!("TABLE({})", columns.collect::<Vec<_>>().join(", "));
        let parameters = function.positional.iter().map(|name| name.to_string_lossy().into_owned());
        let named = function.named.iter().map(|name| format!("{} :=", name.to_string_lossy()));
        let parameters: Vec<_> = parameters.chain(named).collect();
        let types = vec![Type::Varchar.to_string(); parameters.len()];
        described(function.name, "table", parameters, types, returns, &function.help)
    });
    Ok(scalars.chain(tables).collect())
}

/// The types that an argument may have.
fn types_of(parameter: &Parameter) -> String {
    parameter.types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
}

fn described(
    name: &CStr,
    kind: &str,
    parameters: Vec<String>,
    types: Vec<String>,
    returns: String,
    help: &Help,
) -> Vec<Value> {
    vec![
        Value::Varchar(name.to_string_lossy().into_owned()),
        Value::Varchar(kind.into()),
        Value::Varchars(parameters),
        Value::Varchars(types),
        Value::Varchar(returns),
        Value::Varchar(help.description.into()),
        Value::Varchar(help.example.into()),
        Value::Varchar(help.category.to_string()),
    ]
}
