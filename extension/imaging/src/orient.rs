//! Turning pictures upright. Where each format keeps its orientation stands in [`crate::metadata`].

use image::{ImageBuffer, Pixel};

use crate::memory::{NoMemory, zeroed};

/// Side of the square tiles in which quarter turns are done, so that reads and writes both stay in cache.
const TILE: usize = 32;

/// Whether the orientation exchanges width and height.
pub(crate) fn swaps_sides(orientation: u8) -> bool {
    (5..=8).contains(&orientation)
}

/// Width and height as displayed, of what is stored in `size`.
pub(crate) fn shown([width, height]: [u32; 2], orientation: u8) -> [u32; 2] {
    if swaps_sides(orientation) { [height, width] } else { [width, height] }
}

/// The pixels of `stride` bytes in the part of `size` whose upper left corner is at `corner`, and the width and height of what
/// of it lies inside.
///
/// # Errors
/// There is no memory for them.
pub(crate) fn cut(
    pixels: &[u8],
    stride: usize,
    whole: [u32; 2],
    corner: [u32; 2],
    size: [u32; 2],
) -> Result<(Vec<u8>, [u32; 2]), NoMemory> {
    let corner = [0, 1].map(|axis| corner[axis].min(whole[axis]));
    let [width, height] = [0, 1].map(|axis| size[axis].min(whole[axis] - corner[axis]));
    let mut part = zeroed(width as usize * height as usize * stride)?;
    let (row_bytes, length) = (whole[0] as usize * stride, width as usize * stride);
    let rows = pixels.chunks_exact(row_bytes.max(1)).skip(corner[1] as usize);
    for (row, part) in rows.zip(part.chunks_exact_mut(length.max(1))) {
        part.copy_from_slice(&row[corner[0] as usize * stride..][..length]);
    }
    Ok((part, [width, height]))
}

/// The picture, or its alpha, as it is to be displayed. Orientations outside 2..=8 change nothing.
///
/// # Errors
/// There is no memory for a second picture.
pub(crate) fn upright<P: Pixel<Subpixel = u8>>(
    picture: ImageBuffer<P, Vec<u8>>,
    orientation: u8,
) -> Result<ImageBuffer<P, Vec<u8>>, NoMemory> {
    let size = picture.dimensions().into();
    let turned = match P::CHANNEL_COUNT {
        1 => turned::<1>(picture.into_raw(), size, orientation)?,
        _ => turned::<3>(picture.into_raw(), size, orientation)?,
    };
    let [width, height] = shown(size, orientation);
    Ok(ImageBuffer::from_raw(width, height, turned).expect("as many pixels as before"))
}

/// The same for pixels of `N` bytes, of the width and height given. Half turns and reflections need no second picture.
///
/// # Errors
/// There is no memory for a second picture.
pub(crate) fn turned<const N: usize>(
    mut pixels: Vec<u8>,
    [width, height]: [u32; 2],
    orientation: u8,
) -> Result<Vec<u8>, NoMemory> {
    let (w, h) = (width as usize, height as usize);
    let rows = |pixels: &mut [u8], change: fn(&mut [[u8; N]])| {
        pixels.as_chunks_mut::<N>().0.chunks_exact_mut(w.max(1)).for_each(change);
    };
    match orientation {
        2 => rows(&mut pixels, <[_]>::reverse),
        3 => pixels.as_chunks_mut::<N>().0.reverse(),
        4 => {
            pixels.as_chunks_mut::<N>().0.reverse();
            rows(&mut pixels, <[_]>::reverse);
        }
        5..=8 => return quarter::<N>(&pixels, [w, h], orientation),
        _ => (),
    }
    Ok(pixels)
}

fn quarter<const N: usize>(pixels: &[u8], [w, h]: [usize; 2], orientation: u8) -> Result<Vec<u8>, NoMemory> {
    // Displayed pixel (x, y) is stored pixel `origin + x * across + y * down`, wrapping.
    let back = usize::wrapping_neg;
    let (right_end, bottom) = (w.wrapping_sub(1), w.wrapping_mul(h.wrapping_sub(1)));
    let (origin, across, down) = match orientation {
        5 => (0, w, 1),
        6 => (bottom, back(w), 1),
        7 => (bottom.wrapping_add(right_end), back(w), back(1)),
        _ => (right_end, w, back(1)),
    };
    let mut out = zeroed(pixels.len())?;
    let (out_width, out_height) = (h, w);
    let (stored, shown) = (pixels.as_chunks::<N>().0, out.as_chunks_mut::<N>().0);
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
    Ok(out)
}
