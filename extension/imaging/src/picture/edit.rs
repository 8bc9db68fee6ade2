//! A picture, and what changes its size.

use std::borrow::Cow;

use image::{GrayImage, RgbImage};

use crate::decode::{self, Whole};
use crate::error::{ImageError, Limits};
use crate::format::Format;
use crate::memory::{joined, zeroed};
use crate::orient;
use crate::pixels::{RGB, Range, times};
use crate::resize::try_resize_bilinear;

/// A picture, upright, with what has to survive a change of its pixels.
///
/// ```
/// use sam_imaging::{Format, Limits, Picture, Rle, info, mask_png};
///
/// let png = mask_png(&Rle { height: 40, width: 60, counts: vec![2400] }, &Limits::default())?;
/// let picture = Picture::read(&png, &Limits::default())?;
/// let [width, height] = picture.thumbnail_size(30);
/// let small = picture.resize(width, height)?.crop([0, 0], [25, 20])?.encode(Format::Jpeg)?;
/// let info = info(&small, &Limits::default())?;
/// assert_eq!((info.width, info.height, info.format), (25, 20, "jpeg"));
/// # Ok::<(), sam_imaging::ImageError>(())
/// ```
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
    /// Whether it was read from a compressed TIFF, and is written as one.
    pub(crate) packed: bool,
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
        Ok(Self::of(decode::whole(bytes, limits, range)?))
    }

    /// A picture that is decoded.
    pub(crate) fn of(whole: Whole) -> Self {
        let Whole { rgb, alpha, grey, profile, format, packed } = whole;
        // The colour space of the profile stands at a fixed place in its header.
        let space: &[u8] = if grey { b"GRAY" } else { b"RGB " };
        let profile = profile.filter(|profile| profile.get(16..20) == Some(space));
        let alpha = alpha.filter(|alpha| alpha.iter().any(|&value| value < 255));
        Self { rgb, alpha, grey, profile, format, packed }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [u32; 2] {
        [self.rgb.width(), self.rgb.height()]
    }

    /// The part of `size` (width and height) whose upper left corner is at `x`, `y`: what of it lies inside.
    ///
    /// # Errors
    /// [`ImageError::NoMemory`].
    pub fn crop(&self, corner: [u32; 2], size: [u32; 2]) -> Result<Self, ImageError> {
        let cut = |pixels: &[u8], channels: usize| orient::cut(pixels, channels, self.size(), corner, size);
        let alpha = self.alpha.as_ref().map(|alpha| cut(alpha, 1)).transpose()?;
        let (rgb, [width, height]) = cut(&self.rgb, RGB)?;
        Ok(Self {
            rgb: RgbImage::from_raw(width, height, rgb).expect("three bytes for each pixel"),
            alpha: alpha.and_then(|(alpha, _)| GrayImage::from_raw(width, height, alpha)),
            profile: self.profile.clone(),
            ..*self
        })
    }

    /// The picture in another size, by [`crate::resize_bilinear`]. With transparency colours are weighted by it, as Pillow
    /// does: what cannot be seen does not bleed into what can.
    ///
    /// # Errors
    /// [`ImageError::NoMemory`].
    pub fn resize(mut self, width: u32, height: u32) -> Result<Self, ImageError> {
        let Some(alpha) = self.alpha.take() else {
            self.rgb = try_resize_bilinear(&self.rgb, width, height)?;
            return Ok(self);
        };
        for (pixel, alpha) in self.rgb.pixels_mut().zip(alpha.iter()) {
            pixel.0 = pixel.0.map(|value| times(value, *alpha));
        }
        self.rgb = try_resize_bilinear(&self.rgb, width, height)?;
        // What resizes colours does the same to it: three times.
        let mut tripled = zeroed(alpha.len() * 3)?;
        for (pixel, &alpha) in tripled.as_chunks_mut::<3>().0.iter_mut().zip(alpha.iter()) {
            *pixel = [alpha; 3];
        }
        let tripled = RgbImage::from_raw(alpha.width(), alpha.height(), tripled).expect("three bytes for each pixel");
        drop(alpha);
        let tripled = try_resize_bilinear(&tripled, width, height)?;
        let mut alpha = zeroed(width as usize * height as usize)?;
        for (alpha, tripled) in alpha.iter_mut().zip(tripled.as_chunks::<3>().0) {
            *alpha = tripled[0];
        }
        for (pixel, &alpha) in self.rgb.pixels_mut().zip(&alpha).filter(|(_, alpha)| **alpha > 0) {
            pixel.0 = pixel.0.map(|value| (u32::from(value) * 255 / u32::from(alpha)).min(255) as u8);
        }
        self.alpha = GrayImage::from_raw(width, height, alpha);
        Ok(self)
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
    ///
    /// # Errors
    /// [`ImageError::NoMemory`].
    pub(crate) fn flat(&self) -> Result<Cow<'_, RgbImage>, ImageError> {
        let Some(alpha) = &self.alpha else { return Ok(Cow::Borrowed(&self.rgb)) };
        let mut rgb = joined(&[&self.rgb])?;
        for (pixel, &alpha) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(alpha.iter()) {
            *pixel = pixel.map(|value| times(value, alpha) + (255 - alpha));
        }
        let [width, height] = self.size();
        Ok(Cow::Owned(RgbImage::from_raw(width, height, rgb).expect("three bytes for each pixel")))
    }
}
