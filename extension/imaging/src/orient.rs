//! EXIF orientation: where each format keeps it, and turning pictures upright.

use image::RgbImage;
use image::metadata::Orientation;

/// Side of the square tiles in which quarter turns are done, so that reads and writes both stay in cache.
const TILE: usize = 32;

/// The orientation, 1..=8, in a block of EXIF data with or without its `Exif\0\0` prefix; 1 where there is none.
pub(crate) fn from_exif(exif: &[u8]) -> u8 {
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(tiff).map_or(1, Orientation::to_exif)
}

/// The orientation in a PNG's eXIf chunk. The chunk may stand behind the pixels, where decoders that read only the
/// header miss it.
pub(crate) fn of_png(bytes: &[u8]) -> u8 {
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((length, body)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((name, body)) = body.split_first_chunk::<4>() else { break };
        let Some(data) = body.get(..length) else { break };
        if name == b"eXIf" {
            return from_exif(data);
        }
        rest = body.get(length.saturating_add(4)..).unwrap_or_default();
    }
    1
}

/// The orientation in a WebP's EXIF chunk.
pub(crate) fn of_webp(bytes: &[u8]) -> u8 {
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((name, body)) = rest.split_first_chunk::<4>() {
        let Some((length, body)) = body.split_first_chunk::<4>() else { break };
        let length = u32::from_le_bytes(*length) as usize;
        if name == b"EXIF" {
            return body.get(..length).map_or(1, from_exif);
        }
        // Chunks are padded to even lengths.
        rest = body.get(length.saturating_add(length & 1)..).unwrap_or_default();
    }
    1
}

/// Whether the orientation exchanges width and height.
pub(crate) fn swaps_sides(orientation: u8) -> bool {
    (5..=8).contains(&orientation)
}

/// The picture as it is to be displayed. Orientations outside 2..=8 change nothing.
pub(crate) fn upright(picture: RgbImage, orientation: u8) -> RgbImage {
    let (width, height) = picture.dimensions();
    let (w, h) = (width as usize, height as usize);
    // Displayed pixel (x, y) is stored pixel `origin + x * across + y * down`, wrapping.
    let back = usize::wrapping_neg;
    let (right_end, bottom) = (w.wrapping_sub(1), w.wrapping_mul(h.wrapping_sub(1)));
    let (origin, across, down) = match orientation {
        2 => (right_end, back(1), w),
        3 => (bottom.wrapping_add(right_end), back(1), back(w)),
        4 => (bottom, 1, back(w)),
        5 => (0, w, 1),
        6 => (bottom, back(w), 1),
        7 => (bottom.wrapping_add(right_end), back(w), back(1)),
        8 => (right_end, w, back(1)),
        _ => return picture,
    };
    let mut out = if swaps_sides(orientation) { RgbImage::new(height, width) } else { RgbImage::new(width, height) };
    let (out_width, out_height) = (out.width() as usize, out.height() as usize);
    let stored = picture.as_raw().as_chunks::<3>().0;
    let shown = out.as_chunks_mut::<3>().0;
    for top in (0..out_height).step_by(TILE) {
        for left in (0..out_width).step_by(TILE) {
            let right = out_width.min(left + TILE);
            for y in top..out_height.min(top + TILE) {
                let row = origin.wrapping_add(y.wrapping_mul(down));
                for (x, pixel) in (left..right).zip(&mut shown[y * out_width + left..]) {
                    *pixel = stored[row.wrapping_add(x.wrapping_mul(across))];
                }
            }
        }
    }
    out
}
