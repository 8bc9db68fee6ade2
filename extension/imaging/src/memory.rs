//! Large memory that may not be there: what is asked for here is an error, or unwinds, where Rust would end the process.

/// The process cannot have the memory of a mask or a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no memory for {bytes} bytes of a mask or an image")]
pub struct NoMemory {
    /// What was asked for.
    pub bytes: usize,
}

impl NoMemory {
    /// Unwinds with this, as a panic does but without a word. For what has no way to say it, and for the memory that what is
    /// called would end the process over.
    pub fn raise(self) -> ! {
        std::panic::resume_unwind(Box::new(self))
    }

    /// Unwinds if the system would refuse `bytes` now. Nothing is kept of it.
    pub(crate) fn check(bytes: usize) {
        Self::expect(bytes as u64).unwrap_or_else(|error| error.raise());
    }

    /// Asks for memory that a library is about to take, for it does not survive it if there is none, and gives it back.
    ///
    /// # Errors
    /// The system would not grant `bytes` now.
    pub(crate) fn expect(bytes: u64) -> Result<(), Self> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| Self { bytes })
    }
}

/// Appends to a list that may grow long.
///
/// # Panics
/// Without memory, as [`NoMemory::raise`].
#[inline]
pub(crate) fn push<T>(values: &mut Vec<T>, value: T) {
    if values.len() == values.capacity() {
        let more = values.len().max(1024);
        if values.try_reserve_exact(more).is_err() {
            NoMemory { bytes: (values.len() + more).saturating_mul(size_of::<T>()) }.raise();
        }
    }
    values.push(value);
}

/// `count` zeros, whose pages are taken only when they are used.
///
/// # Errors
/// There is no memory for them.
pub(crate) fn zeroed<T: bytemuck::Zeroable>(count: usize) -> Result<Vec<T>, NoMemory> {
    let bytes = count.saturating_mul(size_of::<T>());
    bytemuck::allocation::try_zeroed_vec(count).map_err(|()| NoMemory { bytes })
}

/// Bytes one after the other.
///
/// # Errors
/// There is no memory for them.
pub(crate) fn joined(parts: &[&[u8]]) -> Result<Vec<u8>, NoMemory> {
    let (mut all, bytes) = (Vec::new(), parts.iter().map(|part| part.len()).sum());
    all.try_reserve_exact(bytes).map_err(|_| NoMemory { bytes })?;
    parts.iter().for_each(|part| all.extend_from_slice(part));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        let error = zeroed::<u64>(usize::MAX / 16).unwrap_err();
        assert_eq!(error.bytes, usize::MAX / 16 * 8);
        assert!(error.to_string().starts_with(&format!("there is no memory for {} bytes", error.bytes)));
        assert_eq!(zeroed::<u8>(3), Ok(vec![0; 3]));
        let refused = std::panic::catch_unwind(|| NoMemory::check(usize::MAX / 2)).unwrap_err();
        assert_eq!(refused.downcast_ref(), Some(&NoMemory { bytes: usize::MAX / 2 }));
        let mut grown = Vec::new();
        (0..5000).for_each(|value| push(&mut grown, value));
        assert!(grown.iter().copied().eq(0..5000));
    }
}
