//! What the encoder's matrix products are computed in.

use std::fmt;
use std::str::FromStr;

use sam_kernels::{Isa, bf16_rate};

use crate::error::{ModelError, Result};

/// Precision of the image encoder's matrix products; everything else is `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// The one of the two that this processor multiplies faster: see [`Precision::resolved`].
    #[default]
    Auto,
    /// Single precision: the same masks as the reference but for rounding.
    F32,
    /// Operands rounded to 8 significant bits, sums in `f32`: two to several times as fast as `f32` on some processors, and
    /// slower on others.
    Bf16,
}

/// By how much bf16 must be faster to be worth its rounding. Processors are far from it on either side, so that the
/// measurement's noise decides nothing.
const WORTHWHILE: f32 = 1.25;

impl Precision {
    pub(crate) fn is_bf16(self, isa: Isa) -> bool {
        match self {
            Self::Auto => bf16_rate(isa) >= WORTHWHILE,
            Self::F32 => false,
            Self::Bf16 => true,
        }
    }

    /// What it is on this processor, `F32` or `Bf16`, and why, in words.
    ///
    /// ```
    /// use sam_model::Precision;
    ///
    /// let (precision, why) = Precision::Auto.resolved()?;
    /// println!("{precision}: {why}");
    /// assert_ne!(precision, Precision::Auto);
    /// # Ok::<(), sam_model::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// `SAM_ISA` names an instruction set that there is not.
    pub fn resolved(self) -> Result<(Self, String)> {
        let isa = Isa::get().map_err(|error| ModelError::Processor(error.to_string()))?;
        let resolved = if self.is_bf16(isa) { Self::Bf16 } else { Self::F32 };
        let mut why = match self {
            Self::Auto => reason(resolved, isa.name(), bf16_rate(isa)),
            _ => format!("computed by {}", isa.name()),
        };
        if let Some(refused) = Isa::refused() {
            why = format!("{why}; {refused}");
        }
        Ok((resolved, why))
    }
}

/// Why `auto` is `resolved`, given the rate of bf16 products over that of f32 ones.
fn reason(resolved: Precision, isa: &str, rate: f32) -> String {
    if rate == 0.0 {
        return format!("auto is {resolved} here: {isa} has no instructions for bf16");
    }
    format!("auto is {resolved} here: {isa} computes bf16 at {rate:.1} times the rate of f32")
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

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            other => Err(format!("precision '{other}' is unknown; it is one of auto, f32, bf16")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each form: what is slow is not picked, and what was picked stays so.
    #[test]
    fn auto_is_what_is_faster() {
        for isa in Isa::testable() {
            let rate = bf16_rate(isa);
            assert_eq!(rate > 0.0, isa.has_native_bf16(), "{isa:?}");
            assert_eq!(Precision::Auto.is_bf16(isa), rate >= WORTHWHILE, "{isa:?}: {rate}");
            assert_eq!(rate.to_bits(), bf16_rate(isa).to_bits(), "{isa:?}");
            assert!(Precision::Bf16.is_bf16(isa) && !Precision::F32.is_bf16(isa));
        }
        assert!(!Precision::Auto.is_bf16(Isa::named("portable").unwrap()));
    }

    #[test]
    fn reasons_are_told() {
        assert_eq!(reason(Precision::F32, "avx2", 0.0), "auto is f32 here: avx2 has no instructions for bf16");
        let told = "auto is f32 here: avx512bf16 computes bf16 at 0.5 times the rate of f32";
        assert_eq!(reason(Precision::F32, "avx512bf16", 0.5), told);
        let told = "auto is bf16 here: amx computes bf16 at 5.2 times the rate of f32";
        assert_eq!(reason(Precision::Bf16, "amx", 5.23), told);
        let (_, why) = Precision::F32.resolved().unwrap();
        assert!(why.starts_with(&format!("computed by {}", Isa::get().unwrap().name())), "{why}");
    }
}
