//! What the caller of a function may do and take, as far as the engine tells. These are `enable_external_access`,
//! `lock_configuration` and `memory_limit` of its connection, and what `SET` has given it of our settings.
//!
//! The engine tells from DuckDB 1.5.6 on, to a function whose call is being planned. A handle that is held until the
//! call runs would outlive the connection, because indexes keep plans. So the answer is taken when the query is
//! planned. External access can be switched off while a database is open, but never on.

use super::types::text;
use super::{ffi, version};
use crate::host::{self, Database, Process, SETTINGS};
use sam_runtime::{Call, ClientSettings, LimitSource, Result, ResultLimit};
use std::ffi::{CStr, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Who calls a function.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The function.
    pub function: &'static str,
    /// What it may do.
    pub connection: &'static ConnectionSettings,
    /// Its database.
    pub database: &'a Database,
}

impl<'a> Caller<'a> {
    /// Its call begins.
    pub fn begin(self) -> Result<Call<'a>> {
        let process = Process::get()?;
        Ok(Call::with(&process.session, self.database.client(process), self.function, self.settings()?))
    }

    /// The settings that hold for it now.
    pub fn settings(self) -> Result<Arc<ClientSettings>> {
        let settings = self.database.client(Process::get()?).settings();
        self.connection.apply(settings)
    }
}

/// What a caller may do and take, and what it has given by `SET`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Whether files may be opened; where the engine does not tell, they may.
    pub external_access: bool,
    /// Whether settings are locked.
    pub locked: bool,
    /// The bytes that the engine keeps to; `None` where it does not tell, or has no limit.
    pub memory_limit: Option<u64>,
    /// Settings, by their index in [`SETTINGS`], as texts that they accept.
    pub given: Vec<(usize, String)>,
}

/// Where the engine does not tell.
static UNKNOWN: ConnectionSettings =
    ConnectionSettings { external_access: true, locked: false, memory_limit: None, given: Vec::new() };

/// If in doubt.
static DENIED: ConnectionSettings =
    ConnectionSettings { external_access: false, locked: true, memory_limit: None, given: Vec::new() };

impl ConnectionSettings {
    /// Whether `SET` has given the setting that it calls `option`.
    pub fn gives(&self, option: &CStr) -> bool {
        self.given.iter().any(|(index, _)| SETTINGS[*index].scope.option() == Some(option))
    }

    /// What becomes of the settings of a database in such a connection.
    fn apply(&self, settings: Arc<ClientSettings>) -> Result<Arc<ClientSettings>> {
        // The engine has to put results somewhere too.
        let half = self.memory_limit.map(|limit| limit / 2);
        let is_less = half.is_some_and(|half| half < settings.results.bytes);
        if self.given.is_empty() && self.external_access && !is_less {
            return Ok(settings);
        }
        let mut settings = Arc::unwrap_or_clone(settings);
        host::take(&mut settings, &self.given)?;
        if !self.external_access {
            settings.files_refused_by = Some("enable_external_access");
        }
        if let Some(bytes) = half.filter(|half| *half < settings.results.bytes) {
            settings.results = ResultLimit { bytes, set_by: LimitSource::Host };
        }
        Ok(Arc::new(settings))
    }
}

/// Settings that planned calls carry. Of equal ones there is one, so that the engine takes equal calls for equal. They are
/// never freed: there are as many as a process has different settings. No lock is needed, which a forked child might
/// find taken.
static KNOWN: AtomicPtr<Known> = AtomicPtr::new(std::ptr::null_mut());

struct Known {
    settings: ConnectionSettings,
    next: *mut Known,
}

/// The one place of equal settings.
fn place_of(settings: ConnectionSettings) -> &'static ConnectionSettings {
    let mut made: Option<Box<Known>> = None;
    let mut first = KNOWN.load(Ordering::Acquire);
    loop {
        let mut next = first;
        // SAFETY: NULL, or something that is never freed or changed.
        while let Some(known) = unsafe { next.as_ref() } {
            if known.settings == settings {
                return &known.settings;
            }
            next = known.next;
        }
        let mut new = made.take().unwrap_or_else(|| Box::new(Known { settings: settings.clone(), next: first }));
        new.next = first;
        let new = Box::into_raw(new);
        match KNOWN.compare_exchange(first, new, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: it came from a box, and is never freed from now on.
            Ok(_) => return unsafe { &(*new).settings },
            Err(now) => {
                first = now;
                // SAFETY: it came from a box and nobody else has seen it.
                made = Some(unsafe { Box::from_raw(new) });
            }
        }
    }
}

/// Whether the engine tells.
pub(super) fn has_second_band() -> bool {
    version::of_engine().band() == version::NEW_BAND
}

/// The settings that a planned call of a scalar function carries.
///
/// # Safety
/// `info` is that of a call that was given to [`carry`] when it was planned.
pub(super) unsafe fn of_call(info: ffi::duckdb_function_info) -> &'static ConnectionSettings {
    if !has_second_band() {
        return &UNKNOWN;
    }
    // SAFETY: the bind data is NULL or came from `place_of`.
    unsafe { ffi::duckdb_scalar_function_get_bind_data(info).cast::<ConnectionSettings>().as_ref() }.unwrap_or(&DENIED)
}

/// Those of a table function whose call is being planned.
///
/// # Errors
/// A setting was given a value that it cannot have.
///
/// # Safety
/// `info` is the engine's.
pub(super) unsafe fn of_bind(info: ffi::duckdb_bind_info) -> Result<&'static ConnectionSettings> {
    if !has_second_band() {
        return Ok(&UNKNOWN);
    }
    let mut context = std::ptr::null_mut();
    // SAFETY: the entries exist in engines that tell; the context is destroyed by `settings_of`.
    unsafe {
        ffi::duckdb_table_function_get_client_context(info, &mut context);
        settings_of(context)
    }
}

/// Has the call of a scalar function that is being planned carry the settings of its connection.
///
/// # Errors
/// A setting was given a value that it cannot have.
///
/// # Safety
/// `info` is the engine's, which tells.
pub(super) unsafe fn carry(info: ffi::duckdb_bind_info) -> Result<()> {
    let mut context = std::ptr::null_mut();
    // SAFETY: the entries exist in engines that tell. Nobody writes or frees the bind data.
    unsafe {
        ffi::duckdb_scalar_function_get_client_context(info, &mut context);
        let settings = std::ptr::from_ref(settings_of(context)?);
        ffi::duckdb_scalar_function_set_bind_data(info, settings.cast_mut().cast::<c_void>(), None);
        ffi::duckdb_scalar_function_set_bind_data_copy(info, Some(copy));
    }
    Ok(())
}

/// # Safety
/// Called by the engine with the bind data.
unsafe extern "C" fn copy(data: *mut c_void) -> *mut c_void {
    data
}

/// The settings of a connection; destroys the handle.
///
/// # Errors
/// A setting was given a value that it cannot have.
///
/// # Safety
/// `context` is NULL or a live handle that nobody else destroys.
unsafe fn settings_of(mut context: ffi::duckdb_client_context) -> Result<&'static ConnectionSettings> {
    if context.is_null() {
        return Ok(&DENIED);
    }
    // SAFETY: the handle is live and destroyed once.
    let settings = unsafe {
        let flag = |name| setting(context, name, |value| ffi::duckdb_get_bool(value));
        let words = |name| setting(context, name, |value| text(value)).flatten();
        let given = SETTINGS.iter().enumerate().filter_map(|(index, setting)| {
            let name = setting.scope.option()?;
            Some((index, words(name)?))
        });
        let settings = ConnectionSettings {
            external_access: flag(c"enable_external_access").unwrap_or(false),
            locked: flag(c"lock_configuration").unwrap_or(true),
            memory_limit: words(c"memory_limit").and_then(|text| bytes(&text)),
            given: given.collect(),
        };
        ffi::duckdb_destroy_client_context(&mut context);
        settings
    };
    // Better told now than for each vector.
    if !settings.given.is_empty() {
        host::take(&mut Process::get()?.defaults.clone(), &settings.given)?;
    }
    Ok(place_of(settings))
}

/// What `read` makes of the value of a setting, if there is such a setting.
///
/// # Safety
/// The handle is live.
unsafe fn setting<T>(
    context: ffi::duckdb_client_context,
    name: &CStr,
    read: impl FnOnce(ffi::duckdb_value) -> T,
) -> Option<T> {
    let mut scope = 0;
    // SAFETY: the caller vouches for the handle; the engine makes a value, which is destroyed once, or NULL.
    unsafe {
        let mut value = ffi::duckdb_client_context_get_config_option(context, name.as_ptr(), &mut scope);
        if value.is_null() {
            return None;
        }
        let result = read(value);
        ffi::duckdb_destroy_value(&mut value);
        Some(result)
    }
}

/// Bytes as the engine writes them, such as `953.6 MiB`.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.split_once(' ')?;
    let power = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"].iter().position(|known| *known == unit)?;
    let number: f64 = number.parse().ok()?;
    (number >= 0.0).then(|| (number * 1024_f64.powi(power as i32)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_limit_bounds_results() {
        assert_eq!(bytes("953.6 MiB"), Some(999_922_073));
        assert_eq!(bytes("0 bytes"), Some(0));
        assert_eq!(bytes("2.0 GiB"), Some(2 << 30));
        assert!(["", "12", "-1 KiB", "3 apples"].iter().all(|text| bytes(text).is_none()));
        let connection = ConnectionSettings { memory_limit: Some(100), ..UNKNOWN.clone() };
        let limit = |bytes| ResultLimit { bytes, set_by: LimitSource::Settings };
        let applied = |connection: &ConnectionSettings, bytes| {
            let settings = Arc::new(ClientSettings { results: limit(bytes), ..ClientSettings::default() });
            connection.apply(settings).unwrap().results
        };
        assert_eq!((applied(&connection, 30), applied(&UNKNOWN, 70)), (limit(30), limit(70)));
        assert_eq!(applied(&connection, 70), ResultLimit { bytes: 50, set_by: LimitSource::Host });
    }

    #[test]
    fn what_is_denied_cannot_be_allowed() {
        let settings = DENIED.apply(Arc::default()).unwrap();
        assert_eq!(settings.files_refused_by, Some("enable_external_access"));
    }

    #[test]
    fn equal_terms_have_one_place() {
        let places = |limit| place_of(ConnectionSettings { memory_limit: Some(limit), ..UNKNOWN.clone() });
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..100).for_each(|limit| assert_eq!(places(limit).memory_limit, Some(limit))));
            }
        });
        assert!((0..100).all(|limit| std::ptr::eq(places(limit), places(limit))));
        assert!(!std::ptr::eq(places(1), places(2)));
    }
}
