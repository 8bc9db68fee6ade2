//! Work spread over threads.

use crate::pool::in_parallel;
use sam_model::Threads;
use std::sync::{Mutex, PoisonError};

/// A piece of work.
pub(super) struct Piece<'a> {
    /// Whether a network has to run for it.
    pub(super) is_heavy: bool,
    /// Does it with some threads.
    pub(super) run: Run<'a>,
}

/// Does something with some threads.
pub(super) type Run<'a> = Box<dyn FnOnce(Threads) + Send + 'a>;

/// Does all `work` on the threads of the pool that this runs on. One piece per thread needs no waiting for each other.
/// Heavy pieces that are left over, too few to fill all threads once more, are worked on by all threads, one piece
/// after the other. So are all heavy pieces that are `large`.
pub(super) fn spread(work: Vec<Piece<'_>>, threads: usize, large: bool) {
    let (mut alone, light): (Vec<_>, Vec<_>) = work.into_iter().partition(|piece| piece.is_heavy);
    let together = alone.split_off(if large { 0 } else { alone.len() / threads * threads });
    alone.extend(light);
    side_by_side(alone.into_iter().map(|piece| piece.run).collect());
    let all = Threads::new(threads);
    together.into_iter().for_each(|piece| (piece.run)(all));
}

/// Does all of `work` on the threads of the pool that this runs on, each piece on one.
pub(super) fn side_by_side(work: Vec<Run<'_>>) {
    let work: Vec<_> = work.into_iter().map(|run| Mutex::new(Some(run))).collect();
    in_parallel(work.len(), 1, &|index| {
        let run = work[index].lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(run) = run {
            run(Threads::ONE);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_work_is_done_once() {
        for (heavy, light, threads, large) in [(0, 0, 2, false), (5, 3, 2, false), (1, 0, 4, false), (8, 1, 4, true)] {
            let done = Mutex::new(Vec::new());
            let piece = |index| {
                let (is_heavy, done) = (index < heavy, &done);
                let run = move |threads| done.lock().unwrap().push((index, is_heavy && threads != Threads::ONE));
                Piece { is_heavy, run: Box::new(run) }
            };
            spread((0..heavy + light).map(piece).collect(), threads, large);
            let mut done = done.into_inner().unwrap();
            done.sort();
            assert!(done.iter().map(|(index, _)| *index).eq(0..heavy + light));
            let shared = if large { heavy } else { heavy % threads };
            assert_eq!(done.iter().filter(|(_, shared)| *shared).count(), shared);
        }
    }
}
