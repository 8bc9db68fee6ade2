//! Functions on masks: COCO's compressed run lengths out, and all that COCO calls a `segmentation` in.
//!
//! An invalid mask gives NULL, as bytes that are not an image do. DuckDB runs functions on rows that a filter drops
//! later, and an error there would fail the query. `mask_error` tells what is wrong. Arguments that are wrong in
//! themselves, and masks of different sizes, are errors.

mod coco;
mod combine;
mod convert;
mod json;
mod labels;
mod measure;
mod nms;
mod outline;
mod place;
mod polygons;
mod read;
mod shape;

pub use combine::{CLEAN, DIFFERENCE, INTERSECT, UNION};
pub use convert::{FROM_RLE, TO_PNG, TO_RLE};
pub use labels::{FROM_LABELS, LABELS};
pub use measure::{AREA, BBOX, ERROR, IOU};
pub use nms::{IOU_MATRIX, NMS};
pub use outline::{TO_WKB, TO_WKT};
pub use place::PLACE;
pub use polygons::{FROM_COCO, FROM_POLYGONS};
pub use read::{Encoded, Lists, Masks};
pub use shape::SHAPE;

use crate::engine::{Input, Output, Parameter, Type};
use crate::functions::rows::Rows;
use crate::functions::types::{FOUND, MASK, SEG};
use sam_imaging::Rle;
use sam_runtime::{Call, Failure, Result};
use std::fmt::Display;

/// COCO's other forms. `size` has the widest of integers where DuckDB reads it from JSON. Run lengths may be numbers,
/// as COCO publishes those of crowds, or bytes, as pycocotools returns them.
const WIDE: Type = Type::Struct(&[(c"size", Type::List(&Type::Bigint)), (c"counts", Type::Varchar)]);
const RUNS: Type = Type::Struct(&[(c"size", Type::List(&Type::Bigint)), (c"counts", Type::List(&Type::Bigint))]);
const BYTES: Type = Type::Struct(&[(c"size", Type::List(&Type::Bigint)), (c"counts", Type::Blob)]);

/// A mask, or a record that has one.
pub const ONE: Parameter = Parameter::any("mask", &[WIDE, SEG, FOUND, RUNS, BYTES, Type::Varchar]);

/// Several masks.
const MANY: Parameter = Parameter::any(
    "masks",
    &[
        Type::List(&WIDE),
        Type::List(&SEG),
        Type::List(&FOUND),
        Type::List(&RUNS),
        Type::List(&BYTES),
        Type::List(&Type::Varchar),
    ],
);

/// A mask or several.
pub const ONE_OR_MANY: Parameter = Parameter::any(
    "mask",
    &[
        WIDE,
        SEG,
        FOUND,
        RUNS,
        BYTES,
        Type::Varchar,
        Type::List(&WIDE),
        Type::List(&SEG),
        Type::List(&FOUND),
        Type::List(&RUNS),
        Type::List(&BYTES),
        Type::List(&Type::Varchar),
    ],
);

/// Two masks.
const PAIR: &[Parameter] = &[Parameter { name: "a", ..ONE }, Parameter { name: "b", ..ONE }];

/// Rows that a thread does at least, before another takes over: a mask takes microseconds.
const TOGETHER: usize = 32;

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
fn each<T: Send + Sync>(
    input: &Input<'_>,
    together: usize,
    work: impl Fn(Rle) -> Result<Option<T>> + Sync,
) -> Result<Vec<Option<T>>> {
    let (rows, masks) = (Rows::new(input)?, Masks::new(input.column(0)?)?);
    let masks = rows.read(|row| masks.get(row))?;
    rows.call.rows(&masks, together, |mask| mask.decode()?.map_or(Ok(None), &work))
}

/// The masks of a list, which must be of one size, with their places in it, from 0 on. NULLs have none; where one is invalid
/// there is no list. Between masks it is asked whether the call is cancelled.
pub fn of_one_size(list: &[Option<Encoded<'_>>], call: &Call<'_>) -> Result<Option<Vec<(usize, Rle)>>> {
    let mut masks: Vec<(usize, Rle)> = Vec::with_capacity(list.len());
    for (place, mask) in list.iter().enumerate() {
        let Some(mask) = mask else { continue };
        call.check()?;
        let Some(mask) = mask.decode()? else { return Ok(None) };
        if let Some((first, before)) = masks.last()
            && [before.height, before.width] != [mask.height, mask.width]
        {
            let sizes = [[before.height, before.width], [mask.height, mask.width]];
            return Err(sizes_differ([first, &place].map(|place| format!("mask {}", place + 1)), sizes));
        }
        masks.push((place, mask));
    }
    Ok(Some(masks))
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
    output.each(masks, |output, row, mask| output.field(1)?.set_bytes(row, mask.to_counts_string().as_bytes()))
}

/// The failure for two sizes, height and width each, that should be one.
pub fn sizes_differ(what: [impl Display; 2], sizes: [[u32; 2]; 2]) -> Failure {
    let [a, b] = sizes.map(|[height, width]| format!("{height} x {width}"));
    Failure::input(format!(
        "{} is {a} pixels (height x width) and {} is {b}; both must be of one picture, at the same size",
        what[0], what[1]
    ))
}
