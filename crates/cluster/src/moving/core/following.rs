//! What a copy asks next: pages, contents that it lacks, and its own store to apply them.
//!
//! The executor asks [`Following::next`], does that one thing, and tells what came of it by the `on_` method of that
//! name. An answer that comes late, or twice, after the executor gave up on it must not be told.

use std::collections::BTreeMap;
use std::ops::Range;

use sterna_account::follow::{Applied, ContainerPage, CopiedBlob, FollowError, Page, Progress, blob_of};
use sterna_account::fork::{Fork, parted};
use sterna_account::{Content, Role};
use sterna_base::limits::BLOB_CHUNK_BYTES;
use sterna_base::{BlobHash, ContainerId, Epoch, Modseq, Timestamp, Uid};

use super::answers::{FollowingSaid, Lag};
use super::limits;

/// The one thing to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Ask the own store how far it is, and which forks it knows.
    OwnProgress,
    /// Ask the source for the page after this place; when there is nothing, it may answer later.
    Page(Progress),
    /// Ask the own store which of these contents it lacks.
    Lacking(Vec<BlobHash>),
    /// Ask the source for these contents, as many as one answer carries.
    Blobs(Vec<BlobHash>),
    /// Ask the source for these bytes of a long content, and stage them in the own store.
    Range {
        /// Which content.
        hash: BlobHash,
        /// Its bytes; a range that begins at zero begins a new staged content.
        range: Range<u64>,
    },
    /// End the staging of a long content.
    Staged(BlobHash),
    /// Apply this page with these contents to the own store.
    Apply(Page, Vec<CopiedBlob>),
    /// The copy differs, nobody knows where: compare all containers of both
    /// ([`sterna_account::follow::differing`]).
    Compare,
    /// Forget this container in the own store: it differs and is copied again.
    Forget(ContainerId),
    /// Ask the source for this container, after this UID.
    ContainerPage(ContainerId, Uid),
    /// Apply this page of a container with these contents to the own store.
    ApplyContainer(ContainerPage, Vec<CopiedBlob>),
    /// Nothing else helped: make a new store in the place of this one, and follow from its start.
    CopyAnew,
    /// The own store has commits that the account lacks since this fork: keep it aside and say so, make a new one, and
    /// follow from its start.
    SetAside(Fork),
    /// Nothing before this.
    Wait(Timestamp),
    /// The store doesn't follow any more: look at its duty.
    Stop,
}

/// One store that follows.
#[derive(Debug)]
pub struct Following {
    state: State,
    /// The store's epoch: a source of an earlier one is not the account any more.
    epoch: Epoch,
    /// Those that the own store knows.
    forks: Vec<Fork>,
    pause_ms: i64,
    equal_at: Option<Modseq>,
    lag: Lag,
    /// Containers that differ and wait to be copied again.
    to_repair: Vec<ContainerId>,
    repairs: u32,
    is_differing: bool,
    differed: u64,
}

#[derive(Debug)]
enum State {
    Progress,
    Page(Progress),
    Lacking(Bundle),
    Fetching(Fetching),
    Applying(Bundle, Vec<CopiedBlob>),
    Comparing,
    Forgetting(ContainerId),
    Container(ContainerId, Uid),
    CopyingAnew,
    SettingAside(Fork),
    Waiting(Timestamp),
    Stopped,
}

/// Rows on their way into the own store.
#[derive(Clone, Debug)]
enum Bundle {
    Page(Page),
    Container(ContainerPage),
}

#[derive(Debug)]
struct Fetching {
    bundle: Bundle,
    wanted: Vec<BlobHash>,
    /// Contents that are too long to be given inside; the last is being staged.
    long: Vec<CopiedBlob>,
    /// How much of the last of `long` is staged.
    staged: u64,
    have: Vec<CopiedBlob>,
}

impl Following {
    /// A store of this epoch that begins, or goes on, to follow.
    pub fn new(epoch: Epoch) -> Self {
        Following {
            state: State::Progress,
            epoch,
            forks: Vec::new(),
            pause_ms: limits::FOLLOW_PAUSE_MIN_MS,
            equal_at: None,
            lag: Lag { rows: u64::MAX, bytes: u64::MAX },
            to_repair: Vec::new(),
            repairs: 0,
            is_differing: false,
            differed: 0,
        }
    }

    /// How it goes, as the main node is told.
    pub fn said(&self) -> FollowingSaid {
        FollowingSaid { equal_at: self.equal_at, lag: self.lag, differs: self.is_differing }
    }

    /// How often it was found to differ since it began. Each is worth an alarm.
    pub fn differed(&self) -> u64 {
        self.differed
    }

    /// What to do next.
    pub fn next(&self) -> Ask {
        match &self.state {
            State::Progress => Ask::OwnProgress,
            State::Page(progress) => Ask::Page(*progress),
            State::Lacking(bundle) => Ask::Lacking(bundle.blobs()),
            State::Fetching(fetching) => fetching.next(),
            State::Applying(Bundle::Page(page), blobs) => Ask::Apply(page.clone(), blobs.clone()),
            State::Applying(Bundle::Container(page), blobs) => Ask::ApplyContainer(page.clone(), blobs.clone()),
            State::Comparing => Ask::Compare,
            State::Forgetting(id) => Ask::Forget(*id),
            State::Container(id, after) => Ask::ContainerPage(*id, *after),
            State::CopyingAnew => Ask::CopyAnew,
            State::SettingAside(fork) => Ask::SetAside(*fork),
            State::Waiting(until) => Ask::Wait(*until),
            State::Stopped => Ask::Stop,
        }
    }

    /// How far the own store is, and which forks it knows.
    pub fn on_progress(&mut self, progress: Progress, forks: Vec<Fork>) {
        self.forks = forks;
        self.state = State::Page(progress);
    }

    /// A page came.
    pub fn on_page(&mut self, page: Page, now: Timestamp) {
        // A copy that is asked by mistake (the directory here is behind) may lack what this one has.
        let is_account = matches!(page.head.role, Role::Active | Role::Sealed) && page.head.epoch >= self.epoch;
        if !is_account {
            return self.on_failed(now);
        }
        if let State::Page(own) = &self.state
            && let Some(fork) = parted(own, &self.forks, &page.forks)
        {
            (self.is_differing, self.equal_at) = (true, None);
            // Without rows of its own there is nothing to keep.
            let has_own_rows = own.rows > fork.at.rows;
            self.state = if has_own_rows { State::SettingAside(fork) } else { State::CopyingAnew };
            return;
        }
        // What this page brings is of the source's history, and is applied together with where that forked.
        self.forks.clone_from(&page.forks);
        self.lag.rows = if page.is_last { page.rows.len() as u64 } else { u64::MAX };
        self.state = State::Lacking(Bundle::Page(page));
    }

    /// A page of a container came.
    pub fn on_container_page(&mut self, page: ContainerPage) {
        self.state = State::Lacking(Bundle::Container(page));
    }

    /// Which contents of the page the own store lacks.
    pub fn on_lacking(&mut self, lacking: Vec<BlobHash>) {
        let State::Lacking(bundle) = std::mem::replace(&mut self.state, State::Progress) else { return };
        if let Bundle::Page(page) = &bundle {
            let sizes: BTreeMap<_, _> = page.rows.iter().filter_map(blob_of).collect();
            self.lag.bytes = lacking.iter().filter_map(|hash| sizes.get(hash)).sum();
        }
        self.fetch(Fetching { bundle, wanted: lacking, long: Vec::new(), staged: 0, have: Vec::new() });
    }

    /// Contents came: some of those asked for, in their order. Those before the last that came, or all when none came,
    /// are no longer at the source.
    pub fn on_blobs(&mut self, blobs: Vec<CopiedBlob>, now: Timestamp) {
        let State::Fetching(mut fetching) = std::mem::replace(&mut self.state, State::Progress) else { return };
        let mut gone = Vec::new();
        if blobs.is_empty() {
            gone.append(&mut fetching.wanted);
        }
        for blob in blobs {
            let Some(at) = fetching.wanted.iter().position(|wanted| *wanted == blob.hash) else {
                return self.on_failed(now);
            };
            gone.extend(fetching.wanted.drain(..=at).take(at));
            match blob.content {
                Content::Inline(_) => fetching.have.push(blob),
                Content::Stored(_) => fetching.long.push(blob),
            }
        }
        fetching.bundle.forget_blobs(&gone);
        self.fetch(fetching);
    }

    /// So many bytes of the range came and are staged; zero when the source no longer has the content.
    pub fn on_range(&mut self, bytes: u64) {
        let State::Fetching(fetching) = &mut self.state else { return };
        fetching.staged += bytes;
        if bytes == 0
            && let Some(gone) = fetching.long.pop()
        {
            fetching.bundle.forget_blobs(&[gone.hash]);
            fetching.staged = 0;
            self.refetch();
        }
    }

    /// The staged content has this name.
    pub fn on_staged(&mut self, hash: BlobHash) {
        let State::Fetching(fetching) = &mut self.state else { return };
        fetching.staged = 0;
        if fetching.long.last().is_some_and(|blob| blob.hash == hash) {
            fetching.have.extend(fetching.long.pop());
        }
        self.refetch();
    }

    /// What applying came to.
    pub fn on_applied(&mut self, applied: Result<Applied, FollowError>, now: Timestamp) {
        match applied {
            Ok(applied) => {
                self.pause_ms = limits::FOLLOW_PAUSE_MIN_MS;
                if applied.is_equal {
                    self.equal_at = Some(applied.modseq);
                    (self.is_differing, self.repairs) = (false, 0);
                    self.lag = Lag::default();
                }
                self.state = State::Page(applied.progress);
            }
            Err(FollowError::Differs(containers)) => self.differs(containers),
            Err(error) => self.refused(error, now),
        }
    }

    /// The containers in which both copies differ.
    pub fn on_compared(&mut self, differing: Vec<ContainerId>) {
        self.to_repair = differing;
        self.repair_next(State::CopyingAnew);
    }

    /// So many rows of the container were forgotten; zero when none is left.
    pub fn on_forgotten(&mut self, rows: Result<u64, FollowError>, now: Timestamp) {
        match (&self.state, rows) {
            (State::Forgetting(id), Ok(0)) => self.state = State::Container(*id, Uid(0)),
            (_, Ok(_)) => {}
            (_, Err(error)) => self.refused(error, now),
        }
    }

    /// What applying a page of a container came to.
    pub fn on_container_applied(&mut self, applied: Result<(), FollowError>, now: Timestamp) {
        match (&self.state, applied) {
            (State::Applying(Bundle::Container(ContainerPage { id, next: Some(next), .. }), _), Ok(())) => {
                self.state = State::Container(*id, *next);
            }
            (_, Ok(())) => self.repair_next(State::Progress),
            (_, Err(error)) => self.refused(error, now),
        }
    }

    /// A new store was made in the place of this one.
    pub fn on_copied_anew(&mut self, epoch: Epoch) {
        *self = Following { differed: self.differed, is_differing: true, ..Following::new(epoch) };
    }

    /// The source, or the own store, did not answer.
    pub fn on_failed(&mut self, now: Timestamp) {
        self.state = State::Waiting(now.plus_ms(self.pause_ms));
        self.pause_ms = (self.pause_ms * 2).min(limits::FOLLOW_PAUSE_MAX_MS);
    }

    /// The pause is over.
    pub fn on_waited(&mut self) {
        self.state = State::Progress;
    }

    fn differs(&mut self, containers: Vec<ContainerId>) {
        (self.is_differing, self.equal_at) = (true, None);
        self.differed += 1;
        self.repairs += 1;
        if self.repairs > limits::REPAIRS_MAX {
            self.state = State::CopyingAnew;
            return;
        }
        self.to_repair = containers;
        self.repair_next(State::Comparing);
    }

    /// Goes on with the next container that differs, or with this when there is none.
    fn repair_next(&mut self, otherwise: State) {
        self.state = self.to_repair.pop().map_or(otherwise, State::Forgetting);
    }

    fn refused(&mut self, error: FollowError, now: Timestamp) {
        match error {
            FollowError::NotFollowing => self.state = State::Stopped,
            // The page came twice, the rows changed while their contents were fetched, or the store is in trouble.
            // After the pause the own store is asked how far it is.
            _ => self.on_failed(now),
        }
    }

    fn refetch(&mut self) {
        if let State::Fetching(fetching) = std::mem::replace(&mut self.state, State::Progress) {
            self.fetch(fetching);
        }
    }

    fn fetch(&mut self, fetching: Fetching) {
        let has_all = fetching.wanted.is_empty() && fetching.long.is_empty();
        self.state = if has_all { State::Applying(fetching.bundle, fetching.have) } else { State::Fetching(fetching) };
    }
}

impl Bundle {
    fn blobs(&self) -> Vec<BlobHash> {
        match self {
            Bundle::Page(page) => page.blobs(),
            Bundle::Container(page) => page.blobs(),
        }
    }

    fn forget_blobs(&mut self, gone: &[BlobHash]) {
        match self {
            Bundle::Page(page) => page.forget_blobs(gone),
            Bundle::Container(page) => page.forget_blobs(gone),
        }
    }
}

impl Fetching {
    fn next(&self) -> Ask {
        match self.long.last() {
            _ if !self.wanted.is_empty() => Ask::Blobs(self.wanted.clone()),
            Some(blob) if self.staged < blob.size => {
                let end = blob.size.min(self.staged + BLOB_CHUNK_BYTES as u64);
                Ask::Range { hash: blob.hash, range: self.staged..end }
            }
            Some(blob) => Ask::Staged(blob.hash),
            // Not reached: what has all its contents is applied.
            None => Ask::OwnProgress,
        }
    }
}
