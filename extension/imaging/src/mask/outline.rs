//! Outlines of masks as polygons on the edges of pixels.
//!
//! A sweep over the vertical grid lines finds the edges between foreground and background there; where they end, an
//! edge along a horizontal line begins, and on each such line the ends belong together in pairs. Following the pairs
//! gives rings with the foreground on one side.
//!
//! Foreground pixels that share only a corner belong to different polygons. A ring that comes through such a corner
//! twice is cut there in two, so that no ring touches itself: with foreground and background both connected through
//! edges alone, a corner cannot be inside both (one of the two paths would cross the other), so each of the cut
//! rings encloses one part of the background, and the polygons are valid in the sense of OGC's Simple Features:
//! rings and polygons touch in single points at most, and the inside of each polygon is connected.

use super::columns::Columns;
use super::ring::{Point, Polygon, Ring};
use super::rle::Rle;
use super::simplify::simplify;
use crate::memory::NoMemory;

/// Bytes that a run takes while outlines are traced, at most, and while they are simplified.
const TRACED: usize = 100;
const SIMPLIFIED: usize = 300;

impl Rle {
    /// The outlines of the mask's parts, from left to right: together they cover exactly its pixels.
    ///
    /// With a `tolerance` above 0, in pixels, corners are left out such that each lies within it of the line that
    /// replaces it; the polygons stay valid, and their area then differs from the mask's.
    ///
    /// Sides of up to `i32::MAX` pixels.
    ///
    /// # Panics
    /// Without memory, as [`NoMemory::raise`].
    pub fn polygons(&self, tolerance: f64) -> Vec<Polygon> {
        // Where every run is an island of its own.
        NoMemory::check(self.counts.len().saturating_mul(if tolerance > 0.0 { SIMPLIFIED } else { TRACED }));
        let mut polygons = self.outlines();
        simplify(&mut polygons, tolerance);
        polygons
    }

    fn outlines(&self) -> Vec<Polygon> {
        let columns = Columns::of(self);
        let parts = columns.parts(false);
        let Edges { edges, pairs } = Edges::of(&columns);
        let mut polygons: Vec<Polygon> = Vec::new();
        // Polygons by part; a part's first edge is met before those of parts further to the right.
        let mut index = vec![NONE; parts.len()];
        let mut seen = vec![false; edges.len()];
        let mut cutter = Cutter { path: Ring::new(), met: vec![NONE; edges.len()] };
        for first in 0..edges.len() {
            if std::mem::replace(&mut seen[first], true) {
                continue;
            }
            let polygon = &mut index[parts[edges[first].run as usize] as usize];
            if *polygon == NONE {
                *polygon = polygons.len() as u32;
                polygons.push(Polygon { exterior: Ring::new(), holes: Vec::new() });
            }
            let polygon = &mut polygons[*polygon as usize];
            let mut at = first;
            loop {
                let edge = &edges[at];
                for end in edge.way() {
                    // Where edges cross, the one below follows the one above.
                    let crossing = edge.crossing[end].then(|| at - usize::from(end == TOP));
                    cutter.push(edge.point(end), crossing, polygon);
                }
                at = pairs[2 * at + edge.way()[1]] as usize / 2;
                if std::mem::replace(&mut seen[at], true) {
                    break;
                }
            }
            cutter.finish(polygon);
        }
        polygons
    }
}

/// No index.
const NONE: u32 = u32::MAX;

/// The ends of an [`Edge`].
const TOP: usize = 0;
const BOTTOM: usize = 1;

/// A vertical edge between foreground and background, as long as possible.
struct Edge {
    x: i32,
    /// The rows of its ends.
    y: [i32; 2],
    /// Whether the foreground is to the left, so that the ring goes down here.
    down: bool,
    /// Whether another pair of edges crosses at its ends.
    crossing: [bool; 2],
    /// The foreground run beside it.
    run: u32,
}

impl Edge {
    fn point(&self, end: usize) -> Point {
        [self.x, self.y[end]]
    }

    /// Its ends in the direction of the ring.
    fn way(&self) -> [usize; 2] {
        if self.down { [TOP, BOTTOM] } else { [BOTTOM, TOP] }
    }
}

/// All vertical edges, from left to right and from top to bottom.
struct Edges {
    edges: Vec<Edge>,
    /// For each end (of edge `n`: `2 n` its top, `2 n + 1` its bottom) the one at the other end of its horizontal edge.
    pairs: Vec<u32>,
}

impl Edges {
    fn of(columns: &Columns) -> Self {
        let mut found = Edges { edges: Vec::with_capacity(2 * columns.runs.len()), pairs: Vec::new() };
        // Along each horizontal line the ends belong together in pairs, from left to right: the one that waits there.
        let mut waiting = vec![NONE; columns.height as usize + 1];
        for x in 0..=columns.width() {
            let before = if x == 0 { 0..0 } else { columns.column(x - 1) };
            let (mut left, mut right) = (Side::new(columns, before), Side::new(columns, columns.column(x)));
            let mut open = false;
            while let Some(y) = left.next().into_iter().chain(right.next()).min() {
                // The four pixels around the corner: above, and after this, below.
                let above = [left.inside, right.inside];
                left.pass(y);
                right.pass(y);
                let below = [left.inside, right.inside];
                let crossing = above != below && above[0] != above[1] && below[0] != below[1];
                // The horizontal edge belongs to the pixel beside the vertical one, unless both pixels beyond are set:
                // then it is the edge of the one across.
                let to_right = |down: bool, beyond: [bool; 2]| down == (beyond == [true, true]);
                let ended = if open { found.edges.len().checked_sub(1) } else { None };
                let mut first = false;
                if let Some(edge) = ended.map(|index| &mut found.edges[index]) {
                    edge.y[BOTTOM] = y as i32;
                    edge.crossing[BOTTOM] = crossing;
                    first = !to_right(edge.down, below);
                }
                open = below[0] != below[1];
                if open {
                    let down = below[0];
                    let run = if down { left.run } else { right.run };
                    found.edges.push(Edge { x: x as i32, y: [y as i32; 2], down, crossing: [crossing; 2], run });
                    found.pairs.extend([NONE; 2]);
                }
                let begun = open.then(|| 2 * (found.edges.len() - 1) + TOP);
                let ended = ended.map(|index| 2 * index + BOTTOM);
                // Where two edges meet in a corner, the one whose horizontal edge goes to the left comes first.
                let ends = if first { [ended, begun] } else { [begun, ended] };
                for end in ends.into_iter().flatten() {
                    match std::mem::replace(&mut waiting[y as usize], NONE) {
                        NONE => waiting[y as usize] = end as u32,
                        other => (found.pairs[end], found.pairs[other as usize]) = (other, end as u32),
                    }
                }
            }
        }
        found
    }
}

/// The column on one side of a grid line, walked from top to bottom.
struct Side<'a> {
    columns: &'a Columns,
    rest: std::ops::Range<usize>,
    run: u32,
    inside: bool,
}

impl<'a> Side<'a> {
    fn new(columns: &'a Columns, rest: std::ops::Range<usize>) -> Self {
        Side { columns, rest, run: 0, inside: false }
    }

    /// The row where it changes next.
    fn next(&self) -> Option<u32> {
        match self.inside {
            true => Some(self.columns.runs[self.run as usize].bottom),
            false => self.rest.clone().next().map(|run| self.columns.runs[run].top),
        }
    }

    /// Goes past row `y`, which is not behind the next change.
    fn pass(&mut self, y: u32) {
        if self.next() != Some(y) {
            return;
        }
        self.inside = !self.inside;
        if self.inside {
            self.run = self.rest.next().unwrap_or_default() as u32;
        }
    }
}

/// Follows a ring, and cuts it where it comes to a corner for the second time.
struct Cutter {
    path: Ring,
    /// Where in the path the corners were put in which rings can meet, by the edge above them; what rings before this one
    /// left here is seen from the point.
    met: Vec<u32>,
}

impl Cutter {
    fn push(&mut self, point: Point, crossing: Option<usize>, polygon: &mut Polygon) {
        if let Some(corner) = crossing {
            let start = self.met[corner] as usize;
            if self.path.get(start) == Some(&point) {
                polygon.add(&self.path[start..]);
                self.path.truncate(start);
            }
            self.met[corner] = self.path.len() as u32;
        }
        self.path.push(point);
    }

    fn finish(&mut self, polygon: &mut Polygon) {
        polygon.add(&self.path);
        self.path.clear();
    }
}
