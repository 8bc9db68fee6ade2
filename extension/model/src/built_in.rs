//! The built-in model's file.

use crate::checkpoint::Checkpoint;
use crate::error::Result;

static NANO: &[u8] = include_bytes!("../assets/nano.safetensors");

/// The built-in model's checkpoint.
pub(crate) fn checkpoint() -> Result<Checkpoint> {
    Checkpoint::from_static("nano", NANO)
}
