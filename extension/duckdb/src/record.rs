//! A mask as a compact record: the row of SAM's own mask generator.

use crate::failure::{Failure, Result};
use sam_imaging::{MaskBuilder, Rle};
use sam_model::Prediction;

/// A mask as run lengths with its scores.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Where the logits are positive.
    pub rle: Rle,
    /// The IoU that the network predicts.
    pub predicted_iou: f32,
    /// What becomes of the mask when the threshold moves by one up or down: the smaller of the masks as a part of the
    /// larger; 0 where the larger is empty.
    pub stability_score: f32,
}

impl Record {
    /// Of the best mask of a prediction.
    pub fn of(prediction: &Prediction) -> Result<Self> {
        let best = prediction.best();
        let (width, height) = prediction.size();
        let mut mask = MaskBuilder::new(side(width)?, side(height)?);
        let (mut smaller, mut larger) = (0_u64, 0_u64);
        prediction.for_each_row(best, |y, logits| {
            mask.push_row(y as u32, logits, 0.0);
            smaller += above(logits, 1.0);
            larger += above(logits, -1.0);
        });
        let score = prediction.predicted_iou().get(best).copied();
        let mut rle = Rle::from_mask(&mask.finish());
        rle.counts.shrink_to_fit();
        Ok(Self {
            rle,
            predicted_iou: score.ok_or_else(|| Failure::internal("the prediction has no score"))?,
            stability_score: if larger == 0 { 0.0 } else { (smaller as f64 / larger as f64) as f32 },
        })
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.rle.counts.capacity() * size_of::<u32>()
    }
}

/// How many logits lie above `threshold`.
fn above(logits: &[f32], threshold: f32) -> u64 {
    // Counting in 32 bits lets the compiler use whole vectors; a row is far shorter than that.
    u64::from(logits.iter().map(|&logit| u32::from(logit > threshold)).sum::<u32>())
}

/// The length of a side as another type of integer.
pub fn side<T>(pixels: impl TryInto<T>) -> Result<T> {
    pixels.try_into().map_err(|_| Failure::internal("a mask is larger than a picture can be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_strictly_above() {
        assert_eq!(above(&[0.0, 1.0, 1.5, -2.0, f32::NAN], 1.0), 1);
        assert_eq!(above(&[0.0, 1.0, 1.5, -2.0], -1.0), 3);
    }
}
