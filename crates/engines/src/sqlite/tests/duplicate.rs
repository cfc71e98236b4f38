//! A second copy of an account's files.

use bytes::Bytes;
use sterna_account::check::{Depth, check};
use sterna_account::{Commit, Content, Engine, FlagSet, Mutation, NewItem, Role, Store, StoreError, first_containers};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{AccountId, ContainerId, Epoch, OperationId, Timestamp};

use crate::sqlite::SqliteEngine;

const ACCOUNT: AccountId = AccountId(7);

fn commit(store: &mut dyn Store, tag: u8, mutations: Vec<Mutation>) {
    let commit = Commit { operation: OperationId([tag; 16]), epoch: Epoch(1), mutations };
    store.commit(&[commit], Timestamp(0)).unwrap().remove(0).unwrap();
}

fn append(store: &mut dyn Store, tag: u8, bytes: usize) {
    let body = vec![tag; bytes];
    let content = if bytes > INLINE_BLOB_BYTES_MAX {
        let mut writer = store.stage_blob().unwrap();
        writer.write(&body).unwrap();
        Content::Stored(writer.finish().unwrap().0)
    } else {
        Content::Inline(Bytes::from(body))
    };
    let item = NewItem {
        content,
        summary: None,
        internal_date: None,
        flags: FlagSet::default(),
        name: None,
        object_uid: None,
    };
    commit(store, tag, vec![Mutation::Append { container: ContainerId(1), item }]);
}

#[test]
fn it_is_whole_and_goes_its_own_way() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, copy) = (SqliteEngine::new(folder.path().join("one")), SqliteEngine::new(folder.path().join("two")));
    assert!(matches!(engine.duplicate(ACCOUNT, &copy), Err(StoreError::NoSuchAccount(_))));
    engine.create(ACCOUNT, Epoch(1), Role::Active, Timestamp(0)).unwrap();
    let mut store = engine.open(ACCOUNT).unwrap();
    commit(store.as_mut(), 0, first_containers::mutations());
    for tag in 1..9 {
        append(store.as_mut(), tag, if tag % 2 == 0 { 500 } else { INLINE_BLOB_BYTES_MAX + 1 });
    }
    let before = store.head().unwrap();
    engine.duplicate(ACCOUNT, &copy).unwrap();
    assert_eq!(store.head().unwrap(), before);
    append(store.as_mut(), 9, 500);

    let mut other = copy.open(ACCOUNT).unwrap();
    assert_eq!(other.head().unwrap(), before);
    append(other.as_mut(), 10, 500);
    drop(other);
    let inspection = copy.inspect(ACCOUNT).unwrap();
    assert_eq!(check(inspection.read(), Depth { contents: true }).unwrap(), []);
    assert_eq!(inspection.check_files().unwrap(), Vec::<String>::new());
    // What is thrown away takes nothing with it.
    copy.delete(ACCOUNT).unwrap();
    assert_eq!(check(engine.inspect(ACCOUNT).unwrap().read(), Depth { contents: true }).unwrap(), []);
}
