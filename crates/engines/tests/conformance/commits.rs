//! Commits: whole or not at all, in their order, once.

use sterna_account::commit::{Expect, MUTATIONS_MAX, OPERATION_RETENTION_MS};
use sterna_account::*;
use sterna_base::*;

use crate::bed::*;

on_every_engine!(
    a_refused_commit_leaves_nothing_of_its_first_steps,
    one_refusal_in_a_batch_does_not_touch_the_others,
    a_commit_that_changes_nothing_takes_no_modseq,
    an_operation_is_done_once,
    a_refused_operation_may_be_done_later,
    an_answer_is_kept_for_its_time_and_across_reopening,
    an_answer_comes_before_the_epoch,
    epochs_only_grow_and_a_sealed_account_takes_nothing,
    a_commit_has_a_most_of_mutations,
    accounts_are_made_once_and_deleted_whole,
);

fn a_refused_commit_leaves_nothing_of_its_first_steps(bed: &mut Bed) {
    let before = bed.head();
    let nowhere = ContainerId(99);
    let absent = BlobHash([7; 32]);
    let refusals = [
        (delete(nowhere), CommitError::NoSuchContainer(nowhere)),
        (delete(INBOX), CommitError::InboxStays),
        (append_stored(absent), CommitError::NoSuchBlob(absent)),
        (put("x", Some("x"), Expect::Content(absent)), CommitError::Unexpected),
        (create(None, "a/b"), CommitError::InvalidName),
    ];
    for (refused, error) in refusals {
        let first = [append("kept back"), create(None, "kept back"), expunge(INBOX, UidSet::all())];
        assert_eq!(bed.commit(first.into_iter().chain([refused]).collect()), Err(error));
        assert_eq!(bed.head(), before);
        assert_eq!(bed.store().blobs(None, 10).unwrap(), []);
        assert_eq!(bed.changes(before.modseq, 10), []);
    }
    assert!(matches!(bed.commit(vec![put("x", None, Expect::Any)]), Err(CommitError::Invalid(_))));
    assert_eq!(bed.head(), before);
    assert_eq!(uid(&bed.done(vec![append("first")])[0]), Uid(1));
}

fn one_refusal_in_a_batch_does_not_touch_the_others(bed: &mut Bed) {
    let (start, now) = (bed.head().modseq, bed.now);
    let batch = [
        commit(vec![append("one")]),
        commit(vec![append("lost"), delete(INBOX)]),
        commit(vec![append("two"), append("three")]),
        commit(vec![copy(INBOX, UidSet::all(), ARCHIVE)]),
    ];
    let answers = bed.store_mut().commit(&batch, now).unwrap();
    let modseqs: Vec<_> = answers.iter().map(|answer| answer.as_ref().map(|done| done.modseq.0 - start.0)).collect();
    assert_eq!(modseqs, [Ok(1), Err(&CommitError::InboxStays), Ok(2), Ok(3)]);
    let all = ["one", "two", "three"].into_iter().map(str::to_owned);
    assert_eq!(bed.texts(ARCHIVE), (1..).zip(all).collect::<Vec<_>>());
}

fn a_commit_that_changes_nothing_takes_no_modseq(bed: &mut Bed) {
    bed.done(vec![append("still")]);
    let before = bed.head();
    let flags = FlagSet::default().with(SystemFlag::Deleted);
    let idle = vec![
        expunge(INBOX, uids(&[7])),
        Mutation::Expunge { container: INBOX, uids: UidSet::all(), deleted_only: true },
        rename(ARCHIVE, None, "Archive"),
        Mutation::StoreFlags {
            container: INBOX,
            uids: UidSet::all(),
            action: FlagAction::Remove,
            flags,
            unchanged_since: None,
        },
        Mutation::Remove { container: INBOX, name: "nothing".into() },
        copy(ARCHIVE, UidSet::all(), TRASH),
    ];
    let sent = commit(idle);
    let answer = bed.send(&sent).unwrap();
    assert_eq!(answer.modseq, before.modseq);
    assert_eq!(bed.head(), before);
    bed.done(vec![append("later")]);
    assert_eq!(bed.send(&sent).unwrap(), Committed { repeated: true, ..answer });
}

fn an_operation_is_done_once(bed: &mut Bed) {
    let sent = commit(vec![append("once")]);
    let first = bed.send(&sent).unwrap();
    assert!(!first.repeated);
    assert_eq!(bed.send(&sent).unwrap(), Committed { repeated: true, ..first.clone() });
    // Also when other words come under the same id, and twice in one batch.
    let other = Commit { mutations: vec![delete(TRASH)], ..sent };
    let now = bed.now;
    for answer in bed.store_mut().commit(&[other.clone(), other], now).unwrap() {
        assert_eq!(answer.unwrap(), Committed { repeated: true, ..first.clone() });
    }
    let fresh = commit(vec![append("twice in a batch")]);
    let answers = bed.store_mut().commit(&[fresh.clone(), fresh], now).unwrap();
    let repeated: Vec<bool> = answers.into_iter().map(|answer| answer.unwrap().repeated).collect();
    assert_eq!(repeated, [false, true]);
    assert_eq!(bed.head().quota.items_used, 2);
}

fn a_refused_operation_may_be_done_later(bed: &mut Bed) {
    let hash = BlobHash::of(b"large enough");
    let sent = commit(vec![append_stored(hash)]);
    assert_eq!(bed.send(&sent), Err(CommitError::NoSuchBlob(hash)));
    bed.stage(b"large enough");
    assert!(!bed.send(&sent).unwrap().repeated);
    assert_eq!(bed.texts(INBOX), [(1, "large enough".to_owned())]);
}

fn an_answer_is_kept_for_its_time_and_across_reopening(bed: &mut Bed) {
    let sent = commit(vec![append("once")]);
    bed.send(&sent).unwrap();
    bed.reopen();
    bed.now = bed.now.plus_ms(OPERATION_RETENTION_MS);
    assert_eq!(bed.purge(0), 0);
    assert!(bed.send(&sent).unwrap().repeated);
    bed.now = bed.now.plus_ms(1);
    assert_eq!(bed.purge(0), 2, "this operation and the one that made the containers");
    assert!(!bed.send(&sent).unwrap().repeated);
    assert_eq!(bed.head().quota.items_used, 2);
}

fn an_answer_comes_before_the_epoch(bed: &mut Bed) {
    let sent = commit(vec![append("once")]);
    let answer = bed.send(&sent).unwrap();
    bed.store_mut().set_role(Epoch(2), Role::Sealed, NOW).unwrap();
    assert_eq!(bed.send(&sent), Err(CommitError::Sealed), "another copy may have to say it by now");
    bed.store_mut().set_role(Epoch(2), Role::Active, NOW).unwrap();
    assert_eq!(bed.send(&sent).unwrap(), Committed { repeated: true, ..answer });
}

fn epochs_only_grow_and_a_sealed_account_takes_nothing(bed: &mut Bed) {
    let before = bed.head();
    bed.store_mut().set_role(Epoch(1), Role::Sealed, NOW).unwrap();
    assert_eq!(bed.commit(vec![append("late")]), Err(CommitError::Sealed));
    bed.store_mut().set_role(Epoch(3), Role::Active, NOW).unwrap();
    let wrong = CommitError::WrongEpoch { current: Epoch(3) };
    assert_eq!(bed.commit(vec![append("behind")]), Err(wrong.clone()));
    assert_eq!(bed.store_mut().set_role(Epoch(2), Role::Active, NOW), Err(wrong));
    bed.reopen();
    assert_eq!(bed.head(), Head { epoch: Epoch(3), ..before });
}

fn a_commit_has_a_most_of_mutations(bed: &mut Bed) {
    let many = |count: usize| vec![rename(ARCHIVE, None, "Archive"); count];
    bed.done(many(MUTATIONS_MAX));
    assert!(matches!(bed.commit(many(MUTATIONS_MAX + 1)), Err(CommitError::Limit(_))));
}

fn accounts_are_made_once_and_deleted_whole(bed: &mut Bed) {
    let other = AccountId(12);
    assert_eq!(bed.engine.open(other).err(), Some(StoreError::NoSuchAccount(other)));
    bed.engine.create(other, Epoch(4), Role::Active, NOW).unwrap();
    bed.engine.create(other, Epoch(4), Role::Active, NOW).unwrap();
    assert!(bed.engine.create(other, Epoch(5), Role::Active, NOW).is_err());
    assert_eq!(bed.engine.accounts().unwrap(), [ACCOUNT, other]);
    let head = bed.engine.open(other).unwrap().head().unwrap();
    let (modseq, epoch) = (Modseq::ZERO, Epoch(4));
    let (quota, digest) = (Quota::default(), Digest::default());
    assert_eq!(head, Head { account: other, modseq, epoch, role: Role::Active, quota, digest });
    bed.engine.delete(other).unwrap();
    bed.engine.delete(other).unwrap();
    assert_eq!(bed.engine.open(other).err(), Some(StoreError::NoSuchAccount(other)));
    assert_eq!(bed.engine.accounts().unwrap(), [ACCOUNT]);
    assert_eq!(bed.store().containers().unwrap().len(), 6);
}
