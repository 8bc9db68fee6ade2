//! Polygons as well-known text and binary (OGC Simple Features, 06-103r4).

use std::fmt::Write;

use super::ring::{Polygon, Ring};
use crate::memory::NoMemory;
use crate::transform::Transform;

const POLYGON: u32 = 3;
const MULTI_POLYGON: u32 = 6;

/// `POLYGON` for one polygon, `MULTIPOLYGON` for several, `POLYGON EMPTY` for none.
///
/// # Panics
/// Without memory, as [`NoMemory::raise`].
pub fn wkt(polygons: &[Polygon]) -> String {
    NoMemory::check(2 * size(polygons));
    let mut numbers = itoa::Buffer::new();
    text(polygons, false, |text, [x, y]| {
        text.push_str(numbers.format(x));
        text.push(' ');
        text.push_str(numbers.format(y));
    })
}

/// The same where a transform puts them. Rings keep their direction: exteriors are counterclockwise where y points up.
///
/// # Panics
/// Without memory, as [`NoMemory::raise`].
pub fn wkt_at(polygons: &[Polygon], transform: &Transform) -> String {
    // A number takes up to 24 characters.
    NoMemory::check(5 * size(polygons));
    text(polygons, transform.mirrors(), |text, point| {
        let [x, y] = transform.place(point.map(f64::from));
        number(text, x);
        text.push(' ');
        number(text, y);
    })
}

/// The shortest digits that are read back as the same number.
fn number(text: &mut String, value: f64) {
    write!(text, "{value:?}").expect("a string takes all");
    if text.ends_with(".0") {
        text.truncate(text.len() - 2);
    }
}

fn text(polygons: &[Polygon], reversed: bool, mut point: impl FnMut(&mut String, [i32; 2])) -> String {
    let mut text = String::new();
    let mut write = |text: &mut String, polygon: &Polygon| {
        for (index, ring) in rings(polygon).enumerate() {
            text.push_str(if index == 0 { "((" } else { ", (" });
            for (index, corner) in closed(ring, reversed).enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                point(text, corner);
            }
            text.push(')');
        }
        text.push(')');
    };
    match polygons {
        [] => text.push_str("POLYGON EMPTY"),
        [polygon] => {
            text.push_str("POLYGON ");
            write(&mut text, polygon);
        }
        _ => {
            text.push_str("MULTIPOLYGON (");
            for (index, polygon) in polygons.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                write(&mut text, polygon);
            }
            text.push(')');
        }
    }
    text
}

/// The same as [`wkt`] in binary, little endian.
pub fn wkb(polygons: &[Polygon]) -> Vec<u8> {
    binary(polygons, false, |point| point.map(f64::from))
}

/// The same as [`wkt_at`] in binary, little endian.
pub fn wkb_at(polygons: &[Polygon], transform: &Transform) -> Vec<u8> {
    binary(polygons, transform.mirrors(), |point| transform.place(point.map(f64::from)))
}

fn binary(polygons: &[Polygon], reversed: bool, place: impl Fn([i32; 2]) -> [f64; 2]) -> Vec<u8> {
    NoMemory::check(size(polygons));
    let mut bytes = Vec::with_capacity(size(polygons));
    let write = |bytes: &mut Vec<u8>, polygon: &Polygon| {
        bytes.extend(header(POLYGON, 1 + polygon.holes.len()));
        for ring in rings(polygon) {
            bytes.extend((ring.len() as u32 + 1).to_le_bytes());
            for point in closed(ring, reversed) {
                bytes.extend(place(point).map(f64::to_le_bytes).as_flattened());
            }
        }
    };
    match polygons {
        [] => bytes.extend(header(POLYGON, 0)),
        [polygon] => write(&mut bytes, polygon),
        _ => {
            bytes.extend(header(MULTI_POLYGON, polygons.len()));
            polygons.iter().for_each(|polygon| write(&mut bytes, polygon));
        }
    }
    bytes
}

/// Bytes of polygons in binary; as text they are about as long.
fn size(polygons: &[Polygon]) -> usize {
    let ring = |ring: &Ring| 4 + 16 * (ring.len() + 1);
    9 + polygons.iter().map(|polygon| 9 + rings(polygon).map(ring).sum::<usize>()).sum::<usize>()
}

/// Byte order, type, and the number of what follows.
fn header(kind: u32, count: usize) -> impl Iterator<Item = u8> {
    [1].into_iter().chain(kind.to_le_bytes()).chain((count as u32).to_le_bytes())
}

fn rings(polygon: &Polygon) -> impl Iterator<Item = &Ring> {
    std::iter::once(&polygon.exterior).chain(&polygon.holes)
}

/// The points of a ring, the first again at the end; the other way round if `reversed`.
fn closed(ring: &Ring, reversed: bool) -> impl Iterator<Item = [i32; 2]> {
    let (last, corners) = (ring.len(), if ring.is_empty() { 0 } else { ring.len() + 1 });
    (0..corners).map(move |at| {
        let at = if reversed { last - at } else { at };
        ring[if at == last { 0 } else { at }]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placed_outlines_are_counterclockwise_on_the_map() {
        let square = [Polygon { exterior: vec![[0, 2], [0, 0], [2, 0], [2, 2]], holes: vec![] }];
        let at = |numbers| Transform::new(numbers).unwrap();
        let same = at([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(wkt_at(&square, &same), wkt(&square));
        assert_eq!(wkb_at(&square, &same), wkb(&square));
        let north_up = at([0.1, 0.0, 300_000.0, 0.0, -0.1, 5e20]);
        assert_eq!(
            wkt_at(&square[..], &north_up),
            "POLYGON ((300000 5e20, 300000.2 5e20, 300000.2 5e20, 300000 5e20, 300000 5e20))"
        );
        assert_eq!(wkt_at(&square, &at([1.0, 0.0, 0.0, 0.0, -1.0, 0.0])), "POLYGON ((0 -2, 2 -2, 2 0, 0 0, 0 -2))");
    }
}
