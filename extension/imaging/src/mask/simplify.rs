//! Outlines with fewer corners that are still valid.
//!
//! Corners are taken out one after the other, the less noticeable first, under two conditions:
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
//!
//! This takes little time however many corners there are. Of the corners that a line replaces only the convex hull is
//! kept: one of it is the farthest from any line. The corners in a triangle are looked for along its rows or its columns,
//! whichever are fewer ([`Lines`]). And of corners that are about as noticeable those wait that are beside one just taken
//! out, so that lines grow all alike: if one grew at the cost of all others, each step would look at all it has replaced.

use std::collections::VecDeque;

use super::ring::{Point, Polygon, Ring, doubled_area};

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
    work.run(tolerance);
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
    /// Of the corners that were taken out between each and the next one left, those of the convex hull at least.
    between: Vec<Vec<Point>>,
    /// The corners left by row, and by column.
    lines: [Lines; 2],
    /// The corners that may go, with a number each, by how far the outline would move without them: in so many steps up to
    /// the tolerance. In each step the first in is the first out.
    queues: [VecDeque<(usize, u32)>; STEPS],
    /// The step that is worked on; what would belong to an earlier one is put here.
    step: usize,
    /// Which number in the queues counts for each corner, if one does.
    queued: Vec<Option<u32>>,
    /// The next number.
    number: u32,
}

impl Work {
    fn new(rings: &[&mut Ring]) -> Self {
        let points: Vec<Point> = rings.iter().flat_map(|ring| ring.iter().copied()).collect();
        let count = points.len();
        let mut work = Work {
            lines: [Lines::new(&points, 1), Lines::new(&points, 0)],
            between: vec![Vec::new(); count],
            points,
            alive: vec![true; count],
            previous: vec![0; count],
            next: vec![0; count],
            ring: vec![0; count],
            left: Vec::new(),
            queues: Default::default(),
            step: 0,
            number: 0,
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
            start = end;
        }
        work
    }

    fn run(&mut self, tolerance: f64) {
        for corner in 0..self.points.len() {
            self.enqueue(corner, tolerance);
        }
        while self.step < STEPS {
            let Some((corner, number)) = self.queues[self.step].pop_front() else {
                self.step += 1;
                continue;
            };
            if self.queued[corner] != Some(number) {
                continue; // it has been queued anew, or is gone
            }
            self.queued[corner] = None;
            if !self.may_go(corner) {
                continue; // until a neighbour goes
            }
            let (a, c) = (self.previous[corner], self.next[corner]);
            self.alive[corner] = false;
            self.lines.iter_mut().for_each(|lines| lines.remove(corner));
            let mut between = std::mem::take(&mut self.between[a]);
            between.push(self.points[corner]);
            between.append(&mut std::mem::take(&mut self.between[corner]));
            if between.len() > HULL {
                hull(&mut between);
            }
            self.between[a] = between;
            (self.next[a], self.previous[c]) = (c, a);
            self.left[self.ring[corner]] -= 1;
            self.enqueue(a, tolerance);
            self.enqueue(c, tolerance);
        }
    }

    /// Puts a corner into a queue, if the outline would not move too far without it.
    fn enqueue(&mut self, corner: usize, tolerance: f64) {
        let distance = self.distance(corner);
        if distance > tolerance * tolerance {
            self.queued[corner] = None;
            return;
        }
        let step = (distance.sqrt() / tolerance * STEPS as f64) as usize;
        self.queues[step.min(STEPS - 1).max(self.step)].push_back((corner, self.number));
        self.queued[corner] = Some(self.number);
        self.number += 1;
    }

    /// How far, squared, the corners of the full outline would be from the line that replaces `corner`, at most.
    fn distance(&self, corner: usize) -> f64 {
        let (a, c) = (self.previous[corner], self.next[corner]);
        let line = (self.points[a], self.points[c]);
        let out = self.between[a].iter().chain(&self.between[corner]).chain([&self.points[corner]]);
        out.map(|&point| squared_distance(point, line)).fold(0.0, f64::max)
    }

    /// Whether the rings stay valid without a corner.
    fn may_go(&mut self, corner: usize) -> bool {
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
        let Work { points, previous, next, lines: [rows, columns], .. } = self;
        let triangle = [points[a], points[corner], points[c]];
        // Outlines are traced column by column: what is near in a column is near in memory.
        let lines = if extent(triangle, 0) <= extent(triangle, 1) { columns } else { rows };
        lines.all(triangle, [a, corner, c], |other| {
            if [a, corner, c].contains(&other) {
                true
            } else if points[other] == points[a] {
                // A ring that touches this one here crosses nothing, unless it has the very line already.
                [previous[other], next[other]].iter().all(|&end| points[end] != points[c])
            } else {
                points[other] == points[c] || !touches(triangle, points[other])
            }
        })
    }
}

/// From where to where a triangle goes along an axis.
fn range(triangle: [Point; 3], axis: usize) -> std::ops::RangeInclusive<i32> {
    let [a, b, c] = triangle.map(|corner| corner[axis]);
    a.min(b).min(c)..=a.max(b).max(c)
}

fn extent(triangle: [Point; 3], axis: usize) -> i32 {
    let range = range(triangle, axis);
    range.end() - range.start()
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

/// In how many steps of the tolerance corners are taken out.
const STEPS: usize = 16;

/// From how many points on the convex hull is taken of them.
const HULL: usize = 24;

/// Keeps the points of the convex hull (Andrew's monotone chain).
fn hull(points: &mut Vec<Point>) {
    points.sort_unstable();
    points.dedup();
    let half = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for point in points {
            while let [.., a, b] = chain[..]
                && side(a, b, point) <= 0
            {
                chain.pop();
            }
            chain.push(point);
        }
        chain
    };
    let mut around = half(&mut points.iter().copied());
    around.extend(half(&mut points.iter().rev().copied()));
    *points = around;
}

/// The corners that are left on each line along an axis: rows by y, or columns by x.
struct Lines {
    /// The coordinate that is that of the line.
    axis: usize,
    /// The corners, line by line, and in the order of the line.
    order: Vec<u32>,
    /// Where on their lines these are: the other coordinate.
    along: Vec<i32>,
    /// Where each corner is in the order.
    place: Vec<u32>,
    /// Where the lines begin in the order, from the first to the last that has corners, and the end.
    starts: Vec<u32>,
    first: i32,
    /// For each place one from there on, such that all before it are gone: itself where a corner is left.
    next: Vec<u32>,
}

impl Lines {
    fn new(points: &[Point], axis: usize) -> Self {
        let corner = |(point, corner): (&Point, u32)| ((point[axis], point[1 - axis]), corner);
        let mut corners: Vec<_> = points.iter().zip(0..).map(corner).collect();
        corners.sort_unstable();
        let mut place = vec![0; points.len()];
        let first = corners.first().map_or(0, |&((line, _), _)| line);
        let mut starts = vec![0];
        for (&((line, _), corner), at) in corners.iter().zip(0..) {
            place[corner as usize] = at;
            starts.resize((line - first) as usize + 1, at);
        }
        starts.push(corners.len() as u32);
        let (along, order) = corners.iter().map(|&((_, along), corner)| (along, corner)).unzip();
        let next = (0..=corners.len() as u32).collect();
        Lines { axis, order, along, place, starts, first, next }
    }

    fn remove(&mut self, corner: usize) {
        let place = self.place[corner] as usize;
        self.next[place] += 1;
    }

    /// The first place from `place` on where a corner is left.
    fn left(&mut self, mut place: usize) -> usize {
        while self.next[place] as usize != place {
            let next = self.next[place] as usize;
            self.next[place] = self.next[next];
            place = next;
        }
        place
    }

    /// The first place from `start` to before `end` that is not before `low`. Near `hint`, which is not before `low`, it is
    /// found at once.
    fn find(&self, start: usize, end: usize, hint: Option<usize>, low: i64) -> usize {
        let before = |at: usize| i64::from(self.along[at]) < low;
        let (mut from, mut to, mut reach) = (start, hint.unwrap_or(end), 1);
        while hint.is_some() && to > start {
            let at = to.saturating_sub(reach).max(start);
            if before(at) {
                from = at;
                break;
            }
            (to, reach) = (at, 2 * reach);
        }
        from + self.along[from..to].partition_point(|&along| i64::from(along) < low)
    }

    /// Whether `holds` for all corners in the triangle that these `corners` make; it may be asked of some that are near.
    fn all(&mut self, triangle: [Point; 3], corners: [usize; 3], holds: impl Fn(usize) -> bool) -> bool {
        for line in range(triangle, self.axis) {
            let index = (line - self.first) as usize;
            let (start, end) = (self.starts[index] as usize, self.starts[index + 1] as usize);
            if start == end {
                continue;
            }
            let (low, high) = across(triangle, self.axis, line);
            let hint = (0..3).find(|&at| triangle[at][self.axis] == line).map(|at| self.place[corners[at]] as usize);
            let mut at = self.find(start, end, hint, low);
            loop {
                at = self.left(at);
                if at >= end || i64::from(self.along[at]) > high {
                    break;
                }
                if !holds(self.order[at] as usize) {
                    return false;
                }
                at += 1;
            }
        }
        true
    }
}

/// From where to where a triangle goes along a line that it meets, rounded outwards.
fn across(triangle: [Point; 3], axis: usize, line: i32) -> (i64, i64) {
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let (a, b) = (triangle[from].map(i64::from), triangle[to].map(i64::from));
        let line = i64::from(line);
        if line < a[axis].min(b[axis]) || a[axis].max(b[axis]) < line {
            continue;
        }
        let along = 1 - axis;
        let ends = match b[axis] - a[axis] {
            0 => [a[along], b[along]],
            length => {
                let part = (b[along] - a[along]) * (line - a[axis]);
                let down = a[along] + part.div_euclid(length);
                [down - 1, down + 1]
            }
        };
        low = low.min(ends[0]).min(ends[1]);
        high = high.max(ends[0]).max(ends[1]);
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hull_of_points() {
        let mut points = vec![[0, 0], [4, 0], [2, 1], [2, 0], [4, 4], [0, 4], [1, 3], [0, 0]];
        hull(&mut points);
        points.sort_unstable();
        points.dedup();
        assert_eq!(points, [[0, 0], [0, 4], [4, 0], [4, 4]]);
        let mut line = vec![[3, 3], [1, 1], [2, 2]];
        hull(&mut line);
        line.sort_unstable();
        line.dedup();
        assert_eq!(line, [[1, 1], [3, 3]]);
    }

    #[test]
    fn corners_by_line() {
        let points = [[0, 0], [5, 0], [5, 2], [1, 2], [3, 7]];
        for axis in [0, 1] {
            let mut lines = Lines::new(&points, axis);
            let found = |lines: &mut Lines| {
                let asked = std::cell::RefCell::new(Vec::new());
                assert!(lines.all([[0, 0], [5, 0], [3, 7]], [0, 1, 4], |corner| {
                    asked.borrow_mut().push(corner);
                    true
                }));
                let mut asked = asked.into_inner();
                asked.retain(|&corner| touches([[0, 0], [5, 0], [3, 7]], points[corner]));
                asked.sort_unstable();
                asked
            };
            assert_eq!(found(&mut lines), [0, 1, 3, 4]);
            lines.remove(3);
            assert_eq!(found(&mut lines), [0, 1, 4]);
        }
    }
}
