//! Matrix tiles in memory: what is computed on tiles is tested with them on processors that have none.

use super::tiles::{BYTES, ROWS, Tiles};

/// Tiles in memory: for tests.
pub struct Emulated {
    registers: Box<[[[u32; ROWS]; ROWS]; 8]>,
}

/// Zero, with its sign, for a subnormal.
#[inline(always)]
fn flushed(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(if bits & 0x7f80_0000 == 0 { bits & 0x8000_0000 } else { bits })
}

/// The values for even k, and those for odd k, of a row.
#[inline(always)]
fn split(row: &[u32; ROWS]) -> ([f32; ROWS], [f32; ROWS]) {
    let (mut even, mut odd) = ([0.0; ROWS], [0.0; ROWS]);
    for c in 0..ROWS {
        even[c] = flushed(f32::from_bits(row[c] << 16));
        odd[c] = flushed(f32::from_bits(row[c] & 0xffff_0000));
    }
    (even, odd)
}

impl Emulated {
    /// Reads a tile.
    ///
    /// # Safety
    /// As [`Tiles::load`].
    pub(super) unsafe fn read(&mut self, tile: usize, from: *const u8, stride: usize) {
        for (r, row) in self.registers[tile].iter_mut().enumerate() {
            let from = from.wrapping_add(r.wrapping_mul(stride));
            // SAFETY: by contract, and a row is 64 bytes.
            unsafe { std::ptr::copy_nonoverlapping(from, row.as_mut_ptr().cast(), BYTES) };
        }
    }

    /// Writes a tile.
    ///
    /// # Safety
    /// As [`Tiles::store`].
    pub(super) unsafe fn write(&self, tile: usize, to: *mut u8, stride: usize) {
        for (r, row) in self.registers[tile].iter().enumerate() {
            // SAFETY: by contract, and a row is 64 bytes.
            unsafe {
                std::ptr::copy_nonoverlapping(row.as_ptr().cast(), to.wrapping_add(r.wrapping_mul(stride)), BYTES)
            };
        }
    }

    pub(super) fn clear(&mut self, tile: usize) {
        self.registers[tile] = Default::default();
    }

    /// Inlined, so that it is compiled for the instruction set of the kernel that calls it.
    #[inline(always)]
    pub(super) fn multiply(&mut self, sum: usize, a: usize, b: usize) {
        let (a, b) = (self.registers[a], self.registers[b]);
        let mut right = [([0.0; ROWS], [0.0; ROWS]); ROWS];
        for (to, row) in right.iter_mut().zip(&b) {
            *to = split(row);
        }
        for (sums, row) in self.registers[sum].iter_mut().zip(&a) {
            let (left_even, left_odd) = split(row);
            let (mut even, mut odd) = ([0.0f32; ROWS], [0.0f32; ROWS]);
            for p in 0..ROWS {
                for c in 0..ROWS {
                    even[c] = flushed(left_even[p].mul_add(right[p].0[c], even[c]));
                    odd[c] = flushed(left_odd[p].mul_add(right[p].1[c], odd[c]));
                }
            }
            for c in 0..ROWS {
                sums[c] = flushed(flushed(f32::from_bits(sums[c])) + flushed(even[c] + odd[c])).to_bits();
            }
        }
    }
}

impl Tiles for Emulated {
    fn start() -> Self {
        Self { registers: Box::default() }
    }
    fn finish(self) {}
    unsafe fn load<const TILE: usize>(&mut self, from: *const u8, stride: usize) {
        // SAFETY: by contract.
        unsafe { self.read(TILE, from, stride) };
    }
    unsafe fn store<const TILE: usize>(&mut self, to: *mut u8, stride: usize) {
        // SAFETY: by contract.
        unsafe { self.write(TILE, to, stride) };
    }
    fn zero<const TILE: usize>(&mut self) {
        self.clear(TILE);
    }
    #[inline(always)]
    fn dot<const SUM: usize, const A: usize, const B: usize>(&mut self) {
        self.multiply(SUM, A, B);
    }
}
