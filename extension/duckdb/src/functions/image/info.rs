//! `image_info`, `image_error`, `image_hash`: what there is to say about an image.

use super::read_or_null;
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::arguments::{IMAGE, Images};
use crate::functions::rows::{Rows, write_bytes};
use crate::host::in_sql;
use sam_imaging::{ImageError, ImageInfo, Picture};
use sam_runtime::{Failure, Result};
use std::ops::ControlFlow;

const INFO: Type = Type::Struct(&[
    (c"width", Type::Integer),
    (c"height", Type::Integer),
    (c"channels", Type::Integer),
    (c"format", Type::Varchar),
    (c"orientation", Type::Integer),
    (c"sample", Type::Varchar),
    (c"pages", Type::Integer),
    (c"nodata", Type::Double),
]);

/// `image_info(image)`; NULL for bytes that are not an image.
pub static IMAGE_INFO: ScalarFunction = ScalarFunction {
    name: c"image_info",
    help: Help {
        category: Category::Images,
        description: "Reads the header of an image, in microseconds and whatever its size. `width` and `height` are \
            those of the image as displayed, with the EXIF `orientation` (1 to 8) applied. `channels` are those of the \
            file. `format` is `jpeg`, `png`, `webp`, `gif`, `bmp` or `tiff`. `sample` is the type of the samples: \
            `uint8`, `uint16`, `int16`, `float32` and others. All functions stretch samples other than `uint8` when \
            they read an image. The lowest value in the image, over all colours, becomes 0 and the highest 255. Alpha, \
            further bands, NaN, infinities and `nodata` are left out; an image of one value becomes black. `pages` is the number \
            of pages of a TIFF, or of frames of an animation; the first is read (see `image_page`). Overviews, \
            thumbnails and masks in a TIFF are no pages. `nodata` is the value that stands for \"no data\" in a TIFF \
            of GDAL; NULL where the file names none, which is never guessed. Bytes that are not an image, or are a damaged one, give NULL. An image in a format that is not decoded, such as HEIC, is an \
            error.",
        example: "image_info(image).width",
    },
    overloads: &[Overload { parameters: &[IMAGE], returns: INFO, run }],
};

/// `image_error(image)`
pub static IMAGE_ERROR: ScalarFunction = ScalarFunction {
    name: c"image_error",
    help: Help {
        category: Category::Images,
        description: "Returns why bytes cannot be read as an image; NULL for an image that can. Bytes that are not an \
            image, or are a damaged one, give NULL in the other `image_` functions. An image that is too large fails \
            there, and so does an intact one that is not decoded (HEIC, camera raw, ...). The text names the setting \
            that lifts the limit, or says what to do with such a format. Only `image_info` reads the header of an \
            image of any size. The whole image is decoded, so that truncated ones are found.",
        example: "image_error(image)",
    },
    overloads: &[Overload { parameters: &[IMAGE], returns: Type::Varchar, run: error }],
};

/// `image_hash(image)` and `image_hash(image, algorithm)`
pub static IMAGE_HASH: ScalarFunction = ScalarFunction {
    name: c"image_hash",
    help: Help {
        category: Category::Images,
        description: "Returns a perceptual hash of an image, 64 bits. Images that look alike differ in few bits, \
            whatever their size, format and compression. The number of bits that differ is `bit_count(xor(a, b))`. \
            `algorithm` is `phash`, the default, or `dhash`. pHash compares the low frequencies of the image with \
            their median. It stands compression, scaling and changes of brightness and contrast: up to about 10 bits \
            are the same image. Symmetric objects on a plain background are its weakness: many of their frequencies are \
            near 0, and a re-encoded image may differ in 16. dHash, that of imagehash, tells where the image becomes \
            lighter from left to right, in 9 x 8 pixels. Such objects differ in up to 2 bits after re-encoding. But a \
            change of contrast may turn 12 on a plain background, and different images come nearer to each other. \
            Neither stands cropping, mirroring or rotation. Bytes that are \
            not an image, or are a damaged one, give NULL.",
        example: "image_hash(image)",
    },
    overloads: &[
        Overload { parameters: &[IMAGE], returns: Type::Ubigint, run: hash },
        Overload {
            parameters: &[IMAGE, Parameter::new("algorithm", &[Type::Varchar])],
            returns: Type::Ubigint,
            run: hash,
        },
    ],
};

fn error(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, images) = (Rows::new(input)?, Images::new(input.column(0)?)?);
    let limits = rows.call.settings().images;
    let images = rows.read(|row| images.get(row))?;
    let reason = |image: &&[u8]| {
        let mut stopped = Ok(());
        let go_on = || {
            stopped = rows.call.check();
            if stopped.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let damage = sam_imaging::check(image, &limits, go_on).err();
        stopped?;
        Ok(damage.map(|error| in_sql(&error.into())))
    };
    write_bytes(&rows.call.rows(&images, 1, reason)?, output)
}

fn hash(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, images) = (Rows::new(input)?, Images::new(input.column(0)?)?);
    let names = if input.arguments() > 1 { Some(input.column(1)?) } else { None };
    let limits = rows.call.settings().images;
    let images = rows.read(|row| {
        let name = names.map_or(Ok(Some("phash")), |names| names.text(row))?;
        Ok(images.get(row)?.zip(name.map(algorithm).transpose()?))
    })?;
    let hash = |&(image, algorithm): &(&[u8], Algorithm)| read_or_null(|| algorithm(&Picture::read(image, &limits)?));
    output.each(rows.call.rows(&images, 1, hash)?, |output, row, hash| {
        output.reborrow().ubigints()[row] = hash;
        Ok(())
    })
}

type Algorithm = fn(&Picture) -> std::result::Result<u64, ImageError>;

/// The hash with a name.
fn algorithm(name: &str) -> Result<Algorithm> {
    match name {
        "phash" => Ok(Picture::hash),
        "dhash" => Ok(Picture::difference_hash),
        _ => Err(Failure::input(format!("algorithm '{name}' is unknown; it is 'phash' or 'dhash'"))),
    }
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
    match info.no_data {
        Some(value) => output.field(7)?.doubles()[row] = value,
        None => output.field(7)?.set_null(row)?,
    }
    Ok(())
}
