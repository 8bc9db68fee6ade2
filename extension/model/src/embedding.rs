//! A picture as the mask decoder sees it.

use crate::backend::{Features, Map};
use crate::frame::Frame;
use crate::guide::Guide;

/// A picture as the mask decoder sees it: what the image encoder made of it, its sizes, and what its masks are refined
/// with. Shared between threads; a clone copies nothing.
///
/// ```
/// use sam_imaging::RgbImage;
/// use sam_model::{FloatType, Model, Precision, Threads};
///
/// let model = Model::nano(Precision::F32)?;
/// let embedding = model.embed(&RgbImage::new(40, 30), Threads::ONE)?;
/// assert_eq!(embedding.original_size(), (40, 30));
///
/// // Kept in a table, and used later.
/// let bytes = embedding.to_bytes(&model, FloatType::F32)?;
/// assert_eq!(model.read_blob(&bytes)?.values(), embedding.values());
/// # Ok::<(), sam_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Embedding {
    features: Features,
    frame: Frame,
    /// Of a model that wants one.
    guide: Option<Guide>,
}

impl Embedding {
    pub(crate) fn new(features: Features, frame: Frame, guide: Option<Guide>) -> Self {
        Self { features, frame, guide }
    }

    pub(crate) fn features(&self) -> &Features {
        &self.features
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }

    pub(crate) fn guide(&self) -> Option<&Guide> {
        self.guide.as_ref()
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        let guide = self.guide.as_ref().map_or(0, |guide| guide.as_bytes().len());
        size_of::<Self>() + self.features.bytes() + guide
    }

    /// Width and height of the picture, in pixels.
    pub fn original_size(&self) -> (usize, usize) {
        self.frame.original
    }

    /// The image embedding, (rows * columns, channels). Where it is on a device, the first call copies it to the host.
    ///
    /// # Panics
    /// If the device fails.
    pub fn values(&self) -> &[f32] {
        let values = self.features.maps().first().map_or(Ok(&[][..]), Map::values);
        values.unwrap_or_else(|error| panic!("{error}"))
    }
}
