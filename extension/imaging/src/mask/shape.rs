//! The shape of a mask in numbers, as scikit-image's `regionprops` defines them.

use std::f64::consts::{FRAC_PI_4, PI, SQRT_2};

use super::columns::Columns;
use super::rle::Rle;
use crate::memory::{NoMemory, zeroed};

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
    /// The angle of its long axis to the vertical, in radians from -pi / 2 to pi / 2, counter-clockwise.
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
    /// The shape; `None` for a mask without pixels. All but the perimeter comes from the runs.
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
    /// There is no memory for the box around it.
    pub fn shape(&self) -> Result<Option<Shape>, NoMemory> {
        let area = self.area();
        if area == 0 {
            return Ok(None);
        }
        let columns = Columns::of(self);
        let moments = Moments::of(&columns, area as f64);
        let [major, minor] = moments.variances();
        let [_, _, width, height] = self.bbox();
        Ok(Some(Shape {
            area,
            area_convex: hull_area(&columns),
            centroid: moments.centroid,
            axis_major_length: 4.0 * major.sqrt(),
            axis_minor_length: 4.0 * minor.sqrt(),
            eccentricity: if major == 0.0 { 0.0 } else { (1.0 - minor / major).sqrt() },
            orientation: moments.orientation(),
            perimeter: self.perimeter()?,
            extent: area as f64 / (f64::from(width) * f64::from(height)),
        }))
    }

    /// The length of the border. A pixel of the border has an edge in common with the outside. How much it adds depends on
    /// which of its neighbours are of the border too (Benkrid and Crookes 2000).
    fn perimeter(&self) -> Result<f64, NoMemory> {
        let [x, y, width, height] = self.bbox().map(|side| side as u32);
        // With a pixel of background on each side, so that every pixel has neighbours.
        let (rows, stride) = (height as usize + 2, width as usize + 2);
        let count = rows.checked_mul(stride).ok_or(NoMemory { bytes: usize::MAX })?;
        let (mut inside, mut border) = (zeroed::<u8>(count)?, zeroed::<u8>(count)?);
        for (start, end) in self.foreground() {
            for at in start..end {
                let (column, row) = (at / u64::from(self.height), at % u64::from(self.height));
                inside[(row as usize + 1 - y as usize) * stride + column as usize + 1 - x as usize] = 1;
            }
        }
        for row in 1..rows - 1 {
            for at in row * stride + 1..(row + 1) * stride - 1 {
                let around = inside[at - 1] & inside[at + 1] & inside[at - stride] & inside[at + stride];
                border[at] = inside[at] & !around;
            }
        }
        let mut found = [0u64; 49];
        for row in 1..rows - 1 {
            for at in (row * stride + 1..(row + 1) * stride - 1).filter(|&at| border[at] == 1) {
                let edges = border[at - 1] + border[at + 1] + border[at - stride] + border[at + stride];
                let corners = border[at - stride - 1]
                    + border[at - stride + 1]
                    + border[at + stride - 1]
                    + border[at + stride + 1];
                found[usize::from(2 * edges + 10 * corners)] += 1;
            }
        }
        let count = |codes: &[usize]| codes.iter().map(|&code| found[code]).sum::<u64>() as f64;
        Ok(count(&[4, 6, 14, 16, 24, 26]) + count(&[20, 32]) * SQRT_2 + count(&[12, 22]) * (1.0 + SQRT_2) / 2.0)
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
    fn of(columns: &Columns, area: f64) -> Self {
        let runs =
            || (0..columns.width()).flat_map(|x| columns.runs[columns.column(x)].iter().map(move |run| (x, run)));
        // Whole numbers, so that the mean is exact: of a column twice the sum of its rows.
        let (mut across, mut down) = (0u128, 0u128);
        for (x, run) in runs() {
            let count = u128::from(run.area());
            across += count * x as u128;
            down += count * (u128::from(run.top) + u128::from(run.bottom) - 1);
        }
        let centroid = [across as f64 / area, down as f64 / 2.0 / area];
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, run) in runs() {
            let count = run.area() as f64;
            let right = x as f64 - centroid[0];
            let below = (f64::from(run.top) + f64::from(run.bottom) - 1.0) / 2.0 - centroid[1];
            xx += count * right * right;
            xy += count * right * below;
            yy += count * below * below + count * (count * count - 1.0) / 12.0;
        }
        Self { centroid, xx: xx / area, xy: xy / area, yy: yy / area }
    }

    /// Along the long and the short axis.
    fn variances(&self) -> [f64; 2] {
        let mean = (self.xx + self.yy) / 2.0;
        let half = ((self.xx - self.yy) / 2.0).hypot(self.xy);
        [mean + half, (mean - half).max(0.0)]
    }

    fn orientation(&self) -> f64 {
        match self.xx == self.yy {
            true if self.xy > 0.0 => -FRAC_PI_4,
            true => FRAC_PI_4,
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
        assert_eq!((point.axis_major_length, point.eccentricity, point.orientation), (0.0, 0.0, FRAC_PI_4));
        let line = shape(&[[1, 1, 1, 1]]);
        assert_eq!((line.area_convex, line.axis_minor_length, line.eccentricity), (4, 0.0, 1.0));
        assert_eq!(line.orientation.abs(), PI / 2.0);
        assert!(Rle { height: 2, width: 2, counts: vec![4] }.shape().unwrap().is_none());
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
