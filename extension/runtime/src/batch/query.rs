//! What can be asked about an image.

use crate::cache::{Caches, Digest, LruCache, QueryKey};
use crate::call::Call;
use crate::failure::{Failure, Result};
use crate::models::Loaded;
use crate::record::{Generated, Record};
use sam_model::{Embedding, GenerateOptions, Prediction, Prompt, Threads, is_embedding};
use std::sync::Arc;

/// A query about an image. [`crate::Batch`] answers many of them, each once however many rows ask it.
pub trait Query: Sized + Send + Sync {
    /// What it is answered with; cheap to clone.
    type Answer: Clone + Send + Sync + 'static;

    /// Whether one query is work for all threads, so that images are worked on one after the other.
    const IS_LARGE: bool = false;

    /// What tells it from all other queries that are answered from the same cache, also those of another kind.
    fn digest(&self) -> Digest;

    /// Where its answers are cached, if they are: the caches are shared with the queries of this crate, whose digests are
    /// of a prompt or of options.
    fn cache(caches: &Caches) -> Option<&LruCache<QueryKey, Self::Answer>>;

    /// Bytes of memory that an answer holds.
    fn bytes(answer: &Self::Answer) -> usize;

    /// Answers it with `threads`.
    ///
    /// # Errors
    /// The query does not suit the image, the network fails, or the call is cancelled.
    fn answer(&self, call: &Call<'_>, image: &Image<'_>, threads: Threads) -> Result<Self::Answer>;

    /// What a batch has left of an earlier one that failed; see [`crate::cache::Rescued`].
    fn rescued(_: &Caches, _: &QueryKey) -> Option<Self::Answer> {
        None
    }

    /// Leaves the answers of a batch that failed, or nothing where none did.
    fn rescue(_: &Caches, _: impl Iterator<Item = (QueryKey, Self::Answer)>) {}
}

/// An image with what a model's encoder made of it.
pub struct Image<'a> {
    /// The model.
    pub model: &'a Loaded,
    /// The image as it was given: compressed, or its embedding.
    pub bytes: &'a [u8],
    /// The embedding.
    pub embedding: &'a Embedding,
}

/// The best mask in the network's resolution. Dense masks are made of it, which are too large to cache.
pub struct Segment(pub Prompt);

/// The best mask as a compact record.
pub struct Annotate(pub Prompt);

/// The embedding itself.
pub struct Embed;

/// All masks in the image.
pub struct Generate(pub GenerateOptions);

impl Query for Segment {
    type Answer = Arc<Prediction>;

    fn digest(&self) -> Digest {
        Digest::of_prompt(&self.0)
    }

    fn cache(caches: &Caches) -> Option<&LruCache<QueryKey, Self::Answer>> {
        Some(&caches.predictions)
    }

    fn bytes(answer: &Self::Answer) -> usize {
        answer.bytes()
    }

    fn answer(&self, call: &Call<'_>, image: &Image<'_>, threads: Threads) -> Result<Self::Answer> {
        let prediction = predict(call, image, &self.0, threads)?;
        Ok(Arc::new(call.session().stats().seconds_masks.time(|| prediction.into_best())))
    }
}

impl Query for Annotate {
    type Answer = Arc<Record>;

    fn digest(&self) -> Digest {
        Digest::of_prompt(&self.0)
    }

    fn cache(caches: &Caches) -> Option<&LruCache<QueryKey, Self::Answer>> {
        Some(&caches.records)
    }

    fn bytes(answer: &Self::Answer) -> usize {
        answer.bytes()
    }

    fn answer(&self, call: &Call<'_>, image: &Image<'_>, threads: Threads) -> Result<Self::Answer> {
        let prediction = predict(call, image, &self.0, threads)?;
        Ok(Arc::new(call.session().stats().seconds_masks.time(|| Record::of(&prediction))?))
    }
}

/// Runs the mask decoder.
fn predict(call: &Call<'_>, image: &Image<'_>, prompt: &Prompt, threads: Threads) -> Result<Prediction> {
    let tally = image.model.tally(call.session().stats());
    let run = || image.model.predict(image.embedding, prompt, threads);
    let prediction = tally.time(|inference| &inference.seconds_decode, run)?;
    tally.count(|inference| &inference.decodes);
    Ok(prediction)
}

impl Query for Embed {
    type Answer = Embedding;

    fn digest(&self) -> Digest {
        Digest::of_bytes(&[])
    }

    fn cache(_: &Caches) -> Option<&LruCache<QueryKey, Self::Answer>> {
        None
    }

    fn bytes(answer: &Self::Answer) -> usize {
        answer.bytes()
    }

    fn answer(&self, _: &Call<'_>, image: &Image<'_>, _: Threads) -> Result<Self::Answer> {
        Ok(image.embedding.clone())
    }
}

impl Query for Generate {
    type Answer = Arc<Generated>;

    const IS_LARGE: bool = true;

    fn digest(&self) -> Digest {
        Digest::of_bytes(format!("{:?}", self.0).as_bytes())
    }

    fn cache(caches: &Caches) -> Option<&LruCache<QueryKey, Self::Answer>> {
        Some(&caches.generated)
    }

    fn bytes(answer: &Self::Answer) -> usize {
        answer.bytes()
    }

    fn answer(&self, call: &Call<'_>, image: &Image<'_>, threads: Threads) -> Result<Self::Answer> {
        let (tally, options) = (image.model.tally(call.session().stats()), &self.0);
        let whole = match options.crop_n_layers {
            0 => None,
            _ if is_embedding(image.bytes) => {
                return Err(Failure::input(
                    "crop_n_layers looks at parts of the picture, and an embedding has none; give the picture itself",
                ));
            }
            _ => {
                let decode = || sam_imaging::decode(image.bytes, &call.settings().images);
                Some(call.session().stats().seconds_images.time(decode)?)
            }
        };
        let proceed = || {
            tally.count(|inference| &inference.decodes);
            call.check().is_ok()
        };
        let generate = || image.model.generate(image.embedding, whole.as_ref(), options, threads, proceed);
        match tally.time(|inference| &inference.seconds_decode, generate)? {
            Some(found) => Ok(Arc::new(found.into_iter().collect())),
            None => Err(call.check().err().unwrap_or_else(|| Failure::internal("stopped without a reason"))),
        }
    }

    fn rescued(caches: &Caches, key: &QueryKey) -> Option<Self::Answer> {
        caches.rescued.take(key)
    }

    fn rescue(caches: &Caches, answers: impl Iterator<Item = (QueryKey, Self::Answer)>) {
        caches.rescued.keep(answers);
    }
}
