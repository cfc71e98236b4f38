//! For whom large attachments become links, and whose addresses are collected: settings of domains, and a name by which
//! the world reaches this place.

use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::Login;
use sterna_directory::{Directory, Reader, StorageError, settings};
use sterna_formats::discovery;
use sterna_mailflow::collected::CollectPolicies;
use sterna_mailflow::detached::{DetachPolicies, DetachPolicy};

use super::discovery::Discovery;

/// What the directory says.
pub struct DirectoryPolicies {
    directory: Directory,
    discovery: Arc<Discovery>,
}

impl DirectoryPolicies {
    /// Of this node's copy of it.
    pub fn new(directory: Directory, discovery: Arc<Discovery>) -> Self {
        DirectoryPolicies { directory, discovery }
    }

    async fn find(&self, login: &Login) -> Result<Option<DetachPolicy>, StorageError> {
        let id = login.account;
        let read = move |reader: &Reader<'_>| {
            let domain = reader.domain_of(id)?;
            let of = |name| reader.setting_for(domain.as_ref(), name);
            let number = |name| Ok::<_, StorageError>(of(name)?.and_then(|value| value.parse::<u64>().ok()));
            let Some(from_bytes) = number(settings::DETACH_BYTES)?.filter(|bytes| *bytes > 0) else { return Ok(None) };
            let days = match number(settings::DETACH_DAYS)? {
                Some(days) => days,
                None => reader.number_setting(settings::DETACH_DAYS)?,
            };
            Ok::<_, StorageError>(Some((from_bytes, days, of(settings::LANGUAGE)?.unwrap_or_default())))
        };
        let Some((from_bytes, days, language)) = self.directory.read(read).await? else { return Ok(None) };
        let Some(domain) = discovery::domain_of(&login.address) else { return Ok(None) };
        let url = self.discovery.find(domain).await?.and_then(|found| found.facts.dav_url());
        let Some(base) = url.as_deref().and_then(|url| url.strip_suffix(discovery::DAV_PATH)) else {
            tracing::warn!(
                domain,
                "attachments can't become links, because nobody could fetch them: set https in [listen] of sterna.toml \
                 and hostname, or external-url (see sterna domain dns)"
            );
            return Ok(None);
        };
        let days = u32::try_from(days).unwrap_or(u32::MAX);
        Ok(Some(DetachPolicy { from_bytes, days, base: base.to_owned(), language }))
    }
}

#[async_trait]
impl DetachPolicies for DirectoryPolicies {
    async fn policy(&self, login: &Login) -> Option<DetachPolicy> {
        self.find(login).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "it can't be looked up whether attachments become links");
            None
        })
    }
}

#[async_trait]
impl CollectPolicies for DirectoryPolicies {
    async fn collects(&self, login: &Login) -> bool {
        let id = login.account;
        let read = move |reader: &Reader<'_>| {
            let domain = reader.domain_of(id)?;
            Ok::<_, StorageError>(reader.setting_for(domain.as_ref(), settings::COLLECT)?.as_deref() == Some("on"))
        };
        self.directory.read(read).await.unwrap_or(false)
    }
}
