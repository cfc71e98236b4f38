//! How fast copies go on this server: not so fast that its users feel it ([`control`]), and not faster than an
//! administrator allows. What source and target do for copies is paid for here; each server looks after its own users.
//!
//! What follows closely is paid for and never waits: a cut-over, or an acknowledgement, may wait for it.

mod bucket;
mod control;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sterna_account::local::latency::Latency;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use bucket::Bucket;
pub use control::Slowed;
use control::{Control, Look};

use crate::limits::COPIED_BLOBS_BYTES_MAX;

/// How often the speed is decided, in milliseconds.
const LOOK_MS: u64 = 250;
/// What waits looks so often whether it may go on, in milliseconds: the rate may have changed.
const WAIT_MS_MAX: u64 = 250;
/// How long nothing may have been copied before there is nothing to copy.
const IDLE: Duration = Duration::from_secs(2);
/// Limits below this, in bytes a second, are this: one answer may be that long.
const LIMIT_MIN: u64 = 64 * 1024;
/// An answer carries at most what may go in this time, so that the disk is free for others in between.
const ANSWER_SECONDS: f64 = 0.25;

/// How fast copies go on a server, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speed {
    /// What they take now.
    pub bytes_per_second: u64,
    /// What they may take; `None` is as much as goes.
    #[serde(default)]
    pub allowed_bytes_per_second: Option<u64>,
    /// Why they may not take more.
    #[serde(default)]
    pub slowed: Option<Slowed>,
}

/// The speed of all copies of a node, to it and from it.
pub struct Throttle {
    latency: Arc<Latency>,
    state: Mutex<State>,
    waiting: AtomicUsize,
}

struct State {
    control: Control,
    bucket: Bucket,
    limit: Option<u64>,
    looked_at: Instant,
    passed_at: Instant,
    taken_at: Option<Instant>,
    copied_bytes: u64,
}

impl State {
    fn rate(&self) -> Option<f64> {
        let limit = self.limit.map(|limit| limit as f64);
        match (limit, self.control.rate()) {
            (Some(limit), Some(rate)) => Some(limit.min(rate)),
            (limit, rate) => limit.or(rate),
        }
    }

    fn pass(&mut self, now: Instant) {
        let rate = self.rate();
        self.bucket.pass(now.duration_since(self.passed_at), rate);
        self.passed_at = now;
    }
}

impl Throttle {
    /// For copies beside users whose waits are noted there.
    pub fn new(latency: Arc<Latency>) -> Arc<Self> {
        let now = Instant::now();
        let state = State {
            control: Control::default(),
            bucket: Bucket::default(),
            limit: None,
            looked_at: now,
            passed_at: now,
            taken_at: None,
            copied_bytes: 0,
        };
        Arc::new(Throttle { latency, state: Mutex::new(state), waiting: AtomicUsize::new(0) })
    }

    /// Bytes a second that an administrator allows; zero is no limit.
    pub fn set_limit(&self, bytes_per_second: u64) {
        let limit = (bytes_per_second > 0).then(|| bytes_per_second.max(LIMIT_MIN));
        self.state.lock().limit = limit;
    }

    /// Decides again and again, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(Duration::from_millis(LOOK_MS));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.look(Instant::now()),
            }
        }
    }

    fn look(&self, now: Instant) {
        let (reads, commits) = self.latency.take();
        let mut state = self.state.lock();
        state.pass(now);
        let is_recent = state.taken_at.is_some_and(|at| now.duration_since(at) < IDLE);
        let look = Look {
            time: now.duration_since(state.looked_at),
            waits: [reads, commits],
            copied_bytes: std::mem::take(&mut state.copied_bytes),
            is_copying: is_recent || self.waiting.load(Ordering::Relaxed) > 0,
        };
        state.looked_at = now;
        state.control.look(&look);
    }

    /// Returns when more may be copied, or after `longest`: whoever asked has only so much patience.
    pub async fn wait(&self, longest: Duration) {
        let end = Instant::now().checked_add(longest);
        let _waiting = Counted::new(&self.waiting);
        loop {
            let now = Instant::now();
            let wait = {
                let mut state = self.state.lock();
                state.pass(now);
                state.bucket.wait(state.rate())
            };
            if wait.is_zero() || end.is_some_and(|end| now >= end) {
                return;
            }
            tokio::time::sleep(wait.min(Duration::from_millis(WAIT_MS_MAX))).await;
        }
    }

    /// So much was copied. What was urgent is how users' changes go over at any time: it says nothing of the speed.
    pub fn take(&self, bytes: u64, is_urgent: bool) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.pass(now);
        state.bucket.take(bytes);
        if !is_urgent {
            state.copied_bytes += bytes;
            state.taken_at = Some(now);
        }
    }

    /// Bytes of contents that one answer may carry.
    pub fn answer_bytes_max(&self) -> usize {
        let most = self.state.lock().rate().map_or(f64::INFINITY, |rate| rate * ANSWER_SECONDS);
        (most as usize).clamp(LIMIT_MIN as usize, COPIED_BLOBS_BYTES_MAX)
    }

    /// How fast copies go; `None` when there is nothing to copy.
    pub fn speed(&self) -> Option<Speed> {
        let state = self.state.lock();
        let is_recent = state.taken_at.is_some_and(|at| at.elapsed() < IDLE);
        if !is_recent && self.waiting.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let rate = state.rate();
        let is_set = state.limit.is_some_and(|limit| rate == Some(limit as f64));
        Some(Speed {
            bytes_per_second: state.control.speed() as u64,
            allowed_bytes_per_second: rate.map(|rate| rate as u64),
            slowed: if is_set { Some(Slowed::Setting) } else { state.control.slowed() },
        })
    }
}

/// One that waits, until its waiting ends in whatever way.
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    /// One more.
    pub(super) fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use sterna_account::local::latency::Waited;

    use super::*;

    /// Copies for so long in pieces, and says how many bytes went.
    async fn copy(throttle: &Throttle, time: Duration) -> u64 {
        let (end, mut bytes) = (Instant::now() + time, 0);
        while Instant::now() < end {
            throttle.wait(Duration::from_secs(60)).await;
            throttle.take(64 * 1024, false);
            bytes += 64 * 1024;
            // What it takes at least, so that time goes on without a limit, too.
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_holds_for_all_copies_together() {
        let throttle = Throttle::new(Arc::default());
        throttle.set_limit(1024 * 1024);
        let time = Duration::from_secs(20);
        let (one, other) = tokio::join!(copy(&throttle, time), copy(&throttle, time));
        let mib = (one + other) as f64 / f64::from(1024 * 1024);
        assert!((19.0..22.0).contains(&mib), "{mib} MiB in 20 s");
        assert_eq!(throttle.speed().unwrap().slowed, Some(Slowed::Setting));
        assert_eq!(throttle.answer_bytes_max(), 256 * 1024);
        throttle.set_limit(0);
        assert!(copy(&throttle, Duration::from_secs(1)).await > 30 << 20, "nobody is there to be disturbed");
        assert_eq!(throttle.answer_bytes_max(), COPIED_BLOBS_BYTES_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn copies_give_way_to_users_and_say_so() {
        let latency = Arc::new(Latency::default());
        let throttle = Throttle::new(latency.clone());
        let users = async |ms: u64, seconds: u64| {
            for _ in 0..seconds * 20 {
                latency.note(Waited::Commit, Duration::from_millis(ms));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let stop = CancellationToken::new();
        tokio::spawn(throttle.clone().run(stop.clone()));
        users(12, 10).await;
        assert_eq!(throttle.speed(), None, "nothing is copied");
        let (bytes, ()) = tokio::join!(copy(&throttle, Duration::from_secs(5)), users(38, 5));
        let speed = throttle.speed().unwrap();
        let Some(Slowed::Users { p99_us, usual_us }) = speed.slowed else { panic!("{speed:?}") };
        assert!((34_000..42_000).contains(&p99_us) && (10_500..13_500).contains(&usual_us), "{speed:?}");
        assert!(bytes < 60 << 20, "{bytes} bytes in 5 s");
        assert!(speed.allowed_bytes_per_second.is_some_and(|allowed| allowed >= 1024 * 1024), "{speed:?}");
        stop.cancel();
    }
}
