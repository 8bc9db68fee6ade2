//! Memory that is reused from picture to picture: fresh pages cost more than most steps that fill them.

use sam_kernels::{AlignedVec, Scratch};

use super::element::Element;
use crate::pool::Pool;

/// The working memory of one picture in the encoder.
pub(crate) struct Workspace<E> {
    /// Operands: the padded input, later queries, keys and values.
    pub(crate) wide: AlignedVec<E>,
    /// Operands: the stem's first output, later the attention's output.
    pub(crate) narrow: AlignedVec<E>,
    /// The residual stream, and where its next state is put.
    pub(crate) stream: [AlignedVec<f32>; 2],
    pub(crate) tiles: Tiles<E>,
}

impl<E: Element> Workspace<E> {
    /// Room for the given numbers of values; see [`Tiles::new`] for the last.
    pub(crate) fn new(wide: usize, narrow: usize, stream: usize, tile: [usize; 2]) -> Self {
        Self {
            wide: AlignedVec::zeroed(wide),
            narrow: AlignedVec::zeroed(narrow),
            stream: [AlignedVec::zeroed(stream), AlignedVec::zeroed(stream)],
            tiles: Tiles::new(tile),
        }
    }
}

/// Small buffers for the rows that a thread is working on, meant to stay in its second-level cache.
pub(crate) struct Tile<E> {
    pub(crate) operand: AlignedVec<E>,
    pub(crate) hidden: AlignedVec<E>,
    pub(crate) scratch: Scratch,
}

/// As many tiles as threads have needed at the same time.
pub(crate) struct Tiles<E> {
    sizes: [usize; 2],
    free: Pool<Tile<E>>,
}

impl<E: Element> Tiles<E> {
    /// Tiles with room for `sizes` values in `operand` and `hidden`.
    pub(crate) fn new(sizes: [usize; 2]) -> Self {
        Self { sizes, free: Pool::default() }
    }

    /// Lends a tile to `work`.
    pub(crate) fn with(&self, work: impl FnOnce(&mut Tile<E>)) {
        let make = || {
            let [operand, hidden] = self.sizes.map(AlignedVec::zeroed);
            Tile { operand, hidden, scratch: Scratch::new() }
        };
        self.free.with(make, work);
    }
}
