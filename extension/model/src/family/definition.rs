//! What a family of networks tells of itself.

use crate::config::Config;
use crate::error::Result;
use crate::family::EncoderConfig;
use crate::shapes::Shapes;

/// The keys and values of a `config`'s `image_encoder`, in their order, without its `type`.
pub(crate) type Fields = Vec<(String, serde_json::Value)>;

/// A family of networks, told apart by their image encoders.
pub(crate) trait Family: Sync {
    /// The `type` of its `image_encoder` in a `config`.
    fn name(&self) -> &'static str;

    /// The family and its published models, for messages.
    fn title(&self) -> &'static str;

    /// Keys of its `image_encoder` in a `config`. Those that it does not read describe what is the same in all of the
    /// family.
    fn keys(&self) -> &'static [&'static str];

    /// The sizes of an encoder as a `config` states them.
    ///
    /// # Errors
    /// What is missing, or of another type.
    fn read(&self, fields: Fields) -> serde_json::Result<EncoderConfig>;

    /// Whether the names of a checkpoint's tensors are those of the family.
    fn recognises(&self, shapes: &Shapes) -> bool;

    /// The network whose tensors have these shapes.
    ///
    /// # Errors
    /// An architecture error: a missing tensor, or what shapes do not tell and how to state it.
    fn guess(&self, shapes: &Shapes) -> Result<Config>;

    /// Whether a tensor is one that published files of the family carry but inference does not use.
    fn is_unused(&self, _name: &str) -> bool {
        false
    }
}
