//! How long users wait for this node's stores: what work in the background must not make worse.
//!
//! Only what sessions and deliveries ask is measured, never what copies, checks and purges do, nor what is done
//! [`in_background`]. Noting costs two readings of the clock and two atomic additions.

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of each octave. Neighbours differ by an eighth at most.
const PER_OCTAVE: usize = 8;
/// Octaves, from microseconds up: the last ends beyond two minutes.
const OCTAVES: usize = 25;
/// Buckets in all.
const BUCKETS: usize = PER_OCTAVE * OCTAVES;

tokio::task_local! {
    /// Set in tasks that nobody waits for.
    static BACKGROUND: ();
}

/// Does work that nobody waits for, by the handles that sessions use: how long it takes is not how long users wait.
/// Tasks that it spawns don't inherit that.
pub async fn in_background<F: Future>(work: F) -> F::Output {
    BACKGROUND.scope((), work).await
}

/// What users wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// An answer from what is there.
    Read,
    /// A change that is durable.
    Commit,
}

/// Collects how long users waited. One for all accounts of a node.
pub struct Latency {
    reads: [AtomicU32; BUCKETS],
    commits: [AtomicU32; BUCKETS],
    noted: AtomicU64,
}

impl Default for Latency {
    fn default() -> Self {
        let none = || std::array::from_fn(|_| AtomicU32::new(0));
        Latency { reads: none(), commits: none(), noted: AtomicU64::new(0) }
    }
}

impl Latency {
    /// Notes that somebody waited so long, unless this is done [`in_background`].
    pub fn note(&self, what: Waited, time: Duration) {
        if BACKGROUND.try_with(|()| ()).is_ok() {
            return;
        }
        let counts = match what {
            Waited::Read => &self.reads,
            Waited::Commit => &self.commits,
        };
        if let Some(count) = counts.get(bucket(time)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.noted.fetch_add(1, Ordering::Relaxed);
    }

    /// Somebody else is at work whom users may wait for: a copy.
    pub fn note_copy(&self) {
        self.noted.fetch_add(1, Ordering::Relaxed);
    }

    /// How many waited or copied so far: whether anybody is there.
    pub fn noted(&self) -> u64 {
        self.noted.load(Ordering::Relaxed)
    }

    /// What was noted since this was last asked: reads and commits.
    pub fn take(&self) -> (Times, Times) {
        let taken = |counts: &[AtomicU32; BUCKETS]| Times {
            weights: counts.iter().map(|count| count.swap(0, Ordering::Relaxed) as f32).collect(),
        };
        (taken(&self.reads), taken(&self.commits))
    }
}

/// How many waited how long. Older ones can be made to count less.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// One for each bucket; empty is all zero.
    weights: Vec<f32>,
}

impl Times {
    /// Notes one.
    pub fn note(&mut self, time: Duration) {
        self.weights.resize(BUCKETS, 0.0);
        self.weights[bucket(time)] += 1.0;
    }

    /// Adds all of these.
    pub fn add(&mut self, others: &Times) {
        self.weights.resize(BUCKETS, 0.0);
        self.weights.iter_mut().zip(&others.weights).for_each(|(own, other)| *own += other);
    }

    /// Lets all that is here count only so much, from 0 to 1.
    pub fn fade(&mut self, share: f32) {
        self.weights.iter_mut().for_each(|weight| *weight *= share);
    }

    /// How many there are, by what they count.
    pub fn count(&self) -> f32 {
        self.weights.iter().sum()
    }

    /// The time that this share of them (0 to 1) did not exceed; zero when there are none.
    pub fn quantile(&self, share: f32) -> Duration {
        let wanted = self.count() * share;
        let mut passed = 0.0;
        let mut last = 0;
        for (at, weight) in self.weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            (passed, last) = (passed + weight, at);
            if passed >= wanted {
                break;
            }
        }
        Duration::from_micros(if passed > 0.0 { middle(last) } else { 0 })
    }
}

/// The bucket of a time: below eight microseconds one each, then eight for each octave.
fn bucket(time: Duration) -> usize {
    let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let Some(octave) = us.checked_ilog2().map(|log| log as usize).filter(|log| *log >= 3) else { return us as usize };
    let within = (us >> (octave - 3)) as usize % PER_OCTAVE;
    ((octave - 2) * PER_OCTAVE + within).min(BUCKETS - 1)
}

/// A time in the middle of a bucket, in microseconds.
fn middle(bucket: usize) -> u64 {
    if bucket < PER_OCTAVE {
        return bucket as u64;
    }
    let width = 1_u64 << (bucket / PER_OCTAVE - 1);
    width * (PER_OCTAVE + bucket % PER_OCTAVE) as u64 + width / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_known_to_within_an_eighth() {
        for us in (0..100_u64).chain([1_000, 12_345, 999_999, 60_000_000]) {
            let told = middle(bucket(Duration::from_micros(us)));
            assert!(told.abs_diff(us) * 8 <= us.max(1), "{us} is told as {told}");
        }
        assert_eq!(bucket(Duration::from_secs(1 << 40)), BUCKETS - 1);
        let ascending = (0..1_000_000_u64).map(|us| bucket(Duration::from_micros(us)));
        assert!(ascending.is_sorted(), "longer times are in later buckets");
    }

    #[test]
    fn quantiles_are_of_what_was_noted_since() {
        let latency = Latency::default();
        (1..=1000).for_each(|ms| latency.note(Waited::Commit, Duration::from_millis(ms)));
        latency.note(Waited::Read, Duration::from_millis(3));
        let (reads, commits) = latency.take();
        assert_eq!((reads.count(), commits.count()), (1.0, 1000.0));
        let near = |time: Duration, ms: u128| time.as_micros().abs_diff(ms * 1000) * 8 <= ms * 1000;
        assert!(near(commits.quantile(0.5), 500) && near(commits.quantile(0.99), 990), "{commits:?}");
        assert!(near(reads.quantile(0.99), 3));
        assert_eq!(latency.take().1.quantile(0.99), Duration::ZERO, "what was taken is gone");
    }

    #[test]
    fn what_is_older_counts_less() {
        let mut times = Times::default();
        (0..100).for_each(|_| times.note(Duration::from_millis(100)));
        times.fade(0.01);
        (0..9).for_each(|_| times.note(Duration::from_millis(1)));
        let mut added = Times::default();
        added.add(&times);
        assert!(added.quantile(0.8) < Duration::from_millis(2) && added.quantile(0.95) > Duration::from_millis(90));
    }

    #[tokio::test]
    async fn what_is_done_in_the_background_is_not_waited_for() {
        let latency = Latency::default();
        in_background(async {
            latency.note(Waited::Commit, Duration::from_millis(10));
            tokio::task::yield_now().await;
            latency.note(Waited::Read, Duration::from_millis(10));
        })
        .await;
        let (reads, commits) = latency.take();
        assert_eq!((latency.noted(), reads.count() as u32, commits.count() as u32), (0, 0, 0));
        latency.note(Waited::Read, Duration::from_millis(10));
        assert_eq!(latency.noted(), 1);
    }
}
