//! Segment Anything checkpoints and networks: a checkpoint becomes a [`Model`], a picture becomes an
//! [`Embedding`], a [`Prompt`] on it becomes a [`Prediction`].

mod backend;
mod blob;
mod built_in;
mod checkpoint;
mod config;
mod convert;
mod decoder;
mod embedding;
mod error;
mod family;
mod float_type;
mod frame;
mod generate;
mod graph;
mod guide;
mod model;
mod names;
mod network;
mod options;
mod plan;
mod pool;
mod precision;
mod prediction;
mod prompt;
mod shapes;
mod sizes;
mod threads;
mod thresholds;
mod weights;

pub use blob::{embedded_size, embedding_vector, is_embedding};
pub use checkpoint::{is_model_folder, model_files};
pub use convert::{Conversion, convert};
pub use embedding::Embedding;
pub use error::{ModelError, Result};
pub use float_type::FloatType;
pub use generate::{GenerateOptions, Generated};
pub use model::{Model, ModelInfo};
pub use options::{Device, Options};
pub use precision::Precision;
pub use prediction::Prediction;
pub use prompt::Prompt;
pub use sam_kernels::{Isa, NoMemory};
pub use threads::Threads;

/// Looks at the processor, which the first model otherwise does: for who has to know when it happens.
pub fn set_up() {
    // What is wrong with the setting of the instruction set is said by the first model.
    let _ = sam_kernels::Isa::get();
}
