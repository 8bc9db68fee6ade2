//! Matrix products against sums in f64, on every instruction set. Convolutions as products: `convolution.rs`.

mod common;

use common::*;
use sam_kernels::*;

const SHAPES: [(usize, usize, usize); 10] = [
    (1, 1, 1),
    (2, 3, 5),
    (7, 17, 33),
    (12, 32, 32),
    (13, 31, 64),
    (25, 64, 100),
    (40, 5, 7),
    (29, 129, 48),
    (70, 96, 40),
    (49, 320, 17),
];

const EPILOGUES: [Epilogue<'static>; 6] = [
    Epilogue::BIAS,
    Epilogue::GELU,
    Epilogue::RELU,
    Epilogue::ADD,
    Epilogue { act: Act::None, residual: Residual::InPlace, act_after: Act::Gelu },
    Epilogue { act: Act::Relu, residual: Residual::InPlace, act_after: Act::Gelu },
];

/// A product of `rows` x `k` and `k` x `n`, whose rows have gaps, and what it is in f64.
struct Product<E> {
    rows: usize,
    k: usize,
    n: usize,
    a: Vec<E>,
    a_stride: usize,
    weight: Packed<E>,
    /// What the output holds before, rows `out_stride` apart.
    old: Vec<f32>,
    out_stride: usize,
    /// Bias and products, before the epilogue.
    sums: Vec<f64>,
}

impl<E: Elem> Product<E> {
    fn new(r: &mut Random, (rows, k, n): (usize, usize, usize)) -> Self {
        let (a_stride, out_stride) = (k + r.below(5), n + r.below(4));
        let a = r.elems::<E>(rows * a_stride);
        let (weight, bias, old) = (r.vec(n * k), r.vec(n), r.vec(rows * out_stride));
        let (wide_a, wide_w) = (wide(&a), as_stored::<E>(&weight));
        let sum = |row: &[f64], j: usize| {
            let products = row.iter().zip(&wide_w[j * k..(j + 1) * k]).map(|(a, w)| a * w);
            f64::from(bias[j]) + products.sum::<f64>()
        };
        let sums = wide_a.chunks(a_stride).flat_map(|row| (0..n).map(move |j| (row, j))).map(|(row, j)| sum(row, j));
        let sums = sums.collect();
        let weight = Packed::linear(&weight, n, k, Some(&bias));
        Self { rows, k, n, a, a_stride, weight, old, out_stride, sums }
    }

    fn source(&self) -> Rows<'_, E> {
        Rows::new(&self.a, self.a_stride, self.k)
    }

    /// What the epilogue makes of the sums.
    fn want(&self, epilogue: &Epilogue<'_>) -> Vec<f64> {
        let residuals = wide(&rows(&self.old, self.out_stride, self.n));
        let in_place = !matches!(epilogue.residual, Residual::None);
        let finish = |(&sum, residual): (&f64, f64)| {
            activated(epilogue.act_after, activated(epilogue.act, sum) + if in_place { residual } else { 0.0 })
        };
        self.sums.iter().zip(residuals).map(finish).collect()
    }

    /// The f32 output, computed in two ranges of rows.
    fn run(&self, isa: Isa, epilogue: &Epilogue<'_>, cut: usize) -> Vec<f32> {
        let mut out = self.old.clone();
        let (top, bottom) = out.split_at_mut(cut * self.out_stride);
        gemm(isa, &self.source(), 0..cut, &self.weight, epilogue, Out::f32(top, self.out_stride));
        gemm(isa, &self.source(), cut..self.rows, &self.weight, epilogue, Out::f32(bottom, self.out_stride));
        out
    }
}

/// Runs `check` for every shape, epilogue and instruction set; its last argument says which.
fn each_product<E: Elem>(seed: u64, mut check: impl FnMut(&Product<E>, &Epilogue<'_>, Isa, &str)) {
    let mut r = Random(seed);
    for shape in SHAPES {
        let product = Product::<E>::new(&mut r, shape);
        for epilogue in &EPILOGUES {
            for isa in forms() {
                check(&product, epilogue, isa, &format!("{isa:?} {shape:?} {epilogue:?}"));
            }
        }
    }
}

fn gemm_matches_f64<E: Elem>(tolerance: f64) {
    each_product::<E>(1, |product, epilogue, isa, what| {
        let got = product.run(isa, epilogue, product.rows);
        close(&rows(&got, product.out_stride, product.n), &product.want(epilogue), tolerance, what);
    });
}
for_both_types!(gemm_matches_f64, f32: 8e-6, bf16: 8e-6);

fn a_bf16_copy_is_the_f32_output_rounded<E: Elem>(_: f64) {
    each_product::<E>(2, |product, epilogue, isa, what| {
        let (mut out, mut copy) = (product.old.clone(), vec![Bf16::ZERO; product.old.len()]);
        let both = Out::both(MatMut::new(&mut out, product.out_stride), MatMut::new(&mut copy, product.out_stride));
        gemm(isa, &product.source(), 0..product.rows, &product.weight, epilogue, both);
        let rounded: Vec<Bf16> = out.iter().map(|&x| Bf16::from_f32(x)).collect();
        let of = |x: &[Bf16]| rows(x, product.out_stride, product.n);
        assert_eq!(of(&copy), of(&rounded), "{what}");
        same_bits(&out, &product.run(isa, epilogue, product.rows), what);
    });
}
for_both_types!(a_bf16_copy_is_the_f32_output_rounded, f32: 0.0, bf16: 0.0);

fn bf16_alone_matches_f64_by_the_shorter_gelu<E: Elem>(tolerance: f64) {
    each_product::<E>(3, |product, epilogue, isa, what| {
        if !matches!(epilogue.residual, Residual::None) {
            return;
        }
        let mut out = vec![Bf16::ZERO; product.old.len()];
        let to = Out::bf16(&mut out, product.out_stride);
        gemm(isa, &product.source(), 0..product.rows, &product.weight, epilogue, to);
        close_bf16(&rows(&out, product.out_stride, product.n), &product.want(epilogue), tolerance, what);
    });
}
for_both_types!(bf16_alone_matches_f64_by_the_shorter_gelu, f32: 4.1e-4, bf16: 4.1e-4);

fn gemm_leaves_what_lies_between_rows<E: Elem>(_: f64) {
    each_product::<E>(4, |product, epilogue, isa, what| {
        let got = product.run(isa, epilogue, product.rows);
        let of = |x: &[f32]| gaps(x, product.out_stride, product.n);
        same_bits(&of(&got), &of(&product.old), what);
    });
}
for_both_types!(gemm_leaves_what_lies_between_rows, f32: 0.0, bf16: 0.0);

fn gemm_same_bits_for_any_row_ranges<E: Elem>(_: f64) {
    let mut r = Random(5);
    each_product::<E>(5, |product, epilogue, isa, what| {
        let whole = product.run(isa, epilogue, product.rows);
        let cut = r.below(product.rows + 1);
        same_bits(&product.run(isa, epilogue, cut), &whole, &format!("{what} cut at {cut}"));
    });
}
for_both_types!(gemm_same_bits_for_any_row_ranges, f32: 0.0, bf16: 0.0);

fn blocks_larger_than_a_cache_match_f64<E: Elem>(tolerance: f64) {
    for shape in [(301, 1500, 70), (301, 320, 600)] {
        let product = Product::<E>::new(&mut Random(7), shape);
        let residual = Mat::new(&product.old, product.out_stride);
        let epilogue = Epilogue { residual: Residual::From(residual), ..Epilogue::BIAS };
        let mut out = vec![0.0; product.old.len()];
        for isa in forms() {
            let to = Out::f32(&mut out, product.out_stride);
            gemm(isa, &product.source(), 0..product.rows, &product.weight, &epilogue, to);
            let got = rows(&out, product.out_stride, product.n);
            close(&got, &product.want(&epilogue), tolerance, &format!("{isa:?} {shape:?}"));
        }
    }
}
for_both_types!(blocks_larger_than_a_cache_match_f64, f32: 1e-4, bf16: 1e-4);

/// A processor's tiles give the bits of emulated ones; only where it has some.
#[test]
fn tiles_give_the_bits_that_are_emulated() {
    let Ok(emulated) = Isa::named("amx-emulated") else { return };
    each_product::<Bf16>(9, |product, epilogue, isa, what| {
        if isa.name() == "amx" {
            let [got, want] = [isa, emulated].map(|isa| product.run(isa, epilogue, product.rows));
            same_bits(&got, &want, what);
        }
    });
}

#[test]
fn weights_given_transposed_are_the_same_weights() {
    let mut r = Random(8);
    for (n, k) in [(1, 1), (33, 5), (256, 56)] {
        let (weight, bias, a) = (r.vec(n * k), r.vec(n), r.vec(3 * k));
        let turned: Vec<f32> = (0..k * n).map(|i| weight[i % n * k + i / n]).collect();
        let packed =
            [Packed::<f32>::linear(&weight, n, k, Some(&bias)), Packed::transposed(&turned, n, k, Some(&bias))];
        let [a, b] = packed.map(|packed| {
            let mut out = vec![0.0; 3 * n];
            gemm(forms()[0], &Rows::dense(&a, k), 0..3, &packed, &Epilogue::BIAS, Out::f32(&mut out, n));
            out
        });
        same_bits(&a, &b, &format!("{n} x {k}"));
    }
}
