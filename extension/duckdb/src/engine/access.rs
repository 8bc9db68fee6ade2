//! What the caller of a function may do: `enable_external_access` of its connection, as far as the engine tells.
//!
//! It does from DuckDB 1.5.6 on, to a function whose call is being planned. Holding on to the connection until the
//! call runs would outlive it (plans are kept by indexes), so the answer is taken when the query is planned; the setting
//! can be switched off while a database is open, but never on.

use super::ffi;
use super::guard::callback;
use std::ffi::c_void;

/// Who calls a function.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// The function.
    pub function: &'static str,
    /// Whether files may be opened; where the engine does not tell, they may.
    pub external_access: bool,
}

/// How many entries of its table of functions an engine of this version has in a fixed order: 404 from 1.2 on, the band
/// v1.2.0; 546 from 1.5.6 on, which adds the band v1.5.6.
pub const fn band(version: &[u8]) -> usize {
    let [b'v', rest @ ..] = version else { return OLD_BAND };
    let (mut numbers, mut at, mut index) = ([0_u32; 3], 0, 0);
    while at < rest.len() && index < 3 {
        match rest[at] {
            digit @ b'0'..=b'9' => numbers[index] = numbers[index] * 10 + (digit - b'0') as u32,
            b'.' => index += 1,
            // What comes before a release may lack parts of it.
            _ => return if numbers[0] > 1 { NEW_BAND } else { OLD_BAND },
        }
        at += 1;
    }
    let [major, minor, patch] = numbers;
    if major > 1 || major == 1 && (minor > 5 || minor == 5 && patch >= 6) { NEW_BAND } else { OLD_BAND }
}

/// Entries of the band v1.2.0.
pub const OLD_BAND: usize = 404;

/// Entries of the bands v1.2.0 and v1.5.6.
pub const NEW_BAND: usize = 546;

/// What a planned call carries. Of each there is one, so that the engine takes equal calls for equal.
static ALLOWED: bool = true;
static DENIED: bool = false;

/// Whether the engine tells.
pub(super) fn is_told() -> bool {
    // SAFETY: the engine returns a constant text.
    let version = unsafe { std::ffi::CStr::from_ptr(ffi::duckdb_library_version()) };
    band(version.to_bytes()) == NEW_BAND
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_their_bands() {
        for version in ["v1.2.2", "v1.3.2", "v1.5.5", "v1.5.6-dev12", "v0.10.3", "", "8ef2c1", "v1.5"] {
            assert_eq!(band(version.as_bytes()), OLD_BAND, "{version}");
        }
        for version in ["v1.5.6", "v1.5.10", "v1.6.0", "v2.0.0", "v2.1.0-dev3", "v10.0.0"] {
            assert_eq!(band(version.as_bytes()), NEW_BAND, "{version}");
        }
    }
}
