//! `mask_to_rle`, `mask_from_rle`, `mask_to_png`, `mask_to_wkb`, `mask_to_wkt`: masks in other forms.

use super::coco::sides;
use super::{MASK, ONE, TOGETHER, each, with, write};
use crate::engine::{Category, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use crate::functions::dense::{Values, split};
use crate::functions::rows::{Rows, write_bytes};
use rayon::prelude::*;
use sam_imaging::{Mask, Polygon, Rle};
use sam_runtime::{Failure, Result, Results};

/// `mask_to_rle(mask, height, width)`
pub static TO_RLE: ScalarFunction = ScalarFunction {
    name: c"mask_to_rle",
    help: Help {
        category: Category::Masks,
        description: "Converts a dense mask into its compact form. The dense mask has one value per pixel, row by row, \
            of an image with `height` rows and `width` columns. A pixel is in the mask where its value is above 0.5. \
            This suits the probabilities of `sam_segment`, 0 and 1, 0 and 255, and false and true. Masks of bytes \
            (`UTINYINT[]`, `BOOLEAN[]`) take a quarter of the memory, and less time.",
        example: "mask_to_rle([0, 1, 0.5, 0.7, 0.2, 0.9], 2, 3)",
    },
    overloads: &[Overload {
        parameters: &[
            Parameter::new(
                "mask",
                &[
                    Type::List(&Type::Float),
                    Type::List(&Type::Double),
                    Type::List(&Type::Utinyint),
                    Type::List(&Type::Boolean),
                ],
            ),
            Parameter::new("height", &[Type::Bigint]),
            Parameter::new("width", &[Type::Bigint]),
        ],
        returns: MASK,
        run: to_rle,
    }],
};

/// `mask_from_rle(mask)`
pub static FROM_RLE: ScalarFunction = ScalarFunction {
    name: c"mask_from_rle",
    help: Help {
        category: Category::Masks,
        description: "Converts a mask into its dense form, one value per pixel, row by row: 1 in the mask, 0 outside. \
            It takes four bytes per pixel. An invalid mask gives NULL.",
        example: "mask_from_rle(mask)",
    },
    overloads: &[Overload { parameters: &[ONE], returns: Type::List(&Type::Float), run: from_rle }],
};

/// `mask_to_png(mask)`
pub static TO_PNG: ScalarFunction = ScalarFunction {
    name: c"mask_to_png",
    help: Help {
        category: Category::Masks,
        description: "Converts a mask into a PNG with one channel: 255 in the mask, 0 outside. An invalid mask, or one \
            without rows or columns, gives NULL.",
        example: "mask_to_png(mask)",
    },
    overloads: &[Overload { parameters: &[ONE], returns: Type::Blob, run: to_png }],
};

/// `mask_to_wkb(mask)` and `mask_to_wkb(mask, tolerance)`
pub static TO_WKB: ScalarFunction = ScalarFunction {
    name: c"mask_to_wkb",
    help: Help {
        category: Category::Masks,
        description: "Returns the outline of a mask as `mask_to_wkt` does, in well-known binary. This is what \
            GeoParquet holds, and what `ST_GeomFromWKB` reads.",
        example: "mask_to_wkb(mask)",
    },
    overloads: &[
        Overload {
            parameters: &[ONE],
            returns: Type::Blob,
            run: |input, output| outlines(input, output, sam_imaging::wkb),
        },
        Overload {
            parameters: &[ONE, TOLERANCE],
            returns: Type::Blob,
            run: |input, output| outlines(input, output, sam_imaging::wkb),
        },
    ],
};

/// `mask_to_wkt(mask)` and `mask_to_wkt(mask, tolerance)`
pub static TO_WKT: ScalarFunction = ScalarFunction {
    name: c"mask_to_wkt",
    help: Help {
        category: Category::Masks,
        description: "Returns the outline of a mask, along the edges of its pixels, as well-known text. x points to \
            the right and y **down**, from the upper left corner of the image. The outline is a `POLYGON`, with holes, \
            or a `MULTIPOLYGON` where there are several islands. Pixels that share only a corner are not one island. A \
            mask without pixels gives `POLYGON EMPTY`. The outline is valid by the rules of OGC, and its area is that \
            of the mask. With a `tolerance` above 0, in pixels, corners are left out. Each of them lies within this \
            distance of the new outline, which stays valid. An invalid mask gives NULL.",
        example: "mask_to_wkt(mask, 1.0)",
    },
    overloads: &[
        Overload {
            parameters: &[ONE],
            returns: Type::Varchar,
            run: |input, output| outlines(input, output, sam_imaging::wkt),
        },
        Overload {
            parameters: &[ONE, TOLERANCE],
            returns: Type::Varchar,
            run: |input, output| outlines(input, output, sam_imaging::wkt),
        },
    ],
};

const TOLERANCE: Parameter = Parameter::new("tolerance", &[Type::Double]);

/// Above this a pixel is in the mask: where the logit of the probability is above 0.
const THRESHOLD: f32 = 0.5;

/// Most runs of a mask whose outline is drawn: of noise they take 3 s and 2 GB. Masks of objects have thousands.
const MAX_RUNS: usize = 1 << 24;

/// Most runs of a mask whose outline is simplified: of noise they take 2 to 3 s and 300 MB.
const MAX_SIMPLIFIED: usize = 1 << 20;

/// A dense mask with height and width.
fn encode(values: Values<'_>, [height, width]: [u32; 2]) -> Rle {
    let mask = match values {
        Values::Floats(values) => Mask::from_values(width, height, values, |value| value > THRESHOLD),
        // Not by rounding to single precision, which could reach the threshold.
        Values::Doubles(values) => Mask::from_values(width, height, values, |value| value > f64::from(THRESHOLD)),
        Values::Bytes(values) => Mask::from_values(width, height, values, |value| value != 0),
    };
    Rle::from_mask(&mask)
}

fn to_rle(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let masks = input.column(0)?;
    let (values, heights, widths) = (masks.elements()?, input.column(1)?, input.column(2)?);
    let argument = |row| {
        let (Some(range), Some(height), Some(width)) = (masks.range(row), heights.bigint(row), widths.bigint(row))
        else {
            return Ok(None);
        };
        let has_null = || Failure::input("the mask contains NULL; give a number for each pixel");
        let dense = Values::read(&values, range).ok_or_else(has_null)?;
        Ok(Some((size(height, width, dense.len())?, dense)))
    };
    let rows = Rows::new(input)?;
    let arguments = rows.read(argument)?;
    let masks = rows.call.rows(&arguments, 1, |(size, dense)| Ok(Some(encode(*dense, *size))))?;
    write(masks.iter().map(Option::as_ref), output.reborrow())
}

/// Height and width, which must be those of a mask with so many values.
fn size(height: i64, width: i64, values: usize) -> Result<[u32; 2]> {
    let sides = sides(height, width)?;
    match sides.map(u64::from).iter().product::<u64>() == values as u64 {
        true => Ok(sides),
        false => Err(Failure::input(format!(
            "the mask has {values} values, which are not height {height} times width {width}; give the height and width of its picture"
        ))),
    }
}

fn from_rle(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let call = input.caller().begin()?;
    let masks = each(input, TOGETHER, |mask| Ok(Some(mask)))?;
    let pixels = |mask: &Option<Rle>| mask.as_ref().map_or(0, |mask| mask.height as usize * mask.width as usize);
    let lengths: Vec<usize> = masks.iter().map(pixels).collect();
    call.settings().results.check_masks(&lengths, Results::Masks)?;
    let mut all = output.lists(&lengths)?;
    let pieces = split(all.reborrow().floats(), &lengths)?;
    call.session().pool().run(|| {
        masks.par_iter().zip(pieces).try_for_each(|(mask, values)| match mask {
            Some(mask) => mask.try_to_mask().map(|mask| mask.write_floats(values)),
            None => Ok(()),
        })
    })??;
    output.set_nulls(&masks)
}

fn to_png(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let limits = input.caller().settings()?.images;
    let pictures = each(input, 1, |mask| match mask.height.min(mask.width) {
        0 => Ok(None),
        _ => Ok(Some(sam_imaging::mask_png(&mask, &limits)?)),
    })?;
    write_bytes(&pictures, output)
}

fn outlines<T: AsRef<[u8]> + Send + Sync>(
    input: &Input<'_>,
    output: &mut Output<'_>,
    text: fn(&[Polygon]) -> T,
) -> Result<()> {
    let tolerances = if input.arguments() > 1 { Some(input.column(1)?) } else { None };
    let rows = Rows::new(input)?;
    let arguments =
        with(input, &rows, |row| match tolerances.map_or(Some(0.0), |tolerances| tolerances.double(row)) {
            Some(tolerance) if tolerance.is_nan() || tolerance < 0.0 => {
                Err(Failure::input(format!("tolerance {tolerance} is no distance; give a number of pixels, 0 or more")))
            }
            tolerance => Ok(tolerance),
        })?;
    let outlines = rows.call.rows(&arguments, TOGETHER, |(mask, tolerance)| {
        let Some(mask) = mask.decode()? else { return Ok(None) };
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
        Ok(Some(text(&mask.polygons(*tolerance))))
    })?;
    write_bytes(&outlines, output)
}
