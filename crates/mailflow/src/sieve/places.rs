//! Places that accounts share: for scripts that run, and for what they look at. Whoever has least gets the next, so
//! that the mail of one account never keeps the others waiting for more than a place that is taken.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use sterna_base::AccountId;
use tokio::sync::oneshot;

/// See the module.
#[derive(Clone)]
pub struct Places(Arc<Mutex<State>>);

struct State {
    free: u64,
    /// Asked so far: who waits longest goes first among those who have as much.
    asked: u64,
    /// What accounts have; none of them nothing.
    held: HashMap<AccountId, u64>,
    /// Those who wait, each account's in their order.
    waiting: HashMap<AccountId, VecDeque<Waiting>>,
}

struct Waiting {
    number: u64,
    size: u64,
    sender: oneshot::Sender<Place>,
}

/// Room that an account has until this is dropped.
pub struct Place {
    account: AccountId,
    size: u64,
    /// None for one that nobody took.
    of: Option<Places>,
}

impl Places {
    /// So many.
    pub fn new(count: u64) -> Self {
        let (held, waiting) = (HashMap::new(), HashMap::new());
        Places(Arc::new(Mutex::new(State { free: count, asked: 0, held, waiting })))
    }

    /// Waits for room of this size, which must not be larger than all there is. `None` never comes while this lives.
    pub async fn take(&self, account: AccountId, size: u64) -> Option<Place> {
        let receiver = {
            let mut state = self.0.lock();
            state.asked += 1;
            let (sender, receiver) = oneshot::channel();
            let waiting = Waiting { number: state.asked, size, sender };
            state.waiting.entry(account).or_default().push_back(waiting);
            self.give(&mut state);
            receiver
        };
        receiver.await.ok()
    }

    /// Gives what is free to those who wait. Nobody is overtaken by who needs less: large messages would wait for ever.
    fn give(&self, state: &mut State) {
        loop {
            let key = |account: &AccountId, queue: &VecDeque<Waiting>| {
                let first = queue.front().map_or(u64::MAX, |waiting| waiting.number);
                (state.held.get(account).copied().unwrap_or(0), first)
            };
            let next = state.waiting.iter().min_by_key(|(account, queue)| key(account, queue));
            let Some(account) = next.map(|(account, _)| *account) else { return };
            let Some(queue) = state.waiting.get_mut(&account) else { return };
            let Some(first) = queue.pop_front_if(|first| first.size <= state.free || first.sender.is_closed()) else {
                return;
            };
            if queue.is_empty() {
                state.waiting.remove(&account);
            }
            let place = Place { account, size: first.size, of: Some(self.clone()) };
            match first.sender.send(place) {
                Ok(()) => {
                    state.free -= first.size;
                    *state.held.entry(account).or_default() += first.size;
                }
                // Who waited has gone; nothing was taken for them.
                Err(mut place) => place.of = None,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(places) = self.of.take() else { return };
        let mut state = places.0.lock();
        state.free += self.size;
        let left = state.held.get(&self.account).map_or(0, |held| held.saturating_sub(self.size));
        if left == 0 {
            state.held.remove(&self.account);
        } else {
            state.held.insert(self.account, left);
        }
        places.give(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const ANA: AccountId = AccountId(1);
    const BEN: AccountId = AccountId(2);

    #[tokio::test]
    async fn who_has_least_is_next() {
        let places = Places::new(2);
        let mut held = vec![places.take(ANA, 1).await.unwrap(), places.take(ANA, 1).await.unwrap()];
        let mut more: Vec<_> = (0..10).map(|_| Box::pin(places.take(ANA, 1))).collect();
        assert!(more.iter_mut().all(|one| one.now_or_never().is_none()));
        let mut ben = Box::pin(places.take(BEN, 1));
        assert!((&mut ben).now_or_never().is_none());
        held.pop();
        let ben = ben.now_or_never().flatten().unwrap();
        assert!(more.iter_mut().all(|one| one.now_or_never().is_none()), "ana has one, and waits for another");
        drop(ben);
        assert!((&mut more[0]).now_or_never().is_some(), "nobody else wants it");
    }

    #[tokio::test]
    async fn who_goes_leaves_its_turn_to_the_next() {
        let places = Places::new(4);
        let held = places.take(ANA, 3).await.unwrap();
        let mut large = Box::pin(places.take(BEN, 4));
        let mut small = Box::pin(places.take(ANA, 1));
        assert!((&mut large).now_or_never().is_none() && (&mut small).now_or_never().is_none());
        drop(large);
        drop(held);
        let held = small.now_or_never().flatten().unwrap();
        // One that was given and not looked at comes back.
        let mut lost = Box::pin(places.take(BEN, 4));
        assert!((&mut lost).now_or_never().is_none());
        drop(held);
        drop(lost);
        assert!(places.take(BEN, 4).now_or_never().flatten().is_some());
        let state = places.0.lock();
        assert_eq!((state.free, state.held.len(), state.waiting.len()), (4, 0, 0));
    }
}
