//! What a copy asks next: pages, contents that it lacks, and its own store to apply them.
//!
//! The executor asks [`Following::next`], does that one thing, and tells what came of it by the `on_` method of that
//! name. An answer that comes late, or twice, after the executor gave up on it must not be told.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use sterna_account::follow::{Applied, CopiedBlob, FollowError, Page, Progress};
use sterna_account::{Content, Role};
use sterna_base::limits::{BLOB_CHUNK_BYTES, INLINE_BLOB_BYTES_MAX};
use sterna_base::{BlobHash, ContainerId, Epoch, Modseq, Timestamp};

use super::answers::{FollowingSaid, Lag};
use super::{limits, portion};

/// The one thing to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Ask the own store how far it is.
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
    /// Copy these containers again, and raise an alarm: the copy is at the source's head and not equal.
    CopyAnew(Vec<ContainerId>),
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
    rest: Option<Page>,
    pause_ms: i64,
    gone: u32,
    equal_at: Option<Modseq>,
    lag: Lag,
    is_differing: bool,
    differed: u64,
}

#[derive(Debug)]
enum State {
    Progress,
    Page(Progress),
    Lacking(Page),
    Fetching(Fetching),
    Applying(Page, Vec<CopiedBlob>),
    Differs(Vec<ContainerId>),
    Waiting(Timestamp),
    Stopped,
}

#[derive(Debug)]
struct Fetching {
    page: Page,
    wanted: Vec<BlobHash>,
    long: Vec<CopiedBlob>,
    /// How much of the last of `long` is staged.
    staged: u64,
    have: Vec<CopiedBlob>,
}

impl Following {
    /// A store of this epoch that begins, or goes on, to follow. `equal_at` is where it is known to have been equal.
    pub fn new(epoch: Epoch) -> Self {
        Following {
            state: State::Progress,
            epoch,
            rest: None,
            pause_ms: limits::FOLLOW_PAUSE_MIN_MS,
            gone: 0,
            equal_at: None,
            lag: Lag { rows: u64::MAX, bytes: u64::MAX },
            is_differing: false,
            differed: 0,
        }
    }

    /// How it goes, as the main node is told.
    pub fn said(&self) -> FollowingSaid {
        FollowingSaid { equal_at: self.equal_at, lag: self.lag, differs: self.is_differing }
    }

    /// How often it was found to differ, since it began.
    pub fn differed(&self) -> u64 {
        self.differed
    }

    /// What to do next.
    pub fn next(&self) -> Ask {
        match &self.state {
            State::Progress => Ask::OwnProgress,
            State::Page(progress) => Ask::Page(*progress),
            State::Lacking(page) => Ask::Lacking(portion::contents(page).into_keys().collect()),
            State::Fetching(fetching) => fetching.next(),
            State::Applying(page, blobs) => Ask::Apply(page.clone(), blobs.clone()),
            State::Differs(containers) => Ask::CopyAnew(containers.clone()),
            State::Waiting(until) => Ask::Wait(*until),
            State::Stopped => Ask::Stop,
        }
    }

    /// How far the own store is.
    pub fn on_progress(&mut self, progress: Progress) {
        self.rest = None;
        self.state = State::Page(progress);
    }

    /// A page came.
    pub fn on_page(&mut self, page: Page, now: Timestamp) {
        // A copy that is asked by mistake (the directory here is behind) may lack what this one has.
        let is_account = matches!(page.head.role, Role::Active | Role::Sealed) && page.head.epoch >= self.epoch;
        if !is_account {
            return self.pause(now);
        }
        self.lag.rows = if page.is_last { page.rows.len() as u64 } else { u64::MAX };
        self.lag.bytes = 0;
        self.state = State::Lacking(page);
    }

    /// Which contents of the page the own store lacks.
    pub fn on_lacking(&mut self, lacking: &BTreeSet<BlobHash>) {
        let State::Lacking(page) = std::mem::replace(&mut self.state, State::Progress) else { return };
        let mut lacking: BTreeMap<_, _> =
            portion::contents(&page).into_iter().filter(|(hash, _)| lacking.contains(hash)).collect();
        // The rest of a page that was cut is counted with its first portion.
        self.lag.bytes = self.lag.bytes.max(lacking.values().sum());
        let (page, rest) = portion::cut(page, &lacking, INLINE_BLOB_BYTES_MAX as u64);
        let here = portion::contents(&page);
        lacking.retain(|hash, _| here.contains_key(hash));
        self.rest = rest;
        let wanted = lacking.into_keys().collect();
        self.fetch(Fetching { page, wanted, long: Vec::new(), staged: 0, have: Vec::new() });
    }

    /// Contents came: some of those asked for, in their order. A source leaves out what it no longer has.
    pub fn on_blobs(&mut self, blobs: Vec<CopiedBlob>, now: Timestamp) {
        let State::Fetching(mut fetching) = std::mem::replace(&mut self.state, State::Progress) else { return };
        // Those before the last that came were not left out for lack of room: they are gone, and so is the row.
        let is_in_order = fetching.wanted.iter().zip(&blobs).all(|(wanted, came)| *wanted == came.hash);
        if blobs.is_empty() || !is_in_order || blobs.len() > fetching.wanted.len() {
            return self.ask_anew(now);
        }
        fetching.wanted.drain(..blobs.len());
        for blob in blobs {
            match blob.content {
                Content::Inline(_) => fetching.have.push(blob),
                Content::Stored(_) => fetching.long.push(blob),
            }
        }
        self.fetch(fetching);
    }

    /// So many bytes of the range came and are staged; zero when the source no longer has the content.
    pub fn on_range(&mut self, bytes: u64, now: Timestamp) {
        match &mut self.state {
            State::Fetching(_) if bytes == 0 => self.ask_anew(now),
            State::Fetching(fetching) => fetching.staged += bytes,
            _ => {}
        }
    }

    /// The staged content has this name.
    pub fn on_staged(&mut self, hash: BlobHash) {
        let State::Fetching(mut fetching) = std::mem::replace(&mut self.state, State::Progress) else { return };
        fetching.staged = 0;
        if fetching.long.last().is_some_and(|blob| blob.hash == hash) {
            fetching.have.extend(fetching.long.pop());
        }
        self.fetch(fetching);
    }

    /// What applying came to.
    pub fn on_applied(&mut self, applied: Result<Applied, FollowError>, now: Timestamp) {
        match applied {
            Ok(applied) => {
                (self.gone, self.pause_ms) = (0, limits::FOLLOW_PAUSE_MIN_MS);
                if applied.is_equal {
                    self.equal_at = Some(applied.modseq);
                    self.is_differing = false;
                    self.lag = Lag::default();
                }
                self.state = match self.rest.take() {
                    Some(rest) => State::Lacking(rest),
                    None => State::Page(applied.progress),
                };
            }
            Err(FollowError::NotNext) => self.state = State::Progress,
            Err(FollowError::NoSuchBlob(_)) => self.ask_anew(now),
            Err(FollowError::Differs(containers)) => {
                self.is_differing = true;
                self.equal_at = None;
                self.differed += 1;
                self.state = State::Differs(containers);
            }
            Err(FollowError::NotFollowing) => self.state = State::Stopped,
            Err(FollowError::WrongBlob(_) | FollowError::Store(_)) => self.pause(now),
        }
    }

    /// The containers are made ready to be copied again: begin with the own store's progress.
    pub fn on_copied_anew(&mut self) {
        self.rest = None;
        self.state = State::Progress;
    }

    /// The source, or the own store, did not answer.
    pub fn on_failed(&mut self, now: Timestamp) {
        self.pause(now);
    }

    /// The pause is over.
    pub fn on_waited(&mut self) {
        self.state = State::Progress;
    }

    /// The source, or this store, is not what it was: begin anew.
    pub fn restart(&mut self, epoch: Epoch) {
        *self = Following { differed: self.differed, ..Following::new(epoch) };
    }

    fn fetch(&mut self, fetching: Fetching) {
        self.state = match fetching {
            Fetching { page, wanted, long, have, .. } if wanted.is_empty() && long.is_empty() => {
                State::Applying(page, have)
            }
            fetching => State::Fetching(fetching),
        };
    }

    /// A content is gone at the source: the row that named it has changed since.
    fn ask_anew(&mut self, now: Timestamp) {
        self.gone += 1;
        self.rest = None;
        if self.gone > limits::GONE_REPEATS_MAX {
            return self.pause(now);
        }
        self.state = State::Progress;
    }

    fn pause(&mut self, now: Timestamp) {
        self.rest = None;
        self.state = State::Waiting(now.plus_ms(self.pause_ms));
        self.pause_ms = (self.pause_ms * 2).min(limits::FOLLOW_PAUSE_MAX_MS);
    }
}

impl Fetching {
    fn next(&self) -> Ask {
        if !self.wanted.is_empty() {
            return Ask::Blobs(self.wanted.clone());
        }
        match self.long.last() {
            Some(blob) if self.staged < blob.size => {
                let end = blob.size.min(self.staged + BLOB_CHUNK_BYTES as u64);
                Ask::Range { hash: blob.hash, range: self.staged..end }
            }
            Some(blob) => Ask::Staged(blob.hash),
            // `fetch` goes on to apply as soon as nothing is wanted.
            None => Ask::OwnProgress,
        }
    }
}
