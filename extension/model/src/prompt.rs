//! What the user points at: points with labels, and a box, as fractions of the displayed picture.

use crate::error::{ModelError, Result};

/// A validated prompt. Coordinates are fractions of width and height in 0..=1, x first.
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
    /// `[x0, y0, x1, y1]`. At least one point or a box is needed.
    ///
    /// # Errors
    /// Coordinates that are not finite or outside 0..=1, a box without area or with swapped corners, labels
    /// that are neither 0 nor 1 or not as many as the points, and an empty prompt.
    pub fn new(points: Vec<[f32; 2]>, labels: Option<&[i32]>, bbox: Option<[f32; 4]>) -> Result<Self> {
        for (index, &[x, y]) in points.iter().enumerate() {
            check_fraction("x", x, || point_name(index, points.len(), &[x, y]))?;
            check_fraction("y", y, || point_name(index, points.len(), &[x, y]))?;
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
        if let Some(corners) = bbox {
            for (name, value) in ["x0", "y0", "x1", "y1"].into_iter().zip(corners) {
                check_fraction(name, value, || format!("box {corners:?}"))?;
            }
            let [x0, y0, x1, y1] = corners;
            if x0 >= x1 || y0 >= y1 {
                return Err(ModelError::Prompt(format!(
                    "box {corners:?} has no area; a box is [x0, y0, x1, y1] with x0 < x1 and y0 < y1"
                )));
            }
        }
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

fn check_fraction(axis: &str, value: f32, subject: impl Fn() -> String) -> Result<()> {
    if !value.is_finite() {
        return Err(ModelError::Prompt(format!(
            "{}: {axis} is {value}; coordinates are fractions of width and height between 0 and 1",
            subject()
        )));
    }
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    let remedy = if value > 1.0 {
        "; these look like pixels: divide x by the width and y by the height of the picture"
    } else {
        ""
    };
    Err(ModelError::Prompt(format!(
        "{}: {axis} = {value} is outside 0..1; coordinates are fractions of width and height{remedy}",
        subject()
    )))
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
    fn names_what_is_wrong() {
        assert_eq!(
            message(Prompt::point(320.0, 0.5)),
            "point [320.0, 0.5]: x = 320 is outside 0..1; coordinates are fractions of width and height; these look \
             like pixels: divide x by the width and y by the height of the picture"
        );
        assert_eq!(
            message(Prompt::new(vec![[0.5, 0.5], [0.5, -0.1]], None, None)),
            "point 2 of 2, [0.5, -0.1]: y = -0.1 is outside 0..1; coordinates are fractions of width and height"
        );
        assert!(message(Prompt::point(0.5, f32::NAN)).contains("y is NaN"));
        assert!(message(Prompt::point(f32::INFINITY, 0.5)).contains("x is inf"));
        assert!(message(Prompt::new(vec![[0.5, 0.5]], Some(&[1, 0]), None)).starts_with("2 labels for 1 points"));
        assert!(message(Prompt::new(vec![[0.5, 0.5]], Some(&[2]), None)).starts_with("label 2 is unknown"));
        assert!(message(Prompt::new(vec![], None, Some([0.5, 0.2, 0.4, 0.8]))).contains("has no area"));
        assert!(message(Prompt::new(vec![], None, None)).starts_with("the prompt is empty"));
    }
}
