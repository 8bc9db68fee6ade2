//! What the process has: one session for all its databases, and what becomes of it when the process forks.
//!
//! `fork` copies the memory and one thread. In the child the threads of the pool do not exist. Whatever the other
//! threads were doing stays half done for ever: a lock that one of them held is never released. So the session belongs
//! to the process that made it. A child leaves the old one where it is, without dropping it or touching any of its
//! locks, and makes its own with the first call: [`Session::inherit`].
//!
//! That a process is a child is told by a handler of `fork` and not by comparing process numbers: these are used
//! again, and are the same in every container.

use super::settings;
use sam_runtime::{ClientSettings, Failure, Kind, Result, Session};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

/// What a process has.
pub struct Process {
    /// The session that its databases share.
    pub session: Session,
    /// What the settings of a database begin with: what the environment says.
    pub defaults: ClientSettings,
}

/// That of this process; NULL before the first call in it.
static CURRENT: AtomicPtr<Process> = AtomicPtr::new(std::ptr::null_mut());

/// That of the nearest ancestor that had one, frozen as it was at the moment of the fork; NULL if none had.
static INHERITED: AtomicPtr<Process> = AtomicPtr::new(std::ptr::null_mut());

/// Whether the handlers are registered. Threads that come first together may register them twice, which does no harm.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// The thread that sets up what a child must not find half done, see [`undivided`], or that forks; 0 if there is none.
static BUSY: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Its address tells threads apart.
    static ME: u8 = const { 0 };
}

impl Process {
    /// This process: made by the first call in it, which is that of the entry point, or in a forked child any. Should
    /// several threads come first, each makes one and all get the same.
    ///
    /// # Errors
    /// The settings in the environment are unusable. Later calls try again.
    pub fn get() -> Result<&'static Self> {
        // SAFETY: the pointer is NULL or came from `Box::into_raw`, and is never freed.
        if let Some(process) = unsafe { CURRENT.load(Ordering::Acquire).as_ref() } {
            return Ok(process);
        }
        watch()?;
        undivided(sam_runtime::set_up);
        // SAFETY: as above.
        let made = Box::into_raw(Box::new(Self::new(unsafe { INHERITED.load(Ordering::Acquire).as_ref() })?));
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

    fn new(parent: Option<&'static Self>) -> Result<Self> {
        match parent {
            None => {
                let (settings, defaults) = settings::from_environment()?;
                Ok(Self { session: Session::new(settings), defaults })
            }
            Some(parent) => Ok(Self { session: Session::inherit(&parent.session), defaults: parent.defaults.clone() }),
        }
    }
}

/// Does something that happens once in a process, such as what a library sets up at its first use. A child that found
/// it half done would wait for it for ever.
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
fn watch() -> Result<()> {
    if WATCHED.load(Ordering::Acquire) {
        return Ok(());
    }
    // SAFETY: the handlers do nothing but read and write atomic variables. The engine never unloads an extension; where
    // one does, the C library takes the handlers out with it.
    if unsafe { libc::pthread_atfork(Some(take), Some(release), Some(in_child)) } != 0 {
        return Err(Failure::new(Kind::Resources, "no memory is left to watch for forks of the process"));
    }
    WATCHED.store(true, Ordering::Release);
    Ok(())
}

/// There is no fork.
#[cfg(not(unix))]
fn watch() -> Result<()> {
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
    let process = CURRENT.swap(std::ptr::null_mut(), Ordering::AcqRel);
    if !process.is_null() {
        INHERITED.store(process, Ordering::Release);
    }
    release();
}

/// A value that every process has of its own: a child makes its own of its parent's, which it leaves as it is.
pub struct PerProcess<T>(AtomicPtr<Owned<T>>);

struct Owned<T> {
    /// The process that made it; that of a child has another address, as that of its parent stays.
    process: *const Process,
    value: T,
}

// SAFETY: the process is compared by its address only; the value is shared and sent as any other.
unsafe impl<T: Send + Sync> Send for PerProcess<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for PerProcess<T> {}

impl<T> PerProcess<T> {
    /// The value of `process`.
    pub fn new(process: &'static Process, value: T) -> Self {
        Self(AtomicPtr::new(Box::into_raw(Box::new(Owned { process, value }))))
    }

    /// The value of `process`, made by `inherit` of the parent's if there is none. `inherit`
    /// must not wait for a lock in it.
    pub fn get(&self, process: &'static Process, inherit: impl Fn(&T) -> T) -> &T {
        loop {
            let current = self.0.load(Ordering::Acquire);
            // SAFETY: it came from a box that is freed with `self` at the earliest.
            let owned = unsafe { &*current };
            if std::ptr::eq(owned.process, process) {
                return &owned.value;
            }
            let made = Box::into_raw(Box::new(Owned { process, value: inherit(&owned.value) }));
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
            if std::ptr::eq((*owned).process, CURRENT.load(Ordering::Acquire)) {
                drop(Box::from_raw(owned));
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use sam_runtime::Access;
    use std::sync::Mutex;

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
        let process = Process::get().unwrap();
        let session = &process.session;
        let model = session.model("nano", Access::default()).unwrap();
        assert_eq!(session.pool().run(|| 7), Ok(7));
        let child = || {
            let own = &Process::get().unwrap().session;
            let same = own.model("nano", Access::default()).unwrap().number() == model.number();
            let grandchild = || {
                let last = &Process::get().unwrap().session;
                !std::ptr::eq(last, own) && last.pool().run(|| last.settings() == own.settings()) == Ok(true)
            };
            !std::ptr::eq(own, session)
                && same
                && own.settings() == session.settings()
                && own.pool().run(|| 8) == Ok(8)
                && in_fork(grandchild)
        };
        assert!(in_fork(child));
        assert!(std::ptr::eq(process, Process::get().unwrap()));
    }

    #[test]
    fn a_child_has_values_of_its_own() {
        let process = Process::get().unwrap();
        let value = PerProcess::new(process, Mutex::new(1));
        let held = value.get(process, |_| unreachable!()).lock().unwrap();
        let child = || {
            let own = Process::get().unwrap();
            let first = std::ptr::from_ref(value.get(own, |_| Mutex::new(2)));
            *value.get(own, |_| Mutex::new(3)).lock().unwrap() == 2
                && std::ptr::eq(first, value.get(own, |_| Mutex::new(4)))
        };
        assert!(in_fork(child));
        assert_eq!(*held, 1);
    }
}
