//! Pictures, sessions, and a query that does whatever a test wants.

use sam_imaging::Rle;
use sam_model::{GenerateOptions, Prompt, Threads};
use sam_runtime::cache::{Caches, Digest, LruCache, QueryKey};
use sam_runtime::{Batch, Call, Client, ClientSettings, Image, Loaded, OnError, Query, Record, Request, Result};
use sam_runtime::{Session, Settings};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Bytes that hold all that the tests compute.
pub const PLENTY: u64 = 1 << 30;

/// A session with so many threads and bytes of cache.
pub fn session(threads: usize, cache_bytes: u64) -> Session {
    Session::new(Settings { threads, cache_bytes, ..Settings::default() })
}

/// A client whose rows fail the batch.
pub fn client() -> Client {
    Client::new(ClientSettings::default())
}

/// A client whose rows are skipped.
pub fn tolerant() -> Client {
    Client::new(ClientSettings { on_error: OnError::Skip, ..ClientSettings::default() })
}

/// A small picture; another for every number.
pub fn picture(number: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let (x0, y0, level) = (8 + number % 7 * 3, 6 + number / 7 % 5 * 3, (number / 35 % 200) as u8);
    let image = image::RgbImage::from_fn(48, 36, |x, y| {
        let inside = x.abs_diff(x0 + 8) < 8 && y.abs_diff(y0 + 6) < 6;
        image::Rgb(if inside { [230, 200, level] } else { [20, level, 60] })
    });
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// A picture whose header can be read, and nothing else.
pub fn damaged(number: u32) -> Vec<u8> {
    let mut bytes = picture(number);
    bytes.truncate(bytes.len() / 2);
    bytes
}

pub fn point(number: u32) -> Prompt {
    Prompt::point(0.2 + (number % 8) as f32 * 0.08, 0.3 + (number / 8 % 8) as f32 * 0.05).unwrap()
}

/// Few points, so that it takes milliseconds.
pub fn few_points(model: &Loaded) -> GenerateOptions {
    GenerateOptions {
        points_per_side: 2,
        pred_iou_thresh: 0.0,
        stability_score_thresh: 0.0,
        ..model.generate_options()
    }
}

/// The weights of the built-in model as a file.
pub fn nano_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/assets/nano.safetensors")
}

/// A row about `image` with the built-in model.
pub fn row<P>(image: &[u8], prompt: P) -> Option<Request<'_, P>> {
    Some(Request { model: "nano", image, prompt })
}

/// What `work` does to an image.
type Act = dyn Fn(&Call<'_>, &Image<'_>) -> Result<u32> + Send + Sync;

/// A query of the tests: `act` finds a number, which is answered as the height of a mask.
#[derive(Clone)]
pub struct Custom {
    pub name: u64,
    pub act: Arc<Act>,
}

impl Custom {
    pub fn new(name: u64, act: impl Fn(&Call<'_>, &Image<'_>) -> Result<u32> + Send + Sync + 'static) -> Self {
        Self { name, act: Arc::new(act) }
    }
}

impl Query for Custom {
    type Answer = Arc<Record>;

    fn digest(&self) -> Digest {
        Digest::of_bytes(format!("custom {}", self.name).as_bytes())
    }

    fn cache(caches: &Caches) -> Option<&LruCache<QueryKey, Self::Answer>> {
        Some(&caches.records)
    }

    fn bytes(answer: &Self::Answer) -> usize {
        answer.bytes()
    }

    fn answer(&self, call: &Call<'_>, image: &Image<'_>, _: Threads) -> Result<Self::Answer> {
        let height = (self.act)(call, image)?;
        let rle = Rle { height, width: 1, counts: vec![height] };
        Ok(Arc::new(Record { rle, predicted_iou: 0.0, stability_score: 0.0 }))
    }
}

/// The answers to custom queries, one for each row.
pub fn ask(call: &Call<'_>, rows: &[(&[u8], Custom)]) -> Result<Vec<Option<u32>>> {
    let requests = rows.iter().map(|(image, query)| row(image, query.clone())).collect();
    let records = Batch::new(call, requests, |query, _| Ok(query))?.answers()?;
    Ok(records.into_iter().map(|record| Some(record?.rle.height)).collect())
}

/// What `work` returns, or a panic if it takes longer than a test may: then it waits for something for ever.
pub fn within<T: Send + 'static>(seconds: u64, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || sender.send(work()));
    match receiver.recv_timeout(Duration::from_secs(seconds)) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("still waiting after {seconds} s"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => unreachable!("it has sent nothing"),
        },
    }
}

/// A generator of numbers, the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }
}
