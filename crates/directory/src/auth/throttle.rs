//! Slowing down those who guess passwords, without locking anybody out.
//!
//! Failures are counted for each pair of login and peer, for each peer, and for each login. A pair or a peer that fails
//! too often is told to wait. A login alone never is: whoever guesses at it from elsewhere only makes failures at that
//! login answer more slowly, and its owner still gets in. A pair that logged in lately is not held up by its
//! neighbours behind the same address. The same wrong password given again counts once: it is a forgotten telephone,
//! not a guess.

use std::net::IpAddr;

use sterna_base::{AccountId, Timestamp};

use super::table::Table;

/// Failures of one login from one peer before it has to wait.
pub const PAIR_FAILURES_FREE: u32 = 5;
/// Failures of one peer, at whatever logins, before it has to wait.
pub const PEER_FAILURES_FREE: u32 = 30;
/// Failures of one login, from wherever, before answers to further ones are slowed down.
pub const LOGIN_FAILURES_FREE: u32 = 20;
/// Wrong codes of a second factor, from wherever, before the next one has to wait.
pub const CODE_FAILURES_FREE: u32 = 5;
/// Longest wait for the next code, in milliseconds.
pub const CODE_WAIT_MS_MAX: u64 = 900_000;
/// Longest wait of a pair, in milliseconds.
pub const PAIR_WAIT_MS_MAX: u64 = 60_000;
/// Longest wait of a peer, in milliseconds.
pub const PEER_WAIT_MS_MAX: u64 = 300_000;
/// Slowest answer to a failure, in milliseconds.
pub const LOGIN_DELAY_MS_MAX: u64 = 2_000;

/// The first wait, in milliseconds; it doubles with each further failure.
const WAIT_MS_FIRST: u64 = 1_000;
/// The first delay of an answer, in milliseconds.
const DELAY_MS_FIRST: u64 = 100;
/// Time after which half of the failures are forgotten, in milliseconds.
const HALF_LIFE_MS: i64 = 10 * 60 * 1000;
/// How long a pair that logged in is known, in milliseconds.
const KNOWN_MS: i64 = 7 * 24 * 3600 * 1000;
/// Wrong passwords remembered for one pair.
const WRONG_MAX: usize = 4;
/// Entries in one generation of each table.
const GENERATION_MAX: usize = 32 * 1024;

/// Where an attempt comes from, as it is counted: an IPv4 address, or the /64 that one IPv6 subscriber has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer([u8; 8]);

impl Peer {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                Peer([0, 0, 0, 0, a, b, c, d])
            }
            IpAddr::V6(v6) => {
                let mut prefix = [0; 8];
                prefix.copy_from_slice(&v6.octets()[..8]);
                Peer(prefix)
            }
        }
    }
}

/// A login, by a keyed hash: names of any length take the same room.
pub(crate) type LoginKey = [u8; 16];

/// What is known of a wrong password: a keyed hash.
pub(crate) type WrongKey = u64;

#[derive(Default)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Failures {
    fn now(&self, now: Timestamp) -> u32 {
        let halvings = (now.0 - self.last.0).max(0) / HALF_LIFE_MS;
        if halvings >= 32 { 0 } else { self.count >> halvings }
    }

    fn add(&mut self, now: Timestamp) {
        self.count = self.now(now).saturating_add(1);
        self.last = now;
    }

    /// How long from now no attempt is looked at.
    fn wait_ms(&self, now: Timestamp, free: u32, wait_ms_max: u64) -> u64 {
        let wait = growing(self.now(now), free, WAIT_MS_FIRST, wait_ms_max);
        let passed = u64::try_from(now.0 - self.last.0).unwrap_or(0);
        wait.saturating_sub(passed)
    }
}

/// Nothing up to `free` failures, then doubling from `first` to `max`.
fn growing(failures: u32, free: u32, first: u64, max: u64) -> u64 {
    match failures.checked_sub(free) {
        None | Some(0) => 0,
        Some(over) => first.checked_shl(over - 1).filter(|_| over < 32).unwrap_or(max).min(max),
    }
}

#[derive(Default)]
struct Pair {
    failures: Failures,
    /// When it last logged in; zero is never.
    success_at: Timestamp,
    wrong: [WrongKey; WRONG_MAX],
    wrong_next: usize,
}

/// The counts.
pub(crate) struct Throttle {
    pairs: Table<(LoginKey, Peer), Pair>,
    peers: Table<Peer, Failures>,
    logins: Table<LoginKey, Failures>,
    codes: Table<AccountId, Failures>,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Throttle {
            pairs: Table::new(GENERATION_MAX),
            peers: Table::new(GENERATION_MAX),
            logins: Table::new(GENERATION_MAX),
            codes: Table::new(GENERATION_MAX),
        }
    }

    /// How long this attempt has to wait before it is looked at, in milliseconds; zero is not at all.
    pub(crate) fn wait_ms(&self, login: LoginKey, peer: Peer, now: Timestamp) -> u64 {
        let pair = self.pairs.get(&(login, peer));
        let pair_wait = pair.map_or(0, |pair| pair.failures.wait_ms(now, PAIR_FAILURES_FREE, PAIR_WAIT_MS_MAX));
        if pair.is_some_and(|pair| is_known(pair, now)) {
            return pair_wait;
        }
        let peer_wait = self.peers.get(&peer).map_or(0, |peer| peer.wait_ms(now, PEER_FAILURES_FREE, PEER_WAIT_MS_MAX));
        pair_wait.max(peer_wait)
    }

    /// Whether this pair gave this very password lately and it was wrong.
    pub(crate) fn is_known_wrong(&self, login: LoginKey, peer: Peer, wrong: WrongKey) -> bool {
        self.pairs.get(&(login, peer)).is_some_and(|pair| pair.wrong.contains(&wrong))
    }

    /// Counts a failure; gives by how much its answer is delayed, in milliseconds.
    pub(crate) fn failure(&mut self, login: LoginKey, peer: Peer, wrong: WrongKey, now: Timestamp) -> u64 {
        let pair = self.pairs.entry((login, peer));
        pair.failures.add(now);
        pair.wrong[pair.wrong_next % WRONG_MAX] = wrong;
        pair.wrong_next = (pair.wrong_next + 1) % WRONG_MAX;
        self.peers.entry(peer).add(now);
        let login = self.logins.entry(login);
        login.add(now);
        growing(login.now(now), LOGIN_FAILURES_FREE, DELAY_MS_FIRST, LOGIN_DELAY_MS_MAX)
    }

    /// How long no code of an account's second factor is looked at, in milliseconds. Whoever makes it wait knows the
    /// password already.
    pub(crate) fn code_wait_ms(&self, account: AccountId, now: Timestamp) -> u64 {
        self.codes.get(&account).map_or(0, |codes| codes.wait_ms(now, CODE_FAILURES_FREE, CODE_WAIT_MS_MAX))
    }

    /// Counts a wrong code, and forgets all of them with a right one.
    pub(crate) fn note_code(&mut self, account: AccountId, is_right: bool, now: Timestamp) {
        match is_right {
            true => drop(self.codes.remove(&account)),
            false => self.codes.entry(account).add(now),
        }
    }

    /// Forgets the failures of a pair that logged in. Those of the peer stay: one good account must not pay for
    /// guessing at others.
    pub(crate) fn success(&mut self, login: LoginKey, peer: Peer, now: Timestamp) {
        let pair = self.pairs.entry((login, peer));
        pair.failures = Failures::default();
        pair.success_at = now;
    }
}

fn is_known(pair: &Pair, now: Timestamp) -> bool {
    pair.success_at.0 > 0 && now.0 - pair.success_at.0 < KNOWN_MS
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ANA: LoginKey = [1; 16];
    const BEN: LoginKey = [2; 16];

    fn peer(n: u8) -> Peer {
        Peer::of(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)))
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp(1_000_000_000 + ms)
    }

    #[test]
    fn a_pair_waits_longer_with_each_failure_and_only_there() {
        let mut throttle = Throttle::new();
        for n in 0..PAIR_FAILURES_FREE {
            assert_eq!(throttle.wait_ms(ANA, peer(1), at(0)), 0, "failure {n}");
            throttle.failure(ANA, peer(1), u64::from(n) + 1, at(0));
        }
        assert_eq!(throttle.wait_ms(ANA, peer(1), at(0)), 0);
        throttle.failure(ANA, peer(1), 99, at(0));
        assert_eq!(throttle.wait_ms(ANA, peer(1), at(0)), 1000);
        assert_eq!(throttle.wait_ms(ANA, peer(1), at(400)), 600);
        throttle.failure(ANA, peer(1), 100, at(1000));
        assert_eq!(throttle.wait_ms(ANA, peer(1), at(1000)), 2000);
        assert_eq!(throttle.wait_ms(ANA, peer(2), at(1000)), 0, "another peer");
        assert_eq!(throttle.wait_ms(BEN, peer(1), at(1000)), 0, "another login");
    }

    #[test]
    fn a_login_attacked_from_everywhere_is_slow_to_fail_and_never_closed() {
        let mut throttle = Throttle::new();
        let mut delay = 0;
        for n in 0..200u8 {
            delay = throttle.failure(ANA, peer(n), 1, at(0));
        }
        assert_eq!(delay, LOGIN_DELAY_MS_MAX);
        assert_eq!(throttle.wait_ms(ANA, peer(250), at(0)), 0);
    }

    #[test]
    fn a_peer_that_guesses_waits_and_its_known_neighbour_does_not() {
        let mut throttle = Throttle::new();
        throttle.success(BEN, peer(1), at(0));
        for n in 0..=PEER_FAILURES_FREE {
            throttle.failure([n as u8 + 10; 16], peer(1), 1, at(0));
        }
        assert!(throttle.wait_ms(ANA, peer(1), at(0)) > 0);
        assert_eq!(throttle.wait_ms(BEN, peer(1), at(0)), 0);
    }

    #[test]
    fn waits_end_and_failures_fade() {
        let mut throttle = Throttle::new();
        for n in 0..40 {
            throttle.failure(ANA, peer(1), n, at(0));
        }
        assert_eq!(throttle.wait_ms(ANA, peer(1), at(0)), PEER_WAIT_MS_MAX);
        assert_eq!(throttle.wait_ms(ANA, peer(1), at(PEER_WAIT_MS_MAX as i64)), 0);
        throttle.failure(ANA, peer(1), 1, at(40 * HALF_LIFE_MS));
        assert_eq!(throttle.wait_ms(ANA, peer(1), at(40 * HALF_LIFE_MS)), 0, "the old ones are forgotten");
    }

    #[test]
    fn codes_are_counted_for_the_account_from_wherever_they_come() {
        let mut throttle = Throttle::new();
        for n in 0..=CODE_FAILURES_FREE {
            assert_eq!(throttle.code_wait_ms(AccountId(1), at(0)), 0, "{n}");
            throttle.note_code(AccountId(1), false, at(0));
        }
        assert!(throttle.code_wait_ms(AccountId(1), at(0)) > 0);
        assert_eq!(throttle.code_wait_ms(AccountId(2), at(0)), 0);
        for _ in 0..40 {
            throttle.note_code(AccountId(1), false, at(0));
        }
        assert_eq!(throttle.code_wait_ms(AccountId(1), at(0)), CODE_WAIT_MS_MAX);
        throttle.note_code(AccountId(1), true, at(0));
        assert_eq!(throttle.code_wait_ms(AccountId(1), at(0)), 0);
    }

    #[test]
    fn the_same_wrong_password_is_recognised() {
        let mut throttle = Throttle::new();
        throttle.failure(ANA, peer(1), 7, at(0));
        assert!(throttle.is_known_wrong(ANA, peer(1), 7));
        assert!(!throttle.is_known_wrong(ANA, peer(1), 8));
        assert!(!throttle.is_known_wrong(ANA, peer(2), 7));
    }

    #[test]
    fn addresses_of_one_subscriber_count_together() {
        assert_eq!(Peer::of("2001:db8::1".parse().unwrap()), Peer::of("2001:db8::ffff:2".parse().unwrap()));
        assert_ne!(Peer::of("2001:db8::1".parse().unwrap()), Peer::of("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(Peer::of("::ffff:192.0.2.1".parse().unwrap()), peer(1));
    }
}
