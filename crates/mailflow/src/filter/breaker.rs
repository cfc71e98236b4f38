//! Whether a filter is worth asking. One that hangs would otherwise hold each message for as long as it may take.

use std::time::Duration;

use parking_lot::Mutex;
use sterna_base::Timestamp;
use tokio::time::Instant;

/// Failures in a row after which a filter rests.
pub const FAILURES_MAX: u32 = 3;

/// How long it rests. After that one message tries it, and the others wait for how that goes.
pub const REST: Duration = Duration::from_secs(10);

/// What is known of a filter lately.
#[derive(Default)]
pub struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    rests_until: Option<Instant>,
    known: Option<Known>,
}

/// How a filter was when it was last asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What it said about itself, or why it could not be asked.
    pub state: Result<String, String>,
    /// Since when it is well, or not.
    pub since: Timestamp,
}

impl Breaker {
    /// Whether it may be asked now.
    ///
    /// # Errors
    /// How it failed last, while it rests.
    pub fn may_ask(&self, now: Instant) -> Result<(), String> {
        let mut state = self.0.lock();
        match state.rests_until {
            Some(until) if now < until => {
                let cause = state.known.as_ref().and_then(|known| known.state.as_ref().err());
                Err(cause.cloned().unwrap_or_default())
            }
            Some(_) => {
                state.rests_until = Some(now + REST);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// It looked at a message. Returns whether it had failed before.
    pub fn worked(&self, at: Timestamp) -> bool {
        let mut state = self.0.lock();
        (state.failures, state.rests_until) = (0, None);
        let had_failed = matches!(state.known, Some(Known { state: Err(_), .. }));
        if had_failed || state.known.is_none() {
            state.known = Some(Known { state: Ok(String::new()), since: at });
        }
        had_failed
    }

    /// It says that it is there, and what it is. That it can also look at messages is not sure: one more failure, and
    /// it rests again. Returns whether it rested until now.
    pub fn said(&self, now: Instant, at: Timestamp, about: String) -> bool {
        let mut state = self.0.lock();
        let rested = match state.rests_until {
            Some(until) if now < until => return false,
            Some(_) => {
                (state.rests_until, state.failures) = (None, FAILURES_MAX - 1);
                true
            }
            None => false,
        };
        let since = match &state.known {
            Some(Known { state: Ok(_), since }) => *since,
            _ => at,
        };
        state.known = Some(Known { state: Ok(about), since });
        rested
    }

    /// It did not. Returns whether it rests from now on.
    pub fn failed(&self, now: Instant, at: Timestamp, why: String) -> bool {
        let mut state = self.0.lock();
        state.failures = state.failures.saturating_add(1);
        let since = match &state.known {
            Some(Known { state: Err(_), since }) => *since,
            _ => at,
        };
        state.known = Some(Known { state: Err(why), since });
        if state.failures < FAILURES_MAX {
            return false;
        }
        state.rests_until.replace(now + REST).is_none()
    }

    /// How it was when it was last asked; `None` when it never was.
    pub fn known(&self) -> Option<Known> {
        self.0.lock().known.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_again_and_again_rests_and_is_tried_by_one() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        let at = Timestamp::from_seconds(7);
        let fails = |after: Duration| breaker.failed(start + after, at, "gone".to_owned());
        for number in 1..=FAILURES_MAX {
            assert_eq!(breaker.may_ask(start), Ok(()));
            assert_eq!(fails(Duration::ZERO), number == FAILURES_MAX);
        }
        assert_eq!(breaker.may_ask(start + REST / 2), Err("gone".to_owned()));
        assert_eq!(breaker.may_ask(start + REST), Ok(()), "one tries");
        assert!(breaker.may_ask(start + REST).is_err(), "the others wait for it");
        assert!(!fails(REST), "it rests already");
        assert!(breaker.may_ask(start + REST + REST / 2).is_err());
        assert_eq!(breaker.may_ask(start + REST * 3), Ok(()));
        assert!(!breaker.said(start + REST * 3, at, "here I am".to_owned()), "it must show it");
        assert!(breaker.known().unwrap().state.is_err());
        assert!(breaker.worked(Timestamp::from_seconds(40)));
        assert_eq!(breaker.may_ask(start + REST * 3), Ok(()));
        assert_eq!(breaker.known().unwrap().since, Timestamp::from_seconds(40));
        assert!(!fails(REST * 3) && !fails(REST * 3) && fails(REST * 3), "counted anew");
        assert!(breaker.said(start + REST * 5, at, "here I am".to_owned()));
        assert_eq!(breaker.known().unwrap().state.as_deref(), Ok("here I am"));
        assert!(fails(REST * 5), "it said so, and that was all");
    }
}
