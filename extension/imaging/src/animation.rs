//! Animated PNG and WebP, of which only the first frame is decoded: whether the others are there.

use crate::error::ImageError;
use crate::format::Format;
use crate::metadata::{png_chunks, webp_chunks};

/// Checks that an animated PNG has as many frames as it says, and its end.
///
/// # Errors
/// Damage.
pub(crate) fn check_png(bytes: &[u8]) -> Result<(), ImageError> {
    let (mut said, mut found, mut ends) = (None, 0u32, false);
    for (name, data) in png_chunks(bytes) {
        match &name {
            // It is an animation only if it is said before the pixels.
            b"IDAT" if said.is_none() => return Ok(()),
            b"acTL" => said = said.or(data.first_chunk().copied().map(u32::from_be_bytes)),
            b"fcTL" => found += 1,
            b"IEND" => {
                ends = true;
                break;
            }
            _ => (),
        }
    }
    let length = bytes.len();
    match said {
        Some(said) if !ends => Err(Format::Png.damaged(format!(
            "it is an animation of {said} frames, and the file of {length} bytes ends in frame {}",
            found.max(1)
        ))),
        Some(said) if said != found => {
            Err(Format::Png.damaged(format!("it says that it is an animation of {said} frames, and has {found}")))
        }
        _ => Ok(()),
    }
}

/// Checks that an animated WebP is as long as it says.
///
/// # Errors
/// Damage.
pub(crate) fn check_webp(bytes: &[u8]) -> Result<(), ImageError> {
    if !webp_chunks(bytes).any(|(name, _)| name == *b"ANIM") {
        return Ok(());
    }
    let length = bytes.len() as u64;
    let said = bytes.get(4..8).and_then(|size| size.first_chunk().copied()).map_or(0, u32::from_le_bytes);
    let said = u64::from(said) + 8;
    let found = webp_chunks(bytes).filter(|(name, _)| name == b"ANMF").count();
    match said > length {
        true => Err(Format::WebP.damaged(format!(
            "it is an animation of {said} bytes, and the file ends behind {length} bytes; frames that are whole: {found}"
        ))),
        false => Ok(()),
    }
}
