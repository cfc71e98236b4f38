//! AUTHENTICATE (RFC 9051 section 6.2.2) with PLAIN (RFC 4616), LOGIN, SCRAM (RFC 5802), and bearer tokens (RFC 7628).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{bearer, login, scram};
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

pub async fn run(session: &mut Session, mechanism: &str, initial: Option<Vec<u8>>) -> Outcome {
    if session.user.is_some() {
        return Ok(Reply::bad("You are logged in already"));
    }
    if session.login_disabled() {
        return Ok(Reply::no("Encrypt the connection first").code("PRIVACYREQUIRED"));
    }
    match mechanism {
        "PLAIN" => plain(session, initial).await,
        "LOGIN" => login_mechanism(session, initial).await,
        "OAUTHBEARER" if session.offers_bearer => bearer::run(session, initial, bearer::Form::Oauthbearer).await,
        "XOAUTH2" if session.offers_bearer => bearer::run(session, initial, bearer::Form::Xoauth2).await,
        "SCRAM-SHA-256" if session.offers_scram => scram::run(session, initial, false).await,
        "SCRAM-SHA-256-PLUS" if session.offers_scram && session.io.tls_exporter().is_some() => {
            scram::run(session, initial, true).await
        }
        _ => Ok(Reply::no("There is no such mechanism").code("CANNOT")),
    }
}

async fn plain(session: &mut Session, initial: Option<Vec<u8>>) -> Outcome {
    let message = match initial {
        Some(initial) => decode(&initial)?,
        None => ask(session, "").await?,
    };
    // [authzid] NUL authcid NUL passwd
    let parts: Vec<&[u8]> = message.split(|byte| *byte == 0).collect();
    let [authorize, login, password] = parts[..] else { return Ok(Reply::bad("Not a PLAIN message")) };
    match (std::str::from_utf8(login), std::str::from_utf8(password)) {
        (Ok(login), Ok(password)) if authorize.is_empty() || authorize == login.as_bytes() => {
            login::check(session, login, password).await
        }
        _ => login::failed(session),
    }
}

async fn login_mechanism(session: &mut Session, initial: Option<Vec<u8>>) -> Outcome {
    let user = match initial {
        Some(initial) => decode(&initial)?,
        None => ask(session, "VXNlcm5hbWU6").await?,
    };
    let password = ask(session, "UGFzc3dvcmQ6").await?;
    match (std::str::from_utf8(&user), std::str::from_utf8(&password)) {
        (Ok(user), Ok(password)) => login::check(session, user, password).await,
        _ => login::failed(session),
    }
}

/// Sends a challenge and reads the answer; `*` cancels.
pub async fn ask(session: &mut Session, challenge: &str) -> Result<Vec<u8>, Fail> {
    session.io.output.extend_from_slice(format!("+ {challenge}\r\n").as_bytes());
    let line = session.io.line(session.login_wait()).await?;
    if line == b"*" { Err(Reply::bad("Cancelled").into()) } else { decode(&line) }
}

pub fn decode(base64: &[u8]) -> Result<Vec<u8>, Fail> {
    if base64 == b"=" {
        return Ok(Vec::new());
    }
    STANDARD.decode(base64).map_err(|_| Reply::bad("Not base64").into())
}
