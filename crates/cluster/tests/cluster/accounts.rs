//! Handles: a remote one differs in nothing from a local one.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sterna_account::*;
use sterna_base::{AccountId, BlobHash, ContainerId, Epoch, Modseq, OperationId, Uid};

use crate::support::*;

pub fn message(text: &str) -> NewItem {
    let content = Content::Inline(Bytes::copy_from_slice(text.as_bytes()));
    let summary = Some(Bytes::copy_from_slice(&text.as_bytes()[..text.len().min(8)]));
    NewItem { content, summary, internal_date: None, flags: FlagSet::default(), name: None, object_uid: None }
}

pub fn append(text: &str) -> Vec<Mutation> {
    vec![Mutation::Append { container: INBOX, item: message(text) }]
}

fn a_mutation() -> impl Strategy<Value = Mutation> {
    let container = || (1..8_u64).prop_map(ContainerId);
    let uids = || (0..12_u32, 1..12_u32).prop_map(|(a, b)| UidSet::range(Uid(a), Uid(b)));
    prop_oneof![
        4 => (container(), "[a-z]{0,30}").prop_map(|(container, text)| Mutation::Append {
            container,
            item: message(&text),
        }),
        1 => (container(), "[a-c]{0,2}").prop_map(|(parent, name)| Mutation::CreateContainer {
            parent: Some(parent),
            kind: ContainerKind::Mail,
            name,
            special_use: None,
        }),
        1 => (container(), "[a-c]{1,2}").prop_map(|(container, name)| Mutation::RenameContainer {
            container,
            parent: None,
            name,
        }),
        1 => container().prop_map(|container| Mutation::DeleteContainer { container }),
        2 => (container(), uids(), container(), any::<bool>())
            .prop_map(|(from, uids, to, expunge)| Mutation::Copy { from, uids, to, expunge }),
        2 => (container(), uids(), 0..32_u8, 0..40_u64).prop_map(|(container, uids, system, since)| {
            let keywords = vec![Keyword::new("$Tern").unwrap()];
            let flags = FlagSet { system, keywords };
            let unchanged_since = (since < 30).then_some(Modseq(since));
            Mutation::StoreFlags { container, uids, action: FlagAction::Add, flags, unchanged_since }
        }),
        1 => (container(), uids(), any::<bool>())
            .prop_map(|(container, uids, deleted_only)| Mutation::Expunge { container, uids, deleted_only }),
        1 => (container(), "[ab]", "[a-z]{0,5}").prop_map(|(container, name, text)| Mutation::Put {
            container,
            item: NewItem { name: Some(name), ..message(&text) },
            expect: commit::Expect::Any,
        }),
        1 => (container(), "[ab]").prop_map(|(container, name)| Mutation::Remove { container, name }),
        1 => (0..3_000_u64).prop_map(|bytes| Mutation::SetQuota { bytes_max: Some(bytes), items_max: None }),
    ]
}

/// Everything that can be asked, as text, so that a difference is seen.
async fn everything(account: &dyn Account) -> String {
    let mut text = format!("{:?}\n{:?}\n", account.head().await, account.changes(Cursor::start(), 1000).await);
    let containers = account.containers().await.unwrap();
    let parts = ItemParts { summary: true, body: true, ..ItemParts::default() };
    for container in containers.iter().map(|container| container.id).chain([ContainerId(99)]) {
        text += &format!(
            "{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n",
            account.container(container).await,
            account.item_flags(container, Uid(1), 5).await,
            account.items(container, &UidSet::all(), parts, 7).await,
            account.item_named(container, "a", parts).await,
            account.expunged(container, Modseq(3), Uid(0), 9).await,
        );
    }
    let blob = BlobHash::of(b"abc");
    text + &format!("{:?}\n{containers:?}", account.blob(blob, 1..2).await)
}

#[test]
fn a_remote_handle_answers_like_a_local_one() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (installation, node) = runtime.block_on(async {
        let installation = Installation::new().await;
        let node = installation.add_node("alpha").await;
        (installation, node)
    });
    let next = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let histories = proptest::collection::vec(proptest::collection::vec(a_mutation(), 1..4), 1..14);
    let result = runner.run(&histories, |history| {
        let (here, there) = (AccountId(next.get() * 2 + 1), AccountId(next.get() * 2 + 2));
        next.set(next.get() + 1);
        runtime.block_on(async {
            installation.add_account(here, &installation.main).await;
            installation.add_account(there, &node).await;
            let local = installation.main.open(&installation.world, here).await;
            let remote = installation.main.open(&installation.world, there).await;
            for mutations in history {
                let operation = OperationId::random();
                let (mine, other) = (mutations.clone(), mutations.clone());
                let committed = local.commit(operation, mine).await;
                prop_assert_eq!(&committed, &remote.commit(operation, other).await);
                let again = remote.commit(operation, mutations).await;
                prop_assert_eq!(again.is_ok(), committed.is_ok());
                prop_assert!(again.is_err() || again.is_ok_and(|again| again.repeated));
            }
            let expected = everything(&*local).await.replace(&format!("{here:?}"), &format!("{there:?}"));
            prop_assert_eq!(expected, everything(&*remote).await);
            Ok(())
        })
    });
    result.unwrap();
}

#[tokio::test]
async fn pages_are_put_together_beyond_the_limits_of_one_answer() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    installation.add_account(AccountId(1), &node).await;
    let remote = installation.main.open(&installation.world, AccountId(1)).await;
    let mutations: Vec<Mutation> = (0..200).flat_map(|n| append(&format!("message {n}"))).collect();
    remote.commit(OperationId::random(), mutations).await.unwrap();
    let parts = ItemParts { summary: false, body: true, ..ItemParts::default() };
    let items = remote.items(INBOX, &UidSet::all(), parts, 170).await.unwrap();
    let uids: Vec<u32> = items.iter().map(|item| item.uid.0).collect();
    assert_eq!(uids, (1..=170).collect::<Vec<_>>());
    assert_eq!(items[169].body.as_deref(), Some(&b"message 169"[..]));
    assert_eq!(remote.items(INBOX, &UidSet::range(Uid(190), Uid(900)), parts, 170).await.unwrap().len(), 11);
    assert_eq!(remote.item_flags(INBOX, Uid(0), usize::MAX).await.unwrap().len(), 200);
}

#[tokio::test]
async fn a_large_blob_streams_there_and_back() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    installation.add_account(AccountId(1), &node).await;
    let remote = installation.main.open(&installation.world, AccountId(1)).await;
    let chunk = Bytes::from((0..=255_u8).cycle().take(512 * 1024).collect::<Vec<_>>());
    let mut upload = remote.stage_blob().await.unwrap();
    for _ in 0..128 {
        upload.write(chunk.clone()).await.unwrap();
    }
    let (hash, size) = upload.finish().await.unwrap();
    assert_eq!(size, 64 * 1024 * 1024);
    let item = NewItem { content: Content::Stored(hash), ..message("") };
    remote.commit(OperationId::random(), vec![Mutation::Append { container: INBOX, item }]).await.unwrap();
    let (mut at, mut all) = (0, Vec::new());
    while at < size {
        let bytes = remote.blob(hash, at..size).await.unwrap();
        assert!(!bytes.is_empty() && bytes.len() <= sterna_base::limits::BLOB_CHUNK_BYTES);
        at += bytes.len() as u64;
        all.extend_from_slice(&bytes);
    }
    assert_eq!(BlobHash::of(&all), hash);
    assert_eq!(remote.blob(hash, size..size + 5).await.unwrap(), Bytes::new());
}

#[tokio::test]
async fn a_file_is_taken_in_here_and_there() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    installation.add_account(AccountId(1), &node).await;
    let remote = installation.main.open(&installation.world, AccountId(1)).await;
    let local = node.local.get(AccountId(1)).await.unwrap();
    let (folder, bytes) = (tempfile::tempdir().unwrap(), vec![7; 3 * sterna_base::limits::BLOB_CHUNK_BYTES / 2]);
    let path = folder.path().join("spooled");
    for account in [&*remote as &dyn Account, &*local] {
        std::fs::write(&path, &bytes).unwrap();
        let staged = account.stage_blob().await.unwrap().finish_with_file(path.clone()).await.unwrap();
        assert_eq!(staged, (BlobHash::of(&bytes), bytes.len() as u64));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(account.staged_blob(staged.0, 0..2).await.unwrap(), [7, 7][..]);
        let missing = account.stage_blob().await.unwrap().finish_with_file(path.clone()).await.unwrap_err();
        assert!(matches!(&missing, AccountError::Unavailable(why) if why.contains("can't be read")), "{missing:?}");
    }
}

#[tokio::test]
async fn an_upload_that_is_given_up_leaves_no_blob() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    installation.add_account(AccountId(1), &node).await;
    let remote = installation.main.open(&installation.world, AccountId(1)).await;
    let content = Bytes::from(vec![9; 300_000]);
    let mut upload = remote.stage_blob().await.unwrap();
    upload.write(content.clone()).await.unwrap();
    drop(upload);
    // A second one on the same connection: when it is done, the first was seen to end.
    let mut upload = remote.stage_blob().await.unwrap();
    upload.write(Bytes::from_static(b"kept")).await.unwrap();
    upload.finish().await.unwrap();
    let missing = BlobHash::of(&content);
    let error = remote.blob(missing, 0..1).await.unwrap_err();
    assert_eq!(error, AccountError::Store(StoreError::NoSuchBlob(missing)));
}

#[tokio::test]
async fn a_handle_follows_its_account_to_another_node() {
    let installation = Installation::new().await;
    let (alpha, beta) = (installation.add_node("alpha").await, installation.add_node("beta").await);
    let account = AccountId(1);
    installation.add_account(account, &alpha).await;
    let handle = installation.main.open(&installation.world, account).await;
    handle.commit(OperationId::random(), append("on alpha")).await.unwrap();
    // A move in miniature: sealed here, made there, then placed there.
    alpha.local.get(account).await.unwrap().set_role(Epoch(1), Role::Sealed).await.unwrap();
    let held = {
        let handle: Arc<dyn Account> = handle.clone();
        tokio::spawn(async move { handle.commit(OperationId::random(), append("on beta")).await })
    };
    beta.local.create(account, Epoch(2)).await.unwrap();
    let copy = beta.local.get(account).await.unwrap();
    copy.commit(OperationId::random(), first_containers::mutations()).await.unwrap();
    let mut modseq = handle.watch();
    installation.world.place(account, beta.id(), 2);
    held.await.unwrap().unwrap();
    let flags = copy.item_flags(INBOX, Uid(0), 10).await.unwrap();
    assert_eq!(flags.len(), 1);
    let head = copy.head().await.unwrap().modseq;
    modseq.wait_for(|modseq| *modseq >= head).await.unwrap();
    // The old copy answers nobody who believes in the old placement.
    let stale = sterna_cluster::handle::RemoteAccount::new(
        &installation.main.peers,
        account,
        sterna_cluster::Placement { node: alpha.id(), epoch: Epoch(1) },
    );
    assert_eq!(stale.head().await.unwrap_err(), AccountError::NoSuchAccount(account));
}

#[tokio::test]
async fn what_is_staged_follows_its_account_to_another_node() {
    let installation = Installation::new().await;
    let (alpha, beta) = (installation.add_node("alpha").await, installation.add_node("beta").await);
    let account = AccountId(1);
    installation.add_account(account, &alpha).await;
    let handle = installation.main.open(&installation.world, account).await;
    let contents = [Bytes::from(vec![1; 3_000_000]), Bytes::from(vec![2; 3_000_000])];
    let mut begun = handle.stage_blob().await.unwrap();
    begun.write(contents[0].slice(..1_000_000)).await.unwrap();
    alpha.local.get(account).await.unwrap().set_role(Epoch(1), Role::Sealed).await.unwrap();
    let mut late = handle.stage_blob().await.unwrap();
    late.write(contents[1].clone()).await.unwrap();
    beta.local.create(account, Epoch(2)).await.unwrap();
    let copy = beta.local.get(account).await.unwrap();
    copy.commit(OperationId::random(), first_containers::mutations()).await.unwrap();
    installation.world.place(account, beta.id(), 2);
    begun.write(contents[0].slice(1_000_000..)).await.unwrap();
    for (upload, content) in [begun, late].into_iter().zip(&contents) {
        let (hash, _) = upload.finish().await.unwrap();
        let item = NewItem { content: Content::Stored(hash), ..message("") };
        handle.commit(OperationId::random(), vec![Mutation::Append { container: INBOX, item }]).await.unwrap();
        assert_eq!(copy.blob(hash, 0..10).await.unwrap(), content.slice(..10));
    }
    // What was staged and is lost with its server has to be sent again.
    installation.world.place(account, alpha.id(), 3);
    alpha.local.get(account).await.unwrap().set_role(Epoch(3), Role::Active).await.unwrap();
    let mut lost = handle.stage_blob().await.unwrap();
    lost.write(Bytes::from(vec![3; 3_000_000])).await.unwrap();
    let (hash, _) = lost.finish().await.unwrap();
    copy.set_role(Epoch(4), Role::Active).await.unwrap();
    alpha.local.delete(account).await.unwrap();
    installation.world.place(account, beta.id(), 4);
    let item = NewItem { content: Content::Stored(hash), ..message("") };
    let error = handle.commit(OperationId::random(), vec![Mutation::Append { container: INBOX, item }]).await;
    assert!(matches!(error, Err(AccountError::Unavailable(_))), "{error:?}");
}

#[tokio::test]
async fn a_seal_that_lasts_is_said_after_the_hold() {
    let installation = Installation::new().await;
    let node = installation.add_node("alpha").await;
    installation.add_account(AccountId(1), &node).await;
    node.local.get(AccountId(1)).await.unwrap().set_role(Epoch(1), Role::Sealed).await.unwrap();
    let handle = installation.main.open(&installation.world, AccountId(1)).await;
    let began = std::time::Instant::now();
    let error = handle.commit(OperationId::random(), append("x")).await.unwrap_err();
    assert_eq!(error, AccountError::Refused(CommitError::Sealed));
    let waited = began.elapsed().as_millis() as u64;
    assert!((sterna_cluster::limits::HOLD_MS_MAX..4_000).contains(&waited), "{waited} ms");
}
