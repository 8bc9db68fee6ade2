//! Values of tensors: where they lie, what type they are stored in, and `f32` made of them.

use half::{bf16, f16};

use super::source::{Source, no_memory};
use crate::error::Result;

/// Bytes that are read and converted at a time.
const CHUNK: usize = 64 << 10;

/// What a tensor's values are stored as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    F64,
    F32,
    F16,
    Bf16,
    /// No floating point numbers that a network is saved in; the type's name.
    Other(String),
}

impl Kind {
    /// Bytes of a value; `None` for types that are not read.
    pub(super) fn size(&self) -> Option<usize> {
        match self {
            Self::F64 => Some(8),
            Self::F32 => Some(4),
            Self::F16 | Self::Bf16 => Some(2),
            Self::Other(_) => None,
        }
    }
}

/// Stored values and their byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Encoding {
    pub(super) kind: Kind,
    pub(super) big_endian: bool,
}

/// Turns pieces of stored bytes into `f32`.
pub(super) struct Decoder {
    encoding: Encoding,
    size: usize,
    values: Vec<f32>,
}

impl Decoder {
    /// Room for `count` values; `None` if the type is not read.
    pub(super) fn new(encoding: &Encoding, count: usize, source: &Source) -> Result<Option<Self>> {
        let Some(size) = encoding.kind.size() else { return Ok(None) };
        let mut values = Vec::new();
        values.try_reserve_exact(count).map_err(|_| no_memory(source.path(), count.saturating_mul(4)))?;
        Ok(Some(Self { encoding: encoding.clone(), size, values }))
    }

    /// Takes whole values.
    pub(super) fn take(&mut self, bytes: &mut [u8]) {
        if self.encoding.big_endian {
            bytes.chunks_exact_mut(self.size).for_each(<[u8]>::reverse);
        }
        let values = &mut self.values;
        match self.encoding.kind {
            Kind::F32 => values.extend(bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value))),
            Kind::F64 => values.extend(bytes.as_chunks().0.iter().map(|value| f64::from_le_bytes(*value) as f32)),
            Kind::F16 => values.extend(bytes.as_chunks().0.iter().map(|value| f16::from_le_bytes(*value).to_f32())),
            Kind::Bf16 => values.extend(bytes.as_chunks().0.iter().map(|value| bf16::from_le_bytes(*value).to_f32())),
            Kind::Other(_) => {}
        }
    }

    /// Reads `bytes` bytes of a file, piece by piece.
    pub(super) fn read(mut self, source: &Source, offset: u64, bytes: usize) -> Result<Vec<f32>> {
        let mut buffer = vec![0; CHUNK.min(bytes)];
        let mut done = 0;
        while done < bytes {
            let piece = CHUNK.min(bytes - done);
            source.read_at(offset + done as u64, &mut buffer[..piece])?;
            self.take(&mut buffer[..piece]);
            done += piece;
        }
        Ok(self.values)
    }

    pub(super) fn finish(self) -> Vec<f32> {
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_every_type_and_byte_order() {
        let source = Source::from_static("x", b"x");
        for (kind, little) in [
            (Kind::F64, (-1.5f64).to_le_bytes().to_vec()),
            (Kind::F32, (-1.5f32).to_le_bytes().to_vec()),
            (Kind::F16, f16::from_f32(-1.5).to_le_bytes().to_vec()),
            (Kind::Bf16, bf16::from_f32(-1.5).to_le_bytes().to_vec()),
        ] {
            for big_endian in [false, true] {
                let mut bytes = little.clone();
                if big_endian {
                    bytes.reverse();
                }
                let encoding = Encoding { kind: kind.clone(), big_endian };
                let mut decoder = Decoder::new(&encoding, 1, &source).unwrap().unwrap();
                decoder.take(&mut bytes);
                assert_eq!(decoder.finish(), [-1.5], "{encoding:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_allocated_is_an_error() {
        let source = Source::from_static("x", b"x");
        let encoding = Encoding { kind: Kind::F32, big_endian: false };
        let error = Decoder::new(&encoding, usize::MAX / 4, &source).err().unwrap().to_string();
        assert!(error.contains("there is no memory for") && error.contains("; unload other models"), "{error}");
    }
}
