//! Who somebody is at a provider of OpenID Connect: bound at the first sign-in, and from then on it is the provider's
//! own name for them that counts. An e-mail address there can be given to somebody else; `iss` and `sub` never are
//! (OpenID Connect Core 1.0 section 5.7).
//!
//! Each binding is two rows of the same content, as it is looked up from both sides at every sign-in.

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, Timestamp};

use crate::names::invalid;
use crate::read::Reader;
use crate::requests::found;
use crate::row::{Content, RowKind, account_key};
use crate::write::Write;
use crate::{RequestError, StorageError};

/// Longest `sub`, in bytes (OpenID Connect Core 1.0 section 2).
const SUBJECT_BYTES_MAX: usize = 255;

/// Providers that are looked at of one user: an installation has one at a time.
const PROVIDERS_MAX: usize = 1000;

/// Somebody at a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The provider (`iss`).
    pub issuer: String,
    /// Its own name for them (`sub`).
    pub subject: String,
    /// Who that is here.
    pub account: AccountId,
    /// Since when.
    pub since: Timestamp,
}

impl Content for Subject {
    const KIND: RowKind = RowKind::Subject;
    fn key(&self) -> String {
        key(&self.issuer, &self.subject)
    }
}

/// The same, found by who it is here.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct OfAccount(Subject);

impl Content for OfAccount {
    const KIND: RowKind = RowKind::Subject;
    fn key(&self) -> String {
        key_of_account(self.0.account, &self.0.issuer)
    }
}

/// Names of others have any length and letters; a key has neither.
fn key(issuer: &str, subject: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(issuer.len() as u64).to_le_bytes()).update(issuer.as_bytes()).update(subject.as_bytes());
    format!("subject/{}", hasher.finalize().to_hex())
}

fn key_of_account(account: AccountId, issuer: &str) -> String {
    format!("account/{}/{}", account_key(account), blake3::hash(issuer.as_bytes()).to_hex())
}

/// Binds somebody at a provider to somebody here; being so already is success.
pub(crate) fn bind(write: &mut Write<'_>, subject: &Subject) -> Result<(), RequestError> {
    if subject.subject.is_empty() || subject.subject.len() > SUBJECT_BYTES_MAX {
        return Err(invalid("subject", format!("1 to {SUBJECT_BYTES_MAX} bytes")));
    }
    found(write.reader.user(subject.account)?, "user", subject.account, None)?;
    let in_use = |whose: &str| RequestError::InUse { by: format!("{whose}; forget that first") };
    match write.reader.subject(&subject.issuer, &subject.subject)? {
        Some(known) if known.account == subject.account => return Ok(()),
        Some(_) => return Err(in_use("it is somebody else here")),
        None => {}
    }
    if write.reader.subject_of(subject.account, &subject.issuer)?.is_some() {
        return Err(in_use("they are somebody else at that provider"));
    }
    write.put(&OfAccount(subject.clone()))?;
    Ok(write.put(subject)?)
}

/// Forgets who somebody is at providers: the next sign-in binds anew.
pub(crate) fn forget(write: &mut Write<'_>, account: AccountId) -> Result<(), RequestError> {
    for known in write.reader.subjects_of(account)? {
        write.delete(RowKind::Subject, &known.key())?;
        write.delete(RowKind::Subject, &OfAccount(known).key())?;
    }
    Ok(())
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// Who somebody at a provider is here.
    pub fn subject(&self, issuer: &str, subject: &str) -> Result<Option<Subject>, StorageError> {
        Ok(self.row::<Subject>(&key(issuer, subject))?.map(|found| found.value))
    }

    /// Who somebody here is at a provider.
    pub fn subject_of(&self, account: AccountId, issuer: &str) -> Result<Option<Subject>, StorageError> {
        Ok(self.row::<OfAccount>(&key_of_account(account, issuer))?.map(|found| found.value.0))
    }

    /// Who somebody here is at providers.
    pub fn subjects_of(&self, account: AccountId) -> Result<Vec<Subject>, StorageError> {
        let found = self.rows_under::<OfAccount>(&format!("account/{}/", account_key(account)), PROVIDERS_MAX)?;
        Ok(found.into_iter().map(|found| found.value.0).collect())
    }
}
