//! Checkpoint files: formats, naming conventions, and what is said of files that cannot be run.

use std::path::{Path, PathBuf};

use crate::records;
use crate::seeded::{self, Tensors};
use sam_imaging::RgbImage;
use sam_model::{Model, Precision, Prompt, Threads};

pub fn tiny() -> Tensors {
    seeded::tensors("vit_tiny")
}

pub fn written(name: &str, tensors: &Tensors) -> PathBuf {
    let path = seeded::scratch(name);
    seeded::write(&path, tensors);
    path
}

/// Low-resolution logits of one point on a small gradient.
pub fn logits(path: &Path) -> Vec<f32> {
    let model = Model::open(path, Precision::F32).unwrap();
    let picture = RgbImage::from_fn(50, 40, |x, y| image::Rgb([5 * x as u8, 6 * y as u8, (x * y) as u8]));
    let embedding = model.embed(&picture, Threads::ONE).unwrap();
    model.predict(&embedding, &Prompt::point(0.4, 0.6).unwrap(), Threads::ONE).unwrap().low_res_logits(0).to_vec()
}

pub fn refusal(path: &Path) -> String {
    let Err(error) = Model::open(path, Precision::F32) else { panic!("{} was accepted", path.display()) };
    let text = error.to_string();
    assert!(text.contains(&*path.to_string_lossy()), "the file is not named: {text}");
    text
}

fn refusal_of(name: &str, change: impl FnOnce(&mut Tensors)) -> String {
    let mut tensors = tiny();
    change(&mut tensors);
    refusal(&written(name, &tensors))
}

#[test]
fn pytorch_files_give_the_same_as_safetensors() {
    let expected = logits(&written("torch.safetensors", &tiny()));
    let folder = records::folder().join("vit_tiny");
    assert_eq!(logits(&folder.join("plain.pt")), expected);
    let half = logits(&folder.join("nested.pth"));
    let largest = half.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let scale = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    assert!(largest > 0.0 && largest < 0.02 * scale, "half precision differs by {largest} of {scale}");
}

#[test]
fn hugging_face_names_give_the_same_as_metas() {
    // The published conversion, applied in its own direction.
    let rules = [
        ("iou_prediction_head.layers.0", "iou_prediction_head.proj_in"),
        ("iou_prediction_head.layers.1", "iou_prediction_head.layers.0"),
        ("iou_prediction_head.layers.2", "iou_prediction_head.proj_out"),
        ("mask_decoder.output_upscaling.0", "mask_decoder.upscale_conv1"),
        ("mask_decoder.output_upscaling.1", "mask_decoder.upscale_layer_norm"),
        ("mask_decoder.output_upscaling.3", "mask_decoder.upscale_conv2"),
        ("mask_downscaling.0", "mask_embed.conv1"),
        ("mask_downscaling.1", "mask_embed.layer_norm1"),
        ("mask_downscaling.3", "mask_embed.conv2"),
        ("mask_downscaling.4", "mask_embed.layer_norm2"),
        ("mask_downscaling.6", "mask_embed.conv3"),
        ("point_embeddings", "point_embed"),
        ("prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", "shared_image_embedding.positional_embedding"),
        ("image_encoder", "vision_encoder"),
        ("neck.0", "neck.conv1"),
        ("neck.1", "neck.layer_norm1"),
        ("neck.2", "neck.conv2"),
        ("neck.3", "neck.layer_norm2"),
        ("patch_embed.proj", "patch_embed.projection"),
        (".norm", ".layer_norm"),
        ("blocks", "layers"),
    ];
    let mut theirs = Tensors::new();
    for (name, tensor) in tiny() {
        let mut renamed = name.clone();
        if name.contains("output_hypernetworks_mlps") {
            renamed = renamed.replace(".layers.0.", ".proj_in.").replace(".layers.2.", ".proj_out.");
            renamed = renamed.replace(".layers.1.", ".layers.0.");
        } else {
            for (from, to) in rules {
                if renamed.contains(from) {
                    renamed = renamed.replace(from, to);
                    if from.starts_with("iou_prediction_head") {
                        break;
                    }
                }
            }
        }
        theirs.insert(renamed, tensor);
    }
    let shared = theirs["shared_image_embedding.positional_embedding"].clone();
    theirs.insert("prompt_encoder.shared_embedding.positional_embedding".into(), shared);
    let expected = logits(&written("meta.safetensors", &tiny()));
    assert_eq!(logits(&written("hugging_face.safetensors", &theirs)), expected);

    let wrapped = tiny().into_iter().map(|(name, tensor)| (format!("module.{name}"), tensor)).collect();
    assert_eq!(logits(&written("wrapped.safetensors", &wrapped)), expected);
}

#[test]
fn info_is_read_from_names_and_shapes() {
    let model = Model::open(&written("tiny-info.safetensors", &tiny()), Precision::F32).unwrap();
    let info = model.info();
    assert_eq!((info.name.as_str(), info.architecture.as_str()), ("tiny-info", "vit"));
    assert_eq!((info.image_size, info.embedding_shape, info.mask_size), (64, [32, 4, 4], 16));
    let weights: usize = tiny().values().map(|(_, values)| values.len()).sum();
    assert_eq!(info.parameters, weights as u64);
    assert_eq!(model.sha256().unwrap().len(), 64);

    let nano = Model::nano(Precision::F32).unwrap();
    let info = nano.info();
    assert_eq!((info.name.as_str(), info.path.as_ref(), info.architecture.as_str()), ("nano", None, "tiny_vit"));
    assert_eq!((info.image_size, info.embedding_shape, info.mask_size), (512, [128, 32, 32], 128));
    assert_eq!(info.license.as_deref(), Some("Apache-2.0"));
    assert_eq!(nano.sha256().unwrap(), nano.sha256().unwrap());
}

#[test]
fn files_that_are_no_checkpoints_are_refused() {
    let file = |name: &str, bytes: &[u8]| {
        let path = seeded::scratch(name);
        std::fs::write(&path, bytes).unwrap();
        refusal(&path)
    };
    assert!(refusal(&seeded::scratch("not-there.pt")).starts_with("cannot read model file"));
    assert!(refusal(&seeded::scratch("")).contains("directory"));
    assert!(file("empty.pt", b"").contains("the file is empty"));
    assert!(
        file("text.pt", b"hello, this is not a model").contains("neither a PyTorch zip file nor complete safetensors")
    );
    assert!(file("zip.pt", b"PK\x03\x04 but nothing more").contains("truncated or damaged"));
    assert!(refusal(&records::folder().join("vit_tiny/legacy.pth")).contains("from before 1.6"));

    let torch = std::fs::read(records::folder().join("vit_tiny/plain.pt")).unwrap();
    assert!(file("half.pt", &torch[..torch.len() / 2]).contains("not a readable checkpoint"));
    let safetensors = std::fs::read(written("whole.safetensors", &tiny())).unwrap();
    let text = file("half.safetensors", &safetensors[..safetensors.len() / 2]);
    assert!(text.contains("not a readable checkpoint") && text.contains("bytes"), "{text}");
    let text = file("header.safetensors", &safetensors[..100]);
    assert!(text.contains("not a readable checkpoint"), "{text}");
}

#[test]
fn checkpoints_of_other_networks_are_refused() {
    let text = refusal_of("missing.safetensors", |tensors| {
        tensors.remove("mask_decoder.iou_prediction_head.layers.1.bias");
    });
    assert!(text.ends_with("tensor 'mask_decoder.iou_prediction_head.layers.1.bias' is missing"), "{text}");

    let text = refusal_of("shape.safetensors", |tensors| {
        tensors.insert("mask_decoder.transformer.norm_final_attn.bias".into(), (vec![31], vec![0.0; 31]));
    });
    assert!(text.ends_with("'mask_decoder.transformer.norm_final_attn.bias' has shape [31], expected [32]"), "{text}");

    let text = refusal_of("more.safetensors", |tensors| {
        tensors.insert("mask_decoder.extra.weight".into(), (vec![1], vec![0.0]));
    });
    assert!(
        text.ends_with("1 tensors that this network has no place for (the first is 'mask_decoder.extra.weight')"),
        "{text}"
    );

    let text = refusal_of("nan.safetensors", |tensors| {
        tensors.get_mut("image_encoder.neck.1.weight").unwrap().1[7] = f32::NAN;
    });
    assert!(text.ends_with("tensor 'image_encoder.neck.1.weight': holds NaN; weights must be finite"), "{text}");

    let text = refusal_of("sam2.safetensors", |tensors| {
        tensors.insert("sam_mask_decoder.x".into(), (vec![1], vec![0.0]));
    });
    assert!(text.contains("it is a SAM 2 model"), "{text}");
    let text = refusal_of("hq.safetensors", |tensors| {
        tensors.insert("mask_decoder.hf_token.weight".into(), (vec![1], vec![0.0]));
    });
    assert!(text.contains("it is a SAM-HQ model"), "{text}");

    let text = refusal_of("encoder.safetensors", |tensors| tensors.retain(|name, _| name.starts_with("image_encoder")));
    assert!(text.contains("it has no prompt_encoder, mask_decoder among its"), "{text}");
    let text = refusal_of("other.safetensors", |tensors| {
        *tensors = Tensors::from([("bert.embeddings".to_owned(), (vec![2], vec![0.0; 2]))]);
    });
    assert!(text.contains("among its 1 tensors (the first is 'bert.embeddings')"), "{text}");
    let text = refusal_of("encoder-family.safetensors", |tensors| {
        tensors.remove("image_encoder.pos_embed");
    });
    assert!(text.contains("neither TinyViT (MobileSAM, TinySAM) nor ViT (SAM B, L, H)"), "{text}");

    let copy = tiny()["mask_decoder.iou_token.weight"].clone();
    let text = refusal_of("beside.safetensors", |tensors| {
        tensors.insert("x.mask_decoder.iou_token.weight".into(), copy.clone());
    });
    assert!(text.ends_with("no place for (the first is 'x.mask_decoder.iou_token.weight')"), "{text}");
    let text = refusal_of("twice.safetensors", |tensors| {
        tensors.insert("module.mask_decoder.iou_token.weight".into(), copy);
    });
    assert!(text.contains("both stand for 'mask_decoder.iou_token.weight'"), "{text}");
}
