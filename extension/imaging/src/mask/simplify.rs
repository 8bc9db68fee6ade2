//! Outlines with fewer corners that are still valid.
//!
//! Corners are taken out one after the other, the least noticeable first, under two conditions:
//!
//! - every corner of the full outline that the new line replaces lies within the tolerance of it, as in the method
//!   of Douglas and Peucker;
//! - no other corner of any ring lies in the triangle between the old lines and the new one, borders included. Then
//!   the new line crosses nothing: what crossed it would have to enter the triangle through an old line, or end in it.
//!   Only in the ends of the new line other rings may touch it, as they did before.
//!
//! The second condition is that of topology-preserving simplification (Saalfeld 1999; Visvalingam and Whyatt's
//! method with it in many libraries), here over all rings at once, so that polygons keep clear of each other and
//! holes stay inside.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::outline::{Point, Polygon, Ring, doubled_area};

/// Takes out corners, such that each that is left out lies within `tolerance` pixels of the line that replaces it.
/// Tolerances that are not above 0 change nothing.
pub(super) fn simplify(polygons: &mut [Polygon], tolerance: f64) {
    if tolerance.is_nan() || tolerance <= 0.0 {
        return;
    }
    let mut rings: Vec<&mut Ring> = polygons
        .iter_mut()
        .flat_map(|polygon| std::iter::once(&mut polygon.exterior).chain(&mut polygon.holes))
        .collect();
    let mut work = Work::new(&rings);
    work.run(tolerance * tolerance);
    let mut start = 0;
    for ring in &mut rings {
        let corners = start..start + ring.len();
        start = corners.end;
        **ring = corners.filter(|&corner| work.alive[corner]).map(|corner| work.points[corner]).collect();
    }
}

/// The corners of all rings, numbered one ring after the other.
struct Work {
    points: Vec<Point>,
    alive: Vec<bool>,
    /// The neighbours that are left, in the ring.
    previous: Vec<usize>,
    next: Vec<usize>,
    /// For each corner the first of its ring, and for that the number of corners left in the ring.
    ring: Vec<usize>,
    left: Vec<usize>,
    /// The full rings, as ranges of corners.
    first: Vec<usize>,
    end: Vec<usize>,
    grid: Grid,
    /// The corners by how far the outline would move without them (squared, as the bits of a positive number).
    queue: BinaryHeap<Reverse<(u64, usize)>>,
    /// What is in the queue for each corner, if it counts.
    queued: Vec<Option<u64>>,
}

impl Work {
    fn new(rings: &[&mut Ring]) -> Self {
        let points: Vec<Point> = rings.iter().flat_map(|ring| ring.iter().copied()).collect();
        let count = points.len();
        let mut work = Work {
            grid: Grid::new(&points),
            points,
            alive: vec![true; count],
            previous: vec![0; count],
            next: vec![0; count],
            ring: vec![0; count],
            left: Vec::new(),
            first: Vec::new(),
            end: Vec::new(),
            queue: BinaryHeap::new(),
            queued: vec![None; count],
        };
        let mut start = 0;
        for (number, ring) in rings.iter().enumerate() {
            let end = start + ring.len();
            for corner in start..end {
                work.ring[corner] = number;
                work.previous[corner] = if corner == start { end - 1 } else { corner - 1 };
                work.next[corner] = if corner + 1 == end { start } else { corner + 1 };
            }
            work.left.push(ring.len());
            work.first.push(start);
            work.end.push(end);
            start = end;
        }
        work
    }

    fn run(&mut self, limit: f64) {
        for corner in 0..self.points.len() {
            self.enqueue(corner, limit);
        }
        while let Some(Reverse((cost, corner))) = self.queue.pop() {
            if self.queued[corner] != Some(cost) {
                continue; // it has been queued anew, or is gone
            }
            self.queued[corner] = None;
            if !self.may_go(corner) {
                continue; // until a neighbour goes
            }
            let (a, c) = (self.previous[corner], self.next[corner]);
            self.alive[corner] = false;
            self.grid.remove(self.points[corner], corner);
            (self.next[a], self.previous[c]) = (c, a);
            self.left[self.ring[corner]] -= 1;
            self.enqueue(a, limit);
            self.enqueue(c, limit);
        }
    }

    /// Puts a corner into the queue, if the outline would not move too far without it.
    fn enqueue(&mut self, corner: usize, limit: f64) {
        let distance = self.distance(corner);
        self.queued[corner] = (distance <= limit).then_some(distance.to_bits());
        if let Some(cost) = self.queued[corner] {
            self.queue.push(Reverse((cost, corner)));
        }
    }

    /// How far, squared, the corners of the full outline would be from the line that replaces `corner`, at most.
    fn distance(&self, corner: usize) -> f64 {
        let (a, c) = (self.previous[corner], self.next[corner]);
        let (first, end) = (self.first[self.ring[corner]], self.end[self.ring[corner]]);
        let line = (self.points[a], self.points[c]);
        let mut farthest = 0.0f64;
        let mut at = a;
        loop {
            at = if at + 1 == end { first } else { at + 1 };
            if at == c {
                return farthest;
            }
            farthest = farthest.max(squared_distance(self.points[at], line));
        }
    }

    /// Whether the rings stay valid without a corner.
    fn may_go(&self, corner: usize) -> bool {
        let (a, c) = (self.previous[corner], self.next[corner]);
        match self.left[self.ring[corner]] {
            0..=3 => return false,
            // Of four corners three remain, which must not lie on a line.
            4 => {
                let rest = [self.points[a], self.points[c], self.points[self.next[c]]];
                if doubled_area(&rest) == 0 {
                    return false;
                }
            }
            _ => {}
        }
        let triangle = [self.points[a], self.points[corner], self.points[c]];
        self.grid.all(triangle, |other| {
            if [a, corner, c].contains(&other) {
                true
            } else if self.points[other] == self.points[a] {
                // A ring that touches this one here crosses nothing, unless it has the very line already.
                [self.previous[other], self.next[other]].iter().all(|&end| self.points[end] != self.points[c])
            } else {
                self.points[other] == self.points[c] || !touches(triangle, self.points[other])
            }
        })
    }
}

/// Whether a point lies in the triangle, borders included.
fn touches(triangle: [Point; 3], point: Point) -> bool {
    let sides = [(0, 1), (1, 2), (2, 0)].map(|(from, to)| side(triangle[from], triangle[to], point));
    let [x, y] = [0, 1].map(|axis| {
        let values = triangle.map(|corner| corner[axis]);
        (values.into_iter().min() <= Some(point[axis])) && (Some(point[axis]) <= values.into_iter().max())
    });
    // The box matters for triangles without area, where all three sides are 0 far beyond their ends.
    x && y && (sides.iter().all(|&side| side >= 0) || sides.iter().all(|&side| side <= 0))
}

/// On which side of the line from `a` to `b` a point lies: twice the area of the triangle.
fn side(a: Point, b: Point, point: Point) -> i64 {
    let [ab, ap] = [b, point].map(|to| [0, 1].map(|axis| i64::from(to[axis]) - i64::from(a[axis])));
    ab[0] * ap[1] - ab[1] * ap[0]
}

/// The squared distance of a point from the line between two others, ends included.
fn squared_distance(point: Point, (a, b): (Point, Point)) -> f64 {
    let vector = |from: Point, to: Point| [0, 1].map(|axis| f64::from(to[axis]) - f64::from(from[axis]));
    let (ab, ap) = (vector(a, b), vector(a, point));
    let length = ab[0] * ab[0] + ab[1] * ab[1];
    let along = if length > 0.0 { ((ap[0] * ab[0] + ap[1] * ab[1]) / length).clamp(0.0, 1.0) } else { 0.0 };
    let away = [0, 1].map(|axis| ap[axis] - along * ab[axis]);
    away[0] * away[0] + away[1] * away[1]
}

/// Corners by place: squares of `SIDE` pixels.
struct Grid {
    cells: HashMap<Point, Vec<usize>>,
}

const SIDE: i32 = 16;

impl Grid {
    fn new(points: &[Point]) -> Self {
        let mut cells: HashMap<Point, Vec<usize>> = HashMap::new();
        for (corner, &point) in points.iter().enumerate() {
            cells.entry(cell(point)).or_default().push(corner);
        }
        Grid { cells }
    }

    fn remove(&mut self, point: Point, corner: usize) {
        if let Some(corners) = self.cells.get_mut(&cell(point)) {
            corners.retain(|&other| other != corner);
        }
    }

    /// Whether `holds` for all corners in the squares that a triangle's box touches.
    fn all(&self, triangle: [Point; 3], holds: impl Fn(usize) -> bool) -> bool {
        let cells = triangle.map(cell);
        let range = |axis: usize| {
            let values = cells.map(|cell| cell[axis]);
            values.into_iter().min().unwrap_or(0)..=values.into_iter().max().unwrap_or(0)
        };
        range(0).all(|x| {
            range(1).all(|y| self.cells.get(&[x, y]).is_none_or(|corners| corners.iter().all(|&corner| holds(corner))))
        })
    }
}

fn cell(point: Point) -> Point {
    point.map(|value| value / SIDE)
}
