//! The strips and tiles of a TIFF: what they were before they were compressed, row by row.

use std::io::{self, Cursor, Read};

use weezl::BitOrder;
use weezl::LzwStatus;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::fax::{Lines, Scheme};
use crate::error::ImageError;
use crate::memory::{self, NoMemory};

/// JPEGs in a TIFF have one scan, or one for each component; progressive ones have about ten.
const MAX_SCANS: usize = 16;

/// How strips and tiles are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
    Jpeg,
    WebP,
    Fax(Scheme),
}

/// What a chunk is cut into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Pixels of a row, those outside the picture included.
    pub width: u32,
    /// Rows that are read: those in the picture.
    pub rows: u32,
    /// Rows that it may have.
    pub full_rows: u32,
    /// Samples of a pixel.
    pub samples: usize,
    /// Bytes of a row.
    pub row_bytes: usize,
}

/// A chunk whose rows are read one after the other.
pub(super) enum Chunk<'a> {
    Stream(Box<dyn Read + 'a>),
    Lines(Lines<'a>),
}

impl<'a> Chunk<'a> {
    /// Opens a chunk. `tables` are what the JPEGs of a file share.
    ///
    /// # Errors
    /// What the decoder of the whole chunk finds, for those that decode it as a whole.
    pub(super) fn open(
        compression: Compression,
        bytes: &'a [u8],
        tables: Option<&[u8]>,
        shape: Shape,
    ) -> io::Result<Self> {
        Ok(Self::Stream(match compression {
            Compression::None => Box::new(bytes),
            Compression::Lzw => Box::new(Lzw::new(bytes)),
            Compression::Deflate => Box::new(flate2::read::ZlibDecoder::new(bytes)),
            Compression::PackBits => Box::new(PackBits { bytes, literal: 0, repeat: 0, value: 0 }),
            Compression::Zstd => Box::new(ruzstd::decoding::StreamingDecoder::new(bytes).map_err(io::Error::other)?),
            Compression::Jpeg => Box::new(Cursor::new(jpeg(bytes, tables, shape)?)),
            Compression::WebP => Box::new(Cursor::new(webp(bytes, shape)?)),
            Compression::Fax(scheme) => return Ok(Self::Lines(Lines::new(bytes, scheme, shape.width))),
        }))
    }

    /// The next row.
    ///
    /// # Errors
    /// Damage, or not as much as a row.
    pub(super) fn read(&mut self, row: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.read_exact(row).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => io::Error::other("a strip or tile ends too early"),
                _ => error,
            }),
            Self::Lines(lines) => lines.read(row),
        }
    }
}

/// LZW as in TIFF: the length of codes grows one early.
struct Lzw<'a> {
    bytes: &'a [u8],
    decoder: weezl::decode::Decoder,
}

impl<'a> Lzw<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        // Before TIFF 6 the bits of a code began at the other end, and its length did not grow early.
        let decoder = match bytes {
            [0, second, ..] if second & 1 == 1 => weezl::decode::Decoder::new(BitOrder::Lsb, 8),
            _ => weezl::decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8),
        };
        Self { bytes, decoder }
    }
}

impl Read for Lzw<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = self.decoder.decode_bytes(self.bytes, out);
            self.bytes = &self.bytes[result.consumed_in..];
            match result.status {
                Ok(_) if result.consumed_out > 0 => return Ok(result.consumed_out),
                Ok(LzwStatus::Ok) if result.consumed_in > 0 => (),
                Ok(_) => return Ok(0),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

/// PackBits: bytes as they are, and bytes that repeat.
struct PackBits<'a> {
    bytes: &'a [u8],
    literal: usize,
    repeat: usize,
    value: u8,
}

impl Read for PackBits<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.literal == 0 && self.repeat == 0 {
            match *self.bytes {
                [] => return Ok(0),
                [128, ref rest @ ..] => self.bytes = rest,
                [head @ 0..128, ref rest @ ..] => (self.literal, self.bytes) = (usize::from(head) + 1, rest),
                [head, value, ref rest @ ..] => {
                    (self.repeat, self.value, self.bytes) = (257 - usize::from(head), value, rest);
                }
                [_] => return Ok(0),
            }
        }
        let length = out.len().min(self.literal.max(self.repeat));
        if self.repeat > 0 {
            out[..length].fill(self.value);
            self.repeat -= length;
            return Ok(length);
        }
        let length = length.min(self.bytes.len());
        let (now, rest) = self.bytes.split_at(length);
        out[..length].copy_from_slice(now);
        self.bytes = rest;
        self.literal -= length;
        Ok(length)
    }
}

/// No memory, in the words for pictures.
fn refused(error: NoMemory) -> io::Error {
    io::Error::other(ImageError::from(error))
}

/// A JPEG, its components as they are: what colours they are is said by the TIFF.
fn jpeg(bytes: &[u8], tables: Option<&[u8]>, shape: Shape) -> io::Result<Vec<u8>> {
    // The tables come first, as one JPEG: begin of image, tables, and the image without its begin.
    let merged: Vec<u8>;
    let whole = match tables {
        Some(tables) if bytes.starts_with(&[0xff, 0xd8]) => {
            let tables = tables.strip_suffix(&[0xff, 0xd9]).unwrap_or(tables);
            merged = memory::joined(&[tables, &bytes[2..]]).map_err(refused)?;
            &merged
        }
        _ => bytes,
    };
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let options = options.jpeg_set_max_scans(MAX_SCANS);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(whole), options);
    decoder.decode_headers().map_err(|error| io::Error::other(error.to_string()))?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let colours = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
    let components = colours.num_components();
    // A strip at the lower end may have all its rows, or only those that are there.
    if width != shape.width as usize || height < shape.rows as usize || components != shape.samples {
        return Err(io::Error::other(format!(
            "a JPEG in it has {width} x {height} pixels of {components} components, not {} x {} of {}",
            shape.width, shape.rows, shape.samples
        )));
    }
    if height > shape.full_rows as usize {
        return Err(io::Error::other("a JPEG in it is higher than its strip or tile"));
    }
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(colours));
    let mut pixels = memory::zeroed(width * height * components).map_err(refused)?;
    decoder.decode_into(&mut pixels).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(pixels)
}

fn webp(bytes: &[u8], shape: Shape) -> io::Result<Vec<u8>> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(io::Error::other)?;
    let (width, height) = decoder.dimensions();
    let samples = if decoder.has_alpha() { 4 } else { 3 };
    if width != shape.width || height < shape.rows || height > shape.full_rows {
        return Err(io::Error::other(format!("a WebP in it has {width} x {height} pixels")));
    }
    let mut pixels = memory::zeroed(width as usize * height as usize * samples).map_err(refused)?;
    decoder.read_image(&mut pixels).map_err(io::Error::other)?;
    // The alpha of a chunk that is opaque is left out.
    match (samples, shape.samples) {
        (has, needed) if has == needed => Ok(pixels),
        (3, 4) => Ok(pixels.as_chunks::<3>().0.iter().flat_map(|&[r, g, b]| [r, g, b, 255]).collect()),
        (4, 3) => Ok(pixels.as_chunks::<4>().0.iter().flat_map(|&[r, g, b, _]| [r, g, b]).collect()),
        _ => Err(io::Error::other("a WebP in it has other channels than the TIFF")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bits() {
        // The example of Apple's Technical Note 1023.
        let packed = [0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7, 0xaa];
        let mut out = Vec::new();
        PackBits { bytes: &packed, literal: 0, repeat: 0, value: 0 }.read_to_end(&mut out).unwrap();
        let expected = b"\xaa\xaa\xaa\x80\0\x2a\xaa\xaa\xaa\xaa\x80\0\x2a\x22\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa";
        assert_eq!(out, expected);
    }
}
