//! The instruction set, picked once at run time: the only place that knows which forms of the kernels exist.

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use crate::simd::neon::Neon;
use crate::simd::{Kernel, Simd, portable::Portable};
#[cfg(target_arch = "x86_64")]
use crate::simd::{avx2::Avx2, avx512::Avx512};
use std::{fmt, sync::OnceLock};

/// Environment variable that forces a form by [`Isa::name`]; an unknown or unavailable one is an error.
pub const ISA_VARIABLE: &str = "SAM_ISA";

/// A form of the kernels that this processor can run. Values exist only for available forms.
///
/// ```
/// use sam_kernels::Isa;
///
/// let best = Isa::get()?;
/// println!("{} computes; bf16 is native: {}", best.name(), best.has_native_bf16());
/// assert!(Isa::available().contains(&best));
/// assert!(Isa::named("sse9").unwrap_err().to_string().starts_with("instruction set 'sse9' is unknown"));
/// # Ok::<(), sam_kernels::IsaError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Isa(Form);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    NeonBf16,
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Neon,
    Portable,
}

/// Names of all forms, best first.
const NAMES: [&str; 6] = ["avx512bf16", "avx512", "avx2", "neonbf16", "neon", "portable"];

/// A form was asked for that is unknown or that this processor lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsaError(String);

impl fmt::Display for IsaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for IsaError {}

impl Isa {
    /// The forms this processor has, best first; the portable one is always among them.
    pub fn available() -> Vec<Isa> {
        let mut forms = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = avx2
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx512 && is_x86_feature_detected!("avx512bf16") {
                forms.push(Isa(Form::Avx512Bf16));
            }
            if avx512 {
                forms.push(Isa(Form::Avx512));
            }
            if avx2 {
                forms.push(Isa(Form::Avx2));
            }
        }
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        {
            use std::arch::is_aarch64_feature_detected;
            let neon = is_aarch64_feature_detected!("neon");
            if neon && is_aarch64_feature_detected!("bf16") {
                forms.push(Isa(Form::NeonBf16));
            }
            if neon {
                forms.push(Isa(Form::Neon));
            }
        }
        forms.push(Isa(Form::Portable));
        forms
    }

    /// The best form, or the one `SAM_ISA` names; looked up once per process.
    pub fn get() -> Result<Isa, IsaError> {
        static ISA: OnceLock<Result<Isa, IsaError>> = OnceLock::new();
        ISA.get_or_init(|| match std::env::var_os(ISA_VARIABLE) {
            None => Ok(Isa::available()[0]),
            Some(name) => Isa::named(&name.to_string_lossy()),
        })
        .clone()
    }

    /// The form of that name.
    pub fn named(name: &str) -> Result<Isa, IsaError> {
        let available = Isa::available();
        if let Some(isa) = available.iter().find(|isa| isa.name() == name) {
            return Ok(*isa);
        }
        let reason = if NAMES.contains(&name) { "is not available on this processor" } else { "is unknown" };
        let names: Vec<_> = available.iter().map(|isa| isa.name()).collect();
        Err(IsaError(format!("instruction set '{name}' {reason}; {ISA_VARIABLE} can be one of: {}", names.join(", "))))
    }

    /// `avx512bf16`, `avx512`, `avx2`, `neonbf16`, `neon` or `portable`.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Form::Avx512Bf16 => NAMES[0],
            #[cfg(target_arch = "x86_64")]
            Form::Avx512 => NAMES[1],
            #[cfg(target_arch = "x86_64")]
            Form::Avx2 => NAMES[2],
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Form::NeonBf16 => NAMES[3],
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Form::Neon => NAMES[4],
            Form::Portable => NAMES[5],
        }
    }

    /// Whether bf16 products are one instruction; where not, f32 is the faster precision.
    pub fn has_native_bf16(self) -> bool {
        self.name().ends_with("bf16")
    }

    /// Rows of the register tile of matrix products: `Simd::MR` of the form.
    pub(crate) fn tile_rows(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Form::Avx512Bf16 | Form::Avx512 => Avx512::<true>::MR,
            #[cfg(target_arch = "x86_64")]
            Form::Avx2 => Avx2::MR,
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Form::NeonBf16 | Form::Neon => Neon::<true>::MR,
            Form::Portable => Portable::MR,
        }
    }

    /// Runs `kernel` compiled for this instruction set.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Out {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of the form exists only where its features were detected.
            Form::Avx512Bf16 => unsafe { run_avx512bf16(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Form::Avx512 => unsafe { run_avx512(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Form::Avx2 => unsafe { run_avx2(kernel) },
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            // SAFETY: as above.
            Form::NeonBf16 => unsafe { run_neonbf16(kernel) },
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            // SAFETY: as above.
            Form::Neon => unsafe { run_neon(kernel) },
            Form::Portable => kernel.run(Portable),
        }
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `kernel` compiled for these features.
///
/// # Safety
/// The processor has the features that are enabled here.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
fn run_avx512bf16<K: Kernel>(kernel: K) -> K::Out {
    kernel.run(Avx512::<true>::new())
}

/// `kernel` compiled for these features.
///
/// # Safety
/// The processor has the features that are enabled here.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn run_avx512<K: Kernel>(kernel: K) -> K::Out {
    kernel.run(Avx512::<false>::new())
}

/// `kernel` compiled for these features.
///
/// # Safety
/// The processor has the features that are enabled here.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Out {
    kernel.run(Avx2::new())
}

/// `kernel` compiled for these features.
///
/// # Safety
/// The processor has the features that are enabled here.
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
#[target_feature(enable = "neon,bf16")]
fn run_neonbf16<K: Kernel>(kernel: K) -> K::Out {
    kernel.run(Neon::<true>::new())
}

/// `kernel` compiled for these features.
///
/// # Safety
/// The processor has the features that are enabled here.
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
#[target_feature(enable = "neon")]
fn run_neon<K: Kernel>(kernel: K) -> K::Out {
    kernel.run(Neon::<false>::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_missing_forms_are_errors() {
        let e = Isa::named("sse9").unwrap_err().to_string();
        assert!(e.contains("'sse9' is unknown") && e.contains("portable"), "{e}");
        for name in NAMES {
            match Isa::named(name) {
                Ok(isa) => assert_eq!(isa.name(), name),
                Err(e) => assert!(e.to_string().contains("not available"), "{e}"),
            }
        }
    }

    #[test]
    fn the_variable_forces_the_form() {
        if let Some(name) = std::env::var_os(ISA_VARIABLE) {
            assert_eq!(Isa::get().unwrap().name(), name.to_string_lossy());
        } else {
            assert_eq!(Isa::get().unwrap(), Isa::available()[0]);
        }
    }
}
