//! Times the stages of the engine for `bench/run.py`, or by hand:
//!
//!     cargo run --release -p sam-model --example measure -- \
//!         --model mobile_sam.safetensors --precision f32 --threads 2 --image square.png --photos FOLDER
//!
//! Prints one JSON line when the model is loaded and has made its first embedding and mask, then reads commands from
//! the standard input, one a line, and answers each with one JSON line:
//!
//! - `STAGE WARMUPS RUNS`: raw seconds of each run after some that do not count. Stages: `image` (JPEG decode and
//!   resize), `encode`, `decode` (one point, three masks), `prompts` (one point each, one after the other, on one
//!   embedding), `mask` (upsampling to the picture's size, and COCO run lengths), `row` (a photograph's bytes to run
//!   lengths, on all threads), `vector` (many photographs, one per thread), `generate` (all objects in the image, the
//!   embedding given);
//! - `save PREFIX PHOTOS`: the embedding and the low-resolution logits as raw little-endian f32, the masks of that many
//!   photographs as run lengths in the answer;
//! - `memory IMAGES`: resident megabytes before and after that many photographs, one per thread.

use std::fs;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Barrier;
use std::time::Instant;

use rayon::prelude::*;
use sam_imaging::{Limits, MaskBuilder, RgbImage, Rle, decode, resize_bilinear};
use sam_model::{Embedding, Model, Precision, Prediction, Prompt, Threads};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What a row of a table costs: bytes to run lengths, and the predicted IoU.
fn row(model: &Model, bytes: &[u8], prompt: &Prompt, threads: Threads) -> Result<(Rle, String, f32)> {
    let picture = decode(bytes, &Limits::default())?;
    let prediction = model.predict(&model.embed(&picture, threads)?, prompt, threads)?;
    let iou = prediction.predicted_iou()[prediction.best()];
    let (rle, counts) = run_lengths(&prediction);
    Ok((rle, counts, iou))
}

/// The best candidate at the picture's own size, as COCO's compressed run lengths.
fn run_lengths(prediction: &Prediction) -> (Rle, String) {
    let (width, height) = prediction.size();
    let mut builder = MaskBuilder::new(width as u32, height as u32);
    prediction.for_each_row(prediction.best(), |y, logits| builder.push_row(y as u32, logits, 0.0));
    let rle = Rle::from_mask(&builder.finish());
    let counts = rle.to_counts_string();
    (rle, counts)
}

/// Seconds of each of `runs` calls, after `warmups` that do not count.
fn times(warmups: usize, runs: usize, mut work: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let mut seconds = Vec::with_capacity(runs);
    for run in 0..warmups + runs {
        let start = Instant::now();
        work()?;
        if run >= warmups {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(seconds)
}

struct Options {
    model: PathBuf,
    precision: Precision,
    threads: usize,
    image: PathBuf,
    photos: Option<PathBuf>,
    /// Photographs in a vector; those in the folder are taken in turn.
    vector: usize,
    prompts: usize,
}

impl Options {
    fn parse() -> Result<Self> {
        let mut options = Self {
            model: PathBuf::new(),
            precision: Precision::F32,
            threads: 1,
            image: PathBuf::new(),
            photos: None,
            vector: 64,
            prompts: 64,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--model" => options.model = value.into(),
                "--precision" => options.precision = value.parse()?,
                "--threads" => options.threads = value.parse()?,
                "--image" => options.image = value.into(),
                "--photos" => options.photos = Some(value.into()),
                "--vector" => options.vector = value.parse()?,
                "--prompts" => options.prompts = value.parse()?,
                _ => return Err(format!("unknown option {name}; the head of this file lists them").into()),
            }
        }
        Ok(options)
    }

    /// The bytes of the photographs, in the order of their names.
    fn read_photos(&self) -> Result<Vec<Vec<u8>>> {
        let Some(folder) = &self.photos else { return Ok(Vec::new()) };
        let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
        paths.sort();
        paths.iter().map(|path| Ok(fs::read(path)?)).collect()
    }
}

/// What the commands work on.
struct Bench {
    model: Model,
    /// All threads of the pool.
    threads: Threads,
    options: Options,
    image: RgbImage,
    photos: Vec<Vec<u8>>,
    point: Prompt,
    prompts: Vec<Prompt>,
    embedding: Embedding,
    prediction: Prediction,
}

impl Bench {
    /// Loads everything, and says how long the model took until it was ready and how long its first calls were.
    fn start(options: Options) -> Result<(Self, Value)> {
        let image = decode(&fs::read(&options.image)?, &Limits::default())?;
        let photos = options.read_photos()?;
        let point = Prompt::point(0.5, 0.6)?;
        let prompts = grid(options.prompts)?;
        let threads = Threads::new(options.threads);

        let start = Instant::now();
        let model = Model::open(&options.model, options.precision)?;
        let load = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let embedding = model.embed(&image, threads)?;
        let first_encode = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let prediction = model.predict(&embedding, &point, threads)?;
        let first_decode = start.elapsed().as_secs_f64();
        let ready = json!({
            "ready": true,
            "load": load,
            "first_encode": first_encode,
            "first_decode": first_decode,
            "versions": { "duckdb-sam": env!("CARGO_PKG_VERSION") },
        });
        Ok((Self { model, threads, options, image, photos, point, prompts, embedding, prediction }, ready))
    }

    /// Answers one command.
    fn answer(&self, line: &str) -> Result<Value> {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["save", prefix, photos] => self.save(prefix, photos.parse()?),
            ["memory", images] => self.memory(images.parse()?),
            [stage, warmups, runs] => Ok(json!({ "seconds": self.stage(stage, warmups.parse()?, runs.parse()?)? })),
            _ => Err(format!("unknown command '{line}'").into()),
        }
    }

    fn stage(&self, stage: &str, warmups: usize, runs: usize) -> Result<Vec<f64>> {
        let (model, threads) = (&self.model, self.threads);
        let first_photo = || self.photos.first().ok_or("this stage needs --photos");
        match stage {
            "image" => {
                let (bytes, side) = (first_photo()?, model.info().image_size);
                times(warmups, runs, || {
                    let picture = decode(bytes, &Limits::default())?;
                    let (width, height) = picture.dimensions();
                    let scale = side as f64 / f64::from(width.max(height));
                    let scaled = |side: u32| (f64::from(side) * scale + 0.5) as u32;
                    black_box(resize_bilinear(&picture, scaled(width), scaled(height)));
                    Ok(())
                })
            }
            "encode" => times(warmups, runs, || {
                black_box(model.embed(&self.image, threads)?);
                Ok(())
            }),
            "decode" => times(warmups, runs, || {
                black_box(model.predict(&self.embedding, &self.point, threads)?);
                Ok(())
            }),
            "prompts" => times(warmups, runs, || {
                for prompt in &self.prompts {
                    black_box(model.predict(&self.embedding, prompt, threads)?);
                }
                Ok(())
            }),
            "mask" => times(warmups, runs, || {
                black_box(run_lengths(&self.prediction));
                Ok(())
            }),
            "generate" => {
                let options = model.generate_options();
                times(warmups, runs, || {
                    black_box(model.generate(&self.embedding, None, &options, threads, || true)?);
                    Ok(())
                })
            }
            "row" => {
                let bytes = first_photo()?;
                times(warmups, runs, || {
                    black_box(row(model, bytes, &self.point, threads)?);
                    Ok(())
                })
            }
            "vector" => {
                first_photo()?;
                times(warmups, runs, || self.vector(self.options.vector))
            }
            _ => Err(format!("unknown stage '{stage}'").into()),
        }
    }

    /// `count` photographs, one per thread at a time.
    fn vector(&self, count: usize) -> Result<()> {
        (0..count).into_par_iter().with_max_len(1).try_for_each(|index| {
            let bytes = &self.photos[index % self.photos.len()];
            black_box(row(&self.model, bytes, &self.point, Threads::ONE)?);
            Ok(())
        })
    }

    fn memory(&self, images: usize) -> Result<Value> {
        // Before the first look all threads have held at the same time what each of them ever holds: what grows from
        // there on is lost. The barrier sees to it: left alone, two threads are rarely both at the decoder.
        let bytes = self.photos.first().ok_or("this stage needs --photos")?;
        let barrier = Barrier::new(self.options.threads);
        let at_once = rayon::broadcast(|_| {
            let embedding = decode(bytes, &Limits::default()).map(|picture| self.model.embed(&picture, Threads::ONE));
            barrier.wait();
            black_box(self.model.predict(&embedding??, &self.point, Threads::ONE)?);
            Ok(())
        });
        at_once.into_iter().collect::<Result<()>>()?;
        self.vector(8 * self.options.threads)?;
        let before = resident("VmRSS")?;
        self.vector(images)?;
        Ok(json!({ "before": before, "after": resident("VmRSS")?, "peak": resident("VmHWM")? }))
    }

    fn save(&self, prefix: &str, photos: usize) -> Result<Value> {
        let raw = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        fs::write(format!("{prefix}.embedding.f32"), raw(self.embedding.values()))?;
        let ious = self.prediction.predicted_iou();
        let logits: Vec<f32> =
            (0..ious.len()).flat_map(|index| self.prediction.low_res_logits(index).to_vec()).collect();
        fs::write(format!("{prefix}.logits.f32"), raw(&logits))?;
        let masks = self.photos.iter().take(photos).map(|bytes| {
            let (rle, counts, iou) = row(&self.model, bytes, &self.point, self.threads)?;
            Ok(json!({ "size": [rle.height, rle.width], "counts": counts, "iou": iou }))
        });
        Ok(json!({
            "layout": "hwc",
            "embedding_shape": self.model.info().embedding_shape,
            "ious": ious,
            "masks": masks.collect::<Result<Vec<_>>>()?,
        }))
    }
}

/// `count` points on a square grid, as SAM's automatic mask generator places them.
fn grid(count: usize) -> Result<Vec<Prompt>> {
    let side = (count as f64).sqrt().ceil() as usize;
    let place = |index: usize| (index as f32 + 0.5) / side as f32;
    (0..count).map(|index| Ok(Prompt::point(place(index % side), place(index / side))?)).collect()
}

/// Megabytes (10^6 bytes) of this process as Linux counts them.
fn resident(field: &str) -> Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kilobytes: f64 = line.and_then(|line| line.split_whitespace().next()).ok_or("no such field")?.parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}

fn run() -> Result<()> {
    let options = Options::parse()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build()?;
    let (bench, ready) = pool.install(|| Bench::start(options))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{ready}")?;
    out.flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answer = pool.install(|| bench.answer(&line)).unwrap_or_else(|error| json!({ "error": error.to_string() }));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        println!("{}", json!({ "error": error.to_string() }));
        std::process::exit(1);
    }
}
