//! Prompt encoders and mask decoders. All families share SAM's; one that needs another brings it, as [`Decoder`].

mod config;
mod definition;
mod graph;
mod plan;
mod sam;

pub(crate) use config::{DecoderConfig, HEAD, KEYS, WIDTH};
pub(crate) use definition::Decoder;
pub(crate) use sam::Sam;
