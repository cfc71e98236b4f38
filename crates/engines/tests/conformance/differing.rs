//! A copy that differs from its source is found out, and made equal again.

use sterna_account::follow::*;
use sterna_account::*;
use sterna_base::*;

use crate::bed::*;
use crate::copy::Copy;

on_every_engine!(
    a_row_that_is_left_out_is_noticed_or_nothing_is_lost,
    a_row_that_is_changed_is_noticed,
    what_differs_is_copied_again,
    what_only_the_copy_has_goes,
    a_diverged_account_is_found_out,
);

/// An account with every kind of row, none of which a deleted container had.
fn rich(bed: &mut Bed) {
    let folder = id(&bed.done(vec![create(None, "folder"), create(None, "empty")])[0]);
    let flagged = NewItem { flags: FlagSet::default().with(SystemFlag::Seen), ..item("named", Some("n")) };
    bed.done((0..4).map(|number| append(&number.to_string())).collect());
    bed.done(vec![Mutation::Append { container: folder, item: flagged }, copy(INBOX, uids(&[1, 2]), folder)]);
    bed.done(vec![expunge(INBOX, uids(&[3])), delete(ContainerId(3))]);
    bed.done(vec![rename(folder, Some(ARCHIVE), "deeper")]);
}

fn assert_refused(copy: &mut Copy, bed: &Bed, page: &Page) {
    let before = (copy.store.head().unwrap(), copy.store.progress().unwrap());
    let refused = copy.apply(bed, page);
    assert!(matches!(refused, Err(FollowError::Differs(_))), "{refused:?}");
    assert_eq!((copy.store.head().unwrap(), copy.store.progress().unwrap()), before);
    copy.check();
}

fn a_row_that_is_left_out_is_noticed_or_nothing_is_lost(bed: &mut Bed) {
    rich(bed);
    let whole = Copy::new(bed).page(bed, 1000);
    let mut noticed = 0;
    for at in 0..whole.rows.len() {
        bed.other.delete(ACCOUNT).unwrap();
        let mut copy = Copy::new(bed);
        let mut page = whole.clone();
        page.rows.remove(at);
        match copy.apply(bed, &page) {
            Ok(_) => copy.assert_same(bed),
            Err(FollowError::Differs(_)) => noticed += 1,
            Err(other) => panic!("row {at}: {other}"),
        }
    }
    // The row of a container that has items says nothing that the page doesn't say anyway.
    assert!(noticed >= 10, "{noticed} of {}", whole.rows.len());
    for container in whole.containers.iter().map(|container| container.id) {
        bed.other.delete(ACCOUNT).unwrap();
        let mut page = whole.clone();
        page.containers.retain(|other| other.id != container);
        let mut copy = Copy::new(bed);
        match copy.apply(bed, &page) {
            Ok(_) => copy.assert_same(bed),
            Err(FollowError::Differs(_)) => {}
            Err(other) => panic!("container {container}: {other}"),
        }
    }
}

fn a_row_that_is_changed_is_noticed(bed: &mut Bed) {
    rich(bed);
    let mut copy = Copy::new(bed);
    let whole = copy.page(bed, 1000);
    type Change1 = fn(&mut Item);
    let changes: [Change1; 6] = [
        |item| item.flags.system ^= SystemFlag::Flagged as u8,
        |item| item.size += 1,
        |item| item.internal_date = item.internal_date.plus_ms(1),
        |item| item.name = Some("other".into()),
        |item| item.uid = Uid(item.uid.0 + 100),
        |item| item.blob = BlobHash::of(b"0"),
    ];
    for change in changes {
        let mut page = whole.clone();
        let last = page.rows.iter_mut().rev().find_map(|row| match row {
            Change::Item(item) if item.blob != BlobHash::of(b"0") => Some(item),
            _ => None,
        });
        change(last.unwrap());
        page.rows.sort_by_key(Change::cursor);
        assert_refused(&mut copy, bed, &page);
    }
    let mut page = whole.clone();
    page.head.quota.items_used += 1;
    assert_refused(&mut copy, bed, &page);
    let named = |row: &Change| matches!(row, Change::Container(container) if container.id == INBOX);
    let mut page = whole.clone();
    if let Some(Change::Container(inbox)) = page.rows.iter_mut().find(|row| named(row)) {
        inbox.uid_next = Uid(99);
    }
    let refused = copy.apply(bed, &page);
    assert_eq!(refused, Err(FollowError::Differs(vec![INBOX])), "which one is said");
    copy.pull_all(bed, 1000);
}

/// A copy that went wrong: its source was another account for a while.
fn gone_wrong(bed: &mut Bed) -> Copy {
    rich(bed);
    let mut copy = Copy::new(bed);
    let mut page = copy.page(bed, 1000);
    for row in &mut page.rows {
        if let Change::Item(item) = row
            && item.container == INBOX
        {
            item.flags.system ^= SystemFlag::Answered as u8;
        }
    }
    // Not noticed before its end.
    page.is_last = false;
    copy.apply(bed, &page).unwrap();
    copy
}

fn what_differs_is_copied_again(bed: &mut Bed) {
    let mut copy = gone_wrong(bed);
    let page = copy.page(bed, 1000);
    assert_refused(&mut copy, bed, &page);
    bed.done(vec![append("meanwhile"), expunge(INBOX, uids(&[1]))]);
    let (ours, theirs) = (copy.store.containers().unwrap(), bed.store().containers().unwrap());
    assert_eq!(differing(&ours, &theirs), [INBOX]);
    copy.copy_anew(bed, INBOX, 2);
    copy.pull_all(bed, 1000);
}

fn what_only_the_copy_has_goes(bed: &mut Bed) {
    let mut copy = gone_wrong(bed);
    let folder = ContainerId(7);
    bed.done(vec![delete(folder)]);
    while copy.store.forget_container(folder, 1).unwrap() > 0 {}
    copy.copy_anew(bed, folder, 1);
    copy.copy_anew(bed, INBOX, 1);
    copy.copy_anew(bed, ContainerId(999), 1);
    copy.pull_all(bed, 1000);
    assert_eq!(copy.store.container(folder).unwrap(), None);
}

/// What a failover leaves: the old active one has a commit that the new one never saw.
fn a_diverged_account_is_found_out(bed: &mut Bed) {
    bed.done(vec![append("both")]);
    let mut copy = Copy::new(bed);
    copy.pull_all(bed, 100);
    bed.done(vec![append("only here"), create(None, "only here")]);
    copy.store.set_role(Epoch(2), Role::Active, NOW).unwrap();
    bed.take_over(copy.store);
    let mut old = Copy { store: bed.other.open(ACCOUNT).unwrap() };
    old.store.set_role(Epoch(2), Role::Follower, NOW).unwrap();
    for _ in 0..4 {
        let page = old.page(bed, 100);
        assert_refused(&mut old, bed, &page);
        let mutations = vec![append("only there")];
        bed.send(&Commit { operation: OperationId::random(), epoch: Epoch(2), mutations }).unwrap();
    }
    drop(old);
    bed.other.delete(ACCOUNT).unwrap();
    Copy::new(bed).pull_all(bed, 100);
}
