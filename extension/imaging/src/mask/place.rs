//! Masks of parts of a picture, in the frame of the whole.

use super::rle::{Rle, RleError, pixels};
use super::writer::RunWriter;

impl Rle {
    /// The mask of a part of a picture as a mask of the whole, which has `height` x `width` pixels. `x` and `y` are where
    /// the part's upper left corner lies in it. What lies outside is cut off. Runs are moved, nothing is decoded.
    ///
    /// ```
    /// use sam_imaging::Rle;
    ///
    /// // Two pixels, one above the other, in the middle of a picture of 4 x 4.
    /// let part = Rle::from_counts(2, 1, vec![0, 2])?;
    /// assert_eq!(part.place([1, 1], 4, 4)?, Rle::from_counts(4, 4, vec![5, 2, 9])?);
    /// # Ok::<(), sam_imaging::RleError>(())
    /// ```
    ///
    /// # Errors
    /// [`RleError::TooLarge`] for the size of the whole.
    pub fn place(&self, [x, y]: [i64; 2], height: u32, width: u32) -> Result<Rle, RleError> {
        let total = pixels(height, width)?;
        let (ours, whole) = (i128::from(self.height), i128::from(height));
        let (x, y) = (i128::from(x), i128::from(y));
        let mut writer = RunWriter::default();
        if total > 0 {
            for (start, end) in self.foreground() {
                let (mut start, end) = (i128::from(start), i128::from(end));
                // The columns of this run that the whole has.
                start = start.max(ours * -x);
                let end = end.min(ours * (i128::from(width) - x));
                while start < end {
                    let (column, top) = (start / ours, start % ours);
                    let bottom = ours.min(top + (end - start));
                    let [from, to] = [top + y, bottom + y].map(|row| row.clamp(0, whole));
                    if from < to {
                        let offset = (column + x) * whole;
                        writer.push((offset + from) as u64, (offset + to) as u64);
                    }
                    start += bottom - top;
                }
            }
        }
        Ok(writer.finish(height, width, total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::Mask;

    /// The same by looking at each pixel.
    fn expected(part: &Mask, [x, y]: [i64; 2], height: u32, width: u32) -> Rle {
        let pixel = |column: u32, row: u32| {
            let [column, row] = [i64::from(column) - x, i64::from(row) - y].map(u32::try_from);
            let inside = |column: u32, row: u32| column < part.width() && row < part.height() && part.get(column, row);
            u8::from(matches!((column, row), (Ok(column), Ok(row)) if inside(column, row)))
        };
        let rows: Vec<Vec<u8>> = (0..height).map(|row| (0..width).map(|column| pixel(column, row)).collect()).collect();
        if rows.is_empty() || width == 0 {
            return Rle { height, width, counts: vec![0] };
        }
        Rle::from_mask(&Mask::from_rows(&rows))
    }

    #[test]
    fn is_where_it_was_cut_out() {
        let part = Mask::from_rows(&[[1, 0, 1, 1], [1, 1, 0, 1], [1, 0, 0, 1]]);
        let full = Mask::from_rows(&[[1, 1], [1, 1]]);
        for part in [part, full] {
            let rle = Rle::from_mask(&part);
            for x in -5..6 {
                for y in -5..6 {
                    for (height, width) in [(3, 4), (5, 7), (2, 2), (1, 9), (9, 1), (0, 3)] {
                        let placed = rle.place([x, y], height, width).unwrap();
                        assert_eq!(placed, expected(&part, [x, y], height, width), "{x} {y} {height} {width}");
                    }
                }
            }
        }
    }

    #[test]
    fn any_place_and_size_is_safe() {
        let rle = Rle::from_counts(2, 2, vec![0, 4]).unwrap();
        for far in [i64::MIN, i64::MAX] {
            assert_eq!(rle.place([far, far], 3, 3).unwrap(), Rle { height: 3, width: 3, counts: vec![9] });
        }
        assert!(rle.place([0, 0], u32::MAX, 2).is_err());
        let empty = Rle { height: 0, width: 3, counts: vec![0] };
        assert_eq!(empty.place([0, 0], 2, 2).unwrap().area(), 0);
    }
}
