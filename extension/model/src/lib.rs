//! Segment Anything checkpoints and networks: a checkpoint becomes a [`Model`], a picture becomes an
//! [`Embedding`], a [`Prompt`] on it becomes a [`Prediction`].

mod error;
mod model;
mod prediction;
mod prompt;

pub use error::{ModelError, Result};
pub use model::{Embedding, Model, ModelInfo};
pub use prediction::Prediction;
pub use prompt::Prompt;
