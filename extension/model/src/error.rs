//! What can go wrong with a checkpoint or a prompt, in words a user can act on.

use std::path::PathBuf;

/// Why a model could not be opened or run.
///
/// The texts name the offending value and the remedy; callers put the function's name in front.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file could not be opened or read.
    #[error("cannot read model file '{path}': {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's or the reader's words.
        reason: String,
    },
    /// The file is not a complete checkpoint in one of the readable formats.
    #[error("model file '{path}' is not a readable checkpoint: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is a checkpoint, but not of a Segment Anything model that can be run.
    #[error("model file '{path}' is not a Segment Anything model that can be run: {reason}")]
    Architecture {
        /// The file.
        path: PathBuf,
        /// Which tensors or sizes are missing or unexpected.
        reason: String,
    },
    /// A file of weights cannot be written.
    #[error("cannot write model file '{path}': {reason}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What is in the way.
        reason: String,
    },
    /// The prompt has values outside their range or lists that do not match.
    #[error("{0}")]
    Prompt(String),
    /// Coordinates of the prompt look like pixels, and fractions are wanted.
    #[error("{0}")]
    Pixels(String),
    /// An embedding of another model, or of another size, was given.
    #[error("{0}")]
    Embedding(String),
    /// What the network computes is beyond the range of its numbers.
    #[error("{0}")]
    Range(String),
    /// The instruction set asked for is not to be had.
    #[error("{0}")]
    Processor(String),
    /// The device asked for is not to be had, or does not compute in the precision asked for.
    #[error("{0}")]
    Device(String),
    /// A tensor operation failed; this is a defect of this crate.
    #[error("internal error in the network: {}", first_line(.0))]
    Network(#[from] candle_core::Error),
}

/// candle's errors carry a backtrace below their first line where backtraces are switched on.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// The result of everything that reads or runs a model.
pub type Result<T> = std::result::Result<T, ModelError>;
