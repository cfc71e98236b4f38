//! AUTHENTICATE (RFC 5804 section 2.1).

use sterna_account::service::{Login, LoginError};
use sterna_base::Secret;

use crate::io::Disconnect;
use crate::managesieve::reply::{Fail, Outcome, Refusal, TRYLATER};
use crate::managesieve::session::{Session, User};
use crate::sasl::{self, Attempt, SaslError};

pub async fn run(session: &mut Session, mechanism: &str, initial: Option<Secret>) -> Outcome {
    if session.login_disabled() {
        return Err(Refusal::new("Begin with STARTTLS; passwords need encryption").code("ENCRYPT-NEEDED").into());
    }
    // The empty string is an empty response here; elsewhere that is written as `=`.
    let initial = initial.map(|initial| match initial.expose() {
        "" => b"=".to_vec(),
        response => response.as_bytes().to_vec(),
    });
    match sasl::run(session.exchange(), mechanism, initial).await {
        Ok(Attempt { login, answer }) => accept(session, &login, answer).await,
        Err(SaslError::NoMechanism) => Err(Refusal::new("There is no such mechanism").into()),
        Err(SaslError::Malformed(why)) => Err(Fail::Bad(why.into())),
        Err(SaslError::Disconnect(disconnect)) => Err(disconnect.into()),
    }
}

/// Lets in who was let in, and says why somebody was not. The authenticator has delayed the answer: the same one as for
/// every other protocol.
async fn accept(session: &mut Session, login: &str, answer: Result<Login, LoginError>) -> Outcome {
    let peer = session.peer;
    match answer {
        Ok(login) => open(session, login).await,
        Err(error @ LoginError::Invalid) => {
            tracing::info!(%peer, login, %error, "ManageSieve log-in refused");
            session.failed_logins += 1;
            if u64::from(session.failed_logins) >= session.io.limits.failed_logins {
                return Err(Fail::Disconnect(Disconnect::Hopeless("Too many failed log-ins")));
            }
            Err(Refusal::new("Login or password is wrong").into())
        }
        Err(error @ LoginError::TooMany { .. }) => {
            tracing::info!(%peer, login, %error, "ManageSieve log-in refused");
            Err(Refusal::new("Too many failed log-ins, please wait").code(TRYLATER).into())
        }
        Err(error @ LoginError::Unavailable(_)) => {
            tracing::warn!(%peer, login, %error, "ManageSieve log-in not possible");
            Err(Refusal::new("Log-in is not possible at the moment").code(TRYLATER).into())
        }
    }
}

async fn open(session: &mut Session, login: Login) -> Outcome {
    let (peer, tls) = (session.peer, session.io.is_encrypted());
    let limit = ("managesieve", session.io.limits.per_account);
    let who = (login.account, login.app_password.clone());
    let Some(place) = session.shared.sessions.enter(who, limit, session.io.connection()) else {
        tracing::info!(%peer, user = login.address, "ManageSieve log-in refused: too many sessions");
        return Err(Refusal::new("This user has too many sessions").code(TRYLATER).into());
    };
    let account = session.shared.accounts.open(login.account).await?;
    tracing::info!(%peer, user = login.address, tls, "ManageSieve log-in");
    session.user = Some(User { account, address: login.address, _place: place });
    session.ok();
    Ok(())
}
