//! The range of samples: how numbers of any type become levels.

use crate::pixels::{NoData, Pixels, Stored};

/// A number that samples are.
pub(crate) trait Number: Copy {
    const LOWEST: Self;
    const HIGHEST: Self;

    /// The same, or nearly.
    fn value(self) -> f64;
    /// How far it is from `least`, of whole numbers of which none is less.
    fn steps(self, least: f64) -> usize;
    /// Whether it is neither NaN nor infinite.
    fn is_number(self) -> bool;
    fn is_nan(self) -> bool {
        self.value().is_nan()
    }
    fn lesser(self, other: Self) -> Self;
    fn greater(self, other: Self) -> Self;
    /// The number that stands for "no data", if samples can have it.
    fn of_no_data(no_data: NoData) -> Option<Self>;
    /// Whether it is that number.
    fn stands_for(self, no_data: Self) -> bool;
}

/// How far apart two fractions are that are one, in parts of them: texts of other software round them.
const ROUNDING: f64 = 2.0 * f32::EPSILON as f64;

/// Whether samples have this value where there is no data.
pub(crate) fn is_no_data<T: Number>(pixels: &Pixels) -> impl Fn(T) -> bool + Copy + use<T> {
    let no_data = pixels.no_data.and_then(T::of_no_data);
    move |value| no_data.is_some_and(|no_data| value.stands_for(no_data))
}

macro_rules! number {
    ($finite:expr, $of:expr, $same:expr => $($type:ty),*) => {
        $(impl Number for $type {
            const LOWEST: Self = <$type>::MIN;
            const HIGHEST: Self = <$type>::MAX;

            #[allow(clippy::cast_lossless, clippy::unnecessary_cast, reason = "lossless for some")]
            fn value(self) -> f64 {
                self as f64
            }

            fn steps(self, least: f64) -> usize {
                (self as i64).wrapping_sub(least as i64) as usize
            }

            fn is_number(self) -> bool {
                let finite: fn($type) -> bool = $finite;
                finite(self)
            }

            fn lesser(self, other: Self) -> Self {
                self.min(other)
            }

            fn greater(self, other: Self) -> Self {
                self.max(other)
            }

            fn of_no_data(no_data: NoData) -> Option<Self> {
                let of: fn(NoData) -> Option<$type> = $of;
                of(no_data)
            }

            fn stands_for(self, no_data: Self) -> bool {
                let same: fn($type, $type) -> bool = $same;
                same(self, no_data)
            }
        })*
    };
}

number!(|_| true, |no_data| no_data.whole()?.try_into().ok(), |a, b| a == b => u8, u16, u32, u64, i8, i16, i32, i64);
number!(|value| value.is_finite(), |no_data| Some(no_data.value() as f32), |a, b| {
    let [a, b] = [a, b].map(f64::from);
    a == b || a.is_nan() && b.is_nan() || b.is_finite() && (a - b).abs() <= ROUNDING * b.abs()
} => f32);
number!(|value| value.is_finite(), |no_data| Some(no_data.value()), |a, b| a == b || a.is_nan() && b.is_nan() => f64);

/// The lowest and the highest finite value of all colours, without "no data"; zeros where there is none.
pub(crate) fn extremes<T: Number, const N: usize>(
    pixels: &Pixels,
    samples: &[u8],
    read: &impl Fn(&[u8; N]) -> T,
) -> (f64, f64) {
    let is_no_data = is_no_data::<T>(pixels);
    let see = |(least, most): (T, T), samples: &[u8]| {
        samples.as_chunks::<N>().0.iter().map(read).fold((least, most), |(least, most), value| {
            match value.is_number() && !is_no_data(value) {
                true => (least.lesser(value), most.greater(value)),
                false => (least, most),
            }
        })
    };
    let colours = pixels.colours.channels() * N;
    let none = (T::HIGHEST, T::LOWEST);
    let (least, most) = match pixels.alpha {
        false => see(none, samples),
        true => samples.chunks_exact(pixels.stride()).fold(none, |found, pixel| see(found, &pixel[..colours])),
    };
    let (least, most) = (least.value(), most.value());
    if least <= most { (least, most) } else { (0.0, 0.0) }
}

/// A linear map of values to levels from 0 on.
pub(crate) struct Level {
    /// Half the lowest value, for the difference of two numbers need not be one.
    least: f64,
    /// Half the difference of the highest and the lowest.
    span: f64,
    highest: f64,
}

impl Level {
    pub(crate) fn between(least: f64, most: f64, highest: f64) -> Self {
        Self { least: least / 2.0, span: most / 2.0 - least / 2.0, highest }
    }

    /// A whole number from 0 to the highest level; NaN is 0.
    pub(crate) fn of(&self, value: f64) -> u32 {
        // `min` would take NaN for the highest.
        if self.span <= 0.0 || value.is_nan() {
            return 0;
        }
        // Divided last, so that a half is exactly one, but for spans that this would make infinite.
        let part = (value / 2.0 - self.least) * self.highest / self.span;
        let part = if part.is_finite() { part } else { (value / 2.0 - self.least) / self.span * self.highest };
        (part + 0.5).min(self.highest) as u32
    }
}

/// The level of a sample in the full range of its type.
pub(crate) fn full(pixels: &Pixels, sample: &[u8]) -> u8 {
    fn array<const N: usize>(sample: &[u8]) -> [u8; N] {
        sample.first_chunk().copied().unwrap_or([0; N])
    }
    let bits = u32::from(pixels.bits);
    let unit = |value: f64| (value.clamp(0.0, 1.0) * 255.0).round() as u8;
    match pixels.stored {
        Stored::U8 => array::<1>(sample)[0],
        Stored::U16 => (u16::from_ne_bytes(array(sample)) >> (bits - 8)) as u8,
        Stored::U32 => (u32::from_ne_bytes(array(sample)) >> (bits - 8)) as u8,
        Stored::U64 => (u64::from_ne_bytes(array(sample)) >> (bits - 8)) as u8,
        // The lowest is 0.
        Stored::I8 => (i8::from_ne_bytes(array(sample)) as u8) ^ 0x80,
        Stored::I16 => ((i16::from_ne_bytes(array(sample)) >> 8) as u8) ^ 0x80,
        Stored::I32 => ((i32::from_ne_bytes(array(sample)) >> 24) as u8) ^ 0x80,
        Stored::I64 => ((i64::from_ne_bytes(array(sample)) >> 56) as u8) ^ 0x80,
        Stored::F32 => unit(f32::from_ne_bytes(array(sample)).into()),
        Stored::F64 => unit(f64::from_ne_bytes(array(sample))),
    }
}
