//! App passwords: one for each program of a user, so that one can be taken back without the others, and none of them
//! opens the console.

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, Timestamp};

use crate::names::invalid;
use crate::read::{AnyEntry, Reader, Versioned};
use crate::requests::found;
use crate::row::{Content, RowKind, account_key};
use crate::write::Write;
use crate::{RequestError, StorageError};

/// App passwords of one user.
pub const APP_PASSWORDS_MAX: usize = 50;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Letters and digits of an app password without its hyphens: 100 random bits.
const LETTERS: usize = 20;

/// An app password, of which the directory keeps a hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppPassword {
    /// Whose.
    pub account: AccountId,
    /// Names it in lists.
    pub id: String,
    /// For people: which program or device.
    pub name: String,
    /// [`hash_of_app_password`].
    pub hash: String,
    /// The protocols that it is good for; empty is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good; `None` is for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl std::fmt::Debug for AppPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AppPassword({} of {}, {:?})", self.id, self.account, self.name)
    }
}

impl Content for AppPassword {
    const KIND: RowKind = RowKind::AppPassword;
    fn key(&self) -> String {
        format!("{}/{}", account_key(self.account), self.id)
    }
}

/// An app password that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAppPassword {
    /// See [`AppPassword`]; so for all fields.
    pub account: AccountId,
    /// Its name in lists.
    pub id: String,
    /// For people.
    pub name: String,
    /// Of the password.
    pub hash: String,
    /// What it is good for.
    pub protocols: Vec<String>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
}

impl std::fmt::Debug for NewAppPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewAppPassword({} of {}, {:?})", self.id, self.account, self.name)
    }
}

/// What is kept of an app password; `None` when the text can't be one. People may type it with or without hyphens and
/// spaces, in small letters or capitals. It was made at random and can't be guessed, so a fast hash is enough: log-ins
/// by it cost no argon2.
pub fn hash_of_app_password(text: &str) -> Option<String> {
    if text.len() > 4 * LETTERS {
        return None;
    }
    let letters: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    let is_one = letters.len() == LETTERS && letters.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
    is_one.then(|| blake3::hash(letters.as_bytes()).to_hex().to_string())
}

/// Adds an app password to a user. Those that have expired make room.
pub(crate) fn create(write: &mut Write<'_>, new: &NewAppPassword) -> Result<(), RequestError> {
    if new.name.trim().is_empty() || new.name.len() > NAME_BYTES_MAX {
        return Err(invalid("name", "say which program or device it is for, in at most 200 bytes"));
    }
    let entry = found(write.reader.entry(new.account)?, "user", new.account, None)?;
    if !matches!(entry, AnyEntry::User(_)) {
        return Err(invalid("account", "only users have app passwords"));
    }
    let now = write.now;
    let has_expired = |password: &AppPassword| password.expires_at.is_some_and(|at| at <= now);
    let (gone, kept): (Vec<_>, Vec<_>) =
        write.reader.app_passwords(new.account)?.into_iter().partition(|found| has_expired(&found.value));
    for password in gone {
        write.delete(RowKind::AppPassword, &password.value.key())?;
    }
    if kept.len() >= APP_PASSWORDS_MAX {
        return Err(RequestError::Limit { what: "app passwords of a user", limit: APP_PASSWORDS_MAX });
    }
    let NewAppPassword { account, id, name, hash, protocols, expires_at } = new.clone();
    Ok(write.put(&AppPassword { account, id, name, hash, protocols, created_at: now, expires_at })?)
}

/// Makes an app password worthless.
pub(crate) fn delete(write: &mut Write<'_>, account: AccountId, id: &str) -> Result<(), RequestError> {
    let key = format!("{}/{id}", account_key(account));
    found(write.reader.row::<AppPassword>(&key)?, "app password", id, None)?;
    Ok(write.delete(RowKind::AppPassword, &key)?)
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// The app passwords of a user, expired ones too.
    pub fn app_passwords(&self, account: AccountId) -> Result<Vec<Versioned<AppPassword>>, StorageError> {
        self.rows_under(&format!("{}/", account_key(account)), APP_PASSWORDS_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_passwords_are_known_however_they_are_typed() {
        let hash = hash_of_app_password("abcde-fghij-klmno-pq234").unwrap();
        for same in ["ABCDE fghij klmno pq234", "abcdefghijklmnopq234", " abcde-fghij-klmnopq-234"] {
            assert_eq!(hash_of_app_password(same).as_ref(), Some(&hash), "{same}");
        }
        for other in
            ["", "abcde-fghij-klmno-pq23", "abcde-fghij-klmno-pq231", "abcde-fghij-klmno-pq23é", &"a".repeat(99)]
        {
            assert_eq!(hash_of_app_password(other), None, "{other}");
        }
    }
}
