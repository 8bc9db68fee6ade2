//! Decoding equals Pillow's: `data/decode.txt` lists files with the CRC-32 of its pixels.

use std::path::Path;

use sam_imaging::{ImageError, Limits, RgbImage, decode, info};

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

struct Reference {
    name: &'static str,
    format: &'static str,
    size: (u32, u32),
    channels: u32,
    orientation: u8,
    crc: u32,
}

fn references() -> Vec<Reference> {
    let line = |line: &'static str| {
        let fields: Vec<&str> = line.split(' ').collect();
        Reference {
            name: fields[0],
            format: fields[1],
            size: (fields[2].parse().unwrap(), fields[3].parse().unwrap()),
            channels: fields[4].parse().unwrap(),
            orientation: fields[5].parse().unwrap(),
            crc: u32::from_str_radix(fields[6], 16).unwrap(),
        }
    };
    include_str!("data/decode.txt").lines().map(line).collect()
}

/// Largest and mean difference to the pixels that Pillow decoded, kept beside the file as PNG.
fn difference(name: &str, picture: &RgbImage) -> (u8, f64) {
    let expected = decode(&read(&format!("{name}.png")), &Limits::default()).unwrap();
    assert_eq!(picture.dimensions(), expected.dimensions(), "{name}");
    let differences = picture.iter().zip(expected.iter()).map(|(&ours, &theirs)| ours.abs_diff(theirs));
    let (max, sum) = differences.fold((0, 0u64), |(max, sum), d| (d.max(max), sum + u64::from(d)));
    (max, sum as f64 / picture.len() as f64)
}

#[test]
fn lossless_formats_equal_pillow() {
    let mut failures = Vec::new();
    for reference in references() {
        if reference.format == "jpeg" {
            continue;
        }
        match decode(&read(reference.name), &Limits::default()) {
            Ok(picture) => {
                assert_eq!(picture.dimensions(), reference.size, "{}", reference.name);
                if crc32fast::hash(&picture) != reference.crc {
                    failures.push(reference.name.to_string());
                }
            }
            Err(error) => failures.push(format!("{}: {error}", reference.name)),
        }
    }
    assert!(failures.is_empty(), "not equal to Pillow: {failures:#?}");
}

/// The JPEG decoder rounds otherwise than libjpeg-turbo in three places: the inverse DCT (+-1 in under 1 % of
/// samples), the enlargement of halved chroma (it rounds between the two directions, libjpeg only once: +-1 in a
/// third of them), and colour conversion, which multiplies both by up to 1.77. Where a chroma plane is at most two
/// samples wide, libjpeg repeats samples instead of blending them, and at the right and lower edge of pictures
/// narrower than a block the decoder blends with padding: tiny pictures differ visibly.
#[test]
fn jpegs_are_near_pillow() {
    for reference in references().iter().filter(|reference| reference.format == "jpeg") {
        let picture = decode(&read(reference.name), &Limits::default()).unwrap();
        let (max, mean) = difference(reference.name, &picture);
        println!("{:24} max {max} mean {mean:.4}", reference.name);
        let (max_allowed, mean_allowed) = match reference.name {
            "2x9.jpg" | "3x5.jpg" | "8x8.jpg" => (60, 16.0),
            // One component after another in full resolution: the inverse DCT alone.
            "grey.jpg" | "grey_progressive.jpg" | "rgb.jpg" | "cmyk.jpg" => (1, 0.02),
            "444.jpg" | "444_progressive.jpg" | "ycck.jpg" => (3, 0.03),
            "422.jpg" | "422_progressive.jpg" => (4, 0.2),
            _ => (4, 0.45),
        };
        assert!(max <= max_allowed && mean <= mean_allowed, "{}: max {max}, mean {mean}", reference.name);
    }
}

#[test]
fn headers_agree() {
    for reference in references() {
        let info = info(&read(reference.name), &Limits::default()).unwrap();
        assert_eq!(
            (info.format, (info.width, info.height), info.channels, info.orientation),
            (reference.format, reference.size, reference.channels, reference.orientation),
            "{}",
            reference.name
        );
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let text = |bytes: &[u8], limits: &Limits| decode(bytes, limits).unwrap_err().to_string();
    let limits = Limits::default();
    assert_eq!(text(b"", &limits), "the image is empty (0 bytes)");
    assert_eq!(
        text(b"hello", &limits),
        "not a picture that can be decoded: 5 bytes beginning 68 65 6c 6c 6f match none of JPEG, PNG, WebP, GIF, BMP, TIFF"
    );
    let png = read("rgb.png");
    assert_eq!(
        text(&png, &Limits { max_pixels: 1000, ..limits }),
        "the picture has 45 x 31 = 1395 pixels, the limit is 1000"
    );
    assert_eq!(
        text(&png, &Limits { max_side: 40, ..limits }),
        "the picture has 45 x 31 pixels, the limit of a side is 40"
    );
    let length = png.len();
    assert_eq!(
        text(&png, &Limits { max_bytes: 100, ..limits }),
        format!("the picture is {length} bytes long, the limit is 100")
    );
    assert!(text(&read("420.jpg")[..1500], &limits).starts_with("the JPEG is damaged or truncated: "));
    assert!(text(&png[..png.len() / 2], &limits).starts_with("the PNG is damaged or truncated: "));
}

#[test]
fn limits_hold_for_every_format_before_decoding() {
    let limits = Limits { max_pixels: 98, ..Limits::default() };
    for reference in references().iter().filter(|reference| reference.size.0 * reference.size.1 > 98) {
        let bytes = read(reference.name);
        for error in [decode(&bytes, &limits).unwrap_err(), info(&bytes, &limits).unwrap_err()] {
            assert!(matches!(error, ImageError::TooManyPixels { limit: 98, .. }), "{}: {error}", reference.name);
        }
    }
}

/// A header may claim any size; claiming must cost nothing.
#[test]
fn claimed_sizes_are_refused() {
    let mut bmp = read("rgb.bmp");
    bmp[18..22].copy_from_slice(&30_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&30_000u32.to_le_bytes());
    assert!(matches!(decode(&bmp, &Limits::default()), Err(ImageError::TooManyPixels { pixels: 900_000_000, .. })));
    let mut gif = read("plain.gif");
    gif[6..10].fill(0xff);
    assert!(matches!(decode(&gif, &Limits::default()), Err(ImageError::TooManyPixels { .. })));
    let mut jpeg = read("420.jpg");
    let sof = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[sof + 5..sof + 9].fill(0xff);
    assert!(matches!(decode(&jpeg, &Limits::default()), Err(ImageError::TooManyPixels { .. })));
}

#[test]
fn truncated_jpegs_are_errors() {
    for name in ["420.jpg", "420_progressive.jpg", "grey.jpg", "444.jpg"] {
        let bytes = read(name);
        for kept in (2..bytes.len()).step_by(97).chain([bytes.len() - 2, bytes.len() - 1]) {
            let error = decode(&bytes[..kept], &Limits::default()).expect_err(name);
            assert!(
                matches!(error, ImageError::Damaged { .. } | ImageError::UnknownFormat { .. }),
                "{name} cut to {kept} bytes: {error}"
            );
        }
    }
}

#[test]
fn damage_never_panics() {
    let mut state = 1u64;
    let mut random = move |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
    for reference in references() {
        let intact = read(reference.name);
        for _ in 0..40 {
            let mut bytes = intact.clone();
            for _ in 0..1 + random(8) {
                // Headers are where the surprises are.
                let end = if random(2) == 0 { bytes.len() } else { bytes.len().min(200) };
                bytes[random(end)] = random(256) as u8;
            }
            bytes.truncate(if random(3) == 0 { random(bytes.len()) } else { bytes.len() });
            if let (Ok(info), Ok(picture)) = (info(&bytes, &limits), decode(&bytes, &limits)) {
                assert_eq!((info.width, info.height), picture.dimensions());
            }
        }
    }
}
