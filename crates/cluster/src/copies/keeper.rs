//! What a data server does about the copies that the directory wants on it, and about stores whose role the directory
//! changed: it compares, and makes true.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_account::local::{LocalAccount, LocalAccounts};
use sterna_account::service::Accounts;
use sterna_account::turns::AccountTurns;
use sterna_account::{Account, AccountError, CommitError, Head, Role};
use sterna_base::{AccountId, Clock, Modseq, NodeId, Timestamp, failpoint};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::account::KeptAccount;
use super::asides::Asides;
use super::awaited::Awaited;
use super::book::{CopyBook, CopyFacts, CopyStage, take_back};
use super::calls::{CopyState, ReadyCall, SealCall};
use super::follower::{CopyError, Follower, state_of};
use super::leases::{LeaseDesk, Leases};
use super::throttle::Throttle;
use crate::limits::{KEEPER_LOCKS, KEEPER_PARALLEL, KEEPER_RETRY_MS};
use crate::moving::core::duty::{Duty, Facts, StoreFacts, duty};
use crate::moving::core::step::End;
use crate::rpc::peers::Peers;

/// Accounts read from the directory at a time.
const PAGE: usize = 1_000;

/// Duties that follow from each other at once: make a store, follow with it.
const DUTIES_MAX: usize = 4;

/// The copies of one data server.
pub struct Keeper {
    node: NodeId,
    local: Arc<LocalAccounts>,
    peers: Arc<Peers>,
    book: Arc<dyn CopyBook>,
    awaited: Arc<Awaited>,
    clock: Arc<dyn Clock>,
    throttle: Arc<Throttle>,
    /// Of followers that have ended.
    differed: Arc<Mutex<Differed>>,
    asides: Arc<Asides>,
    desk: Arc<LeaseDesk>,
    leases: Arc<Leases>,
    /// Up to where everything was done that the directory says.
    done: AtomicU64,
    following: Mutex<HashMap<AccountId, Running>>,
    /// One account is looked after by one at a time.
    turns: AccountTurns<KEEPER_LOCKS>,
    tasks: TaskTracker,
    stopped: Arc<Stopped>,
}

/// Accounts whose stores ceased to follow, or that had to wait. The directory may have changed before that, and does
/// not change again because of it.
#[derive(Default)]
struct Stopped {
    accounts: Mutex<BTreeSet<AccountId>>,
    /// Those that are looked after again when their wait is over.
    waiting: Mutex<BTreeSet<AccountId>>,
    more: Notify,
}

impl Stopped {
    fn add(&self, account: AccountId) {
        self.accounts.lock().insert(account);
        self.more.notify_one();
    }

    fn take(&self) -> BTreeSet<AccountId> {
        std::mem::take(&mut *self.accounts.lock())
    }
}

struct Running {
    follower: Arc<Follower>,
    task: AbortHandle,
    /// Where it leaves what it found.
    differed: Arc<Mutex<Differed>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
        self.differed.lock().add(&self.follower);
    }
}

/// Copies that differed from their sources.
#[derive(Clone, Copy, Debug, Default)]
struct Differed {
    count: u64,
    last: Option<(AccountId, Timestamp)>,
}

impl Differed {
    fn add(&mut self, follower: &Follower) {
        let (count, at) = follower.differed();
        self.count += count;
        let last = at.map(|at| (follower.account(), at));
        self.last = self.last.into_iter().chain(last).max_by_key(|(_, at)| *at);
    }
}

impl Keeper {
    /// Of this node's accounts, by what `book` says. `desk` is this node's own; from now on the accounts of `local`
    /// are served only as far as `leases` let them.
    pub fn new(
        local: Arc<LocalAccounts>,
        peers: Arc<Peers>,
        book: Arc<dyn CopyBook>,
        desk: Arc<LeaseDesk>,
        leases: Arc<Leases>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let node = peers.identity().node();
        local.guard(leases.clone());
        let turns = AccountTurns::default();
        let (differed, following, throttle) = (Arc::default(), Mutex::default(), Throttle::new(local.latency()));
        let awaited = Awaited::new(book.clone(), peers.clone(), clock.clone());
        let asides = Asides::new(local.clone());
        let (done, tasks, stopped) = (AtomicU64::new(0), TaskTracker::new(), Arc::default());
        Arc::new(Keeper {
            node,
            local,
            peers,
            book,
            awaited,
            clock,
            throttle,
            differed,
            asides,
            desk,
            leases,
            done,
            following,
            turns,
            tasks,
            stopped,
        })
    }

    /// How often copies here were found to differ from their sources since the node started, and which one when the
    /// last time.
    pub fn differed(&self) -> (u64, Option<(AccountId, Timestamp)>) {
        let following = self.following.lock();
        let mut differed = *self.differed.lock();
        following.values().for_each(|running| differed.add(&running.follower));
        (differed.count, differed.last)
    }

    /// How long ago the copy here that lags most was equal to its account, in milliseconds; zero when all are equal,
    /// and `None` when there is no copy, or none that ever was equal.
    pub fn lag_ms(&self) -> Option<u64> {
        let following = self.following.lock();
        following.values().filter_map(|running| running.follower.lag_ms()).max()
    }

    /// The speed of copies to and from this node.
    pub fn throttle(&self) -> Arc<Throttle> {
        self.throttle.clone()
    }

    /// The copies that this node's accounts wait for.
    pub fn awaited(&self) -> &Arc<Awaited> {
        &self.awaited
    }

    /// Looks after everything once, and again whenever the directory changes, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let throttle = self.throttle.clone();
        self.tasks.spawn(throttle.run(stop.clone()));
        let keeper = self.clone();
        let done = move || keeper.done.load(Ordering::Acquire);
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.clone().look_after_all() => {}
            () = self.leases.clone().ask_for_ever(done) => {}
        }
        self.following.lock().clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What was set aside on this node.
    pub fn asides(&self) -> &Arc<Asides> {
        &self.asides
    }

    async fn look_after_all(self: Arc<Self>) {
        if let Err(error) = self.asides.load().await {
            tracing::error!(%error, "what was set aside on this node can't be listed");
        }
        let mut changed = self.book.changed();
        // What changes while the first look goes on is found by the next.
        let mut since = *changed.borrow_and_update();
        // Until then nothing is known of any account, and whoever asks for one has it looked after.
        self.done.store(since, Ordering::Release);
        let mut due = self.all().await;
        loop {
            let failed = self.look_after_these(due).await;
            let is_retry = !failed.is_empty();
            if !is_retry {
                self.done.store(since, Ordering::Release);
            }
            let waited = async {
                match is_retry {
                    true => tokio::time::sleep(Duration::from_millis(KEEPER_RETRY_MS)).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                ended = changed.changed() => if ended.is_err() { return std::future::pending().await },
                () = waited => {}
                () = self.stopped.more.notified() => {}
            }
            changed.mark_unchanged();
            due = failed;
            due.extend(self.stopped.take());
            match self.book.changed_since(since).await {
                Ok((accounts, now)) => {
                    since = now;
                    due.extend(accounts);
                    due.sort_unstable();
                    due.dedup();
                }
                Err(error) => tracing::warn!(%error, "the directory could not be read for copies; it is tried again"),
            }
        }
    }

    /// Every account that may need something after a start: the copies first, because others may wait for them.
    async fn all(&self) -> Vec<AccountId> {
        let mut all = Vec::new();
        loop {
            match self.book.copies_on(self.node, all.last().copied(), PAGE).await {
                Ok(page) if page.is_empty() => break,
                Ok(page) => all.extend(page),
                Err(error) => {
                    tracing::warn!(%error, "the directory could not be read for copies");
                    tokio::time::sleep(Duration::from_millis(KEEPER_RETRY_MS)).await;
                }
            }
        }
        match self.local.list().await {
            Ok(stores) => all.extend(stores),
            Err(error) => tracing::error!(%error, "the accounts of this node can't be listed"),
        }
        all
    }

    /// Several at a time: one whose store is slow must not keep the others from being served. Returns those that
    /// failed.
    async fn look_after_these(self: &Arc<Self>, due: Vec<AccountId>) -> Vec<AccountId> {
        let (mut due, mut tasks, mut failed) = (due.into_iter(), JoinSet::new(), Vec::new());
        loop {
            while tasks.len() < KEEPER_PARALLEL
                && let Some(account) = due.next()
            {
                let keeper = self.clone();
                tasks.spawn(async move { (account, keeper.look_after(account).await) });
            }
            match tasks.join_next().await {
                None => return failed,
                Some(Ok((account, Err(error)))) => {
                    tracing::warn!(%account, %error, "an account could not be looked after; it is tried again");
                    failed.push(account);
                }
                Some(Ok((_, Ok(())))) => {}
                Some(Err(error)) => tracing::error!(%error, "looking after an account failed"),
            }
        }
    }

    /// Compares one account's store with the directory and makes it what the directory says.
    ///
    /// # Errors
    /// When directory or store can't be read or written; it may be repeated.
    pub async fn look_after(&self, account: AccountId) -> Result<(), AccountError> {
        let _turn = self.turns.take(account).await;
        for _ in 0..DUTIES_MAX {
            let facts = self.book.facts(account).await?;
            let store = self.store(account).await?;
            let directory = Facts { node: self.node, placement: facts.placement, is_copy: facts.is_holder(self.node) };
            let duty = duty(&directory, store.as_ref().map(|(_, head)| store_facts(head)).as_ref());
            if self.perform(account, duty, &facts, store).await? {
                // After the store has its role: before, it might be served under what the directory said last.
                self.leases.looked_after(account, &facts);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Does one duty; says whether that was all.
    async fn perform(
        &self,
        account: AccountId,
        duty: Duty,
        facts: &CopyFacts,
        store: Option<(Arc<LocalAccount>, Head)>,
    ) -> Result<bool, AccountError> {
        match (duty, store) {
            (Duty::Serve { epoch }, Some((handle, head))) => {
                self.stop_following(account);
                if (head.role, head.epoch) != (Role::Active, epoch) {
                    if head.role == Role::Follower {
                        // A failover: nobody sealed the lost server's copy. Other accounts don't wait for that.
                        let wait = self.desk.until_taken(self.node, facts);
                        if !wait.is_zero() {
                            self.look_again(account, wait);
                            return Ok(true);
                        }
                    }
                    failpoint::reached("store-activating");
                    handle.set_role(epoch, Role::Active).await?;
                    failpoint::reached("store-active");
                    tracing::info!(%account, %epoch, "the account is served from here");
                }
                self.awaited.look_after(&handle).await?;
            }
            (Duty::MakeFollower { epoch }, _) => {
                // A copy that was there is gone: nothing may be promised of it, before anybody could take it for whole.
                take_back(&*self.book, self.node, account).await?;
                self.local.create_follower(account, epoch).await?;
                failpoint::reached("store-made");
                return Ok(false);
            }
            (Duty::BecomeFollower { epoch }, Some((handle, _))) => {
                self.stop_following(account);
                failpoint::reached("store-leaving");
                handle.set_role(epoch, Role::Follower).await?;
                failpoint::reached("store-following");
                tracing::info!(%account, %epoch, "the account is served elsewhere, and followed here");
                return Ok(false);
            }
            (Duty::FollowFrom(_), _) => self.follow(account, facts),
            (Duty::WaitSealed | Duty::WaitReady, _) => {}
            (Duty::Nothing | Duty::Serve { .. } | Duty::BecomeFollower { .. }, _) => self.stop_following(account),
        }
        Ok(true)
    }

    /// Looks after an account once more, later.
    fn look_again(&self, account: AccountId, after: Duration) {
        let stopped = self.stopped.clone();
        if !stopped.waiting.lock().insert(account) {
            return;
        }
        let waiting = async move {
            tokio::time::sleep(after).await;
            stopped.waiting.lock().remove(&account);
            stopped.add(account);
        };
        tokio::spawn(waiting);
    }

    fn follow(&self, account: AccountId, facts: &CopyFacts) {
        let Some(placement) = facts.placement else { return };
        let mut following = self.following.lock();
        let is_awaited = matches!(facts.stage(self.node), Some(CopyStage::Joining | CopyStage::Awaited));
        let is_followed = |running: &&Running| running.follower.source() == placement && !running.task.is_finished();
        if let Some(running) = following.get(&account).filter(is_followed) {
            running.follower.set_awaited(is_awaited);
            return;
        }
        let (local, peers, book) = (self.local.clone(), self.peers.clone(), self.book.clone());
        let (throttle, asides, clock) = (self.throttle.clone(), self.asides.clone(), self.clock.clone());
        let (follower, work) = Follower::start(account, placement, local, peers, throttle, asides, book, clock);
        follower.set_awaited(is_awaited);
        let stopped = self.stopped.clone();
        let work = async move {
            work.await;
            stopped.add(account);
        };
        let task = self.tasks.spawn(work).abort_handle();
        following.insert(account, Running { follower, task, differed: self.differed.clone() });
    }

    /// A new account is about to be made here, which the directory does not place yet.
    pub fn make(&self, account: AccountId) {
        self.leases.made(account);
    }

    /// An account is about to be deleted here.
    pub fn forget(&self, account: AccountId) {
        self.stop_following(account);
        self.leases.deleted(account);
    }

    /// Ends the following of an account that is about to be served or deleted here.
    pub fn stop_following(&self, account: AccountId) {
        self.following.lock().remove(&account);
    }

    /// The account's server has something for its copy here, and waits for it.
    pub fn news(&self, account: AccountId) {
        if let Some(running) = self.following.lock().get(&account) {
            running.follower.news();
        }
    }

    async fn store(&self, account: AccountId) -> Result<Option<(Arc<LocalAccount>, Head)>, AccountError> {
        let opened = async {
            let handle = self.local.get(account).await?;
            let head = handle.head_of_copy().await?;
            Ok((handle, head))
        };
        match opened.await {
            Ok(store) => Ok(Some(store)),
            Err(AccountError::NoSuchAccount(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How a store is.
    ///
    /// # Errors
    /// [`AccountError::NoSuchAccount`] when there is none, or why it can't be read.
    pub async fn state(&self, account: AccountId) -> Result<CopyState, AccountError> {
        let follower = self.following.lock().get(&account).map(|running| running.follower.clone());
        let state = match follower {
            Some(follower) => {
                // Whoever has its copy here asks for leases for as long as it lives and gets through.
                let silent_ms = self.desk.silent_ms(follower.source().node);
                CopyState { source_silent_ms: Some(silent_ms), ..follower.state().await? }
            }
            None => state_of(&*self.local.get(account).await?).await?,
        };
        Ok(CopyState { speed: self.throttle.speed(), waiting: self.awaited.waiting(account), ..state })
    }

    /// Seals an account that is active under this epoch. May be repeated.
    ///
    /// # Errors
    /// [`CommitError::WrongEpoch`] when it isn't, or why it can't be sealed.
    pub async fn seal(&self, account: AccountId, call: &SealCall) -> Result<CopyState, AccountError> {
        let handle = self.local.get(account).await?;
        {
            let _turn = self.turns.take(account).await;
            let head = handle.head_of_copy().await?;
            match head.role {
                Role::Active if head.epoch == call.epoch => {
                    failpoint::reached("source-sealing");
                    handle.set_role(call.epoch, Role::Sealed).await?;
                    failpoint::reached("source-sealed");
                }
                Role::Sealed if head.epoch == call.epoch => {}
                _ => return Err(AccountError::Refused(CommitError::WrongEpoch { current: head.epoch })),
            }
        }
        state_of(&handle).await
    }

    /// Makes a copy ready to take the account over. May be repeated.
    ///
    /// # Errors
    /// [`CopyError`]
    pub async fn make_ready(&self, account: AccountId, call: ReadyCall) -> Result<CopyState, CopyError> {
        // One that became ready and was started again since has nothing to follow any more.
        let state = self.state(account).await?;
        if state.role == Role::Ready && state.epoch == call.epoch {
            let is_equal = End::of(&state.said()) == call.end;
            return if is_equal { Ok(state) } else { Err(CopyError::Differs) };
        }
        let follower = self.following.lock().get(&account).map(|running| running.follower.clone());
        follower.ok_or(CopyError::NotFollowing)?.make_ready(call).await?;
        Ok(self.state(account).await?)
    }
}

fn store_facts(head: &Head) -> StoreFacts {
    // A follower takes the modseq of its source when it is equal to it for the first time.
    let is_whole = head.role != Role::Follower || head.modseq > Modseq::ZERO;
    StoreFacts { role: head.role, epoch: head.epoch, is_whole }
}

/// This node's accounts for its own sessions: an account whose role the directory has just changed is looked after
/// before it is used.
#[async_trait]
impl Accounts for Keeper {
    async fn open(&self, account: AccountId) -> Result<Arc<dyn Account>, AccountError> {
        let handle = self.local.get(account).await?;
        if !handle.is_active().await? {
            self.look_after(account).await?;
        }
        Ok(Arc::new(KeptAccount { local: handle, awaited: self.awaited.clone() }))
    }
}
