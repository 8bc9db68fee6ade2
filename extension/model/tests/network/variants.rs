//! Checkpoints as people save them with PyTorch: `test/reference/vit_tiny/variants`, put together with their numbers.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::checkpoints::{logits, refusal};
use crate::{records, seeded};
use sam_model::{Model, Precision};

/// How a storage is made.
#[derive(Deserialize)]
#[serde(untagged)]
enum Storage {
    Seeded { tensor: String, r#type: String },
    Hex { hex: String },
}

impl Storage {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Seeded { tensor, r#type } => {
                let shape = &seeded::shapes("vit_tiny")[tensor];
                let values = seeded::tensor(tensor, shape);
                match r#type.as_str() {
                    "f64" => values.iter().flat_map(|value| f64::from(*value).to_le_bytes()).collect(),
                    "i8" => values.iter().map(|value| (value * 10.0) as i8 as u8).collect(),
                    _ => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
                }
            }
            Self::Hex { hex } => (0..hex.len() / 2)
                .map(|index| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).unwrap())
                .collect(),
        }
    }
}

fn folder() -> PathBuf {
    records::folder().join("vit_tiny/variants")
}

/// The names of all variants.
fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Writes the whole archive, with the files' bytes changed by `change`.
fn put_together(name: &str, to: &str, method: CompressionMethod, change: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> PathBuf {
    let mut archive = ZipArchive::new(std::fs::File::open(folder().join(format!("{name}.zip"))).unwrap()).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(entry.name().unwrap().into_owned(), bytes);
    }
    let storages: BTreeMap<String, Storage> = serde_json::from_slice(&files.remove("storages.json").unwrap()).unwrap();
    files.extend(storages.iter().map(|(name, storage)| (name.clone(), storage.bytes())));
    let path = seeded::scratch(to);
    let mut out = ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, bytes) in files {
        let bytes = change(&name, bytes);
        out.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
        out.write_all(&bytes).unwrap();
    }
    out.finish().unwrap();
    path
}

fn whole(name: &str) -> PathBuf {
    put_together(name, &format!("{name}.pt"), CompressionMethod::Stored, |_, bytes| bytes)
}

fn notes(path: &Path) -> String {
    Model::open(path, Precision::F32).unwrap().info().notes.join("; ")
}

#[test]
fn all_give_the_masks_of_the_plain_one() {
    let expected = logits(&records::folder().join("vit_tiny/plain.pt"));
    let accepted: Vec<String> = names().into_iter().filter(|name| !name.starts_with("refused_")).collect();
    assert!(accepted.len() >= 25, "{accepted:?}");
    for name in accepted {
        assert!(logits(&whole(&name)) == expected, "{name} gives other masks");
    }
}

#[test]
fn what_is_left_out_is_said() {
    let text = notes(&whole("lightning"));
    assert!(text.contains("tensors outside 'state_dict.model.' were left out (the first is '"), "{text}");
    assert!(
        notes(&whole("tensor_beside")).contains("2 tensors outside 'model.' were left out (the first is 'best_loss')")
    );
    assert!(notes(&whole("averages_beside")).contains("(the first is 'model_ema.image_encoder."));
    assert!(!notes(&whole("protocol_4")).contains("left out"));
}

#[test]
fn what_is_not_the_network_is_refused_by_name() {
    let text = refusal(&whole("refused_int8"));
    assert!(text.contains("tensors are not floating point numbers (the first is '"), "{text}");
    assert!(text.contains("stored as int8): a quantised checkpoint cannot be run; use the one"), "{text}");
    let text = refusal(&whole("refused_quantised"));
    assert!(text.contains("stored as quantised integers): a quantised checkpoint cannot be run"), "{text}");
    let text = refusal(&whole("refused_more"));
    assert!(
        text.ends_with("1 tensors that this network has no place for (the first is 'mask_decoder.extra.weight')"),
        "{text}"
    );
    let text = refusal(&whole("refused_two"));
    assert!(text.contains("it holds two networks, below 'other.' and below 'student.'; save the one"), "{text}");
}

#[test]
fn archives_that_were_packed_anew() {
    let expected = logits(&records::folder().join("vit_tiny/plain.pt"));
    let keep = |_: &str, bytes| bytes;
    let deflated = put_together("other_key", "deflated.pt", CompressionMethod::Deflated, keep);
    assert_eq!(logits(&deflated), expected);
    let big_endian = put_together("other_key", "big-endian.pt", CompressionMethod::Stored, |name, mut bytes| {
        if name.contains("/data/") {
            bytes.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        }
        if name.ends_with("/byteorder") { b"big".into() } else { bytes }
    });
    assert_eq!(logits(&big_endian), expected);
    let short = put_together("other_key", "short.pt", CompressionMethod::Stored, |name, mut bytes| {
        bytes.truncate(if name.ends_with("/data/9") { 4 } else { bytes.len() });
        bytes
    });
    let text = refusal(&short);
    assert!(text.contains("reaches beyond its storage '") && text.contains("data/9' of 1 values"), "{text}");
}

/// An archive of files that are given.
fn archive(to: &str, files: &[(&str, &[u8])]) -> PathBuf {
    let path = seeded::scratch(to);
    let mut out = ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, bytes) in files {
        out.start_file(*name, SimpleFileOptions::default()).unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap();
    path
}

#[test]
fn other_archives_are_named() {
    let script = archive("script.pt", &[("m/data.pkl", b"\x80\x02}."), ("m/constants.pkl", b""), ("m/code/x.py", b"")]);
    let text = refusal(&script);
    assert!(text.contains("it is a TorchScript archive (torch.jit.save)") && text.contains("state_dict()"), "{text}");
    assert!(refusal(&archive("arrays.npz", &[("x.npy", b"")])).contains("NumPy arrays"));
    assert!(
        refusal(&archive("packed.zip", &[("sam.pth", b"")])).contains("a zip archive with a checkpoint in it; unpack")
    );
    assert!(refusal(&archive("any.zip", &[("x.txt", b"")])).contains("there is no data.pkl in it"));
    let nothing = archive("nothing.pt", &[("m/data.pkl", b"\x80\x02}.")]);
    assert!(refusal(&nothing).contains("it holds no tensors"));
}

#[test]
fn bombs_end_in_an_error() {
    // Tuples in tuples, 40,000 deep, and one that is twice the one before, 32 times.
    let deep = [&b"\x80\x02)"[..], &[b'\x85'; 40_000], b"."].concat();
    let mut wide = b"\x80\x02N".to_vec();
    (0..32).for_each(|index| wide.extend([b'q', index, b'h', index, b'\x86']));
    wide.push(b'.');
    for (name, pickle) in [("deep.pt", deep), ("wide.pt", wide)] {
        let path = archive(name, &[("archive/data.pkl", &pickle)]);
        let start = std::time::Instant::now();
        assert!(refusal(&path).contains("it holds no tensors"));
        assert!(start.elapsed().as_millis() < 500);
    }
}
