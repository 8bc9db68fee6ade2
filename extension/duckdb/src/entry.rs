//! How the engine finds the extension, and how one file serves DuckDB 1.2 to 2.0.
//!
//! The engine hands an extension a table of function pointers. Its first 404 entries, the band v1.2.0, are in the same
//! order in every release from 1.2 on. What follows moves from release to release, and the table of an older release is
//! shorter. The bindings are generated for one release and know *all* its entries, so we copy the band into a table of
//! that size. The entries beyond the band are empty in it: to call one of them is a panic that names the mistake, on
//! every engine, instead of a jump to somewhere. From DuckDB 1.5.6 on there is a second band with a fixed order; what
//! is called of it, and only there, is in `engine/access.rs` and, for settings, in `engine/registry.rs`.

use crate::engine::{NEW_BAND, OLD_BAND, Registry, Version, callback, ffi, silence_panics};
use crate::functions;
use sam_runtime::{Failure, Result};
use std::ffi::{CStr, c_void};
use std::mem::{MaybeUninit, offset_of};

/// The band of the C API that is used; the extension's footer says the same.
const API_VERSION: &CStr = c"v1.2.0";

/// How many entries every engine has.
const BAND: usize = OLD_BAND;

/// The width of an entry.
const ENTRY: usize = size_of::<*const c_void>();

// The crate's table begins with the band: the last entry in it, the first after it, and some on the way are
// where the specification puts them.
const _: () = {
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_open) == 0);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_list_vector_reserve) == 202 * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_scalar_function_set_error) == 221 * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_function_set_error) == 273 * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_stream_fetch_chunk) == (BAND - 1) * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_create_instance_cache) == BAND * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_is_null_value) < BAND * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_create_union_type) < BAND * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_logical_type_set_alias) == 158 * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_create_cast_function) == 307 * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_destroy_cast_function) == 318 * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_array_vector_get_child) < BAND * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_struct_type_child_name) < BAND * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_create_config_option) == 423 * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_client_context_get_config_option) == 431 * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_scalar_function_set_bind_data_copy) == 519 * ENTRY);
    assert!(offset_of!(ffi::duckdb_ext_api_v1, duckdb_table_function_get_client_context) == 531 * ENTRY);
    assert!(size_of::<ffi::duckdb_ext_api_v1>() > NEW_BAND * ENTRY);
};

/// The entry point that the engine looks for in a file named `sam`.
///
/// # Safety
/// Called by the engine, with what it gives an extension of type `C_STRUCT`.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn sam_init_c_api(
    info: ffi::duckdb_extension_info,
    access: *const ffi::duckdb_extension_access,
) -> bool {
    // SAFETY: the engine passes the access functions, alive for the duration of this call.
    let Some(access) = (unsafe { access.as_ref() }) else {
        return false;
    };
    silence_panics();
    let mut loaded = false;
    callback(
        |_| {
            // SAFETY: as above.
            loaded = unsafe { initialise(info, access) }?;
            Ok(())
        },
        |text| {
            if let Some(set_error) = access.set_error {
                // SAFETY: the engine copies the text.
                unsafe { set_error(info, text.as_ptr()) }
            }
        },
    );
    loaded
}

/// Registers everything; `false` if the engine does not know our version of the API and has said so itself.
///
/// # Safety
/// `info` and `access` come from the engine.
unsafe fn initialise(info: ffi::duckdb_extension_info, access: &ffi::duckdb_extension_access) -> Result<bool> {
    let missing = || Failure::internal("the engine's access functions are incomplete");
    let (get_api, get_database) = access.get_api.zip(access.get_database).ok_or_else(missing)?;
    // SAFETY: the engine's own functions, called with the engine's own handle.
    let Some(table) = (unsafe { copy_bands(get_api(info, API_VERSION.as_ptr())) }) else {
        return Ok(false);
    };
    ffi::install(table)?;
    // SAFETY: the engine gives a pointer to the database that loads us, or NULL after an error of its own.
    let Some(database) = (unsafe { get_database(info).as_ref() }) else {
        return Ok(false);
    };
    // SAFETY: the database is alive while it loads us.
    let registry = unsafe { Registry::connect(*database) }?;
    functions::register(&registry)?;
    Ok(true)
}

/// A full-size table with the bands of the engine's `table` in it, and nothing else.
///
/// # Safety
/// `table` is NULL or that of an engine.
unsafe fn copy_bands(table: *const c_void) -> Option<ffi::duckdb_ext_api_v1> {
    if table.is_null() {
        return None;
    }
    // SAFETY: every engine has the first band.
    let copy = unsafe { copy_entries(table, BAND) };
    // SAFETY: the engine returns a constant text.
    let version = unsafe { CStr::from_ptr(copy.duckdb_library_version?()) };
    // SAFETY: an engine of this version has as many.
    Some(unsafe { copy_entries(table, Version::parse(version.to_bytes()).band()) })
}

/// A full-size table with the first `count` entries of `table` in it, and nothing else.
///
/// # Safety
/// `table` has at least `count` entries, which are at most [`NEW_BAND`].
unsafe fn copy_entries(table: *const c_void, count: usize) -> ffi::duckdb_ext_api_v1 {
    let mut copy = MaybeUninit::<ffi::duckdb_ext_api_v1>::zeroed();
    // SAFETY: both sides have at least `count` entries. Every entry is an `Option` of a function pointer, for which zero
    // is `None`.
    unsafe {
        std::ptr::copy_nonoverlapping(table.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), count * ENTRY);
        copy.assume_init()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_the_band_and_nothing_more() {
        // An engine's table that ends with the band, as the tables of no release do: the shortest there may be.
        let table: Vec<usize> = (1..=BAND).collect();
        // SAFETY: the table has `BAND` entries.
        let copy = unsafe { copy_entries(table.as_ptr().cast(), BAND) };
        assert_eq!(copy.duckdb_open.map(|function| function as usize), Some(1));
        assert_eq!(copy.duckdb_stream_fetch_chunk.map(|function| function as usize), Some(BAND));
        assert!(copy.duckdb_create_instance_cache.is_none());
        // SAFETY: NULL is allowed.
        assert!(unsafe { copy_bands(std::ptr::null()) }.is_none());
    }
}
