//! Search indexes that a node feeds while it serves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sterna_account::local::{LocalAccount, LocalAccounts};
use sterna_account::search::Filter;
use sterna_account::*;
use sterna_base::*;
use sterna_engines::sqlite::SqliteEngine;

use crate::watched::{INBOX, NOW};

const ACCOUNT: AccountId = AccountId(1);

/// More than one batch.
const MESSAGES: usize = 700;

struct Node {
    accounts: Arc<LocalAccounts>,
    account: Arc<LocalAccount>,
    folder: tempfile::TempDir,
}

async fn node() -> Node {
    let folder = tempfile::tempdir().unwrap();
    let engine = Arc::new(SqliteEngine::new(folder.path()));
    let accounts = Arc::new(LocalAccounts::new(engine, Arc::new(ManualClock::at(NOW))));
    accounts.create(ACCOUNT, Epoch(1)).await.unwrap();
    let account = accounts.get(ACCOUNT).await.unwrap();
    account.commit(OperationId::random(), first_containers::mutations()).await.unwrap();
    let node = Node { accounts, account, folder };
    let feeding = node.accounts.clone();
    tokio::spawn(async move { feeding.feed_indexes(&tokio::runtime::Handle::current()).await });
    node
}

impl Node {
    async fn append(&self, texts: impl Iterator<Item = String>) {
        let append = |text: String| {
            let content = Content::Inline(Bytes::from(format!("Subject: fed\r\n\r\n{text}\r\n")));
            let flags = FlagSet::default();
            let item = NewItem { content, summary: None, internal_date: None, flags, name: None, object_uid: None };
            Mutation::Append { container: INBOX, item }
        };
        self.account.commit(OperationId::random(), texts.map(append).collect()).await.unwrap();
    }

    async fn found(&self, text: &str) -> usize {
        let (mut open, mut found) = (UidSet::all(), 0);
        while !open.is_empty() {
            let step = self.account.search(INBOX, &Filter::Text(text.to_owned()), &open).await.unwrap();
            found += step.matching.span();
            open = step.open;
        }
        found as usize
    }

    /// Waits until the index has so many documents and all changes.
    async fn fed(&self, documents: u64) {
        let wait = async {
            loop {
                let status = self.account.index_status().await.unwrap().unwrap();
                let reached = status.progress.is_some_and(|progress| progress.reached.is_past(status.modseq));
                if reached && status.index.documents == documents {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the index is fed");
    }

    fn index_path(&self) -> PathBuf {
        fn find(folder: &Path) -> Option<PathBuf> {
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).find_map(|path| match path.is_dir() {
                true => find(&path),
                false => path.ends_with("search.sqlite").then_some(path),
            })
        }
        find(self.folder.path()).expect("there is an index")
    }
}

#[tokio::test]
async fn an_index_follows_its_account_and_searches_are_right_meanwhile() {
    let node = node().await;
    node.append((0..MESSAGES).map(|n| format!("arctic{}", n % 100))).await;
    assert_eq!(node.found("rctic7").await, 77, "before it is fed");
    node.fed(100).await;
    assert_eq!(node.found("rctic7").await, 77, "after");
    node.append((0..3).map(|n| format!("new{n} arctic7"))).await;
    assert_eq!(node.found("rctic7").await, 80, "while it lags");
    node.fed(103).await;
    let uids = UidSet::all();
    let expunge = Mutation::Expunge { container: INBOX, uids, deleted_only: false };
    node.account.commit(OperationId::random(), vec![expunge]).await.unwrap();
    node.fed(0).await;
    assert_eq!(node.found("rctic7").await, 0);
}

#[tokio::test]
async fn a_damaged_index_loses_nothing_and_is_made_again() {
    let node = node().await;
    node.append((0..50).map(|n| format!("arctic{n}"))).await;
    node.fed(50).await;
    // All that is open goes, and somebody writes into the file.
    node.accounts.close().await;
    let path = node.index_path();
    let mut bytes = std::fs::read(&path).unwrap();
    let from = bytes.len() / 8;
    bytes[from..].fill(0x55);
    std::fs::write(&path, bytes).unwrap();
    let again = Node { account: node.accounts.get(ACCOUNT).await.unwrap(), ..node };
    assert_eq!(again.found("rctic4").await, 11);
    let mended = async {
        while again.account.index_status().await.ok().flatten().is_none_or(|status| status.index.documents < 50) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), mended).await.expect("the index is made again");
    assert_eq!(again.found("rctic4").await, 11);
    again.account.rebuild_index().await.unwrap();
    again.fed(50).await;
}

#[tokio::test]
async fn a_copy_that_follows_has_no_index() {
    let node = node().await;
    node.append((0..50).map(|n| format!("arctic{n}"))).await;
    node.fed(50).await;
    let path = node.index_path();
    node.account.set_role(Epoch(1), Role::Sealed).await.unwrap();
    assert!(path.exists(), "a move that is given up keeps it");
    assert_eq!(node.found("rctic4").await, 11, "a sealed account is searched");
    node.account.set_role(Epoch(2), Role::Follower).await.unwrap();
    assert!(!path.exists());
    assert_eq!(node.account.feed_index(&tokio::runtime::Handle::current()).await, Ok(None));
    node.account.set_role(Epoch(3), Role::Active).await.unwrap();
    node.fed(50).await;
}
