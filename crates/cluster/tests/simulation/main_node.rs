//! The main node: the directory, and the executor of moves around `next_step`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sterna_account::Role;
use sterna_base::AccountId;
use sterna_cluster::moving::core::answers::Answers;
use sterna_cluster::moving::core::step::{MovePhase, MoveView, Step, next_step};

use crate::directory::{Directory, DirectoryRequest, Purpose};
use crate::message::{CallId, NodeIx, Reply, Request, Timer, Waiting};
use crate::mutant::Mutant;
use crate::world::{LOOK_MS, MAIN, World, node_id, node_ix};

#[derive(Default)]
pub struct MainNode {
    /// Durable.
    pub directory: Directory,
    /// Requests on their way to the disk; the first is being written.
    pub requests: VecDeque<DirectoryRequest>,
    /// What the ends of each move last said.
    answers: BTreeMap<AccountId, Answers>,
    /// Moves with a call or a request under way.
    busy: BTreeSet<AccountId>,
    /// Moves that were committed and whose target may not know it yet.
    committed: BTreeMap<AccountId, MoveView>,
    /// When each move is looked at again.
    looks: BTreeMap<AccountId, i64>,
    /// Open questions for changes.
    polls: BTreeMap<NodeIx, (CallId, u64)>,
}

impl MainNode {
    /// What a crash takes.
    pub fn forget(&mut self) {
        let directory = std::mem::take(&mut self.directory);
        *self = MainNode { directory, ..MainNode::default() };
    }
}

impl World {
    pub fn start_main(&mut self) {
        for account in self.accounts.clone() {
            self.drive(account);
        }
        self.after(MAIN, LOOK_MS, Timer::Housekeeping);
    }

    pub fn main_request(&mut self, from: NodeIx, call: CallId, account: AccountId, request: Request) {
        match request {
            Request::DirectorySince(since) => {
                self.main().polls.insert(from, (call, since));
                self.answer_polls();
            }
            Request::Deleted => {
                self.directory_request(DirectoryRequest::Deleted { account, node: from });
                self.reply(MAIN, from, call, Reply::Refused);
            }
            _ => {}
        }
    }

    fn answer_polls(&mut self) {
        let main = self.main();
        let modseq = main.directory.modseq;
        let due: Vec<_> = main.polls.iter().filter(|(_, (_, since))| *since < modseq).map(|(n, p)| (*n, *p)).collect();
        for (node, (call, since)) in due {
            let main = self.main();
            main.polls.remove(&node);
            let rows = main.directory.rows.iter().filter(|(_, row)| row.modseq > since);
            let rows = rows.map(|(account, row)| (*account, row.clone())).collect();
            self.reply(MAIN, node, call, Reply::Directory { rows, modseq });
        }
    }

    // --- Requests to the directory: one after the other, each reaches the disk or not ---

    pub fn directory_request(&mut self, request: DirectoryRequest) {
        self.main().requests.push_back(request);
        if self.main().requests.len() == 1 {
            let ms = self.rng.between(1, 5);
            self.after(MAIN, ms, Timer::DirectoryDone);
        }
    }

    pub fn directory_done(&mut self) {
        let Some(request) = self.main().requests.pop_front() else { return };
        let account = request.account();
        let view = self.view(account);
        let done = self.apply_directory(&request);
        if done && matches!(request, DirectoryRequest::Commit { .. }) {
            self.commit_known(account, view);
        }
        self.answer_polls();
        self.main().busy.remove(&account);
        self.drive(account);
        if !self.main().requests.is_empty() {
            let ms = self.rng.between(1, 5);
            self.after(MAIN, ms, Timer::DirectoryDone);
        }
    }

    /// The transaction itself; also what a crash may leave of one that was under way.
    pub fn apply_directory(&mut self, request: &DirectoryRequest) -> bool {
        let (now, mutant) = (self.clock(MAIN), self.mutant);
        if matches!(request, DirectoryRequest::Commit { .. }) {
            self.check_commit(request);
        }
        let done = self.main().directory.request(request, now, mutant);
        if done {
            self.tell(|| format!("directory: {request:?}"));
            self.tempt(request);
        }
        done
    }

    fn commit_known(&mut self, account: AccountId, view: Option<MoveView>) {
        let Some(view) = view else { return };
        let MovePhase::CutOver { epoch, .. } = view.phase else { return };
        let view = MoveView { from: view.to, placement_epoch: epoch, phase: MovePhase::Committed, ..view };
        self.main().answers.remove(&account);
        self.main().committed.insert(account, view);
    }

    fn view(&mut self, account: AccountId) -> Option<MoveView> {
        let row = self.main().directory.rows.get(&account)?;
        let (from, placement_epoch) = (node_id(row.node), row.epoch);
        if let Some(moving) = &row.moving {
            let (to, phase, attempts) = (node_id(moving.to), moving.phase, moving.attempts);
            return Some(MoveView { account, from, to, placement_epoch, phase, attempts });
        }
        self.main().committed.get(&account).copied()
    }

    // --- Moves ---

    /// Does the next step of this account's move, unless one is under way.
    pub fn drive(&mut self, account: AccountId) {
        if self.main().busy.contains(&account) {
            return;
        }
        let Some(view) = self.view(account) else {
            self.main().answers.remove(&account);
            return;
        };
        let now = self.clock(MAIN);
        let step = next_step(&view, self.main().answers.entry(account).or_default(), now);
        if !matches!(step, Step::Wait { .. } | Step::AskSource | Step::AskTarget) {
            self.tell(|| format!("main: {account} {step:?}"));
        }
        self.do_step(account, view, step);
    }

    fn do_step(&mut self, account: AccountId, view: MoveView, step: Step) {
        let (from, to) = (node_ix(view.from), node_ix(view.to));
        let busy = !matches!(step, Step::Wait { .. } | Step::Done);
        if busy {
            self.main().busy.insert(account);
        }
        match step {
            Step::Wait { until } => {
                let ms = until.0.saturating_sub(self.clock(MAIN).0).clamp(1, 5_000);
                let (now, due) = (self.now_ms, self.now_ms + ms);
                let known = self.main().looks.get(&account).copied().unwrap_or_default();
                if known <= now || due < known {
                    self.main().looks.insert(account, due);
                    self.after(MAIN, ms, Timer::Drive(account));
                }
            }
            Step::Done => {
                self.main().committed.remove(&account);
            }
            Step::AskSource => self.call(MAIN, from, account, Request::State, Waiting::Source(account)),
            Step::AskTarget => self.call(MAIN, to, account, Request::State, Waiting::Target(account)),
            Step::TellTarget => self.call(MAIN, to, account, Request::Told, Waiting::Target(account)),
            Step::Seal { epoch } => {
                self.call(MAIN, from, account, Request::Seal(epoch), Waiting::Source(account));
            }
            Step::MakeReady { end, epoch } => {
                self.call(MAIN, to, account, Request::MakeReady(end, epoch), Waiting::Target(account));
            }
            Step::StartCopying => self.directory_request(DirectoryRequest::StartCopying { account }),
            Step::StartCutOver { deadline } => {
                self.directory_request(DirectoryRequest::CutOver { account, deadline });
            }
            Step::Commit { epoch } => {
                let request = DirectoryRequest::Commit { account, epoch };
                if self.is_mutant(Mutant::DeleteBeforeTheCommit) {
                    self.call(MAIN, from, account, Request::DeleteNow, Waiting::ThenRequest(request));
                } else {
                    self.directory_request(request);
                }
            }
            Step::Abort { retry, .. } => self.directory_request(DirectoryRequest::Abort { account, retry }),
        }
    }

    /// An end of a move answered, or did not.
    pub fn move_answer(&mut self, account: AccountId, is_source: bool, reply: Option<Reply>) {
        let now = self.clock(MAIN);
        let ignores_digest = self.is_mutant(Mutant::IgnoreTheDigest);
        let answers = self.main().answers.entry(account).or_default();
        let source = answers.source.said.clone();
        let party = if is_source { &mut answers.source } else { &mut answers.target };
        match reply {
            Some(Reply::State(Some(mut said))) => {
                if let Some(source) = source.filter(|_| ignores_digest && said.role == Role::Ready) {
                    (said.modseq, said.digest) = (source.modseq, source.digest);
                }
                party.answered(Some(said), now);
            }
            Some(Reply::State(None)) => party.answered(None, now),
            _ => party.failed(now),
        }
        self.main().busy.remove(&account);
        // A pause between an answer and what is done about it.
        let ms = self.rng.between(0, 2);
        self.after(MAIN, ms, Timer::Drive(account));
    }

    /// Looks for copies that were kept for long enough.
    pub fn housekeeping(&mut self) {
        let now = self.clock(MAIN);
        let mut due = Vec::new();
        for (account, row) in &self.main().directory.rows {
            for (node, purpose) in &row.copies {
                if matches!(purpose, Purpose::Kept { until } if *until <= now) {
                    due.push(DirectoryRequest::Expire { account: *account, node: *node });
                }
            }
        }
        due.into_iter().for_each(|request| self.directory_request(request));
        self.after(MAIN, LOOK_MS, Timer::Housekeeping);
    }
}
