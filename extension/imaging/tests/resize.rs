//! Resizing equals Pillow's to the last bit: CRC-32 of its results in `data/resize.txt`.

use sam_imaging::{RgbImage, resize_bilinear};

/// The same pixels as `pattern` in make_data.py.
fn pattern(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([0u64, 1, 2].map(|c| {
            let (x, y) = (u64::from(x), u64::from(y));
            let value = (x * 7919 + y * 104_729 + c * 1_299_709 + x * y) * 2_654_435_761;
            (value as u32 >> 24) as u8
        }))
    })
}

#[test]
fn equals_pillow() {
    let mut failures = Vec::new();
    for line in include_str!("data/resize.txt").lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [width, height, to_width, to_height] = [0, 1, 2, 3].map(|field| fields[field].parse().unwrap());
        let resized = resize_bilinear(&pattern(width, height), to_width, to_height);
        assert_eq!(resized.dimensions(), (to_width, to_height));
        if format!("{:08x}", crc32fast::hash(&resized)) != fields[4] {
            failures.push(line);
        }
    }
    assert!(failures.is_empty(), "not equal to Pillow: {failures:?}");
}

#[test]
fn same_size_is_a_copy() {
    let picture = pattern(31, 17);
    assert_eq!(resize_bilinear(&picture, 31, 17), picture);
}

#[test]
fn flat_pictures_stay_flat() {
    for value in [0, 1, 127, 254, 255] {
        let flat = RgbImage::from_pixel(301, 203, image::Rgb([value; 3]));
        for (width, height) in [(10, 7), (600, 601), (301, 9), (1, 1)] {
            assert!(resize_bilinear(&flat, width, height).iter().all(|&byte| byte == value));
        }
    }
}

#[test]
fn empty_sides_are_no_panic() {
    assert_eq!(resize_bilinear(&RgbImage::new(0, 5), 3, 2), RgbImage::new(3, 2));
    assert_eq!(resize_bilinear(&pattern(3, 2), 0, 5).dimensions(), (0, 5));
}
