//! LOGIN (RFC 9051 section 6.2.3), and what AUTHENTICATE has in common with it.

use sterna_account::service::{Login, LoginAttempt, LoginError};
use sterna_base::Secret;

use super::capability;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::{Session, User};
use crate::io::Disconnect;

pub async fn run(session: &mut Session, user: &[u8], password: &[u8]) -> Outcome {
    if session.user.is_some() {
        return Ok(Reply::bad("You are logged in already"));
    }
    if session.login_disabled() {
        return Ok(Reply::no("Encrypt the connection first").code("PRIVACYREQUIRED"));
    }
    match (std::str::from_utf8(user), std::str::from_utf8(password)) {
        (Ok(user), Ok(password)) => check(session, user, password).await,
        _ => failed(session),
    }
}

/// Checks login and password, and opens the account.
pub async fn check(session: &mut Session, login: &str, password: &str) -> Outcome {
    let password = Secret::new(password);
    let attempt = LoginAttempt { login, password: &password, protocol: "imap", peer: session.peer };
    let answer = session.shared.authenticator.authenticate(attempt).await;
    accept(session, login, answer).await
}

/// Opens the account of who was let in, and says why somebody was not.
pub async fn accept(session: &mut Session, login: &str, answer: Result<Login, LoginError>) -> Outcome {
    match answer {
        Ok(login) => {
            let limit = ("imap", session.io.limits.per_account);
            let who = (login.account, login.app_password.clone());
            let Some(place) = session.shared.sessions.enter(who, limit, session.io.connection()) else {
                tracing::info!(peer = %session.peer, user = login.address, "IMAP log-in refused: too many sessions");
                return Ok(Reply::no("This user has too many sessions").code("LIMIT"));
            };
            let account = session.shared.accounts.open(login.account).await?;
            tracing::info!(peer = %session.peer, user = login.address, tls = session.io.is_encrypted(), "IMAP log-in");
            session.user = Some(User { account, address: login.address, is_sudo: login.is_sudo, place });
            let code = format!("CAPABILITY {}", capability::list(session));
            Ok(Reply::ok("Logged in").code(code))
        }
        Err(error @ LoginError::Invalid) => {
            tracing::info!(peer = %session.peer, login, %error, "IMAP log-in refused");
            failed(session)
        }
        Err(error @ LoginError::TooMany { .. }) => {
            tracing::info!(peer = %session.peer, login, %error, "IMAP log-in refused");
            Ok(Reply::no("Too many failed log-ins, please wait").code("UNAVAILABLE"))
        }
        Err(error @ LoginError::Unavailable(_)) => {
            tracing::warn!(peer = %session.peer, login, %error, "IMAP log-in not possible");
            Ok(Reply::no("Log-in is not possible at the moment").code("UNAVAILABLE"))
        }
    }
}

/// The authenticator has delayed the answer; after some failures the session ends.
pub fn failed(session: &mut Session) -> Outcome {
    session.failed_logins += 1;
    if u64::from(session.failed_logins) >= session.io.limits.failed_logins {
        return Err(Fail::Disconnect(Disconnect::Hopeless("Too many failed log-ins")));
    }
    Ok(Reply::no("Login or password is wrong").code("AUTHENTICATIONFAILED"))
}
