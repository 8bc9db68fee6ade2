//! What COCO's forms of a `segmentation` have in common, whatever they are read from: sizes, counts, polygons as numbers.

use sam_imaging::Rle;
use sam_runtime::{Failure, Result};
use serde_json::Value;

/// Longest side of a mask. Larger ones than any image's, but not so large that a forged size takes all memory.
pub const MAX_SIDE: i64 = 1_000_000;

/// Height and width, or what is wrong with them.
pub type Size = std::result::Result<[u32; 2], String>;

/// Why a value is no mask.
#[derive(Debug, PartialEq)]
pub enum NoMask {
    /// It is a mask that is damaged: NULL, as bytes that are not an image are.
    Damaged(String),
    /// It is something else: a wrong argument, which is an error.
    Other(String),
}

/// What a mask looks like.
pub const FORMS: &str = "a mask is a STRUCT(size INTEGER[], counts VARCHAR), with counts as run lengths too, the same as \
                         JSON, or a record that has one as its segmentation";

/// What to do with a list of numbers.
pub const POLYGON: &str = "a list of numbers is no mask, for it does not say how large the picture is; of the dense mask of \
                           sam_segment write mask_to_rle(mask, height, width), or use sam_annotate, of a polygon \
                           mask_from_polygons(segmentation, height, width), or mask_from_coco(segmentation, height, \
                           width) where some are polygons and some are masks";

/// What polygons look like.
pub const POLYGONS: &str = "polygons are lists [[x, y, x, y, ...], ...] in pixels";

/// Height and width as arguments.
pub fn sides(height: i64, width: i64) -> Result<[u32; 2]> {
    match [height, width].map(|side| u32::try_from(side).ok().filter(|&side| i64::from(side) <= MAX_SIDE)) {
        [Some(height), Some(width)] => Ok([height, width]),
        _ => Err(Failure::input(format!(
            "height {height} and width {width} are no size of a mask; a side has 0 to {MAX_SIDE} pixels"
        ))),
    }
}

/// Height and width, checked.
pub fn size(sides: impl ExactSizeIterator<Item = Option<i64>>) -> Size {
    let count = sides.len();
    let sides: Vec<_> = sides.take(4).collect();
    let shown = || {
        let shown: Vec<_> = sides.iter().map(|side| side.map_or("NULL".into(), |side| side.to_string())).collect();
        format!("[{}{}]", shown.join(", "), if count > sides.len() { ", ..." } else { "" })
    };
    let [Some(height), Some(width)] = sides[..] else {
        return Err(format!("the size {} of the mask is not [height, width]", shown()));
    };
    if !(0..=MAX_SIDE).contains(&height) || !(0..=MAX_SIDE).contains(&width) {
        return Err(format!("the size {} of the mask is impossible; a side has 0 to {MAX_SIDE} pixels", shown()));
    }
    Ok([height as u32, width as u32])
}

/// The mask with compressed counts.
pub fn compressed(size: &Size, counts: &[u8]) -> std::result::Result<Rle, String> {
    let [height, width] = size.clone()?;
    Rle::from_counts_bytes(height, width, counts).map_err(|error| error.to_string())
}

/// Whether lists of these lengths are the points `[x, y]` of one polygon: lists of two numbers are no polygons.
pub fn are_points(lengths: impl IntoIterator<Item = usize>) -> bool {
    let mut lengths = lengths.into_iter().peekable();
    lengths.peek().is_some() && lengths.all(|length| length == 2)
}

/// A point of a polygon.
pub fn pair(polygon: usize, numbers: &[f64]) -> std::result::Result<[f64; 2], String> {
    let count = numbers.len();
    numbers.try_into().map_err(|_| format!("polygon {polygon} has a point of {count} numbers; a point is [x, y]"))
}

/// The polygons in JSON.
pub fn nested(value: &Value) -> std::result::Result<Vec<Vec<f64>>, String> {
    let lists = value.as_array().ok_or_else(|| format!("the JSON is no list of polygons; {POLYGONS}"))?;
    let numbers = |polygon: usize, list: &Value| -> std::result::Result<Vec<f64>, String> {
        let numbers = list.as_array().map(|list| list.iter().map(Value::as_f64).collect());
        numbers.flatten().ok_or_else(|| format!("polygon {polygon} has what is no number; {POLYGONS}"))
    };
    match lists.first() {
        None => Ok(Vec::new()),
        Some(Value::Array(first)) if first.first().is_some_and(Value::is_array) => lists
            .iter()
            .zip(1..)
            .map(|(polygon, number)| {
                let points = polygon.as_array().ok_or_else(|| format!("polygon {number} is no list; {POLYGONS}"))?;
                let point = |point| numbers(number, point).and_then(|point| pair(number, &point));
                Ok(points.iter().map(point).collect::<std::result::Result<Vec<_>, String>>()?.concat())
            })
            .collect(),
        Some(Value::Array(_)) => {
            let lists: Vec<_> = lists
                .iter()
                .zip(1..)
                .map(|(list, polygon)| numbers(polygon, list))
                .collect::<std::result::Result<_, _>>()?;
            Ok(if are_points(lists.iter().map(Vec::len)) { vec![lists.concat()] } else { lists })
        }
        Some(_) => Ok(vec![numbers(1, value)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_height_and_width() {
        let checked = |sides: &[Option<i64>]| size(sides.iter().copied());
        assert_eq!(checked(&[Some(3), Some(0)]), Ok([3, 0]));
        let not = |sides: &[Option<i64>]| checked(sides).unwrap_err();
        assert_eq!(not(&[Some(3)]), "the size [3] of the mask is not [height, width]");
        assert_eq!(not(&[Some(3), None]), "the size [3, NULL] of the mask is not [height, width]");
        assert_eq!(not(&[Some(1); 9]), "the size [1, 1, 1, 1, ...] of the mask is not [height, width]");
        assert_eq!(
            not(&[Some(-1), Some(2_000_000)]),
            "the size [-1, 2000000] of the mask is impossible; a side has 0 to 1000000 pixels"
        );
    }
}
