//! COCO's `segmentation` as JSON: what DuckDB makes of a column in which some are polygons and some are masks, and what
//! stands in tables as text.

use super::coco::{FORMS, NoMask, POLYGON, are_points, compressed, nested, size};
use sam_imaging::Rle;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A `segmentation`, or an annotation or a record that has one. Other fields are passed over.
#[derive(serde::Deserialize)]
struct Object<'a> {
    size: Option<Vec<i64>>,
    #[serde(borrow)]
    counts: Option<Counts<'a>>,
    #[serde(borrow)]
    segmentation: Option<&'a RawValue>,
}

/// Compressed or not.
pub enum Counts<'a> {
    Text(Cow<'a, str>),
    Runs(Vec<u32>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Counts<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Counts<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("compressed counts, or a list of run lengths")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Counts::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Counts::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let mut runs = Vec::new();
                while let Some(count) = from.next_element()? {
                    runs.push(count);
                }
                Ok(Counts::Runs(runs))
            }
        }
        from.deserialize_any(Either)
    }
}

/// The mask in a text.
pub fn mask(text: &str) -> Result<Rle, NoMask> {
    match text.trim_start().as_bytes() {
        [b'{', ..] => {}
        [b'[', ..] if polygons(text).is_ok() => return Err(NoMask::Other(POLYGON.into())),
        _ => return Err(NoMask::Other(format!("the text '{}' is no mask; {FORMS}", start(text)))),
    }
    let object: Object<'_> = serde_json::from_str(text).map_err(|error| NoMask::Damaged(invalid(&error)))?;
    match object {
        Object { segmentation: Some(inner), .. } => mask(inner.get()),
        Object { size: Some(sides), counts: Some(counts), .. } => {
            let size = size(sides.into_iter().map(Some));
            let rle = match counts {
                Counts::Text(text) => compressed(&size, text.as_bytes()),
                Counts::Runs(runs) => size.and_then(|[height, width]| {
                    Rle::from_counts(height, width, runs).map_err(|error| error.to_string())
                }),
            };
            rle.map_err(NoMask::Damaged)
        }
        _ => Err(NoMask::Damaged("the JSON object has no size and counts, and no segmentation".into())),
    }
}

/// The counts of a mask as JSON: a list, or a text in quotes.
pub fn counts(text: &str) -> Result<Counts<'_>, String> {
    serde_json::from_str(text).map_err(|error| invalid(&error))
}

/// What is inside an annotation, a record or a segmentation, as deep as it goes: a segmentation.
pub fn inner(text: &str) -> &str {
    let mut text = text.trim();
    while text.starts_with('{')
        && let Ok(Object { segmentation: Some(inner), .. }) = serde_json::from_str(text)
    {
        text = inner.get().trim();
    }
    text
}

/// The polygons in a text, each `x, y, x, y, ...`: a list of such lists, of points `[x, y]`, or of lists of points.
pub fn polygons(text: &str) -> Result<Vec<Vec<f64>>, String> {
    // As COCO has them; anything else is looked at more slowly.
    if let Ok(flat) = serde_json::from_str::<Vec<Vec<f64>>>(text)
        && !are_points(flat.iter().map(Vec::len))
    {
        return Ok(flat);
    }
    let value: Value = serde_json::from_str(text).map_err(|error| invalid(&error))?;
    nested(&value)
}

fn invalid(error: &serde_json::Error) -> String {
    format!("the text is no segmentation as JSON: {error}")
}

/// The start of a text, for an error.
pub fn start(text: &str) -> String {
    let mut start: String = text.chars().take(60).collect();
    if start.len() < text.len() {
        start.push_str("...");
    }
    start
}
