//! What was computed before: embeddings by image, masks and records by image and query.
//!
//! Keys are contents, so that it does not matter which row, table or query an image comes from. A model is known by the
//! number that it got when it was loaded.
//!
//! The budget is split, so that the few large embeddings do not drive out the many small answers. A quarter is for
//! embeddings, a half for masks, an eighth for records and an eighth for what [`crate::Generate`] finds.
//!
//! Evicting the least recently used first is the right policy here, although a scan longer than the budget would find
//! nothing in the cache again. Engines repeat the very rows that they have just computed: for a filter, then for the
//! projection above it. And a batch looks up all its rows before it adds anything. So of rows that do not all fit, as
//! many are found again as fit.

mod digest;
mod lru;

pub use digest::{Digest, ImageKey, QueryKey};
pub use lru::{Held, InFlight, Lookup, LruCache};

use crate::failure::Result;
use crate::record::{Generated, Record};
use sam_model::{Embedding, Prediction};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The caches of a session.
pub struct Caches {
    /// What encoders made of images, or why an image cannot be decoded.
    pub embeddings: LruCache<ImageKey, Result<Embedding>>,
    /// Best masks in the network's resolution, for [`crate::Segment`].
    pub predictions: LruCache<QueryKey, Arc<Prediction>>,
    /// Finished records, for [`crate::Annotate`].
    pub records: LruCache<QueryKey, Arc<Record>>,
    /// All masks of an image, for [`crate::Generate`].
    pub generated: LruCache<QueryKey, Arc<Generated>>,
    /// The same of a batch that has failed.
    pub rescued: Rescued,
}

/// What was found for the rows of a batch before one of them failed. An engine may evaluate each of its rows again, alone,
/// and seconds of work stand in a row of [`crate::Generate`]: this is for where the cache keeps nothing. It goes with the
/// next batch of several rows.
#[derive(Default)]
pub struct Rescued(Mutex<HashMap<QueryKey, Arc<Generated>>>);

/// Most bytes that are rescued.
const RESCUED_BYTES: usize = 64_000_000;

impl Rescued {
    /// Keeps what was found, or nothing.
    pub fn keep(&self, found: impl Iterator<Item = (QueryKey, Arc<Generated>)>) {
        let mut room = RESCUED_BYTES;
        let kept = found.map_while(|(key, found)| {
            room = room.checked_sub(found.bytes())?;
            Some((key, found))
        });
        let kept = kept.collect();
        *self.lock() = kept;
    }

    /// What was found under `key`, for the only row that will need it.
    pub fn take(&self, key: &QueryKey) -> Option<Arc<Generated>> {
        self.lock().remove(key)
    }

    fn forget(&self, model: u64) {
        self.lock().retain(|key, _| key.image.model != model);
    }

    fn held(&self) -> Held {
        let found = self.lock();
        let bytes = found.values().map(|found| found.bytes() as u64).sum();
        Held { entries: found.len() as u64, bytes }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<QueryKey, Arc<Generated>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Caches {
    /// Empty caches for `budget` bytes.
    pub fn new(budget: u64) -> Self {
        let [embeddings, predictions, records, generated] = split(budget);
        Self {
            embeddings: LruCache::new(embeddings),
            predictions: LruCache::new(predictions),
            records: LruCache::new(records),
            generated: LruCache::new(generated),
            rescued: Rescued::default(),
        }
    }

    /// Changes the budget; what no longer fits is evicted.
    pub fn set_budget(&self, budget: u64) {
        let [embeddings, predictions, records, generated] = split(budget);
        self.embeddings.set_budget(embeddings);
        self.predictions.set_budget(predictions);
        self.records.set_budget(records);
        self.generated.set_budget(generated);
    }

    /// Drops all that the model with this number has computed.
    pub fn forget(&self, model: u64) {
        self.embeddings.forget(|key| key.model == model);
        self.predictions.forget(|key| key.image.model == model);
        self.records.forget(|key| key.image.model == model);
        self.generated.forget(|key| key.image.model == model);
        self.rescued.forget(model);
    }

    /// How much is held now, with what was rescued of a failed batch. That is beside the budget: at most 64 MB, until the
    /// next batch of several rows.
    pub fn held(&self) -> Held {
        let kept = [self.embeddings.held(), self.predictions.held(), self.records.held(), self.generated.held()];
        kept.iter().chain([&self.rescued.held()]).fold(Held::default(), |sum, part| Held {
            entries: sum.entries + part.entries,
            bytes: sum.bytes + part.bytes,
        })
    }
}

/// The shares of embeddings, predictions, records and what is generated.
fn split(budget: u64) -> [u64; 4] {
    [budget / 4, budget / 2, budget / 8, budget / 8]
}
