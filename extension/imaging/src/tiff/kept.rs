//! What is kept of a page beside its samples, so that they can be written again as they are.

use super::directory::Directory;
use super::layout::{Layout, is_compressed};
use super::tags::{EXTRA_SAMPLES, NO_DATA, PHOTOMETRIC};
use crate::pixels::{Colours, Pixels, Stored};

/// What is said of the samples of a page, so that it can be written again.
#[derive(Clone, Debug)]
pub(crate) struct Tags {
    pub photometric: u16,
    /// What the samples behind the colours are.
    pub extra: Vec<u16>,
    /// What stands for "no data", as the file has it.
    pub no_data: Option<String>,
    pub is_compressed: bool,
    /// Whether the first three are red, green and blue.
    pub has_colours: bool,
    /// Whether they are levels of grey or of colours, and alpha, from black to white and with nothing else to be said.
    pub is_plain: bool,
}

impl Tags {
    /// What is said of them, where there is more in them than the levels of 8 bits that are shown.
    pub(super) fn of(layout: &Layout<'_>, directory: &Directory<'_>) -> Option<Self> {
        if !matches!(layout.colours, Colours::Grey | Colours::Rgb) {
            return None;
        }
        let (colours, stored) = (layout.colours.channels(), Stored::for_type(layout.sample)?);
        let has_more = layout.samples > colours + usize::from(layout.alpha.is_some());
        // Pictures that are shown have no grey with alpha.
        let is_shown = stored == Stored::U8 && !(layout.alpha.is_some() && matches!(layout.colours, Colours::Grey));
        if is_shown && !has_more && layout.no_data.is_none() {
            return None;
        }
        let photometric = match directory.number(PHOTOMETRIC) {
            Some(2) => 2,
            None if layout.samples >= 3 => 2,
            _ => u16::from(!layout.inverted),
        };
        let count = layout.samples.saturating_sub(if photometric == 2 { 3 } else { 1 });
        let said = directory.values(EXTRA_SAMPLES);
        let before = said.map_or(0, |said| count.saturating_sub(said.len()));
        let extra = |index: usize| said.and_then(|said| said.get(index.checked_sub(before)?)).unwrap_or(0) as u16;
        let no_data = layout.no_data.and_then(|_| directory.values(NO_DATA)).map(|text| {
            String::from_utf8_lossy(text.bytes()).trim_matches(|at: char| at == '\0' || at.is_whitespace()).to_string()
        });
        let has_levels = layout.alpha.is_none_or(|alpha| alpha == colours) && !has_more;
        Some(Self {
            photometric,
            has_colours: matches!(layout.colours, Colours::Rgb),
            extra: (0..count).map(extra).collect(),
            is_plain: has_levels && no_data.is_none() && !layout.premultiplied && !layout.inverted,
            no_data,
            is_compressed: is_compressed(directory),
        })
    }

    /// The same for levels of grey or of colours, with or without alpha.
    pub(crate) fn of_levels(pixels: &Pixels) -> Self {
        let has_colours = matches!(pixels.colours, Colours::Rgb);
        Self {
            photometric: if has_colours { 2 } else { 1 },
            extra: vec![2; usize::from(pixels.alpha)],
            no_data: None,
            is_compressed: true,
            has_colours,
            is_plain: true,
        }
    }
}
