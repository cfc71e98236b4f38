//! Log-in of people who come from a directory elsewhere: it checks their passwords.

use std::time::Duration;

use async_trait::async_trait;
use sterna_account::service::LoginError;
use sterna_base::{Modseq, Secret, Timestamp};

use super::throttle::{LoginKey, Peer};
use super::{Authentication, Known, Success, wrong};
use crate::rights::Rights;
use crate::source::Source;
use crate::{Reader, StorageError};

/// Stands for the row's version in what is remembered of guesses during an outage: no wrong password, so the same one
/// is looked at again once the source answers.
const OUTAGE: Modseq = Modseq(u64::MAX);

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

/// A password that somebody tries, and who.
pub(super) struct Guess<'a> {
    pub(super) password: &'a Secret,
    pub(super) key: LoginKey,
    pub(super) peer: Peer,
}

/// Whether a user signs in with a password, one of the directory or one that a source checks.
///
/// # Errors
/// When the directory can't be read.
pub fn has_password(reader: &Reader<'_>, account: sterna_base::AccountId) -> Result<bool, StorageError> {
    let has_own = reader.user(account)?.is_some_and(|user| user.value.password_hash.is_some());
    Ok(has_own || checked(reader, account)?.is_some())
}

/// Who checks a user's password, if it isn't this installation. Whoever administers anything is let in by nobody else:
/// otherwise whoever may say where a source is would become each of them.
pub(super) fn checked(reader: &Reader<'_>, account: sterna_base::AccountId) -> Result<Option<Checked>, StorageError> {
    let Some(link) = reader.link(account)? else { return Ok(None) };
    let source = reader.source(&link.source)?.map(|found| found.value).filter(|source| source.logins);
    let Some(source) = source else { return Ok(None) };
    if administers(reader, account)? {
        let (source, remedy) = (&source.name, "give them a password here (sterna user set --password)");
        tracing::info!(%account, source, remedy, "whoever administers isn't let in by a source");
        return Ok(None);
    }
    Ok(Some(Checked { source, dn: link.dn }))
}

/// Whether a user administers anything.
///
/// # Errors
/// When the directory can't be read.
pub fn administers(reader: &Reader<'_>, account: sterna_base::AccountId) -> Result<bool, StorageError> {
    let is_admin = reader.user(account)?.is_some_and(|user| user.value.admin);
    Ok(is_admin || reader.granted(account)? != Rights::default())
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
        guess: Guess<'_>,
        now: Timestamp,
    ) -> Result<bool, LoginError> {
        let Guess { password, key, peer } = guess;
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
                let kept =
                    self.outages.lock().get(&known.account).filter(|kept| now < kept.until).map(|kept| kept.proof);
                if kept == Some(proof) {
                    let (source, login) = (&checked.source.name, &known.address);
                    tracing::warn!(source, login, cause, "a log-in was taken that the source took before");
                    return Ok(true);
                }
                // There is an answer to be guessed, so guesses are counted; they may be right at the source.
                if kept.is_some() {
                    let guessed = wrong(&self.proof(known.account, OUTAGE, password));
                    let delay_ms = self.throttle.lock().failure(key, peer, guessed, now);
                    tokio::time::sleep(Duration::from_millis(delay_ms)).await;
                }
                Err(LoginError::Unavailable(format!("the source “{}”: {cause}", checked.source.name)))
            }
        }
    }
}
