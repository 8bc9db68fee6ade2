//! `mask_to_rle`, `mask_from_rle`, `mask_to_png`: masks in other forms.

use super::coco::sides;
use super::{MASK, ONE, TOGETHER, each, write};
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::dense::{Values, elements_of_list, range_of_list, split};
use crate::functions::rows::{Rows, write_bytes};
use rayon::prelude::*;
use sam_imaging::{Mask, Rle};
use sam_runtime::{Failure, Result, Results};

/// `mask_to_rle(mask, height, width)`
pub static TO_RLE: ScalarFunction = ScalarFunction {
    name: c"mask_to_rle",
    help: Help {
        category: Category::Masks,
        description: "Converts a dense mask into its compact form. The dense mask has one value per pixel, row by row, \
            of an image with `height` rows and `width` columns. A pixel is in the mask where its value is above 0.5. \
            This suits the probabilities of `sam_segment`, 0 and 1, 0 and 255, and false and true. Masks of bytes \
            (`UTINYINT[]`, `BOOLEAN[]`) take a quarter of the memory, and less time.",
        example: "mask_to_rle([0, 1, 0.5, 0.7, 0.2, 0.9], 2, 3)",
    },
    overloads: &[Overload {
        parameters: &[
            Parameter {
                refused: &[Type::Bigint],
                ..Parameter::new(
                    "mask",
                    &[
                        Type::List(&Type::Float),
                        Type::List(&Type::Double),
                        Type::List(&Type::Utinyint),
                        Type::List(&Type::Boolean),
                    ],
                )
            },
            Parameter::new("height", &[Type::Bigint]),
            Parameter::new("width", &[Type::Bigint]),
        ],
        returns: MASK,
        run: to_rle,
    }],
};

/// `mask_from_rle(mask)`
pub static FROM_RLE: ScalarFunction = ScalarFunction {
    name: c"mask_from_rle",
    help: Help {
        category: Category::Masks,
        description: "Converts a mask into its dense form, one value per pixel, row by row: 1 in the mask, 0 outside. \
            It takes four bytes per pixel. An invalid mask gives NULL.",
        example: "mask_from_rle(mask)",
    },
    overloads: &[Overload { parameters: &[ONE], returns: Type::List(&Type::Float), run: from_rle }],
};

/// `mask_to_png(mask)`
pub static TO_PNG: ScalarFunction = ScalarFunction {
    name: c"mask_to_png",
    help: Help {
        category: Category::Masks,
        description: "Converts a mask into a PNG with one channel: 255 in the mask, 0 outside. An invalid mask, or one \
            without rows or columns, gives NULL.",
        example: "mask_to_png(mask)",
    },
    overloads: &[Overload { parameters: &[ONE], returns: Type::Blob, run: to_png }],
};

/// Above this a pixel is in the mask: where the logit of the probability is above 0.
const THRESHOLD: f32 = 0.5;

/// A dense mask with height and width.
fn encode(values: Values<'_>, [height, width]: [u32; 2]) -> Rle {
    let mask = match values {
        Values::Floats(values) => Mask::from_values(width, height, values, |value| value > THRESHOLD),
        // Not by rounding to single precision, which could reach the threshold.
        Values::Doubles(values) => Mask::from_values(width, height, values, |value| value > f64::from(THRESHOLD)),
        Values::Bytes(values) => Mask::from_values(width, height, values, |value| value != 0),
    };
    Rle::from_mask(&mask)
}

fn to_rle(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let masks = input.column(0)?;
    let (values, heights, widths) = (elements_of_list(&masks)?, input.column(1)?, input.column(2)?);
    let argument = |row| {
        let range = range_of_list("dense mask", &masks, row)?;
        let (Some(range), Some(height), Some(width)) = (range, heights.bigint(row), widths.bigint(row)) else {
            return Ok(None);
        };
        let has_null = || Failure::input("the mask contains NULL; give a number for each pixel");
        let dense = Values::read(&values, range).ok_or_else(has_null)?;
        Ok(Some((size(height, width, dense.len())?, dense)))
    };
    let rows = Rows::new(input)?;
    let arguments = rows.read(argument)?;
    let masks = rows.call.rows(&arguments, 1, |(size, dense)| Ok(Some(encode(*dense, *size))))?;
    write(masks.iter().map(Option::as_ref), output.reborrow())
}

/// Height and width, which must be those of a mask with so many values.
fn size(height: i64, width: i64, values: usize) -> Result<[u32; 2]> {
    let sides = sides(height, width)?;
    match sides.map(u64::from).iter().product::<u64>() == values as u64 {
        true => Ok(sides),
        false => Err(Failure::input(format!(
            "the mask has {values} values, which are not height {height} times width {width}; give the height and width of its picture"
        ))),
    }
}

fn from_rle(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let call = input.caller().begin()?;
    let masks = each(input, TOGETHER, |mask| Ok(Some(mask)))?;
    let pixels = |mask: &Option<Rle>| mask.as_ref().map_or(0, |mask| mask.height as usize * mask.width as usize);
    let lengths: Vec<usize> = masks.iter().map(pixels).collect();
    call.settings().results.check_masks(&lengths, Results::Masks)?;
    let mut all = output.lists(&lengths)?;
    let pieces = split(all.reborrow().floats(), &lengths)?;
    call.session().pool().run(|| {
        masks.par_iter().zip(pieces).try_for_each(|(mask, values)| match mask {
            Some(mask) => mask.try_to_mask().map(|mask| mask.write_floats(values)),
            None => Ok(()),
        })
    })??;
    output.set_nulls(&masks)
}

fn to_png(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let limits = input.caller().settings()?.images;
    let pictures = each(input, 1, |mask| match mask.height.min(mask.width) {
        0 => Ok(None),
        _ => Ok(Some(sam_imaging::mask_png(&mask, &limits)?)),
    })?;
    write_bytes(&pictures, output)
}
