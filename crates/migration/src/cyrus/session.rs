//! A session of `sync_client`: log-in, commands, files that come with them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Buf, BytesMut};
use sterna_base::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::dlist::{Malformed, Step, Tokens, Value};
use super::doors::{Channel, Users};
use super::mirror::{Mirror, MirrorError};
use super::staging::{Staging, StagingError};
use super::{apply, get};

/// How long a client may be silent: `sync_client -r` says NOOP or RESTART now and then.
const SILENCE_MAX: Duration = Duration::from_secs(1800);
/// How long somebody who has not logged in may be silent.
const LOGIN_MAX: Duration = Duration::from_secs(60);
/// Failed log-ins of one connection.
const FAILURES_MAX: u32 = 3;
/// Longest command before log-in, in bytes.
const STRANGER_BYTES_MAX: usize = 64 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// What is said when something is not done: a code that Cyrus knows, and a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply(pub &'static str);

impl Reply {
    /// No such command, or not with these arguments.
    pub const PROTOCOL: Reply = Reply("IMAP_PROTOCOL_ERROR Protocol error");
    /// There is no mailbox of that name.
    pub const NO_MAILBOX: Reply = Reply("IMAP_MAILBOX_NONEXISTENT No such mailbox");
    /// There is no account for the user.
    pub const NO_USER: Reply = Reply("IMAP_INVALID_USER No account here; see the log");
    /// Users work in the account already.
    pub const NOT_ALLOWED: Reply = Reply("IMAP_PERMISSION_DENIED The user works here already");
    /// No quota there.
    pub const NO_QUOTA: Reply = Reply("IMAP_QUOTAROOT_NONEXISTENT No such quota root");
    /// The mailbox has another id, or another name.
    pub const MOVED: Reply = Reply("IMAP_MAILBOX_MOVED Another mailbox is there");
    /// There is one of that name.
    pub const EXISTS: Reply = Reply("IMAP_MAILBOX_EXISTS A mailbox of that name exists");
    /// It can't be called so here.
    pub const NO_NAME: Reply = Reply("IMAP_MAILBOX_BADNAME It can't be called so here");
    /// Both sides differ.
    pub const CHECKSUM: Reply = Reply("IMAP_SYNC_CHECKSUM Checksum failure");
    /// Something failed here.
    pub const IO: Reply = Reply("IMAP_IOERROR It failed here; see the log");
}

impl From<Malformed> for Reply {
    fn from(error: Malformed) -> Self {
        tracing::warn!(%error, "the old server said something that is not understood");
        Reply::PROTOCOL
    }
}

impl From<MirrorError> for Reply {
    fn from(error: MirrorError) -> Self {
        tracing::error!(%error, "replication");
        Reply::IO
    }
}

impl From<StagingError> for Reply {
    fn from(error: StagingError) -> Self {
        tracing::warn!(%error, "replication");
        Reply::IO
    }
}

/// How a session ended early.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection broke.
    #[error("the connection: {0}")]
    Lost(#[from] std::io::Error),
    /// Nothing came for long.
    #[error("nothing came for too long")]
    Silent,
    /// What came can't be read on from.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A message could not be taken.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// Too many failed log-ins.
    #[error("too many failed log-ins")]
    Stranger,
}

/// One session.
pub struct Session<'a> {
    /// What was told before.
    pub mirror: &'a Mirror,
    /// Who is who.
    pub users: &'a dyn Users,
    /// Messages whose mailboxes have not been told.
    pub staging: Staging,
    /// Whether mailboxes came since: the next message is another batch's.
    pub staging_is_old: bool,
    output: Vec<u8>,
    login: Option<String>,
    failures: u32,
}

enum Next {
    Go,
    End,
    StartTls,
}

impl Session<'_> {
    /// Serves a connection until it ends.
    ///
    /// # Errors
    /// [`SessionError`].
    pub async fn serve(
        channel: &mut dyn Channel,
        mirror: &Mirror,
        users: &dyn Users,
        host: &str,
    ) -> Result<(), SessionError> {
        let mut session = Session {
            mirror,
            users,
            staging: Staging::default(),
            staging_is_old: false,
            output: Vec::new(),
            login: None,
            failures: 0,
        };
        session.banner(channel, host);
        let (mut tokens, mut input) = (Tokens::default(), BytesMut::new());
        loop {
            let values = match tokens.next(&mut input)? {
                Step::Command(values) => values,
                Step::Continue => {
                    session.output.extend_from_slice(b"+ go ahead\r\n");
                    session.flush(channel).await?;
                    continue;
                }
                Step::File(guid, size) => {
                    if session.login.is_none() {
                        return Err(SessionError::Stranger);
                    }
                    session.file(channel, &mut input, &guid, size).await?;
                    tokens.file_done(guid, size);
                    continue;
                }
                Step::More => {
                    session.flush(channel).await?;
                    if session.login.is_none() && input.len() > STRANGER_BYTES_MAX {
                        return Err(SessionError::Stranger);
                    }
                    session.fill(channel, &mut input).await?;
                    continue;
                }
            };
            match session.command(channel, &mut input, values).await? {
                Next::Go => {}
                Next::End => return session.flush(channel).await,
                Next::StartTls => {
                    session.flush(channel).await?;
                    if !input.is_empty() {
                        return Err(SessionError::Malformed(Malformed("nothing before TLS")));
                    }
                    channel.start_tls().await?;
                    session.banner(channel, host);
                }
            }
        }
    }

    fn banner(&mut self, channel: &dyn Channel, host: &str) {
        if channel.is_private() {
            self.output.extend_from_slice(b"* SASL PLAIN\r\n");
        } else if channel.can_start_tls() {
            self.output.extend_from_slice(b"* STARTTLS\r\n");
        }
        self.output.extend_from_slice(format!("* OK {host} Sterna takes replication\r\n").as_bytes());
    }

    async fn fill(&self, channel: &mut dyn Channel, input: &mut BytesMut) -> Result<(), SessionError> {
        let wait = if self.login.is_some() { SILENCE_MAX } else { LOGIN_MAX };
        input.reserve(READ_BYTES);
        let read = timeout(wait, channel.read_buf(input)).await.map_err(|_| SessionError::Silent)??;
        if read == 0 { Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()) } else { Ok(()) }
    }

    async fn flush(&mut self, channel: &mut dyn Channel) -> Result<(), SessionError> {
        if !self.output.is_empty() {
            let sending = async {
                channel.write_all(&self.output).await?;
                channel.flush().await
            };
            timeout(SILENCE_MAX, sending).await.map_err(|_| SessionError::Silent)??;
            self.output.clear();
        }
        Ok(())
    }

    /// Takes the bytes of a message.
    async fn file(
        &mut self,
        channel: &mut dyn Channel,
        input: &mut BytesMut,
        guid: &str,
        size: u64,
    ) -> Result<(), SessionError> {
        if std::mem::take(&mut self.staging_is_old) {
            self.staging.clear();
        }
        let (mut incoming, mut left) = (self.staging.begin(guid.to_owned(), size)?, size);
        while left > 0 {
            if input.is_empty() {
                self.fill(channel, input).await?;
            }
            let taken = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            incoming.push(&input[..taken])?;
            input.advance(taken);
            left -= taken as u64;
        }
        Ok(self.staging.end(incoming)?)
    }

    /// An untagged answer.
    pub fn untagged(&mut self, word: &str, body: &[u8]) {
        self.output.extend_from_slice(b"* ");
        self.output.extend_from_slice(word.as_bytes());
        self.output.push(b' ');
        self.output.extend_from_slice(body);
        self.output.extend_from_slice(b"\r\n");
    }

    fn say(&mut self, line: &str) {
        self.output.extend_from_slice(line.as_bytes());
        self.output.extend_from_slice(b"\r\n");
    }

    async fn command(
        &mut self,
        channel: &mut dyn Channel,
        input: &mut BytesMut,
        values: Vec<Value>,
    ) -> Result<Next, SessionError> {
        let word = |at: usize| values.get(at).map(|value| value.text().to_ascii_uppercase()).unwrap_or_default();
        match word(0).as_str() {
            "AUTHENTICATE" => self.authenticate(channel, input, &word(1), values.get(2)).await?,
            "STARTTLS" if channel.can_start_tls() => {
                self.say("OK Begin TLS now");
                return Ok(Next::StartTls);
            }
            "NOOP" => self.say("OK Noop completed"),
            "EXIT" => {
                self.say("OK Finished");
                return Ok(Next::End);
            }
            // As of IMAP, with a tag: what we can is in the banner.
            _ if word(1) == "CAPABILITY" => self.say("OK Completed"),
            _ if self.login.is_none() => self.say("NO IMAP_PERMISSION_DENIED Log in first"),
            "RESTART" => {
                self.staging.clear();
                self.say("OK Restarting");
            }
            verb @ ("GET" | "APPLY") => {
                let done = match verb {
                    "GET" => get::run(self, &word(1), values.get(2)).await,
                    _ => apply::run(self, &word(1), values.get(2)).await,
                };
                match done {
                    Ok(()) => self.say("OK success"),
                    Err(reply) => self.say(&format!("NO {}", reply.0)),
                }
            }
            _ => self.say("BAD IMAP_PROTOCOL_ERROR Unrecognized command"),
        }
        Ok(Next::Go)
    }

    async fn authenticate(
        &mut self,
        channel: &mut dyn Channel,
        input: &mut BytesMut,
        mechanism: &str,
        initial: Option<&Value>,
    ) -> Result<(), SessionError> {
        if mechanism != "PLAIN" || !channel.is_private() || self.login.is_some() {
            self.say("NO IMAP_PERMISSION_DENIED Not this way");
            return Ok(());
        }
        let response = match initial {
            Some(value) => value.text(),
            None => {
                self.say("+ ");
                self.flush(channel).await?;
                let mut tokens = Tokens::default();
                loop {
                    match tokens.next(input)? {
                        Step::Command(values) => break values.first().map(Value::text).unwrap_or_default(),
                        Step::More if input.len() <= STRANGER_BYTES_MAX => self.fill(channel, input).await?,
                        _ => return Err(SessionError::Stranger),
                    }
                }
            }
        };
        let bytes = BASE64.decode(response.trim()).unwrap_or_default();
        let parts: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
        let [_, login, password] = parts[..] else {
            self.say("NO IMAP_PERMISSION_DENIED That is no response of PLAIN");
            return Ok(());
        };
        let (login, password) = (String::from_utf8_lossy(login), String::from_utf8_lossy(password));
        match self.users.may_replicate(&login, &Secret::new(password.as_ref()), channel.peer()).await {
            Ok(()) => {
                tracing::info!(%login, peer = %channel.peer(), "an old server replicates");
                self.login = Some(login.into_owned());
                self.say("OK Success");
            }
            Err(cause) => {
                tracing::warn!(%login, peer = %channel.peer(), cause, "replication is refused");
                self.failures += 1;
                if self.failures >= FAILURES_MAX {
                    return Err(SessionError::Stranger);
                }
                self.say("NO IMAP_PERMISSION_DENIED The log-in is refused");
            }
        }
        Ok(())
    }
}
