//! The ways to run a network against each other: threads, precisions, instruction sets.

use std::path::Path;
use std::process::Command;

use sam_imaging::{Limits, RgbImage, decode};
use sam_model::{Engine, Model, Precision, Prediction, Prompt, Team};

use crate::{records, seeded};

fn picture(name: &str) -> RgbImage {
    let bytes = std::fs::read(records::folder().join("images").join(format!("{name}.png"))).unwrap();
    decode(&bytes, &Limits::default()).unwrap()
}

fn prompts() -> Vec<Prompt> {
    vec![
        Prompt::point(0.5, 0.6).unwrap(),
        Prompt::new(vec![[0.45, 0.5], [0.9, 0.1]], Some(&[1, 0]), Some([0.2, 0.25, 0.7, 0.8])).unwrap(),
    ]
}

/// Low-resolution logits of all candidates of all prompts.
fn logits(model: &Model, image: &RgbImage, team: Team) -> Vec<u32> {
    let embedding = model.embed(image, team).unwrap();
    let mut all = Vec::new();
    for prompt in prompts() {
        let prediction = model.predict(&embedding, &prompt, team).unwrap();
        for index in 0..prediction.predicted_iou().len() {
            all.extend(prediction.low_res_logits(index).iter().map(|value| value.to_bits()));
        }
        all.extend(prediction.predicted_iou().iter().map(|value| value.to_bits()));
    }
    all
}

/// Any number of threads gives the same bits, for both encoder families and precisions.
#[test]
fn threads_do_not_change_a_bit() {
    let path = seeded::checkpoint("vit_micro_512");
    let image = picture("coffee_600x400");
    for precision in [Precision::F32, Precision::Bf16] {
        for model in [Model::nano(precision).unwrap(), Model::open(&path, precision).unwrap()] {
            assert_eq!(model.precision(), precision);
            let alone = logits(&model, &image, Team::ALONE);
            for threads in [2, 3, 7] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let together = pool.install(|| logits(&model, &image, Team::new(threads)));
                assert!(alone == together, "{} {precision}: {threads} threads", model.info().name);
            }
        }
    }
    std::fs::remove_file(path).unwrap();
}

fn foreground(prediction: &Prediction) -> Vec<bool> {
    let mut mask = Vec::new();
    prediction.for_each_row(0, |_, row| mask.extend(row.iter().map(|logit| *logit > 0.0)));
    mask
}

/// The masks of bf16 on photographs cover those of f32: IoU of 0.99 or more on average, and nowhere far below.
#[test]
fn bf16_masks_are_those_of_f32() {
    check_bf16(Model::nano);
}

fn check_bf16(model: impl Fn(Precision) -> sam_model::Result<Model>) {
    let (exact, rounded) = (model(Precision::F32).unwrap(), model(Precision::Bf16).unwrap());
    let rectangle = Prompt::new(vec![], None, Some([0.2, 0.25, 0.7, 0.8])).unwrap();
    let mut scores = Vec::new();
    for name in ["astronaut_512x512", "coffee_600x400", "chelsea_451x300", "rocket_1024x683"] {
        let image = picture(name);
        let embeddings = [&exact, &rounded].map(|model| model.embed(&image, Team::ALONE).unwrap());
        for prompt in [&rectangle, &prompts()[1]] {
            let [a, b] = [(&exact, &embeddings[0]), (&rounded, &embeddings[1])]
                .map(|(model, embedding)| foreground(&model.predict(embedding, prompt, Team::ALONE).unwrap()));
            let both = a.iter().zip(&b).filter(|(a, b)| **a && **b).count();
            let any = a.iter().zip(&b).filter(|(a, b)| **a || **b).count();
            let score = both as f64 / any.max(1) as f64;
            println!("{name}: {score:.4}");
            scores.push(score);
        }
    }
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    assert!(mean >= 0.99, "mean IoU {mean}: {scores:?}");
    assert!(scores.iter().all(|score| *score >= 0.97), "{scores:?}");
}

/// Each instruction set of this machine, in a process of its own, gives the f32 network of the reference.
#[test]
fn every_instruction_set_gives_the_same_network() {
    for isa in sam_kernels::Isa::available() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "engines::plan_equals_graph", "configurations::plan_equals_graph", "--nocapture"])
            .env(sam_kernels::ISA_VARIABLE, isa.name())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("2 passed"), "{}: {text}", isa.name());
    }
}

/// The plan against the graph, under the instruction set that the environment names.
#[test]
fn plan_equals_graph() {
    let path: &Path = &records::folder().join("vit_tiny/plain.pt");
    let image = picture("chelsea_451x300");
    let values = |engine: Engine| {
        [Model::nano(engine).unwrap(), Model::open(path, engine).unwrap()]
            .map(|model| logits(&model, &image, Team::ALONE).into_iter().map(f32::from_bits).collect::<Vec<_>>())
    };
    let (plan, graph) = (values(Engine::Plan(Precision::F32)), values(Engine::Graph));
    for (plan, graph) in plan.iter().zip(&graph) {
        let mean = graph.iter().sum::<f32>() / graph.len() as f32;
        let std = (graph.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / graph.len() as f32).sqrt();
        let largest = plan.iter().zip(graph).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest <= 1e-3 * std, "{largest} of {std}");
    }
}
