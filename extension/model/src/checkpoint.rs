//! Checkpoint files: named tensors in `.safetensors` (memory-mapped) or PyTorch's zip format (`.pt`, `.pth`).
//!
//! A [`Checkpoint`] answers with the names of Meta's code whatever the file's convention (see `names`), and with
//! `f32` tensors whatever the stored type. Nothing is executed: candle's pickle reader builds plain objects only.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;

use crate::error::{ModelError, Result};
use crate::names;

/// A file's tensors, read one at a time.
pub(crate) struct Checkpoint {
    path: PathBuf,
    source: Source,
    /// Canonical name -> name in the file and shape.
    tensors: BTreeMap<String, Entry>,
    bytes: u64,
}

struct Entry {
    stored_name: String,
    shape: Vec<usize>,
}

enum Source {
    Safetensors { data: Bytes, header_len: usize, metadata: Metadata },
    Torch(BTreeMap<String, candle_core::pickle::TensorInfo>),
}

enum Bytes {
    Mapped(Mmap),
    Static(&'static [u8]),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
        }
    }
}

impl Checkpoint {
    /// Opens a `.safetensors`, `.pt` or `.pth` file; the content decides, not the extension.
    ///
    /// # Errors
    /// [`ModelError::Read`] if the file cannot be opened, [`ModelError::Format`] if it is neither format or truncated.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let read_error =
            |reason: std::io::Error| ModelError::Read { path: path.to_owned(), reason: reason.to_string() };
        let format_error = |reason: String| ModelError::Format { path: path.to_owned(), reason };
        let file = File::open(path).map_err(read_error)?;
        let metadata = file.metadata().map_err(read_error)?;
        if metadata.is_dir() {
            return Err(ModelError::Read { path: path.to_owned(), reason: "it is a directory".into() });
        }
        if metadata.len() == 0 {
            return Err(format_error("the file is empty".into()));
        }
        // SAFETY: the map is read only. A file that another process truncates while it is mapped would fault; that
        // holds for every reader of memory-mapped weights and is accepted here.
        let map = unsafe { Mmap::map(&file) }.map_err(read_error)?;
        if map.starts_with(b"PK\x03\x04") {
            drop(map);
            return Self::open_torch(path, metadata.len());
        }
        // A pickle without the zip container: PyTorch before 1.6. A safetensors file begins with its header's length,
        // a small number in 8 bytes, so that its 7th and 8th bytes are zero.
        if map.first() == Some(&0x80) && map.get(6..8) != Some(&[0, 0]) {
            return Err(format_error(
                "it is in PyTorch's format from before 1.6; load it in PyTorch and save it again with torch.save, \
                 or convert it to safetensors"
                    .into(),
            ));
        }
        Self::from_safetensors(path, Bytes::Mapped(map))
    }

    /// A `.safetensors` file that is part of the program; `name` stands for its path in messages.
    pub(crate) fn from_static(name: &str, data: &'static [u8]) -> Result<Self> {
        Self::from_safetensors(Path::new(name), Bytes::Static(data))
    }

    fn from_safetensors(path: &Path, data: Bytes) -> Result<Self> {
        let format_error = |reason: String| ModelError::Format { path: path.to_owned(), reason };
        let slice = data.as_slice();
        let bytes = slice.len() as u64;
        let (header_len, metadata) = SafeTensors::read_metadata(slice).map_err(|error| {
            format_error(format!("neither a PyTorch zip file nor complete safetensors ({error}; {bytes} bytes)"))
        })?;
        let expected = 8 + header_len as u64 + metadata.data_len() as u64;
        if bytes < expected {
            return Err(format_error(format!(
                "it is truncated: {bytes} bytes, but its header describes {expected}; download or copy it again"
            )));
        }
        let entries = metadata.tensors().into_iter().map(|(name, info)| (name, info.shape.clone())).collect();
        Ok(Self {
            path: path.to_owned(),
            tensors: canonical_entries(path, entries)?,
            source: Source::Safetensors { data, header_len, metadata },
            bytes,
        })
    }

    fn open_torch(path: &Path, bytes: u64) -> Result<Self> {
        let format_error = |reason: String| ModelError::Format { path: path.to_owned(), reason };
        // On damaged pickles the reader panics now and then; it leaves nothing behind that could be half done.
        let read = |key| {
            catch_unwind(AssertUnwindSafe(|| candle_core::pickle::read_pth_tensor_info(path, false, key)))
                .map_err(|_| format_error("its pickle cannot be read: it is damaged".into()))?
                .map_err(|error| format_error(format!("its pickle cannot be read: {}", first_line(&error))))
        };
        let mut infos = read(None)?;
        // Training code nests the weights below one of these keys.
        for key in ["model", "state_dict"] {
            if infos.is_empty() {
                infos = read(Some(key)).unwrap_or_default();
            }
        }
        if infos.is_empty() {
            return Err(format_error(
                "it holds no tensors (expected a state dictionary as torch.save writes it)".into(),
            ));
        }
        let entries = infos.iter().map(|info| (info.name.clone(), info.layout.dims().to_vec())).collect();
        let infos = infos.into_iter().map(|info| (info.name.clone(), info)).collect();
        Ok(Self {
            path: path.to_owned(),
            tensors: canonical_entries(path, entries)?,
            source: Source::Torch(infos),
            bytes,
        })
    }

    /// The file, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the file in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The whole file, where it is part of the program.
    pub(crate) fn static_bytes(&self) -> Option<&'static [u8]> {
        match &self.source {
            Source::Safetensors { data: Bytes::Static(bytes), .. } => Some(bytes),
            _ => None,
        }
    }

    /// A text of the file's own metadata, such as `config`.
    pub(crate) fn metadata(&self, key: &str) -> Option<&str> {
        match &self.source {
            Source::Safetensors { metadata, .. } => metadata.metadata().as_ref()?.get(key).map(String::as_str),
            Source::Torch(_) => None,
        }
    }

    /// Canonical names in alphabetical order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of the tensor with this canonical name.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The tensor with this canonical name as `f32` on the CPU.
    ///
    /// # Errors
    /// A missing tensor, another shape than `shape`, a type that is no float, and values that are not finite.
    pub(crate) fn load(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let Some(entry) = self.tensors.get(name) else {
            return Err(self.architecture_error(format!("tensor '{name}' is missing")));
        };
        if entry.shape != shape {
            return Err(self.architecture_error(format!(
                "tensor '{}' has shape {:?}, expected {shape:?}",
                entry.stored_name, entry.shape
            )));
        }
        let damaged = |reason: String| ModelError::Format {
            path: self.path.clone(),
            reason: format!("tensor '{}': {reason}", entry.stored_name),
        };
        let tensor = match &self.source {
            Source::Safetensors { data, header_len, metadata } => {
                let info = metadata.info(&entry.stored_name).ok_or_else(|| damaged("not in the header".into()))?;
                let dtype = DType::try_from(info.dtype).map_err(|error| damaged(first_line(&error)))?;
                let (start, end) = info.data_offsets;
                let bytes = data
                    .as_slice()
                    .get(8 + header_len + start..8 + header_len + end)
                    .ok_or_else(|| damaged("its data lie beyond the end of the file".into()))?;
                Tensor::from_raw_buffer(bytes, dtype, shape, &Device::Cpu)
            }
            Source::Torch(infos) => {
                let info = infos.get(&entry.stored_name).ok_or_else(|| damaged("not in the file".into()))?;
                self.load_torch(info)
            }
        }
        .map_err(|error| damaged(first_line(&error)))?;
        if !tensor.dtype().is_float() {
            return Err(damaged(format!("stored as {:?}, expected floating point numbers", tensor.dtype())));
        }
        let tensor = tensor.to_dtype(DType::F32).map_err(|error| damaged(first_line(&error)))?;
        let values =
            tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).map_err(|error| damaged(first_line(&error)))?;
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(damaged(format!("holds {value}; weights must be finite")));
        }
        Ok(tensor)
    }

    /// Reads a tensor's whole storage and takes the view that the pickle describes. (candle's own `PthTensors::get`
    /// refuses strided views.)
    fn load_torch(&self, info: &candle_core::pickle::TensorInfo) -> candle_core::Result<Tensor> {
        let mut archive = zip::ZipArchive::new(BufReader::new(File::open(&self.path)?))?;
        let mut storage = Vec::new();
        archive.by_name(&info.path)?.read_to_end(&mut storage)?;
        let available = storage.len() / info.dtype.size_in_bytes();
        let (dims, strides) = (info.layout.dims(), info.layout.stride());
        let start = info.layout.start_offset() / info.dtype.size_in_bytes(); // candle keeps this one in bytes
        // Positions in the storage, row-major: one axis after the other is laid out below those before it.
        let mut positions = vec![start];
        for (&dim, &stride) in dims.iter().zip(strides) {
            positions = positions.iter().flat_map(|&at| (0..dim).map(move |index| at + index * stride)).collect();
        }
        if let Some(last) = positions.iter().max()
            && *last >= available
        {
            candle_core::bail!("value {last} of its view lies beyond its storage of {available} values");
        }
        let whole = Tensor::from_raw_buffer(
            &storage[..available * info.dtype.size_in_bytes()],
            info.dtype,
            &[available],
            &Device::Cpu,
        )?;
        if info.layout.is_contiguous() {
            return whole.narrow(0, start, positions.len())?.reshape(dims);
        }
        let positions: Vec<u32> = positions.into_iter().map(|at| at as u32).collect();
        whole.index_select(&Tensor::new(positions, &Device::Cpu)?, 0)?.reshape(dims)
    }

    pub(crate) fn architecture_error(&self, reason: String) -> ModelError {
        ModelError::Architecture { path: self.path.clone(), reason }
    }
}

/// Translates the file's names and checks that no two tensors claim one canonical name.
fn canonical_entries(path: &Path, entries: Vec<(String, Vec<usize>)>) -> Result<BTreeMap<String, Entry>> {
    let convention = names::Convention::of(entries.iter().map(|(name, _)| name.as_str()));
    let mut tensors = BTreeMap::new();
    for (stored_name, shape) in entries {
        let Some(name) = convention.canonical(&stored_name) else { continue };
        if let Some(other) = tensors.insert(name.clone(), Entry { stored_name: stored_name.clone(), shape }) {
            return Err(ModelError::Architecture {
                path: path.to_owned(),
                reason: format!("tensors '{}' and '{stored_name}' both stand for '{name}'", other.stored_name),
            });
        }
    }
    Ok(tensors)
}

/// candle's errors carry a backtrace below their first line where backtraces are switched on.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
