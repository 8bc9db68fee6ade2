//! Checkpoints: named tensors in one file or several, in safetensors or in what `torch.save` writes.
//!
//! A [`Checkpoint`] answers with the names of Meta's code whatever the file's convention (see [`crate::names`]), and
//! with `f32` whatever the stored type. Nothing is executed, and nothing is mapped.

mod content;
mod folder;
mod pickle;
mod safetensors;
mod source;
mod stated;
mod stored;
mod torch;
mod values;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

pub use folder::{is_model_folder, model_files};
use source::{Source, no_memory};
pub(crate) use stated::{HuggingFace, Stated};
use stored::{Location, Stored};
use torch::Archive;
use values::{Decoder, Encoding, Kind};

use crate::error::{ModelError, Result};
use crate::names;

/// Files' tensors, read one at a time.
pub(crate) struct Checkpoint {
    /// The file or folder.
    path: PathBuf,
    sources: Vec<Arc<Source>>,
    /// For each source, its archive if it is one.
    archives: Vec<Option<Archive>>,
    /// All tensors of the files; of a folder with the number of their file.
    stored: Vec<(usize, Stored)>,
    /// Canonical name -> place in `stored`.
    tensors: BTreeMap<String, usize>,
    metadata: HashMap<String, String>,
    /// Attributes `img_size` of modules that were saved whole, by their path.
    sizes: Vec<(String, usize)>,
    /// The side of the input that the image encoder says it is for, where it was saved as a whole module.
    module_size: Option<usize>,
    stated: Stated,
    /// The index of weights in several files.
    index: Option<PathBuf>,
    notes: Vec<String>,
}

/// A file that a model was made of, and which version of it.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    path: PathBuf,
    length: u64,
    modified: Option<SystemTime>,
}

impl Part {
    /// The file, if it is still the one that was read.
    ///
    /// # Errors
    /// It is gone, or another one.
    pub(crate) fn open(&self) -> Result<File> {
        Source::open_again(&self.path, self.length, self.modified)
    }

    /// The file's name without its folder.
    pub(crate) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Checkpoint {
    /// Opens a file, or a folder as Hugging Face keeps them; the content decides, not the name.
    ///
    /// # Errors
    /// [`ModelError::Read`] if a file cannot be opened, [`ModelError::Format`] if it is no complete checkpoint, with what
    /// it is instead.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut checkpoint = Self::empty(path);
        checkpoint.stated = Stated::beside(path)?;
        if path.is_dir() {
            let parts = folder::parts(path)?;
            for file in &parts.files {
                checkpoint.add(Source::open(file)?)?;
            }
            checkpoint.check_index(&parts)?;
            checkpoint.index = parts.index_path;
        } else {
            checkpoint.add(Source::open(path)?)?;
        }
        checkpoint.find_network()?;
        Ok(checkpoint)
    }

    /// A safetensors file that is part of the program; `name` stands for its path in messages.
    pub(crate) fn from_static(name: &str, data: &'static [u8]) -> Result<Self> {
        let mut checkpoint = Self::empty(Path::new(name));
        checkpoint.add(Source::from_static(name, data))?;
        checkpoint.find_network()?;
        Ok(checkpoint)
    }

    fn empty(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            sources: Vec::new(),
            archives: Vec::new(),
            stored: Vec::new(),
            tensors: BTreeMap::new(),
            metadata: HashMap::new(),
            sizes: Vec::new(),
            module_size: None,
            stated: Stated::default(),
            index: None,
            notes: Vec::new(),
        }
    }

    /// Lists the tensors of one file.
    fn add(&mut self, source: Source) -> Result<()> {
        let (source, number) = (Arc::new(source), self.sources.len());
        let head = source.head(content::HEAD)?;
        let (archive, tensors) = if head.starts_with(b"PK\x03\x04") {
            let (archive, tensors, sizes) = Archive::open(source.clone())?;
            self.sizes.extend(sizes);
            (Some(archive), tensors)
        } else if safetensors::is_safetensors(&head) {
            let (tensors, metadata) = safetensors::open(&source, number)?;
            self.metadata.extend(metadata);
            (None, tensors)
        } else {
            return Err(source.format_error(content::describe(&head, source.len())));
        };
        if tensors.is_empty() {
            return Err(
                source.format_error("it holds no tensors (expected a state dictionary as torch.save writes it)")
            );
        }
        self.stored.extend(tensors.into_iter().map(|tensor| (number, tensor)));
        self.archives.push(archive);
        self.sources.push(source);
        Ok(())
    }

    /// Checks that each tensor of an index is in the file that it names.
    fn check_index(&self, parts: &folder::Parts) -> Result<()> {
        let there: BTreeMap<&str, usize> =
            self.stored.iter().map(|(file, tensor)| (tensor.name.as_str(), *file)).collect();
        let missing = parts.index.iter().find(|(name, file)| there.get(name.as_str()) != Some(file));
        match (missing, &parts.index_path) {
            (Some((name, file)), Some(index)) => {
                let file = parts.files[*file].display();
                let reason =
                    format!("it says that tensor '{name}' is in '{file}', where it is not; download the folder again");
                Err(ModelError::Format { path: index.clone(), reason })
            }
            _ => Ok(()),
        }
    }

    fn find_network(&mut self) -> Result<()> {
        let names: Vec<&str> = self.stored.iter().map(|(_, tensor)| tensor.name.as_str()).collect();
        let same = |left: usize, right: usize| {
            let ((file, left), (other_file, right)) = (&self.stored[left], &self.stored[right]);
            let equal = (&left.shape, &left.kind, &left.location) == (&right.shape, &right.kind, &right.location);
            equal && file == other_file && left.location != Location::Nowhere
        };
        let network = names::network(&names, same).map_err(|reason| self.architecture_error(reason))?;
        if let Some(first) = network.outside.first() {
            let count = network.outside.len();
            let (below, first) = (&network.prefix, names[*first]);
            let place = if below.is_empty() { "outside the network".into() } else { format!("outside '{below}'") };
            self.notes.push(format!("{count} tensors {place} were left out (the first is '{first}')"));
        }
        let encoder = format!("{}image_encoder.img_size", network.prefix);
        let size = self.sizes.iter().find(|(name, _)| names::unwrapped(name) == encoder);
        self.module_size = size.map(|(_, size)| *size);
        self.tensors = network.tensors.into_iter().collect();
        Ok(())
    }

    /// The file or folder, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the files of weights in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.sources.iter().map(|source| source.len()).sum()
    }

    /// The whole file, where it is part of the program.
    pub(crate) fn static_bytes(&self) -> Option<&'static [u8]> {
        self.sources.first()?.static_bytes()
    }

    /// The files that the checkpoint consists of: weights, then an index, then what is stated beside them.
    ///
    /// # Errors
    /// A file beside the weights can no longer be read.
    pub(crate) fn parts(&self) -> Result<Vec<Part>> {
        let beside = self.index.iter().chain(&self.stated.files);
        let beside: Vec<Source> = beside.map(|path| Source::open(path)).collect::<Result<_>>()?;
        let part = |source: &Source| Part {
            path: source.path().to_owned(),
            length: source.len(),
            modified: source.modified(),
        };
        Ok(self.sources.iter().map(|source| part(source)).chain(beside.iter().map(part)).collect())
    }

    /// A text of the file's own metadata, such as `config`.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// All of it.
    pub(crate) fn all_metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// The side of the input, in pixels, where the image encoder was saved as a whole module and says so.
    pub(crate) fn module_size(&self) -> Option<usize> {
        self.module_size
    }

    /// What files beside the weights state.
    pub(crate) fn stated(&self) -> &Stated {
        &self.stated
    }

    /// States the side of the input, in pixels, as a file beside the weights would.
    ///
    /// # Errors
    /// Such a file says otherwise.
    pub(crate) fn set_image_size(&mut self, side: usize) -> Result<()> {
        self.stated.set_image_size(side).map_err(|reason| self.architecture_error(reason))
    }

    /// Where what the shapes do not tell can be stated.
    pub(crate) fn stated_path(&self) -> PathBuf {
        folder::stated_path(&self.path)
    }

    /// What was left out, in words.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Canonical names in alphabetical order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of the tensor with this canonical name.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|place| self.stored[*place].1.shape.as_slice())
    }

    /// What a tensor is stored as, where that is no floating point type that is read.
    pub(crate) fn unread_kind(&self, name: &str) -> Option<&str> {
        match &self.stored[*self.tensors.get(name)?].1.kind {
            Kind::Other(kind) => Some(kind),
            _ => None,
        }
    }

    /// The values of the tensor with this canonical name, row-major.
    ///
    /// # Errors
    /// A missing tensor, another shape than `shape`, a type that is no float, values that are not finite, no memory.
    pub(crate) fn load(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let Some(place) = self.tensors.get(name) else {
            return Err(self.architecture_error(format!("tensor '{name}' is missing")));
        };
        let (file, tensor) = &self.stored[*place];
        if tensor.shape != shape {
            return Err(self.architecture_error(format!(
                "tensor '{}' has shape {:?}, expected {shape:?}",
                tensor.name, tensor.shape
            )));
        }
        if shape.contains(&0) {
            return Err(
                self.architecture_error(format!("tensor '{}' has shape {shape:?}, which holds no values", tensor.name))
            );
        }
        let source = &self.sources[*file];
        let damaged = |reason: String| source.format_error(format!("tensor '{}': {reason}", tensor.name));
        let Some(values) = self.read(*file, tensor)? else {
            let Kind::Other(kind) = &tensor.kind else { return Err(damaged("cannot be read".into())) };
            return Err(damaged(format!("stored as {kind}, expected floating point numbers")));
        };
        // All exponents but the largest are of finite numbers; the maximum of the bits is one instruction for many values.
        let largest = values.iter().fold(0, |largest, value| largest.max(value.to_bits() & 0x7fff_ffff));
        if largest >= f32::INFINITY.to_bits() {
            let value = values.iter().find(|value| !value.is_finite()).copied().unwrap_or(f32::NAN);
            return Err(damaged(format!("holds {value}; weights must be finite")));
        }
        Ok(values)
    }

    fn read(&self, file: usize, tensor: &Stored) -> Result<Option<Vec<f32>>> {
        match &tensor.location {
            Location::Nowhere => Ok(None),
            Location::View(view) => match &self.archives[file] {
                Some(archive) => archive.load(view, &tensor.kind, &tensor.shape),
                None => Ok(None),
            },
            Location::At { file, offset } => {
                let source = &self.sources[*file];
                let count: usize = tensor.shape.iter().product();
                let encoding = Encoding { kind: tensor.kind.clone(), big_endian: false };
                let (Some(size), Some(decoder)) = (tensor.kind.size(), Decoder::new(&encoding, count, source)?) else {
                    return Ok(None);
                };
                decoder.read(source, *offset, count * size).map(Some)
            }
        }
    }

    /// Fails if a file was written to since it was opened: then what was read may be of two versions.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        self.sources.iter().try_for_each(|source| source.check_unchanged())
    }

    /// Fails if the memory that the network is going to take cannot be had: its weights once more, and the largest of them
    /// in the forms that it takes on the way.
    pub(crate) fn check_memory(&self) -> Result<()> {
        let count =
            |place: &usize| self.stored[*place].1.shape.iter().fold(4usize, |count, side| count.saturating_mul(*side));
        let bytes = self.tensors.values().map(count).fold(0, usize::saturating_add);
        // A view may repeat values, but a network's tensors are not much more than what its file has.
        if bytes as u64 > self.bytes().saturating_mul(8).saturating_add(1 << 20) {
            let reason = format!("its tensors repeat the values of its files: {bytes} bytes of them");
            return Err(self.architecture_error(reason));
        }
        let largest = self.tensors.values().map(count).max().unwrap_or(0);
        let needed = bytes.saturating_add(largest.saturating_mul(3));
        Vec::<u8>::new().try_reserve_exact(needed).map_err(|_| no_memory(&self.path, needed))
    }

    pub(crate) fn architecture_error(&self, reason: String) -> ModelError {
        ModelError::Architecture { path: self.path.clone(), reason }
    }
}
