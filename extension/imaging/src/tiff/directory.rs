//! The directories of a TIFF, which are also what EXIF is made of.
//!
//! Everything is looked up in the bytes of the file when it is asked for. A list that a file claims to have must lie
//! inside it, so that nothing here costs more than the file is long.

use std::collections::HashSet;

/// The tag of the orientation.
pub(crate) const ORIENTATION: u16 = 274;

/// Most directories that are counted.
const MAX_DIRECTORIES: usize = 65_535;

/// A file, or a block of EXIF.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File<'a> {
    pub bytes: &'a [u8],
    pub big_endian: bool,
    /// BigTIFF: offsets of 8 bytes.
    big: bool,
}

/// The entries of a directory: 12 or 20 bytes each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Directory<'a> {
    file: File<'a>,
    entries: &'a [u8],
}

/// The values of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a> {
    file: File<'a>,
    kind: u16,
    bytes: &'a [u8],
}

impl<'a> File<'a> {
    /// A file by its first bytes.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        let (big_endian, big) = match bytes {
            // The second form of each is wrong, but written by some.
            [b'I', b'I', 42, 0, ..] | [b'I', b'I', 0, 42, ..] => (false, false),
            [b'I', b'I', 43, 0, ..] => (false, true),
            [b'M', b'M', 0, 42, ..] | [b'M', b'M', 42, 0, ..] => (true, false),
            [b'M', b'M', 0, 43, ..] => (true, true),
            _ => return None,
        };
        Some(Self { bytes, big_endian, big })
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, &byte: &u8| sum << 8 | u64::from(byte);
        if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    }

    fn at(&self, offset: u64, length: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(offset).ok()?;
        self.bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)
    }

    fn offset(&self, at: u64) -> Option<u64> {
        self.at(at, if self.big { 8 } else { 4 }).map(|bytes| self.number(bytes))
    }

    /// The directory at `offset`, and where the next one is: 0 where there is none, `None` where the file ends before it
    /// says so. Entries that a truncated file has lost are left out.
    fn directory(&self, offset: u64) -> Option<(Directory<'a>, Option<u64>)> {
        let (count_bytes, entry_bytes) = if self.big { (8, 20) } else { (2, 12) };
        let count = self.number(self.at(offset, count_bytes)?);
        let (start, length) = (offset + count_bytes, count.checked_mul(entry_bytes)?);
        let next = start.checked_add(length).and_then(|end| self.offset(end));
        let entries = match self.at(start, length) {
            Some(entries) => entries,
            None => self.bytes.get(usize::try_from(start).ok()?..)?,
        };
        Some((Directory { file: *self, entries }, next))
    }

    /// The directories of pages: overviews, thumbnails and masks are pictures that belong to another. Where there is nothing
    /// else the first directory is the page.
    pub(crate) fn pages(&self) -> impl Iterator<Item = Directory<'a>> {
        let mut pages = self.directories().filter(|directory| !directory.belongs_to_another()).peekable();
        let only = if pages.peek().is_none() { self.first() } else { None };
        pages.chain(only)
    }

    /// The first directory.
    pub(crate) fn first(&self) -> Option<Directory<'a>> {
        self.directories().next()
    }

    /// The directories, in the order in which they are chained. A chain that comes back to itself ends there.
    pub(crate) fn directories(&self) -> Chain<'a> {
        let first = self.offset(if self.big { 8 } else { 4 }).unwrap_or(0);
        Chain { file: *self, next: first, seen: HashSet::new(), fault: None }
    }

    /// Why there may be more directories than are found, if so.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let mut chain = self.directories();
        chain.by_ref().for_each(drop);
        chain.fault
    }
}

/// What is wrong with a chain of directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The next directory should be at this place, outside the file.
    Outside(u64),
    /// The file ends in the directory at this place.
    Cut(u64),
    /// The next directory is one that was there before, at this place.
    Loop(u64),
    /// There are more than are counted.
    TooMany(usize),
}

/// The directories of a file, one after the other.
pub(crate) struct Chain<'a> {
    file: File<'a>,
    next: u64,
    seen: HashSet<u64>,
    fault: Option<Fault>,
}

impl<'a> Iterator for Chain<'a> {
    type Item = Directory<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let place = std::mem::take(&mut self.next);
        if place == 0 {
            return None;
        }
        if self.seen.contains(&place) {
            self.fault = Some(Fault::Loop(place));
        } else if self.seen.len() >= MAX_DIRECTORIES {
            self.fault = Some(Fault::TooMany(MAX_DIRECTORIES));
        } else if let Some((directory, next)) = self.file.directory(place) {
            self.seen.insert(place);
            self.next = next.unwrap_or(0);
            if next.is_none() {
                self.fault = Some(Fault::Cut(place));
            }
            return Some(directory);
        } else {
            self.fault = Some(Fault::Outside(place));
        }
        None
    }
}

impl<'a> Directory<'a> {
    /// Whether it is said to be a picture of reduced size, or a mask, of another one.
    fn belongs_to_another(&self) -> bool {
        const REDUCED: u64 = 1;
        const MASK: u64 = 4;
        const OLD_REDUCED: u64 = 2;
        /// Entries are sorted by their tags, and these are the lowest two. A file may have very many of very many entries.
        const LOOKED_AT: usize = 16;
        let (entry_bytes, value) = if self.file.big { (20, 12) } else { (12, 8) };
        let mut entries = self.entries.chunks_exact(entry_bytes).take(LOOKED_AT);
        entries.any(|entry| {
            let [tag, kind] = [&entry[..2], &entry[2..4]].map(|bytes| self.file.number(bytes));
            let number = |bytes: usize| self.file.number(&entry[value..value + bytes]);
            let said = match kind {
                3 => number(2),
                4 => number(4),
                _ => 0,
            };
            match tag {
                254 => said & (REDUCED | MASK) != 0,
                255 => said == OLD_REDUCED,
                _ => false,
            }
        })
    }

    /// Whether a tag is there, but its values lie outside the file: it was cut, and what the tag stands for without values
    /// would be a guess.
    pub(crate) fn has_lost(&self, tag: u16) -> bool {
        let entry_bytes = if self.file.big { 20 } else { 12 };
        let mut entries = self.entries.chunks_exact(entry_bytes);
        entries.any(|entry| self.file.number(&entry[..2]) == u64::from(tag)) && self.values(tag).is_none()
    }

    /// The values with a tag; `None` where there are none, or where they lie outside the file.
    pub(crate) fn values(&self, tag: u16) -> Option<Values<'a>> {
        let file = &self.file;
        let (entry_bytes, inline) = if file.big { (20, 8) } else { (12, 4) };
        // Of several with one tag Pillow takes the last.
        let mut entries = self.entries.chunks_exact(entry_bytes);
        let entry = entries.rfind(|entry| file.number(&entry[..2]) == u64::from(tag))?;
        let kind = file.number(&entry[2..4]) as u16;
        let (count, value) = entry[4..].split_at(inline);
        let length = file.number(count).checked_mul(size(kind)?)?;
        let bytes = match length <= inline as u64 {
            true => &value[..length as usize],
            false => file.at(file.number(value), length)?,
        };
        Some(Values { file: *file, kind, bytes })
    }

    /// The first value with a tag, as a whole number.
    pub(crate) fn number(&self, tag: u16) -> Option<u64> {
        self.values(tag)?.get(0)
    }

    /// The directories that a tag points to.
    pub(crate) fn children(&self, tag: u16) -> impl Iterator<Item = Directory<'a>> {
        let (file, values) = (self.file, self.values(tag));
        // The sub-directories of one directory: a few.
        let offsets =
            values.into_iter().flat_map(|values| (0..values.len().min(64)).filter_map(move |i| values.get(i)));
        offsets.filter_map(move |offset| file.directory(offset).map(|(directory, _)| directory))
    }
}

impl<'a> Values<'a> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() / size(self.kind).unwrap_or(1) as usize
    }

    /// Value `index`, if it is a whole number.
    pub(crate) fn get(&self, index: usize) -> Option<u64> {
        let size = size(self.kind)? as usize;
        let bytes = self.bytes.get(index.checked_mul(size)?..)?.get(..size)?;
        match self.kind {
            1 | 3 | 4 | 6..=9 | 13 | 16..=18 => Some(self.file.number(bytes)),
            _ => None,
        }
    }

    /// The first value, if it is a whole number (but no BYTE, which Pillow takes for bytes), or a fraction that is one.
    pub(crate) fn orientation(&self) -> Option<u64> {
        match self.kind {
            3 | 4 | 6 | 8 | 9 | 13 | 16 => self.get(0),
            5 => self.fraction(0).filter(|value| value.fract() == 0.0).map(|value| value as u64),
            _ => None,
        }
    }

    /// Value `index`, if it is a fraction of two whole numbers or a whole number.
    pub(crate) fn fraction(&self, index: usize) -> Option<f32> {
        match self.kind {
            5 => {
                let bytes = self.bytes.get(index.checked_mul(8)?..)?.get(..8)?;
                let [over, under] = [&bytes[..4], &bytes[4..]].map(|half| self.file.number(half));
                (under != 0).then(|| over as f32 / under as f32)
            }
            _ => self.get(index).map(|value| value as f32),
        }
    }

    /// Value `index`, if it is a floating-point number.
    pub(crate) fn double(&self, index: usize) -> Option<f64> {
        let bytes = |size: usize| self.bytes.get(index.checked_mul(size)?..)?.get(..size);
        match self.kind {
            11 => Some(f32::from_bits(self.file.number(bytes(4)?) as u32).into()),
            12 => Some(f64::from_bits(self.file.number(bytes(8)?))),
            _ => None,
        }
    }

    /// The values as they stand in the file.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Bytes of a value.
fn size(kind: u16) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_end() {
        // Two directories without entries, the second leading back to the first, and one that leads to itself.
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        bytes.extend([0, 0, 14, 0, 0, 0, 0, 0, 8, 0, 0, 0]);
        assert_eq!(File::new(&bytes).unwrap().directories().count(), 2);
        bytes[10] = 8;
        assert_eq!(File::new(&bytes).unwrap().directories().count(), 1);
        assert!(File::new(b"II*\0\xff\xff\xff\xff").unwrap().first().is_none());
    }

    #[test]
    fn chains_that_break_are_told() {
        // Two directories without entries; the file ends behind the second.
        let whole = [&b"II*\0\x08\0\0\0"[..], &[0, 0, 14, 0, 0, 0], &[0, 0, 0, 0, 0, 0]].concat();
        let fault = |bytes: &[u8]| File::new(bytes).unwrap().fault();
        assert_eq!(fault(&whole), None);
        let faults: Vec<_> = (8..20).map(|length| fault(&whole[..length]).unwrap()).collect();
        let expected = [(Fault::Outside(8), 2), (Fault::Cut(8), 4), (Fault::Outside(14), 2), (Fault::Cut(14), 4)];
        let expected = expected.into_iter().flat_map(|(fault, bytes)| std::iter::repeat_n(fault, bytes));
        assert_eq!(faults, expected.collect::<Vec<_>>());
        let mut round = whole.clone();
        round[16] = 8;
        assert_eq!(fault(&round), Some(Fault::Loop(8)));
    }

    #[test]
    fn overviews_and_masks_are_no_pages() {
        // Directories of one entry, chained: a tag and a value of 32 bits.
        let file = |entries: &[(u16, u32)]| {
            let mut bytes = b"II*\0\x08\0\0\0".to_vec();
            for (index, (tag, value)) in entries.iter().enumerate() {
                let next = if index + 1 < entries.len() { bytes.len() as u32 + 18 } else { 0 };
                let entry = [&1u16.to_le_bytes()[..], &tag.to_le_bytes(), &4u16.to_le_bytes(), &1u32.to_le_bytes()];
                bytes.extend(entry.concat());
                bytes.extend([value.to_le_bytes(), next.to_le_bytes()].concat());
            }
            bytes
        };
        let pages = |entries: &[(u16, u32)]| -> Vec<u64> {
            let bytes = file(entries);
            let file = File::new(&bytes).unwrap();
            assert_eq!(file.directories().count(), entries.len());
            file.pages().map(|page| page.number(254).or(page.number(256)).unwrap_or(99)).collect()
        };
        assert_eq!(pages(&[(256, 10), (254, 1), (254, 4), (254, 5), (256, 20)]), [10, 20]);
        // Pages of a document, and what older writers say.
        assert_eq!(pages(&[(254, 2), (254, 0), (255, 2), (255, 1)]), [2, 0, 99]);
        assert_eq!(pages(&[(254, 1), (256, 10)]), [10]);
        assert_eq!(pages(&[(254, 1)]), [1]);
    }
}
