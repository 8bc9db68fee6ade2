//! Dense masks take 4 bytes for each pixel, embeddings megabytes, and a host holds those of a whole batch at once. Their sum
//! is checked before anything is computed or reserved.

use crate::failure::{Failure, Kind, Remedy, Result, Results};
use crate::settings::ResultLimit;
use sam_kernels::sigmoid;
use sam_model::Prediction;

impl ResultLimit {
    /// Checks that dense masks of `f32` with these numbers of pixels, 0 for none, fit in; `results` says what they are.
    ///
    /// # Errors
    /// [`Kind::Limit`], with the bytes that they need.
    pub fn check_masks(&self, pixels: &[usize], results: Results) -> Result<()> {
        self.check_lists("dense masks", pixels, size_of::<f32>(), results)
    }

    /// Checks that lists of so many numbers, 0 for none, of `bytes` each fit in; `what` is what they are called, and `results`
    /// what they are.
    ///
    /// # Errors
    /// [`Kind::Limit`], with the bytes that they need.
    pub fn check_lists(&self, what: &str, lengths: &[usize], bytes: usize, results: Results) -> Result<()> {
        let total = lengths.iter().fold(0_u64, |sum, &count| sum.saturating_add(count as u64));
        // Lists grow by doubling.
        let needed = total.checked_next_power_of_two().unwrap_or(u64::MAX).saturating_mul(bytes as u64);
        let lists = lengths.iter().filter(|&&count| count > 0).count();
        self.check(lists, what, needed, results)
    }

    /// Checks that embeddings with these numbers of bytes, 0 for none, fit in.
    ///
    /// # Errors
    /// [`Kind::Limit`], with the bytes that they need.
    pub fn check_embeddings(&self, sizes: &[usize]) -> Result<()> {
        let needed = sizes.iter().fold(0_u64, |sum, &bytes| sum.saturating_add(bytes as u64));
        let count = sizes.iter().filter(|&&bytes| bytes > 0).count();
        self.check(count, "embeddings", needed, Results::Embeddings)
    }

    fn check(&self, count: usize, what: &str, needed: u64, results: Results) -> Result<()> {
        let ResultLimit { bytes: limit, set_by } = *self;
        if count == 0 || needed <= limit {
            return Ok(());
        }
        let text =
            format!("the {count} {what} of these rows need {needed} bytes at once, more than the limit of {limit}");
        Err(Failure::new(Kind::Limit, text).with(Remedy::FewerResults { results, set_by }))
    }
}

/// Writes the foreground probability of each pixel of the best mask, row by row at the size of the image, and returns the
/// IoU that is predicted for it.
///
/// # Errors
/// `mask` has not as many values as the image has pixels: a defect of the caller.
pub fn write_probabilities(prediction: &Prediction, mask: &mut [f32]) -> Result<f32> {
    let (width, height) = prediction.size();
    if width * height != mask.len() {
        let found = format!("an image of {width} x {height} pixels has {} in its header", mask.len());
        return Err(Failure::internal(found));
    }
    let best = prediction.best();
    prediction.for_each_row(best, |y, logits| {
        if let Some(row) = mask.get_mut(y * width..(y + 1) * width) {
            sigmoid(logits, row);
        }
    });
    let score = prediction.predicted_iou().get(best).copied();
    score.ok_or_else(|| Failure::internal("the prediction has no score"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::LimitSource;

    #[test]
    fn names_need_and_limit() {
        let limit = |bytes| ResultLimit { bytes, set_by: LimitSource::Host };
        let check = |bytes, pixels: &[usize]| limit(bytes).check_masks(pixels, Results::Masks);
        assert_eq!(check(0, &[0, 0]), Ok(()));
        assert_eq!(check(512, &[100, 0, 28]), Ok(()));
        let failure = check(512, &[100, 0, 29]).unwrap_err();
        let text = "the 2 dense masks of these rows need 1024 bytes at once, more than the limit of 512";
        let remedy = Remedy::FewerResults { results: Results::Masks, set_by: LimitSource::Host };
        assert_eq!((failure.kind(), failure.text(), failure.remedy()), (Kind::Limit, text, Some(remedy)));
        assert!(check(u64::MAX - 1, &[usize::MAX, usize::MAX]).is_err());
        assert_eq!(limit(128).check_embeddings(&[100, 0, 28]), Ok(()));
        let failure = limit(128).check_embeddings(&[100, 0, 29]).unwrap_err();
        assert_eq!(failure.text(), "the 2 embeddings of these rows need 129 bytes at once, more than the limit of 128");
    }
}
