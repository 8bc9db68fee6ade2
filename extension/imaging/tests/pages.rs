//! Damage behind the first page.

use std::ops::ControlFlow;
use std::path::Path;

use sam_imaging::{ImageError, Limits, check, decode, info, page, pages};

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn damage(bytes: &[u8]) -> Option<String> {
    let error = check(bytes, &Limits::default(), || ControlFlow::Continue(())).err()?;
    assert!(!error.is_about_a_picture(), "{error}");
    Some(error.to_string())
}

fn count(bytes: &[u8]) -> Result<usize, ImageError> {
    let mut count = 0;
    pages(bytes, &Limits::default(), |_| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

/// Grey pages of 2 x 2 pixels, whose directories stand behind all pixels.
fn stack(pages: u32) -> Vec<u8> {
    let first = 8 + 4 * pages;
    let mut bytes = [&b"II*\0"[..], &first.to_le_bytes(), &vec![7; 4 * pages as usize]].concat();
    for page in 0..pages {
        let entries = [(256, 2), (257, 2), (258, 8), (259, 1), (262, 1), (273, 8 + 4 * page), (278, 2), (279, 4)];
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, value) in entries {
            bytes.extend([&(tag as u16).to_le_bytes()[..], &[4, 0, 1, 0, 0, 0], &value.to_le_bytes()].concat());
        }
        let next = if page + 1 < pages { bytes.len() as u32 + 4 } else { 0 };
        bytes.extend(next.to_le_bytes());
    }
    bytes
}

/// An animated PNG of three frames.
fn animated_png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 4, 3);
    encoder.set_animated(3, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    (0..3).for_each(|level| writer.write_image_data(&[level; 12]).unwrap());
    writer.finish().unwrap();
    bytes
}

#[test]
fn whole_files_are_intact() {
    let junk = |bytes: Vec<u8>| [&bytes[..], b"junk"].concat();
    let files = [read("pages.tif"), read("animated.gif"), read("animated.webp"), stack(3), animated_png()];
    for bytes in files {
        assert_eq!(damage(&bytes), None);
        assert_eq!(damage(&junk(bytes)), None);
    }
    assert_eq!(count(&stack(3)), Ok(3));
}

#[test]
fn a_cut_stack_is_no_shorter_one() {
    let bytes = stack(3);
    let limits = Limits::default();
    let directory = 2 + 8 * 12 + 4;
    for kept in 20 + directory - 4..bytes.len() {
        let cut = &bytes[..kept];
        let found = damage(cut).unwrap_or_else(|| panic!("nothing is said of {kept} bytes"));
        assert!(found.contains("found"), "{found}");
        assert!(!count(cut).unwrap_err().is_about_a_picture());
        assert!(decode(cut, &limits).is_ok() && page(cut, 1, &limits).is_ok());
        let pages = info(cut, &limits).unwrap().pages;
        assert!((1..=3).contains(&pages));
        // What is not found may have been there.
        assert!(!page(cut, 4, &limits).unwrap_err().is_about_a_picture());
    }
    assert_eq!(
        damage(&bytes[..20 + directory]).unwrap(),
        "the TIFF is damaged or truncated: 1 page is found, and the next should be described at byte 122, but the file is 122 \
         bytes long"
    );
    assert!(page(&bytes, 4, &limits).unwrap_err().is_about_a_picture());
}

#[test]
fn a_stack_that_goes_round_is_damaged() {
    let mut bytes = stack(3);
    let at = bytes.len() - 4;
    bytes[at] = 20;
    let found = damage(&bytes).unwrap();
    assert!(
        found.contains("3 pages are found, and behind the last follows the one described at byte 20 again"),
        "{found}"
    );
    assert!(count(&bytes).is_err());
}

#[test]
fn a_broken_page_is_named() {
    let mut bytes = stack(3);
    // The pixels of the third page lie outside the file.
    let third = 20 + 2 * (2 + 8 * 12 + 4) + 2;
    bytes[third + 5 * 12 + 8 + 3] = 9;
    let found = damage(&bytes).unwrap();
    assert!(found.starts_with("page 3: the TIFF is damaged or truncated"), "{found}");
    assert!(count(&bytes).unwrap_err().to_string().starts_with("page 3: "));
    assert!(page(&bytes, 2, &Limits::default()).is_ok() && page(&bytes, 3, &Limits::default()).is_err());
    // A page that is intact and too large is told where it is read.
    let mut bytes = stack(3);
    bytes[third + 8..third + 12].copy_from_slice(&100_000u32.to_le_bytes());
    for entry in [1, 6] {
        bytes[third + entry * 12 + 8..third + entry * 12 + 12].copy_from_slice(&100_000u32.to_le_bytes());
    }
    assert_eq!(damage(&bytes), None);
    let error = count(&bytes).unwrap_err();
    assert!(error.is_about_a_picture() && matches!(error.cause(), ImageError::TooManyPixels { .. }), "{error}");
    assert!(error.to_string().starts_with("page 3: the picture has 100000 x 100000"), "{error}");
}

#[test]
fn a_cut_animation_is_no_shorter_one() {
    for (bytes, format) in [(read("animated.gif"), "GIF"), (read("animated.webp"), "WebP"), (animated_png(), "PNG")] {
        let end = if format == "PNG" { bytes.len() - 12 } else { bytes.len() };
        let mut told = 0;
        for kept in (end / 2..end).rev() {
            let cut = &bytes[..kept];
            assert!(damage(cut).is_some(), "{format} of {kept} bytes");
            let error = count(cut).unwrap_err();
            assert!(!error.is_about_a_picture(), "{format} of {kept} bytes: {error}");
            told += usize::from(decode(cut, &Limits::default()).is_ok());
        }
        assert!(told > 0, "{format}");
    }
}
