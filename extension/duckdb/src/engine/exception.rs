//! The engine's exceptions, on their way through Rust.
//!
//! DuckDB's functions may throw C++ exceptions through the C API: above all when memory runs out. Rust code must not be
//! left that way (its values would not be dropped, and [`std::panic::catch_unwind`] ends the process at the sight of an
//! exception that is not its own). So each call of the engine stops the exception where it enters, see [`stop`]. It
//! goes on as a panic, which drops what is to be dropped and ends in [`super::guard`]. The callback then raises the
//! very same exception again, see [`raise`], into the engine, which gets its own object back: kind and text are those
//! that plain DuckDB would give.
//!
//! There is no C++ here, and none is linked. The catch clause is a function of a few instructions with a personality of
//! its own, written against the Itanium C++ ABI. There an exception is an opaque object that is handed around by its
//! address. It exists for Linux; elsewhere exceptions are not stopped.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::MaybeUninit;

thread_local! {
    /// The exception that was stopped on this thread and not yet raised again.
    static STOPPED: Cell<*mut c_void> = const { Cell::new(std::ptr::null_mut()) };
}

/// What unwinds in the place of the engine's exception.
struct Stopped;

/// The result of `call`, a call of the engine and nothing else; an exception that it throws goes on as a panic.
#[inline]
pub(super) fn stop<R: Copy>(call: impl FnOnce() -> R) -> R {
    let mut result = MaybeUninit::uninit();
    let exception = caught(|| {
        result.write(call());
    });
    if exception.is_null() {
        // SAFETY: `call` has returned.
        return unsafe { result.assume_init() };
    }
    STOPPED.set(exception);
    // Unlike `panic!` this prints nothing.
    std::panic::resume_unwind(Box::new(Stopped))
}

/// Whether an exception was stopped on this thread and not yet raised again.
pub(super) fn is_stopped() -> bool {
    !STOPPED.get().is_null()
}

/// Raises the exception that was stopped on this thread, if any, into the engine, and does not return then. To be called
/// at the end of each callback, when nothing is left to drop.
pub(super) fn raise() {
    let exception = STOPPED.replace(std::ptr::null_mut());
    if !exception.is_null() {
        again(exception);
    }
}

/// Runs `call`; the exception that it ends with, or NULL.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn caught<F: FnOnce()>(call: F) -> *mut c_void {
    unsafe extern "C-unwind" fn enter<F: FnOnce()>(call: *mut c_void) {
        // SAFETY: the pointer is to the `Option` below, which is not touched otherwise meanwhile.
        if let Some(call) = unsafe { &mut *call.cast::<Option<F>>() }.take() {
            call();
        }
    }
    let mut call = Some(call);
    // SAFETY: `enter` gets the pointer that it expects.
    unsafe { clause::sam_catch(enter::<F>, (&raw mut call).cast()) }
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn again(exception: *mut c_void) {
    // SAFETY: the exception was thrown by the engine and caught by nobody: it may be raised, once.
    let code = unsafe { clause::_Unwind_RaiseException(exception) };
    // Only if nobody up the stack catches it, which the engine does: it never comes here.
    debug_assert!(false, "the engine does not catch its exceptions: {code}");
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn caught(call: impl FnOnce()) -> *mut c_void {
    call();
    std::ptr::null_mut()
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn again(_exception: *mut c_void) {}

/// The catch clause.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod clause {
    use std::arch::global_asm;
    use std::ffi::{c_int, c_void};

    // Actions that a personality is asked for, and its answers: Itanium C++ ABI, exception handling, level I.
    const SEARCH_PHASE: c_int = 1;
    const HANDLER_FRAME: c_int = 4;
    const HANDLER_FOUND: c_int = 6;
    const INSTALL_CONTEXT: c_int = 7;
    const CONTINUE_UNWIND: c_int = 8;

    unsafe extern "C" {
        /// Calls `function` with `data`; returns NULL, or the exception that `function` ends with.
        pub(super) fn sam_catch(function: unsafe extern "C-unwind" fn(*mut c_void), data: *mut c_void) -> *mut c_void;
        /// Where `sam_catch` goes on after an exception, which is then in the register of results.
        fn sam_caught();
        fn _Unwind_SetGR(context: *mut c_void, register: c_int, value: usize);
        fn _Unwind_SetIP(context: *mut c_void, address: usize);
    }

    unsafe extern "C-unwind" {
        pub(super) fn _Unwind_RaiseException(exception: *mut c_void) -> c_int;
    }

    /// Says to the unwinder that `sam_catch` catches every exception, and where it goes on.
    ///
    /// # Safety
    /// Called by the unwinder, for a frame of `sam_catch`.
    unsafe extern "C" fn personality(
        _version: c_int,
        actions: c_int,
        _class: u64,
        exception: *mut c_void,
        context: *mut c_void,
    ) -> c_int {
        if actions & SEARCH_PHASE != 0 {
            return HANDLER_FOUND;
        }
        if actions & HANDLER_FRAME == 0 {
            // The end of a thread (`pthread_exit`) unwinds as well, and is not to be stopped.
            return CONTINUE_UNWIND;
        }
        // SAFETY: the context is the unwinder's; register 0 is that of results in DWARF's numbers on both processors.
        unsafe {
            _Unwind_SetGR(context, 0, exception.addr());
            _Unwind_SetIP(context, sam_caught as *const () as usize);
        }
        INSTALL_CONTEXT
    }

    // The unwinder restores the stack pointer of the frame at the call, so that the way out is the same with an exception
    // and without.
    #[cfg(target_arch = "x86_64")]
    global_asm!(
        ".pushsection .data.rel.ro.sam_personality,\"aw\",@progbits",
        ".p2align 3",
        ".Lsam_personality: .quad {personality}",
        ".popsection",
        ".pushsection .text.sam_catch,\"ax\",@progbits",
        ".globl sam_catch",
        ".hidden sam_catch",
        ".type sam_catch,@function",
        ".globl sam_caught",
        ".hidden sam_caught",
        ".type sam_caught,@function",
        ".p2align 4",
        "sam_catch:",
        ".cfi_startproc",
        ".cfi_personality 0x9b, .Lsam_personality", // relative to here, through a pointer
        "sub rsp, 8",
        ".cfi_adjust_cfa_offset 8",
        "mov rax, rdi",
        "mov rdi, rsi",
        "call rax",
        "xor eax, eax",
        "sam_caught:",
        "add rsp, 8",
        ".cfi_adjust_cfa_offset -8",
        "ret",
        ".cfi_endproc",
        ".size sam_catch, . - sam_catch",
        ".popsection",
        personality = sym personality,
    );

    #[cfg(target_arch = "aarch64")]
    global_asm!(
        ".pushsection .data.rel.ro.sam_personality,\"aw\",@progbits",
        ".p2align 3",
        ".Lsam_personality: .xword {personality}",
        ".popsection",
        ".pushsection .text.sam_catch,\"ax\",@progbits",
        ".globl sam_catch",
        ".hidden sam_catch",
        ".type sam_catch,@function",
        ".globl sam_caught",
        ".hidden sam_caught",
        ".type sam_caught,@function",
        ".p2align 4",
        "sam_catch:",
        ".cfi_startproc",
        ".cfi_personality 0x9b, .Lsam_personality",
        "stp x29, x30, [sp, #-16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x29, -16",
        ".cfi_offset x30, -8",
        "mov x29, sp",
        "mov x8, x0",
        "mov x0, x1",
        "blr x8",
        "mov x0, #0",
        "sam_caught:",
        "ldp x29, x30, [sp], #16",
        ".cfi_restore x29",
        ".cfi_restore x30",
        ".cfi_def_cfa_offset 0",
        "ret",
        ".cfi_endproc",
        ".size sam_catch, . - sam_catch",
        ".popsection",
        personality = sym personality,
    );
}
