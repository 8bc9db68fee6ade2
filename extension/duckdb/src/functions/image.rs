//! `image_info`: what the header of a picture says.

use super::arguments::{IMAGE, Images};
use crate::engine::{Category, Help, Input, Output, Overload, ScalarFunction, Type};
use crate::failure::{Failure, Result};
use crate::session::Session;
use sam_imaging::ImageInfo;

const INFO: Type = Type::Struct(&[
    (c"width", Type::Integer),
    (c"height", Type::Integer),
    (c"channels", Type::Integer),
    (c"format", Type::Varchar),
    (c"orientation", Type::Integer),
]);

/// `image_info(image)`; NULL for bytes that are no picture.
pub static IMAGE_INFO: ScalarFunction = ScalarFunction {
    name: c"image_info",
    help: Help {
        category: Category::Images,
        description: "What the header of a picture says, in microseconds: `width` and `height` as displayed, with the \
            EXIF `orientation` (1 to 8) applied; `channels` of the file; `format` is `jpeg`, `png`, `webp`, `gif`, \
            `bmp` or `tiff`. NULL for bytes that are no picture.",
        example: "image_info(image).width",
    },
    overloads: &[Overload { parameters: &[IMAGE], returns: INFO, run }],
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let images = Images::new(input.column(0)?)?;
    let limits = &Session::get()?.settings().images;
    for row in 0..input.rows() {
        let info = images.get(row)?.and_then(|image| sam_imaging::info(image, limits).ok());
        match info {
            Some(info) => write(&info, row, output)?,
            None => output.set_null(row)?,
        }
    }
    Ok(())
}

fn write(info: &ImageInfo, row: usize, output: &mut Output<'_>) -> Result<()> {
    let integer = |value: i64| i32::try_from(value).map_err(Failure::internal);
    output.field(0)?.integers()[row] = integer(info.width.into())?;
    output.field(1)?.integers()[row] = integer(info.height.into())?;
    output.field(2)?.integers()[row] = integer(info.channels.into())?;
    output.field(3)?.set_bytes(row, info.format.as_bytes())?;
    output.field(4)?.integers()[row] = integer(info.orientation.into())?;
    Ok(())
}
