//! Copies that follow random histories: page after page, interrupted and raced, in both directions.

use proptest::prelude::*;
use proptest::test_runner::Config;
use sterna_account::check::{Depth, check};
use sterna_account::follow::*;
use sterna_account::*;
use sterna_base::*;

use super::pair::Pair;
use super::steps::{self, Step};
use crate::bed::NOW;

/// How many histories one run lives through.
const HISTORIES: u32 = 48;

/// Most steps of one half of a history.
const STEPS_MAX: usize = 24;

/// Most pages until a copy is equal to a source that does not change.
const PAGES_MAX: usize = 2000;

/// What happens next.
#[derive(Clone, Debug)]
enum Move {
    /// The source lives on.
    Live(Step),
    /// The copy takes a page.
    Pull(Pull),
    /// The copy is closed and opened.
    Crash,
    /// The copy's retention does its work.
    Purge(u8),
}

/// How a page is taken.
#[derive(Clone, Debug)]
struct Pull {
    rows: usize,
    answers: usize,
    bytes: u64,
    /// The source purges between the page and its blobs.
    purged: bool,
    /// The answer is lost, and the page sent again.
    repeated: bool,
}

fn any_move() -> impl Strategy<Value = Move> {
    let pull = (1..6_usize, 1..4_usize, prop_oneof![Just(0), Just(1000), Just(u64::MAX)], any::<u8>());
    let pull = pull.prop_map(|(rows, answers, bytes, rare)| {
        Move::Pull(Pull { rows, answers, bytes, purged: rare % 16 == 1, repeated: rare % 8 == 2 })
    });
    prop_oneof![
        3 => steps::any_step().prop_map(Move::Live),
        6 => pull,
        1 => Just(Move::Crash),
        1 => (0..100_u8).prop_map(Move::Purge),
    ]
}

const WHOLE: Pull = Pull { rows: 1000, answers: 1000, bytes: u64::MAX, purged: false, repeated: false };

/// Takes a page over; whether the copy is equal to the source now.
fn pull(source: &mut Pair, copy: &mut Pair, how: &Pull) -> bool {
    let after = copy.both(|store| store.progress()).unwrap();
    let mut page = source.both(|store| store.page(&after, how.rows, how.answers)).unwrap();
    assert!(page.rows.len() <= how.rows && page.answers.len() <= how.answers);
    if how.purged {
        source.take(&Step::Purge(0, 500));
    }
    let mut lacking = copy.both(|store| store.lacking(&page.blobs())).unwrap();
    let mut blobs = Vec::new();
    while !lacking.is_empty() {
        let some = source.both(|store| store.copied_blobs(&lacking, how.bytes)).unwrap();
        let Some(last) = some.last().map(|blob| blob.hash) else { break };
        let at = lacking.iter().position(|hash| *hash == last).unwrap();
        let arrived: Vec<BlobHash> = some.iter().map(|blob| blob.hash).collect();
        let gone: Vec<_> = lacking.drain(..=at).filter(|hash| !arrived.contains(hash)).collect();
        page.forget_blobs(&gone);
        blobs.extend(some);
    }
    page.forget_blobs(&lacking);
    let now = copy.now();
    let applied = copy.both(|store| store.follow(&page, blobs.clone(), now)).unwrap();
    assert_eq!(copy.both(|store| store.progress()).unwrap(), applied.progress);
    assert_eq!(copy.both(|store| store.head()).unwrap().digest, applied.digest);
    assert_eq!(applied.is_equal, page.is_last);
    if how.repeated && page.end() != page.after {
        assert_eq!(copy.both(|store| store.follow(&page, blobs.clone(), now)), Err(FollowError::NotNext));
    }
    sound(copy);
    applied.is_equal
}

/// Follows to the end.
fn pull_all(source: &mut Pair, copy: &mut Pair, how: &Pull) {
    let pages = (0..PAGES_MAX).position(|_| pull(source, copy, how));
    assert!(pages.is_some(), "not equal after {PAGES_MAX} pages");
}

fn sound(pair: &mut Pair) {
    assert_eq!(pair.both(|store| check(&*store as &dyn Read, Depth { contents: true })).unwrap(), []);
}

fn live(source: &mut Pair, copy: &mut Pair, moves: &[Move]) {
    for next in moves {
        match next {
            Move::Live(step) => source.take(step),
            Move::Pull(how) => {
                pull(source, copy, how);
            }
            Move::Crash => copy.reopen(),
            Move::Purge(hours) => {
                let (before, now) = (source.now().plus_ms(-i64::from(*hours) * 3_600_000), source.now());
                copy.both(|store| store.purge(before, now, 5)).unwrap();
            }
        }
    }
}

/// Everything is the same, but for what only one of them has purged.
fn assert_same(source: &mut Pair, copy: &mut Pair) {
    let start = Progress::start();
    let [theirs, ours] =
        [&mut *source, &mut *copy].map(|pair| pair.both(|store| store.page(&start, usize::MAX, usize::MAX)).unwrap());
    let Head { role, epoch, .. } = theirs.head;
    assert_eq!(Head { role, epoch, ..ours.head.clone() }, theirs.head);
    let numbers = |page: &Page| (page.next_container, page.last_uid_validity, page.last_answer);
    assert_eq!(numbers(&ours), numbers(&theirs));
    assert_eq!(ours.containers, theirs.containers);
    let stripped = |page: &Page| -> Vec<Change> {
        let mut rows = page.rows.clone();
        for row in &mut rows {
            if let Change::Expunged(expunged) = row {
                expunged.retained = None;
            }
        }
        rows
    };
    assert_eq!(stripped(&ours), stripped(&theirs));
    let oldest = source.now().plus_ms(-sterna_account::commit::OPERATION_RETENTION_MS);
    let kept = |page: &Page| -> Vec<KeptAnswer> {
        page.answers.iter().filter(|kept| kept.done_at >= oldest).cloned().collect()
    };
    assert_eq!(kept(&ours), kept(&theirs));
    for (ours, theirs) in ours.rows.iter().zip(&theirs.rows) {
        if let (Change::Expunged(ours), Change::Expunged(theirs)) = (ours, theirs) {
            let is_same = ours.retained == theirs.retained || ours.retained.is_none() || theirs.retained.is_none();
            assert!(is_same, "{ours:?}, {theirs:?}");
        }
    }
    for pair in [&mut *source, &mut *copy] {
        let far = pair.now().plus_ms(400 * 24 * 3_600_000);
        while pair.both(|store| store.purge(far, NOW_AND_THEN, 100)).unwrap() > 0 {}
    }
    let [theirs, ours] =
        [source, copy].map(|pair| pair.both(|store| store.page(&start, usize::MAX, usize::MAX)).unwrap());
    assert_eq!(ours.rows, theirs.rows);
}

/// A time at which nothing but retained contents is purged.
const NOW_AND_THEN: Timestamp = Timestamp(0);

/// The copy becomes the account, and the account its copy.
fn switch(source: &mut Pair, copy: &mut Pair) {
    let (epoch, next) = (source.epoch(), Epoch(source.epoch().0 + 1));
    source.both(|store| store.set_role(epoch, Role::Sealed, NOW)).unwrap();
    pull_all(source, copy, &WHOLE);
    copy.both(|store| store.set_role(next, Role::Ready, NOW)).unwrap();
    copy.both(|store| store.set_role(next, Role::Active, NOW)).unwrap();
    source.both(|store| store.set_role(next, Role::Follower, NOW)).unwrap();
    copy.take_over(source, next);
}

proptest! {
    #![proptest_config(Config { cases: HISTORIES, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_copy_becomes_equal_and_the_old_one_follows_back(
        there in prop::collection::vec(any_move(), 1..=STEPS_MAX),
        back in prop::collection::vec(any_move(), 1..=STEPS_MAX),
        rows in 1..20_usize,
    ) {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (mut source, mut copy) = (Pair::new(folders[0].path()), Pair::empty(folders[1].path(), Role::Follower));
        live(&mut source, &mut copy, &there);
        pull_all(&mut source, &mut copy, &Pull { rows, answers: rows, ..WHOLE });
        assert_same(&mut source, &mut copy);
        switch(&mut source, &mut copy);
        copy.compare(1, "after the switch");
        live(&mut copy, &mut source, &back);
        pull_all(&mut copy, &mut source, &Pull { rows, answers: rows, ..WHOLE });
        assert_same(&mut copy, &mut source);
    }

    #[test]
    fn a_copy_that_was_equal_takes_over_wherever_it_is(
        before in prop::collection::vec(any_move(), 1..=STEPS_MAX),
        behind in prop::collection::vec(any_move(), 1..=STEPS_MAX),
        after in prop::collection::vec(steps::any_step(), 1..=STEPS_MAX),
    ) {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (mut source, mut copy) = (Pair::new(folders[0].path()), Pair::empty(folders[1].path(), Role::Follower));
        live(&mut source, &mut copy, &before);
        pull_all(&mut source, &mut copy, &WHOLE);
        live(&mut source, &mut copy, &behind);
        let items = copy.both(|store| store.head()).unwrap().quota.items_used;
        let next = Epoch(source.epoch().0 + 1);
        copy.both(|store| store.set_role(next, Role::Active, NOW)).unwrap();
        assert!(copy.both(|store| store.head()).unwrap().quota.items_used <= items);
        copy.take_over(&source, next);
        copy.compare(0, "after the failover");
        for (number, step) in after.iter().enumerate() {
            copy.take(step);
            copy.compare(number as u64, "after the failover");
        }
    }
}
