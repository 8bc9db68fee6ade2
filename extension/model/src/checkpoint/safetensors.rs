//! The safetensors format: the length of a header in 8 bytes, the header in JSON, then the values.

use std::collections::HashMap;
use std::sync::Arc;

use safetensors::tensor::{Dtype, Metadata};

use super::source::Source;
use super::stored::{Location, Stored};
use super::values::Kind;
use crate::error::Result;

/// Longest header that is read. That of SAM-H takes 70 kB.
const MAX_HEADER: u64 = 16 << 20;

/// Whether a file begins as one in this format, whole or not.
pub(super) fn is_safetensors(head: &[u8]) -> bool {
    let Some((length, rest)) = head.split_first_chunk::<8>() else { return false };
    (2..=100 << 20).contains(&u64::from_le_bytes(*length)) && rest.first() == Some(&b'{')
}

/// A file's tensors and its own metadata; `file` is its number in the checkpoint.
///
/// # Errors
/// What is damaged or cut.
pub(super) fn open(source: &Arc<Source>, file: usize) -> Result<(Vec<Stored>, HashMap<String, String>)> {
    let mut length = [0; 8];
    source.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(source.format_error(format!("its header claims {length} bytes, more than {MAX_HEADER}")));
    }
    let total = source.len();
    if 8 + length > total {
        return Err(truncated(source, 8 + length));
    }
    let header = source.bytes_at(8, length as usize)?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| source.format_error(format!("its safetensors header cannot be understood: {error}")))?;
    let expected = 8 + length + metadata.data_len() as u64;
    if expected > total {
        return Err(truncated(source, expected));
    }
    let tensors = metadata.tensors().into_iter().map(|(name, info)| Stored {
        name,
        shape: info.shape.clone(),
        kind: match info.dtype {
            Dtype::F64 => Kind::F64,
            Dtype::F32 => Kind::F32,
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::Bf16,
            Dtype::I8 => Kind::Other("int8".into()),
            Dtype::U8 => Kind::Other("uint8".into()),
            other => Kind::Other(format!("{other:?}")),
        },
        location: Location::At { file, offset: 8 + length + info.data_offsets.0 as u64 },
    });
    Ok((tensors.collect(), metadata.metadata().clone().unwrap_or_default()))
}

fn truncated(source: &Source, expected: u64) -> crate::error::ModelError {
    let bytes = source.len();
    source.format_error(format!(
        "it is truncated: {bytes} bytes, but its header describes {expected}; download or copy it again"
    ))
}
