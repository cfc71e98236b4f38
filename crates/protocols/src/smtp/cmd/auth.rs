//! AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN, and with tokens: OAUTHBEARER (RFC 7628) and XOAUTH2.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sterna_account::service::{BearerAttempt, Login, LoginAttempt, LoginError};
use sterna_base::Secret;
use sterna_formats::sasl::Bearer;
use sterna_formats::smtp::Reply;
use sterna_formats::smtp::limits::AUTH_LINE_BYTES_MAX;

use crate::sasl::bearer::Form;
use crate::smtp::io::{Disconnect, LineRead};
use crate::smtp::session::{Flow, Next, Session};

/// Login and password of a client.
struct Credentials {
    login: String,
    password: Secret,
}

impl Session {
    /// Whether AUTH is offered: passwords don't travel in the clear (RFC 4954 section 4).
    pub(crate) fn may_log_in(&self) -> bool {
        self.tls || self.shared.config.plaintext_login
    }

    /// Logs the client in.
    pub(crate) async fn auth(&mut self, mechanism: &str, initial: Option<String>) -> Flow {
        if self.client.as_ref().is_none_or(|client| !client.extended) {
            return Ok(self.error(Reply::new(503, (5, 5, 1), "Send EHLO first")));
        }
        if self.login.is_some() || self.transaction.is_some() {
            return Ok(self.error(Reply::new(503, (5, 5, 1), "Not now: logged in, or in a transaction")));
        }
        if !self.may_log_in() {
            return Ok(self.error(Reply::new(538, (5, 7, 11), "Begin with STARTTLS; passwords need encryption")));
        }
        let mechanisms = self.mechanisms().await;
        let form = match mechanism {
            _ if !mechanisms.contains(&mechanism) => {
                let text = format!("The mechanisms are {}", mechanisms.join(" "));
                return Ok(self.error(Reply::new(504, (5, 5, 4), text)));
            }
            "OAUTHBEARER" => Form::Oauthbearer,
            "XOAUTH2" => Form::Xoauth2,
            _ => return self.auth_by_password(mechanism, initial).await,
        };
        self.auth_by_token(form, initial).await
    }

    /// How clients can log in here and now.
    pub(crate) async fn mechanisms(&self) -> Vec<&'static str> {
        let mut mechanisms = vec!["PLAIN", "LOGIN"];
        if self.shared.authenticator.offers_bearer().await {
            mechanisms.extend(["OAUTHBEARER", "XOAUTH2"]);
        }
        mechanisms
    }

    async fn auth_by_password(&mut self, mechanism: &str, initial: Option<String>) -> Flow {
        let credentials = match mechanism {
            "PLAIN" => self.plain(initial).await?,
            _ => self.login_mechanism(initial).await?,
        };
        let Credentials { login, password } = match credentials {
            Ok(credentials) => credentials,
            Err(reply) => return Ok(self.error(reply)),
        };
        let (protocol, peer) = (self.shared.config.service.name(), self.peer);
        let attempt = LoginAttempt { login: &login, password: &password, protocol, peer };
        let answer = self.shared.authenticator.authenticate(attempt).await;
        Ok(self.answered(&login, answer))
    }

    async fn auth_by_token(&mut self, form: Form, initial: Option<String>) -> Flow {
        let message = match self.answer(initial, "").await? {
            Ok(message) => message,
            Err(reply) => return Ok(self.error(reply)),
        };
        let Ok(Bearer { user, token }) = form.parse(message.expose()) else {
            return Ok(self.error(Reply::new(501, (5, 5, 2), "Not a message of this mechanism")));
        };
        let (token, protocol, peer) = (Secret::new(token), self.shared.config.service.name(), self.peer);
        let attempt = BearerAttempt { login: user.as_deref(), token: &token, protocol, peer };
        let answer = self.shared.authenticator.bearer(attempt).await;
        if answer == Err(LoginError::Invalid) {
            // The client answers with nothing that counts; it may cancel as well.
            let _ = self.answer(None, form.refusal()).await?;
        }
        Ok(self.answered(user.as_deref().unwrap_or("(a token)"), answer))
    }

    /// Lets in whom the directory knows, and refuses others.
    fn answered(&mut self, name: &str, answer: Result<Login, LoginError>) -> Next {
        let reply = match answer {
            Ok(login) => {
                let limit = (self.shared.config.service.name(), u64::MAX);
                let who = (login.account, login.app_password.clone());
                self.place = self.shared.sessions.enter(who, limit, self.io.connection());
                self.login = Some(login);
                return self.ok(Reply::new(235, (2, 7, 0), "Logged in"));
            }
            Err(LoginError::Invalid) => Reply::new(535, (5, 7, 8), "Login or password is wrong"),
            Err(LoginError::TooMany { wait_ms }) => {
                let wait_s = wait_ms.div_ceil(1000);
                Reply::new(454, (4, 7, 0), format!("Too many failed log-ins; wait {wait_s} seconds"))
            }
            Err(LoginError::Unavailable(cause)) => {
                let reply = Reply::new(454, (4, 7, 0), "Log-in is not possible at present");
                self.log_refusal(&reply, Some(&cause));
                return self.ok(reply);
            }
        };
        self.counters.failed_logins += 1;
        self.log_refusal(&reply, Some(&format!("login {name:?}")));
        self.io.reply(&reply);
        if self.counters.failed_logins >= self.shared.config.limits.failed_logins_max {
            return self.give_up("too many failed log-ins");
        }
        Next::Command
    }

    /// `[authzid] NUL authcid NUL passwd`.
    async fn plain(&mut self, initial: Option<String>) -> Result<Result<Credentials, Reply>, Disconnect> {
        let message = match self.answer(initial, "").await? {
            Ok(message) => message,
            Err(reply) => return Ok(Err(reply)),
        };
        let parts: Vec<&str> = message.expose().split('\0').collect();
        let [authzid, authcid, password] = parts[..] else {
            return Ok(Err(Reply::new(501, (5, 5, 2), "Malformed PLAIN message")));
        };
        // Acting for somebody else is not offered.
        if authcid.is_empty() || (!authzid.is_empty() && authzid != authcid) {
            return Ok(Err(Reply::new(535, (5, 7, 8), "Login or password is wrong")));
        }
        Ok(Ok(Credentials { login: authcid.to_owned(), password: Secret::new(password) }))
    }

    async fn login_mechanism(&mut self, initial: Option<String>) -> Result<Result<Credentials, Reply>, Disconnect> {
        let login = match self.answer(initial, "Username:").await? {
            Ok(login) => login,
            Err(reply) => return Ok(Err(reply)),
        };
        Ok(self
            .answer(None, "Password:")
            .await?
            .map(|password| Credentials { login: login.expose().to_owned(), password }))
    }

    /// The client's answer to a challenge, decoded.
    async fn answer(&mut self, initial: Option<String>, challenge: &str) -> Result<Result<Secret, Reply>, Disconnect> {
        let encoded = match initial {
            Some(initial) if initial == "=" => String::new(),
            Some(initial) => initial,
            None => {
                self.io.reply(&Reply::plain(334, STANDARD.encode(challenge)));
                let timeout = self.shared.config.limits.command_timeout;
                match self.io.line(AUTH_LINE_BYTES_MAX, timeout).await? {
                    LineRead::Text(line) => String::from_utf8_lossy(&line).into_owned(),
                    LineRead::BareLf(_) => return Ok(Err(Reply::new(500, (5, 5, 2), "Lines must end with CRLF"))),
                    LineRead::TooLong(_) => return Ok(Err(Reply::new(500, (5, 5, 6), "The line is too long"))),
                }
            }
        };
        if encoded == "*" {
            return Ok(Err(Reply::new(501, (5, 7, 0), "Log-in cancelled")));
        }
        let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(decoded.map(Secret::new).ok_or_else(|| Reply::new(501, (5, 5, 2), "That is not base64 of UTF-8 text")))
    }
}
