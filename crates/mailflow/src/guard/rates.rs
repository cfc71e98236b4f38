//! How much one client, and one user, hands in in an hour.
//!
//! Counted in two windows, of which the former one fades out: who may send a hundred messages an hour can't send two
//! hundred around the full hour, and a count costs a few bytes whatever the limit is.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use parking_lot::Mutex;
use sterna_account::service::Login;
use sterna_base::{AccountId, Timestamp};

/// A window, in milliseconds: what the limits are for.
const WINDOW_MS: i64 = 3600 * 1000;

/// Clients, and users, that are counted. All are forgotten when there are more: who has that many addresses is not
/// held back by counting them.
pub const COUNTED_MAX: usize = 100_000;

/// Users over their limit that administrators are told of, and for how long, in milliseconds.
pub const OVER_MAX: usize = 1000;
/// See [`OVER_MAX`]: a day.
pub const OVER_KEPT_MS: i64 = 24 * 3600 * 1000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Transactions that were begun.
    Messages,
    /// Recipients that were taken.
    Recipients,
}

impl Unit {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Messages => "messages",
            Unit::Recipients => "recipients",
        }
    }
}

/// What came of counting one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is within the limit.
    Yes,
    /// It is over the limit, for the first time in this window.
    FirstOver,
    /// It is over the limit again.
    Over,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    begins_ms: i64,
    now: u64,
    before: u64,
    is_told: bool,
}

impl Window {
    fn take(&mut self, at: Timestamp, most: u64) -> Taken {
        let since = at.0 - self.begins_ms;
        if !(0..WINDOW_MS).contains(&since) {
            let before = if (WINDOW_MS..2 * WINDOW_MS).contains(&since) { self.now } else { 0 };
            *self = Window { begins_ms: at.0 - at.0.rem_euclid(WINDOW_MS), now: 0, before, is_told: false };
        }
        let left_ms = (WINDOW_MS - (at.0 - self.begins_ms)).clamp(0, WINDOW_MS).unsigned_abs();
        let fading = self.before.saturating_mul(left_ms) / WINDOW_MS.unsigned_abs();
        if most > 0 && self.now + fading >= most {
            return if std::mem::replace(&mut self.is_told, true) { Taken::Over } else { Taken::FirstOver };
        }
        self.now += 1;
        Taken::Yes
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    messages: Window,
    recipients: Window,
}

/// Counts for each of those who hand in.
struct Counts<K>(Mutex<HashMap<K, Count>>);

impl<K: Eq + Hash> Counts<K> {
    fn take(&self, key: K, unit: Unit, at: Timestamp, most: u64) -> Taken {
        let mut counts = self.0.lock();
        if counts.len() >= COUNTED_MAX && !counts.contains_key(&key) {
            counts.clear();
        }
        let count = counts.entry(key).or_default();
        match unit {
            Unit::Messages => count.messages.take(at, most),
            Unit::Recipients => count.recipients.take(at, most),
        }
    }
}

/// A user who wanted to send more than users may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverLimit {
    /// Who.
    pub account: AccountId,
    /// The address that logged in.
    pub address: String,
    /// What there was too much of.
    pub unit: Unit,
    /// From where, the last time.
    pub peer: IpAddr,
    /// Since when.
    pub since: Timestamp,
    /// The last time.
    pub last: Timestamp,
    /// How often it was refused.
    pub refused: u64,
}

/// See the module.
pub struct Rates {
    clients: Counts<IpAddr>,
    users: Counts<AccountId>,
    over: Mutex<HashMap<AccountId, OverLimit>>,
}

impl Default for Rates {
    fn default() -> Self {
        let (clients, users) = (Counts(Mutex::default()), Counts(Mutex::default()));
        Rates { clients, users, over: Mutex::default() }
    }
}

impl Rates {
    /// One more from a client's network; `most` of zero is no limit.
    pub fn client(&self, network: IpAddr, unit: Unit, at: Timestamp, most: u64) -> Taken {
        if most == 0 { Taken::Yes } else { self.clients.take(network, unit, at, most) }
    }

    /// One more from a user.
    pub fn user(&self, login: &Login, peer: IpAddr, unit: Unit, at: Timestamp, most: u64) -> Taken {
        if most == 0 {
            return Taken::Yes;
        }
        let taken = self.users.take(login.account, unit, at, most);
        if taken != Taken::Yes {
            self.note(login, peer, unit, at);
        }
        taken
    }

    fn note(&self, login: &Login, peer: IpAddr, unit: Unit, at: Timestamp) {
        let mut over = self.over.lock();
        over.retain(|_, over| at.0 - over.last.0 < OVER_KEPT_MS);
        if over.len() >= OVER_MAX && !over.contains_key(&login.account) {
            return;
        }
        let (account, address) = (login.account, login.address.clone());
        let new = OverLimit { account, address, unit, peer, since: at, last: at, refused: 0 };
        let known = over.entry(account).or_insert(new);
        (known.unit, known.peer, known.last) = (unit, peer, at);
        known.refused += 1;
    }

    /// Users who were over their limit within the last day, the latest first.
    pub fn over(&self, now: Timestamp) -> Vec<OverLimit> {
        let over = self.over.lock();
        let mut found: Vec<_> = over.values().filter(|over| now.0 - over.last.0 < OVER_KEPT_MS).cloned().collect();
        found.sort_by_key(|over| std::cmp::Reverse(over.last));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = WINDOW_MS;
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn login(number: u64) -> Login {
        Login { account: AccountId(number), address: format!("u{number}@demo.test") }
    }

    #[test]
    fn the_hour_before_fades_out() {
        let rates = Rates::default();
        let at = |ms: i64, times: usize| {
            let take = |_| rates.client(HERE, Unit::Messages, Timestamp(1_000 * HOUR + ms), 10) == Taken::Yes;
            (0..times).filter(|number| take(*number)).count()
        };
        assert_eq!(at(HOUR - 1000, 15), 10);
        assert_eq!(at(HOUR + 1000, 15), 1, "an hour must pass, not the full hour");
        assert_eq!(at(HOUR + HOUR / 2, 15), 4);
        assert_eq!(at(5 * HOUR, 15), 10);
        assert_eq!(at(3 * HOUR, 15), 10, "a clock that was set back begins anew");
    }

    #[test]
    fn units_clients_and_users_are_counted_apart() {
        let rates = Rates::default();
        let now = Timestamp(7);
        assert_eq!(rates.client(HERE, Unit::Messages, now, 1), Taken::Yes);
        assert_eq!(rates.client(HERE, Unit::Recipients, now, 1), Taken::Yes);
        assert_eq!(rates.client(HERE, Unit::Messages, now, 1), Taken::FirstOver);
        assert_eq!(rates.client(HERE, Unit::Messages, now, 1), Taken::Over);
        assert_eq!(rates.client(HERE, Unit::Messages, now, 0), Taken::Yes, "no limit");
        assert_eq!(rates.user(&login(1), HERE, Unit::Messages, now, 1), Taken::Yes);
        assert_eq!(rates.over(now), []);
        assert_eq!(rates.user(&login(1), HERE, Unit::Messages, now, 1), Taken::FirstOver);
        assert_eq!(rates.user(&login(1), HERE, Unit::Messages, Timestamp(9), 1), Taken::Over);
        assert_eq!(rates.user(&login(2), HERE, Unit::Messages, now, 1), Taken::Yes);
        let over = rates.over(now);
        assert_eq!((over.len(), over[0].refused, over[0].since, over[0].last), (1, 2, now, Timestamp(9)));
        assert_eq!(over[0].address, "u1@demo.test");
        assert_eq!(rates.over(Timestamp(9 + OVER_KEPT_MS)), []);
    }

    #[test]
    fn memory_has_an_end() {
        let rates = Rates::default();
        for number in 0..COUNTED_MAX as u32 + 10 {
            let client = IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
            rates.client(client, Unit::Messages, Timestamp(0), 1);
        }
        assert!(rates.clients.0.lock().len() <= COUNTED_MAX);
        for number in 0..OVER_MAX as u64 + 10 {
            rates.user(&login(number), HERE, Unit::Messages, Timestamp(0), 1);
            rates.user(&login(number), HERE, Unit::Messages, Timestamp(0), 1);
        }
        assert_eq!(rates.over(Timestamp(0)).len(), OVER_MAX);
    }
}
