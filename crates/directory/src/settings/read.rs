//! Settings as they hold: a domain's own, the system's, or what holds when nobody set it.

use sterna_base::AccountId;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::session_limits::SessionLimits;

use super::*;
use crate::StorageError;
use crate::model::{Domain, Scope};
use crate::read::Reader;

/// Days of retention when nobody says otherwise.
const RETENTION_DAYS_DEFAULT: u32 = 7;
/// Milliseconds of an hour.
const MS_PER_HOUR: i64 = 60 * 60 * 1000;

/// How long copies are kept for the way back, in milliseconds.
pub(crate) fn rollback_ms(reader: &Reader<'_>) -> Result<i64, StorageError> {
    let hours = reader.number_setting(MOVE_ROLLBACK_HOURS)?;
    Ok(i64::try_from(hours).unwrap_or(i64::MAX).saturating_mul(MS_PER_HOUR))
}

impl Reader<'_> {
    /// What holds for a domain: its own setting, or the system's.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn setting_for(&self, domain: Option<&Domain>, name: &str) -> Result<Option<String>, StorageError> {
        if let Some(domain) = domain
            && let Some(found) = self.setting(Scope::Domain(domain.id), name)?
        {
            return Ok(Some(found.value.value));
        }
        Ok(self.setting(Scope::System, name)?.map(|found| found.value.value))
    }

    /// The domains for which a setting holds, with its value: their own, or all of them if it is set for the system.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn domains_with(&self, name: &str) -> Result<Vec<(Domain, String)>, StorageError> {
        let mut found = Vec::new();
        if self.setting(Scope::System, name)?.is_none() {
            for setting in self.domain_settings(name)? {
                let Scope::Domain(id) = setting.scope else { continue };
                found.extend(self.domain(id)?.map(|domain| (domain.value, setting.value)));
            }
            return Ok(found);
        }
        let mut after = String::new();
        loop {
            let page = self.domains(&after, PAGE_ITEMS_MAX)?;
            let Some(last) = page.last() else { return Ok(found) };
            after.clone_from(&last.value.name);
            for domain in page {
                let value = self.setting_for(Some(&domain.value), name)?;
                found.extend(value.map(|value| (domain.value, value)));
            }
        }
    }

    /// Days for which expunged items are kept in a domain.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn retention_days(&self, domain: Option<&Domain>) -> Result<u32, StorageError> {
        let set = self.setting_for(domain, RETENTION_DAYS)?;
        Ok(set.and_then(|days| days.parse().ok()).unwrap_or(RETENTION_DAYS_DEFAULT))
    }

    /// One of the system's settings that are numbers, such as [`MOVE_PARALLEL`]; zero for a name that is none of them.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn number_setting(&self, name: &str) -> Result<u64, StorageError> {
        self.number_setting_for(None, name)
    }

    /// The same for a domain: its own setting, or the system's.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn number_setting_for(&self, domain: Option<&Domain>, name: &str) -> Result<u64, StorageError> {
        let default = number(name).map_or(0, |(_, default, ..)| default);
        Ok(self.setting_for(domain, name)?.and_then(|value| value.parse().ok()).unwrap_or(default))
    }

    /// The limits of sessions that hold for the installation.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn session_limits(&self) -> Result<SessionLimits, StorageError> {
        SessionLimits::read(|name| Ok(self.setting_for(None, name)?.and_then(|value| value.parse().ok())))
    }

    /// Whether senders to a mailbox of a domain that is over its quota are refused for good at once.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn refuses_when_full(&self, domain: Option<&Domain>) -> Result<bool, StorageError> {
        Ok(self.setting_for(domain, FULL_MAILBOX)?.as_deref() == Some("refuse"))
    }

    /// For how long senders to a mailbox of a domain that is over its quota are asked to try again, in milliseconds,
    /// before they are refused; `None` is for ever.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn deferred_when_full_ms(&self, domain: Option<&Domain>) -> Result<Option<i64>, StorageError> {
        if self.refuses_when_full(domain)? {
            return Ok(Some(0));
        }
        let hours = self.number_setting_for(domain, FULL_MAILBOX_HOURS)?;
        Ok((hours > 0).then(|| i64::try_from(hours).unwrap_or(i64::MAX).saturating_mul(MS_PER_HOUR)))
    }

    /// The domain of an account's main address.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn domain_of(&self, account: AccountId) -> Result<Option<Domain>, StorageError> {
        let Some(entry) = self.entry(account)? else { return Ok(None) };
        Ok(self.domain(entry.value.entry().address.domain)?.map(|found| found.value))
    }

    /// Whether some domain, or the installation, has Sieve scripts of its own.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn has_domain_scripts(&self) -> Result<bool, StorageError> {
        self.is_any_set(&[SIEVE_BEFORE, SIEVE_AFTER])
    }

    /// The separators of plus-addressing for a domain.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn plus_separators(&self, domain: &Domain) -> Result<String, StorageError> {
        Ok(self.setting_for(Some(domain), PLUS_SEPARATORS)?.unwrap_or_else(|| "+".to_owned()))
    }
}
