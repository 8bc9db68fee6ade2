//! Layer norm against f64, on every instruction set.

mod common;

use common::*;
use sam_kernels::*;

/// Rows to normalise, with gaps, and what comes of them in f64.
struct Case {
    rows: usize,
    channels: usize,
    stride: usize,
    x: Vec<f32>,
    norm: LayerNorm,
    act: Act,
    want: Vec<f64>,
    /// What is added to a tolerance: a large mean costs bits of the input itself.
    lost: f64,
}

/// Runs `check` for rows of several lengths and means, and for every activation and instruction set.
fn each_case(mut check: impl FnMut(&Case, Isa, &str)) {
    let mut r = Random(11);
    for (rows, channels, mean) in
        [(1, 1, 0.0), (3, 7, 0.0), (5, 16, 3.0), (4, 33, -2.0), (6, 64, 100.0), (3, 160, 0.5), (2, 1280, 1000.0)]
    {
        let stride = channels + r.below(3);
        let x: Vec<f32> = r.vec(rows * stride).iter().map(|x| x + mean).collect();
        let (gamma, beta, eps) = (r.vec(channels), r.vec(channels), 1e-5);
        for act in [Act::None, Act::Gelu, Act::Relu] {
            let mut want = vec![];
            for row in x.chunks(stride) {
                let row = wide(&row[..channels]);
                let mean = row.iter().sum::<f64>() / channels as f64;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / channels as f64;
                let scale = 1.0 / (variance + f64::from(eps)).sqrt();
                let affine = gamma.iter().zip(&beta).map(|(&g, &b)| (f64::from(g), f64::from(b)));
                want.extend(row.iter().zip(affine).map(|(x, (g, b))| activated(act, (x - mean) * scale * g + b)));
            }
            let (norm, lost) = (LayerNorm::new(&gamma, &beta, eps), 2e-6 * f64::from(mean).abs());
            let case = Case { rows, channels, stride, x: x.clone(), norm, act, want, lost };
            for isa in forms() {
                check(&case, isa, &format!("{isa:?} {rows}x{channels} {act:?}"));
            }
        }
    }
}

impl Case {
    /// The result, in rows that are further apart.
    fn run<O: Elem>(&self, isa: Isa) -> Vec<f32> {
        let stride = self.channels + 2;
        let mut out = vec![O::from_f32(7.0); self.rows * stride];
        self.norm.apply(isa, Mat::new(&self.x, self.stride), self.rows, self.act, MatMut::new(&mut out, stride));
        narrow(&out)
    }
}

fn layer_norm_matches_f64<O: Elem>(tolerance: f64) {
    each_case(|case, isa, what| {
        let got = rows(&case.run::<O>(isa), case.channels + 2, case.channels);
        close(&got, &case.want, tolerance + case.lost, what);
    });
}
for_both_types!(layer_norm_matches_f64, f32: 4e-6, bf16: 1.0 / 250.0 + 1e-4);

fn layer_norm_leaves_what_lies_between_rows<O: Elem>(_: f64) {
    each_case(|case, isa, what| {
        let between = gaps(&case.run::<O>(isa), case.channels + 2, case.channels);
        assert!(between.iter().all(|x| *x == 7.0), "{what}");
    });
}
for_both_types!(layer_norm_leaves_what_lies_between_rows, f32: 0.0, bf16: 0.0);

#[test]
fn layer_norm_in_place_gives_the_same_bits() {
    each_case(|case, isa, what| {
        let mut x = case.x.clone();
        case.norm.apply_in_place(isa, MatMut::new(&mut x, case.stride), case.rows, case.act);
        let elsewhere = rows(&case.run::<f32>(isa), case.channels + 2, case.channels);
        same_bits(&rows(&x, case.stride, case.channels), &elsewhere, what);
    });
}
