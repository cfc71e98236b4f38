//! The steps of a move, one situation each.

use sterna_account::{Digest, Role};
use sterna_base::{AccountId, Epoch, Modseq, NodeId, Timestamp};

use super::answers::{Answers, FollowingSaid, Lag, Said};
use super::limits::{
    ATTEMPTS_MAX, BACK_OFF_MAX_MS, BACK_OFF_MIN_MS, CUT_OVER_MS, FRESH_MS, LAG_BYTES_MAX, LAG_ROWS_MAX,
};
use super::step::{AbortReason, End, MovePhase, MoveView, Step, next_step};

const NOW: Timestamp = Timestamp(1_000_000);
const DIGEST: Digest = Digest(77);

fn row(phase: MovePhase) -> MoveView {
    let (from, to) = (NodeId([1; 16]), NodeId([2; 16]));
    MoveView { account: AccountId(1), from, to, placement_epoch: Epoch(5), phase, attempts: 1 }
}

fn cut_over() -> MoveView {
    row(MovePhase::CutOver { epoch: Epoch(6), deadline: NOW.plus_ms(CUT_OVER_MS) })
}

fn said(role: Role, epoch: u64, modseq: u64) -> Said {
    Said { role, epoch: Epoch(epoch), modseq: Modseq(modseq), digest: DIGEST, answers: 30, following: None }
}

fn copy(role: Role, epoch: u64, modseq: u64) -> Said {
    let following = FollowingSaid { equal_at: Some(Modseq(modseq)), lag: Lag::default(), differs: false };
    Said { following: Some(following), ..said(role, epoch, modseq) }
}

fn answers(source: Option<Said>, target: Option<Said>) -> Answers {
    let mut answers = Answers::default();
    answers.source.answered(source, NOW);
    answers.target.answered(target, NOW);
    answers
}

fn near() -> Answers {
    answers(Some(said(Role::Active, 5, 100)), Some(copy(Role::Follower, 5, 90)))
}

#[test]
fn both_are_asked_before_a_cut_over_begins() {
    let row = row(MovePhase::Copying { not_before: None });
    let mut answers = Answers::default();
    assert_eq!(next_step(&row, &answers, NOW), Step::AskTarget);
    answers.target = near().target;
    assert_eq!(next_step(&row, &answers, NOW), Step::AskSource);
    answers.source = near().source;
    assert_eq!(next_step(&row, &answers, NOW), Step::StartCutOver { deadline: NOW.plus_ms(CUT_OVER_MS) });
    assert_eq!(next_step(&row, &answers, NOW.plus_ms(FRESH_MS)), Step::AskTarget, "old answers are not trusted");
    assert_eq!(next_step(&row, &answers, NOW.plus_ms(-5000)), Step::AskTarget, "nor those from the future");
}

#[test]
fn a_copy_that_is_far_behind_is_waited_for() {
    let row = row(MovePhase::Copying { not_before: None });
    let far: [fn(&mut Said); 6] = [
        |copy| copy.following = None,
        |copy| copy.role = Role::Ready,
        |copy| copy.following.as_mut().unwrap().equal_at = None,
        |copy| copy.following.as_mut().unwrap().equal_at = Some(Modseq(100 - LAG_ROWS_MAX - 1)),
        |copy| copy.following.as_mut().unwrap().lag.bytes = LAG_BYTES_MAX + 1,
        |copy| copy.following.as_mut().unwrap().differs = true,
    ];
    for (index, spoil) in far.into_iter().enumerate() {
        let mut answers = near();
        spoil(answers.target.said.as_mut().unwrap());
        assert_eq!(next_step(&row, &answers, NOW), Step::Wait { until: NOW.plus_ms(FRESH_MS) }, "{index}");
    }
}

#[test]
fn the_cut_over_seals_then_makes_ready_then_commits() {
    let row = cut_over();
    assert_eq!(next_step(&row, &near(), NOW), Step::Seal { epoch: Epoch(5) });
    let sealed = said(Role::Sealed, 5, 101);
    let answers_now = answers(Some(sealed.clone()), Some(copy(Role::Follower, 5, 90)));
    let ready = Step::MakeReady { end: End::of(&sealed), epoch: Epoch(6) };
    assert_eq!(next_step(&row, &answers_now, NOW), ready);
    let answers_now = answers(Some(sealed), Some(copy(Role::Ready, 6, 101)));
    assert_eq!(next_step(&row, &answers_now, NOW), Step::Commit { epoch: Epoch(6) });
    let late = NOW.plus_ms(CUT_OVER_MS);
    assert_eq!(next_step(&row, &answers_now, late), Step::Commit { epoch: Epoch(6) }, "ready is ready");
}

#[test]
fn a_copy_that_differs_is_never_switched_to() {
    let sealed = said(Role::Sealed, 5, 101);
    for (modseq, digest, answers_kept) in
        [(101, Digest(78), 30), (100, DIGEST, 30), (102, DIGEST, 30), (101, DIGEST, 29)]
    {
        let target = Said { digest, answers: answers_kept, ..copy(Role::Ready, 6, modseq) };
        let step = next_step(&cut_over(), &answers(Some(sealed.clone()), Some(target)), NOW);
        assert!(matches!(step, Step::Abort { reason: AbortReason::Differs, .. }), "{step:?}");
    }
    let mut differs = copy(Role::Follower, 5, 101);
    differs.following.as_mut().unwrap().differs = true;
    let step = next_step(&cut_over(), &answers(Some(sealed), Some(differs)), NOW);
    assert!(matches!(step, Step::Abort { reason: AbortReason::Differs, .. }), "{step:?}");
}

#[test]
fn what_was_said_under_other_epochs_does_not_count() {
    // A seal of the attempt before, and a target that was ready for it.
    let old = answers(Some(said(Role::Sealed, 4, 100)), Some(copy(Role::Ready, 4, 100)));
    assert_eq!(next_step(&cut_over(), &old, NOW), Step::Seal { epoch: Epoch(5) });
    let old = answers(Some(said(Role::Sealed, 5, 101)), Some(copy(Role::Ready, 5, 101)));
    assert!(matches!(next_step(&cut_over(), &old, NOW), Step::MakeReady { .. }));
    let later = answers(Some(said(Role::Sealed, 7, 101)), None);
    assert!(matches!(next_step(&cut_over(), &later, NOW), Step::Abort { .. }));
}

#[test]
fn time_ends_a_cut_over_whichever_way_the_clock_goes() {
    for now in [NOW.plus_ms(CUT_OVER_MS), NOW.plus_ms(-1)] {
        for answers in [Answers::default(), near()] {
            assert!(matches!(next_step(&cut_over(), &answers, now), Step::Abort { retry: Some(_), .. }));
        }
    }
}

#[test]
fn attempts_are_made_ever_more_rarely_and_end() {
    let late = NOW.plus_ms(CUT_OVER_MS);
    let pause = |attempts| match next_step(&MoveView { attempts, ..cut_over() }, &Answers::default(), late) {
        Step::Abort { retry, .. } => retry.map(|at| at.0 - late.0),
        step => panic!("{step:?}"),
    };
    assert_eq!(pause(1), Some(BACK_OFF_MIN_MS));
    assert_eq!(pause(3), Some(4 * BACK_OFF_MIN_MS));
    assert_eq!(pause(ATTEMPTS_MAX - 1), Some(BACK_OFF_MAX_MS));
    assert_eq!(pause(ATTEMPTS_MAX), None);
    let waits = row(MovePhase::Copying { not_before: Some(NOW.plus_ms(BACK_OFF_MAX_MS)) });
    assert_eq!(next_step(&waits, &near(), NOW), Step::Wait { until: NOW.plus_ms(BACK_OFF_MAX_MS) });
    assert!(matches!(next_step(&waits, &near(), NOW.plus_ms(-1)), Step::AskTarget), "a clock that went back");
}

#[test]
fn an_end_that_does_not_answer_is_left_alone_for_a_moment() {
    let mut failed = near();
    failed.source.failed(NOW);
    assert!(matches!(next_step(&cut_over(), &failed, NOW), Step::Wait { .. }));
    assert!(matches!(next_step(&cut_over(), &failed, NOW.plus_ms(1000)), Step::Seal { .. }));
}

#[test]
fn after_the_commit_the_target_is_told_until_it_serves() {
    let row = MoveView { placement_epoch: Epoch(6), ..row(MovePhase::Committed) };
    assert_eq!(next_step(&row, &answers(None, Some(copy(Role::Ready, 6, 101))), NOW), Step::TellTarget);
    assert_eq!(next_step(&row, &answers(None, Some(said(Role::Active, 6, 101))), NOW), Step::Done);
}
