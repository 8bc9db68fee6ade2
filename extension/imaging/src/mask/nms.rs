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
/// the masks that are kept, the best first; of equal scores, the first. All masks are of one size. `check` is asked again and
/// again whether to go on.
///
/// ```
/// use sam_imaging::{Overlap, Rle, non_maximum_suppression};
///
/// let mask = |pixels| Rle::from_counts(4, 1, vec![0, pixels, 4 - pixels]);
/// let masks = [mask(4)?, mask(3)?, mask(2)?];
/// // Each overlaps the next, and the third not the first.
/// let kept = non_maximum_suppression(&masks, &[0.9, 0.8, 0.7], 0.6, Overlap::Masks, || Ok::<_, ()>(()));
/// assert_eq!(kept, Ok(vec![0, 2]));
/// # Ok::<(), sam_imaging::RleError>(())
/// ```
///
/// # Errors
/// That of `check`.
///
/// # Panics
/// If there are fewer scores than masks.
pub fn non_maximum_suppression<E>(
    masks: &[Rle],
    scores: &[f64],
    threshold: f64,
    overlap: Overlap,
    mut check: impl FnMut() -> Result<(), E>,
) -> Result<Vec<usize>, E> {
    /// Pairs that are compared before it is asked again: of masks with many runs each takes a millisecond.
    const TOGETHER: usize = 16;
    let mut order: Vec<usize> = (0..masks.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let mut candidates: Vec<Candidate> = Vec::with_capacity(masks.len());
    for mask in masks {
        check()?;
        candidates.push(Candidate::of(mask));
    }
    let (mut kept, mut compared): (Vec<usize>, usize) = (Vec::new(), 0);
    'next: for place in order {
        let candidate = &candidates[place];
        check()?;
        for other in kept.iter().map(|&before| &candidates[before]) {
            // Most pairs are far from each other, or one is much larger.
            if candidate.may_exceed(other, threshold, overlap) {
                compared += 1;
                if compared.is_multiple_of(TOGETHER) {
                    check()?;
                }
                if candidate.iou(other, overlap) > threshold {
                    continue 'next;
                }
            }
        }
        kept.push(place);
    }
    Ok(kept)
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
    /// Where every [`STEP`]th pair of runs begins.
    starts: Vec<u64>,
}

/// Pairs of runs, background and foreground, that are passed one by one to find a place.
const STEP: usize = 64;

impl<'a> Candidate<'a> {
    fn of(mask: &'a Rle) -> Self {
        let mut at = 0;
        let starts = mask.counts.chunks(2 * STEP).map(|runs| {
            let start = at;
            at += runs.iter().map(|&run| u64::from(run)).sum::<u64>();
            start
        });
        let starts = starts.collect();
        Self { mask, area: mask.area(), bbox: mask.bbox().map(f64::from), starts }
    }

    /// The runs of foreground that end behind `from`.
    fn runs(&self, from: u64) -> impl Iterator<Item = (u64, u64)> + '_ {
        let step = self.starts.partition_point(|&start| start <= from).saturating_sub(1);
        let mut at = self.starts.get(step).copied().unwrap_or(0);
        let counts = self.mask.counts.get(2 * STEP * step..).unwrap_or_default();
        counts.chunks(2).filter_map(move |pair| {
            let start = at + u64::from(pair[0]);
            at = start + u64::from(*pair.get(1).unwrap_or(&0));
            (at > start && at > from).then_some((start, at))
        })
    }

    /// Pixels that both boxes have.
    fn shared_box(&self, other: &Self) -> f64 {
        let ([x, y, width, height], [u, v, w, h]) = (self.bbox, other.bbox);
        let side =
            |from: f64, length: f64, to: f64, other: f64| ((from + length).min(to + other) - from.max(to)).max(0.0);
        side(x, width, u, w) * side(y, height, v, h)
    }

    /// Pixels that both have.
    fn shared(&self, other: &Self, overlap: Overlap) -> f64 {
        let boxes = self.shared_box(other);
        match overlap {
            Overlap::Boxes => boxes,
            Overlap::Masks if boxes == 0.0 => 0.0,
            Overlap::Masks => self.shared_pixels(other) as f64,
        }
    }

    /// The same by the runs in the columns of both boxes.
    fn shared_pixels(&self, other: &Self) -> u64 {
        let (a, b) = (self.bbox, other.bbox);
        let height = u64::from(self.mask.height);
        let [first, end] = [a[0].max(b[0]), (a[0] + a[2]).min(b[0] + b[2])].map(|column| column as u64 * height);
        let (mut ours, mut theirs) = (self.runs(first), other.runs(first));
        let (mut a, mut b) = (ours.next(), theirs.next());
        let mut area = 0;
        while let (Some(left), Some(right)) = (a, b) {
            if left.0.max(right.0) >= end {
                break;
            }
            area += left.1.min(right.1).saturating_sub(left.0.max(right.0));
            if left.1 <= right.1 {
                a = ours.next();
            } else {
                b = theirs.next();
            }
        }
        area
    }

    fn size(&self, overlap: Overlap) -> f64 {
        match overlap {
            Overlap::Masks => self.area as f64,
            Overlap::Boxes => self.bbox[2] * self.bbox[3],
        }
    }

    /// Whether the IoU may be more than `threshold`, by boxes and areas alone.
    fn may_exceed(&self, other: &Self, threshold: f64, overlap: Overlap) -> bool {
        let sizes = [self, other].map(|candidate| candidate.size(overlap));
        let most = self.shared_box(other).min(sizes[0]).min(sizes[1]);
        iou(most, sizes) > threshold
    }

    fn iou(&self, other: &Self, overlap: Overlap) -> f64 {
        iou(self.shared(other, overlap), [self, other].map(|candidate| candidate.size(overlap)))
    }
}

fn iou(shared: f64, sizes: [f64; 2]) -> f64 {
    let union = sizes[0] + sizes[1] - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(from: u32, to: u32) -> Rle {
        Rle::from_counts(10, 1, vec![from, to - from, 10 - to]).unwrap()
    }

    fn non_maximum_suppression(masks: &[Rle], scores: &[f64], threshold: f64, overlap: Overlap) -> Vec<usize> {
        super::non_maximum_suppression(masks, scores, threshold, overlap, || Ok::<_, ()>(())).unwrap()
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

    /// Masks of noise in boxes, with many runs.
    fn noise(count: u64) -> Vec<Rle> {
        let mut state = 5u64;
        let mut random = move |end: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % end
        };
        let mut mask = || {
            let ([x, y], [w, h]) = ([random(60), random(40)], [1 + random(40), 1 + random(40)]);
            let density = 1 + random(8);
            let mut pixel = |index: u64| {
                let [column, row] = [index % 90, index / 90];
                u8::from((x..x + w).contains(&column) && (y..y + h).contains(&row) && random(8) < density)
            };
            let pixels: Vec<u8> = (0..90 * 70).map(&mut pixel).collect();
            Rle::from_mask(&crate::Mask::from_bytes(90, 70, &pixels))
        };
        (0..count).map(|_| mask()).collect()
    }

    #[test]
    fn what_is_left_out_of_the_comparison_changes_nothing() {
        let masks = noise(120);
        let scores: Vec<f64> = (0..masks.len()).map(|index| (index * 37 % 61) as f64).collect();
        let mut ious = vec![0.0; masks.len()];
        let others = Others::new(&masks, &[]);
        for mask in &masks {
            others.ious(mask, &mut ious);
            assert!(masks.iter().zip(&ious).all(|(other, &iou)| mask.iou(other) == Some(iou)));
        }
        for threshold in [0.0, 0.05, 0.2, 0.5, 1.0] {
            let mut order: Vec<usize> = (0..masks.len()).collect();
            order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
            let mut kept: Vec<usize> = Vec::new();
            for place in order {
                if kept.iter().all(|&before| masks[place].iou(&masks[before]).unwrap() <= threshold) {
                    kept.push(place);
                }
            }
            assert_eq!(non_maximum_suppression(&masks, &scores, threshold, Overlap::Masks), kept, "{threshold}");
        }
    }

    #[test]
    fn it_stops_when_it_is_told_to() {
        let masks = noise(40);
        let (scores, mut asked) = (vec![0.5; masks.len()], 0);
        let mut stop_at = |limit: usize| {
            asked = 0;
            let check = || {
                asked += 1;
                if asked < limit { Ok(()) } else { Err(asked) }
            };
            super::non_maximum_suppression(&masks, &scores, 1.0, Overlap::Masks, check)
        };
        assert_eq!(stop_at(7), Err(7));
        assert_eq!(stop_at(masks.len() + 9), Err(masks.len() + 9));
        assert_eq!(stop_at(usize::MAX).unwrap().len(), masks.len());
    }
}
