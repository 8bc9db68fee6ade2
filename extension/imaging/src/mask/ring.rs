//! What outlines are made of.

/// A corner of pixels: x to the right, y down, (0, 0) being the upper left corner of the first pixel.
pub type Point = [i32; 2];

/// A closed line; the first point is not repeated at the end.
pub type Ring = Vec<Point>;

/// One connected part of a mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polygon {
    /// The outer line. Its area by the usual formula is positive: counterclockwise where y points up.
    pub exterior: Ring,
    /// The holes, in the other direction.
    pub holes: Vec<Ring>,
}

impl Polygon {
    /// Adds a ring, which has the foreground on one side: whether it is the exterior is seen from its direction.
    pub(super) fn add(&mut self, ring: &[Point]) {
        match doubled_area(ring) > 0 {
            true => self.exterior = ring.to_vec(),
            false => self.holes.push(ring.to_vec()),
        }
    }
}

/// Twice the area of a ring: positive for exteriors, negative for holes.
pub(super) fn doubled_area(ring: &[Point]) -> i64 {
    let next = ring.iter().cycle().skip(1);
    ring.iter().zip(next).map(|(a, b)| i64::from(a[0]) * i64::from(b[1]) - i64::from(b[0]) * i64::from(a[1])).sum()
}
