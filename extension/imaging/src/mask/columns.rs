//! The foreground of a mask as vertical runs: the form in which parts are found and outlines are traced.

use std::ops::Range;

use super::rle::Rle;
use super::writer::RunWriter;
use crate::memory::{NoMemory, push};

/// Rows `top..bottom` of one column, all foreground; above and below is background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub top: u32,
    pub bottom: u32,
}

impl Run {
    pub fn area(self) -> u64 {
        u64::from(self.bottom - self.top)
    }
}

/// The runs of all columns, from left to right and from top to bottom.
pub(super) struct Columns {
    pub height: u32,
    pub runs: Vec<Run>,
    /// Where in `runs` each column begins, and the end of the last: `width + 1` entries.
    starts: Vec<u32>,
}

impl Columns {
    /// The columns of a mask.
    pub fn of(rle: &Rle) -> Self {
        let height = u64::from(rle.height);
        let mut columns = Self::new(rle.height, rle.width);
        let total = height * u64::from(rle.width);
        for (mut start, end) in rle.foreground() {
            let end = end.min(total);
            while start < end {
                let (column, top) = (start / height, start % height);
                let bottom = height.min(top + (end - start));
                columns.go_to(column as usize);
                columns.push(Run { top: top as u32, bottom: bottom as u32 });
                start += bottom - top;
            }
        }
        columns.go_to(rle.width as usize);
        columns
    }

    fn new(height: u32, width: u32) -> Self {
        let mut starts = Vec::with_capacity(width as usize + 1);
        starts.push(0);
        Self { height, runs: Vec::new(), starts }
    }

    /// Ends all columns before `column`.
    fn go_to(&mut self, column: usize) {
        while self.starts.len() <= column {
            self.starts.push(self.runs.len() as u32);
        }
    }

    /// Appends a run to the column that is open; runs that touch become one.
    fn push(&mut self, run: Run) {
        let first = self.starts.last().map_or(0, |&start| start as usize);
        match self.runs[first..].last_mut() {
            Some(last) if last.bottom == run.top => last.bottom = run.bottom,
            _ => push(&mut self.runs, run),
        }
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where in [`Columns::runs`] the runs of column `x` are; nothing for columns outside.
    pub fn column(&self, x: usize) -> Range<usize> {
        match (self.starts.get(x), self.starts.get(x + 1)) {
            (Some(&start), Some(&end)) => start as usize..end as usize,
            _ => 0..0,
        }
    }

    /// Background and foreground exchanged.
    pub fn complement(&self) -> Self {
        let mut inverse = Self::new(self.height, self.width() as u32);
        for x in 0..self.width() {
            inverse.go_to(x);
            let mut at = 0;
            for run in &self.runs[self.column(x)] {
                if at < run.top {
                    inverse.push(Run { top: at, bottom: run.top });
                }
                at = run.bottom;
            }
            if at < self.height {
                inverse.push(Run { top: at, bottom: self.height });
            }
        }
        inverse.go_to(self.width());
        inverse
    }

    /// The runs for which `keep(index)` holds.
    pub fn filter(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut kept = Self::new(self.height, self.width() as u32);
        for x in 0..self.width() {
            kept.go_to(x);
            self.column(x).filter(|&index| keep(index)).for_each(|index| kept.push(self.runs[index]));
        }
        kept.go_to(self.width());
        kept
    }

    /// The connected part that each run belongs to, named by the index of its first run. With `diagonals` pixels
    /// that share a corner are connected (8-connectivity), without them only those that share an edge (4).
    pub fn parts(&self, diagonals: bool) -> Vec<u32> {
        NoMemory::check(self.runs.len() * size_of::<u32>());
        let mut parts: Vec<u32> = (0..self.runs.len() as u32).collect();
        let reach = u32::from(diagonals);
        for x in 1..self.width() {
            let (mut left, mut right) = (self.column(x - 1).peekable(), self.column(x).peekable());
            while let (Some(&a), Some(&b)) = (left.peek(), right.peek()) {
                let (run_a, run_b) = (self.runs[a], self.runs[b]);
                if run_a.top < run_b.bottom + reach && run_b.top < run_a.bottom + reach {
                    join(&mut parts, a, b);
                }
                // Runs of one column have a gap between them, so the one that ends first touches nothing further down.
                if run_a.bottom < run_b.bottom {
                    left.next();
                } else {
                    right.next();
                }
            }
        }
        // A part's first run comes before its others, and is settled when they are looked at.
        for index in 0..parts.len() {
            parts[index] = parts[parts[index] as usize];
        }
        parts
    }

    /// The run lengths of the mask.
    pub fn to_rle(&self) -> Rle {
        let mut writer = RunWriter::with_room(self.runs.len());
        for x in 0..self.width() {
            let offset = x as u64 * u64::from(self.height);
            for run in &self.runs[self.column(x)] {
                writer.push(offset + u64::from(run.top), offset + u64::from(run.bottom));
            }
        }
        writer.finish(self.height, self.width() as u32, self.width() as u64 * u64::from(self.height))
    }
}

/// Joins the parts of two runs: the root of a part is always its first run.
fn join(parts: &mut [u32], a: usize, b: usize) {
    let (a, b) = (root(parts, a), root(parts, b));
    let (first, second) = (a.min(b), a.max(b));
    parts[second] = first as u32;
}

fn root(parts: &mut [u32], mut index: usize) -> usize {
    while parts[index] as usize != index {
        parts[index] = parts[parts[index] as usize];
        index = parts[index] as usize;
    }
    index
}
