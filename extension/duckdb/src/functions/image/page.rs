//! `image_page`, `image_pages`: what lies behind the first page.

use super::{Pictures, read_or_null};
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::arguments::{IMAGE, Images};
use crate::functions::rows::{Rows, write_bytes};
use sam_runtime::Result;
use std::ops::ControlFlow;

/// `image_page(image, number)`
pub static PAGE: ScalarFunction = ScalarFunction {
    name: c"image_page",
    help: Help {
        category: Category::Images,
        description: "Returns page `number` of a TIFF, or frame `number` of a GIF, as a PNG, or as a TIFF where a PNG \
            cannot hold its values. Pages are counted from 1 to `image_info(image).pages`. All other functions read \
            the first. The result is upright and has the values of the page. `uint8`, and grey and colours of `uint16`, \
            are a PNG; signed numbers, more bits, floats, further bands and a page with \"no data\" are a TIFF with all of \
            them. Only palettes and CMYK become RGB, and fewer than 8 bits become 8. A number that the image does not have is an error. Bytes that are not an \
            image, or are a damaged one, give NULL.",
        example: "image_page(image, 2)",
    },
    overloads: &[Overload {
        parameters: &[IMAGE, Parameter::new("number", &[Type::Bigint])],
        returns: Type::Blob,
        run,
    }],
};

/// `image_pages(image)`
pub static PAGES: ScalarFunction = ScalarFunction {
    name: c"image_pages",
    help: Help {
        category: Category::Images,
        description: "Returns all pages of a TIFF, or all frames of a GIF, in their order, each as `image_page` gives \
            it: a stack of a microscope as images of its own depth. An image with one page gives a list with one image. \
            Bytes that are not an image, or are a damaged one, give NULL.",
        example: "unnest(image_pages(image))",
    },
    overloads: &[Overload { parameters: &[IMAGE], returns: Type::List(&Type::Blob), run: all }],
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, images, numbers) = (Rows::new(input)?, Images::new(input.column(0)?)?, input.column(1)?);
    let limits = rows.call.settings().images;
    let arguments = rows.read(|row| Ok(images.get(row)?.zip(numbers.bigint(row))))?;
    let page = |&(image, number): &(&[u8], i64)| read_or_null(|| sam_imaging::page(image, number, &limits));
    write_bytes(&rows.call.rows(&arguments, 1, page)?, output)
}

fn all(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (pictures, images) = (Pictures::new(input)?, Images::new(input.column(0)?)?);
    let images = pictures.rows.read(|row| images.get(row))?;
    let pages = pictures.rows.call.rows(&images, 1, |image| {
        let (mut pages, mut stopped) = (Vec::new(), Ok(()));
        let mut take = |page| {
            let held = pictures.rows.call.check().and_then(|()| pictures.room.hold(page));
            stopped = held.map(|page| pages.push(page));
            if stopped.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let read = read_or_null(|| sam_imaging::pages(image, &pictures.limits, &mut take))?;
        stopped?;
        Ok(read.map(|()| pages))
    })?;
    let lengths: Vec<usize> = pages.iter().map(|pages| pages.as_ref().map_or(0, Vec::len)).collect();
    let mut elements = output.lists(&lengths)?;
    for (index, page) in pages.iter().flatten().flatten().enumerate() {
        elements.set_bytes(index, page)?;
    }
    output.set_nulls(&pages)
}
