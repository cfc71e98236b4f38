//! OAUTHBEARER (RFC 7628) and XOAUTH2, its older sister: log-in by a token that somebody else has issued.

use sterna_account::service::{BearerAttempt, LoginError};
use sterna_base::Secret;
use sterna_formats::sasl::{Bearer, ScramError};

use super::{Attempt, Exchange, SaslError, malformed};

/// How the token is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// OAUTHBEARER
    Oauthbearer,
    /// XOAUTH2
    Xoauth2,
}

impl Form {
    /// What a client is told when its token is not good, before the answer to the command (RFC 7628 section 3.2.2).
    pub fn refusal(self) -> &'static str {
        match self {
            Form::Oauthbearer => r#"{"status":"invalid_token"}"#,
            Form::Xoauth2 => r#"{"status":"401","schemes":"bearer"}"#,
        }
    }

    /// Reads a client's message.
    ///
    /// # Errors
    /// When it is none of this form.
    pub fn parse(self, message: &str) -> Result<Bearer<'_>, ScramError> {
        match self {
            Form::Oauthbearer => Bearer::parse_oauthbearer(message),
            Form::Xoauth2 => Bearer::parse_xoauth2(message),
        }
    }
}

pub async fn run(exchange: &mut Exchange<'_>, initial: Option<Vec<u8>>, form: Form) -> Result<Attempt, SaslError> {
    let not_a_message = || malformed("Not a message of this mechanism");
    let message = String::from_utf8(exchange.first(initial, "").await?).map_err(|_| not_a_message())?;
    let Bearer { user, token } = form.parse(&message).map_err(|_| not_a_message())?;
    let token = Secret::new(token);
    let (protocol, peer) = (exchange.protocol, exchange.peer());
    let attempt = BearerAttempt { login: user.as_deref(), token: &token, protocol, peer };
    let answer = exchange.authenticator.bearer(attempt).await;
    if answer == Err(LoginError::Invalid) {
        // The client answers with nothing that counts; it may cancel as well.
        exchange.answer(form.refusal()).await?;
    }
    Ok(Attempt { login: user.unwrap_or_else(|| "(a token)".to_owned()), answer })
}
