//! Table functions whose result fits in memory: they list what the session knows, or change it.

use super::guard::callback;
use super::types::text;
use super::{Caller, ConnectionSettings, Help, Output, Registry, Type, access, ffi};
use crate::host::Database;
use sam_runtime::{Failure, Result};
use std::ffi::{CStr, c_void};
use std::sync::{Arc, Mutex};

/// A table function. Its arguments are texts, to which the engine casts whatever it is given.
pub struct TableFunction {
    /// The name in SQL.
    pub name: &'static CStr,
    /// What it says about itself.
    pub help: Help,
    /// The arguments that are given by their position, by the names that the reference gives them.
    pub positional: &'static [&'static CStr],
    /// The arguments that are given by name, all of them optional.
    pub named: &'static [&'static CStr],
    /// Names and types of the columns: the types that [`Value`] has.
    pub columns: &'static [(&'static CStr, Type)],
    /// Produces all rows, when the query starts to run: `EXPLAIN` and `PREPARE` do not call it.
    pub run: fn(&Arguments) -> Result<Vec<Vec<Value>>>,
}

/// The arguments of a call.
pub struct Arguments {
    /// The function.
    function: &'static str,
    /// In their order; `None` is NULL.
    pub positional: Vec<Option<String>>,
    /// Those that are given.
    pub named: Vec<(&'static CStr, Option<String>)>,
    /// What the caller may do.
    pub connection: &'static ConnectionSettings,
    /// The caller's database.
    pub database: Arc<Database>,
}

impl Arguments {
    /// The argument at `index`, which must not be NULL; `what` it is says the message.
    ///
    /// # Errors
    /// It is NULL.
    pub fn required(&self, index: usize, what: &str) -> Result<&str> {
        let value = self.positional.get(index).and_then(Option::as_deref);
        value.ok_or_else(|| Failure::usage(format!("the {what} is NULL; give its name or path")))
    }

    /// Who calls.
    pub fn caller(&self) -> Caller<'_> {
        Caller { function: self.function, connection: self.connection, database: &self.database }
    }
}

impl Value {
    /// A `BIGINT`; NULL for a number that is none.
    pub fn bigint(number: impl TryInto<i64>) -> Self {
        number.try_into().map_or(Self::Null, Self::Bigint)
    }
}

/// What a callback needs to know; owned by the engine's catalog.
struct Registered {
    function: &'static TableFunction,
    database: Arc<Database>,
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL
    Null,
    /// A `BOOLEAN`
    Boolean(bool),
    /// An `INTEGER`
    Integer(i32),
    /// A `BIGINT`
    Bigint(i64),
    /// A `DOUBLE`
    Double(f64),
    /// A `TIMESTAMP`: microseconds since 1970.
    Timestamp(i64),
    /// A `VARCHAR`
    Varchar(String),
    /// A `VARCHAR[]`
    Varchars(Vec<String>),
}

/// Rows not yet handed out. The engine calls with one thread, but that is its business, hence the lock.
struct Pending(Mutex<std::vec::IntoIter<Vec<Value>>>);

impl Registry {
    /// Registers a table function.
    pub fn table(&self, function: &'static TableFunction) -> Result<()> {
        // SAFETY: the handle is created, used and destroyed here. The extra information is handed over with the function
        // that frees it.
        let state = unsafe {
            let mut handle = ffi::duckdb_create_table_function();
            ffi::duckdb_table_function_set_name(handle, function.name.as_ptr());
            let registered = Box::into_raw(Box::new(Registered { function, database: self.database.clone() }));
            ffi::duckdb_table_function_set_extra_info(handle, registered.cast::<c_void>(), Some(free::<Registered>));
            for _ in function.positional {
                ffi::duckdb_table_function_add_parameter(handle, Type::Varchar.create().raw());
            }
            for name in function.named {
                ffi::duckdb_table_function_add_named_parameter(handle, name.as_ptr(), Type::Varchar.create().raw());
            }
            ffi::duckdb_table_function_set_bind(handle, Some(bind));
            ffi::duckdb_table_function_set_init(handle, Some(init));
            ffi::duckdb_table_function_set_function(handle, Some(produce));
            let state = ffi::duckdb_register_table_function(self.connection, handle);
            ffi::duckdb_destroy_table_function(&mut handle);
            state
        };
        match state {
            ffi::DuckDBSuccess => Ok(()),
            _ => Err(Failure::input(format!("cannot register the table function {}", function.name.to_string_lossy()))),
        }
    }
}

/// # Safety
/// Called by the engine for a registered table function.
unsafe extern "C-unwind" fn bind(info: ffi::duckdb_bind_info) {
    let body = |name: &mut &'static str| {
        // SAFETY: the extra information is the `Registered`, or NULL.
        let registered = unsafe { ffi::duckdb_bind_get_extra_info(info).cast::<Registered>().as_ref() };
        let Registered { function, database } = known(registered, name)?;
        for (name, kind) in function.columns {
            // SAFETY: the engine copies name and type.
            unsafe { ffi::duckdb_bind_add_result_column(info, name.as_ptr(), kind.create().raw()) }
        }
        // SAFETY: the engine's handle, and the arguments that were registered.
        let arguments = unsafe { arguments(info, function, name, database.clone()) }?;
        let arguments = Box::into_raw(Box::new(arguments));
        // SAFETY: the box is handed over with the function that frees it.
        unsafe { ffi::duckdb_bind_set_bind_data(info, arguments.cast::<c_void>(), Some(free::<Arguments>)) }
        Ok(())
    };
    // SAFETY: the engine copies the text.
    callback(body, |text| unsafe { ffi::duckdb_bind_set_error(info, text.as_ptr()) });
}

/// The function that a call is about, whose name it leaves for the message of a failure.
fn known<'a>(registered: Option<&'a Registered>, name: &mut &'static str) -> Result<&'a Registered> {
    let registered = registered.ok_or_else(|| Failure::internal("no extra information"))?;
    *name = registered.function.name.to_str().map_err(Failure::internal)?;
    Ok(registered)
}

/// The arguments of a call that is being bound.
///
/// # Safety
/// `info` is that of a call of `function`.
unsafe fn arguments(
    info: ffi::duckdb_bind_info,
    function: &TableFunction,
    name: &'static str,
    database: Arc<Database>,
) -> Result<Arguments> {
    // SAFETY: the values are the caller's, which `take_text` frees.
    let positional = (0..function.positional.len())
        .map(|index| unsafe { take_text(ffi::duckdb_bind_get_parameter(info, index as u64)) });
    let named = function.named.iter().filter_map(|name| {
        // SAFETY: as above; NULL stands for an argument that is not given.
        let value = unsafe { ffi::duckdb_bind_get_named_parameter(info, name.as_ptr()) };
        // SAFETY: as above.
        (!value.is_null()).then(|| (*name, unsafe { take_text(value) }))
    });
    // SAFETY: the engine's handle.
    let connection = unsafe { access::of_bind(info) }?;
    Ok(Arguments { function: name, positional: positional.collect(), named: named.collect(), connection, database })
}

/// The text of an argument, which is freed.
///
/// # Safety
/// `value` is a live value that nobody else frees.
unsafe fn take_text(mut value: ffi::duckdb_value) -> Option<String> {
    // SAFETY: the value lives until it is destroyed, once.
    unsafe {
        let text = text(value);
        ffi::duckdb_destroy_value(&mut value);
        text
    }
}

/// # Safety
/// Called by the engine for a registered table function, once for each run of the query.
unsafe extern "C-unwind" fn init(info: ffi::duckdb_init_info) {
    let body = |name: &mut &'static str| {
        // SAFETY: the extra information is the `Registered`, the bind data its `Arguments`, or either is NULL.
        let (registered, arguments) = unsafe {
            let registered = ffi::duckdb_init_get_extra_info(info).cast::<Registered>().as_ref();
            (registered, ffi::duckdb_init_get_bind_data(info).cast::<Arguments>().as_ref())
        };
        let rows =
            (known(registered, name)?.function.run)(arguments.ok_or_else(|| Failure::internal("no arguments"))?)?;
        let pending = Box::into_raw(Box::new(Pending(Mutex::new(rows.into_iter()))));
        // SAFETY: the box is handed over with the function that frees it.
        unsafe { ffi::duckdb_init_set_init_data(info, pending.cast::<c_void>(), Some(free::<Pending>)) }
        Ok(())
    };
    // SAFETY: the engine copies the text.
    callback(body, |text| unsafe { ffi::duckdb_init_set_error(info, text.as_ptr()) });
}

/// # Safety
/// Called by the engine with the pointer that was handed over, once; it points to a `T` in a box.
unsafe extern "C" fn free<T>(data: *mut c_void) {
    // SAFETY: the pointer came from `Box::into_raw`.
    drop(unsafe { Box::from_raw(data.cast::<T>()) });
}

/// # Safety
/// Called by the engine for a registered table function, until it produces no rows.
unsafe extern "C-unwind" fn produce(info: ffi::duckdb_function_info, chunk: ffi::duckdb_data_chunk) {
    let body = |name: &mut &'static str| {
        // SAFETY: the extra information is the `Registered`, the init data is `Pending`, or either is NULL.
        let (registered, pending) = unsafe {
            let registered = ffi::duckdb_function_get_extra_info(info).cast::<Registered>().as_ref();
            (registered, ffi::duckdb_function_get_init_data(info).cast::<Pending>().as_ref())
        };
        let function = known(registered, name)?.function;
        let Pending(pending) = pending.ok_or_else(|| Failure::internal("nothing to hand out"))?;
        // SAFETY: plain query of a constant.
        let room = unsafe { ffi::duckdb_vector_size() } as usize;
        let rows: Vec<_> = pending.lock().unwrap_or_else(|poison| poison.into_inner()).by_ref().take(room).collect();
        for (index, (_, kind)) in function.columns.iter().enumerate() {
            let cells = rows.iter().map(|row| row.get(index).unwrap_or(&Value::Null));
            // SAFETY: the chunk has the columns that were bound, each with room for a whole vector.
            unsafe {
                let vector = ffi::duckdb_data_chunk_get_vector(chunk, index as u64);
                write(cells, || Output::new(vector, *kind, rows.len()))?;
            }
        }
        // SAFETY: `rows.len()` is at most the size of a vector.
        unsafe { ffi::duckdb_data_chunk_set_size(chunk, rows.len() as u64) }
        Ok(())
    };
    // SAFETY: the engine copies the text.
    callback(body, |text| unsafe { ffi::duckdb_function_set_error(info, text.as_ptr()) });
}

/// Writes the cells of one column; `output` gives the column's vector anew for each cell.
fn write<'a>(cells: impl Iterator<Item = &'a Value> + Clone, output: impl Fn() -> Output<'a>) -> Result<()> {
    let texts = |cell: &'a Value| match cell {
        Value::Varchars(texts) => texts.as_slice(),
        _ => &[],
    };
    if matches!(output().kind(), Type::List(_)) {
        let lengths: Vec<usize> = cells.clone().map(|cell| texts(cell).len()).collect();
        let mut column = output();
        let mut elements = column.lists(&lengths)?;
        let mut all = cells.clone().flat_map(texts).enumerate();
        all.try_for_each(|(index, text)| elements.set_bytes(index, text.as_bytes()))?;
    }
    for (row, cell) in cells.enumerate() {
        match cell {
            Value::Null => output().set_null(row)?,
            Value::Boolean(value) => output().booleans()[row] = u8::from(*value),
            Value::Integer(value) => output().integers()[row] = *value,
            Value::Bigint(value) => output().bigints()[row] = *value,
            Value::Timestamp(value) => output().timestamps()[row] = *value,
            Value::Double(value) => output().doubles()[row] = *value,
            Value::Varchar(text) => output().set_bytes(row, text.as_bytes())?,
            Value::Varchars(_) => {} // written above, with the whole column
        }
    }
    Ok(())
}
