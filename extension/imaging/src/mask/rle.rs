//! COCO's run-length encoding of masks, as pycocotools (`common/maskApi.c`) reads and writes it.
//!
//! Runs go down the columns, from left to right, and alternate between background and foreground; the
//! first is background and may be empty. The compressed form writes each count, from the fourth on as the
//! difference to the one two before, in groups of five bits, the lowest first, with a sixth bit for "more
//! follow" and an offset of 48 that makes the characters printable.

use super::bits::Mask;
use crate::memory::{NoMemory, push, zeroed};

/// A mask of `height` x `width` pixels as runs down its columns.
///
/// ```
/// use sam_imaging::{Mask, Rle};
///
/// let rle = Rle::from_mask(&Mask::from_rows(&[[0, 1, 1], [0, 1, 0]]));
/// assert_eq!(rle.counts, [2, 3, 1]); // background first, column by column
/// assert_eq!((rle.area(), rle.bbox()), (3, [1.0, 0.0, 2.0, 2.0]));
/// assert_eq!(rle.to_counts_string(), "231"); // what pycocotools writes
/// assert_eq!(Rle::from_counts_string(2, 3, "231")?, rle);
///
/// let row = Rle::from_counts(2, 3, vec![0, 1, 1, 1, 1, 1, 1])?;
/// assert_eq!(rle.iou(&row), Some(0.5));
/// # Ok::<(), sam_imaging::RleError>(())
/// ```
///
///
/// `counts` alternates background and foreground lengths, background first; the counts sum to
/// `height * width`. The fields are public as they are the data; [`Rle::from_counts`] and
/// [`Rle::from_counts_string`] check what comes from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rle {
    /// Rows.
    pub height: u32,
    /// Columns.
    pub width: u32,
    /// Lengths of the runs in pixels.
    pub counts: Vec<u32>,
}

/// What is wrong with an encoded mask.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RleError {
    /// A mask of this size cannot be described by 32-bit counts.
    #[error("a mask of {height} x {width} pixels is too large: the limit is 4294967295 pixels")]
    TooLarge {
        /// Rows asked for.
        height: u32,
        /// Columns asked for.
        width: u32,
    },
    /// A character that the encoding never uses.
    #[error(
        "the counts have the byte 0x{byte:02x} at position {position}; COCO's compressed counts use only the characters '0' to 'o'"
    )]
    Character {
        /// The byte found.
        byte: u8,
        /// Its position in the string, from 0.
        position: usize,
    },
    /// The text ends inside a number.
    #[error("the counts end in the middle of a number; the text was cut off")]
    Unfinished,
    /// A count that is negative or does not fit 32 bits.
    #[error("count {index} of the mask is {value}; a count is between 0 and 4294967295")]
    Count {
        /// Position among the counts, from 0.
        index: usize,
        /// The value, as far as it was read.
        value: i64,
    },
    /// The counts describe a mask of another size.
    #[error("the counts sum to {found} pixels, but a mask of {height} x {width} has {expected}")]
    Total {
        /// Rows of the mask.
        height: u32,
        /// Columns of the mask.
        width: u32,
        /// `height * width`.
        expected: u64,
        /// Sum of the counts, up to the one that exceeded `expected`.
        found: u64,
    },
}

impl Rle {
    /// Encodes a mask.
    pub fn from_mask(mask: &Mask) -> Rle {
        let (width, height) = (mask.width() as usize, mask.height() as usize);
        let mut runs = Runs::default();
        let words = height.div_ceil(64);
        let mut columns = vec![0u64; 64 * words];
        for strip in 0..mask.words_per_row() {
            for block in 0..words {
                let mut bits = [0u64; 64];
                for (row, bits) in (block * 64..height).zip(&mut bits) {
                    *bits = mask.row(row)[strip];
                }
                transpose(&mut bits);
                for (column, bits) in bits.into_iter().enumerate() {
                    columns[column * words + block] = bits;
                }
            }
            for column in columns.chunks_exact(words.max(1)).take(width - strip * 64) {
                runs.push_column(column, height);
            }
        }
        Rle { height: mask.height(), width: mask.width(), counts: runs.finish() }
    }

    /// Decodes into a mask. Counts that describe less or more than `height * width` pixels, which only a
    /// hand-made value can have, leave the rest background or are cut off.
    ///
    /// # Panics
    /// As [`Mask::new`], where the size is beyond `u32::MAX` pixels; and without memory.
    pub fn to_mask(&self) -> Mask {
        self.try_to_mask().unwrap_or_else(|error| error.raise())
    }

    /// The same where there is memory for it: twice the bits of the mask while it is decoded.
    ///
    /// # Panics
    /// As [`Mask::new`].
    pub fn try_to_mask(&self) -> Result<Mask, NoMemory> {
        let mut mask = Mask::try_new(self.width, self.height)?;
        let (width, height) = (self.width as usize, self.height as usize);
        let words = height.div_ceil(64);
        let mut columns: Vec<u64> = zeroed(mask.words_per_row() * 64 * words)?;
        for (start, end) in self.foreground() {
            let (mut at, end) = (start as usize, end.min((width * height) as u64) as usize);
            while at < end {
                let (x, y) = (at / height, at % height);
                let stop = height.min(y + (end - at));
                fill(&mut columns[x * words..][..words], y, stop);
                at += stop - y;
            }
        }
        for strip in 0..mask.words_per_row() {
            for block in 0..words {
                let mut bits = [0u64; 64];
                for (column, bits) in bits.iter_mut().enumerate() {
                    *bits = columns[(strip * 64 + column) * words + block];
                }
                transpose(&mut bits);
                for (row, bits) in (block * 64..height).zip(bits) {
                    mask.row_mut(row)[strip] = bits;
                }
            }
        }
        Ok(mask)
    }

    /// From uncompressed counts, checked: they must sum to `height * width`.
    pub fn from_counts(height: u32, width: u32, counts: Vec<u32>) -> Result<Rle, RleError> {
        let expected = pixels(height, width)?;
        let found = counts.iter().map(|&count| u64::from(count)).sum();
        if found != expected {
            return Err(RleError::Total { height, width, expected, found });
        }
        Ok(Rle { height, width, counts })
    }

    /// COCO's compressed counts: ASCII characters '0' to 'o'. A backslash is among them.
    pub fn to_counts_string(&self) -> String {
        // A number has seven characters at most, and two mostly.
        let mut text = String::new();
        for (index, &count) in self.counts.iter().enumerate() {
            if text.capacity() - text.len() < 7 {
                let more = (2 * (self.counts.len() - index)).max(64);
                text.try_reserve_exact(more).unwrap_or_else(|_| NoMemory { bytes: text.len() + more }.raise());
            }
            let mut rest = i64::from(count);
            if index > 2 {
                rest -= i64::from(self.counts[index - 2]);
            }
            loop {
                let group = (rest & 0x1f) as u8;
                rest >>= 5;
                // The last group's top bit is the sign, so a group ends the number only if the rest agrees with it.
                let more = rest != if group & 0x10 != 0 { -1 } else { 0 };
                text.push(char::from(group + 48 + if more { 0x20 } else { 0 }));
                if !more {
                    break;
                }
            }
        }
        text
    }

    /// Reads COCO's compressed counts of a mask of `height` x `width` pixels.
    ///
    /// Any text is safe: characters, the range of every count and their sum are checked, and the counts
    /// take no more memory than four bytes per character.
    pub fn from_counts_string(height: u32, width: u32, counts: &str) -> Result<Rle, RleError> {
        Rle::from_counts_bytes(height, width, counts.as_bytes())
    }

    /// The same for the characters as bytes, which is what pycocotools returns.
    pub fn from_counts_bytes(height: u32, width: u32, counts: &[u8]) -> Result<Rle, RleError> {
        let expected = pixels(height, width)?;
        let mut found = 0u64;
        let mut decoded: Vec<u32> = Vec::with_capacity(counts.len().min(1 << 16));
        let mut numbers = Numbers { bytes: counts, position: 0 };
        while let Some(number) = numbers.next(decoded.len())? {
            let index = decoded.len();
            let value = if index > 2 { number + i64::from(decoded[index - 2]) } else { number };
            let count = u32::try_from(value).map_err(|_| RleError::Count { index, value })?;
            found += u64::from(count);
            if found > expected {
                return Err(RleError::Total { height, width, expected, found });
            }
            push(&mut decoded, count);
        }
        if found != expected {
            return Err(RleError::Total { height, width, expected, found });
        }
        Ok(Rle { height, width, counts: decoded })
    }

    /// Number of foreground pixels.
    pub fn area(&self) -> u64 {
        self.counts.iter().skip(1).step_by(2).map(|&count| u64::from(count)).sum()
    }

    /// The bounding box `[x, y, width, height]` in pixels, as pycocotools' `toBbox`; zeros where nothing is set.
    ///
    /// The far edge counts whole pixels: one pixel set at (x, y) gives `[x, y, 1, 1]`. Foreground runs of
    /// length zero, which encoders do not write, are ignored.
    pub fn bbox(&self) -> [f32; 4] {
        let height = u64::from(self.height);
        let (mut x0, mut y0, mut x1, mut y1) = (u64::MAX, u64::MAX, 0, 0);
        for (start, end) in self.foreground().filter(|_| height > 0) {
            let (first, last) = (start / height, (end - 1) / height);
            // A run that goes on into the next column touches the bottom of one and the top of the other.
            let (top, bottom) = if first < last { (0, height - 1) } else { (start % height, (end - 1) % height) };
            (x0, x1) = (x0.min(first), x1.max(last));
            (y0, y1) = (y0.min(top), y1.max(bottom));
        }
        if x0 == u64::MAX {
            return [0.0; 4];
        }
        [x0 as f32, y0 as f32, (x1 - x0 + 1) as f32, (y1 - y0 + 1) as f32]
    }

    /// Number of pixels set in both masks. Runs are compared directly, nothing is decoded.
    ///
    /// `None` where the masks differ in size.
    pub fn intersection(&self, other: &Rle) -> Option<u64> {
        if (self.height, self.width) != (other.height, other.width) {
            return None;
        }
        let (mut ours, mut theirs) = (self.foreground(), other.foreground());
        let (mut a, mut b) = (ours.next(), theirs.next());
        let mut area = 0;
        while let (Some(left), Some(right)) = (a, b) {
            area += left.1.min(right.1).saturating_sub(left.0.max(right.0));
            if left.1 <= right.1 {
                a = ours.next();
            } else {
                b = theirs.next();
            }
        }
        Some(area)
    }

    /// Intersection over union, 0..=1, as pycocotools' `iou` without crowds; 0 where both masks are empty.
    ///
    /// `None` where the masks differ in size.
    pub fn iou(&self, other: &Rle) -> Option<f64> {
        let both = self.intersection(other)?;
        let either = self.area() + other.area() - both;
        Some(if either == 0 { 0.0 } else { both as f64 / either as f64 })
    }

    /// The non-empty foreground runs as column-major positions `start..end`.
    pub(crate) fn foreground(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut at = 0u64;
        self.counts.chunks(2).filter_map(move |pair| {
            let start = at + u64::from(pair[0]);
            at = start + u64::from(*pair.get(1).unwrap_or(&0));
            (at > start).then_some((start, at))
        })
    }
}

/// `height * width`, if counts of 32 bits can describe that many.
pub(super) fn pixels(height: u32, width: u32) -> Result<u64, RleError> {
    height.checked_mul(width).map(u64::from).ok_or(RleError::TooLarge { height, width })
}

/// The numbers of compressed counts.
struct Numbers<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Numbers<'_> {
    /// The next number, that of the count at `index`; `None` at the end.
    #[inline]
    fn next(&mut self, index: usize) -> Result<Option<i64>, RleError> {
        let Some(&byte) = self.bytes.get(self.position) else { return Ok(None) };
        let group = byte.wrapping_sub(48);
        if group < 0x20 {
            // A single group, the usual case: five bits with their sign.
            self.position += 1;
            return Ok(Some(i64::from((group << 3) as i8 >> 3)));
        }
        self.long(index).map(Some)
    }

    fn long(&mut self, index: usize) -> Result<i64, RleError> {
        let (mut value, mut shift) = (0i64, 0u32);
        loop {
            let position = self.position;
            let &byte = self.bytes.get(position).ok_or(RleError::Unfinished)?;
            if !(48..48 + 64).contains(&byte) {
                return Err(RleError::Character { byte, position });
            }
            // Seven groups hold any difference of two counts; more could only overflow.
            if shift > 30 {
                return Err(RleError::Count { index, value });
            }
            let group = byte - 48;
            value |= i64::from(group & 0x1f) << shift;
            shift += 5;
            self.position += 1;
            if group & 0x20 == 0 {
                return Ok(if group & 0x10 != 0 { value | -1 << shift } else { value });
            }
        }
    }
}

/// Collects runs from columns of bits.
#[derive(Default)]
struct Runs {
    counts: Vec<u32>,
    /// Whether the open run is foreground: 0 or 1.
    value: u64,
    /// Column-major position where the open run began.
    began: usize,
    /// Column-major position of the next column.
    at: usize,
}

impl Runs {
    /// Appends one column: pixel y is bit `y % 64` of word `y / 64`.
    fn push_column(&mut self, column: &[u64], height: usize) {
        for (index, &word) in column.iter().enumerate() {
            let valid = (height - index * 64).min(64);
            // A set bit marks a pixel that differs from the one before it.
            let mut changes = word ^ (word << 1 | self.value);
            if valid < 64 {
                changes &= (1 << valid) - 1;
            }
            while changes != 0 {
                let position = self.at + index * 64 + changes.trailing_zeros() as usize;
                push(&mut self.counts, (position - self.began) as u32);
                self.began = position;
                changes &= changes - 1;
            }
            self.value = word >> (valid - 1) & 1;
        }
        self.at += height;
    }

    fn finish(mut self) -> Vec<u32> {
        self.counts.push((self.at - self.began) as u32);
        self.counts
    }
}

/// Sets the bits `from..to` of a column.
fn fill(column: &mut [u64], from: usize, to: usize) {
    let (first, last) = (from / 64, (to - 1) / 64);
    let low = u64::MAX << (from % 64);
    let high = u64::MAX >> (63 - (to - 1) % 64);
    if first == last {
        column[first] |= low & high;
    } else {
        column[first] |= low;
        column[first + 1..last].fill(u64::MAX);
        column[last] |= high;
    }
}

/// Transposes a block of 64 x 64 bits: bit j of word i becomes bit i of word j.
///
/// Swaps the off-diagonal quarters of ever smaller squares, 32 pairs of words in each of six rounds.
fn transpose(block: &mut [u64; 64]) {
    let mut half = 32;
    let mut low = u64::MAX >> 32;
    while half > 0 {
        for square in block.chunks_exact_mut(2 * half) {
            let (upper, lower) = square.split_at_mut(half);
            for (above, below) in upper.iter_mut().zip(lower) {
                let swap = (*above >> half ^ *below) & low;
                *above ^= swap << half;
                *below ^= swap;
            }
        }
        half /= 2;
        low ^= low << half;
    }
}
