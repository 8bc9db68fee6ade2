//! What the pool does: what is missing was put in flight before, and goes into the caches as soon as it is there.

use super::failures::FirstFailure;
use super::group::{Group, RowsOfQuery};
use super::query::{Image, Query};
use super::spread::{Run, side_by_side};
use crate::cache::{ImageKey, InFlight, Lookup, QueryKey};
use crate::call::Call;
use crate::failure::{Failure, Result};
use crate::models::Loaded;
use crate::session::Session;
use sam_model::{Embedding, Threads, is_embedding};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The payloads of the rows that are not yet at work.
pub(super) struct Payloads<P>(Vec<Option<P>>);

impl<P> Payloads<P> {
    pub(super) fn new(payloads: Vec<P>) -> Self {
        Self(payloads.into_iter().map(Some).collect())
    }

    fn take(&mut self, rows: Vec<usize>) -> Vec<(usize, P)> {
        rows.into_iter().filter_map(|row| Some((row, self.0.get_mut(row)?.take()?))).collect()
    }
}

/// One image with those of its queries that can be answered now.
pub(super) struct Work<'a, Q: Query, P> {
    model: Arc<Loaded>,
    image: &'a [u8],
    source: Source<'a>,
    jobs: Vec<Job<'a, Q, P>>,
}

/// Where the embedding of an image comes from.
enum Source<'a> {
    /// All queries are answered already.
    Unneeded,
    /// The bytes are an embedding.
    Given,
    Cached(Result<Embedding>),
    Missing(InFlight<'a, ImageKey, Result<Embedding>>),
}

impl<'a> Source<'a> {
    /// Finds the embedding of an image, or puts it in flight; `None` if another call has it in flight.
    fn of(session: &'a Session, model: &Loaded, image: &[u8], key: &ImageKey) -> Option<Self> {
        if is_embedding(image) {
            return Some(Self::Given);
        }
        match session.caches().embeddings.get(key) {
            Lookup::Pending => None,
            Lookup::Miss(flight) => Some(Self::Missing(flight)),
            Lookup::Hit(embedding) => {
                model.tally(session.stats()).count(|inference| &inference.embedding_hits);
                Some(Self::Cached(embedding))
            }
        }
    }
}

/// One query.
struct Job<'a, Q: Query, P> {
    state: State<'a, Q>,
    key: QueryKey,
    /// In ascending order; at least one.
    rows: Vec<(usize, P)>,
}

enum State<'a, Q: Query> {
    Answered(Q::Answer),
    /// In flight, where answers are cached.
    Missing(Q, Option<InFlight<'a, QueryKey, Q::Answer>>),
}

/// What another call has in flight.
pub(super) enum Obstacle {
    Embedding(ImageKey),
    Answer(QueryKey),
}

impl Obstacle {
    /// Waits until it no longer is, or this call is cancelled.
    pub(super) fn wait<Q: Query>(&self, call: &Call<'_>) {
        let (caches, stop) = (call.session().caches(), || call.check().is_err());
        match self {
            Self::Embedding(key) => caches.embeddings.wait(key, stop),
            Self::Answer(key) => {
                if let Some(cache) = Q::cache(caches) {
                    cache.wait(key, stop);
                }
            }
        }
    }
}

impl<'a, Q: Query, P> Work<'a, Q, P> {
    /// Whether a network has to run for it.
    pub(super) fn is_heavy(&self) -> bool {
        let in_flight = |job: &Job<'_, Q, P>| matches!(job.state, State::Missing(_, Some(_)));
        matches!(self.source, Source::Missing(_)) || self.jobs.iter().any(in_flight)
    }

    /// Takes what can be done now of `group` into `work`, with what is missing in flight. Returns the rest: what another call
    /// has in flight now, if anything, of which the first is the `obstacle`.
    pub(super) fn take(
        session: &'a Session,
        mut group: Group<'a, Q>,
        payloads: &mut Payloads<P>,
        work: &mut Vec<Self>,
        obstacle: &mut Option<Obstacle>,
    ) -> Option<Group<'a, Q>> {
        let (caches, tally) = (session.caches(), group.model.tally(session.stats()));
        let (mut answered, mut missing, mut later) = (Vec::new(), Vec::new(), Vec::new());
        for query in std::mem::take(&mut group.queries) {
            let Some(cache) = Q::cache(caches) else {
                missing.push((query, None));
                continue;
            };
            match cache.get(&query.key) {
                Lookup::Hit(answer) => answered.push((query, answer)),
                Lookup::Miss(flight) => match Q::rescued(caches, &query.key) {
                    Some(answer) => answered.push((query, answer)),
                    None => missing.push((query, Some(flight))),
                },
                Lookup::Pending => {
                    obstacle.get_or_insert(Obstacle::Answer(query.key));
                    later.push(query);
                }
            }
        }
        let source = match missing.is_empty() {
            true => Source::Unneeded,
            false => Source::of(session, &group.model, group.image, &group.key).unwrap_or_else(|| {
                // Nothing stays in flight: who makes the embedding may wait for these answers next.
                later.extend(missing.drain(..).map(|(query, _)| query));
                *obstacle = Some(Obstacle::Embedding(group.key));
                Source::Unneeded
            }),
        };
        answered.iter().for_each(|_| tally.count(|inference| &inference.cache_hits));
        let answered = answered.into_iter().map(|(RowsOfQuery { key, rows, .. }, answer)| {
            let state = State::Answered(answer);
            Job { state, key, rows: payloads.take(rows) }
        });
        let mut jobs: Vec<_> = answered.collect();
        jobs.extend(missing.into_iter().map(|(RowsOfQuery { query, key, rows }, flight)| {
            let state = State::Missing(query, flight);
            Job { state, key, rows: payloads.take(rows) }
        }));
        if !jobs.is_empty() {
            work.push(Self { model: group.model.clone(), image: group.image, source, jobs });
        }
        group.queries = later;
        (!group.queries.is_empty()).then_some(group)
    }
}

/// What all work of one batch shares.
pub(super) struct Shared<'a, Q: Query, P, T> {
    call: &'a Call<'a>,
    failures: &'a FirstFailure,
    /// Makes a row's result of its answer and its payload.
    finish: &'a (dyn Fn(&Q::Answer, P) -> Result<T> + Sync),
    results: Mutex<Results<T>>,
    /// Answers to large queries, for [`Query::rescue`].
    found: Mutex<Found<Q>>,
}

/// Rows with their results.
type Results<T> = Vec<(usize, Result<T>)>;

/// Queries with their answers.
type Found<Q> = Vec<(QueryKey, <Q as Query>::Answer)>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a, Q: Query, P: Send, T: Send> Shared<'a, Q, P, T> {
    pub(super) fn new(
        call: &'a Call<'a>,
        failures: &'a FirstFailure,
        finish: &'a (dyn Fn(&Q::Answer, P) -> Result<T> + Sync),
    ) -> Self {
        Self { call, failures, finish, results: Mutex::default(), found: Mutex::default() }
    }

    /// The rows that were answered since this was called last.
    pub(super) fn take_results(&self) -> Results<T> {
        std::mem::take(&mut *lock(&self.results))
    }

    /// The answers to large queries.
    pub(super) fn take_found(&self) -> Found<Q> {
        std::mem::take(&mut *lock(&self.found))
    }

    /// Answers all queries about one image with `threads`. Rows behind a row that has failed are left out.
    pub(super) fn answer(&self, work: Work<'_, Q, P>, threads: Threads) {
        let Work { model, image, source, jobs } = work;
        if jobs.iter().filter_map(Job::first_row).all(|row| self.failures.before(row)) {
            return;
        }
        let embedding = self.embedding(&model, image, source, threads);
        let image = embedding.as_ref().map(|embedding| Image { model: &model, bytes: image, embedding });
        // Several queries are spread over the threads, a single or large one is worked on by all.
        if threads == Threads::ONE || jobs.len() == 1 || Q::IS_LARGE {
            jobs.into_iter().for_each(|job| self.job(&image, job, threads));
        } else {
            let image = &image;
            side_by_side(
                jobs.into_iter().map(|job| -> Run<'_> { Box::new(|threads| self.job(image, job, threads)) }).collect(),
            );
        }
    }

    /// Answers one query for all its rows.
    fn job(&self, image: &std::result::Result<Image<'_>, &Failure>, job: Job<'_, Q, P>, threads: Threads) {
        if job.first_row().is_none_or(|row| self.failures.before(row)) {
            return;
        }
        let answer = match job.state {
            State::Answered(answer) => Ok(answer),
            State::Missing(query, flight) => {
                image.as_ref().map_err(|failure| Failure::clone(failure)).and_then(|image| {
                    self.call.check()?;
                    let answer = query.answer(self.call, image, threads)?;
                    if let Some(flight) = flight {
                        flight.put(answer.clone(), Q::bytes(&answer));
                    }
                    Ok(answer)
                })
            }
        };
        if let (true, Ok(answer)) = (Q::IS_LARGE, &answer) {
            lock(&self.found).push((job.key, answer.clone()));
        }
        let answer = &answer;
        if threads == Threads::ONE || job.rows.len() == 1 {
            job.rows.into_iter().for_each(|(row, payload)| self.row(answer, row, payload));
        } else {
            let run = |(row, payload)| -> Run<'_> { Box::new(move |_| self.row(answer, row, payload)) };
            side_by_side(job.rows.into_iter().map(run).collect());
        }
    }

    /// Finishes one row.
    fn row(&self, answer: &Result<Q::Answer>, row: usize, payload: P) {
        let seconds = &self.call.session().stats().seconds_masks;
        let result = match answer {
            Ok(answer) => self.call.check().and_then(|()| seconds.time(|| (self.finish)(answer, payload))),
            Err(failure) => Err(failure.clone()),
        };
        if let Err(failure) = &result {
            self.failures.note(row, failure);
        }
        lock(&self.results).push((row, result));
    }

    /// The embedding of an image.
    fn embedding(&self, model: &Loaded, image: &[u8], source: Source<'_>, threads: Threads) -> Result<Embedding> {
        match source {
            Source::Unneeded => Err(Failure::internal("a query is in flight without its image")),
            Source::Given => Ok(self.call.session().stats().seconds_images.time(|| model.read_blob(image))?),
            Source::Cached(embedding) => embedding,
            Source::Missing(flight) => self.encode(model, image, flight, threads),
        }
    }

    /// Decodes and encodes an image. That its bytes cannot be decoded is cached as well, as engines ask again.
    fn encode(
        &self,
        model: &Loaded,
        image: &[u8],
        flight: InFlight<'_, ImageKey, Result<Embedding>>,
        threads: Threads,
    ) -> Result<Embedding> {
        self.call.check()?;
        let stats = self.call.session().stats();
        let decode = || sam_imaging::decode(image, &self.call.settings().images);
        let picture = match stats.seconds_images.time(decode) {
            Ok(picture) => picture,
            Err(error) => {
                // What a limit refuses may be allowed the next time.
                let keep = !error.is_about_a_picture();
                let failure = Failure::from(error);
                if keep {
                    flight.put(Err(failure.clone()), failure.text().len());
                }
                return Err(failure);
            }
        };
        stats.images_decoded.count();
        self.call.check()?;
        let tally = model.tally(self.call.session().stats());
        let embedding = tally.time(|inference| &inference.seconds_encode, || model.embed(&picture, threads))?;
        tally.count(|inference| &inference.encodes);
        flight.put(Ok(embedding.clone()), embedding.bytes());
        Ok(embedding)
    }
}

impl<Q: Query, P> Job<'_, Q, P> {
    fn first_row(&self) -> Option<usize> {
        self.rows.first().map(|(row, _)| *row)
    }
}
