//! `box_from_...`, `point_from_pixels`, `points_from_pixels`: prompts from what detectors, annotation files and masks have.

use super::arguments::{IMAGE, Images, Lists, NUMBERS, Numbers};
use super::boxes::{self, Form, to_fractions};
use super::mask::{Masks, ONE};
use super::rows::{Rows, write_numbers};
use crate::engine::{Category, Column, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use sam_runtime::{Failure, Result};

/// `box_from_pixels(box, image)` and `box_from_pixels(box, width, height)`
pub static BOX_FROM_PIXELS: ScalarFunction = ScalarFunction {
    name: c"box_from_pixels",
    help: Help {
        category: Category::Prompts,
        description: "Converts a box `[x0, y0, x1, y1]` in pixels into a prompt: the same corners as fractions of width \
            and height. These are those of the upright `image`, of which only the header is read; it may be an \
            embedding. Or they are given. What lies outside of the image is cut off; a box that lies outside \
            altogether, or has no area, is an error. NULL, and bytes that are not an image, give NULL.",
        example: "sam_annotate('nano', image, NULL, NULL, box_from_pixels([85, 30, 540, 390], image))",
    },
    overloads: &in_pixels(|input, output| boxes(input, output, Form::Xyxy)),
};

/// `box_from_xywh(box)`, `box_from_xywh(box, image)` and `box_from_xywh(box, width, height)`
pub static BOX_FROM_XYWH: ScalarFunction = ScalarFunction {
    name: c"box_from_xywh",
    help: Help {
        category: Category::Prompts,
        description: "Converts a box `[x, y, width, height]`, as COCO and the `bbox` of masks have it, into the corners \
            of a prompt. With an image, or its width and height, the box is in pixels, and what lies outside of the \
            image is cut off, as `box_from_pixels` does. Without, it is in fractions.",
        example: "sam_annotate('nano', image, NULL, NULL, box_from_xywh([85, 30, 455, 360], image))",
    },
    overloads: &in_any_unit(|input, output| boxes(input, output, Form::Xywh)),
};

/// `box_from_cxcywh(box)`, `box_from_cxcywh(box, image)` and `box_from_cxcywh(box, width, height)`
pub static BOX_FROM_CXCYWH: ScalarFunction = ScalarFunction {
    name: c"box_from_cxcywh",
    help: Help {
        category: Category::Prompts,
        description: "Converts a box `[x, y, width, height]` whose `x` and `y` are its centre into the corners of a \
            prompt. YOLO's files have such boxes in fractions; YOLO's detectors have them in pixels, which need the \
            image or its width and height, and are cut off at its edges as `box_from_pixels` does.",
        example: "box_from_cxcywh([0.5, 0.5, 0.25, 0.5])",
    },
    overloads: &in_any_unit(|input, output| boxes(input, output, Form::Cxcywh)),
};

/// `box_from_mask(mask)`
pub static BOX_FROM_MASK: ScalarFunction = ScalarFunction {
    name: c"box_from_mask",
    help: Help {
        category: Category::Prompts,
        description: "Returns the smallest box around a mask as a prompt: its corners `[x0, y0, x1, y1]` as fractions \
            of width and height. So the mask of one model, or of a record, becomes the prompt of another. An invalid \
            mask, or one without pixels, gives NULL.",
        example: "box_from_mask(mask)",
    },
    overloads: &[Overload { parameters: &[ONE], returns: NUMBERS, run: around }],
};

/// `point_from_pixels(point, image)` and `point_from_pixels(point, width, height)`
pub static POINT_FROM_PIXELS: ScalarFunction = ScalarFunction {
    name: c"point_from_pixels",
    help: Help {
        category: Category::Prompts,
        description: "Converts a point `[x, y]` in pixels into a prompt: fractions of width and height. These are those \
            of the upright `image`, of which only the header is read; it may be an embedding. Or they are given. A \
            point outside of the image is an error. NULL, and bytes that are not an image, give NULL.",
        example: "sam_annotate('nano', image, point_from_pixels([300, 240], image))",
    },
    overloads: &[
        Overload { parameters: &[POINT, IMAGE], returns: NUMBERS, run: point },
        Overload { parameters: &[POINT, WIDTH, HEIGHT], returns: NUMBERS, run: point },
    ],
};

/// `points_from_pixels(points, image)` and `points_from_pixels(points, width, height)`
pub static POINTS_FROM_PIXELS: ScalarFunction = ScalarFunction {
    name: c"points_from_pixels",
    help: Help {
        category: Category::Prompts,
        description: "The same as `point_from_pixels` for a list of points.",
        example: "points_from_pixels([[300, 240], [20, 10]], image)",
    },
    overloads: &[
        Overload { parameters: &[POINTS, IMAGE], returns: Type::List(&NUMBERS), run: points },
        Overload { parameters: &[POINTS, WIDTH, HEIGHT], returns: Type::List(&NUMBERS), run: points },
    ],
};

const BOX: Parameter = Parameter::new("box", &[NUMBERS]);
const POINT: Parameter = Parameter::new("point", &[NUMBERS]);
const POINTS: Parameter = Parameter::new("points", &[Type::List(&NUMBERS)]);
const WIDTH: Parameter = Parameter::new("width", &[Type::Bigint]);
const HEIGHT: Parameter = Parameter::new("height", &[Type::Bigint]);

type Run = fn(&Input<'_>, &mut Output<'_>) -> Result<()>;

/// A box in pixels.
const fn in_pixels(run: Run) -> [Overload; 2] {
    [
        Overload { parameters: &[BOX, IMAGE], returns: NUMBERS, run },
        Overload { parameters: &[BOX, WIDTH, HEIGHT], returns: NUMBERS, run },
    ]
}

/// A box in fractions, or in pixels.
const fn in_any_unit(run: Run) -> [Overload; 3] {
    let [of_image, of_size] = in_pixels(run);
    [Overload { parameters: &[BOX], returns: NUMBERS, run }, of_image, of_size]
}

/// Where width and height come from: the arguments behind the first.
enum Sides<'a> {
    Unknown,
    Of(Images<'a>),
    Given(Column<'a>, Column<'a>),
}

impl<'a> Sides<'a> {
    fn new(input: &Input<'a>) -> Result<Self> {
        Ok(match input.arguments() {
            1 => Self::Unknown,
            2 => Self::Of(Images::new(input.column(1)?)?),
            _ => Self::Given(input.column(1)?, input.column(2)?),
        })
    }

    /// Width and height in pixels, or that they are unknown. The outer `None` is NULL.
    fn get(&self, row: usize) -> Result<Option<Option<boxes::Sides>>> {
        let sides = match self {
            Self::Unknown => return Ok(Some(None)),
            Self::Of(images) => images.get(row)?.map_or(Ok(None), boxes::sides)?,
            Self::Given(width, height) => match (width.bigint(row), height.bigint(row)) {
                (Some(width), Some(height)) if width < 1 || height < 1 => {
                    return Err(Failure::input(format!(
                        "the image is {width} x {height} pixels (width x height); both must be at least 1"
                    )));
                }
                (Some(width), Some(height)) => Some([width as f64, height as f64]),
                _ => None,
            },
        };
        Ok(sides.map(Some))
    }
}

fn boxes(input: &Input<'_>, output: &mut Output<'_>, form: Form) -> Result<()> {
    let (rows, boxes, sides) = (Rows::new(input)?, Lists::new(input.column(0)?)?, Sides::new(input)?);
    let read = |row| match (boxes.numbers(row), sides.get(row)?) {
        (Some(numbers), Some(sides)) => form.fractions(&numbers, sides).map(Some),
        _ => Ok(None),
    };
    write_numbers(&rows.read(read)?, output)
}

fn around(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, masks) = (Rows::new(input)?, Masks::new(input.column(0)?)?);
    let read = |row| {
        let mask = masks.get(row)?.map(|mask| mask.decode()).transpose()?.flatten();
        Ok(mask.filter(|mask| mask.area() > 0).map(|mask| {
            let ([x, y, width, height], sides) = (mask.bbox().map(f64::from), [mask.width, mask.height].map(f64::from));
            [x / sides[0], y / sides[1], (x + width) / sides[0], (y + height) / sides[1]]
        }))
    };
    write_numbers(&rows.read(read)?, output)
}

fn point(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, points, sides) = (Rows::new(input)?, Lists::new(input.column(0)?)?, Sides::new(input)?);
    let read = |row| match (points.numbers(row), sides.get(row)?.flatten()) {
        (Some(numbers), Some(sides)) => to_fractions(&numbers, sides).map(Some),
        _ => Ok(None),
    };
    write_numbers(&rows.read(read)?, output)
}

fn points(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let (rows, points, sides) = (Rows::new(input)?, Lists::new(input.column(0)?)?, Sides::new(input)?);
    let coordinates = Lists::new(points.elements)?;
    let missing = || Failure::input("points contain NULL; each point is a list [x, y]");
    let point = |index, sides| {
        let numbers: Numbers = coordinates.numbers(index).ok_or_else(missing)?;
        to_fractions(&numbers, sides)
    };
    let read = |row| match (points.column.range(row), sides.get(row)?.flatten()) {
        (Some(range), Some(sides)) => range.map(|index| point(index, sides)).collect::<Result<Vec<_>>>().map(Some),
        _ => Ok(None),
    };
    let lists = rows.read(read)?;
    let lengths: Vec<usize> = lists.iter().map(|points| points.as_ref().map_or(0, Vec::len)).collect();
    let all: Vec<_> = lists.iter().flatten().flatten().copied().map(Some).collect();
    write_numbers(&all, &mut output.lists(&lengths)?)?;
    output.set_nulls(&lists)
}
