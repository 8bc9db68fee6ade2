//! `mask_to_wkb`, `mask_to_wkt`: outlines.

use super::{ONE, TOGETHER, with};
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::arguments::{Lists, NUMBERS, exactly};
use crate::functions::rows::{Rows, write_bytes};
use sam_imaging::{Polygon, Transform};
use sam_runtime::{Failure, Result};

/// `mask_to_wkb(mask)`, `mask_to_wkb(mask, tolerance)` and `mask_to_wkb(mask, tolerance, transform)`
pub static TO_WKB: ScalarFunction = ScalarFunction {
    name: c"mask_to_wkb",
    help: Help {
        category: Category::Masks,
        description: "Returns the outline of a mask as `mask_to_wkt` does, in well-known binary. This is what \
            GeoParquet holds, and what `ST_GeomFromWKB` reads.",
        example: "mask_to_wkb(mask)",
    },
    overloads: &[
        Overload { parameters: &[ONE], returns: Type::Blob, run: binary },
        Overload { parameters: &[ONE, TOLERANCE], returns: Type::Blob, run: binary },
        Overload { parameters: &[ONE, TOLERANCE, TRANSFORM], returns: Type::Blob, run: binary },
    ],
};

/// `mask_to_wkt(mask)`, `mask_to_wkt(mask, tolerance)` and `mask_to_wkt(mask, tolerance, transform)`
pub static TO_WKT: ScalarFunction = ScalarFunction {
    name: c"mask_to_wkt",
    help: Help {
        category: Category::Masks,
        description: "Returns the outline of a mask, along the edges of its pixels, as well-known text. x points to \
            the right and y **down**, from the upper left corner of the image. The outline is a `POLYGON`, with holes, \
            or a `MULTIPOLYGON` where there are several islands. Pixels that share only a corner are not one island. A \
            mask without pixels gives `POLYGON EMPTY`. The outline is valid by the rules of OGC, and its area is that \
            of the mask. With a `tolerance` above 0, in pixels, corners are left out. Each of them lies within this \
            distance of the new outline, which stays valid. A `transform` `[a, b, c, d, e, f]` puts the outline on a \
            map: x becomes `a x + b y + c` and y becomes `d x + e y + f`, as rasterio has it. `image_geo` reads it from \
            a GeoTIFF. One that cannot be inverted is an error. An invalid mask gives NULL.",
        example: "mask_to_wkt(mask, 1.0)",
    },
    overloads: &[
        Overload { parameters: &[ONE], returns: Type::Varchar, run: text },
        Overload { parameters: &[ONE, TOLERANCE], returns: Type::Varchar, run: text },
        Overload { parameters: &[ONE, TOLERANCE, TRANSFORM], returns: Type::Varchar, run: text },
    ],
};

const TOLERANCE: Parameter = Parameter::new("tolerance", &[Type::Double]);
const TRANSFORM: Parameter = Parameter::new("transform", &[NUMBERS]);

/// Most runs of a mask whose outline is drawn: of noise they take 3 s and 2 GB. Masks of objects have thousands.
const MAX_RUNS: usize = 1 << 24;

/// Most runs of a mask whose outline is simplified: of noise they take 2 to 3 s and 300 MB.
const MAX_SIMPLIFIED: usize = 1 << 20;

fn binary(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    outlines(input, output, |polygons, transform| match transform {
        Some(transform) => sam_imaging::wkb_at(polygons, transform),
        None => sam_imaging::wkb(polygons),
    })
}

fn text(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    outlines(input, output, |polygons, transform| match transform {
        Some(transform) => sam_imaging::wkt_at(polygons, transform),
        None => sam_imaging::wkt(polygons),
    })
}

fn outlines<T: AsRef<[u8]> + Send + Sync>(
    input: &Input<'_>,
    output: &mut Output<'_>,
    write: fn(&[Polygon], Option<&Transform>) -> T,
) -> Result<()> {
    let tolerances = if input.arguments() > 1 { Some(input.column(1)?) } else { None };
    let transforms = if input.arguments() > 2 { Some(Lists::new(input.column(2)?)?) } else { None };
    let rows = Rows::new(input)?;
    let arguments = with(input, &rows, |row| {
        let tolerance = match tolerances.map_or(Some(0.0), |tolerances| tolerances.double(row)) {
            Some(tolerance) if tolerance.is_nan() || tolerance < 0.0 => Err(Failure::input(format!(
                "tolerance {tolerance} is no distance; give a number of pixels, 0 or more"
            )))?,
            tolerance => tolerance,
        };
        let transform = match &transforms {
            None => Some(None),
            Some(lists) => lists.numbers(row).map(|numbers| transform(&numbers).map(Some)).transpose()?,
        };
        Ok(tolerance.zip(transform))
    })?;
    let outlines = rows.call.rows(&arguments, TOGETHER, |(mask, (tolerance, transform))| {
        let Some(mask) = mask.decode()? else { return Ok(None) };
        if let Some(transform) = transform
            && !transform.tells_apart([mask.width, mask.height])
        {
            let six = transform.numbers();
            return Err(Failure::input(format!(
                "transform {six:?} cannot be used: its pixels are so small that corners of the mask become one place in \
                 numbers of 64 bits"
            )));
        }
        let (limit, what) = match *tolerance > 0.0 {
            true => (MAX_SIMPLIFIED, "simplified with a tolerance"),
            false => (MAX_RUNS, "drawn"),
        };
        if mask.counts.len() > limit {
            return Err(Failure::input(format!(
                "the mask has {} runs, and outlines are {what} of up to {limit}; take out specks with \
                 mask_clean(mask, min_area) before, or cut the picture into tiles",
                mask.counts.len()
            )));
        }
        Ok(Some(write(&mask.polygons(*tolerance), transform.as_ref())))
    })?;
    write_bytes(&outlines, output)
}

/// The transform of these numbers.
fn transform(numbers: &[Option<f64>]) -> Result<Transform> {
    let form = "[a, b, c, d, e, f], six numbers, or nine as rasterio has them, of which the last three are 0, 0, 1";
    // rasterio's own has a third row, which is always the same.
    let numbers = match numbers {
        [six @ .., Some(0.0), Some(0.0), Some(1.0)] if six.len() == 6 => six,
        numbers => numbers,
    };
    let six = exactly("transform", form, numbers)?;
    Transform::new(six).map_err(|error| Failure::input(format!("transform {six:?} cannot be used: {error}")))
}
