//! Attention against sums in f64, on every instruction set. The decoder's parts: `absorbed.rs`.

mod common;

use common::*;
use sam_kernels::*;

/// Scores large enough that softmax is not flat.
const GAIN: f32 = 3.0;

/// Output of one query: keys with their values, and what is added to each score.
fn attended(q: &[f64], keys: &[(Vec<f64>, Vec<f64>)], scale: f64, bias: &[f64]) -> Vec<f64> {
    let scores: Vec<f64> =
        keys.iter().zip(bias).map(|((k, _), b)| scale * q.iter().zip(k).map(|(x, y)| x * y).sum::<f64>() + b).collect();
    let max = scores.iter().copied().fold(f64::MIN, f64::max);
    let p: Vec<f64> = scores.iter().map(|s| (s - max).exp()).collect();
    let sum: f64 = p.iter().sum();
    (0..q.len()).map(|c| keys.iter().zip(&p).map(|((_, v), p)| v[c] * p).sum::<f64>() / sum).collect()
}

/// ViT's relative positions of a grid.
struct Relative {
    height: usize,
    width: usize,
    d: usize,
    vertical: Vec<f32>,
    horizontal: Vec<f32>,
}

impl Relative {
    fn new(r: &mut Random, (height, width): (usize, usize), d: usize) -> Self {
        let (vertical, horizontal) = (r.vec((2 * height - 1) * d), r.vec((2 * width - 1) * d));
        Self { height, width, d, vertical, horizontal }
    }

    fn packed<E: Elem>(&self) -> RelativePositions<E> {
        RelativePositions::new(&self.vertical, &self.horizontal, self.height, self.width, self.d)
    }

    /// The biases of the query at `at` against all keys of the grid.
    fn biases<E: Elem>(&self, q: &[f64], (y, x): (usize, usize)) -> Vec<f64> {
        let products = |table: &[f32]| {
            let product = |row: &[f64]| row.iter().zip(q).map(|(a, b)| a * b).sum::<f64>();
            as_stored::<E>(table).chunks(self.d).map(product).collect::<Vec<f64>>()
        };
        let (vertical, horizontal) = (products(&self.vertical), products(&self.horizontal));
        let bias = |ky: usize, kx: usize| vertical[y + self.height - 1 - ky] + horizontal[x + self.width - 1 - kx];
        (0..self.height * self.width).map(|key| bias(key / self.width, key % self.width)).collect()
    }
}

/// Attention in windows of an image of tokens.
struct InWindows<E> {
    sizes: Windows,
    /// q, k and v of all tokens, `stride` apart, and of the padding token.
    data: Vec<E>,
    stride: usize,
    pad: Vec<E>,
    out_stride: usize,
    scale: f32,
    added: Added,
    /// `Added` as the kernel has it.
    bias: Bias<E>,
}

/// What is added to scores.
enum Added {
    /// TinyViT's: `[heads][|dy|][|dx|]`.
    ByDistance(Vec<f32>),
    /// ViT's.
    Relative(Relative),
}

impl<E: Elem> InWindows<E> {
    fn new(r: &mut Random, [height, width, window, heads, d]: [usize; 5], vit: bool) -> Self {
        let (stride, out_stride) = (3 * heads * d + r.below(3), heads * d + r.below(3));
        let (data, pad) = (r.scaled(height * width * stride, GAIN), r.elems(stride));
        let added = match vit {
            true => Added::Relative(Relative::new(r, (window, window), d)),
            false => Added::ByDistance(r.vec(heads * window * window)),
        };
        let bias = match &added {
            Added::Relative(relative) => Bias::Relative(relative.packed()),
            Added::ByDistance(biases) => Bias::by_distance(biases, heads, window),
        };
        let sizes = Windows { height, width, window, heads, d };
        Self { sizes, data, stride, pad, out_stride, scale: (d as f32).powf(-0.5), added, bias }
    }

    fn qkv(&self) -> [Heads<'_, E>; 3] {
        let Windows { heads, d, .. } = self.sizes;
        match &self.added {
            Added::Relative(_) => Heads::per_part(&self.data, self.stride, heads, d),
            Added::ByDistance(_) => Heads::per_head(&self.data, self.stride, d),
        }
    }

    fn want(&self) -> Vec<f64> {
        let Windows { height, width, window, heads, d } = self.sizes;
        let qkv = self.qkv();
        let part = |row: &[E], part: usize, head: usize| wide(&row[qkv[part].offset + head * qkv[part].step..][..d]);
        let mut want = vec![0.0; height * width * heads * d];
        for (head, t) in (0..heads * height * width).map(|i| (i / (height * width), i % (height * width))) {
            let (y, x) = (t / width, t % width);
            let (top, left) = (y / window * window, x / window * window);
            let (qy, qx) = (y - top, x - left);
            let q = part(&self.data[t * self.stride..], 0, head);
            let key = |j: usize| {
                let (y, x) = (top + j / window, left + j % window);
                let inside = y < height && x < width;
                let row = if inside { &self.data[(y * width + x) * self.stride..] } else { &self.pad[..] };
                (part(row, 1, head), part(row, 2, head))
            };
            let keys: Vec<_> = (0..window * window).map(key).collect();
            let bias = match &self.added {
                Added::Relative(relative) => relative.biases::<E>(&q, (qy, qx)),
                Added::ByDistance(biases) => {
                    let bias = |j: usize| qy.abs_diff(j / window) * window + qx.abs_diff(j % window);
                    (0..window * window).map(|j| f64::from(biases[head * window * window + bias(j)])).collect()
                }
            };
            want[(t * heads + head) * d..][..d].copy_from_slice(&attended(&q, &keys, f64::from(self.scale), &bias));
        }
        want
    }

    fn run(&self, isa: Isa, pieces: usize) -> Vec<f32> {
        let Windows { height, width, heads, d, .. } = self.sizes;
        let mut out = vec![E::default(); height * width * self.out_stride];
        let mut scratch = Scratch::new();
        for piece in self.sizes.pieces(&mut out, self.out_stride, pieces) {
            piece.run(isa, &self.qkv(), &self.pad, &self.bias, self.scale, &mut scratch);
        }
        narrow(&rows(&out, self.out_stride, heads * d))
    }
}

/// Runs `check` for windows of all kinds, with TinyViT's biases and with ViT's (`true`).
fn each_windows<E: Elem>(mut check: impl FnMut(&InWindows<E>, bool, &str)) {
    let mut r = Random(21);
    for sizes in [
        [7, 7, 7, 2, 32],
        [9, 16, 7, 1, 32],
        [8, 8, 8, 2, 16],
        [15, 20, 14, 1, 32],
        [16, 17, 16, 1, 48],
        [1, 3, 2, 3, 16],
        [5, 5, 3, 1, 64],
        [14, 14, 14, 1, 80],
        // larger than a tile of keys, with and without padding, larger than the image, of sides that vectors do not fit
        [32, 32, 32, 1, 32],
        [20, 20, 20, 2, 16],
        [23, 18, 17, 1, 24],
        [7, 5, 19, 1, 8],
        [3, 40, 33, 1, 16],
        [2, 50, 48, 1, 8],
        [6, 9, 128, 1, 8],
        [1, 2, 257, 1, 8],
        // tiles of one row of keys, which end inside a panel
        [2, 3, 144, 1, 8],
        [1, 5, 272, 1, 16],
        // one token, and any number of channels
        [3, 5, 1, 2, 16],
        [6, 5, 4, 3, 1],
        [9, 9, 9, 1, 7],
        [5, 6, 5, 1, 33],
        [17, 17, 17, 1, 3],
        [18, 18, 18, 1, 129],
    ] {
        for vit in [false, true] {
            check(&InWindows::new(&mut r, sizes, vit), vit, &format!("{sizes:?} vit {vit}"));
        }
    }
}

fn windows_match_f64<E: Elem>(tolerance: f64) {
    each_windows::<E>(|windows, vit, what| {
        let want = windows.want();
        // Sums over many keys, most of them the same padding token: roundings that all go one way.
        let keys = (windows.sizes.window * windows.sizes.window) as f64;
        let tolerance = (if vit { 5.0 * tolerance } else { tolerance }).max(keys * 0.5f64.powi(24));
        for isa in forms() {
            close(&windows.run(isa, 1), &want, tolerance, &format!("{isa:?} {what}"));
        }
    });
}
// bf16: probabilities and outputs rounded to 8 bits, values up to 3
for_both_types!(windows_match_f64, f32: 1e-5, bf16: 0.012);

fn windows_same_bits_for_any_pieces<E: Elem>(_: f64) {
    let mut r = Random(23);
    each_windows::<E>(|windows, _, what| {
        for isa in forms() {
            let whole = windows.run(isa, 1);
            for pieces in [1 + r.below(windows.sizes.count() * windows.sizes.heads), usize::MAX] {
                same_bits(&windows.run(isa, pieces), &whole, &format!("{isa:?} {what} in {pieces} pieces"));
            }
        }
    });
}
for_both_types!(windows_same_bits_for_any_pieces, f32: 0.0, bf16: 0.0);

/// Attention of queries to all keys.
struct Global<E> {
    queries: usize,
    keys: usize,
    heads: usize,
    d: usize,
    stride: usize,
    q: Vec<E>,
    k: Vec<E>,
    v: Vec<E>,
    relative: Option<Relative>,
    scale: f32,
}

impl<E: Elem> Global<E> {
    fn new(r: &mut Random, [queries, keys, heads, d]: [usize; 4], grid: Option<(usize, usize)>) -> Self {
        let stride = heads * d + r.below(4);
        let [q, k, v] = [queries, keys, keys].map(|tokens| r.scaled(tokens * stride, GAIN));
        let relative = grid.map(|grid| Relative::new(r, grid, d));
        Self { queries, keys, heads, d, stride, q, k, v, relative, scale: (d as f32).powf(-0.5) }
    }

    fn want(&self) -> Vec<f64> {
        let Self { queries, keys, heads, d, stride, .. } = *self;
        let of = |x: &[E], token: usize, head: usize| wide(&x[token * stride + head * d..][..d]);
        let mut want = vec![0.0; queries * heads * d];
        for head in 0..heads {
            let all: Vec<_> = (0..keys).map(|key| (of(&self.k, key, head), of(&self.v, key, head))).collect();
            for i in 0..queries {
                let q = of(&self.q, i, head);
                let bias = match &self.relative {
                    Some(relative) => relative.biases::<E>(&q, (i / relative.width, i % relative.width)),
                    None => vec![0.0; keys],
                };
                want[(i * heads + head) * d..][..d].copy_from_slice(&attended(&q, &all, f64::from(self.scale), &bias));
            }
        }
        want
    }

    /// Computed in two ranges of queries.
    fn run(&self, isa: Isa, cut: usize) -> Vec<f32> {
        let Self { queries, keys, heads, d, stride, scale, .. } = *self;
        let layout = KeyValues::new(keys, d, self.relative.as_ref().map_or(1, |relative| relative.width));
        let mut packed = AlignedVec::<E>::zeroed(heads * layout.packed_len::<E>());
        for (head, packed) in packed.chunks_exact_mut(layout.packed_len::<E>()).enumerate() {
            layout.pack(&Heads::alone(&self.k, stride, d), &Heads::alone(&self.v, stride, d), head, packed);
        }
        let (q, relative) = (Heads::alone(&self.q, stride, d), self.relative.as_ref().map(Relative::packed));
        let mut out = vec![E::default(); queries * heads * d];
        let (top, bottom) = out.split_at_mut(cut * heads * d);
        let mut scratch = Scratch::new();
        for (range, out) in [(0..cut, top), (cut..queries, bottom)] {
            let (relative, out_stride) = (relative.as_ref(), heads * d);
            attend(isa, &layout, &q, &packed, 0..heads, range, scale, relative, out, out_stride, &mut scratch);
        }
        narrow(&out)
    }
}

/// Runs `check` for attention of several sizes, without and with relative positions (`true`).
fn each_global<E: Elem>(mut check: impl FnMut(&Global<E>, bool, &str)) {
    let mut r = Random(22);
    for sizes in [[7, 300, 2, 16], [50, 7, 3, 16], [9, 9, 2, 32], [1, 1, 1, 16], [13, 1025, 1, 32], [120, 257, 1, 80]] {
        check(&Global::new(&mut r, sizes, None), false, &format!("{sizes:?}"));
    }
    for [h, w, heads, d] in [[4, 4, 2, 16], [9, 11, 1, 64], [20, 20, 1, 80], [33, 16, 1, 64], [5, 64, 1, 64]] {
        let global = Global::new(&mut r, [h * w, h * w, heads, d], Some((h, w)));
        check(&global, true, &format!("grid {h} x {w} heads {heads} d {d}"));
    }
}

fn global_attention_matches_f64<E: Elem>(tolerance: f64) {
    each_global::<E>(|global, relative, what| {
        let want = global.want();
        let tolerance = if relative { 5.0 * tolerance } else { tolerance };
        for isa in forms() {
            close(&global.run(isa, global.queries), &want, tolerance, &format!("{isa:?} {what}"));
        }
    });
}
for_both_types!(global_attention_matches_f64, f32: 1e-5, bf16: 0.012);

fn global_attention_same_bits_for_any_query_ranges<E: Elem>(_: f64) {
    let mut r = Random(24);
    each_global::<E>(|global, _, what| {
        for isa in forms() {
            let (whole, cut) = (global.run(isa, global.queries), r.below(global.queries + 1));
            same_bits(&global.run(isa, cut), &whole, &format!("{isa:?} {what} cut at {cut}"));
        }
    });
}
for_both_types!(global_attention_same_bits_for_any_query_ranges, f32: 0.0, bf16: 0.0);
