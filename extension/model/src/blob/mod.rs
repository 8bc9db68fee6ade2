//! An embedding as bytes that can be kept in a table and used later, by the same model; `header.rs` describes the form.

mod header;
mod vector;

use sam_kernels::NoMemory;

use crate::backend::{Features, Map};
use crate::embedding::Embedding;
use crate::error::Result;
use crate::float_type::FloatType;
use crate::frame::Frame;
use crate::guide::Guide;
use crate::model::Model;
pub use header::is_embedding;
use header::{CHECKSUM, HEADER, Header, MAGIC, NAME, SEVERAL, SHAPE, SINGLE, code, refused};
pub use vector::embedding_vector;

/// Checks that `model` has made an embedding, and returns the sizes of its picture.
fn check(header: &Header<'_>, model: &Model) -> Result<Frame> {
    let info = model.info();
    let hex: String = header.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    let ours = model.sha256()?;
    if !ours.starts_with(&hex) {
        return Err(refused(format!(
            "the embedding was made by model '{}' (sha256 {}...), not by '{}' (sha256 {}...); use the model that made \
             it, or embed the image again",
            header.name,
            &hex[..12],
            info.name,
            &ours[..12]
        )));
    }
    let frame = model.frame(header.original.0, header.original.1)?;
    if !header.maps.iter().map(|(shape, _)| shape).eq(&model.map_shapes()) || header.input != frame.input {
        return Err(refused("the embedding is damaged: its sizes are not those that its model gives"));
    }
    let guide = if model.is_guided() { guide_bytes(frame.input) } else { 0 };
    if header.guide.len() != guide {
        return Err(refused(format!(
            "the embedding is damaged: it has {} bytes of a guide for the edges of masks, and model '{}' needs {guide}; \
             embed the image again",
            header.guide.len(),
            info.name
        )));
    }
    Ok(frame)
}

/// Bytes of the guide of a picture that was resized to `input`, (width, height).
fn guide_bytes(input: (usize, usize)) -> usize {
    let (rows, columns) = Guide::size(input);
    3 * rows * columns
}

/// Bytes beside the guide of an embedding with maps of these shapes.
fn bytes_of(shapes: &[[usize; 3]], kind: FloatType) -> usize {
    let values: usize = shapes.iter().map(|shape| shape.iter().product::<usize>()).sum();
    let list = if shapes.len() == 1 { 0 } else { shapes.len() * SHAPE };
    HEADER + list + values * kind.size() + CHECKSUM
}

/// Checks the hash at the end of bytes whose header was parsed.
fn intact(bytes: &[u8]) -> Result<()> {
    let (content, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
    match blake3::hash(content).as_bytes()[..CHECKSUM] == *checksum {
        true => Ok(()),
        false => Err(refused("the embedding is damaged: its checksum does not match; embed the image again")),
    }
}

impl Embedding {
    /// The embedding as bytes; `model` is the one that made it.
    ///
    /// # Errors
    /// The model's file can no longer be read for its fingerprint; values beyond the range of `f16`; a failure of the device
    /// that the embedding is on.
    pub fn to_bytes(&self, model: &Model, kind: FloatType) -> Result<Vec<u8>> {
        self.write(model, kind, if self.features().maps().len() == 1 { SINGLE } else { SEVERAL })
    }

    fn write(&self, model: &Model, kind: FloatType, version: u16) -> Result<Vec<u8>> {
        let (info, frame, maps) = (model.info(), self.frame(), self.features().maps());
        let guide = self.guide().filter(|_| model.is_guided()).map_or(&[][..], Guide::as_bytes);
        let length = bytes_of(&self.features().shapes(), kind) + guide.len();
        NoMemory::check(2 * length);
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&code(kind).to_le_bytes());
        let sha256 = model.sha256()?.as_bytes();
        bytes.extend(sha256.chunks_exact(2).take(16).map(|pair| {
            let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_default() as u8;
            digit(pair[0]) << 4 | digit(pair[1])
        }));
        let end = (0..=info.name.len().min(NAME.len())).rev().find(|&end| info.name.is_char_boundary(end));
        bytes.extend_from_slice(&info.name.as_bytes()[..end.unwrap_or(0)]);
        bytes.resize(NAME.end, 0);
        let mut put = |number: usize| bytes.extend_from_slice(&(number as u32).to_le_bytes());
        [frame.original.0, frame.original.1, frame.input.0, frame.input.1].into_iter().for_each(&mut put);
        let shapes = maps.iter().flat_map(Map::shape);
        if version == SINGLE {
            shapes.chain([guide.len()]).for_each(put);
        } else {
            [maps.len(), 0, 0, guide.len()].into_iter().chain(shapes).for_each(put);
        }
        for map in maps {
            if !kind.append(map.values()?, &mut bytes) {
                return Err(refused("the embedding has values beyond the range of f16; make it with 'f32'"));
            }
        }
        bytes.extend_from_slice(guide);
        bytes.extend_from_slice(&blake3::hash(&bytes).as_bytes()[..CHECKSUM]);
        Ok(bytes)
    }
}

/// Width and height, in pixels, of the picture that an embedding was made from; whichever model it is of.
///
/// # Errors
/// The header is damaged, or of another version.
pub fn embedded_size(bytes: &[u8]) -> Result<(usize, usize)> {
    Ok(Header::parse(bytes)?.original)
}

impl Model {
    /// How many bytes an embedding takes as a blob, at most: the guide of a model that wants one depends on the picture.
    pub fn blob_bytes(&self, kind: FloatType) -> usize {
        let side = self.info().image_size;
        let guide = if self.is_guided() { guide_bytes((side, side)) } else { 0 };
        bytes_of(&self.map_shapes(), kind) + guide
    }

    /// Checks the header of a blob and returns width and height of its picture, in pixels.
    ///
    /// # Errors
    /// Another version, another model, truncation, sizes that do not fit together.
    pub fn check_blob(&self, bytes: &[u8]) -> Result<(usize, usize)> {
        Ok(check(&Header::parse(bytes)?, self)?.original)
    }

    /// Reads a blob.
    ///
    /// # Errors
    /// As [`Model::check_blob`], and damaged or non-finite values.
    pub fn read_blob(&self, bytes: &[u8]) -> Result<Embedding> {
        let header = Header::parse(bytes)?;
        let frame = check(&header, self)?;
        intact(bytes)?;
        let map = |(shape, bytes): &([usize; 3], &[u8])| Map::on_host(*shape, header.kind.read(bytes));
        let features = Features::new(header.maps.iter().map(map).collect());
        if !features.is_finite()? {
            return Err(refused("the embedding is damaged: it holds values that are not finite"));
        }
        Ok(Embedding::new(features, frame, self.is_guided().then(|| Guide::from_bytes(header.guide))))
    }
}

#[cfg(test)]
mod tests {
    use super::header::{SEVERAL, SINGLE};
    use super::*;
    use crate::precision::Precision;
    use crate::prompt::Prompt;
    use crate::threads::Threads;
    use sam_imaging::RgbImage;

    fn nano() -> Model {
        Model::nano(Precision::F32).unwrap()
    }

    fn embedding(model: &Model) -> Embedding {
        let image = RgbImage::from_fn(90, 60, |x, y| sam_imaging::Rgb([(x * 2) as u8, (y * 4) as u8, 90]));
        model.embed(&image, Threads::ONE).unwrap()
    }

    #[test]
    fn f32_keeps_every_bit() {
        let model = nano();
        let embedding = embedding(&model);
        let bytes = embedding.to_bytes(&model, FloatType::F32).unwrap();
        // The guide of 512 x 341 pixels.
        let (guide, most) = (3 * 256 * 171, 3 * 256 * 256);
        assert_eq!(bytes.len(), model.blob_bytes(FloatType::F32) - most + guide);
        assert!(is_embedding(&bytes));
        assert_eq!(model.check_blob(&bytes).unwrap(), (90, 60));
        let read = model.read_blob(&bytes).unwrap();
        assert_eq!(read.values(), embedding.values());
        let prompt = Prompt::point(0.4, 0.5).unwrap();
        let [before, after] = [&embedding, &read].map(|one| model.predict(one, &prompt, Threads::ONE).unwrap());
        assert_eq!(before.low_res_logits(0), after.low_res_logits(0));
        let rows = |prediction: &crate::Prediction| {
            let mut all = Vec::new();
            prediction.for_each_row(0, |_, row| all.extend_from_slice(row));
            all
        };
        assert!(rows(&before) == rows(&after));
    }

    /// Byte by byte, from the table above.
    #[test]
    fn version_1_is_as_described() {
        let model = nano();
        let embedding = embedding(&model);
        let mut expected = b"SAMEMBED\x01\0\x01\0".to_vec();
        let sha256 = model.sha256().unwrap();
        expected.extend((0..16).map(|byte| u8::from_str_radix(&sha256[2 * byte..2 * byte + 2], 16).unwrap()));
        expected.extend(b"nano");
        expected.resize(64, 0);
        let [channels, rows, columns] = model.info().embedding_shape;
        let guide = embedding.guide().unwrap().as_bytes();
        for number in [90, 60, 512, 341, channels, rows, columns, guide.len()] {
            expected.extend((number as u32).to_le_bytes());
        }
        expected.extend(embedding.values().iter().flat_map(|value| value.to_le_bytes()));
        expected.extend(guide);
        let hash = blake3::hash(&expected);
        expected.extend(&hash.as_bytes()[..16]);
        assert!(embedding.to_bytes(&model, FloatType::F32).unwrap() == expected);
        assert_eq!(model.read_blob(&expected).unwrap().values(), embedding.values());
    }

    #[test]
    fn version_2_holds_several_maps() {
        let model = nano();
        let one = embedding(&model);
        let second = Map::on_host([3, 1, 2], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let first = Map::on_host(model.info().embedding_shape, one.values().to_vec());
        let two = Embedding::new(Features::new(vec![first, second]), *one.frame(), one.guide().cloned());
        for kind in [FloatType::F32, FloatType::F16] {
            let bytes = two.to_bytes(&model, kind).unwrap();
            assert_eq!(bytes[8..10], SEVERAL.to_le_bytes());
            let header = Header::parse(&bytes).unwrap();
            let shapes: Vec<_> = header.maps.iter().map(|(shape, _)| *shape).collect();
            assert_eq!(shapes, [model.info().embedding_shape, [3, 1, 2]]);
            assert_eq!(kind.read(header.maps[1].1), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
            assert_eq!(header.guide, one.guide().unwrap().as_bytes());
            let text = model.read_blob(&bytes).unwrap_err().to_string();
            assert!(text.contains("sizes are not those"), "{text}");
            // One map in either version is the same embedding.
            let [single, several] = [SINGLE, SEVERAL].map(|version| one.write(&model, kind, version).unwrap());
            assert!(single == one.to_bytes(&model, kind).unwrap() && single.len() + 12 == several.len());
            let [single, several] = [single, several].map(|bytes| model.read_blob(&bytes).unwrap());
            assert_eq!(single.values(), several.values());
        }
        let bytes = one.write(&model, FloatType::F16, SEVERAL).unwrap();
        let message = |at: usize, value: u8| {
            let mut copy = bytes.clone();
            copy[at] = value;
            model.read_blob(&copy).unwrap_err().to_string()
        };
        assert!(message(80, 0).contains("it claims to hold 0 maps"));
        assert!(message(83, 1).contains("it claims to hold 16777217 maps"));
        assert!(message(84, 1).contains("it claims to hold 1 maps"));
        assert!(message(80, 2).contains("truncated"));
        assert!(message(96, 1).contains("bytes follow its end"));
        assert!(message(99, 1).contains("truncated"));
    }

    #[test]
    fn f16_rounds() {
        let model = nano();
        let embedding = embedding(&model);
        let read = model.read_blob(&embedding.to_bytes(&model, FloatType::F16).unwrap()).unwrap();
        let pairs = || read.values().iter().zip(embedding.values());
        assert!(pairs().all(|(read, value)| (read - value).abs() <= value.abs() * 5e-4 + 1e-7));
        assert!(pairs().any(|(read, value)| read != value));
    }

    #[test]
    fn whatever_is_changed_is_refused() {
        let model = nano();
        let bytes = embedding(&model).to_bytes(&model, FloatType::F16).unwrap();
        let message = |bytes: &[u8]| model.read_blob(bytes).unwrap_err().to_string();
        let changed = |at: usize, value: u8| {
            let mut copy = bytes.clone();
            copy[at] ^= value;
            message(&copy)
        };
        assert!(changed(0, 1).contains("no embedding"));
        assert!(changed(8, 2).contains("version 3, and this release reads versions 1 and 2; embed the image again"));
        assert!(changed(10, 64).contains("unknown type"));
        assert!(changed(12, 1).contains("was made by model 'nano'"));
        assert!(changed(64, 4).contains("sizes are not those"));
        assert!(changed(80, 1).contains("truncated"));
        assert!(changed(95, 1).contains("truncated"));
        assert!(changed(92, 1).contains("truncated"));
        assert!(changed(4000, 1).contains("checksum"));
        assert!(changed(bytes.len() - 1, 1).contains("checksum"));
        assert!(message(&bytes[..7]).contains("no embedding"));
        for length in [8, HEADER - 1, HEADER, bytes.len() - CHECKSUM, bytes.len() - 1] {
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
