//! What a data server does about its store of one account, given what the directory says.
//!
//! The table of decision 16. It is asked again whenever the directory or the store changes, and after every start; it
//! remembers nothing. No time appears in it: a sealed store waits for as long as the directory says nothing else.

use sterna_account::Role;
use sterna_base::{Epoch, NodeId};

use crate::nodes::Placement;

/// What this node's copy of the directory says about one account. The copy may be behind; it never says what the
/// directory never said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// This node.
    pub node: NodeId,
    /// Where the account lives; `None` when there is no such account.
    pub placement: Option<Placement>,
    /// Whether this node is to hold a copy of it.
    pub is_copy: bool,
}

/// What this node's store of the account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFacts {
    /// Its role.
    pub role: Role,
    /// Its epoch.
    pub epoch: Epoch,
    /// Whether it holds the account's data: it was active once, or equal to the account that it follows.
    pub is_whole: bool,
}

/// What to do about one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Make it `Active` with this epoch, unless it is, and serve.
    Serve {
        /// The placement's epoch.
        epoch: Epoch,
    },
    /// It is sealed, and a cut-over is under way: only the directory ends that.
    WaitSealed,
    /// It is ready to take over, and the cut-over is under way.
    WaitReady,
    /// Make a store with role `Follower` and nothing in it.
    MakeFollower {
        /// Its epoch: the placement's.
        epoch: Epoch,
    },
    /// The account lives elsewhere now, or a cut-over to here was given up: make it a `Follower` with this epoch.
    BecomeFollower {
        /// The placement's epoch.
        epoch: Epoch,
    },
    /// Ask this server for pages.
    FollowFrom(NodeId),
    /// Nothing. Nobody is served; only a pending-store row of the directory deletes.
    Nothing,
}

/// Says what to do about a store (`None`: there is none here).
pub fn duty(directory: &Facts, store: Option<&StoreFacts>) -> Duty {
    match (directory.placement, store) {
        (None, _) => Duty::Nothing,
        (Some(placement), Some(store)) if placement.node == directory.node => placed_here(placement.epoch, store),
        // A new account's store is made on the main node's word.
        (Some(placement), None) if placement.node == directory.node => Duty::Nothing,
        (Some(_), _) if !directory.is_copy => Duty::Nothing,
        (Some(placement), None) => Duty::MakeFollower { epoch: placement.epoch },
        (Some(placement), Some(store)) => copied_here(placement, store),
    }
}

fn placed_here(epoch: Epoch, store: &StoreFacts) -> Duty {
    match store.role {
        // The store was told more than this node's copy of the directory knows yet.
        _ if epoch < store.epoch => Duty::Nothing,
        _ if epoch > store.epoch && store.is_whole => Duty::Serve { epoch },
        _ if epoch > store.epoch => Duty::Nothing,
        // `Ready` has the epoch of its cut-over already; now the directory has given it the account.
        Role::Active | Role::Ready => Duty::Serve { epoch },
        Role::Sealed => Duty::WaitSealed,
        // A follower has the epoch of a placement elsewhere, and no epoch is given twice.
        Role::Follower => Duty::Nothing,
    }
}

fn copied_here(placement: Placement, store: &StoreFacts) -> Duty {
    let epoch = placement.epoch;
    match store.role {
        Role::Ready if epoch < store.epoch => Duty::WaitReady,
        _ if epoch < store.epoch => Duty::Nothing,
        Role::Active | Role::Sealed | Role::Ready => Duty::BecomeFollower { epoch },
        Role::Follower => Duty::FollowFrom(placement.node),
    }
}
