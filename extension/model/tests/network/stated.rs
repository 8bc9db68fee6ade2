//! What shapes do not tell: recognised, stated beside the weights, or refused.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::checkpoints::{logits, refusal, tiny, written};
use crate::seeded::Tensors;
use crate::{records, seeded};
use sam_model::{Model, Precision};

/// A folder of its own.
fn folder(name: &str) -> PathBuf {
    let path = seeded::scratch(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn state(path: &Path, json: &serde_json::Value) {
    std::fs::write(path, json.to_string()).unwrap();
}

/// The built-in model's tensors, without the file's metadata.
fn nano() -> Tensors {
    let path = records::folder().join("../../extension/model/assets/nano.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let values = |view: &safetensors::tensor::TensorView<'_>| {
        let bytes = view.data();
        match view.dtype() {
            safetensors::Dtype::F32 => {
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            }
            safetensors::Dtype::F16 => {
                bytes.chunks_exact(2).map(|b| half::f16::from_le_bytes(b.try_into().unwrap()).to_f32()).collect()
            }
            other => panic!("{other:?}"),
        }
    };
    file.tensors().iter().map(|(name, view)| (name.clone(), (view.shape().to_vec(), values(view)))).collect()
}

#[test]
fn the_built_in_model_is_known_without_its_metadata() {
    let path = written("bare-nano.safetensors", &nano());
    let (bare, built_in) = (Model::open(&path, Precision::F32).unwrap(), Model::nano(Precision::F32).unwrap());
    assert_eq!(
        (bare.info().image_size, bare.info().mask_size),
        (built_in.info().image_size, built_in.info().mask_size)
    );
    let own = records::folder().join("../../extension/model/assets/nano.safetensors");
    assert_eq!(logits(&path), logits(&own));
}

#[test]
fn a_tiny_vit_of_other_shapes_must_be_stated() {
    let mut tensors = nano();
    // One block less in a stage: no network that is known.
    let last = |name: &str| name.starts_with("image_encoder.layers.2.blocks.2.");
    tensors.retain(|name, _| !last(name) && !name.starts_with("image_encoder.layers.2.blocks.5."));
    let path = written("less.safetensors", &tensors);
    let stated = path.with_extension("json");
    let _ = std::fs::remove_file(&stated);
    let text = refusal(&path);
    assert!(text.contains("are not those of MobileSAM, TinySAM or nano"), "{text}");
    assert!(text.contains("less.json': {\"config\":"), "{text}");
}

#[test]
fn mobile_sam_is_known_and_its_input_size_can_be_stated() {
    let tensors = seeded::tensors("mobile_sam");
    let path = written("lite.safetensors", &tensors);
    let stated = path.with_extension("json");
    let _ = std::fs::remove_file(&stated);
    let plain = Model::open(&path, Precision::F32).unwrap();
    assert_eq!((plain.info().image_size, plain.info().mask_size), (1024, 256));
    state(&stated, &json!({"image_size": 256, "pixel_mean": [0, 0, 0], "pixel_std": [255, 255, 255]}));
    let lite = Model::open(&path, Precision::F32).unwrap();
    assert_eq!((lite.info().image_size, lite.info().mask_size), (256, 64));
    assert_ne!(lite.sha256().unwrap(), plain.sha256().unwrap());
    assert!(!logits(&path).is_empty());

    for (json, expected) in [
        (json!({"image_sise": 256}), "unknown field `image_sise`"),
        (json!({"image_size": 8}), "the input side must lie between 16 and 8192"),
        (json!({"image_size": "256"}), "it cannot be understood: invalid type"),
        (json!({"pixel_std": [1, 0, 1]}), "pixel_std has a value that is not above 0"),
        (
            json!({"config": {"image_encoder": {"type": "tiny_vit", "img_sise": 1}}}),
            "the key 'img_sise' of 'config' is unknown",
        ),
        (json!([1]), "it cannot be understood"),
    ] {
        state(&stated, &json);
        let Err(error) = Model::open(&path, Precision::F32) else { panic!("{json} was accepted") };
        assert!(error.to_string().contains(expected), "{error}");
    }
    std::fs::remove_file(&stated).unwrap();
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn what_is_stated_must_agree_with_the_shapes() {
    let path = written("stated-tiny.safetensors", &tiny());
    let stated = path.with_extension("json");
    let config = |window: usize, heads: usize| {
        json!({"config": {
            "image_encoder": {"type": "vit", "img_size": 64, "patch_size": 16, "embed_dim": 32, "num_heads": 2, "mlp_dim": 64,
                "windows": [window, null], "out_chans": 32},
            "mask_decoder": {"transformer_dim": 32, "depth": 2, "num_heads": heads, "mlp_dim": 64,
                "attention_downsample_rate": 2, "num_multimask_outputs": 3, "iou_head_depth": 3, "iou_head_hidden_dim": 32}}})
    };
    let _ = std::fs::remove_file(&stated);
    let plain = logits(&path);
    let notes = Model::open(&path, Precision::F32).unwrap().info().notes.join("");
    assert!(notes.contains("the decoder's heads are taken to have 32 channels each"), "{notes}");
    state(&stated, &config(3, 1));
    assert_eq!(logits(&path), plain);
    assert!(Model::open(&path, Precision::F32).unwrap().info().notes.is_empty());
    state(&stated, &config(3, 2));
    assert_ne!(logits(&path), plain, "the heads of the decoder are those that are stated");
    state(&stated, &config(2, 1));
    assert!(refusal(&path).contains("'image_encoder.blocks.0.attn.rel_pos_h' has shape [5, 16], expected [3, 16]"));
    state(&stated, &json!({"image_size": 128}));
    assert!(refusal(&path).contains("states an image_size of 128, but its weights are for 64"));
    std::fs::remove_file(&stated).unwrap();
}

#[test]
fn a_window_beyond_the_image_is_not_guessed() {
    let mut tensors = tiny();
    for axis in ["h", "w"] {
        let name = format!("image_encoder.blocks.1.attn.rel_pos_{axis}");
        tensors.insert(name, (vec![27, 16], vec![0.1; 27 * 16]));
    }
    let text = refusal(&written("beyond.safetensors", &tensors));
    assert!(text.contains("for a window of 14 x 14 tokens, and the image has 4 x 4"), "{text}");
}

#[test]
fn numbers_beyond_the_range_are_refused() {
    let mut tensors = tiny();
    tensors.get_mut("image_encoder.blocks.0.mlp.lin1.weight").unwrap().1.fill(3e38);
    let path = written("large.safetensors", &tensors);
    let model = Model::open(&path, Precision::F32).unwrap();
    let picture = sam_imaging::RgbImage::from_fn(50, 40, |x, y| image::Rgb([5 * x as u8, 6 * y as u8, 9]));
    let Err(error) = model.embed(&picture, sam_model::Threads::ONE) else { panic!("nonsense was accepted") };
    assert!(error.to_string().contains("leaves the range of float32"), "{error}");
}

/// The network in a folder as Hugging Face keeps it, in two files.
fn sharded(name: &str) -> PathBuf {
    let folder = folder(name);
    let (mut files, mut map) = ([Tensors::new(), Tensors::new()], serde_json::Map::new());
    for (index, (name, tensor)) in tiny().into_iter().enumerate() {
        map.insert(name.clone(), json!(format!("model-{}.safetensors", index % 2)));
        files[index % 2].insert(name, tensor);
    }
    for (index, tensors) in files.iter().enumerate() {
        seeded::write(&folder.join(format!("model-{index}.safetensors")), tensors);
    }
    state(&folder.join("model.safetensors.index.json"), &json!({"metadata": {}, "weight_map": map}));
    folder
}

#[test]
fn folders_of_hugging_face() {
    let expected = logits(&written("folder-plain.safetensors", &tiny()));
    let path = folder("hf");
    std::fs::copy(written("folder-one.safetensors", &tiny()), path.join("model.safetensors")).unwrap();
    assert_eq!(logits(&path), expected);
    let model = Model::open(&path, Precision::F32).unwrap();
    assert_eq!((model.info().name.as_str(), model.sha256().unwrap().len()), ("hf", 64));
    let bin = folder("hf-bin");
    std::fs::copy(records::folder().join("vit_tiny/plain.pt"), bin.join("pytorch_model.bin")).unwrap();
    assert_eq!(logits(&bin), expected);

    let path = sharded("hf-sharded");
    assert_eq!(logits(&path), expected);
    std::fs::remove_file(path.join("model-1.safetensors")).unwrap();
    let text = refusal(&path);
    assert!(text.contains("it names the file 'model-1.safetensors', which is missing"), "{text}");
    let text = refusal(&sharded("hf-wrong").join("model.safetensors.index.json"));
    assert!(text.contains("it is a JSON file; of a model in several files give the folder"), "{text}");
    let path = sharded("hf-moved");
    let index = path.join("model.safetensors.index.json");
    let moved = std::fs::read_to_string(&index).unwrap().replacen("model-0", "model-1", 1);
    std::fs::write(index, moved).unwrap();
    let Err(error) = Model::open(&path, Precision::F32) else { panic!("a wrong index was accepted") };
    assert!(error.to_string().contains("where it is not; download the folder again"), "{error}");
    assert!(refusal(&folder("hf-empty")).contains("it is a directory with no model in it"));
}

#[test]
fn the_configuration_of_a_folder_must_agree() {
    let path = folder("hf-config");
    std::fs::copy(written("folder-two.safetensors", &tiny()), path.join("model.safetensors")).unwrap();
    let config = |vision: serde_json::Value, heads: usize| {
        let config = json!({"model_type": "sam", "vision_config": vision, "mask_decoder_config": {"num_attention_heads": heads}});
        state(&path.join("config.json"), &config);
    };
    let expected = logits(&path);
    config(json!({"image_size": 64, "window_size": 3, "global_attn_indexes": [1], "num_hidden_layers": 2}), 1);
    assert_eq!(logits(&path), expected);
    config(json!({}), 2);
    assert_ne!(logits(&path), expected);
    config(json!({"image_size": 1024}), 1);
    assert!(
        refusal(&path)
            .contains("its config.json says that image_size is 1024, the shapes of its weights that it is 64")
    );
    config(json!({"window_size": 3, "global_attn_indexes": [0]}), 1);
    assert!(refusal(&path).contains("the shapes of block 0 are for a window of 3"));
    state(&path.join("config.json"), &json!({"model_type": "sam2"}));
    assert!(refusal(&path).contains("it is a model of the type 'sam2'"));
    std::fs::remove_file(path.join("config.json")).unwrap();
    state(
        &path.join("preprocessor_config.json"),
        &json!({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}),
    );
    assert_ne!(logits(&path), expected);
}

#[cfg(unix)]
#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    use std::io::{Seek, SeekFrom, Write};
    let path = written("changing.safetensors", &seeded::tensors("mobile_sam"));
    let length = std::fs::metadata(&path).unwrap().len();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let mut refused = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                file.set_len(length / 2).unwrap();
                file.set_len(length).unwrap();
                file.seek(SeekFrom::Start(length - 4)).unwrap();
                file.write_all(&1f32.to_le_bytes()).unwrap();
            }
        });
        for _ in 0..5 {
            if let Err(error) = Model::open(&path, Precision::F32) {
                refused += 1;
                let text = error.to_string();
                assert!(text.contains("was written to while it was read") || text.contains("truncated"), "{text}");
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(refused, 5);
    std::fs::remove_file(&path).unwrap();
}
