//! Large memory that may not be there.
//!
//! Rust ends the process when an allocation fails. What is asked for here may be hundreds of megabytes, in a process that
//! is not ours: a refusal unwinds instead, as a panic does but without a word, with the number of bytes. Who calls into the
//! network catches it.

use std::panic::resume_unwind;

/// What unwinds when there is no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMemory {
    /// The bytes that were asked for.
    pub bytes: usize,
}

impl NoMemory {
    /// Unwinds.
    pub fn raise(bytes: usize) -> ! {
        resume_unwind(Box::new(Self { bytes }))
    }

    /// Unwinds if the system would refuse `bytes` now. Nothing is kept of it: this is for what others will allocate, who
    /// would end the process.
    pub fn check(bytes: usize) {
        if Vec::<u8>::new().try_reserve_exact(bytes).is_err() {
            Self::raise(bytes);
        }
    }
}

/// `count` times `value`.
pub fn filled<T: Clone>(value: T, count: usize) -> Vec<T> {
    let mut values = Vec::new();
    if values.try_reserve_exact(count).is_err() {
        NoMemory::raise(count.saturating_mul(size_of::<T>()));
    }
    values.resize(count, value);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_bytes() {
        assert_eq!(filled(7_u16, 3), [7; 3]);
        NoMemory::check(1 << 20);
        for ask in [|| drop(filled(0_u64, 1 << 59)), || NoMemory::check(1 << 62)] {
            let refusal = std::panic::catch_unwind(ask).unwrap_err();
            assert!(refusal.downcast_ref::<NoMemory>().is_some_and(|refusal| refusal.bytes == 1 << 62));
        }
    }
}
