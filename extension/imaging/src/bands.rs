//! Samples as a file has them: to be measured rather than looked at.

use crate::decode::guarded;
use crate::error::{ImageError, Limits};
use crate::format::Format;
use crate::mask::Rle;
use crate::memory::{NoMemory, push, zeroed};
use crate::pixels::{Colours, Pixels, Stored, by_type};
use crate::range::{Number, is_no_data};
use crate::samples::Raw;
use crate::{coded, gif, jpeg, orient, tiff};

/// The samples of a picture, upright, of the type that the file has: nothing is stretched or brought to 8 bits. Samples of
/// fewer than 8 bits are brought to 8. All bands of a TIFF are there, alpha as well; palettes and CMYK become RGB.
///
/// ```
/// use sam_imaging::{Bands, Limits, Rle, mask_png};
///
/// let mask = Rle { height: 3, width: 2, counts: vec![0, 1, 5] };
/// let bands = Bands::read(&mask_png(&mask, &Limits::default())?, &Limits::default())?;
/// assert_eq!((bands.size(), bands.channels()), ([2, 3], 1));
/// let stats = bands.stats(&mask)?.unwrap();
/// assert_eq!((stats[0].count, stats[0].mean, stats[0].min, stats[0].max), (1, 255.0, 255.0, 255.0));
/// # Ok::<(), sam_imaging::ImageError>(())
/// ```
pub struct Bands {
    pixels: Pixels,
    samples: Vec<u8>,
}

/// The values of one channel in a mask. NaN is left out, and what a TIFF says stands for "no data" (GDAL's `nodata`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// Values.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Their mean; NaN where there are no values, as for all below.
    pub mean: f64,
    /// Their standard deviation, of all of them rather than of a sample (NumPy's `std`).
    pub std: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
}

impl Bands {
    /// Reads the samples of the first page or frame.
    ///
    /// # Errors
    /// As [`crate::decode`].
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ImageError> {
        guarded(bytes, limits, |format| {
            let (raw, orientation) = raw(format, bytes, limits)?;
            let raw = match raw.pixels.colours {
                Colours::Grey | Colours::Rgb | Colours::Bands(_) => raw,
                Colours::Cmyk | Colours::YCbCr(_) | Colours::Palette(_) => in_colour(raw)?,
            };
            Ok(Self::upright(raw, orientation)?)
        })
    }

    /// The same for a picture whose values are numbers of objects: of a palette its numbers, and no alpha.
    ///
    /// # Errors
    /// As [`crate::decode`].
    pub(crate) fn read_labels(bytes: &[u8], limits: &Limits) -> Result<Self, ImageError> {
        guarded(bytes, limits, |format| {
            let (raw, orientation) = match format {
                // Grey with alpha is grey.
                Format::Tiff => tiff::decode_numbers(bytes, limits)?,
                Format::Png => match coded::decode_numbers(bytes, limits)? {
                    Some(raw) => raw,
                    None => raw(format, bytes, limits)?,
                },
                _ => raw(format, bytes, limits)?,
            };
            Ok(Self::upright(raw, orientation)?)
        })
    }

    /// Samples, turned.
    pub(crate) fn upright(raw: Raw, orientation: u8) -> Result<Self, NoMemory> {
        let mut pixels = raw.pixels.clone();
        let size = [pixels.width, pixels.height];
        [pixels.width, pixels.height] = orient::shown(size, orientation);
        let (stride, samples) = (pixels.stride(), raw.into_samples());
        Ok(Self { pixels, samples: turned(samples, stride, size, orientation)? })
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [u32; 2] {
        [self.pixels.width, self.pixels.height]
    }

    /// Channels, alpha among them.
    pub fn channels(&self) -> usize {
        self.pixels.channels()
    }

    /// What the pixels are.
    pub(crate) fn pixels(&self) -> &Pixels {
        &self.pixels
    }

    /// The samples row by row and pixel by pixel, in the byte order of the machine.
    pub(crate) fn samples(&self) -> &[u8] {
        &self.samples
    }

    /// The part of `size` whose upper left corner is at `corner`: what of it lies inside.
    pub(crate) fn part(&self, corner: [u32; 2], size: [u32; 2]) -> Result<Self, NoMemory> {
        let (samples, [width, height]) = orient::cut(&self.samples, self.pixels.stride(), self.size(), corner, size)?;
        Ok(Self { pixels: Pixels { width, height, ..self.pixels.clone() }, samples })
    }

    /// The samples column by column, of the first channel.
    pub(crate) fn columns(&self) -> Result<Vec<u8>, NoMemory> {
        let (size, stride) = (self.pixels.stored.bytes(), self.pixels.stride());
        let mut first = zeroed(self.pixels.count() * size)?;
        for (out, pixel) in first.chunks_exact_mut(size).zip(self.samples.chunks_exact(stride)) {
            out.copy_from_slice(&pixel[..size]);
        }
        // Mirrored at the diagonal, rows are columns.
        turned(first, size, self.size(), 5)
    }

    /// Writes the values to `out`, row by row and pixel by pixel: of one channel, the first being 0, or of all. Numbers of
    /// more than 24 bits are rounded.
    ///
    /// # Panics
    /// If `out` has another length, or there is no such channel.
    pub fn write(&self, channel: Option<usize>, out: &mut [f32]) {
        fn write<T: Number, const N: usize>(
            bands: &Bands,
            channel: Option<usize>,
            out: &mut [f32],
            read: impl Fn(&[u8; N]) -> T,
        ) {
            let samples = bands.samples.as_chunks::<N>().0;
            let channels = bands.channels();
            match channel {
                None => {
                    assert_eq!(out.len(), samples.len(), "a value for each sample");
                    out.iter_mut().zip(samples).for_each(|(out, sample)| *out = read(sample).value() as f32);
                }
                Some(channel) => {
                    assert_eq!(out.len(), bands.pixels.count(), "a value for each pixel");
                    let pixels = samples.chunks_exact(channels);
                    out.iter_mut().zip(pixels).for_each(|(out, pixel)| *out = read(&pixel[channel]).value() as f32);
                }
            }
        }
        by_type!(self.pixels.stored, write(self, channel, out));
    }

    /// What there is in a mask, for each channel; `None` if the mask is of another size.
    ///
    /// # Errors
    /// There is no memory for the values of one channel in the mask.
    pub fn stats(&self, mask: &Rle) -> Result<Option<Vec<Stats>>, NoMemory> {
        fn of<T: Number, const N: usize>(
            bands: &Bands,
            spans: &[(usize, usize)],
            count: usize,
            read: impl Fn(&[u8; N]) -> T,
        ) -> Result<Vec<Stats>, NoMemory> {
            let (samples, channels) = (bands.samples.as_chunks::<N>().0, bands.channels());
            let mut values: Vec<T> = Vec::new();
            let bytes = count.saturating_mul(size_of::<T>());
            values.try_reserve_exact(count).map_err(|_| NoMemory { bytes })?;
            let is_no_data = is_no_data::<T>(&bands.pixels);
            let stats = (0..channels).map(|channel| {
                values.clear();
                for &(start, end) in spans {
                    let pixels = samples[start * channels..end * channels].iter();
                    let pixels = pixels.skip(channel).step_by(channels).map(&read);
                    values.extend(pixels.filter(|value| !value.is_nan() && !is_no_data(*value)));
                }
                Stats::of(&mut values)
            });
            Ok(stats.collect())
        }
        if [mask.width, mask.height] != self.size() {
            return Ok(None);
        }
        let spans = spans(mask)?;
        let count = spans.iter().map(|(start, end)| end - start).sum();
        by_type!(self.pixels.stored, of(self, &spans, count)).map(Some)
    }
}

impl Stats {
    fn of<T: Number>(values: &mut [T]) -> Self {
        if values.is_empty() {
            let none = f64::NAN;
            return Self { count: 0, sum: 0.0, mean: none, std: none, min: none, max: none, median: none };
        }
        let count = values.len() as f64;
        let sum = total(values, |value| value);
        let mean = sum / count;
        let variance = total(values, |value| (value - mean) * (value - mean)) / count;
        let ends = (T::HIGHEST, T::LOWEST);
        let (min, max) = values.iter().fold(ends, |(min, max), value| (min.lesser(*value), max.greater(*value)));
        // `is_number` leaves out infinities, of which there may be nothing else.
        let (min, max) = match values.iter().all(|value| value.is_number()) {
            true => (min.value(), max.value()),
            false => values
                .iter()
                .map(|value| value.value())
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| (min.min(value), max.max(value))),
        };
        let (below, middle, _) =
            values.select_nth_unstable_by(values.len() / 2, |a, b| a.value().total_cmp(&b.value()));
        let middle = middle.value();
        let median = match count % 2.0 == 0.0 {
            true => {
                let before = below.iter().map(|value| value.value()).fold(f64::NEG_INFINITY, f64::max);
                before / 2.0 + middle / 2.0
            }
            false => middle,
        };
        Self { count: values.len() as u64, sum, mean, std: variance.sqrt(), min, max, median }
    }
}

/// The sum of what `of` makes of values, in parts, so that the sums of many do not lose what the values are.
fn total<T: Number>(values: &[T], of: impl Fn(f64) -> f64) -> f64 {
    const PART: usize = 1024;
    values.chunks(PART).map(|part| part.iter().map(|value| of(value.value())).sum::<f64>()).sum()
}

/// The mask as pixels `start..end` along the rows, in order.
fn spans(mask: &Rle) -> Result<Vec<(usize, usize)>, NoMemory> {
    // Only the box around it: masks are many, and small.
    let [left, top, width, height] = mask.bbox().map(|side| side as u32);
    let inside = mask.place([-i64::from(left), -i64::from(top)], height, width);
    let Ok(bits) = inside.map(|inside| inside.try_to_mask()) else {
        unreachable!("the box is not larger than the mask")
    };
    let (bits, width) = (bits?, width as usize);
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for y in 0..height as usize {
        let row = bits.row(y);
        let offset = (y + top as usize) * mask.width as usize + left as usize;
        let mut at = 0;
        while let Some(start) = next(row, at, width, true) {
            let end = next(row, start, width, false).unwrap_or(width);
            push(&mut spans, (offset + start, offset + end));
            at = end;
        }
    }
    Ok(spans)
}

/// The first pixel of a row from `at` on that is set, or is not.
fn next(row: &[u64], at: usize, width: usize, set: bool) -> Option<usize> {
    if at >= width {
        return None;
    }
    let word = |index: usize| if set { row[index] } else { !row[index] };
    let mut index = at / 64;
    let mut bits = word(index) & u64::MAX << (at % 64);
    while bits == 0 {
        index += 1;
        if index * 64 >= width {
            return None;
        }
        bits = word(index);
    }
    Some(index * 64 + bits.trailing_zeros() as usize).filter(|&at| at < width)
}

fn raw(format: Format, bytes: &[u8], limits: &Limits) -> Result<(Raw, u8), ImageError> {
    Ok(match format {
        Format::Jpeg => jpeg::decode(bytes, limits)?,
        Format::Tiff => tiff::decode_bands(bytes, limits)?,
        Format::Gif => (gif::decode(bytes, limits, false)?.0, 1),
        Format::Png | Format::WebP | Format::Bmp => {
            let (raw, orientation, _) = coded::decode(format, bytes, limits)?;
            (raw, orientation)
        }
    })
}

/// What has no numbers of its own, as it is shown.
fn in_colour(raw: Raw) -> Result<Raw, NoMemory> {
    let (rgb, _) = raw.picture(crate::pixels::Range::Full, false)?;
    let mut coloured = Raw::new(Pixels::new([rgb.width(), rgb.height()], Stored::U8, Colours::Rgb))?;
    coloured.samples_mut().copy_from_slice(&rgb);
    Ok(coloured)
}

/// Pixels of `stride` bytes, turned.
fn turned(samples: Vec<u8>, stride: usize, size: [u32; 2], orientation: u8) -> Result<Vec<u8>, NoMemory> {
    match (orientation, stride) {
        (..=1 | 9.., _) => Ok(samples),
        (_, 1) => orient::turned::<1>(samples, size, orientation),
        (_, 2) => orient::turned::<2>(samples, size, orientation),
        (_, 3) => orient::turned::<3>(samples, size, orientation),
        (_, 4) => orient::turned::<4>(samples, size, orientation),
        (_, 8) => orient::turned::<8>(samples, size, orientation),
        // Rare: where each pixel goes, then the pixels.
        _ => {
            let count = size.map(|side| side as usize).iter().product::<usize>();
            let mut places = zeroed(count * 4)?;
            for (place, out) in places.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *out = (place as u32).to_ne_bytes();
            }
            let places = orient::turned::<4>(places, size, orientation)?;
            let mut out = zeroed(samples.len())?;
            for (out, place) in out.chunks_exact_mut(stride).zip(places.as_chunks::<4>().0) {
                out.copy_from_slice(&samples[u32::from_ne_bytes(*place) as usize * stride..][..stride]);
            }
            Ok(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::Mask;

    fn bands(size: [u32; 2], channels: usize, values: &[u16]) -> Bands {
        let samples = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        Bands { pixels: Pixels::new(size, Stored::U16, Colours::Bands(channels)), samples }
    }

    #[test]
    fn stats_are_of_the_mask_and_the_channel() {
        let picture = bands([3, 2], 2, &[1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60_000]);
        let mask = Rle::from_mask(&Mask::from_rows(&[[0, 1, 1], [1, 0, 1]]));
        let stats = picture.stats(&mask).unwrap().unwrap();
        assert_eq!((stats[0].count, stats[0].sum, stats[0].mean, stats[0].median), (4, 15.0, 3.75, 3.5));
        assert_eq!((stats[0].min, stats[0].max, stats[0].std), (2.0, 6.0, (8.75f64 / 4.0).sqrt()));
        assert_eq!((stats[1].max, stats[1].median), (60_000.0, 35.0));
        let none = Rle { height: 2, width: 3, counts: vec![6] };
        assert!(picture.stats(&none).unwrap().unwrap()[1].mean.is_nan());
        let other = Rle { height: 3, width: 2, counts: vec![6] };
        assert!(picture.stats(&other).unwrap().is_none());
    }

    #[test]
    fn fractions_that_are_no_numbers_are_left_out() {
        let values = [1.5f32, f32::NAN, 2.5, f32::INFINITY];
        let samples: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        let picture = Bands { pixels: Pixels::new([4, 1], Stored::F32, Colours::Grey), samples };
        let of = |pixels: &[u8; 4]| picture.stats(&Rle::from_mask(&Mask::from_rows(&[pixels]))).unwrap().unwrap()[0];
        let stats = of(&[1, 1, 1, 0]);
        assert_eq!((stats.count, stats.mean, stats.min, stats.max, stats.median), (2, 2.0, 1.5, 2.5, 2.0));
        assert_eq!((of(&[1, 0, 0, 1]).max, of(&[1, 0, 0, 1]).min), (f64::INFINITY, 1.5));
        assert_eq!(of(&[0, 1, 0, 0]).count, 0);
        let mut out = [0.0; 4];
        picture.write(None, &mut out);
        assert_eq!(out[..1], [1.5]);
        assert!(out[1].is_nan());
    }

    #[test]
    fn spans_cross_words() {
        let row: Vec<u8> = (0..200).map(|x| u8::from((60..70).contains(&x) || x == 127 || x >= 192)).collect();
        let mask = Rle::from_mask(&Mask::from_rows(&[row]));
        assert_eq!(spans(&mask).unwrap(), [(60, 70), (127, 128), (192, 200)]);
        let mask = Rle::from_mask(&Mask::from_rows(&[[0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1]]));
        assert_eq!(spans(&mask).unwrap(), [(6, 8), (9, 10), (11, 12)]);
        assert_eq!(spans(&Rle { height: 2, width: 2, counts: vec![4] }).unwrap(), []);
    }

    #[test]
    fn pixels_of_any_length_turn() {
        for (orientation, expected) in [(2, [1, 0, 3, 2, 5, 4]), (6, [4, 2, 0, 5, 3, 1]), (8, [1, 3, 5, 0, 2, 4])] {
            for stride in [1, 2, 3, 5, 6, 8, 20] {
                let samples = (0..6u8).flat_map(|pixel| vec![pixel; stride]).collect();
                let turned = turned(samples, stride, [2, 3], orientation).unwrap();
                let pixels: Vec<u8> = turned.chunks(stride).map(|pixel| pixel[0]).collect();
                assert_eq!(pixels, expected, "{orientation} {stride}");
                assert!(turned.chunks(stride).all(|pixel| pixel.iter().all(|byte| *byte == pixel[0])));
            }
        }
    }
}
