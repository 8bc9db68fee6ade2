//! What a family gives of a network that is ready to run on the CPU.

use sam_imaging::RgbImage;
use sam_kernels::{Isa, Normalise};

use crate::backend::{Masks, Query};
use crate::pool::Pool;
use crate::threads::Threads;

/// The type of the operands of an encoder's matrix products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operands {
    F32,
    Bf16,
}

/// What an encoder works on and with.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) isa: Isa,
    pub(crate) normalise: &'a Normalise,
    /// Resized to the network's input, not padded.
    pub(crate) picture: &'a RgbImage,
    pub(crate) threads: Threads,
}

/// An image encoder, ready to run.
pub(crate) trait ImageEncoder: Send + Sync {
    /// The values of each of the encoder's maps, (rows * columns, channels), the image embedding first.
    fn run(&self, input: Input<'_>) -> Vec<Vec<f32>>;
}

/// An image encoder and the memory that it works in.
pub(crate) trait Steps: Send + Sync {
    /// Working memory for one picture.
    type Workspace: Send;

    fn workspace(&self) -> Self::Workspace;

    /// As [`ImageEncoder::run`].
    fn run(&self, input: Input<'_>, workspace: &mut Self::Workspace) -> Vec<Vec<f32>>;
}

/// An encoder with as many workspaces as there were pictures at the same time.
pub(crate) struct Pooled<S: Steps> {
    steps: S,
    workspaces: Pool<S::Workspace>,
}

impl<S: Steps + 'static> Pooled<S> {
    pub(crate) fn boxed(steps: S) -> Box<dyn ImageEncoder> {
        Box::new(Self { steps, workspaces: Pool::default() })
    }
}

impl<S: Steps> ImageEncoder for Pooled<S> {
    fn run(&self, input: Input<'_>) -> Vec<Vec<f32>> {
        self.workspaces.with(|| self.steps.workspace(), |workspace| self.steps.run(input, workspace))
    }
}

/// A prompt encoder and mask decoder, ready to run.
pub(crate) trait MaskDecoder: Send + Sync {
    /// Those of the masks that `query` wants whose predicted IoU is above `least`. `maps` are the values of the encoder's,
    /// (rows * columns, channels) each.
    fn run(&self, maps: &[&[f32]], query: &Query, least: Option<f32>, threads: Threads) -> Masks;
}
