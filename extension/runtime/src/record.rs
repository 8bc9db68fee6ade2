//! A mask as a compact record: the row of SAM's own mask generator.

use crate::failure::{Failure, Result};
use sam_imaging::Rle;
use sam_model::Prediction;
use std::sync::Arc;

/// A mask as run lengths with its scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Where the logits are positive.
    pub rle: Rle,
    /// The IoU that the network predicts.
    pub predicted_iou: f32,
    /// How much of the mask stays when the threshold moves by one up or down: the smaller of the two masks as a part of
    /// the larger. 0 where the larger is empty.
    pub stability_score: f32,
}

impl Record {
    /// Of the best mask of a prediction.
    pub fn of(prediction: &Prediction) -> Result<Self> {
        let best = prediction.best();
        let (mut rle, stability_score) = prediction.mask(best, 1.0);
        let score = prediction.predicted_iou().get(best).copied();
        rle.counts.shrink_to_fit();
        Ok(Self {
            rle,
            predicted_iou: score.ok_or_else(|| Failure::internal("the prediction has no score"))?,
            stability_score,
        })
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.rle.counts.capacity() * size_of::<u32>()
    }
}

impl From<sam_model::Generated> for Record {
    fn from(found: sam_model::Generated) -> Self {
        let sam_model::Generated { mask: rle, predicted_iou, stability_score, .. } = found;
        Self { rle, predicted_iou, stability_score }
    }
}

/// All masks that were found in an image.
#[derive(Debug)]
pub struct Generated {
    /// The masks, in the order of SAM's generator.
    pub records: Vec<Arc<Record>>,
    /// Where each was found.
    pub places: Vec<Place>,
}

/// Where a mask was found, in pixels of the whole image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// The prompt: x, y.
    pub point: [f32; 2],
    /// The crop: x, y, width, height.
    pub crop_box: [f32; 4],
}

impl Generated {
    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        let records: usize = self.records.iter().map(|record| record.bytes()).sum();
        size_of::<Self>() + records + self.records.len() * (size_of::<Place>() + 2 * size_of::<usize>())
    }
}

impl FromIterator<sam_model::Generated> for Generated {
    fn from_iter<I: IntoIterator<Item = sam_model::Generated>>(found: I) -> Self {
        let place = |found: &sam_model::Generated| Place { point: found.point, crop_box: found.crop_box };
        let (places, records) = found.into_iter().map(|found| (place(&found), Arc::new(Record::from(found)))).unzip();
        Self { records, places }
    }
}
