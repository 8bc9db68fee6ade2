//! Polygons to masks: the pixels that pycocotools gives a polygon (`rleFrPoly` in `common/maskApi.c`), bit for bit.
//!
//! The rule, which decides what becomes of the pixels that the outline cuts: corners are rounded to a grid with five
//! lines in a pixel, and each edge is followed on it, step by step along its longer axis. Where it steps over the middle
//! of a column of pixels (from grid line `5 c + 2` to `5 c + 3`) the column changes between outside and inside, from the
//! first row whose middle is not above the upper of the two grid points. Changes in one place cancel in pairs, so that what
//! a polygon covers twice is outside: even and odd. Several polygons of one object are united.
//!
//! pycocotools walks all steps of all edges. Here only those are computed that pass the middle of a column of the picture,
//! with the same operations in the same order, so that the rounding is the same: the cost is that of the columns passed,
//! however far outside the corners are.

use super::rle::{Rle, RleError, pixels};
use crate::memory::NoMemory;

/// Grid lines in a pixel.
const GRID: i64 = 5;
/// The grid line before the middle of a pixel.
const MIDDLE: i64 = 2;

/// How far from the picture a corner may be, in pixels: with more, coordinates on the grid leave 32 bits, from where on
/// pycocotools is undefined.
const FAR: f64 = 4e8;

/// Most columns that the outline of one polygon may pass: 128 MiB.
const MAX_PASSES: u64 = 1 << 25;

/// Why polygons are no mask.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PolygonError {
    /// The picture is too large.
    #[error(transparent)]
    Size(#[from] RleError),
    /// No memory for the columns that an outline passes.
    #[error(transparent)]
    Memory(#[from] NoMemory),
    /// An x without its y.
    #[error("polygon {polygon} has {count} numbers, an odd count; a polygon is x, y, x, y, ... in pixels")]
    Odd {
        /// Which polygon, from 1.
        polygon: usize,
        /// How many numbers it has.
        count: usize,
    },
    /// No area.
    #[error("polygon {polygon} has {corners} corners; a polygon has 3 or more")]
    Few {
        /// Which polygon, from 1.
        polygon: usize,
        /// How many corners it has.
        corners: usize,
    },
    /// NaN, infinity, or a coordinate far from any picture.
    #[error(
        "polygon {polygon} has the coordinate {value}; a coordinate is a number of pixels within {FAR} of the picture"
    )]
    Coordinate {
        /// Which polygon, from 1.
        polygon: usize,
        /// The coordinate.
        value: f64,
    },
    /// More work than any real outline is.
    #[error(
        "the outline of polygon {polygon} passes {passes} columns of pixels, more than the limit of {MAX_PASSES}; simplify it, or cut it into several polygons"
    )]
    Passes {
        /// Which polygon, from 1.
        polygon: usize,
        /// How many columns its edges pass in sum.
        passes: u64,
    },
}

impl Rle {
    /// The mask of an object with these polygons in a picture of `height` x `width` pixels: the pixels in any of them, as
    /// pycocotools' `frPyObjects` and `merge`, which is `annToRLE`.
    ///
    /// A polygon is `x, y, x, y, ...` in pixels, (0, 0) being the upper left corner of the first pixel; the last corner is
    /// joined to the first. What lies outside the picture is left out. No polygons are a mask without pixels.
    ///
    /// ```
    /// use sam_imaging::{Rle, wkt};
    ///
    /// let mask = Rle::from_polygons(60, 80, &[[10.0, 10.0, 30.0, 10.0, 30.0, 25.0, 10.0, 25.0]])?;
    /// assert_eq!((mask.area(), mask.bbox()), (300, [10.0, 10.0, 20.0, 15.0]));
    /// assert_eq!(wkt(&mask.polygons(0.0)), "POLYGON ((10 25, 10 10, 30 10, 30 25, 10 25))");
    ///
    /// let error = Rle::from_polygons(60, 80, &[[1.0, 2.0, 3.0]]).unwrap_err();
    /// assert!(error.to_string().starts_with("polygon 1 has 3 numbers, an odd count"));
    /// # Ok::<(), sam_imaging::PolygonError>(())
    /// ```
    pub fn from_polygons<P: AsRef<[f64]>>(height: u32, width: u32, polygons: &[P]) -> Result<Rle, PolygonError> {
        pixels(height, width)?;
        let mut parts = Vec::with_capacity(polygons.len());
        for (index, polygon) in polygons.iter().enumerate() {
            parts.push(one(height, width, index + 1, polygon.as_ref())?);
        }
        let none = || Rle { height, width, counts: vec![height * width] };
        Ok(Rle::union_all(parts).unwrap_or_else(none))
    }
}

/// The mask of one polygon, the `polygon`-th of its object.
fn one(height: u32, width: u32, polygon: usize, numbers: &[f64]) -> Result<Rle, PolygonError> {
    let (corners, rest) = numbers.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(PolygonError::Odd { polygon, count: numbers.len() });
    }
    if corners.len() < 3 {
        return Err(PolygonError::Few { polygon, corners: corners.len() });
    }
    if let Some(&value) = numbers.iter().find(|value| value.is_nan() || value.abs() > FAR) {
        return Err(PolygonError::Coordinate { polygon, value });
    }
    let grid = |corner: &[f64; 2]| corner.map(|value| (GRID as f64 * value + 0.5) as i64);
    let edges = || {
        let ends = corners[1..].iter().chain(&corners[..1]).map(grid);
        corners.iter().map(grid).zip(ends).map(|(from, to)| Edge::new(from, to))
    };
    let passes = edges().map(|edge| edge.columns(width).count() as u64).sum();
    if passes > MAX_PASSES {
        return Err(PolygonError::Passes { polygon, passes });
    }
    let mut changes = Vec::new();
    let bytes = passes as usize * size_of::<u32>();
    changes.try_reserve_exact(passes as usize).map_err(|_| PolygonError::Memory(NoMemory { bytes }))?;
    for edge in edges() {
        edge.pass(height, width, &mut changes);
    }
    changes.sort_unstable();
    Ok(Rle { height, width, counts: counts(&changes, height * width) })
}

/// Run lengths from the sorted places where the mask changes; two changes in one place are none.
fn counts(changes: &[u32], total: u32) -> Vec<u32> {
    let mut counts = Vec::with_capacity(changes.len() + 1);
    let (mut begun, mut at) = (0, 0);
    while let Some(&place) = changes.get(at) {
        if changes.get(at + 1) == Some(&place) {
            at += 2;
            continue;
        }
        if place == total {
            break;
        }
        counts.push(place - begun);
        begun = place;
        at += 1;
    }
    // A last run without pixels is not written, but there is one run at least.
    if begun < total || counts.is_empty() {
        counts.push(total - begun);
    }
    counts
}

/// An edge on the grid, from left to right where it is rather flat, from top to bottom where it is rather steep.
struct Edge {
    x: [i64; 2],
    y: [i64; 2],
    /// How many steps it has: the longer of its extents.
    steps: i64,
    flat: bool,
    /// What the other coordinate changes in a step.
    slope: f64,
}

impl Edge {
    fn new(from: [i64; 2], to: [i64; 2]) -> Self {
        let [dx, dy] = [0, 1].map(|axis| (to[axis] - from[axis]).abs());
        let flat = dx >= dy;
        let backwards = if flat { from[0] > to[0] } else { from[1] > to[1] };
        let ([x0, y0], [x1, y1]) = if backwards { (to, from) } else { (from, to) };
        let slope = if flat { (y1 - y0) as f64 / dx as f64 } else { (x1 - x0) as f64 / dy as f64 };
        Edge { x: [x0, x1], y: [y0, y1], steps: dx.max(dy), flat, slope }
    }

    /// The coordinate across the steps after `step` of them, from where it is `start`; towards 0, as a cast in C.
    fn across(&self, start: i64, step: i64) -> i64 {
        (start as f64 + self.slope * step as f64 + 0.5) as i64
    }

    /// The columns of the picture whose middle the edge passes.
    fn columns(&self, width: u32) -> std::ops::Range<i64> {
        let [low, high] = [self.x[0].min(self.x[1]), self.x[0].max(self.x[1])];
        // 5 c + 2 >= low and 5 c + 3 <= high
        let first = (low - MIDDLE + GRID - 1).div_euclid(GRID).max(0);
        let last = (high - MIDDLE - 1).div_euclid(GRID).min(i64::from(width) - 1);
        first..(last + 1).max(first)
    }

    /// Appends the places, down the columns from left to right, where the edge passes the middle of a column.
    fn pass(&self, height: u32, width: u32, changes: &mut Vec<u32>) {
        for column in self.columns(width) {
            let line = GRID * column + MIDDLE;
            let Some(y) = (if self.flat { Some(self.flat_at(line)) } else { self.steep_at(line) }) else { continue };
            // The first row whose middle, grid line 5 r + 2, is not above.
            let row = (y - MIDDLE + GRID - 1).div_euclid(GRID).clamp(0, i64::from(height));
            changes.push((column * i64::from(height) + row) as u32);
        }
    }

    /// The upper of the grid points on `line` and on the next one: a flat edge has one on each.
    fn flat_at(&self, line: i64) -> i64 {
        let step = line - self.x[0];
        self.across(self.y[0], step).min(self.across(self.y[0], step + 1))
    }

    /// The upper of the grid points between which a steep edge steps from `line` to the next one, or back. `None` where
    /// rounding far outside lets it skip the line.
    fn steep_at(&self, line: i64) -> Option<i64> {
        let x = |step| self.across(self.x[0], step);
        let right = self.slope > 0.0;
        // The first step that is on the other side. The estimate is off by a few steps at most.
        let beyond = |step| (x(step) > line) == right;
        let estimate = (line as f64 + 0.5 - self.x[0] as f64) / self.slope;
        let mut step = (estimate.ceil() as i64).clamp(1, self.steps);
        while step > 1 && beyond(step - 1) {
            step -= 1;
        }
        while step < self.steps && !beyond(step) {
            step += 1;
        }
        let steps_over = x(step - 1).min(x(step)) == line && x(step - 1) != x(step);
        steps_over.then_some(self.y[0] + step - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_whose_middle_is_inside() {
        let square = Rle::from_polygons(4, 5, &[[1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0]]).unwrap();
        assert_eq!(square.counts, [5, 2, 2, 2, 9]);
        // The same from other corners, the other way round, and with the first corner repeated.
        for numbers in [&[3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0, 3.0][..], &[1., 1., 3., 1., 3., 3., 1., 3., 1., 1.]] {
            assert_eq!(Rle::from_polygons(4, 5, &[numbers]).unwrap(), square);
        }
    }

    #[test]
    fn parts_are_united_and_a_polygon_is_even_and_odd() {
        let (left, right) = ([0., 0., 2., 0., 2., 4., 0., 4.], [1., 0., 4., 0., 4., 4., 1., 4.]);
        assert_eq!(Rle::from_polygons(4, 5, &[left, right]).unwrap().counts, [0, 16, 4]);
        // Around the square twice: nothing is left.
        let twice: Vec<f64> = [left, left].concat();
        assert_eq!(Rle::from_polygons(4, 5, &[twice]).unwrap().counts, [20]);
        assert_eq!(Rle::from_polygons::<Vec<f64>>(4, 5, &[]).unwrap().counts, [20]);
    }

    #[test]
    fn the_picture_cuts() {
        let around = [-9.0, -9.0, 1e8, -9.0, 1e8, 3e8, -9.0, 3e8];
        assert_eq!(Rle::from_polygons(4, 5, &[around]).unwrap().counts, [0, 20]);
        let beside = [6.0, 0.0, 9.0, 0.0, 9.0, 3.0];
        assert_eq!(Rle::from_polygons(4, 5, &[beside]).unwrap().counts, [20]);
        for (height, width) in [(0, 5), (4, 0), (0, 0)] {
            assert_eq!(Rle::from_polygons(height, width, &[around]).unwrap().counts, [0]);
        }
    }

    #[test]
    fn what_is_no_polygon() {
        let error = |numbers: &[f64]| Rle::from_polygons(4, 5, &[&[0.0; 6], numbers]).unwrap_err().to_string();
        assert_eq!(error(&[0.0; 7]), "polygon 2 has 7 numbers, an odd count; a polygon is x, y, x, y, ... in pixels");
        assert_eq!(error(&[0.0; 4]), "polygon 2 has 2 corners; a polygon has 3 or more");
        assert_eq!(
            error(&[0.0, 1.0, f64::NAN, 2.0, 3.0, 4.0]),
            "polygon 2 has the coordinate NaN; a coordinate is a number of pixels within 400000000 of the picture"
        );
        assert!(error(&[0.0, 1.0, f64::INFINITY, 2.0, 3.0, 4.0]).contains("inf"));
        assert!(error(&[0.0, 1.0, -5e8, 2.0, 3.0, 4.0]).contains("-500000000"));
        let zigzag: Vec<f64> = (0..200).flat_map(|at| [f64::from(at % 2) * 1e6, f64::from(at)]).collect();
        let message = Rle::from_polygons(4000, 1_000_000, &[zigzag]).unwrap_err().to_string();
        assert!(
            message.contains("passes 199000000 columns") || message.contains("passes 200000000 columns"),
            "{message}"
        );
        assert!(matches!(
            Rle::from_polygons(1 << 17, 1 << 17, &[[0.0; 6]]),
            Err(PolygonError::Size(RleError::TooLarge { .. }))
        ));
    }
}
