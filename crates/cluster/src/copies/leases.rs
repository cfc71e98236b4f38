//! Leases between nodes: the desk that gives them, and what a data server holds. What they are for is told in
//! [`crate::moving::core::lease`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use sterna_account::AccountError;
use sterna_account::local::Gate;
use sterna_base::{AccountId, NodeId};
use tokio::time::Instant;

use super::book::{CopyBook, CopyFacts};
use crate::moving::core::lease::{Given, Held, LEASE_ASK_MS, LEASE_MS};
use crate::rpc::CallError;
use crate::rpc::peer::Call;
use crate::rpc::peers::Peers;

/// A node asks for a lease.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LeaseCall {
    /// Up to where it has done what the directory says.
    pub modseq: u64,
}

/// The answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LeaseAnswer {
    /// Whether it has a lease from when it asked.
    pub is_given: bool,
}

/// Gives leases: the main node, and every server that may have standby copies.
pub struct LeaseDesk {
    book: Arc<dyn CopyBook>,
    given: Mutex<Given>,
    began: Instant,
}

/// Nothing is given to a node as long as this lives.
pub struct Withheld {
    desk: Arc<LeaseDesk>,
    node: NodeId,
}

impl LeaseDesk {
    /// By what this node's directory, or copy of it, says.
    pub fn new(book: Arc<dyn CopyBook>) -> Arc<Self> {
        Arc::new(LeaseDesk { book, given: Mutex::new(Given::new(0)), began: Instant::now() })
    }

    fn now_ms(&self) -> u64 {
        steady_ms(self.began)
    }

    /// Answers a node that asks.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub async fn ask(&self, node: NodeId, call: LeaseCall) -> Result<LeaseAnswer, AccountError> {
        let own = *self.book.changed().borrow();
        let may_be = self.given.lock().ask(node, own, self.now_ms());
        Ok(LeaseAnswer { is_given: may_be && !self.book.copies_changed(node, call.modseq).await? })
    }

    /// How long no lease was asked for by this node, in milliseconds, as far as this process knows.
    pub fn silent_ms(&self, node: NodeId) -> u64 {
        self.given.lock().silent_ms(node, self.now_ms())
    }

    /// How long this process gives leases already, in milliseconds.
    pub fn running_ms(&self) -> u64 {
        self.now_ms()
    }

    /// Lets a node have no lease for as long as what is returned lives.
    pub fn withhold(self: &Arc<Self>, node: NodeId) -> Withheld {
        self.given.lock().withhold(node);
        Withheld { desk: self.clone(), node }
    }

    /// Returns when this node holds no lease that was given in a state of the directory before `modseq`.
    pub async fn until_over(&self, node: NodeId, modseq: u64) {
        loop {
            let wait_ms = self.given.lock().wait_ms(node, modseq, self.now_ms());
            if wait_ms == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
    }

    /// How long until none of the other holders of standby copies can serve what was placed here.
    pub fn until_taken(&self, here: NodeId, facts: &CopyFacts) -> Duration {
        let (given, now_ms) = (self.given.lock(), self.now_ms());
        let others = facts.copies.iter().filter(|holder| holder.is_standby && holder.node != here);
        let wait_ms = others.map(|holder| given.wait_ms(holder.node, facts.placed_at, now_ms)).max();
        Duration::from_millis(wait_ms.unwrap_or(0))
    }
}

impl Drop for Withheld {
    fn drop(&mut self) {
        self.desk.given.lock().go_on(self.node);
    }
}

/// The leases of a data server, and for which of its accounts they are needed.
pub struct Leases {
    node: NodeId,
    peers: Arc<Peers>,
    held: Mutex<Held>,
    /// Where the standby copies of accounts are, by what the directory said when they were last looked after. Of others
    /// nothing is known yet.
    standby: RwLock<HashMap<AccountId, Arc<[NodeId]>>>,
    /// Whether the administrator answers for it that nobody took anything over.
    is_alone: bool,
    /// How many accounts were not served for lack of a lease when that was looked at last.
    unserved: Mutex<usize>,
    began: Instant,
}

impl Leases {
    /// Of a node without any lease. One that `is_alone` needs none.
    pub fn new(peers: Arc<Peers>, is_alone: bool) -> Arc<Self> {
        let node = peers.identity().node();
        let (held, standby) = (Mutex::default(), RwLock::default());
        Arc::new(Leases { node, peers, held, standby, is_alone, unserved: Mutex::default(), began: Instant::now() })
    }

    /// What the directory says of an account of this node.
    pub(super) fn looked_after(&self, account: AccountId, facts: &CopyFacts) {
        let others = facts.copies.iter().filter(|holder| holder.is_standby).map(|holder| holder.node);
        let others: Arc<[NodeId]> = others.collect();
        let mut standby = self.standby.write();
        match facts.placement {
            Some(placement) if placement.node == self.node => _ = standby.insert(account, others),
            Some(_) => _ = standby.remove(&account),
            // It is being made, and not placed yet.
            None => {}
        }
    }

    /// An account is being made here: nobody has a copy.
    pub(super) fn made(&self, account: AccountId) {
        self.standby.write().entry(account).or_insert_with(|| Arc::new([]));
    }

    /// An account is deleted here.
    pub(super) fn deleted(&self, account: AccountId) {
        self.standby.write().remove(&account);
    }

    /// Asks for leases, again and again. `modseq` says up to where this node has done what the directory says.
    pub(super) async fn ask_for_ever(self: Arc<Self>, modseq: impl Fn() -> u64) {
        let mut ticks = tokio::time::interval(Duration::from_millis(LEASE_ASK_MS));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tell_unserved();
            let main = self.peers.main().node();
            let mut givers: BTreeSet<NodeId> = [main].into();
            givers.extend(self.standby.read().values().flat_map(|nodes| nodes.iter().copied()));
            for giver in givers.into_iter().filter(|giver| *giver != self.node) {
                let (leases, call) = (self.clone(), LeaseCall { modseq: modseq() });
                // Each for itself: one that doesn't answer must not keep the others from being asked.
                tokio::spawn(async move {
                    if let Err(error) = leases.ask(giver, call).await {
                        tracing::debug!(%giver, %error, "a lease could not be asked for");
                    }
                });
            }
        }
    }

    /// Tells the operator when accounts cease to be served for lack of a lease, and when all are served again. In the
    /// first seconds of a process nobody has a lease yet.
    fn tell_unserved(&self) {
        if self.began.elapsed() < Duration::from_millis(2 * LEASE_MS) {
            return;
        }
        let is_leased = self.is_leased();
        let unserved = self.standby.read().values().filter(|standby| !is_leased(standby)).count();
        let before = std::mem::replace(&mut *self.unserved.lock(), unserved);
        match (before, unserved) {
            (0, 1..) => tracing::error!(
                accounts = unserved,
                "neither the main node nor the servers with their standby copies answer: these accounts may have been \
                 taken over and are not served here until one of both answers (if both are gone for good: serve_alone \
                 in [cluster] of sterna.toml)"
            ),
            (1.., 0) => tracing::info!("all accounts of this server are served again"),
            _ => {}
        }
    }

    /// Whether an account may be served now that has standby copies on these nodes.
    fn is_leased(&self) -> impl Fn(&[NodeId]) -> bool {
        let (main, now_ms) = (self.peers.main().node(), steady_ms(self.began));
        // No failover goes past the node that would do it.
        let needs_none = self.is_alone || main == self.node;
        move |standby| needs_none || self.held.lock().may_serve(main, standby, now_ms)
    }

    async fn ask(&self, giver: NodeId, call: LeaseCall) -> Result<(), CallError> {
        let (asked_ms, peer) = (steady_ms(self.began), self.peers.peer(giver));
        let lease = Call { timeout_ms: LEASE_MS, ..Call::control(Method::POST, "/v1/lease") };
        let answer: LeaseAnswer = peer.ask(&lease, &call).await?;
        if answer.is_given {
            self.held.lock().on_given(giver, asked_ms);
        }
        Ok(())
    }
}

impl Gate for Leases {
    fn may_serve(&self, account: AccountId) -> bool {
        let is_leased = self.is_leased();
        self.standby.read().get(&account).is_some_and(|standby| is_leased(standby))
    }
}

fn steady_ms(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
