//! An image encoder with its sizes: what a network knows of it, whatever its family.

use std::any::Any;
use std::fmt::Debug;
use std::ops::Deref;
use std::sync::Arc;

use serde::Serialize;

use crate::decoder::Decoder;
use crate::error::Result;
use crate::graph;
use crate::plan::{self, Operands};
use crate::sizes::Checked;
use crate::weights::Weights;

/// The sizes of an image encoder, and how it is built of them.
pub(crate) trait Encoder: Identity + Debug + Send + Sync {
    /// Name of the family.
    fn family(&self) -> &'static str;

    /// Side of the square input in pixels.
    fn img_size(&self) -> usize;

    /// Channels, rows and columns of what the encoder makes of a picture: the image embedding, which is square, then what
    /// else its decoder wants. Only of sizes that have passed [`Encoder::validate`].
    fn maps(&self) -> Vec<[usize; 3]>;

    /// Relations between sizes that the encoder relies on.
    ///
    /// # Errors
    /// The first that does not hold.
    fn validate(&self) -> Checked;

    /// The prompt encoder and mask decoder that go with the encoder.
    fn decoder(&self) -> &'static dyn Decoder;

    /// The encoder in candle's operations; `weights` are those of the encoder.
    fn graph(&self, weights: &Weights) -> Result<Box<dyn graph::ImageEncoder>>;

    /// The encoder's steps on the CPU, with operands of this type; `weights` are those of the encoder.
    fn plan(&self, weights: &Weights, operands: Operands) -> Result<Box<dyn plan::ImageEncoder>>;
}

/// What is known of an encoder without its family.
pub(crate) trait Identity: Any {
    /// Whether `other` is an encoder of the same family and sizes.
    fn is(&self, other: &dyn Encoder) -> bool;

    /// Its sizes, as the `image_encoder` of a `config` has them.
    ///
    /// # Errors
    /// None in practice: they are numbers and lists.
    fn fields(&self) -> serde_json::Result<serde_json::Value>;

    /// For the family itself, which knows the type.
    fn as_any(&self) -> &dyn Any;
}

impl<E: Encoder + PartialEq + Serialize> Identity for E {
    fn is(&self, other: &dyn Encoder) -> bool {
        other.as_any().downcast_ref() == Some(self)
    }

    fn fields(&self) -> serde_json::Result<serde_json::Value> {
        serde_json::to_value(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The image encoder of a network. A clone copies nothing.
#[derive(Debug, Clone)]
pub(crate) struct EncoderConfig(Arc<dyn Encoder>);

impl EncoderConfig {
    pub(crate) fn new(encoder: impl Encoder + 'static) -> Self {
        Self(Arc::new(encoder))
    }

    /// Side of the image embedding in tokens.
    pub(crate) fn grid(&self) -> usize {
        self.maps()[0][1]
    }

    /// Channels of the image embedding.
    pub(crate) fn channels(&self) -> usize {
        self.maps()[0][0]
    }
}

impl Deref for EncoderConfig {
    type Target = dyn Encoder;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl PartialEq for EncoderConfig {
    fn eq(&self, other: &Self) -> bool {
        self.0.is(&*other.0)
    }
}
