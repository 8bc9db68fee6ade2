//! The parts of the decoder's attention against f64, on every instruction set.

mod common;

use common::*;
use sam_kernels::*;

/// Scores in units of ln 2 and their exponentials.
fn exponentials(scores: &[f32], max: f32) -> Vec<f64> {
    scores.iter().map(|score| (f64::from(*score) - f64::from(max)).exp2()).collect()
}

#[test]
fn softmax_tokens_matches_f64() {
    let mut r = Random(41);
    for (rows, tokens, heads) in [(1, 1, 8), (5, 7, 8), (3, 6, 3), (2, 100, 16), (4, 9, 1), (2, 5, 15), (0, 2, 2)] {
        let columns: usize = tokens * heads;
        let stride = columns.next_multiple_of(16) + r.below(2);
        let scores: Vec<f32> = r.vec(rows * stride).iter().map(|x| 100.0 * x).collect();
        for isa in forms() {
            let mut got = scores.clone();
            softmax_tokens(isa, MatMut::new(&mut got, stride), rows, tokens, heads);
            for (got, scores) in got.chunks(stride).zip(scores.chunks(stride)) {
                for head in 0..heads {
                    let own: Vec<f32> = scores[..columns].iter().skip(head).step_by(heads).copied().collect();
                    let p = exponentials(&own, own.iter().copied().fold(f32::MIN, f32::max));
                    let sum: f64 = p.iter().sum();
                    let want: Vec<f64> = p.iter().map(|p| p / sum).collect();
                    let got: Vec<f32> = got[..columns].iter().skip(head).step_by(heads).copied().collect();
                    close(&got, &want, 1e-6, &format!("{isa:?}: {rows} rows of {tokens} tokens, head {head}"));
                }
            }
        }
    }
}

#[test]
fn softmax_rows_matches_f64() {
    let mut r = Random(42);
    for (rows, columns) in [(1, 1), (7, 56), (128, 33), (3, 64)] {
        let stride = columns + r.below(3);
        let scores: Vec<f32> = r.vec(rows * stride).iter().map(|x| 50.0 * x).collect();
        for isa in forms() {
            let (mut got, mut max, mut sum) = (scores.clone(), vec![0.0; columns], vec![0.0; columns]);
            softmax_rows(isa, MatMut::new(&mut got, stride), rows, &mut max, &mut sum);
            for column in 0..columns {
                let of = |from: &[f32]| from.chunks(stride).map(|row| row[column]).collect::<Vec<f32>>();
                let own = of(&scores);
                assert_eq!(max[column], own.iter().copied().fold(f32::MIN, f32::max));
                let want = exponentials(&own, max[column]);
                close(&of(&got), &want, 1e-6, isa.name());
                close(&sum[column..=column], &[want.iter().sum()], 1e-5, isa.name());
            }
            // What lies between the rows is left alone.
            same_bits(&gaps(&got, stride, columns), &gaps(&scores, stride, columns), isa.name());
        }
    }
}

#[test]
fn weighted_sums_match_f64() {
    let mut r = Random(43);
    for (rows, columns, width) in [(128, 56, 256), (3, 1, 1), (9, 13, 47), (0, 2, 5), (5, 29, 33), (1, 7, 64)] {
        let (p, x, o) = (columns + r.below(3), width + r.below(3), width + r.below(3));
        let (weights, values) = (r.vec(rows * p), r.vec(rows * x));
        let mut want = vec![0.0; columns * width];
        for (i, want) in want.iter_mut().enumerate() {
            let (column, n) = (i / width, i % width);
            *want = (0..rows).map(|t| f64::from(weights[t * p + column]) * f64::from(values[t * x + n])).sum();
        }
        for isa in forms() {
            let mut out = vec![7.0; columns * o];
            let (weights, values) = (Mat::new(&weights, p), Mat::new(&values, x));
            weighted_sums(isa, weights, columns, values, width, rows, MatMut::new(&mut out, o));
            close(&common::rows(&out, o, width), &want, 2e-5, &format!("{isa:?}: {rows} x {columns} x {width}"));
            assert!(gaps(&out, o, width).iter().all(|x| *x == 7.0));
        }
    }
}

#[test]
fn add_is_exact() {
    let mut r = Random(44);
    for len in [0, 1, 15, 16, 33, 1000] {
        let (a, b) = (r.vec(len), r.vec(len));
        for isa in forms() {
            let mut out = vec![0.0; len];
            add(isa, &a, &b, &mut out);
            assert!(out.iter().zip(a.iter().zip(&b)).all(|(out, (a, b))| *out == a + b));
        }
    }
}
