//! The networks against the original PyTorch code: every record of `test/reference`.

use crate::records::{self, Record};
use crate::seeded;
use sam_imaging::{Limits, RgbImage, decode};
use sam_model::{Embedding, Model, Options, Precision, Prediction, Prompt, Threads};

/// Largest difference of embedding and logits, as a share of their standard deviation.
const LOGITS: f32 = 1e-3;
/// Share of mask pixels that may differ.
const PIXELS: f64 = 5e-4;

const PROMPTS: [&str; 4] = ["point", "points", "box", "box_point"];

fn prompt(name: &str) -> Prompt {
    let rectangle = Some([0.2, 0.25, 0.7, 0.8]);
    match name {
        "point" => Prompt::point(0.5, 0.6),
        "points" => Prompt::new(vec![[0.5, 0.6], [0.1, 0.1]], Some(&[1, 0]), None),
        "box" => Prompt::new(vec![], None, rectangle),
        _ => Prompt::new(vec![[0.45, 0.5]], Some(&[1]), rectangle),
    }
    .unwrap()
}

fn picture(name: &str) -> RgbImage {
    let bytes = std::fs::read(records::folder().join("images").join(format!("{name}.png"))).unwrap();
    decode(&bytes, &Limits::default()).unwrap()
}

fn largest_difference(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn every(step: usize, values: impl Iterator<Item = f32>) -> Vec<f32> {
    values.step_by(step).collect()
}

fn check_embedding(context: &str, model: &Model, embedding: &Embedding, record: &Record) {
    let [channels, rows, columns] = model.info().embedding_shape;
    assert_eq!(record.integers("embedding_shape"), [channels as i64, rows as i64, columns as i64]);
    let values = embedding.values();
    let by_channel = (0..channels).flat_map(|channel| values.iter().skip(channel).step_by(channels).copied());
    let std = f64::from_le_bytes(record.bytes("embedding_std").try_into().unwrap()) as f32;
    let difference = largest_difference(&every(244, by_channel), &record.floats("embedding_every_244")) / std;
    assert!(difference <= LOGITS, "{context}: embedding differs by {difference} of its standard deviation");
}

fn check_prediction(context: &str, prediction: &Prediction, record: &Record, name: &str) {
    let stored_iou = record.floats(&format!("{name}.iou"));
    let best = record.integers(&format!("{name}.best"))[0] as usize;
    // A file of `nano` holds the single mask and the candidates of every prompt, the others only what SAM returns.
    let candidates = prediction.predicted_iou().len();
    let first = if stored_iou.len() == 4 && candidates == 3 { 1 } else { 0 };
    let difference = largest_difference(prediction.predicted_iou(), &stored_iou[first..first + candidates]);
    assert!(difference <= LOGITS, "{context}: predicted IoUs differ by {difference}");
    assert_eq!(prediction.best() + first, best, "{context}: another best mask");

    let std = record.floats(&format!("{name}.low_res_std"))[0];
    let mask_values = prediction.low_res_logits(0).len();
    let expected = record.floats(&format!("{name}.low_res_every_31"));
    let all = (0..candidates).flat_map(|index| prediction.low_res_logits(index).iter().copied());
    let got: Vec<f32> = all.collect();
    let mut largest = 0.0f32;
    for (index, expected) in expected.iter().enumerate() {
        let at = index * 31;
        if let Some(got) = at.checked_sub(first * mask_values).and_then(|at| got.get(at)) {
            largest = largest.max((got - expected).abs());
        }
    }
    assert!(largest / std <= LOGITS, "{context}: low-resolution logits differ by {} of their deviation", largest / std);

    let mut full = Vec::new();
    prediction.for_each_row(prediction.best(), |_, row| full.extend_from_slice(row));
    let (width, height) = prediction.size();
    assert_eq!(full.len(), width * height);
    let logits = format!("{name}.logits_every_97");
    if record.has(&logits) {
        let difference = largest_difference(&every(97, full.iter().copied()), &record.floats(&logits)) / std;
        assert!(difference <= LOGITS, "{context}: full-size logits differ by {difference} of their deviation");
    }
    let bits = record.bytes(&format!("{name}.mask_bits"));
    let wrong = full
        .iter()
        .enumerate()
        .filter(|&(index, &logit)| (logit > 0.0) != (bits[index / 8] >> (7 - index % 8) & 1 == 1))
        .count();
    assert!(wrong as f64 <= PIXELS * full.len() as f64, "{context}: {wrong} of {} mask pixels differ", full.len());
    println!(
        "{context}: logits {:.1e}, pixels {wrong}/{}, best {}",
        largest / std,
        full.len(),
        prediction.predicted_iou()[prediction.best()]
    );
}

/// The plan and the definition.
fn both() -> [Options; 2] {
    [Precision::F32.into(), Options::REFERENCE]
}

fn check_model(folder: &str, model: &Model, pictures: usize) {
    let records = Record::all(folder);
    assert_eq!(records.len(), pictures, "records of {folder}");
    for record in records {
        let image = picture(&record.image);
        let embedding = model.embed(&image, Threads::ONE).unwrap();
        check_embedding(&format!("{folder} {}", record.image), model, &embedding, &record);
        for name in PROMPTS {
            let prediction = model.predict(&embedding, &prompt(name), Threads::ONE).unwrap();
            check_prediction(&format!("{folder} {} {name}", record.image), &prediction, &record, name);
        }
    }
}

fn check_seeded(folder: &str, pictures: usize) {
    let path = seeded::checkpoint(folder);
    for options in both() {
        println!("{options:?}");
        check_model(folder, &Model::open(&path, options).unwrap(), pictures);
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn nano_equals_pytorch() {
    for options in both() {
        println!("{options:?}");
        check_model("nano", &Model::nano(options).unwrap(), 5);
    }
}

#[test]
fn mobile_sam_equals_pytorch() {
    check_seeded("mobile_sam", 5);
}

#[test]
fn vit_at_1024_pixels_equals_pytorch() {
    check_seeded("vit_micro_1024", 2);
}

#[test]
fn vit_at_512_pixels_equals_pytorch() {
    check_seeded("vit_micro_512", 2);
}

#[test]
fn sam_vit_b_equals_pytorch() {
    check_seeded("sam_vit_b", 1);
}
