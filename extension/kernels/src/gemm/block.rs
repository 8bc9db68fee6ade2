//! Some rows of a product: what the loops over its tiles start from, on vectors and on matrix tiles.

use super::epilogue::Finish;
use super::pack::Packed;
use super::tile::MAX_MR;
use crate::scalar::Scalar;

/// Weights up to this size stay in the second-level cache as a whole; then one row tile meets all panels in turn.
const RESIDENT_BYTES: usize = 320 << 10;
/// Groups of row pointers kept per block: tiles times segments.
pub(super) const GROUPS: usize = 160;

/// Some rows of a product, their addresses resolved.
pub struct Block<'a, E> {
    /// For each tile of rows the pointers of each segment; valid by the contract of [`Source`].
    pub(super) pointers: &'a [[*const E; MAX_MR]; GROUPS],
    /// Row of the output that the first row is.
    pub(super) first: usize,
    pub(super) rows: usize,
    pub(super) w: &'a Packed<E>,
    pub(super) finish: &'a Finish,
    pub(super) ahead: usize,
}

impl<E: Scalar> Block<'_, E> {
    /// Whether all weights stay in the cache, so that a tile of rows meets all panels in turn.
    pub(super) fn resident(&self) -> bool {
        size_of_val(&*self.w.panels) <= RESIDENT_BYTES
    }
}
