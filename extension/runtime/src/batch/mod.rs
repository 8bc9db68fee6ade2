//! Many rows become the least possible work, spread over all cores.
//!
//! Rows are grouped by model and image, and within an image by query. Each image is decoded and encoded once, and each
//! query is answered once, however many rows ask it. What was computed before is found in the caches of the session.
//! Several images are worked on side by side; the embedding of one lives only until its queries are answered.
//!
//! **Nothing is computed twice, and nobody waits in a circle.** What is missing in a cache is put in flight on the
//! thread of the host before the pool is entered. The pool computes it; then it is no longer in flight. What another
//! call has in flight is left for later. The thread of the host waits for it outside the pool, at a moment when this
//! call has nothing in flight. So whatever is in flight belongs to a call that is computing, and computing waits for
//! nothing but the pool. Threads of the pool, which may have stolen work of any call, never wait for what is in flight.

mod failures;
mod group;
mod query;
mod spread;
mod work;

pub use query::{Annotate, Embed, Generate, Image, Query, Segment};

use crate::cache::Caches;
use crate::call::Call;
use crate::failure::{Failure, Result};
use crate::models::Loaded;
use crate::pool::{Pool, check_host};
use failures::FirstFailure;
use group::{Group, Grouping};
use spread::{Piece, spread};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use work::{Payloads, Shared, Work};

/// What one row asks.
#[derive(Debug)]
pub struct Request<'a, P> {
    /// What the user calls the model.
    pub model: &'a str,
    /// The compressed image, or its embedding.
    pub image: &'a [u8],
    /// What the query is made of: a prompt, options.
    pub prompt: P,
}

/// The rows of one call, grouped. All of them ask queries of the same kind.
pub struct Batch<'a, Q> {
    call: &'a Call<'a>,
    pool: Arc<Pool>,
    /// The models that the rows name.
    loaded: Vec<Arc<Loaded>>,
    /// Model and image of each row, to name them when it fails.
    rows: Vec<Option<(&'a str, &'a [u8])>>,
    groups: Vec<Group<'a, Q>>,
}

impl<'a, Q: Query> Batch<'a, Q> {
    /// Loads the models and groups the rows; `None` is a row without an answer. `query` makes the query of a row for its
    /// model.
    ///
    /// # Errors
    /// A model cannot be loaded; else the failure of the first row whose header cannot be read or whose query cannot be made.
    pub fn new<P>(
        call: &'a Call<'a>,
        requests: Vec<Option<Request<'a, P>>>,
        query: impl Fn(P, &Loaded) -> Result<Q>,
    ) -> Result<Self> {
        let pool = call.session().pool();
        let mut models: HashMap<&str, Arc<Loaded>> = HashMap::new();
        for Request { model, .. } in requests.iter().flatten() {
            if !models.contains_key(model) {
                models.insert(model, call.model(model)?);
            }
        }
        let mut grouping = Grouping::new(&pool, requests.iter().flatten().map(|request| request.image))?;
        let rows = requests.iter().map(|row| row.as_ref().map(|request| (request.model, request.image))).collect();
        for (row, request) in requests.into_iter().enumerate() {
            let Some(Request { model, image, prompt }) = request else { continue };
            let loaded = &models[model];
            let query = query(prompt, loaded);
            let added = query.and_then(|query| grouping.add(row, loaded, image, query, &call.settings().images));
            call.pass(added, Some(model), Some(image))?;
        }
        let loaded = models.into_values().collect();
        Ok(Self { call, pool, loaded, rows, groups: grouping.finish() })
    }

    /// The models of the rows; `None` where there is no answer.
    pub fn models(&self) -> Vec<Option<Arc<Loaded>>> {
        let mut models = vec![None; self.rows.len()];
        self.groups.iter().for_each(|group| group.rows().for_each(|row| models[row] = Some(group.model.clone())));
        models
    }

    /// The pixels of each row's image; 0 where there is no answer.
    pub fn pixels(&self) -> Vec<usize> {
        let mut pixels = vec![0; self.rows.len()];
        let size = |group: &Group<'_, Q>| group.size.0.saturating_mul(group.size.1);
        self.groups.iter().for_each(|group| group.rows().for_each(|row| pixels[row] = size(group)));
        pixels
    }

    /// The answers of all rows; `None` where there is none, or where the row failed and is skipped.
    ///
    /// # Errors
    /// The failure of the first row that fails, or a cancellation.
    pub fn answers(self) -> Result<Vec<Option<Q::Answer>>> {
        let payloads = vec![(); self.rows.len()];
        self.run(payloads, |answer, ()| Ok(answer.clone()))
    }

    /// Answers all rows: `finish` makes a row's result of its answer and of its entry of `payloads`, on the threads of the
    /// pool. There is one for each row, also for those without an answer. `finish`, like a [`Query`], must not wait for
    /// another batch.
    ///
    /// # Errors
    /// As [`Batch::answers`], and those of `finish`; [`crate::Kind::Internal`] where there are more or fewer payloads than
    /// rows, or on a thread of a pool.
    ///
    /// # Panics
    /// What `finish` or a query panics with; where the system refuses large memory, with [`sam_model::NoMemory`] or
    /// [`sam_imaging::NoMemory`]. Nothing stays in flight.
    pub fn run<P: Send, T: Send>(
        self,
        payloads: Vec<P>,
        finish: impl Fn(&Q::Answer, P) -> Result<T> + Sync,
    ) -> Result<Vec<Option<T>>> {
        let Self { call, pool, loaded, rows, groups } = self;
        check_host("a batch is run")?;
        if payloads.len() != rows.len() {
            let counts = format!("a batch of {} rows has {} payloads", rows.len(), payloads.len());
            return Err(Failure::internal(counts));
        }
        let (session, threads) = (call.session(), pool.threads());
        let _retired = ForgetRetired { caches: session.caches(), models: loaded };
        if rows.len() > 1 {
            Q::rescue(session.caches(), std::iter::empty());
        }
        let mut payloads = Payloads::new(payloads);
        let mut answers: Vec<_> = std::iter::repeat_with(|| None).take(rows.len()).collect();
        let failures = FirstFailure::new(call.stops());
        let shared = Shared::<Q, P, T>::new(call, &failures, &finish);
        let mut waiting = VecDeque::from(groups);
        while !waiting.is_empty() {
            let (mut work, mut later, mut obstacle) = (Vec::new(), Vec::new(), None);
            while let Some(group) = waiting.pop_front() {
                later.extend(Work::take(session, group, &mut payloads, &mut work, &mut obstacle));
                // Nobody is to wait for large work that has not begun.
                if Q::IS_LARGE && work.last().is_some_and(Work::is_heavy) {
                    break;
                }
            }
            later.into_iter().rev().for_each(|group| waiting.push_front(group));
            if let (true, Some(obstacle)) = (work.is_empty(), &obstacle) {
                obstacle.wait::<Q>(call);
                call.check()?;
                continue;
            }
            let shared = &shared;
            let pieces = work.into_iter().map(|work| {
                let is_heavy = work.is_heavy();
                Piece { is_heavy, run: Box::new(move |threads| shared.answer(work, threads)) }
            });
            let pieces = pieces.collect();
            pool.run(|| spread(pieces, threads, Q::IS_LARGE))?;
            for (row, answer) in shared.take_results() {
                answers[row] = Some(answer);
            }
            // Once a row has failed, those behind it are of no interest.
            waiting.retain(|group| !failures.before(group.first_row()));
        }
        if failures.before(usize::MAX) {
            Q::rescue(session.caches(), shared.take_found().into_iter());
        }
        let passed = answers.into_iter().zip(rows).map(|(answer, row)| {
            let (model, image) = row.unzip();
            answer.map_or(Ok(None), |answer| call.pass(answer, model, image))
        });
        passed.collect()
    }
}

/// Drops what a batch has added to the caches for models that were retired meanwhile. Whichever is last, this or
/// [`Loaded::retire`], finds all of it.
struct ForgetRetired<'a> {
    caches: &'a Caches,
    models: Vec<Arc<Loaded>>,
}

impl Drop for ForgetRetired<'_> {
    fn drop(&mut self) {
        self.models.iter().filter(|model| model.is_retired()).for_each(|model| self.caches.forget(model.number()));
    }
}
