//! SCRAM-SHA-256 (RFC 5802, RFC 7677) against the verifiers in the directory.
//!
//! Checked on every node by its own copy, as passwords are: log-ins go on while the main node is down. Who has no
//! verifier, and who doesn't exist, gets a salt that looks like one and is always the same, so that nobody can tell
//! them from others.

use sterna_account::scram::{KEY_BYTES, SALT_BYTES, ScramVerifier};
use sterna_account::service::{Login, LoginError, ScramAttempt, ScramChallenge};

use super::throttle::{LoginKey, Peer};
use super::{Authentication, Known, wrong};
use crate::settings::SCRAM;
use crate::{Reader, StorageError};

/// What the installation does about SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScramSetting {
    /// Nothing.
    Off,
    /// Verifiers are kept when passwords are set.
    Keep,
    /// And clients may log in by them.
    Offer,
}

impl Authentication {
    pub(super) async fn scram_setting(&self) -> Result<ScramSetting, StorageError> {
        self.directory.read(scram_setting).await
    }

    /// The user, if there is one and it isn't too early to try again.
    async fn attempted(&self, attempt: &ScramAttempt<'_>) -> Result<(LoginKey, String, Option<Known>), LoginError> {
        let (name, key) = self.admit(attempt.login, Peer::of(attempt.peer))?;
        let known = self.look_up(&name).await.map_err(|error| LoginError::Unavailable(error.to_string()))?;
        Ok((key, name, known))
    }

    pub(super) async fn challenge(&self, attempt: &ScramAttempt<'_>) -> Result<ScramChallenge, LoginError> {
        let (_, name, known) = self.attempted(attempt).await?;
        if let Some(verifier) = known.as_ref().and_then(verifier) {
            return Ok(ScramChallenge { salt: verifier.salt().to_vec(), iterations: verifier.iterations() });
        }
        // The same on all nodes and after every start; clients don't know the installation's id.
        let installation = self.directory.read(|reader| Ok::<_, StorageError>(reader.head()?.installation)).await;
        let installation = installation.map_err(|error| LoginError::Unavailable(error.to_string()))?;
        let id = installation.map_or_else(String::new, |id| id.to_string());
        let salt =
            blake3::keyed_hash(&blake3::derive_key("sterna scram salt of nobody", id.as_bytes()), name.as_bytes());
        let salt = salt.as_bytes()[..SALT_BYTES].to_vec();
        Ok(ScramChallenge { salt, iterations: self.cost.scram_iterations })
    }

    pub(super) async fn verify_scram(
        &self,
        attempt: &ScramAttempt<'_>,
        auth_message: &[u8],
        proof: &[u8],
    ) -> Result<(Login, [u8; KEY_BYTES]), LoginError> {
        let (key, _, known) = self.attempted(attempt).await?;
        let signature = known.as_ref().and_then(verifier).and_then(|verifier| verifier.verify(auth_message, proof));
        match (known, signature) {
            (Some(known), Some(signature)) if known.open && known.takes_password(attempt.protocol) => {
                self.throttle.lock().success(key, Peer::of(attempt.peer), self.directory.now());
                Ok((
                    Login { account: known.account, address: known.address, is_sudo: false, app_password: None },
                    signature,
                ))
            }
            _ => {
                // Whether it was the same password as the last time can't be known: each failure counts.
                Err(self.fail(attempt, key, wrong(&blake3::hash(auth_message))).await)
            }
        }
    }
}

pub(super) fn scram_setting(reader: &Reader<'_>) -> Result<ScramSetting, StorageError> {
    Ok(match reader.setting_for(None, SCRAM)?.as_deref() {
        Some("keep") => ScramSetting::Keep,
        Some("offer") => ScramSetting::Offer,
        _ => ScramSetting::Off,
    })
}

fn verifier(known: &Known) -> Option<ScramVerifier> {
    // Whose password is checked elsewhere has none here, whatever was set once.
    known.scram.as_ref().filter(|_| known.checked.is_none()).and_then(|scram| scram.0.parse().ok())
}
