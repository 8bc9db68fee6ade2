//! Run lengths: equal to pycocotools' (`data/rle.txt`), lossless, and safe on any text.

use sam_imaging::{Mask, MaskBuilder, Rle, RleError};

/// A small generator, so that failures repeat.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: u32) -> u32 {
        (self.next() % u64::from(end)) as u32
    }
}

/// Random rectangles and dots.
fn random_mask(random: &mut Random) -> Mask {
    let (width, height) = (1 + random.below(200), 1 + random.below(200));
    let mut pixels = vec![0u8; (width * height) as usize];
    for _ in 0..random.below(6) {
        let (x0, y0) = (random.below(width), random.below(height));
        let (x1, y1) = (x0 + 1 + random.below(width - x0), y0 + 1 + random.below(height - y0));
        for y in y0..y1 {
            for x in x0..x1 {
                pixels[(y * width + x) as usize] ^= 1;
            }
        }
    }
    for _ in 0..random.below(20) {
        pixels[random.below(width * height) as usize] ^= 1;
    }
    Mask::from_bytes(width, height, &pixels)
}

/// The definition, pixel by pixel.
fn counts_by_definition(mask: &Mask) -> Vec<u32> {
    let (mut counts, mut value) = (vec![0], false);
    for x in 0..mask.width() {
        for y in 0..mask.height() {
            if mask.get(x, y) != value {
                value = !value;
                counts.push(0);
            }
            *counts.last_mut().unwrap() += 1;
        }
    }
    counts
}

#[test]
fn equals_pycocotools() {
    for (number, line) in include_str!("data/rle.txt").lines().enumerate() {
        let fields: Vec<&str> = line.split(' ').collect();
        let (height, width): (u32, u32) = (fields[0].parse().unwrap(), fields[1].parse().unwrap());
        let bits: Vec<u8> = (0..(height * width) as usize)
            .map(|at| {
                let nibble = fields[2].as_bytes()[at / 4] as char;
                (nibble.to_digit(16).unwrap() >> (3 - at % 4) & 1) as u8
            })
            .collect();
        let mask = Mask::from_bytes(width, height, &bits);
        let rle = Rle::from_mask(&mask);
        let counts: Vec<u32> = fields[9].split(',').map(|count| count.parse().unwrap()).collect();
        assert_eq!(rle.counts, counts, "counts of mask {number}");
        assert_eq!(rle.to_counts_string(), fields[3], "text of mask {number}");
        assert_eq!(rle.area().to_string(), fields[4], "area of mask {number}");
        assert_eq!(rle.bbox().map(|side| side.to_string()), fields[5..9], "box of mask {number}");
        assert_eq!(Rle::from_counts_string(height, width, fields[3]).unwrap(), rle);
        assert_eq!(rle.to_mask(), mask, "mask {number} decoded");
        assert_eq!(mask.to_bytes(), bits);
    }
}

#[test]
fn round_trips() {
    let mut random = Random(1);
    for _ in 0..300 {
        let mask = random_mask(&mut random);
        let rle = Rle::from_mask(&mask);
        assert_eq!(rle.counts, counts_by_definition(&mask));
        assert_eq!(rle.area(), mask.area());
        assert_eq!(rle.to_mask(), mask);
        let text = rle.to_counts_string();
        let read = Rle::from_counts_string(rle.height, rle.width, &text).unwrap();
        assert_eq!(read, rle);
        assert_eq!(Rle::from_counts(rle.height, rle.width, rle.counts.clone()).unwrap(), rle);
    }
}

#[test]
fn long_counts_round_trip() {
    let counts = vec![0, 1, 4_000_000_000, 1, 2, 200_000_000, 94_967_290, 1];
    let rle = Rle::from_counts(65_535, 65_537, counts).unwrap();
    assert_eq!(Rle::from_counts_string(65_535, 65_537, &rle.to_counts_string()).unwrap(), rle);
}

#[test]
fn intersections_equal_counted_pixels() {
    let mut random = Random(2);
    for _ in 0..100 {
        let a = random_mask(&mut random);
        let pixels: Vec<u8> = a.to_bytes().iter().map(|&byte| byte ^ u8::from(random.below(9) == 0)).collect();
        let b = Mask::from_bytes(a.width(), a.height(), &pixels);
        let both = a.to_bytes().iter().zip(&pixels).filter(|&(&a, &b)| a & b == 1).count() as u64;
        let either = a.area() + b.area() - both;
        let (a, b) = (Rle::from_mask(&a), Rle::from_mask(&b));
        assert_eq!(a.intersection(&b), Some(both));
        assert_eq!(a.iou(&b), Some(if either == 0 { 0.0 } else { both as f64 / either as f64 }));
    }
    let (a, b) = (Rle::from_mask(&Mask::new(2, 3)), Rle::from_mask(&Mask::new(3, 2)));
    assert_eq!(a.iou(&b), None);
}

#[test]
fn any_text_is_an_answer_or_an_error() {
    let mut random = Random(3);
    for round in 0..20_000 {
        let length = random.below(24) as usize;
        // Half of the texts use only valid characters, to come further.
        let bytes: Vec<u8> = (0..length)
            .map(|_| if round % 2 == 0 { random.next() as u8 } else { 48 + random.below(64) as u8 })
            .collect();
        let text = String::from_utf8_lossy(&bytes);
        let (height, width) = (random.below(300), random.below(300));
        if let Ok(rle) = Rle::from_counts_string(height, width, &text) {
            assert_eq!(rle.counts.iter().map(|&count| u64::from(count)).sum::<u64>(), u64::from(height * width));
            assert_eq!(rle.to_mask().area(), rle.area());
            rle.bbox();
        }
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let read = |height, width, text| Rle::from_counts_string(height, width, text).unwrap_err().to_string();
    assert_eq!(
        read(2, 2, "1 3"),
        "the counts have the byte 0x20 at position 1; COCO's compressed counts use only the characters '0' to 'o'"
    );
    assert_eq!(read(2, 2, "P"), "the counts end in the middle of a number; the text was cut off");
    assert_eq!(read(2, 2, "3"), "the counts sum to 3 pixels, but a mask of 2 x 2 has 4");
    assert_eq!(read(2, 2, "5"), "the counts sum to 5 pixels, but a mask of 2 x 2 has 4");
    assert_eq!(read(2, 2, "@"), "count 0 of the mask is -16; a count is between 0 and 4294967295");
    assert!(matches!(Rle::from_counts_string(2, 2, "oooooooooo"), Err(RleError::Count { .. })));
    assert_eq!(
        read(70_000, 70_000, "4"),
        "a mask of 70000 x 70000 pixels is too large: the limit is 4294967295 pixels"
    );
}

#[test]
fn masks_without_pixels() {
    for (width, height) in [(0, 0), (0, 5), (5, 0)] {
        let rle = Rle::from_mask(&Mask::new(width, height));
        assert_eq!(rle.counts, [0]);
        assert_eq!(rle.bbox(), [0.0; 4]);
        assert_eq!(rle.to_mask(), Mask::new(width, height));
        assert_eq!(Rle::from_counts_string(height, width, "0").unwrap(), rle);
    }
}

#[test]
fn contradictory_counts_do_not_panic() {
    let rle = Rle { height: 3, width: 2, counts: vec![1, u32::MAX, 5, 0, 7, u32::MAX] };
    assert_eq!(rle.to_mask().to_bytes(), [0, 1, 1, 1, 1, 1]);
    rle.bbox();
    assert_eq!(Rle { height: 0, width: 0, counts: vec![0, 9] }.bbox(), [0.0; 4]);
}

#[test]
fn builder_compares_with_the_threshold() {
    for width in [1u32, 7, 63, 64, 65, 200] {
        let mut random = Random(u64::from(width));
        let mut builder = MaskBuilder::new(width, 4);
        let mut expected = vec![0u8; 4 * width as usize];
        for y in [2u32, 0, 3] {
            let mut row: Vec<f32> = (0..width).map(|_| random.below(5) as f32 - 2.0).collect();
            row[0] = f32::NAN;
            builder.push_row(y, &row, 0.0);
            for (x, &logit) in row.iter().enumerate() {
                expected[y as usize * width as usize + x] = u8::from(logit > 0.0);
            }
        }
        let mask = builder.finish();
        assert_eq!(mask.to_bytes(), expected);
        assert_eq!(mask, Mask::from_rows(&expected.chunks(width as usize).collect::<Vec<_>>()));
        assert_eq!(mask, Mask::from_bytes(width, 4, &expected));
    }
}
