//! `cargo bench -p sam-kernels [-- FILTER]`: every kernel on the shapes of MobileSAM, on one core, against the peak
//! measured in the same run. `SAM_ISA` picks the form.

mod harness;

use harness::{Peak, Report};
use sam_kernels::*;

/// Numbers in -1..1.
fn noise(n: usize) -> AlignedVec<f32> {
    let mut v = AlignedVec::zeroed(n);
    let mut x = 0x9e37_79b9u32;
    for y in v.iter_mut() {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *y = (x >> 8) as f32 / (1 << 23) as f32 - 1.0;
    }
    v
}

fn rounded<E: Elem>(x: &[f32]) -> AlignedVec<E> {
    let mut v = AlignedVec::zeroed(x.len());
    v.iter_mut().zip(x).for_each(|(v, &x)| *v = E::from_f32(x));
    v
}

fn gemms<E: Elem>(r: &Report, isa: Isa, peak: f64, name: &str) {
    // rows, K, N, epilogue
    let shapes = [
        ("MBConv expand, GELU", 16384, 64, 256, Epilogue::GELU),
        ("MBConv project, add, GELU", 16384, 256, 64, Epilogue { act_after: Act::Gelu, ..Epilogue::ADD }),
        ("layer 1 qkv", 4096, 128, 384, Epilogue::BIAS),
        ("layer 1 fc1, GELU", 4096, 128, 512, Epilogue::GELU),
        ("layer 1 fc2, add", 4096, 512, 128, Epilogue::ADD),
        ("layer 2 qkv", 4096, 160, 480, Epilogue::BIAS),
        ("layer 2 proj, add", 4096, 160, 160, Epilogue::ADD),
        ("layer 2 fc1, GELU", 4096, 160, 640, Epilogue::GELU),
        ("layer 2 fc2, add", 4096, 640, 160, Epilogue::ADD),
        ("layer 3 qkv", 4096, 320, 960, Epilogue::BIAS),
        ("layer 3 fc1, GELU", 4096, 320, 1280, Epilogue::GELU),
        ("layer 3 fc2, add", 4096, 1280, 320, Epilogue::ADD),
        ("neck 1x1", 4096, 320, 256, Epilogue::BIAS),
        ("ViT-B fc1, GELU", 1024, 768, 3072, Epilogue::GELU),
        ("ViT-B fc2, add", 1024, 3072, 768, Epilogue::ADD),
        ("ViT-L qkv", 512, 1024, 3072, Epilogue::BIAS),
        ("7 tokens x 256, 2048, ReLU", 7, 256, 2048, Epilogue::RELU),
        ("decoder scores", 128, 256, 56, Epilogue::BIAS),
        ("decoder update, add", 128, 56, 256, Epilogue::ADD),
    ];
    for (what, rows, k, n, epilogue) in shapes {
        let label = format!("gemm {name} {what} {rows}x{k}->{n}");
        if !label.contains(&r.filter) {
            continue;
        }
        let stride = good_stride::<E>(k);
        let a = rounded::<E>(&noise(rows * stride));
        let w = Packed::<E>::linear(&noise(n * k), n, k, Some(&noise(n)));
        let mut c = AlignedVec::<f32>::zeroed(rows * n);
        let mut c16 = AlignedVec::<Bf16>::zeroed(rows * n);
        let narrow = E::STEP == 2 && matches!(epilogue.residual, Residual::None);
        r.case(&label, 2.0 * (rows * k * n) as f64, peak, || {
            let out = if narrow { Out::bf16(&mut c16, n) } else { Out::f32(&mut c, n) };
            gemm(isa, &Rows::new(&a, stride, k), 0..rows, &w, &epilogue, out);
        });
    }
}

fn convolutions<E: Elem>(r: &Report, isa: Isa, peak: f64, name: &str) {
    let zeros = AlignedVec::<E>::zeroed(1024);
    // output rows to compute, side, channels as stored, outputs, stride, bordered
    let cases = [
        ("stem 1, GELU", 64, 1024, 4, 32, 2, true, Epilogue::GELU),
        ("stem 2", 64, 512, 32, 64, 2, false, Epilogue::BIAS),
        ("neck 3x3", 64, 64, 256, 256, 1, false, Epilogue::BIAS),
    ];
    for (what, rows, side, c, n, stride, bordered, epilogue) in cases {
        let label = format!("conv {name} {what} {side}x{side}x{c}->{n}");
        if !label.contains(&r.filter) {
            continue;
        }
        let border = if bordered { 2 } else { 0 };
        let image = rounded::<E>(&noise((side + border) * (side + border) * c));
        let w = Packed::<E>::conv(&noise(n * c * 9), n, c, c, 3, bordered, Some(&noise(n)));
        let pixels = rows * side / stride;
        let (mut c32, mut c16) = (AlignedVec::zeroed(pixels * n), AlignedVec::zeroed(pixels * n));
        let channels = if bordered { 3 } else { c };
        r.case(&label, 2.0 * (pixels * n * 9 * channels) as f64, peak, || {
            let out = if E::STEP == 2 { Out::bf16(&mut c16, n) } else { Out::f32(&mut c32, n) };
            let source = if bordered {
                Conv3x3::bordered(&image, side, side, c, stride)
            } else {
                Conv3x3::padded(&image, &zeros, side, side, c, stride)
            };
            gemm(isa, &source, 0..pixels, &w, &epilogue, out);
        });
    }
}

fn depthwise<I: Elem, O: Elem>(r: &Report, isa: Isa, peak: f64, name: &str) {
    let cases = [
        ("MBConv, GELU", 64, 256, 256, 1, Act::Gelu),
        ("merge, GELU", 64, 256, 128, 2, Act::Gelu),
        ("local conv 1", 128, 128, 128, 1, Act::None),
        ("local conv 2", 64, 64, 160, 1, Act::None),
        ("local conv 3", 64, 64, 320, 1, Act::None),
    ];
    for (what, height, width, c, stride, act) in cases {
        let image = rounded::<I>(&noise(height * width * c));
        let conv = Depthwise::new(&noise(c * 9), &noise(c));
        let rows = height / stride;
        let mut out = AlignedVec::<O>::zeroed(rows * width / stride * c);
        let flops = 18.0 * out.len() as f64;
        r.case(&format!("depthwise {name} {what} {height}x{width}x{c} stride {stride}"), flops, peak, || {
            conv.rows(isa, &image, height, width, stride, 0..rows, act, &mut out);
        });
    }
}

fn norms<O: Elem>(r: &Report, isa: Isa, name: &str) {
    for c in [64, 128, 160, 256, 320] {
        let (rows, norm) = (4096, LayerNorm::new(&noise(c), &noise(c), 1e-5));
        let (x, mut y) = (noise(rows * c), AlignedVec::<O>::zeroed(rows * c));
        r.elements(&format!("norm {name} 4096x{c}"), rows * c, || {
            norm.apply(isa, Mat::new(&x, c), rows, Act::None, MatMut::new(&mut y, c));
        });
    }
}

fn windows<E: Elem>(r: &Report, isa: Isa, peak: f64, name: &str) {
    let cases = [
        ("layer 1", 128, 7, 4, 32, false),
        ("layer 2", 64, 14, 5, 32, false),
        ("layer 3", 64, 7, 10, 32, false),
        ("ViT-B", 64, 14, 12, 64, true),
        ("nano layer 2", 32, 16, 4, 32, false),
        ("nano layer 3", 32, 32, 5, 32, false),
    ];
    for (what, side, window, heads, d, vit) in cases {
        let label = format!("attention {name} {what} {side}x{side} window {window} heads {heads} d {d}");
        if !label.contains(&r.filter) {
            continue;
        }
        let (stride, keys) = (3 * heads * d, window * window);
        let data = rounded::<E>(&noise(side * side * stride));
        let sizes = Windows { height: side, width: side, window, heads, d };
        let bias = if vit {
            let table = noise((2 * window - 1) * d);
            Bias::Relative(RelativePositions::new(&table, &table, window, window, d))
        } else {
            Bias::by_distance(&noise(heads * keys), heads, window)
        };
        let mut out = AlignedVec::<E>::zeroed(side * side * heads * d);
        let mut scratch = Scratch::new();
        r.case(&label, 4.0 * (side * side * keys * heads * d) as f64, peak, || {
            let qkv = Heads::per_head(&data, stride, d);
            for piece in sizes.pieces(&mut out, heads * d, 1) {
                piece.run(isa, &qkv, &data[..stride], &bias, 0.17, &mut scratch);
            }
        });
    }
}

fn global<E: Elem>(r: &Report, isa: Isa, peak: f64, name: &str) {
    for (what, queries, d) in [("ViT-B global", 192, 64), ("ViT-H global", 96, 80)] {
        let keys = 4096;
        let label = format!("attention {name} {what} {queries}x{keys} d {d}");
        if !label.contains(&r.filter) {
            continue;
        }
        let (q, k) = (rounded::<E>(&noise(queries * d)), rounded::<E>(&noise(keys * d)));
        let layout = KeyValues::new(keys, d, 64);
        let mut packed = AlignedVec::<E>::zeroed(layout.packed_len::<E>());
        let (q, kv) = (Heads::alone(&q, d, d), Heads::alone(&k, d, d));
        let table = noise(127 * d);
        let relative = RelativePositions::new(&table, &table, 64, 64, d);
        r.elements(&format!("{label}: packing keys"), keys * d, || layout.pack(&kv, &kv, 0, &mut packed));
        let (mut out, mut scratch) = (AlignedVec::<E>::zeroed(queries * d), Scratch::new());
        r.case(&label, 4.0 * (queries * keys * d) as f64, peak, || {
            attend(isa, &layout, &q, &packed, 0..1, 0..queries, 0.2, Some(&relative), &mut out, d, &mut scratch);
        });
    }
}

/// The decoder's attentions: a segment of the image, seven tokens of eight heads.
fn absorbed(r: &Report, isa: Isa, peak: f64) {
    let (rows, tokens, heads, width) = (128, 7, 8, 256);
    let (columns, stride) = (tokens * heads, 64);
    let (image, positions) = (noise(rows * width), noise(rows * width));
    let (mut positioned, mut scores) = (noise(rows * width), noise(rows * stride));
    r.elements("decoder add positions 128x256", rows * width, || add(isa, &image, &positions, &mut positioned));
    r.elements("decoder softmax over tokens 128x56", rows * columns, || {
        softmax_tokens(isa, MatMut::new(&mut scores, stride), rows, tokens, heads);
    });
    let (mut max, mut sum) = (noise(columns), noise(columns));
    r.elements("decoder softmax over rows 128x56", rows * columns, || {
        softmax_rows(isa, MatMut::new(&mut scores, stride), rows, &mut max, &mut sum);
    });
    let mut sums = noise(columns * width);
    r.case("decoder weighted sums 128x56 of 256", 2.0 * (rows * columns * width) as f64, peak, || {
        let (weights, values) = (Mat::new(&scores, stride), Mat::new(&image, width));
        weighted_sums(isa, weights, columns, values, width, rows, MatMut::new(&mut sums, width));
    });
}

fn rest(r: &Report, isa: Isa) {
    let (x, mut y) = (noise(8192), noise(8192));
    r.elements("function sigmoid", x.len(), || sigmoid(&x, &mut y));
    let rgb: Vec<u8> = (0..768 * 1024 * 3).map(|i| ((i * 7919) >> 8) as u8).collect();
    let mut input = AlignedVec::<f32>::zeroed(1026 * 1026 * 4);
    let n = Normalise { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] };
    r.elements("pixels 768x1024 to f32, 4 channels, bordered", 1024 * 1024, || {
        n.rows(&rgb, (768, 1024), 1024, 1, 4, 0..1026, &mut input);
    });
    let (pixels, masks) = (noise(65536 * 32), noise(4 * 32));
    let mut planes = AlignedVec::<f32>::zeroed(4 * 65536);
    r.elements("mask logits 65536 x 32 x 4", 4 * 65536, || {
        mask_logits(isa, &pixels, 32, &masks, 65536, &mut planes);
    });
    let plan = Upsample::new((256, 256), (1024, 1024), (768, 1024), (1200, 1600));
    let mut count = 0;
    r.elements("enlarge 256x256 to 1200x1600", 1200 * 1600, || {
        plan.rows(isa, &planes[..65536], 0..1200, |_, row| count += usize::from(row[0] > 0.0));
    });
    let mut filter = GuidedFilter::new(4, 1e-4);
    let guide = &rgb[..192 * 256 * 3];
    r.elements("guided filter radius 4, a picture of 192x256", 192 * 256, || filter.prepare(isa, guide, (192, 256)));
    r.elements("guided filter radius 4, a plane of 192x256", 192 * 256, || {
        filter.apply(isa, &mut planes[..192 * 256], 2.0);
    });
}

fn main() {
    let filter = std::env::args().skip(1).find(|a| !a.starts_with("--")).unwrap_or_default();
    let r = Report { filter };
    let isa = Isa::get().unwrap_or_else(|e| panic!("{e}"));
    let peak = Peak::measure(isa);
    println!("{isa:?}, one core; peak f32 {:.1}, bf16 {:.1} GFLOP/s", peak.f32, peak.bf16);
    gemms::<f32>(&r, isa, peak.f32, "f32");
    gemms::<Bf16>(&r, isa, peak.bf16, "bf16");
    convolutions::<f32>(&r, isa, peak.f32, "f32");
    convolutions::<Bf16>(&r, isa, peak.bf16, "bf16");
    windows::<f32>(&r, isa, peak.f32, "f32");
    windows::<Bf16>(&r, isa, peak.bf16, "bf16");
    global::<f32>(&r, isa, peak.f32, "f32");
    global::<Bf16>(&r, isa, peak.bf16, "bf16");
    absorbed(&r, isa, peak.f32);
    depthwise::<f32, f32>(&r, isa, peak.f32, "f32");
    depthwise::<Bf16, Bf16>(&r, isa, peak.f32, "bf16");
    norms::<f32>(&r, isa, "f32");
    norms::<Bf16>(&r, isa, "bf16");
    rest(&r, isa);
}
