//! What `torch.save` writes: a zip archive with a pickle that describes the object, and a file for each storage.
//!
//! Every tensor that the object holds is found, under the keys that lead to it, joined by dots: which of them are the
//! network's is decided by their names (see [`crate::names`]), not by the keys above them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{BufReader, Read};
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use super::pickle::{self, Id, Pickle, Value};
use super::source::{Source, Stream, no_memory};
use super::stored::{Location, Stored, View};
use super::values::{Decoder, Encoding, Kind};
use crate::error::Result;

/// Tensors that are none of the network's: below which name, and how many.
type LeftOut = Vec<(String, usize)>;

/// Containers in one another that tensors are looked for in.
const MAX_DEPTH: usize = 64;

/// Longest name of a tensor that is looked at; a network's are below 100 bytes.
const MAX_NAME: usize = 512;

/// Most tensors, and most ways to a value, of a file. A network has some hundreds.
const MAX_TENSORS: usize = 100_000;
const MAX_WAYS: usize = 1 << 21;

/// A tensor may repeat values of its storage (as `expand` does) up to this many.
const MAX_REPEATED: usize = 1 << 16;

/// The archive, opened once.
#[derive(Debug)]
pub(super) struct Archive {
    source: Arc<Source>,
    zip: RefCell<ZipArchive<BufReader<Stream>>>,
    /// The folder in the archive that everything lies in, with its slash.
    folder: String,
    big_endian: bool,
}

impl Archive {
    /// Opens an archive and lists its tensors, and the attributes `img_size` of modules that were saved whole.
    ///
    /// # Errors
    /// What the archive is, if it is none of `torch.save`, and what is damaged.
    pub(super) fn open(source: Arc<Source>) -> Result<(Self, Vec<Stored>, LeftOut)> {
        let damaged = |error: zip::result::ZipError| {
            source.format_error(format!(
                "it begins like a zip archive, but is truncated or damaged ({error}); download or copy it again"
            ))
        };
        let mut zip = ZipArchive::new(BufReader::new(Stream::new(source.clone()))).map_err(damaged)?;
        let names: Vec<String> = zip.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
        let folder = folder_of(&names).map_err(|reason| source.format_error(reason))?;
        let order = read_entry(&mut zip, &source, &format!("{folder}byteorder"), 64).unwrap_or_default();
        let bytes = read_entry(&mut zip, &source, &format!("{folder}data.pkl"), pickle::MAX_BYTES)?;
        let refused =
            |reason: String| source.format_error(format!("{reason}; it is damaged, or not made by torch.save"));
        let pickle = Pickle::parse(&bytes).map_err(refused)?;
        let (tensors, sizes) = tensors(&pickle).map_err(|reason| source.format_error(reason))?;
        let big_endian = order.starts_with(b"big");
        Ok((Self { source, zip: RefCell::new(zip), folder, big_endian }, tensors, sizes))
    }

    /// The values of a view as `f32`, row-major; `None` if their type is not read.
    pub(super) fn load(&self, view: &View, kind: &Kind, shape: &[usize]) -> Result<Option<Vec<f32>>> {
        let refused = |reason: String| Err(self.source.format_error(reason));
        let Some(size) = kind.size() else { return Ok(None) };
        let mut zip = self.zip.borrow_mut();
        let name = format!("{}{}", self.folder, view.storage);
        let Some(index) = zip.index_for_name(&name) else { return refused(format!("its part '{name}' is missing")) };
        let mut entry = match zip.by_index(index) {
            Ok(entry) => entry,
            Err(error) => return refused(format!("its part '{name}' cannot be read: {error}")),
        };
        let available = usize::try_from(entry.size()).unwrap_or(usize::MAX) / size;
        // From the first value to behind the last one.
        let reach = shape
            .iter()
            .zip(&view.strides)
            .try_fold(1usize, |reach, (side, stride)| reach.checked_add(side.saturating_sub(1).checked_mul(*stride)?));
        let end = reach.and_then(|reach| reach.checked_add(view.first));
        let (Some(reach), true) = (reach, end.is_some_and(|end| end <= available)) else {
            return refused(format!("a tensor reaches beyond its storage '{name}' of {available} values"));
        };
        let count: usize = shape.iter().product();
        if count > available.max(MAX_REPEATED) {
            return refused(format!("a tensor of {count} values repeats those of its storage '{name}' of {available}"));
        }
        let encoding = Encoding { kind: kind.clone(), big_endian: self.big_endian };
        let Some(mut decoder) = Decoder::new(&encoding, reach, &self.source)? else { return Ok(None) };
        let values = match (entry.compression(), entry.data_start()) {
            (CompressionMethod::Stored, Some(start)) => {
                drop(entry);
                decoder.read(&self.source, start + (view.first * size) as u64, reach * size)?
            }
            _ => {
                let failed =
                    |error: std::io::Error| self.source.format_error(format!("its part '{name}' is damaged: {error}"));
                std::io::copy(&mut entry.by_ref().take((view.first * size) as u64), &mut std::io::sink())
                    .map_err(failed)?;
                let mut buffer = vec![0; (64 << 10).min(reach * size)];
                let mut left = reach * size;
                while left > 0 {
                    let piece = left.min(buffer.len());
                    entry.read_exact(&mut buffer[..piece]).map_err(failed)?;
                    decoder.take(&mut buffer[..piece]);
                    left -= piece;
                }
                decoder.finish()
            }
        };
        if view.strides == dense(shape) {
            return Ok(Some(values));
        }
        let mut gathered = Vec::new();
        gathered.try_reserve_exact(count).map_err(|_| no_memory(self.source.path(), count.saturating_mul(4)))?;
        gather(&values, shape, &view.strides, &mut gathered);
        Ok(Some(gathered))
    }
}

/// Strides of a tensor whose values lie one behind the other.
fn dense(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// Appends the values of a view, row-major. A tensor has few axes (see [`tensor`]).
fn gather(values: &[f32], shape: &[usize], strides: &[usize], out: &mut Vec<f32>) {
    match (shape, strides) {
        ([side], [stride]) => out.extend((0..*side).map(|index| values[index * stride])),
        ([side, shape @ ..], [stride, strides @ ..]) => {
            (0..*side).for_each(|index| gather(&values[index * stride..], shape, strides, out));
        }
        _ => out.extend(values.first()),
    }
}

/// The folder of the archive; or what the archive is, if it is none of `torch.save`.
fn folder_of(names: &[String]) -> std::result::Result<String, String> {
    let folder = names.iter().find_map(|name| {
        let folder = name.strip_suffix("data.pkl")?;
        (folder.is_empty() || folder.ends_with('/') && folder.matches('/').count() == 1).then_some(folder)
    });
    let has = |wanted: &dyn Fn(&str) -> bool| names.iter().any(|name| wanted(name));
    if has(&|name| name.ends_with("constants.pkl") || name.contains("/code/") || name.starts_with("code/")) {
        return Err("it is a TorchScript archive (torch.jit.save), not a checkpoint; take the checkpoint that it was \
            made from, or save its weights in Python: torch.save(torch.jit.load('...').state_dict(), 'weights.pt')"
            .into());
    }
    if let Some(folder) = folder {
        return Ok(folder.to_owned());
    }
    let what = if has(&|name| name.ends_with("archive_format")) {
        "it is a program (torch.export)"
    } else if has(&|name| name.ends_with(".npy")) {
        "it is an archive of NumPy arrays (.npz)"
    } else if has(&|name| name.ends_with("model.weights.h5")) {
        "it is a Keras model"
    } else if has(&|name| [".pt", ".pth", ".safetensors", ".bin", ".ckpt"].iter().any(|end| name.ends_with(end))) {
        "it is a zip archive with a checkpoint in it; unpack it and give the file inside"
    } else {
        "it is a zip archive, but not one that torch.save has written (there is no data.pkl in it)"
    };
    Err(format!("{what}. Give a PyTorch checkpoint (.pt, .pth) or safetensors"))
}

/// A whole file of the archive, of at most `limit` bytes.
fn read_entry(zip: &mut ZipArchive<BufReader<Stream>>, source: &Source, name: &str, limit: u64) -> Result<Vec<u8>> {
    let failed = |reason: String| source.format_error(format!("its part '{name}' cannot be read: {reason}"));
    let entry = zip.by_name(name).map_err(|error| failed(error.to_string()))?;
    if entry.size() > limit {
        return Err(failed(format!("it has {} bytes, more than {limit}", entry.size())));
    }
    // PyTorch can be told to write no checksums; those of the zip reader would not match then.
    if let (CompressionMethod::Stored, Some(start)) = (entry.compression(), entry.data_start()) {
        return source.bytes_at(start, entry.size() as usize);
    }
    let mut bytes = Vec::new();
    entry.take(limit).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    Ok(bytes)
}

/// The ways that lead to values: each ends at one, and goes on from another.
struct Ways<'a>(Vec<Way<'a>>);

struct Way<'a> {
    before: usize,
    key: Key<'a>,
    depth: usize,
}

#[derive(Clone, Copy)]
enum Key<'a> {
    /// A step that is not part of a name.
    Unnamed,
    Name(&'a str),
    Index(usize),
}

impl Ways<'_> {
    /// The keys of a way, joined by dots; `None` if that is longer than the name of any tensor.
    fn name(&self, mut way: usize) -> Option<String> {
        let (mut parts, mut length) = (Vec::new(), 0);
        while way != 0 {
            let part = match self.0[way].key {
                Key::Unnamed => None,
                Key::Name(name) if name.len() > MAX_NAME => return None,
                Key::Name(name) => Some(name.to_owned()),
                Key::Index(index) => Some(index.to_string()),
            };
            length += part.as_ref().map_or(0, |part| part.len() + 1);
            parts.extend(part);
            way = self.0[way].before;
        }
        parts.reverse();
        (length <= MAX_NAME).then(|| parts.join("."))
    }
}

/// All tensors that the root leads to, in the order in which they are met, each container once; and numbers called
/// `img_size`.
fn tensors(pickle: &Pickle<'_>) -> std::result::Result<(Vec<Stored>, LeftOut), String> {
    let mut ways = Ways(vec![Way { before: 0, key: Key::Unnamed, depth: 0 }]);
    let mut waiting = vec![(pickle.root(), 0)];
    let mut seen = HashSet::new();
    let (mut found, mut sizes) = (Vec::new(), Vec::new());
    while let Some((id, way)) = waiting.pop() {
        let depth = ways.0[way].depth;
        let (items, elements, state): (&[(Id, Id)], &[Id], Option<Id>) = match resolve(pickle, id) {
            Met::Tensor(_) if found.len() >= MAX_TENSORS => {
                return Err(format!("it holds more than {MAX_TENSORS} tensors"));
            }
            Met::Tensor(tensor) => {
                found.extend(ways.name(way).map(|name| Stored { name, ..tensor }));
                continue;
            }
            _ if depth >= MAX_DEPTH || !seen.insert(id) => continue,
            Met::Items(items, state) => (items, &[], state),
            Met::Elements(elements) => (&[], elements, None),
            Met::Nothing => continue,
        };
        let mut inside = Vec::with_capacity(items.len() + elements.len() + 1);
        for (key, value) in items {
            let key = match pickle.get(*key) {
                // What torch.nn.Module keeps its parts in, where a whole module was saved.
                Value::Text("_modules" | "_parameters" | "_buffers") => Key::Unnamed,
                Value::Text(text) => Key::Name(text),
                Value::Int(index) => usize::try_from(*index).map_or(Key::Name("?"), Key::Index),
                _ => continue,
            };
            if let (Key::Name("img_size"), Some(size), true) = (key, pickle.size(*value), sizes.len() < MAX_TENSORS) {
                sizes.extend(ways.name(way).map(|name| (format!("{name}.img_size"), size)));
            }
            inside.push((*value, key));
        }
        inside.extend(elements.iter().enumerate().map(|(index, element)| (*element, Key::Index(index))));
        inside.extend(state.map(|state| (state, Key::Unnamed)));
        for (id, key) in inside.into_iter().rev() {
            if matches!(pickle.get(id), Value::Other | Value::Int(_) | Value::Text(_)) {
                continue;
            }
            if ways.0.len() >= MAX_WAYS {
                return Err(format!("it holds more than {MAX_WAYS} values"));
            }
            ways.0.push(Way { before: way, key, depth: depth + 1 });
            waiting.push((id, ways.0.len() - 1));
        }
    }
    Ok((found, sizes))
}

/// What a value is to the search.
enum Met<'v> {
    Tensor(Stored),
    /// A dictionary's items and, of an object, its state.
    Items(&'v [(Id, Id)], Option<Id>),
    Elements(&'v [Id]),
    Nothing,
}

fn resolve<'v>(pickle: &'v Pickle<'_>, mut id: Id) -> Met<'v> {
    // Wrappers of wrappers are followed a few times.
    for _ in 0..8 {
        let object = match pickle.get(id) {
            Value::Mapping(items) => return Met::Items(items, None),
            Value::Sequence(elements) => return Met::Elements(elements),
            Value::Object(object) => object,
            _ => return Met::Nothing,
        };
        let arguments = pickle.sequence(object.arguments).unwrap_or_default();
        let (function, arguments) = match (pickle.get(object.callable), arguments) {
            // A subclass of Tensor: the function that makes the plain one, the class, the function's arguments, state.
            (Value::Global { module: "torch._tensor", name: "_rebuild_from_type_v2" }, [function, _, inner, ..]) => {
                (pickle.get(*function), pickle.sequence(*inner).unwrap_or_default())
            }
            (callable, _) => (callable, arguments),
        };
        let Value::Global { module: "torch._utils" | "torch._tensor", name } = function else {
            return Met::Items(&object.items, object.state);
        };
        match (*name, arguments) {
            ("_rebuild_parameter" | "_rebuild_parameter_with_state", [data, ..]) => id = *data,
            ("_rebuild_tensor" | "_rebuild_tensor_v2", [storage, first, shape, strides, ..]) => {
                return tensor(pickle, *storage, [*first, *shape, *strides], None).map_or(Met::Nothing, Met::Tensor);
            }
            ("_rebuild_tensor_v3", [storage, first, shape, strides, _, _, dtype, ..]) => {
                let tensor = tensor(pickle, *storage, [*first, *shape, *strides], Some(*dtype));
                return tensor.map_or(Met::Nothing, Met::Tensor);
            }
            (name, _) if name.starts_with("_rebuild_") => {
                let kind = match name {
                    "_rebuild_qtensor" => "quantised integers".to_owned(),
                    other => other.trim_start_matches("_rebuild_").replace('_', " "),
                };
                let kind = Kind::Other(kind);
                return Met::Tensor(Stored { name: String::new(), shape: vec![], kind, location: Location::Nowhere });
            }
            _ => return Met::Items(&object.items, object.state),
        }
    }
    Met::Nothing
}

/// The view of a storage that a call of `_rebuild_tensor*` describes; `None` if it is no description of one.
fn tensor(pickle: &Pickle<'_>, storage: Id, [first, shape, strides]: [Id; 3], dtype: Option<Id>) -> Option<Stored> {
    let Value::Persistent(key) = pickle.get(storage) else { return None };
    let [_, class, key, ..] = pickle.sequence(*key)? else { return None };
    let sizes = |id: Id| {
        let object = match pickle.get(id) {
            Value::Object(object) => *pickle.sequence(object.arguments)?.first()?, // torch.Size((2, 3))
            _ => id,
        };
        pickle.sequence(object)?.iter().map(|side| pickle.size(*side)).collect::<Option<Vec<_>>>()
    };
    let (shape, strides) = (sizes(shape)?, sizes(strides)?);
    if shape.len() != strides.len() || shape.len() > 8 {
        return None;
    }
    shape.iter().try_fold(1usize, |count, side| count.checked_mul(*side))?;
    let Value::Global { name, .. } = pickle.get(dtype.unwrap_or(*class)) else { return None };
    let kind = match name.strip_suffix("Storage").unwrap_or(name) {
        "Float" | "float32" => Kind::F32,
        "Half" | "float16" => Kind::F16,
        "BFloat16" | "bfloat16" => Kind::Bf16,
        "Double" | "float64" => Kind::F64,
        "Char" => Kind::Other("int8".into()),
        "Byte" => Kind::Other("uint8".into()),
        "QInt8" | "QUInt8" | "QInt32" => Kind::Other("quantised integers".into()),
        other => Kind::Other(other.to_lowercase()),
    };
    let view = View { storage: format!("data/{}", pickle.text(*key)?), first: pickle.size(first)?, strides };
    Some(Stored { name: String::new(), shape, kind, location: Location::View(view) })
}
