//! The form of an embedding as bytes, in two versions. Version 1 holds one map of features and is written wherever there
//! is only one, so that earlier releases read it; version 2 holds several. Both are read.
//!
//! Little-endian; the header takes [`HEADER`] bytes:
//!
//! | at | what |
//! |---|---|
//! | 0 | magic, `SAMEMBED` |
//! | 8 | version, `u16`: 1 or 2 |
//! | 10 | type of the values, `u16`: 1 is `f32`, 2 is `f16` |
//! | 12 | the first 16 bytes of the SHA-256 of the model's file |
//! | 28 | the model's name, for messages: at most 36 bytes of UTF-8, then zeros |
//! | 64 | width and height of the picture, in pixels, `u32` each |
//! | 72 | width and height that it was resized to, `u32` each |
//! | 80 | version 1: channels, rows and columns of the map, `u32` each; version 2: the number of maps, `u32`, then 8 zeros |
//! | 92 | bytes of the guide, `u32`; 0 where the model wants none |
//! | 96 | version 2 only: channels, rows and columns of each map, `u32` each |
//! | then | the values of each map, (rows * columns, channels) |
//! | then | the guide: the picture at half the size that it was resized to, rounded up, (rows, columns, 3), `u8` |
//! | end | the first 16 bytes of the BLAKE3 hash of all before |

use crate::error::{ModelError, Result};
use crate::float_type::FloatType;

pub(super) const MAGIC: &[u8; 8] = b"SAMEMBED";
pub(super) const HEADER: usize = 96;
pub(super) const NAME: std::ops::Range<usize> = 28..64;
pub(super) const CHECKSUM: usize = 16;

/// Of one map.
pub(super) const SINGLE: u16 = 1;

/// Of any number of maps.
pub(super) const SEVERAL: u16 = 2;

/// Bytes of a map's shape in version 2.
pub(super) const SHAPE: usize = 12;

/// Most maps of an embedding; no family has more than a few.
const MAX_MAPS: usize = 16;

/// How the type of the values is written.
pub(super) fn code(kind: FloatType) -> u16 {
    match kind {
        FloatType::F32 => 1,
        FloatType::F16 => 2,
    }
}

/// What a blob says of itself; parsing checks the length, so that the values can be read.
#[derive(Debug)]
pub(super) struct Header<'a> {
    pub(super) kind: FloatType,
    pub(super) fingerprint: &'a [u8],
    pub(super) name: String,
    pub(super) original: (usize, usize),
    pub(super) input: (usize, usize),
    /// Channels, rows and columns of each map, and its values.
    pub(super) maps: Vec<([usize; 3], &'a [u8])>,
    pub(super) guide: &'a [u8],
}

/// Whether bytes claim to be an embedding; no picture begins like one.
pub fn is_embedding(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

pub(super) fn refused(reason: impl Into<String>) -> ModelError {
    ModelError::Embedding(reason.into())
}

impl<'a> Header<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let truncated = || refused(format!("the embedding is truncated: {} bytes; store it whole", bytes.len()));
        if !is_embedding(bytes) {
            return Err(refused("these bytes are no embedding; embed the image first"));
        }
        let Some((header, rest)) = bytes.split_at_checked(HEADER) else { return Err(truncated()) };
        let word = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let number = |at: usize| number(header, at);
        if ![SINGLE, SEVERAL].contains(&word(8)) {
            return Err(refused(format!(
                "the embedding has version {}, and this release reads versions {SINGLE} and {SEVERAL}; embed the image again",
                word(8)
            )));
        }
        let kind = match word(10) {
            1 => FloatType::F32,
            2 => FloatType::F16,
            other => {
                return Err(refused(format!("the embedding is damaged: its values are of the unknown type {other}")));
            }
        };
        let (shapes, mut rest) = if word(8) == SINGLE {
            (vec![[number(80), number(84), number(88)]], rest)
        } else {
            let count = number(80);
            if !(1..=MAX_MAPS).contains(&count) || header[84..92] != [0; 8] {
                return Err(refused(format!("the embedding is damaged: it claims to hold {count} maps of features")));
            }
            let Some((shapes, rest)) = rest.split_at_checked(count * SHAPE) else { return Err(truncated()) };
            let shape = |bytes: &[u8]| [0, 4, 8].map(|at| self::number(bytes, at));
            (shapes.chunks_exact(SHAPE).map(shape).collect(), rest)
        };
        let mut maps = Vec::with_capacity(shapes.len());
        for shape in shapes {
            let length = shape.iter().try_fold(kind.size(), |product, &side| product.checked_mul(side));
            let Some((values, more)) = length.and_then(|length| rest.split_at_checked(length)) else {
                return Err(truncated());
            };
            maps.push((shape, values));
            rest = more;
        }
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
            maps,
            guide,
        })
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}
