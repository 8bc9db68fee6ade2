//! Results that are kept within a budget of bytes, and made once however many queries want them at the same time.
//!
//! Who finds a result missing takes a [`Claim`] on it, makes it and keeps it through the claim; who finds it claimed
//! waits, on a thread of the engine. A claim that is dropped without a result, after a failure or a panic, lets the
//! next one take it.
//!
//! Nobody can wait in a circle: see [`crate::batch`], which waits only while it holds no claim.

use lru::LruCache;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What an entry takes beside its value: the key, the links of the list, the slot of the table.
const ENTRY: u64 = 192;

/// How long a wait lasts before it asks whether to go on.
const PATIENCE: Duration = Duration::from_millis(20);

/// A bounded map. What was not used for the longest time goes first.
pub struct Store<K: Eq + Hash + Clone, V> {
    state: Mutex<State<K, V>>,
    /// A claim has ended.
    ended: Condvar,
}

struct State<K: Eq + Hash, V> {
    kept: LruCache<K, (V, u64)>,
    claimed: HashSet<K>,
    bytes: u64,
    budget: u64,
}

/// What [`Store::look`] finds.
pub enum Look<'a, K: Eq + Hash + Clone, V> {
    /// The result.
    Kept(V),
    /// Somebody else is making it.
    Busy,
    /// It is missing, and the caller's to make.
    Mine(Claim<'a, K, V>),
}

/// The right to make one result. Dropped without it, the claim is open again.
pub struct Claim<'a, K: Eq + Hash + Clone, V> {
    store: &'a Store<K, V>,
    key: K,
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Results.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl<K: Eq + Hash + Clone, V: Clone> Store<K, V> {
    /// An empty store for `budget` bytes.
    pub fn new(budget: u64) -> Self {
        let state = State { kept: LruCache::unbounded(), claimed: HashSet::new(), bytes: 0, budget };
        Self { state: Mutex::new(state), ended: Condvar::new() }
    }

    /// Finds the result of `key`, or claims it. Never waits.
    pub fn look(&self, key: &K) -> Look<'_, K, V> {
        let mut state = self.lock();
        if let Some((value, _)) = state.kept.get(key) {
            return Look::Kept(value.clone());
        }
        match state.claimed.insert(key.clone()) {
            true => Look::Mine(Claim { store: self, key: key.clone() }),
            false => Look::Busy,
        }
    }

    /// Waits until nobody makes the result of `key`, or until `stop` says so, which is asked all the while.
    ///
    /// To be called by a thread of the engine that holds no claim.
    pub fn wait(&self, key: &K, stop: impl Fn() -> bool) {
        let mut state = self.lock();
        while state.claimed.contains(key) && !stop() {
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

    /// Drops the results whose key is unwanted.
    pub fn forget(&self, unwanted: impl Fn(&K) -> bool) {
        let gone: Vec<_> = {
            let mut state = self.lock();
            let keys: Vec<_> = state.kept.iter().filter(|(key, _)| unwanted(key)).map(|(key, _)| key.clone()).collect();
            keys.iter().filter_map(|key| state.take(key)).collect()
        };
        drop(gone);
    }

    /// How much is held now.
    pub fn held(&self) -> Held {
        let state = self.lock();
        Held { entries: state.kept.len() as u64, bytes: state.bytes }
    }

    /// A panic while the lock is held leaves nothing half done that could be unsafe to use.
    fn lock(&self) -> MutexGuard<'_, State<K, V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone, V> State<K, V> {
    fn take(&mut self, key: &K) -> Option<V> {
        let (value, bytes) = self.kept.pop(key)?;
        self.bytes -= bytes;
        Some(value)
    }

    /// Takes out what exceeds the budget, the oldest first. The values are returned so that they are freed without
    /// the lock.
    fn shrink(&mut self) -> Vec<V> {
        let mut gone = Vec::new();
        while self.bytes > self.budget {
            let Some((_, (value, bytes))) = self.kept.pop_lru() else { break };
            self.bytes -= bytes;
            gone.push(value);
        }
        gone
    }
}

impl<K: Eq + Hash + Clone, V> Claim<'_, K, V> {
    /// Keeps the result, which takes `bytes`; one that alone exceeds the budget is not kept.
    pub fn keep(self, value: V, bytes: usize) {
        let bytes = bytes as u64 + ENTRY;
        let mut state = self.store.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = if bytes > state.budget {
            vec![value]
        } else {
            // Nobody else can have kept it: the claim was ours.
            state.bytes += bytes;
            state.kept.put(self.key.clone(), (value, bytes));
            state.shrink()
        };
        drop(state);
        drop(gone);
        // The claim ends with `self`, after the result is in its place.
    }
}

impl<K: Eq + Hash + Clone, V> Drop for Claim<'_, K, V> {
    fn drop(&mut self) {
        self.store.state.lock().unwrap_or_else(PoisonError::into_inner).claimed.remove(&self.key);
        self.store.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn make(store: &Store<u32, u32>, key: u32, bytes: usize) -> bool {
        match store.look(&key) {
            Look::Mine(claim) => {
                claim.keep(key * 10, bytes);
                true
            }
            Look::Kept(value) => {
                assert_eq!(value, key * 10);
                false
            }
            Look::Busy => panic!("nobody else works"),
        }
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let store = Store::new(3 * (ENTRY + 100));
        assert!([1, 2, 3].into_iter().all(|key| make(&store, key, 100)));
        assert!(!make(&store, 1, 100));
        assert!(make(&store, 4, 100));
        assert_eq!(store.held(), Held { entries: 3, bytes: 3 * (ENTRY + 100) });
        assert!(!make(&store, 1, 100) && !make(&store, 3, 100) && !make(&store, 4, 100));
        assert!(make(&store, 2, 100));
        store.forget(|key| *key == 2);
        assert!(make(&store, 2, 100));
        store.set_budget(ENTRY + 100);
        assert_eq!(store.held().entries, 1);
        assert!(!make(&store, 2, 100));
        store.set_budget(0);
        assert_eq!(store.held(), Held::default());
    }

    #[test]
    fn what_is_too_large_is_not_kept_and_drives_nothing_out() {
        let store = Store::new(1000);
        assert!(make(&store, 1, 100));
        assert!(make(&store, 2, 1001));
        assert!(make(&store, 2, 1001));
        assert!(!make(&store, 1, 100));
    }

    #[test]
    fn a_dropped_claim_is_open_again() {
        let store = Store::<u32, u32>::new(1000);
        let claim = store.look(&1);
        assert!(matches!(claim, Look::Mine(_)));
        assert!(matches!(store.look(&1), Look::Busy));
        store.wait(&1, || true);
        drop(claim);
        assert!(matches!(store.look(&1), Look::Mine(_)));
    }

    #[test]
    fn is_made_once_for_all_threads() {
        let (store, made) = (Store::<u32, u32>::new(1 << 20), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for key in 0..50 {
                        loop {
                            match store.look(&key) {
                                Look::Kept(value) => break assert_eq!(value, key),
                                Look::Busy => store.wait(&key, || false),
                                Look::Mine(claim) => {
                                    made.fetch_add(1, Ordering::SeqCst);
                                    std::thread::sleep(Duration::from_micros(100));
                                    claim.keep(key, 8);
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
