//! An embedding as one short list of numbers: the mean of its features over a picture or a region of it.

use super::header::{Header, refused};
use super::intact;
use crate::error::Result;
use sam_imaging::Rle;

/// The mean feature vector of an embedding over the pixels of `mask`, or over the whole picture: one number for each
/// channel of the embedding's first map. `None` for a mask without pixels. Whichever model the embedding is of.
///
/// Every cell of the map counts by the area of it that the pixels cover, so that the padding beside the picture never
/// does.
///
/// # Errors
/// Damaged bytes, bytes that are no embedding, values that are not finite, and a mask of another size than the picture.
pub fn embedding_vector(bytes: &[u8], mask: Option<&Rle>) -> Result<Option<Vec<f32>>> {
    let header = Header::parse(bytes)?;
    intact(bytes)?;
    let (width, height) = header.original;
    if let Some(mask) = mask.filter(|mask| (mask.width as usize, mask.height as usize) != (width, height)) {
        return Err(refused(format!(
            "the mask is {} x {} pixels (width x height), and the picture of the embedding is {width} x {height}; give a \
             mask of this picture",
            mask.width, mask.height
        )));
    }
    let Some(&([channels, rows, columns], values)) = header.maps.first() else {
        return Err(refused("the embedding is damaged: it holds no map of features"));
    };
    if [width, height, header.input.0, header.input.1].contains(&0) {
        return Err(refused("the embedding is damaged: its picture has no pixels"));
    }
    let side = header.input.0.max(header.input.1) as f64;
    let scale = [
        header.input.0 as f64 / width as f64 * columns as f64 / side,
        header.input.1 as f64 / height as f64 * rows as f64 / side,
    ];
    let weights = match mask {
        Some(mask) => of_mask(mask, scale, [columns, rows]),
        None => of_box([width as f64 * scale[0], height as f64 * scale[1]], [columns, rows]),
    };
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return Ok(None);
    }
    let (values, mut sums) = (header.kind.read(values), vec![0.0; channels]);
    for (cell, weight) in values.chunks_exact(channels.max(1)).zip(&weights).filter(|(_, weight)| **weight > 0.0) {
        for (sum, value) in sums.iter_mut().zip(cell) {
            *sum += weight * f64::from(*value);
        }
    }
    match sums.iter().all(|sum| sum.is_finite()) {
        true => Ok(Some(sums.iter().map(|sum| (sum / total) as f32).collect())),
        false => Err(refused("the embedding is damaged: it holds values that are not finite")),
    }
}

/// How much of each cell of the map, (rows, columns), a picture covers that is `size` cells wide and high.
fn of_box(size: [f64; 2], [columns, rows]: [usize; 2]) -> Vec<f64> {
    let mut weights = vec![0.0; rows * columns];
    overlaps(0.0, size[1], rows, |row, height| {
        overlaps(0.0, size[0], columns, |column, width| weights[row * columns + column] = width * height);
    });
    weights
}

/// How much of each cell of the map, (rows, columns), the mask covers; `scale` is what a pixel is wide and high in cells.
fn of_mask(mask: &Rle, scale: [f64; 2], [columns, rows]: [usize; 2]) -> Vec<f64> {
    let mut weights = vec![0.0; rows * columns];
    let height = mask.height as usize;
    let mut column = vec![0.0; rows];
    let (mut position, mut at) = (0, 0);
    let mut flush = |x: usize, column: &mut Vec<f64>| {
        overlaps(x as f64 * scale[0], (x + 1) as f64 * scale[0], columns, |cell, width| {
            for (row, length) in column.iter().enumerate() {
                weights[row * columns + cell] += width * length;
            }
        });
        column.fill(0.0);
    };
    for (index, &count) in mask.counts.iter().enumerate() {
        let end = position + count as usize;
        // Runs go down the columns, and on from one to the next.
        while index % 2 == 1 && position < end {
            let (x, y) = (position / height, position % height);
            if x != at {
                flush(at, &mut column);
                at = x;
            }
            let length = (height - y).min(end - position);
            let bounds = [y as f64 * scale[1], (y + length) as f64 * scale[1]];
            overlaps(bounds[0], bounds[1], rows, |row, length| column[row] += length);
            position += length;
        }
        position = end;
    }
    flush(at, &mut column);
    weights
}

/// The lengths of the cells 0..`cells` that lie between `start` and `end`.
fn overlaps(start: f64, end: f64, cells: usize, mut each: impl FnMut(usize, f64)) {
    let first = (start.floor() as usize).min(cells);
    let last = (end.ceil() as usize).min(cells);
    for cell in first..last {
        let length = end.min((cell + 1) as f64) - start.max(cell as f64);
        if length > 0.0 {
            each(cell, length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float_type::FloatType;
    use crate::model::Model;
    use crate::precision::Precision;
    use crate::threads::Threads;
    use sam_imaging::{Mask, RgbImage};

    fn weights_of(width: u32, height: u32, is_in: impl Fn(u32, u32) -> bool, cells: [usize; 2]) -> Vec<f64> {
        let values: Vec<u8> = (0..width * height).map(|at| u8::from(is_in(at % width, at / width))).collect();
        let mask = Rle::from_mask(&Mask::from_values(width, height, &values, |value| value != 0));
        of_mask(&mask, [cells[0] as f64 / f64::from(width), cells[1] as f64 / f64::from(height)], cells)
    }

    #[test]
    fn cells_count_by_the_area_that_is_covered() {
        assert_eq!(weights_of(4, 4, |_, _| true, [2, 2]), [1.0; 4]);
        assert_eq!(weights_of(4, 2, |x, _| x == 0, [2, 2]), [0.5, 0.0, 0.5, 0.0]);
        assert_eq!(weights_of(4, 4, |x, y| x == 3 && y >= 2, [2, 2]), [0.0, 0.0, 0.0, 0.5]);
        // A pixel that lies in two cells, and one that covers several.
        let middle = weights_of(3, 1, |x, _| x == 1, [2, 1]);
        assert!(middle.iter().all(|weight| (weight - 1.0 / 3.0).abs() < 1e-12), "{middle:?}");
        assert_eq!(weights_of(1, 1, |_, _| true, [3, 2]), [1.0; 6]);
        assert_eq!(weights_of(3, 3, |_, _| false, [2, 2]), [0.0; 4]);
    }

    #[test]
    fn a_vector_is_the_mean_of_the_values() {
        let model = Model::nano(Precision::F32).unwrap();
        let image = RgbImage::from_fn(90, 60, |x, y| sam_imaging::Rgb([(x * 2) as u8, (y * 4) as u8, 90]));
        let embedding = model.embed(&image, Threads::ONE).unwrap();
        let bytes = embedding.to_bytes(&model, FloatType::F32).unwrap();
        let [channels, rows, columns] = model.info().embedding_shape;
        let whole = embedding_vector(&bytes, None).unwrap().unwrap();
        // The picture takes 512 x 341 of 512 x 512 pixels.
        let part = 341.0 / 512.0 * rows as f64;
        let mean = |channel: usize| {
            let cell = |row: usize| (part - row as f64).clamp(0.0, 1.0);
            let sum: f64 = (0..rows * columns)
                .map(|at| cell(at / columns) * f64::from(embedding.values()[at * channels + channel]))
                .sum();
            sum / (part * columns as f64)
        };
        assert_eq!(whole.len(), channels);
        for (channel, value) in whole.iter().enumerate() {
            assert!((f64::from(*value) - mean(channel)).abs() < 1e-5, "{channel}: {value} {}", mean(channel));
        }
        let one = |counts: Vec<u32>| embedding_vector(&bytes, Some(&Rle { height: 60, width: 90, counts }));
        let all = one(vec![0, 5400]).unwrap().unwrap();
        assert!(all.iter().zip(&whole).all(|(one, other)| (one - other).abs() < 1e-5));
        assert_eq!(one(vec![5400]).unwrap(), None);
        // The first pixel lies in the first cell.
        let first = one(vec![0, 1, 5399]).unwrap().unwrap();
        assert!(first.iter().zip(embedding.values()).all(|(one, other)| (one - other).abs() < 1e-6));
        let other = Rle { height: 90, width: 60, counts: vec![5400] };
        let text = embedding_vector(&bytes, Some(&other)).unwrap_err().to_string();
        assert!(text.contains("the mask is 60 x 90 pixels"), "{text}");
        let text = embedding_vector(b"\xff\xd8\xff\xe0", None).unwrap_err().to_string();
        assert!(text.contains("no embedding"), "{text}");
        let mut damaged = bytes.clone();
        damaged[200] ^= 1;
        assert!(embedding_vector(&damaged, None).unwrap_err().to_string().contains("checksum"));
    }
}
