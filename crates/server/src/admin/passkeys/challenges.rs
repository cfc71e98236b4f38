//! Challenges that were given out and not answered yet. Each is good once and for a few minutes; they are forgotten
//! when the node ends, and then whoever was at it begins again.

use std::collections::HashMap;
use std::net::IpAddr;

use parking_lot::Mutex;
use sterna_base::ids::random_bytes;
use sterna_base::{AccountId, Timestamp};

use crate::network::Network;

/// How long people have for finger, face or PIN, in milliseconds.
pub const CHALLENGE_MS_MAX: i64 = 5 * 60 * 1000;

/// Challenges at the same time.
const CHALLENGES_MAX: usize = 10_000;

/// Those of one network that anybody can ask for: the oldest makes room.
const CHALLENGES_PER_NETWORK_MAX: usize = 200;

/// What somebody was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Making a passkey for this account.
    Make(AccountId),
    /// Signing in.
    SignIn,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What for.
    pub purpose: Purpose,
    /// The page's origin.
    pub origin: String,
    /// The host.
    pub rp_id: String,
    network: Network,
    at: Timestamp,
}

/// All of them.
#[derive(Default)]
pub struct Challenges(Mutex<HashMap<[u8; 32], Asked>>);

impl Challenges {
    /// A new challenge.
    pub fn ask(&self, purpose: Purpose, page: (String, String), peer: IpAddr, now: Timestamp) -> [u8; 32] {
        let challenge = random_bytes();
        let mut asked = self.0.lock();
        asked.retain(|_, one| now.0 - one.at.0 <= CHALLENGE_MS_MAX);
        let network = Network::of(peer);
        let is_of_peer = |one: &Asked| one.network == network;
        if asked.len() >= CHALLENGES_MAX
            || asked.values().filter(|one| is_of_peer(one)).count() >= CHALLENGES_PER_NETWORK_MAX
        {
            // Whoever asks for many loses their own, and nobody else's while there is room.
            let all = asked.len() >= CHALLENGES_MAX;
            let oldest = asked.iter().filter(|(_, one)| all || is_of_peer(one)).min_by_key(|(_, one)| one.at);
            if let Some(oldest) = oldest.map(|(challenge, _)| *challenge) {
                asked.remove(&oldest);
            }
        }
        let (origin, rp_id) = page;
        asked.insert(challenge, Asked { purpose, origin, rp_id, network, at: now });
        challenge
    }

    /// What a challenge was for; it is used up. `None` is one that was not given out, was used, or is too old.
    pub fn take(&self, challenge: &[u8], now: Timestamp) -> Option<Asked> {
        let challenge: [u8; 32] = challenge.try_into().ok()?;
        self.0.lock().remove(&challenge).filter(|one| now.0 - one.at.0 <= CHALLENGE_MS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn page() -> (String, String) {
        ("https://mail.tern.test".to_owned(), "mail.tern.test".to_owned())
    }

    fn peer(number: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, number, 7))
    }

    #[test]
    fn a_challenge_is_good_once_and_not_for_long() {
        let challenges = Challenges::default();
        let one = challenges.ask(Purpose::SignIn, page(), peer(1), NOW);
        assert_eq!(challenges.take(&one, NOW).map(|asked| asked.purpose), Some(Purpose::SignIn));
        assert!(challenges.take(&one, NOW).is_none(), "twice");
        let late = challenges.ask(Purpose::Make(AccountId(7)), page(), peer(1), NOW);
        assert!(challenges.take(&late, NOW.plus_ms(CHALLENGE_MS_MAX + 1)).is_none(), "too late");
        assert!(challenges.take(&[0; 32], NOW).is_none() && challenges.take(b"", NOW).is_none(), "made up");
    }

    #[test]
    fn whoever_asks_for_many_loses_only_their_own() {
        let challenges = Challenges::default();
        let mine = challenges.ask(Purpose::SignIn, page(), peer(1), NOW);
        let first = challenges.ask(Purpose::SignIn, page(), peer(2), NOW);
        for n in 1..=CHALLENGES_PER_NETWORK_MAX {
            challenges.ask(Purpose::SignIn, page(), peer(2), NOW.plus_ms(n as i64));
        }
        assert!(challenges.take(&first, NOW).is_none());
        assert!(challenges.take(&mine, NOW).is_some());
    }
}
