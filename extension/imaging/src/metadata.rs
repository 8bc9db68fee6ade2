//! Where formats keep the orientation of a picture: EXIF, in its several places, and XMP. As Pillow 12 finds it:
//! EXIF first, then XMP if EXIF says nothing of an orientation.

use std::io::Read;

use crate::tiff::directory::{File, ORIENTATION};

/// Most bytes of a text in a PNG that are looked at when they are unpacked, as in Pillow.
const MAX_TEXT: u64 = 1 << 20;

/// The orientation, 1..=8, by a block of EXIF, with or without its `Exif\0\0`, or else by XMP; 1 where both are silent.
pub(crate) fn orientation(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> u8 {
    let value = exif.and_then(of_exif).or_else(|| of_xmp(xmp?)).unwrap_or(1);
    u8::try_from(value).ok().filter(|value| (1..=8).contains(value)).unwrap_or(1)
}

fn of_exif(mut exif: &[u8]) -> Option<u64> {
    while let Some(rest) = exif.strip_prefix(b"Exif\0\0") {
        exif = rest;
    }
    File::new(exif)?.first()?.values(ORIENTATION)?.orientation()
}

/// `tiff:Orientation="6"` or `<tiff:Orientation>6`.
fn of_xmp(xmp: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"tiff:Orientation";
    let values = xmp.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME);
    values.into_iter().find_map(|(at, _)| {
        let rest = &xmp[at + NAME.len()..];
        match rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))? {
            [digit @ b'0'..=b'9', ..] => Some(u64::from(digit - b'0')),
            _ => None,
        }
    })
}

/// The orientation of a PNG: its chunk eXIf, the text in which ImageMagick kept EXIF before there was one, or XMP. They
/// may stand behind the pixels, where decoders that read only the header miss them.
pub(crate) fn of_png(bytes: &[u8]) -> u8 {
    const PROFILE: &[u8] = b"Raw profile type exif";
    const XMP: &[u8] = b"XML:com.adobe.xmp";
    let (mut exif, mut profile, mut xmp) = (None, None, None);
    for (name, data) in png_chunks(bytes) {
        match &name {
            b"eXIf" => exif = Some(data),
            b"tEXt" | b"zTXt" | b"iTXt" if data.starts_with(PROFILE) => {
                profile = png_text(name, data, PROFILE).or(profile)
            }
            b"tEXt" | b"zTXt" | b"iTXt" if data.starts_with(XMP) => xmp = png_text(name, data, XMP).or(xmp),
            _ => (),
        }
    }
    let profile = if exif.is_none() { profile.map(|text| unhex(&text)) } else { None };
    orientation(exif.or(profile.as_deref()), xmp.as_deref())
}

/// The chunks of a PNG, names and data.
pub(crate) fn png_chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, body) = rest.split_first_chunk::<4>()?;
        let (name, body) = body.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        let data = body.get(..length)?;
        rest = body.get(length.saturating_add(4)..).unwrap_or_default();
        Some((*name, data))
    })
}

/// The text of a chunk whose keyword it begins with.
fn png_text(name: [u8; 4], data: &[u8], keyword: &[u8]) -> Option<Vec<u8>> {
    let rest = data.strip_prefix(keyword)?.strip_prefix(b"\0")?;
    match (&name, rest) {
        (b"tEXt", text) => Some(text.to_vec()),
        (b"zTXt", [0, packed @ ..]) => inflate(packed),
        (b"iTXt", [is_packed, 0, rest @ ..]) => {
            // A language and a translated keyword come before the text.
            let text = rest.splitn(3, |&byte| byte == 0).nth(2)?;
            if *is_packed == 0 { Some(text.to_vec()) } else { inflate(text) }
        }
        _ => None,
    }
}

fn inflate(packed: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    flate2::read::ZlibDecoder::new(packed).take(MAX_TEXT + 1).read_to_end(&mut text).ok()?;
    (text.len() as u64 <= MAX_TEXT).then_some(text)
}

/// The bytes of a raw profile: an empty line, a name, a length, and hexadecimal digits.
fn unhex(text: &[u8]) -> Vec<u8> {
    let lines = text.split(|&byte| byte == b'\n').skip(3);
    let digits: Vec<u8> = lines.flatten().filter_map(|&digit| (digit as char).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// The orientation of a WebP.
pub(crate) fn of_webp(bytes: &[u8]) -> u8 {
    let (mut exif, mut xmp) = (None, None);
    for (name, data) in webp_chunks(bytes) {
        match &name {
            b"EXIF" => exif = exif.or(Some(data)),
            b"XMP " => xmp = xmp.or(Some(data)),
            _ => (),
        }
    }
    orientation(exif, xmp)
}

/// The chunks of a WebP, names and data.
pub(crate) fn webp_chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (name, body) = rest.split_first_chunk::<4>()?;
        let (length, body) = body.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let data = body.get(..length)?;
        // Chunks are padded to even lengths.
        rest = body.get(length.saturating_add(length & 1)..).unwrap_or_default();
        Some((*name, data))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif(order: &[u8], kind: u16, value: &[u8; 4]) -> Vec<u8> {
        let big = order == b"MM";
        let short = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let long = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        [order, &short(42), &long(8), &short(1), &short(0x112), &short(kind), &long(1), value, &long(0)].concat()
    }

    #[test]
    fn exif_in_any_order_and_type() {
        let cases: [(&[u8], u16, [u8; 4], u8); 7] = [
            (b"II", 3, [6, 0, 0, 0], 6),
            (b"MM", 3, [0, 6, 0, 0], 6),
            (b"MM", 4, [0, 0, 0, 6], 6),
            (b"II", 4, [6, 0, 0, 0], 6),
            // Pillow takes a BYTE for bytes, not for a number.
            (b"II", 1, [6, 0, 0, 0], 1),
            (b"II", 3, [9, 0, 0, 0], 1),
            (b"II", 3, [0, 0, 0, 0], 1),
        ];
        for (order, kind, value, expected) in cases {
            let exif = exif(order, kind, &value);
            assert_eq!(orientation(Some(&exif), None), expected, "{kind} {value:?}");
            assert_eq!(orientation(Some(&[b"Exif\0\0", &exif[..]].concat()), None), expected);
        }
        assert_eq!(orientation(Some(b"nonsense"), None), 1);
    }

    #[test]
    fn xmp_speaks_where_exif_is_silent() {
        for xmp in [&b"<x tiff:Orientation=\"8\">"[..], b"<tiff:Orientation>8<"] {
            assert_eq!(orientation(None, Some(xmp)), 8);
            assert_eq!(orientation(Some(&exif(b"II", 3, &[3, 0, 0, 0])), Some(xmp)), 3);
        }
        assert_eq!(orientation(None, Some(b"tiff:Orientation='8'")), 1);
    }
}
