//! A bit for each pixel.
//!
//! Bits are packed in rows because masks are produced row by row, and in 64-bit words because the column-major run
//! lengths that COCO asks for then come from transposing 64 x 64 blocks ([`crate::Rle`]).

use crate::memory::{NoMemory, zeroed};

/// A binary mask of `height` x `width` pixels.
///
/// Row-major; a row is `width / 64` words, rounded up: pixel `x` is bit `x % 64` of word `x / 64`, and the bits past
/// `width` are zero.
#[derive(Clone, PartialEq, Eq)]
pub struct Mask {
    width: u32,
    height: u32,
    words: Vec<u64>,
}

impl Mask {
    /// A mask without any pixel set.
    ///
    /// # Panics
    /// If the mask would have more than `u32::MAX` pixels, which run lengths of 32 bits cannot describe; without memory, as
    /// [`NoMemory::raise`].
    pub fn new(width: u32, height: u32) -> Self {
        Mask::try_new(width, height).unwrap_or_else(|error| error.raise())
    }

    /// The same where there is memory for it.
    ///
    /// # Panics
    /// As [`Mask::new`].
    pub fn try_new(width: u32, height: u32) -> Result<Self, NoMemory> {
        assert!(width.checked_mul(height).is_some(), "a mask of {width} x {height} pixels has more than 2^32");
        Ok(Mask { width, height, words: zeroed((width as usize).div_ceil(64) * height as usize)? })
    }

    /// From `height` rows of `width` bytes, row-major; every byte but 0 is foreground.
    ///
    /// # Panics
    /// As [`Mask::from_values`].
    pub fn from_bytes(width: u32, height: u32, pixels: &[u8]) -> Self {
        Mask::from_values(width, height, pixels, |byte| byte != 0)
    }

    /// From `height` rows of `width` values, row-major; those for which `set` holds are foreground.
    ///
    /// # Panics
    /// If `values.len()` is not `width * height`.
    #[inline]
    pub fn from_values<T: Copy>(width: u32, height: u32, values: &[T], set: impl Fn(T) -> bool) -> Self {
        assert_eq!(values.len() as u64, u64::from(width) * u64::from(height), "values of a mask");
        let mut mask = Mask::new(width, height);
        if width > 0 {
            for (y, row) in values.chunks_exact(width as usize).enumerate() {
                pack(row, mask.row_mut(y), |&value| set(value));
            }
        }
        mask
    }

    /// From rows of equal length; every byte but 0 is foreground. The width is the first row's.
    ///
    /// # Panics
    /// If the rows differ in length.
    pub fn from_rows<R: AsRef<[u8]>>(rows: &[R]) -> Self {
        let width = rows.first().map_or(0, |row| row.as_ref().len());
        let side = |n: usize| u32::try_from(n).expect("the side of a mask fits 32 bits");
        let mut mask = Mask::new(side(width), side(rows.len()));
        for (y, row) in rows.iter().enumerate() {
            assert_eq!(row.as_ref().len(), width, "row {y} of a mask");
            pack(row.as_ref(), mask.row_mut(y), |&byte| byte != 0);
        }
        mask
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Whether pixel (`x`, `y`) is foreground.
    ///
    /// # Panics
    /// If the pixel lies outside the mask.
    pub fn get(&self, x: u32, y: u32) -> bool {
        assert!(x < self.width && y < self.height, "pixel ({x}, {y}) of a {} x {} mask", self.width, self.height);
        self.row(y as usize)[x as usize / 64] >> (x % 64) & 1 == 1
    }

    /// Number of foreground pixels.
    pub fn area(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// One byte per pixel, 0 or 1, row-major: `height * width` of them.
    ///
    /// # Panics
    /// Without memory.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.try_to_bytes().unwrap_or_else(|error| error.raise())
    }

    /// The same where there is memory for it.
    pub fn try_to_bytes(&self) -> Result<Vec<u8>, NoMemory> {
        let width = self.width as usize;
        let mut bytes = zeroed(width * self.height as usize)?;
        for (y, row) in bytes.chunks_exact_mut(width.max(1)).enumerate() {
            for (bytes, &word) in row.chunks_mut(64).zip(self.row(y)) {
                let expanded: [u8; 64] = std::array::from_fn(|bit| (word >> bit & 1) as u8);
                bytes.copy_from_slice(&expanded[..bytes.len()]);
            }
        }
        Ok(bytes)
    }

    /// Writes `height * width` values, row-major: 1 for foreground, 0 for background.
    ///
    /// # Panics
    /// If `values` has another length.
    pub fn write_floats(&self, values: &mut [f32]) {
        assert_eq!(values.len() as u64, u64::from(self.width) * u64::from(self.height), "values of a mask");
        for (y, row) in values.chunks_exact_mut((self.width as usize).max(1)).enumerate() {
            for (values, &word) in row.chunks_mut(64).zip(self.row(y)) {
                // All 64 at once where there are 64: a loop that the compiler vectorises.
                let expanded: [f32; 64] = std::array::from_fn(|bit| f32::from((word >> bit & 1) as u8));
                values.copy_from_slice(&expanded[..values.len()]);
            }
        }
    }

    /// The pixels whose four neighbours are foreground too; outside is background.
    ///
    /// # Errors
    /// There is no memory for them.
    pub(crate) fn eroded(&self) -> Result<Mask, NoMemory> {
        let mut eroded = self.try_clone()?;
        let none = vec![0; self.words_per_row()];
        for y in 0..self.height as usize {
            let above = if y == 0 { &none[..] } else { self.row(y - 1) };
            let below = if y + 1 == self.height as usize { &none[..] } else { self.row(y + 1) };
            let row = self.row(y);
            for (index, word) in eroded.row_mut(y).iter_mut().enumerate() {
                let before = if index == 0 { 0 } else { row[index - 1] >> 63 };
                let after = row.get(index + 1).map_or(0, |next| next << 63);
                *word &= above[index] & below[index] & (row[index] << 1 | before) & (row[index] >> 1 | after);
            }
        }
        Ok(eroded)
    }

    fn try_clone(&self) -> Result<Mask, NoMemory> {
        let mut copy = Mask::try_new(self.width, self.height)?;
        copy.words.copy_from_slice(&self.words);
        Ok(copy)
    }

    /// Words in a row.
    pub(crate) fn words_per_row(&self) -> usize {
        (self.width as usize).div_ceil(64)
    }

    /// The words of row `y`: pixel `x` is bit `x % 64` of word `x / 64`.
    ///
    /// # Panics
    /// If `y` lies outside the mask.
    pub fn row(&self, y: usize) -> &[u64] {
        let words = self.words_per_row();
        &self.words[y * words..][..words]
    }

    pub(crate) fn row_mut(&mut self, y: usize) -> &mut [u64] {
        let words = self.words_per_row();
        &mut self.words[y * words..][..words]
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mask({} x {}, {} set)", self.width, self.height, self.area())
    }
}

/// Builds a [`Mask`] from rows of logits, in any order; rows that are never pushed stay background.
///
/// ```
/// let mut builder = sam_imaging::MaskBuilder::new(3, 2);
/// builder.push_row(1, &[-1.5, 0.0, 2.5], 0.0);
/// assert_eq!(builder.finish().to_bytes(), [0, 0, 0, 0, 0, 1]);
/// ```
pub struct MaskBuilder {
    mask: Mask,
}

impl MaskBuilder {
    /// A builder for a mask of `width` x `height` pixels.
    ///
    /// # Panics
    /// As [`Mask::new`].
    pub fn new(width: u32, height: u32) -> Self {
        MaskBuilder { mask: Mask::new(width, height) }
    }

    /// Sets row `y` to `logits > threshold`, the comparison SAM makes; a NaN is background.
    ///
    /// # Panics
    /// If `y` lies outside the mask or `logits` is not one value per column.
    pub fn push_row(&mut self, y: u32, logits: &[f32], threshold: f32) {
        assert!(y < self.mask.height, "row {y} of a mask of height {}", self.mask.height);
        assert_eq!(logits.len(), self.mask.width as usize, "logits in a row of the mask");
        pack(logits, self.mask.row_mut(y as usize), |&logit| logit > threshold);
    }

    /// The mask.
    pub fn finish(self) -> Mask {
        self.mask
    }
}

/// Packs `set(value)` of every value into bits. `words` has one word per 64 values begun.
#[inline]
fn pack<T>(values: &[T], words: &mut [u64], set: impl Fn(&T) -> bool) {
    for (chunk, word) in values.chunks(64).zip(words) {
        // Compare into bytes first: that loop vectorises, a loop that shifts bits does not.
        let mut flags = [0u8; 64];
        for (flag, value) in flags.iter_mut().zip(chunk) {
            *flag = u8::from(set(value));
        }
        *word = flags.as_chunks::<8>().0.iter().rev().fold(0, |bits, eight| bits << 8 | gather(*eight));
    }
}

/// Eight flags of 0 or 1 to eight bits, the first lowest: the product moves flag i to bit 56 + i without carries.
#[inline]
fn gather(flags: [u8; 8]) -> u64 {
    u64::from_le_bytes(flags).wrapping_mul(0x0102_0408_1020_4080) >> 56
}
