//! Affine transforms: from pixels to places.

/// Largest number of a transform: what it makes of any pixel is a finite number.
const LARGEST: f64 = 1e100;

/// `[a, b, c, d, e, f]`: a corner of pixels `x`, `y` lies at `a x + b y + c`, `d x + e y + f`. The order is that of rasterio;
/// GDAL's own is c, a, b, f, d, e.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transform([f64; 6]);

/// Why six numbers are no transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// NaN, infinity, or what would become one.
    #[error("it has a number that is not finite")]
    Number,
    /// All places lie on one line.
    #[error("it brings all pixels onto one line (a e = b d)")]
    Flat,
}

impl Transform {
    /// A transform that can be inverted.
    ///
    /// ```
    /// use sam_imaging::{Transform, TransformError};
    ///
    /// let north_up = Transform::new([0.5, 0.0, 300_000.0, 0.0, -0.5, 5_000_000.0])?;
    /// assert_eq!(north_up.place([10.0, 20.0]), [300_005.0, 4_999_990.0]);
    /// assert_eq!(Transform::new([1.0, 2.0, 0.0, 2.0, 4.0, 0.0]), Err(TransformError::Flat));
    /// # Ok::<(), TransformError>(())
    /// ```
    ///
    /// # Errors
    /// A number that is not finite (or above 1e100), and a transform onto a line.
    pub fn new(numbers: [f64; 6]) -> Result<Self, TransformError> {
        let [a, b, _, d, e, _] = numbers;
        if !numbers.iter().all(|number| number.abs() <= LARGEST) {
            return Err(TransformError::Number);
        }
        if a * e == b * d {
            return Err(TransformError::Flat);
        }
        Ok(Self(numbers))
    }

    /// `[a, b, c, d, e, f]`
    pub fn numbers(&self) -> [f64; 6] {
        self.0
    }

    /// Where a point of the picture lies.
    pub fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [a, b, c, d, e, f] = self.0;
        // 0 and not -0.
        [a * x + b * y + c, d * x + e * y + f].map(|value| value + 0.0)
    }

    /// Whether numbers tell the corners of each pixel of a picture of `size`, width and height, apart.
    ///
    /// ```
    /// use sam_imaging::Transform;
    ///
    /// let fine = Transform::new([1e-7, 0.0, 16.4, 0.0, -1e-7, 48.2])?;
    /// let too_fine = Transform::new([1e-20, 0.0, 16.4, 0.0, -1e-20, 48.2])?;
    /// assert!(fine.tells_apart([1000, 1000]) && !too_fine.tells_apart([1000, 1000]));
    /// # Ok::<(), sam_imaging::TransformError>(())
    /// ```
    pub fn tells_apart(&self, size: [u32; 2]) -> bool {
        let [width, height] = size.map(|side| f64::from(side.saturating_sub(1)));
        // Numbers are the coarsest where they are the largest: at one of the corners.
        [[0.0, 0.0], [width, 0.0], [0.0, height], [width, height]].into_iter().all(|[x, y]| {
            let (at, right, below) = (self.place([x, y]), self.place([x + 1.0, y]), self.place([x, y + 1.0]));
            let [[a, d], [b, e]] = [right, below].map(|end| [end[0] - at[0], end[1] - at[1]]);
            if self.mirrors() { a * e < b * d } else { a * e > b * d }
        })
    }

    /// Whether it turns left into right, as those do whose y points up.
    pub(crate) fn mirrors(&self) -> bool {
        let [a, b, _, d, e, _] = self.0;
        a * e < b * d
    }

    /// The transform of what is displayed of a picture that is stored in `size` (width and height) with an orientation.
    pub(crate) fn of_upright(&self, size: [u32; 2], orientation: u8) -> Self {
        let [a, b, _, d, e, _] = self.0;
        let [width, height] = size.map(f64::from);
        // The stored place of the upright corner, and which way x and y then go.
        let (corner, x, y) = match orientation {
            2 => ([width, 0.0], [-a, -d], [b, e]),
            3 => ([width, height], [-a, -d], [-b, -e]),
            4 => ([0.0, height], [a, d], [-b, -e]),
            5 => ([0.0, 0.0], [b, e], [a, d]),
            6 => ([0.0, height], [-b, -e], [a, d]),
            7 => ([width, height], [-b, -e], [-a, -d]),
            8 => ([width, 0.0], [b, e], [-a, -d]),
            _ => return *self,
        };
        let [c, f] = self.place(corner);
        Self([x[0], y[0], c, x[1], y[1], f].map(|value| value + 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orient;
    use image::{GrayImage, Luma};

    #[test]
    fn numbers_that_are_no_transform() {
        assert_eq!(Transform::new([1.0, 0.0, f64::NAN, 0.0, 1.0, 0.0]), Err(TransformError::Number));
        assert_eq!(Transform::new([1.0, 0.0, 1e101, 0.0, 1.0, 0.0]), Err(TransformError::Number));
        assert_eq!(Transform::new([0.0; 6]), Err(TransformError::Flat));
    }

    #[test]
    fn an_upright_pixel_lies_where_the_stored_one_does() {
        let transform = Transform::new([2.0, 0.5, 100.0, -0.25, -3.0, 50.0]).unwrap();
        let size = [5, 3];
        let marked = [3, 0];
        for orientation in 1..=8 {
            let mut picture = GrayImage::new(size[0], size[1]);
            picture.put_pixel(marked[0], marked[1], Luma([255]));
            let upright = orient::upright(picture, orientation).unwrap();
            let (x, y, _) = upright.enumerate_pixels().find(|(_, _, pixel)| pixel.0[0] == 255).unwrap();
            let centre = |[x, y]: [u32; 2]| [f64::from(x) + 0.5, f64::from(y) + 0.5];
            let placed = transform.of_upright(size, orientation).place(centre([x, y]));
            assert_eq!(placed, transform.place(centre(marked)), "orientation {orientation}");
        }
    }
}
