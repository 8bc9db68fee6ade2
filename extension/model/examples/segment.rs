//! A picture in, a mask out:
//!
//!     cargo run --release -p sam-model --example segment -- photo.jpg 0.5 0.6 mask.png
//!
//! The point is a fraction of the picture's width and of its height. The mask is a PNG: 255 in the mask, 0 outside. The
//! model is the built-in one, or the checkpoint that a fifth argument names.

use std::path::Path;

use sam_imaging::{Limits, decode, mask_png};
use sam_model::{Model, Precision, Prompt, Threads};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn segment(picture: &str, point: [&str; 2], mask: &str, checkpoint: Option<&str>) -> Result<()> {
    let limits = Limits::default();
    let image = decode(&std::fs::read(picture)?, &limits)?;
    let model = match checkpoint {
        None => Model::nano(Precision::Auto)?,
        Some(path) => Model::open(Path::new(path), Precision::Auto)?,
    };
    let prompt = Prompt::point(point[0].parse()?, point[1].parse()?)?;

    let threads = Threads::new(rayon::current_num_threads());
    let embedding = model.embed(&image, threads)?;
    let prediction = model.predict(&embedding, &prompt, threads)?;
    let best = prediction.best();
    let (found, stability) = prediction.mask(best, 1.0);

    std::fs::write(mask, mask_png(&found, &limits)?)?;
    println!(
        "{mask}: {} of {} pixels, predicted IoU {:.3}, stability {stability:.3}",
        found.area(),
        image.width() * image.height(),
        prediction.predicted_iou()[best]
    );
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [picture, x, y, mask] => segment(picture, [x, y], mask, None),
        [picture, x, y, mask, checkpoint] => segment(picture, [x, y], mask, Some(checkpoint)),
        _ => Err("give a picture, x and y as fractions between 0 and 1, and the name of the mask's PNG".into()),
    };
    if let Err(error) = result {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
