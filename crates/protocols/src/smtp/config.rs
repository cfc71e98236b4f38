//! What a listener is told, and the limits of its sessions.

use std::path::PathBuf;
use std::time::Duration;

use sterna_base::limits::{MESSAGE_BYTES_MAX, RECIPIENTS_MAX};
use sterna_formats::smtp::limits::HOPS_MAX;

/// Which of the three services a listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Mail from other servers: port 25, STARTTLS, no log-in.
    Mx,
    /// Mail from users: port 587 with STARTTLS, or 465 inside TLS; log-in required.
    Submission,
    /// Mail from a server that trusts us, over a local or private connection.
    Lmtp,
}

impl Service {
    /// For log lines and throttling.
    pub fn name(self) -> &'static str {
        match self {
            Service::Mx => "smtp",
            Service::Submission => "submission",
            Service::Lmtp => "lmtp",
        }
    }
}

/// Settings of one listener.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// Which service.
    pub service: Service,
    /// The name of this server in the greeting and in Received fields.
    pub hostname: String,
    /// Where messages too large for memory are kept while they come in. What lies there after a crash was never
    /// acknowledged and may be deleted.
    pub spool_folder: PathBuf,
    /// Whether users may log in without TLS: for demonstrations on loopback only.
    pub plaintext_login: bool,
    /// Limits of each session.
    pub limits: Limits,
}

impl SmtpConfig {
    /// The usual settings of a service.
    pub fn new(service: Service, hostname: impl Into<String>, spool_folder: impl Into<PathBuf>) -> Self {
        SmtpConfig {
            service,
            hostname: hostname.into(),
            spool_folder: spool_folder.into(),
            plaintext_login: false,
            limits: Limits::of(service),
        }
    }
}

/// How much one session may ask for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest content (SIZE): 552 5.3.4.
    pub message_bytes_max: u64,
    /// Bytes of a content over the limit that are still read, so that the client hears its 552 instead of a reset;
    /// after that the connection ends.
    pub swallow_bytes_max: u64,
    /// Recipients of a transaction (RCPTMAX): 452 4.5.3.
    pub recipients_max: usize,
    /// Transactions of a connection (MAILMAX): 421.
    pub transactions_max: u32,
    /// Received fields that a content may have; with more it goes in a loop: 554 5.4.6.
    pub hops_max: u32,
    /// Chunks of a content (BDAT): 421. Enough for the largest message in small pieces.
    pub chunks_max: u32,
    /// Commands refused for their form or order: 421. Half of it is what a confused client needs.
    pub errors_max: u32,
    /// Recipients refused on a connection of [`Service::Mx`]: 421. Who goes on after so many is guessing addresses.
    pub refused_recipients_max: u32,
    /// Commands refused for any reason since the last content: 421. A sender may well have thousands of recipients that
    /// don't exist; nobody goes on for ever.
    pub refusals_max: u32,
    /// Commands since the last message that bring none nearer (NOOP, RSET, VRFY, EHLO, ...): 421.
    pub idle_commands_max: u32,
    /// Failed log-ins of a connection: 421.
    pub failed_logins_max: u32,
    /// For a whole command to arrive (RFC 5321 section 4.5.3.2.7: at least 5 minutes).
    pub command_timeout: Duration,
    /// Between two pieces of content (RFC 5321 section 4.5.3.2.5: at least 3 minutes).
    pub content_timeout: Duration,
    /// For a whole content: a client that sends a byte a minute must end too.
    pub content_total_timeout: Duration,
}

impl Limits {
    /// The usual limits of a service. A mail server in front of us keeps its LMTP connections for as long as it has
    /// mail.
    pub fn of(service: Service) -> Self {
        let transactions_max = if service == Service::Lmtp { 1_000_000 } else { 1000 };
        Limits {
            message_bytes_max: MESSAGE_BYTES_MAX,
            swallow_bytes_max: MESSAGE_BYTES_MAX,
            recipients_max: RECIPIENTS_MAX,
            transactions_max,
            hops_max: HOPS_MAX,
            chunks_max: 10_000,
            errors_max: 20,
            refused_recipients_max: 100,
            refusals_max: 10_000,
            idle_commands_max: 100,
            failed_logins_max: 3,
            command_timeout: Duration::from_secs(300),
            content_timeout: Duration::from_secs(180),
            content_total_timeout: Duration::from_secs(3600),
        }
    }
}
