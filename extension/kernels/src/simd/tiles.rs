//! Matrix tiles: registers of 16 rows of 64 bytes, and the product of two of them. What Intel calls AMX.
//!
//! A tile of the left operand is 16 rows of 32 bf16; one of the right operand is 16 rows of 16 pairs, row `p` with the
//! values for `k = 2 p` and `2 p + 1` of each column side by side; sums are 16 rows of 16 f32. Packed weights, keys and
//! values ([`PANEL`](crate::gemm::tile::PANEL)) are two tiles of the right operand side by side.
//!
//! A sum is `old + (even + odd)`, where `even` and `odd` are the sums over 16 pairs, in ascending order, each step rounded
//! once: nothing in it depends on the other rows of a tile. Subnormals are taken, and given, as zero. `emulated.rs` follows
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
