//! A cast: `JSON` to the union that holds text, see [`super::scalar`].
//!
//! Without it the engine's `json` extension would read the JSON as the members of the union. The engine finds a cast by its two
//! exact types, so that other casts of `JSON`, and to unions, stay what they are.

use super::guard::callback;
use super::types::LogicalType;
use super::{Column, Output, Registry, Type, ffi, version};
use sam_runtime::{Failure, Result};

/// What the cast costs where the engine chooses among overloads: as much as that of `JSON` to `VARCHAR`.
const COST: i64 = 1;

impl Registry {
    /// Lets `JSON` be given for text that the engine holds in a union, as it may be for other text.
    pub fn json_as_text(&self) -> Result<()> {
        if !version::of_engine().runs_dictionaries() {
            return Ok(());
        }
        let (json, union) = (LogicalType::json(), Type::Varchar.create_union());
        // SAFETY: the handles are live; that of the cast is created, used and destroyed here, and the engine copies what it is
        // given.
        let state = unsafe {
            let mut handle = ffi::duckdb_create_cast_function();
            ffi::duckdb_cast_function_set_source_type(handle, json.raw());
            ffi::duckdb_cast_function_set_target_type(handle, union.raw());
            ffi::duckdb_cast_function_set_implicit_cast_cost(handle, COST);
            ffi::duckdb_cast_function_set_function(handle, Some(call));
            let state = ffi::duckdb_register_cast_function(self.connection, handle);
            ffi::duckdb_destroy_cast_function(&mut handle);
            state
        };
        match state {
            ffi::DuckDBSuccess => Ok(()),
            _ => Err(Failure::input("cannot register the cast of JSON")),
        }
    }
}

/// Whether all went well.
///
/// # Safety
/// Called by the engine with vectors of the registered types.
unsafe extern "C-unwind" fn call(
    info: ffi::duckdb_function_info,
    rows: u64,
    json: ffi::duckdb_vector,
    union: ffi::duckdb_vector,
) -> bool {
    let mut done = false;
    let body = |_: &mut &'static str| {
        /// What a union is inside: the number of the member, a byte, and the members.
        const UNION: Type = Type::Struct(&[(c"", Type::Boolean), (c"sam_value", Type::Varchar)]);
        let rows = rows as usize;
        // SAFETY: the engine passes a flat vector of texts and a flat one of unions with room for as many rows, both alive until
        // this callback returns.
        let (texts, mut unions) =
            unsafe { (Column::of(json, Type::Varchar, rows, true)?, Output::new(union, UNION, rows)) };
        unions.field(0)?.booleans().fill(0);
        for row in 0..rows {
            match texts.bytes(row) {
                Some(text) => unions.field(1)?.set_bytes(row, text)?,
                None => unions.set_null(row)?,
            }
        }
        done = true;
        Ok(())
    };
    // SAFETY: the engine copies the text.
    callback(body, |text| unsafe { ffi::duckdb_cast_function_set_error(info, text.as_ptr()) });
    done
}
