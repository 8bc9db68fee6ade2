//! `sam_segment`: the dense mask, as probabilities.

use super::arguments::{self, ONE_POINT, PROMPTS};
use super::{dense, sigmoid};
use crate::batch::{Batch, Tolerance};
use crate::engine::{Category, Help, Input, Output, Overload, ScalarFunction, Type};
use crate::failure::{Failure, Result};
use sam_model::Prediction;
use std::sync::Arc;

/// `STRUCT(mask FLOAT[], iou_score FLOAT)`
const SEGMENT_TYPE: Type = Type::Struct(&[(c"mask", Type::List(&Type::Float)), (c"iou_score", Type::Float)]);

/// What to use where dense masks do not fit.
const INSTEAD: &str = "sam_annotate, whose masks take about 600 bytes each, ";

/// `sam_segment(model, image, point)` and `sam_segment(model, image, points, labels, box)`: the foreground
/// probability of each pixel, row by row, at the picture's own size, and the IoU that the model predicts for it.
pub static SEGMENT: ScalarFunction = ScalarFunction {
    name: c"sam_segment",
    help: Help {
        category: Category::Segmentation,
        description: "The object at `point` `[x, y]`; or at several `points` `[[x, y], ...]` with `labels` (1 in the \
            object, 0 not) within a `box` `[x0, y0, x1, y1]`, any of which may be NULL. Coordinates are fractions of \
            the width and height of the upright picture; boxes may overshoot it by 0.05 and points by 0.001, and are \
            taken to its edge. `mask` holds for each pixel, row by row, the probability \
            that it belongs to the object: of SAM's three candidates for one point the one with the best predicted \
            IoU, which is `iou_score`. A mask takes four bytes a pixel; `sam_annotate` returns the form to keep in \
            tables. A NULL model, image or prompt gives NULL.",
        example: "sam_segment('nano', image, [0.5, 0.6])",
    },
    overloads: &[
        Overload { parameters: ONE_POINT, returns: SEGMENT_TYPE, run },
        Overload { parameters: PROMPTS, returns: SEGMENT_TYPE, run },
    ],
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let tolerance = Tolerance::new(input.caller())?;
    let batch = Batch::new(&tolerance, arguments::requests(input, &tolerance)?)?;
    let pixels = batch.pixels();
    dense::check(&pixels, tolerance.room(), INSTEAD)?;
    let scores = {
        let mut masks = output.field(0)?;
        let slices = dense::split(masks.lists(&pixels)?.floats(), &pixels)?;
        batch.run(slices, |prediction: &Arc<Prediction>, mask| {
            let (width, height) = prediction.size();
            if width * height != mask.len() {
                let found = format!("a picture of {width} x {height} pixels has {} in its header", mask.len());
                return Err(Failure::internal(found));
            }
            let best = prediction.best();
            prediction.for_each_row(best, |y, logits| {
                if let Some(row) = mask.get_mut(y * width..(y + 1) * width) {
                    sigmoid::sigmoid(logits, row);
                }
            });
            let score = prediction.predicted_iou().get(best).copied();
            score.ok_or_else(|| Failure::internal("the prediction has no score"))
        })?
    };
    for (row, score) in scores.into_iter().enumerate() {
        match score {
            Some(score) => output.field(1)?.floats()[row] = score,
            None => output.set_null(row)?,
        }
    }
    Ok(())
}
