//! The content filters of this edge, as the directory has them set.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use sterna_base::Secret;
use sterna_directory::{Directory, Reader, StorageError, filter_settings as names};
use sterna_mailflow::filter::clamav::ClamavSettings;
use sterna_mailflow::filter::rspamd::RspamdSettings;
use sterna_mailflow::filter::{Applies, Common, Endpoint, Filters, FiltersSettings, WhenDown, in_order, milters};
use tokio::sync::watch;

use super::Parts;

/// Starts to follow the settings, and to ask the filters whether they are there.
///
/// # Errors
/// When the settings can't be read.
pub(super) async fn start(parts: &Parts) -> Result<Arc<Filters>> {
    let own_name = parts.config.hostname().to_owned();
    let mut changed = parts.directory.watch();
    changed.mark_unchanged();
    let first = read(&parts.directory, &own_name).await.context("the settings of content filters")?;
    let (sender, settings) = watch::channel(first);
    let (clock, spool) = (parts.clock.clone(), parts.folder.join("spool"));
    let filters = Arc::new(Filters::new(settings, clock, spool, parts.trace()));
    let filters = parts.filters.get_or_init(|| filters).clone();
    let (directory, stop) = (parts.directory.clone(), parts.stop.clone());
    parts.tasks.spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                change = changed.changed() => if change.is_err() { return },
            }
            match read(&directory, &own_name).await {
                Ok(now) => drop(sender.send_if_modified(|known| {
                    let is_new = *known != now;
                    *known = now;
                    is_new
                })),
                Err(error) => tracing::warn!(%error, "the settings of content filters could not be read"),
            }
        }
    });
    let (watched, stop) = (filters.clone(), parts.stop.clone());
    parts.tasks.spawn(async move { stop.run_until_cancelled(watched.watch_health()).await });
    Ok(filters)
}

async fn read(directory: &Directory, own_name: &str) -> Result<FiltersSettings, StorageError> {
    let own_name = own_name.to_owned();
    directory.read(move |reader| of(reader, own_name)).await
}

fn of(reader: &Reader<'_>, own_name: String) -> Result<FiltersSettings, StorageError> {
    let setting = |name: &str| Ok::<_, StorageError>(names::or_default(name, reader.setting_for(None, name)?));
    let common = |endpoint: Endpoint, applies: &str, down: &str, seconds: &str, parallel: &str| {
        Ok::<_, StorageError>(Common {
            endpoint,
            applies: Applies::from_name(&setting(applies)?).unwrap_or_default(),
            when_down: WhenDown::from_name(&setting(down)?).unwrap_or(WhenDown::Defer),
            timeout: Duration::from_secs(reader.number_setting(seconds)?),
            at_once: usize::try_from(reader.number_setting(parallel)?).unwrap_or(usize::MAX),
        })
    };
    let clamav = match setting(names::CLAMAV_ADDRESS)?.parse() {
        Err(_) => None,
        Ok(endpoint) => Some(ClamavSettings {
            common: common(
                endpoint,
                names::CLAMAV_APPLIES_TO,
                names::CLAMAV_WHEN_DOWN,
                names::CLAMAV_TIMEOUT_SECONDS,
                names::CLAMAV_PARALLEL,
            )?,
            quarantines: setting(names::CLAMAV_WHEN_FOUND)? == "quarantine",
            bytes_max: reader.number_setting(names::CLAMAV_BYTES_MAX)?,
            when_too_large: WhenDown::from_name(&setting(names::CLAMAV_WHEN_TOO_LARGE)?).unwrap_or(WhenDown::Accept),
        }),
    };
    let rspamd = match Endpoint::of_http(&setting(names::RSPAMD_ADDRESS)?) {
        Err(_) => None,
        Ok(endpoint) => Some(RspamdSettings {
            common: common(
                endpoint,
                names::RSPAMD_APPLIES_TO,
                names::RSPAMD_WHEN_DOWN,
                names::RSPAMD_TIMEOUT_SECONDS,
                names::RSPAMD_PARALLEL,
            )?,
            password: reader.setting_for(None, names::RSPAMD_PASSWORD)?.map(Secret::new),
            authorities: reader.setting_for(None, names::RSPAMD_AUTHORITIES)?,
            quarantines: setting(names::RSPAMD_WHEN_SPAM)? == "junk",
        }),
    };
    let timeout = Duration::from_secs(reader.number_setting(names::MILTER_TIMEOUT_SECONDS)?);
    let at_once = usize::try_from(reader.number_setting(names::MILTER_PARALLEL)?).unwrap_or(usize::MAX);
    let milters = milters(&setting(names::MILTER_ADDRESSES)?, timeout, at_once);
    Ok(FiltersSettings { own_name, order: in_order(&setting(names::FILTER_ORDER)?), clamav, rspamd, milters })
}
