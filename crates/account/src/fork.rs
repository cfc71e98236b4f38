//! Forks: where an account went on from a standby copy, without its lost server having been asked.
//!
//! Each failover is noted in the store that takes over, and in every copy that becomes equal to it. So two copies can
//! say where their histories part, whatever happened since: at the first fork that only one of them has.

use serde::{Deserialize, Serialize};
use sterna_base::Epoch;

use crate::follow::Progress;

/// Forks that a store remembers; the oldest go. A copy that was away for more failovers than that is taken for one that
/// parted at the oldest that is known.
pub const FORKS_MAX: usize = 32;

/// A standby copy took over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// The epoch under which it went on.
    pub epoch: Epoch,
    /// What it had of the account then.
    pub at: Progress,
}

/// Adds a fork to those that a store remembers.
pub fn remember(forks: &mut Vec<Fork>, fork: Fork) {
    forks.retain(|known| known.epoch < fork.epoch);
    forks.push(fork);
    let excess = forks.len().saturating_sub(FORKS_MAX);
    forks.drain(..excess);
}

/// Where a copy parted from the account: `None` when it has nothing that the account lacks. `own` is how far the copy
/// is.
pub fn parted(own: &Progress, ours: &[Fork], theirs: &[Fork]) -> Option<Fork> {
    let oldest = |forks: &[Fork]| forks.first().filter(|_| forks.len() >= FORKS_MAX).map(|fork| fork.epoch);
    let known_from = oldest(ours).max(oldest(theirs));
    let is_only_in =
        |fork: &&Fork, others: &[Fork]| !others.contains(fork) && known_from.is_none_or(|e| fork.epoch >= e);
    let only = ours.iter().filter(|fork| is_only_in(fork, theirs)).chain(theirs.iter().filter(|f| is_only_in(f, ours)));
    let first = only.min_by_key(|fork| (fork.at.rows, fork.at.answers, fork.epoch))?;
    let is_beyond = own.rows > first.at.rows || own.answers > first.at.answers;
    is_beyond.then_some(*first)
}

#[cfg(test)]
mod tests {
    use sterna_base::Modseq;

    use super::*;
    use crate::Cursor;

    fn at(modseq: u64) -> Progress {
        Progress { rows: Cursor::since(Modseq(modseq)), answers: modseq }
    }

    fn fork(epoch: u64, modseq: u64) -> Fork {
        Fork { epoch: Epoch(epoch), at: at(modseq) }
    }

    #[test]
    fn a_copy_that_had_no_more_than_was_taken_over_has_nothing_of_its_own() {
        for own in [1, 9, 10] {
            assert_eq!(parted(&at(own), &[], &[fork(2, 10)]), None);
        }
        assert_eq!(parted(&at(11), &[], &[fork(2, 10)]), Some(fork(2, 10)));
        // One operation that changed no row counts, too: its answer must not be taken for another's.
        let answered = Progress { answers: 11, ..at(10) };
        assert_eq!(parted(&answered, &[], &[fork(2, 10)]), Some(fork(2, 10)));
        assert_eq!(parted(&at(11), &[], &[]), None);
        assert_eq!(parted(&at(50), &[fork(2, 10)], &[fork(2, 10)]), None);
    }

    #[test]
    fn the_first_difference_counts_on_whichever_side_it_is() {
        let theirs = [fork(2, 10), fork(4, 20), fork(6, 30)];
        assert_eq!(parted(&at(25), &theirs[..1], &theirs), Some(fork(4, 20)));
        assert_eq!(parted(&at(15), &theirs[..1], &theirs), None);
        // The account went on elsewhere from an earlier place than where this copy once took over.
        assert_eq!(parted(&at(40), &[fork(2, 10), fork(3, 18)], &[fork(2, 10), fork(5, 15)]), Some(fork(5, 15)));
        assert_eq!(parted(&at(40), &[fork(3, 12)], &[fork(5, 15)]), Some(fork(3, 12)));
    }

    #[test]
    fn what_is_too_old_is_forgotten_on_both_sides() {
        let mut theirs = Vec::new();
        for n in 1..=40 {
            remember(&mut theirs, fork(n, 10 * n));
        }
        assert_eq!((theirs.len(), theirs[0]), (FORKS_MAX, fork(9, 90)));
        let ours: Vec<Fork> = (1..=40).map(|n| fork(n, 10 * n)).collect();
        assert_eq!(parted(&at(999), &ours[..40], &theirs), None);
        assert_eq!(parted(&at(999), &[], &theirs), Some(fork(9, 90)));
        remember(&mut theirs, fork(20, 5));
        assert_eq!(theirs.last(), Some(&fork(20, 5)));
    }
}
