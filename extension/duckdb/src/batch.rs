//! The rows of one vector become the least possible work, spread over all cores.
//!
//! Rows are grouped by model and picture: each picture is decoded and encoded once, however many rows prompt it.
//! Several pictures are worked on side by side; the embedding of one lives only until its rows are answered.
//!
//! Which failure is reported does not depend on timing: what can be found before any inference (arguments,
//! models, pictures whose header cannot be read) comes first, then the rest; each in the order of the rows.

use crate::failure::{Failure, Result};
use crate::session::Session;
use rayon::prelude::*;
use sam_imaging::Limits;
use sam_model::{Embedding, Model, Prediction, Prompt, Team};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What one row asks for.
#[derive(Debug)]
pub struct Request<'a> {
    /// What the user calls the model.
    pub model: &'a str,
    /// The compressed picture.
    pub image: &'a [u8],
    /// Where to look.
    pub prompt: Prompt,
}

/// The work of one vector.
pub struct Batch<'a> {
    session: &'static Session,
    rows: usize,
    groups: Vec<Group<'a>>,
}

/// All rows about one picture.
struct Group<'a> {
    model: Arc<Model>,
    image: &'a [u8],
    /// Width and height, in pixels.
    size: (usize, usize),
    jobs: Vec<(usize, Prompt)>,
}

impl<'a> Batch<'a> {
    /// Groups the rows; `None` is a row without an answer.
    pub fn new(session: &'static Session, requests: Vec<Option<Request<'a>>>) -> Result<Self> {
        let rows = requests.len();
        let mut models: HashMap<&str, (usize, Arc<Model>)> = HashMap::new();
        let mut grouping = Grouping::default();
        let mut groups: Vec<Group<'a>> = Vec::new();
        for (row, request) in requests.into_iter().enumerate() {
            let Some(Request { model, image, prompt }) = request else { continue };
            let number = models.len();
            let (number, model) = match models.get(model) {
                Some(known) => known,
                None => models.entry(model).or_insert((number, session.model(model)?)),
            };
            let index = grouping.group(*number, image);
            if index == groups.len() {
                let header = sam_imaging::info(image, &Limits::default())?;
                let size = (header.width as usize, header.height as usize);
                groups.push(Group { model: model.clone(), image, size, jobs: Vec::new() });
            }
            groups[index].jobs.push((row, prompt));
        }
        Ok(Self { session, rows, groups })
    }

    /// The pixels of each row's picture; 0 where there is no answer.
    pub fn pixels(&self) -> Vec<usize> {
        let mut pixels = vec![0; self.rows];
        for group in &self.groups {
            for (row, _) in &group.jobs {
                pixels[*row] = group.size.0.saturating_mul(group.size.1);
            }
        }
        pixels
    }

    /// Answers all rows: `finish` makes a row's result of its prediction and of its entry of `payloads`.
    pub fn run<P: Send, T: Send>(
        self,
        payloads: Vec<P>,
        finish: impl Fn(&Prediction, P) -> Result<T> + Sync,
    ) -> Result<Vec<Option<T>>> {
        let Self { session, rows, groups } = self;
        let mut payloads: Vec<_> = payloads.into_iter().map(Some).collect();
        let mut work: Vec<_> = groups
            .into_iter()
            .map(|group| {
                let mut take = |(row, prompt)| Some(Job { row, prompt, payload: payloads.get_mut(row)?.take()? });
                let jobs: Vec<_> = group.jobs.into_iter().filter_map(&mut take).collect();
                (group.model, group.image, jobs)
            })
            .collect();
        let failures = FirstFailure::default();
        // One picture per thread needs no waiting for each other; what is left over when the pictures do not fill all
        // threads once more is worked on by all of them, one picture after the other.
        let threads = session.pool.threads();
        let alone = work.len() / threads * threads;
        let together = work.split_off(alone);
        let answers: Vec<_> = session.pool.run(|| {
            let answer = |(model, image, jobs): (Arc<Model>, &[u8], Vec<Job<P>>), team: Team| {
                picture(session, &failures, &model, image, jobs, team, &finish)
            };
            let mut answers: Vec<_> =
                work.into_par_iter().with_max_len(1).flat_map(|group| answer(group, Team::ALONE)).collect();
            let team = Team::new(threads);
            answers.extend(together.into_iter().flat_map(|group| answer(group, team)));
            answers
        })?;
        let mut results: Vec<_> = std::iter::repeat_with(|| None).take(rows).collect();
        let mut first: Option<(usize, Failure)> = None;
        for (row, answer) in answers {
            match answer {
                Ok(result) => results[row] = Some(result),
                Err(failure) if first.as_ref().is_none_or(|(earlier, _)| row < *earlier) => {
                    first = Some((row, failure))
                }
                Err(_) => {}
            }
        }
        first.map_or(Ok(results), |(_, failure)| Err(failure))
    }
}

/// A row that waits for its prediction.
struct Job<P> {
    row: usize,
    prompt: Prompt,
    payload: P,
}

/// Answers all rows about one picture with the threads of `team`. Rows behind a row that has failed are left out.
fn picture<P: Send, T: Send>(
    session: &Session,
    failures: &FirstFailure,
    model: &Model,
    image: &[u8],
    jobs: Vec<Job<P>>,
    team: Team,
    finish: &(impl Fn(&Prediction, P) -> Result<T> + Sync),
) -> Vec<(usize, Result<T>)> {
    let Some(first) = jobs.iter().map(|job| job.row).min() else { return Vec::new() };
    if failures.before(first) {
        return Vec::new();
    }
    let embedding = match embed(session, model, image, team) {
        Ok(embedding) => embedding,
        Err(failure) => {
            failures.note(first);
            return vec![(first, Err(failure))];
        }
    };
    let answer = |Job { row, prompt, payload }: Job<P>, team: Team| {
        if failures.before(row) {
            return None;
        }
        let prediction = session.stats.seconds_decode.time(|| model.predict(&embedding, &prompt, team));
        session.stats.decodes.count();
        let result = prediction.map_err(Failure::from);
        let result = result.and_then(|prediction| session.stats.seconds_masks.time(|| finish(&prediction, payload)));
        if result.is_err() {
            failures.note(row);
        }
        Some((row, result))
    };
    // Several prompts are spread over the threads, a single one is worked on by all.
    if team == Team::ALONE || jobs.len() == 1 {
        jobs.into_iter().filter_map(|job| answer(job, team)).collect()
    } else {
        jobs.into_par_iter().with_max_len(1).filter_map(|job| answer(job, Team::ALONE)).collect()
    }
}

fn embed(session: &Session, model: &Model, image: &[u8], team: Team) -> Result<Embedding> {
    let stats = &session.stats;
    let picture = stats.seconds_images.time(|| sam_imaging::decode(image, &Limits::default()))?;
    stats.images_decoded.count();
    let embedding = stats.seconds_encode.time(|| model.embed(&picture, team))?;
    stats.encodes.count();
    Ok(embedding)
}

/// The first row known to have failed. Rows before it are still answered, as one of them may fail as well; so
/// what is reported in the end is the first of all.
struct FirstFailure(AtomicUsize);

impl Default for FirstFailure {
    fn default() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }
}

impl FirstFailure {
    fn note(&self, row: usize) {
        self.0.fetch_min(row, Ordering::Relaxed);
    }

    fn before(&self, row: usize) -> bool {
        self.0.load(Ordering::Relaxed) < row
    }
}

/// Which group a picture belongs to. Rows of a join share the very bytes, so that most are recognised by their
/// address and need not be hashed.
#[derive(Default)]
struct Grouping<'a> {
    by_address: HashMap<(usize, *const u8, usize), usize>,
    by_content: HashMap<(usize, &'a [u8]), usize>,
}

impl<'a> Grouping<'a> {
    /// The number of the group; the groups are numbered as they appear.
    fn group(&mut self, model: usize, image: &'a [u8]) -> usize {
        *self.by_address.entry((model, image.as_ptr(), image.len())).or_insert_with(|| {
            let next = self.by_content.len();
            *self.by_content.entry((model, image)).or_insert(next)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_model_and_content() {
        let (a, b, copy) = (b"aa".to_vec(), b"bb".to_vec(), b"aa".to_vec());
        let mut grouping = Grouping::default();
        let groups: Vec<_> = [(0, &a), (0, &b), (0, &copy), (1, &a), (0, &a), (1, &copy)]
            .into_iter()
            .map(|(model, image)| grouping.group(model, image))
            .collect();
        assert_eq!(groups, [0, 1, 0, 2, 0, 2]);
    }

    #[test]
    fn only_rows_behind_the_first_failure_are_left_out() {
        let failures = FirstFailure::default();
        assert!(!failures.before(100));
        failures.note(7);
        failures.note(9);
        assert!(!failures.before(7) && !failures.before(3) && failures.before(8));
    }
}
