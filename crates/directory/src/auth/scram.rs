//! SCRAM-SHA-256 (RFC 5802, RFC 7677) against the verifiers in the directory.
//!
//! Checked on every node by its own copy, as passwords are: log-ins go on while the main node is down. Who has no
//! verifier, and who doesn't exist, gets a salt that looks like one and is always the same, so that nobody can tell
//! them from others.

use sterna_account::scram::{KEY_BYTES, SALT_BYTES, ScramVerifier};
use sterna_account::service::{Login, LoginError, ScramAttempt, ScramChallenge};

use super::throttle::{LoginKey, Peer};
use super::{Authentication, Known, LOGIN_BYTES_MAX};
use crate::StorageError;
use crate::settings::SCRAM;

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
        let read = |reader: &crate::Reader<'_>| reader.setting_for(None, SCRAM);
        Ok(match self.directory.read(read).await?.as_deref() {
            Some("keep") => ScramSetting::Keep,
            Some("offer") => ScramSetting::Offer,
            _ => ScramSetting::Off,
        })
    }

    /// The user, if there is one and it isn't too early to try again.
    async fn attempted(&self, attempt: &ScramAttempt<'_>) -> Result<(LoginKey, String, Option<Known>), LoginError> {
        let name = attempt.login.trim().to_lowercase();
        if name.len() > LOGIN_BYTES_MAX {
            return Err(LoginError::Invalid);
        }
        let (key, now) = (self.login_key(&name), self.directory.now());
        let wait_ms = self.throttle.lock().wait_ms(key, Peer::of(attempt.peer), now);
        if wait_ms > 0 {
            return Err(LoginError::TooMany { wait_ms });
        }
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
            (Some(known), Some(signature)) if known.open => {
                self.throttle.lock().success(key, Peer::of(attempt.peer), self.directory.now());
                Ok((Login { account: known.account, address: known.address }, signature))
            }
            _ => {
                // Whether it was the same password as the last time can't be known: each failure counts.
                let mut wrong = [0; 8];
                wrong.copy_from_slice(&blake3::hash(auth_message).as_bytes()[..8]);
                Err(self.fail(attempt, key, u64::from_le_bytes(wrong)).await)
            }
        }
    }
}

fn verifier(known: &Known) -> Option<ScramVerifier> {
    known.scram.as_ref().and_then(|scram| scram.0.parse().ok())
}
