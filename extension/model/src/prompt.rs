//! What the user points at: points with labels, and a box, as fractions of the displayed picture.

use crate::error::{ModelError, Result};

/// How far a side of a box may lie outside the picture, as a fraction of its side. Detectors overshoot, and mean the edge.
pub const BOX_OVERSHOOT: f32 = 0.05;

/// How far a point may lie outside the picture, as a fraction of its side: what rounding makes of a point on the edge.
pub const POINT_OVERSHOOT: f32 = 0.001;

/// A validated prompt. Coordinates are fractions of width and height in 0..=1, x first.
///
/// ```
/// use sam_model::Prompt;
///
/// let point = Prompt::point(0.5, 0.6)?;
/// assert!(point.is_ambiguous());
/// // What the box holds, but not what lies under the point.
/// let prompt = Prompt::new(vec![[0.2, 0.3]], Some(&[0]), Some([0.1, 0.1, 0.9, 0.8]))?;
/// assert_eq!(prompt.labels(), [0]);
/// // Pixels are refused.
/// assert!(Prompt::point(320.0, 240.0).is_err());
/// # Ok::<(), sam_model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    points: Vec<[f32; 2]>,
    labels: Vec<u8>,
    bbox: Option<[f32; 4]>,
}

impl Prompt {
    /// One foreground point.
    pub fn point(x: f32, y: f32) -> Result<Self> {
        Self::new(vec![[x, y]], None, None)
    }

    /// Points with one label each (1 = foreground, 0 = background; all foreground if `None`) and a box
    /// `[x0, y0, x1, y1]`. At least one point or a box is needed. Coordinates that are outside 0..=1 by no more than
    /// [`POINT_OVERSHOOT`] or [`BOX_OVERSHOOT`] are taken to the edge.
    ///
    /// # Errors
    /// Coordinates that are not finite or farther outside 0..=1, a box without area or with swapped corners, labels
    /// that are neither 0 nor 1 or not as many as the points, and an empty prompt.
    pub fn new(mut points: Vec<[f32; 2]>, labels: Option<&[i32]>, bbox: Option<[f32; 4]>) -> Result<Self> {
        let count = points.len();
        for (index, point) in points.iter_mut().enumerate() {
            let given = *point;
            for (axis, value) in ["x", "y"].into_iter().zip(point) {
                *value = fraction(axis, *value, POINT_OVERSHOOT, || point_name(index, count, &given))?;
            }
        }
        let labels = match labels {
            None => vec![1; points.len()],
            Some(labels) if labels.len() != points.len() => {
                return Err(ModelError::Prompt(format!(
                    "{} labels for {} points; give one label for each point (1 = foreground, 0 = background)",
                    labels.len(),
                    points.len()
                )));
            }
            Some(labels) => labels
                .iter()
                .map(|&label| match label {
                    0 | 1 => Ok(label as u8),
                    other => Err(ModelError::Prompt(format!(
                        "label {other} is unknown; labels are 1 (foreground) or 0 (background)"
                    ))),
                })
                .collect::<Result<_>>()?,
        };
        let bbox = bbox.map(within).transpose()?;
        if points.is_empty() && bbox.is_none() {
            return Err(ModelError::Prompt("the prompt is empty; give at least one point or a box".into()));
        }
        Ok(Self { points, labels, bbox })
    }

    /// The points, x first.
    pub fn points(&self) -> &[[f32; 2]] {
        &self.points
    }

    /// One label for each point: 1 = foreground, 0 = background.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The box as x0, y0, x1, y1.
    pub fn bbox(&self) -> Option<[f32; 4]> {
        self.bbox
    }

    /// Whether SAM answers with its three candidate masks (a single point is ambiguous: part, object or
    /// group) rather than with its single mask (any other prompt).
    pub fn is_ambiguous(&self) -> bool {
        self.points.len() == 1 && self.bbox.is_none()
    }
}

fn point_name(index: usize, count: usize, point: &[f32; 2]) -> String {
    if count == 1 { format!("point {point:?}") } else { format!("point {} of {count}, {point:?}", index + 1) }
}

/// A box with its sides inside the picture.
fn within(given: [f32; 4]) -> Result<[f32; 4]> {
    let mut corners = given;
    for (name, value) in ["x0", "y0", "x1", "y1"].into_iter().zip(&mut corners) {
        *value = fraction(name, *value, BOX_OVERSHOOT, || format!("box {given:?}"))?;
    }
    let [x0, y0, x1, y1] = corners;
    if x0 >= x1 || y0 >= y1 {
        return Err(ModelError::Prompt(format!(
            "box {given:?} has no area in the picture; a box is [x0, y0, x1, y1] with x0 < x1 and y0 < y1"
        )));
    }
    Ok(corners)
}

/// A coordinate in 0..=1, taken there if it is outside by no more than `overshoot`.
fn fraction(axis: &str, value: f32, overshoot: f32, subject: impl Fn() -> String) -> Result<f32> {
    if !value.is_finite() {
        return Err(ModelError::Prompt(format!(
            "{}: {axis} is {value}; coordinates are fractions of width and height between 0 and 1",
            subject()
        )));
    }
    if (-overshoot..=1.0 + overshoot).contains(&value) {
        return Ok(value.clamp(0.0, 1.0));
    }
    let what = subject();
    let outside = format!("{what}: {axis} = {value} is outside 0..1; coordinates are fractions of width and height");
    Err(match value.abs() < 2.0 {
        true => ModelError::Prompt(format!("{outside}, taken to the edge if at most {overshoot} outside")),
        false => ModelError::Pixels(format!(
            "{outside}; these look like pixels: divide x by the width and y by the height of the picture"
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(result: Result<Prompt>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn accepts_points_labels_and_boxes() {
        let prompt = Prompt::new(vec![[0.0, 1.0], [0.5, 0.5]], Some(&[1, 0]), Some([0.1, 0.2, 0.3, 0.4])).unwrap();
        assert_eq!(prompt.labels(), [1, 0]);
        assert!(!prompt.is_ambiguous());
        assert!(Prompt::point(0.5, 0.6).unwrap().is_ambiguous());
        assert!(!Prompt::new(vec![], None, Some([0.0, 0.0, 1.0, 1.0])).unwrap().is_ambiguous());
    }

    #[test]
    fn a_hair_outside_is_the_edge() {
        let bbox = |corners| Prompt::new(vec![], None, Some(corners)).map(|prompt| prompt.bbox());
        assert_eq!(bbox([-0.002, 0.2, 0.9, 0.9]).unwrap(), Some([0.0, 0.2, 0.9, 0.9]));
        assert_eq!(bbox([0.2, -0.05, 1.0000001, 1.05]).unwrap(), Some([0.2, 0.0, 1.0, 1.0]));
        assert!(bbox([0.2, 0.2, 1.06, 0.9]).unwrap_err().to_string().contains("x1 = 1.06 is outside 0..1"));
        assert!(
            bbox([1.0, 0.2, 1.01, 0.9]).unwrap_err().to_string().starts_with("box [1.0, 0.2, 1.01, 0.9] has no area")
        );
        assert_eq!(Prompt::point(1.0000001, -0.0005).unwrap().points(), [[1.0, 0.0]]);
        assert!(message(Prompt::point(1.002, 0.5)).contains("x = 1.002 is outside 0..1"));
    }

    #[test]
    fn names_what_is_wrong() {
        assert_eq!(
            message(Prompt::point(320.0, 0.5)),
            "point [320.0, 0.5]: x = 320 is outside 0..1; coordinates are fractions of width and height; these look \
             like pixels: divide x by the width and y by the height of the picture"
        );
        assert_eq!(
            message(Prompt::new(vec![[0.5, 0.5], [0.5, -0.1]], None, None)),
            "point 2 of 2, [0.5, -0.1]: y = -0.1 is outside 0..1; coordinates are fractions of width and height, taken to \
             the edge if at most 0.001 outside"
        );
        assert!(message(Prompt::point(0.5, f32::NAN)).contains("y is NaN"));
        assert!(message(Prompt::point(f32::INFINITY, 0.5)).contains("x is inf"));
        assert!(message(Prompt::new(vec![[0.5, 0.5]], Some(&[1, 0]), None)).starts_with("2 labels for 1 points"));
        assert!(message(Prompt::new(vec![[0.5, 0.5]], Some(&[2]), None)).starts_with("label 2 is unknown"));
        assert!(message(Prompt::new(vec![], None, Some([0.5, 0.2, 0.4, 0.8]))).contains("has no area"));
        assert!(message(Prompt::new(vec![], None, None)).starts_with("the prompt is empty"));
    }
}
