//! Accounts of this node: the local side of [`Account`].
//!
//! [`LocalAccounts`] gives handles; a handle opens its store when it is first needed and may have it closed under it
//! when the node has too many open, so that a thousand idle sessions cost no open files. Concurrent commits of one
//! account share a flush ([`open_store`]).

mod aside;
mod copy;
mod derived;
mod due;
mod feeding;
mod index_slot;
pub mod latency;
pub mod movements;
mod open_store;
mod searching;
mod upload;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use sterna_base::{AccountId, BlobHash, Clock, ContainerId, Epoch, Modseq, OperationId, Timestamp, Uid};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::account::BlobUpload;
use crate::lookup::look_up;
use crate::search::{DocumentReader, Filter, Found};
use crate::service::Accounts;
use crate::{
    Account, AccountError, Answer, Changes, Commit, CommitError, Committed, Container, ContainerKind, Cursor, Engine,
    Expunged, Head, Item, ItemFlags, ItemParts, Lookup, Mutation, Read, Role, StoreError, UidSet,
};
use due::DueQueue;
use feeding::FeedQueue;
pub use feeding::SearchStatus;
use latency::{Latency, Waited};
use movements::Movements;
pub use open_store::SEALED_READS_MS_MAX;
use open_store::{OpenStore, Use};
use searching::SearchMemory;

/// How many stores a node keeps open; the one unused for longest is closed first. An open store costs a few file
/// descriptors and some 100 KiB.
pub const OPEN_STORES_MAX: usize = 1000;

/// How long a store that failed stays closed before it is tried again.
pub const REOPEN_WAIT_MS: i64 = 2000;

/// The accounts of this node.
pub struct LocalAccounts {
    shared: Arc<Shared>,
}

/// What the handles share.
struct Shared {
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    handles: Mutex<HashMap<AccountId, Arc<LocalAccount>>>,
    /// Rises with every use of a store: which was used longest ago is a comparison of numbers.
    uses: AtomicU64,
    open_stores_max: usize,
    latency: Arc<Latency>,
    gate: OnceLock<Arc<dyn Gate>>,
    feeds: Arc<FeedQueue>,
    derived: Arc<DueQueue>,
    search_memory: SearchMemory,
    document_reader: OnceLock<Arc<dyn DocumentReader>>,
    movements: OnceLock<Arc<dyn Movements>>,
}

/// Whether accounts of this node may be served now. Asked before and after each read and commit, so it answers from
/// memory.
pub trait Gate: Send + Sync {
    /// Whether nobody else can serve this account at the same time.
    fn may_serve(&self, account: AccountId) -> bool;
}

impl LocalAccounts {
    /// The accounts that the engine has.
    pub fn new(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>) -> Self {
        LocalAccounts::with_limit(engine, clock, OPEN_STORES_MAX)
    }

    /// With another number of stores kept open.
    pub fn with_limit(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>, open_stores_max: usize) -> Self {
        let (handles, uses, latency) = (Mutex::default(), AtomicU64::new(0), Arc::default());
        let (gate, feeds, search_memory) = (OnceLock::new(), Arc::default(), SearchMemory::default());
        let (document_reader, derived) = (OnceLock::new(), Arc::default());
        let shared = Shared {
            engine,
            clock,
            handles,
            uses,
            open_stores_max,
            latency,
            gate,
            feeds,
            derived,
            search_memory,
            document_reader,
            movements: OnceLock::new(),
        };
        LocalAccounts { shared: Arc::new(shared) }
    }

    /// How long sessions and deliveries wait for these accounts.
    pub fn latency(&self) -> Arc<Latency> {
        self.shared.latency.clone()
    }

    /// From now on accounts are served only while this gate lets them; without one they always are. There is one gate:
    /// a second is not taken.
    pub fn guard(&self, gate: Arc<dyn Gate>) {
        let _ = self.shared.gate.set(gate);
    }

    /// From now on searches look into documents with this reader, too. There is one: a second is not taken.
    pub fn read_documents_with(&self, reader: Arc<dyn DocumentReader>) {
        let _ = self.shared.document_reader.set(reader);
    }

    /// From now on it is told what users put from one mailbox into another. There is one: a second is not taken.
    pub fn tell_of_movements(&self, movements: Arc<dyn Movements>) {
        let _ = self.shared.movements.set(movements);
    }

    /// The handle of an account of this node; its store is open when this returns.
    ///
    /// # Errors
    /// When there is no store of it here, or it can't be opened.
    pub async fn get(&self, account: AccountId) -> Result<Arc<LocalAccount>, AccountError> {
        let handle = self.handle(account);
        match handle.store().await {
            Ok(_) => Ok(handle),
            Err(error) => {
                // Strangers' numbers must not fill the map. A handle that somebody else asks for stays.
                let mut handles = self.shared.handles.lock();
                if matches!(error, AccountError::NoSuchAccount(_)) && Arc::strong_count(&handle) == 2 {
                    handles.remove(&account);
                }
                Err(error)
            }
        }
    }

    /// The one handle of an account, made before its store is opened: two that ask at the same time must not open the
    /// store twice.
    fn handle(&self, account: AccountId) -> Arc<LocalAccount> {
        let new = || {
            Arc::new(LocalAccount {
                id: account,
                shared: Arc::downgrade(&self.shared),
                store: Arc::new(tokio::sync::Mutex::new(Slot::Closed)),
                last_use: AtomicU64::new(0),
                modseq: watch::Sender::new(Modseq::ZERO),
            })
        };
        self.shared.handles.lock().entry(account).or_insert_with(new).clone()
    }

    /// Makes the store of a new account, durably. Existing already with this epoch is success.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn create(&self, account: AccountId, epoch: Epoch) -> Result<(), StoreError> {
        self.create_as(account, epoch, Role::Active).await
    }

    /// Makes the store of a copy that will follow another one, durably. Existing already with this epoch is success.
    ///
    /// # Errors
    /// When it can't be made.
    pub async fn create_follower(&self, account: AccountId, epoch: Epoch) -> Result<(), StoreError> {
        self.create_as(account, epoch, Role::Follower).await
    }

    async fn create_as(&self, account: AccountId, epoch: Epoch, role: Role) -> Result<(), StoreError> {
        let (engine, now) = (self.shared.engine.clone(), self.shared.clock.now());
        blocking(move || engine.create(account, epoch, role, now)).await
    }

    /// Deletes an account's store; handles to it answer [`AccountError::NoSuchAccount`] from then on.
    ///
    /// # Errors
    /// When it can't be deleted; there being none is success.
    pub async fn delete(&self, account: AccountId) -> Result<(), StoreError> {
        let handle = self.handle(account);
        // Held until the store is gone, so that nobody opens it meanwhile.
        let mut slot = handle.store.lock().await;
        if let Slot::Open(store) = std::mem::replace(&mut *slot, Slot::Deleted) {
            store.drain().await;
        }
        let engine = self.shared.engine.clone();
        let deleted = blocking(move || engine.delete(account)).await;
        self.shared.handles.lock().remove(&account);
        deleted
    }

    /// The accounts that have a store on this node.
    ///
    /// # Errors
    /// When they can't be listed.
    pub async fn list(&self) -> Result<Vec<AccountId>, StoreError> {
        let engine = self.shared.engine.clone();
        blocking(move || engine.accounts()).await
    }

    /// Closes every store, waiting for the commits that are under way: for the end of the node.
    pub async fn close(&self) {
        let handles: Vec<_> = self.shared.handles.lock().drain().map(|(_, handle)| handle).collect();
        for handle in handles {
            let slot = std::mem::replace(&mut *handle.store.lock().await, Slot::Closed);
            if let Slot::Open(store) = slot {
                store.drain().await;
            }
        }
    }
}

#[async_trait]
impl Accounts for LocalAccounts {
    async fn open(&self, account: AccountId) -> Result<Arc<dyn Account>, AccountError> {
        Ok(self.get(account).await?)
    }
}

/// Whether an account's store is open.
enum Slot {
    Closed,
    Open(Arc<OpenStore>),
    /// When it failed, and why; nobody tries again for [`REOPEN_WAIT_MS`].
    Failed(Timestamp, StoreError),
    Deleted,
}

/// One account of this node.
pub struct LocalAccount {
    id: AccountId,
    shared: std::sync::Weak<Shared>,
    store: Arc<tokio::sync::Mutex<Slot>>,
    last_use: AtomicU64,
    modseq: watch::Sender<Modseq>,
}

impl LocalAccount {
    /// Commits under an epoch that somebody else believes in: what the data server does for a remote handle.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn commit_at(
        &self,
        epoch: Epoch,
        operation: OperationId,
        mutations: Vec<Mutation>,
    ) -> Result<Committed, AccountError> {
        let begun = Instant::now();
        let store = self.store().await?;
        self.check_gate()?;
        let shared = self.shared()?;
        let is_derived_from = derived::may_be_derived_from(&mutations);
        let movements = shared.movements.get().filter(|movements| movements.is_wanted());
        let sent = movements.map(|movements| (movements, movements::sent(&mutations)));
        let answer = store.commit(Commit { operation, epoch, mutations }).await;
        self.note_time(Waited::Commit, begun, answer.is_ok());
        let committed = self.noted(&store, answer).await?;
        if let Some((movements, sent)) = sent {
            movements::tell(&**movements, self.id, &sent, &committed);
        }
        if let Some(delay) = is_derived_from {
            shared.derived.put_sooner(self.id, Instant::now() + delay);
        }
        // It is durable here. If another server may have taken over meanwhile, it must not be acknowledged: the store
        // may have heard of that and have a lease again that says nothing of this commit. A move's end has it.
        let is_guarded = shared.gate.get().is_some();
        let is_taken = is_guarded && (!store.serves(Use::Read) || store.epoch() != epoch);
        match is_taken || self.check_gate().is_err() {
            // Not refused: it was done.
            true => Err(AccountError::Unavailable("done, but perhaps another server has taken over meanwhile".into())),
            false => Ok(committed),
        }
    }

    /// Refuses what would be done beside another server's copy.
    fn check_gate(&self) -> Result<(), AccountError> {
        match self.shared()?.gate.get() {
            Some(gate) if !gate.may_serve(self.id) => Err(CommitError::Sealed.into()),
            _ => Ok(()),
        }
    }

    /// Sets epoch and role on the word of the directory. Commits under way are done before a sealing, later ones are
    /// refused: what [`LocalAccount::head_of_copy`] says after it is final. A sealed account can be read for
    /// [`SEALED_READS_MS_MAX`] more.
    ///
    /// # Errors
    /// [`crate::CommitError::WrongEpoch`] when the epoch would go back, [`crate::CommitError::NotEqual`] when a copy
    /// that follows is not equal.
    pub async fn set_role(&self, epoch: Epoch, role: Role) -> Result<(), AccountError> {
        let store = self.store().await?;
        let done = store.set_role(epoch, role).await;
        self.noted(&store, done).await?;
        if role == Role::Active {
            // Whoever served it before may have been about to look.
            self.shared()?.derived.put_sooner(self.id, Instant::now());
        }
        Ok(())
    }

    /// Purges what was expunged before this time, a limited number of rows; see [`crate::Store::purge`].
    ///
    /// # Errors
    /// When the store failed.
    pub async fn purge(&self, before: Timestamp, limit: usize) -> Result<u64, AccountError> {
        let (store, now) = (self.store().await?, self.shared()?.clock.now());
        let done = store.write(move |store| store.purge(before, now, limit)).await;
        self.noted(&store, done).await
    }

    /// Runs a reading closure on a blocking thread, whatever the role of this copy: what a check uses.
    ///
    /// # Errors
    /// When the store can't be opened, or the closure says so.
    pub async fn read<T, F>(&self, question: F) -> Result<T, AccountError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Read) -> Result<T, StoreError> + Send + 'static,
    {
        let store = self.store().await?;
        let answer = store.read(question).await;
        self.noted(&store, answer).await
    }

    /// The same for sessions: only a copy that serves answers them.
    async fn serve<T, F>(&self, question: F) -> Result<T, AccountError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Read) -> Result<T, StoreError> + Send + 'static,
    {
        self.serve_by(async |store| store.read(question).await).await
    }

    async fn serve_by<T>(
        &self,
        ask: impl AsyncFnOnce(Arc<OpenStore>) -> Result<T, StoreError>,
    ) -> Result<T, AccountError> {
        let begun = Instant::now();
        let store = self.store().await?;
        if !store.serves(Use::Read) {
            return Err(AccountError::Refused(CommitError::Sealed));
        }
        self.check_gate()?;
        let answer = ask(store.clone()).await;
        self.note_time(Waited::Read, begun, answer.is_ok());
        let answer = self.noted(&store, answer).await?;
        self.check_gate()?;
        Ok(answer)
    }

    /// A user waited since then. What was refused says nothing of how busy the node is.
    fn note_time(&self, what: Waited, begun: Instant, is_done: bool) {
        if is_done && let Some(shared) = self.shared.upgrade() {
            shared.latency.note(what, begun.elapsed());
        }
    }

    /// The engine's own check of its files.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn check_files(&self) -> Result<Vec<String>, AccountError> {
        Ok(self.store().await?.write(|store| store.check_files()).await?)
    }

    /// Starts to take in a blob, whatever the role of this copy.
    async fn stage(&self, store: &Arc<OpenStore>) -> Result<Box<dyn BlobUpload>, AccountError> {
        let writer = store.stage_blob().await;
        let writer = self.noted(store, writer).await?;
        Ok(Box::new(upload::Upload::new(writer)))
    }

    fn shared(&self) -> Result<Arc<Shared>, AccountError> {
        self.shared.upgrade().ok_or_else(|| AccountError::Unavailable("the node is ending".into()))
    }

    /// The open store, opened if need be.
    async fn store(&self) -> Result<Arc<OpenStore>, AccountError> {
        let shared = self.shared()?;
        self.last_use.store(shared.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        let mut slot = self.store.lock().await;
        let now = shared.clock.now();
        // A clock that was set back must not keep the store closed.
        let is_recent = |failed: Timestamp| (0..REOPEN_WAIT_MS).contains(&(now.0 - failed.0));
        let suspect = match &*slot {
            Slot::Open(store) => return Ok(store.clone()),
            Slot::Deleted => return Err(AccountError::NoSuchAccount(self.id)),
            Slot::Failed(failed, error) if is_recent(*failed) => return Err(error.clone().into()),
            // A full disk does no harm to what is there.
            Slot::Failed(_, error) => !matches!(error, StoreError::DiskFull(_)),
            Slot::Closed => false,
        };
        let (engine, clock, modseq) = (shared.engine.clone(), shared.clock.clone(), self.modseq.clone());
        let opened = OpenStore::open(engine, self.id, clock, modseq, shared.feeds.clone(), suspect).await;
        match opened {
            Ok(store) => {
                let store = Arc::new(store);
                *slot = Slot::Open(store.clone());
                drop(slot);
                shared.close_unused();
                Ok(store)
            }
            Err(StoreError::NoSuchAccount(id)) => Err(AccountError::NoSuchAccount(id)),
            Err(error) => {
                tracing::error!(account = %self.id, %error, "the account's store can't be opened");
                *slot = Slot::Failed(now, error.clone());
                Err(error.into())
            }
        }
    }

    /// An answer of the store, after a look whether the store can go on.
    async fn noted<T, E>(&self, store: &Arc<OpenStore>, answer: Result<T, E>) -> Result<T, AccountError>
    where
        AccountError: From<E>,
    {
        match answer.map_err(AccountError::from) {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.note_failure(store, &error).await;
                Err(error)
            }
        }
    }

    /// Takes a store out of use that can't go on; the next use reopens and checks it.
    async fn note_failure(&self, failed: &Arc<OpenStore>, error: &AccountError) {
        let AccountError::Store(cause @ (StoreError::Io(_) | StoreError::Stopped(_) | StoreError::Corrupt(_))) = error
        else {
            return;
        };
        let Ok(shared) = self.shared() else { return };
        let mut slot = self.store.lock().await;
        if matches!(&*slot, Slot::Open(store) if Arc::ptr_eq(store, failed)) {
            tracing::error!(account = %self.id, error = %cause, "the account's store stopped; it will be reopened");
            *slot = Slot::Failed(shared.clock.now(), cause.clone());
        }
    }
}

impl Shared {
    /// Closes the stores unused for longest until no more than the limit are open. A store in use stays. Handles that
    /// nobody holds go with their stores.
    fn close_unused(&self) {
        let mut handles = self.handles.lock();
        if handles.len() < self.open_stores_max {
            return;
        }
        let is_open = |handle: &LocalAccount| handle.store.try_lock().is_ok_and(|slot| matches!(*slot, Slot::Open(_)));
        let mut open: Vec<_> = handles.values().filter(|handle| is_open(handle)).cloned().collect();
        // Closing one at a time would sort them all for each; an eighth at once makes that rare.
        let excess = (open.len() + self.open_stores_max / 8).saturating_sub(self.open_stores_max);
        if open.len() < self.open_stores_max {
            return;
        }
        open.sort_unstable_by_key(|handle| handle.last_use.load(Ordering::Relaxed));
        for handle in open.into_iter().take(excess) {
            if let Ok(mut slot) = handle.store.clone().try_lock_owned()
                && matches!(&*slot, Slot::Open(store) if Arc::strong_count(store) == 1 && store.is_idle())
            {
                // Closing flushes. The slot is held until it is done, so that nobody opens the store beside itself.
                tokio::task::spawn_blocking(move || *slot = Slot::Closed);
            }
        }
        // The map holds one reference; whoever else holds one may still ask. A slot that is held is opening or closing.
        let is_closed =
            |handle: &LocalAccount| handle.store.try_lock().is_ok_and(|slot| !matches!(*slot, Slot::Open(_)));
        handles.retain(|_, handle| Arc::strong_count(handle) > 1 || !is_closed(handle));
    }
}

#[async_trait]
impl Account for LocalAccount {
    fn id(&self) -> AccountId {
        self.id
    }

    async fn head(&self) -> Result<Head, AccountError> {
        self.serve(|read| read.head()).await
    }

    async fn containers(&self) -> Result<Vec<Container>, AccountError> {
        self.serve_by(async |store| store.containers().await).await
    }

    async fn container(&self, id: ContainerId) -> Result<Option<Container>, AccountError> {
        self.serve(move |read| read.container(id)).await
    }

    async fn containers_on_path(&self, kind: ContainerKind, path: &[String]) -> Result<Vec<Container>, AccountError> {
        let path = path.to_vec();
        self.serve(move |read| read.containers_on_path(kind, &path)).await
    }

    async fn item_flags(
        &self,
        container: ContainerId,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<ItemFlags>, AccountError> {
        self.serve(move |read| read.item_flags(container, after, limit)).await
    }

    async fn items(
        &self,
        container: ContainerId,
        uids: &UidSet,
        parts: ItemParts,
        limit: usize,
    ) -> Result<Vec<Item>, AccountError> {
        let uids = uids.clone();
        self.serve(move |read| read.items(container, &uids, parts, limit)).await
    }

    async fn item_named(
        &self,
        container: ContainerId,
        name: &str,
        parts: ItemParts,
    ) -> Result<Option<Item>, AccountError> {
        let name = name.to_owned();
        self.serve(move |read| read.item_named(container, &name, parts)).await
    }

    async fn object(
        &self,
        container: ContainerId,
        object_uid: &str,
        parts: ItemParts,
    ) -> Result<Option<Item>, AccountError> {
        let object_uid = object_uid.to_owned();
        self.serve(move |read| read.object(container, &object_uid, parts)).await
    }

    async fn uids_named(&self, container: ContainerId, names: &[String]) -> Result<Vec<Option<Uid>>, AccountError> {
        let names = names.to_vec();
        self.serve(move |read| read.uids_named(container, &names)).await
    }

    async fn look_up(&self, lookups: &[Lookup]) -> Result<Vec<Answer>, AccountError> {
        let lookups = lookups.to_vec();
        self.serve(move |read| look_up(read, &lookups)).await
    }

    async fn expunged(
        &self,
        container: ContainerId,
        since: Modseq,
        after: Uid,
        limit: usize,
    ) -> Result<Vec<Expunged>, AccountError> {
        self.serve(move |read| read.expunged(container, since, after, limit)).await
    }

    async fn changes(&self, after: Cursor, limit: usize) -> Result<Changes, AccountError> {
        self.serve(move |read| read.changes(after, limit)).await
    }

    async fn container_changes(
        &self,
        container: ContainerId,
        after: Cursor,
        limit: usize,
    ) -> Result<Changes, AccountError> {
        self.serve(move |read| read.container_changes(container, after, limit)).await
    }

    async fn blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.serve(move |read| read.blob(hash, range)).await
    }

    async fn search(&self, container: ContainerId, filter: &Filter, uids: &UidSet) -> Result<Found, AccountError> {
        self.search_step(container, filter, uids).await
    }

    async fn relevancy(
        &self,
        container: ContainerId,
        filter: &Filter,
        uids: &UidSet,
    ) -> Result<Vec<(Uid, u8)>, AccountError> {
        self.scores(container, filter, uids).await
    }

    async fn commit(&self, operation: OperationId, mutations: Vec<Mutation>) -> Result<Committed, AccountError> {
        let epoch = self.store().await?.epoch();
        self.commit_at(epoch, operation, mutations).await
    }

    async fn stage_blob(&self) -> Result<Box<dyn BlobUpload>, AccountError> {
        let store = self.store().await?;
        if !store.serves(Use::Stage) {
            return Err(AccountError::Refused(CommitError::Sealed));
        }
        self.check_gate()?;
        self.stage(&store).await
    }

    async fn staged_blob(&self, hash: BlobHash, range: Range<u64>) -> Result<Bytes, AccountError> {
        self.copied_range(hash, range).await
    }

    fn watch(&self) -> watch::Receiver<Modseq> {
        self.modseq.subscribe()
    }
}

/// Runs a blocking call where it blocks nobody.
async fn blocking<T, F>(call: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StoreError> + Send + 'static,
{
    blocking_on(&Handle::current(), call).await
}

/// The same on the threads of that runtime.
async fn blocking_on<T, F>(runtime: &Handle, call: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, StoreError> + Send + 'static,
{
    let joined = runtime.spawn_blocking(call).await;
    joined.unwrap_or_else(|error| Err(StoreError::Io(format!("a store's thread ended: {error}"))))
}
