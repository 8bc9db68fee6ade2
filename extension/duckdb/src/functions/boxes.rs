//! Boxes and points in pixels, as detectors, annotation files and masks have them, made into prompts: fractions of width
//! and height.

use super::arguments::{exactly, shown};
use super::image::read_or_null;
use sam_model::{embedded_size, is_embedding};
use sam_runtime::{Failure, Result};

/// Width and height, in pixels.
pub type Sides = [f64; 2];

/// The size of the upright image, of which only the header is read, or of the one that an embedding was made of; `None`
/// for bytes that are neither.
pub fn sides(image: &[u8]) -> Result<Option<Sides>> {
    if is_embedding(image) {
        let (width, height) = embedded_size(image)?;
        return Ok(Some([width as f64, height as f64]));
    }
    let info = read_or_null(|| sam_imaging::info_of_any_size(image))?;
    Ok(info.map(|info| [f64::from(info.width), f64::from(info.height)]))
}

/// What the four numbers of a box are.
#[derive(Clone, Copy)]
pub enum Form {
    /// Two corners.
    Xyxy,
    /// A corner and a size.
    Xywh,
    /// The centre and a size.
    Cxcywh,
}

impl Form {
    fn text(self) -> &'static str {
        match self {
            Self::Xyxy => "[x0, y0, x1, y1]",
            Self::Xywh => "[x, y, width, height]",
            Self::Cxcywh => "[x, y, width, height] with x, y in its centre",
        }
    }

    fn corners(self, [x, y, width, height]: [f64; 4]) -> [f64; 4] {
        match self {
            Self::Xyxy => [x, y, width, height],
            Self::Xywh => [x, y, x + width, y + height],
            Self::Cxcywh => [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0],
        }
    }

    /// The corners of a box as fractions; in pixels where `sides` are known.
    pub fn fractions(self, numbers: &[Option<f64>], sides: Option<Sides>) -> Result<[f64; 4]> {
        let given = finite(exactly("box", self.text(), numbers)?, || format!("box {}", shown(numbers)))?;
        let corners = self.corners(given);
        let is_empty = |[x0, y0, x1, y1]: [f64; 4]| x0 >= x1 || y0 >= y1;
        let subject = || format!("box {}", shown(numbers));
        if is_empty(corners) {
            return Err(Failure::input(format!("{} has no area; it is read as {}", subject(), self.text())));
        }
        let Some([width, height]) = sides else {
            return match corners.iter().all(|side| side.abs() < 2.0) {
                true => Ok(corners),
                false => Err(Failure::input(format!(
                    "{} is not in fractions; for a box in pixels give the image, or its width and height, as well",
                    subject()
                ))),
            };
        };
        let [x0, y0, x1, y1] = corners;
        let clipped = [x0.max(0.0), y0.max(0.0), x1.min(width), y1.min(height)];
        if is_empty(clipped) {
            return Err(Failure::input(format!(
                "{} lies outside of the image, which is {width} x {height} pixels (width x height); it is read as {}",
                subject(),
                self.text()
            )));
        }
        let [x0, y0, x1, y1] = clipped;
        Ok([x0 / width, y0 / height, x1 / width, y1 / height])
    }
}

fn finite<const N: usize>(numbers: [f64; N], subject: impl Fn() -> String) -> Result<[f64; N]> {
    match numbers.iter().all(|number| number.is_finite()) {
        true => Ok(numbers),
        false => Err(Failure::input(format!("{} has a coordinate that is not a finite number", subject()))),
    }
}

/// A point in pixels as fractions.
pub fn to_fractions(numbers: &[Option<f64>], [width, height]: Sides) -> Result<[f64; 2]> {
    let subject = || format!("point {}", shown(numbers));
    let [x, y] = finite(exactly("point", "[x, y]", numbers)?, subject)?;
    match (0.0..=width).contains(&x) && (0.0..=height).contains(&y) {
        true => Ok([x / width, y / height]),
        false => Err(Failure::input(format!(
            "{} lies outside of the image, which is {width} x {height} pixels (width x height)",
            subject()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fractions(form: Form, numbers: [f64; 4], sides: Option<Sides>) -> std::result::Result<[f64; 4], String> {
        form.fractions(&numbers.map(Some), sides).map_err(|failure| failure.text().to_owned())
    }

    #[test]
    fn the_forms_of_a_box_are_the_same_box() {
        let (corners, sides) = ([0.25, 0.25, 0.75, 1.0], Some([200.0, 100.0]));
        assert_eq!(fractions(Form::Xyxy, [50.0, 25.0, 150.0, 100.0], sides), Ok(corners));
        assert_eq!(fractions(Form::Xywh, [50.0, 25.0, 100.0, 75.0], sides), Ok(corners));
        assert_eq!(fractions(Form::Cxcywh, [100.0, 62.5, 100.0, 75.0], sides), Ok(corners));
        assert_eq!(fractions(Form::Xywh, [0.25, 0.25, 0.5, 0.75], None), Ok(corners));
        assert_eq!(fractions(Form::Cxcywh, [0.5, 0.625, 0.5, 0.75], None), Ok(corners));
    }

    #[test]
    fn a_box_is_cut_off_at_the_edges() {
        let sides = Some([200.0, 100.0]);
        assert_eq!(fractions(Form::Xyxy, [-50.0, 25.0, 900.0, 101.0], sides), Ok([0.0, 0.25, 1.0, 1.0]));
        let outside = fractions(Form::Xyxy, [200.0, 25.0, 900.0, 80.0], sides).unwrap_err();
        assert!(
            outside.starts_with("box [200, 25, 900, 80] lies outside of the image, which is 200 x 100"),
            "{outside}"
        );
        let empty = fractions(Form::Xyxy, [150.0, 25.0, 50.0, 80.0], sides).unwrap_err();
        assert_eq!(empty, "box [150, 25, 50, 80] has no area; it is read as [x0, y0, x1, y1]");
        assert!(fractions(Form::Xywh, [f64::NAN, 0.0, 1.0, 1.0], sides).unwrap_err().contains("not a finite number"));
        assert!(fractions(Form::Xywh, [10.0, 0.0, 1.0, 1.0], None).unwrap_err().contains("give the image"));
    }
}
