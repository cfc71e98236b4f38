//! One connection to another server: lines out, replies in, each with its time limit (RFC 5321 section 4.5.3.2).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use sterna_formats::smtp::{Answer, AnswerError, AnswerReader};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::carrier::Credentials;
use super::extensions::Extensions;
use super::failure::{FailureKind, TlsFailure};
use super::tls::{self, Demand, Trust};
use crate::queue::Said;

/// How long a connection may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the greeting and the answers to commands may take.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// How long the answers to a whole envelope may take: a server that draws out each of them would keep a place of the
/// queue for days.
pub const ENVELOPE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// The same for a whole content and its answer: enough for the largest message at a modem's speed.
pub const CONTENT_TIMEOUT: Duration = Duration::from_secs(4 * 60 * 60);
/// How long the answer to DATA may take.
pub const DATA_TIMEOUT: Duration = Duration::from_secs(2 * 60);
/// How long a piece of the content may take to be sent.
pub const BLOCK_TIMEOUT: Duration = Duration::from_secs(3 * 60);
/// How long the answer to the end of the content may take.
pub const DONE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long a farewell may take: nobody waits for it.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is read at once.
const READ_BYTES: usize = 8 * 1024;

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The network says so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It took too long.
    #[error("no answer within {} s while {stage}", .limit.as_secs())]
    TimedOut {
        /// What we waited for.
        stage: &'static str,
        /// How long.
        limit: Duration,
    },
    /// What came is no reply.
    #[error("{0}")]
    Answer(#[from] AnswerError),
    /// The server closed the connection.
    #[error("the connection was closed while {0}")]
    Closed(&'static str),
    /// The server doesn't want us.
    #[error("{}", .0.text())]
    Refused(Answer),
    /// TLS was asked for and could not be had.
    #[error("{0}")]
    Tls(TlsFailure),
    /// We may not or can't log in.
    #[error("{0}")]
    LogIn(&'static str),
}

/// Bytes both ways.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection after EHLO.
pub struct Connection {
    wire: Box<dyn Wire>,
    input: Vec<u8>,
    answers: AnswerReader,
    /// What the server can do.
    pub extensions: Extensions,
    /// Name and address, for people.
    pub peer: String,
    /// The server's name, and what was asked of the connection when it was made.
    pub host: String,
    /// See `host`.
    pub demand: Demand,
    /// As whom we logged in, if at all.
    pub credentials: Option<Credentials>,
    /// Whether it is encrypted.
    pub tls: bool,
    /// What is wrong with its TLS, or with that it has none, where it is used all the same.
    pub tls_failure: Option<TlsFailure>,
    /// Messages that were sent on it.
    pub messages: u32,
    /// Whether the end of the last message's content was sent: the server may have it.
    pub content_sent: bool,
    /// Whether nothing more can be sent on it.
    pub broken: bool,
    /// Whether a transaction was begun only to ask for an address: RSET comes before the next one. Not at once, because
    /// whoever asked would wait for it.
    pub is_in_transaction: bool,
}

/// Whom to connect to, and how.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The server's name, as certificates have it.
    pub host: &'a str,
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// What it must have of TLS.
    pub demand: &'a Demand,
    /// Whose certificates are believed.
    pub trust: &'a Trust,
    /// The name that we give.
    pub own_name: &'a str,
}

impl Connection {
    /// Connects, greets, and begins TLS as the policy has it. A server whose STARTTLS fails is asked once more without,
    /// where the policy allows that.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn open(target: &Target<'_>) -> Result<Self, ConnectionError> {
        match Connection::greet(target, target.demand.is_wanted()).await {
            Err(ConnectionError::Tls(cause)) if !target.demand.is_required() => {
                tracing::info!(host = target.host, %cause, "TLS failed; the message is sent without");
                let mut connection = Connection::greet(target, false).await?;
                connection.tls_failure = Some(cause);
                Ok(connection)
            }
            result => result,
        }
    }

    async fn greet(target: &Target<'_>, with_tls: bool) -> Result<Self, ConnectionError> {
        let address = SocketAddr::new(target.address, target.port);
        let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
        let stream = connecting
            .map_err(|_| ConnectionError::TimedOut { stage: "connecting", limit: CONNECT_TIMEOUT })?
            .map_err(ConnectionError::Io)?;
        stream.set_nodelay(true)?;
        let mut connection = Connection {
            wire: Box::new(stream),
            input: Vec::new(),
            answers: AnswerReader::default(),
            extensions: Extensions::default(),
            peer: format!("{} [{}]", target.host, target.address),
            host: target.host.to_owned(),
            demand: target.demand.clone(),
            credentials: None,
            tls: false,
            tls_failure: None,
            messages: 0,
            content_sent: false,
            broken: false,
            is_in_transaction: false,
        };
        let greeting = connection.answer("waiting for the greeting", COMMAND_TIMEOUT).await?;
        if greeting.code != 220 {
            return Err(ConnectionError::Refused(greeting));
        }
        connection.hello(target.own_name).await?;
        if with_tls && connection.extensions.starttls {
            connection = connection.start_tls(target).await?;
            connection.hello(target.own_name).await?;
        } else if with_tls {
            let text = "the server does not offer STARTTLS, which is asked of it";
            let failure = TlsFailure::new(FailureKind::StartTlsNotSupported, text);
            if target.demand.is_required() {
                return Err(ConnectionError::Tls(failure));
            }
            connection.tls_failure = Some(failure);
        }
        Ok(connection)
    }

    async fn hello(&mut self, own_name: &str) -> Result<(), ConnectionError> {
        let answer = self.command(&format!("EHLO {own_name}"), "saying EHLO").await?;
        if answer.is_positive() {
            self.extensions = Extensions::of(&answer.lines);
            return Ok(());
        }
        // RFC 5321 section 3.2: older servers know only HELO.
        let answer = self.command(&format!("HELO {own_name}"), "saying HELO").await?;
        self.extensions = Extensions::default();
        if answer.is_positive() { Ok(()) } else { Err(ConnectionError::Refused(answer)) }
    }

    /// RFC 3207. What came in the clear before counts no more, and what came along with the reply is an attack.
    async fn start_tls(mut self, target: &Target<'_>) -> Result<Self, ConnectionError> {
        let answer = self.command("STARTTLS", "saying STARTTLS").await?;
        if !answer.is_positive() || !self.input.is_empty() {
            let text = format!("STARTTLS: {}", answer.text());
            return Err(ConnectionError::Tls(TlsFailure::new(FailureKind::StartTlsNotSupported, text)));
        }
        let handshake = tls::handshake(self.wire, target.host, target.demand, target.trust);
        let wire = timeout(COMMAND_TIMEOUT, handshake)
            .await
            .map_err(|_| ConnectionError::TimedOut { stage: "beginning TLS", limit: COMMAND_TIMEOUT })?;
        let encrypted = wire.map_err(ConnectionError::Tls)?;
        self.wire = encrypted.wire;
        self.tls = true;
        self.tls_failure = encrypted.failure;
        Ok(self)
    }

    /// Leaves a transaction that was begun only to ask for an address.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn begin_anew(&mut self) -> Result<(), ConnectionError> {
        if std::mem::take(&mut self.is_in_transaction) {
            self.command("RSET", "saying RSET").await?;
        }
        Ok(())
    }

    /// Sends a line and reads the reply.
    ///
    /// # Errors
    /// [`ConnectionError`]; a negative reply is none.
    pub async fn command(&mut self, line: &str, stage: &'static str) -> Result<Answer, ConnectionError> {
        self.send(format!("{line}\r\n").as_bytes(), stage).await?;
        self.answer(stage, COMMAND_TIMEOUT).await
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn send(&mut self, bytes: &[u8], stage: &'static str) -> Result<(), ConnectionError> {
        let sending = async {
            self.wire.write_all(bytes).await?;
            self.wire.flush().await
        };
        let sent = timeout(BLOCK_TIMEOUT, sending).await;
        Ok(sent.map_err(|_| ConnectionError::TimedOut { stage, limit: BLOCK_TIMEOUT })??)
    }

    /// Reads one reply.
    ///
    /// # Errors
    /// [`ConnectionError`]; a negative reply is none.
    pub async fn answer(&mut self, stage: &'static str, limit: Duration) -> Result<Answer, ConnectionError> {
        let reading = async {
            loop {
                let (used, answer) = self.answers.feed(&self.input)?;
                self.input.drain(..used);
                if let Some(answer) = answer {
                    return Ok(answer);
                }
                let start = self.input.len();
                self.input.resize(start + READ_BYTES, 0);
                let read = self.wire.read(&mut self.input[start..]).await;
                self.input.truncate(start + read.as_ref().map_or(0, |count| *count));
                if read? == 0 {
                    return Err(ConnectionError::Closed(stage));
                }
            }
        };
        timeout(limit, reading).await.map_err(|_| ConnectionError::TimedOut { stage, limit })?
    }

    /// Says good-bye; what comes of it doesn't matter.
    pub async fn quit(mut self) {
        let farewell = async {
            self.wire.write_all(b"QUIT\r\n").await?;
            self.wire.flush().await?;
            self.wire.shutdown().await
        };
        let _ = timeout(QUIT_TIMEOUT, farewell).await;
    }

    /// This server's reply, as what it said.
    pub fn said(&self, answer: &Answer) -> Said {
        Said { host: self.peer.clone(), text: answer.text(), status: answer.status(), is_reply: true }
    }
}

impl ConnectionError {
    /// What to tell of it.
    pub fn said(&self, host: &str) -> Said {
        let (status, is_reply) = match self {
            ConnectionError::Refused(answer) => (answer.status(), true),
            ConnectionError::Tls(_) | ConnectionError::LogIn(_) => ((4, 7, 5), false),
            ConnectionError::Io(_) | ConnectionError::TimedOut { stage: "connecting", .. } => ((4, 4, 1), false),
            _ => ((4, 4, 2), false),
        };
        Said { host: host.to_owned(), text: self.to_string(), status, is_reply }
    }
}
