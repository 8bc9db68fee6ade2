//! `sam_version`, `sam_stats` and `sam_functions`: the extension about itself.

use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, TableFunction, Type, Value};
use crate::failure::Result;
use crate::session::Session;
use std::ffi::CStr;

/// `sam_version()`
pub static VERSION: ScalarFunction = ScalarFunction {
    name: c"sam_version",
    help: Help {
        category: Category::Extension,
        description: "The version of the extension.",
        example: "sam_version()",
    },
    overloads: &[Overload { parameters: &[], returns: Type::Varchar, run }],
};

/// `sam_stats()`: how much work the process has done since the extension was loaded.
pub static STATS: TableFunction = TableFunction {
    name: c"sam_stats",
    help: Help {
        category: Category::Extension,
        description: "How much work the process has done since the extension was loaded: pictures decoded, encoder \
            and decoder runs, seconds spent in each, summed over all threads.",
        example: "SELECT value FROM sam_stats() WHERE counter = 'encodes'",
    },
    columns: &[(c"counter", Type::Varchar), (c"value", Type::Double)],
    run: stats,
};

/// `sam_functions()`: one row for each function and list of arguments.
pub static FUNCTIONS: TableFunction = TableFunction {
    name: c"sam_functions",
    help: Help {
        category: Category::Extension,
        description: "The functions of the extension, one row for each list of arguments, with the columns of \
            `duckdb_functions()`. Where an argument may have one of several types, they are separated by ` | `.",
        example: "SELECT function_name, parameters, description FROM sam_functions()",
    },
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

fn stats() -> Result<Vec<Vec<Value>>> {
    let counters = Session::get()?.stats.snapshot().into_iter();
    Ok(counters.map(|(name, value)| vec![Value::Varchar(name.into()), Value::Double(value)]).collect())
}

fn functions() -> Result<Vec<Vec<Value>>> {
    let scalars = super::SCALARS.iter().flat_map(|function| {
        function.overloads.iter().map(|overload| {
            let returns = overload.returns.to_string();
            described(function.name, "scalar", overload.parameters, returns, &function.help)
        })
    });
    let tables = super::TABLES.iter().map(|function| {
        let columns = function.columns.iter().map(|(name, kind)| format!("{} {kind}", name.to_string_lossy()));
        let returns = format!("TABLE({})", columns.collect::<Vec<_>>().join(", "));
        described(function.name, "table", &[], returns, &function.help)
    });
    Ok(scalars.chain(tables).collect())
}

fn described(name: &CStr, kind: &str, parameters: &[Parameter], returns: String, help: &Help) -> Vec<Value> {
    let types = |parameter: &Parameter| parameter.types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
    vec![
        Value::Varchar(name.to_string_lossy().into_owned()),
        Value::Varchar(kind.into()),
        Value::Varchars(parameters.iter().map(|parameter| parameter.name.into()).collect()),
        Value::Varchars(parameters.iter().map(types).collect()),
        Value::Varchar(returns),
        Value::Varchar(help.description.into()),
        Value::Varchar(help.example.into()),
        Value::Varchar(help.category.to_string()),
    ]
}
