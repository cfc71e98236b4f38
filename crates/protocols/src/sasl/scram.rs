//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), bound to the TLS connection by `tls-exporter` (RFC 9266).
//! The password is never seen here, and the client learns that the server knows it as well.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sterna_account::service::ScramAttempt;
use sterna_base::ids::random_bytes;
use sterna_formats::sasl::{ChannelBinding, ClientFinal, ClientFirst, ScramError};

use super::{Attempt, Exchange, SaslError};

/// The one channel binding that there is.
const BINDING: &str = "tls-exporter";

/// Bytes of the server's part of the nonce, before base64.
const NONCE_BYTES: usize = 18;

pub async fn run(exchange: &mut Exchange<'_>, initial: Option<Vec<u8>>, plus: bool) -> Result<Attempt, SaslError> {
    let first = text(exchange.first(initial, "").await?)?;
    let first = ClientFirst::parse(&first)?;
    check_binding(exchange, first.binding, plus)?;
    if first.authorize.as_ref().is_some_and(|authorize| *authorize != first.user) {
        return Ok(Attempt::invalid(first.user));
    }
    let (authenticator, peer) = (exchange.authenticator, exchange.peer());
    let attempt = ScramAttempt { login: &first.user, protocol: exchange.protocol, peer };
    let challenge = match authenticator.scram_challenge(&attempt).await {
        Ok(challenge) => challenge,
        Err(error) => return Ok(Attempt { login: first.user, answer: Err(error) }),
    };
    let nonce = format!("{}{}", first.nonce, STANDARD.encode(random_bytes::<NONCE_BYTES>()));
    let server_first = format!("r={nonce},s={},i={}", STANDARD.encode(&challenge.salt), challenge.iterations);
    let last = text(exchange.ask(&server_first).await?)?;
    let last = ClientFinal::parse(&last)?;
    let mut binding = first.header.as_bytes().to_vec();
    if plus {
        binding.extend_from_slice(exchange.io.tls_exporter().map_or(&[][..], |exporter| exporter));
    }
    if last.nonce != nonce {
        return Ok(Attempt::invalid(first.user));
    }
    if last.binding != binding {
        tracing::warn!(%peer, "SCRAM is bound to another connection than the client's");
        return Ok(Attempt::invalid(first.user));
    }
    let auth_message = format!("{},{server_first},{}", first.bare, last.without_proof);
    let (login, signature) = match authenticator.scram_verify(&attempt, auth_message.as_bytes(), &last.proof).await {
        Ok(verified) => verified,
        Err(error) => return Ok(Attempt { login: first.user, answer: Err(error) }),
    };
    // The client answers the server's proof with nothing: neither protocol has a place for it in its OK.
    if !exchange.ask(&format!("v={}", STANDARD.encode(signature))).await?.is_empty() {
        return Err(ScramError("other-error").into());
    }
    Ok(Attempt { login: first.user, answer: Ok(login) })
}

fn check_binding(exchange: &Exchange<'_>, binding: ChannelBinding<'_>, plus: bool) -> Result<(), ScramError> {
    match binding {
        ChannelBinding::By(BINDING) if plus => Ok(()),
        ChannelBinding::By(_) if plus => Err(ScramError("unsupported-channel-binding-type")),
        ChannelBinding::None if !plus => Ok(()),
        // Somebody has kept from the client that there is a channel binding (RFC 5802 section 6).
        ChannelBinding::NotOffered if !plus && exchange.io.tls_exporter().is_some() => {
            tracing::warn!(peer = %exchange.peer(), "a client was not told that SCRAM-SHA-256-PLUS is offered");
            Err(ScramError("server-does-support-channel-binding"))
        }
        ChannelBinding::NotOffered if !plus => Ok(()),
        _ => Err(ScramError("channel-bindings-dont-match")),
    }
}

fn text(message: Vec<u8>) -> Result<String, ScramError> {
    String::from_utf8(message).map_err(|_| ScramError("invalid-encoding"))
}

impl From<ScramError> for SaslError {
    fn from(error: ScramError) -> Self {
        SaslError::Malformed(format!("Not a SCRAM message that can be answered: {error}"))
    }
}
