//! The DuckDB extension `sam`: Segment Anything on images in a column.
//!
//! The rooms, from the outside in:
//!
//! - [`entry`]: how the engine finds and initialises the extension;
//! - [`functions`]: the SQL surface, one room per function family;
//! - [`host`]: DuckDB as a host of [`sam_runtime`]: the session of the process, the clients that databases are, settings
//!   and failures in the words of SQL;
//! - [`engine`]: the layer over DuckDB's C API. It, [`entry`] and `host/process.rs` hold all the `unsafe` code of the crate.

#![deny(unsafe_code)]

#[allow(unsafe_code)]
mod engine;
#[allow(unsafe_code)]
mod entry;
mod functions;
mod host;

#[global_allocator]
static ALLOCATOR: sam_runtime::ReserveAllocator = sam_runtime::ReserveAllocator;
