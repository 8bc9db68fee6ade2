//! GIF, by the `gif` crate: frames of colour numbers on a canvas.

use std::borrow::Cow;
use std::io::Cursor;
use std::ops::{ControlFlow, Range};

use gif::{ColorOutput, DecodeOptions, DisposalMethod, MemoryLimit};
use image::{GrayImage, RgbImage};

use crate::error::{ImageError, Limits};
use crate::format::{Format, ImageInfo, SampleType};
use crate::memory::{joined, zeroed};
use crate::pixels::{Colours, Pixels, Stored};
use crate::samples::Raw;

type Decoder<'a> = gif::Decoder<Cursor<&'a [u8]>>;

/// What the header says, and how many frames follow.
pub(crate) fn info(bytes: &[u8]) -> Result<ImageInfo, ImageError> {
    let file = with_palette(bytes)?;
    let (_, _, [width, height]) = start(&file)?;
    let format = Format::Gif.id();
    Ok(ImageInfo {
        width,
        height,
        channels: 3,
        format,
        orientation: 1,
        sample: SampleType::BYTE,
        pages: scan(bytes).0.max(1),
        no_data: None,
    })
}

/// The first frame on its canvas, and its alpha where `transparency` is asked for. What the frame leaves free has the
/// transparent colour, or the first one, as in Pillow.
pub(crate) fn decode(
    bytes: &[u8],
    limits: &Limits,
    transparency: bool,
) -> Result<(Raw, Option<GrayImage>), ImageError> {
    let file = with_palette(bytes)?;
    let (mut decoder, frame, [width, height]) = start(&file)?;
    limits.check_size(width, height)?;
    let pixels = Pixels::new([width, height], Stored::U8, Colours::Palette(palette(&decoder)));
    let covers = [frame.left, frame.top] == [0, 0] && [frame.width, frame.height] == [width, height];
    let work = pixels.work(1) + if covers { 0 } else { frame.pixels() };
    limits.check_work("GIF", bytes.len(), work)?;
    let mut raw = Raw::new(pixels)?;
    let mut alpha = match transparency && (frame.transparent.is_some() || !covers) {
        true => Some(zeroed(width as usize * height as usize)?),
        false => None,
    };
    let opaque = |index: u8| if Some(index) == frame.transparent { 0 } else { 255 };
    if covers {
        decoder.read_into_buffer(raw.samples_mut()).map_err(translate)?;
        if let Some(alpha) = &mut alpha {
            alpha.iter_mut().zip(raw.samples()).for_each(|(alpha, &index)| *alpha = opaque(index));
        }
    } else {
        let mut own = zeroed(frame.pixels() as usize)?;
        decoder.read_into_buffer(&mut own).map_err(translate)?;
        raw.samples_mut().fill(frame.transparent.unwrap_or(0));
        for (y, row) in own.chunks_exact(frame.width.max(1) as usize).enumerate() {
            let start = (frame.top as usize + y) * width as usize + frame.left as usize;
            raw.samples_mut()[start..][..row.len()].copy_from_slice(row);
            if let Some(alpha) = &mut alpha {
                alpha[start..].iter_mut().zip(row).for_each(|(alpha, &index)| *alpha = opaque(index));
            }
        }
    }
    Ok((raw, alpha.and_then(|alpha| GrayImage::from_raw(width, height, alpha))))
}

/// Frame `number`, counted from 1, as it is displayed: on what the frames before it left.
///
/// # Errors
/// As for [`decode`]; the frames before it count as work.
pub(crate) fn page(bytes: &[u8], number: u32, limits: &Limits) -> Result<(RgbImage, Option<GrayImage>), ImageError> {
    let mut page = None;
    each(bytes, number, limits, |index, canvas| {
        if index == number {
            page = Some(std::mem::take(canvas).picture());
        }
        Ok(ControlFlow::Continue(()))
    })?;
    page.ok_or_else(|| Format::Gif.damaged("a frame is missing"))
}

/// Shows all frames, until it is told to stop.
///
/// # Errors
/// As for [`page`].
pub(crate) fn pages(
    bytes: &[u8],
    limits: &Limits,
    mut show: impl FnMut(RgbImage, Option<GrayImage>) -> Result<ControlFlow<()>, ImageError>,
) -> Result<(), ImageError> {
    each(bytes, scan(bytes).0.max(1), limits, |_, Canvas { size, rgb, alpha }| {
        limits.check_work("GIF", bytes.len(), rgb.len() as u64 / 3 * 13)?;
        let copy = Canvas { size: *size, rgb: joined(&[rgb])?, alpha: joined(&[alpha])? };
        let (rgb, alpha) = copy.picture();
        show(rgb, alpha)
    })
}

/// Checks that the file goes on to its end, without which frames may be missing.
///
/// # Errors
/// Damage.
pub(crate) fn check_end(bytes: &[u8]) -> Result<(), ImageError> {
    let (frames, end) = scan(bytes);
    let found = if frames == 1 { "1 frame is found".to_string() } else { format!("{frames} frames are found") };
    let length = bytes.len();
    match bytes.get(end) {
        Some(&TRAILER) => Ok(()),
        Some(byte) => Err(Format::Gif.damaged(format!(
            "{found}, and neither another nor the end of the GIF (0x3b) follows at byte {end}, but 0x{byte:02x}"
        ))),
        None => Err(Format::Gif.damaged(format!(
            "{found}, and the file ends behind {length} bytes without the byte 0x3b that ends a GIF"
        ))),
    }
}

/// Reads the frames after the first and keeps nothing, until `go_on` says to stop, or they are over a limit.
///
/// # Errors
/// Damage, with the number of the frame.
pub(crate) fn check_frames(
    bytes: &[u8],
    limits: &Limits,
    mut go_on: impl FnMut() -> ControlFlow<()>,
) -> Result<(), ImageError> {
    let (frames, _) = scan(bytes);
    if frames < 2 {
        return Ok(());
    }
    let mut read = 0;
    let all = each(bytes, frames, limits, |number, _| {
        read = number;
        Ok(go_on())
    });
    match all {
        Err(error @ ImageError::NoMemory { .. }) => Err(error),
        Err(error) if !error.is_about_a_picture() => Err(error.on("frame", read + 1)),
        _ => Ok(()),
    }
}

/// What is displayed, in RGB, and what is not covered.
#[derive(Default)]
struct Canvas {
    size: [u32; 2],
    rgb: Vec<u8>,
    alpha: Vec<u8>,
}

impl Canvas {
    /// The picture; without alpha where all is covered.
    fn picture(self) -> (RgbImage, Option<GrayImage>) {
        let [width, height] = self.size;
        let opaque = self.alpha.iter().all(|&value| value == 255);
        let alpha = if opaque { None } else { GrayImage::from_raw(width, height, self.alpha) };
        (RgbImage::from_raw(width, height, self.rgb).expect("three bytes for each pixel"), alpha)
    }
}

/// Shows the frames up to number `last` as they are displayed, with their numbers. The last may be taken away.
fn each(
    bytes: &[u8],
    last: u32,
    limits: &Limits,
    mut show: impl FnMut(u32, &mut Canvas) -> Result<ControlFlow<()>, ImageError>,
) -> Result<(), ImageError> {
    let file = with_palette(bytes)?;
    let (mut decoder, mut frame, [width, height]) = start(&file)?;
    limits.check_size(width, height)?;
    let area = u64::from(width) * u64::from(height);
    limits.check_work("GIF", bytes.len(), area * 9)?;
    let size = [width, height];
    let mut canvas = Canvas { size, rgb: zeroed(area as usize * 3)?, alpha: zeroed(area as usize)? };
    // Pixels that pass through: a frame may reach beyond the canvas, and go back to what was there.
    let mut through = 0;
    for index in 1..=last {
        let back = frame.disposal == DisposalMethod::Previous && index < last;
        through += frame.pixels() + if back { area } else { 0 };
        limits.check_work("GIF", bytes.len(), through.max(area * 9 + frame.pixels()))?;
        let colours = palette(&decoder);
        let mut own = zeroed(frame.pixels() as usize)?;
        decoder.read_into_buffer(&mut own).map_err(translate)?;
        let Canvas { rgb, alpha, .. } = &mut canvas;
        let before = match back {
            true => Some((joined(&[rgb])?, joined(&[alpha])?)),
            false => None,
        };
        let (columns, rows) = frame.inside(width, height);
        for (y, row) in rows.zip(own.chunks_exact(frame.width.max(1) as usize)) {
            let start = y as usize * width as usize + columns.start as usize;
            let length = columns.len();
            let pixels = rgb.as_chunks_mut::<3>().0[start..][..length].iter_mut();
            for ((pixel, alpha), &colour) in pixels.zip(&mut alpha[start..][..length]).zip(row) {
                if Some(colour) != frame.transparent {
                    (*pixel, *alpha) = (colours[usize::from(colour)], 255);
                }
            }
        }
        if show(index, &mut canvas)?.is_break() || index == last {
            break;
        }
        let Canvas { rgb, alpha, .. } = &mut canvas;
        match (frame.disposal, before) {
            (_, Some(before)) => (*rgb, *alpha) = before,
            (DisposalMethod::Background, None) => {
                let (columns, rows) = frame.inside(width, height);
                for y in rows {
                    let start = y as usize * width as usize + columns.start as usize;
                    alpha[start..][..columns.len()].fill(0);
                    rgb.as_chunks_mut::<3>().0[start..][..columns.len()].fill([0; 3]);
                }
            }
            _ => (),
        }
        frame = next(&mut decoder)?.ok_or_else(|| Format::Gif.damaged("a frame is missing"))?;
    }
    Ok(())
}

/// A frame that is about to be read.
struct Frame {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
    transparent: Option<u8>,
    disposal: DisposalMethod,
}

impl Frame {
    fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Its columns and rows on the canvas.
    fn inside(&self, width: u32, height: u32) -> (Range<u32>, Range<u32>) {
        let span = |start: u32, length: u32, side: u32| start.min(side)..(start + length).min(side);
        (span(self.left, self.width, width), span(self.top, self.height, height))
    }
}

fn open(bytes: &[u8]) -> Result<Decoder<'_>, ImageError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // Frames are read into memory that is given.
    options.set_memory_limit(MemoryLimit::Bytes(std::num::NonZeroU64::MAX));
    options.read_info(Cursor::new(bytes)).map_err(translate)
}

/// A decoder that is about to read the first frame, and the canvas.
fn start(file: &[u8]) -> Result<(Decoder<'_>, Frame, [u32; 2]), ImageError> {
    let mut decoder = open(file)?;
    let frame = next(&mut decoder)?.ok_or_else(|| Format::Gif.damaged("it has no picture"))?;
    let canvas = canvas(&decoder, &frame);
    Ok((decoder, frame, canvas))
}

/// The file with levels of grey as its colours if it has none for all frames, which is how frames without any are shown.
fn with_palette(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ImageError> {
    match bytes.split_at_checked(13) {
        Some((head, rest)) if head[10] & 0x80 == 0 => {
            let levels: Vec<u8> = (0..=255u8).flat_map(|level| [level; 3]).collect();
            let mut whole = joined(&[head, &levels, rest])?;
            whole[10] |= 0x87;
            Ok(Cow::Owned(whole))
        }
        _ => Ok(Cow::Borrowed(bytes)),
    }
}

fn next(decoder: &mut Decoder<'_>) -> Result<Option<Frame>, ImageError> {
    let frame = decoder.next_frame_info().map_err(translate)?;
    Ok(frame.map(|frame| Frame {
        left: frame.left.into(),
        top: frame.top.into(),
        width: frame.width.into(),
        height: frame.height.into(),
        transparent: frame.transparent,
        disposal: frame.dispose,
    }))
}

/// The canvas, which grows to the first frame, as in Pillow.
fn canvas(decoder: &Decoder<'_>, frame: &Frame) -> [u32; 2] {
    [
        u32::from(decoder.width()).max(frame.left + frame.width),
        u32::from(decoder.height()).max(frame.top + frame.height),
    ]
}

/// The colours of the frame that is about to be read; levels of grey behind them.
fn palette(decoder: &Decoder<'_>) -> Box<[[u8; 3]; 256]> {
    let mut colours = Box::new(std::array::from_fn(|index| [index as u8; 3]));
    let given = decoder.palette().unwrap_or_default();
    for (colour, given) in colours.iter_mut().zip(given.as_chunks::<3>().0) {
        *colour = *given;
    }
    colours
}

/// The byte behind the last block.
const TRAILER: u8 = 0x3b;

/// Frames, by the blocks of the file, and where the blocks end.
fn scan(bytes: &[u8]) -> (u32, usize) {
    let table = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let mut at = 13 + bytes.get(10).map_or(0, |&flags| table(flags));
    let mut count = 0;
    loop {
        match bytes.get(at) {
            Some(0x2c) => {
                count += 1;
                at += 11 + bytes.get(at + 9).map_or(0, |&flags| table(flags));
            }
            Some(0x21) => at += 2,
            _ => return (count, at),
        }
        while let Some(&length @ 1..) = bytes.get(at) {
            at += 1 + usize::from(length);
        }
        at += 1;
    }
}

fn translate(error: gif::DecodingError) -> ImageError {
    Format::Gif.damaged(error.to_string())
}
