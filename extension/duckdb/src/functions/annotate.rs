//! `sam_annotate`: the mask as a compact record, the form to keep in tables.

use super::arguments::{self, ONE_POINT, PROMPTS};
use crate::batch::Batch;
use crate::engine::{Category, Help, Input, Output, Overload, ScalarFunction, Type};
use crate::failure::{Failure, Result};
use crate::session::Session;
use sam_imaging::{MaskBuilder, Rle};
use sam_model::Prediction;

/// COCO's compressed run lengths: `size` is height and width.
pub const MASK: Type = Type::Struct(&[(c"size", Type::List(&Type::Integer)), (c"counts", Type::Varchar)]);

/// The record of Segment Anything's own mask generator; `bbox` is x, y, width and height in pixels.
pub const SEG: Type = Type::Struct(&[
    (c"segmentation", MASK),
    (c"bbox", Type::List(&Type::Float)),
    (c"area", Type::Bigint),
    (c"predicted_iou", Type::Float),
    (c"stability_score", Type::Float),
]);

/// `sam_annotate(model, image, point)` and `sam_annotate(model, image, points, labels, box)`.
pub static ANNOTATE: ScalarFunction = ScalarFunction {
    name: c"sam_annotate",
    help: Help {
        category: Category::Segmentation,
        description: "The mask of `sam_segment` as a compact record with the names of SAM's own mask generator. \
            `segmentation` is COCO's compressed run-length encoding, as pycocotools reads it; `bbox` is x, y, width \
            and height in pixels; `area` counts pixels; `stability_score` tells how little the mask changes when the \
            threshold moves.",
        example: "sam_annotate('nano', image, [[0.5, 0.4], [0.5, 0.8]], [1, 0], [0.1, 0.0, 0.9, 1.0])",
    },
    overloads: &[
        Overload { parameters: ONE_POINT, returns: SEG, run },
        Overload { parameters: PROMPTS, returns: SEG, run },
    ],
};

/// What a row of [`SEG`] holds.
struct Annotation {
    rle: Rle,
    predicted_iou: f32,
    stability_score: f32,
}

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let batch = Batch::new(Session::get()?, arguments::requests(input)?)?;
    let annotations = batch.run(vec![(); input.rows()], |prediction, ()| annotation(prediction))?;
    write(&annotations, output)
}

/// The best mask: where its logits are positive. How stable it is tells what becomes of it when the threshold moves
/// by one up or down: the smaller of the masks as a part of the larger.
fn annotation(prediction: &Prediction) -> Result<Annotation> {
    let best = prediction.best();
    let (width, height) = prediction.size();
    let mut mask = MaskBuilder::new(side(width)?, side(height)?);
    let (mut smaller, mut larger) = (0_u64, 0_u64);
    prediction.for_each_row(best, |y, logits| {
        mask.push_row(y as u32, logits, 0.0);
        smaller += above(logits, 1.0);
        larger += above(logits, -1.0);
    });
    let score = prediction.predicted_iou().get(best).copied();
    Ok(Annotation {
        rle: Rle::from_mask(&mask.finish()),
        predicted_iou: score.ok_or_else(|| Failure::internal("the prediction has no score"))?,
        stability_score: if larger == 0 { 0.0 } else { (smaller as f64 / larger as f64) as f32 },
    })
}

/// How many logits lie above `threshold`.
fn above(logits: &[f32], threshold: f32) -> u64 {
    // Counting in 32 bits lets the compiler use whole vectors; a row is far shorter than that.
    u64::from(logits.iter().map(|&logit| u32::from(logit > threshold)).sum::<u32>())
}

/// Writes the records; NULL where there is none.
fn write(annotations: &[Option<Annotation>], output: &mut Output<'_>) -> Result<()> {
    let present = || annotations.iter().flatten();
    let lengths = |length| annotations.iter().map(|row| if row.is_some() { length } else { 0 }).collect::<Vec<_>>();
    {
        let mut segmentation = output.field(0)?;
        let mut sizes = segmentation.field(0)?;
        let sizes = sizes.lists(&lengths(2))?.integers().as_chunks_mut::<2>().0;
        for (size, Annotation { rle, .. }) in sizes.iter_mut().zip(present()) {
            *size = [side(rle.height)?, side(rle.width)?];
        }
    }
    {
        let mut boxes = output.field(1)?;
        let boxes = boxes.lists(&lengths(4))?.floats().as_chunks_mut::<4>().0;
        for (bbox, Annotation { rle, .. }) in boxes.iter_mut().zip(present()) {
            *bbox = rle.bbox();
        }
    }
    for (row, annotation) in annotations.iter().enumerate() {
        let Some(Annotation { rle, predicted_iou, stability_score }) = annotation else {
            output.set_null(row)?;
            continue;
        };
        output.field(0)?.field(1)?.set_bytes(row, rle.to_counts_string().as_bytes())?;
        output.field(2)?.bigints()[row] = i64::try_from(rle.area()).map_err(Failure::internal)?;
        output.field(3)?.floats()[row] = *predicted_iou;
        output.field(4)?.floats()[row] = *stability_score;
    }
    Ok(())
}

/// The length of a side as another type of integer.
fn side<T>(pixels: impl TryInto<T>) -> Result<T> {
    pixels.try_into().map_err(|_| Failure::internal("a mask is larger than a picture can be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_strictly_above() {
        assert_eq!(above(&[0.0, 1.0, 1.5, -2.0, f32::NAN], 1.0), 1);
        assert_eq!(above(&[0.0, 1.0, 1.5, -2.0], -1.0), 3);
    }
}
