//! When to try again.

use sterna_base::Timestamp;

use super::message::Destination;

/// The times of the queue. All are settings of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From the first failure to the next try, in milliseconds.
    pub retry_first_ms: i64,
    /// The longest time between two tries, in milliseconds.
    pub retry_most_ms: i64,
    /// After how long a sender is told that a message still waits, in milliseconds.
    pub warn_after_ms: i64,
    /// After how long a message is given up, in milliseconds (RFC 5321 section 4.5.4.1 asks for four to five days).
    pub lifetime_ms: i64,
}

const SECOND_MS: i64 = 1000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Our own data servers are asked sooner: they restart in seconds.
const ACCOUNT_RETRY_FIRST_MS: i64 = SECOND_MS;
/// The longest time between two tries to reach one of our own data servers.
const ACCOUNT_RETRY_MOST_MS: i64 = MINUTE_MS;

impl Default for Times {
    fn default() -> Self {
        Times {
            retry_first_ms: 5 * MINUTE_MS,
            retry_most_ms: HOUR_MS,
            warn_after_ms: 4 * HOUR_MS,
            lifetime_ms: 5 * 24 * HOUR_MS,
        }
    }
}

impl Times {
    /// The time after the `failures`-th failure in a row (1 is the first): twice as long each time, up to the longest.
    pub fn next(&self, destination: &Destination, failures: u32, now: Timestamp) -> Timestamp {
        let (first, most) = match destination {
            Destination::Account(_) => (ACCOUNT_RETRY_FIRST_MS, ACCOUNT_RETRY_MOST_MS),
            Destination::Domain(_) | Destination::Host(_) => (self.retry_first_ms, self.retry_most_ms),
        };
        let doublings = failures.saturating_sub(1).min(30);
        now.plus_ms(first.saturating_mul(1 << doublings).min(most.max(first)))
    }

    /// When the sender of a message must hear of it, if it still waits.
    pub fn deadline(&self, received: Timestamp, expires: Timestamp, warned: bool) -> Timestamp {
        if warned { expires } else { expires.min(received.plus_ms(self.warn_after_ms)) }
    }
}

#[cfg(test)]
mod tests {
    use sterna_base::AccountId;

    use super::*;

    #[test]
    fn waits_longer_each_time_up_to_the_longest() {
        let (times, destination) = (Times::default(), Destination::Domain("example.org".into()));
        let waits: Vec<i64> = (1..=6).map(|n| times.next(&destination, n, Timestamp(0)).0 / MINUTE_MS).collect();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert_eq!(times.next(&destination, u32::MAX, Timestamp(0)).0, HOUR_MS);
        assert_eq!(times.next(&Destination::Account(AccountId(1)), 1, Timestamp(0)).0, SECOND_MS);
    }

    #[test]
    fn the_sender_hears_of_it_twice() {
        let times = Times::default();
        let expires = Timestamp(times.lifetime_ms);
        assert_eq!(times.deadline(Timestamp(0), expires, false), Timestamp(4 * HOUR_MS));
        assert_eq!(times.deadline(Timestamp(0), expires, true), expires);
        assert_eq!(times.deadline(Timestamp(0), Timestamp(5), false), Timestamp(5));
    }
}
