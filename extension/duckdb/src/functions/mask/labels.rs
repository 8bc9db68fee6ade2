//! `mask_labels`, `masks_from_labels`: all masks of an image as one image of numbers.

use super::{Lists, MANY, of_one_size};
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::arguments::{IMAGE, Images};
use crate::functions::room::Room;
use crate::functions::rows::{Rows, write_bytes};
use crate::functions::types::MASK;
use sam_imaging::{Format, LabelError, Rle, label_image, masks_of_labels};
use sam_runtime::{Failure, Result, Results};

/// `mask_labels(masks)` and `mask_labels(masks, format)`
pub static LABELS: ScalarFunction = ScalarFunction {
    name: c"mask_labels",
    help: Help {
        category: Category::Masks,
        description: "Writes masks as one label image of 16 bits: 1 where the first mask is, 2 where the second is, and \
            so on, 0 where there is none. Cellpose, StarDist, scikit-image, ImageJ and others read such images. Where \
            masks overlap, the first of them counts. `format` is `png`, the default, or `tiff`. NULLs in the list \
            leave their number unused. A list without any mask gives NULL, and so do masks without rows or columns. \
            More than 65535 masks, and masks of different sizes, are an error. An invalid mask gives NULL.",
        example: "mask_labels(masks, 'tiff')",
    },
    overloads: &[
        Overload { parameters: &[MANY], returns: Type::Blob, run: labels },
        Overload { parameters: &[MANY, Parameter::new("format", &[Type::Varchar])], returns: Type::Blob, run: labels },
    ],
};

/// `masks_from_labels(image)`
pub static FROM_LABELS: ScalarFunction = ScalarFunction {
    name: c"masks_from_labels",
    help: Help {
        category: Category::Masks,
        description: "Returns the masks of a label image, whose values are the numbers of objects, 0 where there is \
            none. `label` is the number; the list is in its order. Of an image with a palette (PNG, TIFF, GIF) the \
            numbers of the colours count, as in the instance masks of Pascal VOC. Whole numbers of any type are read, \
            those of 1, 2 and 4 bits as they are. An image with colours, with fractions or with more than a million \
            values is an error, and so is a JPEG, or a TIFF of JPEGs, whose compression changes the numbers. Bytes that are not an image, or are a damaged one, give NULL.",
        example: "unnest(masks_from_labels(image), max_depth := 2)",
    },
    overloads: &[Overload { parameters: &[IMAGE], returns: Type::List(&LABELLED), run: from_labels }],
};

const LABELLED: Type = Type::Struct(&[
    (c"label", Type::Bigint),
    (c"segmentation", MASK),
    (c"bbox", Type::List(&Type::Float)),
    (c"area", Type::Bigint),
]);

fn labels(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let masks = Lists::new(input.column(0)?)?;
    let formats = if input.arguments() > 1 { Some(input.column(1)?) } else { None };
    let rows = Rows::new(input)?;
    let (limits, room) = (rows.call.settings().images, Room::new(&rows.call));
    let arguments = rows.read(|row| {
        let format = formats.map_or(Ok(Some(Format::Png)), |formats| formats.text(row)?.map(format).transpose())?;
        Ok(masks.get(row)?.zip(format))
    })?;
    let images = rows.call.rows(&arguments, 1, |(list, format)| {
        let Some(masks) = of_one_size(list, &rows.call)? else { return Ok(None) };
        let Some([width, height]) = masks.first().map(|(_, mask)| [mask.width, mask.height]) else { return Ok(None) };
        if width.min(height) == 0 {
            return Ok(None);
        }
        let mut numbered: Vec<Option<Rle>> = vec![None; list.len()];
        masks.into_iter().for_each(|(place, mask)| numbered[place] = Some(mask));
        room.hold(label_image(&numbered, [width, height], *format, &limits).map_err(failure)?).map(Some)
    })?;
    write_bytes(&images, output)
}

/// The format with a name, if label images are written in it.
fn format(name: &str) -> Result<Format> {
    let known = Format::named(name).filter(|format| matches!(format, Format::Png | Format::Tiff));
    known.ok_or_else(|| Failure::input(format!("format '{name}' is not for label images; use 'png' or 'tiff'")))
}

fn failure(error: LabelError) -> Failure {
    match error {
        LabelError::Image(error) => error.into(),
        error => Failure::input(error.to_string()),
    }
}

fn from_labels(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, images) = (Rows::new(input)?, Images::new(input.column(0)?)?);
    let (limits, room) = (rows.call.settings().images, Room::new(&rows.call));
    let images = rows.read(|row| images.get(row))?;
    let found = rows.call.rows(&images, 1, |image| match masks_of_labels(image, &limits) {
        Ok(masks) => {
            let bytes = |mask: &Rle| (size_of_val(mask.counts.as_slice()) + 2 * size_of::<Rle>()) as u64;
            room.take(masks.iter().map(|(_, mask)| bytes(mask)).sum(), "masks", Results::Masks)?;
            Ok(Some(masks))
        }
        Err(LabelError::Image(error)) if !error.is_about_a_picture() => Ok(None),
        Err(error) => Err(failure(error)),
    })?;
    let lengths: Vec<usize> = found.iter().map(|masks| masks.as_ref().map_or(0, Vec::len)).collect();
    let masks = || found.iter().flatten().flatten();
    let mut elements = output.lists(&lengths)?;
    super::write(masks().map(|(_, mask)| Some(mask)), elements.field(1)?)?;
    elements
        .field(2)?
        .lists(&vec![4; masks().count()])?
        .floats()
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip(masks())
        .for_each(|(bbox, (_, mask))| *bbox = mask.bbox());
    for (index, (label, mask)) in masks().enumerate() {
        elements.field(0)?.bigints()[index] = *label;
        elements.field(3)?.bigints()[index] = i64::try_from(mask.area()).map_err(Failure::internal)?;
    }
    output.set_nulls(&found)
}
