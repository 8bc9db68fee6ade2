//! Results that are cached within a budget of bytes, and computed once however many calls need them at the same time.
//!
//! Who finds a result missing has it in flight: the [`InFlight`] is the right to compute it, and puts it into the cache. Who
//! finds it in flight waits, on a thread of the host. One that is dropped without a result, after a failure or a panic, lets
//! the next caller compute it.
//!
//! Nobody can wait in a circle: see [`crate::Batch`], which waits only while it has nothing in flight.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What an entry takes beside its value: the key, the links of the list, the slot of the table.
const ENTRY: u64 = 192;

/// How long a wait lasts before it checks whether to go on.
const PATIENCE: Duration = Duration::from_millis(20);

/// A map bounded in bytes. The least recently used is evicted first.
pub struct LruCache<K: Eq + Hash + Clone, V> {
    state: Mutex<State<K, V>>,
    /// Something is no longer in flight.
    ended: Condvar,
}

struct State<K: Eq + Hash, V> {
    entries: lru::LruCache<K, (V, u64)>,
    in_flight: HashSet<K>,
    bytes: u64,
    budget: u64,
}

/// What [`LruCache::get`] finds.
pub enum Lookup<'a, K: Eq + Hash + Clone, V> {
    /// The result.
    Hit(V),
    /// Another call has it in flight.
    Pending,
    /// It is missing, and now the caller has it in flight.
    Miss(InFlight<'a, K, V>),
}

/// The right to compute one result. Dropped without it, the next caller has it.
pub struct InFlight<'a, K: Eq + Hash + Clone, V> {
    cache: &'a LruCache<K, V>,
    key: K,
}

/// How much a cache holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Results.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl<K: Eq + Hash + Clone, V: Clone> LruCache<K, V> {
    /// An empty cache for `budget` bytes.
    pub fn new(budget: u64) -> Self {
        let state = State { entries: lru::LruCache::unbounded(), in_flight: HashSet::new(), bytes: 0, budget };
        Self { state: Mutex::new(state), ended: Condvar::new() }
    }

    /// Finds the result of `key`, or puts it in flight. Never waits.
    pub fn get(&self, key: &K) -> Lookup<'_, K, V> {
        let mut state = self.lock();
        if let Some((value, _)) = state.entries.get(key) {
            return Lookup::Hit(value.clone());
        }
        match state.in_flight.insert(key.clone()) {
            true => Lookup::Miss(InFlight { cache: self, key: key.clone() }),
            false => Lookup::Pending,
        }
    }

    /// Waits until the result of `key` is not in flight, or until `stop` says so, which is called all the while. The cache
    /// is locked while `stop` is called, which must not use it.
    ///
    /// To be called by a thread of the host that has nothing in flight.
    pub fn wait(&self, key: &K, stop: impl Fn() -> bool) {
        let mut state = self.lock();
        while state.in_flight.contains(key) && !stop() {
            state = self.ended.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Changes the budget; what no longer fits goes.
    pub fn set_budget(&self, budget: u64) {
        let gone = {
            let mut state = self.lock();
            state.budget = budget;
            state.shrink()
        };
        drop(gone);
    }

    /// Drops the results whose key is unwanted. The cache is locked while `unwanted` is called, which must not use it.
    pub fn forget(&self, unwanted: impl Fn(&K) -> bool) {
        let gone: Vec<_> = {
            let mut state = self.lock();
            let keys: Vec<_> =
                state.entries.iter().filter(|(key, _)| unwanted(key)).map(|(key, _)| key.clone()).collect();
            keys.iter().filter_map(|key| state.take(key)).collect()
        };
        drop(gone);
    }

    /// How much is held now.
    pub fn held(&self) -> Held {
        let state = self.lock();
        Held { entries: state.entries.len() as u64, bytes: state.bytes }
    }

    /// A panic while the lock is held leaves nothing half done that could be unsafe to use.
    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone, V> State<K, V> {
    fn take(&mut self, key: &K) -> Option<V> {
        let (value, bytes) = self.entries.pop(key)?;
        self.bytes -= bytes;
        Some(value)
    }

    /// Takes out what exceeds the budget, the oldest first. The values are returned so that they are freed without
    /// the lock.
    fn shrink(&mut self) -> Vec<V> {
        let mut gone = Vec::new();
        while self.bytes > self.budget {
            let Some((_, (value, bytes))) = self.entries.pop_lru() else { break };
            self.bytes -= bytes;
            gone.push(value);
        }
        gone
    }
}

impl<K: Eq + Hash + Clone, V> InFlight<'_, K, V> {
    /// Puts the result, which takes `bytes`, into the cache; one that alone exceeds the budget is not kept.
    pub fn put(self, value: V, bytes: usize) {
        let bytes = (bytes as u64).saturating_add(ENTRY);
        let mut state = self.cache.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = if bytes > state.budget {
            vec![value]
        } else {
            // Nobody else can have put it there: it was in flight here.
            state.bytes += bytes;
            state.entries.put(self.key.clone(), (value, bytes));
            state.shrink()
        };
        drop(state);
        drop(gone);
        // It is in flight until `self` is dropped, after the result is in its place.
    }
}

impl<K: Eq + Hash + Clone, V> Drop for InFlight<'_, K, V> {
    fn drop(&mut self) {
        self.cache.state.lock().unwrap_or_else(PoisonError::into_inner).in_flight.remove(&self.key);
        self.cache.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn make(cache: &LruCache<u32, u32>, key: u32, bytes: usize) -> bool {
        match cache.get(&key) {
            Lookup::Miss(flight) => {
                flight.put(key * 10, bytes);
                true
            }
            Lookup::Hit(value) => {
                assert_eq!(value, key * 10);
                false
            }
            Lookup::Pending => panic!("nobody else works"),
        }
    }

    #[test]
    fn the_least_recently_used_is_evicted_first() {
        let cache = LruCache::new(3 * (ENTRY + 100));
        assert!([1, 2, 3].into_iter().all(|key| make(&cache, key, 100)));
        assert!(!make(&cache, 1, 100));
        assert!(make(&cache, 4, 100));
        assert_eq!(cache.held(), Held { entries: 3, bytes: 3 * (ENTRY + 100) });
        assert!(!make(&cache, 1, 100) && !make(&cache, 3, 100) && !make(&cache, 4, 100));
        assert!(make(&cache, 2, 100));
        cache.forget(|key| *key == 2);
        assert!(make(&cache, 2, 100));
        cache.set_budget(ENTRY + 100);
        assert_eq!(cache.held().entries, 1);
        assert!(!make(&cache, 2, 100));
        cache.set_budget(0);
        assert_eq!(cache.held(), Held::default());
    }

    #[test]
    fn what_is_too_large_is_not_kept_and_drives_nothing_out() {
        let cache = LruCache::new(1000);
        assert!(make(&cache, 1, 100));
        assert!(make(&cache, 2, 1001));
        assert!(make(&cache, 2, usize::MAX));
        assert!(!make(&cache, 1, 100));
    }

    #[test]
    fn what_is_dropped_in_flight_is_open_again() {
        let cache = LruCache::<u32, u32>::new(1000);
        let flight = cache.get(&1);
        assert!(matches!(flight, Lookup::Miss(_)));
        assert!(matches!(cache.get(&1), Lookup::Pending));
        cache.wait(&1, || true);
        drop(flight);
        assert!(matches!(cache.get(&1), Lookup::Miss(_)));
    }

    #[test]
    fn is_computed_once_for_all_threads() {
        let (cache, made) = (LruCache::<u32, u32>::new(1 << 20), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for key in 0..50 {
                        loop {
                            match cache.get(&key) {
                                Lookup::Hit(value) => break assert_eq!(value, key),
                                Lookup::Pending => cache.wait(&key, || false),
                                Lookup::Miss(flight) => {
                                    made.fetch_add(1, Ordering::SeqCst);
                                    std::thread::sleep(Duration::from_micros(100));
                                    flight.put(key, 8);
                                }
                            }
                        }
                    }
                });
            }
        });
        assert_eq!(made.into_inner(), 50);
    }
}
