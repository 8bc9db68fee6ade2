//! The mask generator against Meta's, with nano: `test/reference/make_generate_reference.py`.

use crate::records;
use sam_imaging::{Limits, Rle, decode};
use sam_model::{GenerateOptions, Generated, Model, Precision, Threads};
use serde_json::Value;

/// Least IoU of two masks that are the same, and the least share of masks for which there is such a one.
const SAME: f64 = 0.95;
const FOUND: f64 = 0.95;

fn options(model: &Model, given: &Value) -> GenerateOptions {
    let mut options = model.generate_options();
    for (name, value) in given.as_object().unwrap() {
        let (number, whole) = (value.as_f64().unwrap() as f32, value.as_u64().unwrap_or(0));
        match name.as_str() {
            "points_per_side" => options.points_per_side = whole as usize,
            "pred_iou_thresh" => options.pred_iou_thresh = number,
            "stability_score_thresh" => options.stability_score_thresh = number,
            "stability_score_offset" => options.stability_score_offset = number,
            "box_nms_thresh" => options.box_nms_thresh = number,
            "crop_n_layers" => options.crop_n_layers = whole as usize,
            "crop_n_points_downscale_factor" => options.crop_n_points_downscale_factor = whole as usize,
            "min_mask_region_area" => options.min_mask_region_area = whole,
            other => panic!("option {other}"),
        }
    }
    options
}

fn mask(record: &Value) -> Rle {
    let size: Vec<u32> =
        record["segmentation"]["size"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as u32).collect();
    Rle::from_counts_string(size[0], size[1], record["segmentation"]["counts"].as_str().unwrap()).unwrap()
}

fn numbers<const N: usize>(value: &Value) -> [f32; N] {
    std::array::from_fn(|index| value[index].as_f64().unwrap() as f32)
}

/// Whether both describe the same find: mask, scores, prompt and crop.
fn same(found: &Generated, record: &Value) -> bool {
    let score = |name: &str| record[name].as_f64().unwrap() as f32;
    let near = |a: f32, b: f32, tolerance: f32| (a - b).abs() <= tolerance;
    let point = numbers::<2>(&record["point_coords"]);
    found.mask.iou(&mask(record)).unwrap() >= SAME
        && near(found.predicted_iou, score("predicted_iou"), 1e-3)
        && near(found.stability_score, score("stability_score"), 1e-3)
        && near(found.point[0], point[0], 1e-2)
        && near(found.point[1], point[1], 1e-2)
        && found.crop_box == numbers::<4>(&record["crop_box"])
}

#[test]
fn finds_what_the_reference_finds_in_its_order() {
    let text = std::fs::read_to_string(records::folder().join("nano/generate.json")).unwrap();
    let cases: Value = serde_json::from_str(&text).unwrap();
    let model = Model::nano(Precision::F32).unwrap();
    for case in cases.as_array().unwrap() {
        let name = case["image"].as_str().unwrap();
        let context = format!("{name} {}", case["options"]);
        let bytes = std::fs::read(records::folder().join("images").join(format!("{name}.png"))).unwrap();
        let picture = decode(&bytes, &Limits::default()).unwrap();
        let whole = model.embed(&picture, Threads::ONE).unwrap();
        let options = options(&model, &case["options"]);
        let found = model.generate(&whole, Some(&picture), &options, Threads::ONE, || true).unwrap().unwrap();
        let expected = case["masks"].as_array().unwrap();
        assert!(found.len().abs_diff(expected.len()) <= expected.len() / 20, "{context}: {} masks", found.len());
        // Each in the place of the reference, or next to it where rounding has let one in or out before.
        let places: Vec<_> = expected.iter().map(|record| found.iter().position(|found| same(found, record))).collect();
        let matched = places.iter().flatten().count();
        assert!(matched as f64 >= FOUND * expected.len() as f64, "{context}: {matched} of {} masks", expected.len());
        let in_order = places.iter().flatten().is_sorted();
        assert!(in_order, "{context}: {places:?}");
    }
}

#[test]
fn threads_and_embeddings_do_not_change_what_is_found() {
    let model = Model::nano(Precision::F32).unwrap();
    let bytes = std::fs::read(records::folder().join("images/coffee_600x400.png")).unwrap();
    let picture = decode(&bytes, &Limits::default()).unwrap();
    let whole = model.embed(&picture, Threads::ONE).unwrap();
    let options = GenerateOptions { points_per_side: 6, ..model.generate_options() };
    let alone = model.generate(&whole, None, &options, Threads::ONE, || true).unwrap().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let together = pool.install(|| model.generate(&whole, Some(&picture), &options, Threads::new(3), || true));
    assert_eq!(together.unwrap().unwrap(), alone);
    assert!(!alone.is_empty());
}

#[test]
fn stops_and_refuses() {
    let model = Model::nano(Precision::F32).unwrap();
    let picture = sam_imaging::RgbImage::new(20, 10);
    let whole = model.embed(&picture, Threads::ONE).unwrap();
    let options = model.generate_options();
    assert_eq!(model.generate(&whole, None, &options, Threads::ONE, || false).unwrap(), None);
    let message = |options: GenerateOptions| {
        model.generate(&whole, None, &options, Threads::ONE, || true).unwrap_err().to_string()
    };
    let wrong = GenerateOptions { points_per_side: 0, ..options };
    assert_eq!(message(wrong), "points_per_side is 0; it must lie between 1 and 256");
    let wrong = GenerateOptions { pred_iou_thresh: f32::NAN, ..options };
    assert_eq!(message(wrong), "pred_iou_thresh is NaN; it must lie between 0 and 1");
    let crops = GenerateOptions { crop_n_layers: 1, points_per_side: 1, ..options };
    assert_eq!(message(crops), "crop_n_layers needs the picture itself");
}
