//! Counters of the work that was done, for users and for tests: of the session, and what networks have done of each model.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// Time spent, summed over all threads.
#[derive(Debug, Default)]
pub struct Timer(AtomicU64);

/// The counters of a session. They are read one by one, so that while queries run the sum may be off by what is under way.
#[derive(Debug, Default)]
pub struct Stats {
    /// Images decoded from their compressed form.
    pub images_decoded: Counter,
    /// What the networks of all models have done.
    pub inference: Inference,
    /// Models opened.
    pub models_loaded: Counter,
    /// Time spent decoding images.
    pub seconds_images: Timer,
    /// Time spent scaling masks to the size of the image and writing them down.
    pub seconds_masks: Timer,
    /// Time spent opening models.
    pub seconds_load: Timer,
}

/// What networks have done: those of one model, or of all.
#[derive(Debug, Default)]
pub struct Inference {
    /// Runs of an image encoder.
    pub encodes: Counter,
    /// Runs of a mask decoder.
    pub decodes: Counter,
    /// Prompts answered from the cache, without a run of a mask decoder.
    pub cache_hits: Counter,
    /// Images whose embeddings were in the cache, so that prompts on them took no run of an image encoder. Images that are
    /// known not to be decodable count as well.
    pub embedding_hits: Counter,
    /// Time spent in image encoders.
    pub seconds_encode: Timer,
    /// Time spent in mask decoders.
    pub seconds_decode: Timer,
}

/// Counts what is done with one model, for the model and for the session.
#[derive(Clone, Copy)]
pub struct Tally<'a> {
    /// Of the session.
    pub total: &'a Inference,
    /// Of the model.
    pub model: &'a Inference,
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
        let (result, taken) = timed(work);
        self.add(taken);
        result
    }

    fn add(&self, taken: Duration) {
        self.0.fetch_add(taken.as_nanos() as u64, Ordering::Relaxed);
    }

    fn seconds(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 * 1e-9
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (work(), start.elapsed())
}

impl Tally<'_> {
    /// Counts one.
    pub fn count(self, which: impl Fn(&Inference) -> &Counter) {
        [self.total, self.model].into_iter().for_each(|inference| which(inference).count());
    }

    /// Runs `work` and adds the time it took.
    pub fn time<T>(self, which: impl Fn(&Inference) -> &Timer, work: impl FnOnce() -> T) -> T {
        let (result, taken) = timed(work);
        [self.total, self.model].into_iter().for_each(|inference| which(inference).add(taken));
        result
    }
}

impl Inference {
    /// Every counter by name.
    pub fn snapshot(&self) -> [(&'static str, f64); 6] {
        [
            ("encodes", self.encodes.value()),
            ("decodes", self.decodes.value()),
            ("cache_hits", self.cache_hits.value()),
            ("embedding_hits", self.embedding_hits.value()),
            ("seconds_encode", self.seconds_encode.seconds()),
            ("seconds_decode", self.seconds_decode.seconds()),
        ]
    }
}

impl Stats {
    /// Every counter by name, in the order they are listed to users: numbers, then times.
    pub fn snapshot(&self) -> Vec<(&'static str, f64)> {
        let inference = self.inference.snapshot();
        let mut all = vec![("images_decoded", self.images_decoded.value())];
        all.extend(&inference[..4]);
        all.extend([("models_loaded", self.models_loaded.value()), ("seconds_images", self.seconds_images.seconds())]);
        all.extend(&inference[4..]);
        all.extend([("seconds_masks", self.seconds_masks.seconds()), ("seconds_load", self.seconds_load.seconds())]);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_times() {
        let (stats, one, other) = (Stats::default(), Inference::default(), Inference::default());
        let tally = |model| Tally { total: &stats.inference, model };
        tally(&one).count(|inference| &inference.encodes);
        tally(&other).count(|inference| &inference.decodes);
        assert_eq!(tally(&one).time(|inference| &inference.seconds_encode, || 5), 5);
        assert_eq!(stats.seconds_images.time(|| 6), 6);
        assert_eq!((one.encodes.get(), one.decodes.get(), other.encodes.get(), other.decodes.get()), (1, 0, 0, 1));
        let snapshot = stats.snapshot();
        assert!(snapshot.contains(&("encodes", 1.0)));
        assert!(snapshot.iter().any(|&(name, value)| name == "seconds_encode" && value > 0.0));
    }
}
