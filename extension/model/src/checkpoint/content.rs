//! What a file is that is no checkpoint, told by its first bytes, and what to give instead.

const INSTEAD: &str = "give the checkpoint in PyTorch's format (.pt, .pth) or safetensors";

/// How a format begins: bytes at an offset, what it is, and what to do; empty where [`INSTEAD`] says it.
type Sign = (usize, &'static [u8], &'static str, &'static str);

const UNPACK: &str = "unpack it and give the file inside";
const PICTURE: &str = "the model comes first, then the picture";

const SIGNS: &[Sign] = &[
    (0, b"GGUF", "a GGUF file (llama.cpp)", ""),
    (0, b"lmgg", "a GGML file (sam.cpp)", ""),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras, TensorFlow)", ""),
    (4, b"TFL3", "a TensorFlow Lite model", ""),
    (4, b"PTMF", "a PyTorch Mobile model", ""),
    (4, b"ET12", "an ExecuTorch program", ""),
    (0, b"ptrt", "a TensorRT engine", ""),
    (0, b"ftrt", "a TensorRT engine", ""),
    (0, b"\x93NUMPY", "a NumPy array", ""),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself", "fetch it: git lfs pull"),
    (0, b"\x89PNG\r\n", "a picture (PNG)", PICTURE),
    (0, b"\xff\xd8\xff", "a picture (JPEG)", PICTURE),
    (0, b"GIF8", "a picture (GIF)", PICTURE),
    (8, b"WEBP", "a picture (WebP)", PICTURE),
    (0, b"II*\0", "a picture (TIFF)", PICTURE),
    (0, b"MM\0*", "a picture (TIFF)", PICTURE),
    (0, b"BM", "a picture (BMP)", PICTURE),
    (4, b"ftyp", "a picture or video (HEIC, AVIF, MP4)", PICTURE),
    (0, b"%PDF", "a PDF document", ""),
    (0, b"PAR1", "a Parquet file", ""),
    (8, b"DUCK", "a DuckDB database", ""),
    (0, b"\x1f\x8b", "compressed with gzip", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd", UNPACK),
    (0, b"\xfd7zXZ\0", "compressed with xz", UNPACK),
    (0, b"BZh", "compressed with bzip2", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (0, b"Rar!", "a RAR archive", UNPACK),
];

/// Bytes of a file's beginning that are looked at.
pub(super) const HEAD: usize = 512;

/// The number at the beginning of PyTorch's own format from before 1.6, as a pickle has it.
const LEGACY: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// Says what a file is that begins with `head` and has `bytes` bytes.
pub(super) fn describe(head: &[u8], bytes: u64) -> String {
    let found = SIGNS.iter().find(|(at, sign, _, _)| head.get(*at..).is_some_and(|rest| rest.starts_with(sign)));
    if let Some((_, _, what, remedy)) = found {
        let remedy = if remedy.is_empty() { INSTEAD } else { remedy };
        return format!("it is {what}; {remedy}");
    }
    if head.get(257..262) == Some(b"ustar") {
        return "it is a tar archive; if a checkpoint was packed into it, unpack it and give the file inside, and if it is \
                PyTorch's format from before 0.2, load it in PyTorch and save it again with torch.save"
            .into();
    }
    if head.first() == Some(&0x80) && head.get(1).is_some_and(|protocol| *protocol <= 5) {
        let is_legacy = head.windows(LEGACY.len()).take(16).any(|part| part == LEGACY);
        return if is_legacy {
            "it is in PyTorch's format from before 1.6; load it in PyTorch and save it again with torch.save, or convert \
             it to safetensors"
                .into()
        } else {
            format!("it is a Python pickle, but not one that torch.save has written; {INSTEAD}")
        };
    }
    if is_onnx(head) {
        return "it is an ONNX model; give the PyTorch checkpoint (.pt, .pth) or safetensors that it was exported from"
            .into();
    }
    let text = String::from_utf8_lossy(head);
    let begin = text.trim_start_matches('\u{feff}').trim_start().to_lowercase();
    let what = if begin.starts_with("<!doctype html") || begin.starts_with("<html") {
        "it is a web page, not the file itself; download the file (on Hugging Face the address has /resolve/, not /blob/)"
    } else if begin.starts_with("<?xml") || begin.starts_with("<net") {
        "it is an XML file (OpenVINO?)"
    } else if begin.starts_with('{') || begin.starts_with('[') {
        "it is a JSON file; of a model in several files give the folder"
    } else {
        return format!("neither a PyTorch zip file nor complete safetensors ({bytes} bytes); {INSTEAD}");
    };
    format!("{what}; {INSTEAD}")
}

/// ONNX is a protobuf message: field 1 is the version of its format, a small number; a name of the producer, a
/// version, a domain, a graph or operator sets follow.
fn is_onnx(head: &[u8]) -> bool {
    match head {
        [0x08, 1..=30, 0x12 | 0x1a | 0x22 | 0x32 | 0x3a, ..] => true,
        [0x3a | 0x12, ..] => head.windows(4).any(|part| part == b"onnx" || part == b"Conv"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_a_file_is() {
        let tar = [&[b'x'; 257][..], b"ustar", &[0; 10]].concat();
        for (head, expected) in [
            (&b"\x08\x07\x12\x07pytorch"[..], "it is an ONNX model; give the PyTorch checkpoint"),
            (b"GGUF\x03", "it is a GGUF file"),
            (b"lmggxxxx", "it is a GGML file (sam.cpp)"),
            (b"\x89HDF\r\n\x1a\n", "it is an HDF5 file (Keras, TensorFlow)"),
            (b"\x1c\0\0\0TFL3", "it is a TensorFlow Lite model"),
            (b"version https://git-lfs.github.com/spec/v1\n", "it is a Git LFS pointer, not the file itself; fetch it"),
            (b"\n<!DOCTYPE html><html>", "it is a web page"),
            (b"<html>", "it is a web page"),
            (b"\xff\xd8\xff\xe0", "it is a picture (JPEG); the model comes first"),
            (b"RIFF\0\0\0\0WEBP", "it is a picture (WebP)"),
            (b"\x1f\x8b\x08", "it is compressed with gzip; unpack it"),
            (&tar, "it is a tar archive"),
            (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M", "it is in PyTorch's format from before 1.6"),
            (b"\x80\x04\x95\x10\0\0\0\0\0\0\0", "it is a Python pickle, but not one"),
            (b"{\"metadata\": {}}", "it is a JSON file; of a model in several files give the folder"),
            (b"hello", "neither a PyTorch zip file nor complete safetensors (9 bytes)"),
            (b"", "neither"),
        ] {
            let text = describe(head, 9);
            assert!(text.starts_with(expected), "{text}");
        }
    }
}
