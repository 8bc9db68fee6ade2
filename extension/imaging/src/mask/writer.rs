//! Masks from runs.

use super::rle::Rle;
use crate::memory::NoMemory;

/// Writes counts from runs of foreground, which come in order.
#[derive(Default)]
pub(crate) struct RunWriter {
    counts: Vec<u32>,
    /// The end of the last run.
    at: u64,
}

impl RunWriter {
    /// With room for so many runs.
    ///
    /// # Panics
    /// Without memory, as [`NoMemory::raise`].
    pub(crate) fn with_room(runs: usize) -> Self {
        NoMemory::check((2 * runs + 1) * size_of::<u32>());
        Self { counts: Vec::with_capacity(2 * runs + 1), at: 0 }
    }

    /// Adds the pixels `start..end`, down the columns.
    pub(crate) fn push(&mut self, start: u64, end: u64) {
        match self.counts.last_mut() {
            // It goes on from the bottom of one column to the top of the next.
            Some(last) if start == self.at => *last += (end - start) as u32,
            _ => {
                grow(&mut self.counts);
                self.counts.extend([(start - self.at) as u32, (end - start) as u32]);
            }
        }
        self.at = end;
    }

    /// The mask, of `height` x `width` pixels, which are `total`.
    pub(crate) fn finish(mut self, height: u32, width: u32, total: u64) -> Rle {
        if self.at < total || self.counts.is_empty() {
            grow(&mut self.counts);
            self.counts.push((total - self.at) as u32);
        }
        Rle { height, width, counts: self.counts }
    }
}

/// Makes room for two more, in small steps: a label image may have a million masks of a few runs each.
///
/// # Panics
/// Without memory, as [`NoMemory::raise`].
fn grow(counts: &mut Vec<u32>) {
    if counts.capacity() - counts.len() < 2 {
        let more = counts.len().max(4);
        if counts.try_reserve_exact(more).is_err() {
            NoMemory { bytes: (counts.len() + more).saturating_mul(size_of::<u32>()) }.raise();
        }
    }
}
