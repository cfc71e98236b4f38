//! Expunged items stay for a time, then their contents go.

use std::time::Duration;

use async_trait::async_trait;
use sterna_base::{AccountId, Clock};

use crate::StoreError;
use crate::local::LocalAccounts;

/// Rows purged in one commit: small, so that nobody's write waits behind a purge.
const ROWS_PER_STEP: usize = 500;

/// Who knows how long expunged items are kept.
#[async_trait]
pub trait Retention: Send + Sync {
    /// For how long, in milliseconds, in this account. `None` when that can't be found out: nothing is purged then.
    async fn retention_ms(&self, account: AccountId) -> Option<i64>;
}

/// Purges every account of the node once. An account that can't be opened is passed over with one log line; the next
/// round tries it again. Returns how many rows went.
///
/// # Errors
/// When the node's accounts can't be listed.
pub async fn purge_all(
    accounts: &LocalAccounts,
    retention: &dyn Retention,
    clock: &dyn Clock,
) -> Result<u64, StoreError> {
    let mut total = 0;
    for id in accounts.list().await? {
        let Some(retention_ms) = retention.retention_ms(id).await else { continue };
        let before = clock.now().plus_ms(-retention_ms);
        loop {
            let step = match accounts.get(id).await {
                Ok(account) => account.purge(before, ROWS_PER_STEP).await,
                Err(error) => Err(error),
            };
            match step {
                Ok(0) => break,
                Ok(rows) => total += rows,
                Err(error) => {
                    tracing::warn!(account = %id, %error, "expunged items could not be purged; the next round tries again");
                    break;
                }
            }
        }
    }
    Ok(total)
}

/// Purges all accounts every `interval`, for ever. It may be dropped at any time.
pub async fn run(accounts: &LocalAccounts, retention: &dyn Retention, clock: &dyn Clock, interval: Duration) {
    loop {
        match purge_all(accounts, retention, clock).await {
            Ok(rows) => tracing::info!(rows, "purged what was expunged and its time is over"),
            Err(error) => tracing::warn!(%error, "expunged items could not be purged"),
        }
        tokio::time::sleep(interval).await;
    }
}
