//! Tokens: what programs prove themselves with to the administration API.

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, DomainId, Timestamp};

use super::permission::{Permission, Permissions};
use crate::names::invalid;
use crate::read::{Reader, Versioned};
use crate::requests::found;
use crate::row::{Content, RowKind};
use crate::write::Write;
use crate::{RequestError, StorageError};

/// Tokens of an installation.
pub const API_TOKENS_MAX: usize = 10_000;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// A token, of which the directory keeps a hash.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// Names it in lists; the first part of the token itself, and not secret.
    pub id: String,
    /// For people: what it is for.
    pub name: String,
    /// Whose rights it has, as they are at the time of a request; `None` when somebody at the main node's own socket
    /// made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Of those rights, only these.
    pub permissions: Vec<String>,
    /// And only in this domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainId>,
    /// BLAKE3 of the secret part, in hex. The secret has 256 random bits: there is nothing that a slow hash would
    /// protect.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl ApiToken {
    /// What it permits at most.
    pub fn permits(&self) -> Permissions {
        Permissions::named(self.permissions.iter().map(String::as_str))
    }
}

impl std::fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiToken({} {:?})", self.id, self.name)
    }
}

impl Content for ApiToken {
    const KIND: RowKind = RowKind::ApiToken;
    fn key(&self) -> String {
        self.id.clone()
    }
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewApiToken {
    /// See [`ApiToken`]; so for all fields.
    pub id: String,
    /// For people.
    pub name: String,
    /// Whose rights.
    pub account: Option<AccountId>,
    /// Which of them.
    pub permissions: Vec<String>,
    /// Where.
    pub domain: Option<DomainId>,
    /// BLAKE3 of the secret.
    pub hash: String,
    /// Until when.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for NewApiToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewApiToken({} {:?})", self.id, self.name)
    }
}

/// Adds a token. Those that have expired make room.
pub(crate) fn create(write: &mut Write<'_>, new: &NewApiToken) -> Result<(), RequestError> {
    if new.name.trim().is_empty() || new.name.len() > NAME_BYTES_MAX {
        return Err(invalid("name", "say what the token is for, in at most 200 bytes"));
    }
    if let Some(unknown) = new.permissions.iter().find(|name| name.parse::<Permission>().is_err()) {
        return Err(invalid("permissions", format!("there is no permission {unknown:?}")));
    }
    if new.expires_at <= write.now {
        return Err(invalid("expires", "the token would have expired already"));
    }
    if let Some(domain) = new.domain {
        found(write.reader.domain(domain)?, "domain", domain, None)?;
    }
    let (gone, kept): (Vec<_>, Vec<_>) =
        write.reader.api_tokens()?.into_iter().partition(|token| token.value.expires_at <= write.now);
    for token in gone {
        write.delete(RowKind::ApiToken, &token.value.id)?;
    }
    if kept.len() >= API_TOKENS_MAX {
        return Err(RequestError::Limit { what: "tokens", limit: API_TOKENS_MAX });
    }
    let NewApiToken { id, name, account, permissions, domain, hash, expires_at } = new.clone();
    let created_at = write.now;
    Ok(write.put(&ApiToken { id, name, account, permissions, domain, hash, created_at, expires_at })?)
}

/// Makes a token worthless.
pub(crate) fn delete(write: &mut Write<'_>, id: &str) -> Result<(), RequestError> {
    found(write.reader.row::<ApiToken>(id)?, "token", id, None)?;
    Ok(write.delete(RowKind::ApiToken, id)?)
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// All tokens, expired ones too.
    pub fn api_tokens(&self) -> Result<Vec<Versioned<ApiToken>>, StorageError> {
        self.rows_under("", API_TOKENS_MAX)
    }

    /// The token with this id.
    pub fn api_token(&self, id: &str) -> Result<Option<ApiToken>, StorageError> {
        Ok(self.row::<ApiToken>(id)?.map(|found| found.value))
    }
}
