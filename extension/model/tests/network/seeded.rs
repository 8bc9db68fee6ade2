//! Checkpoints that can be rebuilt anywhere from names and shapes: the Rust twin of `test/reference/seeded_weights.py`.
//!
//! Each tensor is drawn from a generator seeded by the CRC-32 of its name: MT19937 and the polar method, in the order
//! of `numpy.random.RandomState`, whose streams are frozen.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView, serialize_to_file};

/// MT19937 (Matsumoto and Nishimura 1998).
struct Twister {
    state: [u32; 624],
    at: usize,
    spare: Option<f64>,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut state = [seed; 624];
        for index in 1..624 {
            let before = state[index - 1];
            state[index] = 1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(index as u32);
        }
        Self { state, at: 624, spare: None }
    }

    fn word(&mut self) -> u32 {
        if self.at == 624 {
            for index in 0..624 {
                let joined = (self.state[index] & 0x8000_0000) | (self.state[(index + 1) % 624] & 0x7fff_ffff);
                let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[index] = self.state[(index + 397) % 624] ^ (joined >> 1) ^ twist;
            }
            self.at = 0;
        }
        let mut word = self.state[self.at];
        self.at += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// Uniform in 0..1 with 53 bits.
    fn uniform(&mut self) -> f64 {
        let (high, low) = (self.word() >> 5, self.word() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// Standard normal by Marsaglia's polar method; the second of each pair comes first.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let (a, b) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = a * a + b * b;
            if square < 1.0 && square != 0.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(factor * a);
                return factor * b;
            }
        }
    }
}

/// The tensor `name` of `shape`.
pub fn tensor(name: &str, shape: &[usize]) -> Vec<f32> {
    let mut generator = Twister::new(crc32fast::hash(name.as_bytes()));
    let count = shape.iter().product();
    let noise = (0..count).map(|_| generator.normal() as f32);
    let contains = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    let leaf = name.rsplit('.').next().unwrap_or(name);
    match leaf {
        "running_mean" => return noise.map(|value| 0.1 * value).collect(),
        "running_var" => return noise.map(|value| 1.0 + 0.5 * value.tanh()).collect(),
        "bias" => return noise.map(|value| 0.05 * value).collect(),
        _ => {}
    }
    let scale = if name.contains("gaussian_matrix") {
        1.0
    } else if shape.len() == 1 {
        return noise.map(|value| 1.0 + 0.1 * value).collect();
    } else if contains(&["attention_biases", "rel_pos", "pos_embed"]) {
        0.2
    } else if contains(&["_embed", "tokens", "iou_token", "point_embeddings"]) && !name.contains("patch_embed") {
        0.5
    } else {
        let fan_in: usize = if name.contains("output_upscaling") { shape[0] } else { shape[1..].iter().product() };
        (1.2 / (fan_in as f64).sqrt()) as f32
    };
    noise.map(|value| value * scale).collect()
}

/// Name -> shape of the model's tensors, from `test/reference/<model>/shapes.json`.
pub fn shapes(model: &str) -> BTreeMap<String, Vec<usize>> {
    let path = crate::records::folder().join(model).join("shapes.json");
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

/// Name -> shape and values.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Writes tensors as `f32` safetensors.
pub fn write(path: &Path, tensors: &Tensors) {
    write_with(path, tensors, None);
}

/// As [`write`], with the text of the `config` metadata.
pub fn write_with(path: &Path, tensors: &Tensors, config: Option<String>) {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| {
            (name.clone(), shape.clone(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let metadata = config.map(|config| [("config".to_owned(), config)].into());
    serialize_to_file(views, metadata, path).unwrap();
}

/// The seeded tensors of a model.
pub fn tensors(model: &str) -> Tensors {
    of_shapes(shapes(model))
}

/// Seeded tensors of these shapes.
pub fn of_shapes(shapes: BTreeMap<String, Vec<usize>>) -> Tensors {
    shapes
        .into_iter()
        .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
        .map(|(name, shape)| {
            let values = tensor(&name, &shape);
            (name, (shape, values))
        })
        .collect()
}

/// A file of its own below cargo's folder for test outputs.
pub fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Builds the model's checkpoint file.
pub fn checkpoint(model: &str) -> PathBuf {
    let path = scratch(&format!("{model}-{}.safetensors", std::process::id()));
    write(&path, &tensors(model));
    path
}

#[test]
fn normals_are_those_of_numpy() {
    // numpy.random.RandomState(5).standard_normal(700): the first three and the last, past one refill of the state
    let mut generator = Twister::new(5);
    let drawn: Vec<f64> = (0..700).map(|_| generator.normal()).collect();
    for (index, expected) in [(0, 0.44122749), (1, -0.33087015), (2, 2.43077119), (699, 1.0694166017251918)] {
        assert!((drawn[index] - expected).abs() < 1e-8, "{index}: {}", drawn[index]);
    }
}
