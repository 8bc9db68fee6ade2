//! How fast this processor is at products of bf16, against those of f32.

use crate::buffer::AlignedVec;
use crate::gemm::{Epilogue, GemmElem, Out, Packed, Rows, gemm};
use crate::isa::Isa;
use std::time::{Duration, Instant};

/// Rows, depth and columns of a product such as an encoder's: operands and results stay in the caches.
const SHAPE: [usize; 3] = [96, 320, 320];
/// Products of each kind, in turn. The fastest counts: others are disturbed.
const ROUNDS: usize = 7;

/// The rate of products of bf16 over that of f32, measured now.
pub(crate) fn measure(isa: Isa) -> f32 {
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
