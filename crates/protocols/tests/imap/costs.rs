//! What one new message costs the sessions that have its folder open does not depend on how many there are: counted,
//! not timed.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use sterna_account::account::BlobUpload;
use sterna_account::local::LocalAccounts;
use sterna_account::search::{Filter, Found};
use sterna_account::service::Accounts;
use sterna_account::{
    Account, AccountError, Changes, Commit, Committed, Container, ContainerKind, Content, Cursor, Engine, Expunged,
    FlagSet, Head, Item, ItemFlags, ItemParts, Mutation, NewItem, Role, UidSet, first_containers,
};
use sterna_base::{AccountId, BlobHash, ContainerId, Epoch, Modseq, OperationId, SystemClock, Timestamp, Uid};
use sterna_engines::faults::FaultyDisk;
use sterna_engines::sqlite::SqliteEngine;
use tokio::sync::watch;

use crate::dialog::{ANA, Client, Server};

const INBOX: ContainerId = ContainerId(1);
/// Messages over which the cost is taken.
const MESSAGES: u64 = 20;
/// A folder of very many, and one of few.
const MANY: u64 = 200_000;
const FEW: u64 = 50;

/// An account that counts what it is asked.
struct Counted {
    account: Arc<dyn Account>,
    work: Arc<Work>,
}

#[derive(Default)]
struct Work {
    questions: AtomicU64,
    rows: AtomicU64,
}

impl Counted {
    fn count<T>(&self, answer: Result<Vec<T>, AccountError>) -> Result<Vec<T>, AccountError> {
        self.rows(answer.as_ref().map_or(0, Vec::len));
        answer
    }

    fn rows(&self, rows: usize) {
        self.work.questions.fetch_add(1, Ordering::Relaxed);
        self.work.rows.fetch_add(rows as u64, Ordering::Relaxed);
    }
}

#[async_trait]
impl Account for Counted {
    fn id(&self) -> AccountId {
        self.account.id()
    }
    async fn head(&self) -> Result<Head, AccountError> {
        self.rows(1);
        self.account.head().await
    }
    async fn containers(&self) -> Result<Vec<Container>, AccountError> {
        self.count(self.account.containers().await)
    }
    async fn container(&self, id: ContainerId) -> Result<Option<Container>, AccountError> {
        self.rows(1);
        self.account.container(id).await
    }
    async fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, AccountError> {
        self.count(self.account.containers_on_path(kind, path).await)
    }
    async fn item_flags(&self, id: ContainerId, after: Uid, limit: usize) -> Result<Vec<ItemFlags>, AccountError> {
        self.count(self.account.item_flags(id, after, limit).await)
    }
    async fn items(
        &self,
        id: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, AccountError> {
        self.count(self.account.items(id, uids, parts, limit).await)
    }
    async fn item_named(&self, id: ContainerId, name: &str, parts: ItemParts) -> Result<Option<Item>, AccountError> {
        self.rows(1);
        self.account.item_named(id, name, parts).await
    }
    async fn expunged(
        &self,
        id: ContainerId,
        since: Modseq,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Expunged>, AccountError> {
        self.count(self.account.expunged(id, since, after, limit).await)
    }
    async fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, AccountError> {
        let changes = self.account.changes(after, limit).await;
        self.rows(changes.as_ref().map_or(0, |changes| changes.rows.len()));
        changes
    }
    async fn container_changes(
        &self,
        container: ContainerId,
        after: Cursor,
        limit: usize,
    ) -> Result<Changes, AccountError> {
        self.account.container_changes(container, after, limit).await
    }
    async fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.rows(1);
        self.account.blob(hash, range).await
    }
    async fn search(&self, id: ContainerId, filter: &Filter, uids: &UidSet) -> Result<Found, AccountError> {
        self.rows(1);
        self.account.search(id, filter, uids).await
    }
    async fn relevancy(&self, id: ContainerId, filter: &Filter, uids: &UidSet) -> Result<Vec<(Uid, u8)>, AccountError> {
        self.rows(1);
        self.account.relevancy(id, filter, uids).await
    }
    async fn commit(&self, operation: OperationId, mutations: Vec<Mutation>) -> Result<Committed, AccountError> {
        self.rows(0);
        self.account.commit(operation, mutations).await
    }
    async fn stage_blob(&self) -> Result<Box<dyn BlobUpload>, AccountError> {
        self.account.stage_blob().await
    }
    async fn staged_blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.account.staged_blob(hash, range).await
    }
    fn watch(&self) -> watch::Receiver<Modseq> {
        self.account.watch()
    }
}

struct Only(Arc<Counted>);

#[async_trait]
impl Accounts for Only {
    async fn open(&self, _account: AccountId) -> Result<Arc<dyn Account>, AccountError> {
        Ok(self.0.clone())
    }
}

/// The work for one message.
#[derive(Debug)]
struct Cost {
    questions: f64,
    rows: f64,
    page_reads: f64,
    writes: f64,
    flushes: f64,
}

/// Puts so many messages into the INBOX of a new account.
fn fill(folder: &std::path::Path, count: u64) {
    let engine = SqliteEngine::new(folder);
    engine.create(ANA, Epoch(1), Role::Active, Timestamp(0)).unwrap();
    let mut store = engine.open(ANA).unwrap();
    let commit = |mutations| Commit { operation: OperationId::random(), epoch: Epoch(1), mutations };
    store.commit(&[commit(first_containers::mutations())], Timestamp(0)).unwrap().remove(0).unwrap();
    let append = |_| {
        // One body for all: what is counted here are rows.
        let content = Content::Inline(Bytes::from_static(b"Subject: tern\r\n\r\nA tern.\r\n"));
        let item = NewItem {
            content,
            summary: None,
            internal_date: None,
            flags: FlagSet::default(),
            name: None,
            object_uid: None,
        };
        Mutation::Append { container: INBOX, item }
    };
    const BATCH: u64 = 1000;
    for first in (0..count).step_by(BATCH as usize) {
        let mutations = (first..count.min(first + BATCH)).map(append).collect();
        let answers = store.commit(&[commit(mutations)], Timestamp(1_800_000_000_000)).unwrap();
        assert!(answers.iter().all(Result::is_ok));
    }
}

/// A message comes, one session hears of it in IDLE and another asks; both hear that somebody reads it.
async fn one_message(number: u64, clients: &mut [Client; 3]) {
    let [idle, asking, appending] = clients;
    appending.say("C: a APPEND INBOX {12+}\nC+ Subject: x\\r\\n\\r\\n\nS: a OK *").await;
    idle.say(&format!("S: * {number} EXISTS\nS: ...\nS: * * RECENT")).await;
    asking
        .say(&format!(
            "C: n NOOP\nS: ...\nS: n OK *\n\
             C: f UID FETCH {number} (UID FLAGS RFC822.SIZE ENVELOPE BODY.PEEK[])\nS: * {number} FETCH *\nS: f OK *\n\
             C: s UID STORE {number} +FLAGS (\\Seen)\nS: * {number} FETCH *\nS: s OK *"
        ))
        .await;
    idle.say(&format!("S: * {number} FETCH (UID {number} FLAGS (\\Seen*))")).await;
}

async fn cost_at(count: u64) -> Cost {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), count);
    let disk = FaultyDisk::new(folder.path());
    let engine = Arc::new(SqliteEngine::on_disk(folder.path(), disk.clone()));
    let accounts = LocalAccounts::new(engine, Arc::new(SystemClock));
    let work = Arc::<Work>::default();
    let account = accounts.open(ANA).await.unwrap();
    let mut server = Server::start().await;
    server.through(Arc::new(Only(Arc::new(Counted { account, work: work.clone() }))));
    let mut clients = [server.login().await, server.login().await, server.login().await];
    clients[0].say("C: s SELECT INBOX\nS: ...\nS: s OK *\nC: i IDLE\nS: + *").await;
    clients[1].say("C: s SELECT INBOX\nS: ...\nS: s OK *").await;
    // The first fills caches.
    one_message(count + 1, &mut clients).await;
    let now = || {
        let (flushes, writes) = disk.counts();
        let work = [&work.questions, &work.rows].map(|work| work.load(Ordering::Relaxed));
        [work[0], work[1], disk.reads(), writes, flushes]
    };
    let before = now();
    for number in 0..MESSAGES {
        one_message(count + 2 + number, &mut clients).await;
    }
    let after = now();
    let each = |at: usize| (after[at] - before[at]) as f64 / MESSAGES as f64;
    Cost { questions: each(0), rows: each(1), page_reads: each(2), writes: each(3), flushes: each(4) }
}

#[tokio::test]
async fn a_new_message_costs_the_same_in_a_folder_of_very_many_as_in_one_of_few() {
    let (few, many) = (cost_at(FEW).await, cost_at(MANY).await);
    // Who of two sessions asks what changed, and whether both do, is chance.
    assert!(many.questions < few.questions + 3.0, "questions: {few:?}, {many:?}");
    assert!(many.rows < few.rows + 6.0, "rows: {few:?}, {many:?}");
    // Trees of four thousand times as many rows are deeper by a level or two, and not all of them stays in the cache.
    assert!(many.page_reads < few.page_reads + 60.0, "pages read: {few:?}, {many:?}");
    assert!(many.writes < few.writes + 20.0, "writes: {few:?}, {many:?}");
    assert!(many.flushes < few.flushes + 0.5, "flushes: {few:?}, {many:?}");
}
