//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), bound to the TLS connection by `tls-exporter` (RFC 9266).
//! The password is never seen here, and the client learns that the server knows it as well.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sterna_account::service::ScramAttempt;
use sterna_base::ids::random_bytes;
use sterna_formats::sasl::{ChannelBinding, ClientFinal, ClientFirst};

use super::authenticate::{ask, decode};
use super::login;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// The one channel binding that there is.
const BINDING: &str = "tls-exporter";

/// Bytes of the server's part of the nonce, before base64.
const NONCE_BYTES: usize = 18;

pub async fn run(session: &mut Session, initial: Option<Vec<u8>>, plus: bool) -> Outcome {
    let first = match initial {
        Some(initial) => decode(&initial)?,
        None => ask(session, "").await?,
    };
    let Ok(first) = String::from_utf8(first) else { return Ok(malformed("invalid-encoding")) };
    let first = match ClientFirst::parse(&first) {
        Ok(first) => first,
        Err(error) => return Ok(malformed(error.0)),
    };
    match first.binding {
        ChannelBinding::By(BINDING) if plus => {}
        ChannelBinding::By(_) if plus => return Ok(malformed("unsupported-channel-binding-type")),
        ChannelBinding::None if !plus => {}
        // Somebody has kept from the client that there is a channel binding (RFC 5802 section 6).
        ChannelBinding::NotOffered if !plus && session.io.tls_exporter().is_some() => {
            tracing::warn!(peer = %session.peer, "a client was not told that SCRAM-SHA-256-PLUS is offered");
            return Ok(malformed("server-does-support-channel-binding"));
        }
        ChannelBinding::NotOffered if !plus => {}
        _ => return Ok(malformed("channel-bindings-dont-match")),
    }
    if first.authorize.as_ref().is_some_and(|authorize| *authorize != first.user) {
        return login::failed(session);
    }
    let attempt = ScramAttempt { login: &first.user, protocol: "imap", peer: session.peer };
    let challenge = match session.shared.authenticator.scram_challenge(&attempt).await {
        Ok(challenge) => challenge,
        Err(error) => return login::accept(session, &first.user, Err(error)).await,
    };
    let nonce = format!("{}{}", first.nonce, STANDARD.encode(random_bytes::<NONCE_BYTES>()));
    let server_first = format!("r={nonce},s={},i={}", STANDARD.encode(&challenge.salt), challenge.iterations);
    let last = ask(session, &STANDARD.encode(&server_first)).await?;
    let Ok(last) = String::from_utf8(last) else { return Ok(malformed("invalid-encoding")) };
    let last = match ClientFinal::parse(&last) {
        Ok(last) => last,
        Err(error) => return Ok(malformed(error.0)),
    };
    let mut binding = first.header.as_bytes().to_vec();
    if plus {
        binding.extend_from_slice(session.io.tls_exporter().map_or(&[][..], |exporter| exporter));
    }
    if last.nonce != nonce {
        return login::failed(session);
    }
    if last.binding != binding {
        tracing::warn!(peer = %session.peer, "SCRAM is bound to another connection than the client's");
        return login::failed(session);
    }
    let auth_message = format!("{},{server_first},{}", first.bare, last.without_proof);
    let verified = session.shared.authenticator.scram_verify(&attempt, auth_message.as_bytes(), &last.proof).await;
    let (login, signature) = match verified {
        Ok((login, signature)) => (login, signature),
        Err(error) => return login::accept(session, &first.user, Err(error)).await,
    };
    // The client answers the server's proof with nothing: IMAP has no place for it in the tagged OK.
    let server_final = STANDARD.encode(format!("v={}", STANDARD.encode(signature)));
    if !ask(session, &server_final).await?.is_empty() {
        return Ok(malformed("other-error"));
    }
    login::accept(session, &first.user, Ok(login)).await
}

fn malformed(error: &str) -> Reply {
    Reply::bad(format!("Not a SCRAM message that can be answered: {error}"))
}
