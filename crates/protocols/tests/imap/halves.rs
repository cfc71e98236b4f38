//! What happens between two accounts when one of them fails in between, or is away.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sterna_account::account::BlobUpload;
use sterna_account::search::{Filter, Found};
use sterna_account::service::Accounts;
use sterna_account::*;
use sterna_base::{AccountId, BlobHash, ContainerId, Modseq, OperationId, Uid};
use tokio::sync::watch;

use crate::dialog::{ANA, BOB, Server};

/// What is wrong with ana's account.
#[derive(Default)]
struct Wrong {
    /// Nothing answers.
    down: AtomicBool,
    /// For so many milliseconds it does nothing before it reads items or commits.
    slow_ms: AtomicU64,
    /// So many expunges fail.
    expunges: AtomicU64,
}

/// The accounts of a server, ana's with something wrong.
struct Doors {
    accounts: Arc<dyn Accounts>,
    elsewhere: Arc<dyn Accounts>,
    wrong: Arc<Wrong>,
}

#[async_trait]
impl Accounts for Doors {
    async fn open(&self, account: AccountId) -> Result<Arc<dyn Account>, AccountError> {
        if account != ANA {
            return self.elsewhere.open(account).await;
        }
        Ok(Arc::new(Shaky { account: self.accounts.open(account).await?, wrong: self.wrong.clone() }))
    }
}

struct Shaky {
    account: Arc<dyn Account>,
    wrong: Arc<Wrong>,
}

impl Shaky {
    async fn wait(&self) {
        let wait = Duration::from_millis(self.wrong.slow_ms.load(Ordering::Relaxed));
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    fn up(&self) -> Result<&Arc<dyn Account>, AccountError> {
        let down = self.wrong.down.load(Ordering::Relaxed);
        if down { Err(AccountError::Unavailable("node x is down".into())) } else { Ok(&self.account) }
    }
}

#[async_trait]
impl Account for Shaky {
    fn id(&self) -> AccountId {
        self.account.id()
    }
    async fn head(&self) -> Result<Head, AccountError> {
        self.up()?.head().await
    }
    async fn containers(&self) -> Result<Vec<Container>, AccountError> {
        self.up()?.containers().await
    }
    async fn container(&self, id: ContainerId) -> Result<Option<Container>, AccountError> {
        self.up()?.container(id).await
    }
    async fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, AccountError> {
        self.account.containers_on_path(kind, path).await
    }
    async fn item_flags(&self, id: ContainerId, after: Uid, limit: usize) -> Result<Vec<ItemFlags>, AccountError> {
        self.up()?.item_flags(id, after, limit).await
    }
    async fn items(
        &self,
        id: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, AccountError> {
        self.wait().await;
        self.up()?.items(id, uids, parts, limit).await
    }
    async fn item_named(&self, id: ContainerId, name: &str, parts: ItemParts) -> Result<Option<Item>, AccountError> {
        self.up()?.item_named(id, name, parts).await
    }
    async fn expunged(
        &self,
        id: ContainerId,
        since: Modseq,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Expunged>, AccountError> {
        self.up()?.expunged(id, since, after, limit).await
    }
    async fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, AccountError> {
        self.up()?.changes(after, limit).await
    }
    async fn container_changes(
        &self,
        container: ContainerId,
        after: Cursor,
        limit: usize,
    ) -> Result<Changes, AccountError> {
        self.up()?.container_changes(container, after, limit).await
    }
    async fn blob(&self, hash: BlobHash, range: std::ops::Range<u64>) -> Result<Bytes, AccountError> {
        self.up()?.blob(hash, range).await
    }
    async fn search(&self, id: ContainerId, filter: &Filter, uids: &UidSet) -> Result<Found, AccountError> {
        self.wait().await;
        self.up()?.search(id, filter, uids).await
    }
    async fn relevancy(&self, id: ContainerId, filter: &Filter, uids: &UidSet) -> Result<Vec<(Uid, u8)>, AccountError> {
        self.wait().await;
        self.up()?.relevancy(id, filter, uids).await
    }
    async fn commit(&self, operation: OperationId, mutations: Vec<Mutation>) -> Result<Committed, AccountError> {
        self.wait().await;
        let expunges = mutations.iter().any(|mutation| matches!(mutation, Mutation::Expunge { .. }));
        let fails = |left: u64| left.checked_sub(1).filter(|_| expunges);
        if self.wrong.expunges.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fails).is_ok() {
            return Err(AccountError::Unavailable("the wire was cut".into()));
        }
        self.up()?.commit(operation, mutations).await
    }
    async fn stage_blob(&self) -> Result<Box<dyn BlobUpload>, AccountError> {
        self.up()?.stage_blob().await
    }
    async fn staged_blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.up()?.staged_blob(hash, range).await
    }
    fn watch(&self) -> watch::Receiver<Modseq> {
        self.account.watch()
    }
}

const ANAS: &str = "\"Other users/ana@x.test/INBOX\"";

/// Ana shares INBOX with bob.
async fn shaky() -> (Server, Arc<Wrong>) {
    let mut server = Server::shared().await;
    let wrong = Arc::new(Wrong::default());
    let (accounts, elsewhere) = (server.accounts.clone(), server.elsewhere.clone());
    server.through(Arc::new(Doors { accounts, elsewhere, wrong: wrong.clone() }));
    server.dialog("C: a SETACL INBOX bob@x.test lrswite\nS: a OK *").await;
    (server, wrong)
}

#[tokio::test]
async fn a_move_that_was_done_by_half_appends_nothing_twice() {
    let (server, wrong) = shaky().await;
    let mut ana = server.login().await;
    for number in 1..=3 {
        ana.say(&format!("C: a APPEND INBOX {{3+}}\nC: 00{number}\nS: a OK *")).await;
    }
    let mut bob = server.login_as("bob").await;
    bob.say(&format!("C: a SELECT {ANAS}\nS: ...\nS: a OK *")).await;
    wrong.expunges.store(1, Ordering::Relaxed);
    bob.say(
        r#"
        C: b MOVE 1:2 INBOX
        S: b NO [UNAVAILABLE] *
        C: c STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 2)
        S: c OK *
        C: d MOVE 1:2 INBOX
        S: * OK [COPYUID * 1:2 1:2] *
        S: * 1 EXPUNGE
        S: * 1 EXPUNGE
        S: d OK *
        C: e STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 2)
        S: e OK *
    "#,
    )
    .await;
    // What was appended by half and then expunged there is appended anew: it must be somewhere.
    wrong.expunges.store(1, Ordering::Relaxed);
    bob.say("C: f MOVE 1 INBOX\nS: f NO [UNAVAILABLE] *").await;
    let mut other = server.login_as("bob").await;
    other.say("C: a SELECT INBOX\nS: ...\nS: a OK *\nC: b STORE 3 +FLAGS.SILENT (\\Deleted)\nS: b OK *").await;
    other.say("C: c EXPUNGE\nS: * 3 EXPUNGE\nS: c OK *").await;
    bob.say("C: g MOVE 1 INBOX\nS: * OK [COPYUID * 3 4] *\nS: * 1 EXPUNGE\nS: g OK *").await;
    server.check().await;
}

#[tokio::test]
async fn who_is_away_is_named_and_nobody_else_is_missing() {
    let (server, wrong) = shaky().await;
    server.give_info("INBOX", BOB, "lr").await;
    let mut bob = server.login_as("bob").await;
    bob.say(&format!("C: a SUBSCRIBE {ANAS}\nS: a OK *")).await;
    wrong.down.store(true, Ordering::Relaxed);
    // Never seen by this process: only that they are somewhere is known.
    bob.say(
        r#"
        C: a LIST "" (Sent "Other users/*" "Shared folders/*")
        S: * LIST (\HasNoChildren \Sent) "/" Sent
        S: * LIST (\Noselect \HasChildren) "/" "Other users/ana@x.test"
        S: * NO [UNAVAILABLE] Mailboxes of ana@x.test can't be reached at the moment
        S: * LIST (\Noselect \HasChildren) "/" "Shared folders/info@x.test"
        S: * LIST (\HasNoChildren) "/" "Shared folders/info@x.test/INBOX"
        S: a OK *
        C: b LIST (SUBSCRIBED) "" *
        S: * LIST (\Subscribed) "/" "Other users/ana@x.test/INBOX"
        S: * NO [UNAVAILABLE] Mailboxes of ana@x.test *
        S: b OK *
        C: c SELECT "Other users/ana@x.test/INBOX"
        S: c NO [UNAVAILABLE] *
        C: d APPEND "Other users/ana@x.test/INBOX" {3+}
        C: abc
        S: d NO [UNAVAILABLE] *
        C: e STATUS INBOX (MESSAGES)
        S: * STATUS INBOX (MESSAGES 0)
        S: e OK *
        C: f SELECT "Shared folders/info@x.test/INBOX"
        S: ...
        S: f OK *
    "#,
    )
    .await;
    wrong.down.store(false, Ordering::Relaxed);
    bob.say(&format!("C: a LIST \"\" {ANAS}\nS: * LIST (\\HasNoChildren) \"/\" {ANAS}\nS: a OK *")).await;
    wrong.down.store(true, Ordering::Relaxed);
    // As it was last seen, so that no client takes it for deleted; what is in it is not known.
    bob.say(
        r#"
        C: b LIST "" "Other users/*" RETURN (STATUS (MESSAGES))
        S: * LIST (\Noselect \HasChildren) "/" "Other users/ana@x.test"
        S: * LIST (\HasNoChildren) "/" "Other users/ana@x.test/INBOX"
        S: * NO [UNAVAILABLE] Mailboxes of ana@x.test *
        S: b OK *
    "#,
    )
    .await;
    wrong.down.store(false, Ordering::Relaxed);
    server.check().await;
}

#[tokio::test]
async fn a_selected_mailbox_whose_server_goes_away_is_there_again_when_it_is_back() {
    let (server, wrong) = shaky().await;
    let mut bob = server.login_as("bob").await;
    bob.say(&format!("C: a SELECT {ANAS}\nS: ...\nS: a OK *")).await;
    wrong.down.store(true, Ordering::Relaxed);
    bob.say(&format!("C: b APPEND {ANAS} {{3+}}\nC: abc\nS: b NO [UNAVAILABLE] *\nC: c NOOP\nS: c OK *")).await;
    wrong.down.store(false, Ordering::Relaxed);
    bob.say(&format!("C: d APPEND {ANAS} {{3+}}\nC: abc\nS: * 1 EXISTS\nS: * 1 RECENT\nS: d OK *")).await;
    server.check().await;
}

#[tokio::test]
async fn a_long_command_tells_that_it_goes_on() {
    let (server, wrong) = shaky().await;
    let mut client = server.login().await;
    client.say("C: a APPEND INBOX {6+}\nC: \\r\\n0001 {6+}\nC: \\r\\n0002\nS: a OK *\nC: b SELECT INBOX\nS: ...\nS: b OK *").await;
    // From here on waiting takes no time.
    tokio::time::pause();
    wrong.slow_ms.store(12_000, Ordering::Relaxed);
    client
        .say(
            r#"
        C: c SEARCH TEXT 0002
        S: * OK [INPROGRESS ("c" 2 2)] *
        S: * SEARCH 2
        S: c OK *
        C: d SORT (SUBJECT) UTF-8 ALL
        S: * SORT 1 2
        S: d OK *
        C: e COPY 1:2 Drafts
        S: * OK [INPROGRESS ("e" NIL NIL)] *
        S: e OK [COPYUID *
        C: f CAPABILITY
        S: * CAPABILITY * INPROGRESS*
        S: f OK *
    "#,
        )
        .await;
    wrong.slow_ms.store(35_000, Ordering::Relaxed);
    client.say("C: g STORE 1 +FLAGS.SILENT (\\Flagged)").await;
    for _ in 0..3 {
        client.say("S: * OK [INPROGRESS (\"g\" NIL NIL)] *").await;
    }
    client.say("S: g OK *").await;
}
