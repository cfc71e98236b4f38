//! How many sessions each user has with a protocol.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sterna_base::AccountId;

/// Counts the sessions of each account.
#[derive(Default)]
pub struct AccountSessions(Mutex<HashMap<AccountId, u64>>);

/// One of them; given back when dropped.
pub struct AccountSession {
    sessions: Arc<AccountSessions>,
    account: AccountId,
}

impl AccountSessions {
    /// One more, unless there are so many. Others' sessions don't count: whoever opens too many locks nobody else out.
    pub fn enter(self: &Arc<Self>, account: AccountId, most: u64) -> Option<AccountSession> {
        let mut counts = self.0.lock();
        let count = counts.get(&account).copied().unwrap_or_default();
        if count >= most {
            return None;
        }
        counts.insert(account, count + 1);
        Some(AccountSession { sessions: self.clone(), account })
    }
}

impl Drop for AccountSession {
    fn drop(&mut self) {
        let mut counts = self.sessions.0.lock();
        if let Some(count) = counts.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.account);
            }
        }
    }
}
