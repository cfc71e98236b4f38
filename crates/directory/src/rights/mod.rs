//! Who may administer what: permissions, the roles that bundle them, and to whom roles are granted; and what people
//! and programs prove themselves with besides a password.

mod api_token;
mod app_password;
mod grant;
mod passkey;
mod permission;
mod role;
mod second_factor;
mod subject;

pub use api_token::{API_TOKENS_MAX, ApiToken, NewApiToken};
pub use app_password::{APP_PASSWORDS_MAX, AppPassword, NewAppPassword, Sudo, hash_of_app_password};
pub use grant::{GRANTS_PER_ACCOUNT_MAX, Grant, Rights, Within};
pub use passkey::{PASSKEYS_MAX, Passkey, PasskeyChange};
pub use permission::{Area, Permission, Permissions};
pub use role::{Role, builtin_roles};
pub use second_factor::{FactorUse, RECOVERY_CODES, SecondFactor};
pub use subject::Subject;

pub(crate) use api_token::{create as create_token, delete as delete_token};
pub(crate) use app_password::{create as create_app_password, delete as delete_app_password};
pub(crate) use grant::{check_unit, set as set_grant};
pub(crate) use passkey::{change as change_passkey, create as create_passkey};
pub(crate) use role::{delete as delete_role, put as put_role};
pub(crate) use second_factor::{set as set_second_factor, use_up as use_second_factor};
pub(crate) use subject::{bind as bind_subject, forget as forget_subjects};

use sterna_base::{AccountId, DomainId, Modseq};

use crate::index;
use crate::model::Scope;
use crate::read::{Reader, Versioned};
use crate::row::{Content, RowKind, account_key};
use crate::write::Write;
use crate::{RequestError, StorageError, settings};

/// Comes after every key: none has this character.
pub(crate) const LAST_KEY: &str = "\u{10ffff}";

/// Forgets what was granted to an account that is deleted, and what it proved itself with.
pub(crate) fn forget(write: &mut Write<'_>, account: AccountId) -> Result<(), RequestError> {
    for grant in write.reader.grants(account)? {
        write.delete(RowKind::Grant, &grant.value.key())?;
    }
    for password in write.reader.app_passwords(account)? {
        write.delete(RowKind::AppPassword, &password.value.key())?;
    }
    for token in write.reader.api_tokens()?.into_iter().filter(|token| token.value.account == Some(account)) {
        write.delete(RowKind::ApiToken, &token.value.key())?;
    }
    for passkey in write.reader.passkeys(account)? {
        write.delete(RowKind::Passkey, &passkey.value.key())?;
    }
    forget_subjects(write, account)?;
    crate::source::unlink(write, account)?;
    Ok(write.delete(RowKind::SecondFactor, &account_key(account))?)
}

/// Forgets what was granted within a domain that is deleted.
pub(crate) fn forget_domain(write: &mut Write<'_>, domain: DomainId) -> Result<(), RequestError> {
    for grant in write.reader.all_grants()?.into_iter().filter(|grant| grant.value.scope == Scope::Domain(domain)) {
        write.delete(RowKind::Grant, &grant.value.key())?;
    }
    for token in write.reader.api_tokens()?.into_iter().filter(|token| token.value.domain == Some(domain)) {
        write.delete(RowKind::ApiToken, &token.value.key())?;
    }
    crate::source::forget_domain(write, domain)
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// Whether somebody is asked for more than a password at the console: passkeys count as long as they are switched
    /// on.
    pub fn has_second_factor(&self, account: AccountId) -> Result<bool, StorageError> {
        if self.second_factor(account)?.is_some() {
            return Ok(true);
        }
        Ok(!self.passkeys(account)?.is_empty() && self.setting_for(None, settings::PASSKEYS)?.as_deref() != Some("off"))
    }

    /// The rows of a kind whose keys begin so, by key; at most `limit`.
    pub(crate) fn rows_under<T: Content>(&self, prefix: &str, limit: usize) -> Result<Vec<Versioned<T>>, StorageError> {
        self.rows_from(prefix, &format!("{prefix}{LAST_KEY}"), limit)
    }

    /// The rows of a kind from one key on and before another, by key; at most `limit`.
    pub(crate) fn rows_from<T: Content>(
        &self,
        start: &str,
        end: &str,
        limit: usize,
    ) -> Result<Vec<Versioned<T>>, StorageError> {
        let sql = "SELECT row_key, content, modseq FROM dir_row WHERE kind = $1 AND row_key >= $2 AND row_key < $3
            AND content IS NOT NULL ORDER BY row_key LIMIT $4";
        let mut statement = self.conn.prepare_cached(sql)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(rusqlite::params![T::KIND as u16, start, end, limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (key, content, modseq): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let value = index::read(T::KIND, &key, &content)?;
            found.push(Versioned { value, modseq: Modseq(modseq.unsigned_abs()) });
        }
        Ok(found)
    }
}
