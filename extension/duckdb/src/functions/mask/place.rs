//! `mask_place`: from a part of a picture to the whole.

use super::coco::sides;
use super::{MASK, ONE, TOGETHER, with, write};
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::rows::Rows;
use sam_runtime::{Failure, Result};

/// `mask_place(mask, x, y, height, width)`
pub static PLACE: ScalarFunction = ScalarFunction {
    name: c"mask_place",
    help: Help {
        category: Category::Masks,
        description: "Places the mask of a part of an image in the whole image, which has `height` rows and `width` \
            columns. `x` and `y` are the upper left corner of the part in the whole, in pixels, as `image_tile` gives \
            them. What lies outside of the whole is cut off. So masks of different tiles can be compared and united. \
            With negative `x` and `y` it cuts a part out of a mask. An invalid mask gives NULL.",
        example: "mask_place(mask, 512, 0, 3000, 4000)",
    },
    overloads: &[Overload {
        parameters: &[
            ONE,
            Parameter::new("x", &[Type::Bigint]),
            Parameter::new("y", &[Type::Bigint]),
            Parameter::new("height", &[Type::Bigint]),
            Parameter::new("width", &[Type::Bigint]),
        ],
        returns: MASK,
        run,
    }],
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let [x, y, heights, widths] = [1, 2, 3, 4].map(|index| input.column(index));
    let (x, y, heights, widths) = (x?, y?, heights?, widths?);
    let rows = Rows::new(input)?;
    let arguments =
        with(input, &rows, |row| match (x.bigint(row), y.bigint(row), heights.bigint(row), widths.bigint(row)) {
            (Some(x), Some(y), Some(height), Some(width)) => Ok(Some(([x, y], sides(height, width)?))),
            _ => Ok(None),
        })?;
    let masks = rows.call.rows(&arguments, TOGETHER, |(mask, (corner, [height, width]))| {
        let Some(mask) = mask.decode()? else { return Ok(None) };
        mask.place(*corner, *height, *width).map(Some).map_err(|error| Failure::input(error.to_string()))
    })?;
    write(masks.iter().map(Option::as_ref), output.reborrow())
}
