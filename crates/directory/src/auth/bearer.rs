//! Log-in by bearer tokens (RFC 6750, RFC 7628): whoever issued them is asked (RFC 7662), and says whose they are; or
//! their signature is verified here, by the keys of the OpenID provider.

use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::service::{BearerAttempt, Login, LoginError, ScramAttempt};
use sterna_base::Secret;

use super::throttle::Peer;
use super::{Authentication, Known, wrong};
use crate::settings::{
    OAUTH_AUDIENCE, OAUTH_CLIENT_ID, OAUTH_CLIENT_SECRET, OAUTH_TOKENS, OAUTH_URL, OAUTH_USER_FIELD, OPENID_CLAIM,
    OPENID_CLIENT_ID, OPENID_ISSUER,
};
use crate::{Reader, StorageError, User, names};

/// Longest token that is asked for, in bytes.
pub const TOKEN_BYTES_MAX: usize = 12 * 1024;

/// The member of the answer that has the user, unless the installation says otherwise.
const USER_FIELD: &str = "username";

/// Asks the issuer of tokens; the server knows how.
#[async_trait]
pub trait Introspection: Send + Sync {
    /// Whose the token is; `None` when it is not active.
    ///
    /// # Errors
    /// Why there was no answer, for the operator.
    async fn introspect(&self, settings: &OauthSettings, token: &Secret) -> Result<Option<Bearer>, String>;
}

/// Whose a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The name that the token or its issuer says, where it says one that is believed.
    pub user: Option<String>,
    /// The provider's own name for them (`sub`), of a token that is believed by its signature.
    pub subject: Option<String>,
}

/// Whom to ask, and as whom.
#[derive(Clone, Debug)]
pub struct OauthSettings {
    /// The endpoint; empty when nobody is asked.
    pub url: String,
    /// Whose signatures are verified instead.
    pub signed: Option<SignedTokens>,
    /// Name and secret of this installation there, if it needs some.
    pub client: Option<(String, Secret)>,
    /// The member of the answer that has the user.
    pub user_field: String,
}

/// Tokens that are believed by their signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTokens {
    /// Who signs them.
    pub issuer: String,
    /// For whom they must be made.
    pub audience: String,
}

impl Authentication {
    /// With somebody who can ask the issuer of tokens.
    pub fn with_introspection(mut self, issuer: Arc<dyn Introspection>) -> Self {
        self.issuer = Some(issuer);
        self
    }

    async fn owner(&self, settings: &OauthSettings, bearer: Bearer) -> Result<Option<Known>, StorageError> {
        let name = match settings.signed.clone() {
            Some(signed) => self.directory.read(move |reader| signed_owner(reader, &signed, &bearer)).await?,
            None => bearer.user.map(|name| name.trim().to_lowercase()),
        };
        match name {
            Some(name) => self.look_up(&name).await,
            None => Ok(None),
        }
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
        let user = match found {
            Some(bearer) => self.owner(&settings, bearer).await.map_err(unavailable)?,
            None => None,
        };
        // Any of the user's names will do, but of no other user.
        let named = if name.is_empty() { None } else { self.look_up(&name).await.map_err(unavailable)? };
        let is_same = |account| name.is_empty() || named.as_ref().is_some_and(|named| named.account == account);
        match user.filter(|user| user.open && is_same(user.account)) {
            Some(user) => {
                self.throttle.lock().success(key, peer, now);
                Ok(Login { account: user.account, address: user.address, is_sudo: false, app_password: None })
            }
            None => {
                let attempt = ScramAttempt { login: &name, protocol: attempt.protocol, peer: attempt.peer };
                // A client that repeats a token that has expired is not guessing.
                Err(self.fail(&attempt, key, wrong(&hash)).await)
            }
        }
    }
}

/// Who a token that is believed by its signature means: whom its `sub` was bound to at a sign-in, or else whom the
/// claim names, unless they are somebody else at that provider.
fn signed_owner(reader: &Reader<'_>, settings: &SignedTokens, bearer: &Bearer) -> Result<Option<String>, StorageError> {
    let subject = bearer.subject.as_deref().unwrap_or_default();
    if let Some(bound) = reader.subject(&settings.issuer, subject)? {
        let Some(user) = reader.user(bound.account)? else { return Ok(None) };
        let address = user.value.entry.address;
        let domain = reader.domain(address.domain)?;
        return Ok(domain.map(|domain| format!("{}@{}", address.local, domain.value.name)));
    }
    let Some(name) = bearer.user.as_deref().map(str::trim) else { return Ok(None) };
    let Some(user) = reader.user_by_login(&name.to_lowercase())? else { return Ok(None) };
    // Some providers call people differently for each of their clients: only of one client are names comparable.
    let is_comparable = reader.setting_for(None, OPENID_CLIENT_ID)?.as_deref() == Some(&settings.audience);
    let is_other = is_comparable && reader.subject_of(user.value.entry.id, &settings.issuer)?.is_some();
    Ok((!is_other && is_own_name(reader, &user.value, name)?).then(|| name.to_lowercase()))
}

/// Whether a name is somebody's main address or log-in: further addresses pass from one person to another, and who had
/// one at the provider must not become who has it here.
///
/// # Errors
/// When the directory can't be read.
pub fn is_own_name(reader: &Reader<'_>, user: &User, name: &str) -> Result<bool, StorageError> {
    let Some((local, domain)) = names::address(name) else {
        return Ok(user.login.as_deref().is_some_and(|login| login.eq_ignore_ascii_case(name)));
    };
    let domain = reader.domain_named(&domain)?.map(|found| found.value.id);
    Ok(domain == Some(user.entry.address.domain) && local == user.entry.address.local)
}

/// Whom to ask or to believe; `None` when nobody was named.
pub(super) fn oauth(reader: &Reader<'_>) -> Result<Option<OauthSettings>, StorageError> {
    let setting = |name| reader.setting_for(None, name);
    if setting(OAUTH_TOKENS)?.as_deref() == Some("verify") {
        let audience = setting(OAUTH_AUDIENCE)?.or(setting(OPENID_CLIENT_ID)?);
        let signed = setting(OPENID_ISSUER)?.zip(audience);
        let Some((issuer, audience)) = signed else { return Ok(None) };
        let user_field = setting(OPENID_CLAIM)?.unwrap_or_else(|| "email".to_owned());
        let signed = Some(SignedTokens { issuer, audience });
        return Ok(Some(OauthSettings { url: String::new(), signed, client: None, user_field }));
    }
    let Some(url) = setting(OAUTH_URL)? else { return Ok(None) };
    let client = setting(OAUTH_CLIENT_ID)?.zip(setting(OAUTH_CLIENT_SECRET)?);
    let client = client.map(|(id, secret)| (id, Secret::new(secret)));
    let user_field = setting(OAUTH_USER_FIELD)?.unwrap_or_else(|| USER_FIELD.to_owned());
    Ok(Some(OauthSettings { url, signed: None, client, user_field }))
}
