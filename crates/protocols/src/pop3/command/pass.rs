//! PASS (RFC 1939 section 7), and what AUTH has in common with it.

use sterna_account::AccountError;
use sterna_account::service::{Login, LoginAttempt, LoginError};
use sterna_base::Secret;

use crate::io::Disconnect;
use crate::pop3::maildrop::Maildrop;
use crate::pop3::reply::{AUTH, Fail, Outcome, Refusal, SYS_TEMP};
use crate::pop3::session::{Session, State};

pub async fn run(session: &mut Session, password: &Secret) -> Outcome {
    let State::Authorization { name } = &mut session.state else {
        return Err(Fail::Bad("You are logged in already".into()));
    };
    let Some(name) = name.take() else { return Err(Fail::Bad("USER comes first".into())) };
    let attempt = LoginAttempt { login: &name, password, protocol: "pop3", peer: session.peer };
    let answer = session.shared.authenticator.authenticate(attempt).await;
    accept(session, &name, answer).await
}

/// Opens the maildrop of who was let in, and says why somebody was not. The authenticator has delayed the answer: the
/// same one as for every other protocol.
pub async fn accept(session: &mut Session, login: &str, answer: Result<Login, LoginError>) -> Outcome {
    let peer = session.peer;
    match answer {
        Ok(login) => open(session, login).await,
        Err(error @ LoginError::Invalid) => {
            tracing::info!(%peer, login, %error, "POP3 log-in refused");
            session.failed_logins += 1;
            if u64::from(session.failed_logins) >= session.io.limits.failed_logins {
                return Err(Fail::Disconnect(Disconnect::Hopeless("[AUTH] Too many failed log-ins")));
            }
            Err(Refusal::new("Login or password is wrong").code(AUTH).into())
        }
        // Not [AUTH]: clients would ask their users for another password.
        Err(error @ LoginError::TooMany { .. }) => {
            tracing::info!(%peer, login, %error, "POP3 log-in refused");
            Err(Refusal::new("Too many failed log-ins, please wait").code(SYS_TEMP).into())
        }
        Err(error @ LoginError::Unavailable(_)) => {
            tracing::warn!(%peer, login, %error, "POP3 log-in not possible");
            Err(Refusal::new("Log-in is not possible at the moment").code(SYS_TEMP).into())
        }
    }
}

async fn open(session: &mut Session, login: Login) -> Outcome {
    let (peer, tls) = (session.peer, session.io.is_encrypted());
    let limit = ("pop3", session.io.limits.per_account);
    let who = (login.account, login.app_password.clone());
    let Some(place) = session.shared.sessions.enter(who, limit, session.io.connection()) else {
        tracing::info!(%peer, user = login.address, "POP3 log-in refused: too many sessions");
        return Err(Refusal::new("This user has too many sessions").code(SYS_TEMP).into());
    };
    let maildrop = maildrop(session, &login).await.inspect_err(|error| {
        tracing::warn!(%peer, account = %login.account, user = login.address, %error, "an INBOX could not be opened");
    })?;
    tracing::info!(%peer, user = login.address, tls, "POP3 log-in");
    let (count, _) = maildrop.totals();
    session.place = Some(place);
    session.state = State::Transaction(Box::new(maildrop));
    session.ok(&format!("{count} messages"));
    Ok(())
}

async fn maildrop(session: &Session, login: &Login) -> Result<Maildrop, AccountError> {
    let account = session.shared.accounts.open(login.account).await?;
    let picture = session.shared.pictures.now(account.as_ref()).await?;
    Ok(Maildrop::new(account, login.address.clone(), picture))
}
