//! What the encoder's matrix products are computed in.

use std::fmt;
use std::str::FromStr;

use sam_kernels::Isa;

/// Precision of the image encoder's matrix products; everything else is `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// bf16 where the processor multiplies it natively, `f32` elsewhere.
    #[default]
    Auto,
    /// Single precision: the same masks as the reference but for rounding.
    F32,
    /// Operands rounded to 8 significant bits, sums in `f32`: about twice as fast on processors that have it, slower
    /// than `f32` on others.
    Bf16,
}

impl Precision {
    pub(crate) fn is_bf16(self, isa: Isa) -> bool {
        match self {
            Self::Auto => isa.has_native_bf16(),
            Self::F32 => false,
            Self::Bf16 => true,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            other => Err(format!("precision '{other}' is unknown; it is one of auto, f32, bf16")),
        }
    }
}
