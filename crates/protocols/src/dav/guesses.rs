//! How often somebody may be wrong about links: a token can't be guessed, a password can.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use parking_lot::Mutex;
use sterna_account::links::Token;
use sterna_base::Timestamp;

/// Wrong passwords for one link within [`WINDOW_MS`], whoever gives them.
const PASSWORDS_MAX: u32 = 20;

/// Links that don't exist, from one address within [`WINDOW_MS`].
const STRANGE_MAX: u32 = 60;

/// How long mistakes count.
const WINDOW_MS: i64 = 5 * 60 * 1000;

/// Links and addresses that are remembered; when there are more, all are forgotten whose time is over, and then all.
const KNOWN_MAX: usize = 20_000;

/// The mistakes of the last minutes, on this edge.
#[derive(Default)]
pub struct Guesses {
    passwords: Counts<Token>,
    strangers: Counts<IpAddr>,
}

impl Guesses {
    /// Seconds to wait before another password is looked at.
    pub fn password_wait(&self, token: &Token, now: Timestamp) -> Option<u64> {
        self.passwords.wait(token, PASSWORDS_MAX, now)
    }

    /// A wrong password.
    pub fn wrong_password(&self, token: &Token, now: Timestamp) {
        self.passwords.add(*token, now);
    }

    /// It was right after all: what was counted before is taken back.
    pub fn right_password(&self, token: &Token) {
        self.passwords.take_back(token);
    }

    /// Seconds to wait before another link is looked for.
    pub fn stranger_wait(&self, peer: IpAddr, now: Timestamp) -> Option<u64> {
        self.strangers.wait(&network(peer)?, STRANGE_MAX, now)
    }

    /// A link that doesn't exist.
    pub fn strange(&self, peer: IpAddr, now: Timestamp) {
        if let Some(network) = network(peer) {
            self.strangers.add(network, now);
        }
    }
}

/// What counts as one client: an address, or a /64 of IPv6. `None` for this machine: a proxy brings everybody.
fn network(peer: IpAddr) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if peer.is_loopback() {
        return None;
    }
    Some(match peer {
        IpAddr::V6(peer) => IpAddr::V6((peer.to_bits() & (u128::MAX << 64)).into()),
        peer => peer,
    })
}

struct Counts<K>(Mutex<HashMap<K, (Timestamp, u32)>>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Counts(Mutex::default())
    }
}

impl<K: Hash + Eq> Counts<K> {
    fn take_back(&self, key: &K) {
        if let Some((_, count)) = self.0.lock().get_mut(key) {
            *count = count.saturating_sub(1);
        }
    }

    fn wait(&self, key: &K, most: u32, now: Timestamp) -> Option<u64> {
        let (since, count) = self.0.lock().get(key).copied()?;
        let left_ms = since.0.saturating_add(WINDOW_MS).saturating_sub(now.0);
        (count >= most && left_ms > 0).then(|| u64::try_from(left_ms).unwrap_or(0).div_ceil(1000))
    }

    fn add(&self, key: K, now: Timestamp) {
        let mut known = self.0.lock();
        let is_over = |since: Timestamp| now.0.saturating_sub(since.0) >= WINDOW_MS;
        if known.len() >= KNOWN_MAX {
            known.retain(|_, (since, _)| !is_over(*since));
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
        }
        let entry = known.entry(key).or_insert((now, 0));
        if is_over(entry.0) {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use sterna_base::AccountId;

    use super::*;

    #[test]
    fn a_link_rests_after_too_many_wrong_passwords_and_others_do_not() {
        let (guesses, now) = (Guesses::default(), Timestamp(1_000_000));
        let [one, other] = [1, 2].map(|id| Token::random(AccountId(id)));
        for _ in 0..PASSWORDS_MAX {
            assert_eq!(guesses.password_wait(&one, now), None);
            guesses.wrong_password(&one, now);
        }
        assert_eq!(guesses.password_wait(&one, now), Some(300));
        assert_eq!(guesses.password_wait(&other, now), None);
        assert_eq!(guesses.password_wait(&one, now.plus_ms(WINDOW_MS)), None);
        guesses.wrong_password(&one, now.plus_ms(WINDOW_MS));
        assert_eq!(guesses.password_wait(&one, now.plus_ms(WINDOW_MS)), None);
    }

    #[test]
    fn neighbours_in_a_network_count_as_one_and_a_proxy_as_none() {
        let (guesses, now) = (Guesses::default(), Timestamp(0));
        let from = |text: &str| text.parse::<IpAddr>().unwrap();
        for at in 0..STRANGE_MAX {
            guesses.strange(from(&format!("2001:db8::{at:x}")), now);
            guesses.strange(from("127.0.0.1"), now);
        }
        assert!(guesses.stranger_wait(from("2001:db8::ffff"), now).is_some());
        assert!(guesses.stranger_wait(from("2001:db8:0:1::1"), now).is_none());
        assert!(guesses.stranger_wait(from("127.0.0.1"), now).is_none());
    }
}
