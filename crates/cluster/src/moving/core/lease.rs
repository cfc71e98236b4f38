//! Leases: a server may serve an account that another one could take over only while somebody without whom that can't
//! happen has promised that it doesn't.
//!
//! Two must act in a failover: the main node, which changes the placement, and the server with the standby copy, which
//! makes it active. A lease of either is enough, so accounts are served while the main node is down, and while the
//! standby copy is down. A server that is cut off from both, or comes back and reaches neither, serves none of its
//! accounts that have a standby copy.
//!
//! Time is a parameter: milliseconds of a clock of this process that never goes back and is never set. Each side counts
//! on its own clock alone, the holder from when it asked and the giver from when it was asked, which is later.

use std::collections::{BTreeMap, VecDeque};

use sterna_base::NodeId;

/// How long a lease lasts, for its holder.
pub const LEASE_MS: u64 = 5_000;
/// How much longer its giver waits: clocks don't run at quite the same speed.
pub const LEASE_MARGIN_MS: u64 = 250;
/// How often a holder asks.
pub const LEASE_ASK_MS: u64 = 1_000;
/// Leases to one holder that a giver remembers by the state of the directory in which they were given. Of more, the
/// oldest two are taken for one, which only makes a takeover wait longer.
const GIVEN_MAX: usize = 16;

/// The leases that a data server holds.
#[derive(Clone, Debug, Default)]
pub struct Held {
    until_ms: BTreeMap<NodeId, u64>,
}

impl Held {
    /// A lease that was asked for then was given.
    pub fn on_given(&mut self, by: NodeId, asked_ms: u64) {
        let until = self.until_ms.entry(by).or_default();
        *until = (*until).max(asked_ms + LEASE_MS);
    }

    /// Whether this node's lease is good.
    pub fn is_good(&self, by: NodeId, now_ms: u64) -> bool {
        self.until_ms.get(&by).is_some_and(|until| now_ms < *until)
    }

    /// Whether an account may be served whose standby copies are on these nodes.
    pub fn may_serve(&self, main: NodeId, standby: &[NodeId], now_ms: u64) -> bool {
        standby.is_empty() || self.is_good(main, now_ms) || standby.iter().all(|standby| self.is_good(*standby, now_ms))
    }
}

/// The leases that a node gave: the main node, and each server with standby copies.
#[derive(Clone, Debug)]
pub struct Given {
    /// What was given before is not known, so as much as possible was.
    started_ms: u64,
    holders: BTreeMap<NodeId, Holder>,
}

#[derive(Clone, Debug, Default)]
struct Holder {
    /// The giver's state of the directory, and the last time when a lease was given in it; oldest first.
    given: VecDeque<(u64, u64)>,
    /// When it last asked.
    asked_ms: Option<u64>,
    /// How many failovers away from it are about to be done: it gets no lease meanwhile.
    withheld: u32,
}

impl Given {
    /// Of a process that starts now.
    pub fn new(now_ms: u64) -> Self {
        Given { started_ms: now_ms, holders: BTreeMap::new() }
    }

    /// A node asks for a lease. `false` when it gets none now; else it gets one unless its copy of the directory lacks
    /// something that concerns it. That must be looked up after this call, in a state that is `modseq` or later.
    pub fn ask(&mut self, node: NodeId, modseq: u64, now_ms: u64) -> bool {
        let holder = self.holders.entry(node).or_default();
        holder.asked_ms = Some(now_ms);
        if holder.withheld > 0 {
            return false;
        }
        match holder.given.back_mut() {
            Some(last) if last.0 == modseq => last.1 = now_ms,
            _ => holder.given.push_back((modseq, now_ms)),
        }
        if holder.given.len() > GIVEN_MAX
            && let Some((state, _)) = holder.given.pop_front()
            && let Some(next) = holder.given.front_mut()
        {
            next.0 = state;
        }
        true
    }

    /// When this node last asked, in the life of this process.
    pub fn asked_ms(&self, node: NodeId) -> Option<u64> {
        self.holders.get(&node).and_then(|holder| holder.asked_ms)
    }

    /// How long no lease was asked for by this node, as far as is known.
    pub fn silent_ms(&self, node: NodeId, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.asked_ms(node).unwrap_or(self.started_ms))
    }

    /// Since when this process gives leases.
    pub fn started_ms(&self) -> u64 {
        self.started_ms
    }

    /// From now on this node gets no lease, until [`Given::go_on`].
    pub fn withhold(&mut self, node: NodeId) {
        self.holders.entry(node).or_default().withheld += 1;
    }

    /// Ends a [`Given::withhold`].
    pub fn go_on(&mut self, node: NodeId) {
        let holder = self.holders.entry(node).or_default();
        holder.withheld = holder.withheld.saturating_sub(1);
    }

    /// How long until this node holds no lease that was given in a state of the directory before `modseq`: until it
    /// can't serve what that state took from it.
    pub fn wait_ms(&self, node: NodeId, modseq: u64, now_ms: u64) -> u64 {
        let given = self.holders.get(&node).into_iter().flat_map(|holder| &holder.given);
        let last = given.filter(|(state, _)| *state < modseq).map(|(_, at)| *at).max().unwrap_or(0);
        let end = last.max(self.started_ms) + LEASE_MS + LEASE_MARGIN_MS;
        end.saturating_sub(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: NodeId = NodeId([1; 16]);
    const BETA: NodeId = NodeId([2; 16]);
    const GAMMA: NodeId = NodeId([3; 16]);
    const END_MS: u64 = LEASE_MS + LEASE_MARGIN_MS;

    #[test]
    fn one_of_those_who_must_act_is_enough() {
        let mut held = Held::default();
        assert!(held.may_serve(MAIN, &[], 0) && !held.may_serve(MAIN, &[BETA], 0));
        held.on_given(BETA, 100);
        assert!(held.may_serve(MAIN, &[BETA], 100) && !held.may_serve(MAIN, &[BETA, GAMMA], 100));
        held.on_given(GAMMA, 200);
        assert!(held.may_serve(MAIN, &[BETA, GAMMA], 200));
        assert!(!held.may_serve(MAIN, &[BETA, GAMMA], 100 + LEASE_MS) && held.is_good(GAMMA, 100 + LEASE_MS));
        held.on_given(MAIN, 300);
        assert!(held.may_serve(MAIN, &[BETA, GAMMA], 299 + LEASE_MS));
        assert!(!held.may_serve(MAIN, &[BETA, GAMMA], 300 + LEASE_MS));
        // An answer that comes late takes nothing back.
        held.on_given(MAIN, 1);
        assert!(held.is_good(MAIN, 299 + LEASE_MS));
    }

    #[test]
    fn a_takeover_waits_for_leases_that_know_nothing_of_it() {
        let mut given = Given::new(0);
        assert_eq!(given.wait_ms(BETA, 9, 0), END_MS, "the process before may have given one");
        let at = 100_000;
        assert_eq!(given.wait_ms(BETA, 9, at), 0);
        assert!(given.ask(BETA, 8, at));
        assert_eq!(given.wait_ms(BETA, 9, at + 50), END_MS - 50);
        // Whoever has a lease of state 9 or later knows that the account is gone.
        assert!(given.ask(BETA, 9, at + 1_000) && given.ask(BETA, 12, at + 4_000));
        assert_eq!(given.wait_ms(BETA, 9, at + 4_000), END_MS - 4_000);
        assert_eq!(given.wait_ms(BETA, 10, at + 4_000), END_MS - 3_000);
        assert_eq!(given.wait_ms(GAMMA, 9, at), 0);
    }

    #[test]
    fn what_is_forgotten_makes_a_takeover_wait_no_shorter() {
        let mut given = Given::new(0);
        let at = 100_000;
        for state in 1..=100 {
            assert!(given.ask(BETA, state, at + state));
        }
        assert!(given.holders[&BETA].given.len() <= GIVEN_MAX);
        for state in 2..=101 {
            assert!(given.wait_ms(BETA, state, at) > END_MS, "before state {state} was one");
        }
    }

    #[test]
    fn nothing_is_given_while_it_is_withheld() {
        let mut given = Given::new(0);
        given.withhold(BETA);
        given.withhold(BETA);
        assert!(!given.ask(BETA, 1, 10) && given.ask(GAMMA, 1, 10));
        given.go_on(BETA);
        assert!(!given.ask(BETA, 1, 20));
        assert_eq!((given.asked_ms(BETA), given.silent_ms(BETA, 50)), (Some(20), 30));
        given.go_on(BETA);
        assert!(given.ask(BETA, 1, 30));
    }

    #[test]
    fn a_lease_ends_for_its_holder_before_it_ends_for_its_giver() {
        for (asked, travels) in [(0_u64, 0_u64), (1_000, 0), (1_000, 4_000)] {
            let (mut held, mut given) = (Held::default(), Given::new(0));
            assert!(given.ask(BETA, 1, asked + travels));
            held.on_given(MAIN, asked);
            let free_at = asked + travels + given.wait_ms(BETA, 2, asked + travels);
            assert!(!held.is_good(MAIN, free_at));
        }
    }
}
