//! Accounts for which there is something to be done later, each once, by when.

use std::collections::{BTreeSet, HashMap};

use parking_lot::Mutex;
use sterna_base::AccountId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The accounts that wait, and whoever waits for them.
#[derive(Default)]
pub struct DueQueue {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    by_time: BTreeSet<(Instant, AccountId)>,
    known: HashMap<AccountId, Instant>,
}

impl DueQueue {
    /// It is the account's turn then; one that waits already keeps its time.
    pub fn put(&self, account: AccountId, due: Instant) {
        self.put_if(account, due, |_| false);
    }

    /// It is the account's turn then, or earlier if it waits already for an earlier time.
    pub fn put_sooner(&self, account: AccountId, due: Instant) {
        self.put_if(account, due, |known| due < known);
    }

    fn put_if(&self, account: AccountId, due: Instant, replaces: impl FnOnce(Instant) -> bool) {
        let mut waiting = self.waiting.lock();
        if let Some(known) = waiting.known.get(&account).copied() {
            if !replaces(known) {
                return;
            }
            waiting.by_time.remove(&(known, account));
        }
        waiting.known.insert(account, due);
        waiting.by_time.insert((due, account));
        drop(waiting);
        self.changed.notify_one();
    }

    /// The next account, when it is due.
    pub async fn next(&self) -> AccountId {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn the_earlier_time_counts() {
        let queue = DueQueue::default();
        let (now, hour) = (Instant::now(), Duration::from_secs(3600));
        queue.put_sooner(AccountId(1), now + hour);
        queue.put_sooner(AccountId(2), now - Duration::from_millis(1));
        queue.put_sooner(AccountId(1), now - Duration::from_millis(2));
        queue.put_sooner(AccountId(1), now + hour);
        assert_eq!((queue.next().await, queue.next().await), (AccountId(1), AccountId(2)));
        queue.put_sooner(AccountId(1), now);
        assert_eq!(queue.next().await, AccountId(1));
        assert!(queue.waiting.lock().by_time.is_empty() && queue.waiting.lock().known.is_empty());
    }

    #[tokio::test]
    async fn who_waits_keeps_the_time() {
        let queue = DueQueue::default();
        let now = Instant::now();
        queue.put(AccountId(1), now - Duration::from_millis(1));
        queue.put(AccountId(2), now - Duration::from_millis(2));
        queue.put(AccountId(1), now - Duration::from_millis(3));
        assert_eq!((queue.next().await, queue.next().await), (AccountId(2), AccountId(1)));
    }
}
