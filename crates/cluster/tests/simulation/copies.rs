//! Copies: the executor around `Following`, and the source that answers it.

use sterna_account::follow::{ContainerPage, CopiedBlob, Page, differing};
use sterna_account::store::BlobWriter;
use sterna_account::{Change, Engine, Role, StoreError};
use sterna_base::{AccountId, ContainerId, Epoch, Timestamp};
use sterna_cluster::moving::core::following::{Ask, Following};

use crate::data_server::Task;
use crate::message::{CallId, NodeIx, Reply, Request, Timer, Waiting};
use crate::mutant::Mutant;
use crate::world::World;

/// Rows, answers and bytes that one answer carries: few, so that pages and contents come in several.
const ROWS_MAX: usize = 12;
const ANSWERS_MAX: usize = 8;
const BLOBS_BYTES_MAX: u64 = 4_000;
/// Rows that one call forgets.
const FORGET_MAX: usize = 10;

/// One store that follows.
pub struct Copying {
    pub following: Following,
    source: NodeIx,
    /// An answer, the disk or a pause is waited for.
    is_waiting: bool,
    upload: Option<Box<dyn BlobWriter>>,
}

impl World {
    /// The directory says from whom this copy takes its pages.
    pub fn follow_from(&mut self, node: NodeIx, account: AccountId, source: NodeIx) {
        let Some(epoch) = self.data(node).disk.get(&account).map(|disk| disk.head.epoch) else { return };
        let Some(open) = self.data(node).open.get_mut(&account).filter(|open| open.store.is_some()) else { return };
        if open.copying.as_ref().is_some_and(|copying| copying.source == source) {
            return;
        }
        let following = Following::new(epoch);
        open.copying = Some(Copying { following, source, is_waiting: false, upload: None });
        self.tell(|| format!("node {node}: account {account} follows node {source}"));
        self.follow_on(node, account);
    }

    fn copying(&mut self, node: NodeIx, account: AccountId) -> Option<&mut Copying> {
        self.data(node).open.get_mut(&account)?.copying.as_mut()
    }

    /// Does what the copy asks next, until it has to wait.
    pub fn follow_on(&mut self, node: NodeIx, account: AccountId) {
        while let Some(copying) = self.copying(node, account) {
            if copying.is_waiting {
                return;
            }
            let (ask, source) = (copying.following.next(), copying.source);
            self.do_ask(node, account, source, ask);
        }
    }

    fn do_ask(&mut self, node: NodeIx, account: AccountId, source: NodeIx, ask: Ask) {
        let now = self.clock(node);
        let request = match ask {
            Ask::OwnProgress => {
                let own = self.store(node, account, |store| Ok::<_, StoreError>((store.progress()?, store.forks()?)));
                return self.told(node, account, |following| match own {
                    Some(Ok((progress, forks))) => following.on_progress(progress, forks),
                    _ => following.on_failed(now),
                });
            }
            Ask::Lacking(hashes) => {
                let lacking = self.store(node, account, |store| store.lacking(&hashes));
                return self.told(node, account, |following| match lacking {
                    Some(Ok(lacking)) => following.on_lacking(lacking),
                    _ => following.on_failed(now),
                });
            }
            Ask::Staged(_) => return self.end_upload(node, account, now),
            Ask::Wait(until) => {
                let ms = until.0.saturating_sub(now.0).clamp(0, 5_000);
                self.wait(node, account);
                return self.after(node, ms, Timer::Follow(account));
            }
            Ask::Stop => {
                if let Some(open) = self.data(node).open.get_mut(&account) {
                    open.copying = None;
                }
                return;
            }
            Ask::Apply(page, blobs) => return self.wait_for_task(node, account, Task::Follow(page, blobs)),
            Ask::Forget(container) => return self.wait_for_task(node, account, Task::Forget(container)),
            Ask::ApplyContainer(page, blobs) => {
                return self.wait_for_task(node, account, Task::FollowContainer(page, blobs));
            }
            Ask::CopyAnew => {
                let epoch = self.data(node).disk.get(&account).map_or(Epoch(0), |disk| disk.head.epoch);
                return self.wait_for_task(node, account, Task::CopyAnew(epoch));
            }
            Ask::SetAside(fork) => return self.wait_for_task(node, account, Task::SetAside(fork)),
            Ask::Page(after) => Request::Page(after),
            Ask::Blobs(hashes) => Request::Blobs(hashes),
            Ask::Range { hash, range } => Request::Range(hash, range),
            Ask::Compare => Request::Containers,
            Ask::ContainerPage(container, after) => Request::ContainerPage(container, after),
        };
        self.wait(node, account);
        self.call(node, source, account, request, Waiting::Follow(account));
    }

    fn wait(&mut self, node: NodeIx, account: AccountId) {
        if let Some(copying) = self.copying(node, account) {
            copying.is_waiting = true;
        }
    }

    fn wait_for_task(&mut self, node: NodeIx, account: AccountId, task: Task) {
        self.wait(node, account);
        self.task(node, account, task);
    }

    /// Tells the copy something, after which it goes on.
    fn told(&mut self, node: NodeIx, account: AccountId, tell: impl FnOnce(&mut Following)) {
        if let Some(copying) = self.copying(node, account) {
            copying.is_waiting = false;
            tell(&mut copying.following);
        }
    }

    fn store<T>(
        &mut self,
        node: NodeIx,
        account: AccountId,
        ask: impl FnOnce(&mut dyn sterna_account::Store) -> T,
    ) -> Option<T> {
        self.data(node).open.get_mut(&account)?.store.as_mut().map(|store| ask(store.as_mut()))
    }

    /// The source answered, or did not.
    pub fn follow_answer(&mut self, node: NodeIx, account: AccountId, reply: Option<Reply>) {
        let now = self.clock(node);
        // An answer to what this copy asked before it was begun anew is not expected any more.
        let Some(ask) = self.copying(node, account).filter(|c| c.is_waiting).map(|c| c.following.next()) else {
            return;
        };
        match (ask, reply) {
            (Ask::Page(_), Some(Reply::Page(Some(page)))) => {
                let page = self.spoil(page);
                self.told(node, account, |following| following.on_page(page, now));
            }
            (Ask::Blobs(_), Some(Reply::Blobs(Some(blobs)))) => {
                self.told(node, account, |following| following.on_blobs(blobs, now));
            }
            (Ask::Range { range, .. }, Some(Reply::Range(Some(bytes)))) => {
                let count = self.upload(node, account, range.start == 0, &bytes);
                self.told(node, account, |following| match count {
                    Some(count) => following.on_range(count),
                    None => following.on_failed(now),
                });
            }
            (Ask::Compare, Some(Reply::Containers(Some(theirs)))) => {
                let ours = self.store(node, account, |store| store.containers());
                self.told(node, account, |following| match ours {
                    Some(Ok(ours)) => following.on_compared(differing(&ours, &theirs)),
                    _ => following.on_failed(now),
                });
            }
            (Ask::ContainerPage(..), Some(Reply::ContainerPage(Some(page)))) => {
                self.told(node, account, |following| following.on_container_page(page));
            }
            (Ask::Page(_), None) => self.told(node, account, |following| following.on_waited()),
            (Ask::Page(_) | Ask::Blobs(_) | Ask::Range { .. } | Ask::Compare | Ask::ContainerPage(..), _) => {
                self.told(node, account, |following| following.on_failed(now));
            }
            _ => return,
        }
        self.follow_on(node, account);
    }

    pub fn follow_waited(&mut self, node: NodeIx, account: AccountId) {
        let is_pause = |copying: &mut Copying| copying.is_waiting && matches!(copying.following.next(), Ask::Wait(_));
        if self.copying(node, account).is_some_and(is_pause) {
            self.told(node, account, Following::on_waited);
            self.follow_on(node, account);
        }
    }

    fn upload(&mut self, node: NodeIx, account: AccountId, is_first: bool, bytes: &[u8]) -> Option<u64> {
        if is_first {
            let upload = self.store(node, account, |store| store.stage_blob())?.ok()?;
            self.copying(node, account)?.upload = Some(upload);
        }
        self.copying(node, account)?.upload.as_mut()?.write(bytes).ok()?;
        Some(bytes.len() as u64)
    }

    fn end_upload(&mut self, node: NodeIx, account: AccountId, now: Timestamp) {
        let upload = self.copying(node, account).and_then(|copying| copying.upload.take());
        let staged = upload.and_then(|upload| upload.finish().ok());
        self.told(node, account, |following| match staged {
            Some((hash, _)) => following.on_staged(hash),
            None => following.on_failed(now),
        });
    }

    // --- What reached the disk ---

    pub fn run_follow(
        &mut self,
        node: NodeIx,
        account: AccountId,
        mut page: Page,
        blobs: Vec<CopiedBlob>,
        now: Timestamp,
    ) {
        if self.is_mutant(Mutant::IgnoreTheDigest) {
            self.forge_digest(node, account, &mut page, &blobs, now);
        }
        let applied = self.store(node, account, |store| store.follow(&page, blobs, now));
        self.told(node, account, |following| match applied {
            Some(applied) => following.on_applied(applied, now),
            None => following.on_failed(now),
        });
    }

    /// What a copy that compares nothing believes: that its own digest is the source's.
    fn forge_digest(
        &mut self,
        node: NodeIx,
        account: AccountId,
        page: &mut Page,
        blobs: &[CopiedBlob],
        now: Timestamp,
    ) {
        let Some(disk) = self.data(node).disk.get(&account) else { return };
        let mut trial = disk.engine.copied().open(account).unwrap();
        let unchecked = Page { is_last: false, ..page.clone() };
        if page.is_last && trial.follow(&unchecked, blobs.to_vec(), now).is_ok() {
            page.head.digest = trial.head().unwrap().digest;
        }
    }

    pub fn run_forget(&mut self, node: NodeIx, account: AccountId, container: ContainerId, now: Timestamp) {
        let rows = self.store(node, account, |store| store.forget_container(container, FORGET_MAX));
        self.oracle.stats.repairs += 1;
        self.told(node, account, |following| match rows {
            Some(rows) => following.on_forgotten(rows, now),
            None => following.on_failed(now),
        });
    }

    pub fn run_follow_container(
        &mut self,
        node: NodeIx,
        account: AccountId,
        page: ContainerPage,
        blobs: Vec<CopiedBlob>,
        now: Timestamp,
    ) {
        let applied = self.store(node, account, |store| store.follow_container(&page, blobs, now));
        self.told(node, account, |following| match applied {
            Some(applied) => following.on_container_applied(applied, now),
            None => following.on_failed(now),
        });
    }

    pub fn copied_anew(&mut self, node: NodeIx, account: AccountId, epoch: Epoch) {
        self.oracle.stats.copied_anew += 1;
        self.told(node, account, |following| following.on_copied_anew(epoch));
    }

    // --- The source ---

    pub fn copy_request(&mut self, from: NodeIx, node: NodeIx, call: CallId, account: AccountId, request: Request) {
        // Only those whom the directory names may read pages.
        let head = self.data(node).disk.get(&account).map(|disk| disk.head.clone());
        let row = self.nodes[node].copy.rows.get(&account);
        let is_named = row.is_some_and(|row| row.copies.contains_key(&from));
        let is_account = head.is_some_and(|head| matches!(head.role, Role::Active | Role::Sealed));
        if !is_named || !is_account {
            return self.reply(node, from, call, Reply::Refused);
        }
        let keeps_answers = self.is_mutant(Mutant::KeptAnswersNotCopied);
        let answers_max = if keeps_answers { usize::MAX } else { ANSWERS_MAX };
        let reply = match request {
            Request::Page(after) => {
                let page = self.store(node, account, |store| store.page(&after, ROWS_MAX, answers_max));
                let mut page = page.and_then(Result::ok);
                if let Some(page) = page.as_mut().filter(|_| keeps_answers) {
                    page.answers.clear();
                }
                let is_idle = page.as_ref().is_some_and(|page| page.is_last && page.end() == after);
                if is_idle && self.parks(node, account, from, call, after) {
                    return;
                }
                Reply::Page(page)
            }
            Request::ContainerPage(container, after) => {
                let page = self.store(node, account, |store| store.container_page(container, after, ROWS_MAX));
                Reply::ContainerPage(page.and_then(Result::ok))
            }
            Request::Containers => {
                Reply::Containers(self.store(node, account, |store| store.containers()).and_then(Result::ok))
            }
            Request::Blobs(hashes) => {
                let blobs = self.store(node, account, |store| store.copied_blobs(&hashes, BLOBS_BYTES_MAX));
                Reply::Blobs(blobs.and_then(Result::ok))
            }
            Request::Range(hash, range) => {
                let bytes = self.store(node, account, |store| store.blob(hash, range));
                Reply::Range(bytes.and_then(Result::ok))
            }
            _ => Reply::Refused,
        };
        self.reply(node, from, call, reply);
    }

    /// Keeps a question for the next change. A copy that has only just got to the end is answered, so that it knows.
    fn parks(
        &mut self,
        node: NodeIx,
        account: AccountId,
        from: NodeIx,
        call: CallId,
        after: sterna_account::follow::Progress,
    ) -> bool {
        if self.rng.chance(300) {
            return false;
        }
        if let Some(open) = self.data(node).open.get_mut(&account) {
            open.parked.retain(|(parked, ..)| *parked != from);
            open.parked.push((from, call, after));
        }
        true
    }

    /// Something changed: whoever waited for it is answered.
    pub fn answer_parked(&mut self, node: NodeIx, account: AccountId) {
        let Some(open) = self.data(node).open.get_mut(&account) else { return };
        for (from, call, after) in std::mem::take(&mut open.parked) {
            self.copy_request(from, node, call, account, Request::Page(after));
        }
    }

    /// A fault that no check of the network finds: a row is missing.
    fn spoil(&mut self, mut page: Page) -> Page {
        let items: Vec<_> = (0..page.rows.len()).filter(|at| matches!(page.rows[*at], Change::Item(_))).collect();
        if self.network.pages_to_spoil > 0 && !items.is_empty() {
            self.network.pages_to_spoil -= 1;
            let at = *self.rng.pick(&items);
            let row = page.rows.remove(at);
            self.tell(|| format!("a page lost its row {:?}", row.cursor()));
            self.oracle.stats.spoiled += 1;
        }
        page
    }
}
