//! (API skeleton; being written)

/// The candidate masks of one prompt.
pub struct Prediction {}

impl Prediction {
    /// Predicted IoU of each candidate.
    pub fn predicted_iou(&self) -> &[f32] {
        todo!()
    }
    /// Index of the candidate with the highest predicted IoU.
    pub fn best(&self) -> usize {
        todo!()
    }
    /// Width and height of the picture, in pixels.
    pub fn size(&self) -> (usize, usize) {
        todo!()
    }
    /// Calls `consume(y, logits)` for every row of candidate `index` at the picture's own size, top to bottom.
    pub fn for_each_row(&self, _index: usize, _consume: impl FnMut(usize, &[f32])) {
        todo!()
    }
}
