//! Keys that domains sign with. The private half is sealed: this file knows nothing of what opens it.

use serde::{Deserialize, Serialize};
use sterna_base::{DomainId, Timestamp};

use crate::index;
use crate::names::invalid;
use crate::read::{Reader, Versioned};
use crate::requests::found;
use crate::row::{Content, RowKind};
use crate::write::Write;
use crate::{RequestError, StorageError};

/// Keys that a domain may have, active ones and others.
pub const DKIM_KEYS_MAX: usize = 16;

/// Longest selector, in bytes: it is one label in DNS.
const SELECTOR_BYTES_MAX: usize = 63;

/// Longest sealed or public half, in bytes.
const HALF_BYTES_MAX: usize = 16 * 1024;

/// What a key is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DkimState {
    /// Made, to be published in DNS; nothing is signed with it yet.
    New,
    /// Mail is signed with it.
    Active,
    /// No more: its record stays in DNS until what was signed with it has arrived.
    Retired,
}

impl DkimState {
    /// As listings show it.
    pub fn name(self) -> &'static str {
        match self {
            DkimState::New => "new",
            DkimState::Active => "active",
            DkimState::Retired => "retired",
        }
    }
}

/// One key of a domain.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DkimKey {
    /// Whose.
    pub domain: DomainId,
    /// Its name in DNS.
    pub selector: String,
    /// "rsa-2048" or "ed25519".
    pub algorithm: String,
    /// What DNS has of it, in base64.
    pub public: String,
    /// The private half, sealed with a secret that is not in the directory.
    pub sealed: String,
    /// What it is used for.
    pub state: DkimState,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is in this state.
    pub since: Timestamp,
}

impl std::fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DkimKey({} of {}, {}, {:?})", self.selector, self.domain, self.algorithm, self.state)
    }
}

/// A key that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDkimKey {
    /// Whose.
    pub domain: DomainId,
    /// Its name in DNS.
    pub selector: String,
    /// "rsa-2048" or "ed25519".
    pub algorithm: String,
    /// What DNS has of it, in base64.
    pub public: String,
    /// The private half, sealed.
    pub sealed: String,
}

impl std::fmt::Debug for NewDkimKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewDkimKey({} of {}, {})", self.selector, self.domain, self.algorithm)
    }
}

pub(crate) fn key(domain: DomainId, selector: &str) -> String {
    format!("{:016x}/{selector}", domain.0)
}

impl Content for DkimKey {
    const KIND: RowKind = RowKind::DkimKey;
    fn key(&self) -> String {
        key(self.domain, &self.selector)
    }
}

/// Adds a key.
pub(crate) fn create(write: &mut Write<'_>, new: &NewDkimKey) -> Result<(), RequestError> {
    let NewDkimKey { domain, selector, algorithm, public, sealed } = new.clone();
    found(write.reader.domain(domain)?, "domain", domain, None)?;
    let is_label = !selector.is_empty()
        && selector.len() <= SELECTOR_BYTES_MAX
        && !selector.starts_with('-')
        && selector.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_label {
        return Err(invalid("selector", "small letters, digits and - only, at most 63"));
    }
    if public.len() > HALF_BYTES_MAX || sealed.len() > HALF_BYTES_MAX {
        return Err(invalid("key", "it is longer than 16 KiB"));
    }
    let keys = write.reader.dkim_keys(domain)?;
    if keys.iter().any(|key| key.value.selector == selector) {
        return Err(RequestError::Taken { name: selector, owner: "DKIM key", owner_id: domain.to_string() });
    }
    if keys.len() >= DKIM_KEYS_MAX {
        return Err(RequestError::Limit { what: "DKIM keys of a domain", limit: DKIM_KEYS_MAX });
    }
    let (created_at, since, state) = (write.now, write.now, DkimState::New);
    Ok(write.put(&DkimKey { domain, selector, algorithm, public, sealed, state, created_at, since })?)
}

/// Changes what a key is used for. The active ones of its kind retire when it becomes active: from then on mail has its
/// signature instead of theirs, and there is no moment without.
pub(crate) fn set_state(
    write: &mut Write<'_>,
    domain: DomainId,
    selector: &str,
    state: DkimState,
) -> Result<(), RequestError> {
    let mut row = found(write.reader.row::<DkimKey>(&key(domain, selector))?, "DKIM key", selector, None)?;
    if row.state == state {
        return Ok(());
    }
    if state == DkimState::Active {
        for mut other in write.reader.dkim_keys(domain)?.into_iter().map(|found| found.value) {
            if other.state == DkimState::Active && other.algorithm == row.algorithm {
                (other.state, other.since) = (DkimState::Retired, write.now);
                write.put(&other)?;
            }
        }
    }
    (row.state, row.since) = (state, write.now);
    Ok(write.put(&row)?)
}

/// Deletes a key that is not in use.
pub(crate) fn delete(write: &mut Write<'_>, domain: DomainId, selector: &str) -> Result<(), RequestError> {
    let row = found(write.reader.row::<DkimKey>(&key(domain, selector))?, "DKIM key", selector, None)?;
    if row.state == DkimState::Active {
        return Err(RequestError::InUse {
            by: "the mail that is signed with it; make another active first".to_owned(),
        });
    }
    Ok(write.delete(RowKind::DkimKey, &key(domain, selector))?)
}

/// Deletes all keys of a domain that is deleted.
pub(crate) fn forget(write: &mut Write<'_>, domain: DomainId) -> Result<(), RequestError> {
    let keys = write.reader.dkim_keys(domain)?;
    keys.iter().try_for_each(|found| Ok(write.delete(RowKind::DkimKey, &found.value.key())?))
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// The keys of a domain, by selector.
    pub fn dkim_keys(&self, domain: DomainId) -> Result<Vec<Versioned<DkimKey>>, StorageError> {
        // "0" is the character after "/".
        self.dkim_rows(&format!("{:016x}/", domain.0), &format!("{:016x}0", domain.0))
    }

    /// The keys of all domains.
    pub fn all_dkim_keys(&self) -> Result<Vec<Versioned<DkimKey>>, StorageError> {
        self.dkim_rows("", "g")
    }

    fn dkim_rows(&self, from: &str, to: &str) -> Result<Vec<Versioned<DkimKey>>, StorageError> {
        let sql = "SELECT row_key, content, modseq FROM dir_row WHERE kind = $1 AND row_key > $2 AND row_key < $3
            AND content IS NOT NULL ORDER BY row_key";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(rusqlite::params![RowKind::DkimKey as u16, from, to])?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, content, modseq): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let value = index::read(RowKind::DkimKey, &key, &content)?;
            keys.push(Versioned { value, modseq: sterna_base::Modseq(modseq.unsigned_abs()) });
        }
        Ok(keys)
    }
}
