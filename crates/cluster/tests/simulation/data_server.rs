//! A data server: real stores behind a queue each, and the executor of duties around `duty`.
//!
//! A store does one thing at a time, which takes effect when it reaches the disk; a crash before leaves all of it or
//! nothing. What was checked when a request came is therefore always a while old when it takes effect.

use std::collections::{BTreeMap, VecDeque};

use sterna_account::follow::{ContainerPage, CopiedBlob, Page, Progress};
use sterna_account::fork::Fork;
use sterna_account::local::SEALED_READS_MS_MAX;
use sterna_account::{Commit, CommitError, Content, Engine, FlagSet, Head, Mutation, NewItem, Role, Store};
use sterna_base::{AccountId, ContainerId, Epoch};
use sterna_cluster::moving::core::answers::Said;
use sterna_cluster::moving::core::duty::{Duty, Facts, StoreFacts, duty};
use sterna_cluster::moving::core::step::End;
use sterna_engines::memory::MemoryEngine;

use crate::copies::Copying;
use crate::message::{CallId, Fault, NodeIx, Reply, Request, Seen, Timer, Waiting};
use crate::mutant::Mutant;
use crate::world::{LOOK_MS, MAIN, World, node_id};

/// Commits that share a flush.
const COMMITS_MAX: usize = 8;
/// After which time a mutant unseals.
const UNSEAL_MS: i64 = 700;

#[derive(Default)]
pub struct DataServer {
    /// The disk: an engine for each account, so that one can be copied alone.
    pub disk: BTreeMap<AccountId, Disk>,
    /// Stores that are open.
    pub open: BTreeMap<AccountId, Open>,
    /// Stores that were set aside.
    pub asides: Vec<(AccountId, Fork, MemoryEngine)>,
    /// The next flush fails.
    pub next_flush_fails: bool,
    /// Flushes take long until then.
    pub slow_until: i64,
}

/// One account on the disk.
pub struct Disk {
    pub engine: MemoryEngine,
    /// Its head, as it is now.
    pub head: Head,
}

/// One store that is open.
pub struct Open {
    pub store: Option<Box<dyn Store>>,
    queue: VecDeque<Task>,
    /// What is on its way to the disk.
    running: Vec<Task>,
    /// After a failed flush nobody knows what is on the disk: it must be opened again.
    is_stopped: bool,
    /// When this process sealed it.
    sealed_at: Option<i64>,
    pub copying: Option<Copying>,
    /// Copies that wait for something new.
    pub parked: Vec<(NodeIx, CallId, Progress)>,
    /// What a mutant acknowledged too early: the disk as it is without.
    unflushed: Option<MemoryEngine>,
}

/// What a store has to do.
pub enum Task {
    Commit(NodeIx, CallId, Commit),
    Seal(NodeIx, CallId, Epoch),
    MakeReady(NodeIx, CallId, End, Epoch),
    Role(Epoch, Role),
    Make(Epoch),
    Delete,
    Follow(Page, Vec<CopiedBlob>),
    Forget(ContainerId),
    FollowContainer(ContainerPage, Vec<CopiedBlob>),
    CopyAnew(Epoch),
    SetAside(Fork),
}

impl Open {
    fn new(store: Option<Box<dyn Store>>) -> Self {
        let (queue, running, parked) = (VecDeque::new(), Vec::new(), Vec::new());
        Open { store, queue, running, is_stopped: false, sealed_at: None, copying: None, parked, unflushed: None }
    }
}

impl World {
    pub fn start_data(&mut self, node: NodeIx) {
        self.duties(node);
    }

    /// A new account's store, made on the main node's word before the world begins.
    pub fn make_account(&mut self, node: NodeIx, account: AccountId) {
        let engine = MemoryEngine::new();
        let now = self.clock(node);
        engine.create(account, Epoch(1), Role::Active, now).unwrap();
        let mut store = engine.open(account).unwrap();
        let mut mutations = sterna_account::first_containers::mutations();
        if self.rng.chance(300) {
            let mut writer = store.stage_blob().unwrap();
            writer.write(&long_content()).unwrap();
            let (hash, _) = writer.finish().unwrap();
            let (content, flags) = (Content::Stored(hash), FlagSet::default());
            let item = NewItem { content, summary: None, internal_date: None, flags, name: None, object_uid: None };
            mutations.push(Mutation::Append { container: ContainerId(1), item });
        }
        let operation = sterna_base::OperationId(self.rng.bytes16());
        let commit = Commit { operation, epoch: Epoch(1), mutations };
        let result = store.commit(std::slice::from_ref(&commit), now).unwrap();
        let head = store.head().unwrap();
        self.oracle.born(account, &commit, now, result[0].as_ref().unwrap(), &head);
        self.data(node).disk.insert(account, Disk { engine, head });
    }

    // --- What others ask ---

    pub fn data_request(&mut self, from: NodeIx, node: NodeIx, call: CallId, account: AccountId, request: Request) {
        if let Request::DirectorySince(since) = request {
            return self.pass_on(from, node, call, since);
        }
        self.open(node, account);
        match request {
            Request::Commit(commit) => {
                if self.is_served(node, account, commit.epoch) {
                    self.task(node, account, Task::Commit(from, call, commit));
                } else {
                    self.reply(node, from, call, Reply::Commit(Err(Fault::NotNow)));
                }
            }
            Request::Read { epoch, container } => {
                let seen = self.read(node, account, epoch, container);
                self.reply(node, from, call, Reply::Read(seen));
            }
            Request::State => {
                let said = self.said(node, account);
                self.reply(node, from, call, Reply::State(said));
            }
            Request::Seal(epoch) => self.task(node, account, Task::Seal(from, call, epoch)),
            Request::MakeReady(end, epoch) => self.task(node, account, Task::MakeReady(from, call, end, epoch)),
            Request::Told => {
                // What it has to know is in the directory, which it asks; the answer says how it is meanwhile.
                let said = self.said(node, account);
                self.reply(node, from, call, Reply::State(said));
            }
            Request::DeleteNow => {
                self.task(node, account, Task::Delete);
                self.reply(node, from, call, Reply::Refused);
            }
            request => self.copy_request(from, node, call, account, request),
        }
    }

    /// Whether this node's copy of the directory says that it serves the account under this epoch.
    fn is_served(&mut self, node: NodeIx, account: AccountId, epoch: Epoch) -> bool {
        let row = self.nodes[node].copy.rows.get(&account);
        row.is_some_and(|row| row.node == node && row.epoch == epoch) || self.is_mutant(Mutant::DropTheEpochCheck)
    }

    /// Only a store of the caller's epoch answers that is active, or was sealed just now by this process: one that is
    /// sealed for longer may be the account no longer.
    fn read(
        &mut self,
        node: NodeIx,
        account: AccountId,
        epoch: Epoch,
        container: Option<ContainerId>,
    ) -> Result<Seen, Fault> {
        let is_lax = self.is_mutant(Mutant::ServeReadsForEver);
        let is_served = self.is_served(node, account, epoch);
        let now = self.now_ms;
        let open = self.data(node).open.get(&account).filter(|open| !open.is_stopped);
        let sealed_at = open.and_then(|open| open.sealed_at);
        let store = open.and_then(|open| open.store.as_ref()).ok_or(Fault::NotNow)?;
        let head = store.head().map_err(|_| Fault::NotNow)?;
        let is_readable = match head.role {
            Role::Active => true,
            Role::Sealed => sealed_at.is_some_and(|at| now - at <= SEALED_READS_MS_MAX as i64),
            Role::Follower | Role::Ready => false,
        };
        let is_account = is_served && is_readable && head.epoch == epoch;
        if !is_account && !is_lax {
            return Err(Fault::NotNow);
        }
        let containers = store.containers().map_err(|_| Fault::NotNow)?;
        let mut items = Vec::new();
        let container = container.filter(|id| containers.iter().any(|container| container.id == *id));
        if let Some(id) = container {
            let (uids, parts) = (sterna_account::UidSet::all(), sterna_account::ItemParts::default());
            let found = store.items(id, &uids, parts, 1000).map_err(|_| Fault::NotNow)?;
            items = found.into_iter().map(|item| (item.uid, item.blob)).collect();
        }
        Ok(Seen { modseq: head.modseq, containers, container, items })
    }

    fn said(&mut self, node: NodeIx, account: AccountId) -> Option<Said> {
        let data = self.data(node);
        let head = &data.disk.get(&account)?.head;
        let open = data.open.get(&account).filter(|open| !open.is_stopped)?;
        let following = open.copying.as_ref().map(|copying| copying.following.said());
        let (role, epoch, modseq, digest) = (head.role, head.epoch, head.modseq, head.digest);
        let answers = open.store.as_ref()?.progress().ok()?.answers;
        Some(Said { role, epoch, modseq, digest, answers, following })
    }

    // --- Duties ---

    /// Looks at every account that the directory or the disk knows.
    pub fn duties(&mut self, node: NodeIx) {
        for account in self.accounts.clone() {
            self.do_duty(node, account);
        }
        self.after(node, LOOK_MS, Timer::Duties);
    }

    pub fn do_duty(&mut self, node: NodeIx, account: AccountId) {
        self.open(node, account);
        let Some(row) = self.nodes[node].copy.rows.get(&account).cloned() else { return };
        let head = self.data(node).disk.get(&account).map(|disk| disk.head.clone());
        let placement = sterna_cluster::Placement { node: node_id(row.node), epoch: row.epoch };
        let is_copy = row.copies.contains_key(&node);
        let facts = Facts { node: node_id(node), placement: Some(placement), is_copy };
        let store = head.as_ref().map(|head| {
            let is_whole = head.role != Role::Follower;
            StoreFacts { role: head.role, epoch: head.epoch, is_whole }
        });
        let duty = duty(&facts, store.as_ref());
        match duty {
            Duty::Serve { epoch } => {
                if store.is_some_and(|store| (store.role, store.epoch) != (Role::Active, epoch)) {
                    self.task(node, account, Task::Role(epoch, Role::Active));
                }
            }
            Duty::MakeFollower { epoch } => self.task(node, account, Task::Make(epoch)),
            Duty::BecomeFollower { epoch } => self.task(node, account, Task::Role(epoch, Role::Follower)),
            Duty::Nothing if row.to_delete.contains(&node) && row.node != node && !is_copy => {
                self.delete_if_meant(node, account, row.epoch, head.as_ref());
            }
            Duty::WaitSealed | Duty::WaitReady | Duty::Nothing | Duty::FollowFrom(_) => {}
        }
        if let Duty::FollowFrom(source) = duty {
            self.follow_from(node, account, crate::world::node_ix(source));
        } else if !matches!(duty, Duty::WaitReady)
            && let Some(open) = self.data(node).open.get_mut(&account)
        {
            open.copying = None;
        }
    }

    /// The directory asks for a deletion. A store with a later epoch than the row's is from after it.
    fn delete_if_meant(&mut self, node: NodeIx, account: AccountId, epoch: Epoch, head: Option<&Head>) {
        match head {
            Some(head) if head.epoch <= epoch => self.task(node, account, Task::Delete),
            Some(_) => {}
            None => self.call(node, MAIN, account, Request::Deleted, Waiting::Nothing),
        }
    }

    // --- The queue of one store ---

    /// Opens the account's store, if it is not open.
    pub fn open(&mut self, node: NodeIx, account: AccountId) {
        let data = self.data(node);
        if !data.open.contains_key(&account) {
            let store = data.disk.get(&account).map(|disk| disk.engine.open(account).unwrap());
            data.open.insert(account, Open::new(store));
        }
    }

    pub fn task(&mut self, node: NodeIx, account: AccountId, task: Task) {
        self.open(node, account);
        let Some(open) = self.data(node).open.get_mut(&account) else { return };
        open.queue.push_back(task);
        self.next_task(node, account);
    }

    fn next_task(&mut self, node: NodeIx, account: AccountId) {
        let now = self.now_ms;
        let is_slow = self.data(node).slow_until > now;
        let ms = if is_slow { self.rng.between(20, 300) } else { self.rng.between(1, 5) };
        let Some(open) = self.data(node).open.get_mut(&account) else { return };
        if open.is_stopped || !open.running.is_empty() {
            return;
        }
        while open.running.len() < COMMITS_MAX {
            let is_next = matches!(
                (open.queue.front(), open.running.first()),
                (Some(_), None) | (Some(Task::Commit(..)), Some(Task::Commit(..)))
            );
            if !is_next {
                break;
            }
            open.running.extend(open.queue.pop_front());
        }
        if open.running.is_empty() {
            return;
        }
        if self.is_mutant(Mutant::AcknowledgeBeforeTheFlush) {
            self.acknowledge_early(node, account);
        }
        self.after(node, ms, Timer::StoreDone(account));
    }

    /// What was running is on the disk now, or the disk failed.
    pub fn store_done(&mut self, node: NodeIx, account: AccountId) {
        let fails = std::mem::take(&mut self.data(node).next_flush_fails);
        let Some(open) = self.data(node).open.get_mut(&account) else { return };
        let running = std::mem::take(&mut open.running);
        open.unflushed = None;
        if fails {
            return self.flush_failed(node, account, running);
        }
        self.run(node, account, running, true);
        self.refresh(node, account);
        self.do_duty(node, account);
        self.next_task(node, account);
        self.follow_on(node, account);
        self.answer_parked(node, account);
    }

    /// Nobody can say what reached the disk; whoever waits is told that it failed.
    fn flush_failed(&mut self, node: NodeIx, account: AccountId, running: Vec<Task>) {
        self.tell(|| format!("node {node}: a flush of account {account} failed"));
        let callers: Vec<_> = running.iter().filter_map(Task::caller).collect();
        if self.rng.chance(500) {
            self.run(node, account, running, false);
            self.refresh(node, account);
        }
        let Some(open) = self.data(node).open.get_mut(&account) else { return };
        let waiting: Vec<_> = open.queue.drain(..).filter_map(|task| task.caller()).collect();
        (open.is_stopped, open.copying) = (true, None);
        for (to, call, reply) in callers.into_iter().chain(waiting) {
            self.reply(node, to, call, reply);
        }
        let ms = self.rng.between(20, 300);
        self.after(node, ms, Timer::Reopen(account));
    }

    pub fn reopen(&mut self, node: NodeIx, account: AccountId) {
        self.data(node).open.remove(&account);
        self.do_duty(node, account);
    }

    /// The power goes: what was running is on the disk, or not.
    pub fn lose_power(&mut self, node: NodeIx) {
        for account in self.accounts.clone() {
            let Some(open) = self.data(node).open.get_mut(&account) else { continue };
            let (running, unflushed) = (std::mem::take(&mut open.running), open.unflushed.take());
            let is_lost = self.rng.chance(500);
            match unflushed {
                Some(engine) if is_lost => {
                    let head = engine.open(account).unwrap().head().unwrap();
                    self.data(node).disk.insert(account, Disk { engine, head });
                }
                _ if !is_lost => self.run(node, account, running, false),
                _ => {}
            }
            self.refresh(node, account);
        }
        let data = self.data(node);
        data.open.clear();
        data.next_flush_fails = false;
    }

    /// Reads the head again after the store changed.
    fn refresh(&mut self, node: NodeIx, account: AccountId) {
        let data = self.data(node);
        if let Some(disk) = data.disk.get_mut(&account) {
            let head = disk.engine.open(account).unwrap().head().unwrap();
            if disk.head != head {
                let (role, epoch, modseq) = (head.role, head.epoch, head.modseq);
                let is_news = (disk.head.role, disk.head.epoch) != (role, epoch);
                disk.head = head;
                if is_news {
                    self.tell(|| format!("node {node}: account {account} is {role:?} at {epoch}, modseq {modseq}"));
                }
            }
        }
        self.oracle.look_at(account);
    }

    pub fn unseal(&mut self, node: NodeIx, account: AccountId, epoch: Epoch) {
        let head = self.data(node).disk.get(&account).map(|disk| (disk.head.role, disk.head.epoch));
        if head == Some((Role::Sealed, epoch)) {
            self.task(node, account, Task::Role(epoch, Role::Active));
        }
    }

    // --- What a task does to the store ---

    /// Does the tasks; callers hear of it only when `is_heard`.
    fn run(&mut self, node: NodeIx, account: AccountId, tasks: Vec<Task>, is_heard: bool) {
        let (commits, others): (Vec<_>, Vec<_>) = tasks.into_iter().partition(|task| matches!(task, Task::Commit(..)));
        if !commits.is_empty() {
            let answers = self.run_commits(node, account, commits);
            for (to, call, reply) in answers.into_iter().filter(|_| is_heard) {
                self.reply(node, to, call, reply);
            }
        }
        for task in others {
            self.run_task(node, account, task, is_heard);
        }
    }

    fn run_commits(&mut self, node: NodeIx, account: AccountId, tasks: Vec<Task>) -> Vec<(NodeIx, CallId, Reply)> {
        let now = self.clock(node);
        let is_lax = self.is_mutant(Mutant::DropTheEpochCheck);
        let mut callers = Vec::new();
        let mut commits = Vec::new();
        let Some(store) = self.data(node).open.get_mut(&account).and_then(|open| open.store.as_mut()) else {
            return tasks.into_iter().filter_map(|task| task.caller()).collect();
        };
        let before = store.head().unwrap();
        for task in tasks {
            let Task::Commit(from, call, mut commit) = task else { continue };
            callers.push((from, call, commit.epoch));
            if is_lax {
                commit.epoch = before.epoch;
            }
            commits.push(commit);
        }
        let results = store.commit(&commits, now).unwrap();
        let after = store.head().unwrap();
        for ((commit, result), (_, _, epoch)) in commits.iter_mut().zip(&results).zip(&callers) {
            commit.epoch = *epoch;
            if let Ok(committed) = result {
                self.oracle.committed(account, node, commit, now, committed, &before);
                let (operation, modseq, again) = (commit.operation, committed.modseq, committed.repeated);
                self.tell(|| format!("node {node}: account {account} operation {operation}: modseq {modseq}, {again}"));
            }
        }
        self.oracle.moved_on(account, &before, &after);
        let replies = results.into_iter().map(|result| Reply::Commit(result.map_err(fault)));
        callers.into_iter().zip(replies).map(|((to, call, _), reply)| (to, call, reply)).collect()
    }

    fn run_task(&mut self, node: NodeIx, account: AccountId, task: Task, is_heard: bool) {
        let now = self.clock(node);
        match task {
            Task::Commit(..) => {}
            Task::Seal(from, call, epoch) => {
                let said = self.seal(node, account, epoch);
                if is_heard {
                    self.reply(node, from, call, Reply::State(said));
                }
            }
            Task::MakeReady(from, call, end, epoch) => {
                self.make_ready(node, account, end, epoch);
                if is_heard {
                    self.refresh(node, account);
                    let said = self.said(node, account);
                    self.reply(node, from, call, Reply::State(said));
                }
            }
            Task::Role(epoch, role) => self.set_role(node, account, epoch, role),
            Task::Make(epoch) => self.make_follower(node, account, epoch),
            Task::CopyAnew(epoch) => {
                self.delete(node, account);
                self.make_follower(node, account, epoch);
                self.copied_anew(node, account, epoch);
            }
            Task::SetAside(fork) => self.set_aside(node, account, fork),
            Task::Delete => self.delete(node, account),
            Task::Follow(page, blobs) => self.run_follow(node, account, page, blobs, now),
            Task::Forget(container) => self.run_forget(node, account, container, now),
            Task::FollowContainer(page, blobs) => self.run_follow_container(node, account, page, blobs, now),
        }
    }

    fn seal(&mut self, node: NodeIx, account: AccountId, epoch: Epoch) -> Option<Said> {
        let is_lax = self.is_mutant(Mutant::DropTheEpochCheck);
        let head = self.data(node).disk.get(&account)?.head.clone();
        let is_meant = head.role == Role::Active && (head.epoch == epoch || is_lax);
        if is_meant && self.is_mutant(Mutant::SkipSealing) {
            return self.said(node, account).map(|said| Said { role: Role::Sealed, ..said });
        }
        if is_meant {
            self.set_role(node, account, epoch, Role::Sealed);
            self.refresh(node, account);
            let now = self.now_ms;
            if let Some(open) = self.data(node).open.get_mut(&account) {
                open.sealed_at = Some(now);
            }
            if self.is_mutant(Mutant::UnsealByATimer) {
                self.after(node, UNSEAL_MS, Timer::Unseal(account, epoch));
            }
        }
        self.said(node, account)
    }

    fn make_ready(&mut self, node: NodeIx, account: AccountId, end: End, epoch: Epoch) {
        let is_lax = self.is_mutant(Mutant::IgnoreTheDigest);
        let Some(said) = self.said(node, account) else { return };
        let is = End::of(&said);
        if said.role == Role::Follower && (is == end || (is_lax && is.modseq == end.modseq)) {
            self.set_role(node, account, epoch, Role::Ready);
        }
    }

    fn set_role(&mut self, node: NodeIx, account: AccountId, epoch: Epoch, role: Role) {
        let is_lax = self.is_mutant(Mutant::DropTheEpochCheck);
        let now = self.clock(node);
        let Some(store) = self.data(node).open.get_mut(&account).and_then(|open| open.store.as_mut()) else { return };
        let epoch = if is_lax { epoch.max(store.head().unwrap().epoch) } else { epoch };
        // A refusal is no news: the duty is looked at again.
        let _ = store.set_role(epoch, role, now);
    }

    fn make_follower(&mut self, node: NodeIx, account: AccountId, epoch: Epoch) {
        if self.data(node).disk.contains_key(&account) {
            return;
        }
        let (engine, now) = (MemoryEngine::new(), self.clock(node));
        engine.create(account, epoch, Role::Follower, now).unwrap();
        let store = engine.open(account).unwrap();
        let head = store.head().unwrap();
        if let Some(open) = self.data(node).open.get_mut(&account) {
            open.store = Some(store);
        }
        self.data(node).disk.insert(account, Disk { engine, head });
        self.tell(|| format!("node {node}: made a follower of account {account}"));
    }

    fn delete(&mut self, node: NodeIx, account: AccountId) {
        self.check_deletion(node, account);
        self.tell(|| format!("node {node}: deletes account {account}"));
        self.data(node).disk.remove(&account);
        if let Some(open) = self.data(node).open.get_mut(&account) {
            (open.store, open.copying) = (None, None);
        }
    }

    /// The store has commits that the account lacks: it is kept elsewhere on the disk, and a new one is made.
    fn set_aside(&mut self, node: NodeIx, account: AccountId, fork: Fork) {
        let Some(disk) = self.data(node).disk.remove(&account) else { return };
        self.tell(|| format!("node {node}: sets account {account} aside, which parted at {fork:?}"));
        self.data(node).asides.push((account, fork, disk.engine));
        if let Some(open) = self.data(node).open.get_mut(&account) {
            open.store = None;
        }
        self.make_follower(node, account, disk.head.epoch);
        self.copied_anew(node, account, disk.head.epoch);
    }

    /// The mutant's way: the answer goes out, the disk comes later.
    fn acknowledge_early(&mut self, node: NodeIx, account: AccountId) {
        let data = self.data(node);
        let (Some(open), Some(disk)) = (data.open.get_mut(&account), data.disk.get(&account)) else { return };
        if !matches!(open.running.first(), Some(Task::Commit(..))) {
            return;
        }
        open.unflushed = Some(disk.engine.copied());
        // Something stays to be flushed, so that the store is busy until then.
        let running = std::mem::replace(&mut open.running, vec![Task::Role(Epoch(0), Role::Active)]);
        self.run(node, account, running, true);
        self.refresh(node, account);
    }
}

impl Task {
    /// Who waits, and what it hears when this failed.
    fn caller(&self) -> Option<(NodeIx, CallId, Reply)> {
        match self {
            Task::Commit(from, call, _) => Some((*from, *call, Reply::Commit(Err(Fault::NotNow)))),
            Task::Seal(from, call, _) | Task::MakeReady(from, call, ..) => Some((*from, *call, Reply::Refused)),
            _ => None,
        }
    }
}

/// A content that is too long to travel inside a page.
pub fn long_content() -> Vec<u8> {
    vec![b'x'; sterna_base::limits::INLINE_BLOB_BYTES_MAX + 1000]
}

/// What an edge waits out, and what its client is told.
fn fault(error: CommitError) -> Fault {
    match error {
        CommitError::WrongEpoch { .. } | CommitError::Sealed | CommitError::Store(_) => Fault::NotNow,
        _ => Fault::Refused,
    }
}
