//! AUTHENTICATE (RFC 9051 section 6.2.2).

use super::login;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;
use crate::sasl::{self, Attempt, SaslError};

pub async fn run(session: &mut Session, mechanism: &str, initial: Option<Vec<u8>>) -> Outcome {
    if session.user.is_some() {
        return Ok(Reply::bad("You are logged in already"));
    }
    if session.login_disabled() {
        return Ok(Reply::no("Encrypt the connection first").code("PRIVACYREQUIRED"));
    }
    match sasl::run(session.exchange(), mechanism, initial).await {
        Ok(Attempt { login, answer }) => login::accept(session, &login, answer).await,
        Err(SaslError::NoMechanism) => Ok(Reply::no("There is no such mechanism").code("CANNOT")),
        Err(SaslError::Malformed(why)) => Ok(Reply::bad(why)),
        Err(SaslError::Disconnect(disconnect)) => Err(disconnect.into()),
    }
}
