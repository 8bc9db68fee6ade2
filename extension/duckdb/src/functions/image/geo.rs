//! `image_geo`: where an image lies on the earth.

use super::read_or_null;
use crate::engine::{Category, Help, Input, Output, Overload, ScalarFunction, Type};
use crate::functions::arguments::{IMAGE, Images, NUMBERS};
use crate::functions::rows::{Rows, write_numbers};
use sam_runtime::Result;

const GEO_TYPE: Type = Type::Struct(&[(c"transform", NUMBERS), (c"epsg", Type::Integer), (c"citation", Type::Varchar)]);

/// `image_geo(image)`
pub static GEO: ScalarFunction = ScalarFunction {
    name: c"image_geo",
    help: Help {
        category: Category::Images,
        description: "Reads where a GeoTIFF lies on the earth, from its header and whatever its size. `transform` has \
            the six numbers `[a, b, c, d, e, f]` that bring pixels to coordinates, for `mask_to_wkb` and \
            `mask_to_wkt`; they are those of rasterio, for the upright image. NULL stands for tie points alone. \
            `epsg` is the code of the reference system; NULL for one that the file describes itself. `citation` is what \
            the file calls it. An image that does not tell where it lies gives NULL; so do the results of \
            `image_crop`, `image_tile` and others, which keep no such metadata. Bytes that are not an image, or are a \
            damaged one, give NULL.",
        example: "image_geo(image).epsg",
    },
    overloads: &[Overload { parameters: &[IMAGE], returns: GEO_TYPE, run }],
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, images) = (Rows::new(input)?, Images::new(input.column(0)?)?);
    let found = rows.read(|row| match images.get(row)? {
        Some(image) => Ok(read_or_null(|| sam_imaging::geo(image))?.flatten()),
        None => Ok(None),
    })?;
    let transforms: Vec<_> = found.iter().map(|geo| Some(geo.as_ref()?.transform?.numbers())).collect();
    output.each(found.iter().map(Option::as_ref), |output, row, geo| {
        match geo.epsg {
            Some(epsg) => output.field(1)?.integers()[row] = epsg.into(),
            None => output.field(1)?.set_null(row)?,
        }
        match &geo.citation {
            Some(citation) => output.field(2)?.set_bytes(row, citation.as_bytes()),
            None => output.field(2)?.set_null(row),
        }
    })?;
    write_numbers(&transforms, &mut output.field(0)?)
}
