//! Accounts wherever the directory places them. A session holds one handle for as long as it likes; the handle finds
//! the account again after a change of placement and repeats the call, with the same operation id.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use sterna_account::account::BlobUpload;
use sterna_account::search::{Filter, Found};
use sterna_account::service::Accounts;
use sterna_account::{
    Account, AccountError, Answer, Changes, CommitError, Committed, Container, ContainerKind, Cursor, Expunged, Head,
    Item, ItemFlags, ItemParts, Lookup, Mutation, UidSet,
};
use sterna_base::{AccountId, BlobHash, ContainerId, Modseq, NodeId, OperationId, Uid, failpoint};
use tokio::sync::watch;
use tokio::time::Instant;

use super::doubt::after_doubt;
use super::remote::RemoteAccount;
use super::staged::{StagedBlobs, carry};
use crate::limits::{HOLD_MS_MAX, HOLD_PAUSE_MAX_MS, HOLD_PAUSE_MIN_MS};
use crate::nodes::{Placement, Placements};
use crate::rpc::peers::Peers;

/// Handles are forgotten in one go when so many were made since the last time.
const FORGET_EVERY: usize = 1024;

/// Most handles that are kept without anybody having them open.
const HANDLES_KEPT_MAX: usize = 1024;

/// Opens accounts by their placement: local ones directly, the others over RPC.
pub struct PlacedAccounts {
    world: Arc<World>,
    handles: Mutex<Handles>,
}

#[derive(Default)]
struct Handles {
    known: HashMap<AccountId, Weak<PlacedAccount>>,
    /// Those that were opened lately: one that ends with each request would look its account up for each anew.
    kept: HashMap<AccountId, Arc<PlacedAccount>>,
    made: usize,
}

struct World {
    peers: Arc<Peers>,
    placements: Arc<dyn Placements>,
    local: Option<Arc<dyn Accounts>>,
    node: NodeId,
}

impl PlacedAccounts {
    /// `local` opens the accounts of this node; `None` on a node that holds none.
    pub fn new(peers: Arc<Peers>, placements: Arc<dyn Placements>, local: Option<Arc<dyn Accounts>>) -> Arc<Self> {
        let node = peers.identity().node();
        let world = Arc::new(World { peers, placements, local, node });
        Arc::new(PlacedAccounts { world, handles: Mutex::default() })
    }
}

#[async_trait]
impl Accounts for PlacedAccounts {
    async fn open(&self, account: AccountId) -> Result<Arc<dyn Account>, AccountError> {
        let known = self.handles.lock().known.get(&account).and_then(Weak::upgrade);
        if let Some(handle) = known.filter(|handle| handle.is_current()) {
            return Ok(handle);
        }
        if self.world.placements.placement(account).await?.is_none() {
            return Err(AccountError::NoSuchAccount(account));
        }
        let mut handles = self.handles.lock();
        if let Some(handle) = handles.known.get(&account).and_then(Weak::upgrade) {
            return Ok(handle);
        }
        handles.made += 1;
        if handles.made >= FORGET_EVERY {
            handles.made = 0;
            handles.known.retain(|_, handle| handle.strong_count() > 0);
        }
        let handle = Arc::new(PlacedAccount::new(account, self.world.clone()));
        handles.known.insert(account, Arc::downgrade(&handle));
        let before = if handles.kept.len() < HANDLES_KEPT_MAX { None } else { Some(std::mem::take(&mut handles.kept)) };
        handles.kept.insert(account, handle.clone());
        drop(handles);
        // Not while others wait for the lock.
        drop(before);
        Ok(handle)
    }
}

/// Makes a call on the handle of now, and again for as long as [`Hold`] says.
macro_rules! held {
    ($self:ident, $handle:ident, $call:expr) => {{
        let mut hold = Hold::new($self);
        loop {
            let result = match hold.attempt().await {
                Ok($handle) => $call.await,
                Err(error) => Err(error),
            };
            match result {
                Ok(value) => return Ok(value),
                Err(error) => hold.after(error).await?,
            }
        }
    }};
}

/// One account, wherever it is at present.
struct PlacedAccount {
    account: AccountId,
    world: Arc<World>,
    current: Mutex<Option<Current>>,
    modseq: Mutex<Weak<watch::Sender<Modseq>>>,
    staged: Arc<StagedBlobs>,
}

#[derive(Clone)]
struct Current {
    placement: Placement,
    /// The directory's state when the placement was looked up.
    seen: u64,
    handle: Arc<dyn Account>,
}

impl PlacedAccount {
    fn new(account: AccountId, world: Arc<World>) -> Self {
        let (current, modseq, staged) = (Mutex::default(), Mutex::default(), Arc::default());
        PlacedAccount { account, world, current, modseq, staged }
    }

    /// Whether the directory has not changed since the placement was looked up.
    fn is_current(&self) -> bool {
        let seen = *self.world.placements.changed().borrow();
        self.current.lock().as_ref().is_some_and(|current| current.seen == seen)
    }

    /// The handle under the placement of now.
    async fn current(&self) -> Result<Current, AccountError> {
        let seen = *self.world.placements.changed().borrow();
        let cached = self.current.lock().clone();
        if let Some(current) = &cached
            && current.seen == seen
        {
            return Ok(current.clone());
        }
        let placement = self.world.placements.placement(self.account).await?;
        let placement = placement.ok_or(AccountError::NoSuchAccount(self.account))?;
        let handle = match cached {
            Some(current) if current.placement == placement => current.handle,
            _ => self.world.open(self.account, placement).await?,
        };
        let current = Current { placement, seen, handle };
        *self.current.lock() = Some(current.clone());
        Ok(current)
    }

    async fn commit_held(&self, operation: OperationId, mutations: Vec<Mutation>) -> Result<Committed, AccountError> {
        let (mut hold, mut in_doubt) = (Hold::new(self), false);
        loop {
            let result = match hold.attempt().await {
                Ok(handle) => self.commit_there(&*handle, operation, &mutations).await,
                Err(error) => Err(error),
            };
            let error = match result {
                Ok(committed) => return Ok(committed),
                Err(error) => error,
            };
            in_doubt |= error.is_uncertain();
            hold.after(error).await.map_err(|error| if in_doubt { after_doubt(error) } else { error })?;
        }
    }

    async fn commit_there(
        &self,
        handle: &dyn Account,
        operation: OperationId,
        mutations: &[Mutation],
    ) -> Result<Committed, AccountError> {
        let answer = handle.commit(operation, mutations.to_vec()).await;
        let Err(AccountError::Refused(CommitError::NoSuchBlob(hash))) = answer else { return answer };
        // It was staged where the account was before.
        self.carry(hash, handle).await?;
        handle.commit(operation, mutations.to_vec()).await
    }

    /// Carries a blob that was staged on another server to where the account is now.
    async fn carry(&self, hash: BlobHash, to: &dyn Account) -> Result<(), AccountError> {
        let Some(from) = self.staged.at(hash) else { return Err(CommitError::NoSuchBlob(hash).into()) };
        tracing::debug!(account = %self.account, %hash, from = %from.node, "a staged blob follows its account");
        carry(&*self.world.open(self.account, from).await?, hash, to).await
    }

    /// Who committed here knows at once, without waiting for the data server's notification.
    fn announce(&self, modseq: Modseq) {
        if let Some(sender) = self.modseq.lock().upgrade() {
            sender.send_if_modified(|known| {
                let newer = modseq > *known;
                *known = modseq.max(*known);
                newer
            });
        }
    }

    /// Forgets a local handle that failed: the next attempt opens the account anew.
    fn forget(&self, placement: Placement) {
        let mut current = self.current.lock();
        if current.as_ref().is_some_and(|current| current.placement == placement) {
            *current = None;
        }
    }
}

impl World {
    async fn open(&self, account: AccountId, placement: Placement) -> Result<Arc<dyn Account>, AccountError> {
        if placement.node != self.node {
            return Ok(Arc::new(RemoteAccount::new(&self.peers, account, placement)));
        }
        match &self.local {
            Some(local) => local.open(account).await,
            None => {
                Err(AccountError::Unavailable("the directory places it on this node, which has no accounts".into()))
            }
        }
    }

    fn is_down(&self, node: NodeId) -> bool {
        node != self.node && self.peers.peer(node).is_down()
    }
}

/// One call on its way: decides whether a failed attempt is followed by another.
struct Hold<'a> {
    account: &'a PlacedAccount,
    changed: watch::Receiver<u64>,
    until: Instant,
    pause_ms: u64,
    /// Where the attempts go, and whether that node was known to be down before the first of them: a call that finds
    /// out waits for the node's return, one that could have known doesn't.
    tried: Option<(Placement, bool)>,
}

impl<'a> Hold<'a> {
    fn new(account: &'a PlacedAccount) -> Self {
        let until = Instant::now() + Duration::from_millis(HOLD_MS_MAX);
        let mut changed = account.world.placements.changed();
        changed.mark_unchanged();
        Hold { account, changed, until, pause_ms: HOLD_PAUSE_MIN_MS, tried: None }
    }

    async fn attempt(&mut self) -> Result<Arc<dyn Account>, AccountError> {
        let current = self.account.current().await?;
        if self.tried.is_none_or(|(placement, _)| placement != current.placement) {
            if self.tried.is_some() {
                failpoint::reached("edge-rerouting");
            }
            self.tried = Some((current.placement, self.account.world.is_down(current.placement.node)));
        }
        Ok(current.handle)
    }

    /// Returns when the call is to be made again.
    ///
    /// # Errors
    /// The error itself, when it is final or was waited for long enough.
    async fn after(&mut self, error: AccountError) -> Result<(), AccountError> {
        let passing = match &error {
            AccountError::Refused(CommitError::WrongEpoch { .. } | CommitError::Sealed)
            | AccountError::Unavailable(_) => true,
            // Final when the directory says so; else its node has just lost it or doesn't have it yet.
            AccountError::NoSuchAccount(_) => self.placement().await.is_some(),
            _ => false,
        };
        let known_down = match self.tried {
            Some((placement, true)) => self.placement().await == Some(placement),
            _ => false,
        };
        if !passing || known_down || Instant::now() >= self.until {
            return Err(error);
        }
        failpoint::reached("edge-holding");
        if let Some((placement, _)) = self.tried {
            self.account.forget(placement);
        }
        let pause = (Instant::now() + Duration::from_millis(self.pause_ms)).min(self.until);
        self.pause_ms = (self.pause_ms * 2).min(HOLD_PAUSE_MAX_MS);
        // A change of the directory ends the pause; one that closed (the node stops) must not make this spin.
        if let Ok(Err(_)) = tokio::time::timeout_at(pause, self.changed.changed()).await {
            tokio::time::sleep_until(pause).await;
        }
        Ok(())
    }

    /// Where the directory places the account now.
    async fn placement(&self) -> Option<Placement> {
        self.account.world.placements.placement(self.account.account).await.ok().flatten()
    }
}

#[async_trait]
impl Account for PlacedAccount {
    fn id(&self) -> AccountId {
        self.account
    }

    async fn head(&self) -> Result<Head, AccountError> {
        held!(self, handle, handle.head())
    }

    async fn containers(&self) -> Result<Vec<Container>, AccountError> {
        held!(self, handle, handle.containers())
    }

    async fn container(&self, id: ContainerId) -> Result<Option<Container>, AccountError> {
        held!(self, handle, handle.container(id))
    }

    async fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, AccountError> {
        held!(self, handle, handle.containers_on_path(kind, path))
    }

    async fn item_flags(
        &self,
        container: ContainerId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<ItemFlags>, AccountError> {
        held!(self, handle, handle.item_flags(container, after, limit))
    }

    async fn items(
        &self,
        container: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, AccountError> {
        held!(self, handle, handle.items(container, uids, parts, limit))
    }

    async fn item_named(
        &self,
        container: ContainerId,
        name: &str,
        parts: ItemParts,
    ) -> Result<Option<Item>, AccountError> {
        held!(self, handle, handle.item_named(container, name, parts))
    }

    async fn object(
        &self,
        container: ContainerId,
        object_uid: &str,
        parts: ItemParts,
    ) -> Result<Option<Item>, AccountError> {
        held!(self, handle, handle.object(container, object_uid, parts))
    }

    async fn uids_named(&self, container: ContainerId, names: &[String]) -> Result<Vec<Option<Uid>>, AccountError> {
        held!(self, handle, handle.uids_named(container, names))
    }

    async fn look_up(&self, lookups: &[Lookup]) -> Result<Vec<Answer>, AccountError> {
        held!(self, handle, handle.look_up(lookups))
    }

    async fn expunged(
        &self,
        container: ContainerId,
        since: Modseq,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Expunged>, AccountError> {
        held!(self, handle, handle.expunged(container, since, after, limit))
    }

    async fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, AccountError> {
        held!(self, handle, handle.changes(after, limit))
    }

    async fn container_changes(
        &self,
        container: ContainerId,
        after: Cursor,
        limit: usize,
    ) -> Result<Changes, AccountError> {
        held!(self, handle, handle.container_changes(container, after, limit))
    }

    async fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        held!(self, handle, handle.blob(hash, range.clone()))
    }

    async fn search(&self, container: ContainerId, filter: &Filter, uids: &UidSet) -> Result<Found, AccountError> {
        held!(self, handle, handle.search(container, filter, uids))
    }

    async fn relevancy(
        &self,
        container: ContainerId,
        filter: &Filter,
        uids: &UidSet,
    ) -> Result<Vec<(Uid, u8)>, AccountError> {
        held!(self, handle, handle.relevancy(container, filter, uids))
    }

    async fn commit(&self, operation: OperationId, mutations: Vec<Mutation>) -> Result<Committed, AccountError> {
        let committed = self.commit_held(operation, mutations).await?;
        self.announce(committed.modseq);
        Ok(committed)
    }

    async fn stage_blob(&self) -> Result<Box<dyn BlobUpload>, AccountError> {
        let mut hold = Hold::new(self);
        loop {
            let result = match hold.attempt().await {
                Ok(handle) => handle.stage_blob().await,
                Err(error) => Err(error),
            };
            match (result, hold.tried) {
                (Ok(upload), Some((placement, _))) => return Ok(self.staged.upload(upload, placement)),
                (Ok(upload), None) => return Ok(upload),
                (Err(error), _) => hold.after(error).await?,
            }
        }
    }

    async fn staged_blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        held!(self, handle, handle.staged_blob(hash, range.clone()))
    }

    fn watch(&self) -> watch::Receiver<Modseq> {
        let mut shared = self.modseq.lock();
        if let Some(sender) = shared.upgrade() {
            return sender.subscribe();
        }
        let sender = Arc::new(watch::Sender::new(Modseq::ZERO));
        *shared = Arc::downgrade(&sender);
        let receiver = sender.subscribe();
        tokio::spawn(follow(self.account, self.world.clone(), sender));
        receiver
    }
}

/// Carries the modseq of wherever the account is into one channel, until nobody reads it.
async fn follow(account: AccountId, world: Arc<World>, modseq: Arc<watch::Sender<Modseq>>) {
    let mut changed = world.placements.changed();
    loop {
        let Ok(Some(placement)) = world.placements.placement(account).await else { return };
        let mut source = world.open(account, placement).await.ok().map(|handle| (handle.watch(), handle));
        loop {
            if let Some((source, _)) = &mut source {
                let now = *source.borrow_and_update();
                modseq.send_if_modified(|known| {
                    let newer = now > *known;
                    *known = now.max(*known);
                    newer
                });
            }
            let waited = tokio::time::sleep(Duration::from_millis(HOLD_MS_MAX));
            let again = tokio::select! {
                () = modseq.closed() => return,
                news = changed.changed() => {
                    news.is_err() || world.placements.placement(account).await != Ok(Some(placement))
                }
                ended = next(&mut source) => ended,
                () = waited, if source.is_none() => true,
            };
            if changed.has_changed().is_err() {
                return;
            }
            if again {
                break;
            }
        }
    }
}

/// Waits for the source's next modseq; says whether the source is at its end.
async fn next(source: &mut Option<(watch::Receiver<Modseq>, Arc<dyn Account>)>) -> bool {
    match source {
        None => std::future::pending().await,
        Some((receiver, _)) => {
            let ended = receiver.changed().await.is_err();
            if ended {
                *source = None;
            }
            false
        }
    }
}
