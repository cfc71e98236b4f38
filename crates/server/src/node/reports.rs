//! Reports to other domains: the file in which they are counted, and the rounds in which they are sent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sterna_base::Clock;
use sterna_mailflow::reports::{ReportSettings, Reports, Sender, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Parts;

/// How often what was counted is written down.
const FLUSH_EVERY: Duration = Duration::from_secs(60);

/// After how many of these what is due is sent.
const SEND_EVERY: u32 = 60;

/// Opens the file. One that is damaged is begun anew: a report is no reason for a node not to start.
pub async fn open(parts: &Parts, settings: watch::Receiver<ReportSettings>) -> Option<Arc<Reports>> {
    let (path, clock) = (parts.folder.join("reports.sqlite"), parts.clock.clone());
    let opening = tokio::task::spawn_blocking(move || open_or_begin(&path, clock, settings)).await;
    match opening {
        Ok(Ok(reports)) => Some(Arc::new(reports)),
        Ok(Err(error)) => {
            tracing::warn!(%error, "no reports are made for other domains");
            None
        }
        Err(error) => {
            tracing::warn!(%error, "no reports are made for other domains");
            None
        }
    }
}

fn open_or_begin(
    path: &Path,
    clock: Arc<dyn Clock>,
    settings: watch::Receiver<ReportSettings>,
) -> Result<Reports, StoreError> {
    Reports::open(path, clock.clone(), settings.clone()).or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "the file of reports can't be read and is begun anew");
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            let _ = std::fs::remove_file(file);
        }
        Reports::open(path, clock, settings)
    })
}

/// Writes down and sends until the node stops.
pub async fn keep_sent(sender: Sender, stop: CancellationToken) {
    let mut rounds: u32 = 0;
    while stop.run_until_cancelled(tokio::time::sleep(FLUSH_EVERY)).await.is_some() {
        rounds = rounds.wrapping_add(1);
        if rounds.is_multiple_of(SEND_EVERY) {
            stop.run_until_cancelled(sender.send_due()).await;
        } else {
            sender.reports.flush().await;
        }
    }
    sender.reports.flush().await;
}
