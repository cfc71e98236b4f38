//! Which accounts move where when a server is emptied or loads are brought into balance: pure functions of what the
//! directory and the servers know.
//!
//! A target is one that would take a new account by policy: it holds accounts, is open, has a weight, isn't being
//! drained, is allowed for the account's domain, and keeps [`FREE_BYTES_MIN`] free after it. The answer depends on the
//! numbers alone, so that a plan that was shown is the plan that is done.

use std::collections::BTreeMap;

use sterna_base::{AccountId, DomainId, NodeId};

use crate::model::Server;
use crate::placement_policy::{FREE_BYTES_MIN, NoServer, check_target};

/// A server as a plan sees it.
#[derive(Clone, Debug)]
pub struct Load {
    /// Its row. [`Server::free_bytes`] limits what it takes; unknown is no limit.
    pub server: Server,
    /// Bytes of the accounts that live there.
    pub used_bytes: u64,
}

/// An account as a plan sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Which.
    pub id: AccountId,
    /// Where it lives.
    pub server: NodeId,
    /// The domain of its main address.
    pub domain: DomainId,
    /// What it takes.
    pub bytes: u64,
}

/// The servers of the domains that have any; others may be everywhere.
pub type Allowed = BTreeMap<DomainId, Vec<NodeId>>;

/// One account to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedMove {
    /// Which.
    pub account: AccountId,
    /// Where it lives.
    pub from: NodeId,
    /// Where it is to live.
    pub to: NodeId,
    /// What it takes.
    pub bytes: u64,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// What moves, in the order in which it was chosen.
    pub moves: Vec<PlannedMove>,
    /// When a server is emptied: accounts that no server takes, each with the reason.
    pub stay: Vec<(AccountId, NoServer)>,
    /// When loads are balanced: servers that are still outside of the tolerance, because no account that may move would
    /// bring them nearer.
    pub uneven: Vec<NodeId>,
}

impl Plan {
    /// What all moves take.
    pub fn bytes(&self) -> u64 {
        self.moves.iter().map(|planned| planned.bytes).sum()
    }
}

/// Empties a server. Each account goes to the target that has the least for its weight then, the one with the fewest
/// choices first, of these the largest first. `accounts` are those of the server; others are ignored.
pub fn drain(loads: &[Load], allowed: &Allowed, from: NodeId, accounts: &[Account]) -> Plan {
    let mut state = State::new(loads, allowed);
    let mut accounts: Vec<&Account> = accounts.iter().filter(|account| account.server == from).collect();
    let choices = |domain| allowed.get(&domain).map_or(usize::MAX, Vec::len);
    accounts.sort_by_key(|account| (choices(account.domain), std::cmp::Reverse(account.bytes), account.id));
    let mut plan = Plan::default();
    for account in accounts {
        let target = (0..loads.len())
            .filter(|&at| loads[at].server.id != from && state.refusal(at, account).is_none())
            .min_by(|&a, &b| state.compare_after(a, b, account.bytes));
        match target {
            Some(to) => plan.moves.push(state.take(account, to)),
            None => {
                let others = (0..loads.len()).filter(|&at| loads[at].server.id != from);
                let reasons = others.filter_map(|at| state.refusal(at, account)).collect();
                plan.stay.push((account.id, NoServer::None(reasons)));
            }
        }
    }
    plan
}

/// Brings each server's bytes within `tolerance_percent` of its share by weight. Only servers that could be targets
/// take part, because what lives on a closed one, or on one of weight 0, was put there by somebody.
///
/// Each move brings both of its servers nearer to their shares; of the accounts that do, the one is taken that is
/// enough and smallest, or else the largest.
pub fn rebalance(loads: &[Load], allowed: &Allowed, accounts: &[Account], tolerance_percent: u32) -> Plan {
    let mut state = State::new(loads, allowed);
    let shares = Shares::new(loads, &state.used, tolerance_percent);
    let mut on = accounts_on(loads, accounts);
    let mut plan = Plan::default();
    while plan.moves.len() < accounts.len() {
        let Some((giver, at, taker)) = shares.step(&state, &on) else { break };
        let account = on[giver].remove(at);
        state.used[giver] = state.used[giver].saturating_sub(account.bytes);
        state.free[giver] = state.free[giver].map(|free| free.saturating_add(account.bytes));
        plan.moves.push(state.take(account, taker));
    }
    let uneven = (0..loads.len()).filter(|&at| shares.is_outside(at, state.used[at]));
    plan.uneven = uneven.map(|at| loads[at].server.id).collect();
    plan
}

/// How far the servers are from their shares, as [`rebalance`] sees it: the sum of the differences, in bytes.
pub fn unevenness(loads: &[Load]) -> u128 {
    let used: Vec<u64> = loads.iter().map(|load| load.used_bytes).collect();
    let shares = Shares::new(loads, &used, 0);
    (0..loads.len()).map(|at| shares.excess(at, used[at]).unsigned_abs()).sum()
}

/// The accounts of each server, the smallest first.
fn accounts_on<'a>(loads: &[Load], accounts: &'a [Account]) -> Vec<Vec<&'a Account>> {
    let index: BTreeMap<NodeId, usize> = loads.iter().enumerate().map(|(at, load)| (load.server.id, at)).collect();
    let mut on = vec![Vec::new(); loads.len()];
    for account in accounts {
        if let Some(&at) = index.get(&account.server) {
            on[at].push(account);
        }
    }
    for accounts in &mut on {
        accounts.sort_by_key(|account: &&Account| (account.bytes, account.id));
    }
    on
}

/// The servers as they would be after the moves that were chosen so far.
struct State<'a> {
    loads: &'a [Load],
    allowed: &'a Allowed,
    used: Vec<u64>,
    free: Vec<Option<u64>>,
}

impl<'a> State<'a> {
    fn new(loads: &'a [Load], allowed: &'a Allowed) -> Self {
        let used = loads.iter().map(|load| load.used_bytes).collect();
        let free = loads.iter().map(|load| load.server.free_bytes).collect();
        State { loads, allowed, used, free }
    }

    /// Why a server doesn't take an account.
    fn refusal(&self, at: usize, account: &Account) -> Option<String> {
        let server = &self.loads[at].server;
        let allowed = self.allowed.get(&account.domain).map_or(&[][..], Vec::as_slice);
        if let Err(error) = check_target(server, allowed) {
            return Some(error.to_string());
        }
        if server.weight == 0 {
            return Some(format!("server {} has weight 0", server.name));
        }
        let left = self.free[at].map(|free| free.checked_sub(account.bytes));
        let is_full = left.is_some_and(|left| left.is_none_or(|left| left < FREE_BYTES_MIN));
        is_full.then(|| format!("server {} has no space for it", server.name))
    }

    /// Which of two servers would have less for its weight with so much more; a/wa < b/wb is a*wb < b*wa.
    fn compare_after(&self, a: usize, b: usize, bytes: u64) -> std::cmp::Ordering {
        let weighed = |at: usize, other: usize| {
            let used = u128::from(self.used[at]) + u128::from(bytes);
            used * u128::from(self.loads[other].server.weight)
        };
        let ids = || self.loads[a].server.id.cmp(&self.loads[b].server.id);
        weighed(a, b).cmp(&weighed(b, a)).then_with(ids)
    }

    fn take(&mut self, account: &Account, at: usize) -> PlannedMove {
        self.used[at] = self.used[at].saturating_add(account.bytes);
        self.free[at] = self.free[at].map(|free| free.saturating_sub(account.bytes));
        let to = self.loads[at].server.id;
        PlannedMove { account: account.id, from: account.server, to, bytes: account.bytes }
    }
}

/// What each server should have.
struct Shares {
    /// Bytes; `None` for a server that takes no part.
    share: Vec<Option<i128>>,
    tolerance_percent: u32,
}

impl Shares {
    fn new(loads: &[Load], used: &[u64], tolerance_percent: u32) -> Self {
        let takes_part = |load: &Load| check_target(&load.server, &[]).is_ok() && load.server.weight > 0;
        let part = || loads.iter().zip(used).filter(|(load, _)| takes_part(load));
        let total: i128 = part().map(|(_, &used)| i128::from(used)).sum();
        let weights: i128 = part().map(|(load, _)| i128::from(load.server.weight)).sum();
        let share = |load: &Load| takes_part(load).then(|| total * i128::from(load.server.weight) / weights);
        Shares { share: loads.iter().map(share).collect(), tolerance_percent }
    }

    /// Bytes above the share, or with a minus below it.
    fn excess(&self, at: usize, used: u64) -> i128 {
        self.share[at].map_or(0, |share| i128::from(used) - share)
    }

    /// Bytes that a server may be away from its share.
    fn tolerance(&self, at: usize) -> i128 {
        self.share[at].unwrap_or_default() * i128::from(self.tolerance_percent) / 100
    }

    fn is_outside(&self, at: usize, used: u64) -> bool {
        self.excess(at, used).abs() > self.tolerance(at)
    }

    /// The next move: giver, place among its accounts, taker. Pairs are tried from the ends of the scale.
    fn step(&self, state: &State<'_>, on: &[Vec<&Account>]) -> Option<(usize, usize, usize)> {
        let excess = |at: usize| self.excess(at, state.used[at]);
        // How far away for its size: a small server that is full of others' mail comes before a large one.
        let scale = |at: usize| excess(at) * 1_000_000 / self.share[at].unwrap_or_default().max(1);
        let mut givers: Vec<usize> = (0..on.len()).filter(|&at| excess(at) > 0).collect();
        let mut takers: Vec<usize> = (0..on.len()).filter(|&at| excess(at) < 0).collect();
        givers.sort_by_key(|&at| (std::cmp::Reverse(scale(at)), at));
        takers.sort_by_key(|&at| (scale(at), at));
        for &giver in &givers {
            for &taker in &takers {
                let (above, below) = (excess(giver), -excess(taker));
                let needed = (above - self.tolerance(giver)).max(below - self.tolerance(taker));
                if needed <= 0 {
                    continue;
                }
                if let Some(at) = choose(state, &on[giver], taker, needed, above.min(below)) {
                    return Some((giver, at, taker));
                }
            }
        }
        None
    }
}

/// The account to move: the smallest that is enough and not too much, else the largest that isn't too much, else the
/// smallest that goes beyond a share by less than it was away before.
fn choose(state: &State<'_>, accounts: &[&Account], taker: usize, needed: i128, room: i128) -> Option<usize> {
    let bytes = |at: usize| i128::from(accounts[at].bytes);
    let fits = |at: &usize| bytes(*at) > 0 && state.refusal(taker, accounts[*at]).is_none();
    let enough = accounts.partition_point(|account| i128::from(account.bytes) < needed);
    let too_much = accounts.partition_point(|account| i128::from(account.bytes) <= room);
    let beyond = accounts.partition_point(|account| i128::from(account.bytes) < 2 * room);
    (enough..too_much.max(enough))
        .find(fits)
        .or_else(|| (0..enough.min(too_much)).rev().find(fits))
        .or_else(|| (too_much..beyond.max(too_much)).find(fits))
}

#[cfg(test)]
mod tests;
