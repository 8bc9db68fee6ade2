//! How the work on one picture is spread over threads.

use std::ops::Range;

use rayon::prelude::*;

/// Pieces per thread: enough that a thread which is late does not make the others wait for long.
const PIECES: usize = 4;

/// A number of threads of the current rayon pool that work on one picture.
///
/// Where a batch has several pictures each is worked on by one thread, which needs no waiting for each other; a
/// single picture is spread over all. The result has the same bits either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    count: usize,
}

impl Threads {
    /// The calling thread alone.
    pub const ONE: Self = Self { count: 1 };

    /// `count` threads of the current rayon pool; at least one.
    pub fn new(count: usize) -> Self {
        Self { count: count.max(1) }
    }

    /// How many pieces to cut work into.
    pub(crate) fn pieces(self) -> usize {
        if self.count == 1 { 1 } else { self.count * PIECES }
    }

    /// What `work` makes of each of the items: several are worked on by one thread each, a single one by all.
    pub(crate) fn map<T: Sync, R: Send>(self, items: &[T], work: impl Fn(&T, Self) -> R + Sync) -> Vec<R> {
        match items {
            [one] => vec![work(one, self)],
            _ if self == Self::ONE => items.iter().map(|item| work(item, self)).collect(),
            _ => items.par_iter().with_max_len(1).map(|item| work(item, Self::ONE)).collect(),
        }
    }

    /// Calls `work` with each of the pieces.
    pub(crate) fn each<T: Send>(self, pieces: Vec<T>, work: impl Fn(T) + Sync) {
        if self.count == 1 {
            return pieces.into_iter().for_each(work);
        }
        rayon::scope(|scope| {
            let work = &work;
            for piece in pieces {
                scope.spawn(move |_| work(piece));
            }
        });
    }

    /// Cuts `out`, rows of `length` values, into pieces of a multiple of `grain` rows and calls `work` with the rows
    /// and values of each.
    pub(crate) fn rows<T: Send>(
        self,
        out: &mut [T],
        length: usize,
        grain: usize,
        work: impl Fn(Range<usize>, &mut [T]) + Sync,
    ) {
        self.both_rows(out, length, &mut [(); 0], 0, grain, |rows, out, _| work(rows, out));
    }

    /// As [`Threads::rows`] for two outputs with as many rows each.
    pub(crate) fn both_rows<T: Send, U: Send>(
        self,
        first: &mut [T],
        first_length: usize,
        second: &mut [U],
        second_length: usize,
        grain: usize,
        work: impl Fn(Range<usize>, &mut [T], &mut [U]) + Sync,
    ) {
        let rows = first.len() / first_length.max(1);
        debug_assert_eq!(first.len(), rows * first_length);
        debug_assert_eq!(second.len(), rows * second_length);
        if self.count == 1 || rows <= grain {
            return work(0..rows, first, second);
        }
        let (units, pieces) = (rows.div_ceil(grain), self.pieces());
        let cut = |piece: usize| rows.min(piece * units / pieces * grain);
        rayon::scope(|scope| {
            let (work, mut first, mut second) = (&work, first, second);
            for piece in 0..pieces {
                let (start, count) = (cut(piece), cut(piece + 1) - cut(piece));
                if count == 0 {
                    continue;
                }
                let (head, rest) = first.split_at_mut(count * first_length);
                let (other_head, other_rest) = second.split_at_mut(count * second_length);
                (first, second) = (rest, other_rest);
                scope.spawn(move |_| work(start..start + count, head, other_head));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_all_rows_once() {
        for (threads, rows, grain) in [(1, 10, 4), (2, 100, 12), (3, 7, 16), (4, 1000, 1), (2, 0, 4), (5, 13, 2)] {
            let (mut pairs, mut triples) = (vec![0; 2 * rows], vec![0; 3 * rows]);
            Threads::new(threads).both_rows(&mut pairs, 2, &mut triples, 3, grain, |range, pairs, triples| {
                assert!(range.start % grain == 0 && (range.end % grain == 0 || range.end == rows));
                assert_eq!((pairs.len(), triples.len()), (2 * range.len(), 3 * range.len()));
                for (index, row) in range.enumerate() {
                    pairs[2 * index..][..2].fill(row + 1);
                    triples[3 * index..][..3].fill(row + 1);
                }
            });
            assert!(pairs.iter().enumerate().all(|(index, row)| *row == index / 2 + 1), "{threads} {rows} {grain}");
            assert!(triples.iter().enumerate().all(|(index, row)| *row == index / 3 + 1));
        }
    }
}
