//! An embedding as bytes that can be kept in a table and used later, by the same model.
//!
//! Little-endian; the header takes [`HEADER`] bytes:
//!
//! | at | what |
//! |---|---|
//! | 0 | magic, `SAMEMBED` |
//! | 8 | version, `u16`: 1 |
//! | 10 | type of the values, `u16`: 1 is `f32`, 2 is `f16` |
//! | 12 | the first 16 bytes of the SHA-256 of the model's file |
//! | 28 | the model's name, for messages: at most 36 bytes of UTF-8, then zeros |
//! | 64 | width and height of the picture, in pixels, `u32` each |
//! | 72 | width and height that it was resized to, `u32` each |
//! | 80 | channels, rows and columns of the values, `u32` each |
//! | 92 | bytes of the guide, `u32`; 0 where the model wants none |
//! | 96 | the values, (rows * columns, channels) |
//! | then | the guide: the picture at half the size that it was resized to, rounded up, (rows, columns, 3), `u8` |
//! | end | the first 16 bytes of the BLAKE3 hash of all before |

use std::str::FromStr;

use half::f16;
use half::slice::HalfFloatSliceExt;
use sam_kernels::NoMemory;

use crate::error::{ModelError, Result};
use crate::guide::Guide;
use crate::model::{Embedding, Model};
use crate::prediction::Frame;

const MAGIC: &[u8; 8] = b"SAMEMBED";
const VERSION: u16 = 1;
const HEADER: usize = 96;
const NAME: std::ops::Range<usize> = 28..64;
const CHECKSUM: usize = 16;

/// The type of the values in a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BlobType {
    /// Single precision: masks made from the blob equal those made from the picture, bit for bit.
    #[default]
    F32,
    /// Half precision: half the size, masks that differ in few pixels.
    F16,
}

impl BlobType {
    fn code(self) -> u16 {
        match self {
            Self::F32 => 1,
            Self::F16 => 2,
        }
    }

    fn size(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::F16 => size_of::<f16>(),
        }
    }
}

impl FromStr for BlobType {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            other => Err(format!("type '{other}' of an embedding is unknown; it is 'f32' or 'f16'")),
        }
    }
}

/// The header of a blob; parsing checks the length, so that the values can be read.
#[derive(Debug)]
struct Header<'a> {
    kind: BlobType,
    fingerprint: &'a [u8],
    name: String,
    original: (usize, usize),
    input: (usize, usize),
    shape: [usize; 3],
    values: &'a [u8],
    guide: &'a [u8],
}

/// Whether bytes claim to be an embedding; no picture begins like one.
pub fn is_embedding(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

fn refused(reason: impl Into<String>) -> ModelError {
    ModelError::Embedding(reason.into())
}

impl<'a> Header<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self> {
        let truncated = || {
            refused(format!("the embedding is truncated: {} bytes; store what sam_embed returns whole", bytes.len()))
        };
        let Some((header, rest)) = bytes.split_at_checked(HEADER) else { return Err(truncated()) };
        let word = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let number =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize;
        if !is_embedding(header) {
            return Err(refused("these bytes are no embedding"));
        }
        if word(8) != VERSION {
            return Err(refused(format!(
                "the embedding has version {}, and this extension reads version {VERSION}; make it anew with sam_embed",
                word(8)
            )));
        }
        let kind = match word(10) {
            1 => BlobType::F32,
            2 => BlobType::F16,
            other => {
                return Err(refused(format!("the embedding is damaged: its values are of the unknown type {other}")));
            }
        };
        let shape = [number(80), number(84), number(88)];
        let length = shape.iter().try_fold(kind.size(), |product, &side| product.checked_mul(side));
        let Some((values, rest)) = length.and_then(|length| rest.split_at_checked(length)) else {
            return Err(truncated());
        };
        let Some((guide, rest)) = rest.split_at_checked(number(92)) else { return Err(truncated()) };
        match rest.len() {
            CHECKSUM => {}
            0..CHECKSUM => return Err(truncated()),
            more => return Err(refused(format!("the embedding is damaged: {} bytes follow its end", more - CHECKSUM))),
        }
        let name = header[NAME].split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(Self {
            kind,
            fingerprint: &header[12..28],
            name: String::from_utf8_lossy(name).into_owned(),
            original: (number(64), number(68)),
            input: (number(72), number(76)),
            shape,
            values,
            guide,
        })
    }

    /// Checks that `model` has made the embedding, and returns the sizes of the picture.
    fn frame(&self, model: &Model) -> Result<Frame> {
        let info = model.info();
        let hex: String = self.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
        let ours = model.sha256()?;
        if !ours.starts_with(&hex) {
            return Err(refused(format!(
                "the embedding was made by model '{}' (sha256 {}...), not by '{}' (sha256 {}...); use the model that made \
                 it, or make it anew with sam_embed",
                self.name,
                &hex[..12],
                info.name,
                &ours[..12]
            )));
        }
        let frame = Frame::new(self.original.0, self.original.1, info.image_size, info.mask_size)?;
        if self.shape != info.embedding_shape || self.input != frame.input {
            return Err(refused("the embedding is damaged: its sizes are not those that its model gives"));
        }
        let guide = if model.is_guided() { guide_bytes(frame.input) } else { 0 };
        if self.guide.len() != guide {
            return Err(refused(format!(
                "the embedding is damaged: it has {} bytes of a guide for the edges of masks, and model '{}' needs {guide}; \
                 make it anew with sam_embed",
                self.guide.len(),
                info.name
            )));
        }
        Ok(frame)
    }
}

/// Bytes of the guide of a picture that was resized to `input`, (width, height).
fn guide_bytes(input: (usize, usize)) -> usize {
    let (rows, columns) = Guide::size(input);
    3 * rows * columns
}

impl Embedding {
    /// The embedding as bytes; `model` is the one that made it.
    ///
    /// # Errors
    /// The model's file can no longer be read for its fingerprint; values beyond the range of `f16`.
    pub fn to_bytes(&self, model: &Model, kind: BlobType) -> Result<Vec<u8>> {
        let (info, frame) = (model.info(), self.frame());
        NoMemory::check(2 * model.blob_bytes(kind));
        let mut bytes = Vec::with_capacity(model.blob_bytes(kind));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&kind.code().to_le_bytes());
        let sha256 = model.sha256()?.as_bytes();
        bytes.extend(sha256.chunks_exact(2).take(16).map(|pair| {
            let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_default() as u8;
            digit(pair[0]) << 4 | digit(pair[1])
        }));
        let end = (0..=info.name.len().min(NAME.len())).rev().find(|&end| info.name.is_char_boundary(end));
        bytes.extend_from_slice(&info.name.as_bytes()[..end.unwrap_or(0)]);
        bytes.resize(NAME.end, 0);
        let sizes = [frame.original.0, frame.original.1, frame.input.0, frame.input.1];
        for number in sizes.into_iter().chain(info.embedding_shape) {
            bytes.extend_from_slice(&(number as u32).to_le_bytes());
        }
        let guide = self.guide().filter(|_| model.is_guided()).map_or(&[][..], Guide::as_bytes);
        bytes.extend_from_slice(&(guide.len() as u32).to_le_bytes());
        match kind {
            BlobType::F32 => bytes.extend(self.values().iter().flat_map(|value| value.to_le_bytes())),
            BlobType::F16 => {
                let mut halves = vec![f16::ZERO; self.values().len()];
                halves.convert_from_f32_slice(self.values());
                if halves.iter().any(|half| !half.is_finite()) {
                    return Err(refused("the embedding has values beyond the range of f16; make it with 'f32'"));
                }
                bytes.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
            }
        }
        bytes.extend_from_slice(guide);
        bytes.extend_from_slice(&blake3::hash(&bytes).as_bytes()[..CHECKSUM]);
        Ok(bytes)
    }
}

impl Model {
    /// How many bytes an embedding takes as a blob, at most: the guide of a model that wants one depends on the picture.
    pub fn blob_bytes(&self, kind: BlobType) -> usize {
        let info = self.info();
        let guide = if self.is_guided() { guide_bytes((info.image_size, info.image_size)) } else { 0 };
        HEADER + info.embedding_shape.iter().product::<usize>() * kind.size() + guide + CHECKSUM
    }

    /// Checks the header of a blob and returns width and height of its picture, in pixels.
    ///
    /// # Errors
    /// Another version, another model, truncation, sizes that do not fit together.
    pub fn check_blob(&self, bytes: &[u8]) -> Result<(usize, usize)> {
        Ok(Header::parse(bytes)?.frame(self)?.original)
    }

    /// Reads a blob.
    ///
    /// # Errors
    /// As [`Model::check_blob`], and damaged or non-finite values.
    pub fn read_blob(&self, bytes: &[u8]) -> Result<Embedding> {
        let header = Header::parse(bytes)?;
        let frame = header.frame(self)?;
        let (content, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
        if blake3::hash(content).as_bytes()[..CHECKSUM] != *checksum {
            return Err(refused("the embedding is damaged: its checksum does not match; make it anew with sam_embed"));
        }
        let values: Vec<f32> = match header.kind {
            BlobType::F32 => header.values.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            BlobType::F16 => {
                header.values.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect()
            }
        };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(refused("the embedding is damaged: it holds values that are not finite"));
        }
        Ok(Embedding::new(values, frame, self.is_guided().then(|| Guide::from_bytes(header.guide))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::precision::Precision;
    use crate::prompt::Prompt;
    use crate::team::Team;
    use sam_imaging::RgbImage;

    fn nano() -> Model {
        Model::nano(Precision::F32).unwrap()
    }

    fn embedding(model: &Model) -> Embedding {
        let image = RgbImage::from_fn(90, 60, |x, y| sam_imaging::Rgb([(x * 2) as u8, (y * 4) as u8, 90]));
        model.embed(&image, Team::ALONE).unwrap()
    }

    #[test]
    fn f32_keeps_every_bit() {
        let model = nano();
        let embedding = embedding(&model);
        let bytes = embedding.to_bytes(&model, BlobType::F32).unwrap();
        // The guide of 512 x 341 pixels.
        let (guide, most) = (3 * 256 * 171, 3 * 256 * 256);
        assert_eq!(bytes.len(), model.blob_bytes(BlobType::F32) - most + guide);
        assert!(is_embedding(&bytes));
        assert_eq!(model.check_blob(&bytes).unwrap(), (90, 60));
        let read = model.read_blob(&bytes).unwrap();
        assert_eq!(read.values(), embedding.values());
        let prompt = Prompt::point(0.4, 0.5).unwrap();
        let [before, after] = [&embedding, &read].map(|one| model.predict(one, &prompt, Team::ALONE).unwrap());
        assert_eq!(before.low_res_logits(0), after.low_res_logits(0));
        let rows = |prediction: &crate::Prediction| {
            let mut all = Vec::new();
            prediction.for_each_row(0, |_, row| all.extend_from_slice(row));
            all
        };
        assert!(rows(&before) == rows(&after));
    }

    #[test]
    fn f16_rounds() {
        let model = nano();
        let embedding = embedding(&model);
        let read = model.read_blob(&embedding.to_bytes(&model, BlobType::F16).unwrap()).unwrap();
        let pairs = || read.values().iter().zip(embedding.values());
        assert!(pairs().all(|(read, value)| (read - value).abs() <= value.abs() * 5e-4 + 1e-7));
        assert!(pairs().any(|(read, value)| read != value));
    }

    #[test]
    fn whatever_is_changed_is_refused() {
        let model = nano();
        let bytes = embedding(&model).to_bytes(&model, BlobType::F16).unwrap();
        let message = |bytes: &[u8]| model.read_blob(bytes).unwrap_err().to_string();
        let changed = |at: usize, value: u8| {
            let mut copy = bytes.clone();
            copy[at] ^= value;
            message(&copy)
        };
        assert!(changed(0, 1).contains("no embedding"));
        assert!(changed(8, 2).contains("version 3, and this extension reads version 1"));
        assert!(changed(10, 64).contains("unknown type"));
        assert!(changed(12, 1).contains("was made by model 'nano'"));
        assert!(changed(64, 4).contains("sizes are not those"));
        assert!(changed(80, 1).contains("truncated"));
        assert!(changed(95, 1).contains("truncated"));
        assert!(changed(92, 1).contains("truncated"));
        assert!(changed(4000, 1).contains("checksum"));
        assert!(changed(bytes.len() - 1, 1).contains("checksum"));
        for length in [0, 7, HEADER - 1, HEADER, bytes.len() - CHECKSUM, bytes.len() - 1] {
            assert!(message(&bytes[..length]).contains("truncated"), "{length}");
        }
        assert!(message(&[bytes.as_slice(), b"more"].concat()).contains("4 bytes follow its end"));
        // Whole but for the guide.
        let mut without = bytes.clone();
        without[92..96].fill(0);
        let guide = bytes.len() - CHECKSUM - 3 * 256 * 171..bytes.len() - CHECKSUM;
        without.drain(guide);
        assert!(
            message(&without)
                .contains("it has 0 bytes of a guide for the edges of masks, and model 'nano' needs 131328")
        );
    }
}
