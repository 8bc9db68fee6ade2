//! Times closures, and measures what the processor can do at most.

use std::time::{Duration, Instant};

/// Seconds of processor time of this thread, so that other load on the machine counts little.
#[cfg(target_os = "linux")]
fn now() -> f64 {
    #[repr(C)]
    struct Timespec {
        seconds: i64,
        nanoseconds: i64,
    }
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
    }
    const THREAD_CPU_TIME: i32 = 3;
    let mut t = Timespec { seconds: 0, nanoseconds: 0 };
    // SAFETY: the structure is that of 64-bit Linux.
    unsafe { clock_gettime(THREAD_CPU_TIME, &mut t) };
    t.seconds as f64 + t.nanoseconds as f64 * 1e-9
}

#[cfg(not(target_os = "linux"))]
fn now() -> f64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// Shortest time of one call: the least disturbed of many.
pub fn fastest(mut f: impl FnMut()) -> f64 {
    f();
    let start = Instant::now();
    let mut best = f64::MAX;
    let mut calls = 0;
    while calls < 5 || (start.elapsed() < Duration::from_millis(250) && calls < 2000) {
        let t = now();
        f();
        best = best.min(now() - t);
        calls += 1;
    }
    best
}

/// Peak of one core in GFLOP/s: independent multiply-adds on registers.
pub struct Peak {
    /// Multiply-adds of f32, two operations each.
    pub f32: f64,
    /// The same for pairs of bf16, or tiles; that of f32 where there is no such instruction.
    pub bf16: f64,
}

impl Peak {
    /// Takes about a second.
    pub fn measure(isa: sam_kernels::Isa) -> Peak {
        const ROUNDS: usize = 100_000;
        let rate = |flops: f64, f: &dyn Fn()| ROUNDS as f64 * flops / fastest(f) / 1e9;
        #[cfg(target_arch = "x86_64")]
        {
            if isa.name() == "amx" {
                // SAFETY: the form exists only where the processor has AVX512F and AMX, and the system permits it.
                let f32 = rate(24.0 * 32.0, &|| unsafe { x86::fma512(ROUNDS) });
                // SAFETY: as above.
                return Peak { f32, bf16: rate(4.0 * 16384.0, &|| unsafe { x86::tiles(ROUNDS) }) };
            }
            if is_x86_feature_detected!("avx512bf16") {
                // SAFETY: the features were just detected (AVX512_BF16 implies AVX512F), here and below.
                let f32 = rate(24.0 * 32.0, &|| unsafe { x86::fma512(ROUNDS) });
                // SAFETY: as above.
                return Peak { f32, bf16: rate(24.0 * 64.0, &|| unsafe { x86::dot512(ROUNDS) }) };
            }
            if is_x86_feature_detected!("avx512f") {
                // SAFETY: as above.
                let f32 = rate(24.0 * 32.0, &|| unsafe { x86::fma512(ROUNDS) });
                return Peak { f32, bf16: f32 };
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: as above.
                let f32 = rate(12.0 * 16.0, &|| unsafe { x86::fma256(ROUNDS) });
                return Peak { f32, bf16: f32 };
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            // SAFETY: every such processor has NEON; the bf16 instructions were just detected, below.
            let f32 = rate(24.0 * 8.0, &|| unsafe { arm::fma128(ROUNDS) });
            if std::arch::is_aarch64_feature_detected!("bf16") {
                // SAFETY: as above.
                return Peak { f32, bf16: rate(24.0 * 32.0, &|| unsafe { arm::dot128(ROUNDS) }) };
            }
            Peak { f32, bf16: f32 }
        }
        #[cfg(not(target_arch = "aarch64"))]
        {
            let f32 = rate(32.0 * 2.0, &|| {
                let mut acc = [1f32; 32];
                for _ in 0..ROUNDS {
                    acc.iter_mut().for_each(|a| *a = *a * 0.999 + 0.001);
                }
                std::hint::black_box(acc);
            });
            Peak { f32, bf16: f32 }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    /// Multiply-adds of registers, `rounds` times so many as keep the units busy.
    ///
    /// # Safety
    /// The processor has the features that are enabled here.
    #[target_feature(enable = "avx512f")]
    pub fn fma512(rounds: usize) {
        let (a, b) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
        let mut acc = [_mm512_set1_ps(1.0); 24];
        for _ in 0..rounds {
            for x in &mut acc {
                *x = _mm512_fmadd_ps(*x, a, b);
            }
        }
        let mut sum = acc[0];
        for x in &acc[1..] {
            sum = _mm512_add_ps(sum, *x);
        }
        black_box(_mm512_reduce_add_ps(sum));
    }

    /// Multiply-adds of registers, `rounds` times so many as keep the units busy.
    ///
    /// # Safety
    /// The processor has the features that are enabled here.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub fn dot512(rounds: usize) {
        let zero = _mm512_setzero_ps();
        let a = _mm512_cvtne2ps_pbh(_mm512_set1_ps(black_box(0.999)), zero);
        let b = _mm512_cvtne2ps_pbh(_mm512_set1_ps(black_box(0.001)), zero);
        let mut acc = [_mm512_set1_ps(1.0); 24];
        for _ in 0..rounds {
            for x in &mut acc {
                *x = _mm512_dpbf16_ps(*x, a, b);
            }
        }
        let mut sum = acc[0];
        for x in &acc[1..] {
            sum = _mm512_add_ps(sum, *x);
        }
        black_box(_mm512_reduce_add_ps(sum));
    }

    /// Products of tiles of zeros into four others, `rounds` times.
    ///
    /// # Safety
    /// The processor has AMX with bf16, and this process may use it.
    pub unsafe fn tiles(rounds: usize) {
        // palette 1; at 16 the bytes, at 48 the rows of each of eight tiles
        let mut shapes = [0u8; 64];
        shapes[0] = 1;
        for tile in 0..8 {
            shapes[16 + 2 * tile] = 64;
            shapes[48 + tile] = 16;
        }
        // SAFETY: by contract; tiles are configured before they are used, and released.
        unsafe {
            std::arch::asm!("ldtilecfg [{}]", in(reg) shapes.as_ptr());
            for _ in 0..rounds {
                std::arch::asm!(
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                );
            }
            std::arch::asm!("tilerelease");
        }
    }

    /// Multiply-adds of registers, `rounds` times so many as keep the units busy.
    ///
    /// # Safety
    /// The processor has the features that are enabled here.
    #[target_feature(enable = "avx2,fma")]
    pub fn fma256(rounds: usize) {
        let (a, b) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
        let mut acc = [_mm256_set1_ps(1.0); 12];
        for _ in 0..rounds {
            for x in &mut acc {
                *x = _mm256_fmadd_ps(*x, a, b);
            }
        }
        let mut sum = acc[0];
        for x in &acc[1..] {
            sum = _mm256_add_ps(sum, *x);
        }
        black_box(_mm_cvtss_f32(_mm256_castps256_ps128(sum)));
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::{aarch64::*, asm};
    use std::hint::black_box;

    /// Multiply-adds of registers, `rounds` times so many as keep the units busy.
    ///
    /// # Safety
    /// The processor has the features that are enabled here.
    #[target_feature(enable = "neon")]
    pub fn fma128(rounds: usize) {
        let (a, b) = (vdupq_n_f32(black_box(0.999)), vdupq_n_f32(black_box(0.001)));
        let mut acc = [vdupq_n_f32(1.0); 24];
        for _ in 0..rounds {
            for x in &mut acc {
                *x = vfmaq_f32(*x, a, b);
            }
        }
        for x in acc {
            black_box(vaddvq_f32(x));
        }
    }

    /// Products of 2 x 4 by 4 x 2 values of registers, `rounds` times so many as keep the units busy.
    ///
    /// # Safety
    /// The processor has the features that are enabled here.
    #[target_feature(enable = "neon,bf16")]
    pub fn dot128(rounds: usize) {
        let (a, b) = (vdupq_n_u16(black_box(0x3f80)), vdupq_n_u16(black_box(0x3a80)));
        let mut acc = [vdupq_n_f32(1.0); 24];
        for _ in 0..rounds {
            for x in &mut acc {
                // SAFETY: works on registers only; bf16 is enabled here.
                unsafe {
                    asm!(
                        "bfmmla {x:v}.4s, {a:v}.8h, {b:v}.8h",
                        x = inout(vreg) *x, a = in(vreg) a, b = in(vreg) b,
                        options(pure, nomem, nostack, preserves_flags)
                    );
                }
            }
        }
        for x in acc {
            black_box(vaddvq_f32(x));
        }
    }
}

/// Prints one line: time, GFLOP/s and share of `peak`.
pub struct Report {
    /// Only cases whose name contains this are run.
    pub filter: String,
}

impl Report {
    /// For kernels bound by arithmetic.
    pub fn case(&self, name: &str, flops: f64, peak: f64, f: impl FnMut()) {
        if !name.contains(&self.filter) {
            return;
        }
        let t = fastest(f);
        let rate = flops / t / 1e9;
        println!("{name:<62} {:>10.3} ms {rate:>8.1} GFLOP/s {:>5.1} %", t * 1e3, 100.0 * rate / peak);
    }

    /// For kernels that are bound by memory or by functions: nanoseconds per element.
    pub fn elements(&self, name: &str, elements: usize, f: impl FnMut()) {
        if !name.contains(&self.filter) {
            return;
        }
        let t = fastest(f);
        println!("{name:<62} {:>10.3} ms {:>8.3} ns per element", t * 1e3, t * 1e9 / elements as f64);
    }
}
