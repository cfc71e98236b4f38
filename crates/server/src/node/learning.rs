//! Learning from what users put into Junk and take out of it, on a data server.

use std::sync::Arc;

use anyhow::{Context, Result};
use sterna_account::service::Accounts;
use sterna_base::Secret;
use sterna_directory::{Directory, Reader, StorageError, filter_settings as names};
use sterna_mailflow::filter::Endpoint;
use sterna_mailflow::filter::rspamd::LearnSettings;
use sterna_mailflow::learning::Learning;
use tokio::sync::watch;

use super::Parts;

/// Starts to listen to the accounts of this node, and to teach, where that is set. Without its file nothing is learned:
/// that is no reason to serve nobody.
///
/// # Errors
/// When the settings can't be read.
pub(super) async fn start(parts: &Parts) -> Result<()> {
    let Some(local) = parts.local.clone() else { return Ok(()) };
    let mut changed = parts.directory.watch();
    changed.mark_unchanged();
    let first = read(&parts.directory).await.context("the settings of learning")?;
    let (sender, settings) = watch::channel(first);
    let (file, clock) = (parts.folder.join("learning.sqlite"), parts.clock.clone());
    let accounts: Arc<dyn Accounts> = parts.accounts.clone();
    let opened = tokio::task::spawn_blocking(move || Learning::open(&file, accounts, settings, clock)).await?;
    let learning = match opened {
        Ok(learning) => Arc::new(learning),
        Err(error) => {
            tracing::warn!(%error, "nothing is learned from Junk; remove learning.sqlite in the node's folder and start again");
            return Ok(());
        }
    };
    local.tell_of_movements(learning.clone());
    parts.tasks.spawn(learning.run(parts.stop.clone()));
    let (directory, stop) = (parts.directory.clone(), parts.stop.clone());
    parts.tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                change = changed.changed() => if change.is_err() { return },
            }
            match read(&directory).await {
                Ok(now) => drop(sender.send_if_modified(|known| {
                    let is_new = *known != now;
                    *known = now;
                    is_new
                })),
                Err(error) => tracing::warn!(%error, "the settings of learning could not be read"),
            }
        }
    });
    Ok(())
}

async fn read(directory: &Directory) -> Result<Option<LearnSettings>, StorageError> {
    directory.read(of).await
}

fn of(reader: &Reader<'_>) -> Result<Option<LearnSettings>, StorageError> {
    let setting = |name: &str| reader.setting_for(None, name);
    let Some(address) = setting(names::RSPAMD_LEARN_ADDRESS)? else { return Ok(None) };
    let Ok(endpoint) = Endpoint::of_http(&address) else { return Ok(None) };
    let (password, authorities) = (setting(names::RSPAMD_PASSWORD)?, setting(names::RSPAMD_AUTHORITIES)?);
    Ok(Some(LearnSettings { endpoint, password: password.map(Secret::new), authorities }))
}
