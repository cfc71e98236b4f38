//! Who is told that users put messages from one mailbox into another, by whatever protocol: a spam filter learns from
//! what goes into Junk and comes out of it.

use sterna_base::{AccountId, ContainerId};

use crate::{Committed, Mutation, Outcome, UidSet};

/// Messages that somebody moved or copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Whose account.
    pub account: AccountId,
    /// Where they were.
    pub from: ContainerId,
    /// Where they are now.
    pub to: ContainerId,
    /// Under which UIDs.
    pub uids: UidSet,
}

/// Is told of movements. It answers from memory: commits of users are behind it.
pub trait Movements: Send + Sync {
    /// Whether somebody wants to know now.
    fn is_wanted(&self) -> bool;

    /// They are durable.
    fn moved(&self, movement: Movement);
}

/// Tells what a commit moved.
pub(super) fn tell(movements: &dyn Movements, account: AccountId, mutations: &[Sent], committed: &Committed) {
    if committed.repeated {
        return;
    }
    for sent in mutations {
        let Some(Outcome::Copied { pairs, .. }) = committed.outcomes.get(sent.number) else { continue };
        let uids: UidSet = pairs.iter().map(|(_, to)| *to).collect();
        if !pairs.is_empty() {
            movements.moved(Movement { account, from: sent.from, to: sent.to, uids });
        }
    }
}

/// Which mutation of a commit copies, and from where to where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    number: usize,
    from: ContainerId,
    to: ContainerId,
}

/// The mutations that copy from one container to another.
pub(super) fn sent(mutations: &[Mutation]) -> Vec<Sent> {
    let copy = |(number, mutation): (usize, &Mutation)| match mutation {
        Mutation::Copy { from, to, .. } if from != to => Some(Sent { number, from: *from, to: *to }),
        _ => None,
    };
    mutations.iter().enumerate().filter_map(copy).collect()
}
