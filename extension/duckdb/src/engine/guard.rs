//! Panics stop here.

use super::exception;
use crate::host::in_sql;
use sam_model::NoMemory;
use sam_runtime::{Failure, Kind, Remedy, Result};
use std::any::Any;
use std::ffi::{CStr, CString};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `body` and turns a panic into a [`Failure`], so that nothing unwinds into the engine.
pub(super) fn guard<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // What `body` touched is not used after a panic: the engine drops the vector with the failed query, and
    // the shared state of the session is behind locks that ignore poisoning.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(failure(&*panic)))
}

/// Runs the body of a callback, which is told where to leave the name of its function once it knows it. What the body
/// fails with is given to `report`; an exception that the engine has thrown at it is raised again.
pub fn callback(body: impl FnOnce(&mut &'static str) -> Result<()>, report: impl FnOnce(&CStr)) {
    let mut name = "sam";
    if let Err(failure) = guard(|| body(&mut name))
        && !exception::is_stopped()
    {
        let text = error_text(name, &failure);
        // The engine copies the text, for which there may be no memory.
        let _ = guard(|| {
            report(&text);
            Ok(())
        });
    }
    exception::raise();
}

/// Keeps panics from being printed: they become errors of the query, and the terminal belongs to whoever embeds the engine.
/// The hook is that of this library's own copy of Rust's runtime; other code in the process keeps its own.
pub fn silence_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// The text for a failure inside `function`, as C wants it.
fn error_text(function: &str, failure: &Failure) -> CString {
    c_string(format!("{function}: {}", in_sql(failure)))
}

/// Any text as a C string; a NUL inside becomes a space.
fn c_string(text: String) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

fn failure(panic: &(dyn Any + Send)) -> Failure {
    if let Some(NoMemory { bytes }) = panic.downcast_ref() {
        let text = format!("no memory: {bytes} bytes more were needed, which the system refuses");
        return Failure::new(Kind::Resources, text).with(Remedy::FreeMemory);
    }
    if let Some(&refused) = panic.downcast_ref::<sam_imaging::NoMemory>() {
        return Failure::from(refused);
    }
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Failure::internal(text.unwrap_or("unknown panic"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_failure() {
        let failure = guard::<()>(|| panic!("boom {}", 1)).unwrap_err();
        assert_eq!(failure.to_string(), "internal error: boom 1");
        assert_eq!(guard(|| Ok(7)), Ok(7));
    }

    #[test]
    fn a_refusal_of_memory_becomes_a_failure() {
        let failure = guard::<()>(|| NoMemory::raise(1234)).unwrap_err();
        assert!(failure.to_string().starts_with("no memory: 1234 bytes more were needed"));
        assert!(!failure.is_about_a_row());
        let failure = guard::<()>(|| sam_imaging::NoMemory { bytes: 1234 }.raise()).unwrap_err();
        assert!(failure.to_string().starts_with("there is no memory for 1234 bytes"));
        assert!(!failure.is_about_a_row());
    }

    #[test]
    fn texts_survive_the_way_to_c() {
        let text = error_text("sam_x", &Failure::input("a\0b"));
        assert_eq!(text.to_str(), Ok("sam_x: a b"));
    }
}
