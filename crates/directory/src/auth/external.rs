//! Log-in by a certificate that was verified before (SASL EXTERNAL, RFC 4422 appendix A): it names a user by mail
//! address.

use sterna_account::service::{ExternalAttempt, Login, LoginError, ScramAttempt};

use super::throttle::Peer;
use super::{Authentication, wrong};
use crate::StorageError;

impl Authentication {
    pub(super) async fn check_external(&self, attempt: &ExternalAttempt<'_>) -> Result<Login, LoginError> {
        let unavailable = |error: StorageError| LoginError::Unavailable(error.to_string());
        let (peer, now) = (Peer::of(attempt.peer), self.directory.now());
        let named = attempt.authorize.or(attempt.addresses.first().map(String::as_str)).unwrap_or_default();
        let (name, key) = self.admit(named, peer)?;
        // Any of the user's names will do, but of no other user: acting for somebody else is not offered.
        let wanted = match attempt.authorize {
            Some(_) => self.look_up(&name).await.map_err(unavailable)?.map(|user| user.account),
            None => None,
        };
        for address in attempt.addresses {
            let user = self.look_up(&address.trim().to_lowercase()).await.map_err(unavailable)?;
            let is_meant = |account| attempt.authorize.is_none() || wanted == Some(account);
            if let Some(user) = user.filter(|user| user.open && is_meant(user.account)) {
                self.throttle.lock().success(key, peer, now);
                return Ok(Login { account: user.account, address: user.address, is_sudo: false, app_password: None });
            }
        }
        // The same certificate again is no guess.
        let hash = blake3::keyed_hash(&self.key, attempt.addresses.join("\n").as_bytes());
        let attempt = ScramAttempt { login: &name, protocol: attempt.protocol, peer: attempt.peer };
        Err(self.fail(&attempt, key, wrong(&hash)).await)
    }
}
