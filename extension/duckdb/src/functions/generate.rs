//! `sam_generate`: all objects in an image.

use super::annotate;
use super::arguments::{self, IMAGE, MODEL};
use super::types::FOUND;
use crate::engine::{Category, Column, Help, Input, Output, Overload, Parameter, ScalarFunction, Type};
use sam_model::GenerateOptions;
use sam_runtime::{Batch, Failure, Generate, Generated, Result};
use std::sync::Arc;

/// Options by name.
const OPTIONS: Type = Type::Map(&[(c"key", Type::Varchar), (c"value", Type::Double)]);

/// `sam_generate(model, image)`, with a number of points, or with options.
pub static GENERATE: ScalarFunction = ScalarFunction {
    name: c"sam_generate",
    help: Help {
        category: Category::Segmentation,
        description: "Returns the masks of all objects in an image, as SAM's automatic mask generator finds them. \
            Every point of a grid is a prompt. A mask is kept if the model trusts it and no better mask covers it. The \
            masks are records of `sam_annotate` with `point_coords`, the prompt, and `crop_box` in addition, both in \
            pixels. They come with the highest `predicted_iou` first. With crops, those from smaller crops come first; \
            masks that `min_mask_region_area` has changed come last. `points_per_side` is 32 if not given, which makes \
            1,024 prompts. The options are those of `SamAutomaticMaskGenerator`: `points_per_side`, `pred_iou_thresh`, \
            `stability_score_thresh`, `stability_score_offset`, `box_nms_thresh`, `crop_n_layers`, `crop_nms_thresh`, \
            `crop_overlap_ratio`, `crop_n_points_downscale_factor` and `min_mask_region_area`. The defaults of \
            `pred_iou_thresh`, `stability_score_thresh` and `box_nms_thresh` depend on the model; all others are \
            SAM's. NULL stands for the defaults. DuckDB 1 ignores the name of an argument (`name := value`), so give \
            options in the MAP.",
        example: "sam_generate('nano', image, MAP {'points_per_side': 16, 'min_mask_region_area': 100})",
    },
    overloads: &[
        Overload { parameters: &[MODEL, IMAGE], returns: Type::List(&FOUND), run },
        Overload {
            parameters: &[MODEL, IMAGE, Parameter::new("points_per_side", &[Type::Bigint])],
            returns: Type::List(&FOUND),
            run,
        },
        Overload {
            parameters: &[MODEL, IMAGE, Parameter::new("options", &[OPTIONS])],
            returns: Type::List(&FOUND),
            run,
        },
    ],
};

fn run(input: &Input<'_>, output: &mut Output<'_>) -> Result<()> {
    let call = input.caller().begin()?;
    let changes = match input.arguments() {
        3 => Changes::new(input.column(2)?)?,
        _ => Changes::None,
    };
    let batch = Batch::new(&call, arguments::images(input, &call, Some)?, |row, model| {
        let mut options = model.generate_options();
        changes.apply(row, &mut options)?;
        Ok(Generate(options))
    })?;
    write(&batch.answers()?, output)
}

/// What the rows change in the defaults.
enum Changes<'a> {
    None,
    Points(Column<'a>),
    Options { lists: Column<'a>, names: Column<'a>, values: Column<'a> },
}

impl<'a> Changes<'a> {
    fn new(column: Column<'a>) -> Result<Self> {
        if column.kind() == Type::Bigint {
            return Ok(Self::Points(column));
        }
        let entries = column.elements()?;
        Ok(Self::Options { lists: column, names: entries.field(0)?, values: entries.field(1)? })
    }

    fn apply(&self, row: usize, options: &mut GenerateOptions) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Points(points) => match points.bigint(row) {
                // DuckDB 1 drops the names of arguments, and a threshold would pass for a number of points.
                Some(number @ ..=1) => Err(Failure::input(format!(
                    "points_per_side is {number}; give 2 or more. Options are given as MAP {{'name': value}}, not as \
                     name := value, of which DuckDB keeps the value only"
                ))),
                Some(number) => set(options, "points_per_side", number as f64),
                None => Ok(()),
            },
            Self::Options { lists, names, values } => {
                for entry in lists.range(row).unwrap_or_default() {
                    if let (Some(name), Some(value)) = (names.text(entry)?, values.double(entry)) {
                        set(options, name, value)?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Sets one option; whether it is in range is checked by the generator.
fn set(options: &mut GenerateOptions, name: &str, value: f64) -> Result<()> {
    let whole = || match value.fract() == 0.0 && (0.0..=1e15).contains(&value) {
        true => Ok(value as u64),
        false => Err(Failure::input(format!("{name} is {value}; it must be a whole number, 0 or more"))),
    };
    match name {
        "points_per_side" => options.points_per_side = whole()? as usize,
        "pred_iou_thresh" => options.pred_iou_thresh = value as f32,
        "stability_score_thresh" => options.stability_score_thresh = value as f32,
        "stability_score_offset" => options.stability_score_offset = value as f32,
        "box_nms_thresh" => options.box_nms_thresh = value as f32,
        "crop_n_layers" => options.crop_n_layers = whole()? as usize,
        "crop_nms_thresh" => options.crop_nms_thresh = value as f32,
        "crop_overlap_ratio" => options.crop_overlap_ratio = value,
        "crop_n_points_downscale_factor" => options.crop_n_points_downscale_factor = whole()? as usize,
        "min_mask_region_area" => options.min_mask_region_area = whole()?,
        _ => {
            return Err(Failure::input(format!(
                "option '{name}' is unknown; the options are points_per_side, pred_iou_thresh, stability_score_thresh, \
                 stability_score_offset, box_nms_thresh, crop_n_layers, crop_nms_thresh, crop_overlap_ratio, \
                 crop_n_points_downscale_factor and min_mask_region_area"
            )));
        }
    }
    Ok(())
}

/// Writes the lists; NULL where there is none.
fn write(found: &[Option<Arc<Generated>>], output: &mut Output<'_>) -> Result<()> {
    let lengths: Vec<_> = found.iter().map(|row| row.as_ref().map_or(0, |found| found.records.len())).collect();
    {
        let mut elements = output.lists(&lengths)?;
        let records: Vec<_> =
            found.iter().flatten().flat_map(|found| found.records.iter().cloned().map(Some)).collect();
        annotate::write(&records, &mut elements)?;
        let places = || found.iter().flatten().flat_map(|found| &found.places);
        {
            let mut points = elements.field(5)?;
            let mut points = points.lists(&vec![1; records.len()])?;
            let coordinates = points.lists(&vec![2; records.len()])?.floats().as_chunks_mut::<2>().0;
            coordinates.iter_mut().zip(places()).for_each(|(to, place)| *to = place.point);
        }
        let mut crops = elements.field(6)?;
        let crops = crops.lists(&vec![4; records.len()])?.floats().as_chunks_mut::<4>().0;
        crops.iter_mut().zip(places()).for_each(|(to, place)| *to = place.crop_box);
    }
    output.set_nulls(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> GenerateOptions {
        sam_model::Model::nano(sam_model::Precision::F32).unwrap().generate_options()
    }

    #[test]
    fn options_are_set_by_name() {
        let mut options = defaults();
        set(&mut options, "points_per_side", 8.0).unwrap();
        set(&mut options, "min_mask_region_area", 100.0).unwrap();
        set(&mut options, "crop_overlap_ratio", 0.25).unwrap();
        assert_eq!((options.points_per_side, options.min_mask_region_area), (8, 100));
        assert_eq!(options.crop_overlap_ratio, 0.25);
        assert_eq!(
            options,
            GenerateOptions { points_per_side: 8, min_mask_region_area: 100, crop_overlap_ratio: 0.25, ..defaults() }
        );
    }

    #[test]
    fn wrong_options_are_named() {
        let message = |name: &str, value| set(&mut defaults(), name, value).unwrap_err().to_string();
        assert!(message("points", 1.0).starts_with("option 'points' is unknown; the options are points_per_side, "));
        assert_eq!(message("crop_n_layers", 0.5), "crop_n_layers is 0.5; it must be a whole number, 0 or more");
        assert!(message("points_per_side", f64::NAN).contains("is NaN"));
        assert!(message("points_per_side", -1.0).contains("is -1;"));
    }
}
