//! bfloat16 as stored: the upper half of an f32.

/// Bits of a bfloat16 value: sign, 8 exponent and 7 mantissa bits.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bf16(pub u16);

impl Bf16 {
    /// Positive zero.
    pub const ZERO: Self = Self(0);

    /// Rounds to nearest, ties to even; a NaN stays a (quiet) NaN. The vector forms agree on every value but
    /// subnormals, which some processors flush to zero.
    pub fn from_f32(x: f32) -> Self {
        let b = x.to_bits();
        if x.is_nan() {
            return Self((b >> 16) as u16 | 0x40);
        }
        Self(((b + 0x7fff + ((b >> 16) & 1)) >> 16) as u16)
    }

    /// Exact.
    pub fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}
