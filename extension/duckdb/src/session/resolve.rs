//! From what the user calls a model to the file that holds it.

use crate::failure::{Failure, Result};
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

/// What files of models end in, in the order in which they are preferred.
pub const EXTENSIONS: [&str; 3] = ["safetensors", "pt", "pth"];

/// The name of the built-in model.
pub const BUILT_IN: &str = "nano";

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The weights in the extension.
    BuiltIn,
    /// A file that exists.
    File(PathBuf),
}

/// Finds the model that the user calls `name`: `nano`; else a file, if `name` looks like one (it has a separator or
/// an extension of a model file); else a file of the model folder.
pub fn resolve(name: &str, folder: Option<&Path>) -> Result<Source> {
    if name == BUILT_IN {
        return Ok(Source::BuiltIn);
    }
    if name.trim().is_empty() {
        return Err(Failure::query(format!("the model has no name; {REMEDY}")));
    }
    let candidates = candidates(name, folder);
    if let Some(found) = candidates.iter().find(|path| path.is_file()) {
        return Ok(Source::File(found.clone()));
    }
    let tried: Vec<_> = candidates.iter().map(|path| format!("'{}'", path.display())).collect();
    Err(Failure::query(match tried.as_slice() {
        [] => format!("unknown model '{name}': it is not built in and there is no model folder; {REMEDY}"),
        tried => format!("unknown model '{name}': there is no file {}; {REMEDY}", tried.join(", ")),
    }))
}

const REMEDY: &str = "use 'nano', the path of a .safetensors, .pt or .pth file, or the name of a file in the model \
                      folder (CALL sam_configure(model_dir := ...), or the environment variable SAM_MODEL_DIR)";

/// The files that `name` may mean, best first.
fn candidates(name: &str, folder: Option<&Path>) -> Vec<PathBuf> {
    let is_path = name.contains('/') || name.contains(MAIN_SEPARATOR);
    if is_path {
        let home = name.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest)));
        return vec![home.unwrap_or_else(|| name.into())];
    }
    if is_model_file(Path::new(name)) {
        return std::iter::once(PathBuf::from(name)).chain(folder.map(|folder| folder.join(name))).collect();
    }
    let in_folder = |folder: &Path| EXTENSIONS.map(|extension| folder.join(format!("{name}.{extension}")));
    folder.into_iter().flat_map(in_folder).collect()
}

/// Whether the name of a file ends like that of a model.
pub fn is_model_file(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(name: &str) -> Vec<String> {
        candidates(name, Some(Path::new("/models"))).iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn a_name_means_a_file_of_the_folder() {
        let expected = ["/models/mobile_sam.safetensors", "/models/mobile_sam.pt", "/models/mobile_sam.pth"];
        assert_eq!(tried("mobile_sam"), expected);
        assert_eq!(tried("sam.v2")[0], "/models/sam.v2.safetensors");
        assert!(candidates("mobile_sam", None).is_empty());
    }

    #[test]
    fn a_path_means_itself() {
        assert_eq!(tried("/data/sam.bin"), ["/data/sam.bin"]);
        assert_eq!(tried("sub/sam"), ["sub/sam"]);
        assert_eq!(tried("sam.PT"), ["sam.PT", "/models/sam.PT"]);
    }

    #[test]
    fn the_error_lists_what_was_tried() {
        assert_eq!(resolve("nano", None), Ok(Source::BuiltIn));
        let message = resolve("nope", Some(Path::new("/models"))).unwrap_err().to_string();
        assert!(
            message
                .starts_with("unknown model 'nope': there is no file '/models/nope.safetensors', '/models/nope.pt', ")
        );
        assert!(message.ends_with(REMEDY));
        assert!(resolve(" ", None).unwrap_err().to_string().starts_with("the model has no name"));
        assert!(resolve("nope", None).unwrap_err().to_string().contains("there is no model folder"));
    }
}
