//! Panics stop here, and say nothing on their way: a user sees the error of the query, not the report that Rust writes
//! to the terminal.

use crate::failure::{Failure, Result};
use std::any::Any;
use std::cell::Cell;
use std::ffi::CString;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, set_hook, take_hook};
use std::sync::{Mutex, Once, PoisonError};

/// How the threads of the pool are named: with a number behind it.
pub const POOL_THREAD: &str = "sam-";

thread_local! {
    /// Guards that this thread is inside of.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Text and place of the last panic of a guarded thread.
static LAST: Mutex<Option<(String, String)>> = Mutex::new(None);

/// Runs `body` and turns a panic into a [`Failure`], so that nothing unwinds into the engine.
pub fn guard<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    quieten();
    DEPTH.set(DEPTH.get() + 1);
    // What `body` touched is not used after a panic: the engine drops the vector with the failed query, and
    // the shared state of the session is behind locks that ignore poisoning.
    let outcome = catch_unwind(AssertUnwindSafe(body));
    DEPTH.set(DEPTH.get() - 1);
    outcome.unwrap_or_else(|panic| {
        let text = message(&*panic);
        let last = LAST.lock().unwrap_or_else(PoisonError::into_inner).take();
        let place = last.filter(|(of, _)| of == text).map(|(_, place)| format!(" ({place})"));
        Err(Failure::internal(format!("{text}{}", place.unwrap_or_default())))
    })
}

/// Makes Rust's panic hook silent where a guard waits for the panic: in guarded calls and in the threads of the pool,
/// which hand theirs on. Everything else goes to the hook that was there before. A shared library has a standard
/// library of its own, and with it a hook of its own, so that no other code of the process is concerned.
fn quieten() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            let in_pool = || std::thread::current().name().is_some_and(|name| name.starts_with(POOL_THREAD));
            if DEPTH.get() > 0 || in_pool() {
                let place = panic.location().map(place).unwrap_or_default();
                let last = Some((message(panic.payload()).to_owned(), place));
                *LAST.lock().unwrap_or_else(PoisonError::into_inner) = last;
            } else {
                before(panic);
            }
        }));
    });
}

/// File and line, without the folders of the machine that built the program.
fn place(location: &Location<'_>) -> String {
    let parts: Vec<&str> = location.file().split(['/', '\\']).collect();
    format!("{}:{}", parts[parts.len().saturating_sub(4)..].join("/"), location.line())
}

/// The text for a failure inside `function`, as C wants it.
pub(super) fn error_text(function: &str, failure: &Failure) -> CString {
    c_string(format!("{function}: {failure}"))
}

/// Any text as a C string; a NUL inside becomes a space.
pub(super) fn c_string(text: String) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_failure() {
        let failure = guard::<()>(|| panic!("boom {}", 1)).unwrap_err().to_string();
        assert!(failure.starts_with("internal error: boom 1 (duckdb/src/engine/guard.rs:"), "{failure}");
        assert_eq!(guard(|| Ok(7)), Ok(7));
    }

    /// What the panics of a process of its own write to the standard error, in a guard, in the pool and outside.
    #[test]
    fn only_other_panics_are_reported() {
        if std::env::var_os("SAM_TEST_PANICS").is_some() {
            let pool = crate::session::Pool::new(2);
            assert!(guard::<()>(|| pool.run(|| panic!("in the pool"))).is_err());
            assert!(guard::<()>(|| panic!("in a guard")).is_err());
            assert!(catch_unwind(|| panic!("outside")).is_err());
            return;
        }
        let name = format!("{}::only_other_panics_are_reported", module_path!().split_once("::").unwrap().1);
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env("SAM_TEST_PANICS", "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success() && String::from_utf8_lossy(&child.stdout).contains("1 passed"), "{text}");
        assert!(text.contains("outside") && !text.contains("in the pool") && !text.contains("in a guard"), "{text}");
    }

    #[test]
    fn texts_survive_the_way_to_c() {
        let text = error_text("sam_x", &Failure::new("a\0b"));
        assert_eq!(text.to_str(), Ok("sam_x: a b"));
    }
}
