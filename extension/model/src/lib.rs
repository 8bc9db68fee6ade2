//! Segment Anything checkpoints and networks: a checkpoint becomes a [`Model`], a picture becomes an
//! [`Embedding`], a [`Prompt`] on it becomes a [`Prediction`].

mod blob;
mod checkpoint;
mod config;
mod error;
mod generate;
mod graph;
mod guide;
mod kept;
mod model;
mod names;
mod plan;
mod precision;
mod prediction;
mod prompt;
mod shapes;
mod team;
mod weights;

pub use blob::{BlobType, is_embedding};
pub use checkpoint::{is_model_folder, model_files};
pub use error::{ModelError, Result};
pub use generate::{GenerateOptions, Generated};
pub use model::{Embedding, Engine, Model, ModelInfo};
pub use precision::Precision;
pub use prediction::Prediction;
pub use prompt::Prompt;
pub use sam_kernels::NoMemory;
pub use team::Team;

/// Looks at the processor, which the first model otherwise does: for who has to know when it happens.
pub fn set_up() {
    // What is wrong with the setting of the instruction set is said by the first model.
    let _ = sam_kernels::Isa::get();
}
