//! Intel's AMX: tiles in registers of the processor.

use super::tiles::Tiles;
use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

/// Why tiles are not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The processor has none.
    Processor,
    /// The system does not save them, or does not let this process use them; with the number of its error, if it gave one.
    System(Option<i32>),
}

/// Whether tiles can be used by this process. The system is asked once: it grants all threads, and children.
pub(crate) fn permission() -> Result<(), Refused> {
    static PERMISSION: OnceLock<Result<(), Refused>> = OnceLock::new();
    *PERMISSION.get_or_init(|| {
        // Leaf 7: bf16 products, tiles. Leaf 1: whether XGETBV may be asked what the system saves.
        let features = __cpuid_count(7, 0).edx;
        if features & (1 << 22 | 1 << 24) != (1 << 22 | 1 << 24) {
            return Err(Refused::Processor);
        }
        if __cpuid_count(1, 0).ecx & 1 << 27 == 0 || saved() & (1 << 17 | 1 << 18) != (1 << 17 | 1 << 18) {
            return Err(Refused::System(None));
        }
        permit()
    })
}

/// Which states the system saves when it switches threads: XCR0.
fn saved() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller has seen that the system allows it (OSXSAVE).
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}

/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
#[cfg(target_os = "linux")]
fn permit() -> Result<(), Refused> {
    let mut result: isize = 158;
    // SAFETY: the call takes two numbers and changes only what this process may use.
    unsafe {
        asm!("syscall", inout("rax") result, in("rdi") 0x1023, in("rsi") 18, out("rcx") _, out("r11") _, options(nostack));
    }
    if result == 0 { Ok(()) } else { Err(Refused::System(Some(-result as i32))) }
}

/// Only Linux is known to grant them this way.
#[cfg(not(target_os = "linux"))]
fn permit() -> Result<(), Refused> {
    Err(Refused::System(None))
}

/// The operand of LDTILECFG.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static FULL: Shapes = Shapes {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// The registers of this thread. No compiled code but this touches them.
pub struct Registers(());

impl Tiles for Registers {
    #[inline(always)]
    fn start() -> Self {
        // SAFETY: the form that has these tiles exists only where there is a `permission`; the operand is 64 valid bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const FULL, options(readonly, nostack, preserves_flags)) };
        Self(())
    }
    #[inline(always)]
    fn finish(self) {
        // SAFETY: the registers were configured, and nobody uses them any longer.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
    #[inline(always)]
    unsafe fn load<const TILE: usize>(&mut self, from: *const u8, stride: usize) {
        // SAFETY: configured; rows are valid by contract.
        unsafe {
            asm!("tileloadd tmm{t}, [{p} + {s}*1]", t = const TILE, p = in(reg) from, s = in(reg) stride,
                 options(readonly, nostack, preserves_flags));
        }
    }
    #[inline(always)]
    unsafe fn store<const TILE: usize>(&mut self, to: *mut u8, stride: usize) {
        // SAFETY: configured; rows are valid by contract.
        unsafe {
            asm!("tilestored [{p} + {s}*1], tmm{t}", t = const TILE, p = in(reg) to, s = in(reg) stride,
                 options(nostack, preserves_flags));
        }
    }
    #[inline(always)]
    fn zero<const TILE: usize>(&mut self) {
        // SAFETY: configured.
        unsafe { asm!("tilezero tmm{t}", t = const TILE, options(nomem, nostack, preserves_flags)) };
    }
    #[inline(always)]
    fn dot<const SUM: usize, const A: usize, const B: usize>(&mut self) {
        // SAFETY: configured, all of full size.
        unsafe {
            asm!("tdpbf16ps tmm{c}, tmm{a}, tmm{b}", c = const SUM, a = const A, b = const B,
                 options(nomem, nostack, preserves_flags));
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests;
