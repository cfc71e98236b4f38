//! Deliveries into real accounts, with data servers that fail when told to.

mod delivery;
mod flaky;
mod onward;
mod partial;
mod routes;
mod scripts;
mod wire;

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::local::LocalAccounts;
use sterna_account::service::{
    Accounts, Envelope, InboundProtocol, Login, Message, MessageBody, Rcpt, Reception, Recipients, Refusal, Route,
    RouteError, Sender, SpoolFile, Target,
};
use sterna_account::{Container, Item, ItemParts, SpecialUse, UidSet, check, first_containers};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{AccountId, BlobHash, Clock, Epoch, ManualClock, OperationId, Timestamp};
use sterna_engines::sqlite::SqliteEngine;
use sterna_formats::mail::Scanner;

use crate::outbound::{Outbound, OutboundSettings};
use crate::queue::Queue;
use crate::sieve::{Sieve, SieveSettings};
use crate::srs::Srs;
use crate::waiting::Waiting;
use crate::{Deliverer, Mailflow, Repeats};
use flaky::FlakyAccounts;

pub const ANA: AccountId = AccountId(1);
pub const BEN: AccountId = AccountId(2);
pub const CYD: AccountId = AccountId(3);

/// A directory of one domain.
pub struct FakeRecipients;

#[async_trait]
impl Recipients for FakeRecipients {
    async fn route(&self, address: &str) -> Result<Route, RouteError> {
        let ids: &[AccountId] = match address {
            "ana@demo.test" | "ana.alias@demo.test" | "ana+lists@demo.test" => &[ANA],
            "ben@demo.test" => &[BEN],
            "staff@demo.test" => &[ANA, BEN, CYD],
            "nobody@demo.test" => &[],
            "away@demo.test" => return Err(RouteError::Suspended { temporary: true }),
            "left@demo.test" => return Err(RouteError::Suspended { temporary: false }),
            "closed@demo.test" => return Err(RouteError::NotPermitted),
            "broken@demo.test" => return Err(RouteError::Unavailable("no copy".into())),
            "homeless@demo.test" => &[AccountId(99)],
            "ben.forwards@demo.test" | "ben.forwards+x@demo.test" => {
                return Ok(Route { targets: vec![target(BEN)], external: vec!["ben@far.test".into()] });
            }
            "only.forwards@demo.test" => {
                return Ok(Route { targets: Vec::new(), external: vec!["only@far.test".into()] });
            }
            many if many.starts_with("u") => {
                return Ok(Route { targets: vec![target(user(many))], ..Route::default() });
            }
            local if local.ends_with("@demo.test") => return Err(RouteError::NoSuchAddress),
            _ => return Err(RouteError::NotLocal),
        };
        Ok(Route { targets: ids.iter().map(|&id| target(id)).collect(), ..Route::default() })
    }

    async fn deferred_when_full_ms(&self, account: AccountId) -> Option<i64> {
        match account {
            CYD => Some(0),
            ANA => Some(3_600_000),
            _ => None,
        }
    }
}

fn target(account: AccountId) -> Target {
    Target { account, detail: None }
}

/// `u7@demo.test` is the account of ana, ben or cyd.
fn user(address: &str) -> AccountId {
    let digits: String = address.chars().filter(char::is_ascii_digit).collect();
    AccountId(digits.parse::<u64>().unwrap() % 3 + 1)
}

/// Three accounts and a mail flow.
pub struct World {
    pub local: Arc<LocalAccounts>,
    pub flaky: Arc<FlakyAccounts>,
    pub flow: Arc<Mailflow>,
    pub clock: ManualClock,
    pub folder: tempfile::TempDir,
    /// What scripts send.
    pub queue: Arc<Queue>,
}

impl World {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_seconds(1_000_000_000));
        let engine = Arc::new(SqliteEngine::new(folder.path().join("accounts")));
        let local = Arc::new(LocalAccounts::new(engine, Arc::new(clock.clone())));
        for id in [ANA, BEN, CYD] {
            local.create(id, Epoch(1)).await.unwrap();
            let account = local.open(id).await.unwrap();
            account.commit(OperationId::random(), first_containers::mutations()).await.unwrap();
        }
        let flaky = Arc::new(FlakyAccounts::new(local.clone()));
        let queue = Queue::open(&folder.path().join("queue")).unwrap();
        let flow = flow(&flaky, &clock, &folder, &queue);
        World { local, flaky, flow, clock, folder, queue }
    }

    /// As after a restart of the node.
    pub fn restart(&mut self) {
        self.flow = flow(&self.flaky, &self.clock, &self.folder, &self.queue);
    }

    /// With a queue behind it that nobody works off.
    pub fn with_queue(mut self) -> Self {
        let repeats = Repeats::open(&self.folder.path().join("repeats"), Clock::now(&self.clock)).unwrap();
        let sieve = sieve(&self.clock, &self.queue);
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let deliverer = Arc::new(Deliverer::new(Arc::new(FakeRecipients), self.flaky.clone(), sieve));
        let settings = OutboundSettings {
            own_name: "mx.demo.test".into(),
            srs: Srs::new(["secret"]),
            ..OutboundSettings::default()
        };
        let outbound = Outbound::new(Arc::new(FakeRecipients), tokio::sync::watch::channel(settings).1);
        let flow = Mailflow::new(Arc::new(FakeRecipients), deliverer, clock, repeats);
        self.flow = Arc::new(flow.with_queue(self.queue.clone(), Arc::new(outbound)));
        self
    }

    pub async fn inbox(&self, id: AccountId) -> Container {
        let containers = self.local.open(id).await.unwrap().containers().await.unwrap();
        containers.into_iter().find(|container| container.special_use == Some(SpecialUse::Inbox)).unwrap()
    }

    /// Messages in an INBOX.
    pub async fn items(&self, id: AccountId) -> Vec<Item> {
        let inbox = self.inbox(id).await.id;
        let parts = ItemParts { summary: true, body: true, ..ItemParts::default() };
        self.local.open(id).await.unwrap().items(inbox, &UidSet::all(), parts, 1000).await.unwrap()
    }

    pub async fn counts(&self) -> [usize; 3] {
        [self.items(ANA).await.len(), self.items(BEN).await.len(), self.items(CYD).await.len()]
    }

    pub async fn deliver(
        &self,
        protocol: InboundProtocol,
        recipients: &[&str],
        content: &str,
    ) -> Vec<Result<(), Refusal>> {
        let envelope = envelope(protocol, recipients, content);
        // Trace fields differ from try to try.
        let body = format!("Received: by mx id {}\r\n{content}", envelope.transaction);
        let message = self.message(body.into_bytes());
        self.flow.deliver(envelope, message).await
    }

    /// A message, spooled when it is large.
    pub fn message(&self, body: Vec<u8>) -> Message {
        let mut scanner = Scanner::new();
        scanner.push(&body);
        let (size, hash) = (body.len() as u64, BlobHash::of(&body));
        let summary = scanner.finish().encode().into();
        let body = if body.len() > INLINE_BLOB_BYTES_MAX {
            let path: PathBuf = self.folder.path().join(format!("{hash}.eml"));
            std::fs::write(&path, &body).unwrap();
            MessageBody::Spooled(Arc::new(SpoolFile { path, is_temporary: true }))
        } else {
            MessageBody::Inline(body.into())
        };
        Message { body, size, hash, summary }
    }

    /// Every account holds its invariants.
    pub async fn check(self) {
        for id in [ANA, BEN, CYD] {
            self.local.open(id).await.unwrap().head().await.unwrap();
        }
        self.local.close().await;
        let engine = SqliteEngine::new(self.folder.path().join("accounts"));
        for id in [ANA, BEN, CYD] {
            let store = sterna_account::Engine::open(&engine, id).unwrap();
            assert_eq!(check::check(&*store, check::Depth { contents: true }).unwrap(), []);
        }
    }
}

fn flow(
    flaky: &Arc<FlakyAccounts>,
    clock: &ManualClock,
    folder: &tempfile::TempDir,
    queue: &Arc<Queue>,
) -> Arc<Mailflow> {
    let now = Clock::now(clock);
    let repeats = Repeats::open(&folder.path().join("repeats"), now).unwrap();
    let sieve = sieve(clock, queue);
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let deliverer = Arc::new(Deliverer::new(Arc::new(FakeRecipients), flaky.clone(), sieve));
    Arc::new(Mailflow::new(Arc::new(FakeRecipients), deliverer, clock, repeats))
}

/// What runs scripts, and sends to this queue.
pub fn sieve(clock: &ManualClock, queue: &Arc<Queue>) -> Arc<Sieve> {
    let (recipients, clock): (Arc<dyn Recipients>, Arc<dyn Clock>) =
        (Arc::new(FakeRecipients), Arc::new(clock.clone()));
    let srs = Srs::new(["secret"]);
    let settings = tokio::sync::watch::channel(SieveSettings { srs, ..SieveSettings::default() }).1;
    let outbound = OutboundSettings { own_name: "mx.demo.test".into(), ..OutboundSettings::default() };
    let outbound = Arc::new(Outbound::new(recipients.clone(), tokio::sync::watch::channel(outbound).1));
    let ways = Waiting { queue: queue.clone(), outbound, trace: crate::trace::Trace::none() };
    Arc::new(Sieve::new(recipients, clock, settings, Some(ways)))
}

pub fn sender(protocol: InboundProtocol) -> Sender {
    let peer = "192.0.2.7".parse().unwrap();
    let login = (protocol == InboundProtocol::Submission).then(|| Login {
        account: ANA,
        address: "ana@demo.test".to_owned(),
        is_sudo: false,
        app_password: None,
    });
    Sender { protocol, login, peer, helo: "client.test".into(), tls: false }
}

pub fn envelope(protocol: InboundProtocol, recipients: &[&str], content: &str) -> Envelope {
    let rcpt = |address: &&str| Rcpt { address: (*address).to_owned(), ..Rcpt::default() };
    Envelope {
        sender: sender(protocol),
        mail_from: "sender@other.test".into(),
        recipients: recipients.iter().map(rcpt).collect(),
        envelope_id: None,
        return_headers_only: false,
        eight_bit: false,
        utf8: false,
        transaction: OperationId::random(),
        received_hash: BlobHash::of(content.as_bytes()),
    }
}

/// The codes of the answers; 250 for success.
pub fn codes(answers: &[Result<(), Refusal>]) -> Vec<u16> {
    answers.iter().map(|answer| answer.as_ref().err().map_or(250, |refusal| refusal.code)).collect()
}

/// All of a blob.
pub async fn blob(world: &World, id: AccountId, item: &Item) -> Vec<u8> {
    let account = world.local.open(id).await.unwrap();
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < item.size {
        let range: Range<u64> = bytes.len() as u64..item.size;
        bytes.extend_from_slice(&account.blob(item.blob, range).await.unwrap());
    }
    bytes
}
