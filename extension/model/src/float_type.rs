//! What numbers are stored as, in embeddings and in files of weights.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// The type of stored numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FloatType {
    /// Single precision: masks stay the same, bit for bit.
    #[default]
    F32,
    /// Half precision: half the size, masks that differ in few pixels.
    F16,
}

impl FloatType {
    /// The type called `name`; `of` is what it is the type of, for the message.
    ///
    /// # Errors
    /// A text that names the unknown type and those there are.
    ///
    /// ```
    /// use sam_model::FloatType;
    ///
    /// assert_eq!(FloatType::parse("f16", "weights"), Ok(FloatType::F16));
    /// assert!(FloatType::parse("int8", "weights").unwrap_err().starts_with("type 'int8' of weights is unknown"));
    /// ```
    pub fn parse(name: &str, of: &str) -> Result<Self, String> {
        match name {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            other => Err(format!("type '{other}' of {of} is unknown; it is 'f32' or 'f16'")),
        }
    }

    /// Bytes of a number.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F32 => size_of::<f32>(),
            Self::F16 => size_of::<f16>(),
        }
    }

    /// Appends finite `values`, little-endian, to `bytes`; false, and nothing is appended, where one is beyond the range.
    #[must_use]
    pub(crate) fn append(self, values: &[f32], bytes: &mut Vec<u8>) -> bool {
        match self {
            Self::F32 => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Self::F16 => {
                let mut halves = vec![f16::ZERO; values.len()];
                halves.convert_from_f32_slice(values);
                if halves.iter().any(|half| !half.is_finite()) {
                    return false;
                }
                bytes.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
            }
        }
        true
    }

    /// The numbers in `bytes`, little-endian.
    pub(crate) fn read(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Self::F16 => bytes.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
        }
    }
}
