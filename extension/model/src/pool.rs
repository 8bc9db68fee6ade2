//! Workspaces that are lent out and reused: fresh pages cost more than most steps that fill them.

use std::sync::{Mutex, MutexGuard, TryLockError};

/// A pool of workspaces: each is lent to one user at a time and reused by the next.
///
/// The lock is held for a moment only. Should it not be free soon, its holder is a thread that was left behind in the
/// parent of a forked process: then nothing is reused.
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T> std::fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

/// How often the lock is tried: some tens of microseconds.
const TRIES: usize = 1000;

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T> Pool<T> {
    /// Lends a free one, or one that `make` makes, to `work`.
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
        let free = self.lock().and_then(|mut free| match free.iter().position(like) {
            Some(index) => Some(free.swap_remove(index)),
            None => free.pop(),
        });
        let mut thing = free.unwrap_or_else(make);
        let result = work(&mut thing);
        if let Some(mut free) = self.lock() {
            free.push(thing);
        }
        result
    }

    fn lock(&self) -> Option<MutexGuard<'_, Vec<T>>> {
        for _ in 0..TRIES {
            match self.0.try_lock() {
                Ok(free) => return Some(free),
                Err(TryLockError::Poisoned(free)) => return Some(free.into_inner()),
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
    fn things_are_reused_unless_the_lock_is_lost() {
        let pool = Pool::default();
        assert_eq!(pool.with(|| 1, |thing| std::mem::replace(thing, 2)), 1);
        assert_eq!(pool.with(|| 1, |thing| *thing), 2);
        let lost = pool.0.lock().unwrap();
        assert_eq!(pool.with(|| 7, |thing| *thing), 7);
        drop(lost);
        assert_eq!(pool.with(|| 1, |thing| *thing), 2);
    }

    #[test]
    fn one_that_is_alike_is_preferred() {
        let pool = Pool::default();
        pool.with(|| 3, |_| pool.with(|| 4, |_| pool.with(|| 5, |_| ())));
        assert_eq!(pool.with_like(|thing| *thing == 4, || 1, |thing| *thing), 4);
        assert!([3, 4, 5].contains(&pool.with_like(|thing| *thing == 9, || 1, |thing| *thing)));
    }
}
