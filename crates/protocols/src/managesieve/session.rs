//! One session: its states, and the loop that reads commands and answers them.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sterna_account::{Account, AccountError};
use sterna_base::session_limits::SessionLimits;
use sterna_formats::managesieve::{Command, Frame, Framer, string};
use tokio::time::Instant;

use super::Shared;
use super::command as commands;
use super::limits::{LITERAL_BYTES_BEFORE_LOGIN_MAX, LITERAL_BYTES_SLACK};
use super::reply::{Fail, Outcome, Refusal, TRYLATER, account_refusal};
use crate::account_sessions::AccountSession;
use crate::failure::{concerns_operator, is_passing};
use crate::io::{Disconnect, Io};
use crate::sasl::{Exchange, Offers, Wire};

/// Somebody who has logged in.
pub struct User {
    /// Whose scripts these are.
    pub account: Arc<dyn Account>,
    /// The main address.
    pub address: String,
    /// Counts as one of the user's sessions.
    pub _place: AccountSession,
}

/// A session.
pub struct Session {
    pub io: Io,
    pub(super) shared: Arc<Shared>,
    pub peer: IpAddr,
    framer: Framer,
    /// Who has logged in.
    pub user: Option<User>,
    /// How users can log in, besides with passwords.
    pub offers: Offers,
    pub failed_logins: u32,
    /// Set by STARTTLS; the handshake follows its answer.
    pub upgrading: bool,
    /// Set by LOGOUT.
    pub ended: bool,
    started: Instant,
    bad_commands: u32,
}

impl Session {
    pub(super) fn new(io: Io, shared: Arc<Shared>) -> Self {
        Session {
            peer: io.peer(),
            io,
            shared,
            framer: Framer::new(LITERAL_BYTES_BEFORE_LOGIN_MAX),
            user: None,
            offers: Offers::default(),
            failed_logins: 0,
            upgrading: false,
            ended: false,
            started: Instant::now(),
            bad_commands: 0,
        }
    }

    /// Greets, and serves until the client goes.
    pub async fn run(mut self) {
        self.offers = Offers::of(self.shared.authenticator.as_ref()).await;
        commands::capability::list(&mut self);
        self.answer("OK", None, "Sterna ready");
        let end = self.serve().await;
        let last = match &end {
            Err(Disconnect::SignedOut) => Some((Some(TRYLATER), "You were signed out")),
            Err(Disconnect::Stopping) => Some((Some(TRYLATER), "The server is ending, please come again")),
            Err(Disconnect::Timeout) => Some((None, "You were silent for too long")),
            Err(Disconnect::Hopeless(why)) => Some((None, *why)),
            Ok(()) | Err(Disconnect::Closed | Disconnect::Io(_)) => None,
        };
        if let Some((code, text)) = last {
            self.answer("BYE", code, text);
            let _ = self.io.flush().await;
        }
        let user = self.user.as_ref().map_or("", |user| user.address.as_str());
        match end {
            Err(why @ (Disconnect::Hopeless(_) | Disconnect::Timeout | Disconnect::SignedOut)) => {
                tracing::info!(peer = %self.peer, user, %why, "ManageSieve session ended");
            }
            _ => tracing::debug!(peer = %self.peer, user, "ManageSieve session ended"),
        }
    }

    async fn serve(&mut self) -> Result<(), Disconnect> {
        while !self.ended {
            // Whoever is known may send a script; one that is a little too long is refused in its own words.
            self.framer.literal_bytes_max = match self.user {
                Some(_) => self.shared.checker.limits().script_bytes.saturating_add(LITERAL_BYTES_SLACK),
                None => LITERAL_BYTES_BEFORE_LOGIN_MAX,
            };
            match self.framer.next(&mut self.io.input) {
                Frame::More => self.io.fill(self.wait()).await?,
                Frame::Command(tokens) => {
                    let parsed = Command::parse(tokens);
                    let name = parsed.as_ref().map_or("", |command| command.name());
                    let outcome = match parsed {
                        Ok(command) => self.dispatch(command).await,
                        Err(error) => Err(Fail::Bad(Cow::Owned(error.to_string()))),
                    };
                    self.finish(name, outcome).await?;
                }
                Frame::Malformed(why) => self.finish("", Err(Fail::Bad(why.into()))).await?,
                Frame::TooLong(verb) => self.finish("", self.too_long(verb.as_deref())).await?,
                Frame::Hopeless => return Err(Disconnect::Hopeless("The command is too long")),
            }
        }
        self.io.flush().await
    }

    fn wait(&self) -> Duration {
        match self.user {
            None => self.io.login_wait(self.started),
            Some(_) => SessionLimits::seconds(self.io.limits.imap_idle_seconds),
        }
    }

    fn too_long(&self, verb: Option<&str>) -> Outcome {
        if self.user.is_some() && matches!(verb, Some("PUTSCRIPT" | "CHECKSCRIPT")) {
            let most = self.shared.checker.limits().script_bytes;
            return Err(sterna_account::scripts::ScriptError::TooLarge(most).into());
        }
        Err(Fail::Bad("The command is too long".into()))
    }

    /// Says how a command ended, if that was not said yet.
    async fn finish(&mut self, name: &'static str, outcome: Outcome) -> Result<(), Disconnect> {
        match outcome {
            Ok(()) => self.bad_commands = 0,
            Err(Fail::Disconnect(disconnect)) => return Err(disconnect),
            Err(Fail::Refused(refusal)) => {
                self.bad_commands = 0;
                self.refuse(&refusal);
            }
            Err(Fail::Account(error)) => {
                self.log_failure(name, &error);
                self.refuse(&account_refusal(&error));
            }
            Err(Fail::Bad(text)) => {
                self.refuse(&Refusal::new(text));
                self.bad_commands += 1;
                if u64::from(self.bad_commands) >= self.io.limits.bad_commands {
                    return Err(Disconnect::Hopeless("Too many bad commands"));
                }
            }
        }
        if std::mem::take(&mut self.upgrading) {
            self.io.start_tls().await?;
            // RFC 5804 section 2.2: what was said in the clear is forgotten, and what can be done is told again.
            self.framer = Framer::new(LITERAL_BYTES_BEFORE_LOGIN_MAX);
            commands::capability::list(self);
            self.answer("OK", None, "TLS has begun");
        }
        self.io.flush_if_full().await
    }

    async fn dispatch(&mut self, command: Command) -> Outcome {
        match command {
            Command::Logout => commands::logout::run(self),
            Command::Capability => commands::capability::run(self),
            Command::Noop(tag) => commands::noop::run(self, tag),
            command if self.user.is_none() => match command {
                Command::StartTls => commands::starttls::run(self),
                Command::Authenticate { mechanism, initial } => {
                    commands::authenticate::run(self, &mechanism, initial).await
                }
                _ => Err(Fail::Bad("Log in first".into())),
            },
            command => self.dispatch_authenticated(command).await,
        }
    }

    async fn dispatch_authenticated(&mut self, command: Command) -> Outcome {
        match command {
            Command::HaveSpace { name, size } => commands::havespace::run(self, &name, size).await,
            Command::PutScript { name, content } => commands::putscript::run(self, &name, content).await,
            Command::ListScripts => commands::listscripts::run(self).await,
            Command::SetActive(name) => commands::setactive::run(self, &name).await,
            Command::GetScript(name) => commands::getscript::run(self, &name).await,
            Command::DeleteScript(name) => commands::deletescript::run(self, &name).await,
            Command::RenameScript { from, to } => commands::renamescript::run(self, &from, &to).await,
            Command::CheckScript(content) => commands::checkscript::run(self, content).await,
            Command::Unauthenticate => commands::unauthenticate::run(self),
            _ => Err(Fail::Bad("You are logged in already".into())),
        }
    }

    /// Writes `OK` without more to say.
    pub fn ok(&mut self) {
        self.io.output.extend_from_slice(b"OK\r\n");
    }

    /// Writes a string.
    pub fn string(&mut self, text: &[u8]) {
        string(text, &mut self.io.output);
    }

    /// Writes an answer.
    pub fn answer(&mut self, word: &str, code: Option<&str>, text: &str) {
        self.io.output.extend_from_slice(word.as_bytes());
        if let Some(code) = code {
            self.io.output.extend_from_slice(format!(" ({code})").as_bytes());
        }
        self.io.output.extend_from_slice(b" ");
        self.string(text.as_bytes());
        self.io.output.extend_from_slice(b"\r\n");
    }

    fn refuse(&mut self, refusal: &Refusal) {
        self.answer("NO", refusal.code, &refusal.text);
    }

    /// The account; commands that need it run after log-in only.
    pub fn account(&self) -> Result<Arc<dyn Account>, Fail> {
        self.user.as_ref().map(|user| user.account.clone()).ok_or_else(|| Fail::Bad("Log in first".into()))
    }

    /// Whether log-in is refused because anybody could listen.
    pub fn login_disabled(&self) -> bool {
        !self.io.is_encrypted() && !self.shared.config.plaintext_login
    }

    /// A log-in by SASL.
    pub fn exchange(&mut self) -> Exchange<'_> {
        let (authenticator, offers) = (self.shared.authenticator.as_ref(), self.offers);
        let (protocol, wire) = ("managesieve", Wire::Strings);
        Exchange { io: &mut self.io, authenticator, offers, protocol, since: self.started, wire }
    }

    /// As after the greeting.
    pub fn forget_user(&mut self) {
        self.user = None;
        self.started = Instant::now();
    }

    /// One line for the operator, if there is something to do or to wait for.
    fn log_failure(&self, command: &'static str, error: &AccountError) {
        let Some(user) = &self.user else { return };
        let (account, user) = (user.account.id(), user.address.as_str());
        if !concerns_operator(error) {
            return;
        }
        if is_passing(error) {
            tracing::warn!(peer = %self.peer, %account, user, command, %error, "a ManageSieve command could not be done now");
        } else {
            tracing::error!(peer = %self.peer, %account, user, command, %error, "a ManageSieve command failed");
        }
    }
}
