//! One session: its states, and the loop that reads commands and answers them.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sterna_account::AccountError;
use sterna_base::session_limits::SessionLimits;
use sterna_formats::pop3::Command;
use tokio::time::Instant;

use super::Shared;
use super::command as commands;
use super::maildrop::Maildrop;
use super::reply::{Fail, Outcome, Refusal, SYS_TEMP, account_refusal};
use crate::account_sessions::AccountSession;
use crate::failure::{concerns_operator, is_passing};
use crate::io::{Disconnect, Io};
use crate::sasl::{Exchange, Offers, Wire};

/// The states of RFC 1939 section 3. UPDATE is not one that a client can speak in: QUIT enters and leaves it.
pub enum State {
    /// Until somebody has logged in.
    Authorization {
        /// What USER said.
        name: Option<String>,
    },
    /// From then on.
    Transaction(Box<Maildrop>),
}

/// A session.
pub struct Session {
    pub io: Io,
    pub(super) shared: Arc<Shared>,
    pub peer: IpAddr,
    pub state: State,
    /// How users can log in, besides with passwords.
    pub offers: Offers,
    pub failed_logins: u32,
    /// Set by STLS; the handshake follows its answer.
    pub upgrading: bool,
    /// Counts as one of the user's sessions.
    pub place: Option<AccountSession>,
    /// Set by QUIT.
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
            state: State::Authorization { name: None },
            offers: Offers::default(),
            failed_logins: 0,
            upgrading: false,
            place: None,
            ended: false,
            started: Instant::now(),
            bad_commands: 0,
        }
    }

    /// Greets, and serves until the client goes.
    pub async fn run(mut self) {
        self.offers = Offers::of(self.shared.authenticator.as_ref()).await;
        self.ok("Sterna ready");
        let end = self.serve().await;
        // Who was silent for too long hears nothing (RFC 1939 section 3), nor does who is in the middle of a message:
        // it would be taken for a part of that.
        let last = match &end {
            Err(Disconnect::Stopping) => Some(Refusal::new("The server is ending, please come again").code(SYS_TEMP)),
            Err(Disconnect::SignedOut) => Some(Refusal::new("You were signed out").code(SYS_TEMP)),
            Err(Disconnect::Hopeless(why)) => Some(Refusal::new(*why)),
            Ok(()) | Err(Disconnect::Closed | Disconnect::Timeout | Disconnect::Io(_)) => None,
        };
        if let Some(refusal) = last {
            self.refuse(&refusal);
            let _ = self.io.flush().await;
        }
        let mut user = String::new();
        if let State::Transaction(maildrop) = &mut self.state {
            user.clone_from(&maildrop.address);
            if let Err(error) = maildrop.leave().await {
                tracing::debug!(peer = %self.peer, user, %error, "what was retrieved could not be flagged");
            }
        }
        match end {
            Err(why @ (Disconnect::Hopeless(_) | Disconnect::Timeout | Disconnect::SignedOut)) => {
                tracing::info!(peer = %self.peer, user, %why, "POP3 session ended");
            }
            _ => tracing::debug!(peer = %self.peer, user, "POP3 session ended"),
        }
    }

    async fn serve(&mut self) -> Result<(), Disconnect> {
        while !self.ended {
            match self.io.take_line()? {
                Some(line) => self.line(&line).await?,
                None => self.io.fill(self.wait()).await?,
            }
        }
        self.io.flush().await
    }

    fn wait(&self) -> Duration {
        match self.state {
            State::Authorization { .. } => self.io.login_wait(self.started),
            State::Transaction(_) => SessionLimits::seconds(self.io.limits.pop3_idle_seconds),
        }
    }

    async fn line(&mut self, line: &[u8]) -> Result<(), Disconnect> {
        let (name, outcome) = match Command::parse(line) {
            Ok(command) => (commands::name(&command), self.dispatch(command).await),
            Err(error) => ("", Err(Fail::Bad(Cow::Owned(error.to_string())))),
        };
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
            // RFC 2595 section 4: what was said in the clear is forgotten.
            self.state = State::Authorization { name: None };
        }
        self.io.flush_if_full().await
    }

    async fn dispatch(&mut self, command: Command) -> Outcome {
        match command {
            Command::Capa => commands::capa::run(self),
            Command::Quit => commands::quit::run(self).await,
            command => match self.state {
                State::Authorization { .. } => self.dispatch_authorization(command).await,
                State::Transaction(_) => self.dispatch_transaction(command).await,
            },
        }
    }

    async fn dispatch_authorization(&mut self, command: Command) -> Outcome {
        match command {
            Command::Stls => commands::stls::run(self),
            Command::Utf8 => commands::utf8::run(self),
            Command::User(name) => commands::user::run(self, name),
            Command::Pass(password) => commands::pass::run(self, &password).await,
            Command::Auth { mechanism, initial } => commands::auth::run(self, mechanism, initial).await,
            _ => Err(Fail::Bad("Log in first".into())),
        }
    }

    async fn dispatch_transaction(&mut self, command: Command) -> Outcome {
        match command {
            Command::Stat => commands::stat::run(self),
            Command::List(number) => commands::list::run(self, number).await,
            Command::Uidl(number) => commands::uidl::run(self, number).await,
            Command::Retr(number) => commands::retr::run(self, number).await,
            Command::Top { number, lines } => commands::top::run(self, number, lines).await,
            Command::Dele(number) => commands::dele::run(self, number),
            Command::Rset => commands::rset::run(self),
            Command::Noop => {
                self.ok("Done");
                Ok(())
            }
            _ => Err(Fail::Bad("You are logged in already".into())),
        }
    }

    /// Writes `+OK`.
    pub fn ok(&mut self, text: &str) {
        self.io.output.extend_from_slice(format!("+OK {text}\r\n").as_bytes());
    }

    /// Writes `-ERR`.
    fn refuse(&mut self, refusal: &Refusal) {
        let text = &refusal.text;
        let line = match refusal.code {
            Some(code) => format!("-ERR [{code}] {text}\r\n"),
            None => format!("-ERR {text}\r\n"),
        };
        self.io.output.extend_from_slice(line.as_bytes());
    }

    /// The messages; commands that need them run after log-in only.
    pub fn maildrop(&mut self) -> Result<&mut Maildrop, Fail> {
        match &mut self.state {
            State::Transaction(maildrop) => Ok(maildrop),
            State::Authorization { .. } => Err(Fail::Bad("Log in first".into())),
        }
    }

    /// Whether log-in is refused because anybody could listen.
    pub fn login_disabled(&self) -> bool {
        !self.io.is_encrypted() && !self.shared.config.plaintext_login
    }

    /// A log-in by SASL.
    pub fn exchange(&mut self) -> Exchange<'_> {
        let (authenticator, offers) = (self.shared.authenticator.as_ref(), self.offers);
        Exchange { io: &mut self.io, authenticator, offers, protocol: "pop3", since: self.started, wire: Wire::Lines }
    }

    /// One line for the operator, if there is something to do or to wait for.
    pub fn log_failure(&self, command: &'static str, error: &AccountError) {
        let State::Transaction(maildrop) = &self.state else { return };
        let (account, user) = (maildrop.account.id(), maildrop.address.as_str());
        if !concerns_operator(error) {
            return;
        }
        if is_passing(error) {
            tracing::warn!(peer = %self.peer, %account, user, command, %error, "a POP3 command could not be done now");
        } else {
            tracing::error!(peer = %self.peer, %account, user, command, %error, "a POP3 command failed");
        }
    }
}
