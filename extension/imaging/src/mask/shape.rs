//! The shape of a mask in numbers, as scikit-image's `regionprops` defines them.

use std::f64::consts::{FRAC_PI_4, PI, SQRT_2};

use super::columns::{Columns, Run};
use super::rle::Rle;
use crate::memory::{NoMemory, push, zeroed};

/// The shape of a mask with pixels. Lengths and areas are in pixels; x counts to the right and y down, from the middle of the
/// pixel in the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Pixels.
    pub area: u64,
    /// Pixels of its convex hull.
    pub area_convex: u64,
    /// Mean of the pixels' x and y.
    pub centroid: [f64; 2],
    /// The long axis of the ellipse with the same second moments.
    pub axis_major_length: f64,
    /// Its short axis.
    pub axis_minor_length: f64,
    /// Of that ellipse: 0 for a circle, near 1 for a line.
    pub eccentricity: f64,
    /// The angle of its long axis to the vertical, in radians from -pi / 2 to pi / 2, counter-clockwise. Without a long axis
    /// it is -pi / 4.
    pub orientation: f64,
    /// The length of the border, along the middles of its pixels.
    pub perimeter: f64,
    /// Pixels by those of the box around it.
    pub extent: f64,
}

impl Shape {
    /// The diameter of a circle with the same area.
    pub fn equivalent_diameter(&self) -> f64 {
        (4.0 * self.area as f64 / PI).sqrt()
    }

    /// Pixels by those of the convex hull: 1 for a convex mask.
    pub fn solidity(&self) -> f64 {
        self.area as f64 / self.area_convex as f64
    }
}

impl Rle {
    /// The shape; `None` for a mask without pixels. It takes time in proportion to the runs and the border.
    ///
    /// ```
    /// use sam_imaging::{Mask, Rle};
    ///
    /// let square = Rle::from_mask(&Mask::from_rows(&[[1, 1, 0], [1, 1, 0]]));
    /// let shape = square.shape()?.unwrap();
    /// assert_eq!((shape.area, shape.centroid, shape.perimeter), (4, [0.5, 0.5], 4.0));
    /// assert_eq!((shape.solidity(), shape.extent, shape.eccentricity), (1.0, 1.0, 0.0));
    /// # Ok::<(), sam_imaging::NoMemory>(())
    /// ```
    ///
    /// # Errors
    /// There is no memory for three columns.
    pub fn shape(&self) -> Result<Option<Shape>, NoMemory> {
        let area = self.area();
        if area == 0 {
            return Ok(None);
        }
        let columns = Columns::of(self);
        let moments = Moments::of(&columns, area);
        let [major, minor] = moments.variances();
        let [_, _, width, height] = self.bbox();
        Ok(Some(Shape {
            area,
            area_convex: hull_area(&columns),
            centroid: moments.centroid,
            axis_major_length: 4.0 * major.sqrt(),
            axis_minor_length: 4.0 * minor.sqrt(),
            eccentricity: if major == 0.0 { 0.0 } else { (1.0 - minor / major).max(0.0).sqrt() },
            orientation: moments.orientation(),
            perimeter: perimeter(&columns)?,
            extent: area as f64 / (f64::from(width) * f64::from(height)),
        }))
    }
}

/// The length of the border. A pixel of the border has an edge in common with the outside. How much it adds depends on
/// which of its neighbours are of the border too (Benkrid and Crookes 2000).
fn perimeter(columns: &Columns) -> Result<f64, NoMemory> {
    // The border in three columns: its runs, and a mark for each pixel, with a row without any above and below.
    let rows = columns.height as usize + 2;
    let mut marks: [Vec<u8>; 3] = [zeroed(rows)?, zeroed(rows)?, zeroed(rows)?];
    let mut runs: [Vec<Run>; 3] = Default::default();
    let mut found = [0u64; 49];
    for x in 0..=columns.width() {
        // `next` is column x, of which the one before `at` has the place; `at` is looked at when its neighbours are known.
        let (next, at, before) = (x % 3, (x + 2) % 3, (x + 1) % 3);
        for run in &runs[next] {
            marks[next][run.top as usize + 1..=run.bottom as usize].fill(0);
        }
        border(columns, x, &mut runs[next]);
        for run in &runs[next] {
            marks[next][run.top as usize + 1..=run.bottom as usize].fill(1);
        }
        let (left, own, right) = (&marks[before], &marks[at], &marks[next]);
        for row in runs[at].iter().flat_map(|run| run.top as usize..run.bottom as usize) {
            let [left, own, right] = [left, own, right].map(|column| &column[row..row + 3]);
            let edges = left[1] + right[1] + own[0] + own[2];
            let corners = left[0] + left[2] + right[0] + right[2];
            found[usize::from(2 * edges + 10 * corners)] += 1;
        }
    }
    let count = |codes: &[usize]| codes.iter().map(|&code| found[code]).sum::<u64>() as f64;
    Ok(count(&[4, 6, 14, 16, 24, 26]) + count(&[20, 32]) * SQRT_2 + count(&[12, 22]) * (1.0 + SQRT_2) / 2.0)
}

/// The pixels of a column that have an edge in common with the outside, as runs.
fn border(columns: &Columns, x: usize, border: &mut Vec<Run>) {
    border.clear();
    let runs = |x: Option<usize>| x.map_or(&[][..], |x| &columns.runs[columns.column(x)]);
    let (mut left, mut right) = (runs(x.checked_sub(1)), runs(Some(x + 1)));
    for run in runs(Some(x)) {
        let mut at = run.top;
        while let ([a, ..], [b, ..]) = (left, right) {
            // Pixels that have neighbours on all four sides.
            let (top, bottom) = (a.top.max(b.top).max(run.top + 1), a.bottom.min(b.bottom).min(run.bottom - 1));
            if top < bottom {
                if at < top {
                    push(border, Run { top: at, bottom: top });
                }
                at = bottom;
            }
            if a.bottom.min(b.bottom) >= run.bottom {
                break;
            }
            match a.bottom < b.bottom {
                true => left = &left[1..],
                false => right = &right[1..],
            }
        }
        if at < run.bottom {
            push(border, Run { top: at, bottom: run.bottom });
        }
    }
}

/// The mean of the pixels, and how they are spread around it.
struct Moments {
    centroid: [f64; 2],
    /// Variance of x, covariance, variance of y.
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Moments {
    /// All sums are of whole numbers, and exact: sides have up to 32 bits and areas too, so that no product has more than 128.
    fn of(columns: &Columns, area: u64) -> Self {
        let n = i128::from(area);
        let (mut x1, mut y1, mut x2, mut xy, mut y2) = (0i128, 0i128, 0i128, 0i128, 0i128);
        for x in 0..columns.width() {
            let column = x as i128;
            for run in &columns.runs[columns.column(x)] {
                let (top, bottom) = (i128::from(run.top), i128::from(run.bottom));
                let count = bottom - top;
                // Of the rows from 0 up to `end`: the sum of their squares.
                let squares = |end: i128| (end - 1) * end * (2 * end - 1) / 6;
                let rows = (top + bottom - 1) * count / 2;
                x1 += column * count;
                y1 += rows;
                x2 += column * column * count;
                xy += column * rows;
                y2 += squares(bottom) - squares(top);
            }
        }
        let mean = |sum: i128| sum as f64 / n as f64;
        let square = n as f64 * n as f64;
        let central = |sum: i128, a: i128, b: i128| (n * sum - a * b) as f64 / square;
        Self {
            centroid: [mean(x1), mean(y1)],
            xx: central(x2, x1, x1),
            xy: central(xy, x1, y1),
            yy: central(y2, y1, y1),
        }
    }

    /// Along the long and the short axis.
    fn variances(&self) -> [f64; 2] {
        let mean = (self.xx + self.yy) / 2.0;
        let half = ((self.xx - self.yy) / 2.0).hypot(self.xy);
        [mean + half, (mean - half).max(0.0)]
    }

    fn orientation(&self) -> f64 {
        match self.xx == self.yy {
            true if self.xy > 0.0 => FRAC_PI_4,
            true => -FRAC_PI_4,
            false => 0.5 * (2.0 * self.xy).atan2(self.yy - self.xx),
        }
    }
}

/// How many pixels have their middle in the convex hull of the mask, its border included. The hull is that of the middles of the
/// pixels' edges. All coordinates are doubled, so that they are whole.
fn hull_area(columns: &Columns) -> u64 {
    let (mut lowest, mut highest) = (Chain::default(), Chain::default());
    let ends = |x: usize| {
        let runs = &columns.runs[columns.column(x)];
        Some((2 * i64::from(runs.first()?.top), 2 * i64::from(runs.last()?.bottom) - 2))
    };
    let (Some(first), Some(last)) =
        ((0..columns.width()).find(|&x| ends(x).is_some()), (0..columns.width()).rfind(|&x| ends(x).is_some()))
    else {
        return 0;
    };
    for x in first..=last {
        let Some((top, bottom)) = ends(x) else { continue };
        let middle = 2 * x as i64;
        for (x, reach) in [(middle - 1, 0), (middle, 1), (middle + 1, 0)] {
            lowest.add([x, -(top - reach)]);
            highest.add([x, bottom + reach]);
        }
    }
    let column = |x: usize| {
        let middle = 2 * x as i64;
        // Rows from the first whose doubled number is not above the hull, to the last.
        let (top, bottom) = (-lowest.floor_half(middle), highest.floor_half(middle));
        (bottom - top + 1).max(0) as u64
    };
    (first..=last).map(column).sum()
}

/// The upper hull of points that come from left to right; of two above each other the upper counts.
#[derive(Default)]
struct Chain(Vec<[i64; 2]>);

impl Chain {
    fn add(&mut self, point: [i64; 2]) {
        if let Some(last) = self.0.last_mut()
            && last[0] == point[0]
        {
            if last[1] >= point[1] {
                return;
            }
            self.0.pop();
        }
        while let [.., before, last] = self.0[..] {
            let turn = i128::from(last[0] - before[0]) * i128::from(point[1] - before[1])
                - i128::from(last[1] - before[1]) * i128::from(point[0] - before[0]);
            if turn < 0 {
                break;
            }
            self.0.pop();
        }
        self.0.push(point);
    }

    /// Half the height of the hull above `x`, rounded down.
    fn floor_half(&self, x: i64) -> i64 {
        let right = self.0.partition_point(|point| point[0] < x);
        let [u, v] = self.0[right];
        if u == x {
            return v.div_euclid(2);
        }
        let [left, height] = self.0[right - 1];
        let (rise, run) = (i128::from(v - height) * i128::from(x - left), i128::from(u - left));
        (i128::from(height) * run + rise).div_euclid(2 * run) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::Mask;

    fn shape<const N: usize>(rows: &[[u8; N]]) -> Shape {
        Rle::from_mask(&Mask::from_rows(rows)).shape().unwrap().unwrap()
    }

    #[test]
    fn lines_and_points_have_shapes() {
        let point = shape(&[[0, 0], [0, 1]]);
        assert_eq!((point.area_convex, point.centroid, point.perimeter), (1, [1.0, 1.0], 0.0));
        assert_eq!((point.axis_major_length, point.eccentricity, point.orientation), (0.0, 0.0, -FRAC_PI_4));
        let line = shape(&[[1, 1, 1, 1]]);
        assert_eq!((line.area_convex, line.axis_minor_length, line.eccentricity), (4, 0.0, 1.0));
        assert_eq!(line.orientation.abs(), PI / 2.0);
        assert!(Rle { height: 2, width: 2, counts: vec![4] }.shape().unwrap().is_none());
    }

    #[test]
    fn the_border_is_that_of_the_pixels() {
        // Of each pixel: whether one of its four neighbours is missing.
        let rows = [[0, 1, 1, 1, 0, 1], [1, 1, 1, 1, 1, 1], [1, 1, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]];
        let columns = Columns::of(&Rle::from_mask(&Mask::from_rows(&rows)));
        let inside = |x: i32, y: i32| (0..6).contains(&x) && (0..5).contains(&y) && rows[y as usize][x as usize] == 1;
        for x in 0..6 {
            let mut found = Vec::new();
            border(&columns, x as usize, &mut found);
            let is_border = |y: &i32| {
                inside(x, *y) && [(x - 1, *y), (x + 1, *y), (x, y - 1), (x, y + 1)].iter().any(|&(x, y)| !inside(x, y))
            };
            let expected: Vec<i32> = (0..5).filter(is_border).collect();
            let found: Vec<i32> = found.iter().flat_map(|run| run.top as i32..run.bottom as i32).collect();
            assert_eq!(found, expected, "{x}");
        }
    }

    #[test]
    fn the_largest_mask_takes_no_memory() {
        let whole = Rle::from_counts(65_535, 65_535, vec![0, 65_535 * 65_535]).unwrap().shape().unwrap().unwrap();
        assert_eq!((whole.perimeter, whole.solidity(), whole.eccentricity), (4.0 * 65_534.0, 1.0, 0.0));
        let line = Rle::from_counts(1, 1_000_000, vec![0, 1_000_000]).unwrap().shape().unwrap().unwrap();
        assert_eq!((line.axis_minor_length, line.centroid), (0.0, [499_999.5, 0.0]));
    }

    #[test]
    fn the_hull_has_what_lies_between() {
        // A cross, a corner, two far points.
        assert_eq!(shape(&[[0, 1, 0], [1, 1, 1], [0, 1, 0]]).area_convex, 5);
        assert_eq!(shape(&[[1, 0, 0], [1, 0, 0], [1, 1, 1]]).area_convex, 6);
        assert_eq!(shape(&[[1, 0, 0, 0, 1]]).area_convex, 5);
        assert_eq!(shape(&[[1, 0, 1], [0, 0, 0], [1, 0, 1]]).area_convex, 9);
    }
}
