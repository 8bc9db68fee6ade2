//! Masks as arguments, in all the forms of COCO's `segmentation` that hold a mask.

use super::coco::{FORMS, NoMask, POLYGON, Size, compressed, size};
use super::json::{self, Counts};
use crate::engine::{Any, Column, Kind};
use sam_imaging::Rle;
use sam_runtime::{Failure, Result};
use std::borrow::Cow;
use std::ops::Range;

/// Where a record has its mask, or an annotation of COCO its `segmentation`.
const SEGMENTATION: &str = "segmentation";

/// A column of masks, or of records that have one.
pub struct Masks<'a> {
    values: Any<'a>,
}

/// A mask as it stands in the table, not yet looked into.
pub enum Encoded<'a> {
    /// Compressed counts.
    Compressed(Size, Cow<'a, [u8]>),
    /// Run lengths as numbers.
    Runs(Size, std::result::Result<Vec<u32>, String>),
    /// JSON.
    Json(&'a str),
}

impl<'a> Masks<'a> {
    /// Masks in `column`.
    pub fn new(column: Column<'a>) -> Result<Self> {
        Ok(Self { values: Any::new(column)? })
    }

    /// The mask in `row`.
    pub fn get(&self, row: usize) -> Result<Option<Encoded<'a>>> {
        encoded(&self.values, row)
    }
}

/// The mask in a row of `values`.
pub fn encoded<'a>(values: &Any<'a>, row: usize) -> Result<Option<Encoded<'a>>> {
    if values.is_null(row) {
        return Ok(None);
    }
    if let Some(inner) = values.field(SEGMENTATION) {
        return encoded(inner, row);
    }
    match values.kind() {
        Kind::Struct(_) => {
            let field = |name, index| values.field(name).or_else(|| values.unnamed(index));
            let (Some(size), Some(counts)) = (field("size", 0), field("counts", 1)) else {
                return Err(Failure::input(format!("the {} is no mask; {FORMS}", values.name())));
            };
            if size.is_null(row) || counts.is_null(row) {
                return Ok(None);
            }
            let (Some(sides), Some(range)) = (size.elements(), size.range(row)) else {
                return Err(Failure::input(format!("the size of the mask is a {}; {FORMS}", size.name())));
            };
            read(self::size(range.map(|index| sides.integer(index))), counts, row).map(Some)
        }
        Kind::Text => match text(values, row)? {
            "null" => Ok(None),
            text => Ok(Some(Encoded::Json(text))),
        },
        Kind::Number(_) => {
            let number = values.number(row).unwrap_or_default();
            Err(Failure::input(format!("the number {number} is no mask; {FORMS}")))
        }
        Kind::List(elements) | Kind::Array(_, elements) if is_polygon(elements) => Err(Failure::input(POLYGON)),
        Kind::List(elements) | Kind::Array(_, elements) if matches!(elements.kind(), Kind::Null) => {
            Err(Failure::input(format!("a list without masks is no mask; {FORMS}")))
        }
        _ => Err(Failure::input(format!("the {} is no mask; {FORMS}", values.name()))),
    }
}

/// The mask of a struct with `counts`.
fn read<'a>(size: Size, counts: &Any<'a>, row: usize) -> Result<Encoded<'a>> {
    match counts.kind() {
        Kind::Bytes => Ok(Encoded::Compressed(size, Cow::Borrowed(counts.bytes(row).unwrap_or_default()))),
        // A column of JSON where some counts are text and some are numbers.
        Kind::Text => match text(counts, row)? {
            // Neither is compressed: those have no quotes, and end with a character below 'P'.
            json if json.starts_with('"') || json.ends_with(']') => Ok(match json::counts(json) {
                Ok(Counts::Text(Cow::Borrowed(text))) => Encoded::Compressed(size, Cow::Borrowed(text.as_bytes())),
                Ok(Counts::Text(Cow::Owned(text))) => Encoded::Compressed(size, Cow::Owned(text.into_bytes())),
                Ok(Counts::Runs(runs)) => Encoded::Runs(size, Ok(runs)),
                Err(reason) => Encoded::Runs(size, Err(reason)),
            }),
            text => Ok(Encoded::Compressed(size, Cow::Borrowed(text.as_bytes()))),
        },
        _ => match (counts.elements(), counts.range(row)) {
            (Some(elements), Some(range)) if matches!(elements.kind(), Kind::Number(_) | Kind::Null) => {
                Ok(Encoded::Runs(size, runs(elements, range)))
            }
            _ => Err(Failure::input(format!("the counts of the mask are a {}; {FORMS}", counts.name()))),
        },
    }
}

fn runs(elements: &Any<'_>, range: Range<usize>) -> std::result::Result<Vec<u32>, String> {
    let mut runs = Vec::with_capacity(range.len());
    for (index, count) in elements.integers(range).enumerate() {
        let whole = || format!("count {index} of the mask is NULL or has a fraction; a count is a number of pixels");
        let count = count.ok_or_else(whole)?;
        let pixels = |_| format!("count {index} of the mask is {count}; a count is between 0 and 4294967295");
        runs.push(u32::try_from(count).map_err(pixels)?);
    }
    Ok(runs)
}

/// A text, without space around it.
pub fn text<'a>(values: &Any<'a>, row: usize) -> Result<&'a str> {
    let text = std::str::from_utf8(values.bytes(row).unwrap_or_default());
    text.map(str::trim)
        .map_err(|error| Failure::internal(format!("the engine passed a VARCHAR that is no UTF-8: {error}")))
}

/// Whether the elements of a list make it a polygon or several.
fn is_polygon(elements: &Any<'_>) -> bool {
    match elements.kind() {
        Kind::Number(_) => true,
        Kind::List(inner) | Kind::Array(_, inner) => is_polygon(inner),
        _ => false,
    }
}

/// Lists of masks: for each row those of its list.
pub struct Lists<'a> {
    values: Any<'a>,
}

impl<'a> Lists<'a> {
    /// Lists in `column`.
    pub fn new(column: Column<'a>) -> Result<Self> {
        Ok(Self { values: Any::new(column)? })
    }

    /// The masks in the list of `row`, or the one that is there instead; `None` where that is NULL.
    pub fn get(&self, row: usize) -> Result<Option<Vec<Option<Encoded<'a>>>>> {
        match self.values.elements() {
            Some(elements) if !is_polygon(elements) => {
                let range = self.values.range(row);
                range.map(|range| range.map(|index| encoded(elements, index)).collect()).transpose()
            }
            _ => Ok(encoded(&self.values, row)?.map(|mask| vec![Some(mask)])),
        }
    }
}

impl Encoded<'_> {
    /// The mask, or why it is none.
    pub fn look(&self) -> std::result::Result<Rle, NoMask> {
        match self {
            Encoded::Compressed(size, counts) => compressed(size, counts),
            Encoded::Runs(size, runs) => {
                let runs = runs.clone();
                size.clone().and_then(|[height, width]| {
                    Rle::from_counts(height, width, runs?).map_err(|error| error.to_string())
                })
            }
            Encoded::Json(text) => return json::mask(text),
        }
        .map_err(NoMask::Damaged)
    }

    /// What is wrong with it.
    pub fn error(&self) -> Option<String> {
        self.look().err().map(|(NoMask::Damaged(reason) | NoMask::Other(reason))| reason)
    }

    /// The mask; `None` where it is damaged.
    pub fn decode(&self) -> Result<Option<Rle>> {
        match self.look() {
            Ok(mask) => Ok(Some(mask)),
            Err(NoMask::Damaged(_)) => Ok(None),
            Err(NoMask::Other(reason)) => Err(Failure::input(reason)),
        }
    }
}
