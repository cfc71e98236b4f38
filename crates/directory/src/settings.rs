//! The settings that the directory itself reads. What a domain doesn't set is looked up for the system, then here.

use crate::model::{Domain, Scope};
use crate::names;
use crate::read::Reader;
use crate::{RequestError, StorageError};

/// Characters that separate an address from its detail (RFC 5233); empty switches plus-addressing off. "+" when not
/// set.
pub const PLUS_SEPARATORS: &str = "plus-separators";
/// Where mail for postmaster goes in domains that have no such address; all administrators when not set.
pub const POSTMASTER: &str = "postmaster";
/// The domain of addresses given without one (`RCPT TO:<postmaster>`, RFC 5321 section 4.5.1).
pub const DEFAULT_DOMAIN: &str = "default-domain";

/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// Checks a setting and gives its value in the stored form. Names that the directory doesn't know are other crates' and
/// are kept as they are.
pub(crate) fn check(name: &str, value: &str) -> Result<String, RequestError> {
    let good_name = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-./".contains(&b));
    if !good_name {
        return Err(names::invalid("name", "small letters, digits, and - . / only"));
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(names::invalid("value", "it is longer than 16 KiB"));
    }
    match name {
        PLUS_SEPARATORS => {
            let good = value.len() <= 4 && value.chars().all(|c| "+-=._#".contains(c));
            good.then(|| value.to_owned()).ok_or_else(|| names::invalid("value", "at most four of + - = . _ #"))
        }
        POSTMASTER => names::address(value)
            .map(|(local, domain)| format!("{local}@{domain}"))
            .ok_or_else(|| names::invalid("value", "it must be an address")),
        DEFAULT_DOMAIN => names::domain(value).ok_or_else(|| names::invalid("value", "it must be a domain name")),
        _ => Ok(value.to_owned()),
    }
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

    /// The separators of plus-addressing for a domain.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn plus_separators(&self, domain: &Domain) -> Result<String, StorageError> {
        Ok(self.setting_for(Some(domain), PLUS_SEPARATORS)?.unwrap_or_else(|| "+".to_owned()))
    }
}
