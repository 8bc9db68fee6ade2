//! Mask logits: products of upscaled pixels with a few mask vectors, stored plane by plane.

use crate::Isa;
use crate::simd::{Kernel, Simd};

/// `out[m * plane + i] = sum over c of pixels[i][c] * masks[m][c]` for the `pixels.len() / channels` pixels given;
/// `masks` is `[count][channels]`, `out` starts at the first of the pixels in the first plane.
pub fn mask_logits(isa: Isa, pixels: &[f32], channels: usize, masks: &[f32], plane: usize, out: &mut [f32]) {
    assert!(channels > 0 && pixels.len().is_multiple_of(channels) && masks.len().is_multiple_of(channels));
    let (n, count) = (pixels.len() / channels, masks.len() / channels);
    assert!(count == 0 || n == 0 || (plane >= n && out.len() >= (count - 1) * plane + n), "{count} planes of {plane}");
    isa.run(Logits { pixels, channels, masks, plane, out });
}

struct Logits<'a> {
    pixels: &'a [f32],
    channels: usize,
    masks: &'a [f32],
    plane: usize,
    out: &'a mut [f32],
}

impl Kernel for Logits<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Logits { pixels, channels, masks, plane, out } = self;
        let whole = channels / S::LANES * S::LANES;
        for (i, pixel) in pixels.chunks_exact(channels).enumerate() {
            for (m, mask) in masks.chunks_exact(channels).enumerate() {
                let mut sum = s.splat(0.0);
                for c in (0..whole).step_by(S::LANES) {
                    // SAFETY: c + LANES <= channels, the length of both.
                    unsafe { sum = s.fma(s.load(pixel.as_ptr().add(c)), s.load(mask.as_ptr().add(c)), sum) };
                }
                let mut sum = s.sum(sum);
                for c in whole..channels {
                    sum += pixel[c] * mask[c];
                }
                out[m * plane + i] = sum;
            }
        }
    }
}
