//! Any colour type to RGB of 8 bits, as Pillow's `Image.convert("RGB")`.
//!
//! Alpha is dropped, not blended; grey is replicated; of 16 bits the upper 8 are kept. The last is what Pillow
//! does for colour; its grey of 16 bits ("I;16") is clipped at 255 instead, which turns nearly every such
//! picture white, so here grey follows the rule for colour.

use image::ColorType;

/// Pixels of `color` in native byte order, as decoders of the `image` crate give them, to RGB.
///
/// `None` for a colour type without a rule, which no enabled decoder produces.
pub(crate) fn to_rgb(color: ColorType, pixels: Vec<u8>) -> Option<Vec<u8>> {
    Some(match color {
        ColorType::Rgb8 => pixels,
        ColorType::L8 => grey::<1>(&pixels, |&[grey]| grey),
        ColorType::La8 => grey::<2>(&pixels, |&[grey, _]| grey),
        ColorType::L16 => grey::<2>(&pixels, |&grey| upper(grey)),
        ColorType::La16 => grey::<4>(&pixels, |&[low, high, ..]| upper([low, high])),
        ColorType::Rgba8 => colour::<4>(&pixels, |&[red, green, blue, _]| [red, green, blue]),
        ColorType::Rgb16 => colour::<6>(&pixels, |p| [0, 2, 4].map(|at| upper([p[at], p[at + 1]]))),
        ColorType::Rgba16 => colour::<8>(&pixels, |p| [0, 2, 4].map(|at| upper([p[at], p[at + 1]]))),
        ColorType::Rgb32F => colour::<12>(&pixels, |p| [0, 4, 8].map(|at| unit(p, at))),
        ColorType::Rgba32F => colour::<16>(&pixels, |p| [0, 4, 8].map(|at| unit(p, at))),
        _ => return None,
    })
}

/// The alpha of pixels, in all three channels; `None` for a colour type without.
pub(crate) fn alpha(color: ColorType, pixels: &[u8]) -> Option<Vec<u8>> {
    Some(match color {
        ColorType::La8 => grey::<2>(pixels, |&[_, alpha]| alpha),
        ColorType::La16 => grey::<4>(pixels, |&[_, _, low, high]| upper([low, high])),
        ColorType::Rgba8 => grey::<4>(pixels, |&[.., alpha]| alpha),
        ColorType::Rgba16 => grey::<8>(pixels, |p| upper([p[6], p[7]])),
        ColorType::Rgba32F => grey::<16>(pixels, |p| unit(p, 12)),
        _ => return None,
    })
}

fn grey<const N: usize>(pixels: &[u8], value: impl Fn(&[u8; N]) -> u8) -> Vec<u8> {
    colour::<N>(pixels, |pixel| [value(pixel); 3])
}

fn colour<const N: usize>(pixels: &[u8], value: impl Fn(&[u8; N]) -> [u8; 3]) -> Vec<u8> {
    let pixels = pixels.as_chunks::<N>().0;
    let mut out = vec![0u8; pixels.len() * 3];
    for (rgb, pixel) in out.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
        *rgb = value(pixel);
    }
    out
}

fn upper(sample: [u8; 2]) -> u8 {
    (u16::from_ne_bytes(sample) >> 8) as u8
}

/// A float sample to a byte: 0..1 is black to white, anything else is clamped. Pillow reads no such files.
fn unit(pixel: &[u8], at: usize) -> u8 {
    let sample = f32::from_ne_bytes([pixel[at], pixel[at + 1], pixel[at + 2], pixel[at + 3]]);
    (sample.clamp(0.0, 1.0) * 255.0).round() as u8
}
