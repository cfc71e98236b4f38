//! Leases in a world of their own: who has the account, the main node, and the server with its standby copy. Nodes
//! stand still and start again, links are cut, messages come late, clocks run at different speeds, and a failover comes
//! at the worst time. Never may two servers have the account.

use std::collections::BTreeMap;

use sterna_base::NodeId;
use sterna_cluster::moving::core::lease::{Given, Held, LEASE_ASK_MS, LEASE_MS};

use crate::rng::Rng;

/// Who has the account at first, and asks for leases.
const ALPHA: usize = 0;
const MAIN: usize = 1;
/// Who has the standby copy.
const BETA: usize = 2;
const NODES: usize = 3;

const SEEDS: u64 = 300;
const STEP_MS: i64 = 10;
/// How long the world is a bad one, and then a good one.
const BAD_MS: i64 = 40_000;
const GOOD_MS: i64 = 20_000;
/// Longest that a message is on its way, a link is cut, or a node stands still.
const LATE_MS_MAX: i64 = 8_000;

/// Mistakes that the runs must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    /// The main node places the account while its lease is good.
    MainDoesNotWait,
    /// The copy becomes active while its own lease is good.
    CopyDoesNotWait,
    /// A giver that is started again believes that it gave none.
    RestartForgets,
    /// The holder counts from the answer.
    HolderCountsFromTheAnswer,
    /// Whoever doesn't know of the failover gets a lease all the same.
    IgnoresWhatTheHolderLacks,
    /// The main node gives leases while it waits for the end of the last.
    NothingIsWithheld,
}

const MISTAKES: [Mistake; 6] = [
    Mistake::MainDoesNotWait,
    Mistake::CopyDoesNotWait,
    Mistake::RestartForgets,
    Mistake::HolderCountsFromTheAnswer,
    Mistake::IgnoresWhatTheHolderLacks,
    Mistake::NothingIsWithheld,
];

enum Message {
    Ask { asked_ms: u64, done: u64 },
    Given { asked_ms: u64 },
}

struct Node {
    /// When its process began, and how its clock runs.
    began: i64,
    per_mille: i64,
    stands_until: i64,
    /// Counts its starts: what was sent to an earlier process doesn't reach a later one.
    starts: u64,
    given: Given,
    /// Its copy of the directory.
    known: u64,
}

struct World {
    now: i64,
    rng: Rng,
    mistake: Option<Mistake>,
    nodes: [Node; NODES],
    cut_until: [[i64; NODES]; NODES],
    /// By when they come, with sender, receiver, and the receiver's start.
    messages: BTreeMap<(i64, u64), (usize, usize, u64, Message)>,
    sent: u64,
    held: Held,
    /// The directory's state, and the one in which the account was placed on beta.
    state: u64,
    placed: Option<u64>,
    fails_over_at: i64,
    is_withheld: bool,
    is_beta_active: bool,
}

fn id(node: usize) -> NodeId {
    NodeId([node as u8; 16])
}

impl World {
    fn new(seed: u64, mistake: Option<Mistake>) -> Self {
        let mut rng = Rng::new(seed);
        let node = |per_mille| Node { began: 0, per_mille, stands_until: 0, starts: 0, given: Given::new(0), known: 1 };
        let nodes = std::array::from_fn(|_| node(rng.between(985, 1_015)));
        let fails_over_at = rng.between(8_000, BAD_MS - 5_000);
        World {
            now: 0,
            rng,
            mistake,
            nodes,
            cut_until: [[0; NODES]; NODES],
            messages: BTreeMap::new(),
            sent: 0,
            held: Held::default(),
            state: 1,
            placed: None,
            fails_over_at,
            is_withheld: false,
            is_beta_active: false,
        }
    }

    fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// A node's own clock.
    fn clock(&self, node: usize) -> u64 {
        let Node { began, per_mille, .. } = self.nodes[node];
        ((self.now - began) * per_mille / 1_000) as u64
    }

    fn stands(&self, node: usize) -> bool {
        self.now < self.nodes[node].stands_until
    }

    fn is_cut(&self, one: usize, other: usize) -> bool {
        self.now < self.cut_until[one.min(other)][one.max(other)]
    }

    fn send(&mut self, from: usize, to: usize, message: Message) {
        if self.is_cut(from, to) {
            return;
        }
        let is_late = self.now < BAD_MS && self.rng.chance(50);
        let delay = if is_late { self.rng.between(0, LATE_MS_MAX) } else { self.rng.between(1, 40) };
        self.sent += 1;
        let starts = self.nodes[to].starts;
        self.messages.insert((self.now + delay, self.sent), (from, to, starts, message));
    }

    fn harm(&mut self) {
        if self.now >= BAD_MS {
            return;
        }
        let (one, other) = *self.rng.pick(&[(ALPHA, MAIN), (ALPHA, BETA), (MAIN, BETA)]);
        if self.rng.chance(6) {
            self.cut_until[one][other] = self.now + self.rng.between(500, LATE_MS_MAX);
        }
        if self.rng.chance(1) {
            self.nodes[one].stands_until = self.now + self.rng.between(500, LATE_MS_MAX);
        }
        if self.rng.chance(1) {
            self.restart(other);
        }
    }

    fn restart(&mut self, node: usize) {
        let forgets = self.makes(Mistake::RestartForgets);
        let it = &mut self.nodes[node];
        it.starts += 1;
        // With the mistake it believes to run since long.
        it.began = if forgets { self.now - 1_000_000 } else { self.now };
        it.given = Given::new(0);
        match node {
            ALPHA => self.held = Held::default(),
            MAIN => self.is_withheld = false,
            _ => {}
        }
    }

    fn deliver(&mut self) {
        let due: Vec<_> = self.messages.range(..=(self.now, u64::MAX)).map(|(key, _)| *key).collect();
        for key in due {
            let Some((from, to, starts, message)) = self.messages.remove(&key) else { continue };
            if self.nodes[to].starts != starts {
                continue;
            }
            if self.stands(to) {
                // It waits in the socket.
                self.messages.insert((self.nodes[to].stands_until, key.1), (from, to, starts, message));
                continue;
            }
            match message {
                Message::Ask { asked_ms, done } => self.asked(to, asked_ms, done),
                Message::Given { asked_ms } => {
                    let from_ms = match self.makes(Mistake::HolderCountsFromTheAnswer) {
                        true => self.clock(ALPHA),
                        false => asked_ms,
                    };
                    self.held.on_given(id(from), from_ms);
                }
            }
        }
    }

    /// What the desk does.
    fn asked(&mut self, giver: usize, asked_ms: u64, done: u64) {
        let (now_ms, known) = (self.clock(giver), self.known(giver));
        let may_be = self.nodes[giver].given.ask(id(ALPHA), known, now_ms);
        let lacks = self.placed.is_some_and(|placed| placed <= known && done < placed);
        if may_be && (!lacks || self.makes(Mistake::IgnoresWhatTheHolderLacks)) {
            self.send(giver, ALPHA, Message::Given { asked_ms });
        }
    }

    fn known(&self, node: usize) -> u64 {
        if node == MAIN { self.state } else { self.nodes[node].known }
    }

    fn knows_of_the_failover(&self, node: usize) -> bool {
        self.placed.is_some_and(|placed| placed <= self.known(node))
    }

    fn alpha_serves(&self) -> bool {
        let may_serve = self.held.may_serve(id(MAIN), &[id(BETA)], self.clock(ALPHA));
        !self.stands(ALPHA) && !self.knows_of_the_failover(ALPHA) && may_serve
    }

    fn step(&mut self) {
        self.now += STEP_MS;
        self.harm();
        self.deliver();
        if self.now % LEASE_ASK_MS as i64 == 0 && !self.stands(ALPHA) {
            for giver in [MAIN, BETA] {
                let (asked_ms, done) = (self.clock(ALPHA), self.nodes[ALPHA].known);
                self.send(ALPHA, giver, Message::Ask { asked_ms, done });
            }
        }
        for node in [ALPHA, BETA] {
            let follows = !self.stands(node) && !self.stands(MAIN) && !self.is_cut(node, MAIN);
            if follows && self.rng.chance(200) {
                self.nodes[node].known = self.state;
            }
        }
        if !self.stands(MAIN) {
            self.main();
        }
        if !self.stands(BETA) && !self.is_beta_active && self.knows_of_the_failover(BETA) {
            let placed = self.placed.unwrap_or_default();
            let wait_ms = self.nodes[BETA].given.wait_ms(id(ALPHA), placed, self.clock(BETA));
            self.is_beta_active = wait_ms == 0 || self.makes(Mistake::CopyDoesNotWait);
        }
    }

    fn main(&mut self) {
        // Something else changes.
        if self.rng.chance(10) {
            self.state += 1;
        }
        if self.placed.is_some() || self.now < self.fails_over_at {
            return;
        }
        let now_ms = self.clock(MAIN);
        let withholds = !self.makes(Mistake::NothingIsWithheld);
        let given = &mut self.nodes[MAIN].given;
        if withholds && !self.is_withheld {
            given.withhold(id(ALPHA));
            self.is_withheld = true;
        }
        // Without withholding, it waits for the leases that it knew of when it began.
        let waited = match withholds {
            true => given.wait_ms(id(ALPHA), u64::MAX, now_ms) == 0,
            false => self.now >= self.fails_over_at + 2 * LEASE_MS as i64,
        };
        if waited || self.makes(Mistake::MainDoesNotWait) {
            self.state += 1;
            self.placed = Some(self.state);
            if self.is_withheld {
                self.nodes[MAIN].given.go_on(id(ALPHA));
                self.is_withheld = false;
            }
        }
    }
}

/// One run; what went wrong.
fn run(seed: u64, mistake: Option<Mistake>) -> Result<(), String> {
    let mut world = World::new(seed, mistake);
    while world.now < BAD_MS + GOOD_MS {
        world.step();
        if world.alpha_serves() && world.is_beta_active {
            return Err(format!("seed {seed}: two have the account at {} ms", world.now));
        }
    }
    match (world.alpha_serves(), world.is_beta_active) {
        (false, true) => Ok(()),
        other => Err(format!("seed {seed}: in a good world the failover does not come to its end: {other:?}")),
    }
}

#[test]
fn two_servers_never_have_an_account() {
    for seed in 0..SEEDS {
        run(seed, None).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn every_mistake_with_leases_is_found() {
    for mistake in MISTAKES {
        let found = (0..SEEDS).find_map(|seed| run(seed, Some(mistake)).err());
        let found = found.unwrap_or_else(|| panic!("{mistake:?} is not found"));
        println!("{mistake:?}: {found}");
        assert!(found.contains("two have the account"), "{mistake:?}: {found}");
    }
}
