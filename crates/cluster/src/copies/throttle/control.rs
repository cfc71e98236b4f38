//! How fast copies may go, so that users of this server don't wait noticeably longer than usual. Pure: time is given.
//!
//! As in congestion control: faster step by step while users don't feel it, much slower at once when they do. What is
//! usual is learnt while nothing is copied, and while copies go at their slowest: when users wait long even then, it is
//! not because of the copies, and that is how busy the server is.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sterna_account::local::latency::Times;

/// The slowest, in bytes a second: a copy never stands still because of users.
pub const RATE_MIN: f64 = 1024.0 * 1024.0;
/// Up to this they go about as slowly as they can.
const RATE_SLOW: f64 = 2.0 * RATE_MIN;
/// The first, when there are users.
pub const RATE_START: f64 = 8.0 * RATE_MIN;

/// Users wait too long when they wait this much longer than usual. Below the goal of 1.25, because it is noticed late.
const FACTOR: f64 = 1.2;
/// Less than this is not felt, whatever its part of the usual.
const SLACK: Duration = Duration::from_micros(500);
/// What users felt counts half after this time.
const RECENT_HALF_LIFE: Duration = Duration::from_secs(5);
/// What is usual counts half after this time.
const USUAL_HALF_LIFE: Duration = Duration::from_secs(300);
/// Fewer waits than this say nothing about what is usual.
const USUAL_MIN: f32 = 50.0;
/// Below this many waits of late there are no users.
const USERS_MIN: f32 = 1.0;
/// A quantile is compared when so many waits lie beyond it: one may be chance.
const BEYOND_MIN: f32 = 2.0;
/// The quantiles that are compared.
const QUANTILES: [f32; 3] = [0.90, 0.95, 0.99];
/// The quantile that people are told.
const TOLD: f32 = 0.99;
/// What is left of the rate when users wait too long.
const DECREASE: f64 = 0.6;
/// How long a decrease may show its effect before the next.
const DECREASE_PAUSE: Duration = Duration::from_secs(1);
/// By how much the rate grows in a second as long as users never felt it, as a factor.
const PROBING: f64 = 2.0;
/// By how much it grows in the first second after a decrease, as a part of the rate then.
const INCREASE: f64 = 0.05;
/// The longer nobody feels it, the faster it grows: after this time twice as fast, after twice the time five times.
const INCREASE_DOUBLES: Duration = Duration::from_secs(5);
/// How long copies are at their slowest before that is how long users wait usually.
const BLAMELESS_AFTER: Duration = Duration::from_secs(30);
/// A rate that is used to less than this part doesn't grow: something else limits the copies.
const USED_MIN: f64 = 0.5;
/// The speed of copies is averaged over about this time.
const SPEED_HALF_LIFE: Duration = Duration::from_secs(1);

/// Why copies go slower than they could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub enum Slowed {
    /// An administrator set a limit.
    Setting,
    /// What users usually wait for is not known yet.
    Learning,
    /// Users waited longer than usual.
    Users {
        /// What they waited for 99 % of the times, in microseconds.
        p99_us: u64,
        /// What that usually is, in microseconds.
        usual_us: u64,
    },
}

/// What happened since the last look.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// How long ago that was.
    pub time: Duration,
    /// What users waited for: reads and commits.
    pub waits: [Times; 2],
    /// Bytes that copies took.
    pub copied_bytes: u64,
    /// Whether there is anything to copy, be it that it waits.
    pub is_copying: bool,
}

/// Decides. One for a server.
#[derive(Clone, Debug, Default)]
pub struct Control {
    /// Bytes a second; `None` is as many as go.
    rate: Option<f64>,
    /// The rate after the last decrease; `None` while users never felt anything.
    decreased_to: Option<f64>,
    since_decrease: Duration,
    /// How long copies have been at their slowest.
    slowest_for: Duration,
    slowed: Option<Slowed>,
    usual: [Times; 2],
    recent: [Times; 2],
    /// Waits of late, whatever the rate was.
    users: f32,
    /// Bytes a second that copies really take.
    speed: f64,
}

impl Control {
    /// Bytes a second that copies may take; `None` is as many as go.
    pub fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// Why it is not as many as go.
    pub fn slowed(&self) -> Option<Slowed> {
        self.slowed.filter(|_| self.rate.is_some())
    }

    /// Bytes a second that copies take.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// Decides anew.
    pub fn look(&mut self, look: &Look) {
        self.note(look);
        let has_users = self.users >= USERS_MIN;
        self.rate = match self.rate {
            _ if !has_users => None,
            _ if !look.is_copying => Some(RATE_START),
            None => Some(self.speed.max(RATE_START)),
            rate => rate,
        };
        if !has_users || !look.is_copying {
            (self.decreased_to, self.slowed) = (None, None);
            return;
        }
        let rate = self.rate.unwrap_or(RATE_START);
        if self.is_unknown() {
            self.decrease(RATE_MIN, Slowed::Learning);
        } else if let Some(slowed) = self.too_long() {
            if self.since_decrease >= DECREASE_PAUSE {
                self.decrease(rate.min(self.speed.max(RATE_MIN)) * DECREASE, slowed);
            }
        } else if self.speed >= rate * USED_MIN {
            self.increase(rate, look.time);
        }
    }

    fn note(&mut self, look: &Look) {
        let is_slowest = look.is_copying && self.rate.is_some_and(|rate| rate <= RATE_SLOW);
        self.slowest_for = if is_slowest { self.slowest_for.saturating_add(look.time) } else { Duration::ZERO };
        let is_learning = is_slowest && self.slowed == Some(Slowed::Learning);
        let is_usual = !look.is_copying || is_learning || self.slowest_for >= BLAMELESS_AFTER;
        for (at, waits) in look.waits.iter().enumerate() {
            self.recent[at].fade(kept(look.time, RECENT_HALF_LIFE));
            self.recent[at].add(waits);
            if is_usual {
                self.usual[at].fade(kept(look.time, USUAL_HALF_LIFE));
                self.usual[at].add(waits);
            }
        }
        let waits: f32 = look.waits.iter().map(Times::count).sum();
        self.users = self.users * kept(look.time, RECENT_HALF_LIFE) + waits;
        self.since_decrease = self.since_decrease.saturating_add(look.time);
        let kept = f64::from(kept(look.time, SPEED_HALF_LIFE));
        let seconds = look.time.as_secs_f64().max(f64::EPSILON);
        self.speed = self.speed * kept + look.copied_bytes as f64 / seconds * (1.0 - kept);
    }

    /// Whether users wait for something of which nobody knows how long it usually takes.
    fn is_unknown(&self) -> bool {
        let pairs = self.recent.iter().zip(&self.usual);
        pairs.into_iter().any(|(recent, usual)| judged(recent).next().is_some() && usual.count() < USUAL_MIN)
    }

    /// What users wait too long for, if anything.
    fn too_long(&self) -> Option<Slowed> {
        let longer = |(recent, usual): (&Times, &Times)| {
            let is_longer = |share: f32| {
                let usual = usual.quantile(share);
                recent.quantile(share) > usual.mul_f64(FACTOR).max(usual + SLACK)
            };
            let us = |times: &Times| u64::try_from(times.quantile(TOLD).as_micros()).unwrap_or(u64::MAX);
            let slowed = Slowed::Users { p99_us: us(recent), usual_us: us(usual) };
            judged(recent).any(is_longer).then_some(slowed)
        };
        // What is durable takes longer than what is read, and is felt more: it is named first.
        self.recent.iter().zip(&self.usual).rev().find_map(longer)
    }

    fn decrease(&mut self, rate: f64, slowed: Slowed) {
        let rate = rate.max(RATE_MIN);
        if slowed == Slowed::Learning && self.slowed == Some(slowed) {
            return;
        }
        (self.rate, self.decreased_to, self.slowed) = (Some(rate), Some(rate), Some(slowed));
        self.since_decrease = Duration::ZERO;
        if slowed != Slowed::Learning {
            // The new rate is judged by what users feel from now on.
            self.recent = Default::default();
        }
    }

    fn increase(&mut self, rate: f64, time: Duration) {
        if self.slowed == Some(Slowed::Learning) {
            (self.decreased_to, self.slowed) = (None, None);
        }
        let seconds = time.as_secs_f64();
        self.rate = Some(match self.decreased_to {
            None => rate * PROBING.powf(seconds),
            Some(from) => {
                let sooner = self.since_decrease.as_secs_f64() / INCREASE_DOUBLES.as_secs_f64();
                rate + from * INCREASE * (1.0 + sooner * sooner) * seconds
            }
        });
    }
}

/// The quantiles that these are enough for.
fn judged(times: &Times) -> impl Iterator<Item = f32> + use<> {
    let count = times.count();
    QUANTILES.into_iter().filter(move |share| count * (1.0 - share) >= BEYOND_MIN)
}

/// What is left of something after a time.
fn kept(time: Duration, half_life: Duration) -> f32 {
    0.5_f32.powf(time.as_secs_f32() / half_life.as_secs_f32())
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
