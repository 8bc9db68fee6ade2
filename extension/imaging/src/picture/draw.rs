//! Masks on pictures.

use image::{GrayImage, Luma};

use super::edit::Picture;
use crate::error::ImageError;
use crate::format::Format;
use crate::mask::{Mask, Rle};
use crate::memory::{NoMemory, zeroed};
use crate::pixels::times;

/// How much of the colour of a mask covers the picture inside it, of 255.
const FILL: u8 = 115;

/// The contour of a mask is one pixel wide for so many of the picture's longer side.
const SIDE_PER_WIDTH: u32 = 400;

impl Picture {
    /// Draws a mask of the picture's size: tinted in its colour, with a contour along its inner edge.
    ///
    /// # Errors
    /// There is no memory for two copies of the mask.
    ///
    /// # Panics
    /// If the mask has another size.
    pub fn draw(&mut self, mask: &Mask, colour: [u8; 3]) -> Result<(), NoMemory> {
        assert_eq!([mask.width(), mask.height()], self.size(), "size of a mask on a picture");
        if std::mem::take(&mut self.grey) {
            self.profile = None;
        }
        let [width, height] = self.size();
        let wide = (width.max(height) as f64 / f64::from(SIDE_PER_WIDTH)).round().max(1.0) as u32;
        let inner = (1..wide).try_fold(mask.eroded()?, |mask, _| mask.eroded())?;
        let mut alpha = self.alpha.as_mut();
        for y in 0..height {
            let row = &mut self.rgb.as_chunks_mut::<3>().0[y as usize * width as usize..][..width as usize];
            for (word, (&set, &inside)) in mask.row(y as usize).iter().zip(inner.row(y as usize)).enumerate() {
                let mut rest = set;
                while rest != 0 {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    let x = word * 64 + bit;
                    let cover = if inside >> bit & 1 == 1 { FILL } else { 255 };
                    for (value, colour) in row[x].iter_mut().zip(colour) {
                        *value = times(*value, 255 - cover) + times(colour, cover);
                    }
                    if let Some(alpha) = &mut alpha {
                        let pixel = alpha.get_pixel_mut(x as u32, y);
                        pixel.0 = pixel.0.map(|value| value.max(cover));
                    }
                }
            }
        }
        Ok(())
    }

    /// What a mask of the picture's size covers, cropped to its box, transparent elsewhere; for [`Format::Png`]. `None`
    /// for a mask without pixels.
    ///
    /// # Errors
    /// [`ImageError::NoMemory`].
    pub fn cutout(&self, rle: &Rle) -> Result<Option<Self>, ImageError> {
        let bbox = rle.bbox().map(|value| value as u32);
        if bbox[2] == 0 {
            return Ok(None);
        }
        let mask = rle.try_to_mask()?;
        self.cut(bbox, |x, y| if mask.get(x, y) { 255 } else { 0 }).map(Some)
    }

    /// What probably belongs to an object, by the probabilities 0 to 1 of all pixels, row by row: opaque from 0.75 on,
    /// transparent up to 0.25, and in proportion between; cropped to the box of what is not transparent. For
    /// [`Format::Png`]. `None` where all is.
    ///
    /// # Errors
    /// [`ImageError::NoMemory`].
    ///
    /// # Panics
    /// If there is not one probability for each pixel.
    pub fn soft_cutout<T: Copy + Into<f64>>(&self, probabilities: &[T]) -> Result<Option<Self>, ImageError> {
        let [width, height] = self.size();
        assert_eq!(probabilities.len(), width as usize * height as usize, "probabilities of a picture");
        let rows = || probabilities.chunks_exact(width.max(1) as usize);
        let mut bounds: Option<[u32; 4]> = None;
        for (y, row) in (0..).zip(rows()) {
            let shown = |&probability: &T| opacity(probability.into()) > 0;
            let Some((first, last)) = row.iter().position(shown).zip(row.iter().rposition(shown)) else { continue };
            let (first, last) = (first as u32, last as u32);
            let [left, top, right, _] = bounds.unwrap_or([first, y, last, y]);
            bounds = Some([left.min(first), top, right.max(last), y]);
        }
        let Some([left, top, right, bottom]) = bounds else { return Ok(None) };
        let alpha = |x, y| opacity(probabilities[y as usize * width as usize + x as usize].into());
        self.cut([left, top, right - left + 1, bottom - top + 1], alpha).map(Some)
    }

    /// The part in a box (x, y, width, height), as opaque as it is itself and as `opacity` tells for each pixel.
    fn cut(&self, [x, y, width, height]: [u32; 4], opacity: impl Fn(u32, u32) -> u8) -> Result<Self, ImageError> {
        let cut = self.crop([x, y], [width, height])?;
        let opaque = || {
            let mut opaque = zeroed(width as usize * height as usize)?;
            opaque.fill(255);
            Ok::<_, ImageError>(GrayImage::from_raw(width, height, opaque).expect("one byte for each pixel"))
        };
        let mut alpha = cut.alpha.map_or_else(opaque, Ok)?;
        for (column, row, pixel) in alpha.enumerate_pixels_mut() {
            *pixel = Luma([times(pixel.0[0], opacity(x + column, y + row))]);
        }
        Ok(Self { alpha: Some(alpha), format: Format::Png, ..cut })
    }
}

/// How opaque a pixel is, of 255, that belongs to an object with a probability.
fn opacity(probability: f64) -> u8 {
    ((probability - 0.25) * 2.0 * 255.0).round() as u8
}

/// The colour of mask `index`: hues a golden section of the circle apart, so that those near each other in number are
/// far from each other in colour, however many there are; every other round of six is darker.
pub fn colour(index: usize) -> [u8; 3] {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let hue = (0.57 + index as f64 * GOLDEN).fract() * 6.0;
    let value = if (index / 6).is_multiple_of(2) { 255.0 } else { 190.0 };
    // Distance of the hue from red, green and blue on a circle of 6, to how much of them is in it.
    let part = |centre: f64| {
        let distance = (hue - centre).abs().min(6.0 - (hue - centre).abs());
        (2.0 - distance).clamp(0.08, 1.0)
    };
    [0.0, 2.0, 4.0].map(|centre| (value * part(centre)).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    #[test]
    fn opacity_follows_the_probability() {
        let opacities = [0.0, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0].map(opacity);
        assert_eq!(opacities, [0, 0, 64, 128, 191, 255, 255]);
    }

    #[test]
    fn a_soft_cutout_has_the_box_of_what_is_seen() {
        let rgb = RgbImage::from_fn(4, 3, |x, y| image::Rgb([x as u8, y as u8, 0]));
        let picture = Picture { rgb, alpha: None, grey: false, profile: None, format: Format::Jpeg, packed: false };
        let mut probabilities = [0.2f32; 12];
        assert!(picture.soft_cutout(&probabilities).unwrap().is_none());
        (probabilities[5], probabilities[10]) = (0.5, 1.0);
        let cut = picture.soft_cutout(&probabilities).unwrap().unwrap();
        assert_eq!((cut.size(), cut.rgb.get_pixel(0, 0).0), ([2, 2], [1, 1, 0]));
        assert_eq!(cut.alpha.unwrap().into_raw(), [128, 0, 0, 255]);
    }
}
