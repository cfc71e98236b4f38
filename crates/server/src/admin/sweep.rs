//! Finishing what was interrupted: stores that are still to be deleted, reservations that nobody turned into an
//! account, failovers that are not at their end. Only the main node has anything to do.

use std::collections::HashSet;
use std::time::Duration;

use sterna_base::{AccountId, NodeId};
use sterna_directory::{PendingStore, Reader, Request};

use super::create::Deletion;
use super::doors::AdminState;
use super::problem::Problem;

/// How often all of it is looked for, in milliseconds.
const SWEEP_INTERVAL_MS: u64 = 60_000;
/// How often a deletion that failed is tried again, in milliseconds: its server may be back, and accounts wait for it.
const RETRY_INTERVAL_MS: u64 = 5_000;
/// How long changes of the directory are gathered before it is looked whether they left something to delete.
const GATHER_MS: u64 = 200;
/// How old a reservation is before it counts as forgotten, in milliseconds: far longer than making an account takes.
const RESERVATION_MS_MAX: i64 = 15 * 60 * 1000;
/// Stores read at once.
const SWEEP_PAGE: usize = 1000;

/// What failed when it was last tried.
#[derive(Default)]
pub(super) struct Failed {
    stores: HashSet<(AccountId, NodeId)>,
    /// They don't answer: none of them is asked in vain for one account after the other.
    servers: HashSet<NodeId>,
}

impl Failed {
    fn contains(&self, store: &PendingStore) -> bool {
        self.servers.contains(&store.server) || self.stores.contains(&(store.account, store.server))
    }

    fn is_empty(&self) -> bool {
        self.stores.is_empty() && self.servers.is_empty()
    }
}

/// Sweeps for as long as the node runs: soon after each change of the directory, because an account can't go to a
/// server where an older store of it is still to be deleted; then whatever failed; and now and then everything.
pub async fn sweep_forever(state: AdminState) {
    let mut ticks = tokio::time::interval(Duration::from_millis(SWEEP_INTERVAL_MS));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut changed, mut failed) = (state.directory.watch(), Failed::default());
    loop {
        let retry = tokio::time::sleep(Duration::from_millis(RETRY_INTERVAL_MS));
        let is_full = tokio::select! {
            _ = ticks.tick() => {
                failed = Failed::default();
                true
            }
            () = retry, if !failed.is_empty() => {
                failed = Failed::default();
                false
            }
            Ok(()) = changed.changed() => false,
        };
        if !state.directory.is_main() {
            continue;
        }
        if !is_full {
            tokio::time::sleep(Duration::from_millis(GATHER_MS)).await;
        }
        changed.mark_unchanged();
        if let Err(problem) = sweep(&state, &mut failed).await {
            tracing::warn!(cause = problem.detail, "stores that nobody uses could not be looked for");
        }
        if is_full && let Err(problem) = super::bin::sweep(&state).await {
            tracing::warn!(cause = problem.detail, "what is in the bin could not be looked through");
        }
        if is_full && let Err(problem) = super::sudo::sweep(&state).await {
            tracing::warn!(cause = problem.detail, "administrators who worked as users could not be looked for");
        }
        if is_full && let Err(problem) = super::failover::finish(&state).await {
            tracing::warn!(cause = problem.detail, "failovers that were interrupted could not be gone on with");
        }
    }
}

/// One round of [`sweep_forever`], page by page: a server that is down for long must not keep others from their turn.
pub(super) async fn sweep(state: &AdminState, failed: &mut Failed) -> Result<(), Problem> {
    let mut after = None;
    loop {
        let page = state.directory.read(move |reader| pending_stores(reader, after)).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some((last.account, last.server));
        sweep_page(state, page, failed).await?;
    }
}

/// Stores that are being made or deleted, and whether their servers still exist.
fn pending_stores(
    reader: &Reader<'_>,
    after: Option<(AccountId, NodeId)>,
) -> Result<Vec<(PendingStore, bool)>, Problem> {
    let pending = reader.pending_stores(after, SWEEP_PAGE)?;
    pending.into_iter().map(|store| Ok((store, reader.server(store.server)?.is_some()))).collect()
}

async fn sweep_page(state: &AdminState, page: Vec<(PendingStore, bool)>, failed: &mut Failed) -> Result<(), Problem> {
    let now = state.directory.now();
    for (store, server_exists) in page {
        let (account, server) = (store.account, store.server);
        if failed.contains(&store) {
            continue;
        }
        if !store.deleting {
            if now.0 - store.since.0 < RESERVATION_MS_MAX {
                continue;
            }
            // From here on nobody can turn the reservation into an entry, so the store is nobody's.
            state.directory.submit(Request::GiveUpAccount { account }).await?;
        }
        if server_exists {
            match state.delete_pending(account, server).await? {
                Deletion::Done => {}
                Deletion::Failed => _ = failed.stores.insert((account, server)),
                Deletion::Unanswered => _ = failed.servers.insert(server),
            }
        } else {
            // The server was removed from the installation and its stores with it.
            state.directory.submit(Request::StoreGone { account, server }).await?;
        }
    }
    Ok(())
}
