//! The instruction set, picked once at run time: the only place that knows which forms of the kernels exist.

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use crate::simd::neon::Neon;
use crate::simd::{Kernel, portable::Portable};
#[cfg(target_arch = "x86_64")]
use crate::simd::{
    amx::{Refused, permission},
    avx2::Avx2,
    avx512::{Amx, Avx512, Dot, EmulatedAmx, Level, Plain},
};
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
    Amx,
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
    #[cfg(target_arch = "x86_64")]
    EmulatedAmx,
}

/// Names of all forms, best first, but for the last, which is for tests.
const NAMES: [&str; 8] = ["amx", "avx512bf16", "avx512", "avx2", "neonbf16", "neon", "portable", "amx-emulated"];

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
                if permission().is_ok() {
                    forms.push(Isa(Form::Amx));
                }
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

    /// [`Isa::available`], and behind them forms that compute what others do, but slowly, on processors that lack
    /// something: `amx-emulated` has AMX's tiles in memory. For tests.
    pub fn testable() -> Vec<Isa> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut))]
        let mut forms = Self::available();
        #[cfg(target_arch = "x86_64")]
        if forms.contains(&Isa(Form::Avx512)) {
            forms.push(Isa(Form::EmulatedAmx));
        }
        forms
    }

    /// What this processor has but the system keeps from this process, with the reason; nothing where nothing is.
    pub fn refused() -> Option<String> {
        #[cfg(target_arch = "x86_64")]
        if let Err(Refused::System(number)) = permission() {
            let error =
                number.map_or(String::new(), |number| format!(" ({})", std::io::Error::from_raw_os_error(number)));
            return Some(format!("amx: the system does not let this process use it{error}"));
        }
        None
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
        if let Some(isa) = Isa::testable().iter().find(|isa| isa.name() == name) {
            return Ok(*isa);
        }
        let reason = if NAMES.contains(&name) { "is not available on this processor" } else { "is unknown" };
        let names: Vec<_> = Isa::available().iter().map(|isa| isa.name()).collect();
        Err(IsaError(format!("instruction set '{name}' {reason}; {ISA_VARIABLE} can be one of: {}", names.join(", "))))
    }

    /// `amx`, `avx512bf16`, `avx512`, `avx2`, `neonbf16`, `neon` or `portable`; `amx-emulated` in tests.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Form::Amx => NAMES[0],
            #[cfg(target_arch = "x86_64")]
            Form::Avx512Bf16 => NAMES[1],
            #[cfg(target_arch = "x86_64")]
            Form::Avx512 => NAMES[2],
            #[cfg(target_arch = "x86_64")]
            Form::Avx2 => NAMES[3],
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Form::NeonBf16 => NAMES[4],
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Form::Neon => NAMES[5],
            Form::Portable => NAMES[6],
            #[cfg(target_arch = "x86_64")]
            Form::EmulatedAmx => NAMES[7],
        }
    }

    /// Whether there are instructions for bf16 products.
    pub fn has_native_bf16(self) -> bool {
        self.name() == "amx" || self.name().ends_with("bf16")
    }

    /// Runs `kernel` compiled for this instruction set, without tiles.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Out {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of the form exists only where its features were detected.
            Form::Amx | Form::Avx512Bf16 => unsafe { run_avx512bf16::<Dot, K>(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Form::Avx512 | Form::EmulatedAmx => unsafe { run_avx512::<Plain, K>(kernel) },
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

    /// Runs a kernel of bf16 products, on tiles where there are some.
    #[inline]
    pub(crate) fn run_tiled<K: Kernel>(self, kernel: K) -> K::Out {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: an `Isa` of the form exists only where its features were detected and the system permitted it.
            Form::Amx => unsafe { run_avx512bf16::<Amx, K>(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Form::EmulatedAmx => unsafe { run_avx512::<EmulatedAmx, K>(kernel) },
            _ => self.run(kernel),
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
/// The processor has the features that are enabled here, and what `L` says.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
fn run_avx512bf16<L: Level, K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: by contract.
    kernel.run(unsafe { Avx512::<L>::new() })
}

/// `kernel` compiled for these features.
///
/// # Safety
/// The processor has the features that are enabled here, and what `L` says.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn run_avx512<L: Level, K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: by contract.
    kernel.run(unsafe { Avx512::<L>::new() })
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
