//! What is accepted runs: networks of odd sizes, stated beside their weights, on the CPU path and in plain operations.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::seeded;
use sam_imaging::RgbImage;
use sam_model::{Engine, Model, Precision, Prompt, Team};

/// Names and shapes of a network, as they are put together.
#[derive(Default)]
struct Shapes(BTreeMap<String, Vec<usize>>);

impl Shapes {
    fn put(&mut self, name: String, shape: &[usize]) {
        self.0.insert(name, shape.to_vec());
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.put(format!("{name}.weight"), &[outputs, inputs]);
        self.put(format!("{name}.bias"), &[outputs]);
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.put(format!("{name}.weight"), &[width]);
        self.put(format!("{name}.bias"), &[width]);
    }

    /// A convolution and its batch norm.
    fn conv(&mut self, name: &str, inputs: usize, outputs: usize, kernel: usize) {
        self.put(format!("{name}.c.weight"), &[outputs, inputs, kernel, kernel]);
        self.norm(&format!("{name}.bn"), outputs);
        self.put(format!("{name}.bn.running_mean"), &[outputs]);
        self.put(format!("{name}.bn.running_var"), &[outputs]);
    }

    fn neck(&mut self, inputs: usize, outputs: usize) {
        self.put("image_encoder.neck.0.weight".into(), &[outputs, inputs, 1, 1]);
        self.norm("image_encoder.neck.1", outputs);
        self.put("image_encoder.neck.2.weight".into(), &[outputs, outputs, 3, 3]);
        self.norm("image_encoder.neck.3", outputs);
    }

    fn vit(&mut self, config: &Value) {
        let size = |key: &str| config[key].as_u64().unwrap() as usize;
        let (width, patch, grid) = (size("embed_dim"), size("patch_size"), size("img_size") / size("patch_size"));
        self.put("image_encoder.pos_embed".into(), &[1, grid, grid, width]);
        self.put("image_encoder.patch_embed.proj.weight".into(), &[width, 3, patch, patch]);
        self.put("image_encoder.patch_embed.proj.bias".into(), &[width]);
        for (index, window) in config["windows"].as_array().unwrap().iter().enumerate() {
            let name = format!("image_encoder.blocks.{index}");
            let side = window.as_u64().map_or(grid, |window| window as usize);
            self.norm(&format!("{name}.norm1"), width);
            self.norm(&format!("{name}.norm2"), width);
            for axis in ["h", "w"] {
                self.put(format!("{name}.attn.rel_pos_{axis}"), &[2 * side - 1, width / size("num_heads")]);
            }
            self.linear(&format!("{name}.attn.qkv"), width, 3 * width);
            self.linear(&format!("{name}.attn.proj"), width, width);
            self.linear(&format!("{name}.mlp.lin1"), width, size("mlp_dim"));
            self.linear(&format!("{name}.mlp.lin2"), size("mlp_dim"), width);
        }
        self.neck(width, size("out_chans"));
    }

    fn tiny_vit(&mut self, config: &Value) {
        let list = |key: &str| -> Vec<usize> {
            config[key].as_array().unwrap().iter().map(|value| value.as_u64().unwrap() as usize).collect()
        };
        let (widths, depths) = (list("embed_dims"), list("depths"));
        let (heads, windows) = (list("num_heads"), list("window_sizes"));
        self.conv("image_encoder.patch_embed.seq.0", 3, widths[0] / 2, 3);
        self.conv("image_encoder.patch_embed.seq.2", widths[0] / 2, widths[0], 3);
        for (stage, &width) in widths.iter().enumerate() {
            let layer = format!("image_encoder.layers.{stage}");
            for index in 0..depths[stage] {
                let name = format!("{layer}.blocks.{index}");
                if stage == 0 {
                    self.conv(&format!("{name}.conv1"), width, 3 * width, 1);
                    self.conv(&format!("{name}.conv2"), 1, 3 * width, 3);
                    self.conv(&format!("{name}.conv3"), 3 * width, width, 1);
                    continue;
                }
                self.norm(&format!("{name}.attn.norm"), width);
                self.linear(&format!("{name}.attn.qkv"), width, 3 * width);
                self.linear(&format!("{name}.attn.proj"), width, width);
                self.put(format!("{name}.attn.attention_biases"), &[heads[stage], windows[stage] * windows[stage]]);
                self.conv(&format!("{name}.local_conv"), 1, width, 3);
                self.norm(&format!("{name}.mlp.norm"), width);
                self.linear(&format!("{name}.mlp.fc1"), width, 2 * width);
                self.linear(&format!("{name}.mlp.fc2"), 2 * width, width);
            }
            if let Some(&next) = widths.get(stage + 1) {
                self.conv(&format!("{layer}.downsample.conv1"), width, next, 1);
                self.conv(&format!("{layer}.downsample.conv2"), 1, next, 3);
                self.conv(&format!("{layer}.downsample.conv3"), next, next, 1);
            }
        }
        self.neck(widths[widths.len() - 1], config["out_chans"].as_u64().unwrap() as usize);
    }

    fn decoder(&mut self, config: &Value) {
        let size = |key: &str| config[key].as_u64().unwrap() as usize;
        let (width, masks) = (size("transformer_dim"), size("num_multimask_outputs") + 1);
        let inner = width / size("attention_downsample_rate");
        let prompt = "prompt_encoder";
        self.put(format!("{prompt}.pe_layer.positional_encoding_gaussian_matrix"), &[2, width / 2]);
        for name in ["point_embeddings.0", "point_embeddings.1", "point_embeddings.2", "point_embeddings.3"] {
            self.put(format!("{prompt}.{name}.weight"), &[1, width]);
        }
        self.put(format!("{prompt}.not_a_point_embed.weight"), &[1, width]);
        self.put(format!("{prompt}.no_mask_embed.weight"), &[1, width]);
        for (index, shape) in [(0, [4, 1, 2, 2]), (3, [16, 4, 2, 2]), (6, [width, 16, 1, 1])] {
            self.put(format!("{prompt}.mask_downscaling.{index}.weight"), &shape);
            self.put(format!("{prompt}.mask_downscaling.{index}.bias"), &shape[..1]);
        }
        self.norm(&format!("{prompt}.mask_downscaling.1"), 4);
        self.norm(&format!("{prompt}.mask_downscaling.4"), 16);
        let transformer = "mask_decoder.transformer";
        let mut attention = |name: String, inner: usize| {
            for part in ["q_proj", "k_proj", "v_proj"] {
                self.linear(&format!("{name}.{part}"), width, inner);
            }
            self.linear(&format!("{name}.out_proj"), inner, width);
        };
        attention(format!("{transformer}.final_attn_token_to_image"), inner);
        for layer in 0..size("depth") {
            let name = format!("{transformer}.layers.{layer}");
            attention(format!("{name}.self_attn"), width);
            attention(format!("{name}.cross_attn_token_to_image"), inner);
            attention(format!("{name}.cross_attn_image_to_token"), inner);
        }
        for layer in 0..size("depth") {
            let name = format!("{transformer}.layers.{layer}");
            (1..5).for_each(|index| self.norm(&format!("{name}.norm{index}"), width));
            self.linear(&format!("{name}.mlp.lin1"), width, size("mlp_dim"));
            self.linear(&format!("{name}.mlp.lin2"), size("mlp_dim"), width);
        }
        self.norm(&format!("{transformer}.norm_final_attn"), width);
        self.put("mask_decoder.iou_token.weight".into(), &[1, width]);
        self.put("mask_decoder.mask_tokens.weight".into(), &[masks, width]);
        self.put("mask_decoder.output_upscaling.0.weight".into(), &[width, width / 4, 2, 2]);
        self.put("mask_decoder.output_upscaling.0.bias".into(), &[width / 4]);
        self.norm("mask_decoder.output_upscaling.1", width / 4);
        self.put("mask_decoder.output_upscaling.3.weight".into(), &[width / 4, width / 8, 2, 2]);
        self.put("mask_decoder.output_upscaling.3.bias".into(), &[width / 8]);
        for mask in 0..masks {
            for (layer, outputs) in [width, width, width / 8].into_iter().enumerate() {
                self.linear(&format!("mask_decoder.output_hypernetworks_mlps.{mask}.layers.{layer}"), width, outputs);
            }
        }
        let (depth, hidden) = (size("iou_head_depth"), size("iou_head_hidden_dim"));
        for layer in 0..depth {
            let inputs = if layer == 0 { width } else { hidden };
            let outputs = if layer + 1 == depth { masks } else { hidden };
            self.linear(&format!("mask_decoder.iou_prediction_head.layers.{layer}"), inputs, outputs);
        }
    }
}

fn tiny(
    img: usize,
    widths: [usize; 3],
    depths: [usize; 3],
    heads: [usize; 3],
    windows: [usize; 3],
    strides: [usize; 2],
) -> Value {
    json!({"type": "tiny_vit", "img_size": img, "embed_dims": widths, "depths": depths, "num_heads": heads,
        "window_sizes": windows, "merge_strides": strides, "out_chans": 0})
}

fn vit(img: usize, patch: usize, width: usize, heads: usize, mlp: usize, windows: &[Option<usize>]) -> Value {
    json!({"type": "vit", "img_size": img, "patch_size": patch, "embed_dim": width, "num_heads": heads, "mlp_dim": mlp,
        "windows": windows, "out_chans": 0})
}

fn decoder(width: usize, heads: usize, rate: usize, masks: usize, depth: usize, iou: usize) -> Value {
    json!({"transformer_dim": width, "depth": depth, "num_heads": heads, "mlp_dim": 2 * width + 3,
        "attention_downsample_rate": rate, "num_multimask_outputs": masks, "iou_head_depth": iou, "iou_head_hidden_dim": width + 5})
}

/// Encoders and decoders in pairs.
fn networks() -> Vec<(Value, Value)> {
    let encoders = vec![
        tiny(64, [8, 12, 20], [1, 1, 1], [1, 3, 5], [1, 3, 4], [2, 2]),
        tiny(96, [6, 10, 14], [2, 1, 2], [1, 1, 7], [1, 16, 5], [2, 1]),
        tiny(100, [2, 3, 5], [0, 1, 0], [1, 3, 1], [1, 1, 1], [1, 2]),
        tiny(33, [34, 66, 130], [1, 2, 1], [1, 2, 13], [1, 7, 2], [2, 2]),
        vit(64, 16, 32, 2, 50, &[Some(3), None]),
        vit(48, 8, 30, 3, 33, &[Some(1), Some(6), None, Some(9)]),
        vit(60, 12, 7, 1, 5, &[None, Some(16)]),
        vit(64, 4, 20, 5, 64, &[Some(16), None]),
    ];
    let decoders = [
        decoder(32, 1, 2, 3, 2, 3),
        decoder(8, 2, 1, 1, 1, 1),
        decoder(24, 3, 4, 16, 3, 2),
        decoder(40, 5, 2, 2, 2, 4),
        decoder(64, 16, 2, 3, 1, 3),
    ];
    let pair = |(index, mut encoder): (usize, Value)| {
        let decoder = decoders[index % decoders.len()].clone();
        encoder["out_chans"] = decoder["transformer_dim"].clone();
        (encoder, decoder)
    };
    let twice = encoders.clone().into_iter().chain(encoders.into_iter().rev());
    twice.enumerate().map(pair).collect()
}

#[test]
fn what_is_accepted_runs() {
    let mut accepted = 0;
    for (index, (encoder, decoder)) in networks().into_iter().enumerate() {
        let mut shapes = Shapes::default();
        if encoder["type"] == "vit" {
            shapes.vit(&encoder)
        } else {
            shapes.tiny_vit(&encoder)
        }
        shapes.decoder(&decoder);
        let tensors = shapes.0.into_iter().map(|(name, shape)| {
            let values = seeded::tensor(&name, &shape);
            (name, (shape, values))
        });
        let path = seeded::scratch(&format!("configuration-{index}.safetensors"));
        seeded::write(&path, &tensors.collect());
        let stated = json!({"config": {"image_encoder": encoder, "mask_decoder": decoder}}).to_string();
        std::fs::write(path.with_extension("json"), &stated).unwrap();
        let graph = match Model::open(&path, Engine::Graph) {
            Ok(model) => model,
            Err(error) => {
                assert!(error.to_string().contains("its sizes do not fit"), "{error} ({stated})");
                continue;
            }
        };
        let picture = RgbImage::from_fn(50, 41, |x, y| image::Rgb([5 * x as u8, 6 * y as u8, (x * y) as u8]));
        let logits = |model: &Model| {
            let embedding = model.embed(&picture, Team::ALONE).unwrap();
            let point = model.predict(&embedding, &Prompt::point(0.4, 0.6).unwrap(), Team::ALONE).unwrap();
            point.low_res_logits(0).to_vec()
        };
        let expected = logits(&graph);
        let scale = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let open = |precision| Model::open(&path, precision).unwrap_or_else(|error| panic!("{error} ({stated})"));
        let largest =
            logits(&open(Precision::F32)).iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest <= 2e-3 * scale, "{largest} of {scale} ({stated})");
        // A handful of channels averages nothing out: how near bf16 comes is tested on networks of a real width.
        assert!(logits(&open(Precision::Bf16)).iter().all(|value| value.is_finite()), "{stated}");
        accepted += 1;
    }
    assert!(accepted >= 10, "only {accepted} were accepted");
}
