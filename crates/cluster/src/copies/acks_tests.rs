//! Who is waited for, and what is promised, as a table of small cases.

use sterna_base::{Epoch, Modseq, NodeId, Timestamp};
use tokio::time::Instant;

use super::*;
use crate::nodes::Placement;

const ALPHA: NodeId = NodeId([1; 16]);
const BETA: NodeId = NodeId([2; 16]);
const GAMMA: NodeId = NodeId([3; 16]);
const NOW: Timestamp = Timestamp(1_000);

/// Placed on alpha at epoch 5, with these copies.
fn facts(copies: &[(NodeId, CopyStage, u64)]) -> CopyFacts {
    let holder = |&(node, stage, version)| CopyHolder { node, is_standby: true, stage: Some(stage), version };
    let placement = Some(Placement { node: ALPHA, epoch: Epoch(5) });
    CopyFacts { placement, placed_at: 0, copies: copies.iter().map(holder).collect() }
}

fn acks(copies: &[(NodeId, CopyStage, u64)]) -> Acks {
    Acks::new(1, ALPHA, &facts(copies))
}

fn equal(modseq: u64) -> Option<EqualAt> {
    Some(EqualAt { epoch: Epoch(5), modseq: Modseq(modseq) })
}

fn stages(reports: &[CopyHolder]) -> Vec<CopyStage> {
    reports.iter().filter_map(|holder| holder.stage).collect()
}

#[test]
fn nobody_waits_for_a_copy_that_has_not_caught_up() {
    let mut acks = acks(&[(BETA, CopyStage::Seeding, 1)]);
    assert_eq!((acks.gate(), acks.lacks(Modseq(9)), acks.is_needed()), (Gate::Open, None, true));
    // It has a page that did not bring it to the end, then one that did.
    let now = Instant::now();
    assert!(acks.heard(BETA, equal(7), now));
    assert!(acks.reports(acks.turn, Modseq(9), None, now).is_empty());
    assert_eq!(stages(&acks.reports(acks.turn, Modseq(9), Some(BETA), now)), [CopyStage::Joining]);
    assert!(acks.reports(acks.turn, Modseq(9), Some(BETA), now).is_empty(), "one report at a time");
    acks.update(2, ALPHA, &facts(&[]));
    assert!(!acks.is_needed());
}

#[test]
fn a_copy_is_promised_once_it_has_all_that_was_acknowledged_without_it() {
    let mut acks = acks(&[(BETA, CopyStage::Seeding, 1)]);
    let now = Instant::now();
    acks.heard(BETA, equal(7), now);
    let before = acks.turn;
    // Modseq 8 is acknowledged while nobody waits, and then the directory says that beta joins.
    assert_eq!(acks.lacks(Modseq(8)), None);
    acks.update(2, ALPHA, &facts(&[(BETA, CopyStage::Joining, 2)]));
    assert_eq!(acks.lacks(Modseq(9)), Some(BETA));
    assert!(acks.reports(before, Modseq(7), None, now).is_empty(), "read before it joined");
    assert!(acks.reports(acks.turn, Modseq(8), None, now).is_empty(), "it lacks 8");
    acks.heard(BETA, equal(8), now);
    // The account went on, but beta has what was acknowledged without it.
    let reports = acks.reports(acks.turn, Modseq(12), None, now);
    assert_eq!((stages(&reports), reports[0].version), (vec![CopyStage::Awaited], 2));
}

#[test]
fn a_commit_waits_for_every_copy() {
    let mut acks = acks(&[(BETA, CopyStage::Awaited, 1), (GAMMA, CopyStage::Joining, 1)]);
    assert_eq!(acks.gate(), Gate::Unheard(BETA));
    for copy in [BETA, GAMMA] {
        acks.heard(copy, equal(8), Instant::now());
    }
    assert_eq!(acks.gate(), Gate::Open);
    assert_eq!(acks.lacks(Modseq(9)), Some(BETA));
    acks.heard(BETA, equal(9), Instant::now());
    assert_eq!(acks.lacks(Modseq(9)), Some(GAMMA));
    acks.heard(GAMMA, equal(11), Instant::now());
    assert_eq!(acks.lacks(Modseq(9)), None);
    // A copy that was made anew has less than it had.
    acks.heard(GAMMA, equal(3), Instant::now());
    assert_eq!(acks.lacks(Modseq(9)), Some(GAMMA));
}

#[test]
fn what_a_copy_says_of_another_placement_is_no_acknowledgement() {
    let mut acks = acks(&[(BETA, CopyStage::Awaited, 1)]);
    let other = EqualAt { epoch: Epoch(4), modseq: Modseq(99) };
    assert!(!acks.heard(BETA, Some(other), Instant::now()) && !acks.heard(GAMMA, equal(99), Instant::now()));
    assert_eq!(acks.lacks(Modseq(1)), Some(BETA));
    acks.heard(BETA, equal(9), Instant::now());
    // The account went away and came back: what beta had then says nothing of now.
    let placement = Some(Placement { node: ALPHA, epoch: Epoch(7) });
    acks.update(2, ALPHA, &CopyFacts { placement, ..facts(&[(BETA, CopyStage::Awaited, 1)]) });
    assert_eq!((acks.gate(), acks.lacks(Modseq(9))), (Gate::Unheard(BETA), Some(BETA)));
}

#[test]
fn a_copy_that_is_away_shuts_the_account_until_it_has_what_it_owes() {
    let mut acks = acks(&[(BETA, CopyStage::Awaited, 1)]);
    acks.heard(BETA, equal(8), Instant::now());
    acks.give_up(Modseq(9), NOW);
    acks.give_up(Modseq(10), NOW.plus_ms(5));
    assert_eq!(acks.gate(), Gate::Shut(BETA));
    assert_eq!(acks.waiting(), [Waiting { copy: BETA, since: NOW, refused: 3 }]);
    acks.heard(BETA, equal(9), Instant::now());
    assert_eq!(acks.gate(), Gate::Shut(BETA), "it owes 10 as well");
    acks.heard(BETA, equal(10), Instant::now());
    assert_eq!((acks.gate(), acks.waiting()), (Gate::Open, Vec::new()));
    // An unrelated change of the directory lets nobody go; giving up the second disk does.
    acks.give_up(Modseq(11), NOW);
    acks.update(2, ALPHA, &facts(&[(BETA, CopyStage::Awaited, 1)]));
    assert_eq!(acks.gate(), Gate::Shut(BETA));
    acks.update(3, ALPHA, &facts(&[]));
    assert_eq!((acks.gate(), acks.lacks(Modseq(11))), (Gate::Open, None));
}

#[test]
fn a_copy_that_goes_on_asking_is_waited_for() {
    let mut acks = acks(&[(BETA, CopyStage::Awaited, 1)]);
    let start = Instant::now();
    let silence = Duration::from_millis(COPY_SILENCE_MS);
    acks.heard(BETA, equal(8), start);
    assert_eq!(acks.patience(Modseq(9), start), start + silence);
    let later = start + silence / 2;
    acks.heard(BETA, None, later);
    assert_eq!(acks.patience(Modseq(9), start), later + silence);
    assert!(!acks.is_to_be_called(BETA, later));
    assert!(acks.is_to_be_called(BETA, later + silence));
    assert!(!acks.is_to_be_called(BETA, later + silence), "one call at a time");
}
