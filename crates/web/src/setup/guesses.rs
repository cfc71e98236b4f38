//! Wrong codes: who tries again and again waits. The code itself can't be found by trying (80 bits); this keeps the log
//! readable and the work small, and never keeps out somebody at another address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use parking_lot::Mutex;
use sterna_base::Timestamp;

/// Wrong codes from one address before it has to wait.
pub const GUESSES_MAX: u32 = 5;

/// How long it waits, in milliseconds.
pub const WAIT_MS: i64 = 60_000;

/// Addresses that are remembered; when there are more, the oldest is forgotten.
const ADDRESSES_MAX: usize = 1000;

/// Those who were wrong.
#[derive(Default)]
pub struct Guesses(Mutex<HashMap<IpAddr, Wrong>>);

struct Wrong {
    count: u32,
    last: Timestamp,
}

impl Guesses {
    /// How many more seconds this address waits, if it does.
    pub fn wait_seconds(&self, address: IpAddr, now: Timestamp) -> Option<i64> {
        let known = self.0.lock();
        let wrong = known.get(&network(address)).filter(|wrong| wrong.count >= GUESSES_MAX)?;
        let left = WAIT_MS - now.0.saturating_sub(wrong.last.0);
        // A clock that was set back keeps nobody out for longer.
        (1..=WAIT_MS).contains(&left).then_some((left + 999) / 1000)
    }

    /// It was wrong.
    pub fn wrong(&self, address: IpAddr, now: Timestamp) {
        let mut known = self.0.lock();
        let address = network(address);
        if known.len() >= ADDRESSES_MAX && !known.contains_key(&address) {
            let oldest = known.iter().min_by_key(|(_, wrong)| wrong.last).map(|(address, _)| *address);
            oldest.map(|oldest| known.remove(&oldest));
        }
        let wrong = known.entry(address).or_insert(Wrong { count: 0, last: now });
        if now.0.saturating_sub(wrong.last.0) >= WAIT_MS {
            wrong.count = 0;
        }
        *wrong = Wrong { count: wrong.count.saturating_add(1), last: now };
    }

    /// It was right.
    pub fn right(&self, address: IpAddr) {
        self.0.lock().remove(&network(address));
    }
}

/// What one customer has: an IPv4 address, or a /64 of IPv6.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_and_nobody_else() {
        let (guesses, now) = (Guesses::default(), Timestamp(1_000_000));
        let [one, same, other] = ["2001:db8::1", "2001:db8::2:3", "2001:db8:0:1::1"].map(|a| a.parse().unwrap());
        for _ in 0..GUESSES_MAX {
            assert_eq!(guesses.wait_seconds(one, now), None);
            guesses.wrong(one, now);
        }
        assert_eq!((guesses.wait_seconds(one, now), guesses.wait_seconds(same, now)), (Some(60), Some(60)));
        assert_eq!(guesses.wait_seconds(other, now), None);
        assert_eq!(guesses.wait_seconds(one, now.plus_ms(59_001)), Some(1));
        assert_eq!(guesses.wait_seconds(one, now.plus_ms(WAIT_MS)), None);
        assert_eq!(guesses.wait_seconds(one, now.plus_ms(-WAIT_MS)), None);
        guesses.wrong(one, now.plus_ms(WAIT_MS));
        assert_eq!(guesses.wait_seconds(one, now.plus_ms(WAIT_MS)), None, "it begins again");
    }

    #[test]
    fn a_flood_of_addresses_takes_no_memory() {
        let guesses = Guesses::default();
        for number in 0..5000_u32 {
            guesses.wrong(IpAddr::V4(number.into()), Timestamp(i64::from(number)));
        }
        assert_eq!(guesses.0.lock().len(), ADDRESSES_MAX);
    }
}
