//! `sam_segment`: the dense mask, as probabilities.

use super::arguments::{self, ONE_POINT, PROMPTS};
use super::dense::split;
use crate::engine::{Category, Help, Input, Output, Overload, ScalarFunction, Type};
use sam_runtime::{Batch, Result, Results, Segment, write_probabilities};

/// `STRUCT(mask FLOAT[], iou_score FLOAT)`
const SEGMENT_TYPE: Type = Type::Struct(&[(c"mask", Type::List(&Type::Float)), (c"iou_score", Type::Float)]);

/// `sam_segment(model, image, point)` and `sam_segment(model, image, points, labels, box)`. The mask is the foreground
/// probability of each pixel, row by row, at the image's own size; with it comes the IoU that the model predicts.
pub static SEGMENT: ScalarFunction = ScalarFunction {
    name: c"sam_segment",
    help: Help {
        category: Category::Segmentation,
        description: "Segments the object at a prompt and returns the probability of every pixel. The prompt is a \
            `point` `[x, y]`, or several `points` `[[x, y], ...]` with `labels` (1 in the object, 0 not) and a `box` \
            `[x0, y0, x1, y1]`. Any of the last three may be NULL. Coordinates are fractions of the width and height \
            of the upright image. A box may overshoot the image by 0.05 and a point by 0.001; both are clamped to its \
            edge. `mask` holds, row by row, the probability of each pixel to belong to the object. For a single point \
            SAM computes three candidates, of which the one with the highest predicted IoU is returned. `iou_score` is \
            the predicted IoU of the mask. A mask takes four bytes per pixel; to store masks in tables, use \
            `sam_annotate`. A NULL model, image or prompt gives NULL.",
        example: "sam_segment('nano', image, [0.5, 0.6])",
    },
    overloads: &[
        Overload { parameters: ONE_POINT, returns: SEGMENT_TYPE, run },
        Overload { parameters: PROMPTS, returns: SEGMENT_TYPE, run },
    ],
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let call = input.caller().begin()?;
    let batch = Batch::new(&call, arguments::requests(input, &call)?, |prompt, _| Ok(Segment(prompt)))?;
    let pixels = batch.pixels();
    call.settings().results.check_masks(&pixels, Results::PredictedMasks)?;
    let scores = {
        let mut masks = output.field(0)?;
        let slices = split(masks.lists(&pixels)?.floats(), &pixels)?;
        batch.run(slices, |prediction, mask| write_probabilities(prediction, mask))?
    };
    output.each(scores, |output, row, score| {
        output.field(1)?.floats()[row] = score;
        Ok(())
    })
}
