//! Commits that are acknowledged only when every awaited copy has them durably, too (decision 18).
//!
//! A commit goes through [`Awaited::commit`], wherever its session is. It is done in the account's own store first; the
//! copies pull it as they pull everything, and their next question is the acknowledgement. One that stays away makes
//! commits fail, first after a wait, then at once and before anything is done: nobody is ever told that a change is
//! safe on two disks when it is on one.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sterna_account::local::LocalAccount;
use sterna_account::turns::AccountTurns;
use sterna_account::{Account, AccountError, CommitError, Committed, Mutation};
use sterna_base::{AccountId, Clock, Epoch, Modseq, NodeId, OperationId, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use super::acks::{Acks, EqualAt, Gate, Waiting};
use super::book::{CopyBook, CopyHolder, StageReport};
use super::calls::path;
use crate::limits::{ACKS_REMEMBERED_MAX, COPY_CALL_MS, COPY_SILENCE_MS, COPY_WAIT_MS, KEEPER_LOCKS};
use crate::rpc::peer::Call;
use crate::rpc::peers::Peers;

/// How many accounts wait in vain for their copies on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingFor {
    /// Where the copies are.
    pub copy: NodeId,
    /// Accounts whose commits are not acknowledged.
    pub accounts: u64,
    /// Since when the first of them waits.
    pub since: Timestamp,
    /// Commits that were refused since then.
    pub refused: u64,
}

/// The copies that the accounts of this node wait for.
pub struct Awaited {
    node: NodeId,
    book: Arc<dyn CopyBook>,
    peers: Arc<Peers>,
    clock: Arc<dyn Clock>,
    changed: watch::Receiver<u64>,
    accounts: Mutex<HashMap<AccountId, Entry>>,
    /// The directory is read for one account by one at a time: what was read first must not replace what was read
    /// later.
    reading: AccountTurns<KEEPER_LOCKS>,
}

struct Entry {
    acks: Acks,
    news: watch::Sender<()>,
}

/// What a waiting commit looks at.
struct Look<T> {
    found: T,
    news: watch::Receiver<()>,
    changed: watch::Receiver<u64>,
}

impl Awaited {
    /// Of this node's accounts, by what `book` says.
    pub fn new(book: Arc<dyn CopyBook>, peers: Arc<Peers>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let (node, changed) = (peers.identity().node(), book.changed());
        let reading = AccountTurns::default();
        Arc::new(Awaited { node, book, peers, clock, changed, accounts: Mutex::default(), reading })
    }

    /// Commits, and returns when it is durable here and on every awaited copy. A repeated commit waits like the first.
    ///
    /// # Errors
    /// As [`LocalAccount::commit_at`]; [`AccountError::Unavailable`] when a copy is away: the commit was then either
    /// not done, or done here and not acknowledged, and may be repeated with its operation id.
    pub async fn commit(
        self: &Arc<Self>,
        account: &LocalAccount,
        epoch: Epoch,
        operation: OperationId,
        mutations: Vec<Mutation>,
    ) -> Result<Committed, AccountError> {
        self.admit(account.id(), epoch).await?;
        let committed = account.commit_at(epoch, operation, mutations).await?;
        self.acknowledge(account.id(), epoch, committed.modseq).await?;
        Ok(committed)
    }

    /// Returns when commits may be taken.
    async fn admit(self: &Arc<Self>, account: AccountId, epoch: Epoch) -> Result<(), AccountError> {
        let until = Instant::now() + Duration::from_millis(COPY_SILENCE_MS);
        loop {
            let look = self.look(account, Some(epoch), |acks| match acks.gate() {
                Gate::Unheard(_) if Instant::now() >= until => {
                    acks.give_up(Modseq::ZERO, self.clock.now());
                    acks.gate()
                }
                Gate::Open if acks.waits() && acks.epoch != Some(epoch) => Gate::Elsewhere,
                gate => gate,
            });
            let look = look.await?;
            match look.found {
                Gate::Open => return Ok(()),
                Gate::Elsewhere => return Err(AccountError::Refused(CommitError::Sealed)),
                Gate::Shut(copy) => return Err(self.away(copy)),
                Gate::Unheard(copy) => self.call(account, copy),
            }
            look.wait(until).await?;
        }
    }

    /// Returns when every awaited copy has the account up to this modseq, which is durable here.
    async fn acknowledge(
        self: &Arc<Self>,
        account: AccountId,
        epoch: Epoch,
        modseq: Modseq,
    ) -> Result<(), AccountError> {
        let from = Instant::now();
        let longest = from + Duration::from_millis(COPY_WAIT_MS);
        loop {
            let look = self.look(account, Some(epoch), |acks| match acks.lacks(modseq) {
                None => None,
                Some(copy) => {
                    let until = acks.patience(modseq, from).min(longest);
                    let is_over = Instant::now() >= until;
                    if is_over {
                        acks.give_up(modseq, self.clock.now());
                    }
                    Some((copy, until, is_over, acks.epoch != Some(epoch)))
                }
            });
            let look = look.await?;
            match look.found {
                None => return Ok(()),
                // Whoever repeats it finds the account, and whether it was done, at its new place. Not refused: here it
                // was done.
                Some((.., true)) => {
                    return Err(AccountError::Unavailable(
                        "not acknowledged: the account is placed elsewhere now".into(),
                    ));
                }
                Some((copy, _, true, _)) => {
                    tracing::warn!(%account, %copy, %modseq, "a commit is not acknowledged: its standby copy is away");
                    return Err(self.away(copy));
                }
                Some((copy, until, ..)) => {
                    self.call(account, copy);
                    look.wait(until.min(Instant::now() + Duration::from_millis(COPY_CALL_MS))).await?;
                }
            }
        }
    }

    /// Looks at an account's copies as the directory has them now. What changes after the look ends its waiting.
    async fn look<T>(
        &self,
        account: AccountId,
        epoch: Option<Epoch>,
        question: impl FnOnce(&mut Acks) -> T,
    ) -> Result<Look<T>, AccountError> {
        let mut changed = self.changed.clone();
        let seen = *changed.borrow_and_update();
        if !self.is_fresh(account, epoch, seen) {
            let _turn = self.reading.take(account).await;
            if !self.is_fresh(account, epoch, seen) {
                let facts = self.book.facts(account).await?;
                let mut accounts = self.accounts.lock();
                if accounts.len() >= ACKS_REMEMBERED_MAX {
                    accounts.retain(|_, entry| entry.acks.is_needed() || entry.news.receiver_count() > 0);
                }
                let new = || Entry { acks: Acks::new(seen, self.node, &facts), news: watch::Sender::default() };
                accounts.entry(account).or_insert_with(new).acks.update(seen, self.node, &facts);
            }
        }
        let mut accounts = self.accounts.lock();
        let Some(entry) = accounts.get_mut(&account) else {
            return Err(AccountError::Unavailable("the account's copies are being looked up; try again".into()));
        };
        Ok(Look { found: question(&mut entry.acks), news: entry.news.subscribe(), changed })
    }

    /// Whether what is known is of the directory's state of now, and of the placement that the caller knows: the number
    /// of the state may come a moment after the state.
    fn is_fresh(&self, account: AccountId, epoch: Option<Epoch>, seen: u64) -> bool {
        let accounts = self.accounts.lock();
        let Some(Entry { acks, .. }) = accounts.get(&account) else { return false };
        acks.seen >= seen && (epoch.is_none() || acks.epoch == epoch)
    }

    fn away(&self, copy: NodeId) -> AccountError {
        let name = self.peers.peer(copy).name();
        AccountError::Unavailable(format!("not acknowledged: the standby copy on {name} does not have it"))
    }

    /// A copy asked for something; `equal` is its acknowledgement if it asked for a page. Returns the turn that this
    /// belongs to.
    pub(super) async fn heard(
        &self,
        account: AccountId,
        copy: NodeId,
        equal: Option<EqualAt>,
    ) -> Result<u64, AccountError> {
        let look = self.look(account, None, |acks| (acks.heard(copy, equal, Instant::now()), acks.turn)).await?;
        let (is_news, turn) = look.found;
        if is_news && let Some(entry) = self.accounts.lock().get(&account) {
            entry.news.send_replace(());
        }
        Ok(turn)
    }

    /// Looks whether something is to be told the main node of an account that is served here.
    pub(super) async fn look_after(self: &Arc<Self>, account: &LocalAccount) -> Result<(), AccountError> {
        let look = self.look(account.id(), None, |acks| (acks.is_needed(), acks.turn)).await?;
        if let (true, turn) = look.found {
            self.report(account.id(), turn, account.head_of_copy().await?.modseq, None);
        }
        Ok(())
    }

    /// Tells the main node how far copies are, given the account's modseq, which was read after `turn` was known.
    pub(super) fn report(self: &Arc<Self>, account: AccountId, turn: u64, head: Modseq, reached: Option<NodeId>) {
        let (holders, epoch) = {
            let mut accounts = self.accounts.lock();
            let Some(Entry { acks, .. }) = accounts.get_mut(&account) else { return };
            (acks.reports(turn, head, reached, Instant::now()), acks.epoch)
        };
        for CopyHolder { node: copy, stage, version, .. } in holders {
            let (Some(stage), Some(epoch)) = (stage, epoch) else { continue };
            let (awaited, report) = (self.clone(), StageReport { account, copy, epoch, version, stage });
            tokio::spawn(async move {
                match awaited.book.report(report).await {
                    Ok(()) => tracing::info!(%account, %copy, ?stage, "the main node knows how far a standby copy is"),
                    Err(error) => tracing::warn!(%account, %copy, %error, "a standby copy is not awaited yet"),
                }
            });
        }
    }

    /// Asks a silent copy to ask: it may not know that this node is back.
    fn call(self: &Arc<Self>, account: AccountId, copy: NodeId) {
        let is_due = |entry: &mut Entry| entry.acks.is_to_be_called(copy, Instant::now());
        if !self.accounts.lock().get_mut(&account).is_some_and(is_due) {
            return;
        }
        let peer = self.peers.peer(copy);
        tokio::spawn(async move {
            let call = Call::control(Method::POST, &format!("/v1/copies/{account}/{}", path::NEWS));
            if let Err(error) = peer.call(&call, Bytes::new()).await {
                tracing::debug!(%account, %copy, %error, "a standby copy that is waited for can't be called");
            }
        });
    }

    /// For which copies this account's commits wait in vain.
    pub fn waiting(&self, account: AccountId) -> Vec<Waiting> {
        self.accounts.lock().get(&account).map_or_else(Vec::new, |entry| entry.acks.waiting())
    }

    /// The same of all accounts, by the copies' nodes.
    pub fn waiting_for(&self) -> Vec<WaitingFor> {
        let mut found: BTreeMap<NodeId, WaitingFor> = BTreeMap::new();
        for Waiting { copy, since, refused } in self.accounts.lock().values().flat_map(|entry| entry.acks.waiting()) {
            let sum = found.entry(copy).or_insert(WaitingFor { copy, accounts: 0, since, refused: 0 });
            sum.accounts += 1;
            sum.refused += refused;
            sum.since = sum.since.min(since);
        }
        found.into_values().collect()
    }
}

impl<T> Look<T> {
    /// Returns when something changed since the look, or then.
    async fn wait(mut self, until: Instant) -> Result<(), AccountError> {
        let is_over = tokio::select! {
            news = self.news.changed() => news.is_err(),
            changed = self.changed.changed() => changed.is_err(),
            () = tokio::time::sleep_until(until) => false,
        };
        if is_over { Err(AccountError::Unavailable("the node is ending".into())) } else { Ok(()) }
    }
}
