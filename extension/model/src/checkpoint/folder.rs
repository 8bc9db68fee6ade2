//! Which files make a model: one file, or those of a Hugging Face folder, and the file that states what shapes do not
//! tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::source::Source;
use crate::error::{ModelError, Result};

/// The weights of a Hugging Face folder, best first; an index names the files of weights in several.
const WEIGHTS: [&str; 4] =
    ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"];

/// What states a folder's model.
pub(super) const FOLDER_STATED: &str = "sam_config.json";

/// Most bytes of a file in JSON.
const MAX_JSON: u64 = 16 << 20;

/// Whether a folder holds a model as Hugging Face keeps them.
pub fn is_model_folder(folder: &Path) -> bool {
    WEIGHTS.iter().any(|name| folder.join(name).is_file())
}

/// The file that may state what the shapes of a model do not tell: `NAME.json` beside `NAME.pt`, `sam_config.json` in
/// a folder.
pub(super) fn stated_path(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(FOLDER_STATED) } else { path.with_extension("json") }
}

/// The files that a model's identity depends on: where one of them changes, it is another model. Of a folder they
/// are all that may be part of a model; no file is opened.
pub fn model_files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        let stated = stated_path(path);
        return std::iter::once(path.to_owned()).chain(stated.is_file().then_some(stated)).collect();
    }
    let entries = path.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let is_part = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| ["safetensors", "bin", "json"].contains(&ending)) && path.is_file()
    };
    let mut files: Vec<_> = entries.filter(is_part).collect();
    files.sort();
    files
}

/// Files of weights, and which tensors an index says to be in which of them.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) files: Vec<PathBuf>,
    /// Names of tensors and numbers of files.
    pub(super) index: BTreeMap<String, usize>,
    /// The index itself.
    pub(super) index_path: Option<PathBuf>,
}

/// The weights of a folder.
///
/// # Errors
/// There are none; an index that cannot be read, or names files that are missing or outside the folder.
pub(super) fn parts(folder: &Path) -> Result<Parts> {
    let Some(name) = WEIGHTS.iter().find(|name| folder.join(name).is_file()) else {
        return Err(ModelError::Read { path: folder.to_owned(), reason: no_weights(folder) });
    };
    let path = folder.join(name);
    if !name.ends_with(".json") {
        return Ok(Parts { files: vec![path], index: BTreeMap::new(), index_path: None });
    }
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index = read_json(&path)?;
    let refused = |reason: String| Err(ModelError::Format { path: path.clone(), reason });
    let names: BTreeSet<&String> = index.weight_map.values().collect();
    let mut files = Vec::with_capacity(names.len());
    for name in &names {
        let mut components = Path::new(name).components();
        let inside = matches!((components.next(), components.next()), (Some(std::path::Component::Normal(_)), None));
        if !inside || name.contains(['/', '\\']) {
            return refused(format!("it names the file '{name}', which is not in its folder"));
        }
        let file = folder.join(name);
        if !file.is_file() {
            return refused(format!("it names the file '{name}', which is missing; download the folder again"));
        }
        files.push(file);
    }
    if files.is_empty() {
        return refused("it names no files".into());
    }
    let numbers: BTreeMap<&String, usize> = names.iter().enumerate().map(|(number, name)| (*name, number)).collect();
    let index = index.weight_map.iter().map(|(tensor, name)| (tensor.clone(), numbers[name])).collect();
    Ok(Parts { files, index, index_path: Some(path) })
}

fn no_weights(folder: &Path) -> String {
    let files = folder.read_dir().into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_model = |name: &String| {
        [".safetensors", ".pt", ".pth", ".ckpt", ".bin"].iter().any(|ending| name.to_lowercase().ends_with(ending))
    };
    let mut models: Vec<_> = files.filter(is_model).collect();
    models.sort();
    let wanted = WEIGHTS.join(", ");
    match models.split_first() {
        None => format!("it is a directory with no model in it (none of {wanted})"),
        Some((first, _)) => format!(
            "it is a directory with none of {wanted} in it; give a file, such as '{}'",
            folder.join(first).display()
        ),
    }
}

/// A file in JSON.
///
/// # Errors
/// It cannot be read, is too large, or is not of the type `T`.
pub(super) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let source = Source::open(path)?;
    if source.len() > MAX_JSON {
        return Err(source.format_error(format!("it has {} bytes, more than {MAX_JSON}", source.len())));
    }
    let bytes = source.bytes_at(0, source.len() as usize)?;
    source.check_unchanged()?;
    serde_json::from_slice(&bytes).map_err(|error| source.format_error(format!("it cannot be understood: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_names_files_of_its_folder_only() {
        let folder = std::env::temp_dir().join(format!("sam-folder-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        assert!(parts(&folder).unwrap_err().to_string().contains("it is a directory with no model in it"));
        std::fs::write(folder.join("sam.pt"), b"x").unwrap();
        assert!(parts(&folder).unwrap_err().to_string().contains("sam.pt'"));
        for (name, expected) in [
            ("../x.safetensors", "'../x.safetensors', which is not in its folder"),
            ("/etc/passwd", "which is not in its folder"),
            ("a/b.safetensors", "which is not in its folder"),
            ("..", "which is not in its folder"),
            ("", "which is not in its folder"),
            ("b.safetensors", "'b.safetensors', which is missing"),
        ] {
            let json = serde_json::json!({"weight_map": {"x": name}}).to_string();
            std::fs::write(folder.join("model.safetensors.index.json"), json).unwrap();
            let text = parts(&folder).unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
        std::fs::write(folder.join("model.safetensors.index.json"), b"{}").unwrap();
        assert!(parts(&folder).unwrap_err().to_string().contains("it cannot be understood"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
