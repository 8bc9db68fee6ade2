//! `sam_annotate`: the mask as a compact record, the form to keep in tables.

use super::arguments::{self, ONE_POINT, PROMPTS};
use super::types::SEG;
use super::{many, mask};
use crate::engine::{Category, Help, Input, Output, Overload, ScalarFunction, Type};
use sam_runtime::{Annotate, Batch, Failure, Record, Result};
use std::sync::Arc;

/// `sam_annotate(model, image, point)` and `sam_annotate(model, image, points, labels, box)`.
pub static ANNOTATE: ScalarFunction = ScalarFunction {
    name: c"sam_annotate",
    help: Help {
        category: Category::Segmentation,
        description: "Segments the object at a prompt and returns its mask as a compact record. Prompt and mask are \
            those of `sam_segment`; the fields are named as in SAM's own mask generator. `segmentation` is COCO's \
            compressed run-length encoding, as pycocotools reads it. `bbox` is x, y, width and height in pixels; \
            `area` is the number of pixels. `stability_score` tells how little the mask changes when the threshold \
            moves.",
        example: "sam_annotate('nano', image, [[0.5, 0.4], [0.5, 0.8]], [1, 0], [0.1, 0.0, 0.9, 1.0])",
    },
    overloads: &[
        Overload { parameters: ONE_POINT, returns: SEG, run },
        Overload { parameters: PROMPTS, returns: SEG, run },
    ],
};

/// `sam_annotate_many(model, image, prompts)`.
pub static ANNOTATE_MANY: ScalarFunction = ScalarFunction {
    name: c"sam_annotate_many",
    help: Help {
        category: Category::Segmentation,
        description: "Returns the records of `sam_annotate` for several prompts on one image, which is encoded once. \
            Each prompt is `{'points': [[x, y], ...], 'labels': [...], 'box': [x0, y0, x1, y1]}`, in fractions of width \
            and height; any of these fields may be NULL or left out. What detectors give is taken as it is, in pixels, \
            and what lies outside of the image is cut off: `bbox` is `[x, y, width, height]`, as COCO and the records of \
            masks have it, `xyxy` is `[x0, y0, x1, y1]`, and a `box` that is a struct has the fields `xmin`, `ymin`, \
            `xmax`, `ymax` or `x1`, `y1`, `x2`, `y2`. A prompt with several boxes is an error. Other fields, such as a \
            label and a score, are allowed and ignored. A prompt that is NULL, or has neither points nor a box, gives a \
            NULL element.",
        example: "sam_annotate_many('nano', image, [{'box': [0.1, 0.0, 0.9, 1.0]}, {'box': [0.2, 0.3, 0.6, 0.7]}])",
    },
    overloads: &[Overload { parameters: many::ARGUMENTS, returns: Type::List(&SEG), run: run_many }],
};

fn run_many(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let call = input.caller().begin()?;
    let (requests, counts) = many::read(input, &call)?;
    let records = Batch::new(&call, requests, |prompt, _| Ok(Annotate(prompt)))?.answers()?;
    let lengths: Vec<_> = counts.iter().map(|count| count.unwrap_or(0)).collect();
    write(&records, &mut output.lists(&lengths)?)?;
    output.set_nulls(&counts)
}

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let call = input.caller().begin()?;
    let requests = arguments::requests(input, &call)?;
    write(&Batch::new(&call, requests, |prompt, _| Ok(Annotate(prompt)))?.answers()?, output)
}

/// Writes the records; NULL where there is none.
pub fn write(records: &[Option<Arc<Record>>], output: &mut Output<'_>) -> Result<()> {
    mask::write(records.iter().map(|row| row.as_ref().map(|row| &row.rle)), output.field(0)?)?;
    let lengths: Vec<usize> = records.iter().map(|row| if row.is_some() { 4 } else { 0 }).collect();
    {
        let mut boxes = output.field(1)?;
        let boxes = boxes.lists(&lengths)?.floats().as_chunks_mut::<4>().0;
        for (bbox, record) in boxes.iter_mut().zip(records.iter().flatten()) {
            *bbox = record.rle.bbox();
        }
    }
    output.each(records.iter().map(Option::as_deref), |output, row, record| {
        let Record { rle, predicted_iou, stability_score } = record;
        output.field(2)?.bigints()[row] = i64::try_from(rle.area()).map_err(Failure::internal)?;
        output.field(3)?.floats()[row] = *predicted_iou;
        output.field(4)?.floats()[row] = *stability_score;
        Ok(())
    })
}
