//! Since when mailboxes are full: senders are asked to try again for a while, and refused then, so that they hear of it
//! before their own server gives up, and ours is not asked for days.
//!
//! Each node remembers what it has seen itself, and in memory: one that was started again asks senders to wait anew,
//! which costs nobody a message.

use std::collections::HashMap;

use parking_lot::Mutex;
use sterna_base::{AccountId, Timestamp};

/// Full mailboxes that are remembered; of more, senders try again.
const FULL_MAX: usize = 10_000;

/// For how long it is remembered without another message, in milliseconds: senders come again within hours, and whoever
/// made room meanwhile and fills it again later begins anew.
const FORGOTTEN_AFTER_MS: i64 = 12 * 3_600_000;

#[derive(Clone, Copy)]
struct Seen {
    first: Timestamp,
    last: Timestamp,
}

/// See the module.
#[derive(Default)]
pub struct FullMailboxes(Mutex<HashMap<AccountId, Seen>>);

impl FullMailboxes {
    /// A message had no room; for how long that has been so, in milliseconds.
    pub fn is_full(&self, account: AccountId, now: Timestamp) -> i64 {
        let mut full = self.0.lock();
        if full.len() >= FULL_MAX && !full.contains_key(&account) {
            full.retain(|_, seen| now < seen.last.plus_ms(FORGOTTEN_AFTER_MS));
            if full.len() >= FULL_MAX {
                return 0;
            }
        }
        let seen = full.entry(account).or_insert(Seen { first: now, last: now });
        if now >= seen.last.plus_ms(FORGOTTEN_AFTER_MS) {
            seen.first = now;
        }
        seen.last = now;
        now.0.saturating_sub(seen.first.0)
    }

    /// A message had room.
    pub fn has_room(&self, account: AccountId) {
        self.0.lock().remove(&account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_full_since_it_was_first_found_so() {
        let (full, at) = (FullMailboxes::default(), Timestamp);
        let (ana, ben) = (AccountId(1), AccountId(2));
        assert_eq!((full.is_full(ana, at(10)), full.is_full(ana, at(25)), full.is_full(ben, at(30))), (0, 15, 0));
        full.has_room(ana);
        assert_eq!((full.is_full(ana, at(40)), full.is_full(ben, at(50))), (0, 20));
        assert_eq!(full.is_full(ben, at(50 + FORGOTTEN_AFTER_MS)), 0, "long ago");
    }
}
