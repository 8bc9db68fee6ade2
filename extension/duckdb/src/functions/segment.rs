//! `sam_segment`: the dense mask, as probabilities.

use super::arguments::{self, FILE, LABELS, NUMBERS, POINTS};
use super::{dense, sigmoid};
use crate::batch::Batch;
use crate::engine::{Input, Output, Overload, ScalarFunction, Type};
use crate::failure::{Failure, Result};
use crate::session::Session;

/// `STRUCT(mask FLOAT[], iou_score FLOAT)`
const SEGMENT_TYPE: Type = Type::Struct(&[(c"mask", Type::List(&Type::Float)), (c"iou_score", Type::Float)]);

/// `sam_segment(model, image, point)` and `sam_segment(model, image, points, labels, box)`: the foreground
/// probability of each pixel, row by row, at the picture's own size, and the IoU that the model predicts for it.
pub static SEGMENT: ScalarFunction = ScalarFunction {
    name: c"sam_segment",
    overloads: &[
        Overload { parameters: &[Type::Varchar, Type::Blob, NUMBERS], returns: SEGMENT_TYPE, run },
        Overload { parameters: &[Type::Varchar, Type::Varchar, NUMBERS], returns: SEGMENT_TYPE, run },
        Overload { parameters: &[Type::Varchar, FILE, NUMBERS], returns: SEGMENT_TYPE, run },
        Overload { parameters: &[Type::Varchar, Type::Blob, POINTS, LABELS, NUMBERS], returns: SEGMENT_TYPE, run },
        Overload { parameters: &[Type::Varchar, Type::Varchar, POINTS, LABELS, NUMBERS], returns: SEGMENT_TYPE, run },
        Overload { parameters: &[Type::Varchar, FILE, POINTS, LABELS, NUMBERS], returns: SEGMENT_TYPE, run },
    ],
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let session = Session::get()?;
    let batch = Batch::new(session, arguments::requests(input)?)?;
    let pixels = batch.pixels();
    dense::check(&pixels, session.settings.mask_bytes)?;
    let scores = {
        let mut masks = output.field(0)?;
        let slices = dense::split(masks.lists(&pixels)?.floats(), &pixels)?;
        batch.run(slices, |prediction, mask| {
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
