//! Passkeys: what people sign in with at the console by finger, face or PIN (Web Authentication). The directory keeps
//! the public half.

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, Timestamp};

use crate::names::invalid;
use crate::read::{AnyEntry, Reader, Versioned};
use crate::requests::found;
use crate::row::{Content, RowKind, account_key};
use crate::write::Write;
use crate::{RequestError, StorageError};

/// Passkeys of one user.
pub const PASSKEYS_MAX: usize = 20;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Longest id or key of a credential as it is written, in bytes.
const TEXT_BYTES_MAX: usize = 2048;

/// A passkey.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passkey {
    /// Whose.
    pub account: AccountId,
    /// Names it in lists.
    pub id: String,
    /// For people: which device, or which program keeps it.
    pub name: String,
    /// The credential's id, in base64url.
    pub credential: String,
    /// The host that it is for: it was made there, and browsers give it to no other.
    pub rp_id: String,
    /// The public key as COSE writes it (RFC 9052), in base64url.
    pub key: String,
    /// How often it signed, as it said last; 0 is one that doesn't count.
    pub count: u32,
    /// Whether it is kept elsewhere, too.
    #[serde(default)]
    pub backed_up: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was used last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
}

impl std::fmt::Debug for Passkey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Passkey({} of {}, {:?})", self.id, self.account, self.name)
    }
}

impl Content for Passkey {
    const KIND: RowKind = RowKind::Passkey;
    fn key(&self) -> String {
        key(self.account, &self.id)
    }
}

fn key(account: AccountId, id: &str) -> String {
    format!("{}/{id}", account_key(account))
}

fn check_name(name: &str) -> Result<(), RequestError> {
    match name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        true => Err(invalid("name", "say which device it is, in at most 200 bytes")),
        false => Ok(()),
    }
}

/// Adds a passkey to a user.
pub(crate) fn create(write: &mut Write<'_>, new: &Passkey) -> Result<(), RequestError> {
    check_name(&new.name)?;
    if [&new.credential, &new.key, &new.rp_id].iter().any(|text| text.is_empty() || text.len() > TEXT_BYTES_MAX) {
        return Err(invalid("credential", "it has no id, no key or no host, or is too long"));
    }
    let entry = found(write.reader.entry(new.account)?, "user", new.account, None)?;
    if !matches!(entry, AnyEntry::User(_)) {
        return Err(invalid("account", "only users have passkeys"));
    }
    let others = write.reader.passkeys(new.account)?;
    if others.iter().any(|other| other.value.credential == new.credential || other.value.id == new.id) {
        return Err(invalid("credential", "this passkey is there already"));
    }
    if others.len() >= PASSKEYS_MAX {
        return Err(RequestError::Limit { what: "passkeys of a user", limit: PASSKEYS_MAX });
    }
    let created_at = write.now;
    Ok(write.put(&Passkey { created_at, used_at: None, ..new.clone() })?)
}

/// What changes of a passkey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PasskeyChange {
    /// Its name.
    Name(String),
    /// It was used: how often it signed now, and whether it is kept elsewhere. The count is compared within the write,
    /// so that of two log-ins with one answer only one succeeds.
    Used {
        /// See [`Passkey::count`].
        count: u32,
        /// See [`Passkey::backed_up`].
        backed_up: bool,
    },
    /// It is worthless from now on.
    Deleted,
}

/// Changes a passkey.
pub(crate) fn change(
    write: &mut Write<'_>,
    account: AccountId,
    id: &str,
    change: &PasskeyChange,
) -> Result<(), RequestError> {
    let mut passkey = found(write.reader.row::<Passkey>(&key(account, id))?, "passkey", id, None)?;
    match change {
        PasskeyChange::Name(name) => {
            check_name(name)?;
            passkey.name.clone_from(name);
        }
        PasskeyChange::Used { count, backed_up } => {
            // Web Authentication section 6.1.1: one that counts never says the same twice.
            if (*count != 0 || passkey.count != 0) && *count <= passkey.count {
                return Err(invalid("count", "the passkey's count went back: it may have been copied"));
            }
            (passkey.count, passkey.backed_up, passkey.used_at) = (*count, *backed_up, Some(write.now));
        }
        PasskeyChange::Deleted => return Ok(write.delete(RowKind::Passkey, &key(account, id))?),
    }
    Ok(write.put(&passkey)?)
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// The passkeys of a user.
    pub fn passkeys(&self, account: AccountId) -> Result<Vec<Versioned<Passkey>>, StorageError> {
        self.rows_under(&format!("{}/", account_key(account)), PASSKEYS_MAX)
    }
}
