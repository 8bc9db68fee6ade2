//! The ways to run a network against each other: threads, precisions, instruction sets.

use std::path::Path;
use std::process::Command;

use sam_imaging::{Limits, RgbImage, decode};
use sam_model::{Device, Isa, Model, Options, Precision, Prediction, Prompt, Threads};

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
fn logits(model: &Model, image: &RgbImage, threads: Threads) -> Vec<u32> {
    let embedding = model.embed(image, threads).unwrap();
    let mut all = Vec::new();
    for prompt in prompts() {
        let prediction = model.predict(&embedding, &prompt, threads).unwrap();
        for index in 0..prediction.predicted_iou().len() {
            all.extend(prediction.low_res_logits(index).iter().map(|value| value.to_bits()));
        }
        all.extend(prediction.predicted_iou().iter().map(|value| value.to_bits()));
    }
    all
}

/// A batch gives the bits that its pictures and prompts give one by one.
#[test]
fn batches_do_not_change_a_bit() {
    let pictures = ["coffee_600x400", "chelsea_portrait_300x451", "astronaut_512x512"].map(picture);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for options in [Options::from(Precision::F32), Options::REFERENCE] {
        let model = Model::nano(options).unwrap();
        let alone = pictures.each_ref().map(|picture| model.embed(picture, Threads::ONE).unwrap());
        for threads in [Threads::ONE, Threads::new(3)] {
            let together = pool.install(|| model.embed_batch(&pictures, threads)).unwrap();
            assert!(alone.iter().zip(&together).all(|(a, b)| a.values() == b.values()), "{options:?} {threads:?}");
            let predictions = pool.install(|| model.predict_batch(&together[0], &prompts(), threads)).unwrap();
            for (prediction, prompt) in predictions.iter().zip(prompts()) {
                let expected = model.predict(&alone[0], &prompt, Threads::ONE).unwrap();
                assert_eq!(prediction.predicted_iou(), expected.predicted_iou());
                assert!(foreground(prediction) == foreground(&expected), "{options:?} {threads:?}");
            }
        }
        assert!(model.embed_batch(&[], Threads::ONE).unwrap().is_empty());
        assert!(model.predict_batch(&alone[0], &[], Threads::ONE).unwrap().is_empty());
        let Err(error) = model.embed_batch(&[RgbImage::new(2, 2), RgbImage::new(0, 5)], Threads::ONE) else { panic!() };
        assert!(error.to_string().contains("the picture is empty: 0 x 5 pixels"), "{error}");
    }
}

/// An embedding of one backend can be used by the other: its features find their way from where they are.
#[test]
fn embeddings_pass_between_backends() {
    let [plan, graph] =
        [Options::from(Precision::F32), Options::REFERENCE].map(|options| Model::nano(options).unwrap());
    let image = picture("chelsea_451x300");
    for (from, to) in [(&plan, &graph), (&graph, &plan)] {
        let embedding = from.embed(&image, Threads::ONE).unwrap();
        let [own, other] = [from, to].map(|model| model.predict(&embedding, &prompts()[1], Threads::ONE).unwrap());
        let difference = (own.predicted_iou()[0] - other.predicted_iou()[0]).abs();
        assert!(difference < 1e-3, "{difference}");
    }
}

/// Device and instruction set are settings of a model.
#[test]
fn options_are_followed_or_refused() {
    let image = picture("chelsea_451x300");
    for isa in Isa::testable() {
        let options = Options { isa: Some(isa), ..Precision::F32.into() };
        let model = Model::nano(options).unwrap();
        assert!(!logits(&model, &image, Threads::ONE).is_empty());
    }
    let portable = Isa::named("portable").unwrap();
    let auto = Model::nano(Options { isa: Some(portable), ..Options::default() }).unwrap();
    assert_eq!(auto.precision(), Precision::F32);
    for (device, name) in [(Device::Cuda(0), "cuda:0"), (Device::Metal(1), "metal:1")] {
        let Err(error) = Model::nano(Options { device, ..Options::default() }) else { panic!("{name} was found") };
        assert_eq!(error.to_string(), format!("this build has no device '{name}'; it runs on 'cpu' only"));
    }
    let wrong = Options { precision: Precision::Bf16, reference: true, ..Options::default() };
    let Err(error) = Model::nano(wrong) else { panic!("bf16 was promised") };
    assert!(error.to_string().contains("the reference computes in f32"), "{error}");
}

/// The precisions as this processor computes them, and on tiles, if it can emulate those.
fn precisions() -> Vec<Options> {
    let tiled = Isa::named("amx-emulated").ok();
    let tiled = tiled.map(|isa| Options { isa: Some(isa), ..Precision::Bf16.into() });
    [Precision::F32.into(), Precision::Bf16.into()].into_iter().chain(tiled).collect()
}

/// Any number of threads gives the same bits, for both encoder families and precisions.
#[test]
fn threads_do_not_change_a_bit() {
    let path = seeded::checkpoint("vit_micro_512");
    let image = picture("coffee_600x400");
    for options in precisions() {
        for model in [Model::nano(options).unwrap(), Model::open(&path, options).unwrap()] {
            assert_eq!(model.precision(), options.precision);
            let alone = logits(&model, &image, Threads::ONE);
            for threads in [2, 3, 7] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let together = pool.install(|| logits(&model, &image, Threads::new(threads)));
                assert!(alone == together, "{} {options:?}: {threads} threads", model.info().name);
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
    for options in &precisions()[1..] {
        check_bf16(&Model::nano(Precision::F32).unwrap(), &Model::nano(*options).unwrap());
    }
}

fn check_bf16(exact: &Model, rounded: &Model) {
    let rectangle = Prompt::new(vec![], None, Some([0.2, 0.25, 0.7, 0.8])).unwrap();
    let mut scores = Vec::new();
    for name in ["astronaut_512x512", "coffee_600x400", "chelsea_451x300", "rocket_1024x683"] {
        let image = picture(name);
        let embeddings = [exact, rounded].map(|model| model.embed(&image, Threads::ONE).unwrap());
        for prompt in [&rectangle, &prompts()[1]] {
            let [a, b] = [(exact, &embeddings[0]), (rounded, &embeddings[1])]
                .map(|(model, embedding)| foreground(&model.predict(embedding, prompt, Threads::ONE).unwrap()));
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
            .args(["--exact", "backends::plan_equals_graph", "configurations::plan_equals_graph", "--nocapture"])
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
    let values = |options: Options| {
        [Model::nano(options).unwrap(), Model::open(path, options).unwrap()]
            .map(|model| logits(&model, &image, Threads::ONE).into_iter().map(f32::from_bits).collect::<Vec<_>>())
    };
    let (plan, graph) = (values(Options::from(Precision::F32)), values(Options::REFERENCE));
    for (plan, graph) in plan.iter().zip(&graph) {
        let mean = graph.iter().sum::<f32>() / graph.len() as f32;
        let std = (graph.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / graph.len() as f32).sqrt();
        let largest = plan.iter().zip(graph).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest <= 1e-3 * std, "{largest} of {std}");
    }
}
