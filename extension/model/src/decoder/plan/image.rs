//! The image's side of the decoder: passes over its rows, in each of which they attend to the tokens, and the tokens of
//! the next attention to them.
//!
//! Only what the tokens ask for is computed of the image's projections, see `sam_kernels::softmax_tokens`. A pass is
//! cut into segments of rows. The tokens' attention to a segment is a sum of its rows for each column, a column being a
//! head of a token; the segments are put together in their order, so that the bits depend on no thread.

use sam_kernels::{
    Act, AlignedVec, Epilogue, Isa, LayerNorm, Mat, MatMut, Out, Packed, Residual, Rows, add, gemm, softmax_rows,
    softmax_tokens, weighted_sums,
};

use crate::pool::Pool;
use crate::threads::Threads;

/// Most rows of a segment: with all that is computed of them they stay in the second-level cache.
const SEGMENT_ROWS: usize = 128;

/// What tokens ask of the image: the inner product of an image row, with its position, and a column is the column's
/// score, in units of ln 2.
pub(super) struct Queries {
    /// (tokens * heads, width)
    pub(super) columns: Packed<f32>,
}

/// How tokens change the image: their keys, as columns that an image row is multiplied by, and what each column adds.
pub(super) struct Update<'a> {
    /// (tokens * heads, width)
    pub(super) keys: Packed<f32>,
    /// (width, tokens * heads)
    pub(super) values: Packed<f32>,
    pub(super) norm: &'a LayerNorm,
}

/// The image of one prompt, and room for the passes over it.
pub(super) struct Image {
    /// (rows, width)
    pub(super) values: AlignedVec<f32>,
    /// For each segment the columns' sums of rows, then their maxima, then the sums of their weights.
    partial: Vec<f32>,
}

/// Small buffers for the rows that a thread is working on.
#[derive(Default)]
pub(super) struct Segment {
    positioned: Vec<f32>,
    scores: Vec<f32>,
}

/// What all passes share.
pub(super) struct Passes<'a> {
    pub(super) isa: Isa,
    pub(super) heads: usize,
    pub(super) width: usize,
    /// Side of the image, in rows.
    pub(super) grid: usize,
    /// (rows, width)
    pub(super) positions: &'a [f32],
    pub(super) segments: &'a Pool<Segment>,
    pub(super) threads: Threads,
}

impl Image {
    pub(super) fn new(values: usize) -> Self {
        Self { values: AlignedVec::zeroed(values), partial: Vec::new() }
    }
}

impl Passes<'_> {
    /// Changes each row of the image by `prepare`, which gets the index of the first value and the values of some
    /// rows; then by `update`. Returns the mean of the rows that each column of `queries` attends to:
    /// (tokens * heads, width).
    pub(super) fn run(
        &self,
        image: &mut Image,
        prepare: impl Fn(usize, &mut [f32]) + Sync,
        update: Option<&Update<'_>>,
        queries: &Queries,
    ) -> Vec<f32> {
        let (width, columns) = (self.width, queries.columns.n());
        let length = segment_rows(self.grid) * width;
        let partial_length = columns * (width + 2);
        let segments = image.values.len() / length;
        if image.partial.len() < segments * partial_length {
            image.partial.resize(segments * partial_length, 0.0);
        }
        let Image { values, partial } = image;
        let partial = &mut partial[..segments * partial_length];
        self.threads.both_rows(values, length, partial, partial_length, 1, |range, values, partial| {
            self.segments.with(Segment::default, |segment| {
                let pieces = values.chunks_exact_mut(length).zip(partial.chunks_exact_mut(partial_length));
                for (index, (rows, partial)) in range.zip(pieces) {
                    let start = index * length;
                    let positions = &self.positions[start..start + length];
                    segment.make_room(length, length / width * columns.next_multiple_of(16));
                    prepare(start, rows);
                    if let Some(update) = update {
                        self.update(update, rows, positions, segment);
                    }
                    self.attend(queries, rows, positions, segment, partial);
                }
            });
        });
        merge(partial, columns, width)
    }

    /// Image rows attend to the tokens.
    fn update(&self, update: &Update<'_>, rows: &mut [f32], positions: &[f32], segment: &mut Segment) {
        let (isa, width, columns) = (self.isa, self.width, update.keys.n());
        let (count, stride) = (rows.len() / width, columns.next_multiple_of(16));
        let Segment { positioned, scores } = segment;
        add(isa, rows, positions, positioned);
        let out = Out::f32(scores, stride);
        gemm(isa, &Rows::dense(positioned, width), 0..count, &update.keys, &Epilogue::BIAS, out);
        softmax_tokens(isa, MatMut::new(scores, stride), count, columns / self.heads, self.heads);
        let weights = Rows::new(scores, stride, columns);
        let epilogue = Epilogue { residual: Residual::InPlace, ..Epilogue::BIAS };
        gemm(isa, &weights, 0..count, &update.values, &epilogue, Out::f32(rows, width));
        update.norm.apply_in_place(isa, MatMut::new(rows, width), count, Act::None);
    }

    /// Tokens attend to image rows.
    fn attend(&self, queries: &Queries, rows: &[f32], positions: &[f32], segment: &mut Segment, out: &mut [f32]) {
        let (isa, width, columns) = (self.isa, self.width, queries.columns.n());
        let (count, stride) = (rows.len() / width, columns.next_multiple_of(16));
        let Segment { positioned, scores } = segment;
        add(isa, rows, positions, positioned);
        let products = Out::f32(scores, stride);
        gemm(isa, &Rows::dense(positioned, width), 0..count, &queries.columns, &Epilogue::BIAS, products);
        let (sums, state) = out.split_at_mut(columns * width);
        let (max, total) = state.split_at_mut(columns);
        softmax_rows(isa, MatMut::new(scores, stride), count, max, total);
        let (weights, values) = (Mat::new(scores, stride), Mat::new(rows, width));
        weighted_sums(isa, weights, columns, values, width, count, MatMut::new(sums, width));
    }
}

impl Segment {
    fn make_room(&mut self, values: usize, scores: usize) {
        self.positioned.resize(values, 0.0);
        self.scores.resize(scores, 0.0);
    }
}

/// Rows of a segment: as many lines of the image as fit and divide it.
fn segment_rows(grid: usize) -> usize {
    let fits = |lines: &usize| grid.is_multiple_of(*lines) && lines * grid <= SEGMENT_ROWS;
    grid * (1..=grid).rev().find(fits).unwrap_or(1)
}

/// Means over all rows, of the segments' sums, maxima and sums of weights.
fn merge(partial: &[f32], columns: usize, width: usize) -> Vec<f32> {
    let (mut max, mut total) = (vec![f32::NEG_INFINITY; columns], vec![0.0; columns]);
    let segments = || {
        partial.chunks_exact(columns * (width + 2)).map(|segment| {
            let (sums, state) = segment.split_at(columns * width);
            let (max, total) = state.split_at(columns);
            (sums, max, total)
        })
    };
    for (_, segment_max, _) in segments() {
        max.iter_mut().zip(segment_max).for_each(|(max, of_segment)| *max = max.max(*of_segment));
    }
    for (_, segment_max, segment_total) in segments() {
        for column in 0..columns {
            total[column] += (segment_max[column] - max[column]).exp2() * segment_total[column];
        }
    }
    let mut means = vec![0.0; columns * width];
    for (sums, segment_max, _) in segments() {
        let rows = means.chunks_exact_mut(width).zip(sums.chunks_exact(width));
        for (column, (mean, sum)) in rows.enumerate() {
            let weight = (segment_max[column] - max[column]).exp2() / total[column];
            mean.iter_mut().zip(sum).for_each(|(mean, sum)| *mean += weight * sum);
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_whole_lines_and_divide_the_image() {
        for (grid, rows) in [(64, 128), (8, 64), (16, 128), (4, 16), (1, 1), (60, 120), (11, 121), (200, 200)] {
            assert_eq!(segment_rows(grid), rows, "grid {grid}");
            assert!((grid * grid).is_multiple_of(rows));
        }
    }

    #[test]
    fn merging_segments_weighs_them_by_their_maxima() {
        // One column of width 1; values 1 with score 0 and weight 1, and 3 with score 1: (1 + 2 * 3) / 3.
        let partial = [1.0, 0.0, 1.0, 3.0, 1.0, 1.0];
        assert_eq!(merge(&partial, 1, 1), [7.0 / 3.0]);
    }
}
