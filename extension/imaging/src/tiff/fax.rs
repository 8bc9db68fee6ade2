//! Black and white of the fax machines: CCITT Group 3 (of one and two dimensions), Group 4 and their run lengths without
//! ends of lines. The crate `fax` has the tables of codes; its own decoders do not know lines that refer to the line
//! before in Group 3, nor lines without an end.

use std::convert::Infallible;
use std::io;

use fax::maps::{Mode, black, mode, white};
use fax::{BitReader, ByteReader};

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Runs; every line begins on a byte.
    Runs,
    /// Runs, and ends of lines.
    Group3,
    /// The same, where lines may refer to the line before.
    Group3TwoDimensions,
    /// Every line refers to the line before.
    Group4,
}

/// Bytes, and a few zeros behind them: codes are looked up by more bits than they have, also at the end.
struct Source<'a> {
    bytes: &'a [u8],
    zeros: u8,
}

impl Iterator for Source<'_> {
    type Item = Result<u8, Infallible>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some((&byte, rest)) = self.bytes.split_first() {
            self.bytes = rest;
            return Some(Ok(byte));
        }
        self.zeros = self.zeros.checked_sub(1)?;
        Some(Ok(0))
    }
}

/// Lines, of which each bit is a pixel; 1 is black.
pub(super) struct Lines<'a> {
    reader: ByteReader<Source<'a>>,
    scheme: Scheme,
    width: u32,
    /// Where the colour changes in the line before, beginning with white.
    before: Vec<u32>,
}

impl<'a> Lines<'a> {
    /// Lines of `width` pixels.
    pub(super) fn new(bytes: &'a [u8], scheme: Scheme, width: u32) -> Self {
        let Ok(reader) = ByteReader::new(Source { bytes, zeros: 4 });
        Self { reader, scheme, width, before: Vec::new() }
    }

    /// The next line, into as many bytes as it has.
    ///
    /// # Errors
    /// The codes are damaged or end too early.
    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<()> {
        let line = self.line().ok_or_else(|| io::Error::other("a line of the fax codes is damaged"))?;
        out.fill(0);
        for run in line.chunks(2) {
            fill(out, run[0], run.get(1).copied().unwrap_or(self.width));
        }
        self.before = line;
        Ok(())
    }

    fn line(&mut self) -> Option<Vec<u32>> {
        match self.scheme {
            Scheme::Runs => {
                let line = self.one_dimension()?;
                self.reader.consume(self.reader.bits_to_byte_boundary()).ok()?;
                Some(line)
            }
            Scheme::Group3 => {
                self.skip_end_of_line();
                self.one_dimension()
            }
            Scheme::Group3TwoDimensions => {
                if !self.skip_end_of_line() || self.bit()? == 1 {
                    self.one_dimension()
                } else {
                    self.two_dimensions()
                }
            }
            Scheme::Group4 => self.two_dimensions(),
        }
    }

    fn bit(&mut self) -> Option<u16> {
        let bit = self.reader.peek(1)?;
        self.reader.consume(1).ok()?;
        Some(bit)
    }

    /// Skips eleven zeros or more and the one behind them, if that is what comes.
    fn skip_end_of_line(&mut self) -> bool {
        // No run begins with more than seven zeros.
        if self.reader.peek(11) != Some(0) {
            return false;
        }
        while let Some(bit) = self.bit() {
            if bit == 1 {
                return true;
            }
        }
        false
    }

    fn one_dimension(&mut self) -> Option<Vec<u32>> {
        let (mut line, mut at, mut is_black) = (Vec::new(), 0, false);
        while at < self.width {
            self.check(&line)?;
            at = self.run(is_black)?.checked_add(at).filter(|&at| at <= self.width)?;
            line.push(at);
            is_black = !is_black;
        }
        Some(line)
    }

    fn two_dimensions(&mut self) -> Option<Vec<u32>> {
        let (mut line, mut at, mut is_black) = (Vec::new(), 0, false);
        let (mut start, mut seen) = (true, 0usize);
        while at < self.width {
            self.check(&line)?;
            // The first change to the other colour in the line before that lies behind `at`, and the one after it.
            while self.before.get(seen).is_some_and(|&change| change < at || (change == at && !start)) {
                seen += 1;
            }
            let other = seen + usize::from(seen % 2 != usize::from(is_black));
            let change = |index: usize| self.before.get(index).copied().unwrap_or(self.width);
            let (first, second) = (change(other), change(other + 1));
            match mode::decode(&mut self.reader)? {
                Mode::Pass => at = second,
                Mode::Horizontal => {
                    for is_black in [is_black, !is_black] {
                        at = self.run(is_black)?.checked_add(at).filter(|&at| at <= self.width)?;
                        line.push(at);
                    }
                }
                Mode::Vertical(by) => {
                    at = first.checked_add_signed(by.into()).filter(|&to| (at..=self.width).contains(&to))?;
                    line.push(at);
                    is_black = !is_black;
                }
                Mode::Extension | Mode::EOF => return None,
            }
            start = false;
        }
        Some(line)
    }

    /// A line has no more changes than pixels, but for empty runs at its ends.
    fn check(&self, line: &[u32]) -> Option<()> {
        (line.len() <= self.width as usize + 2).then_some(())
    }

    /// The length of a run: codes of multiples of 64, then one of less.
    fn run(&mut self, is_black: bool) -> Option<u32> {
        let mut length = 0u32;
        loop {
            let part = if is_black { black::decode(&mut self.reader) } else { white::decode(&mut self.reader) }?;
            length += u32::from(part);
            if part < 64 {
                return Some(length);
            }
            if length > self.width + 64 {
                return None;
            }
        }
    }
}

/// Sets the bits from `start` to before `end`.
fn fill(out: &mut [u8], start: u32, end: u32) {
    let (start, end) = (start as usize, (end as usize).min(out.len() * 8));
    if start >= end {
        return;
    }
    let (first, last) = (start / 8, (end - 1) / 8);
    let (from, to) = (0xffu8 >> (start % 8), 0xffu8 << (7 - (end - 1) % 8));
    if first == last {
        out[first] |= from & to;
        return;
    }
    out[first] |= from;
    out[first + 1..last].fill(0xff);
    out[last] |= to;
}
