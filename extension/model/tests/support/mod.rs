//! What the tests of this crate share: seeded checkpoints and reference records.

pub mod records;
pub mod seeded;
