//! `image_info`, `image_error`, `image_hash`: what there is to say about a picture.

use super::read_or_null;
use crate::engine::{Category, Help, Input, Output, Overload, ScalarFunction, Type};
use crate::functions::arguments::{IMAGE, Images};
use crate::functions::rows::{Rows, write_bytes};
use crate::host::in_sql;
use sam_imaging::{ImageInfo, Picture};
use sam_runtime::{Failure, Result};

const INFO: Type = Type::Struct(&[
    (c"width", Type::Integer),
    (c"height", Type::Integer),
    (c"channels", Type::Integer),
    (c"format", Type::Varchar),
    (c"orientation", Type::Integer),
    (c"sample", Type::Varchar),
    (c"pages", Type::Integer),
]);

/// `image_info(image)`; NULL for bytes that are no picture.
pub static IMAGE_INFO: ScalarFunction = ScalarFunction {
    name: c"image_info",
    help: Help {
        category: Category::Images,
        description: "What the header of a picture says, in microseconds and whatever its size: `width` and `height` as \
            displayed, with the EXIF `orientation` (1 to 8) applied; `channels` of the file; `format` is `jpeg`, `png`, \
            `webp`, `gif`, `bmp` or `tiff`; `sample` is the type of its samples: `uint8`, `uint16`, `int16`, `float32`, \
            .... Anything but `uint8` is stretched when it is read, by all functions: the lowest value in the picture, \
            over all colours, becomes 0 and the highest 255 (alpha, further bands, NaN and infinities left out; a \
            picture of one value becomes black). `pages` of a TIFF, or frames of an animation, of which the first is \
            read: see `image_page`. NULL for bytes that are no picture; an error for a picture of a kind that is not \
            decoded, such as HEIC.",
        example: "image_info(image).width",
    },
    overloads: &[Overload { parameters: &[IMAGE], returns: INFO, run }],
};

/// `image_error(image)`
pub static IMAGE_ERROR: ScalarFunction = ScalarFunction {
    name: c"image_error",
    help: Help {
        category: Category::Images,
        description: "Why bytes cannot be read as a picture; NULL for one that can. It tells apart what is damaged or no \
            picture, for which the other functions give NULL, what is too large, with the setting that lifts the limit, \
            and what is sound but not decoded (HEIC, camera raw, ...), with what to do; for both the other functions \
            fail. The whole picture is decoded, so that truncated ones are found.",
        example: "image_error(image)",
    },
    overloads: &[Overload { parameters: &[IMAGE], returns: Type::Varchar, run: error }],
};

/// `image_hash(image)`
pub static IMAGE_HASH: ScalarFunction = ScalarFunction {
    name: c"image_hash",
    help: Help {
        category: Category::Images,
        description: "A perceptual hash (pHash, 64 bits): pictures that look alike differ in few bits, whatever their \
            size, format and compression. The number of bits that differ is `bit_count(xor(a, b))`; up to about 10 is \
            the same picture. NULL for bytes that are no picture.",
        example: "image_hash(image)",
    },
    overloads: &[Overload { parameters: &[IMAGE], returns: Type::Ubigint, run: hash }],
};

fn error(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, images) = (Rows::new(input)?, Images::new(input.column(0)?)?);
    let limits = rows.call.settings().images;
    let images = rows.read(|row| images.get(row))?;
    let reason = |image: &&[u8]| Ok(sam_imaging::decode(image, &limits).err().map(|error| in_sql(&error.into())));
    write_bytes(&rows.call.rows(&images, 1, reason)?, output)
}

fn hash(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, images) = (Rows::new(input)?, Images::new(input.column(0)?)?);
    let limits = rows.call.settings().images;
    let images = rows.read(|row| images.get(row))?;
    let hash = |image: &&[u8]| read_or_null(|| Picture::read(image, &limits)?.hash());
    output.each(rows.call.rows(&images, 1, hash)?, |output, row, hash| {
        output.reborrow().ubigints()[row] = hash;
        Ok(())
    })
}

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, images) = (Rows::new(input)?, Images::new(input.column(0)?)?);
    let header = |row| match images.get(row)? {
        Some(image) => read_or_null(|| sam_imaging::info_of_any_size(image)),
        None => Ok(None),
    };
    output.each(rows.read(header)?, |output, row, info| write(&info, row, output))
}

fn write(info: &ImageInfo, row: usize, output: &mut Output<'_>) -> Result<()> {
    let integer = |value: i64| i32::try_from(value).map_err(Failure::internal);
    output.field(0)?.integers()[row] = integer(info.width.into())?;
    output.field(1)?.integers()[row] = integer(info.height.into())?;
    output.field(2)?.integers()[row] = integer(info.channels.into())?;
    output.field(3)?.set_bytes(row, info.format.as_bytes())?;
    output.field(4)?.integers()[row] = integer(info.orientation.into())?;
    output.field(5)?.set_bytes(row, info.sample.to_string().as_bytes())?;
    output.field(6)?.integers()[row] = integer(info.pages.into())?;
    Ok(())
}
