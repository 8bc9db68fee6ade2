//! The DuckDB extension `sam`: Segment Anything on images in a column.
//!
//! The rooms, from the outside in:
//!
//! - [`entry`]: how the engine finds and initialises the extension;
//! - [`functions`]: the SQL surface, one room per function family;
//! - [`batch`]: the rows of one vector become the least possible work, spread over all cores;
//! - [`record`]: a mask as run lengths with its scores;
//! - [`session`]: what outlives a query: loaded models, what was computed before, threads,
//!   counters, settings;
//! - [`reserve`]: what happens when no memory is left;
//! - [`engine`]: the layer over DuckDB's C API. It, [`entry`], [`reserve`] and `session/fork.rs` hold all the `unsafe` code
//!   of the crate.

#![deny(unsafe_code)]

mod batch;
#[allow(unsafe_code)]
mod engine;
#[allow(unsafe_code)]
mod entry;
mod failure;
mod functions;
mod record;
#[allow(unsafe_code)]
mod reserve;
mod session;
