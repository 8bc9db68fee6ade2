//! Masks as the decoder gives them, and their way back to the picture's own size.

use std::sync::Arc;

use sam_imaging::{MaskBuilder, Rle};
use sam_kernels::{Isa, Upsample};

use crate::frame::Frame;
use crate::guide::{Edges, Guide};

/// The candidate masks of one prompt: three for a single point, one for any other prompt.
#[derive(Debug, Clone)]
pub struct Prediction {
    /// (candidates, mask size, mask size)
    logits: Vec<f32>,
    predicted_iou: Vec<f32>,
    frame: Frame,
    isa: Isa,
    /// What masks are refined with on their way; see [`Prediction::for_each_row`].
    edges: Option<(Arc<Edges>, Guide)>,
}

impl Prediction {
    pub(crate) fn new(logits: Vec<f32>, predicted_iou: Vec<f32>, frame: Frame, isa: Isa) -> Self {
        Self { logits, predicted_iou, frame, isa, edges: None }
    }

    /// The same, with masks that follow the edges of the picture.
    pub(crate) fn guided(self, edges: &Arc<Edges>, guide: &Guide) -> Self {
        let edges = edges.are_for(&self.frame).then(|| (edges.clone(), guide.clone()));
        Self { edges, ..self }
    }

    /// Predicted IoU of each candidate, as the network gives it (mostly within 0..1, not clamped).
    pub fn predicted_iou(&self) -> &[f32] {
        &self.predicted_iou
    }

    /// Index of the candidate with the highest predicted IoU; the first of equals.
    pub fn best(&self) -> usize {
        let mut best = 0;
        for (index, iou) in self.predicted_iou.iter().enumerate() {
            if *iou > self.predicted_iou[best] {
                best = index;
            }
        }
        best
    }

    /// This prediction with its best candidate only, in as little memory.
    pub fn into_best(self) -> Self {
        let best = self.best();
        let logits = self.low_res_logits(best).to_vec();
        Self { logits, predicted_iou: vec![self.predicted_iou[best]], ..self }
    }

    /// Bytes of memory held. The guide counts in full, although embedding and predictions of a picture share it: any of
    /// them may be the last that holds it.
    pub fn bytes(&self) -> usize {
        let guide = self.edges.as_ref().map_or(0, |(_, guide)| guide.as_bytes().len());
        size_of::<Self>() + (self.logits.capacity() + self.predicted_iou.capacity()) * size_of::<f32>() + guide
    }

    /// Width and height of the picture, in pixels.
    pub fn size(&self) -> (usize, usize) {
        self.frame.original
    }

    /// Low-resolution logits of candidate `index`, (mask size, mask size), covering the padded square.
    ///
    /// # Panics
    /// If there is no such candidate.
    pub fn low_res_logits(&self, index: usize) -> &[f32] {
        let pixels = self.frame.mask_size * self.frame.mask_size;
        &self.logits[index * pixels..(index + 1) * pixels]
    }

    /// Candidate `index` at the picture's own size, where its logits are positive, and its stability score: what becomes
    /// of the mask when the threshold moves by `offset` up or down, the smaller of the two masks as a part of the
    /// larger; 0 where the larger is empty. It is the network's, of logits that are not refined: so is the offset.
    ///
    /// # Panics
    /// If there is no such candidate.
    pub fn mask(&self, index: usize, offset: f32) -> (Rle, f32) {
        if self.edges.is_some() {
            return (self.mask_of(index, |_| ()), self.plain_stability(index, offset));
        }
        let mut stability = Stability::new(offset);
        (self.mask_of(index, |logits| stability.add(logits)), stability.score())
    }

    /// As [`Prediction::mask`]; `None` where the stability score is below `least`, which is mostly known without the mask.
    pub(crate) fn mask_above(&self, index: usize, offset: f32, least: f32) -> Option<(Rle, f32)> {
        if self.edges.is_none() {
            return Some(self.mask(index, offset)).filter(|(_, score)| *score >= least);
        }
        let score = self.plain_stability(index, offset);
        (score >= least).then(|| (self.mask_of(index, |_| ()), score))
    }

    /// The stability score of the network's own logits.
    fn plain_stability(&self, index: usize, offset: f32) -> f32 {
        let mut stability = Stability::new(offset);
        self.plain_rows(index, |_, logits| stability.add(logits));
        stability.score()
    }

    /// Where the logits that users get are positive; `look` sees each row of them.
    fn mask_of(&self, index: usize, mut look: impl FnMut(&[f32])) -> Rle {
        let (width, height) = self.frame.original;
        // No picture has a side of more than 32 bits.
        let mut mask = MaskBuilder::new(width as u32, height as u32);
        self.for_each_row(index, |y, logits| {
            mask.push_row(y as u32, logits, 0.0);
            look(logits);
        });
        Rle::from_mask(&mask.finish())
    }

    /// Calls `consume(y, logits)` for every row of candidate `index` at the picture's own size, top to bottom.
    ///
    /// Where a model asks for it, logits are first refined at half the input's size (`guide.rs`), and from there enlarged
    /// as others are.
    ///
    /// # Panics
    /// If there is no such candidate.
    pub fn for_each_row(&self, index: usize, consume: impl FnMut(usize, &[f32])) {
        let Some((edges, guide)) = &self.edges else { return self.plain_rows(index, consume) };
        let (rows, columns) = Guide::size(self.frame.input);
        edges.refine(self.isa, guide, &self.frame, self.low_res_logits(index), |refined| {
            self.enlarge(refined, (rows, columns), (2 * rows, 2 * columns), consume);
        });
    }

    /// The same of the network's own logits.
    fn plain_rows(&self, index: usize, consume: impl FnMut(usize, &[f32])) {
        let Frame { image_size, mask_size, .. } = self.frame;
        self.enlarge(self.low_res_logits(index), (mask_size, mask_size), (image_size, image_size), consume);
    }

    /// As SAM's `postprocess_masks`: bilinear to `padded`, a size of which the resized picture is the upper left, crop to
    /// that, bilinear to the picture's own size; no intermediate picture is held. Sizes are (height, width).
    fn enlarge(
        &self,
        logits: &[f32],
        size: (usize, usize),
        padded: (usize, usize),
        consume: impl FnMut(usize, &[f32]),
    ) {
        let Frame { original, input, .. } = self.frame;
        let (crop, output) = ((input.1, input.0), (original.1, original.0));
        Upsample::new(size, padded, crop, output).rows(self.isa, logits, 0..original.1, consume);
    }
}

/// Counts pixels of a mask whose threshold is moved up and down.
struct Stability {
    offset: f32,
    smaller: u64,
    larger: u64,
}

impl Stability {
    fn new(offset: f32) -> Self {
        Self { offset, smaller: 0, larger: 0 }
    }

    fn add(&mut self, logits: &[f32]) {
        self.smaller += above(logits, self.offset);
        self.larger += above(logits, -self.offset);
    }

    fn score(&self) -> f32 {
        if self.larger == 0 { 0.0 } else { (self.smaller as f64 / self.larger as f64) as f32 }
    }
}

/// How many logits lie above `threshold`.
fn above(logits: &[f32], threshold: f32) -> u64 {
    // Counting in 32 bits lets the compiler use whole vectors; a row is far shorter than that.
    u64::from(logits.iter().map(|&logit| u32::from(logit > threshold)).sum::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn isa() -> Isa {
        Isa::get().unwrap()
    }

    fn upsampled(prediction: &Prediction) -> Vec<f32> {
        let mut all = Vec::new();
        prediction.for_each_row(0, |y, row| {
            assert_eq!(all.len(), y * row.len());
            all.extend_from_slice(row);
        });
        all
    }

    /// The reference's two steps, each over a whole picture in f64.
    fn naive(logits: &[f32], frame: Frame) -> Vec<f64> {
        let resize = |from: &[f64], (fw, fh): (usize, usize), (tw, th): (usize, usize)| {
            let axis = |to: usize, from: usize, index: usize| {
                let position = ((index as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
                let low = position.floor() as usize;
                (low, (low + 1).min(from - 1), position - low as f64)
            };
            let mut out = vec![0.0; tw * th];
            for y in 0..th {
                for x in 0..tw {
                    let ((y0, y1, fy), (x0, x1, fx)) = (axis(th, fh, y), axis(tw, fw, x));
                    let row = |y: usize| from[y * fw + x0] * (1.0 - fx) + from[y * fw + x1] * fx;
                    out[y * tw + x] = row(y0) * (1.0 - fy) + row(y1) * fy;
                }
            }
            out
        };
        let logits: Vec<f64> = logits.iter().map(|&value| f64::from(value)).collect();
        let side = frame.image_size;
        let square = resize(&logits, (frame.mask_size, frame.mask_size), (side, side));
        let (width, height) = frame.input;
        let cropped: Vec<f64> = (0..height).flat_map(|y| square[y * side..y * side + width].to_vec()).collect();
        resize(&cropped, frame.input, frame.original)
    }

    #[test]
    fn rows_equal_the_reference_in_two_whole_steps() {
        for (width, height) in [(64, 64), (1, 1), (7, 3), (100, 37), (31, 200), (500, 2), (64, 41)] {
            let frame = Frame::new(width, height, 64, 16).unwrap();
            let logits: Vec<f32> = (0..256).map(|index| ((index * 7919 % 257) as f32 - 128.0) / 16.0).collect();
            let expected = naive(&logits, frame);
            let prediction = Prediction::new(logits, vec![0.5], frame, isa());
            let rows = upsampled(&prediction);
            assert_eq!(rows.len(), width * height);
            for (got, expected) in rows.iter().zip(&expected) {
                assert!((f64::from(*got) - expected).abs() < 1e-3, "{width} x {height}: {got} {expected}");
            }
        }
    }

    #[test]
    fn best_is_the_first_of_the_highest() {
        let frame = Frame::new(4, 4, 16, 4).unwrap();
        let prediction =
            Prediction::new((0..48).map(|value| value as f32).collect(), vec![0.1, 0.7, 0.7], frame, isa());
        assert_eq!(prediction.best(), 1);
        let best = prediction.clone().into_best();
        assert_eq!((best.best(), best.predicted_iou()), (0, &[0.7][..]));
        assert_eq!(best.low_res_logits(0), prediction.low_res_logits(1));
        assert!(best.bytes() < prediction.bytes());
        assert_eq!(Prediction::new(vec![0.0; 16], vec![-0.2], frame, isa()).best(), 0);
    }

    #[test]
    fn counts_strictly_above() {
        assert_eq!(above(&[0.0, 1.0, 1.5, -2.0, f32::NAN], 1.0), 1);
        assert_eq!(above(&[0.0, 1.0, 1.5, -2.0], -1.0), 3);
    }
}
