//! `image_overlay` and `image_cutout`: images with masks.

use super::Pictures;
use crate::engine::{Any, Category, Help, Input, Kind, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::arguments::IMAGE;
use crate::functions::mask::{Encoded, Lists, Masks, ONE, ONE_OR_MANY, sizes_differ};
use sam_imaging::{Picture, Rle, colour};
use sam_runtime::{Failure, Result};

/// `image_overlay(image, mask)`
pub static OVERLAY: ScalarFunction = ScalarFunction {
    name: c"image_overlay",
    help: Help {
        category: Category::Images,
        description: "Draws a mask, or every mask in a list, on an image, tinted and with a contour. Masks in a list \
            have different colours; those of the first ones are the farthest apart. NULLs in the list are skipped. A \
            mask of another size than the image is an error. Format and metadata are as for `image_thumbnail`. Bytes \
            that are not an image, or are a damaged one, give NULL. An invalid mask gives NULL.",
        example: "image_overlay(image, mask)",
    },
    overloads: &[Overload { parameters: DRAWN, returns: Type::Blob, run: overlay }],
};

/// `image_cutout(image, mask)` and `image_cutout(image, probabilities)`
pub static CUTOUT: ScalarFunction = ScalarFunction {
    name: c"image_cutout",
    help: Help {
        category: Category::Images,
        description: "Returns what a mask covers in an image, as a PNG that is transparent elsewhere. The PNG has the \
            size of the mask's box. A mask of another size than the image is an error. A mask without pixels gives \
            NULL. `probabilities`, one for each pixel as `sam_segment` returns them, give soft edges instead: a pixel is \
            opaque from 0.75 on, transparent up to 0.25, and in proportion between. The PNG has the size of the box of \
            what is not transparent. Bytes that are not an image, or are a damaged one, give NULL. An invalid mask \
            gives NULL.",
        example: "image_cutout(image, mask)",
    },
    overloads: &[
        Overload { parameters: CUT, returns: Type::Blob, run: cutout },
        Overload { parameters: SOFT, returns: Type::Blob, run: soft_cutout },
    ],
};

const CUT: &[Parameter] = &[IMAGE, ONE];

const SOFT: &[Parameter] =
    &[IMAGE, Parameter::new("probabilities", &[Type::List(&Type::Float), Type::List(&Type::Double)])];

const DRAWN: &[Parameter] = &[IMAGE, ONE_OR_MANY];

fn overlay(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (pictures, masks) = (Pictures::new(input)?, Lists::new(input.column(1)?)?);
    pictures.change(input, output, |row| masks.get(row), drawn)
}

#[allow(clippy::ptr_arg)] // what `read` makes, by reference
fn drawn(mut picture: Picture, masks: &Vec<Option<Encoded<'_>>>) -> Result<Option<Picture>> {
    for (index, mask) in masks.iter().enumerate() {
        let Some(mask) = mask else { continue };
        let Some(mask) = fitting(&picture, mask)? else { return Ok(None) };
        picture.draw(&mask.try_to_mask()?, colour(index))?;
    }
    Ok(Some(picture))
}

fn cutout(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let values = Any::new(input.column(1)?)?;
    // Literals such as 0.5 are of a type of their own.
    if values.elements().is_some_and(|elements| matches!(elements.kind(), Kind::Number(_))) {
        return number_cutout(input, output, &values);
    }
    let (pictures, masks) = (Pictures::new(input)?, Masks::new(input.column(1)?)?);
    pictures.change(
        input,
        output,
        |row| masks.get(row),
        |picture, mask| fitting(&picture, mask)?.map_or(Ok(None), |mask| Ok(picture.cutout(&mask)?)),
    )
}

/// Probabilities of another type than those of `sam_segment`.
fn number_cutout(input: &Input<'_>, output: &mut Output<'_>, lists: &Any<'_>) -> Result<()> {
    let pictures = Pictures::new(input)?;
    let read = |row| {
        let Some((elements, range)) = lists.elements().zip(lists.range(row)) else { return Ok(None) };
        let numbers: Option<Vec<f64>> = range.map(|index| elements.number(index)).collect();
        numbers.ok_or_else(has_null).map(Some)
    };
    pictures.change(input, output, read, |picture, numbers| cut(&picture, numbers))
}

fn has_null() -> Failure {
    Failure::input("the probabilities contain NULL; give a number for each pixel")
}

fn soft_cutout(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (pictures, lists) = (Pictures::new(input)?, input.column(1)?);
    let values = lists.elements()?;
    let read = |row| {
        let Some(range) = lists.range(row) else { return Ok(None) };
        let probabilities = match values.kind() {
            Type::Float => values.floats(range).map(Probabilities::Floats),
            _ => values.doubles(range).map(Probabilities::Doubles),
        };
        probabilities.ok_or_else(has_null).map(Some)
    };
    pictures.change(input, output, read, |picture, probabilities| match *probabilities {
        Probabilities::Floats(values) => cut(&picture, values),
        Probabilities::Doubles(values) => cut(&picture, values),
    })
}

/// Probabilities in the table.
enum Probabilities<'a> {
    Floats(&'a [f32]),
    Doubles(&'a [f64]),
}

fn cut<T: Copy + Into<f64>>(picture: &Picture, probabilities: &[T]) -> Result<Option<Picture>> {
    let [width, height] = picture.size();
    if probabilities.len() as u64 != u64::from(width) * u64::from(height) {
        return Err(Failure::input(format!(
            "there are {} probabilities, and the picture is {height} x {width} pixels (height x width); give one for \
             each of its pixels, as sam_segment(model, image, ...).mask has them",
            probabilities.len()
        )));
    }
    let outside = |value: &T| !(0.0..=1.0).contains(&(*value).into());
    if let Some(place) = probabilities.iter().position(outside) {
        return Err(Failure::input(format!(
            "value {} is {}, and probabilities are 0 to 1; bring logits there with 1 / (1 + exp(-x)), and bytes with \
             x / 255",
            place + 1,
            probabilities[place].into()
        )));
    }
    Ok(picture.soft_cutout(probabilities)?)
}

/// The mask, if it is one, which must then be of the image's size.
fn fitting(picture: &Picture, mask: &Encoded<'_>) -> Result<Option<Rle>> {
    let Some(mask) = mask.decode()? else { return Ok(None) };
    let [width, height] = picture.size();
    match [mask.height, mask.width] == [height, width] {
        true => Ok(Some(mask)),
        false => Err(sizes_differ(["the picture", "the mask"], [[height, width], [mask.height, mask.width]])),
    }
}
