//! Removing specks: small islands and small holes.

use super::columns::Columns;
use super::rle::Rle;

impl Rle {
    /// Fills the holes of fewer than `min_area` pixels, then removes the islands of fewer; of islands that are all
    /// smaller the largest is kept, of equal ones the first from the left.
    ///
    /// This is `remove_small_regions` of Segment Anything (`utils/amg.py`), applied to holes and then to islands as
    /// its mask generator does: pixels are connected through edges and corners, and a background part that touches
    /// the border counts as a hole too. Unlike there, a mask without foreground stays as it is.
    pub fn clean(&self, min_area: u64) -> Rle {
        let foreground = Columns::of(self);
        if foreground.runs.is_empty() {
            return foreground.to_rle();
        }
        let background = foreground.complement();
        let (parts, areas) = measured(&background);
        let foreground = background.filter(|run| areas[parts[run] as usize] >= min_area).complement();
        let (parts, areas) = measured(&foreground);
        let largest = areas.iter().copied().max().unwrap_or(0);
        if largest >= min_area {
            return foreground.filter(|run| areas[parts[run] as usize] >= min_area).to_rle();
        }
        let kept = areas.iter().position(|&area| area == largest);
        foreground.filter(|run| Some(parts[run] as usize) == kept).to_rle()
    }
}

/// The parts of all runs, and the areas of the parts at the indices that name them.
fn measured(columns: &Columns) -> (Vec<u32>, Vec<u64>) {
    let parts = columns.parts(true);
    let mut areas = vec![0; parts.len()];
    for (run, &part) in columns.runs.iter().zip(&parts) {
        areas[part as usize] += run.area();
    }
    (parts, areas)
}
