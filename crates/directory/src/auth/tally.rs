//! How many log-ins there were since the node started, by what became of them.

use std::sync::atomic::{AtomicU64, Ordering};

use sterna_account::service::LoginError;

/// The counts; each only grows.
#[derive(Debug, Default)]
pub struct LoginTally {
    accepted: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
}

impl LoginTally {
    /// Counts what became of one, and hands it on.
    pub(super) fn note<T>(&self, result: Result<T, LoginError>) -> Result<T, LoginError> {
        let count = match &result {
            Ok(_) => &self.accepted,
            Err(LoginError::Unavailable(_)) => &self.unavailable,
            Err(_) => &self.refused,
        };
        count.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// Each count with its name: "accepted", "refused" (by password, by rule or by throttling), "unavailable".
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        [("accepted", &self.accepted), ("refused", &self.refused), ("unavailable", &self.unavailable)]
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}
