//! From what the user calls a model to the file or folder that holds it.

use crate::failure::{Failure, Kind, Remedy, Result};
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

/// What files of models end in.
pub const EXTENSIONS: [&str; 5] = ["safetensors", "pt", "pth", "ckpt", "bin"];

/// The name of the built-in model.
pub const BUILT_IN: &str = "nano";

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The weights in the extension.
    BuiltIn,
    /// A file or folder that exists.
    File(PathBuf),
}

/// Finds the model that the user calls `name`. `nano` is the built-in one. A name with a separator is the path of a
/// file or folder. Any other is a file or folder of that name in the working directory or the model folder, or a file
/// of the model folder without its ending. A name that means several is refused: none is silently preferred.
pub fn resolve(name: &str, folder: Option<&Path>) -> Result<Source> {
    if name == BUILT_IN {
        return Ok(Source::BuiltIn);
    }
    if name.trim().is_empty() {
        return Err(unknown("the model has no name".into()));
    }
    let candidates = candidates(name, folder);
    let mut found: Vec<&PathBuf> = candidates.iter().filter(|path| is_model(path, is_path(name))).collect();
    // Several names of one and the same file are one.
    let mut seen = Vec::new();
    found.retain(|path| {
        let place = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let new = !seen.contains(&place);
        seen.push(place);
        new
    });
    let list =
        |paths: &[&PathBuf]| paths.iter().map(|path| format!("'{}'", path.display())).collect::<Vec<_>>().join(", ");
    match found.as_slice() {
        [path] => Ok(Source::File(path.to_path_buf())),
        [] => Err(unknown(match candidates.as_slice() {
            [] => format!("unknown model '{name}': it is not built in and there is no model folder"),
            tried => {
                let tried = list(&tried.iter().collect::<Vec<_>>());
                format!("unknown model '{name}': there is no file {tried}")
            }
        })),
        several => Err(Failure::new(
            Kind::Model,
            format!(
                "the name '{name}' means several models: {}; give the path of the one that is meant (./{name} for one in \
                 the working directory), or its name with the ending",
                list(several)
            ),
        )),
    }
}

fn unknown(text: String) -> Failure {
    Failure::new(Kind::Model, text).with(Remedy::NameModel)
}

/// The path with a leading `~` replaced by the home directory, if there is one.
pub fn expand_home(path: &str) -> PathBuf {
    let rest = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with(['/', MAIN_SEPARATOR]) => rest,
        _ => return path.into(),
    };
    match std::env::home_dir() {
        Some(home) => home.join(rest.trim_start_matches(['/', MAIN_SEPARATOR])),
        None => path.into(),
    }
}

/// Whether a name is a path rather than one that is looked for.
fn is_path(name: &str) -> bool {
    name.contains('/') || name.contains(MAIN_SEPARATOR) || name == "~" || name == "." || name == ".."
}

/// Whether there is a model: a file, or a folder. A folder that is not named by its path must have weights in it, for
/// there are folders of all names.
fn is_model(path: &Path, named_by_path: bool) -> bool {
    path.is_file() || path.is_dir() && (named_by_path || sam_model::is_model_folder(path))
}

/// What `name` may mean.
fn candidates(name: &str, folder: Option<&Path>) -> Vec<PathBuf> {
    if is_path(name) {
        return vec![expand_home(name)];
    }
    let has_ending = is_model_file(Path::new(name));
    // Where nothing is to be seen, only a name that ends like a model's is worth mentioning.
    let in_place = |path: PathBuf| (has_ending || is_model(&path, false)).then_some(path);
    let mut candidates: Vec<_> = in_place(name.into()).into_iter().collect();
    if let Some(folder) = folder {
        candidates.extend(in_place(folder.join(name)));
        if !has_ending {
            candidates.extend(EXTENSIONS.map(|extension| folder.join(format!("{name}.{extension}"))));
        }
    }
    candidates
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

    /// A folder of its own, removed with its files.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("sam-resolve-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, b"x").unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_name_means_a_file_of_the_folder() {
        let expected = ["safetensors", "pt", "pth", "ckpt", "bin"].map(|ending| format!("/models/mobile_sam.{ending}"));
        assert_eq!(tried("mobile_sam"), expected);
        assert_eq!(tried("sam.v2")[0], "/models/sam.v2.safetensors");
        assert!(candidates("mobile_sam", None).is_empty());
    }

    #[test]
    fn a_path_means_itself() {
        assert_eq!(tried("/data/sam.bin"), ["/data/sam.bin"]);
        assert_eq!(tried("sub/sam"), ["sub/sam"]);
        assert_eq!(tried("sam.PT"), ["sam.PT", "/models/sam.PT"]);
        let home = std::env::home_dir().unwrap();
        assert_eq!(candidates("~/sam", None), [home.join("sam")]);
        assert_eq!((expand_home("~"), expand_home("~x"), expand_home("a/~")), (home, "~x".into(), "a/~".into()));
    }

    #[test]
    fn finds_files_and_folders_of_the_model_folder() {
        let scratch = Scratch::new("find");
        let file = scratch.file("lite.ckpt");
        scratch.file("hf/model.safetensors");
        scratch.file("other/readme.md");
        let find = |name: &str| resolve(name, Some(&scratch.0));
        assert_eq!(find("lite"), Ok(Source::File(file.clone())));
        assert_eq!(find("lite.ckpt"), Ok(Source::File(file)));
        assert_eq!(find("hf"), Ok(Source::File(scratch.0.join("hf"))));
        assert!(find("other").unwrap_err().to_string().starts_with("unknown model 'other': there is no file"));
        assert!(find("Cargo.toml").is_ok(), "the working directory of tests is that of the crate");
    }

    #[test]
    fn a_name_of_several_files_is_refused() {
        let scratch = Scratch::new("several");
        scratch.file("sam.pt");
        assert!(resolve("sam", Some(&scratch.0)).is_ok());
        scratch.file("sam.safetensors");
        let message = resolve("sam", Some(&scratch.0)).unwrap_err().to_string();
        assert!(message.starts_with("the name 'sam' means several models: '"), "{message}");
        assert!(message.contains("sam.safetensors', '") && message.contains("sam.pt'; give the path"), "{message}");
        assert!(resolve("sam.pt", Some(&scratch.0)).is_ok());
        // The same file by two names.
        #[cfg(unix)]
        {
            std::fs::remove_file(scratch.0.join("sam.safetensors")).unwrap();
            std::os::unix::fs::symlink(scratch.0.join("sam.pt"), scratch.0.join("sam.pth")).unwrap();
            assert!(resolve("sam", Some(&scratch.0)).is_ok());
        }
    }

    #[test]
    fn the_error_lists_what_was_tried() {
        assert_eq!(resolve("nano", None), Ok(Source::BuiltIn));
        let message = resolve("nope", Some(Path::new("/models"))).unwrap_err().to_string();
        assert!(
            message
                .starts_with("unknown model 'nope': there is no file '/models/nope.safetensors', '/models/nope.pt', ")
        );
        assert!(message.contains("; use 'nano', "));
        assert!(resolve(" ", None).unwrap_err().to_string().starts_with("the model has no name"));
        assert!(resolve("nope", None).unwrap_err().to_string().contains("there is no model folder"));
    }
}
