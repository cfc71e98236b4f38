//! PLAIN (RFC 4616), and LOGIN, which has no RFC and many clients.

use sterna_account::service::LoginAttempt;
use sterna_base::Secret;

use super::{Attempt, Exchange, SaslError, malformed};

/// `[authzid] NUL authcid NUL passwd`
pub async fn plain(exchange: &mut Exchange<'_>, initial: Option<Vec<u8>>) -> Result<Attempt, SaslError> {
    let message = exchange.first(initial, "").await?;
    let parts: Vec<&[u8]> = message.split(|byte| *byte == 0).collect();
    let [authorize, login, password] = parts[..] else { return Err(malformed("Not a PLAIN message")) };
    // Acting for somebody else is not offered.
    if !authorize.is_empty() && authorize != login {
        return Ok(Attempt::invalid(String::from_utf8_lossy(login)));
    }
    Ok(check(exchange, login, password).await)
}

/// Name and password, one after the other.
pub async fn login(exchange: &mut Exchange<'_>, initial: Option<Vec<u8>>) -> Result<Attempt, SaslError> {
    let login = exchange.first(initial, "Username:").await?;
    let password = exchange.ask("Password:").await?;
    Ok(check(exchange, &login, &password).await)
}

async fn check(exchange: &Exchange<'_>, login: &[u8], password: &[u8]) -> Attempt {
    let (Ok(login), Ok(password)) = (std::str::from_utf8(login), std::str::from_utf8(password)) else {
        return Attempt::invalid(String::from_utf8_lossy(login));
    };
    let password = Secret::new(password);
    let (protocol, peer) = (exchange.protocol, exchange.peer());
    let answer = exchange.authenticator.authenticate(LoginAttempt { login, password: &password, protocol, peer }).await;
    Attempt { login: login.to_owned(), answer }
}
