//! Forks: where an account went on from a standby copy, without its lost server having been asked.
//!
//! Each failover is noted in the store that takes over, and in every copy that becomes equal to it. So two copies can
//! say where their histories part, whatever happened since: at the first fork that only one of them has.

use serde::{Deserialize, Serialize};
use sterna_base::{Epoch, Modseq, Uid};

use crate::follow::Progress;

/// Forks that a store remembers; the oldest go. A copy that was away for more failovers than that is taken for one that
/// parted at the oldest that is known.
pub const FORKS_MAX: usize = 32;

/// How far modseqs jump when a copy takes over: what the lost server gave out beyond what the copy has is not known,
/// and clients may have seen it. A modseq never means two states.
pub const MODSEQS_SKIPPED: u64 = 1 << 20;
/// The same of the UIDs of each container. A container whose UIDs come to an end skips half of what is left.
pub const UIDS_SKIPPED: u32 = 1 << 18;
/// The same of the ids of containers, and of UIDVALIDITYs.
pub const CONTAINERS_SKIPPED: u64 = 1 << 12;

/// The next UID of a container after its account was taken over.
pub fn uid_next_after(uid_next: Uid) -> Uid {
    let left = Uid::MAX.0 - uid_next.0;
    Uid(uid_next.0 + UIDS_SKIPPED.min(left / 2))
}

/// How many modseqs were skipped in a history after this place.
pub fn skipped_after(modseq: Modseq, forks: &[Fork]) -> u64 {
    forks.iter().filter(|fork| fork.at.rows.modseq >= modseq).count() as u64 * MODSEQS_SKIPPED
}

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
    fn numbers_jump_and_never_come_to_an_end() {
        assert_eq!(uid_next_after(Uid(1)), Uid(1 + UIDS_SKIPPED));
        let mut last = Uid(Uid::MAX.0 - 5);
        for _ in 0..9 {
            last = uid_next_after(last);
        }
        assert!(last < Uid::MAX);
        let forks = [fork(2, 10), fork(4, 2 * MODSEQS_SKIPPED)];
        let skipped = |modseq| skipped_after(Modseq(modseq), &forks) / MODSEQS_SKIPPED;
        assert_eq!([skipped(3), skipped(10), skipped(11), skipped(3 * MODSEQS_SKIPPED)], [2, 2, 1, 0]);
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
