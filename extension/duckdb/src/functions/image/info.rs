//! `image_info`, `image_error`, `image_hash`: what there is to say about a picture.

use crate::engine::{Category, Help, Input, Output, Overload, ScalarFunction, Type};
use crate::failure::{Failure, Result};
use crate::functions::arguments::{IMAGE, Images};
use crate::functions::rows::{Rows, write_bytes};
use crate::session::Session;
use sam_imaging::{ImageInfo, Picture};

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

/// `image_error(image)`
pub static IMAGE_ERROR: ScalarFunction = ScalarFunction {
    name: c"image_error",
    help: Help {
        category: Category::Images,
        description: "Why bytes cannot be decoded as a picture, for which the other functions give NULL; NULL for a \
            picture. The whole picture is decoded, so that truncated ones are found.",
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
    let (rows, images, limits) = (Rows::new(input)?, Images::new(input.column(0)?)?, Session::get()?.settings().images);
    let images = rows.read(|row| images.get(row))?;
    let reason = |image: &&[u8]| Ok(sam_imaging::decode(image, &limits).err().map(|error| error.to_string()));
    write_bytes(&rows.compute(&images, 1, reason)?, output)
}

fn hash(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, images, limits) = (Rows::new(input)?, Images::new(input.column(0)?)?, Session::get()?.settings().images);
    let images = rows.read(|row| images.get(row))?;
    let hash = |image: &&[u8]| Ok(Picture::read(image, &limits).ok().map(|picture| picture.hash()));
    for (row, hash) in rows.compute(&images, 1, hash)?.into_iter().enumerate() {
        match hash {
            Some(hash) => output.reborrow().ubigints()[row] = hash,
            None => output.set_null(row)?,
        }
    }
    Ok(())
}

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
