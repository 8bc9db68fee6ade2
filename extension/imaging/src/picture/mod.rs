//! Pictures that are read, changed and written again.

mod draw;
mod encode;
mod hash;
mod tile;

pub use draw::colour;
pub use encode::mask_png;
pub use tile::{Tile, TooManyTiles};

use image::imageops::crop_imm;
use image::{GrayImage, RgbImage};

use crate::decode::{self, Whole};
use crate::error::{ImageError, Limits};
use crate::format::Format;
use crate::resize::resize_bilinear;
use crate::samples::Range;

/// A picture, upright, with what has to survive a change of its pixels.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The colours.
    pub rgb: RgbImage,
    /// How opaque each pixel is; `None` where all are.
    pub(crate) alpha: Option<GrayImage>,
    /// Whether it is read from one channel of grey, and still has no colours.
    pub(crate) grey: bool,
    /// The colour profile (ICC), if it is one for these channels: that of CMYK describes what is no longer there.
    pub(crate) profile: Option<Vec<u8>>,
    /// The format it was read from.
    pub format: Format,
}

impl Picture {
    /// Reads a picture as [`crate::decode`] does, and what that leaves out: transparency and colour profile.
    ///
    /// # Errors
    /// Everything in [`ImageError`] but [`ImageError::Encode`].
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ImageError> {
        Self::read_as(bytes, limits, Range::Own)
    }

    /// The same, by any range.
    ///
    /// # Errors
    /// As [`Picture::read`].
    pub fn read_as(bytes: &[u8], limits: &Limits, range: Range) -> Result<Self, ImageError> {
        let Whole { rgb, alpha, grey, profile, format } = decode::whole(bytes, limits, range)?;
        // The colour space of the profile stands at a fixed place in its header.
        let space: &[u8] = if grey { b"GRAY" } else { b"RGB " };
        let profile = profile.filter(|profile| profile.get(16..20) == Some(space));
        let alpha = alpha.filter(|alpha| alpha.iter().any(|&value| value < 255));
        Ok(Self { rgb, alpha, grey, profile, format })
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [u32; 2] {
        [self.rgb.width(), self.rgb.height()]
    }

    /// The part of `size` (width and height) whose upper left corner is at `x`, `y`: what of it lies inside.
    pub fn crop(&self, [x, y]: [u32; 2], [width, height]: [u32; 2]) -> Self {
        Self {
            rgb: crop_imm(&self.rgb, x, y, width, height).to_image(),
            alpha: self.alpha.as_ref().map(|alpha| crop_imm(alpha, x, y, width, height).to_image()),
            profile: self.profile.clone(),
            ..*self
        }
    }

    /// The picture in another size, by [`resize_bilinear`]. With transparency colours are weighted by it, as Pillow
    /// does: what cannot be seen does not bleed into what can.
    pub fn resize(mut self, width: u32, height: u32) -> Self {
        let Some(alpha) = self.alpha.take() else {
            self.rgb = resize_bilinear(&self.rgb, width, height);
            return self;
        };
        for (pixel, alpha) in self.rgb.pixels_mut().zip(alpha.iter()) {
            pixel.0 = pixel.0.map(|value| times(value, *alpha));
        }
        self.rgb = resize_bilinear(&self.rgb, width, height);
        // What resizes colours does the same to it: three times.
        let tripled =
            RgbImage::from_fn(alpha.width(), alpha.height(), |x, y| image::Rgb([alpha.get_pixel(x, y).0[0]; 3]));
        drop(alpha);
        let alpha = resize_bilinear(&tripled, width, height);
        let alpha = GrayImage::from_fn(width, height, |x, y| image::Luma([alpha.get_pixel(x, y).0[0]]));
        for (pixel, &alpha) in self.rgb.pixels_mut().zip(alpha.iter()).filter(|(_, alpha)| **alpha > 0) {
            pixel.0 = pixel.0.map(|value| (u32::from(value) * 255 / u32::from(alpha)).min(255) as u8);
        }
        self.alpha = Some(alpha);
        self
    }

    /// The size in which the longer side has at most `max_side` pixels; never larger than it is.
    pub fn thumbnail_size(&self, max_side: u32) -> [u32; 2] {
        let long = self.rgb.width().max(self.rgb.height());
        if long <= max_side {
            return self.size();
        }
        let scaled = |side: u32| (f64::from(side) * f64::from(max_side) / f64::from(long)).round().max(1.0) as u32;
        self.size().map(scaled)
    }

    /// The colours on white where the picture is transparent.
    pub(crate) fn flat(&self) -> std::borrow::Cow<'_, RgbImage> {
        let Some(alpha) = &self.alpha else { return std::borrow::Cow::Borrowed(&self.rgb) };
        let mut rgb = self.rgb.clone();
        for (pixel, &alpha) in rgb.pixels_mut().zip(alpha.iter()) {
            pixel.0 = pixel.0.map(|value| times(value, alpha) + (255 - alpha));
        }
        std::borrow::Cow::Owned(rgb)
    }
}

/// `a * b / 255`, rounded.
pub(crate) fn times(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    ((product + (product >> 8)) >> 8) as u8
}
