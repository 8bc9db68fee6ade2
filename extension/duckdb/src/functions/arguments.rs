//! The arguments that functions share: images and prompts.
//!
//! Numbers arrive as `DOUBLE` and `BIGINT`, the widest of their kind. `FLOAT[]`, `DECIMAL[]`, `INTEGER[]`, arrays and
//! `NULL` all cast to their lists implicitly and without ambiguity. Nothing casts implicitly to `FLOAT[]` that is not
//! one already or a literal.

use crate::engine::{Column, Input, Parameter, Type};
use sam_model::Prompt;
use sam_runtime::{Call, Failure, Request, Result};

/// The name or path of a model.
pub const MODEL: Parameter = Parameter::new("model", &[Type::Varchar]);

/// An image: its bytes, or as Hugging Face's datasets hold it. See [`Images`].
pub const IMAGE: Parameter = Parameter {
    refused: &[Type::Varchar],
    ..Parameter::new("image", &[Type::Blob, Type::Struct(&[(c"bytes", Type::Blob), (c"path", Type::Varchar)])])
};

/// The prompt of the functions that take a single point.
pub const ONE_POINT: &[Parameter] = &[MODEL, IMAGE, Parameter::new("point", &[NUMBERS])];

/// The prompt of the functions that take everything.
pub const PROMPTS: &[Parameter] = &[
    MODEL,
    IMAGE,
    Parameter::new("points", &[Type::List(&NUMBERS)]),
    Parameter::new("labels", &[Type::List(&Type::Bigint)]),
    Parameter::new("box", &[NUMBERS]),
];

/// A list of numbers: one point, or a box.
pub const NUMBERS: Type = Type::List(&Type::Double);

/// Images: a `BLOB`, or bytes with a path. A `VARCHAR` is accepted in order to say what to do with it.
pub struct Images<'a> {
    column: Column<'a>,
    file: Option<(Column<'a>, Column<'a>)>,
}

impl<'a> Images<'a> {
    /// Images in `column`.
    pub fn new(column: Column<'a>) -> Result<Self> {
        let file = match column.kind() {
            Type::Struct(_) => Some((column.field(0)?, column.field(1)?)),
            _ => None,
        };
        Ok(Self { column, file })
    }

    /// The bytes of the image in `row`.
    pub fn get(&self, row: usize) -> Result<Option<&'a [u8]>> {
        let Some((bytes, path)) = &self.file else {
            return match (self.column.kind(), self.column.bytes(row)) {
                (Type::Varchar, Some(text)) => Err(Failure::input(format!(
                    "image is the text '{}'; an image is given as bytes: a BLOB, or read_blob() for a file",
                    shorten(&String::from_utf8_lossy(text))
                ))),
                (_, bytes) => Ok(bytes),
            };
        };
        if self.column.is_null(row) {
            return Ok(None);
        }
        match (bytes.bytes(row), path.text(row)?) {
            (None, Some(path)) => Err(Failure::input(format!(
                "image has the path '{}' but no bytes, and paths are not read; get the bytes with read_blob()",
                shorten(path)
            ))),
            (bytes, _) => Ok(bytes),
        }
    }
}

/// Reads `(model, image, point)` or `(model, image, points, labels, box)`; `None` where there is nothing to do.
pub fn requests<'a>(input: &Input<'a>, call: &Call<'_>) -> Result<Vec<Option<Request<'a, Prompt>>>> {
    let models = input.column(0)?;
    let images = Images::new(input.column(1)?)?;
    let prompts = Prompts::new(input)?;
    let request = |row| {
        let (Some(model), Some(image)) = (models.text(row)?, images.get(row)?) else { return Ok(None) };
        let prompt = prompts.get(row)?;
        Ok(prompt.map(|prompt| Request { model, image, prompt }))
    };
    let pass = |row| {
        let known = || (models.text(row).ok().flatten(), images.get(row).ok().flatten());
        let request = request(row);
        let (model, image) = if request.is_err() { known() } else { (None, None) };
        Ok(call.pass(request, model, image)?.flatten())
    };
    (0..input.rows()).map(pass).collect()
}

/// Reads `(model, image)`, with what `prompt` makes of the row; `None` where any of them is missing.
pub fn images<'a, P>(
    input: &Input<'a>,
    call: &Call<'_>,
    prompt: impl Fn(usize) -> Option<P>,
) -> Result<Vec<Option<Request<'a, P>>>> {
    let (models, images) = (input.column(0)?, Images::new(input.column(1)?)?);
    let request = |row| {
        let model = models.text(row)?;
        let image = call.pass(images.get(row), model, None)?.flatten();
        let parts = model.zip(image).zip(prompt(row));
        Ok(parts.map(|((model, image), prompt)| Request { model, image, prompt }))
    };
    (0..input.rows()).map(request).collect()
}

/// Numbers, any of which may be NULL.
pub type Numbers = Vec<Option<f64>>;

/// A prompt as it stands in the table.
pub struct Parts {
    pub points: Option<Vec<Option<Numbers>>>,
    pub labels: Option<Numbers>,
    pub bbox: Option<Numbers>,
}

impl Parts {
    /// The prompt; `None` without points and box, as in a row without a match of an outer join, whatever the labels.
    pub fn prompt(self) -> Option<Result<Prompt>> {
        let points = self.points.filter(|points| !points.is_empty());
        (points.is_some() || self.bbox.is_some()).then(|| {
            let missing = || Failure::input("points contain NULL; each point is a list [x, y]");
            let point =
                |numbers: Option<Numbers>| exactly("point", "[x, y]", &numbers.ok_or_else(missing)?).map(single);
            let points: Vec<_> = points.unwrap_or_default().into_iter().map(point).collect::<Result<_>>()?;
            let labels: Option<Vec<_>> =
                self.labels.map(|labels| labels.into_iter().map(label).collect::<Result<_>>()).transpose()?;
            let bbox = self.bbox.map(|numbers| exactly("box", "[x0, y0, x1, y1]", &numbers).map(single)).transpose()?;
            if points.is_empty() && labels.as_ref().is_some_and(|labels| !labels.is_empty()) {
                return Err(Failure::input(
                    "labels are given without points; give one point for each label, or NULL labels",
                ));
            }
            Ok(Prompt::new(points, labels.as_deref(), bbox)?)
        })
    }
}

/// A label; whether it is a known one is checked by the prompt.
fn label(value: Option<f64>) -> Result<i32> {
    let known = "labels are 1 (foreground) or 0 (background)";
    let value = value.ok_or_else(|| Failure::input(format!("labels contain NULL; {known}")))?;
    match value.fract() == 0.0 && value.abs() < f64::from(i32::MAX) {
        true => Ok(value as i32),
        false => Err(Failure::input(format!("label {value} is unknown; {known}"))),
    }
}

/// The prompts of all rows.
enum Prompts<'a> {
    Point(Lists<'a>),
    Full(Box<Full<'a>>),
}

/// Columns of points, their coordinates, labels and boxes.
struct Full<'a> {
    points: Lists<'a>,
    coordinates: Lists<'a>,
    labels: Lists<'a>,
    boxes: Lists<'a>,
}

impl<'a> Prompts<'a> {
    fn new(input: &Input<'a>) -> Result<Self> {
        if input.arguments() == 3 {
            return Ok(Self::Point(Lists::new(input.column(2)?)?));
        }
        Ok(Self::Full(Box::new(Full::new(input.column(2)?, input.column(3)?, input.column(4)?)?)))
    }

    fn get(&self, row: usize) -> Result<Option<Prompt>> {
        let prompt = match self {
            Self::Full(full) => full.get(row),
            Self::Point(points) => points.numbers(row).map(|numbers| {
                let [x, y] = single(exactly("point", "[x, y]", &numbers)?);
                Ok(Prompt::point(x, y)?)
            }),
        };
        prompt.transpose()
    }
}

impl<'a> Full<'a> {
    fn new(points: Column<'a>, labels: Column<'a>, boxes: Column<'a>) -> Result<Self> {
        let points = Lists::new(points)?;
        let coordinates = Lists::new(points.elements)?;
        Ok(Self { points, coordinates, labels: Lists::new(labels)?, boxes: Lists::new(boxes)? })
    }

    fn get(&self, row: usize) -> Option<Result<Prompt>> {
        let points = self.points.column.range(row);
        let parts = Parts {
            points: points.map(|points| points.map(|index| self.coordinates.numbers(index)).collect()),
            labels: self.labels.numbers(row),
            bbox: self.boxes.numbers(row),
        };
        parts.prompt()
    }
}

/// A column of lists together with their elements, which are fetched once.
pub struct Lists<'a> {
    /// The lists.
    pub column: Column<'a>,
    /// The elements of all of them.
    pub elements: Column<'a>,
}

impl<'a> Lists<'a> {
    /// The lists of `column`.
    pub fn new(column: Column<'a>) -> Result<Self> {
        Ok(Self { column, elements: column.elements()? })
    }

    /// The list of `row`.
    pub fn numbers(&self, row: usize) -> Option<Numbers> {
        let number = |index| match self.elements.kind() {
            Type::Bigint => self.elements.bigint(index).map(|value| value as f64),
            _ => self.elements.double(index),
        };
        Some(self.column.range(row)?.map(number).collect())
    }
}

/// Coordinates rounded to single precision: that is what the networks compute in.
fn single<const N: usize>(numbers: [f64; N]) -> [f32; N] {
    numbers.map(|number| number as f32)
}

/// Numbers for an error message. A `FLOAT` is shown as itself, not with the digits that `DOUBLE` adds.
pub fn shown(numbers: &[Option<f64>]) -> String {
    let number = |number: &Option<f64>| number.map_or("NULL".to_string(), |number| (number as f32).to_string());
    let shown: Vec<_> = numbers.iter().take(8).map(number).collect();
    format!("[{}{}]", shown.join(", "), if numbers.len() > 8 { ", ..." } else { "" })
}

/// The `N` numbers of a point or a box, none of them NULL.
pub fn exactly<const N: usize>(what: &str, form: &str, numbers: &[Option<f64>]) -> Result<[f64; N]> {
    let shown = || shown(numbers);
    let Ok(numbers) = <[Option<f64>; N]>::try_from(numbers) else {
        let count = numbers.len();
        return Err(Failure::input(format!("{what} {} has {count} values; a {what} is {form}", shown())));
    };
    match numbers.iter().all(Option::is_some) {
        true => Ok(numbers.map(Option::unwrap_or_default)),
        false => Err(Failure::input(format!("{what} {} contains NULL; a {what} is {form}", shown()))),
    }
}

/// A text for an error message, cut where it is long.
pub fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(100).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_two_numbers() {
        assert_eq!(exactly("point", "[x, y]", &[Some(0.5), Some(0.25)]), Ok([0.5, 0.25]));
        let message = |numbers: &[Option<f64>]| exactly::<2>("point", "[x, y]", numbers).unwrap_err().to_string();
        assert_eq!(message(&[Some(0.1), Some(1.0), Some(2.0)]), "point [0.1, 1, 2] has 3 values; a point is [x, y]");
        assert_eq!(message(&[]), "point [] has 0 values; a point is [x, y]");
        assert_eq!(message(&[Some(0.5), None]), "point [0.5, NULL] contains NULL; a point is [x, y]");
        assert!(message(&[None; 9]).starts_with("point [NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, ...] has 9"));
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(shorten("a/b.jpg"), "a/b.jpg");
        assert_eq!(shorten(&"ä".repeat(101)), format!("{}...", "ä".repeat(100)));
    }
}
