//! What every engine must answer, asked through the traits alone.

use bytes::Bytes;
use sterna_account::check::{Depth, check};
use sterna_account::commit::Expect;
use sterna_account::*;
use sterna_base::*;
use sterna_engines::sqlite::SqliteEngine;

const ACCOUNT: AccountId = AccountId(9);
const INBOX: ContainerId = ContainerId(1);
const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Runs a part of the suite in a fresh account with its first containers, and checks every invariant at its end.
fn with_account(part: fn(&mut Box<dyn Store>)) {
    let folder = tempfile::tempdir().unwrap();
    let engine = SqliteEngine::new(folder.path());
    engine.create(ACCOUNT, Epoch(1), NOW).unwrap();
    let mut store = engine.open(ACCOUNT).unwrap();
    one(&mut store, first_containers::mutations()).unwrap();
    part(&mut store);
    assert_eq!(check(store.as_ref(), Depth { contents: true }).unwrap(), []);
}

fn commit(mutations: Vec<Mutation>) -> Commit {
    Commit { operation: OperationId::random(), epoch: Epoch(1), mutations }
}

fn one(store: &mut Box<dyn Store>, mutations: Vec<Mutation>) -> Result<Committed, CommitError> {
    store.commit(&[commit(mutations)], NOW).unwrap().remove(0)
}

fn item(text: &str, name: Option<&str>) -> NewItem {
    let content = Content::Inline(Bytes::copy_from_slice(text.as_bytes()));
    NewItem { content, summary: None, internal_date: None, flags: FlagSet::default(), name: name.map(str::to_owned) }
}

fn append(text: &str) -> Mutation {
    Mutation::Append { container: INBOX, item: item(text, None) }
}

fn put(text: &str, name: Option<&str>, expect: Expect) -> Mutation {
    Mutation::Put { container: INBOX, item: item(text, name), expect }
}

#[test]
fn a_refused_commit_leaves_nothing_of_its_first_steps() {
    with_account(|store| {
        let before = store.head().unwrap();
        let nowhere = ContainerId(99);
        let absent = BlobHash([7; 32]);
        let stored = NewItem { content: Content::Stored(absent), ..item("", None) };
        let refusals = [
            (Mutation::DeleteContainer { container: nowhere }, CommitError::NoSuchContainer(nowhere)),
            (Mutation::DeleteContainer { container: INBOX }, CommitError::InboxStays),
            (Mutation::Append { container: INBOX, item: stored }, CommitError::NoSuchBlob(absent)),
            (put("x", Some("x"), Expect::Content(absent)), CommitError::Unexpected),
        ];
        for (refused, error) in refusals {
            assert_eq!(one(store, vec![append("kept back"), refused]), Err(error));
            assert_eq!(store.head().unwrap(), before);
        }
        assert!(matches!(one(store, vec![put("x", None, Expect::Any)]), Err(CommitError::Invalid(_))));
        assert_eq!(store.head().unwrap(), before);
    });
}

#[test]
fn an_operation_is_done_once() {
    with_account(|store| {
        let sent = commit(vec![append("once")]);
        let first = store.commit(std::slice::from_ref(&sent), NOW).unwrap().remove(0).unwrap();
        let again = store.commit(&[sent], NOW).unwrap().remove(0).unwrap();
        assert_eq!(again, Committed { repeated: true, ..first });
        assert_eq!(store.head().unwrap().quota.items_used, 1);
    });
}

#[test]
fn epochs_only_grow_and_a_sealed_account_takes_nothing() {
    with_account(|store| {
        let before = store.head().unwrap();
        store.set_role(Epoch(1), Role::Sealed).unwrap();
        assert_eq!(one(store, vec![append("late")]), Err(CommitError::Sealed));
        store.set_role(Epoch(3), Role::Active).unwrap();
        let wrong = CommitError::WrongEpoch { current: Epoch(3) };
        assert_eq!(one(store, vec![append("behind")]), Err(wrong.clone()));
        assert_eq!(store.set_role(Epoch(2), Role::Active), Err(wrong));
        assert_eq!(store.head().unwrap(), Head { epoch: Epoch(3), ..before });
    });
}

#[test]
fn a_name_keeps_its_uid_until_it_is_removed() {
    with_account(|store| {
        let uid = |done: Committed| match done.outcomes[0] {
            Outcome::Appended { uid, .. } => uid,
            ref other => panic!("{other:?}"),
        };
        let first = uid(one(store, vec![put("a", Some("n"), Expect::Absent)]).unwrap());
        assert_eq!(one(store, vec![put("b", Some("n"), Expect::Absent)]), Err(CommitError::Unexpected));
        assert_eq!(uid(one(store, vec![put("b", Some("n"), Expect::Any)]).unwrap()), first);
        one(store, vec![Mutation::Remove { container: INBOX, name: "n".into() }]).unwrap();
        assert!(uid(one(store, vec![put("c", Some("n"), Expect::Absent)]).unwrap()) > first);
        assert_eq!(store.head().unwrap().quota.items_used, 1);
    });
}

#[test]
fn a_quota_holds_to_the_item() {
    with_account(|store| {
        one(store, vec![Mutation::SetQuota { bytes_max: None, items_max: Some(2) }]).unwrap();
        assert_eq!(one(store, vec![append("1"), append("2"), append("3")]), Err(CommitError::OverQuota));
        one(store, vec![append("1"), append("2")]).unwrap();
        assert_eq!(one(store, vec![append("3")]), Err(CommitError::OverQuota));
        one(store, vec![Mutation::Expunge { container: INBOX, uids: UidSet::one(Uid(1)), deleted_only: false }])
            .unwrap();
        one(store, vec![append("3")]).unwrap();
    });
}
