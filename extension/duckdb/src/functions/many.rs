//! The argument of `sam_annotate_many`: several prompts on one image, as they are written by hand and as detectors give
//! them.

use super::arguments::{IMAGE, Images, MODEL, NUMBERS, Numbers, Parts, shorten};
use super::boxes::{Form, Sides, sides};
use crate::engine::{Any, Column, Input, Kind, Parameter, Type};
use sam_model::Prompt;
use sam_runtime::{Call, Failure, Request, Result};
use std::cell::OnceCell;
use std::ffi::CStr;
use std::fmt::Display;
use std::ops::Range;

const POINTS: (&CStr, Type) = (c"points", Type::List(&NUMBERS));
const LABELS: (&CStr, Type) = (c"labels", Type::List(&Type::Bigint));
const BOX: (&CStr, Type) = (c"box", NUMBERS);

/// The fields that a box may be in, each in a form of its own, beside `box` as a list of fractions.
const BBOX: (&CStr, Type) = (c"bbox", NUMBERS);
const XYXY: (&CStr, Type) = (c"xyxy", NUMBERS);
const CORNERS: (&CStr, Type) = (
    c"box",
    Type::Struct(&[(c"xmin", Type::Double), (c"ymin", Type::Double), (c"xmax", Type::Double), (c"ymax", Type::Double)]),
);

/// Names of the corners of a box that is a struct: Hugging Face's pipelines and Ultralytics' summaries.
const NAMES: [[&str; 4]; 2] = [["xmin", "ymin", "xmax", "ymax"], ["x1", "y1", "x2", "y2"]];

/// The arguments of the functions that take several prompts on one image. Prompts are structs that have at least one of
/// these fields, in any order. They may have others, such as a detector's label and score.
pub const ARGUMENTS: &[Parameter] = &[
    MODEL,
    IMAGE,
    Parameter::any(
        "prompts",
        &[
            Type::List(&Type::Struct(&[POINTS, LABELS, BOX])),
            Type::List(&Type::Struct(&[POINTS, LABELS])),
            Type::List(&Type::Struct(&[POINTS])),
            Type::List(&Type::Struct(&[BOX])),
            Type::List(&Type::Struct(&[BBOX])),
            Type::List(&Type::Struct(&[XYXY])),
            Type::List(&Type::Struct(&[CORNERS])),
        ],
    ),
];

/// Reads `(model, image, prompts)`: the requests of all rows, one after the other, and how many each row has; `None`
/// for a row that is NULL.
#[expect(clippy::type_complexity, reason = "two lists, described above")]
pub fn read<'a>(input: &Input<'a>, call: &Call<'_>) -> Result<(Vec<Option<Request<'a, Prompt>>>, Vec<Option<usize>>)> {
    let (models, images) = (input.column(0)?, Images::new(input.column(1)?)?);
    let prompts = Prompts::new(input.column(2)?)?;
    let (mut requests, mut counts) = (Vec::new(), Vec::new());
    for row in 0..input.rows() {
        let image = call.pass(images.get(row), models.text(row)?, None)?.flatten();
        let range = call.pass(prompts.range(row), models.text(row)?, image)?.flatten();
        let (Some(model), Some(image), Some(range)) = (models.text(row)?, image, range) else {
            counts.push(None);
            continue;
        };
        counts.push(Some(range.len()));
        let size = Size { image, sides: OnceCell::new() };
        for index in range {
            let prompt = call.pass(prompts.get(index, &size), Some(model), Some(image))?.flatten();
            requests.push(prompt.map(|prompt| Request { model, image, prompt }));
        }
    }
    Ok((requests, counts))
}

/// The size of the image that prompts are on, found out when the first box in pixels needs it.
struct Size<'a> {
    image: &'a [u8],
    sides: OnceCell<Result<Option<Sides>>>,
}

impl Size<'_> {
    fn get(&self) -> Result<Sides> {
        let found = self.sides.get_or_init(|| sides(self.image)).clone()?;
        found.ok_or_else(|| match sam_imaging::info_of_any_size(self.image) {
            Err(error) => error.into(),
            Ok(_) => Failure::internal("an image has lost its size"),
        })
    }
}

/// Lists of prompts, structs of whatever fields and types of numbers.
struct Prompts<'a>(Any<'a>);

impl<'a> Prompts<'a> {
    fn new(column: Column<'a>) -> Result<Self> {
        Any::new(column).map(Self)
    }

    /// Which elements the prompts of `row` are.
    fn range(&self, row: usize) -> Result<Option<Range<usize>>> {
        list(&self.0, row, "prompts are")
    }

    fn get(&self, index: usize, size: &Size<'_>) -> Result<Option<Prompt>> {
        let Some(prompts) = self.0.elements().filter(|prompts| !prompts.is_null(index)) else { return Ok(None) };
        let field = |(name, _): (&CStr, Type)| name.to_str().ok().and_then(|name| prompts.field(name));
        let [points, labels, corners, bbox, xyxy] = [POINTS, LABELS, BOX, BBOX, XYXY].map(field);
        if [points, labels, corners, bbox, xyxy].iter().all(Option::is_none) {
            return Err(no_prompt(format_args!("a prompt is {}", described(prompts, index))));
        }
        let misnamed = prompts.field("label").filter(|label| label.elements().is_some());
        if points.is_some() && labels.is_none() && misnamed.is_some() {
            return Err(no_prompt("a prompt has points and a list that is called label; it is called labels"));
        }
        let flat = |lists: Option<&Any<'a>>| lists.map_or(Ok(None), |lists| numbers(lists, index));
        let points = points.map_or(Ok(None), |points| {
            let Some(range) = list(points, index, "the points of a prompt are")? else { return Ok(None) };
            let point = |index| points.elements().map_or(Ok(None), |points| numbers(points, index));
            range.map(point).collect::<Result<_>>().map(Some)
        })?;
        let mut found = [
            match corners.filter(|corners| matches!(corners.kind(), Kind::Struct(_))) {
                Some(corners) => {
                    structured(corners, index)?.map(|numbers| in_pixels("box", Form::Xyxy, &numbers, size))
                }
                None => flat(corners)?.map(Ok),
            },
            flat(bbox)?.map(|numbers| in_pixels("bbox", Form::Xywh, &numbers, size)),
            flat(xyxy)?.map(|numbers| in_pixels("xyxy", Form::Xyxy, &numbers, size)),
        ]
        .into_iter()
        .flatten();
        let (bbox, another) = (found.next().transpose()?, found.next());
        if another.is_some() {
            return Err(no_prompt(
                "a prompt has several boxes, in box, bbox or xyxy; give one of them and NULL for the others",
            ));
        }
        Parts { points, labels: flat(labels)?, bbox }.prompt().transpose()
    }
}

/// A box in pixels as fractions. Numbers up to 1 are not taken for pixels.
fn in_pixels(field: &str, form: Form, numbers: &[Option<f64>], size: &Size<'_>) -> Result<Numbers> {
    let is_small = |number: &Option<f64>| number.is_some_and(|number| (0.0..=1.0).contains(&number));
    if numbers.iter().all(is_small) && !numbers.is_empty() {
        return Err(Failure::input(format!(
            "{field} {} of a prompt has no number above 1, and is in pixels; for fractions of width and height give \
             'box': [x0, y0, x1, y1]",
            super::arguments::shown(numbers)
        )));
    }
    Ok(form.fractions(numbers, Some(size.get()?))?.map(Some).to_vec())
}

/// The corners of a box that is a struct.
fn structured(corners: &Any<'_>, row: usize) -> Result<Option<Numbers>> {
    if corners.is_null(row) {
        return Ok(None);
    }
    let fields = NAMES.iter().find_map(|names| {
        let fields: Vec<_> = names.iter().filter_map(|name| corners.field(name)).collect();
        (fields.len() == names.len()).then_some(fields)
    });
    let Some(fields) = fields else {
        return Err(no_prompt(format_args!(
            "the box of a prompt is {}; it has the fields xmin, ymin, xmax and ymax, or x1, y1, x2 and y2",
            described(corners, row)
        )));
    };
    let numbers = fields.into_iter().map(|field| number(field, row)).collect::<Result<Numbers>>()?;
    // Where a detector found nothing, some have a struct of NULLs.
    Ok(numbers.iter().any(Option::is_some).then_some(numbers))
}

/// Which elements the list of `row` has.
fn list(lists: &Any<'_>, row: usize, subject: &str) -> Result<Option<Range<usize>>> {
    match lists.is_null(row) || lists.elements().is_some() {
        true => Ok(lists.range(row)),
        false => Err(no_prompt(format_args!("{subject} {}", described(lists, row)))),
    }
}

/// The numbers of the list of `row`.
fn numbers(lists: &Any<'_>, row: usize) -> Result<Option<Numbers>> {
    let Some(range) = list(lists, row, "where numbers are wanted in a list, a prompt has")? else { return Ok(None) };
    let Some(elements) = lists.elements() else { return Ok(Some(Vec::new())) };
    range.map(|index| number(elements, index)).collect::<Result<_>>().map(Some)
}

/// The number of `row`; `None` is NULL.
fn number(values: &Any<'_>, row: usize) -> Result<Option<f64>> {
    match values.number(row) {
        None if !values.is_null(row) => {
            Err(no_prompt(format_args!("where a number is wanted, a prompt has {}", described(values, row))))
        }
        number => Ok(number),
    }
}

/// A value, for an error message.
fn described(values: &Any<'_>, row: usize) -> String {
    match (values.kind(), values.number(row), values.bytes(row)) {
        (_, Some(number), _) => format!("the number {number}"),
        (Kind::Text, _, Some(text)) => format!("the text '{}'", shorten(&String::from_utf8_lossy(text))),
        _ => format!("a {}", values.name()),
    }
}

fn no_prompt(subject: impl Display) -> Failure {
    Failure::input(format!(
        "{subject}; prompts are a list of structs such as {{'points': [[x, y], ...], 'labels': [...], 'box': [x0, y0, \
         x1, y1]}} or {{'box': [x0, y0, x1, y1]}}, or with a box in pixels {{'bbox': [x, y, width, height]}} or \
         {{'xyxy': [x0, y0, x1, y1]}}, which may have other fields as well"
    ))
}
