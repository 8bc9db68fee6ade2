//! What bytes are that are not decoded: pictures of other kinds, and what stands where a picture was expected. Each is
//! named, with what to do about it.

use std::fmt;

/// Something known that is not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// What it is, as a sentence goes on after "the bytes are".
    what: &'static str,
    /// What to do.
    remedy: &'static str,
    /// Whether it is a picture, sound as far as its first bytes tell; otherwise there is none in the bytes.
    pub is_picture: bool,
    /// What it holds or points to, where a host has functions of its own to get at it.
    pub wrapping: Option<Wrapping>,
}

/// What pictures come wrapped in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// Base64 text.
    Base64,
    /// A `data:` URL.
    DataUrl,
    /// Hexadecimal text.
    Hexadecimal,
    /// Bytes written out as text, such as `\xff`.
    EscapedBytes,
    /// A Parquet file.
    Parquet,
    /// An SQLite database.
    Sqlite,
    /// The address of a file.
    Address,
}

impl fmt::Display for Recognised {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Recognised { what, remedy, is_picture, .. } = self;
        match is_picture {
            true => {
                write!(formatter, "the picture is {what}, which is not supported here; the file may be sound: {remedy}")
            }
            false => write!(formatter, "not a picture: the bytes are {what}; {remedy}"),
        }
    }
}

const CONVERT: &str = "convert it to JPEG, PNG, WebP or TIFF first, for example with ImageMagick";
const PHONE: &str = "convert it to JPEG or PNG first, for example with heif-convert, ImageMagick or Pillow with \
                     pillow-heif; iPhones write JPEG with Settings > Camera > Formats > Most Compatible";
const RAW: &str = "develop it to JPEG, PNG or TIFF first, for example with darktable, RawTherapee or rawpy";
const RENDER: &str = "render it to PNG first";
const DICOM: &str = "write its pixels as TIFF or PNG of 16 bits first, for example with pydicom (pixel_array) and tifffile, or \
                     with dcmj2pnm of DCMTK";
const HDR: &str = "write it as TIFF of floats first, for example with ImageMagick or OpenImageIO";
const ARRAY: &str = "write its pixels as TIFF or PNG first";
const FRAME: &str = "take pictures out of it first, for example with ffmpeg -i in.mp4 frame%04d.jpg";
const UNPACK: &str = "unpack it first";

/// Recognises what no decoder takes. `is_format`: whether the first bytes are those of a format that is decoded, which
/// may be wrong: others begin like it.
pub(crate) fn recognise(bytes: &[u8], is_format: bool) -> Option<Recognised> {
    // The first 128 bytes of a DICOM file may be anything, also the beginning of a TIFF.
    if at(bytes, 128, b"DICM") {
        return picture("DICOM", DICOM);
    }
    match (is_format, bytes) {
        (true, [0xff, 0xd8, 0xff, 0xf7, ..]) => picture("JPEG-LS", CONVERT),
        (true, _) => None,
        (false, _) => binary(bytes).or_else(|| text(bytes)),
    }
}

fn picture(what: &'static str, remedy: &'static str) -> Option<Recognised> {
    Some(Recognised { what, remedy, is_picture: true, wrapping: None })
}

fn other(what: &'static str, remedy: &'static str) -> Option<Recognised> {
    Some(Recognised { what, remedy, is_picture: false, wrapping: None })
}

/// Whether `pattern` stands at `offset`.
fn at(bytes: &[u8], offset: usize, pattern: &[u8]) -> bool {
    bytes.get(offset..).is_some_and(|rest| rest.starts_with(pattern))
}

fn binary(bytes: &[u8]) -> Option<Recognised> {
    if at(bytes, 4, b"ftyp") {
        return container(bytes);
    }
    match bytes {
        // Without the 128 bytes and "DICM" before it: the first tag is of the group 0002 or 0008, its length of four bytes, or
        // its type in two letters.
        [2 | 8, 0, _, 0, 4, 0, 0, 0, ..] | [2 | 8, 0, _, 0, b'A'..=b'U', b'A'..=b'W', ..] => picture("DICOM", DICOM),
        [0xff, 0x0a, ..] | [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] => picture("JPEG XL", CONVERT),
        [0, 0, 0, 12, b'j', b'P', b' ' | 0x1a, b' ' | 0x1a, ..] | [0xff, 0x4f, 0xff, 0x51, ..] => {
            picture("JPEG 2000", CONVERT)
        }
        [b'I', b'I', 0xbc, ..] => picture("JPEG XR", CONVERT),
        [b'8', b'B', b'P', b'S', ..] => picture("a Photoshop document (PSD)", "export it as PNG or TIFF first"),
        [b'I', b'I', b'R', b'O' | b'S', ..] | [b'M', b'M', b'O', b'R', ..] => {
            picture("Olympus ORF, a camera's raw picture", RAW)
        }
        [b'I', b'I', b'U', 0, ..] => picture("Panasonic RW2, a camera's raw picture", RAW),
        [0, b'M', b'R', b'M', ..] => picture("Minolta MRW, a camera's raw picture", RAW),
        [b'F', b'O', b'V', b'b', ..] => picture("Sigma X3F, a camera's raw picture", RAW),
        [0x76, 0x2f, 0x31, 0x01, ..] => picture("OpenEXR", HDR),
        [b'q', b'o', b'i', b'f', ..] => picture("QOI", CONVERT),
        [0, 0, 1 | 2, 0, count, 0, ..] if *count > 0 && bytes.len() >= 22 => {
            picture("an icon or cursor (ICO, CUR)", CONVERT)
        }
        [b'P', b'1'..=b'7', b' ' | b'\t' | b'\r' | b'\n' | b'#', ..] => {
            picture("a Netpbm picture (PBM, PGM, PPM, PAM)", CONVERT)
        }
        [b'P', b'F' | b'f', b'\n' | b'\r' | b' ', ..] => picture("a Netpbm picture of floats (PFM)", HDR),
        [b'D', b'D', b'S', b' ', ..] => picture("DDS, textures", CONVERT),
        [b'B', b'P', b'G', 0xfb, ..] => picture("BPG", CONVERT),
        [b'F', b'L', b'I', b'F', ..] => picture("FLIF", CONVERT),
        [0x59, 0xa6, 0x6a, 0x95, ..] => picture("a Sun raster", CONVERT),
        [b'i', b'c', b'n', b's', ..] => picture("an icon of macOS (ICNS)", CONVERT),
        [b'S', b'A', b'M', b'E', b'M', b'B', b'E', b'D', ..] => {
            other("the embedding of an image, in which there is no picture", "give the picture")
        }
        [0x01, 0xda, 0..=1, 1..=2, 0, 1..=3, ..] => picture("an SGI picture", CONVERT),
        [0x0a, 0 | 2 | 3 | 4 | 5, 0 | 1, 1 | 2 | 4 | 8, ..] if bytes.len() >= 128 => picture("PCX", CONVERT),
        [0xd7, 0xcd, 0xc6, 0x9a, ..] => picture("WMF, a drawing", RENDER),
        [0x01, 0, 0, 0, ..] if at(bytes, 40, b" EMF") => picture("EMF, a drawing", RENDER),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => other("an array of NumPy (.npy)", ARRAY),
        [0x89, b'H', b'D', b'F', ..] => other("HDF5", ARRAY),
        [b'C', b'D', b'F', 1 | 2 | 5, ..] => other("NetCDF", ARRAY),
        [0x1f, 0x8b, ..] => other("compressed by gzip", UNPACK),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => other("a zip archive (or an Office document)", UNPACK),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => other("compressed by zstd", UNPACK),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => other("compressed by bzip2", UNPACK),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => other("compressed by xz", UNPACK),
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => other("a 7z archive", UNPACK),
        [b'R', b'a', b'r', b'!', 0x1a, 7, ..] => other("a RAR archive", UNPACK),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => other("a Matroska or WebM video", FRAME),
        [0, 0, 1, 0xb3 | 0xba, ..] => other("an MPEG video", FRAME),
        [b'O', b'g', b'g', b'S', ..] => other("an Ogg video or sound", FRAME),
        [b'F', b'L', b'V', 1, ..] => other("a Flash video", FRAME),
        [b'P', b'A', b'R', b'1', ..] => {
            wrapped(Wrapping::Parquet, other("a Parquet file", "read its column of pictures"))
        }
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] => other("an Arrow file", "read its column of pictures"),
        _ => longer(bytes),
    }
}

/// What longer beginnings tell, or something further on.
fn longer(bytes: &[u8]) -> Option<Recognised> {
    let begins = |pattern: &[u8]| bytes.starts_with(pattern);
    if begins(b"FUJIFILMCCD-RAW") || at(bytes, 6, b"HEAPCCDR") {
        return picture("a camera's raw picture (Fujifilm RAF or Canon CRW)", RAW);
    }
    if begins(b"#?RADIANCE") || begins(b"#?RGBE") {
        return picture("Radiance HDR", HDR);
    }
    if begins(b"%PDF") {
        return picture("a PDF", "render its pages first, for example with pdftoppm -png");
    }
    if begins(b"%!PS") || begins(b"\xc5\xd0\xd3\xc6") {
        return picture("PostScript", RENDER);
    }
    if begins(b"gimp xcf") {
        return picture("a GIMP document (XCF)", "export it as PNG first");
    }
    if begins(b"AT&TFORM") {
        return picture("DjVu", "render its pages first, for example with ddjvu");
    }
    if begins(b"SIMPLE  =") {
        return picture("FITS", ARRAY);
    }
    if at(bytes, 344, b"n+1\0") || at(bytes, 344, b"ni1\0") {
        return picture("NIfTI", ARRAY);
    }
    if begins(b"ZISRAWFILE") {
        return picture("Zeiss CZI", "export it as OME-TIFF first, for example with bftools or aicsimageio");
    }
    if begins(b"\xda\xce\xbe\x0a") {
        return picture("Nikon ND2", "export it as OME-TIFF first, for example with bftools or the package nd2");
    }
    if begins(b"RIFF") && at(bytes, 8, b"AVI ") {
        return other("an AVI video", FRAME);
    }
    if begins(b"SQLite format 3\0") {
        return wrapped(Wrapping::Sqlite, other("an SQLite database", "read its column of pictures"));
    }
    if bytes.len() > 44 && bytes[bytes.len() - 18..].starts_with(b"TRUEVISION-XFILE.") {
        return picture("a Truevision TGA", CONVERT);
    }
    None
}

/// ISO base media files are told by their brands.
fn container(bytes: &[u8]) -> Option<Recognised> {
    let length = bytes.first_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let brands = &bytes[8..bytes.len().min(length.clamp(12, 256)).max(8)];
    let has = |names: &[&[u8]]| brands.chunks(4).enumerate().any(|(index, brand)| index != 1 && names.contains(&brand));
    if has(&[b"avif", b"avis"]) {
        return picture("AVIF", PHONE);
    }
    if has(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2", b"miaf"]) {
        return picture("HEIC (HEIF), as phones write it", PHONE);
    }
    if has(&[b"crx "]) {
        return picture("Canon CR3, a camera's raw picture", RAW);
    }
    other("a video (MP4, MOV)", FRAME)
}

fn wrapped(wrapping: Wrapping, found: Option<Recognised>) -> Option<Recognised> {
    found.map(|found| Recognised { wrapping: Some(wrapping), ..found })
}

/// What text says.
fn text(bytes: &[u8]) -> Option<Recognised> {
    let head = &bytes[..bytes.len().min(4096)];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let lower: Vec<u8> = head.iter().take(1024).map(u8::to_ascii_lowercase).collect();
    let begins = |pattern: &[u8]| lower.starts_with(pattern);
    let contains = |pattern: &[u8]| lower.windows(pattern.len()).any(|window| window == pattern);
    if begins(b"version https://git-lfs") {
        return other("a pointer of Git LFS, not the file itself", "fetch the files with git lfs pull");
    }
    if begins(b"data:") {
        let found = if begins(b"data:image") { picture } else { other };
        return wrapped(Wrapping::DataUrl, found("a data: URL", "decode what follows the comma"));
    }
    for (prefix, what) in [
        (&b"/9j/"[..], "a JPEG as base64 text"),
        (b"iVBORw0KGgo", "a PNG as base64 text"),
        (b"R0lGOD", "a GIF as base64 text"),
        (b"UklGR", "a WebP as base64 text"),
        (b"SUkqA", "a TIFF as base64 text"),
        (b"TU0AK", "a TIFF as base64 text"),
    ] {
        if head.starts_with(prefix) {
            return wrapped(Wrapping::Base64, picture(what, "decode it"));
        }
    }
    for prefix in [
        &b"ffd8ff"[..],
        b"89504e470d0a1a0a",
        b"47494638",
        b"52494646",
        b"0xffd8ff",
        b"0x89504e47",
        b"\\xffd8ff",
        b"\\x89504e47",
    ] {
        if begins(prefix) {
            return wrapped(Wrapping::Hexadecimal, picture("a picture as hexadecimal text", "decode it"));
        }
    }
    for prefix in
        [&b"\\xff\\xd8\\xff"[..], b"\\x89png", b"b'\\xff\\xd8", b"b'\\x89png", b"b\"\\xff\\xd8", b"b\"\\x89png"]
    {
        if begins(prefix) {
            let found =
                picture("a picture whose bytes were written out as text", "make bytes of the text where it was made");
            return wrapped(Wrapping::EscapedBytes, found);
        }
    }
    if contains(b"<svg") {
        return picture("SVG, a drawing", "render it first, for example with rsvg-convert");
    }
    if begins(b"<!doctype html")
        || begins(b"<html")
        || begins(b"<head")
        || begins(b"<body")
        || (begins(b"<") && contains(b"<html"))
    {
        return other(
            "an HTML page, such as a server sends instead of a picture",
            "look at what it says, and download the picture again",
        );
    }
    if begins(b"<?xml") || (begins(b"<") && contains(b"</")) {
        return other(
            "XML, such as a store sends instead of a picture",
            "look at what it says (AccessDenied, NoSuchKey, ...), and download the picture again",
        );
    }
    if (begins(b"{") || begins(b"[")) && std::str::from_utf8(bytes).is_ok() {
        return other(
            "JSON, such as a server sends instead of a picture",
            "look at what it says, and download the picture again",
        );
    }
    for scheme in [&b"http://"[..], b"https://", b"s3://", b"gs://", b"hf://", b"file://"] {
        if begins(scheme) {
            return wrapped(Wrapping::Address, other("an address, not what is there", "read the file that is there"));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Format;

    #[test]
    fn kinds_are_told_by_their_first_bytes() {
        let name =
            |bytes: &[u8]| recognise(bytes, Format::of(bytes).is_some()).map(|found| (found.what, found.is_picture));
        assert_eq!(name(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic").unwrap().0, "HEIC (HEIF), as phones write it");
        assert_eq!(name(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf").unwrap(), ("AVIF", true));
        assert_eq!(name(b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2").unwrap(), ("a video (MP4, MOV)", false));
        assert!(!name(b"version https://git-lfs.github.com/spec/v1\n").unwrap().1);
        assert_eq!(name(b"/9j/4AAQSkZJRg").unwrap(), ("a JPEG as base64 text", true));
        assert!(!name(b" <!DOCTYPE html><p>").unwrap().1);
        assert_eq!(name(b"<?xml version='1.0'?><svg xmlns=").unwrap(), ("SVG, a drawing", true));
        assert!(!name(b"{\"error\": 404}").unwrap().1);
        let mut dicom = b"II*\0".to_vec();
        dicom.resize(128, 0);
        dicom.extend(b"DICM\x02\0");
        assert_eq!(name(&dicom).unwrap(), ("DICOM", true));
        for bare in [&b"\x08\0\x05\0CS\x0a\0ISO_IR 100"[..], b"\x02\0\0\0UL\x04\0", b"\x08\0\0\0\x04\0\0\0\xc4\0\0\0"] {
            assert_eq!(name(bare).unwrap(), ("DICOM", true));
        }
        for nothing in [&b"hello"[..], b"", b"I", b"II*\0", b"ftyp", b"\0\0\0\x08ftyp", b"P", b"{"] {
            let _ = name(nothing);
        }
        assert_eq!(name(b"hello"), None);
    }
}
