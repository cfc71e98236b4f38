//! Log-in of people who come from a directory elsewhere: it checks their passwords.

use async_trait::async_trait;
use sterna_account::service::LoginError;
use sterna_base::{Secret, Timestamp};

use super::{Authentication, Known, Success};
use crate::source::Source;
use crate::{Reader, StorageError};

/// What a source says of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindAnswer {
    /// It is right.
    Right,
    /// It is wrong, or its user may not log in there.
    Wrong,
    /// Nobody knows: the source doesn't answer, or can't say. The text is for the operator.
    Unavailable(String),
}

/// Asks a source whether a password is right; the server knows how.
#[async_trait]
pub trait BindCheck: Send + Sync {
    /// Tries to bind to the source as this entry.
    async fn check(&self, source: &Source, dn: &str, password: &Secret) -> BindAnswer;
}

/// The source that checks somebody's password, and their name there.
pub(super) struct Checked {
    source: Source,
    dn: String,
}

/// Who checks a user's password, if it isn't this installation.
pub(super) fn checked(reader: &Reader<'_>, account: sterna_base::AccountId) -> Result<Option<Checked>, StorageError> {
    let Some(link) = reader.link(account)? else { return Ok(None) };
    let source = reader.source(&link.source)?.map(|found| found.value).filter(|source| source.logins);
    Ok(source.map(|source| Checked { source, dn: link.dn }))
}

impl Authentication {
    /// With somebody who can ask sources.
    pub fn with_sources(mut self, sources: std::sync::Arc<dyn BindCheck>) -> Self {
        self.sources = Some(sources);
        self
    }

    /// Whether the source takes this password; while it doesn't answer, whether it lately did.
    pub(super) async fn verify_at_source(
        &self,
        known: &Known,
        checked: &Checked,
        password: &Secret,
        now: Timestamp,
    ) -> Result<bool, LoginError> {
        // RFC 4513 section 5.1.2: a bind without a password says nothing, and succeeds.
        if password.expose().is_empty() || checked.dn.is_empty() {
            return Ok(false);
        }
        let Some(sources) = &self.sources else {
            return Err(LoginError::Unavailable("this node asks no directory".to_owned()));
        };
        let proof = self.proof(known.account, sterna_base::Modseq::ZERO, password);
        match sources.check(&checked.source, &checked.dn, password).await {
            BindAnswer::Right => {
                let until = now.plus_ms(i64::from(checked.source.outage_minutes) * 60_000);
                self.outages.lock().insert(known.account, Success { proof, until });
                Ok(true)
            }
            BindAnswer::Wrong => {
                // Another wrong password takes nothing from whoever knows the right one; the same one was changed.
                let mut outages = self.outages.lock();
                if outages.get(&known.account).is_some_and(|kept| kept.proof == proof) {
                    outages.remove(&known.account);
                }
                Ok(false)
            }
            BindAnswer::Unavailable(cause) => {
                let is_kept = |kept: &Success| kept.proof == proof && now < kept.until;
                if self.outages.lock().get(&known.account).is_some_and(is_kept) {
                    let (source, login) = (&checked.source.name, &known.address);
                    tracing::warn!(source, login, cause, "a log-in was taken that the source took before");
                    return Ok(true);
                }
                Err(LoginError::Unavailable(format!("the source “{}”: {cause}", checked.source.name)))
            }
        }
    }
}
