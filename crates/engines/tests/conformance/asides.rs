//! Failovers: where a copy took over is known, and what the lost one had besides is kept and counted.

use sterna_account::aside::{Lost, lost};
use sterna_account::follow::Progress;
use sterna_account::fork::{Fork, MODSEQS_SKIPPED, UIDS_SKIPPED, parted};
use sterna_account::*;
use sterna_base::*;

use crate::bed::*;
use crate::copy::Copy;

on_every_engine!(
    a_copy_that_takes_over_notes_where,
    a_copy_that_takes_over_behind_notes_how_far_it_was,
    a_copy_knows_the_forks_before_it_is_equal,
    what_the_lost_server_had_besides_is_counted,
    numbers_that_the_lost_server_gave_are_not_given_again,
    a_move_skips_no_numbers,
    an_answer_that_came_before_its_rows_is_forgotten,
    a_store_is_set_aside_and_deleted,
);

fn flag(uid: u32) -> Mutation {
    let (action, flags) = (FlagAction::Add, FlagSet::default().with(SystemFlag::Seen));
    Mutation::StoreFlags { container: INBOX, uids: uids(&[uid]), action, flags, unchanged_since: None }
}

fn a_copy_that_takes_over_notes_where(bed: &mut Bed) {
    bed.done(vec![append("one")]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    assert_eq!(copy.store.forks().unwrap(), []);
    let at = copy.store.progress().unwrap();
    copy.store.set_role(Epoch(1), Role::Ready, bed.now).unwrap();
    copy.store.set_role(Epoch(2), Role::Active, bed.now).unwrap();
    assert_eq!(copy.store.forks().unwrap(), [], "a move loses nothing");
    copy.store.set_role(Epoch(3), Role::Follower, bed.now).unwrap();
    copy.store.set_role(Epoch(4), Role::Active, bed.now).unwrap();
    let fork = Fork { epoch: Epoch(4), at };
    assert_eq!(copy.store.forks().unwrap(), [fork]);
    // Whoever follows it knows that, too, once it is equal.
    bed.store_mut().set_role(Epoch(4), Role::Follower, NOW).unwrap();
    let page = copy.store.page(&bed.store().progress().unwrap(), 10, 10).unwrap();
    assert_eq!(page.forks, [fork]);
    bed.store_mut().follow(&page, vec![], NOW).unwrap();
    assert_eq!(bed.store().forks().unwrap(), [fork]);
    bed.reopen();
    assert_eq!(bed.store().forks().unwrap(), [fork]);
}

fn a_copy_that_takes_over_behind_notes_how_far_it_was(bed: &mut Bed) {
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    bed.done(vec![append("one"), append("two"), append("three")]);
    assert!(!copy.pull(bed, 2));
    let at = copy.store.progress().unwrap();
    copy.store.set_role(Epoch(2), Role::Active, bed.now).unwrap();
    let forks = copy.store.forks().unwrap();
    // The answer of the commit came before all of its rows, and is forgotten.
    let at = Progress { answers: at.answers - 1, ..at };
    assert_eq!(forks, [Fork { epoch: Epoch(2), at }]);
    // The commit was copied in part, so the lost server has something besides.
    assert_eq!(parted(&bed.store().progress().unwrap(), &[], &forks), Some(forks[0]));
    let counted = lost(bed.store(), &forks[0], Some(copy.store.as_ref())).unwrap();
    assert_eq!((counted.commits, counted.items), (1, 2), "the container and the first item came");
}

fn a_copy_knows_the_forks_before_it_is_equal(bed: &mut Bed) {
    bed.done(vec![append("one")]);
    let mut first = Copy::new(bed);
    first.pull_all(bed, 100);
    // The account itself is what once took over, and went on.
    bed.store_mut().set_role(Epoch(2), Role::Follower, NOW).unwrap();
    bed.store_mut().set_role(Epoch(3), Role::Active, NOW).unwrap();
    let forks = bed.store().forks().unwrap();
    assert_eq!(forks.len(), 1);
    let again = Commit { epoch: Epoch(3), ..commit(vec![append("two"), append("three"), append("four")]) };
    bed.store_mut().commit(&[again], NOW).unwrap().remove(0).unwrap();
    let mut copy = Copy::new(bed);
    while !copy.pull(bed, 2) {
        assert_eq!(copy.store.forks().unwrap(), forks);
        assert_eq!(parted(&copy.store.progress().unwrap(), &copy.store.forks().unwrap(), &forks), None);
    }
    assert_eq!(copy.store.forks().unwrap(), forks);
}

fn what_the_lost_server_had_besides_is_counted(bed: &mut Bed) {
    bed.done(vec![append("one"), append("two"), append("three"), create(None, "old")]);
    let old = bed.store().containers().unwrap().last().unwrap().id;
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    copy.store.set_role(Epoch(2), Role::Active, bed.now).unwrap();
    let fork = copy.store.forks().unwrap()[0];
    assert_eq!(parted(&bed.store().progress().unwrap(), &[], &[fork]), None);
    assert_eq!(lost(bed.store(), &fork, Some(copy.store.as_ref())).unwrap(), Lost::default());

    bed.done(vec![append("only here"), append("in both")]);
    bed.done(vec![flag(1), expunge(INBOX, uids(&[2]))]);
    bed.done(vec![rename(old, None, "new")]);
    let again = Commit { epoch: Epoch(2), ..commit(vec![append("in both")]) };
    copy.store.commit(&[again], bed.now).unwrap().remove(0).unwrap();
    assert_eq!(parted(&bed.store().progress().unwrap(), &[], &[fork]), Some(fork));
    let counted = lost(bed.store(), &fork, Some(copy.store.as_ref())).unwrap();
    // INBOX itself is the same in both: only its items differ. “in both” has another number there.
    let expected = Lost { commits: 3, items: 1, bytes: 9, changed: 2, expunged: 1, containers: 1 };
    assert_eq!(counted, expected);
    let all = lost(bed.store(), &fork, None).unwrap();
    assert!(all.items == 3 && all.expunged == 0, "{all:?}");
}

/// Appends a message and makes a folder; their numbers.
fn numbers(store: &mut dyn Store, epoch: u64) -> (Modseq, Uid, ContainerId, UidValidity) {
    let mutations = vec![append("same or not"), create(None, "new")];
    let sent = Commit { epoch: Epoch(epoch), ..commit(mutations) };
    let done = store.commit(&[sent], NOW).unwrap().remove(0).unwrap();
    let uid = match &done.outcomes[0] {
        Outcome::Appended { uid, .. } => *uid,
        other => panic!("{other:?}"),
    };
    let made = store.containers_on_path(ContainerKind::Mail, &["new".to_owned()]).unwrap().remove(0);
    (done.modseq, uid, made.id, made.uid_validity)
}

fn numbers_that_the_lost_server_gave_are_not_given_again(bed: &mut Bed) {
    bed.done(vec![append("one")]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    for number in 0..20 {
        bed.done(vec![append(&number.to_string())]);
    }
    let lost = numbers(bed.store_mut(), 1);
    let at = copy.store.head().unwrap().modseq;
    copy.store.set_role(Epoch(2), Role::Active, bed.now).unwrap();
    copy.check();
    assert_eq!(copy.store.head().unwrap().modseq, Modseq(at.0 + MODSEQS_SKIPPED));
    // Whoever asks what changed since a state that is lost hears of the folder.
    let inbox = copy.store.container(INBOX).unwrap().unwrap();
    assert_eq!((inbox.highest_modseq.0, inbox.uid_next.0), (at.0 + MODSEQS_SKIPPED, 2 + UIDS_SKIPPED));
    let ours = numbers(copy.store.as_mut(), 2);
    assert!(ours.0 > lost.0 && ours.1 > lost.1 && ours.2 > lost.2 && ours.3 > lost.3, "{ours:?}, {lost:?}");
    // What was skipped is no commit that anybody could lose.
    let fork = Fork { epoch: Epoch(1), ..copy.store.forks().unwrap()[0] };
    assert_eq!(lost_of(copy.store.as_ref(), &fork), 1);
}

fn lost_of(store: &dyn Store, fork: &Fork) -> u64 {
    lost(store, fork, None).unwrap().commits
}

fn a_move_skips_no_numbers(bed: &mut Bed) {
    bed.done(vec![append("one")]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    let before = copy.store.head().unwrap();
    copy.store.set_role(Epoch(2), Role::Ready, bed.now).unwrap();
    copy.store.set_role(Epoch(2), Role::Active, bed.now).unwrap();
    let after = copy.store.head().unwrap();
    assert_eq!((after.modseq, after.digest), (before.modseq, before.digest));
    assert_eq!(numbers(copy.store.as_mut(), 2), numbers(bed.store_mut(), 1));
}

fn an_answer_that_came_before_its_rows_is_forgotten(bed: &mut Bed) {
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    let sent = ["one", "two", "three"].map(|text| commit(vec![append(text)]));
    for one in &sent {
        bed.send(one).unwrap();
    }
    // The container and the first item come, and all three answers.
    let page = bed.store().page(&copy.store.progress().unwrap(), 1, 9).unwrap();
    assert_eq!(page.answers.len(), 3);
    copy.apply(bed, &page).unwrap();
    let there = copy.store.items(INBOX, &UidSet::all(), ItemParts::default(), 9).unwrap().len();
    copy.store.set_role(Epoch(2), Role::Active, bed.now).unwrap();
    let fork = copy.store.forks().unwrap()[0];
    assert!(fork.at.answers < page.end().answers, "{fork:?}");
    let answers = copy.store.page(&Progress::start(), 99, 99).unwrap().answers;
    assert!(answers.iter().all(|kept| kept.number <= fork.at.answers));
    for one in &sent[there..] {
        let again = Commit { epoch: Epoch(2), ..one.clone() };
        let done = copy.store.commit(&[again], bed.now).unwrap().remove(0).unwrap();
        assert!(!done.repeated, "its message is not there");
    }
    copy.check();
    assert_eq!(copy.store.head().unwrap().quota.items_used, 3);
}

fn a_store_is_set_aside_and_deleted(bed: &mut Bed) {
    let engine = &bed.other;
    assert!(matches!(engine.set_aside(ACCOUNT, b"note", NOW), Err(StoreError::NoSuchAccount(_))));
    let make = || {
        engine.create(ACCOUNT, Epoch(1), Role::Active, NOW).unwrap();
        let mut store = engine.open(ACCOUNT).unwrap();
        let mutations = [first_containers::mutations(), vec![append("kept")]].concat();
        store.commit(&[commit(mutations)], NOW).unwrap().remove(0).unwrap();
    };
    make();
    let first = engine.set_aside(ACCOUNT, b"one", NOW).unwrap();
    assert_eq!(first, AsideName { at: NOW, account: ACCOUNT });
    assert!(matches!(engine.open(ACCOUNT), Err(StoreError::NoSuchAccount(_))));
    assert_eq!(engine.accounts().unwrap(), []);
    make();
    let second = engine.set_aside(ACCOUNT, b"two", NOW).unwrap();
    assert!(second > first, "in the same millisecond");
    engine.set_aside_note(first, b"three").unwrap();
    assert_eq!(engine.asides().unwrap(), [(first, b"three".to_vec()), (second, b"two".to_vec())]);
    let read = engine.open_aside(first).unwrap();
    assert_eq!(read.items(INBOX, &UidSet::all(), ItemParts::default(), 9).unwrap().len(), 1);
    drop(read);
    engine.delete_aside(first).unwrap();
    engine.delete_aside(first).unwrap();
    assert!(engine.open_aside(first).is_err() && engine.set_aside_note(first, b"").is_err());
    assert_eq!(engine.asides().unwrap(), [(second, b"two".to_vec())]);
}
