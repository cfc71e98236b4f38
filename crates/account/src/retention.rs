//! Expunged items stay for a time, then their contents go.

use std::time::Duration;

use tokio::sync::watch;

use crate::local::LocalAccounts;

/// How long expunged items are kept unless the administrator says otherwise: seven days.
pub const RETENTION_DEFAULT_MS: i64 = 7 * 24 * 3600 * 1000;

/// Rows purged in one commit: small, so that nobody's write waits behind a purge.
const ROWS_PER_STEP: usize = 500;

/// Purges every account of the node once: what was expunged more than `retention_ms` ago. An account that can't be
/// opened is passed over with one log line; the next round tries it again. Returns how many rows went.
///
/// # Errors
/// When the node's accounts can't be listed.
pub async fn purge_all(
    accounts: &LocalAccounts,
    retention_ms: i64,
    now: sterna_base::Timestamp,
) -> Result<u64, crate::StoreError> {
    let before = now.plus_ms(-retention_ms);
    let mut total = 0;
    for id in accounts.list().await? {
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

/// Purges all accounts every `interval`, until `stop` is set.
pub async fn run(
    accounts: &LocalAccounts,
    clock: &dyn sterna_base::Clock,
    retention_ms: i64,
    interval: Duration,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        match purge_all(accounts, retention_ms, clock.now()).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "purged expunged items"),
            Err(error) => tracing::warn!(%error, "expunged items could not be purged"),
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}
