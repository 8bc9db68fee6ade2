//! WebP with loss, by libwebp: the encoder of the `image` crate has none.

use std::io::Write;
use std::mem::MaybeUninit;

use image::error::{EncodingError, UnsupportedError};
use image::{ExtendedColorType, ImageEncoder, ImageError, ImageFormat, ImageResult};
use libwebp_sys::{
    WebPConfig, WebPEncode, WebPEncodingError, WebPMemoryWrite, WebPMemoryWriter, WebPMemoryWriterClear,
    WebPMemoryWriterInit, WebPPicture, WebPPictureFree, WebPPictureImportRGB, WebPPictureImportRGBA, WebPPreset,
};

use crate::error::ImageError as Refused;
use crate::metadata::webp_chunks;

/// Writes a picture with a quality of 1 to 100, as `cwebp` and Pillow do. Transparency is kept without loss.
pub(super) struct LossyWebP<W> {
    to: W,
    quality: u8,
    profile: Option<Vec<u8>>,
}

impl<W: Write> LossyWebP<W> {
    pub(super) fn new(to: W, quality: u8) -> Self {
        Self { to, quality, profile: None }
    }
}

impl<W: Write> ImageEncoder for LossyWebP<W> {
    fn write_image(mut self, pixels: &[u8], width: u32, height: u32, colours: ExtendedColorType) -> ImageResult<()> {
        let grey: Vec<u8>;
        let (pixels, transparency) = match colours {
            ExtendedColorType::L8 => {
                grey = pixels.iter().flat_map(|&level| [level; 3]).collect();
                (&grey[..], false)
            }
            colours => (pixels, colours == ExtendedColorType::Rgba8),
        };
        let encoded = encode(pixels, [width, height], transparency, self.quality)?;
        match &self.profile {
            // One for grey does not fit: WebP has colours.
            Some(profile) if colours != ExtendedColorType::L8 => {
                self.to.write_all(&with_profile(encoded.bytes(), [width, height], transparency, profile))?;
            }
            _ => self.to.write_all(encoded.bytes())?,
        }
        Ok(())
    }

    fn set_icc_profile(&mut self, profile: Vec<u8>) -> Result<(), UnsupportedError> {
        self.profile = Some(profile);
        Ok(())
    }
}

/// A file in libwebp's memory.
struct Encoded(WebPMemoryWriter);

impl Encoded {
    fn bytes(&self) -> &[u8] {
        if self.0.mem.is_null() {
            return &[];
        }
        // SAFETY: libwebp has written `size` bytes there, and they stay until this is dropped.
        unsafe { std::slice::from_raw_parts(self.0.mem, self.0.size) }
    }
}

impl Drop for Encoded {
    fn drop(&mut self) {
        // SAFETY: the writer was initialised, and this is the last use of it.
        unsafe { WebPMemoryWriterClear(&mut self.0) }
    }
}

/// A picture in libwebp's memory.
struct Imported(WebPPicture);

impl Drop for Imported {
    fn drop(&mut self) {
        // SAFETY: the picture was initialised, and this is the last use of it.
        unsafe { WebPPictureFree(&mut self.0) }
    }
}

/// Compresses pixels of three bytes, or of four with `transparency`.
fn encode(pixels: &[u8], [width, height]: [u32; 2], transparency: bool, quality: u8) -> ImageResult<Encoded> {
    let failed = |reason: String| ImageError::Encoding(EncodingError::new(ImageFormat::WebP.into(), reason));
    let channels = if transparency { 4 } else { 3 };
    let side = |pixels: u32| {
        i32::try_from(pixels).map_err(|_| failed(describe(WebPEncodingError::VP8_ENC_ERROR_BAD_DIMENSION)))
    };
    let (width, height) = (side(width)?, side(height)?);
    assert_eq!(pixels.len() as u64, width as u64 * height as u64 * channels, "bytes of a picture");
    let version = |()| failed("libwebp is of another version than its header".to_string());
    let config = WebPConfig::new_with_preset(WebPPreset::WEBP_PRESET_DEFAULT, f32::from(quality)).map_err(version)?;
    let mut picture = Imported(WebPPicture::new().map_err(version)?);
    let mut writer = MaybeUninit::uninit();
    // SAFETY: this fills the writer.
    let mut encoded = Encoded(unsafe {
        WebPMemoryWriterInit(writer.as_mut_ptr());
        writer.assume_init()
    });
    (picture.0.width, picture.0.height) = (width, height);
    picture.0.writer = Some(WebPMemoryWrite);
    picture.0.custom_ptr = (&raw mut encoded.0).cast();
    // SAFETY: the picture was initialised and has its size; the pixels have as many bytes as size and stride say, as was
    // checked. `WebPMemoryWrite` finds its writer where `custom_ptr` points, which outlives the call.
    let done = unsafe {
        let import = if transparency { WebPPictureImportRGBA } else { WebPPictureImportRGB };
        import(&mut picture.0, pixels.as_ptr(), width * channels as i32) != 0
            && WebPEncode(&config, &mut picture.0) != 0
    };
    if done {
        return Ok(encoded);
    }
    Err(match picture.0.error_code {
        WebPEncodingError::VP8_ENC_ERROR_OUT_OF_MEMORY | WebPEncodingError::VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY => {
            let refused = Refused::NoMemory { bytes: pixels.len() };
            ImageError::IoError(std::io::Error::new(std::io::ErrorKind::OutOfMemory, refused))
        }
        error => failed(describe(error)),
    })
}

fn describe(error: WebPEncodingError) -> String {
    match error {
        WebPEncodingError::VP8_ENC_ERROR_BAD_DIMENSION => "a side is longer than 16383 pixels".to_string(),
        error => format!("libwebp reports {error:?}"),
    }
}

/// The extended form of a file, which has a place for a profile.
fn with_profile(file: &[u8], size: [u32; 2], transparency: bool, profile: &[u8]) -> Vec<u8> {
    const PROFILE: u8 = 0x20;
    const ALPHA: u8 = 0x10;
    let mut chunks = Vec::with_capacity(file.len() + profile.len() + 64);
    let mut put = |name: &[u8], data: &[u8]| {
        chunks.extend_from_slice(name);
        chunks.extend_from_slice(&(data.len() as u32).to_le_bytes());
        chunks.extend_from_slice(data);
        chunks.resize(chunks.len().next_multiple_of(2), 0);
    };
    let [width, height] = size.map(|side| (side - 1).to_le_bytes());
    let flags = if transparency { PROFILE | ALPHA } else { PROFILE };
    put(b"VP8X", &[flags, 0, 0, 0, width[0], width[1], width[2], height[0], height[1], height[2]]);
    put(b"ICCP", profile);
    webp_chunks(file).filter(|(name, _)| name != b"VP8X").for_each(|(name, data)| put(&name, data));
    [b"RIFF", &(chunks.len() as u32 + 4).to_le_bytes()[..], b"WEBP", &chunks].concat()
}
