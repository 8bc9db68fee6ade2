//! Times of the stages on one thread: `cargo run --release -p sam-imaging --example speed -- [picture]...`.
//!
//! Without arguments resizing, turning and run lengths are timed on made-up pictures; files add decoding.

use std::hint::black_box;
use std::time::Instant;

use sam_imaging::{Limits, Mask, MaskBuilder, RgbImage, Rle, decode, info, resize_bilinear};

/// Prints the best of several runs in milliseconds: others may be busy on the same machine.
fn time<T>(what: &str, mut work: impl FnMut() -> T) -> T {
    let mut times = Vec::new();
    let mut result = work();
    for _ in 0..20 {
        let start = Instant::now();
        result = black_box(work());
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!("{what:50} {:8.2} ms", times[0]);
    result
}

/// Resizes so that the longer side is 1024, as SAM asks for.
fn to_1024(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let scale = 1024.0 / f64::from(width.max(height));
    let side = |length: u32| (f64::from(length) * scale + 0.5) as u32;
    resize_bilinear(picture, side(width), side(height))
}

fn main() {
    let noise = |x: u32, y: u32| (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729)).wrapping_mul(2_654_435_761);
    let picture = RgbImage::from_fn(4000, 3000, |x, y| {
        let [a, b, c, _] = noise(x, y).to_be_bytes();
        image::Rgb([a, b, c])
    });
    time("resize 4000 x 3000 -> 1024 x 768", || to_1024(&picture));
    let small = time("resize 4000 x 3000 -> 640 x 480", || resize_bilinear(&picture, 640, 480));
    time("resize 640 x 480 -> 1024 x 768", || to_1024(&small));

    // A disc with a wavy edge, and noise as the worst case.
    let logits = |x: u32, y: u32| {
        let (dx, dy) = (x as f32 - 2000.0, y as f32 - 1500.0);
        1200.0 + 80.0 * (dx / 40.0).sin() - dx.hypot(dy)
    };
    let rows: Vec<Vec<f32>> = (0..3000).map(|y| (0..4000).map(|x| logits(x, y)).collect()).collect();
    let mask = time("mask 12 MP from rows of logits", || {
        let mut builder = MaskBuilder::new(4000, 3000);
        for (y, row) in rows.iter().enumerate() {
            builder.push_row(y as u32, row, 0.0);
        }
        builder.finish()
    });
    let rle = time("run lengths of 12 MP", || Rle::from_mask(&mask));
    let text = time(&format!("  as text ({} runs)", rle.counts.len()), || rle.to_counts_string());
    time("  from text", || Rle::from_counts_string(3000, 4000, &text).unwrap());
    time("  to a mask", || rle.to_mask());
    time("  area and box", || (rle.area(), rle.bbox()));
    let bytes: Vec<u8> = (0..12_000_000).map(|i| (noise(i % 4000, i / 4000) >> 31) as u8).collect();
    let noise = time("mask 12 MP from bytes", || Mask::from_bytes(4000, 3000, &bytes));
    let rle = time("run lengths of 12 MP of noise", || Rle::from_mask(&noise));
    time(&format!("  as text ({} runs)", rle.counts.len()), || rle.to_counts_string());

    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).unwrap();
        let about = info(&bytes, &Limits::default()).unwrap();
        println!("{path}: {about:?}");
        time("  info", || info(&bytes, &Limits::default()).unwrap());
        let picture = time("  decode", || decode(&bytes, &Limits::default()).unwrap());
        time("  decode and resize to 1024", || to_1024(&decode(&bytes, &Limits::default()).unwrap()));
        time("  resize", || to_1024(&picture));
    }
}
