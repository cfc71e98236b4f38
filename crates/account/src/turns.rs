//! One after the other, for what is done to one account.

use sterna_base::AccountId;
use tokio::sync::{Mutex, MutexGuard};

/// Locks that accounts share: however many accounts there are, there are `N` of them.
pub struct AccountTurns<const N: usize>([Mutex<()>; N]);

impl<const N: usize> Default for AccountTurns<N> {
    fn default() -> Self {
        AccountTurns(std::array::from_fn(|_| Mutex::default()))
    }
}

impl<const N: usize> AccountTurns<N> {
    /// Returns when it is this one's turn, which ends when what is returned is dropped.
    pub async fn take(&self, account: AccountId) -> MutexGuard<'_, ()> {
        self.0[(account.0 % N as u64) as usize].lock().await
    }
}
