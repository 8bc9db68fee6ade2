//! What pixels of a file are: their type, their colours, their range.

use crate::format::{Numbers, SampleType};
use crate::orient::swaps_sides;

/// Bytes of a pixel in RGB.
pub(crate) const RGB: usize = 3;

/// How samples of more than 8 bits, signed ones and fractions become levels of 8 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    /// Their own range: the lowest value in the picture, over all colours, becomes 0 and the highest 255, and between
    /// them it is linear. NaN and infinities have no part in it; they become 0 and the end they are nearest to. A
    /// picture of a single value becomes 0. Alpha and further bands have no part in it either. What a TIFF says stands for
    /// "no data" has none, and becomes 0; it is not guessed.
    #[default]
    Own,
    /// The range of their type: the upper 8 bits of whole numbers, and 0 to 1 for fractions.
    Full,
}

/// The type of the samples in a buffer, in the byte order of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

impl Stored {
    /// The smallest type that holds samples; `None` where there is none.
    pub(crate) fn for_type(sample: SampleType) -> Option<Self> {
        Some(match (sample.numbers, sample.bits) {
            (Numbers::Unsigned, 1..=8) => Stored::U8,
            (Numbers::Unsigned, 9..=16) => Stored::U16,
            (Numbers::Unsigned, 17..=32) => Stored::U32,
            (Numbers::Unsigned, 64) => Stored::U64,
            (Numbers::Signed, 8) => Stored::I8,
            (Numbers::Signed, 16) => Stored::I16,
            (Numbers::Signed, 32) => Stored::I32,
            (Numbers::Signed, 64) => Stored::I64,
            (Numbers::Float, 16 | 24 | 32) => Stored::F32,
            (Numbers::Float, 64) => Stored::F64,
            _ => return None,
        })
    }

    pub(crate) fn bytes(self) -> usize {
        match self {
            Stored::U8 | Stored::I8 => 1,
            Stored::U16 | Stored::I16 => 2,
            Stored::U32 | Stored::I32 | Stored::F32 => 4,
            Stored::U64 | Stored::I64 | Stored::F64 => 8,
        }
    }
}

/// Calls a function with what reads a number of the type `$stored`, as its last argument.
macro_rules! by_type {
    ($stored:expr, $function:ident($($argument:expr),*)) => {
        match $stored {
            Stored::U8 => $function($($argument,)* |&bytes| u8::from_ne_bytes(bytes)),
            Stored::U16 => $function($($argument,)* |&bytes| u16::from_ne_bytes(bytes)),
            Stored::U32 => $function($($argument,)* |&bytes| u32::from_ne_bytes(bytes)),
            Stored::U64 => $function($($argument,)* |&bytes| u64::from_ne_bytes(bytes)),
            Stored::I8 => $function($($argument,)* |&bytes| i8::from_ne_bytes(bytes)),
            Stored::I16 => $function($($argument,)* |&bytes| i16::from_ne_bytes(bytes)),
            Stored::I32 => $function($($argument,)* |&bytes| i32::from_ne_bytes(bytes)),
            Stored::I64 => $function($($argument,)* |&bytes| i64::from_ne_bytes(bytes)),
            Stored::F32 => $function($($argument,)* |&bytes| f32::from_ne_bytes(bytes)),
            Stored::F64 => $function($($argument,)* |&bytes| f64::from_ne_bytes(bytes)),
        }
    };
}
pub(crate) use by_type;

/// The value that stands for "no data", as a file says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NoData {
    /// A whole number.
    Whole(i128),
    /// Another one, or NaN.
    Fraction(f64),
}

impl NoData {
    /// The number in a text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\0');
        if let Ok(whole) = text.parse() {
            return Some(Self::Whole(whole));
        }
        let value: f64 = text.parse().ok()?;
        // -9999.0 is a whole number. Beyond 2^53 a fraction may stand for several.
        let is_whole = value.fract() == 0.0 && value.abs() <= (1u64 << 53) as f64;
        Some(if is_whole { Self::Whole(value as i128) } else { Self::Fraction(value) })
    }

    /// The whole number, if it is one.
    pub(crate) fn whole(self) -> Option<i128> {
        match self {
            Self::Whole(whole) => Some(whole),
            Self::Fraction(_) => None,
        }
    }

    /// The same, or nearly.
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::Whole(whole) => whole as f64,
            Self::Fraction(value) => value,
        }
    }
}

/// What the pixels of a buffer are.
#[derive(Clone, Debug)]
pub(crate) struct Pixels {
    pub width: u32,
    pub height: u32,
    pub stored: Stored,
    /// Bits of a sample in the file.
    pub bits: u16,
    pub colours: Colours,
    /// Whether a channel of alpha follows the colours.
    pub alpha: bool,
    /// Whether the colours are multiplied by it.
    pub premultiplied: bool,
    /// Whether the lowest value is white.
    pub inverted: bool,
    /// What stands for "no data".
    pub no_data: Option<NoData>,
}

impl Pixels {
    /// Pixels without alpha, whose samples have all bits of their type.
    pub(crate) fn new([width, height]: [u32; 2], stored: Stored, colours: Colours) -> Self {
        let bits = stored.bytes() as u16 * 8;
        Self {
            width,
            height,
            stored,
            bits,
            colours,
            alpha: false,
            premultiplied: false,
            inverted: false,
            no_data: None,
        }
    }

    pub(crate) fn channels(&self) -> usize {
        self.colours.channels() + usize::from(self.alpha)
    }

    /// Bytes of a pixel in the buffer.
    pub(crate) fn stride(&self) -> usize {
        self.channels() * self.stored.bytes()
    }

    pub(crate) fn count(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Bytes of memory that the samples and the picture made of them take, turned if `orientation` says so.
    pub(crate) fn work(&self, orientation: u8) -> u64 {
        work(self.count() as u64, self.stride() as u64, orientation)
    }
}

/// As [`Pixels::work`], for `count` pixels of `stride` bytes.
pub(crate) fn work(count: u64, stride: u64, orientation: u8) -> u64 {
    let turned = if swaps_sides(orientation) { 2 * RGB as u64 } else { 0 };
    count * stride.max(RGB as u64).max(turned)
}

/// What the channels of a pixel mean.
#[derive(Clone, Debug)]
pub(crate) enum Colours {
    Grey,
    Rgb,
    /// How much of each ink.
    Cmyk,
    /// Luma and two differences of colour, of 8 bits.
    YCbCr(Box<YCbCr>),
    /// A number of a colour.
    Palette(Box<[[u8; 3]; 256]>),
    /// So many values, whatever they mean: to be measured, not shown.
    Bands(usize),
}

impl Colours {
    /// Channels without alpha.
    pub(crate) fn channels(&self) -> usize {
        match self {
            Colours::Grey | Colours::Palette(_) => 1,
            Colours::Rgb | Colours::YCbCr(_) => 3,
            Colours::Cmyk => 4,
            Colours::Bands(count) => *count,
        }
    }
}

/// How luma and differences of colour make red, green and blue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct YCbCr {
    /// The parts of red, green and blue in luma.
    luma: [f32; 3],
    /// What each level adds: luma to all, the differences to blue and to red.
    light: [f32; 256],
    blue: [f32; 256],
    red: [f32; 256],
}

impl YCbCr {
    /// `reference` are the values of black and white in each channel, of the differences those of none and most.
    pub(crate) fn new(luma: [f32; 3], reference: [f32; 6]) -> Self {
        let [black, white, no_cb, most_cb, no_cr, most_cr] = reference;
        let scaled = |least: f32, most: f32, range: f32| {
            let scale = if most == least { 1.0 } else { range / (most - least) };
            std::array::from_fn(|level| (level as f32 - least) * scale)
        };
        let part = |levels: [f32; 256], share: f32| levels.map(|level| level * (2.0 - 2.0 * share));
        let [r, _, b] = luma;
        Self {
            luma,
            light: scaled(black, white, 255.0),
            blue: part(scaled(no_cb, most_cb, 127.0), b),
            red: part(scaled(no_cr, most_cr, 127.0), r),
        }
    }

    pub(crate) fn rgb(&self, [y, cb, cr]: [u8; 3]) -> [u8; 3] {
        let [r, g, b] = self.luma;
        let y = self.light[usize::from(y)];
        let (red, blue) = (y + self.red[usize::from(cr)], y + self.blue[usize::from(cb)]);
        let green = (y - r * red - b * blue) / g;
        // The conversion ends at 0 and 255.
        [red, green, blue].map(|value| (value + 0.5) as u8)
    }
}

/// `a * b / 255`, rounded.
pub(crate) fn times(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_data_is_a_number() {
        for (text, value) in [("-9999", -9999), ("0\0", 0), (" 255 ", 255), ("1e4", 10_000), ("-9999.0", -9999)] {
            assert_eq!(NoData::parse(text), Some(NoData::Whole(value)));
        }
        let large = NoData::parse("-3.4028234663852886e+38").and_then(NoData::whole);
        assert_eq!((large, NoData::parse("none"), NoData::parse("")), (None, None, None));
        assert!(NoData::parse("nan").unwrap().value().is_nan());
        assert_eq!(NoData::parse("18446744073709551615").unwrap().whole(), Some(u64::MAX.into()));
    }

    #[test]
    fn video_range_is_widened() {
        let luma = [0.299, 0.587, 0.114];
        let video = YCbCr::new(luma, [16.0, 235.0, 128.0, 240.0, 128.0, 240.0]);
        assert_eq!(video.rgb([16, 128, 128]), [0; 3]);
        assert_eq!(video.rgb([235, 128, 128]), [255; 3]);
        let whole = YCbCr::new(luma, [0.0, 255.0, 128.0, 255.0, 128.0, 255.0]);
        assert_eq!(whole.rgb([76, 85, 255]), [254, 0, 0]);
    }
}
