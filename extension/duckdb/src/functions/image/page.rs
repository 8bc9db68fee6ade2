//! `image_page`: what lies behind the first page.

use super::read_or_null;
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::arguments::{IMAGE, Images};
use crate::functions::rows::{Rows, write_bytes};
use sam_runtime::Result;

/// `image_page(image, number)`
pub static PAGE: ScalarFunction = ScalarFunction {
    name: c"image_page",
    help: Help {
        category: Category::Images,
        description: "Returns page `number` of a TIFF, or frame `number` of a GIF, as a PNG. Pages are counted from 1 \
            to `image_info(image).pages`. All other functions read the first. The result is upright. Samples of 8 \
            bits, and grey and colours of 16, stay as they are. Floats and others become 16 bits, from the lowest \
            value in the page to the highest. A number that the image does not have is an error. Bytes that are not an \
            image, or are a damaged one, give NULL.",
        example: "image_page(image, 2)",
    },
    overloads: &[Overload {
        parameters: &[IMAGE, Parameter::new("number", &[Type::Bigint])],
        returns: Type::Blob,
        run,
    }],
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, images, numbers) = (Rows::new(input)?, Images::new(input.column(0)?)?, input.column(1)?);
    let limits = rows.call.settings().images;
    let arguments = rows.read(|row| Ok(images.get(row)?.zip(numbers.bigint(row))))?;
    let page = |&(image, number): &(&[u8], i64)| read_or_null(|| sam_imaging::page(image, number, &limits));
    write_bytes(&rows.call.rows(&arguments, 1, page)?, output)
}
