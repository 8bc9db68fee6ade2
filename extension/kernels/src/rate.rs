//! How fast this processor is at products of bf16, against those of f32.

use crate::buffer::AlignedVec;
use crate::gemm::{Epilogue, GemmElem, Out, Packed, Rows, gemm};
use crate::isa::Isa;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Rows, depth and columns of a product such as an encoder's: operands and results stay in the caches.
const SHAPE: [usize; 3] = [96, 320, 320];
/// Products of each kind, in turn. The fastest counts: others are disturbed.
const ROUNDS: usize = 7;

/// The rate of bf16 products over that of f32 ones on this processor: 2 on Zen 4, a half on Xeons that are not given
/// their tiles. Measured when it is first asked for, which takes a few milliseconds, and kept: what is decided
/// by it stays decided in this process. 0 where there are no instructions for bf16, which is never the faster then.
///
/// ```
/// use sam_kernels::{Isa, bf16_rate};
///
/// assert_eq!(bf16_rate(Isa::named("portable")?), 0.0);
/// # Ok::<(), sam_kernels::IsaError>(())
/// ```
pub fn bf16_rate(isa: Isa) -> f32 {
    static RATES: Mutex<Vec<(Isa, f32)>> = Mutex::new(Vec::new());
    if !isa.has_native_bf16() {
        return 0.0;
    }
    let mut rates = RATES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, rate)) = rates.iter().find(|(measured, _)| *measured == isa) {
        return *rate;
    }
    let rate = measure(isa);
    rates.push((isa, rate));
    rate
}

/// The rate, measured now.
fn measure(isa: Isa) -> f32 {
    let (mut single, mut half) = (Timed::<f32>::new(), Timed::<crate::Bf16>::new());
    for _ in 0..ROUNDS {
        single.run(isa);
        half.run(isa);
    }
    (single.fastest.as_secs_f64() / half.fastest.as_secs_f64().max(1e-9)) as f32
}

struct Timed<E> {
    rows: AlignedVec<E>,
    weights: Packed<E>,
    sums: AlignedVec<f32>,
    fastest: Duration,
}

impl<E: GemmElem> Timed<E> {
    fn new() -> Self {
        let [rows, depth, columns] = SHAPE;
        let mut filled = AlignedVec::zeroed(rows * depth);
        filled.fill(E::from_f32(0.5));
        Self {
            rows: filled,
            weights: Packed::linear(&vec![0.25; columns * depth], columns, depth, None),
            sums: AlignedVec::zeroed(rows * columns),
            fastest: Duration::MAX,
        }
    }

    fn run(&mut self, isa: Isa) {
        let [rows, depth, columns] = SHAPE;
        let begin = Instant::now();
        let out = Out::f32(&mut self.sums, columns);
        gemm(isa, &Rows::dense(&self.rows, depth), 0..rows, &self.weights, &Epilogue::BIAS, out);
        self.fastest = self.fastest.min(begin.elapsed());
    }
}
