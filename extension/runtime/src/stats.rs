//! Counters of the work that was done, for users and for tests.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// Time spent, summed over all threads.
#[derive(Debug, Default)]
pub struct Timer(AtomicU64);

/// All counters. They are read one by one, so that while queries run the sum may be off by what is under way.
#[derive(Debug, Default)]
pub struct Stats {
    /// Images decoded from their compressed form.
    pub images_decoded: Counter,
    /// Runs of an image encoder.
    pub encodes: Counter,
    /// Runs of a mask decoder.
    pub decodes: Counter,
    /// Prompts answered from the cache, without a run of a mask decoder.
    pub cache_hits: Counter,
    /// Images whose embeddings were in the cache, so that prompts on them took no run of an image encoder. Images that are
    /// known not to be decodable count as well.
    pub embedding_hits: Counter,
    /// Models opened.
    pub models_loaded: Counter,
    /// Time spent decoding images.
    pub seconds_images: Timer,
    /// Time spent in image encoders.
    pub seconds_encode: Timer,
    /// Time spent in mask decoders.
    pub seconds_decode: Timer,
    /// Time spent scaling masks to the size of the image and writing them down.
    pub seconds_masks: Timer,
    /// Time spent opening models.
    pub seconds_load: Timer,
}

impl Counter {
    /// Counts one.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn value(&self) -> f64 {
        self.get() as f64
    }
}

impl Timer {
    /// Runs `work` and adds the time it took.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.0.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        result
    }

    fn seconds(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 * 1e-9
    }
}

impl Stats {
    /// Every counter by name, in the order they are listed to users.
    pub fn snapshot(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("images_decoded", self.images_decoded.value()),
            ("encodes", self.encodes.value()),
            ("decodes", self.decodes.value()),
            ("cache_hits", self.cache_hits.value()),
            ("embedding_hits", self.embedding_hits.value()),
            ("models_loaded", self.models_loaded.value()),
            ("seconds_images", self.seconds_images.seconds()),
            ("seconds_encode", self.seconds_encode.seconds()),
            ("seconds_decode", self.seconds_decode.seconds()),
            ("seconds_masks", self.seconds_masks.seconds()),
            ("seconds_load", self.seconds_load.seconds()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_times() {
        let stats = Stats::default();
        stats.encodes.count();
        assert_eq!(stats.seconds_encode.time(|| 5), 5);
        let snapshot = stats.snapshot();
        assert!(snapshot.contains(&("encodes", 1.0)));
        assert!(snapshot.iter().any(|&(name, value)| name == "seconds_encode" && value > 0.0));
    }
}
