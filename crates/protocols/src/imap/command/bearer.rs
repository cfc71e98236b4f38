//! OAUTHBEARER (RFC 7628) and XOAUTH2, its older sister: log-in by a token that somebody else has issued.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sterna_account::service::{BearerAttempt, LoginError};
use sterna_base::Secret;
use sterna_formats::sasl::Bearer;

use super::authenticate::{ask, decode};
use super::login;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// How the token is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// OAUTHBEARER
    Oauthbearer,
    /// XOAUTH2
    Xoauth2,
}

impl Form {
    /// What a client is told when its token is not good, before the tagged NO (RFC 7628 section 3.2.2).
    fn refusal(self) -> &'static str {
        match self {
            Form::Oauthbearer => r#"{"status":"invalid_token"}"#,
            Form::Xoauth2 => r#"{"status":"401","schemes":"bearer"}"#,
        }
    }
}

pub async fn run(session: &mut Session, initial: Option<Vec<u8>>, form: Form) -> Outcome {
    let message = match initial {
        Some(initial) => decode(&initial)?,
        None => ask(session, "").await?,
    };
    let Ok(message) = String::from_utf8(message) else { return Ok(Reply::bad("Not a message of this mechanism")) };
    let bearer = match form {
        Form::Oauthbearer => Bearer::parse_oauthbearer(&message),
        Form::Xoauth2 => Bearer::parse_xoauth2(&message),
    };
    let Ok(Bearer { user, token }) = bearer else { return Ok(Reply::bad("Not a message of this mechanism")) };
    let token = Secret::new(token);
    let attempt = BearerAttempt { login: user.as_deref(), token: &token, protocol: "imap", peer: session.peer };
    let answer = session.shared.authenticator.bearer(attempt).await;
    if answer == Err(LoginError::Invalid) {
        // The client answers with nothing that counts; it may cancel as well.
        let refusal = STANDARD.encode(form.refusal());
        session.io.output.extend_from_slice(format!("+ {refusal}\r\n").as_bytes());
        session.io.line(session.login_wait()).await?;
    }
    login::accept(session, user.as_deref().unwrap_or("(a token)"), answer).await
}
