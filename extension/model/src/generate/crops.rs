//! Where to look: point grids, and crops of the picture in which it is looked at again, larger.

use sam_imaging::{RgbImage, Rle};

/// A rectangle of the picture, in pixels: left, top, and behind the last column and row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crop {
    pub(super) x0: usize,
    pub(super) y0: usize,
    pub(super) x1: usize,
    pub(super) y1: usize,
    /// 0 for the whole picture; each layer has four times as many crops as the one before.
    pub(super) layer: usize,
}

impl Crop {
    pub(super) fn width(&self) -> usize {
        self.x1 - self.x0
    }

    pub(super) fn height(&self) -> usize {
        self.y1 - self.y0
    }

    /// The pixels.
    pub(super) fn cut(&self, image: &RgbImage) -> RgbImage {
        RgbImage::from_fn(self.width() as u32, self.height() as u32, |x, y| {
            *image.get_pixel(x + self.x0 as u32, y + self.y0 as u32)
        })
    }

    /// A mask of the crop as one of the whole picture, `width` x `height` pixels.
    pub(super) fn uncrop(&self, mask: &Rle, width: usize, height: usize) -> Rle {
        let (own_height, mut counts, mut end, mut position) = (self.height(), Vec::new(), 0, 0);
        for (index, &count) in mask.counts.iter().enumerate() {
            let (mut start, stop) = (position, position + count as usize);
            position = stop;
            // Runs of the mask go down its columns; each column is a piece of one of the picture's.
            while index % 2 == 1 && start < stop {
                let (column, row) = (start / own_height, start % own_height);
                let length = (own_height - row).min(stop - start);
                let at = (self.x0 + column) * height + self.y0 + row;
                match counts.last_mut() {
                    Some(last) if at == end => *last += length as u32,
                    _ => counts.extend([(at - end) as u32, length as u32]),
                }
                (end, start) = (at + length, start + length);
            }
        }
        if end < width * height || counts.is_empty() {
            counts.push((width * height - end) as u32);
        }
        Rle { height: height as u32, width: width as u32, counts }
    }
}

/// The whole picture, then, layer by layer, crops that overlap by `overlap` of the short side, as SAM's
/// `generate_crop_boxes` cuts them.
pub(super) fn crops(width: usize, height: usize, layers: usize, overlap: f64) -> Vec<Crop> {
    let mut crops = vec![Crop { x0: 0, y0: 0, x1: width, y1: height, layer: 0 }];
    for layer in 1..=layers {
        let side = 1 << layer;
        let overlap = (overlap * width.min(height) as f64 * (2.0 / side as f64)) as usize;
        let length = |whole: usize| (overlap * (side - 1) + whole).div_ceil(side);
        let (crop_width, crop_height) = (length(width), length(height));
        let start = |index: usize, length: usize| (length - overlap.min(length)) * index;
        for (i, j) in (0..side * side).map(|index| (index / side, index % side)) {
            let (x0, y0) = (start(i, crop_width).min(width - 1), start(j, crop_height).min(height - 1));
            crops.push(Crop { x0, y0, x1: (x0 + crop_width).min(width), y1: (y0 + crop_height).min(height), layer });
        }
    }
    crops
}

/// Centres of the cells of a square grid, as fractions of width and height, line by line.
pub(super) fn points(side: usize) -> impl ExactSizeIterator<Item = [f32; 2]> {
    let centre = move |index: usize| ((2 * index + 1) as f64 / (2 * side) as f64) as f32;
    (0..side * side).map(move |index| [centre(index % side), centre(index / side)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_imaging::Mask;

    #[test]
    fn crops_are_those_of_the_reference() {
        // From segment_anything.utils.amg.generate_crop_boxes((800, 1200), 2, 512 / 1500), a few of the 21.
        let crops = crops(1200, 800, 2, 512.0 / 1500.0);
        let corners: Vec<_> = crops.iter().map(|crop| [crop.x0, crop.y0, crop.x1, crop.y1]).collect();
        assert_eq!(corners.len(), 21);
        assert_eq!(corners[0], [0, 0, 1200, 800]);
        assert_eq!(corners[1..5], [[0, 0, 737, 537], [0, 264, 737, 800], [464, 0, 1200, 537], [464, 264, 1200, 800]]);
        assert_eq!(corners[5], [0, 0, 402, 302]);
        assert_eq!(corners[20], [798, 498, 1200, 800]);
        assert!(crops[5..].iter().all(|crop| crop.layer == 2));
    }

    #[test]
    fn tiny_pictures_have_crops_too() {
        for (width, height) in [(1, 1), (1, 50), (3, 2)] {
            for crop in crops(width, height, 3, 0.4) {
                assert!(crop.x0 < crop.x1 && crop.x1 <= width && crop.y0 < crop.y1 && crop.y1 <= height, "{crop:?}");
            }
        }
    }

    #[test]
    fn points_are_cell_centres() {
        assert_eq!(points(1).collect::<Vec<_>>(), [[0.5, 0.5]]);
        assert_eq!(points(2).collect::<Vec<_>>(), [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]);
        assert_eq!(points(0).len(), 0);
    }

    #[test]
    fn masks_of_crops_are_put_where_they_belong() {
        let crop = Crop { x0: 2, y0: 1, x1: 5, y1: 4, layer: 1 };
        for rows in [["###", "###", "###"], ["...", "...", "..."], ["#..", "..#", "##."], [".#.", ".#.", ".#."]] {
            let bytes: Vec<Vec<u8>> =
                rows.iter().map(|row| row.bytes().map(|b| u8::from(b == b'#')).collect()).collect();
            let small = Mask::from_rows(&bytes);
            let large = crop.uncrop(&Rle::from_mask(&small), 7, 4).to_mask();
            for (x, y) in (0..28).map(|index| (index % 7, index / 7)) {
                let inside = (2..5).contains(&x) && (1..4).contains(&y);
                assert_eq!(large.get(x, y), inside && small.get(x.wrapping_sub(2), y.wrapping_sub(1)), "{x} {y}");
            }
            assert_eq!(Rle::from_mask(&large), crop.uncrop(&Rle::from_mask(&small), 7, 4), "canonical run lengths");
        }
    }
}
