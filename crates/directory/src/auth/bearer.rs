//! Log-in by bearer tokens (RFC 6750, RFC 7628): whoever issued them is asked (RFC 7662), and says whose they are.

use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::{BearerAttempt, Login, LoginError, ScramAttempt};
use sterna_base::Secret;

use super::throttle::Peer;
use super::{Authentication, wrong};
use crate::settings::{OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET, OAUTH_URL, OAUTH_USER_FIELD};
use crate::{Reader, StorageError};

/// Longest token that is asked for, in bytes.
pub const TOKEN_BYTES_MAX: usize = 12 * 1024;

/// The member of the answer that has the user, unless the installation says otherwise.
const USER_FIELD: &str = "username";

/// Asks the issuer of tokens; the server knows how.
#[async_trait]
pub trait Introspection: Send + Sync {
    /// The user whose the token is; `None` when it is not active.
    ///
    /// # Errors
    /// Why there was no answer, for the operator.
    async fn introspect(&self, settings: &OauthSettings, token: &Secret) -> Result<Option<String>, String>;
}

/// Whom to ask, and as whom.
#[derive(Clone, Debug)]
pub struct OauthSettings {
    /// The endpoint.
    pub url: String,
    /// Name and secret of this installation there, if it needs some.
    pub client: Option<(String, Secret)>,
    /// The member of the answer that has the user.
    pub user_field: String,
}

impl Authentication {
    /// With somebody who can ask the issuer of tokens.
    pub fn with_introspection(mut self, issuer: Arc<dyn Introspection>) -> Self {
        self.issuer = Some(issuer);
        self
    }

    pub(super) async fn check_bearer(&self, attempt: &BearerAttempt<'_>) -> Result<Login, LoginError> {
        let unavailable = |error: StorageError| LoginError::Unavailable(error.to_string());
        let (Some(issuer), Some(settings)) = (&self.issuer, self.directory.read(oauth).await.map_err(unavailable)?)
        else {
            return Err(LoginError::Invalid);
        };
        if attempt.token.expose().len() > TOKEN_BYTES_MAX {
            return Err(LoginError::Invalid);
        }
        let (peer, now) = (Peer::of(attempt.peer), self.directory.now());
        let (name, key) = self.admit(attempt.login.unwrap_or_default(), peer)?;
        let hash = blake3::keyed_hash(&self.key, attempt.token.expose().as_bytes());
        let found = issuer.introspect(&settings, attempt.token).await.map_err(LoginError::Unavailable)?;
        let user = match &found {
            Some(user) => self.look_up(&user.trim().to_lowercase()).await.map_err(unavailable)?,
            None => None,
        };
        // Any of the user's names will do, but of no other user.
        let named = if name.is_empty() { None } else { self.look_up(&name).await.map_err(unavailable)? };
        let is_same = |account| name.is_empty() || named.as_ref().is_some_and(|named| named.account == account);
        match user.filter(|user| user.open && is_same(user.account)) {
            Some(user) => {
                self.throttle.lock().success(key, peer, now);
                Ok(Login { account: user.account, address: user.address })
            }
            None => {
                let attempt = ScramAttempt { login: &name, protocol: attempt.protocol, peer: attempt.peer };
                // A client that repeats a token that has expired is not guessing.
                Err(self.fail(&attempt, key, wrong(&hash)).await)
            }
        }
    }
}

/// Whom to ask; `None` when nobody was named.
pub(super) fn oauth(reader: &Reader<'_>) -> Result<Option<OauthSettings>, StorageError> {
    let setting = |name| reader.setting_for(None, name);
    let Some(url) = setting(OAUTH_URL)? else { return Ok(None) };
    let client = setting(OAUTH_CLIENT_ID)?.zip(setting(OAUTH_CLIENT_SECRET)?);
    let client = client.map(|(id, secret)| (id, Secret::new(secret)));
    let user_field = setting(OAUTH_USER_FIELD)?.unwrap_or_else(|| USER_FIELD.to_owned());
    Ok(Some(OauthSettings { url, client, user_field }))
}
