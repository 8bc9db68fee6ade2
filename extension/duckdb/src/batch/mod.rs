//! The rows of one vector become the least possible work, spread over all cores.
//!
//! Rows are grouped by model and picture, and within a picture by prompt: each picture is decoded and encoded once,
//! each prompt is answered once, however many rows ask for it. What was computed before is found in the session's
//! memo. Several pictures are worked on side by side; the embedding of one lives only until its prompts are answered.
//!
//! **Nothing is computed twice, and nobody waits in a circle.** What is missing in the memo is claimed on the engine's
//! thread before the pool is entered, made by the pool, and the claim ends with it. What another call has claimed is
//! left for later: it is waited for on the engine's thread, outside the pool, at a moment when this call holds no
//! claim. So every claim belongs to a call that is computing; computing waits for nothing but the pool; and threads
//! of the pool, which may have stolen work of any call, never wait for a claim.
//!
//! Which failure is reported does not depend on timing: what can be found before any inference (arguments,
//! models, pictures whose header cannot be read) comes first, then the rest; each in the order of the rows.

mod embed;
mod everything;
mod group;
mod tolerance;
mod work;

pub use tolerance::Tolerance;
pub use work::Answer;

use crate::failure::{Failure, Result};
use crate::session::{Call, Loaded, Pool, Session};
use group::{Group, Grouping};
use rayon::prelude::*;
use sam_imaging::Limits;
use sam_model::{Prompt, Team};
use std::collections::HashMap;
use std::sync::Arc;
use work::{Rows, Site, Work};

/// What one row asks for.
#[derive(Debug)]
pub struct Request<'a> {
    /// What the user calls the model.
    pub model: &'a str,
    /// The compressed picture, or its embedding.
    pub image: &'a [u8],
    /// Where to look; `None` where the embedding itself is wanted.
    pub prompt: Option<Prompt>,
}

/// The work of one vector.
pub struct Batch<'a> {
    session: &'static Session,
    tolerance: Tolerance<'a>,
    limits: Limits,
    pool: Arc<Pool>,
    call: Call,
    /// Model and picture of each row, to name them when it fails.
    rows: Vec<Option<(&'a str, &'a [u8])>>,
    groups: Vec<Group<'a>>,
}

impl<'a> Batch<'a> {
    /// Groups the rows; `None` is a row without an answer.
    pub fn new(tolerance: &Tolerance<'a>, requests: Vec<Option<Request<'a>>>) -> Result<Self> {
        let session = tolerance.session();
        let (limits, pool, call) = (tolerance.settings().images, session.pool(), tolerance.begin());
        let mut models: HashMap<&str, Arc<Loaded>> = HashMap::new();
        for Request { model, .. } in requests.iter().flatten() {
            if !models.contains_key(model) {
                models.insert(model, tolerance.model(model)?);
            }
        }
        let mut grouping = Grouping::new(&pool, requests.iter().flatten().map(|request| request.image))?;
        let rows = requests.iter().map(|row| row.as_ref().map(|request| (request.model, request.image))).collect();
        for (row, request) in requests.into_iter().enumerate() {
            let Some(Request { model, image, prompt }) = request else { continue };
            let added = grouping.add(row, &models[model], image, prompt, &limits);
            tolerance.pass(added, Some(model), Some(image))?;
        }
        let groups = grouping.finish();
        Ok(Self { session, tolerance: tolerance.clone(), limits, pool, call, rows, groups })
    }

    /// The models of the rows; `None` where there is no answer.
    pub fn models(&self) -> Vec<Option<Arc<Loaded>>> {
        let mut models = vec![None; self.rows.len()];
        for group in &self.groups {
            for row in group.asks.iter().flat_map(|ask| &ask.rows).chain(&group.rows) {
                models[*row] = Some(group.model.clone());
            }
        }
        models
    }

    /// The pixels of each row's picture; 0 where there is no answer.
    pub fn pixels(&self) -> Vec<usize> {
        let mut pixels = vec![0; self.rows.len()];
        for group in &self.groups {
            for row in group.asks.iter().flat_map(|ask| &ask.rows) {
                pixels[*row] = group.size.0.saturating_mul(group.size.1);
            }
        }
        pixels
    }

    /// Answers all rows: `finish` makes a row's result of its answer and of its entry of `payloads`.
    pub fn run<A: Answer, P: Send, T: Send>(
        self,
        payloads: Vec<P>,
        finish: impl Fn(&Arc<A>, P) -> Result<T> + Sync,
    ) -> Result<Vec<Option<T>>> {
        let Self { session, tolerance, limits, pool, call, rows, groups } = self;
        let mut payloads = Rows::new(payloads);
        let mut answers: Vec<_> = std::iter::repeat_with(|| None).take(rows.len()).collect();
        let failures = FirstFailure::new(tolerance.stops());
        let site = Site { session, limits: &limits, call: &call, failures: &failures };
        let mut waiting = groups;
        while !waiting.is_empty() {
            let (mut work, mut obstacle) = (Vec::new(), None);
            waiting = waiting
                .into_iter()
                .filter_map(|group| Work::claim(session, group, &mut payloads, &mut work, &mut obstacle))
                .collect();
            if let (true, Some(obstacle)) = (work.is_empty(), &obstacle) {
                obstacle.wait::<A>(session, &call);
                call.check()?;
                continue;
            }
            for (row, answer) in
                pool.run(|| spread(work, pool.threads(), |work, team| site.answer(work, team, &finish)))?
            {
                answers[row] = Some(answer);
            }
            // Once a row has failed, those behind it are of no interest.
            waiting.retain(|group| !failures.before(group.first_row()));
        }
        pass(&tolerance, &rows, answers)
    }
}

/// What becomes of the rows: of those that failed, the first stops the query, or all are NULL.
fn pass<T>(
    tolerance: &Tolerance<'_>,
    rows: &[Option<(&str, &[u8])>],
    answers: Vec<Option<Result<T>>>,
) -> Result<Vec<Option<T>>> {
    let passed = answers.into_iter().zip(rows).map(|(answer, row)| {
        let (model, image) = row.unzip();
        answer.map_or(Ok(None), |answer| tolerance.pass(answer, model, image))
    });
    passed.collect()
}

/// Does all `work` on the threads of the pool that this runs on: one piece per thread needs no waiting for each other;
/// what is left over when the heavy pieces do not fill all threads once more is worked on by all of them, one piece
/// after the other.
fn spread<W: Heavy + Send, R: Send>(work: Vec<W>, threads: usize, answer: impl Fn(W, Team) -> Vec<R> + Sync) -> Vec<R> {
    let (mut alone, light): (Vec<_>, Vec<_>) = work.into_iter().partition(Heavy::is_heavy);
    let together = alone.split_off(alone.len() / threads * threads);
    alone.extend(light);
    let mut answers: Vec<_> =
        alone.into_par_iter().with_max_len(1).flat_map_iter(|work| answer(work, Team::ALONE)).collect();
    let team = Team::new(threads);
    answers.extend(together.into_iter().flat_map(|work| answer(work, team)));
    answers
}

/// Work that may need a network.
trait Heavy {
    /// Whether a network has to run for it.
    fn is_heavy(&self) -> bool;
}

/// The first row known to have failed, where a failure stops the query. Rows before it are still answered, as one of
/// them may fail as well; so what is reported in the end is the first of all.
struct FirstFailure {
    stops: bool,
    row: std::sync::atomic::AtomicUsize,
}

impl FirstFailure {
    fn new(stops: bool) -> Self {
        Self { stops, row: usize::MAX.into() }
    }

    fn note(&self, row: usize, failure: &Failure) {
        if self.stops || !failure.is_about_a_row() {
            self.row.fetch_min(row, std::sync::atomic::Ordering::Relaxed);
        }
    }

    fn before(&self, row: usize) -> bool {
        self.row.load(std::sync::atomic::Ordering::Relaxed) < row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_behind_the_first_failure_are_left_out() {
        let (row, defect) = (Failure::new("row"), Failure::internal("defect"));
        let failures = FirstFailure::new(true);
        assert!(!failures.before(100));
        failures.note(7, &row);
        failures.note(9, &row);
        assert!(!failures.before(7) && !failures.before(3) && failures.before(8));
        let tolerant = FirstFailure::new(false);
        tolerant.note(7, &row);
        assert!(!tolerant.before(8));
        tolerant.note(7, &defect);
        assert!(tolerant.before(8));
    }

    struct Piece(bool, usize);

    impl Heavy for Piece {
        fn is_heavy(&self) -> bool {
            self.0
        }
    }

    #[test]
    fn all_work_is_done_once() {
        for (heavy, light, threads) in [(0, 0, 2), (5, 3, 2), (1, 0, 4), (8, 1, 4)] {
            let pieces = (0..heavy + light).map(|index| Piece(index < heavy, index)).collect();
            let mut done =
                spread(pieces, threads, |Piece(heavy, index), team| vec![(index, heavy && team != Team::ALONE)]);
            done.sort();
            assert!(done.iter().map(|(index, _)| *index).eq(0..heavy + light));
            assert_eq!(done.iter().filter(|(_, shared)| *shared).count(), heavy % threads);
        }
    }
}
