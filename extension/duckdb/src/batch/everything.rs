//! All masks of a picture, for rows that have no prompt: one picture after the other, each on all threads, as a picture is
//! hundreds of prompts.

use super::group::Group;
use super::work::{Site, Source};
use super::{Batch, FirstFailure, pass};
use crate::failure::{Failure, Result};
use crate::record::{Everything, Place, Record};
use crate::session::{Claim, Digest, Loaded, Look, PromptKey};
use sam_model::{GenerateOptions, Team, is_embedding};
use std::sync::Arc;

impl Batch<'_> {
    /// What is in each row's picture; `options` makes those of a row, for its model.
    pub fn everything(
        self,
        options: impl Fn(usize, &Loaded) -> Result<GenerateOptions>,
    ) -> Result<Vec<Option<Arc<Everything>>>> {
        let mut answers: Vec<_> = std::iter::repeat_with(|| None).take(self.rows.len()).collect();
        let failures = FirstFailure::new(self.tolerance.stops());
        let mut rows: Vec<_> =
            self.groups.iter().flat_map(|group| group.rows.iter().map(move |row| (*row, group))).collect();
        rows.sort_by_key(|(row, _)| *row);
        let aftermath = &self.session.memo.aftermath;
        if self.rows.len() > 1 {
            aftermath.leave(std::iter::empty());
        }
        let mut found = Vec::new();
        for (row, group) in rows {
            if failures.before(row) {
                break;
            }
            let answer = options(row, &group.model).and_then(|options| {
                let key = PromptKey { image: group.key, prompt: Digest::of_bytes(format!("{options:?}").as_bytes()) };
                let answer = self.find(group, &options, key, &failures)?;
                found.push((key, answer.clone()));
                Ok(answer)
            });
            if let Err(failure) = &answer {
                failures.note(row, failure);
            }
            answers[row] = Some(answer);
        }
        if failures.before(usize::MAX) {
            aftermath.leave(found.into_iter());
        }
        pass(&self.tolerance, &self.rows, answers)
    }

    /// From the memo, or made. Waits, while it holds no claim, for another call that makes the same.
    fn find(
        &self,
        group: &Group<'_>,
        options: &GenerateOptions,
        key: PromptKey,
        failures: &FirstFailure,
    ) -> Result<Arc<Everything>> {
        let memo = &self.session.memo;
        loop {
            self.call.check()?;
            let claim = match memo.everything.look(&key) {
                Look::Kept(found) => {
                    self.session.stats.memo_hits.count();
                    return Ok(found);
                }
                Look::Busy => {
                    memo.everything.wait(&key, || self.call.is_cancelled());
                    continue;
                }
                Look::Mine(claim) => claim,
            };
            if let Some(found) = memo.aftermath.take(&key) {
                self.session.stats.memo_hits.count();
                return Ok(found);
            }
            match Source::of(self.session, group) {
                Some(source) => return self.make(group, options, source, claim, failures),
                None => {
                    drop(claim);
                    memo.embeddings.wait(&group.key, || self.call.is_cancelled());
                }
            }
        }
    }

    fn make(
        &self,
        group: &Group<'_>,
        options: &GenerateOptions,
        source: Source<'_>,
        claim: Claim<'_, PromptKey, Arc<Everything>>,
        failures: &FirstFailure,
    ) -> Result<Arc<Everything>> {
        let (session, limits) = (self.session, &self.limits);
        let site = Site { session, limits, call: &self.call, failures };
        let team = Team::new(self.pool.threads());
        let found = self.pool.run(|| {
            let whole = site.embedding(&group.model, group.image, source, team)?;
            let picture = match options.crop_n_layers {
                0 => None,
                _ if is_embedding(group.image) => {
                    return Err(Failure::new(
                        "crop_n_layers looks at parts of the picture, and an embedding has none; give the picture itself",
                    ));
                }
                _ => Some(session.stats.seconds_images.time(|| sam_imaging::decode(group.image, limits))?),
            };
            let proceed = || {
                session.stats.decodes.count();
                !self.call.is_cancelled()
            };
            let seconds = &session.stats.seconds_decode;
            let found = seconds.time(|| group.model.generate(&whole, picture.as_ref(), options, team, proceed))?;
            match found {
                Some(found) => Ok(found),
                None => Err(self.call.check().err().unwrap_or_else(|| Failure::internal("stopped without a reason"))),
            }
        })??;
        let place = |found: &sam_model::Generated| Place { point: found.point, crop_box: found.crop_box };
        let places = found.iter().map(place).collect();
        let records = found.into_iter().map(|found| Some(Arc::new(Record::from(found)))).collect();
        let everything = Arc::new(Everything { records, places });
        claim.keep(everything.clone(), everything.bytes());
        Ok(everything)
    }
}
