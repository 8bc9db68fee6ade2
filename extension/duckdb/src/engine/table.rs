//! Table functions whose result fits in memory: they list what the session knows.

use super::guard::error_text;
use super::{Help, Output, Registry, Type, ffi, guard};
use crate::failure::{Failure, Result};
use std::ffi::{CStr, c_void};
use std::sync::Mutex;

/// A table function without arguments.
pub struct TableFunction {
    /// The name in SQL.
    pub name: &'static CStr,
    /// What it says about itself.
    pub help: Help,
    /// Names and types of the columns: the types that [`Value`] has.
    pub columns: &'static [(&'static CStr, Type)],
    /// Produces all rows, when the query starts to run.
    pub run: fn() -> Result<Vec<Vec<Value>>>,
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
        // SAFETY: the handle is created, used and destroyed here. The extra information is a `&'static`, which
        // needs no freeing.
        let state = unsafe {
            let mut handle = ffi::duckdb_create_table_function();
            ffi::duckdb_table_function_set_name(handle, function.name.as_ptr());
            let extra = std::ptr::from_ref(function).cast_mut().cast::<c_void>();
            ffi::duckdb_table_function_set_extra_info(handle, extra, None);
            ffi::duckdb_table_function_set_bind(handle, Some(bind));
            ffi::duckdb_table_function_set_init(handle, Some(init));
            ffi::duckdb_table_function_set_function(handle, Some(produce));
            let state = ffi::duckdb_register_table_function(self.0, handle);
            ffi::duckdb_destroy_table_function(&mut handle);
            state
        };
        match state {
            ffi::DuckDBSuccess => Ok(()),
            _ => Err(Failure::new(format!("cannot register the table function {}", function.name.to_string_lossy()))),
        }
    }
}

/// # Safety
/// Called by the engine for a registered table function.
unsafe extern "C" fn bind(info: ffi::duckdb_bind_info) {
    // SAFETY: the extra information is the `TableFunction`, or NULL.
    let function = unsafe { ffi::duckdb_bind_get_extra_info(info).cast::<TableFunction>().as_ref() };
    let outcome = guard(|| {
        for (name, kind) in function.ok_or_else(|| Failure::internal("no extra information"))?.columns {
            // SAFETY: the engine copies name and type.
            unsafe { ffi::duckdb_bind_add_result_column(info, name.as_ptr(), kind.create().raw()) }
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        let text = error_text(&name_of(function), &failure);
        // SAFETY: the engine copies the text.
        unsafe { ffi::duckdb_bind_set_error(info, text.as_ptr()) }
    }
}

/// # Safety
/// Called by the engine for a registered table function, once for each run of the query.
unsafe extern "C" fn init(info: ffi::duckdb_init_info) {
    // SAFETY: the extra information is the `TableFunction`, or NULL.
    let function = unsafe { ffi::duckdb_init_get_extra_info(info).cast::<TableFunction>().as_ref() };
    let outcome = guard(|| {
        let rows = (function.ok_or_else(|| Failure::internal("no extra information"))?.run)()?;
        let pending = Box::into_raw(Box::new(Pending(Mutex::new(rows.into_iter()))));
        // SAFETY: the box is handed over with the function that frees it.
        unsafe { ffi::duckdb_init_set_init_data(info, pending.cast::<c_void>(), Some(free)) }
        Ok(())
    });
    if let Err(failure) = outcome {
        let text = error_text(&name_of(function), &failure);
        // SAFETY: the engine copies the text.
        unsafe { ffi::duckdb_init_set_error(info, text.as_ptr()) }
    }
}

/// # Safety
/// Called by the engine with the pointer that was handed over, once.
unsafe extern "C" fn free(pending: *mut c_void) {
    // SAFETY: the pointer came from `Box::into_raw` of a `Pending`.
    drop(unsafe { Box::from_raw(pending.cast::<Pending>()) });
}

/// # Safety
/// Called by the engine for a registered table function, until it produces no rows.
unsafe extern "C" fn produce(info: ffi::duckdb_function_info, chunk: ffi::duckdb_data_chunk) {
    // SAFETY: the extra information is the `TableFunction`, the init data is `Pending`, or either is NULL.
    let (function, pending) = unsafe {
        let function = ffi::duckdb_function_get_extra_info(info).cast::<TableFunction>().as_ref();
        (function, ffi::duckdb_function_get_init_data(info).cast::<Pending>().as_ref())
    };
    let outcome = guard(|| {
        let (Some(function), Some(Pending(pending))) = (function, pending) else {
            return Err(Failure::internal("no extra information"));
        };
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
    });
    if let Err(failure) = outcome {
        let text = error_text(&name_of(function), &failure);
        // SAFETY: the engine copies the text.
        unsafe { ffi::duckdb_function_set_error(info, text.as_ptr()) }
    }
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
            Value::Double(value) => output().doubles()[row] = *value,
            Value::Varchar(text) => output().set_bytes(row, text.as_bytes())?,
            Value::Varchars(_) => {} // written above, with the whole column
        }
    }
    Ok(())
}

fn name_of(function: Option<&TableFunction>) -> std::borrow::Cow<'static, str> {
    function.map_or("sam".into(), |function| function.name.to_string_lossy())
}
