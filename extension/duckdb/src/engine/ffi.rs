//! DuckDB's C API as it is called here: every function of the engine that is called is listed in this file, and nothing
//! else can be.
//!
//! The types are those of the generated bindings, and so are the signatures: the compiler compares them. The calls are
//! our own, for two reasons. Any of them may throw a C++ exception, if only because no memory is left: each goes
//! through [`exception::stop`]. And the pointers are those of one engine. A second one in the process may have other
//! layouts behind its handles, and is refused when it loads the extension, see [`install`].

#![allow(non_camel_case_types)]

use super::exception::stop;
use sam_runtime::{Failure, Result};
use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

pub use duckdb::ffi::duckdb_config_option_scope_DUCKDB_CONFIG_OPTION_SCOPE_SESSION as SCOPE_SESSION;
pub use duckdb::ffi::{
    DUCKDB_TYPE_DUCKDB_TYPE_ANY, DUCKDB_TYPE_DUCKDB_TYPE_ARRAY, DUCKDB_TYPE_DUCKDB_TYPE_BIGINT,
    DUCKDB_TYPE_DUCKDB_TYPE_BIT, DUCKDB_TYPE_DUCKDB_TYPE_BLOB, DUCKDB_TYPE_DUCKDB_TYPE_BOOLEAN,
    DUCKDB_TYPE_DUCKDB_TYPE_DATE, DUCKDB_TYPE_DUCKDB_TYPE_DECIMAL, DUCKDB_TYPE_DUCKDB_TYPE_DOUBLE,
    DUCKDB_TYPE_DUCKDB_TYPE_ENUM, DUCKDB_TYPE_DUCKDB_TYPE_FLOAT, DUCKDB_TYPE_DUCKDB_TYPE_GEOMETRY,
    DUCKDB_TYPE_DUCKDB_TYPE_HUGEINT, DUCKDB_TYPE_DUCKDB_TYPE_INTEGER, DUCKDB_TYPE_DUCKDB_TYPE_INTERVAL,
    DUCKDB_TYPE_DUCKDB_TYPE_LIST, DUCKDB_TYPE_DUCKDB_TYPE_MAP, DUCKDB_TYPE_DUCKDB_TYPE_SMALLINT,
    DUCKDB_TYPE_DUCKDB_TYPE_STRUCT, DUCKDB_TYPE_DUCKDB_TYPE_TIME, DUCKDB_TYPE_DUCKDB_TYPE_TIMESTAMP,
    DUCKDB_TYPE_DUCKDB_TYPE_TINYINT, DUCKDB_TYPE_DUCKDB_TYPE_UBIGINT, DUCKDB_TYPE_DUCKDB_TYPE_UHUGEINT,
    DUCKDB_TYPE_DUCKDB_TYPE_UINTEGER, DUCKDB_TYPE_DUCKDB_TYPE_UNION, DUCKDB_TYPE_DUCKDB_TYPE_USMALLINT,
    DUCKDB_TYPE_DUCKDB_TYPE_UTINYINT, DUCKDB_TYPE_DUCKDB_TYPE_UUID, DUCKDB_TYPE_DUCKDB_TYPE_VARCHAR,
    DUCKDB_TYPE_DUCKDB_TYPE_VARIANT, DuckDBSuccess, duckdb_bind_info, duckdb_client_context, duckdb_connection,
    duckdb_data_chunk, duckdb_database, duckdb_ext_api_v1, duckdb_extension_access, duckdb_extension_info,
    duckdb_function_info, duckdb_hugeint, duckdb_init_info, duckdb_list_entry, duckdb_logical_type,
    duckdb_scalar_function, duckdb_string_t, duckdb_type, duckdb_value, duckdb_vector,
};
use duckdb::ffi::{
    duckdb_cast_function, duckdb_config_option, duckdb_config_option_scope, duckdb_copy_callback_t,
    duckdb_delete_callback_t, duckdb_scalar_function_set, duckdb_state, duckdb_table_function, idx_t,
};

/// The engine's functions; NULL until it loads the extension.
static TABLE: AtomicPtr<duckdb_ext_api_v1> = AtomicPtr::new(std::ptr::null_mut());

/// Takes the engine's functions for all calls from now on.
///
/// # Errors
/// Another engine has loaded the extension before.
pub fn install(table: duckdb_ext_api_v1) -> Result<()> {
    let new = Box::into_raw(Box::new(table));
    let Err(old) = TABLE.compare_exchange(std::ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) else {
        return Ok(());
    };
    // SAFETY: the box was not given away; what is in the table is never freed.
    let (new, old) = unsafe { (Box::from_raw(new), &*old) };
    // The same function at another address is that of another engine.
    let entry = |table: &duckdb_ext_api_v1| table.duckdb_open.map(|function| function as usize);
    if entry(&new) == entry(old) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "this file is in use by another DuckDB in this process ({}, and this is {}), and works for one at a time; use one \
         of them in each process, or LOAD a copy of the file, in another folder, in the second",
        version(old),
        version(&new)
    )))
}

/// The engine's version, such as `v1.5.6`.
fn version(table: &duckdb_ext_api_v1) -> String {
    let Some(version) = table.duckdb_library_version else { return "unknown".into() };
    // SAFETY: the engine returns a constant text.
    unsafe { CStr::from_ptr(version()) }.to_string_lossy().into_owned()
}

/// A callback as the engine calls it; that it may let an exception through is what the engine's headers have no word for.
type Cast = unsafe extern "C-unwind" fn(duckdb_function_info, idx_t, duckdb_vector, duckdb_vector) -> bool;
type Scalar = unsafe extern "C-unwind" fn(duckdb_function_info, duckdb_data_chunk, duckdb_vector);
type Produce = unsafe extern "C-unwind" fn(duckdb_function_info, duckdb_data_chunk);
type Bind = unsafe extern "C-unwind" fn(duckdb_bind_info);
type Init = unsafe extern "C-unwind" fn(duckdb_init_info);

macro_rules! calls {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)?;)*) => {$(
        /// The engine's function of this name.
        ///
        /// # Safety
        /// As its documentation says.
        #[allow(dead_code, reason = "the list may be ahead of its use")]
        pub unsafe fn $name($($argument: $kind),*) $(-> $result)? {
            type C = unsafe extern "C" fn($($kind),*) $(-> $result)?;
            type Throwing = unsafe extern "C-unwind" fn($($kind),*) $(-> $result)?;
            // SAFETY: NULL, or a table that is never freed.
            let table = unsafe { TABLE.load(Ordering::Acquire).as_ref() };
            let function: Option<C> = table.and_then(|table| table.$name);
            let Some(function) = function else { missing(stringify!($name)) };
            // SAFETY: the two differ only in that the second is known to throw.
            let function = unsafe { std::mem::transmute::<C, Throwing>(function) };
            // SAFETY: the caller vouches for the arguments.
            stop(|| unsafe { function($($argument),*) })
        }
    )*};
}

/// What is behind the band that an engine has is never called on it.
#[cold]
fn missing(name: &str) -> ! {
    panic!("this DuckDB has no function {name}")
}

macro_rules! callbacks {
    ($(fn $name:ident($handle:ty, $callback:ty);)*) => {$(
        /// The engine's function of this name.
        ///
        /// # Safety
        /// The handle is live.
        #[allow(clippy::missing_transmute_annotations, reason = "the compiler compares with the binding's signature")]
        pub unsafe fn $name(handle: $handle, callback: Option<$callback>) {
            // SAFETY: the engine calls C++ and Rust alike; neither marks its frames as ones that nothing passes.
            let callback = unsafe { std::mem::transmute::<Option<$callback>, _>(callback) };
            // SAFETY: the caller vouches for the handle.
            unsafe { raw::$name(handle, callback) }
        }
    )*};
}

callbacks! {
    fn duckdb_cast_function_set_function(duckdb_cast_function, Cast);
    fn duckdb_scalar_function_set_function(duckdb_scalar_function, Scalar);
    fn duckdb_scalar_function_set_bind(duckdb_scalar_function, Bind);
    fn duckdb_table_function_set_bind(duckdb_table_function, Bind);
    fn duckdb_table_function_set_init(duckdb_table_function, Init);
    fn duckdb_table_function_set_function(duckdb_table_function, Produce);
}

/// The same with callbacks as the bindings type them.
mod raw {
    use super::*;
    use duckdb::ffi::{
        duckdb_cast_function_t, duckdb_scalar_function_bind_t, duckdb_scalar_function_t, duckdb_table_function_bind_t,
        duckdb_table_function_init_t, duckdb_table_function_t,
    };

    calls! {
        fn duckdb_cast_function_set_function(function: duckdb_cast_function, callback: duckdb_cast_function_t);
        fn duckdb_scalar_function_set_function(function: duckdb_scalar_function, callback: duckdb_scalar_function_t);
        fn duckdb_scalar_function_set_bind(function: duckdb_scalar_function, callback: duckdb_scalar_function_bind_t);
        fn duckdb_table_function_set_bind(function: duckdb_table_function, callback: duckdb_table_function_bind_t);
        fn duckdb_table_function_set_init(function: duckdb_table_function, callback: duckdb_table_function_init_t);
        fn duckdb_table_function_set_function(function: duckdb_table_function, callback: duckdb_table_function_t);
    }
}

calls! {
    // Version and memory.
    fn duckdb_library_version() -> *const c_char;
    fn duckdb_vector_size() -> idx_t;
    fn duckdb_free(pointer: *mut c_void);
    // Connections.
    fn duckdb_connect(database: duckdb_database, connection: *mut duckdb_connection) -> duckdb_state;
    fn duckdb_disconnect(connection: *mut duckdb_connection);
    fn duckdb_create_config_option() -> duckdb_config_option;
    fn duckdb_destroy_config_option(option: *mut duckdb_config_option);
    fn duckdb_config_option_set_name(option: duckdb_config_option, name: *const c_char);
    fn duckdb_config_option_set_type(option: duckdb_config_option, kind: duckdb_logical_type);
    fn duckdb_config_option_set_default_scope(option: duckdb_config_option, scope: duckdb_config_option_scope);
    fn duckdb_config_option_set_description(option: duckdb_config_option, text: *const c_char);
    fn duckdb_register_config_option(connection: duckdb_connection, option: duckdb_config_option) -> duckdb_state;
    fn duckdb_client_context_get_config_option(
        context: duckdb_client_context,
        name: *const c_char,
        scope: *mut duckdb_config_option_scope,
    ) -> duckdb_value;
    fn duckdb_destroy_client_context(context: *mut duckdb_client_context);
    // Types.
    fn duckdb_create_logical_type(kind: duckdb_type) -> duckdb_logical_type;
    fn duckdb_create_list_type(child: duckdb_logical_type) -> duckdb_logical_type;
    fn duckdb_create_map_type(key: duckdb_logical_type, value: duckdb_logical_type) -> duckdb_logical_type;
    fn duckdb_create_struct_type(
        types: *mut duckdb_logical_type,
        names: *mut *const c_char,
        count: idx_t,
    ) -> duckdb_logical_type;
    fn duckdb_create_union_type(
        types: *mut duckdb_logical_type,
        names: *mut *const c_char,
        count: idx_t,
    ) -> duckdb_logical_type;
    fn duckdb_logical_type_set_alias(kind: duckdb_logical_type, name: *const c_char);
    fn duckdb_destroy_logical_type(kind: *mut duckdb_logical_type);
    fn duckdb_get_type_id(kind: duckdb_logical_type) -> duckdb_type;
    fn duckdb_decimal_scale(kind: duckdb_logical_type) -> u8;
    fn duckdb_decimal_internal_type(kind: duckdb_logical_type) -> duckdb_type;
    fn duckdb_array_type_array_size(kind: duckdb_logical_type) -> idx_t;
    fn duckdb_struct_type_child_count(kind: duckdb_logical_type) -> idx_t;
    fn duckdb_struct_type_child_name(kind: duckdb_logical_type, index: idx_t) -> *mut c_char;
    // Values.
    fn duckdb_is_null_value(value: duckdb_value) -> bool;
    fn duckdb_get_bool(value: duckdb_value) -> bool;
    fn duckdb_get_varchar(value: duckdb_value) -> *mut c_char;
    fn duckdb_destroy_value(value: *mut duckdb_value);
    // Chunks and vectors.
    fn duckdb_data_chunk_get_size(chunk: duckdb_data_chunk) -> idx_t;
    fn duckdb_data_chunk_set_size(chunk: duckdb_data_chunk, size: idx_t);
    fn duckdb_data_chunk_get_vector(chunk: duckdb_data_chunk, column: idx_t) -> duckdb_vector;
    fn duckdb_vector_get_column_type(vector: duckdb_vector) -> duckdb_logical_type;
    fn duckdb_vector_get_data(vector: duckdb_vector) -> *mut c_void;
    fn duckdb_vector_get_validity(vector: duckdb_vector) -> *mut u64;
    fn duckdb_vector_ensure_validity_writable(vector: duckdb_vector);
    fn duckdb_validity_set_row_invalid(validity: *mut u64, row: idx_t);
    fn duckdb_vector_assign_string_element_len(
        vector: duckdb_vector,
        row: idx_t,
        bytes: *const c_char,
        length: idx_t,
    );
    fn duckdb_list_vector_get_child(vector: duckdb_vector) -> duckdb_vector;
    fn duckdb_list_vector_get_size(vector: duckdb_vector) -> idx_t;
    fn duckdb_list_vector_set_size(vector: duckdb_vector, size: idx_t) -> duckdb_state;
    fn duckdb_list_vector_reserve(vector: duckdb_vector, capacity: idx_t) -> duckdb_state;
    fn duckdb_array_vector_get_child(vector: duckdb_vector) -> duckdb_vector;
    fn duckdb_struct_vector_get_child(vector: duckdb_vector, field: idx_t) -> duckdb_vector;
    // Scalar functions.
    fn duckdb_create_scalar_function() -> duckdb_scalar_function;
    fn duckdb_create_scalar_function_set(name: *const c_char) -> duckdb_scalar_function_set;
    fn duckdb_add_scalar_function_to_set(
        set: duckdb_scalar_function_set,
        function: duckdb_scalar_function,
    ) -> duckdb_state;
    fn duckdb_register_scalar_function_set(
        connection: duckdb_connection,
        set: duckdb_scalar_function_set,
    ) -> duckdb_state;
    fn duckdb_destroy_scalar_function(function: *mut duckdb_scalar_function);
    fn duckdb_destroy_scalar_function_set(set: *mut duckdb_scalar_function_set);
    fn duckdb_scalar_function_set_name(function: duckdb_scalar_function, name: *const c_char);
    fn duckdb_scalar_function_add_parameter(function: duckdb_scalar_function, kind: duckdb_logical_type);
    fn duckdb_scalar_function_set_return_type(function: duckdb_scalar_function, kind: duckdb_logical_type);
    fn duckdb_scalar_function_set_special_handling(function: duckdb_scalar_function);
    fn duckdb_scalar_function_set_extra_info(
        function: duckdb_scalar_function,
        extra: *mut c_void,
        destroy: duckdb_delete_callback_t,
    );
    fn duckdb_scalar_function_get_extra_info(info: duckdb_function_info) -> *mut c_void;
    fn duckdb_scalar_function_get_client_context(info: duckdb_bind_info, context: *mut duckdb_client_context);
    fn duckdb_scalar_function_bind_get_extra_info(info: duckdb_bind_info) -> *mut c_void;
    fn duckdb_scalar_function_bind_set_error(info: duckdb_bind_info, text: *const c_char);
    fn duckdb_scalar_function_set_bind_data(
        info: duckdb_bind_info,
        data: *mut c_void,
        destroy: duckdb_delete_callback_t,
    );
    fn duckdb_scalar_function_set_bind_data_copy(info: duckdb_bind_info, copy: duckdb_copy_callback_t);
    fn duckdb_scalar_function_get_bind_data(info: duckdb_function_info) -> *mut c_void;
    fn duckdb_scalar_function_set_error(info: duckdb_function_info, text: *const c_char);
    // Casts.
    fn duckdb_create_cast_function() -> duckdb_cast_function;
    fn duckdb_destroy_cast_function(function: *mut duckdb_cast_function);
    fn duckdb_cast_function_set_source_type(function: duckdb_cast_function, kind: duckdb_logical_type);
    fn duckdb_cast_function_set_target_type(function: duckdb_cast_function, kind: duckdb_logical_type);
    fn duckdb_cast_function_set_implicit_cast_cost(function: duckdb_cast_function, cost: i64);
    fn duckdb_cast_function_set_error(info: duckdb_function_info, text: *const c_char);
    fn duckdb_register_cast_function(connection: duckdb_connection, function: duckdb_cast_function) -> duckdb_state;
    // Table functions.
    fn duckdb_create_table_function() -> duckdb_table_function;
    fn duckdb_register_table_function(
        connection: duckdb_connection,
        function: duckdb_table_function,
    ) -> duckdb_state;
    fn duckdb_destroy_table_function(function: *mut duckdb_table_function);
    fn duckdb_table_function_set_name(function: duckdb_table_function, name: *const c_char);
    fn duckdb_table_function_set_extra_info(
        function: duckdb_table_function,
        extra: *mut c_void,
        destroy: duckdb_delete_callback_t,
    );
    fn duckdb_table_function_add_parameter(function: duckdb_table_function, kind: duckdb_logical_type);
    fn duckdb_table_function_add_named_parameter(
        function: duckdb_table_function,
        name: *const c_char,
        kind: duckdb_logical_type,
    );
    fn duckdb_table_function_get_client_context(info: duckdb_bind_info, context: *mut duckdb_client_context);
    fn duckdb_bind_get_extra_info(info: duckdb_bind_info) -> *mut c_void;
    fn duckdb_bind_add_result_column(info: duckdb_bind_info, name: *const c_char, kind: duckdb_logical_type);
    fn duckdb_bind_get_parameter(info: duckdb_bind_info, index: idx_t) -> duckdb_value;
    fn duckdb_bind_get_named_parameter(info: duckdb_bind_info, name: *const c_char) -> duckdb_value;
    fn duckdb_bind_set_bind_data(info: duckdb_bind_info, data: *mut c_void, destroy: duckdb_delete_callback_t);
    fn duckdb_bind_set_error(info: duckdb_bind_info, text: *const c_char);
    fn duckdb_init_get_extra_info(info: duckdb_init_info) -> *mut c_void;
    fn duckdb_init_get_bind_data(info: duckdb_init_info) -> *mut c_void;
    fn duckdb_init_set_init_data(info: duckdb_init_info, data: *mut c_void, destroy: duckdb_delete_callback_t);
    fn duckdb_init_set_error(info: duckdb_init_info, text: *const c_char);
    fn duckdb_function_get_extra_info(info: duckdb_function_info) -> *mut c_void;
    fn duckdb_function_get_init_data(info: duckdb_function_info) -> *mut c_void;
    fn duckdb_function_set_error(info: duckdb_function_info, text: *const c_char);
}
