//! App passwords: one for each program of a user, so that one can be taken back without the others, and none of them
//! opens the console.

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, Timestamp};

use super::{Area, Permission, Within};
use crate::index;
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

/// That an app password is an administrator's, who works as its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sudo {
    /// Who, for people.
    pub by: String,
    /// Whose account that is; `None` for who was at the main node's socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Why.
    pub reason: String,
    /// [`hash_of_app_password`]. Not where those of users have theirs: a version that doesn't know this field takes the
    /// row for an app password of the user's own, and must let nobody in with it.
    #[serde(default)]
    pub hash: String,
}

/// An app password, of which the directory keeps a hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppPassword {
    /// Whose.
    pub account: AccountId,
    /// Names it in lists.
    pub id: String,
    /// For people: which program or device.
    pub name: String,
    /// [`hash_of_app_password`]; empty of an administrator's: see [`AppPassword::kept_hash`].
    pub hash: String,
    /// The protocols that it is good for; empty is all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protocols: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good; `None` is for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Who has it, if it isn't the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo: Option<Sudo>,
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

impl AppPassword {
    /// The hash that a password must have.
    pub fn kept_hash(&self) -> &str {
        self.sudo.as_ref().map_or(&self.hash, |sudo| &sudo.hash)
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
    /// Who has it, if it isn't the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo: Option<Sudo>,
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
    let NewAppPassword { account, id, name, mut hash, protocols, expires_at, mut sudo } = new.clone();
    if let Some(sudo) = &mut sudo {
        sudo.hash = std::mem::take(&mut hash);
    }
    Ok(write.put(&AppPassword { account, id, name, hash, protocols, created_at: now, expires_at, sudo })?)
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

    /// Whether an app password holds; one of an administrator who works as its user does while the permission is
    /// there, nothing that the user may do isn't the administrator's, too, and the administrator was given no other
    /// password since: that ends what an account was used for in other hands.
    pub fn app_password_holds(&self, found: &AppPassword) -> Result<bool, StorageError> {
        let Some(administrator) = found.sudo.as_ref().map(|sudo| sudo.account) else { return Ok(true) };
        let Some(administrator) = administrator else { return Ok(true) };
        let (account, maker) = (found.account, self.user(administrator)?);
        if maker.is_none_or(|maker| maker.value.password_at.is_some_and(|at| found.created_at <= at)) {
            return Ok(false);
        }
        let Some(user) = self.user(account)? else { return Ok(false) };
        let entry = &user.value.entry;
        let rights = self.rights(administrator)?;
        let may = rights.may(Permission::write(Area::Sudo), Within::Unit(entry.address.domain, &entry.unit));
        Ok(may && rights.covers(&self.granted(account)?))
    }

    /// App passwords of administrators that have ended, or hold no longer.
    pub fn sudos_over(&self, now: Timestamp) -> Result<Vec<(AccountId, String)>, StorageError> {
        // Few of many rows: SQLite looks through their texts, and only those are read that have the field.
        let sql = "SELECT row_key, content FROM dir_row WHERE kind = $1 AND instr(content, '\"sudo\":{') > 0";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query([RowKind::AppPassword as u16])?;
        let mut over = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, content): (String, String) = (row.get(0)?, row.get(1)?);
            let found: AppPassword = index::read(RowKind::AppPassword, &key, &content)?;
            if found.sudo.is_none() {
                continue;
            }
            if found.expires_at.is_none_or(|at| at <= now) || !self.app_password_holds(&found)? {
                over.push((found.account, found.id));
            }
        }
        Ok(over)
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
