//! Polygons as well-known text and binary (OGC Simple Features, 06-103r4).

use super::ring::{Polygon, Ring};
use crate::memory::NoMemory;

const POLYGON: u32 = 3;
const MULTI_POLYGON: u32 = 6;

/// `POLYGON` for one polygon, `MULTIPOLYGON` for several, `POLYGON EMPTY` for none.
///
/// # Panics
/// Without memory, as [`NoMemory::raise`].
pub fn wkt(polygons: &[Polygon]) -> String {
    NoMemory::check(2 * size(polygons));
    let mut text = String::new();
    match polygons {
        [] => text.push_str("POLYGON EMPTY"),
        [polygon] => {
            text.push_str("POLYGON ");
            write_text(&mut text, polygon);
        }
        _ => {
            text.push_str("MULTIPOLYGON (");
            for (index, polygon) in polygons.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                write_text(&mut text, polygon);
            }
            text.push(')');
        }
    }
    text
}

fn write_text(text: &mut String, polygon: &Polygon) {
    let mut numbers = itoa::Buffer::new();
    for (index, ring) in rings(polygon).enumerate() {
        text.push_str(if index == 0 { "((" } else { ", (" });
        for (index, [x, y]) in closed(ring).enumerate() {
            text.push_str(if index == 0 { "" } else { ", " });
            text.push_str(numbers.format(x));
            text.push(' ');
            text.push_str(numbers.format(y));
        }
        text.push(')');
    }
    text.push(')');
}

/// The same as [`wkt`] in binary, little endian.
pub fn wkb(polygons: &[Polygon]) -> Vec<u8> {
    NoMemory::check(size(polygons));
    let mut bytes = Vec::with_capacity(size(polygons));
    match polygons {
        [] => bytes.extend(header(POLYGON, 0)),
        [polygon] => write_bytes(&mut bytes, polygon),
        _ => {
            bytes.extend(header(MULTI_POLYGON, polygons.len()));
            polygons.iter().for_each(|polygon| write_bytes(&mut bytes, polygon));
        }
    }
    bytes
}

/// Bytes of polygons in binary; as text they are about as long.
fn size(polygons: &[Polygon]) -> usize {
    let ring = |ring: &Ring| 4 + 16 * (ring.len() + 1);
    9 + polygons.iter().map(|polygon| 9 + rings(polygon).map(ring).sum::<usize>()).sum::<usize>()
}

fn write_bytes(bytes: &mut Vec<u8>, polygon: &Polygon) {
    bytes.extend(header(POLYGON, 1 + polygon.holes.len()));
    for ring in rings(polygon) {
        bytes.extend((ring.len() as u32 + 1).to_le_bytes());
        for point in closed(ring) {
            bytes.extend(point.map(|value| f64::from(value).to_le_bytes()).as_flattened());
        }
    }
}

/// Byte order, type, and the number of what follows.
fn header(kind: u32, count: usize) -> impl Iterator<Item = u8> {
    [1].into_iter().chain(kind.to_le_bytes()).chain((count as u32).to_le_bytes())
}

fn rings(polygon: &Polygon) -> impl Iterator<Item = &Ring> {
    std::iter::once(&polygon.exterior).chain(&polygon.holes)
}

/// The points of a ring, the first again at the end.
fn closed(ring: &Ring) -> impl Iterator<Item = [i32; 2]> {
    ring.iter().chain(ring.first()).copied()
}
