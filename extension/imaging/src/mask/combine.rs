//! Union, intersection and difference of masks, run by run: nothing is decoded.

use super::rle::Rle;
use crate::memory::push;

impl Rle {
    /// The pixels set in either mask, as pycocotools' `merge`. `None` where the masks differ in size.
    pub fn union(&self, other: &Rle) -> Option<Rle> {
        self.combine(other, |ours, theirs| ours | theirs)
    }

    /// The pixels set in both masks, as pycocotools' `merge` with `intersect`. `None` where the masks differ in size.
    pub fn intersect(&self, other: &Rle) -> Option<Rle> {
        self.combine(other, |ours, theirs| ours & theirs)
    }

    /// The pixels set in this mask and not in the other. `None` where the masks differ in size.
    pub fn difference(&self, other: &Rle) -> Option<Rle> {
        self.combine(other, |ours, theirs| ours & !theirs)
    }

    /// The union of any number of masks. `None` where there are none, or where they differ in size.
    pub fn union_all(masks: impl IntoIterator<Item = Rle>) -> Option<Rle> {
        combine_all(masks, Rle::union)
    }

    /// The pixels that any number of masks have in common. `None` where there are none, or where they differ in size.
    pub fn intersect_all(masks: impl IntoIterator<Item = Rle>) -> Option<Rle> {
        combine_all(masks, Rle::intersect)
    }

    fn combine(&self, other: &Rle, keep: impl Fn(bool, bool) -> bool) -> Option<Rle> {
        if (self.height, self.width) != (other.height, other.width) {
            return None;
        }
        let mut counts = Vec::new();
        let (mut value, mut length) = (false, 0u32);
        let (mut ours, mut theirs) = (Cursor::new(&self.counts), Cursor::new(&other.counts));
        loop {
            let step = ours.left.min(theirs.left);
            if step == 0 {
                break; // both masks are at their end, for they are of one size
            }
            if keep(ours.value, theirs.value) != value {
                push(&mut counts, length);
                (value, length) = (!value, 0);
            }
            length += step;
            ours.advance(step);
            theirs.advance(step);
        }
        counts.push(length);
        Some(Rle { height: self.height, width: self.width, counts })
    }
}

/// Combines masks in pairs, the pairs in pairs and so on: each run is looked at as often as their number can be halved,
/// not as often as there are masks.
fn combine_all(masks: impl IntoIterator<Item = Rle>, combine: fn(&Rle, &Rle) -> Option<Rle>) -> Option<Rle> {
    // What is combined so far, with how often: fewer times towards the end, as the digits of a binary number.
    let mut done: Vec<(u32, Rle)> = Vec::new();
    for mut mask in masks {
        let mut times = 0;
        while let Some((_, before)) = done.pop_if(|(before, _)| *before == times) {
            mask = combine(&before, &mask)?;
            times += 1;
        }
        done.push((times, mask));
    }
    let (_, mut all) = done.pop()?;
    while let Some((_, before)) = done.pop() {
        all = combine(&before, &all)?;
    }
    Some(all)
}

/// A place in a list of counts.
struct Cursor<'a> {
    rest: std::slice::Iter<'a, u32>,
    /// Whether the run here is foreground.
    value: bool,
    /// What is left of it; 0 at the end of the mask.
    left: u32,
}

impl<'a> Cursor<'a> {
    fn new(counts: &'a [u32]) -> Self {
        let mut cursor = Cursor { rest: counts.iter(), value: true, left: 0 };
        cursor.advance(0);
        cursor
    }

    /// Goes on by `step` pixels, which are left in this run.
    fn advance(&mut self, step: u32) {
        self.left -= step;
        while self.left == 0 {
            let Some(&count) = self.rest.next() else { break };
            (self.value, self.left) = (!self.value, count);
        }
    }
}
