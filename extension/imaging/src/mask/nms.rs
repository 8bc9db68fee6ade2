//! Non-maximum suppression, and the overlaps of many masks with each other.

use super::rle::Rle;

/// What the overlap of two masks is measured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// Their pixels.
    Masks,
    /// Their boxes.
    Boxes,
}

/// Greedy non-maximum suppression, as torchvision's and that of SAM's mask generator: the best mask is kept, those that
/// overlap it by an IoU of more than `threshold` are dropped, and so on with the best of the rest. Returns the places of
/// the masks that are kept, the best first; of equal scores, the first. All masks are of one size.
///
/// ```
/// use sam_imaging::{Overlap, Rle, non_maximum_suppression};
///
/// let mask = |pixels| Rle::from_counts(4, 1, vec![0, pixels, 4 - pixels]);
/// let masks = [mask(4)?, mask(3)?, mask(2)?];
/// // Each overlaps the next, and the third not the first.
/// assert_eq!(non_maximum_suppression(&masks, &[0.9, 0.8, 0.7], 0.6, Overlap::Masks), [0, 2]);
/// # Ok::<(), sam_imaging::RleError>(())
/// ```
///
/// # Panics
/// If there are fewer scores than masks.
pub fn non_maximum_suppression(masks: &[Rle], scores: &[f64], threshold: f64, overlap: Overlap) -> Vec<usize> {
    let mut order: Vec<usize> = (0..masks.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let candidates: Vec<Candidate> = masks.iter().map(Candidate::of).collect();
    let mut kept: Vec<usize> = Vec::new();
    for place in order {
        let candidate = &candidates[place];
        let is_new = |&before: &usize| candidate.iou(&candidates[before], overlap) <= threshold;
        if kept.iter().all(is_new) {
            kept.push(place);
        }
    }
    kept
}

/// Masks that others are compared with. All are of one size.
pub struct Others<'a> {
    candidates: Vec<Candidate<'a>>,
    crowds: &'a [bool],
}

impl<'a> Others<'a> {
    /// Which of `masks` are crowds, which may hold several objects, `crowds` says; where that ends, none is.
    pub fn new(masks: &'a [Rle], crowds: &'a [bool]) -> Self {
        Self { candidates: masks.iter().map(Candidate::of).collect(), crowds }
    }

    /// Writes the IoU of `mask` with each of them, as pycocotools' `iou`; with a crowd it is the part of the mask that lies in
    /// the crowd.
    ///
    /// ```
    /// use sam_imaging::{Others, Rle};
    ///
    /// let masks = [Rle::from_counts(4, 1, vec![0, 4])?, Rle::from_counts(4, 1, vec![0, 4])?];
    /// let mut ious = [0.0; 2];
    /// Others::new(&masks, &[false, true]).ious(&Rle::from_counts(4, 1, vec![0, 1, 3])?, &mut ious);
    /// assert_eq!(ious, [0.25, 1.0]);
    /// # Ok::<(), sam_imaging::RleError>(())
    /// ```
    pub fn ious(&self, mask: &Rle, out: &mut [f64]) {
        let mask = Candidate::of(mask);
        for (index, (other, out)) in self.candidates.iter().zip(out).enumerate() {
            let shared = mask.shared(other, Overlap::Masks);
            let is_crowd = self.crowds.get(index).is_some_and(|&is_crowd| is_crowd);
            let whole = if is_crowd { mask.area as f64 } else { (mask.area + other.area) as f64 - shared };
            *out = if whole > 0.0 { shared / whole } else { 0.0 };
        }
    }
}

/// A mask with what is compared before its pixels are.
struct Candidate<'a> {
    mask: &'a Rle,
    area: u64,
    /// x, y, width, height in pixels.
    bbox: [f64; 4],
}

impl<'a> Candidate<'a> {
    fn of(mask: &'a Rle) -> Self {
        Self { mask, area: mask.area(), bbox: mask.bbox().map(f64::from) }
    }

    /// Pixels that both have.
    fn shared(&self, other: &Self, overlap: Overlap) -> f64 {
        let ([x, y, width, height], [u, v, w, h]) = (self.bbox, other.bbox);
        let side =
            |from: f64, length: f64, to: f64, other: f64| ((from + length).min(to + other) - from.max(to)).max(0.0);
        let boxes = side(x, width, u, w) * side(y, height, v, h);
        match overlap {
            Overlap::Boxes => boxes,
            Overlap::Masks if boxes == 0.0 => 0.0,
            Overlap::Masks => self.mask.intersection(other.mask).unwrap_or(0) as f64,
        }
    }

    fn iou(&self, other: &Self, overlap: Overlap) -> f64 {
        let size = |candidate: &Self| match overlap {
            Overlap::Masks => candidate.area as f64,
            Overlap::Boxes => candidate.bbox[2] * candidate.bbox[3],
        };
        let shared = self.shared(other, overlap);
        let union = size(self) + size(other) - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(from: u32, to: u32) -> Rle {
        Rle::from_counts(10, 1, vec![from, to - from, 10 - to]).unwrap()
    }

    #[test]
    fn what_is_dropped_drops_nothing() {
        // A drops B, which would have dropped C.
        let masks = [mask(4, 9), mask(2, 7), mask(0, 5)];
        assert_eq!(non_maximum_suppression(&masks, &[0.7, 0.9, 0.8], 0.3, Overlap::Masks), [1]);
        assert_eq!(non_maximum_suppression(&masks, &[0.9, 0.8, 0.7], 0.3, Overlap::Masks), [0, 2]);
        assert_eq!(non_maximum_suppression(&masks, &[0.5; 3], 1.0, Overlap::Masks), [0, 1, 2]);
        assert_eq!(non_maximum_suppression(&masks[..0], &[], 0.5, Overlap::Masks), [0usize; 0]);
    }

    #[test]
    fn boxes_may_overlap_where_masks_do_not() {
        let checks = |first: u8| (0..16).map(|i| (i / 4 + i % 4 + first) % 2).collect::<Vec<_>>();
        let mask = |first| Rle::from_mask(&crate::Mask::from_bytes(4, 4, &checks(first)));
        let masks = [mask(0), mask(1)];
        assert_eq!(non_maximum_suppression(&masks, &[1.0, 0.5], 0.5, Overlap::Masks), [0, 1]);
        assert_eq!(non_maximum_suppression(&masks, &[1.0, 0.5], 0.5, Overlap::Boxes), [0]);
    }

    #[test]
    fn a_crowd_takes_what_lies_in_it() {
        let masks = [mask(0, 4), mask(6, 6)];
        let others = [mask(0, 8), mask(2, 4), mask(9, 9)];
        let ious = |crowds: &[bool]| {
            let (others, mut ious) = (Others::new(&others, crowds), [[1.0; 3]; 2]);
            masks.iter().zip(&mut ious).for_each(|(mask, ious)| others.ious(mask, ious));
            ious
        };
        assert_eq!(ious(&[]), [[0.5, 0.5, 0.0], [0.0; 3]]);
        assert_eq!(ious(&[true, true, false]), [[1.0, 0.5, 0.0], [0.0; 3]]);
    }
}
