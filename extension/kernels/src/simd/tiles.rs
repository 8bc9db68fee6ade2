//! Matrix tiles: registers of 16 rows of 64 bytes, and the product of two of them. What Intel calls AMX.
//!
//! A tile of the left operand is 16 rows of 32 bf16; one of the right operand is 16 rows of 16 pairs, row `p` with the
//! values for `k = 2 p` and `2 p + 1` of each column side by side; sums are 16 rows of 16 f32. Packed weights, keys and
//! values ([`PANEL`](crate::gemm::tile::PANEL)) are two tiles of the right operand side by side.
//!
//! A sum is `old + (even + odd)`, where `even` and `odd` are the sums over 16 pairs, in ascending order, each step rounded
//! once: nothing in it depends on the other rows of a tile. Subnormals are taken, and given, as zero. [`Emulated`] follows
//! the same definition (Intel's Software Developer's Manual, TDPBF16PS), so that kernels are tested on any processor.

/// Rows of a tile.
pub(crate) const ROWS: usize = 16;
/// Bytes of a row.
pub(crate) const BYTES: usize = 64;
/// bf16 values of a row: the values of k that a product takes.
pub(crate) const DEPTH: usize = 32;

/// Eight tile registers of the calling thread, in use from `start` to `finish`.
///
/// Registers are named by numbers below 8.
pub trait Tiles: Sized {
    /// Makes the registers usable, all of full size.
    fn start() -> Self;
    /// Gives the registers back, so that the thread no longer carries them.
    fn finish(self);
    /// Reads a tile, its rows `stride` bytes apart. A stride of 0 reads the same row 16 times.
    ///
    /// # Safety
    /// Each row is valid for reading [`BYTES`] bytes.
    unsafe fn load<const TILE: usize>(&mut self, from: *const u8, stride: usize);
    /// Writes a tile, its rows `stride` bytes apart.
    ///
    /// # Safety
    /// Each row is valid for writing [`BYTES`] bytes.
    unsafe fn store<const TILE: usize>(&mut self, to: *mut u8, stride: usize);
    /// Sets a tile to zero.
    fn zero<const TILE: usize>(&mut self);
    /// `SUM += A * B`.
    fn dot<const SUM: usize, const A: usize, const B: usize>(&mut self);
}

/// Of instruction sets without tiles.
pub enum NoTiles {}

impl Tiles for NoTiles {
    fn start() -> Self {
        unreachable!("asked for only where `Simd::TILED`")
    }
    fn finish(self) {
        match self {}
    }
    unsafe fn load<const TILE: usize>(&mut self, _: *const u8, _: usize) {
        match *self {}
    }
    unsafe fn store<const TILE: usize>(&mut self, _: *mut u8, _: usize) {
        match *self {}
    }
    fn zero<const TILE: usize>(&mut self) {
        match *self {}
    }
    fn dot<const SUM: usize, const A: usize, const B: usize>(&mut self) {
        match *self {}
    }
}

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
