//! What the node remembers for the API until it ends: how large accounts are, how fast jobs go, since when servers
//! answer. All of it can be asked for again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use sterna_account::turns::AccountTurns;
use sterna_base::{AccountId, JobId, NodeId, Timestamp};
use sterna_migration::cyrus::mirror::Mirror;
use sterna_migration::run::job::Imports;
use tokio::sync::Semaphore;

use super::doors::{AdminState, ProvisionError};
use super::meter::Meter;
use super::passkeys::challenges::Challenges;

/// Sizes that are remembered. All are forgotten when there are more.
const SIZES_MAX: usize = 200_000;
/// A size is asked for again when it is older, in milliseconds: progress and plans need no more than that.
const SIZE_MS_MAX: i64 = 10 * 60 * 1000;
/// Servers asked for sizes at the same time.
const QUESTIONS_MAX: usize = 32;
/// How long a server has to say how large an account is, in milliseconds.
const SIZE_TIMEOUT_MS: u64 = 3_000;
/// Refused deletions that are remembered.
const REFUSALS_MAX: usize = 1000;
/// Accounts whose stores are deleted at the same time.
const DELETING_LOCKS: usize = 16;
/// Jobs whose speed is remembered. All are forgotten when there are more.
const METERS_MAX: usize = 1000;

/// See the module.
#[derive(Default)]
pub struct Memory {
    /// Mail that comes from other servers.
    pub(super) imports: Imports,
    /// What a Cyrus server has told this node, where it may.
    pub cyrus: OnceLock<Mirror>,
    /// One after the other deletes stores of an account.
    pub(super) deleting: AccountTurns<DELETING_LOCKS>,
    /// What browsers were asked about passkeys and have not answered yet.
    pub(super) challenges: Challenges,
    /// How fast those who work as users ask.
    pub(super) sudo_pace: super::sudo::Pace,
    /// Streams of events.
    pub(super) streams: Arc<Streams>,
    sizes: Mutex<HashMap<AccountId, (u64, Timestamp)>>,
    meters: Mutex<HashMap<JobId, Meter>>,
    health: Mutex<HashMap<NodeId, Health>>,
    /// Stores that are to be deleted and that their servers refuse to delete, and why.
    refusals: Mutex<BTreeMap<(AccountId, NodeId), String>>,
    /// Why a lost server is not failed over by itself.
    left_alone: Mutex<Option<String>>,
}

/// Streams of events that are open, by who has them.
#[derive(Default)]
pub(super) struct Streams(Mutex<HashMap<String, usize>>);

/// One of them; it is none any more when dropped.
pub(super) struct OpenStream {
    streams: Arc<Streams>,
    whose: String,
}

impl Streams {
    /// One more, unless whoever asks has so many.
    pub(super) fn open(self: &Arc<Self>, whose: &str, most: usize) -> Option<OpenStream> {
        let mut open = self.0.lock();
        let count = open.entry(whose.to_owned()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(OpenStream { streams: self.clone(), whose: whose.to_owned() })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.streams.0.lock();
        if let Some(count) = open.get_mut(&self.whose) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.whose);
            }
        }
    }
}

/// Whether a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether it did when it was last asked.
    pub answers: bool,
    /// Since when that is so, as far as this node knows.
    pub since: Timestamp,
}

impl Memory {
    /// Notes whether a server answered.
    pub fn note_health(&self, server: NodeId, answers: bool, now: Timestamp) {
        let mut health = self.health.lock();
        let known = health.entry(server).or_insert(Health { answers, since: now });
        if known.answers != answers {
            *known = Health { answers, since: now };
        }
    }

    /// Notes what came of deleting a store: that a server refused is told until it no longer does.
    pub(super) fn note_refusal(&self, account: AccountId, server: NodeId, error: Option<&ProvisionError>) {
        let mut refusals = self.refusals.lock();
        match error {
            None => _ = refusals.remove(&(account, server)),
            Some(ProvisionError::Refused { cause, .. }) if refusals.len() < REFUSALS_MAX => {
                refusals.insert((account, server), cause.clone());
            }
            Some(_) => {}
        }
    }

    /// Stores that their servers refuse to delete.
    pub(super) fn refusals(&self) -> Vec<(AccountId, NodeId, String)> {
        let refusals = self.refusals.lock();
        refusals.iter().map(|((account, server), cause)| (*account, *server, cause.clone())).collect()
    }

    /// Whether a server answers; `None` when it was not asked yet.
    pub fn health(&self, server: NodeId) -> Option<Health> {
        self.health.lock().get(&server).copied()
    }

    /// Notes why a lost server is not failed over by itself, or that none is lost; whether that is news.
    pub(super) fn note_left_alone(&self, why: Option<String>) -> bool {
        let mut left_alone = self.left_alone.lock();
        let is_news = *left_alone != why;
        *left_alone = why;
        is_news
    }

    /// Why a lost server is not failed over by itself, if one is.
    pub(super) fn left_alone(&self) -> Option<String> {
        self.left_alone.lock().clone()
    }

    /// Does something with the meter of a job.
    pub(super) fn meter<T>(&self, job: JobId, work: impl FnOnce(&mut Meter) -> T) -> T {
        let mut meters = self.meters.lock();
        if meters.len() >= METERS_MAX && !meters.contains_key(&job) {
            meters.clear();
        }
        work(meters.entry(job).or_default())
    }

    fn size(&self, account: AccountId, now: Timestamp) -> Option<u64> {
        let (bytes, at) = *self.sizes.lock().get(&account)?;
        (now.0 - at.0 < SIZE_MS_MAX).then_some(bytes)
    }

    fn note_size(&self, account: AccountId, bytes: u64, now: Timestamp) {
        let mut sizes = self.sizes.lock();
        if sizes.len() >= SIZES_MAX {
            sizes.clear();
        }
        sizes.insert(account, (bytes, now));
    }
}

impl AdminState {
    /// How large accounts are, in bytes: what is remembered, and at most `asked_max` asked for, a bounded number at a
    /// time. A server that doesn't answer once is not asked again; what isn't in the answer is not known.
    pub(super) async fn sizes(&self, accounts: &[(AccountId, NodeId)], asked_max: usize) -> HashMap<AccountId, u64> {
        let now = self.directory.now();
        let mut known = HashMap::with_capacity(accounts.len());
        let mut unknown = Vec::new();
        for (account, server) in accounts {
            match self.memory.size(*account, now) {
                Some(bytes) => _ = known.insert(*account, bytes),
                None => unknown.push((*account, *server)),
            }
        }
        unknown.truncate(asked_max);
        let (gate, down) = (Arc::new(Semaphore::new(QUESTIONS_MAX)), Arc::new(Mutex::new(HashSet::new())));
        let mut asked = tokio::task::JoinSet::new();
        for (account, server) in unknown {
            let (state, gate, down) = (self.clone(), gate.clone(), down.clone());
            asked.spawn(async move {
                let _permit = gate.acquire_owned().await.ok()?;
                if down.lock().contains(&server) {
                    return None;
                }
                match state.size(account).await {
                    Ok(bytes) => Some((account, bytes)),
                    Err(error) => {
                        if matches!(error, ProvisionError::Unreachable { .. }) {
                            down.lock().insert(server);
                        }
                        None
                    }
                }
            });
        }
        while let Some(done) = asked.join_next().await {
            if let Ok(Some((account, bytes))) = done {
                self.memory.note_size(account, bytes, now);
                known.insert(account, bytes);
            }
        }
        known
    }

    async fn size(&self, account: AccountId) -> Result<u64, ProvisionError> {
        let wait = Duration::from_millis(SIZE_TIMEOUT_MS);
        match tokio::time::timeout(wait, self.provision.usage(account)).await {
            Ok(answer) => answer.map(|quota| quota.bytes_used),
            Err(_) => {
                let cause = format!("no answer within {SIZE_TIMEOUT_MS} ms");
                Err(ProvisionError::Unreachable { server: self.node.id, cause })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_has_the_time_of_the_last_change() {
        let (memory, server) = (Memory::default(), NodeId([1; 16]));
        assert_eq!(memory.health(server), None);
        for (answers, at, since) in [(true, 1, 1), (true, 2, 1), (false, 3, 3), (false, 4, 3), (true, 5, 5)] {
            memory.note_health(server, answers, Timestamp(at));
            assert_eq!(memory.health(server), Some(Health { answers, since: Timestamp(since) }));
        }
    }

    #[test]
    fn sizes_grow_old() {
        let (memory, account) = (Memory::default(), AccountId(1));
        memory.note_size(account, 17, Timestamp(0));
        assert_eq!(memory.size(account, Timestamp(SIZE_MS_MAX - 1)), Some(17));
        assert_eq!(memory.size(account, Timestamp(SIZE_MS_MAX)), None);
    }

    #[test]
    fn streams_are_counted_for_each_and_given_back() {
        let streams: Arc<Streams> = Arc::default();
        let first = streams.open("ana", 1).unwrap();
        assert!(streams.open("ana", 1).is_none() && streams.open("ben", 1).is_some());
        drop(first);
        assert!(streams.open("ana", 1).is_some());
        assert!(streams.0.lock().is_empty());
    }
}
