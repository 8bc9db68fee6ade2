//! Work spread over threads.

use rayon::prelude::*;
use sam_model::Team;

/// Work that may need a network.
pub(super) trait Heavy {
    /// Whether a network has to run for it.
    fn is_heavy(&self) -> bool;
}

/// Does all `work` on the threads of the pool that this runs on. One piece per thread needs no waiting for each other. What
/// is left over, when the heavy pieces do not fill all threads once more, is worked on by all of them, one piece after the
/// other; so are all heavy pieces that are `large`.
pub(super) fn spread<W: Heavy + Send, R: Send>(
    work: Vec<W>,
    threads: usize,
    large: bool,
    answer: impl Fn(W, Team) -> Vec<R> + Sync,
) -> Vec<R> {
    let (mut alone, light): (Vec<_>, Vec<_>) = work.into_iter().partition(Heavy::is_heavy);
    let together = alone.split_off(if large { 0 } else { alone.len() / threads * threads });
    alone.extend(light);
    let mut answers: Vec<_> =
        alone.into_par_iter().with_max_len(1).flat_map_iter(|work| answer(work, Team::ALONE)).collect();
    let team = Team::new(threads);
    answers.extend(together.into_iter().flat_map(|work| answer(work, team)));
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Piece(bool, usize);

    impl Heavy for Piece {
        fn is_heavy(&self) -> bool {
            self.0
        }
    }

    #[test]
    fn all_work_is_done_once() {
        for (heavy, light, threads, large) in [(0, 0, 2, false), (5, 3, 2, false), (1, 0, 4, false), (8, 1, 4, true)] {
            let pieces = (0..heavy + light).map(|index| Piece(index < heavy, index)).collect();
            let answer = |Piece(heavy, index), team| vec![(index, heavy && team != Team::ALONE)];
            let mut done = spread(pieces, threads, large, answer);
            done.sort();
            assert!(done.iter().map(|(index, _)| *index).eq(0..heavy + light));
            let shared = if large { heavy } else { heavy % threads };
            assert_eq!(done.iter().filter(|(_, shared)| *shared).count(), shared);
        }
    }
}
