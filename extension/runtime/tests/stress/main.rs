//! What the runtime promises to many clients at once, and to those who use it wrongly.

mod concurrency;
mod failures;
mod misuse;
mod panics;
mod rows;
mod sessions;
mod support;
