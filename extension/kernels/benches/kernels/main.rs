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
        ("MBConv project, add, GELU", 16384, 256, 64, Epilogue::ADD_GELU),
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

fn main() {
    let filter = std::env::args().skip(1).find(|a| !a.starts_with("--")).unwrap_or_default();
    let r = Report { filter };
    let isa = Isa::get().unwrap_or_else(|e| panic!("{e}"));
    let peak = Peak::measure();
    println!("{isa:?}, one core; peak f32 {:.1}, bf16 {:.1} GFLOP/s", peak.f32, peak.bf16);
    let mut x = noise(8192);
    r.elements("gelu", x.len(), || math::gelu(isa, &mut x));
    r.elements("gelu for bf16", x.len(), || math::gelu_fast(isa, &mut x));
    r.elements("exp", x.len(), || math::exp(isa, &mut x));
    gemms::<f32>(&r, isa, peak.f32, "f32");
    gemms::<Bf16>(&r, isa, peak.bf16, "bf16");
}
