//! Networks of unusual sizes: what is accepted runs, and as the graph defines it; what is not is refused by name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sam_imaging::RgbImage;
use sam_model::{Model, Options, Precision, Prompt, Threads};
use serde_json::{Value, json};

use crate::seeded;

/// A TinyViT and decoder of a few channels.
#[derive(Clone)]
struct Small {
    side: usize,
    widths: Vec<usize>,
    depths: Vec<usize>,
    heads: Vec<usize>,
    windows: Vec<usize>,
    strides: Vec<usize>,
    channels: usize,
    decoder_heads: usize,
}

impl Small {
    /// Two stages, the second of one block with windows of `window` tokens, over a map of `side / 4`.
    fn new(side: usize, window: usize, width: usize, heads: usize) -> Self {
        Self {
            side,
            widths: vec![6, width],
            depths: vec![1, 1],
            heads: vec![1, heads],
            windows: vec![1, window],
            strides: vec![1],
            channels: 16,
            decoder_heads: 2,
        }
    }

    fn config(&self) -> Value {
        json!({
            "image_encoder": {
                "type": "tiny_vit", "img_size": self.side, "embed_dims": self.widths, "depths": self.depths,
                "num_heads": self.heads, "window_sizes": self.windows, "merge_strides": self.strides,
                "out_chans": self.channels,
            },
            "mask_decoder": {
                "transformer_dim": self.channels, "depth": 1, "num_heads": self.decoder_heads, "mlp_dim": 12,
                "attention_downsample_rate": 2, "num_multimask_outputs": 3, "iou_head_depth": 2,
                "iou_head_hidden_dim": 10,
            },
        })
    }

    fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let mut all = BTreeMap::new();
        let mut put = |name: String, shape: &[usize]| {
            all.insert(name, shape.to_vec());
        };
        let mut convolution = |name: String, shape: &[usize]| {
            put(format!("{name}.c.weight"), shape);
            for leaf in ["weight", "bias", "running_mean", "running_var"] {
                put(format!("{name}.bn.{leaf}"), &shape[..1]);
            }
        };
        let encoder = "image_encoder";
        let first = self.widths[0];
        convolution(format!("{encoder}.patch_embed.seq.0"), &[first / 2, 3, 3, 3]);
        convolution(format!("{encoder}.patch_embed.seq.2"), &[first, first / 2, 3, 3]);
        for stage in 0..self.widths.len() {
            let (layer, width) = (format!("{encoder}.layers.{stage}"), self.widths[stage]);
            for index in 0..self.depths[stage] {
                let block = format!("{layer}.blocks.{index}");
                if stage == 0 {
                    convolution(format!("{block}.conv1"), &[3 * width, width, 1, 1]);
                    convolution(format!("{block}.conv2"), &[3 * width, 1, 3, 3]);
                    convolution(format!("{block}.conv3"), &[width, 3 * width, 1, 1]);
                } else {
                    convolution(format!("{block}.local_conv"), &[width, 1, 3, 3]);
                }
            }
            if let Some(&next) = self.widths.get(stage + 1) {
                convolution(format!("{layer}.downsample.conv1"), &[next, width, 1, 1]);
                convolution(format!("{layer}.downsample.conv2"), &[next, 1, 3, 3]);
                convolution(format!("{layer}.downsample.conv3"), &[next, next, 1, 1]);
            }
        }
        let mut linear = |name: String, outputs: usize, inputs: usize| {
            put(format!("{name}.weight"), &[outputs, inputs]);
            put(format!("{name}.bias"), &[outputs]);
        };
        let channels = self.channels;
        let decoder = "mask_decoder";
        for stage in 1..self.widths.len() {
            for index in 0..self.depths[stage] {
                let (block, width) = (format!("{encoder}.layers.{stage}.blocks.{index}"), self.widths[stage]);
                linear(format!("{block}.attn.qkv"), 3 * width, width);
                linear(format!("{block}.attn.proj"), width, width);
                linear(format!("{block}.mlp.fc1"), 2 * width + 1, width);
                linear(format!("{block}.mlp.fc2"), width, 2 * width + 1);
            }
        }
        let (layer, inner) = (format!("{decoder}.transformer.layers.0"), channels / 2);
        for (name, inner) in [
            (format!("{layer}.self_attn"), channels),
            (format!("{layer}.cross_attn_token_to_image"), inner),
            (format!("{layer}.cross_attn_image_to_token"), inner),
            (format!("{decoder}.transformer.final_attn_token_to_image"), inner),
        ] {
            for part in ["q_proj", "k_proj", "v_proj"] {
                linear(format!("{name}.{part}"), inner, channels);
            }
            linear(format!("{name}.out_proj"), channels, inner);
        }
        linear(format!("{layer}.mlp.lin1"), 12, channels);
        linear(format!("{layer}.mlp.lin2"), channels, 12);
        linear(format!("{decoder}.iou_prediction_head.layers.0"), 10, channels);
        linear(format!("{decoder}.iou_prediction_head.layers.1"), 4, 10);
        for mask in 0..4 {
            let name = format!("{decoder}.output_hypernetworks_mlps.{mask}");
            for (index, outputs) in [channels, channels, channels / 8].into_iter().enumerate() {
                linear(format!("{name}.layers.{index}"), outputs, channels);
            }
        }
        let mut norm = |name: String, width: usize| {
            put(format!("{name}.weight"), &[width]);
            put(format!("{name}.bias"), &[width]);
        };
        for stage in 1..self.widths.len() {
            for index in 0..self.depths[stage] {
                norm(format!("{encoder}.layers.{stage}.blocks.{index}.attn.norm"), self.widths[stage]);
                norm(format!("{encoder}.layers.{stage}.blocks.{index}.mlp.norm"), self.widths[stage]);
            }
        }
        norm(format!("{encoder}.neck.1"), channels);
        norm(format!("{encoder}.neck.3"), channels);
        for index in 1..5 {
            norm(format!("{layer}.norm{index}"), channels);
        }
        norm(format!("{decoder}.transformer.norm_final_attn"), channels);
        norm(format!("{decoder}.output_upscaling.1"), channels / 4);
        norm("prompt_encoder.mask_downscaling.1".into(), 1);
        norm("prompt_encoder.mask_downscaling.4".into(), 4);
        for stage in 1..self.widths.len() {
            for index in 0..self.depths[stage] {
                let name = format!("{encoder}.layers.{stage}.blocks.{index}.attn.attention_biases");
                put(name, &[self.heads[stage], self.windows[stage].pow(2)]);
            }
        }
        let last = self.widths[self.widths.len() - 1];
        for (name, shape) in [
            ("image_encoder.neck.0.weight", &[channels, last, 1, 1][..]),
            ("image_encoder.neck.2.weight", &[channels, channels, 3, 3]),
            ("mask_decoder.iou_token.weight", &[1, channels]),
            ("mask_decoder.mask_tokens.weight", &[4, channels]),
            ("mask_decoder.output_upscaling.0.weight", &[channels, channels / 4, 2, 2]),
            ("mask_decoder.output_upscaling.0.bias", &[channels / 4]),
            ("mask_decoder.output_upscaling.3.weight", &[channels / 4, channels / 8, 2, 2]),
            ("mask_decoder.output_upscaling.3.bias", &[channels / 8]),
            ("prompt_encoder.not_a_point_embed.weight", &[1, channels]),
            ("prompt_encoder.no_mask_embed.weight", &[1, channels]),
            ("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", &[2, channels / 2]),
            ("prompt_encoder.mask_downscaling.0.weight", &[1, 1, 2, 2]),
            ("prompt_encoder.mask_downscaling.0.bias", &[1]),
            ("prompt_encoder.mask_downscaling.3.weight", &[4, 1, 2, 2]),
            ("prompt_encoder.mask_downscaling.3.bias", &[4]),
            ("prompt_encoder.mask_downscaling.6.weight", &[channels, 4, 1, 1]),
            ("prompt_encoder.mask_downscaling.6.bias", &[channels]),
        ] {
            put(name.into(), shape);
        }
        for index in 0..4 {
            put(format!("prompt_encoder.point_embeddings.{index}.weight"), &[1, channels]);
        }
        all
    }

    /// The checkpoint file; `change` is made to its configuration.
    fn file(&self, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let path = seeded::scratch(&format!("{name}-{}.safetensors", std::process::id()));
        let mut config = self.config();
        change(&mut config);
        seeded::write_with(&path, &seeded::of_shapes(self.shapes()), Some(config.to_string()));
        path
    }
}

/// A small ViT of which the tensors whose names contain `part` have other shapes.
fn vit(name: &str, part: &str, change: impl Fn(&mut Vec<usize>)) -> PathBuf {
    let path = seeded::scratch(&format!("{name}-{}.safetensors", std::process::id()));
    let mut shapes = seeded::shapes("vit_tiny");
    shapes.iter_mut().filter(|(name, _)| name.contains(part)).for_each(|(_, shape)| change(shape));
    seeded::write(&path, &seeded::of_shapes(shapes));
    path
}

fn picture() -> RgbImage {
    RgbImage::from_fn(50, 40, |x, y| image::Rgb([(5 * x) as u8, (6 * y) as u8, ((3 * x) ^ (5 * y)) as u8]))
}

/// Embedding and low-resolution logits of one point and of a box.
fn outputs(model: &Model, threads: Threads) -> [Vec<f32>; 2] {
    let embedding = model.embed(&picture(), threads).unwrap();
    let mut logits = Vec::new();
    for prompt in [Prompt::point(0.4, 0.6).unwrap(), Prompt::new(vec![], None, Some([0.1, 0.2, 0.8, 0.9])).unwrap()] {
        let prediction = model.predict(&embedding, &prompt, threads).unwrap();
        for index in 0..prediction.predicted_iou().len() {
            logits.extend_from_slice(prediction.low_res_logits(index));
        }
        prediction.for_each_row(prediction.best(), |_, row| assert!(row.iter().all(|logit| logit.is_finite())));
    }
    [embedding.values().to_vec(), logits]
}

/// Largest difference and root of the mean square, as shares of the standard deviation of what is expected.
fn difference(got: &[f32], expected: &[f32]) -> [f32; 2] {
    assert_eq!(got.len(), expected.len());
    let count = expected.len() as f32;
    let mean = expected.iter().sum::<f32>() / count;
    let deviation = (expected.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt();
    let differences = || got.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let square = (differences().map(|difference| difference.powi(2)).sum::<f32>() / count).sqrt();
    [differences().fold(0.0, f32::max) / deviation, square / deviation]
}

/// Windows of any size over maps that they divide, do not divide, or are smaller; any number of channels per head. The
/// instruction set is the one that the environment names.
#[test]
fn plan_equals_graph() {
    let stages = Small {
        widths: vec![8, 10, 9, 12],
        depths: vec![0, 2, 0, 1],
        heads: vec![7, 5, 1, 2],
        windows: vec![0, 20, 1, 5],
        strides: vec![1, 2, 1],
        ..Small::new(115, 1, 1, 1)
    };
    let cases = [
        ("window-32", Small::new(128, 32, 20, 5)),
        ("window-20", Small::new(128, 20, 12, 1)),
        ("window-17-of-16", Small::new(64, 17, 10, 2)),
        ("window-40-of-8", Small::new(32, 40, 3, 3)),
        ("window-1", Small::new(32, 1, 7, 7)),
        ("window-16-of-25", Small::new(100, 16, 5, 1)),
        ("one-token", Small { strides: vec![2], ..Small::new(16, 3, 34, 2) }),
        ("decoder-8", Small { channels: 8, decoder_heads: 4, ..Small::new(36, 9, 70, 1) }),
        ("stages", stages),
    ];
    let files: Vec<_> = cases.into_iter().map(|(name, small)| (name, small.file(name, |_| {}))).collect();
    for (name, path) in files {
        let model = |options: Options| Model::open(&path, options).unwrap_or_else(|error| panic!("{error}"));
        let expected = outputs(&model(Options::REFERENCE), Threads::ONE);
        // Small networks of random weights are sensitive to rounding: with bf16 only the mean error says something.
        for (precision, tolerances) in [(Precision::F32, [1e-3, 1e-4]), (Precision::Bf16, [f32::INFINITY, 0.2])] {
            let plan = model(precision.into());
            let got = outputs(&plan, Threads::ONE);
            for (got, expected) in got.iter().zip(&expected) {
                let [largest, square] = difference(got, expected);
                println!("{name} {precision}: at most {largest:.1e}, mean {square:.1e}");
                let holds = largest <= tolerances[0] && square <= tolerances[1];
                assert!(holds, "{name} {precision}: {largest}, {square} of the deviation");
            }
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            assert!(pool.install(|| outputs(&plan, Threads::new(3))) == got, "{name} {precision}: threads change bits");
        }
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn sizes_that_cannot_run_are_refused() {
    let small = Small::new(64, 8, 6, 2);
    let refusal = |name: &str, field: &str, value: Value| {
        let (part, field) = field.split_once('.').unwrap();
        let path = small.file(name, |config| config[part][field] = value);
        let Err(error) = Model::open(&path, Precision::F32) else { panic!("{name} was accepted") };
        std::fs::remove_file(path).unwrap();
        error.to_string()
    };
    let huge = json!(1u64 << 63);
    for (name, field, value, reason) in [
        ("no-window", "image_encoder.window_sizes", json!([1, 0]), "a window is 0 tokens wide, and 1 to 256"),
        ("wide-window", "image_encoder.window_sizes", json!([1, 257]), "a window is 257 tokens wide, and 1 to 256"),
        ("huge-window", "image_encoder.window_sizes", json!([1, huge]), "a window is 9223372036854775808 tokens wide"),
        ("other-window", "image_encoder.window_sizes", json!([1, 9]), "has shape [2, 64], expected [2, 81]"),
        ("no-width", "image_encoder.embed_dims", json!([0, 6]), "a stage of the image encoder has 0 channels"),
        ("huge-width", "image_encoder.embed_dims", json!([6, huge]), "has 9223372036854775808 channels"),
        ("heads", "image_encoder.num_heads", json!([1, 4]), "heads must divide the width"),
        ("no-heads", "image_encoder.num_heads", json!([1, 0]), "heads must divide the width"),
        ("side", "image_encoder.img_size", json!(18), "masks would be 20 pixels wide, more than the input's 18"),
        ("stride", "image_encoder.merge_strides", json!([3]), "merge strides are 1 or 2"),
        ("iou-head", "mask_decoder.iou_head_depth", huge.clone(), "need 1 to 64 layers"),
        ("no-perceptron", "mask_decoder.mlp_dim", json!(0), "the decoder's perceptron has 0 channels"),
        ("decoder-heads", "mask_decoder.num_heads", json!(3), "the decoder's heads must divide its width"),
    ] {
        let text = refusal(name, field, value);
        assert!(text.contains(reason), "{name}: {text}");
    }
    for (part, size, reason) in [
        ("blocks.0.attn.rel_pos", 2 * 257 - 1, "are for a window of 257 x 257 tokens, and the image has 4 x 4"),
        ("patch_embed.proj.weight", 32, "patches are 32 pixels wide, and at most 16 are supported"),
        ("patch_embed.proj.weight", 2, "the input side must lie between 16 and 8192 pixels"),
    ] {
        let change = |shape: &mut Vec<usize>| {
            let first = if shape.len() == 4 { 2 } else { 0 };
            let last = if shape.len() == 4 { 4 } else { 1 };
            shape[first..last].fill(size);
        };
        let path = vit(&format!("vit-{size}"), part, change);
        let Err(error) = Model::open(&path, Precision::F32) else { panic!("{part} of {size} was accepted") };
        std::fs::remove_file(path).unwrap();
        assert!(error.to_string().contains(reason), "{error}");
    }
    // tensors without values, or without sides
    for (name, shape) in [("empty", vec![0, 6]), ("scalar", vec![])] {
        let mut tensors = seeded::of_shapes(small.shapes());
        let values = vec![1.0; shape.iter().product()];
        let other = vec![6, shape.first().copied().unwrap_or(1)];
        tensors.insert(
            "image_encoder.layers.1.blocks.0.mlp.fc2.weight".into(),
            (other.clone(), vec![1.0; other[0] * other[1]]),
        );
        tensors.insert("image_encoder.layers.1.blocks.0.mlp.fc1.weight".into(), (shape, values));
        tensors.insert("image_encoder.layers.1.blocks.0.mlp.fc1.bias".into(), (vec![0], vec![]));
        let path = seeded::scratch(&format!("{name}-{}.safetensors", std::process::id()));
        seeded::write_with(&path, &tensors, Some(small.config().to_string()));
        for options in [Options::REFERENCE, Precision::F32.into()] {
            let Err(error) = Model::open(&path, options) else { panic!("{name} was accepted") };
            assert!(error.to_string().contains("mlp.fc1.weight' has shape ["), "{error}");
        }
        std::fs::remove_file(path).unwrap();
    }
}

/// Masks are refined where a configuration asks for it, low-resolution logits never, embeddings of others are refused.
#[test]
fn upsampling_is_guided_where_a_configuration_asks_for_it() {
    let small = Small { strides: vec![2], ..Small::new(64, 4, 6, 2) };
    let with = |name: &str, upsampling: Value| small.file(name, |config| config["upsampling"] = upsampling);
    let guided = || with("guided", json!({"guided": {"radius": 2, "eps": 1e-4, "clip": 2.0}}));
    let (plain, guided) = (with("plain", Value::Null), guided());
    let prompt = Prompt::point(0.4, 0.6).unwrap();
    let masks = |path: &PathBuf, options: Options, image: &RgbImage| {
        let model = Model::open(path, options).unwrap();
        let prediction = model.predict(&model.embed(image, Threads::ONE).unwrap(), &prompt, Threads::ONE).unwrap();
        let mut rows = Vec::new();
        prediction.for_each_row(1, |_, row| rows.extend_from_slice(row));
        (prediction.low_res_logits(1).to_vec(), rows, prediction.mask(1, 0.5).1)
    };
    let plan = Options::from(Precision::F32);
    let (before, after) = (masks(&plain, plan, &picture()), masks(&guided, plan, &picture()));
    assert!(before.0 == after.0 && before.1 != after.1 && before.2 == after.2);
    let [largest, _] = difference(&masks(&guided, Options::REFERENCE, &picture()).1, &after.1);
    assert!(largest < 1e-3, "{largest}");
    // Too narrow for a window of its guide.
    let line = RgbImage::from_fn(64, 4, |x, _| image::Rgb([(3 * x) as u8; 3]));
    assert!(masks(&plain, plan, &line) == masks(&guided, plan, &line));

    let [plain_model, guided_model] = [&plain, &guided].map(|path| Model::open(path, plan).unwrap());
    let foreign = plain_model.embed(&picture(), Threads::ONE).unwrap();
    let error = guided_model.predict(&foreign, &prompt, Threads::ONE).unwrap_err().to_string();
    assert!(error.contains("the embedding has no guide"), "{error}");
    let own = guided_model.embed(&picture(), Threads::ONE).unwrap();
    // 64 x 51 pixels, halved.
    assert_eq!(own.bytes() - foreign.bytes(), 3 * 32 * 26);
    for path in [plain, guided] {
        std::fs::remove_file(path).unwrap();
    }

    let numbers =
        |radius: Value, eps: Value, clip: Value| json!({"guided": {"radius": radius, "eps": eps, "clip": clip}});
    for (upsampling, reason) in [
        (numbers(json!(0), json!(1e-4), json!(2)), "the radius of guided upsampling lies between 1 and 16"),
        (numbers(json!(17), json!(1e-4), json!(2)), "the radius of guided upsampling lies between 1 and 16"),
        (numbers(json!(2), json!(0), json!(2)), "eps and clip of guided upsampling lie between"),
        (numbers(json!(2), json!(1e-4), json!(-1)), "eps and clip of guided upsampling lie between"),
        (json!({"guided": {"radius": 2, "eps": 1e-4, "clip": 2.0, "size": 1}}), "unknown field `size`"),
        (json!({"sharp": {}}), "unknown variant `sharp`"),
    ] {
        let path = with("refused", upsampling);
        let Err(error) = Model::open(&path, plan) else { panic!("accepted instead of: {reason}") };
        assert!(error.to_string().contains(reason), "{error}");
        std::fs::remove_file(path).unwrap();
    }
    // Its masks are as large as its input.
    let path =
        Small::new(64, 4, 6, 2).file("wide", |config| config["upsampling"] = numbers(json!(2), json!(1), json!(1)));
    let Err(error) = Model::open(&path, plan) else { panic!("accepted") };
    assert!(error.to_string().contains("an even input side, at least twice that of the masks"), "{error}");
    std::fs::remove_file(path).unwrap();
}
