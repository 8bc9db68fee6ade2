//! Decoding equals Pillow's: `data/decode.txt` lists files with the CRC-32 of its pixels.

use std::path::Path;

use sam_imaging::{Limits, RgbImage, decode, info};

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

struct Reference {
    name: &'static str,
    format: &'static str,
    size: (u32, u32),
    channels: u8,
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
        if reference.format == "jpeg" || reference.name == "lossy.webp" {
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

#[test]
fn lossy_formats_are_near_pillow() {
    for reference in references() {
        if reference.format == "jpeg" || reference.name == "lossy.webp" {
            let picture = decode(&read(reference.name), &Limits::default()).unwrap();
            let (max, mean) = difference(reference.name, &picture);
            println!("{:24} max {max} mean {mean:.4}", reference.name);
        }
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
