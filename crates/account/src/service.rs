//! The doors between protocol sessions and the rest of the system. Protocols know these traits; who stands behind them
//! (directory, cluster, mail flow) is wired up by the server.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sterna_base::{AccountId, BlobHash, OperationId, Secret};

use crate::scram::KEY_BYTES;
use crate::scripts::ScriptLimits;
use crate::{Account, AccountError};

/// Opens accounts wherever they live.
#[async_trait]
pub trait Accounts: Send + Sync {
    /// A handle to the account. Handles are shared and cheap to ask for again.
    ///
    /// # Errors
    /// [`AccountError::NoSuchAccount`] when the directory has no placement for it. A data server that is down is found
    /// out by the first call on the handle, not here.
    async fn open(&self, account: AccountId) -> Result<Arc<dyn Account>, AccountError>;
}

/// Checks log-ins.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Whether this login and password belong together, and whose they are. Takes equally long for unknown logins.
    ///
    /// # Errors
    /// [`LoginError`].
    async fn authenticate(&self, attempt: LoginAttempt<'_>) -> Result<Login, LoginError>;

    /// Whether log-in by a bearer token is offered (RFC 7628).
    async fn offers_bearer(&self) -> bool {
        false
    }

    /// Whether whoever issued the token says that it is good, and whose it is.
    ///
    /// # Errors
    /// [`LoginError`]; [`LoginError::Unavailable`] when the issuer can't be asked.
    async fn bearer(&self, attempt: BearerAttempt<'_>) -> Result<Login, LoginError> {
        let _ = attempt;
        Err(LoginError::Invalid)
    }

    /// Whose the addresses of a certificate are, which was verified (SASL EXTERNAL).
    ///
    /// # Errors
    /// [`LoginError`].
    async fn external(&self, attempt: ExternalAttempt<'_>) -> Result<Login, LoginError> {
        let _ = attempt;
        Err(LoginError::Invalid)
    }

    /// Whether SCRAM-SHA-256 is offered to clients: users must have verifiers then.
    async fn offers_scram(&self) -> bool {
        false
    }

    /// What a client needs to prove that it knows the password. Unknown logins, and those without a verifier, have
    /// something that looks like it.
    ///
    /// # Errors
    /// [`LoginError::TooMany`] and [`LoginError::Unavailable`]; never that there is no such login.
    async fn scram_challenge(&self, _attempt: &ScramAttempt<'_>) -> Result<ScramChallenge, LoginError> {
        Err(LoginError::Unavailable("SCRAM is not offered".to_owned()))
    }

    /// Whether the proof is one of the login's password, whose it is, and the server's own proof: for this AuthMessage
    /// (RFC 5802 section 3).
    ///
    /// # Errors
    /// [`LoginError`].
    async fn scram_verify(
        &self,
        attempt: &ScramAttempt<'_>,
        auth_message: &[u8],
        proof: &[u8],
    ) -> Result<(Login, [u8; KEY_BYTES]), LoginError> {
        let _ = (attempt, auth_message, proof);
        Err(LoginError::Invalid)
    }
}

/// Someone wants in with a token.
#[derive(Clone, Debug)]
pub struct BearerAttempt<'a> {
    /// The name given, if one was: the token must be of the same user.
    pub login: Option<&'a str>,
    /// The token.
    pub token: &'a Secret,
    /// For the log line and for throttling.
    pub protocol: &'static str,
    /// Where the connection comes from.
    pub peer: IpAddr,
}

/// Someone wants in with a certificate.
#[derive(Clone, Debug)]
pub struct ExternalAttempt<'a> {
    /// The mail addresses that the certificate names, verified.
    pub addresses: &'a [String],
    /// As whom, if that was said: one of the names of the same user.
    pub authorize: Option<&'a str>,
    /// For the log line and for throttling.
    pub protocol: &'static str,
    /// Where the connection comes from.
    pub peer: IpAddr,
}

/// Someone wants in without showing the password.
#[derive(Clone, Copy, Debug)]
pub struct ScramAttempt<'a> {
    /// The name given: an address, or a login.
    pub login: &'a str,
    /// For the log line and for throttling.
    pub protocol: &'static str,
    /// Where the connection comes from.
    pub peer: IpAddr,
}

/// Salt and iterations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramChallenge {
    /// As stored with the verifier.
    pub salt: Vec<u8>,
    /// The same.
    pub iterations: u32,
}

/// Someone wants in.
#[derive(Clone, Debug)]
pub struct LoginAttempt<'a> {
    /// The name given: an address, or a login.
    pub login: &'a str,
    /// The password given.
    pub password: &'a Secret,
    /// For the log line and for throttling: "imap", "submission".
    pub protocol: &'static str,
    /// Where the connection comes from.
    pub peer: IpAddr,
}

/// A successful log-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// The account that belongs to it.
    pub account: AccountId,
    /// The account's main address, normalised.
    pub address: String,
    /// Whether it is an administrator who works as that user for a while: what others share stays closed then, nobody
    /// is given access, and nothing is sent.
    pub is_sudo: bool,
    /// The id of the app password, if it was one: with its end the session ends.
    pub app_password: Option<String>,
}

/// Why a log-in was refused. Clients are never told which of user and password was wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Unknown login, wrong password, or suspended.
    #[error("login or password is wrong")]
    Invalid,
    /// Too many failures from there, or for this login; how long to wait.
    #[error("too many failed log-ins; wait {wait_ms} ms")]
    TooMany {
        /// Milliseconds.
        wait_ms: u64,
    },
    /// The directory can't be read at present.
    #[error("log-in is not possible at present: {0}")]
    Unavailable(String),
}

/// The directory's answer to "where does mail for this address go?". Asked by the mail flow for every recipient.
#[async_trait]
pub trait Recipients: Send + Sync {
    /// The accounts behind an address: aliases, domain aliases and plus-addressing are resolved, groups are expanded
    /// (loops and nesting are the directory's matter), and no account appears twice. The address is as the client gave
    /// it: not folded, perhaps with a U-label domain (RFC 6531), perhaps `postmaster` without a domain (RFC 5321
    /// section 4.5.1).
    ///
    /// # Errors
    /// [`RouteError`].
    async fn route(&self, address: &str) -> Result<Route, RouteError>;

    /// Whether whoever sends may write to the address: groups can be closed to senders who did not log in. Asked before
    /// [`Recipients::route`] is used for their mail; unless the directory knows more, everybody may.
    ///
    /// # Errors
    /// [`RouteError::Unavailable`]; an address that doesn't exist is `true`, because the route says so better.
    async fn may_write_to(&self, _login: Option<&Login>, _address: &str) -> Result<bool, RouteError> {
        Ok(true)
    }

    /// Whether somebody here has the address itself: not by a catch-all, nor on the other server of a split domain.
    /// Unless the directory knows more, whoever gets its mail has it.
    ///
    /// # Errors
    /// [`RouteError::Unavailable`].
    async fn is_held(&self, address: &str) -> Result<bool, RouteError> {
        match self.route(address).await {
            Ok(route) => Ok(!route.targets.is_empty()),
            Err(RouteError::Unavailable(cause)) => Err(RouteError::Unavailable(cause)),
            Err(_) => Ok(false),
        }
    }

    /// For how long senders to this account are asked to try again later while it is over its quota, in milliseconds,
    /// before they are refused for good. Unless the directory knows more, `None`: they are never.
    async fn deferred_when_full_ms(&self, _account: AccountId) -> Option<i64> {
        None
    }

    /// The language (RFC 5646) that whoever has the address is written to in, if the directory knows it.
    async fn language(&self, _address: &str) -> Option<String> {
        None
    }

    /// The rooms and things whose name or address has this text in it, a bounded number of them.
    async fn resources(&self, _text: &str) -> Vec<Owner> {
        Vec::new()
    }

    /// Who an account belongs to, for the scripts that run on its mail; `None` when the directory can't say.
    async fn owner(&self, _account: AccountId) -> Option<Owner> {
        None
    }

    /// Whether this user may put the address into the reverse-path of a message. Unless the directory knows more
    /// (send-as rights), it must be an address of the user's own account.
    ///
    /// # Errors
    /// [`RouteError::Unavailable`]; an address that doesn't exist is `false`.
    async fn may_send_as(&self, login: &Login, address: &str) -> Result<bool, RouteError> {
        if login.address.eq_ignore_ascii_case(address) {
            return Ok(true);
        }
        match self.route(address).await {
            Ok(Route { targets, .. }) => Ok(matches!(&targets[..], [target] if target.account == login.account)),
            Err(RouteError::Unavailable(cause)) => Err(RouteError::Unavailable(cause)),
            Err(_) => Ok(false),
        }
    }
}

/// Who an account belongs to, as scripts must know it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Owner {
    /// All its addresses, under all names of its domains, the main one first.
    pub addresses: Vec<String>,
    /// For people; empty when it has none.
    pub name: String,
    /// The characters that separate its addresses from their details (RFC 5233); empty when there are none.
    pub plus_separators: String,
    /// The script of the domain that runs before the owner's.
    pub script_before: Option<String>,
    /// The script of the domain that runs after it, for what was kept.
    pub script_after: Option<String>,
    /// What invitations by mail do, unless the owner has said something else.
    pub mail_policy: crate::scheduling::MailPolicy,
    /// Of a room or a thing: by which rules it is booked.
    pub resource: Option<sterna_formats::calendar::booking::Rules>,
    /// The main addresses of those who decide where its rules don't.
    pub managers: Vec<String>,
}

/// Says what Sieve scripts may do, and whether one is a script at all. ManageSieve (RFC 5804) and the administration
/// ask it before they store one.
#[async_trait]
pub trait ScriptChecker: Send + Sync {
    /// The extensions that scripts may require, with blanks between them.
    fn extensions(&self) -> String;

    /// What an account may have at present.
    fn limits(&self) -> ScriptLimits;

    /// How often a script may redirect one message.
    fn redirects_max(&self) -> u64;

    /// Whether it is a script that can run.
    ///
    /// # Errors
    /// What is wrong with it.
    async fn check(&self, script: Bytes) -> Result<(), ScriptFault>;
}

/// What is wrong with a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text}")]
pub struct ScriptFault {
    /// Where, from one on.
    pub line: u64,
    /// What.
    pub text: String,
}

/// Where mail for one address goes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Route {
    /// The accounts, each once.
    pub targets: Vec<Target>,
    /// Addresses elsewhere: of groups that have external members, those that mail is sent on to, and unknown ones of a
    /// domain that another server has the rest of.
    pub external: Vec<String>,
}

/// One account that a message goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which account.
    pub account: AccountId,
    /// What followed the `+` of the address (RFC 5233 section 4), as given; `None` when there was none, and for members
    /// of groups.
    pub detail: Option<String>,
}

/// Why there is no route for an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The domain is ours, the address doesn't exist.
    #[error("no such address")]
    NoSuchAddress,
    /// The domain is not one of this installation.
    #[error("not a domain of this installation")]
    NotLocal,
    /// The address exists and takes no mail.
    #[error("the address is suspended")]
    Suspended {
        /// Whether it will be back: senders are told to try again later.
        temporary: bool,
    },
    /// The sender is not allowed to write to it (a group for its members only).
    #[error("this sender may not write to the address")]
    NotPermitted,
    /// The directory can't be read at present.
    #[error("the directory is not available at present: {0}")]
    Unavailable(String),
}

/// Takes mail in: what SMTP and LMTP sessions hand envelopes and messages to. The mail flow stands behind it.
#[async_trait]
pub trait Reception: Send + Sync {
    /// A client has connected, and may come with mail: what takes time can begin.
    fn connected(&self, _protocol: InboundProtocol, _peer: IpAddr) {}

    /// Whether mail for this address with this reverse-path (empty: the null one) is taken, asked at RCPT TO.
    ///
    /// # Errors
    /// What to answer; with the code 421 the connection ends.
    async fn recipient(&self, sender: &Sender, mail_from: &str, address: &str) -> Result<(), Refusal>;

    /// Whether this sender may send with this MAIL FROM address (empty: the null reverse-path), asked at MAIL FROM.
    ///
    /// # Errors
    /// What to answer; with the code 421 the connection ends.
    async fn sender(&self, sender: &Sender, mail_from: &str) -> Result<(), Refusal>;

    /// A transaction begins with a sender that was taken: its envelope has no recipients and no hash yet. Whoever wants
    /// to hear of each recipient is given back.
    ///
    /// # Errors
    /// What to answer to MAIL FROM.
    async fn begin(&self, _envelope: &Envelope) -> Result<Option<Box<dyn Following>>, Refusal> {
        Ok(None)
    }

    /// Delivers a message; returns when it is durable for every recipient whose answer is `Ok`. One answer for each
    /// recipient, in their order. What one recipient's data server does has no effect on the others.
    async fn deliver(&self, envelope: Envelope, message: Message) -> Vec<Result<(), Refusal>>;
}

/// Follows a transaction, with a say about each recipient. Dropped when the transaction is over, which is after
/// [`Reception::deliver`] if it comes to that.
#[async_trait]
pub trait Following: Send + Sync {
    /// A recipient that [`Reception::recipient`] took.
    ///
    /// # Errors
    /// What to answer to RCPT TO.
    async fn recipient(&mut self, rcpt: &Rcpt) -> Result<(), Refusal>;
}

/// Who hands the message in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Which way it comes in.
    pub protocol: InboundProtocol,
    /// Set when the session logged in.
    pub login: Option<Login>,
    /// Where the connection comes from.
    pub peer: IpAddr,
    /// The name given with EHLO, HELO or LHLO.
    pub helo: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// The way a message comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InboundProtocol {
    /// SMTP from other servers.
    Smtp,
    /// Mail submission by users (RFC 6409).
    Submission,
    /// LMTP from a mail server that trusts us (RFC 2033).
    Lmtp,
}

/// The envelope of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who handed it in.
    pub sender: Sender,
    /// The reverse-path; empty for bounces.
    pub mail_from: String,
    /// The recipients that [`Reception::recipient`] took.
    pub recipients: Vec<Rcpt>,
    /// ENVID of RFC 3461.
    pub envelope_id: Option<String>,
    /// Whether RET=HDRS was said: notifications of failure need not have the whole message (RFC 3461 section 4.3).
    pub return_headers_only: bool,
    /// Whether BODY=8BITMIME or BINARYMIME was said.
    pub eight_bit: bool,
    /// Whether SMTPUTF8 was said (RFC 6531).
    pub utf8: bool,
    /// Names this transaction; each account's commit derives its operation id from it.
    pub transaction: OperationId,
    /// BLAKE3 of the content as the client sent it, before any field of ours was added: the same when the client sends
    /// the message again, which [`Message::hash`] is not.
    pub received_hash: BlobHash,
}

/// One recipient with its DSN parameters (RFC 3461).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rcpt {
    /// The forward-path.
    pub address: String,
    /// ORCPT, as given.
    pub original: Option<String>,
    /// NOTIFY, as given ("NEVER", "SUCCESS,FAILURE").
    pub notify: Option<String>,
}

/// A received message, complete, with its trace fields (Return-Path, Received) in front. Its summary was computed
/// while it came in.
#[derive(Clone, Debug)]
pub struct Message {
    /// The content.
    pub body: MessageBody,
    /// Its length in bytes.
    pub size: u64,
    /// Its name.
    pub hash: BlobHash,
    /// The summary, in the layout that `formats::mail` gives.
    pub summary: Bytes,
}

/// Where a received message's bytes are.
#[derive(Clone, Debug)]
pub enum MessageBody {
    /// In memory: at most [`sterna_base::limits::INLINE_BLOB_BYTES_MAX`] bytes.
    Inline(Bytes),
    /// In a file; a temporary one is deleted when the last clone of this is dropped.
    Spooled(Arc<SpoolFile>),
}

/// A file with a message that is too large for memory.
#[derive(Debug)]
pub struct SpoolFile {
    /// Where it is.
    pub path: std::path::PathBuf,
    /// Whether nobody else has it: it is deleted with this. The queue's own files are not.
    pub is_temporary: bool,
}

impl Drop for SpoolFile {
    /// What is left when the node ends meanwhile is removed at its next start.
    fn drop(&mut self) {
        if !self.is_temporary {
            return;
        }
        let path = std::mem::take(&mut self.path);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || remove(&path))),
            Err(_) => remove(&path),
        }
    }
}

fn remove(path: &std::path::Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a spool file could not be removed");
    }
}

/// A refusal with the SMTP words for the client and the cause for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {} {text}", enhanced_text(*.enhanced))]
pub struct Refusal {
    /// The reply code (RFC 5321 section 4.2).
    pub code: u16,
    /// The enhanced status code (RFC 3463).
    pub enhanced: (u8, u16, u16),
    /// The text for the client.
    pub text: String,
    /// The cause for the log, when there is more to say.
    pub cause: Option<String>,
}

fn enhanced_text((class, subject, detail): (u8, u16, u16)) -> String {
    format!("{class}.{subject}.{detail}")
}

impl Refusal {
    /// A refusal without a cause of its own.
    pub fn new(code: u16, enhanced: (u8, u16, u16), text: impl Into<String>) -> Self {
        Refusal { code, enhanced, text: text.into(), cause: None }
    }

    /// With the cause for the log.
    pub fn because(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// Whether the client may try again with the same words (4xx).
    pub fn is_temporary(&self) -> bool {
        self.code < 500
    }
}
