//! The world: nodes, a network between them, and one queue of events in virtual time.
//!
//! Nothing here asks the machine for time or randomness, and no collection has a random order: a seed repeats a run
//! exactly.

use std::collections::{BTreeMap, BTreeSet};

use sterna_base::{AccountId, NodeId, Timestamp};

use crate::client::Client;
use crate::data_server::DataServer;
use crate::directory::Row;
use crate::edge::Edge;
use crate::faults::Weather;
use crate::main_node::MainNode;
use crate::message::{CallId, Event, Message, NodeIx, Reply, Request, Timer, Waiting};
use crate::mutant::Mutant;
use crate::oracle::Oracle;
use crate::rng::Rng;

pub const MAIN: NodeIx = 0;
pub const DATA: [NodeIx; 3] = [1, 2, 3];
pub const EDGES: [NodeIx; 2] = [4, 5];
const NODES: usize = 6;
const ACCOUNTS: u64 = 2;
/// When the world begins; far from zero, so that clocks can go back.
const BEGIN_MS: i64 = 1_700_000_000_000;
/// How long a node waits for an answer.
const CALL_MS: i64 = 800;
/// How often a node asks for the directory's changes at least, and a data server looks at its stores.
pub const LOOK_MS: i64 = 1_000;

pub struct World {
    pub rng: Rng,
    pub mutant: Option<Mutant>,
    pub now_ms: i64,
    next: u64,
    queue: BTreeMap<(i64, u64), Event>,
    pub nodes: Vec<Node>,
    pub accounts: Vec<AccountId>,
    pub clients: Vec<Client>,
    pub network: Network,
    pub weather: Weather,
    pub oracle: Oracle,
    pub is_faulty: bool,
    pub clients_act: bool,
    /// The lines of the story, if somebody wants to read it.
    pub trace: Option<Vec<String>>,
    pub events: u64,
}

#[derive(Default)]
pub struct Network {
    /// From, to, until when nothing passes.
    pub cuts: Vec<(NodeIx, NodeIx, i64)>,
    pub lose_per_mille: u64,
    pub repeat_per_mille: u64,
    pub slow_per_mille: u64,
    /// So many of the next pages lose a row on their way.
    pub pages_to_spoil: u32,
}

pub struct Node {
    pub is_up: bool,
    pub paused_until: i64,
    pub clock_offset_ms: i64,
    /// Counts restarts: what was begun before one is forgotten.
    pub life: u64,
    pub calls: BTreeMap<CallId, Waiting>,
    pub copy: DirectoryCopy,
    pub part: Part,
}

pub enum Part {
    Main(MainNode),
    Data(DataServer),
    Edge(Edge),
}

/// A node's copy of the directory: what it knows, and what of it a crash leaves.
#[derive(Clone, Default)]
pub struct DirectoryCopy {
    pub rows: BTreeMap<AccountId, Row>,
    pub modseq: u64,
    pub saved: (BTreeMap<AccountId, Row>, u64),
}

impl World {
    pub fn new(seed: u64, mutant: Option<Mutant>, is_traced: bool) -> Self {
        let nodes = (0..NODES).map(Node::new).collect();
        let mut world = World {
            rng: Rng::new(seed),
            mutant,
            now_ms: BEGIN_MS,
            next: 0,
            queue: BTreeMap::new(),
            nodes,
            accounts: (1..=ACCOUNTS).map(AccountId).collect(),
            clients: Vec::new(),
            network: Network::default(),
            weather: Weather::default(),
            oracle: Oracle::default(),
            is_faulty: true,
            clients_act: true,
            trace: is_traced.then(Vec::new),
            events: 0,
        };
        for account in world.accounts.clone() {
            let at = DATA[world.rng.below(DATA.len())];
            world.main().directory.add(account, at);
            world.make_account(at, account);
        }
        let rows = world.main().directory.rows.clone();
        let modseq = world.main().directory.modseq;
        for node in 0..NODES {
            let saved = (rows.clone(), modseq);
            world.nodes[node].copy = DirectoryCopy { rows: rows.clone(), modseq, saved };
            world.start(node);
        }
        world
    }

    /// Lets everything happen until this time, or until something is wrong.
    ///
    /// # Errors
    /// The first invariant that did not hold.
    pub fn run_until(&mut self, end_ms: i64) -> Result<(), String> {
        while let Some((&key, _)) = self.queue.first_key_value() {
            if key.0 > end_ms {
                break;
            }
            let Some(event) = self.queue.remove(&key) else { break };
            self.now_ms = self.now_ms.max(key.0);
            self.events += 1;
            self.happen(event);
            self.check_placements();
            if let Some(wrong) = self.oracle.wrong.take() {
                return Err(wrong);
            }
        }
        self.now_ms = end_ms;
        Ok(())
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { from, to, message } => self.deliver(from, to, message),
            Event::Timer { node, life, timer } => {
                if !self.nodes[node].is_up || self.nodes[node].life != life {
                    return;
                }
                // A stopped process wakes up to find all its timers due.
                if let Some(until) = self.paused(node) {
                    self.at(until, Event::Timer { node, life, timer });
                    return;
                }
                self.timer(node, timer);
            }
            Event::Client { client, turn } => self.client(client, turn),
            Event::Fault => self.fault(),
            Event::Strike(account) => self.strike(account),
            Event::PowerCut(node) => self.power_cut(node),
            Event::Restart(node) => self.restart(node),
            Event::Admin => self.admin(),
            Event::Heal => self.heal(),
        }
    }

    fn paused(&self, node: NodeIx) -> Option<i64> {
        Some(self.nodes[node].paused_until).filter(|until| *until > self.now_ms)
    }

    fn deliver(&mut self, from: NodeIx, to: NodeIx, message: Message) {
        if !self.nodes[to].is_up {
            return;
        }
        if let Some(until) = self.paused(to) {
            self.at(until, Event::Deliver { from, to, message });
            return;
        }
        match message {
            Message::Request(call, account, request) => self.request(from, to, call, account, request),
            Message::Reply(call, reply) => {
                if let Some(waiting) = self.nodes[to].calls.remove(&call) {
                    self.answer(to, waiting, Some(reply));
                }
            }
        }
    }

    fn request(&mut self, from: NodeIx, to: NodeIx, call: CallId, account: AccountId, request: Request) {
        match self.nodes[to].part {
            Part::Main(_) => self.main_request(from, call, account, request),
            Part::Data(_) => self.data_request(from, to, call, account, request),
            Part::Edge(_) => {}
        }
    }

    fn answer(&mut self, node: NodeIx, waiting: Waiting, reply: Option<Reply>) {
        match waiting {
            Waiting::Edge(operation) => self.edge_answer(node, operation, reply),
            Waiting::Follow(account) => self.follow_answer(node, account, reply),
            Waiting::Source(account) => self.move_answer(account, true, reply),
            Waiting::Target(account) => self.move_answer(account, false, reply),
            Waiting::ThenRequest(request) => self.directory_request(request),
            Waiting::Directory(asked) => self.directory_answer(node, asked, reply),
            Waiting::Nothing => {}
        }
    }

    fn timer(&mut self, node: NodeIx, timer: Timer) {
        match timer {
            Timer::CallTimeout(call) => {
                if let Some(waiting) = self.nodes[node].calls.remove(&call) {
                    self.answer(node, waiting, None);
                }
            }
            Timer::StoreDone(account) => self.store_done(node, account),
            Timer::Reopen(account) => self.reopen(node, account),
            Timer::Follow(account) => self.follow_waited(node, account),
            Timer::Duties => self.duties(node),
            Timer::Drive(account) => self.drive(account),
            Timer::DirectoryDone => self.directory_done(),
            Timer::Housekeeping => self.housekeeping(),
            Timer::FollowDirectory => self.follow_directory(node),
            Timer::Attempt(operation) => self.edge_attempt(node, operation),
            Timer::Unseal(account, epoch) => self.unseal(node, account, epoch),
        }
    }

    /// Starts what a node does by itself.
    pub fn start(&mut self, node: NodeIx) {
        match self.nodes[node].part {
            Part::Main(_) => self.start_main(),
            Part::Data(_) => self.start_data(node),
            Part::Edge(_) => {}
        }
        if node != MAIN {
            self.follow_directory(node);
        }
    }

    // --- Time and network ---

    pub fn at(&mut self, at_ms: i64, event: Event) {
        self.next += 1;
        self.queue.insert((at_ms.max(self.now_ms), self.next), event);
    }

    pub fn after(&mut self, node: NodeIx, ms: i64, timer: Timer) {
        let life = self.nodes[node].life;
        self.at(self.now_ms + ms, Event::Timer { node, life, timer });
    }

    /// What a node's clock shows.
    pub fn clock(&self, node: NodeIx) -> Timestamp {
        Timestamp(self.now_ms + self.nodes[node].clock_offset_ms)
    }

    pub fn call(&mut self, from: NodeIx, to: NodeIx, account: AccountId, request: Request, waiting: Waiting) {
        self.next += 1;
        let call = self.next;
        self.nodes[from].calls.insert(call, waiting);
        self.after(from, CALL_MS, Timer::CallTimeout(call));
        self.send(from, to, Message::Request(call, account, request));
    }

    pub fn reply(&mut self, from: NodeIx, to: NodeIx, call: CallId, reply: Reply) {
        self.send(from, to, Message::Reply(call, reply));
    }

    fn send(&mut self, from: NodeIx, to: NodeIx, message: Message) {
        let now = self.now_ms;
        self.network.cuts.retain(|(.., until)| *until > now);
        let is_cut = self.network.cuts.iter().any(|(a, b, _)| (*a, *b) == (from, to));
        if is_cut || self.rng.chance(self.network.lose_per_mille) {
            return;
        }
        let copies = 1 + usize::from(self.rng.chance(self.network.repeat_per_mille));
        for _ in 0..copies {
            let is_slow = self.rng.chance(self.network.slow_per_mille);
            let delay = if is_slow { self.rng.between(5, 3_000) } else { self.rng.between(0, 3) };
            self.at(now + delay, Event::Deliver { from, to, message: message.clone() });
        }
    }

    // --- The directory on every other node ---

    fn follow_directory(&mut self, node: NodeIx) {
        let is_asking = self.nodes[node].calls.values().any(|waiting| matches!(waiting, Waiting::Directory(_)));
        if !is_asking {
            let since = self.nodes[node].copy.modseq;
            self.call(node, MAIN, AccountId(0), Request::DirectorySince(since), Waiting::Directory(MAIN));
        }
    }

    fn directory_answer(&mut self, node: NodeIx, asked: NodeIx, reply: Option<Reply>) {
        let is_silent = reply.is_none() && asked == MAIN;
        if let Some(Reply::Directory { rows, modseq }) = reply
            && modseq > self.nodes[node].copy.modseq
        {
            let is_saved = self.rng.chance(700);
            let copy = &mut self.nodes[node].copy;
            let changed: BTreeSet<AccountId> = rows.iter().map(|(account, _)| *account).collect();
            copy.rows.extend(rows);
            copy.modseq = modseq;
            if is_saved {
                copy.saved = (copy.rows.clone(), modseq);
            }
            if matches!(self.nodes[node].part, Part::Data(_)) {
                changed.into_iter().for_each(|account| self.do_duty(node, account));
            }
        }
        // Who can't reach the main node asks what a data server has heard.
        let neighbour = *self.rng.pick(&DATA);
        if is_silent && neighbour != node {
            let request = Request::DirectorySince(self.nodes[node].copy.modseq);
            self.call(node, neighbour, AccountId(0), request, Waiting::Directory(neighbour));
        } else {
            self.after(node, 1, Timer::FollowDirectory);
        }
    }

    /// What a data server has of the directory after this.
    pub fn pass_on(&mut self, from: NodeIx, to: NodeIx, call: CallId, since: u64) {
        let DirectoryCopy { rows, modseq, .. } = &self.nodes[to].copy;
        let rows = rows.iter().filter(|(_, row)| row.modseq > since).map(|(account, row)| (*account, row.clone()));
        let reply = Reply::Directory { rows: rows.collect(), modseq: *modseq };
        self.reply(to, from, call, reply);
    }

    // --- Parts ---

    pub fn main(&mut self) -> &mut MainNode {
        match &mut self.nodes[MAIN].part {
            Part::Main(main) => main,
            _ => unreachable!("node {MAIN} is the main node"),
        }
    }

    pub fn data(&mut self, node: NodeIx) -> &mut DataServer {
        match &mut self.nodes[node].part {
            Part::Data(data) => data,
            _ => unreachable!("node {node} is a data server"),
        }
    }

    pub fn edge(&mut self, node: NodeIx) -> &mut Edge {
        match &mut self.nodes[node].part {
            Part::Edge(edge) => edge,
            _ => unreachable!("node {node} is an edge"),
        }
    }

    pub fn is_mutant(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Writes a line of the story.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        let at = self.now_ms - BEGIN_MS;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{at:>8} {}", line()));
        }
    }

    pub fn elapsed_ms(&self) -> i64 {
        self.now_ms - BEGIN_MS
    }

    /// A time of the world by the time since it began.
    pub fn moment(ms: i64) -> i64 {
        BEGIN_MS + ms
    }
}

impl Node {
    fn new(ix: NodeIx) -> Self {
        let part = match ix {
            MAIN => Part::Main(MainNode::default()),
            _ if DATA.contains(&ix) => Part::Data(DataServer::default()),
            _ => Part::Edge(Edge::default()),
        };
        Node {
            is_up: true,
            paused_until: 0,
            clock_offset_ms: 0,
            life: 0,
            calls: BTreeMap::new(),
            copy: DirectoryCopy::default(),
            part,
        }
    }
}

pub fn node_id(ix: NodeIx) -> NodeId {
    NodeId([ix as u8; 16])
}

pub fn node_ix(id: NodeId) -> NodeIx {
    NodeIx::from(id.0[0])
}
