//! The threads. A host may work on many rows with one thread, so the rows of a batch are spread over a pool of our own. All
//! queries of a session share it: they never oversubscribe the machine.

use crate::failure::{Failure, Kind, Result};
use crate::settings::MAX_THREADS;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use std::cell::{Cell, OnceCell};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A pool whose threads start with the first work.
pub struct Pool {
    threads: usize,
    started: Mutex<Option<Arc<ThreadPool>>>,
}

thread_local! {
    /// A pool of nobody but this thread, for work where no other thread can be had.
    static ALONE: OnceCell<ThreadPool> = const { OnceCell::new() };
    /// Whether this thread belongs to a pool, or now does the work of one.
    static WORKS: Cell<bool> = const { Cell::new(false) };
}

/// Fails on a thread of a pool, for what may wait: what it waits for may be below it on the same stack, for ever.
pub(crate) fn check_host(what: &str) -> Result<()> {
    match WORKS.get() {
        false => Ok(()),
        true => Err(Failure::internal(format!(
            "{what} on a thread of the pool, inside of a query or of what finishes its rows, where it could wait for itself"
        ))),
    }
}

impl Pool {
    /// A pool of `threads` threads, but at least 1 and at most [`MAX_THREADS`].
    pub fn new(threads: usize) -> Self {
        Self { threads: threads.clamp(1, MAX_THREADS), started: Mutex::new(None) }
    }

    /// How many threads there are.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` on the pool and waits for it. Where the system gives no threads the calling one does it alone, with
    /// the same result; the next work asks for threads again.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        match self.started() {
            Ok(pool) => Ok(pool.install(work)),
            Err(refusal) => alone(work, &refusal),
        }
    }

    /// As [`Pool::run`], for a caller who holds a lock. A thread of another pool of rayon, the host's, takes up other work of
    /// its pool while it waits, which may ask for the same lock: so it has a thread wait in its place.
    pub(crate) fn run_locked<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let alone = ALONE.with(|alone| alone.get().is_some());
        if rayon::current_thread_index().is_none() || alone {
            return self.run(work);
        }
        std::thread::scope(|scope| {
            let waiting = std::thread::Builder::new().spawn_scoped(scope, || self.run(work));
            let failed = |error| Failure::new(Kind::Resources, format!("cannot start a thread: {error}"));
            waiting.map_err(failed)?.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    fn started(&self) -> std::result::Result<Arc<ThreadPool>, ThreadPoolBuildError> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = &*started {
            return Ok(pool.clone());
        }
        let builder = ThreadPoolBuilder::new().num_threads(self.threads);
        let builder = builder.start_handler(|_| WORKS.set(true));
        let pool = Arc::new(builder.thread_name(|index| format!("sam-{index}")).build()?);
        *started = Some(pool.clone());
        Ok(pool)
    }
}

/// Calls `work` with every number below `count`, on the threads of the pool that this runs on, at least `together` in a row on one.
///
/// All parallel work of this crate comes through here. A parallel iterator takes tens of kilobytes of code for each type of
/// closure, and a call through a pointer takes nothing beside what is called.
pub(crate) fn in_parallel(count: usize, together: usize, work: &(dyn Fn(usize) + Sync)) {
    (0..count).into_par_iter().with_min_len(together).for_each(work);
}

/// What `make` makes of every number below `count`, see [`in_parallel`].
pub(crate) fn map_in_parallel<T: Send + Sync>(
    count: usize,
    together: usize,
    make: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let results: Vec<OnceLock<T>> = std::iter::repeat_with(OnceLock::new).take(count).collect();
    in_parallel(count, together, &|index| {
        results[index].get_or_init(|| make(index));
    });
    results.into_iter().filter_map(OnceLock::into_inner).collect()
}

/// Runs `work` on this thread, and nothing of it on rayon's global pool, which belongs to the whole process.
fn alone<T: Send>(work: impl FnOnce() -> T + Send, refusal: &ThreadPoolBuildError) -> Result<T> {
    ALONE.with(|alone| {
        if alone.get().is_none() {
            let pool = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
            let failed = |error| {
                Failure::new(Kind::Resources, format!("cannot start threads: {refusal}; nor work without: {error}"))
            };
            alone.set(pool.map_err(failed)?).map_err(|_| Failure::internal("a thread has two pools"))?;
        }
        let pool = alone.get().ok_or_else(|| Failure::internal("a thread has no pool"))?;
        let _working = Working(WORKS.replace(true));
        Ok(pool.install(work))
    })
}

/// While this thread does the work of a pool, with what it did before.
struct Working(bool);

impl Drop for Working {
    fn drop(&mut self) {
        WORKS.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_turn() {
        let pool = Pool::new(3);
        for (count, together) in [(0, 1), (1, 1), (100, 7), (5, 100)] {
            let squares = pool.run(|| map_in_parallel(count, together, |number| number * number)).unwrap();
            assert!(squares.into_iter().eq((0..count).map(|number| number * number)));
        }
    }

    #[test]
    fn works_with_threads_and_without() {
        let pool = Pool::new(3);
        let sum = || (0..1000).into_par_iter().map(|value| value * 2).sum::<i32>();
        assert_eq!(pool.run(|| (sum(), rayon::current_num_threads())), Ok((999_000, 3)));
        let refused = |_| Err(std::io::Error::other("no"));
        let refusal = ThreadPoolBuilder::new().num_threads(2).spawn_handler(refused).build().err().unwrap();
        std::thread::spawn(move || {
            let here = std::thread::current().id();
            for _ in 0..2 {
                let work = || (sum(), rayon::current_num_threads(), std::thread::current().id());
                assert_eq!(alone(work, &refusal), Ok((999_000, 1, here)));
                assert_eq!(pool.run(rayon::current_num_threads), Ok(3));
                assert!(alone(|| check_host("work"), &refusal).unwrap().is_err());
                assert_eq!(check_host("work"), Ok(()));
                assert_eq!(pool.run_locked(rayon::current_num_threads), Ok(3));
            }
        })
        .join()
        .unwrap();
    }
}
