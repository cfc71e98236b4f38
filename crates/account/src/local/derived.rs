//! Which accounts of this node have calendars that may be behind what they are made of, and when somebody is to look:
//! after a change of contacts or of what is known of an external calendar, and when a file is to be fetched again.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use parking_lot::Mutex;
use sterna_base::AccountId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::LocalAccounts;
use crate::Mutation;
use crate::calendars::{birthdays, external};

/// How long after a change of contacts somebody looks: what comes meanwhile is one look.
const CONTACTS_DELAY: Duration = Duration::from_secs(2);

/// Accounts that are to be looked at, each once, by when.
#[derive(Default)]
pub struct DerivedQueue {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    by_time: BTreeSet<(Instant, AccountId)>,
    known: HashMap<AccountId, Instant>,
}

impl DerivedQueue {
    /// Somebody looks at the account then, or earlier.
    pub fn mark(&self, account: AccountId, due: Instant) {
        let mut waiting = self.waiting.lock();
        match waiting.known.get(&account).copied() {
            Some(known) if known <= due => return,
            Some(known) => {
                waiting.by_time.remove(&(known, account));
            }
            None => {}
        }
        waiting.known.insert(account, due);
        waiting.by_time.insert((due, account));
        drop(waiting);
        self.changed.notify_one();
    }

    /// The next account, when it is due.
    async fn next(&self) -> AccountId {
        loop {
            let changed = self.changed.notified();
            let due = {
                let mut waiting = self.waiting.lock();
                match waiting.by_time.first().copied() {
                    Some((due, account)) if due <= Instant::now() => {
                        waiting.by_time.pop_first();
                        waiting.known.remove(&account);
                        return account;
                    }
                    first => first.map(|(due, _)| due),
                }
            };
            match due {
                None => changed.await,
                Some(due) => {
                    tokio::select! {
                        () = changed => {}
                        () = sleep_until(due) => {}
                    }
                }
            }
        }
    }
}

/// How long after a commit somebody is to look; `None` when nothing can be derived from what it changes.
pub fn may_be_derived_from(mutations: &[Mutation]) -> Option<Duration> {
    let delay = |mutation: &Mutation| match mutation {
        Mutation::Put { item, .. } if matches!(item.name.as_deref(), Some(external::RECORD | birthdays::NAME)) => {
            Some(Duration::ZERO)
        }
        // Cards are among these; whoever looks finds out.
        Mutation::Put { item, .. } if item.object_uid.is_some() => Some(CONTACTS_DELAY),
        Mutation::Remove { .. } | Mutation::DeleteContainer { .. } | Mutation::Copy { .. } => Some(CONTACTS_DELAY),
        _ => None,
    };
    mutations.iter().filter_map(delay).min()
}

impl LocalAccounts {
    /// The next account whose derived calendars are to be looked at, when it is time.
    pub async fn derived_due(&self) -> AccountId {
        self.shared.derived.next().await
    }

    /// Somebody is to look at the derived calendars of an account after so much time, or earlier.
    pub fn look_at_derived(&self, account: AccountId, after: Duration) {
        self.shared.derived.mark(account, Instant::now() + after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_earlier_time_counts() {
        let queue = DerivedQueue::default();
        let (now, hour) = (Instant::now(), Duration::from_secs(3600));
        queue.mark(AccountId(1), now + hour);
        queue.mark(AccountId(2), now - Duration::from_millis(1));
        queue.mark(AccountId(1), now - Duration::from_millis(2));
        queue.mark(AccountId(1), now + hour);
        assert_eq!((queue.next().await, queue.next().await), (AccountId(1), AccountId(2)));
        queue.mark(AccountId(1), now);
        assert_eq!(queue.next().await, AccountId(1));
        assert!(queue.waiting.lock().by_time.is_empty() && queue.waiting.lock().known.is_empty());
    }
}
