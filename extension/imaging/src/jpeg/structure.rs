//! The segments of a JPEG: what decoding it takes, and its metadata, before a decoder sees it.

use crate::error::ImageError;
use crate::format::Format;

/// What to do about a JPEG that is not decoded.
const REMEDY: &str = "save it as an ordinary JPEG (8 bits, baseline or progressive) or as PNG";

/// What one visit of a block of 64 coefficients costs, as bytes: it takes as long as to write so many.
const BYTES_PER_VISIT: u64 = 16;

/// What the segments say.
#[derive(Debug, Default)]
pub(super) struct Structure<'a> {
    /// The first block of EXIF.
    pub exif: Option<&'a [u8]>,
    /// The last block of XMP.
    pub xmp: Option<&'a [u8]>,
    /// Whether there is an end of the image behind its first scan. Before it, thumbnails may have one of their own.
    pub has_end: bool,
    frame: Option<Frame>,
    /// Whether there is a segment of JFIF.
    jfif: bool,
    /// The transform in Adobe's segment, and where in the file it stands.
    adobe: Option<(u8, usize)>,
    /// Visits of blocks, over all scans.
    visits: u64,
    scans: u32,
}

#[derive(Debug)]
struct Frame {
    marker: u8,
    precision: u8,
    components: Vec<Component>,
}

#[derive(Debug)]
struct Component {
    id: u8,
    /// Blocks of 8 x 8 samples, those outside the picture included.
    blocks: u64,
}

impl<'a> Structure<'a> {
    /// Reads the segments before the first scan.
    pub(super) fn head(bytes: &'a [u8]) -> Self {
        Self::read(bytes, 1)
    }

    /// Reads all segments. What is irregular is passed over: it is the decoder that judges.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self::read(bytes, u32::MAX)
    }

    fn read(bytes: &'a [u8], scans: u32) -> Self {
        let mut found = Self::default();
        let mut rest = bytes.get(2..).unwrap_or_default();
        while found.scans < scans
            && let Some(at) = next_marker(rest)
        {
            let marker = rest[at + 1];
            rest = &rest[at + 2..];
            match marker {
                0xd9 if found.scans > 0 => {
                    found.has_end = true;
                    break;
                }
                // Begin and end of images, restarts: no segments.
                0xd0..=0xd9 | 0x01 => continue,
                _ => (),
            }
            let Some(length) = rest.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length))) else { break };
            let Some(segment) = rest.get(2..length.max(2)) else { break };
            found.segment(marker, segment, bytes.len() - rest.len() + 2);
            rest = &rest[length.max(2)..];
        }
        found
    }

    /// Takes in a segment that stands `at` in the file.
    fn segment(&mut self, marker: u8, segment: &'a [u8], at: usize) {
        match marker {
            0xe0 if segment.starts_with(b"JFIF\0") => self.jfif = true,
            0xee if segment.starts_with(b"Adobe") && segment.len() >= 12 => self.adobe = Some((segment[11], at + 11)),
            0xe1 if self.scans == 0 => {
                if segment.starts_with(b"Exif\0\0") {
                    self.exif = self.exif.or(Some(segment));
                } else if let Some(xmp) = segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
                    self.xmp = Some(xmp);
                }
            }
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) && self.frame.is_none() => {
                self.frame = Frame::of(marker, segment);
            }
            0xda => {
                self.scans += 1;
                let Some(frame) = &self.frame else { return };
                let count = usize::from(segment.first().copied().unwrap_or(0));
                for id in segment.iter().skip(1).step_by(2).take(count) {
                    let component = frame.components.iter().find(|component| component.id == *id);
                    self.visits += component.map_or(0, |component| component.blocks);
                }
            }
            _ => (),
        }
    }

    /// Refuses what the decoder does not know, by its name.
    pub(super) fn check_supported(&self) -> Result<(), ImageError> {
        let Some(frame) = &self.frame else { return Ok(()) };
        let coding = match frame.marker {
            0xc0..=0xc2 => None,
            0xc3 | 0xcb => Some("lossless coding"),
            0xc9 | 0xca => Some("arithmetic coding"),
            _ => Some("hierarchical coding"),
        };
        match (coding, frame.precision) {
            (Some(coding), _) => Err(unsupported(coding)),
            (None, 8) => Ok(()),
            (None, precision) => Err(unsupported(format!("samples of {precision} bits"))),
        }
    }

    /// Components of a pixel.
    pub(super) fn channels(&self) -> u32 {
        self.frame.as_ref().map_or(0, |frame| frame.components.len() as u32)
    }

    /// What has to be changed for zune-jpeg to see the colours that libjpeg sees: which byte of Adobe's segment, and what
    /// it has to be; or a segment that is missing, as `None`.
    ///
    /// Three components are YCbCr if there is a segment of JFIF; else by Adobe's transform, 0 for RGB and anything but 1
    /// taken for 1; else RGB if they are called so. Four are CMYK without Adobe's segment or with 0 in it, else YCCK.
    pub(super) fn colours(&self) -> Option<(Option<usize>, u8)> {
        let names: Vec<u8> = self.frame.as_ref()?.components.iter().map(|component| component.id).collect();
        let (wanted, place) = match (names.as_slice(), self.adobe) {
            ([_, _, _], Some((_, at))) if self.jfif => (1, Some(at)),
            ([_, _, _], Some((transform, at))) => (transform.min(1), Some(at)),
            (b"RGB", None) if !self.jfif => (0, None),
            ([_, _, _, _], Some((transform, at))) => (if transform == 0 { 0 } else { 2 }, Some(at)),
            _ => return None,
        };
        (self.adobe.map(|(transform, _)| transform) != Some(wanted)).then_some((place, wanted))
    }

    /// Bytes that the coefficients of the whole picture take, where the decoder has to keep them.
    pub(super) fn coefficient_bytes(&self) -> u64 {
        match &self.frame {
            Some(frame) if frame.marker == 0xc2 || self.scans > 1 => {
                frame.components.iter().map(|component| component.blocks * 128).sum()
            }
            _ => 0,
        }
    }

    /// The work of scans after the first, as bytes.
    pub(super) fn scan_work(&self) -> u64 {
        if self.scans > 1 { self.visits.saturating_mul(BYTES_PER_VISIT) } else { 0 }
    }
}

impl Frame {
    fn of(marker: u8, segment: &[u8]) -> Option<Self> {
        let [precision, h1, h0, w1, w0, count, components @ ..] = segment else { return None };
        let (width, height) = (u64::from(u16::from_be_bytes([*w1, *w0])), u64::from(u16::from_be_bytes([*h1, *h0])));
        let components = components.as_chunks::<3>().0;
        let components = &components[..components.len().min(usize::from(*count))];
        let factors = |&[_, factors, _]: &[u8; 3]| [u64::from(factors >> 4).max(1), u64::from(factors & 15).max(1)];
        let most = |axis: usize| components.iter().map(|component| factors(component)[axis]).max().unwrap_or(1);
        let units = [width.div_ceil(8 * most(0)), height.div_ceil(8 * most(1))];
        let component = |component: &[u8; 3]| {
            let [across, down] = factors(component);
            Component { id: component[0], blocks: units[0] * across * units[1] * down }
        };
        Some(Self { marker, precision: *precision, components: components.iter().map(component).collect() })
    }
}

/// A JPEG that is sound, and not decoded.
pub(super) fn unsupported(reason: impl Into<String>) -> ImageError {
    Format::Jpeg.unsupported(reason, REMEDY)
}

/// Where the next marker begins: 0xff, and a byte that is neither a stuffed 0 nor one more 0xff.
fn next_marker(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr(0xff, &bytes[from..])?;
        match bytes.get(at + 1)? {
            0 | 0xff => from = at + 1,
            _ => return Some(at),
        }
    }
}
