//! Functions on masks: COCO's compressed run lengths in and out.
//!
//! A value that is no mask gives NULL, as bytes that are no picture do: DuckDB runs functions on rows that a filter
//! drops later, and an error there would fail the query. `mask_error` tells what is wrong. Arguments that are wrong in
//! themselves, and masks of different sizes, are errors.

mod combine;
mod convert;
mod measure;

pub use combine::{CLEAN, DIFFERENCE, INTERSECT, UNION};
pub use convert::{FROM_RLE, TO_PNG, TO_RLE, TO_WKB, TO_WKT};
pub use measure::{AREA, BBOX, ERROR, IOU};

use crate::engine::{Column, Input, Output, Parameter, Type};
use crate::failure::{Failure, Result};
use crate::functions::rows::Rows;
use crate::functions::types::{FOUND, MASK, SEG, SEGMENTATION};
use sam_imaging::Rle;

/// A mask as an argument: with the widest of integers, which `size` has where DuckDB reads it from JSON. Masks with
/// other integers are cast to it.
const ARGUMENT: Type = Type::Struct(&[(c"size", Type::List(&Type::Bigint)), (c"counts", Type::Varchar)]);

/// A mask, or a record that has one. Of several types the engine takes the number for a plain `NULL`.
pub const ONE: Parameter = Parameter { refused: &[Type::Bigint], ..Parameter::new("mask", &[ARGUMENT, SEG, FOUND]) };

/// Several masks.
const MANY: Parameter = Parameter {
    refused: &[Type::Bigint, Type::List(&Type::Bigint)],
    ..Parameter::new("masks", &[Type::List(&ARGUMENT), Type::List(&SEG), Type::List(&FOUND)])
};

/// A mask or several.
pub const ONE_OR_MANY: Parameter = Parameter {
    refused: MANY.refused,
    ..Parameter::new("mask", &[ARGUMENT, SEG, FOUND, Type::List(&ARGUMENT), Type::List(&SEG), Type::List(&FOUND)])
};

/// Two masks.
const PAIR: &[Parameter] = &[Parameter { name: "a", ..ONE }, Parameter { name: "b", ..ONE }];

/// Rows that a thread does at least, before another takes over: a mask takes microseconds.
const TOGETHER: usize = 32;

/// Longest side of a mask. Larger ones than any picture's, but not so large that a forged size takes all memory.
const MAX_SIDE: i64 = 1_000_000;

/// A column of masks, or of records that have one.
pub struct Masks<'a> {
    values: Column<'a>,
    parts: Option<Parts<'a>>,
}

struct Parts<'a> {
    masks: Column<'a>,
    sizes: Column<'a>,
    sides: Column<'a>,
    counts: Column<'a>,
}

/// A mask as it stands in the table, not yet looked into.
pub struct Encoded<'a> {
    size: std::result::Result<[u32; 2], String>,
    counts: &'a str,
}

impl<'a> Masks<'a> {
    /// Masks in `values`.
    pub fn new(values: Column<'a>) -> Result<Self> {
        let Type::Struct(fields) = values.kind() else { return Ok(Self { values, parts: None }) };
        let masks = match fields.iter().position(|(name, _)| *name == SEGMENTATION) {
            Some(index) => values.field(index)?,
            None => values,
        };
        let sizes = masks.field(0)?;
        let parts = Parts { masks, sizes, sides: sizes.elements()?, counts: masks.field(1)? };
        Ok(Self { values, parts: Some(parts) })
    }

    /// The mask in `row`.
    pub fn get(&self, row: usize) -> Result<Option<Encoded<'a>>> {
        if self.values.is_null(row) {
            return Ok(None);
        }
        let Some(Parts { masks, sizes, sides, counts }) = &self.parts else {
            return Err(Failure::new(format!(
                "the number {} is no mask; a mask is a STRUCT(size INTEGER[], counts VARCHAR), or a record that has \
                 one as its segmentation",
                self.values.bigint(row).unwrap_or_default()
            )));
        };
        if masks.is_null(row) {
            return Ok(None);
        }
        let (Some(range), Some(counts)) = (sizes.range(row), counts.text(row)?) else { return Ok(None) };
        Ok(Some(Encoded { size: size(range.map(|index| sides.whole(index))), counts }))
    }
}

/// Lists of masks: for each row those of its list.
pub struct Lists<'a> {
    column: Column<'a>,
    masks: Masks<'a>,
}

impl<'a> Lists<'a> {
    /// Lists in `column`.
    pub fn new(column: Column<'a>) -> Result<Self> {
        let masks = match column.kind() {
            Type::List(_) => column.elements()?,
            _ => column,
        };
        Ok(Self { column, masks: Masks::new(masks)? })
    }

    /// The masks in the list of `row`; `None` where that is NULL.
    pub fn get(&self, row: usize) -> Result<Option<Vec<Option<Encoded<'a>>>>> {
        match self.column.kind() {
            Type::List(_) => {
                let range = self.column.range(row);
                range.map(|range| range.map(|index| self.masks.get(index)).collect()).transpose()
            }
            _ => Ok(self.masks.get(row)?.map(|mask| vec![Some(mask)])),
        }
    }
}

/// Height and width, checked.
fn size(sides: impl ExactSizeIterator<Item = Option<i64>>) -> std::result::Result<[u32; 2], String> {
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

impl Encoded<'_> {
    /// The mask, or what is wrong with it.
    pub fn decode(&self) -> std::result::Result<Rle, String> {
        let [height, width] = self.size.clone()?;
        Rle::from_counts_string(height, width, self.counts).map_err(|error| error.to_string())
    }
}

/// The first argument as masks, with another argument each: rows in which either is NULL have none.
fn with<'a, T>(
    input: &Input<'a>,
    rows: &Rows,
    other: impl Fn(usize) -> Result<Option<T>>,
) -> Result<Vec<Option<(Encoded<'a>, T)>>> {
    let masks = Masks::new(input.column(0)?)?;
    rows.read(|row| Ok(masks.get(row)?.zip(other(row)?)))
}

/// What `work` makes of the mask in the first argument, where it is one.
fn each<T: Send>(
    input: &Input<'_>,
    together: usize,
    work: impl Fn(Rle) -> Result<Option<T>> + Sync,
) -> Result<Vec<Option<T>>> {
    let (rows, masks) = (Rows::new(input)?, Masks::new(input.column(0)?)?);
    let masks = rows.read(|row| masks.get(row))?;
    rows.compute(&masks, together, |mask| mask.decode().map_or(Ok(None), &work))
}

/// Writes masks; NULL where there is none.
pub fn write<'r>(masks: impl Iterator<Item = Option<&'r Rle>> + Clone, mut output: Output<'_>) -> Result<()> {
    let lengths: Vec<usize> = masks.clone().map(|mask| if mask.is_some() { 2 } else { 0 }).collect();
    {
        let mut sizes = output.field(0)?;
        let sizes = sizes.lists(&lengths)?.integers().as_chunks_mut::<2>().0;
        for (size, mask) in sizes.iter_mut().zip(masks.clone().flatten()) {
            let side = |pixels: u32| i32::try_from(pixels).map_err(Failure::internal);
            *size = [side(mask.height)?, side(mask.width)?];
        }
    }
    for (row, mask) in masks.enumerate() {
        match mask {
            Some(mask) => output.field(1)?.set_bytes(row, mask.to_counts_string().as_bytes())?,
            None => output.set_null(row)?,
        }
    }
    Ok(())
}

/// The failure for two sizes, height and width each, that should be one.
pub fn sizes_differ(what: [&str; 2], sizes: [[u32; 2]; 2]) -> Failure {
    let [a, b] = sizes.map(|[height, width]| format!("{height} x {width}"));
    Failure::new(format!(
        "{} is {a} pixels (height x width) and {} is {b}; both must be of one picture, at the same size",
        what[0], what[1]
    ))
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
