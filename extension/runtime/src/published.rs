//! Values that a forked child can read whatever the threads of its parent were doing.

use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A value that is replaced as a whole, and that a forked child can read without a lock.
pub(crate) struct Published<T> {
    current: Mutex<Arc<T>>,
    /// Where `current` points to: always to a value that is alive.
    latest: AtomicPtr<T>,
    /// The process that made it.
    process: u32,
}

impl<T> Published<T> {
    /// The first value.
    pub(crate) fn new(value: T) -> Self {
        let value = Arc::new(value);
        let latest = AtomicPtr::new(Arc::as_ptr(&value).cast_mut());
        Self { latest, current: Mutex::new(value), process: std::process::id() }
    }

    /// The value as it is now.
    pub(crate) fn get(&self) -> Arc<T> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts what `change` makes of the value in its place, or leaves it after a failure.
    pub(crate) fn change<E>(&self, change: impl FnOnce(&T) -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Arc::new(change(&current)?);
        self.latest.store(Arc::as_ptr(&next).cast_mut(), Ordering::Release);
        // Only now the old value may go: a fork at any moment finds a pointer to one that is alive.
        let old = std::mem::replace(&mut *current, next.clone());
        drop(current);
        drop(old);
        Ok(next)
    }
}

impl<T: Clone> Published<T> {
    /// The value that the parent had last. To be called by the child that has inherited `self`, in which nobody
    /// changes it any more: the lock is not asked for. In the process that made it the value is as it is now.
    pub(crate) fn inherit(&self) -> T {
        if self.process == std::process::id() {
            return T::clone(&self.get());
        }
        // SAFETY: the pointer is to a live value, see `change`, and who could replace it is left behind in the parent.
        T::clone(unsafe { &*self.latest.load(Ordering::Acquire) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_while_it_is_locked() {
        let mut value = Published::new(vec![1]);
        assert_eq!(*value.change(|old| Ok::<_, ()>([old.as_slice(), &[2]].concat())).unwrap(), [1, 2]);
        assert!(value.change(|_| Err("no")).is_err());
        assert_eq!(value.inherit(), [1, 2]);
        // As a child finds it.
        value.process = 0;
        let guard = value.current.lock().unwrap();
        assert_eq!(value.inherit(), [1, 2]);
        drop(guard);
        assert_eq!(*value.get(), [1, 2]);
    }
}
