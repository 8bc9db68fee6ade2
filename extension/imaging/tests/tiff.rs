//! TIFF in its many forms: `data/tiff/tiff.txt` lists files with the CRC-32 of their pixels (tests/make_tiff.py).

use std::path::Path;

use sam_imaging::{ImageError, Limits, decode, info, page};

fn read(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiff").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn names() -> impl Iterator<Item = Vec<&'static str>> {
    include_str!("data/tiff/tiff.txt").lines().map(|line| line.split(' ').collect())
}

#[test]
fn every_form_is_read() {
    let mut failures = Vec::new();
    for fields in names() {
        let [name, width, height, channels, orientation, sample, pages, crc] = fields[..] else { panic!("{fields:?}") };
        let bytes = read(name);
        let found = info(&bytes, &Limits::default()).unwrap();
        let header = format!(
            "{} {} {} {} {} {}",
            found.width, found.height, found.channels, found.orientation, found.sample, found.pages
        );
        assert_eq!(header, format!("{width} {height} {channels} {orientation} {sample} {pages}"), "{name}");
        match decode(&bytes, &Limits::default()) {
            Err(error) => failures.push(format!("{name}: {error}")),
            Ok(picture) => {
                assert_eq!(picture.dimensions(), (found.width, found.height), "{name}");
                if crc == "near" {
                    let expected = decode(&read(&format!("{name}.png")), &Limits::default()).unwrap();
                    let differences = picture.iter().zip(expected.iter()).map(|(&a, &b)| u32::from(a.abs_diff(b)));
                    let (most, sum) = differences.fold((0, 0), |(most, sum), d| (most.max(d), sum + d));
                    let mean = f64::from(sum) / picture.len() as f64;
                    println!("{name:30} max {most} mean {mean:.4}");
                    if most > 6 || mean > 0.5 {
                        failures.push(format!("{name}: max {most}, mean {mean}"));
                    }
                } else if format!("{:08x}", crc32fast::hash(&picture)) != crc {
                    failures.push(format!("{name}: other pixels"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn pages_keep_their_samples() {
    let bytes = read("pages.tif");
    let limits = Limits::default();
    let found: Vec<_> = (1..=5)
        .map(|number| {
            let png = page(&bytes, number, &limits).unwrap();
            let found = info(&png, &limits).unwrap();
            (found.channels, found.sample.to_string(), decode(&png, &limits).unwrap())
        })
        .collect();
    let kinds: Vec<_> = found.iter().map(|(channels, sample, _)| (*channels, sample.as_str())).collect();
    assert_eq!(kinds, [(1, "uint8"), (1, "uint16"), (1, "float32"), (3, "uint8"), (3, "uint16")]);
    // Page 3 holds floats, which come out as those of a file of their own.
    assert_eq!(found[2].2, decode(&read("float32_II.tif"), &limits).unwrap());
    assert_eq!(found[4].2, decode(&read("rgb16_big_MM.tif"), &limits).unwrap());
    for number in [0, 6, -1, i64::MAX] {
        assert_eq!(
            page(&bytes, number, &limits).unwrap_err().to_string(),
            format!("there is no page {number}: the TIFF has 5, counted from 1")
        );
    }
}

#[test]
fn what_is_cut_or_damaged_is_said() {
    let limits = Limits::default();
    for fields in names() {
        let bytes = read(fields[0]);
        for kept in (0..bytes.len()).step_by(bytes.len() / 23 + 1) {
            match decode(&bytes[..kept], &limits) {
                // A directory at the beginning needs no end of the file, nor do planes that are not shown.
                Ok(_) => assert!(fields[6] != "1" || kept > bytes.len() / 3, "{} cut to {kept}", fields[0]),
                Err(error) => assert!(
                    matches!(error, ImageError::Damaged { .. } | ImageError::UnknownFormat { .. } | ImageError::Empty)
                        || matches!(error, ImageError::NoPixels { .. }),
                    "{} cut to {kept}: {error}",
                    fields[0]
                ),
            }
        }
    }
}

#[test]
fn what_is_not_supported_is_named() {
    let limits = Limits::default();
    // The entry of a tag, with a value of 16 bits.
    let with = |name: &str, tag: u16, value: u16| {
        let mut bytes = read(name);
        let entry = [&tag.to_le_bytes()[..], &3u16.to_le_bytes(), &1u32.to_le_bytes()].concat();
        let at = bytes.windows(entry.len()).position(|window| window == entry).expect("the tag");
        bytes[at + 8..at + 10].copy_from_slice(&value.to_le_bytes());
        decode(&bytes, &limits).unwrap_err()
    };
    for (tag, value, said) in [
        (259, 34712, "compression JPEG 2000"),
        (259, 34887, "compression LERC"),
        (259, 6, "compression old-style JPEG"),
        (262, 8, "CIE L*a*b* colours"),
        (262, 32803, "it is a camera's raw picture: the mosaic of a sensor"),
    ] {
        let error = with("grey8_lzw_predictor2_II.tif", tag, value);
        assert!(error.is_about_a_picture());
        let text = error.to_string();
        assert!(text.contains(said) && text.contains("the file is sound"), "{text}");
    }
}

#[test]
fn damage_never_panics() {
    let mut state = 7u64;
    let mut random = move |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
    for fields in names() {
        let intact = read(fields[0]);
        for _ in 0..60 {
            let mut bytes = intact.clone();
            for _ in 0..1 + random(6) {
                // Directories are where the surprises are: at the beginning, or at the end.
                let at = match random(3) {
                    0 => random(bytes.len()),
                    1 => random(bytes.len().min(300)),
                    _ => bytes.len() - 1 - random(bytes.len().min(300)),
                };
                bytes[at] = random(256) as u8;
            }
            if let (Ok(info), Ok(picture)) = (info(&bytes, &limits), decode(&bytes, &limits)) {
                assert_eq!((info.width, info.height), picture.dimensions());
            }
            let _ = page(&bytes, 1, &limits);
        }
    }
}
