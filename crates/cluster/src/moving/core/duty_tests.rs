//! The table of decision 16, line by line.

use sterna_account::Role::{self, Active, Follower, Ready, Sealed};
use sterna_base::{Epoch, NodeId};

use super::duty::{Duty, Facts, StoreFacts, duty};
use crate::nodes::Placement;

const HERE: NodeId = NodeId([1; 16]);
const THERE: NodeId = NodeId([2; 16]);

fn facts(node: NodeId, epoch: u64, is_copy: bool) -> Facts {
    Facts { node: HERE, placement: Some(Placement { node, epoch: Epoch(epoch) }), is_copy }
}

fn store(role: Role, epoch: u64) -> StoreFacts {
    StoreFacts { role, epoch: Epoch(epoch), is_whole: true }
}

#[test]
fn the_table_holds() {
    let (here, copy, neither) = (facts(HERE, 5, false), facts(THERE, 5, true), facts(THERE, 5, false));
    let serve = Duty::Serve { epoch: Epoch(5) };
    let follower = Duty::BecomeFollower { epoch: Epoch(5) };
    let table = [
        (here, Some(store(Sealed, 4)), serve),
        (here, Some(store(Follower, 4)), serve),
        (here, Some(store(Ready, 4)), serve),
        (here, Some(store(Active, 4)), serve),
        (here, Some(store(Active, 5)), serve),
        (here, Some(store(Ready, 5)), serve),
        (here, Some(store(Sealed, 5)), Duty::WaitSealed),
        (here, Some(store(Follower, 5)), Duty::Nothing),
        (here, Some(store(Active, 6)), Duty::Nothing),
        (here, None, Duty::Nothing),
        (copy, None, Duty::MakeFollower { epoch: Epoch(5) }),
        (copy, Some(store(Sealed, 4)), follower),
        (copy, Some(store(Active, 4)), follower),
        (copy, Some(store(Ready, 4)), follower),
        (copy, Some(store(Ready, 6)), Duty::WaitReady),
        (copy, Some(store(Follower, 4)), Duty::FollowFrom(THERE)),
        (copy, Some(store(Follower, 5)), Duty::FollowFrom(THERE)),
        (copy, Some(store(Active, 6)), Duty::Nothing),
        (neither, Some(store(Sealed, 4)), Duty::Nothing),
        (neither, Some(store(Follower, 4)), Duty::Nothing),
        (neither, None, Duty::Nothing),
    ];
    for (line, (facts, store, expected)) in table.into_iter().enumerate() {
        assert_eq!(duty(&facts, store.as_ref()), expected, "line {line}");
    }
    let nobody = Facts { node: HERE, placement: None, is_copy: true };
    assert_eq!(duty(&nobody, Some(&store(Active, 1))), Duty::Nothing);
}

#[test]
fn half_a_copy_never_serves() {
    let half = StoreFacts { is_whole: false, ..store(Follower, 4) };
    assert_eq!(duty(&facts(HERE, 5, false), Some(&half)), Duty::Nothing);
}
