//! Untrusted bytes: pictures, run lengths, polygons, embeddings, checkpoints, their pickles and headers. Whatever they are, they are read or refused, without
//! a panic, within the limits.
//!
//! Good files are damaged at random, and what every reader promises is checked. The random numbers are the same in every
//! run; `cargo test` takes seconds. `make fuzz` goes on for `SAM_FUZZ_SECONDS` per target with numbers that differ
//! from run to run, and prints the seed. Bytes that break a promise are written to `target/fuzz/`; kept in
//! `test/fuzz/TARGET/` they become seeds of their own.

mod damage;

use damage::{Random, damage};
use sam_imaging::{ImageError, Limits, Rle};
use sam_model::{FloatType, Model, ModelError, Precision, Prompt, Threads};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// No input of a few kilobytes may take longer; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of folders below the repository, in order.
fn files(folders: &[&str]) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let entries = fs::read_dir(root().join(folder)).into_iter().flatten();
        paths.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()));
    }
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Feeds damaged `seeds` to `target`, which tells whether it accepted the bytes and panics where a promise is broken.
fn fuzz(name: &str, seeds: &[Vec<u8>], count: u64, target: impl Fn(&[u8]) -> bool) {
    assert!(!seeds.is_empty(), "{name}: no seeds");
    let seconds = std::env::var("SAM_FUZZ_SECONDS").ok().map(|text| Duration::from_secs(text.parse().unwrap()));
    let seed = match seconds {
        None => 1,
        Some(_) => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64,
    };
    let (mut random, start) = (Random::new(seed), Instant::now());
    let (mut executions, mut accepted) = (0_u64, 0_u64);
    let mut slowest = Duration::ZERO;
    let mut run = |bytes: &[u8]| {
        let before = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| target(bytes)));
        let took = before.elapsed();
        slowest = slowest.max(took);
        executions += 1;
        match outcome {
            Ok(taken) if took < PATIENCE => accepted += u64::from(taken),
            outcome => {
                let mut hasher = DefaultHasher::new();
                bytes.hash(&mut hasher);
                let folder = root().join("target/fuzz");
                fs::create_dir_all(&folder).unwrap();
                let path = folder.join(format!("{name}-{:016x}", hasher.finish()));
                fs::write(&path, bytes).unwrap();
                panic!("{name}: {outcome:?} after {took:?}, random seed {seed}; the bytes are in {}", path.display());
            }
        }
    };
    seeds.iter().for_each(|bytes| run(bytes));
    let more = |done: u64| seconds.map_or(done < count, |seconds| start.elapsed() < seconds);
    let mut done = 0;
    while more(done) {
        run(&damage(seeds, &mut random));
        done += 1;
    }
    println!("{name}: {executions} executions, {accepted} accepted, slowest {slowest:?}, random seed {seed}");
    assert!(accepted > 0, "{name}: not even the seeds are accepted");
}

#[test]
fn pictures() {
    let seeds = files(&["test/data", "extension/imaging/tests/data", "test/fuzz/pictures"]);
    // Small limits let the test see that they are kept.
    let limits = Limits { max_pixels: 1 << 20, max_side: 2000, max_bytes: 1 << 20, ..Limits::default() };
    fuzz("pictures", &seeds, 2000, |bytes| {
        match (sam_imaging::info(bytes, &limits), sam_imaging::decode(bytes, &limits)) {
            (Ok(info), Ok(picture)) => {
                assert_eq!((info.width, info.height), picture.dimensions());
                assert!(u64::from(info.width) * u64::from(info.height) <= limits.max_pixels);
                assert!(info.width.max(info.height) <= limits.max_side);
                true
            }
            (Ok(_), Err(error)) => {
                assert!(!matches!(error, ImageError::TooManyPixels { .. } | ImageError::SideTooLong { .. }), "{error}");
                false
            }
            (Err(_), decoded) => {
                assert!(decoded.is_err(), "the header is refused, the picture is not");
                false
            }
        }
    });
}

#[test]
fn run_lengths() {
    let mut seeds = files(&["test/fuzz/run_lengths"]);
    // Height and width, then the counts.
    for (height, width, counts) in [(64_u32, 96_u32, "P1o0000O101N1"), (3, 3, "9"), (1, 1, "01"), (480, 640, "0`d9")] {
        seeds.push([&height.to_le_bytes()[..2], &width.to_le_bytes()[..2], counts.as_bytes()].concat());
    }
    let mut random = Random::new(7);
    for _ in 0..8 {
        let counts: Vec<u32> = (0..20).map(|_| random.below(60) as u32).collect();
        let sum: u32 = counts.iter().sum();
        let text = Rle::from_counts(1, sum, counts).unwrap().to_counts_string();
        seeds.push([&1_u16.to_le_bytes()[..], &(sum as u16).to_le_bytes(), text.as_bytes()].concat());
    }
    fuzz("run_lengths", &seeds, 20_000, |bytes| {
        let Some((size, counts)) = bytes.split_at_checked(4) else { return false };
        let side = |at: usize| u32::from(u16::from_le_bytes([size[at], size[at + 1]]));
        let Ok(text) = std::str::from_utf8(counts) else { return false };
        let Ok(rle) = Rle::from_counts_string(side(0), side(2), text) else { return false };
        assert_eq!(Rle::from_counts_string(side(0), side(2), &rle.to_counts_string()).as_ref(), Ok(&rle));
        assert!(rle.area() <= u64::from(side(0)) * u64::from(side(2)));
        assert_eq!(rle.intersection(&rle), Some(rle.area()));
        let [x, y, width, height] = rle.bbox();
        assert!(x + width <= side(2) as f32 && y + height <= side(0) as f32);
        if u64::from(side(0)) * u64::from(side(2)) <= 1 << 20 {
            assert_eq!(Rle::from_mask(&rle.to_mask()).area(), rle.area());
        }
        true
    });
}

/// The rule of pycocotools as it is written down: all steps of all edges on the grid of fifths of pixels.
fn rasterised(height: u32, width: u32, numbers: &[f64]) -> Vec<bool> {
    let grid: Vec<[i64; 2]> = numbers.chunks(2).map(|xy| [0, 1].map(|axis| (5.0 * xy[axis] + 0.5) as i64)).collect();
    let mut steps: Vec<[i64; 2]> = Vec::new();
    for (index, &from) in grid.iter().enumerate() {
        let to = grid[(index + 1) % grid.len()];
        let long = usize::from((to[0] - from[0]).abs() < (to[1] - from[1]).abs());
        let (low, high) = if from[long] > to[long] { (to, from) } else { (from, to) };
        let length = high[long] - low[long];
        let slope = (high[1 - long] - low[1 - long]) as f64 / length as f64;
        let mut edge: Vec<[i64; 2]> = (0..=length)
            .map(|step| {
                let across = (low[1 - long] as f64 + slope * step as f64 + 0.5) as i64;
                if long == 0 { [low[0] + step, across] } else { [across, low[1] + step] }
            })
            .collect();
        if from[long] > to[long] {
            edge.reverse();
        }
        steps.extend(edge);
    }
    let mut inside = vec![false; (height * width) as usize];
    for pair in steps.windows(2) {
        let line = pair[0][0].min(pair[1][0]);
        let column = (line - 2).div_euclid(5);
        if pair[0][0] == pair[1][0] || (line - 2).rem_euclid(5) != 0 || !(0..i64::from(width)).contains(&column) {
            continue;
        }
        let row = (pair[0][1].min(pair[1][1]) + 2).div_euclid(5).clamp(0, i64::from(height));
        let from = column * i64::from(height) + row;
        inside[from as usize..].iter_mut().for_each(|pixel| *pixel = !*pixel);
    }
    inside
}

#[test]
fn polygons() {
    let mut seeds = files(&["test/fuzz/polygons"]);
    // Height and width, then the coordinates of one polygon.
    let mut random = Random::new(11);
    for corners in [3, 4, 5, 12, 40] {
        let [height, width] = [0, 1].map(|_| 1 + random.below(60) as u16);
        let mut bytes = [height.to_le_bytes(), width.to_le_bytes()].concat();
        (0..2 * corners).for_each(|_| bytes.extend((random.below(900) as f32 / 10.0 - 15.0).to_le_bytes()));
        seeds.push(bytes);
    }
    fuzz("polygons", &seeds, 20_000, |bytes| {
        let Some((size, numbers)) = bytes.split_at_checked(4) else { return false };
        let [height, width] = [0, 2].map(|at| u32::from(u16::from_le_bytes([size[at], size[at + 1]])));
        let numbers: Vec<f64> =
            numbers.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes).into()).collect();
        let Ok(mask) = Rle::from_polygons(height, width, &[&numbers]) else { return false };
        assert_eq!(Rle::from_counts(height, width, mask.counts.clone()).as_ref(), Ok(&mask));
        assert!(mask.counts.iter().skip(1).all(|&count| count > 0), "{:?}", mask.counts);
        assert_eq!(Rle::from_polygons(height, width, &[&numbers, &numbers]).unwrap().area(), mask.area());
        if height * width < 10_000 && numbers.iter().all(|number| number.abs() < 300.0) {
            let expected = rasterised(height, width, &numbers);
            let mut pixels = Vec::new();
            for (index, &count) in mask.counts.iter().enumerate() {
                pixels.resize(pixels.len() + count as usize, index % 2 == 1);
            }
            assert_eq!(pixels, expected, "{height} x {width}: {numbers:?}");
        }
        true
    });
}

#[test]
fn outlines() {
    let mut seeds = files(&["test/fuzz/outlines"]);
    // Height and width, the tolerance in eighths, then a byte for each eight pixels.
    let mut random = Random::new(13);
    for (height, width, density) in [(8_u8, 8_u8, 2), (1, 64, 2), (64, 3, 4), (40, 40, 1), (30, 30, 6), (17, 60, 3)] {
        let pixels = (0..u32::from(height) * u32::from(width) / 8)
            .map(|_| (0..density).fold(0, |bits, _| bits | random.below(256) as u8 & random.below(256) as u8));
        seeds.push([height, width, (height + width) % 20].into_iter().chain(pixels).collect());
    }
    fuzz("outlines", &seeds, 20_000, |bytes| {
        let &[height, width, tolerance, ref bits @ ..] = bytes else { return false };
        let (height, width) = (u32::from(height), u32::from(width));
        let pixel = |at: usize| bits.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
        let pixels: Vec<u8> = (0..(height * width) as usize).map(|at| u8::from(pixel(at))).collect();
        let mask = Rle::from_mask(&sam_imaging::Mask::from_bytes(width, height, &pixels));
        for tolerance in [0.0, f64::from(tolerance) / 8.0] {
            let polygons = mask.polygons(tolerance);
            let mut doubled = 0;
            for polygon in &polygons {
                for (ring, sign) in
                    [(&polygon.exterior, 1)].into_iter().chain(polygon.holes.iter().map(|ring| (ring, -1)))
                {
                    let next = ring.iter().cycle().skip(1);
                    let area: i64 = ring.iter().zip(next).map(|(a, b)| i64::from(a[0] * b[1] - b[0] * a[1])).sum();
                    assert!(area * sign > 0 && ring.len() >= 3, "{ring:?}");
                    let mut corners = ring.clone();
                    corners.sort_unstable();
                    corners.dedup();
                    assert_eq!(corners.len(), ring.len(), "a ring touches itself: {ring:?}");
                    doubled += area;
                }
            }
            assert!(tolerance > 0.0 || doubled as u64 == 2 * mask.area());
            let rings = polygons.iter().map(|polygon| 1 + polygon.holes.len()).sum::<usize>();
            let (text, bytes) = (sam_imaging::wkt(&polygons), sam_imaging::wkb(&polygons));
            assert_eq!(text.matches('(').count(), rings + polygons.len() + usize::from(polygons.len() > 1));
            assert_eq!(bytes.len() % 4, (1 + polygons.len() * usize::from(polygons.len() > 1)) % 4);
        }
        let cleaned = mask.clean(u64::from(tolerance));
        assert_eq!(cleaned.counts.iter().map(|&count| u64::from(count)).sum::<u64>(), u64::from(height * width));
        true
    });
}

#[test]
fn embeddings() {
    let model = Model::nano(Precision::F32).unwrap();
    let image = sam_imaging::RgbImage::from_fn(40, 30, |x, y| sam_imaging::Rgb([x as u8, y as u8, 90]));
    let embedding = model.embed(&image, Threads::ONE).unwrap();
    let mut seeds = files(&["test/fuzz/embeddings"]);
    seeds.extend([FloatType::F16, FloatType::F32].map(|kind| embedding.to_bytes(&model, kind).unwrap()));
    // The same in version 2: the number of maps, then the shape of each, for one map and for two.
    for count in [1, 2_u32] {
        let first = &seeds[seeds.len() - 2].clone();
        let (header, rest) = first[..first.len() - 16].split_at(96);
        let mut bytes = [&header[..8], &[2, 0], &header[10..80], &count.to_le_bytes(), &[0; 8], &header[92..]].concat();
        (0..count).for_each(|_| bytes.extend_from_slice(&header[80..92]));
        let guide = u32::from_le_bytes(header[92..].try_into().unwrap()) as usize;
        let (values, guide) = rest.split_at(rest.len() - guide);
        (0..count).for_each(|_| bytes.extend_from_slice(values));
        bytes.extend_from_slice(guide);
        bytes.extend_from_slice(&blake3::hash(&bytes).as_bytes()[..16]);
        assert_eq!(model.read_blob(&bytes).is_ok(), count == 1);
        seeds.push(bytes);
    }
    fuzz("embeddings", &seeds, 1000, |bytes| match model.read_blob(bytes) {
        Ok(embedding) => {
            assert_eq!(model.check_blob(bytes).unwrap(), embedding.original_size());
            assert!(embedding.values().iter().all(|value| value.is_finite()));
            true
        }
        Err(error) => {
            assert!(matches!(error, ModelError::Embedding(_)), "{error}");
            false
        }
    });
}

#[test]
fn checkpoints() {
    let mut seeds = files(&["test/reference/vit_tiny", "test/fuzz/checkpoints"]);
    seeds.push(fs::read(root().join("extension/model/assets/nano.safetensors")).unwrap());
    let path = std::env::temp_dir().join(format!("sam-fuzz-{}", std::process::id()));
    fuzz("checkpoints", &seeds, 200, |bytes| opened(&path, bytes));
    fs::remove_file(path).unwrap();
}

/// The files of an archive, whole.
fn entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let count = archive.len();
    let read = |index| {
        let mut entry = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        (entry.name().unwrap().into_owned(), bytes)
    };
    (0..count).map(read).collect()
}

/// Opens a checkpoint of these bytes.
fn opened(path: &Path, bytes: &[u8]) -> bool {
    fs::write(path, bytes).unwrap();
    match Model::open(path, Precision::F32) {
        // What is accepted runs; numbers that leave the range of `f32` on their way are an error.
        Ok(model) => {
            let embedding = model.embed(&sam_imaging::RgbImage::new(40, 30), Threads::ONE);
            let point = Prompt::point(0.5, 0.5).unwrap();
            match embedding.and_then(|embedding| model.predict(&embedding, &point, Threads::ONE)) {
                Ok(prediction) => assert_eq!(prediction.low_res_logits(0).len(), model.info().mask_size.pow(2)),
                Err(error) => assert!(matches!(error, ModelError::Range(_)), "{error}"),
            }
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// Damaged pickles beside storages that are whole.
#[test]
fn pickles() {
    let plain = entries(&fs::read(root().join("test/reference/vit_tiny/plain.pt")).unwrap());
    let is_pickle = |name: &str| name.ends_with("/data.pkl");
    let mut seeds = vec![plain.iter().find(|(name, _)| is_pickle(name)).unwrap().1.clone()];
    for archive in files(&["test/reference/vit_tiny/variants"]) {
        seeds.extend(entries(&archive).into_iter().filter(|(name, _)| is_pickle(name)).map(|(_, bytes)| bytes));
    }
    seeds.extend(files(&["test/fuzz/pickles"]));
    let path = std::env::temp_dir().join(format!("sam-fuzz-pickle-{}", std::process::id()));
    fuzz("pickles", &seeds, 200, |pickle| {
        let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, bytes) in &plain {
            out.start_file(name.as_str(), options).unwrap();
            std::io::Write::write_all(&mut out, if is_pickle(name) { pickle } else { bytes }).unwrap();
        }
        opened(&path, &out.finish().unwrap().into_inner())
    });
    fs::remove_file(path).unwrap();
}

/// Damaged headers of safetensors before values that are whole.
#[test]
fn headers() {
    let nano = fs::read(root().join("extension/model/assets/nano.safetensors")).unwrap();
    let length = u64::from_le_bytes(nano[..8].try_into().unwrap()) as usize;
    let (header, values) = (nano[8..8 + length].to_vec(), &nano[8 + length..]);
    let mut seeds = vec![header];
    seeds.extend(files(&["test/fuzz/headers"]));
    let path = std::env::temp_dir().join(format!("sam-fuzz-header-{}", std::process::id()));
    fuzz("headers", &seeds, 200, |header| {
        opened(&path, &[&(header.len() as u64).to_le_bytes()[..], header, values].concat())
    });
    fs::remove_file(path).unwrap();
}
