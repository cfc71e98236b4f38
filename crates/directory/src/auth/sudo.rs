//! Log-ins of administrators as users: each is written down before it is one.

use std::net::IpAddr;

use async_trait::async_trait;
use sterna_account::service::{LoginAttempt, LoginError};
use sterna_base::AccountId;

use super::Authentication;
use crate::rights::AppPassword;
use crate::{Reader, StorageError};

/// One log-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SudoUse {
    /// As whom.
    pub account: AccountId,
    /// By which app password.
    pub id: String,
    /// What is spoken.
    pub protocol: String,
    /// From where.
    pub peer: IpAddr,
}

/// Writes them down; the server knows where.
#[async_trait]
pub trait SudoRecord: Send + Sync {
    /// Writes one down, durably.
    ///
    /// # Errors
    /// Why not, for the operator; then nobody is let in.
    async fn note(&self, used: SudoUse) -> Result<(), String>;
}

impl Authentication {
    /// Lets nobody in as somebody else without a line in the record.
    pub(super) async fn note_sudo(&self, found: &AppPassword, attempt: &LoginAttempt<'_>) -> Result<(), LoginError> {
        let unavailable =
            || LoginError::Unavailable("nobody works as somebody else where nothing is recorded".to_owned());
        let record = self.sudo.as_ref().ok_or_else(unavailable)?;
        let (account, id) = (found.account, found.id.clone());
        let used = SudoUse { account, id, protocol: attempt.protocol.to_owned(), peer: attempt.peer };
        record.note(used).await.map_err(LoginError::Unavailable)?;
        // Writing it down takes a while on an edge, and it may have been ended meanwhile.
        let (asked, now) = (found.clone(), self.directory.now());
        let read = move |reader: &Reader<'_>| {
            let mut present = reader.app_passwords(asked.account)?.into_iter().map(|found| found.value);
            let is_good = |found: &AppPassword| found.id == asked.id && found.expires_at.is_none_or(|at| now < at);
            match present.find(is_good) {
                Some(found) => reader.app_password_holds(&found),
                None => Ok::<_, StorageError>(false),
            }
        };
        match self.directory.read(read).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(LoginError::Invalid),
            Err(error) => Err(LoginError::Unavailable(error.to_string())),
        }
    }
}
