//! EXTERNAL (RFC 4422 appendix A): log-in by the certificate that the client has shown in the TLS handshake.

use sterna_account::service::ExternalAttempt;

use super::{Attempt, Exchange, SaslError, malformed};

/// `[authzid]`
pub async fn run(exchange: &mut Exchange<'_>, initial: Option<Vec<u8>>) -> Result<Attempt, SaslError> {
    let message = exchange.first(initial, "").await?;
    let not_a_message = || malformed("Not a message of this mechanism");
    let authorize = String::from_utf8(message).map_err(|_| not_a_message())?;
    if authorize.contains('\0') {
        return Err(not_a_message());
    }
    let authorize = Some(authorize).filter(|name| !name.is_empty());
    let addresses = exchange.io.client_addresses();
    let login = authorize.as_ref().or(addresses.first()).cloned().unwrap_or_default();
    let (protocol, peer) = (exchange.protocol, exchange.peer());
    let attempt = ExternalAttempt { addresses, authorize: authorize.as_deref(), protocol, peer };
    let answer = exchange.authenticator.external(attempt).await;
    Ok(Attempt { login, answer })
}
