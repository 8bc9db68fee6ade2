//! Embeddings themselves, for rows that have no prompt yet.

use super::group::Group;
use super::work::{Site, Source};
use super::{Batch, FirstFailure, Heavy, pass, spread};
use crate::failure::Result;
use sam_model::Embedding;

/// One picture.
struct Work<'a> {
    group: Group<'a>,
    source: Source<'a>,
}

impl Heavy for Work<'_> {
    fn is_heavy(&self) -> bool {
        matches!(self.source, Source::Mine(_))
    }
}

impl Batch<'_> {
    /// The embedding of each row's picture.
    pub fn embeddings(self) -> Result<Vec<Option<Embedding>>> {
        let Self { session, tolerance, limits, pool, call, rows, groups } = self;
        let mut answers: Vec<_> = std::iter::repeat_with(|| None).take(rows.len()).collect();
        let failures = FirstFailure::new(tolerance.stops());
        let site = Site { session, limits: &limits, call: &call, failures: &failures };
        let mut waiting = groups;
        while !waiting.is_empty() {
            let (mut work, mut busy) = (Vec::new(), Vec::new());
            for group in waiting {
                match Source::of(session, &group) {
                    Some(source) => work.push(Work { group, source }),
                    None => busy.push(group),
                }
            }
            waiting = busy;
            if work.is_empty() {
                waiting.iter().take(1).for_each(|group| {
                    session.memo.embeddings.wait(&group.key, || call.is_cancelled());
                });
                call.check()?;
                continue;
            }
            let embed = |Work { group, source }: Work<'_>, team| {
                let first = group.first_row();
                if failures.before(first) {
                    return Vec::new();
                }
                let embedding = site.embedding(&group.model, group.image, source, team);
                if let Err(failure) = &embedding {
                    failures.note(first, failure);
                }
                group.rows.into_iter().map(|row| (row, embedding.clone())).collect()
            };
            for (row, embedding) in pool.run(|| spread(work, pool.threads(), embed))? {
                answers[row] = Some(embedding);
            }
            waiting.retain(|group| !failures.before(group.first_row()));
        }
        pass(&tolerance, &rows, answers)
    }
}
