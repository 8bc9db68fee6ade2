//! Attention against naive softmax sums in f64, on every instruction set.

mod common;

use common::*;
use sam_kernels::*;

/// Output of one query; `pair(j)` is the score's bias.
fn naive(q: &[f64], keys: &[(Vec<f64>, Vec<f64>)], scale: f64, bias: &[f64]) -> Vec<f64> {
    let scores: Vec<f64> =
        keys.iter().zip(bias).map(|((k, _), b)| scale * q.iter().zip(k).map(|(x, y)| x * y).sum::<f64>() + b).collect();
    let max = scores.iter().copied().fold(f64::MIN, f64::max);
    let p: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
    let sum: f64 = p.iter().sum();
    (0..q.len()).map(|c| keys.iter().zip(&p).map(|((_, v), p)| v[c] * p).sum::<f64>() / sum).collect()
}

fn head<E: Elem>(row: &[E], offset: usize, d: usize) -> Vec<f64> {
    wide(&row[offset..offset + d])
}

/// Scores large enough that softmax is not flat.
const GAIN: f32 = 3.0;

#[allow(clippy::too_many_arguments)]
fn window_case<E: Elem>(
    r: &mut Random,
    height: usize,
    width: usize,
    window: usize,
    heads: usize,
    d: usize,
    vit: bool,
    tolerance: f64,
) {
    let (stride, out_stride) = (3 * heads * d + r.below(3), heads * d + r.below(3));
    let tokens = height * width;
    let data: Vec<E> = (0..tokens * stride).map(|_| E::from_f32(GAIN * r.unit())).collect();
    let pad: Vec<E> = r.elems(stride);
    let scale = (d as f32).powf(-0.5);
    let keys = window * window;
    // sums over many keys, most of them the same padding token: roundings that all go one way
    let tolerance = tolerance.max(keys as f64 * 0.5f64.powi(24));
    let (biases, rel_h, rel_w) = (r.vec(heads * keys), r.vec((2 * window - 1) * d), r.vec((2 * window - 1) * d));
    let (stored_h, stored_w) = (as_stored::<E>(&rel_h), as_stored::<E>(&rel_w));
    let (qkv, bias) = if vit {
        (
            Heads::per_part(&data, stride, heads, d),
            Bias::Relative(RelativePositions::new(&rel_h, &rel_w, window, window, d)),
        )
    } else {
        (Heads::per_head(&data, stride, d), Bias::<E>::by_distance(&biases, heads, window))
    };
    let mut want = vec![0.0; tokens * heads * d];
    for h in 0..heads {
        for t in 0..tokens {
            let (y, x) = (t / width, t % width);
            let (top, left) = (y / window * window, x / window * window);
            let q = head(&data[t * stride..], qkv[0].offset + h * qkv[0].step, d);
            let (mut kv, mut pair) = (vec![], vec![]);
            for j in 0..keys {
                let (ky, kx) = (j / window, j % window);
                let row = if top + ky < height && left + kx < width {
                    &data[((top + ky) * width + left + kx) * stride..]
                } else {
                    &pad[..]
                };
                kv.push((head(row, qkv[1].offset + h * qkv[1].step, d), head(row, qkv[2].offset + h * qkv[2].step, d)));
                let (qy, qx) = (y - top, x - left);
                pair.push(if vit {
                    let rel = |table: &[f64], i: usize| (0..d).map(|c| q[c] * table[i * d + c]).sum::<f64>();
                    rel(&stored_h, qy + window - 1 - ky) + rel(&stored_w, qx + window - 1 - kx)
                } else {
                    f64::from(biases[h * keys + qy.abs_diff(ky) * window + qx.abs_diff(kx)])
                });
            }
            want[(t * heads + h) * d..][..d].copy_from_slice(&naive(&q, &kv, f64::from(scale), &pair));
        }
    }
    let sizes = Windows { height, width, window, heads, d };
    for isa in forms() {
        let what = format!("{isa:?} {height}x{width} window {window} heads {heads} d {d} vit {vit}");
        let run = |pieces: usize| {
            let mut out = vec![E::default(); tokens * out_stride];
            let mut scratch = Scratch::new();
            for piece in sizes.pieces(&mut out, out_stride, pieces) {
                piece.run(isa, &qkv, &pad, &bias, scale, &mut scratch);
            }
            let row = |row: &[E]| row[..heads * d].iter().map(|x| x.to_f32()).collect::<Vec<_>>();
            out.chunks(out_stride).flat_map(row).collect::<Vec<f32>>()
        };
        let got = run(1);
        close(&got, &want, tolerance, &what);
        assert_eq!(got, run(1 + r.below(sizes.count() * heads)), "{what}: split");
        assert_eq!(got, run(usize::MAX), "{what}: head by head");
    }
}

fn windows<E: Elem>(tolerance: f64) {
    let mut r = Random(21);
    for (height, width, window, heads, d) in [
        (7, 7, 7, 2, 32),
        (9, 16, 7, 1, 32),
        (8, 8, 8, 2, 16),
        (15, 20, 14, 1, 32),
        (16, 17, 16, 1, 48),
        (1, 3, 2, 3, 16),
        (5, 5, 3, 1, 64),
        (14, 14, 14, 1, 80),
        // larger than a tile of keys, with and without padding, larger than the image, of sides that vectors do not fit
        (32, 32, 32, 1, 32),
        (20, 20, 20, 2, 16),
        (23, 18, 17, 1, 24),
        (7, 5, 19, 1, 8),
        (3, 40, 33, 1, 16),
        (2, 50, 48, 1, 8),
        (6, 9, 128, 1, 8),
        (1, 2, 257, 1, 8),
        // one token, and any number of channels
        (3, 5, 1, 2, 16),
        (6, 5, 4, 3, 1),
        (9, 9, 9, 1, 7),
        (5, 6, 5, 1, 33),
        (17, 17, 17, 1, 3),
        (18, 18, 18, 1, 129),
    ] {
        window_case::<E>(&mut r, height, width, window, heads, d, false, tolerance);
        window_case::<E>(&mut r, height, width, window, heads, d, true, 5.0 * tolerance);
    }
}

#[test]
fn windows_f32() {
    windows::<f32>(1e-5);
}

#[test]
fn windows_bf16() {
    // probabilities and outputs rounded to 8 bits, values up to 3
    windows::<Bf16>(0.012);
}

#[allow(clippy::too_many_arguments)]
fn global_case<E: Elem>(
    r: &mut Random,
    grid: Option<(usize, usize)>,
    queries: usize,
    keys: usize,
    heads: usize,
    d: usize,
    tolerance: f64,
) {
    let stride = heads * d + r.below(4);
    let make = |r: &mut Random, n: usize| -> Vec<E> { (0..n * stride).map(|_| E::from_f32(GAIN * r.unit())).collect() };
    let (q, k, v) = (make(r, queries), make(r, keys), make(r, keys));
    let scale = (d as f32).powf(-0.5);
    let (gh, gw) = grid.unwrap_or((1, 1));
    let (rel_h, rel_w) = (r.vec((2 * gh - 1) * d), r.vec((2 * gw - 1) * d));
    let (stored_h, stored_w) = (as_stored::<E>(&rel_h), as_stored::<E>(&rel_w));
    let relative = grid.map(|(h, w)| RelativePositions::<E>::new(&rel_h, &rel_w, h, w, d));
    let mut want = vec![0.0; queries * heads * d];
    for h in 0..heads {
        let kv: Vec<_> =
            (0..keys).map(|j| (head(&k[j * stride..], h * d, d), head(&v[j * stride..], h * d, d))).collect();
        for i in 0..queries {
            let q = head(&q[i * stride..], h * d, d);
            let bias: Vec<f64> = (0..keys)
                .map(|j| {
                    let rel = |table: &[f64], i: usize| (0..d).map(|c| q[c] * table[i * d + c]).sum::<f64>();
                    if grid.is_none() {
                        return 0.0;
                    }
                    rel(&stored_h, i / gw + gh - 1 - j / gw) + rel(&stored_w, i % gw + gw - 1 - j % gw)
                })
                .collect();
            want[(i * heads + h) * d..][..d].copy_from_slice(&naive(&q, &kv, f64::from(scale), &bias));
        }
    }
    let layout = KeyValues::new(keys, d, gw);
    let mut packed = AlignedVec::<E>::zeroed(heads * layout.packed_len::<E>());
    for (h, packed) in packed.chunks_exact_mut(layout.packed_len::<E>()).enumerate() {
        layout.pack(&Heads::alone(&k, stride, d), &Heads::alone(&v, stride, d), h, packed);
    }
    let from = Heads::alone(&q, stride, d);
    for isa in forms() {
        let what = format!("{isa:?} {queries} x {keys} heads {heads} d {d} grid {grid:?}");
        let run = |cut: usize| {
            let mut out = vec![E::default(); queries * heads * d];
            let (top, bottom) = out.split_at_mut(cut * heads * d);
            let mut scratch = Scratch::new();
            attend(
                isa,
                &layout,
                &from,
                &packed,
                0..heads,
                0..cut,
                scale,
                relative.as_ref(),
                top,
                heads * d,
                &mut scratch,
            );
            attend(
                isa,
                &layout,
                &from,
                &packed,
                0..heads,
                cut..queries,
                scale,
                relative.as_ref(),
                bottom,
                heads * d,
                &mut scratch,
            );
            out.iter().map(|x| x.to_f32()).collect::<Vec<_>>()
        };
        let got = run(queries);
        close(&got, &want, tolerance, &what);
        assert_eq!(got, run(r.below(queries + 1)), "{what}: split");
    }
}

fn global<E: Elem>(tolerance: f64) {
    let mut r = Random(22);
    for (queries, keys, heads, d) in
        [(7, 300, 2, 16), (50, 7, 3, 16), (9, 9, 2, 32), (1, 1, 1, 16), (13, 1025, 1, 32), (120, 257, 1, 80)]
    {
        global_case::<E>(&mut r, None, queries, keys, heads, d, tolerance);
    }
    for (h, w, heads, d) in [(4, 4, 2, 16), (9, 11, 1, 64), (20, 20, 1, 80), (33, 16, 1, 64), (5, 64, 1, 64)] {
        global_case::<E>(&mut r, Some((h, w)), h * w, h * w, heads, d, 5.0 * tolerance);
    }
}

#[test]
fn global_f32() {
    global::<f32>(1e-5);
}

#[test]
fn global_bf16() {
    global::<Bf16>(0.012);
}

/// Scores in units of ln 2 and their exponentials.
fn exponentials(scores: &[f32], max: f32) -> Vec<f64> {
    scores.iter().map(|score| (f64::from(*score) - f64::from(max)).exp2()).collect()
}

#[test]
fn softmax_over_the_tokens_of_each_head() {
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
fn softmax_over_the_rows_of_each_column() {
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
            let between = |x: &[f32]| x.chunks(stride).flat_map(|row| row[columns..].to_vec()).collect::<Vec<f32>>();
            assert_eq!(between(&got), between(&scores), "what lies between the rows is left alone");
        }
    }
}

#[test]
fn sums_of_rows_by_the_weights_of_columns() {
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
            let got: Vec<f32> = out.chunks(o).flat_map(|row| row[..width].to_vec()).collect();
            close(&got, &want, 2e-5, &format!("{isa:?}: {rows} x {columns} x {width}"));
            assert!(out.chunks(o).all(|row| row[width..].iter().all(|x| *x == 7.0)));
        }
    }
}

#[test]
fn adds_element_by_element() {
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
