//! A small layer over DuckDB's C API: typed, bounds-checked, and safe to call.
//!
//! Invariants kept here so that nothing above needs `unsafe`:
//!
//! - Only functions of the band v1.2.0 are called, but for [`access`]: see [`crate::entry`]. A call to any other
//!   panics, because its slot is empty, and the panic becomes an SQL error.
//! - A column is read, and a result written, only as the type it was registered with. An argument of any type is read
//!   only as the type that its vector says it has.
//! - A row is read only after its validity was checked: the data behind a NULL is undefined.
//! - A NULL written to a struct is written to all its fields as well, because the engine reads fields without
//!   looking at the struct.
//! - A list is reserved once, after its size was checked: growing copies, and doubles the memory.
//! - No panic crosses into the engine: each callback is wrapped in [`guard`].
//! - No exception of the engine crosses Rust: each call of the engine stops it, and the callback raises it again at its
//!   end, see [`exception`].

mod access;
mod any;
mod cast;
mod exception;
pub(crate) mod ffi;
mod guard;
mod help;
mod pages;
mod read;
mod registry;
mod scalar;
mod table;
mod types;
mod version;
mod write;

pub use access::{Caller, ConnectionSettings};
pub use any::{Any, Kind};
pub use guard::{callback, silence_panics};
pub use help::{Category, Help};
pub use read::{Column, Input};
pub use registry::Registry;
pub use scalar::{Overload, Parameter, ScalarFunction};
pub use table::{Arguments, TableFunction, Value};
pub use types::Type;
pub use version::{NEW_BAND, OLD_BAND, Version};
pub use write::Output;
