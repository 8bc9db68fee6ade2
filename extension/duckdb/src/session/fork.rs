//! What becomes of the session when the process forks.
//!
//! `fork` copies the memory and one thread. In the child the threads of the pool do not exist, and whatever the other
//! threads were doing stays half done for ever: a lock that one of them held is never released. So the session belongs
//! to the process that made it. A child leaves the old one where it is, without dropping it or touching any of its locks,
//! and makes its own with the first call, with the settings and the loaded models of its parent. Those it reads without a
//! lock, see [`Published`]; models are immutable, and their weights are shared with the parent as pages that nobody
//! writes.
//!
//! That a process is a child is told by a handler of `fork` and not by comparing process numbers: these are used
//! again, and are the same in every container.

use super::Session;
use crate::failure::Failure;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The session of this process; NULL before the first call in it.
static CURRENT: AtomicPtr<Session> = AtomicPtr::new(std::ptr::null_mut());

/// The session of the nearest ancestor that had one, frozen as it was at the moment of the fork; NULL if none had.
static INHERITED: AtomicPtr<Session> = AtomicPtr::new(std::ptr::null_mut());

/// Whether the handlers are registered. Threads that come first together may register them twice, which does no harm.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// The thread that sets up what a child must not find half done, see [`undivided`], or that forks; 0 if there is none.
static BUSY: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Its address tells threads apart.
    static ME: u8 = const { 0 };
}

/// The session of this process, made by `make` if there is none: of that of the parent, if it had one.
///
/// Should several threads come first, each makes one and all get the same.
pub fn session(
    make: impl FnOnce(Option<&'static Session>) -> Result<Session, Failure>,
) -> Result<&'static Session, Failure> {
    // SAFETY: the pointer is NULL or came from `Box::leak`.
    if let Some(session) = unsafe { CURRENT.load(Ordering::Acquire).as_ref() } {
        return Ok(session);
    }
    watch()?;
    // SAFETY: as above.
    let parent = unsafe { INHERITED.load(Ordering::Acquire).as_ref() };
    let made = Box::into_raw(Box::new(make(parent)?));
    match CURRENT.compare_exchange(std::ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: it is never freed from now on.
        Ok(_) => Ok(unsafe { &*made }),
        Err(first) => {
            // SAFETY: `made` came from a box and nobody else has seen it; `first` is never freed.
            unsafe {
                drop(Box::from_raw(made));
                Ok(&*first)
            }
        }
    }
}

/// Does something that happens once in a process, such as what a library sets up at its first use, and that a child
/// would for ever wait for if it found it half done.
pub fn undivided<T>(work: impl FnOnce() -> T) -> T {
    struct Done;
    impl Drop for Done {
        fn drop(&mut self) {
            release();
        }
    }
    take();
    let _done = Done;
    work()
}

/// Registers the handlers; descendants have them too.
#[cfg(unix)]
fn watch() -> Result<(), Failure> {
    if WATCHED.load(Ordering::Acquire) {
        return Ok(());
    }
    // SAFETY: the handlers do nothing but read and write atomic variables. The engine never unloads an extension; where
    // one does, the C library takes the handlers out with it.
    if unsafe { libc::pthread_atfork(Some(take), Some(release), Some(in_child)) } != 0 {
        return Err(Failure::query("no memory is left to watch for forks of the process"));
    }
    WATCHED.store(true, Ordering::Release);
    Ok(())
}

/// There is no fork.
#[cfg(not(unix))]
fn watch() -> Result<(), Failure> {
    Ok(())
}

/// Before a fork, in the thread that forks. What it waits for takes microseconds and waits for nobody.
extern "C" fn take() {
    let me = ME.with(|me| std::ptr::from_ref(me).addr());
    while let Err(other) = BUSY.compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed) {
        if other == me {
            return;
        }
        std::thread::yield_now();
    }
}

/// After it, in the parent.
extern "C" fn release() {
    BUSY.store(0, Ordering::Release);
}

/// After it, in the child, whose only thread this is.
extern "C" fn in_child() {
    let session = CURRENT.swap(std::ptr::null_mut(), Ordering::AcqRel);
    if !session.is_null() {
        INHERITED.store(session, Ordering::Release);
    }
    release();
}

/// A value that every process has of its own: a child makes its own of its parent's, which it leaves as it is.
pub struct PerProcess<T>(AtomicPtr<Owned<T>>);

struct Owned<T> {
    /// The session of the process that made it; the session of a child has another address, as that of its parent stays.
    session: *const Session,
    value: T,
}

// SAFETY: the session is compared by its address only; the value is shared and sent as any other.
unsafe impl<T: Send + Sync> Send for PerProcess<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for PerProcess<T> {}

impl<T> PerProcess<T> {
    /// The value of the process whose session is `session`.
    pub fn new(session: &'static Session, value: T) -> Self {
        Self(AtomicPtr::new(Box::into_raw(Box::new(Owned { session, value }))))
    }

    /// The value of the process whose session is `session`, made by `inherit` of the parent's if there is none. `inherit`
    /// must not wait for a lock in it.
    pub fn get(&self, session: &'static Session, inherit: impl Fn(&T) -> T) -> &T {
        loop {
            let current = self.0.load(Ordering::Acquire);
            // SAFETY: it came from a box that is freed with `self` at the earliest.
            let owned = unsafe { &*current };
            if std::ptr::eq(owned.session, session) {
                return &owned.value;
            }
            let made = Box::into_raw(Box::new(Owned { session, value: inherit(&owned.value) }));
            if self.0.compare_exchange(current, made, Ordering::AcqRel, Ordering::Acquire).is_err() {
                // SAFETY: it came from a box and nobody else has seen it.
                drop(unsafe { Box::from_raw(made) });
            }
        }
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let owned = *self.0.get_mut();
        // SAFETY: it came from a box, and nobody can see it any more. What is the parent's may be half changed, and stays.
        unsafe {
            if std::ptr::eq((*owned).session, CURRENT.load(Ordering::Acquire)) {
                drop(Box::from_raw(owned));
            }
        }
    }
}

/// A value that is replaced as a whole, and that a child can read whatever its parent's threads were doing.
pub struct Published<T> {
    current: Mutex<Arc<T>>,
    /// Where `current` points to: always to a value that is alive.
    latest: AtomicPtr<T>,
}

impl<T> Published<T> {
    /// The first value.
    pub fn new(value: T) -> Self {
        let value = Arc::new(value);
        Self { latest: AtomicPtr::new(Arc::as_ptr(&value).cast_mut()), current: Mutex::new(value) }
    }

    /// The value as it is now.
    pub fn get(&self) -> Arc<T> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts what `change` makes of the value in its place, or leaves it after a failure.
    pub fn change<E>(&self, change: impl FnOnce(&T) -> Result<T, E>) -> Result<Arc<T>, E> {
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
    /// changes it any more: the lock is not asked for.
    pub fn inherit(&self) -> T {
        // SAFETY: the pointer is to a live value, see `change`, and who could replace it is left behind in the parent.
        T::clone(unsafe { &*self.latest.load(Ordering::Acquire) })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::session::Access;

    /// Runs `work` in a forked child; whether it returns true within some seconds.
    fn in_fork(work: impl FnOnce() -> bool) -> bool {
        // SAFETY: the child ends by `_exit`; the alarm ends it if it hangs.
        unsafe {
            match libc::fork() {
                0 => {
                    libc::alarm(20);
                    let right = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                    libc::_exit(if matches!(right, Ok(true)) { 0 } else { 1 });
                }
                child => {
                    let mut status = 0;
                    libc::waitpid(child, &mut status, 0);
                    status == 0
                }
            }
        }
    }

    #[test]
    fn a_child_has_a_session_of_its_own_with_what_its_parent_had() {
        let session = Session::get().unwrap();
        let model = session.model("nano", Access::default()).unwrap();
        assert_eq!(session.pool().run(rayon::current_num_threads), Ok(session.settings().threads));
        let child = || {
            let own = Session::get().unwrap();
            let same = own.model("nano", Access::default()).unwrap().number() == model.number();
            let grandchild = || {
                let last = Session::get().unwrap();
                !std::ptr::eq(last, own) && last.pool().run(|| last.settings() == own.settings()) == Ok(true)
            };
            !std::ptr::eq(own, session)
                && same
                && own.settings() == session.settings()
                && own.pool().run(|| rayon::join(|| 1, || 2)) == Ok((1, 2))
                && in_fork(grandchild)
        };
        assert!(in_fork(child));
        assert!(std::ptr::eq(session, Session::get().unwrap()));
    }

    #[test]
    fn a_child_has_values_of_its_own() {
        let session = Session::get().unwrap();
        let value = PerProcess::new(session, Mutex::new(1));
        let held = value.get(session, |_| unreachable!()).lock().unwrap();
        let child = || {
            let own = Session::get().unwrap();
            let first = std::ptr::from_ref(value.get(own, |_| Mutex::new(2)));
            *value.get(own, |_| Mutex::new(3)).lock().unwrap() == 2
                && std::ptr::eq(first, value.get(own, |_| Mutex::new(4)))
        };
        assert!(in_fork(child));
        assert_eq!(*held, 1);
    }

    #[test]
    fn what_is_published_can_be_read_while_it_is_locked() {
        let value = Published::new(vec![1]);
        assert_eq!(*value.change(|old| Ok::<_, ()>([old.as_slice(), &[2]].concat())).unwrap(), [1, 2]);
        assert!(value.change(|_| Err("no")).is_err());
        let guard = value.current.lock().unwrap();
        assert!(in_fork(|| value.inherit() == [1, 2]));
        drop(guard);
        assert_eq!(*value.get(), [1, 2]);
    }
}
