//! What was computed before: embeddings by picture, masks and records by picture and prompt.
//!
//! Keys are contents, so that it does not matter which row, table or query a picture comes from. A picture is known by
//! 128 bits of BLAKE3: two pictures with the same digest would share their masks, which happens by chance with a
//! probability of 2^-65 among 2^32 pictures, and by intent to nobody who cannot break BLAKE3. A model is known by the
//! number it got when it was loaded.
//!
//! The budget is split, so that the few large embeddings do not drive out the many small answers: a quarter for embeddings,
//! a half for masks, an eighth for records and one for the lists of records that `sam_generate` makes.
//!
//! Of the policies, least recently used is right here although a scan longer than the budget would find nothing in it
//! again: DuckDB repeats the very vector it has just computed (a filter, then the projection above it), and
//! [`crate::batch`] looks up a whole vector before it adds anything. So of a vector that does not fit, as many rows
//! are found again as fit.

use super::store::{Held, Store};
use crate::failure::Result;
use crate::record::{Everything, Record};
use sam_model::{Embedding, Prediction, Prompt};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Tells pictures, and prompts, apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 16]);

/// A picture seen by a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageKey {
    /// The number of the loaded model.
    pub model: u64,
    /// The bytes of the picture.
    pub image: Digest,
}

/// A prompt on a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PromptKey {
    /// The picture.
    pub image: ImageKey,
    /// The prompt.
    pub prompt: Digest,
}

/// Everything that is remembered.
pub struct Memo {
    /// What encoders made of pictures, or why a picture cannot be decoded.
    pub embeddings: Store<ImageKey, Result<Embedding>>,
    /// Best masks in the network's resolution, for `sam_segment`.
    pub masks: Store<PromptKey, Arc<Prediction>>,
    /// Finished records, for `sam_annotate`.
    pub records: Store<PromptKey, Arc<Record>>,
    /// All masks of a picture, for `sam_generate`; its options take the place of the prompt.
    pub everything: Store<PromptKey, Arc<Everything>>,
    /// The same of a vector that has failed.
    pub aftermath: Aftermath,
}

/// What was found for the rows of a vector before one of them failed. `TRY` evaluates each of its rows again, alone, and
/// seconds of work stand in a row of `sam_generate`: this is for where the memo keeps nothing. It goes with the next
/// vector of several rows.
#[derive(Default)]
pub struct Aftermath(Mutex<HashMap<PromptKey, Arc<Everything>>>);

/// Most bytes that are left.
const AFTERMATH_BYTES: usize = 64_000_000;

impl Aftermath {
    /// Leaves what was found, or nothing.
    pub fn leave(&self, found: impl Iterator<Item = (PromptKey, Arc<Everything>)>) {
        let mut room = AFTERMATH_BYTES;
        let kept = found.map_while(|(key, found)| {
            room = room.checked_sub(found.bytes())?;
            Some((key, found))
        });
        let kept = kept.collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
    }

    /// What was found under `key`, for the only row that will ask.
    pub fn take(&self, key: &PromptKey) -> Option<Arc<Everything>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key)
    }
}

impl Digest {
    /// Of the bytes of a picture.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::shorten(&blake3::hash(bytes))
    }

    /// Of a prompt.
    pub fn of_prompt(prompt: &Prompt) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(prompt.points().len() as u64).to_le_bytes());
        for ([x, y], label) in prompt.points().iter().zip(prompt.labels()) {
            hasher.update(&x.to_le_bytes()).update(&y.to_le_bytes()).update(&[*label]);
        }
        for side in prompt.bbox().into_iter().flatten() {
            hasher.update(&side.to_le_bytes());
        }
        Self::shorten(&hasher.finalize())
    }

    fn shorten(hash: &blake3::Hash) -> Self {
        Self(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl Memo {
    /// An empty memo for `budget` bytes.
    pub fn new(budget: u64) -> Self {
        let [embeddings, masks, records, everything] = split(budget);
        Self {
            embeddings: Store::new(embeddings),
            masks: Store::new(masks),
            records: Store::new(records),
            everything: Store::new(everything),
            aftermath: Aftermath::default(),
        }
    }

    /// Changes the budget; what no longer fits goes.
    pub fn set_budget(&self, budget: u64) {
        let [embeddings, masks, records, everything] = split(budget);
        self.embeddings.set_budget(embeddings);
        self.masks.set_budget(masks);
        self.records.set_budget(records);
        self.everything.set_budget(everything);
    }

    /// Drops all that the model with this number has computed.
    pub fn forget(&self, model: u64) {
        self.embeddings.forget(|key| key.model == model);
        self.masks.forget(|key| key.image.model == model);
        self.records.forget(|key| key.image.model == model);
        self.everything.forget(|key| key.image.model == model);
    }

    /// How much is held now.
    pub fn held(&self) -> Held {
        let parts = [self.embeddings.held(), self.masks.held(), self.records.held(), self.everything.held()];
        parts.iter().fold(Held::default(), |sum, part| Held {
            entries: sum.entries + part.entries,
            bytes: sum.bytes + part.bytes,
        })
    }
}

/// The shares of embeddings, masks, records and lists of records.
fn split(budget: u64) -> [u64; 4] {
    [budget / 4, budget / 2, budget / 8, budget / 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_differ_by_content_and_by_nothing_else() {
        let digest = |points: &[[f32; 2]], labels: Option<&[i32]>, bbox| {
            Digest::of_prompt(&Prompt::new(points.to_vec(), labels, bbox).unwrap())
        };
        let (a, b) = ([0.1, 0.2], [0.3, 0.4]);
        let corners = Some([0.1, 0.2, 0.3, 0.4]);
        let point = digest(&[a], None, None);
        assert_eq!(point, Digest::of_prompt(&Prompt::point(0.1, 0.2).unwrap()));
        assert_eq!(point, digest(&[a], Some(&[1]), None));
        let others = [
            digest(&[a], Some(&[0]), None),
            digest(&[b], None, None),
            digest(&[a, b], None, None),
            digest(&[b, a], None, None),
            digest(&[], None, corners),
            digest(&[a], None, corners),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(*other, point);
            assert!(others[..index].iter().all(|earlier| earlier != other));
        }
    }

    #[test]
    fn digests_are_shown_in_hexadecimal() {
        // The first half of BLAKE3 of nothing.
        assert_eq!(Digest::of_bytes(b"").to_string(), "af1349b9f5f9a1a6a0404dea36dcc949");
    }
}
