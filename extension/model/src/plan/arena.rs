//! Memory that is kept from picture to picture: fresh pages cost more than most steps that fill them.

use std::sync::{Mutex, MutexGuard, TryLockError};

use sam_kernels::{AlignedVec, Scratch};

use super::element::Element;

/// The working memory of one picture in the encoder.
pub(super) struct Arena<E> {
    /// Operands: the padded input, later queries, keys and values.
    pub(super) wide: AlignedVec<E>,
    /// Operands: the stem's first output, later the attention's output.
    pub(super) narrow: AlignedVec<E>,
    /// The residual stream, and where its next state is put.
    pub(super) stream: [AlignedVec<f32>; 2],
    pub(super) tiles: Tiles<E>,
}

impl<E: Element> Arena<E> {
    /// Room for the given numbers of values; see [`Tiles::new`] for the last.
    pub(super) fn new(wide: usize, narrow: usize, stream: usize, tile: [usize; 2]) -> Self {
        Self {
            wide: AlignedVec::zeroed(wide),
            narrow: AlignedVec::zeroed(narrow),
            stream: [AlignedVec::zeroed(stream), AlignedVec::zeroed(stream)],
            tiles: Tiles::new(tile),
        }
    }
}

/// Small buffers for the rows that a thread is working on, meant to stay in its second-level cache.
pub(super) struct Tile<E> {
    pub(super) operand: AlignedVec<E>,
    pub(super) hidden: AlignedVec<E>,
    pub(super) scratch: Scratch,
}

/// As many tiles as threads have needed at the same time.
pub(super) struct Tiles<E> {
    sizes: [usize; 2],
    free: Kept<Tile<E>>,
}

impl<E: Element> Tiles<E> {
    /// Tiles with room for `sizes` values in `operand` and `hidden`.
    pub(super) fn new(sizes: [usize; 2]) -> Self {
        Self { sizes, free: Kept::default() }
    }

    /// Lends a tile to `work`.
    pub(super) fn with(&self, work: impl FnOnce(&mut Tile<E>)) {
        let make = || {
            let [operand, hidden] = self.sizes.map(AlignedVec::zeroed);
            Tile { operand, hidden, scratch: Scratch::new() }
        };
        self.free.with(make, work);
    }
}

/// Things that are lent out and kept for the next one who needs them.
///
/// The lock is held for a moment only. Should it not be free soon, its holder is a thread that was left behind in the
/// parent of a forked process: then nothing is kept.
pub(super) struct Kept<T>(Mutex<Vec<T>>);

/// How often the lock is tried: some tens of microseconds.
const TRIES: usize = 1000;

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T> Kept<T> {
    /// Lends one that is kept, or that `make` makes, to `work`.
    pub(super) fn with<R>(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let free = self.lock().and_then(|mut kept| kept.pop());
        let mut thing = free.unwrap_or_else(make);
        let result = work(&mut thing);
        if let Some(mut kept) = self.lock() {
            kept.push(thing);
        }
        result
    }

    fn lock(&self) -> Option<MutexGuard<'_, Vec<T>>> {
        for _ in 0..TRIES {
            match self.0.try_lock() {
                Ok(kept) => return Some(kept),
                Err(TryLockError::Poisoned(kept)) => return Some(kept.into_inner()),
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_kept_unless_the_lock_is_lost() {
        let kept = Kept::default();
        assert_eq!(kept.with(|| 1, |thing| std::mem::replace(thing, 2)), 1);
        assert_eq!(kept.with(|| 1, |thing| *thing), 2);
        let lost = kept.0.lock().unwrap();
        assert_eq!(kept.with(|| 7, |thing| *thing), 7);
        drop(lost);
        assert_eq!(kept.with(|| 1, |thing| *thing), 2);
    }
}
