//! `mask_from_polygons`, `mask_from_coco`: masks from the forms of COCO's `segmentation` that say no size.

use super::coco::{NoMask, POLYGONS, are_points, pair, sides};
use super::read::{Encoded, encoded, text};
use super::{BYTES, MASK, RUNS, TOGETHER, WIDE, json, sizes_differ, write};
use crate::engine::{Any, Category, Help, Input, Kind, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::rows::Rows;
use sam_imaging::Rle;
use sam_runtime::{Failure, Result};
use std::borrow::Cow;

/// `mask_from_polygons(polygons, height, width)`
pub static FROM_POLYGONS: ScalarFunction = ScalarFunction {
    name: c"mask_from_polygons",
    help: Help {
        category: Category::Masks,
        description: "Returns the mask of an object with these outlines, bit for bit as pycocotools makes it. The mask \
            has `height` x `width` pixels. COCO's polygons are lists `[x, y, x, y, ...]` in pixels, one for each part \
            of an object. A single one, a list of points `[x, y]`, lists of those, and JSON of any of them are \
            accepted too. The mask has the pixels that are in any of the parts. What is outside the image is cut off. \
            An empty list gives a mask without pixels, NULL gives NULL. A part with fewer than 3 corners, an odd count \
            of numbers, NULL, NaN or a coordinate farther than 400,000,000 pixels away is an error.",
        example: "mask_from_polygons([[10, 10, 30, 10, 30, 25, 10, 25]], 60, 80)",
    },
    overloads: &[Overload {
        parameters: &[
            Parameter::any("polygons", &[FLAT, Type::List(&Type::Double), Type::List(&FLAT), Type::Varchar]),
            HEIGHT,
            WIDTH,
        ],
        returns: MASK,
        run: |input, output| run(input, output, false),
    }],
};

/// `mask_from_coco(segmentation, height, width)`
pub static FROM_COCO: ScalarFunction = ScalarFunction {
    name: c"mask_from_coco",
    help: Help {
        category: Category::Masks,
        description: "Returns the mask of COCO's `segmentation` in any of its forms. These are polygons, as \
            `mask_from_polygons` takes them, run lengths, and compressed run lengths. They may be a struct, a list, or \
            JSON, as which DuckDB reads a column that has several forms. `height` and `width` are those of the image. \
            Run lengths of another size are an error, and so is a value that is not a segmentation. NULL gives NULL.",
        example: "mask_from_coco('{\"size\": [60, 80], \"counts\": [100, 30, 4670]}', 60, 80)",
    },
    overloads: &[Overload {
        parameters: &[Parameter::any("segmentation", &[Type::Varchar, FLAT, MASK, WIDE, RUNS, BYTES]), HEIGHT, WIDTH],
        returns: MASK,
        run: |input, output| run(input, output, true),
    }],
};

const FLAT: Type = Type::List(&Type::List(&Type::Double));
const HEIGHT: Parameter = Parameter::new("height", &[Type::Bigint]);
const WIDTH: Parameter = Parameter::new("width", &[Type::Bigint]);

/// A segmentation as it stands in the table.
enum Segmentation<'a> {
    Polygons(Vec<Cow<'a, [f64]>>),
    Mask(Encoded<'a>),
    Json(&'a str),
}

fn run(input: &Input<'_>, output: &mut Output<'_>, masks_too: bool) -> Result<()> {
    let (values, heights, widths) = (Any::new(input.column(0)?)?, input.column(1)?, input.column(2)?);
    let rows = Rows::new(input)?;
    let arguments = rows.read(|row| {
        let (Some(height), Some(width)) = (heights.bigint(row), widths.bigint(row)) else { return Ok(None) };
        Ok(segmentation(&values, row)?.map(|found| (sides(height, width), found)))
    })?;
    let masks = rows.call.rows(&arguments, TOGETHER, |(size, found)| {
        let size = size.clone()?;
        match found {
            Segmentation::Polygons(polygons) => rasterised(size, polygons).map(Some),
            Segmentation::Json(text) if text.starts_with('[') => {
                rasterised(size, &json::polygons(text).map_err(Failure::input)?).map(Some)
            }
            Segmentation::Json(text) if !masks_too && !text.starts_with('{') => {
                Err(Failure::input(format!("the text '{}' is no list of polygons; {POLYGONS}", json::start(text))))
            }
            _ if !masks_too => Err(Failure::input(
                "this segmentation is a mask, not a list of polygons; use it as it is, or mask_from_coco(segmentation, \
                 height, width) where some are polygons and some are masks",
            )),
            Segmentation::Json(text) => fitting(size, json::mask(text)).map(Some),
            Segmentation::Mask(mask) => fitting(size, mask.look()).map(Some),
        }
    })?;
    write(masks.iter().map(Option::as_ref), output.reborrow())
}

fn rasterised<P: AsRef<[f64]>>([height, width]: [u32; 2], polygons: &[P]) -> Result<Rle> {
    Rle::from_polygons(height, width, polygons).map_err(|error| Failure::input(error.to_string()))
}

/// A mask, which must be of the image's size.
fn fitting([height, width]: [u32; 2], mask: std::result::Result<Rle, NoMask>) -> Result<Rle> {
    match mask {
        Ok(mask) if [mask.height, mask.width] == [height, width] => Ok(mask),
        Ok(mask) => Err(sizes_differ(
            ["the segmentation", "the picture by height and width"],
            [[mask.height, mask.width], [height, width]],
        )),
        Err(NoMask::Damaged(reason) | NoMask::Other(reason)) => Err(Failure::input(reason)),
    }
}

/// The segmentation in a row.
fn segmentation<'a>(values: &Any<'a>, row: usize) -> Result<Option<Segmentation<'a>>> {
    if values.is_null(row) {
        return Ok(None);
    }
    if let Some(inner) = values.field("segmentation") {
        return segmentation(inner, row);
    }
    match values.kind() {
        Kind::Text => match json::inner(text(values, row)?) {
            "null" => Ok(None),
            text => Ok(Some(Segmentation::Json(text))),
        },
        Kind::Struct(_) => Ok(encoded(values, row)?.map(Segmentation::Mask)),
        Kind::List(elements) | Kind::Array(_, elements) => {
            let range = values.range(row).unwrap_or_default();
            polygons(values, elements, range).map(|polygons| Some(Segmentation::Polygons(polygons)))
        }
        _ => Err(Failure::input(format!("the {} is no segmentation; {POLYGONS}", values.name()))),
    }
}

/// The polygons of a list with these elements.
fn polygons<'a>(values: &Any<'a>, elements: &Any<'a>, range: std::ops::Range<usize>) -> Result<Vec<Cow<'a, [f64]>>> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let has_null = |polygon| Failure::input(format!("polygon {polygon} has a NULL; {POLYGONS}"));
    let wrong = || Failure::input(format!("the {} is no list of polygons; {POLYGONS}", values.name()));
    match (elements.kind(), elements.elements()) {
        (Kind::Number(_) | Kind::Null, _) => Ok(vec![elements.numbers(range).ok_or_else(|| has_null(1))?]),
        (_, Some(inner)) => {
            let numbered = || range.clone().zip(1..);
            let ranges: Vec<_> = numbered()
                .map(|(row, polygon)| elements.range(row).ok_or_else(|| has_null(polygon)))
                .collect::<Result<_>>()?;
            match (inner.kind(), inner.elements()) {
                (Kind::Number(_) | Kind::Null, _) => {
                    let points = are_points(ranges.iter().map(ExactSizeIterator::len));
                    let numbers = |(range, polygon)| inner.numbers(range).ok_or_else(|| has_null(polygon));
                    let lists = ranges.into_iter().zip(1..).map(numbers).collect::<Result<Vec<_>>>()?;
                    Ok(if points { vec![Cow::Owned(lists.concat())] } else { lists })
                }
                (_, Some(coordinates)) if matches!(coordinates.kind(), Kind::Number(_) | Kind::Null) => {
                    let polygon = |(points, polygon): (std::ops::Range<usize>, usize)| {
                        let mut numbers = Vec::with_capacity(2 * points.len());
                        for point in points {
                            let range = inner.range(point).ok_or_else(|| has_null(polygon))?;
                            let point = coordinates.numbers(range).ok_or_else(|| has_null(polygon))?;
                            numbers.extend(pair(polygon, &point).map_err(Failure::input)?);
                        }
                        Ok(Cow::Owned(numbers))
                    };
                    ranges.into_iter().zip(1..).map(polygon).collect()
                }
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polygons_as_json() {
        let read = |text: &str| json::polygons(text);
        let square = vec![1.0, 1.0, 3.0, 1.0, 3.0, 2.5];
        for text in [
            "[[1, 1, 3, 1, 3, 2.5]]",
            "[1, 1, 3, 1, 3, 2.5]",
            "[[1, 1], [3, 1], [3, 2.5]]",
            "[[[1, 1], [3, 1], [3, 2.5]]]",
        ] {
            assert_eq!(read(text), Ok(vec![square.clone()]), "{text}");
        }
        assert_eq!(read("[]"), Ok(vec![]));
        assert_eq!(read("[[], [1]]"), Ok(vec![vec![], vec![1.0]]));
        let error = |text: &str| read(text).unwrap_err();
        assert!(error("[[[1, 1], [3, 1, 4]]]").starts_with("polygon 1 has a point of 3 numbers"));
        assert!(error("[[1, 1], [3, null]]").starts_with("polygon 2 has what is no number"));
        assert!(error("[[1, NaN]]").starts_with("the text is no segmentation as JSON: "));
        assert!(error("[\"a\"]").starts_with("polygon 1 has what is no number"));
    }

    #[test]
    fn masks_as_json() {
        let square = Rle::from_counts(2, 3, vec![1, 3, 2]).unwrap();
        for text in [
            r#"{"size": [2, 3], "counts": [1, 3, 2]}"#,
            r#"{"counts": "132", "size": [2, 3]}"#,
            r#" {"id": 7, "segmentation": {"counts": "132", "size": [2, 3], "more": {}}, "iscrowd": 1}"#,
        ] {
            assert_eq!(json::mask(text), Ok(square.clone()), "{text}");
        }
        let damaged = |text: &str| matches!(json::mask(text), Err(NoMask::Damaged(_)));
        assert!(damaged("{"));
        assert!(damaged(r#"{"size": [2, 3]}"#));
        assert!(damaged(r#"{"size": [2, 3], "counts": [1, 3, -2]}"#));
        assert!(damaged(r#"{"size": [2, 3], "counts": [1, 3, 2.5]}"#));
        assert!(damaged(r#"{"size": [2, 3], "counts": "13"}"#));
        assert!(
            matches!(json::mask("[[1, 2, 3, 4, 5, 6]]"), Err(NoMask::Other(reason)) if reason == super::super::coco::POLYGON)
        );
        assert!(
            matches!(json::mask("abc"), Err(NoMask::Other(reason)) if reason.starts_with("the text 'abc' is no mask"))
        );
    }
}
