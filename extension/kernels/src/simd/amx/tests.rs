//! The instructions against [`Emulated`]. A processor without them raises SIGILL; a handler then reads what the
//! instruction is and does what it says, so that encodings, operands and addresses are tested on any processor.

use super::*;
use crate::simd::emulated::Emulated;
use crate::simd::tiles::{BYTES, ROWS};
use std::sync::Mutex;

/// The registers of the one thread that runs the test, where the processor has none.
static REGISTERS: Mutex<Option<Emulated>> = Mutex::new(None);

/// The general registers, as instructions number them.
const GENERAL: [i32; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// Does what the instruction says, and goes on behind it. One that is not AMX's ends the process, as it would have.
extern "C" fn undefined(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes the thread's registers; the instruction pointer is at an instruction, which is longer than
    // what is read of it here, but for its operand's displacement, which is read where there is one. Its operands are those
    // that the contracts of `Registers` promise.
    unsafe {
        let general = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let code = general[libc::REG_RIP as usize] as *const u8;
        let byte = |at: usize| *code.add(at);
        let (vex, opcode, modrm) = ([byte(0), byte(1), byte(2)], byte(3), byte(4));
        // three-byte VEX, map 0F38, W 0, 128 bits
        if vex[0] != 0xc4 || vex[1] & 0x1f != 2 || vex[2] & 0x84 != 0 {
            libc::abort();
        }
        let extended = |bit: u8| if vex[1] & bit == 0 { 8 } else { 0 };
        let (mode, register, operand) = (modrm >> 6, usize::from(modrm >> 3 & 7), usize::from(modrm & 7));
        let third = usize::from(!vex[2] >> 3 & 15);
        let value = |number: usize| general[GENERAL[number] as usize] as usize;
        // base, index and displacement
        let (mut address, mut stride, mut length) = (0usize, 0usize, 5);
        if mode != 3 {
            let mut base = operand;
            if operand == 4 {
                let sib = byte(5);
                length = 6;
                assert_eq!(sib >> 6, 0, "a scaled stride");
                base = usize::from(sib & 7);
                let index = usize::from(sib >> 3 & 7) + extended(0x40);
                stride = if index == 4 { 0 } else { value(index) };
            }
            assert!(mode != 0 || base != 5, "an address without base");
            address = value(base + extended(0x20));
            if mode == 1 {
                address = address.wrapping_add_signed(byte(length).cast_signed().into());
                length += 1;
            } else if mode == 2 {
                let displacement = code.add(length).cast::<i32>().read_unaligned();
                address = address.wrapping_add_signed(displacement as isize);
                length += 4;
            }
        }
        let mut tiles = REGISTERS.lock().unwrap();
        match (opcode, vex[2] & 3, mode) {
            (0x49, 0, 3) => *tiles = None,
            (0x49, 0, _) => {
                let shapes = &*(address as *const Shapes);
                assert!(shapes.palette == 1 && shapes.start_row == 0 && shapes.reserved == [0; 14]);
                assert!(shapes.rows[..8] == [16; 8] && shapes.row_bytes[..8] == [64; 8]);
                assert!(shapes.rows[8..] == [0; 8] && shapes.row_bytes[8..] == [0; 8]);
                *tiles = Some(Emulated::start());
            }
            (0x49, 3, 3) => tiles.as_mut().unwrap().clear(register),
            (0x4b, 3, 0..=2) => tiles.as_mut().unwrap().read(register, address as *const u8, stride),
            (0x4b, 2, 0..=2) => tiles.as_ref().unwrap().write(register, address as *mut u8, stride),
            (0x5c, 2, 3) => tiles.as_mut().unwrap().multiply(register, operand, third),
            _ => libc::abort(),
        }
        general[libc::REG_RIP as usize] += length as i64;
    }
}

/// Sees to it that the instructions run here, by the processor or by the handler.
fn prepare() {
    if permission().is_ok() {
        return;
    }
    // SAFETY: the handler returns to the thread, or ends the process.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = undefined as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        assert_eq!(libc::sigaction(libc::SIGILL, &action, std::ptr::null_mut()), 0);
    }
}

/// Bytes that are bf16 in -2..2, and some that are subnormal, infinite or not a number.
fn operand(seed: &mut u32, special: bool) -> Vec<u16> {
    let mut next = || {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*seed >> 8) as u16
    };
    let value = |bits: u16, rare: u16| match rare % 97 {
        0 if special => [0x0001, 0x8040, 0x7f80, 0xff80, 0x7fc0, 0x8000][usize::from(bits % 6)],
        _ => bits & 0x807f | (0x3f80 - (bits >> 7 & 7) * 0x80),
    };
    (0..ROWS * 64).map(|_| value(next(), next())).collect()
}

/// Everything that `Tiles` has, on six registers, at several strides; gives what is in memory afterwards.
fn work<T: Tiles>(special: bool) -> Vec<u32> {
    let mut seed = 17;
    let (a, b) = (operand(&mut seed, special), operand(&mut seed, special));
    let (a, b) = (a.as_ptr().cast::<u8>(), b.as_ptr().cast::<u8>());
    let row: Vec<f32> = (0..ROWS).map(|i| i as f32 / 3.0).collect();
    let mut out = vec![0u32; 4 * ROWS * 2 * ROWS];
    let to = out.as_mut_ptr().cast::<u8>();
    let mut tiles = T::start();
    // SAFETY: operands have 16 rows of 128 bytes, outputs 64 rows of as many.
    unsafe {
        tiles.load::<0>(row.as_ptr().cast(), 0);
        tiles.zero::<3>();
        tiles.load::<4>(a, BYTES);
        tiles.load::<5>(a.add(BYTES), 2 * BYTES);
        tiles.load::<6>(b, 2 * BYTES);
        tiles.load::<7>(b.add((ROWS - 1) * BYTES), BYTES.wrapping_neg());
        tiles.dot::<0, 4, 6>();
        tiles.dot::<3, 5, 7>();
        tiles.dot::<0, 5, 6>();
        tiles.store::<0>(to, 2 * BYTES);
        tiles.store::<3>(to.add(BYTES), 2 * BYTES);
        tiles.load::<1>(to, 2 * BYTES);
        tiles.dot::<1, 4, 7>();
        tiles.load::<2>(to.add(BYTES), 2 * BYTES);
        tiles.store::<1>(to.add(2 * ROWS * BYTES), BYTES);
        tiles.store::<2>(to.add(3 * ROWS * BYTES), BYTES);
    }
    tiles.finish();
    out
}

#[test]
fn instructions_do_what_is_emulated() {
    prepare();
    for special in [false, true] {
        let (got, want) = (work::<Registers>(special), work::<Emulated>(special));
        assert!(want.iter().filter(|bits| f32::from_bits(**bits) != 0.0).count() > want.len() / 3);
        for (i, (got, want)) in got.iter().zip(want).enumerate() {
            let [got, want] = [*got, want].map(f32::from_bits);
            assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "[{i}] is {got}, not {want}");
        }
    }
    if permission().is_err() {
        assert!(REGISTERS.lock().unwrap().is_none(), "released");
    }
}

#[test]
fn emulated_sums_are_those_of_f64() {
    let mut seed = 5;
    let (a, b) = (operand(&mut seed, false), operand(&mut seed, false));
    let mut tiles = Emulated::start();
    let mut sums = [[0.0f32; ROWS]; ROWS];
    // SAFETY: 16 rows of 64 bytes each.
    unsafe {
        tiles.load::<1>(a.as_ptr().cast(), BYTES);
        tiles.load::<2>(b.as_ptr().cast(), BYTES);
        tiles.dot::<0, 1, 2>();
        tiles.store::<0>(sums.as_mut_ptr().cast(), BYTES);
    }
    let wide = |bits: u16| f64::from(f32::from_bits(u32::from(bits) << 16));
    for (r, sums) in sums.iter().enumerate() {
        for (c, sum) in sums.iter().enumerate() {
            // k = 2 p + h of row r is at [r][k]; of column c it is at [p][2 c + h]
            let product = |k: usize| wide(a[r * 32 + k]) * wide(b[k / 2 * 32 + 2 * c + k % 2]);
            let want: f64 = (0..32).map(product).sum();
            assert!((f64::from(*sum) - want).abs() < 1e-5, "[{r}][{c}] is {sum}, not {want}");
        }
    }
}
