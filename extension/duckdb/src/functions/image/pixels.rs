//! `image_pixels`, `image_from_pixels`: images as lists of numbers.

use super::{Pictures, read_or_null};
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::arguments::{IMAGE, Images};
use crate::functions::dense::{Values, elements_of_list, range_of_list, split};
use crate::functions::rows::write_bytes;
use rayon::prelude::*;
use sam_imaging::{Bands, Depth, LevelError, png_of_levels};
use sam_runtime::{Failure, Result, Results};

/// `image_pixels(image)` and `image_pixels(image, channel)`
pub static PIXELS: ScalarFunction = ScalarFunction {
    name: c"image_pixels",
    help: Help {
        category: Category::Images,
        description: "Returns the values of an image, row by row, and of each pixel all `channels` one after the other; \
            or only those of one `channel`, counted from 1. Values are those of the file, whatever its type, as for \
            `mask_stats`; whole numbers of more than 24 bits are rounded. The image is upright. Pixel `(x, y)` from 0 \
            on has its channel `c` at `pixels[(y * width + x) * channels + c]`, where `c` is counted from 1. It takes \
            four bytes per value. Bytes that are not an image, or are a damaged one, give NULL.",
        example: "list_avg(image_pixels(image, 1).pixels)",
    },
    overloads: &[
        Overload { parameters: &[IMAGE], returns: DENSE, run: pixels },
        Overload { parameters: &[IMAGE, Parameter::new("channel", &[Type::Bigint])], returns: DENSE, run: pixels },
    ],
};

const DENSE: Type = Type::Struct(&[
    (c"height", Type::Integer),
    (c"width", Type::Integer),
    (c"channels", Type::Integer),
    (c"pixels", Type::List(&Type::Float)),
]);

/// `image_from_pixels(pixels, height, width, channels)` and `image_from_pixels(pixels, height, width, channels, sample)`
pub static FROM_PIXELS: ScalarFunction = ScalarFunction {
    name: c"image_from_pixels",
    help: Help {
        category: Category::Images,
        description: "Writes values as a PNG: row by row, and of each pixel all `channels` one after the other, as \
            `image_pixels` gives them. There are 1 channel (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha). \
            `sample` is the type of the values in the file: `uint8` (0 to 255), the default, or `uint16` (0 to \
            65535). Values are rounded. One beyond the range is an error; so are fractions from 0 to 1, which are to be \
            multiplied first.",
        example: "image_from_pixels([0, 128, 255, 64], 2, 2, 1)",
    },
    overloads: &[
        Overload { parameters: &[VALUES, HEIGHT, WIDTH, CHANNELS], returns: Type::Blob, run: from_pixels },
        Overload {
            parameters: &[VALUES, HEIGHT, WIDTH, CHANNELS, Parameter::new("sample", &[Type::Varchar])],
            returns: Type::Blob,
            run: from_pixels,
        },
    ],
};

const VALUES: Parameter = Parameter {
    refused: &[Type::Bigint],
    ..Parameter::new("pixels", &[Type::List(&Type::Float), Type::List(&Type::Double), Type::List(&Type::Utinyint)])
};
const HEIGHT: Parameter = Parameter::new("height", &[Type::Bigint]);
const WIDTH: Parameter = Parameter::new("width", &[Type::Bigint]);
const CHANNELS: Parameter = Parameter::new("channels", &[Type::Bigint]);

fn pixels(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (pictures, images) = (Pictures::new(input)?, Images::new(input.column(0)?)?);
    let numbers = if input.arguments() > 1 { Some(input.column(1)?) } else { None };
    let call = &pictures.rows.call;
    let arguments = pictures.rows.read(|row| {
        let number = numbers.map_or(Some(None), |numbers| numbers.bigint(row).map(Some));
        Ok(images.get(row)?.zip(number))
    })?;
    let read = call.rows(&arguments, 1, |&(image, number)| {
        let Some(bands) = read_or_null(|| Bands::read(image, &pictures.limits))? else { return Ok(None) };
        let channel = number.map(|number| channel(number, bands.channels())).transpose()?;
        let picture = Dense { bands, channel };
        pictures.room.take(picture.values() as u64 * size_of::<f32>() as u64, "pixels", Results::Images)?;
        Ok(Some(picture))
    })?;
    let lengths: Vec<usize> = read.iter().map(|picture| picture.as_ref().map_or(0, Dense::values)).collect();
    call.settings().results.check_lists("lists of pixels", &lengths, size_of::<f32>(), Results::Images)?;
    {
        let mut values = output.field(3)?;
        let pieces = split(values.lists(&lengths)?.floats(), &lengths)?;
        call.session().pool().run(|| {
            let filled = read.par_iter().zip(pieces).filter_map(|(picture, piece)| Some((picture.as_ref()?, piece)));
            filled.for_each(|(picture, piece)| picture.bands.write(picture.channel, piece));
        })?;
    }
    output.each(read, |output, row, picture| {
        let [width, height] = picture.bands.size();
        for (field, number) in [height as usize, width as usize, picture.channels()].into_iter().enumerate() {
            output.field(field)?.integers()[row] = i32::try_from(number).map_err(Failure::internal)?;
        }
        Ok(())
    })
}

/// An image, and the channel of it that is wanted, from 0 on, or all.
struct Dense {
    bands: Bands,
    channel: Option<usize>,
}

impl Dense {
    fn channels(&self) -> usize {
        self.channel.map_or(self.bands.channels(), |_| 1)
    }

    fn values(&self) -> usize {
        self.bands.size().map(|side| side as usize).iter().product::<usize>() * self.channels()
    }
}

/// The channel with a number, from 0 on.
fn channel(number: i64, channels: usize) -> Result<usize> {
    let known = usize::try_from(number).ok().filter(|number| (1..=channels).contains(number));
    let unknown = || Failure::input(format!("there is no channel {number}: the image has {channels}, counted from 1"));
    known.map(|number| number - 1).ok_or_else(unknown)
}

fn from_pixels(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (pictures, lists) = (Pictures::new(input)?, input.column(0)?);
    let (elements, heights, widths, channels) =
        (elements_of_list(&lists)?, input.column(1)?, input.column(2)?, input.column(3)?);
    let samples = if input.arguments() > 4 { Some(input.column(4)?) } else { None };
    let read = |row| {
        let depth = samples.map_or(Ok(Some(Depth::Eight)), |samples| samples.text(row)?.map(depth).transpose())?;
        let (Some(range), Some(depth)) = (range_of_list("list of pixels", &lists, row)?, depth) else {
            return Ok(None);
        };
        let (Some(height), Some(width), Some(channels)) =
            (heights.bigint(row), widths.bigint(row), channels.bigint(row))
        else {
            return Ok(None);
        };
        let side = |what: &str, side: i64| {
            let wrong = || Failure::input(format!("{what} is {side}; give a number of pixels, 1 or more"));
            u32::try_from(side).ok().filter(|&side| side > 0).ok_or_else(wrong)
        };
        let size = [side("width", width)?, side("height", height)?];
        let wrong = |_| Failure::input(format!("channels are {channels}; give 1, 2, 3 or 4"));
        let channels = u8::try_from(channels).map_err(wrong)?;
        let has_null = || Failure::input("the pixels contain NULL; give a number for each value");
        Ok(Some((Values::read(&elements, range).ok_or_else(has_null)?, size, channels, depth)))
    };
    let arguments = pictures.rows.read(read)?;
    let images = pictures.rows.call.rows(&arguments, 1, |(values, size, channels, depth)| {
        let (channels, limits) = (*channels, &pictures.limits);
        let png = match values {
            Values::Floats(values) => png_of_levels(values, *size, channels, *depth, limits),
            Values::Doubles(values) => png_of_levels(values, *size, channels, *depth, limits),
            Values::Bytes(values) => png_of_levels(values, *size, channels, *depth, limits),
        };
        let failure = |error| match error {
            LevelError::Image(error) => Failure::from(error),
            error => Failure::input(error.to_string()),
        };
        pictures.room.hold(png.map_err(failure)?).map(Some)
    })?;
    write_bytes(&images, output)
}

fn depth(name: &str) -> Result<Depth> {
    match name {
        "uint8" => Ok(Depth::Eight),
        "uint16" => Ok(Depth::Sixteen),
        _ => Err(Failure::input(format!("sample '{name}' cannot be written; use 'uint8' or 'uint16'"))),
    }
}
