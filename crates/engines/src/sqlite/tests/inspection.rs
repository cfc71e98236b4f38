//! A store that is looked at while somebody else writes it.

use bytes::Bytes;
use sterna_account::check::{Depth, check};
use sterna_account::{Commit, Content, Engine, FlagSet, Mutation, NewItem, Role, Store, StoreError, first_containers};
use sterna_base::{AccountId, ContainerId, Epoch, OperationId, Timestamp};

use crate::sqlite::{SqliteEngine, schema};

const ACCOUNT: AccountId = AccountId(7);

fn item(tag: u8) -> NewItem {
    let content = Content::Inline(Bytes::from(vec![tag; 500]));
    NewItem { content, summary: None, internal_date: None, flags: FlagSet::default(), name: None, object_uid: None }
}

fn append(store: &mut dyn Store, tag: u8) {
    let mutations = if tag == 0 {
        first_containers::mutations()
    } else {
        vec![Mutation::Append { container: ContainerId(1), item: item(tag) }]
    };
    let commit = Commit { operation: OperationId([tag; 16]), epoch: Epoch(1), mutations };
    store.commit(&[commit], Timestamp(0)).unwrap().remove(0).unwrap();
}

#[test]
fn it_sees_one_state_and_leaves_the_files_to_their_writer() {
    let folder = tempfile::tempdir().unwrap();
    let engine = SqliteEngine::new(folder.path());
    engine.create(ACCOUNT, Epoch(1), Role::Active, Timestamp(0)).unwrap();
    let mut store = engine.open(ACCOUNT).unwrap();
    (0..9).for_each(|tag| append(store.as_mut(), tag));
    let files = ["account.sqlite", "account.sqlite-wal"].map(|name| engine.folder(ACCOUNT).join(name));
    let bytes = || files.each_ref().map(|file| std::fs::read(file).unwrap());
    let before = (bytes(), store.head().unwrap());

    let inspection = engine.inspect(ACCOUNT).unwrap();
    assert_eq!(inspection.read().head().unwrap(), before.1);
    assert_eq!(bytes(), before.0);
    (9..99).for_each(|tag| append(store.as_mut(), tag));
    assert_eq!(inspection.read().head().unwrap(), before.1);
    assert_eq!(check(inspection.read(), Depth { contents: true }).unwrap(), []);
    assert_eq!(inspection.check_files().unwrap(), Vec::<String>::new());
    drop(inspection);
    assert_eq!(engine.inspect(ACCOUNT).unwrap().read().head().unwrap(), store.head().unwrap());
    super::history::assert_sound(store.as_mut());
}

#[test]
fn what_an_unclean_end_left_is_seen_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let engine = SqliteEngine::new(folder.path());
    engine.create(ACCOUNT, Epoch(1), Role::Active, Timestamp(0)).unwrap();
    let mut store = engine.open(ACCOUNT).unwrap();
    (0..9).for_each(|tag| append(store.as_mut(), tag));
    let (other, from) = (tempfile::tempdir().unwrap(), engine.folder(ACCOUNT));
    let copy = SqliteEngine::new(other.path());
    let to = copy.folder(ACCOUNT);
    std::fs::create_dir_all(&to).unwrap();
    for name in ["account.sqlite", "account.sqlite-wal"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
    let log = || std::fs::read(to.join("account.sqlite-wal")).unwrap();
    let before = log();
    assert!(!before.is_empty());
    for _ in 0..2 {
        assert_eq!(copy.inspect(ACCOUNT).unwrap().read().head().unwrap(), store.head().unwrap());
        assert_eq!(log(), before);
    }
    assert_eq!(copy.open(ACCOUNT).unwrap().head().unwrap(), store.head().unwrap());
}

#[test]
fn an_older_file_is_not_brought_up() {
    let folder = tempfile::tempdir().unwrap();
    let engine = SqliteEngine::new(folder.path());
    std::fs::create_dir_all(engine.folder(AccountId(9))).unwrap();
    let path = engine.folder(AccountId(9)).join("account.sqlite");
    std::fs::write(&path, super::formats::WRITTEN_BY_FORMAT_1).unwrap();
    let error = engine.inspect(AccountId(9)).err();
    assert_eq!(error, Some(StoreError::OlderFormat { found: 1, supported: schema::FORMAT }));
    assert_eq!(std::fs::read(&path).unwrap(), super::formats::WRITTEN_BY_FORMAT_1);
    assert_eq!(engine.inspect(AccountId(8)).err(), Some(StoreError::NoSuchAccount(AccountId(8))));
}
