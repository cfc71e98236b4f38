//! The second factor of a user: what is asked for besides the password at the console, and why programs then need app
//! passwords.

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, Timestamp};

use crate::RequestError;
use crate::StorageError;
use crate::names::invalid;
use crate::read::{AnyEntry, Reader};
use crate::requests::found;
use crate::row::{Content, RowKind, account_key};
use crate::write::Write;

/// Recovery codes that a user gets.
pub const RECOVERY_CODES: usize = 10;

/// What a user has besides a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// Whose.
    pub account: AccountId,
    /// The key of RFC 6238 (SHA-1, six digits, 30 seconds), sealed with a secret that is not in the directory.
    pub totp_sealed: String,
    /// The last interval of which a code was taken: none is taken twice, nor one before it.
    #[serde(default)]
    pub last_step: u64,
    /// BLAKE3 of the recovery codes that were not used yet, in hex.
    pub recovery: Vec<String>,
    /// Since when.
    pub created_at: Timestamp,
}

impl std::fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecondFactor(of {}, {} recovery codes)", self.account, self.recovery.len())
    }
}

impl Content for SecondFactor {
    const KIND: RowKind = RowKind::SecondFactor;
    fn key(&self) -> String {
        account_key(self.account)
    }
}

/// Sets it, or removes it.
pub(crate) fn set(
    write: &mut Write<'_>,
    account: AccountId,
    factor: Option<&SecondFactor>,
) -> Result<(), RequestError> {
    let entry = found(write.reader.entry(account)?, "user", account, None)?;
    if !matches!(entry, AnyEntry::User(_)) {
        return Err(invalid("account", "only users have a second factor"));
    }
    let Some(factor) = factor else {
        return Ok(write.delete(RowKind::SecondFactor, &account_key(account))?);
    };
    if factor.account != account || factor.recovery.len() > RECOVERY_CODES {
        return Err(invalid("second factor", "it belongs to another user, or has too many recovery codes"));
    }
    Ok(write.put(factor)?)
}

/// Proof of a second factor: it is used up within the write, so that of two log-ins with one code only one succeeds,
/// and nothing that was used comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FactorUse {
    /// A code of this interval, of the key that is sealed so.
    Totp {
        /// [`SecondFactor::totp_sealed`]
        sealed: String,
        /// The interval.
        step: u64,
    },
    /// A recovery code of this hash.
    Recovery(String),
}

/// Uses a code up.
pub(crate) fn use_up(write: &mut Write<'_>, account: AccountId, used: &FactorUse) -> Result<(), RequestError> {
    let was_used = || invalid("code", "it is wrong, or was used already");
    let mut factor = write.reader.second_factor(account)?.ok_or_else(was_used)?;
    match used {
        FactorUse::Totp { sealed, step } => {
            if factor.totp_sealed != *sealed || *step <= factor.last_step {
                return Err(was_used());
            }
            factor.last_step = *step;
        }
        FactorUse::Recovery(hash) => {
            let before = factor.recovery.len();
            factor.recovery.retain(|kept| kept != hash);
            if factor.recovery.len() == before {
                return Err(was_used());
            }
        }
    }
    Ok(write.put(&factor)?)
}

/// Every method fails when the file can't be read, and for no other reason.
impl Reader<'_> {
    /// What a user has besides a password, if anything.
    pub fn second_factor(&self, account: AccountId) -> Result<Option<SecondFactor>, StorageError> {
        Ok(self.row::<SecondFactor>(&account_key(account))?.map(|found| found.value))
    }
}
