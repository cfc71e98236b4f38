//! What breaks, and what administrators do meanwhile.

use sterna_base::AccountId;

use crate::client::Client;
use crate::directory::{DirectoryRequest, Row};
use crate::message::{Event, NodeIx};
use crate::world::{DATA, EDGES, MAIN, Part, World};

/// How much breaks in a run.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    /// Between two faults at most.
    pub pause_max_ms: i64,
    pub lose_per_mille: u64,
    pub slow_per_mille: u64,
    /// How often a move is struck in the middle.
    pub strike_per_mille: u64,
    /// How long clients think at most.
    pub think_max_ms: i64,
}

impl World {
    /// Fills the world with clients, faults and administrators until `end_ms`.
    pub fn begin(&mut self, end_ms: i64) {
        let weather = *self.rng.pick(&[
            Weather {
                pause_max_ms: 20_000,
                lose_per_mille: 0,
                slow_per_mille: 2,
                strike_per_mille: 100,
                think_max_ms: 1_200,
            },
            Weather {
                pause_max_ms: 4_000,
                lose_per_mille: 5,
                slow_per_mille: 10,
                strike_per_mille: 300,
                think_max_ms: 900,
            },
            Weather {
                pause_max_ms: 1_200,
                lose_per_mille: 30,
                slow_per_mille: 40,
                strike_per_mille: 400,
                think_max_ms: 700,
            },
        ]);
        self.weather = weather;
        self.network.lose_per_mille = weather.lose_per_mille;
        self.network.slow_per_mille = weather.slow_per_mille;
        self.network.repeat_per_mille = 20;
        for account in self.accounts.clone() {
            for is_delivering in [true, false, false] {
                self.clients.push(Client::new(account, is_delivering));
                let (client, at) = (self.clients.len() - 1, self.now_ms + self.rng.between(1, 100));
                self.at(at, Event::Client { client, turn: 0 });
            }
        }
        self.at(self.now_ms + 300, Event::Fault);
        self.at(self.now_ms + 100, Event::Admin);
        self.at(end_ms, Event::Heal);
    }

    pub fn fault(&mut self) {
        if !self.is_faulty {
            return;
        }
        let node = self.rng.below(self.nodes.len());
        let now = self.now_ms;
        match self.rng.below(14) {
            0..4 => self.crash(node),
            4..7 => {
                self.pause(node);
            }
            7..11 => {
                let other = self.rng.below(self.nodes.len());
                let until = now + self.rng.between(50, 4_000);
                self.network.cuts.push((node, other, until));
                if self.rng.chance(700) {
                    self.network.cuts.push((other, node, until));
                }
                self.tell(|| format!("network: {node} and {other} are cut off until {}", until - now));
            }
            11 => {
                let ms = if self.rng.chance(500) {
                    self.rng.between(-5_000, 5_000)
                } else {
                    self.rng.between(-600_000, 600_000)
                };
                self.nodes[node].clock_offset_ms += ms;
                self.tell(|| format!("node {node}: its clock jumps by {ms} ms"));
            }
            12 => self.spoil_disk(),
            _ => self.network.pages_to_spoil += 1,
        }
        let pause = self.rng.between(20, self.weather.pause_max_ms);
        self.at(now + pause, Event::Fault);
    }

    /// What a step of a move invites.
    pub fn tempt(&mut self, request: &DirectoryRequest) {
        let is_struck = self.is_faulty && self.rng.chance(self.weather.strike_per_mille);
        match request {
            DirectoryRequest::StartCopying { .. } if is_struck => self.network.pages_to_spoil += 1,
            DirectoryRequest::Commit { account, .. } if is_struck && self.rng.chance(500) => {
                self.keep_in_the_dark(*account)
            }
            DirectoryRequest::CutOver { account, .. } | DirectoryRequest::Commit { account, .. } if is_struck => {
                let at = self.now_ms + self.rng.between(0, 25);
                self.at(at, Event::Strike(*account));
            }
            _ => {}
        }
    }

    /// The old place and an edge don't hear for long that the account lives elsewhere, and still speak to each other.
    fn keep_in_the_dark(&mut self, account: AccountId) {
        let until = self.now_ms + self.rng.between(4_000, 9_000);
        let edge = *self.rng.pick(&EDGES);
        let Some(row) = self.main().directory.rows.get(&account) else { return };
        let nodes: Vec<_> = row.copies.keys().copied().chain([edge]).collect();
        self.tell(|| format!("network: all others are cut off from {nodes:?}"));
        for other in (0..self.nodes.len()).filter(|other| !nodes.contains(other)) {
            for node in &nodes {
                self.network.cuts.extend([(other, *node, until), (*node, other, until)]);
            }
        }
    }

    /// One of those who take part dies, stands still or is cut off from the main node.
    pub fn strike(&mut self, account: AccountId) {
        let Some(row) = self.main().directory.rows.get(&account) else { return };
        let (from, to) = (row.node, row.moving.as_ref().map_or(row.node, |moving| moving.to));
        let node = *self.rng.pick(&[MAIN, from, to, to, EDGES[0], EDGES[1]]);
        let is_edge = EDGES.contains(&node);
        match self.rng.below(4) {
            _ if !self.is_faulty => {}
            0 if !is_edge => self.crash(node),
            1 if !is_edge => self.pause(node),
            _ => {
                let until = self.now_ms + self.rng.between(300, 4_000);
                self.network.cuts.push((MAIN, node, until));
                if self.rng.chance(500) {
                    self.network.cuts.push((node, MAIN, until));
                }
                self.tell(|| format!("network: the main node is cut off from {node}"));
            }
        }
    }

    fn pause(&mut self, node: NodeIx) {
        let ms = if self.rng.chance(300) { self.rng.between(500, 6_000) } else { self.rng.between(1, 300) };
        self.nodes[node].paused_until = self.now_ms + ms;
        self.tell(|| format!("node {node}: stands still for {ms} ms"));
    }

    /// A flush fails, or flushes become slow, and perhaps the power goes meanwhile.
    fn spoil_disk(&mut self) {
        let node = *self.rng.pick(&DATA);
        let until = self.now_ms + self.rng.between(300, 3_000);
        if self.rng.chance(400) {
            self.data(node).next_flush_fails = true;
            return;
        }
        self.data(node).slow_until = until;
        if self.rng.chance(500) {
            self.at(until, Event::PowerCut(node));
        }
    }

    pub fn power_cut(&mut self, node: NodeIx) {
        if self.is_faulty {
            self.crash(node);
        }
    }

    fn crash(&mut self, node: NodeIx) {
        if !self.nodes[node].is_up {
            return;
        }
        self.tell(|| format!("node {node}: dies"));
        self.oracle.stats.crashes += 1;
        self.nodes[node].is_up = false;
        match self.nodes[node].part {
            Part::Main(_) => {
                // The request that was being written is on the disk, or not.
                if let Some(request) = self.main().requests.pop_front()
                    && self.rng.chance(500)
                {
                    self.apply_directory(&request);
                }
                self.main().forget();
            }
            Part::Data(_) => self.lose_power(node),
            Part::Edge(_) => {
                self.edge(node).forget();
                self.oracle.edge_died(node);
            }
        }
        let ms = if self.rng.chance(700) { self.rng.between(20, 1_000) } else { self.rng.between(1_000, 6_000) };
        self.at(self.now_ms + ms, Event::Restart(node));
    }

    pub fn restart(&mut self, node: NodeIx) {
        let state = &mut self.nodes[node];
        if state.is_up {
            return;
        }
        state.is_up = true;
        state.life += 1;
        state.paused_until = 0;
        state.calls.clear();
        (state.copy.rows, state.copy.modseq) = state.copy.saved.clone();
        self.tell(|| format!("node {node}: starts"));
        self.start(node);
    }

    /// From here on nothing breaks, and nobody helps.
    pub fn heal(&mut self) {
        self.tell(|| "all faults end".into());
        self.is_faulty = false;
        self.network = crate::world::Network::default();
        for node in 0..self.nodes.len() {
            self.nodes[node].paused_until = 0;
            if DATA.contains(&node) {
                (self.data(node).next_flush_fails, self.data(node).slow_until) = (false, 0);
            }
            self.restart(node);
        }
    }

    pub fn admin(&mut self) {
        if !self.is_faulty {
            return;
        }
        if self.nodes[MAIN].is_up && self.nodes[MAIN].paused_until <= self.now_ms {
            let account = *self.rng.pick(&self.accounts.clone());
            let to = *self.rng.pick(&DATA);
            match self.rng.below(10) {
                0 => self.directory_request(DirectoryRequest::Cancel { account }),
                1..4 => self.cancel_what_waits(),
                4 => self.drain(to),
                _ => self.plan(account, to),
            }
        }
        let pause = self.rng.between(100, 1_500);
        self.at(self.now_ms + pause, Event::Admin);
    }

    fn plan(&mut self, account: AccountId, to: NodeIx) {
        self.directory_request(DirectoryRequest::Plan { account, to });
    }

    /// Administrators don't wait for the next attempt of a move.
    fn cancel_what_waits(&mut self) {
        let is_waiting = |row: &Row| row.moving.as_ref().is_some_and(|moving| moving.attempts > 0);
        let rows = &self.main().directory.rows;
        let accounts: Vec<_> = rows.iter().filter(|(_, row)| is_waiting(row)).map(|(id, _)| *id).collect();
        for account in accounts {
            self.directory_request(DirectoryRequest::Cancel { account });
        }
    }

    /// Everything that lives there goes elsewhere.
    fn drain(&mut self, node: NodeIx) {
        let rows = &self.main().directory.rows;
        let accounts: Vec<_> = rows.iter().filter(|(_, row)| row.node == node).map(|(id, _)| *id).collect();
        for account in accounts {
            let others: Vec<_> = DATA.into_iter().filter(|other| *other != node).collect();
            let to = *self.rng.pick(&others);
            self.plan(account, to);
        }
    }
}
