//! What the pool does: claims are taken before, results are kept in the memo as soon as they are there.

use super::group::{Ask, Group};
use super::{FirstFailure, Heavy};
use crate::failure::{Failure, Result};
use crate::record::Record;
use crate::session::{Call, Claim, ImageKey, Loaded, Look, Memo, PromptKey, Session, Store};
use rayon::prelude::*;
use sam_imaging::Limits;
use sam_model::{Embedding, Prediction, Prompt, Team, is_embedding};
use std::sync::Arc;

/// What a prompt is answered with, and remembered as.
pub trait Answer: Sized + Send + Sync + 'static {
    /// Makes the answer of a prediction.
    fn of(prediction: Prediction) -> Result<Self>;

    /// Bytes of memory that the answer holds.
    fn bytes(&self) -> usize;

    /// Where it is remembered.
    fn store(memo: &Memo) -> &Store<PromptKey, Arc<Self>>;
}

/// The best mask in the network's resolution: dense masks are made of it, which are too large to remember.
impl Answer for Prediction {
    fn of(prediction: Prediction) -> Result<Self> {
        Ok(prediction.into_best())
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn store(memo: &Memo) -> &Store<PromptKey, Arc<Self>> {
        &memo.masks
    }
}

impl Answer for Record {
    fn of(prediction: Prediction) -> Result<Self> {
        Record::of(&prediction)
    }

    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn store(memo: &Memo) -> &Store<PromptKey, Arc<Self>> {
        &memo.records
    }
}

/// The payloads of the rows that are not yet at work.
pub(super) struct Rows<P>(Vec<Option<P>>);

impl<P> Rows<P> {
    pub(super) fn new(payloads: Vec<P>) -> Self {
        Self(payloads.into_iter().map(Some).collect())
    }

    fn take(&mut self, rows: Vec<usize>) -> Vec<(usize, P)> {
        rows.into_iter().filter_map(|row| Some((row, self.0.get_mut(row)?.take()?))).collect()
    }
}

/// One picture with those of its prompts that can be answered now.
pub(super) struct Work<'a, A: Answer, P> {
    model: Arc<Loaded>,
    image: &'a [u8],
    embedding: Source<'a>,
    jobs: Vec<Job<A, P>>,
}

/// Where the picture's embedding comes from.
pub(super) enum Source<'a> {
    /// All prompts are answered already.
    Unneeded,
    /// The bytes are an embedding.
    Given,
    Kept(Result<Embedding>),
    Mine(Claim<'a, ImageKey, Result<Embedding>>),
}

impl Source<'_> {
    /// Finds the embedding of a picture, or claims it; `None` if another call is making it.
    pub(super) fn of(session: &'static Session, group: &Group<'_>) -> Option<Self> {
        if is_embedding(group.image) {
            return Some(Self::Given);
        }
        match session.memo.embeddings.look(&group.key) {
            Look::Busy => None,
            Look::Mine(claim) => Some(Self::Mine(claim)),
            Look::Kept(embedding) => {
                session.stats.embedding_hits.count();
                Some(Self::Kept(embedding))
            }
        }
    }
}

/// One prompt.
struct Job<A: Answer, P> {
    state: State<A>,
    /// In ascending order; at least one.
    rows: Vec<(usize, P)>,
}

enum State<A: Answer> {
    Kept(Arc<A>),
    Mine(Prompt, Claim<'static, PromptKey, Arc<A>>),
}

/// What another call is making.
pub(super) enum Obstacle {
    Embedding(ImageKey),
    Answer(PromptKey),
}

impl Obstacle {
    /// Waits until the other call is done with it, or this one is cancelled.
    pub(super) fn wait<A: Answer>(&self, session: &Session, call: &Call) {
        match self {
            Self::Embedding(key) => session.memo.embeddings.wait(key, || call.is_cancelled()),
            Self::Answer(key) => A::store(&session.memo).wait(key, || call.is_cancelled()),
        }
    }
}

impl<A: Answer, P> Heavy for Work<'_, A, P> {
    fn is_heavy(&self) -> bool {
        !matches!(self.embedding, Source::Unneeded)
    }
}

impl<'a, A: Answer, P> Work<'a, A, P> {
    /// Takes what can be done now of `group` into `work`; returns what another call is making just now, if anything.
    pub(super) fn claim(
        session: &'static Session,
        mut group: Group<'a>,
        payloads: &mut Rows<P>,
        work: &mut Vec<Self>,
        obstacle: &mut Option<Obstacle>,
    ) -> Option<Group<'a>> {
        let (mut kept, mut mine, mut later) = (Vec::new(), Vec::new(), Vec::new());
        for ask in std::mem::take(&mut group.asks) {
            match A::store(&session.memo).look(&ask.key) {
                Look::Kept(answer) => kept.push((ask, answer)),
                Look::Mine(claim) => mine.push((ask, claim)),
                Look::Busy => {
                    obstacle.get_or_insert(Obstacle::Answer(ask.key));
                    later.push(ask);
                }
            }
        }
        let embedding = match mine.is_empty() {
            true => Source::Unneeded,
            false => Source::of(session, &group).unwrap_or_else(|| {
                // The claims are given back: whoever makes the embedding may wait for these answers next.
                later.extend(mine.drain(..).map(|(ask, _)| ask));
                *obstacle = Some(Obstacle::Embedding(group.key));
                Source::Unneeded
            }),
        };
        kept.iter().for_each(|_| session.stats.memo_hits.count());
        let kept = kept.into_iter().map(|(ask, answer)| (ask.rows, State::Kept(answer)));
        let mine = mine.into_iter().map(|(Ask { prompt, rows, .. }, claim)| (rows, State::Mine(prompt, claim)));
        let jobs: Vec<_> = kept.chain(mine).map(|(rows, state)| Job { state, rows: payloads.take(rows) }).collect();
        if !jobs.is_empty() {
            work.push(Self { model: group.model.clone(), image: group.image, embedding, jobs });
        }
        group.asks = later;
        (!group.asks.is_empty()).then_some(group)
    }
}

/// Where work is done: what all pieces of one call share.
pub(super) struct Site<'a> {
    pub(super) session: &'a Session,
    pub(super) limits: &'a Limits,
    pub(super) call: &'a Call,
    pub(super) failures: &'a FirstFailure,
}

impl Site<'_> {
    /// Answers all prompts on one picture with the threads of `team`. Rows behind a row that has failed are left out.
    pub(super) fn answer<A: Answer, P: Send, T: Send>(
        &self,
        work: Work<'_, A, P>,
        team: Team,
        finish: &(impl Fn(&Arc<A>, P) -> Result<T> + Sync),
    ) -> Vec<(usize, Result<T>)> {
        let Work { model, image, embedding, jobs } = work;
        if jobs.iter().filter_map(Job::first_row).all(|row| self.failures.before(row)) {
            return Vec::new();
        }
        let embedding = self.embedding(&model, image, embedding, team);
        let job = |job: Job<A, P>, team: Team| self.job(&model, &embedding, job, team, finish);
        // Several prompts are spread over the threads, a single one is worked on by all.
        if team == Team::ALONE || jobs.len() == 1 {
            jobs.into_iter().flat_map(|one| job(one, team)).collect()
        } else {
            jobs.into_par_iter().with_max_len(1).flat_map_iter(|one| job(one, Team::ALONE)).collect()
        }
    }

    /// Answers one prompt for all its rows.
    fn job<A: Answer, P: Send, T: Send>(
        &self,
        model: &Loaded,
        embedding: &Result<Embedding>,
        job: Job<A, P>,
        team: Team,
        finish: &(impl Fn(&Arc<A>, P) -> Result<T> + Sync),
    ) -> Vec<(usize, Result<T>)> {
        if job.first_row().is_none_or(|row| self.failures.before(row)) {
            return Vec::new();
        }
        let answer = match job.state {
            State::Kept(answer) => Ok(answer),
            State::Mine(prompt, claim) => embedding
                .as_ref()
                .map_err(Failure::clone)
                .and_then(|embedding| self.predict(model, embedding, &prompt, claim, team)),
        };
        let row = |(row, payload)| {
            let result = match &answer {
                Ok(answer) => {
                    self.call.check().and_then(|()| self.session.stats.seconds_masks.time(|| finish(answer, payload)))
                }
                Err(failure) => Err(failure.clone()),
            };
            if let Err(failure) = &result {
                self.failures.note(row, failure);
            }
            (row, result)
        };
        if team == Team::ALONE {
            job.rows.into_iter().map(row).collect()
        } else {
            job.rows.into_par_iter().with_max_len(1).map(row).collect()
        }
    }

    fn predict<A: Answer>(
        &self,
        model: &Loaded,
        embedding: &Embedding,
        prompt: &Prompt,
        claim: Claim<'_, PromptKey, Arc<A>>,
        team: Team,
    ) -> Result<Arc<A>> {
        self.call.check()?;
        let stats = &self.session.stats;
        let prediction = stats.seconds_decode.time(|| model.predict(embedding, prompt, team))?;
        stats.decodes.count();
        let answer = Arc::new(stats.seconds_masks.time(|| A::of(prediction))?);
        claim.keep(answer.clone(), answer.bytes());
        Ok(answer)
    }

    /// The embedding of a picture.
    pub(super) fn embedding(&self, model: &Loaded, image: &[u8], source: Source<'_>, team: Team) -> Result<Embedding> {
        match source {
            Source::Unneeded => Err(Failure::internal("a prompt was claimed without its picture")),
            Source::Given => Ok(self.session.stats.seconds_images.time(|| model.read_blob(image))?),
            Source::Kept(embedding) => embedding,
            Source::Mine(claim) => self.embed(model, image, claim, team),
        }
    }

    /// Decodes and encodes a picture. That its bytes cannot be decoded is remembered as well: `TRY` asks again.
    fn embed(
        &self,
        model: &Loaded,
        image: &[u8],
        claim: Claim<'_, ImageKey, Result<Embedding>>,
        team: Team,
    ) -> Result<Embedding> {
        self.call.check()?;
        let stats = &self.session.stats;
        let picture = match stats.seconds_images.time(|| sam_imaging::decode(image, self.limits)) {
            Ok(picture) => picture,
            Err(error) => {
                // What a limit refuses may be allowed the next time.
                let keep = !error.is_about_a_picture();
                let failure = Failure::from(error);
                if keep {
                    claim.keep(Err(failure.clone()), failure.to_string().len());
                }
                return Err(failure);
            }
        };
        stats.images_decoded.count();
        self.call.check()?;
        let embedding = stats.seconds_encode.time(|| model.embed(&picture, team))?;
        stats.encodes.count();
        claim.keep(Ok(embedding.clone()), embedding.bytes());
        Ok(embedding)
    }
}

impl<A: Answer, P> Job<A, P> {
    fn first_row(&self) -> Option<usize> {
        self.rows.first().map(|(row, _)| *row)
    }
}
