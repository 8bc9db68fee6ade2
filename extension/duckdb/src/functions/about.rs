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
            database, of which `sam_errors()` lists the latest. The `kind` of a value is `counter` if it only grows, \
            or `gauge` if it falls as well.",
        example: "SELECT value FROM sam_stats() WHERE counter = 'encodes'",
    },
    positional: &[],
    named: &[],
    columns: &[(c"counter", Type::Varchar), (c"value", Type::Double), (c"kind", Type::Varchar)],
    run: stats,
};

/// `sam_model_stats()`: the same of each loaded model.
pub static MODEL_STATS: TableFunction = TableFunction {
    name: c"sam_model_stats",
    help: Help {
        category: Category::Extension,
        description: "Returns how much work each loaded model has done since it was loaded, in all databases of the \
            process: the counters of `sam_stats()` that are about networks. A model that is loaded in two precisions \
            has rows for each. Unloading a model ends its counters.",
        example: "SELECT model, value FROM sam_model_stats() WHERE counter = 'seconds_encode'",
    },
    positional: &[],
    named: &[],
    columns: &[
        (c"model", Type::Varchar),
        (c"path", Type::Varchar),
        (c"precision", Type::Varchar),
        (c"counter", Type::Varchar),
        (c"value", Type::Double),
        (c"kind", Type::Varchar),
    ],
    run: model_stats,
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

/// A number that only grows.
const COUNTER: &str = "counter";

/// A number that falls as well.
const GAUGE: &str = "gauge";

fn stats(arguments: &Arguments) -> Result<Vec<Vec<Value>>> {
    let process = Process::get()?;
    let session = &process.session;
    let (counters, held) = (session.stats().snapshot().into_iter(), session.caches().held());
    let errors = arguments.database.client(process).errors().total();
    let now = [("cache_entries", held.entries as f64, GAUGE), ("cache_bytes", held.bytes as f64, GAUGE)];
    let counters = counters.map(|(name, value)| (name, value, COUNTER));
    let rows = counters.chain(now).chain([("errors", errors as f64, COUNTER)]).map(|(name, value, kind)| {
        vec![Value::Varchar(name.into()), Value::Double(value), Value::Varchar(kind.into())]
    });
    Ok(rows.collect())
}

fn model_stats(arguments: &Arguments) -> Result<Vec<Vec<Value>>> {
    let settings = arguments.caller().settings()?;
    let models = Process::get()?.session.loaded(settings.access());
    let rows = models.iter().flat_map(|model| {
        let info = model.info();
        let path = info.path.as_ref().map(|path| path.to_string_lossy().into_owned());
        let precision = model.precision().to_string();
        model.stats().snapshot().map(|(counter, value)| {
            vec![
                Value::Varchar(info.name.clone()),
                path.clone().map_or(Value::Null, Value::Varchar),
                Value::Varchar(precision.clone()),
                Value::Varchar(counter.into()),
                Value::Double(value),
                Value::Varchar(COUNTER.into()),
            ]
        })
    });
    Ok(rows.collect())
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
