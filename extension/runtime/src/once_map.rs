//! Values that are made once for each key, however many threads ask at the same time.

use crate::published::Published;
use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a value is put once it is made. Its lock is held while it is being made.
type Slot<V> = Arc<Mutex<Option<Arc<V>>>>;

/// A map from keys to shared values.
pub(crate) struct OnceMap<K, V> {
    slots: Mutex<HashMap<K, Slot<V>>>,
    /// The values that are made. A slot is locked for a moment by who reads it, and does not tell that it has a value.
    made: Published<Vec<(K, Arc<V>)>>,
}

impl<K: Eq + Hash + Clone, V> OnceMap<K, V> {
    /// An empty map.
    pub(crate) fn new() -> Self {
        Self::with(Vec::new())
    }

    /// A map with the values of that which a forked child has inherited, but for those that were just being made.
    pub(crate) fn inherit(parent: &Self) -> Self {
        Self::with(parent.made.inherit())
    }

    fn with(made: Vec<(K, Arc<V>)>) -> Self {
        let slot = |(key, value): &(K, Arc<V>)| (key.clone(), Arc::new(Mutex::new(Some(value.clone()))));
        Self { slots: Mutex::new(made.iter().map(slot).collect()), made: Published::new(made) }
    }

    /// The value of `key`, made by `make` if there is none. Of several threads that ask for the same key one
    /// makes the value and the others wait for it; other keys do not wait. A failure is not kept.
    pub(crate) fn get_or_make<E>(&self, key: &K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        let slot = lock(&self.slots).entry(key.clone()).or_default().clone();
        let mut place = lock(&slot);
        if let Some(value) = &*place {
            return Ok(value.clone());
        }
        let value = match make() {
            Ok(value) => Arc::new(value),
            Err(error) => {
                drop(place);
                self.drop_empty(key, slot);
                return Err(error);
            }
        };
        *place = Some(value.clone());
        let entry = (key.clone(), value.clone());
        self.publish(|made| {
            // Unless it was taken out meanwhile.
            let there = lock(&self.slots).get(key).is_some_and(|current| Arc::ptr_eq(current, &slot));
            made.extend(there.then_some(entry));
        });
        Ok(value)
    }

    /// Drops the slot of a value that could not be made, unless others wait for their turn to make it.
    fn drop_empty(&self, key: &K, slot: Slot<V>) {
        let mut slots = lock(&self.slots);
        let is_current = slots.get(key).is_some_and(|current| Arc::ptr_eq(current, &slot));
        // One in the map and this one; nobody gets another without the lock.
        if is_current && Arc::strong_count(&slot) == 2 && lock(&slot).is_none() {
            slots.remove(key);
        }
    }

    /// Takes the values out whose key is unwanted, and returns those that are made. What is in use stays alive until
    /// its users are done.
    pub(crate) fn take(&self, unwanted: impl Fn(&K) -> bool) -> Vec<Arc<V>> {
        let mut taken = Vec::new();
        self.publish(|made| {
            lock(&self.slots).retain(|key, _| !unwanted(key));
            taken = made.extract_if(.., |(key, _)| unwanted(key)).map(|(_, value)| value).collect();
        });
        taken
    }

    fn publish(&self, change: impl FnOnce(&mut Vec<(K, Arc<V>)>)) {
        let Ok(_) = self.made.change(|made| {
            let mut made = made.clone();
            change(&mut made);
            Ok::<_, Infallible>(made)
        });
    }

    /// All values that are made, but for those being made just now.
    pub(crate) fn values(&self) -> Vec<(K, Arc<V>)> {
        self.made.get().to_vec()
    }
}

/// A panic while a lock is held leaves the map as it was, so that poisoning has nothing to protect.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn makes_once_for_all_threads() {
        let (map, made) = (OnceMap::new(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let value = map.get_or_make(&"key", || {
                        std::thread::sleep(Duration::from_millis(20));
                        Ok::<_, ()>(made.fetch_add(1, Ordering::SeqCst))
                    });
                    assert_eq!(*value.unwrap(), 0);
                });
            }
        });
        assert_eq!(made.into_inner(), 1);
        assert_eq!(map.values().len(), 1);
    }

    #[test]
    fn what_is_read_is_taken_all_the_same() {
        let map = OnceMap::new();
        map.get_or_make(&1, || Ok::<_, ()>(7)).unwrap();
        let slot = lock(&map.slots)[&1].clone();
        let reader = lock(&slot);
        assert_eq!(map.values(), [(1, Arc::new(7))]);
        assert_eq!(map.take(|_| true), [Arc::new(7)]);
        assert!(map.values().is_empty());
        drop(reader);
    }

    #[test]
    fn does_not_keep_failures() {
        let map = OnceMap::new();
        assert_eq!(map.get_or_make(&1, || Err::<u8, _>("no")), Err("no"));
        assert!(map.values().is_empty() && lock(&map.slots).is_empty());
        assert_eq!(map.get_or_make(&1, || Ok::<_, &str>(7)).as_deref(), Ok(&7));
        assert_eq!(map.take(|key| *key == 1).len(), 1);
        assert!(map.values().is_empty());
    }
}
