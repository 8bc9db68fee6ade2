//! Working memory that is lent out and kept: fresh pages cost more than most steps that fill them.

use std::sync::{Mutex, MutexGuard, TryLockError};

/// Things that are lent out and kept for the next one who needs them.
///
/// The lock is held for a moment only. Should it not be free soon, its holder is a thread that was left behind in the
/// parent of a forked process: then nothing is kept.
pub(crate) struct Kept<T>(Mutex<Vec<T>>);

impl<T> std::fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kept")
    }
}

/// How often the lock is tried: some tens of microseconds.
const TRIES: usize = 1000;

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T> Kept<T> {
    /// Lends one that is kept, or that `make` makes, to `work`.
    pub(crate) fn with<R>(&self, make: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        self.with_like(|_| false, make, work)
    }

    /// The same, but one that is `like` what is needed rather than any other.
    pub(crate) fn with_like<R>(
        &self,
        like: impl Fn(&T) -> bool,
        make: impl FnOnce() -> T,
        work: impl FnOnce(&mut T) -> R,
    ) -> R {
        let free = self.lock().and_then(|mut kept| match kept.iter().position(like) {
            Some(index) => Some(kept.swap_remove(index)),
            None => kept.pop(),
        });
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

    #[test]
    fn one_that_is_alike_is_preferred() {
        let kept = Kept::default();
        kept.with(|| 3, |_| kept.with(|| 4, |_| kept.with(|| 5, |_| ())));
        assert_eq!(kept.with_like(|thing| *thing == 4, || 1, |thing| *thing), 4);
        assert!([3, 4, 5].contains(&kept.with_like(|thing| *thing == 9, || 1, |thing| *thing)));
    }
}
