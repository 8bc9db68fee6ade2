//! `image_thumbnail`, `image_resize`, `image_crop`, `image_convert`: images in other sizes and formats.

use super::{Pictures, read_or_null};
use crate::engine::{Any, Category, Column, Help, Input, Kind, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::arguments::{IMAGE, Images};
use crate::functions::rows::write_bytes;
use sam_imaging::{Format, Limits, Picture, Range};
use sam_runtime::{Failure, Result};

/// `image_thumbnail(image, max_side)`
pub static THUMBNAIL: ScalarFunction = ScalarFunction {
    name: c"image_thumbnail",
    help: Help {
        category: Category::Images,
        description: "Scales an image down so that its longer side has at most `max_side` pixels. The aspect ratio is \
            kept, and an image that is small enough keeps its size. The format is that of the image (PNG for a GIF); \
            JPEGs are written with quality 90 and WebP without loss. The result is upright, and of the metadata only \
            the colour profile is kept. The same holds for all functions that return an image. Bytes that are not an image, or are a damaged one, give \
            NULL.",
        example: "image_thumbnail(image, 128)",
    },
    overloads: &[Overload {
        parameters: &[IMAGE, Parameter::new("max_side", &[Type::Bigint])],
        returns: Type::Blob,
        run: thumbnail,
    }],
};

/// `image_resize(image, width, height)`
pub static RESIZE: ScalarFunction = ScalarFunction {
    name: c"image_resize",
    help: Help {
        category: Category::Images,
        description: "Resizes an image to `width` x `height` pixels, whatever its aspect ratio. The result is that of \
            Pillow's `resize` with `BILINEAR`. Format and metadata are as for `image_thumbnail`. Bytes that are not an \
            image, or are a damaged one, give NULL.",
        example: "image_resize(image, 320, 240)",
    },
    overloads: &[Overload {
        parameters: &[IMAGE, Parameter::new("width", &[Type::Bigint]), Parameter::new("height", &[Type::Bigint])],
        returns: Type::Blob,
        run: resize,
    }],
};

/// `image_crop(image, bbox)`
pub static CROP: ScalarFunction = ScalarFunction {
    name: c"image_crop",
    help: Help {
        category: Category::Images,
        description: "Returns the part of an image in a box, such as the `bbox` of `sam_annotate`. The box is \
            `[x, y, width, height]` in pixels of the upright image. Pixels that it covers in part are taken whole; \
            what lies outside the image is left out. A box that holds no pixel of the image gives NULL. The part has \
            the values of the image: of a TIFF or PNG with other samples than `uint8` their type, of a TIFF all bands, \
            and what stands for \"no data\". So a part is stretched by its own range when it is looked at. Otherwise \
            format and metadata are as for `image_thumbnail`. Bytes that are not an image, or are a damaged one, give NULL.",
        example: "image_crop(image, [10, 20, 300, 200])",
    },
    overloads: &[Overload {
        parameters: &[IMAGE, Parameter::new("bbox", &[Type::List(&Type::Double)])],
        returns: Type::Blob,
        run: crop,
    }],
};

/// `image_convert(image, format)`, `image_convert(image, format, range)` and `image_convert(image, format, quality)`
pub static CONVERT: ScalarFunction = ScalarFunction {
    name: c"image_convert",
    help: Help {
        category: Category::Images,
        description: "Converts an image to `jpeg`, `png`, `webp`, `bmp` or `tiff`, of 8 bits. Transparent parts become \
            white in `jpeg` and `bmp`. `range` says how samples of more bits are brought to 8. `own`, the default, \
            stretches from the lowest value in the image to the highest, as all functions do (see `image_info`). \
            `full` takes the high byte of integers, and the range 0 to 1 of floats. `quality`, 1 to 100, is that of a \
            `jpeg` or of a `webp` with loss, whose transparency is kept; 80 is usual for the web. For other formats it \
            is an error. Without it, quality is as for `image_thumbnail`, and so are metadata. Bytes that are not an \
            image, or are a damaged one, give NULL.",
        example: "image_convert(image, 'png')",
    },
    overloads: &[
        Overload { parameters: CONVERTED, returns: Type::Blob, run: convert },
        Overload { parameters: RANGED, returns: Type::Blob, run: convert_as },
        Overload { parameters: LOSSY, returns: Type::Blob, run: convert_as },
    ],
};

const FORMAT: Parameter = Parameter::new("format", &[Type::Varchar]);

const CONVERTED: &[Parameter] = &[IMAGE, FORMAT];

const RANGED: &[Parameter] = &[IMAGE, FORMAT, RANGE];

const RANGE: Parameter = Parameter::new("range", &[Type::Varchar]);

/// Of any type to the engine: a literal text would be as near to a number as to a range that is held in a union. So
/// that a range may arrive here as well.
const QUALITY: Parameter = Parameter::any("quality", &[Type::Bigint]);

const LOSSY: &[Parameter] = &[IMAGE, FORMAT, QUALITY];

fn thumbnail(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (pictures, sides) = (Pictures::new(input)?, input.column(1)?);
    let read = |row| side("max_side", &sides, row, &pictures.limits);
    pictures.change(input, output, read, |picture, &side| {
        let [width, height] = picture.thumbnail_size(side);
        Ok(Some(picture.resize(width, height)?))
    })
}

fn resize(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (pictures, widths, heights) = (Pictures::new(input)?, input.column(1)?, input.column(2)?);
    let read = |row| {
        let width = side("width", &widths, row, &pictures.limits)?;
        let Some((width, height)) = width.zip(side("height", &heights, row, &pictures.limits)?) else {
            return Ok(None);
        };
        let limit = pictures.limits.max_pixels;
        if u64::from(width) * u64::from(height) > limit {
            return Err(Failure::input(format!(
                "width {width} times height {height} exceeds the limit of {limit} pixels"
            )));
        }
        Ok(Some((width, height)))
    };
    pictures.change(input, output, read, |picture, &(width, height)| Ok(Some(picture.resize(width, height)?)))
}

/// The number of pixels of a side in `column`.
fn side(what: &str, column: &Column<'_>, row: usize, limits: &Limits) -> Result<Option<u32>> {
    let Some(side) = column.bigint(row) else { return Ok(None) };
    let limit = limits.max_side;
    let valid = u32::try_from(side).ok().filter(|side| (1..=limit).contains(side));
    let wrong = || Failure::input(format!("{what} is {side}; give a number of pixels, 1 to {limit}"));
    valid.map(Some).ok_or_else(wrong)
}

fn crop(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (pictures, boxes) = (Pictures::new(input)?, input.column(1)?);
    let numbers = boxes.elements()?;
    let read = |row| {
        let Some(range) = boxes.range(row) else { return Ok(None) };
        let numbers: Vec<Option<f64>> = range.map(|index| numbers.double(index)).collect();
        bbox(&numbers).map(Some)
    };
    let parts = pictures.each_original(input, read, |picture, bbox| {
        let [(x, width), (y, height)] = [0, 1].map(|axis| span(bbox[axis], bbox[axis + 2], picture.size()[axis]));
        if width == 0 || height == 0 {
            return Ok(None);
        }
        pictures.room.hold(picture.part([x, y], [width, height])?).map(Some)
    })?;
    write_bytes(&parts, output)
}

/// The four numbers of a box, checked.
fn bbox(numbers: &[Option<f64>]) -> Result<[f64; 4]> {
    let shown = || {
        let number = |number: &Option<f64>| number.map_or("NULL".to_string(), |number| number.to_string());
        let shown: Vec<_> = numbers.iter().take(8).map(number).collect();
        format!("[{}{}]", shown.join(", "), if numbers.len() > 8 { ", ..." } else { "" })
    };
    let [Some(x), Some(y), Some(width), Some(height)] = *numbers else {
        return Err(Failure::input(format!("bbox {} is not [x, y, width, height], four numbers in pixels", shown())));
    };
    let bbox = [x, y, width, height];
    if bbox.iter().any(|value| !value.is_finite()) || width < 0.0 || height < 0.0 {
        return Err(Failure::input(format!(
            "bbox {} has an impossible value; give [x, y, width, height] in pixels, width and height 0 or more",
            shown()
        )));
    }
    Ok(bbox)
}

/// The whole pixels that `start..start + length` touches, inside 0..`side`, as start and length.
fn span(start: f64, length: f64, side: u32) -> (u32, u32) {
    let inside = |at: f64| at.clamp(0.0, f64::from(side)) as u32;
    // A length of 0 touches nothing, also in the middle of a pixel.
    let end = if length > 0.0 { inside((start + length).ceil()) } else { 0 };
    let start = inside(start.floor());
    (start, end.saturating_sub(start))
}

fn convert(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    convert_each(input, output, |_| Ok(Some(Range::Own)))
}

/// With a range, or with a quality.
fn convert_as(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let settings = Any::new(input.column(2)?)?;
    if !matches!(settings.kind(), Kind::Text) {
        return convert_lossy(input, output, &settings);
    }
    convert_each(input, output, |row| settings.bytes(row).map(|name| range(&String::from_utf8_lossy(name))).transpose())
}

fn convert_each(
    input: &Input<'_>,
    output: &mut Output<'_>,
    range: impl Fn(usize) -> Result<Option<Range>>,
) -> Result<()> {
    let (pictures, images, formats) = (Pictures::new(input)?, Images::new(input.column(0)?)?, input.column(1)?);
    let read = |row| {
        let Some((image, name)) = images.get(row)?.zip(formats.text(row)?) else { return Ok(None) };
        Ok(Some((image, format(name)?)).zip(range(row)?))
    };
    let arguments = pictures.rows.read(read)?;
    let converted = pictures.rows.call.rows(&arguments, 1, |&((image, format), range)| {
        let picture = read_or_null(|| Picture::read_as(image, &pictures.limits, range))?;
        picture.map(|picture| pictures.room.hold(picture.encode(format)?)).transpose()
    })?;
    write_bytes(&converted, output)
}

fn convert_lossy(input: &Input<'_>, output: &mut Output<'_>, qualities: &Any<'_>) -> Result<()> {
    let (pictures, formats) = (Pictures::new(input)?, input.column(1)?);
    let read = |row| match formats.text(row)? {
        Some(name) if !qualities.is_null(row) => Ok(Some((lossy(name)?, quality(qualities, row)?))),
        _ => Ok(None),
    };
    let converted = pictures.each(input, read, |picture, &(format, quality)| {
        pictures.room.hold(picture.encode_lossy(format, quality)?).map(Some)
    })?;
    write_bytes(&converted, output)
}

/// The format with a name, if it has a quality.
fn lossy(name: &str) -> Result<Format> {
    match format(name)? {
        format @ (Format::Jpeg | Format::WebP) => Ok(format),
        _ => Err(Failure::input(format!(
            "format '{name}' is lossless and has no quality; leave it out, or use 'jpeg' or 'webp'"
        ))),
    }
}

/// A quality, checked.
fn quality(qualities: &Any<'_>, row: usize) -> Result<u8> {
    let valid = qualities.integer(row).and_then(|quality| u8::try_from(quality).ok());
    valid.filter(|quality| (1..=100).contains(quality)).ok_or_else(|| {
        let shown = qualities.number(row).map_or(format!("a {}", qualities.name()), |number| number.to_string());
        Failure::input(format!("quality is {shown}; give a whole number from 1 to 100"))
    })
}

/// The range with a name.
fn range(name: &str) -> Result<Range> {
    match name {
        "own" => Ok(Range::Own),
        "full" => Ok(Range::Full),
        _ if name.trim().parse::<f64>().is_ok() => Err(Failure::input(format!(
            "range '{name}' is a text; a quality is a number, without quotes, and a range is 'own' or 'full'"
        ))),
        _ => Err(Failure::input(format!(
            "range '{name}' is unknown; it is 'own' (from the lowest in the picture to the highest) or 'full' (the range \
             of the type of the samples)"
        ))),
    }
}

/// The format with a name, if it can be written.
fn format(name: &str) -> Result<Format> {
    let known = Format::named(name).filter(|&format| format.writable() == format);
    known.ok_or_else(|| {
        Failure::input(format!("format '{name}' cannot be written; use 'jpeg', 'png', 'webp', 'bmp' or 'tiff'"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_takes_every_pixel_it_touches() {
        assert_eq!(span(1.0, 2.0, 10), (1, 2));
        assert_eq!(span(1.5, 2.0, 10), (1, 3));
        assert_eq!(span(-3.0, 5.0, 10), (0, 2));
        assert_eq!(span(8.0, 1e300, 10), (8, 2));
        for (start, length) in [(10.0, 5.0), (-5.0, 5.0), (3.0, 0.0), (3.5, 0.0), (-1e300, 1.0)] {
            assert_eq!(span(start, length, 10).1, 0, "{start} {length}");
        }
    }
}
