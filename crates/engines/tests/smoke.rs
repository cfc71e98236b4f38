//! A short life of an account, checked at its end.

use bytes::Bytes;
use sterna_account::check::{Depth, check};
use sterna_account::*;
use sterna_base::*;
use sterna_engines::sqlite::SqliteEngine;

fn commit(mutations: Vec<Mutation>) -> Commit {
    Commit { operation: OperationId::random(), epoch: Epoch(1), mutations }
}

fn message(text: &str) -> NewItem {
    let content = Content::Inline(Bytes::copy_from_slice(text.as_bytes()));
    let mut flags = FlagSet::default().with(SystemFlag::Flagged);
    flags.insert(Keyword::new("$Tern").unwrap());
    NewItem { content, summary: None, internal_date: None, flags, name: None, object_uid: None }
}

#[test]
fn an_account_lives_and_every_invariant_holds() {
    let folder = tempfile::tempdir().unwrap();
    let engine = SqliteEngine::new(folder.path());
    let (account, now) = (AccountId(7), Timestamp::from_seconds(1_800_000_000));
    engine.create(account, Epoch(1), Role::Active, now).unwrap();
    let mut store = engine.open(account).unwrap();
    let first = store.commit(&[commit(first_containers::mutations())], now).unwrap();
    assert!(first[0].is_ok(), "{first:?}");
    let (inbox, trash) = (ContainerId(1), ContainerId(6));
    let batch: Vec<Commit> = (0..20)
        .map(|n| commit(vec![Mutation::Append { container: inbox, item: message(&format!("message {}", n % 15)) }]))
        .collect();
    let again = store.commit(&[batch[0].clone(), batch[0].clone()], now).unwrap();
    assert!(!again[0].as_ref().unwrap().repeated && again[1].as_ref().unwrap().repeated);
    for answer in store.commit(&batch, now).unwrap() {
        answer.unwrap();
    }
    let flags = FlagSet::default().with(SystemFlag::Deleted);
    let uids = UidSet::range(Uid(3), Uid(9));
    let steps = vec![
        Mutation::StoreFlags { container: inbox, uids, action: FlagAction::Add, flags, unchanged_since: None },
        Mutation::Copy { from: inbox, uids: UidSet::range(Uid(1), Uid(5)), to: trash, expunge: true },
        Mutation::Expunge { container: inbox, uids: UidSet::all(), deleted_only: true },
    ];
    let done = store.commit(&[commit(steps)], now).unwrap().remove(0).unwrap();
    assert!(matches!(&done.outcomes[2], Outcome::Expunged { uids } if uids.span() == 4));
    let missing = commit(vec![Mutation::DeleteContainer { container: ContainerId(99) }]);
    let refused = store.commit(&[missing], now).unwrap().remove(0);
    assert_eq!(refused, Err(CommitError::NoSuchContainer(ContainerId(99))));
    let mut writer = store.stage_blob().unwrap();
    writer.write(&vec![7; 300_000]).unwrap();
    let (hash, _) = writer.finish().unwrap();
    let item = NewItem { content: Content::Stored(hash), ..message("") };
    store.commit(&[commit(vec![Mutation::Append { container: trash, item }])], now).unwrap().remove(0).unwrap();
    assert_eq!(check(store.as_ref(), Depth { contents: true }).unwrap(), []);
    let delete = commit(vec![Mutation::DeleteContainer { container: trash }]);
    store.commit(&[delete], now).unwrap().remove(0).unwrap();
    assert_eq!(check(store.as_ref(), Depth { contents: true }).unwrap(), []);
    assert!(store.purge(now.plus_ms(1), now, 1000).unwrap() > 0);
    drop(store);
    let store = engine.open(account).unwrap();
    assert_eq!(check(store.as_ref(), Depth { contents: true }).unwrap(), []);
    assert_eq!(store.check_files().unwrap(), Vec::<String>::new());
    assert_eq!(store.blob(hash, 0..1), Err(StoreError::NoSuchBlob(hash)));
}
