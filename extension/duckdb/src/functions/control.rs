//! `sam_load`, `sam_unload`, `sam_configure`, `sam_cancel` and `sam_errors`: steering the session. They act when the
//! query runs, not when it is planned, and are meant for `CALL`.

use crate::engine::{Arguments, Category, Help, TableFunction, Type, Value};
use crate::host::{Process, SETTINGS, in_sql};
use sam_runtime::{ClientSettings, Entry, Failure, Result, Settings};
use std::ffi::CStr;
use std::time::UNIX_EPOCH;

/// `sam_load(model)`: loads a model before the first query needs it.
pub static LOAD: TableFunction = TableFunction {
    name: c"sam_load",
    help: Help {
        category: Category::Extension,
        description: "Loads a model, unless it is loaded already, and describes it. Without it, the first query that \
            names a model loads it. `notes` says what was left out of its file, such as tensors that only training \
            uses, and what was assumed. It is NULL if there is nothing to say.",
        example: "CALL sam_load('nano')",
    },
    positional: &[c"model"],
    named: &[],
    columns: &[
        (c"name", Type::Varchar),
        (c"path", Type::Varchar),
        (c"architecture", Type::Varchar),
        (c"precision", Type::Varchar),
        (c"notes", Type::Varchar),
    ],
    run: load,
};

/// `sam_unload(model)`: drops a model and what was computed with it.
pub static UNLOAD: TableFunction = TableFunction {
    name: c"sam_unload",
    help: Help {
        category: Category::Extension,
        description: "Frees the memory of a model and forgets what was computed with it. Queries that use the model \
            finish with it; the next one that names it loads it again. `model` is what it was loaded by, its path, or \
            the name of its file if no other loaded model has that name. The file need not exist any more. `unloaded` \
            is false if the model was not loaded.",
        example: "CALL sam_unload('nano')",
    },
    positional: &[c"model"],
    named: &[],
    columns: &[(c"unloaded", Type::Boolean)],
    run: unload,
};

/// `sam_configure(name := value, ...)`: changes settings and lists them all.
pub static CONFIGURE: TableFunction = TableFunction {
    name: c"sam_configure",
    help: Help {
        category: Category::Extension,
        description: "Changes settings, and lists all of them with the values that hold for this connection. All \
            settings that are given change or, after an error, none. `scope` says what a setting belongs to: \
            `database` is this one with all its connections, `process` is all databases of the process. Changes hold \
            from the next vector on. From DuckDB 1.5.6 on, `SET` takes a database's settings too, except \
            `external_access`, with `sam_` before their names. `SET sam_on_error = 'null'` is for one connection, \
            `SET GLOBAL` for the database. What `SET` gives has precedence until `RESET`, and holds from the next \
            query that is planned on. `duckdb_settings()` lists it, as NULL where it is not given. \
            `lock_configuration` locks both ways there. `variable` is the environment variable that is read when the \
            extension is loaded. `note` says of `encoder_precision` what it is on this processor, and why; it is NULL \
            elsewhere.",
        example: "CALL sam_configure(cache_mb := 1000)",
    },
    positional: &[],
    named: &SETTING_NAMES,
    columns: &[
        (c"setting", Type::Varchar),
        (c"value", Type::Varchar),
        (c"variable", Type::Varchar),
        (c"meaning", Type::Varchar),
        (c"scope", Type::Varchar),
        (c"note", Type::Varchar),
    ],
    run: configure,
};

/// `sam_cancel()`: stops what runs.
pub static CANCEL: TableFunction = TableFunction {
    name: c"sam_cancel",
    help: Help {
        category: Category::Extension,
        description: "Stops the calls of this extension that are running, in all connections of this database. They \
            stop within the time of one image each, and their queries fail. Call it from another connection. It \
            returns how many calls it stops; calls that begin later are not affected.",
        example: "CALL sam_cancel()",
    },
    positional: &[],
    named: &[],
    columns: &[(c"cancelled", Type::Bigint)],
    run: cancel,
};

/// `sam_errors()`: the rows that `on_error := 'null'` has made NULL.
pub static ERRORS: TableFunction = TableFunction {
    name: c"sam_errors",
    help: Help {
        category: Category::Extension,
        description: "Lists the latest 1,000 rows of this database that failed and became NULL because of \
            `sam_configure(on_error := 'null')`. `image_sha256` is what `sha256(image)` gives, by which the \
            rows of a table are found again. `sam_stats()` counts all such rows as `errors`.",
        example: "SELECT message, count(*) FROM sam_errors() GROUP BY message",
    },
    positional: &[],
    named: &[],
    columns: &[
        (c"failed_at", Type::Timestamp),
        (c"function", Type::Varchar),
        (c"model", Type::Varchar),
        (c"message", Type::Varchar),
        (c"image_bytes", Type::Bigint),
        (c"image_sha256", Type::Varchar),
    ],
    run: errors,
};

const SETTING_NAMES: [&CStr; SETTINGS.len()] = {
    let mut names = [c""; SETTINGS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = SETTINGS[index].name;
        index += 1;
    }
    names
};

fn load(arguments: &Arguments) -> Result<Vec<Vec<Value>>> {
    let settings = arguments.caller().settings()?;
    let model = Process::get()?.session.model(arguments.required(0, "model")?, settings.access())?;
    let info = model.info();
    let path = info.path.as_ref().map(|path| Value::Varchar(path.to_string_lossy().into_owned()));
    Ok(vec![vec![
        Value::Varchar(info.name.clone()),
        path.unwrap_or(Value::Null),
        Value::Varchar(info.architecture.clone()),
        Value::Varchar(model.precision().to_string()),
        if info.notes.is_empty() { Value::Null } else { Value::Varchar(info.notes.join("; ")) },
    ]])
}

fn unload(arguments: &Arguments) -> Result<Vec<Vec<Value>>> {
    let settings = arguments.caller().settings()?;
    let unloaded = Process::get()?.session.unload(arguments.required(0, "model")?, settings.access())?;
    Ok(vec![vec![Value::Boolean(unloaded)]])
}

fn configure(arguments: &Arguments) -> Result<Vec<Vec<Value>>> {
    if arguments.connection.locked && !arguments.named.is_empty() {
        return Err(Failure::usage(
            "the configuration of this database is locked by lock_configuration; CALL sam_configure() without arguments \
             lists the settings",
        ));
    }
    let change = |process: &mut Settings, database: &mut ClientSettings| {
        arguments.named.iter().try_for_each(|(name, value)| {
            let shown = name.to_string_lossy();
            let missing = || Failure::usage(format!("{shown} is NULL; leave it out to keep it as it is"));
            let setting = SETTINGS.iter().find(|setting| setting.name == *name);
            let setting = setting.ok_or_else(|| Failure::internal(format!("there is no setting {shown}")))?;
            if let Some(option) = setting.scope.option().filter(|option| arguments.connection.gives(option)) {
                let option = option.to_string_lossy();
                return Err(Failure::usage(format!(
                    "{shown} was given by SET {option}, which has precedence here; RESET {option} first"
                )));
            }
            setting.set(process, database, &shown, value.as_deref().ok_or_else(missing)?)
        })
    };
    let process = Process::get()?;
    let (settings, _) = process.session.configure(arguments.database.client(process), change)?;
    // What holds for this connection, also where SET has given it.
    let own = arguments.caller().settings()?;
    let row = SETTINGS.iter().map(|setting| {
        vec![
            Value::Varchar(setting.name.to_string_lossy().into_owned()),
            Value::Varchar(setting.show(&settings, &own)),
            Value::Varchar(setting.variable.into()),
            Value::Varchar(setting.meaning.into()),
            Value::Varchar(setting.scope.to_string()),
            setting.note(&settings).map_or(Value::Null, Value::Varchar),
        ]
    });
    Ok(row.collect())
}

fn cancel(arguments: &Arguments) -> Result<Vec<Vec<Value>>> {
    Ok(vec![vec![Value::bigint(arguments.database.client(Process::get()?).cancel())]])
}

fn errors(arguments: &Arguments) -> Result<Vec<Vec<Value>>> {
    let row = |entry: Entry| {
        let at = entry.at.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_micros()).ok());
        let (bytes, digest) = entry.image.unzip();
        vec![
            at.map_or(Value::Null, Value::Timestamp),
            Value::Varchar(entry.function.into()),
            entry.model.map_or(Value::Null, Value::Varchar),
            Value::Varchar(in_sql(&entry.failure)),
            bytes.map_or(Value::Null, Value::bigint),
            digest.map_or(Value::Null, Value::Varchar),
        ]
    };
    Ok(arguments.database.client(Process::get()?).errors().latest().into_iter().map(row).collect())
}
