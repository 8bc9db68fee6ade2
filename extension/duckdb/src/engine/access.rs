//! What the caller of a function may do: `enable_external_access` of its connection, as far as the engine tells.
//!
//! It does from DuckDB 1.5.6 on, to a function whose call is being planned. Holding on to the connection until the
//! call runs would outlive it (plans are kept by indexes), so the answer is taken when the query is planned; the setting
//! can be switched off while a database is open, but never on.

use super::guard::callback;
use super::{ffi, version};
use std::ffi::c_void;

/// Who calls a function.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The function.
    pub function: &'static str,
    /// Whether files may be opened; where the engine does not tell, they may.
    pub external_access: bool,
}

/// What a planned call carries. Of each there is one, so that the engine takes equal calls for equal.
static ALLOWED: bool = true;
static DENIED: bool = false;

/// Whether the engine tells.
pub(super) fn is_told() -> bool {
    version::of_engine().band() == version::NEW_BAND
}

/// Has `handle` ask for the setting when a call is planned, where the engine tells.
///
/// # Safety
/// `handle` is a live scalar function that is not yet registered.
pub(super) unsafe fn ask(handle: ffi::duckdb_scalar_function) {
    if is_told() {
        // SAFETY: the caller vouches for the handle; the entry exists in engines that tell.
        unsafe { ffi::duckdb_scalar_function_set_bind(handle, Some(bind)) }
    }
}

/// The answer that a planned call of a scalar function carries.
///
/// # Safety
/// `info` is that of a call of a function that was given to [`ask`].
pub(super) unsafe fn of_call(info: ffi::duckdb_function_info) -> bool {
    // SAFETY: the bind data is NULL or one of the statics.
    !is_told() || unsafe { ffi::duckdb_scalar_function_get_bind_data(info).cast::<bool>().as_ref() } == Some(&true)
}

/// The answer for a table function whose call is being planned.
///
/// # Safety
/// `info` is the engine's.
pub(super) unsafe fn of_bind(info: ffi::duckdb_bind_info) -> bool {
    if !is_told() {
        return true;
    }
    let mut context = std::ptr::null_mut();
    // SAFETY: the entries exist in engines that tell; the context is destroyed by `setting`.
    unsafe {
        ffi::duckdb_table_function_get_client_context(info, &mut context);
        setting(context)
    }
}

/// # Safety
/// Called by the engine when a call is planned.
unsafe extern "C-unwind" fn bind(info: ffi::duckdb_bind_info) {
    let body = |_: &mut &'static str| {
        let mut context = std::ptr::null_mut();
        // SAFETY: the entries exist in engines that tell. The bind data is a static, which nobody writes or frees.
        unsafe {
            ffi::duckdb_scalar_function_get_client_context(info, &mut context);
            let answer = if setting(context) { &raw const ALLOWED } else { &raw const DENIED };
            ffi::duckdb_scalar_function_set_bind_data(info, answer.cast_mut().cast::<c_void>(), None);
            ffi::duckdb_scalar_function_set_bind_data_copy(info, Some(copy));
        }
        Ok(())
    };
    // Should it fail, there is no answer, and the call may open no files.
    callback(body, |_| ());
}

/// # Safety
/// Called by the engine with the bind data.
unsafe extern "C" fn copy(data: *mut c_void) -> *mut c_void {
    data
}

/// Whether a connection's `enable_external_access` is on, and destroys the handle. If in doubt it is off.
///
/// # Safety
/// `context` is NULL or a live handle that nobody else destroys.
unsafe fn setting(mut context: ffi::duckdb_client_context) -> bool {
    if context.is_null() {
        return false;
    }
    let mut scope = 0;
    // SAFETY: the handles are live and destroyed once; the engine makes a value or NULL.
    unsafe {
        let name = c"enable_external_access".as_ptr();
        let mut value = ffi::duckdb_client_context_get_config_option(context, name, &mut scope);
        let on = !value.is_null() && ffi::duckdb_get_bool(value);
        if !value.is_null() {
            ffi::duckdb_destroy_value(&mut value);
        }
        ffi::duckdb_destroy_client_context(&mut context);
        on
    }
}
