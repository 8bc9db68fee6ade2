//! `mask_shape`: the shape of a mask in numbers.

use super::{ONE, TOGETHER, each};
use crate::engine::{Category, Help, Input, Output, Overload, ScalarFunction, Type};
use sam_imaging::Shape;
use sam_runtime::{Failure, Result};

/// The names are those of scikit-image.
const SHAPE_TYPE: Type = Type::Struct(&[
    (c"area", Type::Bigint),
    (c"area_convex", Type::Bigint),
    (c"centroid", Type::List(&Type::Double)),
    (c"axis_major_length", Type::Double),
    (c"axis_minor_length", Type::Double),
    (c"eccentricity", Type::Double),
    (c"equivalent_diameter_area", Type::Double),
    (c"extent", Type::Double),
    (c"orientation", Type::Double),
    (c"perimeter", Type::Double),
    (c"solidity", Type::Double),
]);

/// `mask_shape(mask)`
pub static SHAPE: ScalarFunction = ScalarFunction {
    name: c"mask_shape",
    help: Help {
        category: Category::Masks,
        description: "Measures the shape of a mask, in pixels. The measures are those of scikit-image's `regionprops`. \
            `area_convex` is the area of the convex hull, and `solidity` the area by it. `centroid` is `[x, y]`; the \
            centre of the first pixel is `[0, 0]`. `axis_major_length`, `axis_minor_length`, `eccentricity` and \
            `orientation` are of the ellipse with the same second moments. `orientation` is the angle of its long axis \
            to the vertical, in radians, from -pi/2 to pi/2, counter-clockwise. `equivalent_diameter_area` is the \
            diameter of a circle with the same area. `extent` is the area by that of the box. `perimeter` is the \
            length of the border through the centres of its pixels. A mask of several parts is measured as a whole. A \
            mask without pixels gives NULL. An invalid mask gives NULL.",
        example: "mask_shape(mask).solidity",
    },
    overloads: &[Overload { parameters: &[ONE], returns: SHAPE_TYPE, run }],
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let shapes = each(input, TOGETHER, |mask| Ok(mask.shape()?))?;
    let lengths: Vec<usize> = shapes.iter().map(|shape| if shape.is_some() { 2 } else { 0 }).collect();
    let centroids: Vec<[f64; 2]> = shapes.iter().flatten().map(|shape| shape.centroid).collect();
    output.field(2)?.lists(&lengths)?.doubles().copy_from_slice(centroids.as_flattened());
    output.each(shapes, |output, row, shape| write(&shape, row, output))
}

fn write(shape: &Shape, row: usize, output: &mut Output<'_>) -> Result<()> {
    for (index, area) in [(0, shape.area), (1, shape.area_convex)] {
        output.field(index)?.bigints()[row] = i64::try_from(area).map_err(Failure::internal)?;
    }
    let numbers = [
        shape.axis_major_length,
        shape.axis_minor_length,
        shape.eccentricity,
        shape.equivalent_diameter(),
        shape.extent,
        shape.orientation,
        shape.perimeter,
        shape.solidity(),
    ];
    for (index, number) in (3..).zip(numbers) {
        output.field(index)?.doubles()[row] = number;
    }
    Ok(())
}
