//! The session: greeting, command loop, limits, end.

use std::net::IpAddr;
use std::sync::Arc;

use sterna_account::service::{Login, Sender};
use sterna_formats::smtp::limits::COMMAND_LINE_BYTES_MAX;
use sterna_formats::smtp::{AddressError, Command, CommandError, ParamError, Reply};

use crate::account_sessions::AccountSession;

use super::io::{Disconnect, Io, LineRead};
use super::transaction::Transaction;
use super::{Service, Shared};

/// What a command leads to.
pub(crate) type Flow = Result<Next, Disconnect>;

/// Whether the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// With the next command.
    Command,
    /// It ends; what is queued is sent first.
    Close,
}

/// The client after its EHLO, HELO or LHLO.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The name it gave.
    pub helo: String,
    /// Whether it may use extensions.
    pub extended: bool,
}

/// How often the client did what is limited.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub errors: u32,
    pub refused_recipients: u32,
    pub refusals: u32,
    pub idle_commands: u32,
    pub failed_logins: u32,
    pub transactions: u32,
    pub chunks: u32,
}

/// One connection.
pub(crate) struct Session {
    pub io: Io,
    pub shared: Arc<Shared>,
    pub peer: IpAddr,
    pub tls: bool,
    pub client: Option<Client>,
    pub login: Option<Login>,
    /// Counts as one of the user's sessions.
    pub place: Option<AccountSession>,
    pub transaction: Option<Transaction>,
    pub counters: Counters,
}

impl Session {
    pub fn new(io: Io, shared: Arc<Shared>) -> Self {
        let (peer, tls) = (io.connection().peer(), io.connection().is_encrypted());
        let (client, login, place, transaction, counters) = (None, None, None, None, Counters::default());
        Session { io, shared, peer, tls, client, login, place, transaction, counters }
    }

    /// Serves the connection until it ends.
    pub async fn run(mut self) {
        let service = self.shared.config.service.name();
        self.shared.reception.connected(self.shared.config.service.inbound(), self.peer);
        match self.serve().await {
            Ok(()) => tracing::debug!(service, peer = %self.peer, "session ended"),
            Err(cause) => {
                let in_transaction = self.transaction.is_some();
                if let Some(enhanced) = farewell(&cause) {
                    self.io.reply(&Reply::new(421, enhanced, format!("Closing: {cause}")));
                    let _ = self.io.flush().await; // the client may be gone
                }
                tracing::info!(service, peer = %self.peer, in_transaction, %cause, "session broken off");
            }
        }
    }

    async fn serve(&mut self) -> Result<(), Disconnect> {
        let config = &self.shared.config;
        let kind = if config.service == Service::Lmtp { "LMTP" } else { "ESMTP" };
        self.io.reply(&Reply::plain(220, format!("{} {kind} Sterna", config.hostname)));
        let timeout = config.limits.command_timeout;
        loop {
            let line = self.io.line(COMMAND_LINE_BYTES_MAX, timeout).await?;
            if self.command(line).await? == Next::Close {
                return self.io.flush().await;
            }
        }
    }

    async fn command(&mut self, line: LineRead) -> Flow {
        let command = match line {
            LineRead::Text(line) => match Command::parse(&line) {
                Ok(command) => command,
                Err(error) => return Ok(self.unreadable(&line, error_reply(&error))),
            },
            LineRead::BareLf(line) => {
                return Ok(self.unreadable(&line, Reply::new(500, (5, 5, 2), "Lines must end with CRLF")));
            }
            LineRead::TooLong(start) => {
                return Ok(self.unreadable(&start, Reply::new(500, (5, 5, 6), "The line is too long")));
            }
        };
        if !self.is_known(&command) {
            return Ok(self.error(error_reply(&CommandError::Unrecognized)));
        }
        match command {
            Command::Ehlo(name) => Ok(self.ehlo(name.as_str()).await),
            Command::Lhlo(name) => Ok(self.lhlo(name.as_str())),
            Command::Helo(name) => Ok(self.helo(name.as_str())),
            Command::Mail { reverse_path, params } => self.mail(reverse_path, params).await,
            Command::Rcpt { forward_path, params } => self.rcpt(forward_path, params).await,
            Command::Data => self.data().await,
            Command::Bdat { chunk_bytes, last } => self.bdat(chunk_bytes, last).await,
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial).await,
            Command::StartTls => self.starttls().await,
            Command::Rset => Ok(self.rset()),
            Command::Noop => Ok(self.noop()),
            Command::Vrfy(_) => Ok(self.vrfy()),
            Command::Expn(_) => Ok(self.expn()),
            Command::Help => Ok(self.help()),
            Command::Quit => Ok(self.quit()),
        }
    }

    /// LMTP has LHLO and neither of the others (RFC 2033 section 4.1); only submission has AUTH.
    fn is_known(&self, command: &Command) -> bool {
        let service = self.shared.config.service;
        match command {
            Command::Lhlo(_) => service == Service::Lmtp,
            Command::Ehlo(_) | Command::Helo(_) => service != Service::Lmtp,
            Command::Auth { .. } => service == Service::Submission,
            _ => true,
        }
    }

    /// Queues a good reply.
    pub fn ok(&mut self, reply: Reply) -> Next {
        self.io.reply(&reply);
        Next::Command
    }

    /// Refuses a command and writes the one log line.
    pub fn refuse(&mut self, reply: Reply) -> Next {
        self.refuse_because(reply, None)
    }

    /// The same with a cause for the log. Who gets nothing but refusals is let go at last.
    pub fn refuse_because(&mut self, reply: Reply, cause: Option<&str>) -> Next {
        self.log_refusal(&reply, cause);
        self.io.reply(&reply);
        self.counters.refusals += 1;
        if self.counters.refusals > self.shared.config.limits.refusals_max {
            return self.give_up("too many refused commands without a message");
        }
        Next::Command
    }

    /// Refuses a command for its form or order, and ends the session of a client that can't stop.
    pub fn error(&mut self, reply: Reply) -> Next {
        self.counters.errors += 1;
        if self.refuse(reply) == Next::Close {
            return Next::Close;
        }
        if self.counters.errors > self.shared.config.limits.errors_max {
            return self.give_up("too many errors");
        }
        Next::Command
    }

    /// Refuses a line that is no command. Behind a BDAT that can't be read comes content of unknown length, which must
    /// not be taken for commands: there the session ends.
    fn unreadable(&mut self, line: &[u8], reply: Reply) -> Next {
        match self.error(reply) {
            Next::Command if is_chunk(line) => self.give_up("a chunk of unknown length"),
            next => next,
        }
    }

    /// Answers a command that brings no message nearer.
    pub fn idle(&mut self, reply: Reply) -> Next {
        self.counters.idle_commands += 1;
        self.io.reply(&reply);
        if self.counters.idle_commands > self.shared.config.limits.idle_commands_max {
            return self.give_up("too many commands without a message");
        }
        Next::Command
    }

    /// Ends the session with 421.
    pub fn give_up(&mut self, why: &'static str) -> Next {
        let reply = Reply::new(421, (4, 7, 0), format!("{} closing: {why}", self.shared.config.hostname));
        self.log_refusal(&reply, None);
        self.io.reply(&reply);
        Next::Close
    }

    /// One line for the operator.
    pub fn log_refusal(&self, reply: &Reply, cause: Option<&str>) {
        let service = self.shared.config.service.name();
        let transaction = self.transaction.as_ref().map(|t| t.id.to_string()).unwrap_or_default();
        let from = self.transaction.as_ref().map_or("", |t| &t.reverse_path);
        let (peer, code, text) = (self.peer, reply.code(), reply.text());
        tracing::info!(service, %peer, transaction, from, code, text, cause = cause.unwrap_or_default(), "refused");
    }

    /// Who is there, for the reception.
    pub fn sender(&self) -> Sender {
        Sender {
            protocol: self.shared.config.service.inbound(),
            login: self.login.clone(),
            peer: self.peer,
            helo: self.client.as_ref().map(|client| client.helo.clone()).unwrap_or_default(),
            tls: self.tls,
        }
    }
}

/// The status code of the last reply, for a client that may still be listening.
fn farewell(cause: &Disconnect) -> Option<(u8, u16, u16)> {
    match cause {
        Disconnect::Timeout | Disconnect::Flood => Some((4, 4, 2)),
        Disconnect::Shutdown => Some((4, 3, 2)),
        Disconnect::SignedOut => Some((4, 7, 0)),
        Disconnect::Closed | Disconnect::Handshake(_) | Disconnect::Io(_) => None,
    }
}

/// What a line that is no command is answered with.
fn error_reply(error: &CommandError) -> Reply {
    match error {
        CommandError::Unrecognized => Reply::new(500, (5, 5, 1), "Unknown command"),
        CommandError::Characters => Reply::new(500, (5, 5, 2), "The line has invalid characters"),
        CommandError::Syntax(form) => Reply::new(501, (5, 5, 4), format!("The form is: {form}")),
        CommandError::ReversePath(error) => Reply::new(501, (5, 1, 7), address_text(*error)),
        CommandError::ForwardPath(error) => Reply::new(501, (5, 1, 3), address_text(*error)),
        CommandError::Param(error @ ParamError::Unknown(_)) => Reply::new(555, (5, 5, 4), error.to_string()),
        CommandError::Param(error) => Reply::new(501, (5, 5, 4), error.to_string()),
    }
}

fn address_text(error: AddressError) -> &'static str {
    match error {
        AddressError::Syntax => "That is not an address",
        AddressError::TooLong => "The address is too long",
    }
}

/// Whether a line was meant to be BDAT.
fn is_chunk(line: &[u8]) -> bool {
    let verb_end = line.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(line.len());
    line[..verb_end].eq_ignore_ascii_case(b"BDAT")
}
