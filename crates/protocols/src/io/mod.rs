//! Reading and writing of one connection of IMAP or POP3. Buffers are given back while the client is silent: an idle
//! session holds a few hundred bytes.

mod deflate;
pub mod limits;

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use sterna_base::session_limits::SessionLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use crate::listener::Connection;
use deflate::Deflate;
use limits::OUTPUT_BYTES;

/// How much is read while nothing is expected.
const READ_BYTES_MIN: usize = 512;

/// How much is read while the client sends a lot.
const READ_BYTES_MAX: usize = 32 * 1024;

/// Why a session ends without its client saying so.
#[derive(Debug, thiserror::Error)]
pub enum Disconnect {
    /// It just went.
    #[error("the client closed the connection")]
    Closed,
    /// It was silent, or read nothing, for too long.
    #[error("the client waited too long")]
    Timeout,
    /// The node is ending.
    #[error("the server is ending")]
    Stopping,
    /// An administrator ended the session, or the user may not log in any more.
    #[error("the session was ended")]
    SignedOut,
    /// The session is hopeless; the text is for the client.
    #[error("{0}")]
    Hopeless(&'static str),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
}

/// Both directions.
pub struct Io {
    stream: Connection,
    /// COMPRESS is in force.
    deflate: Option<Box<Deflate>>,
    /// What came and was not yet used.
    pub input: BytesMut,
    /// What is to be sent.
    pub output: Vec<u8>,
    next_read: usize,
    /// How often output was sent: who writes something whole can tell whether its beginning is still here.
    pub flushes: u64,
    /// What held when the session began.
    pub limits: Arc<SessionLimits>,
}

impl Io {
    /// Over this connection, within these limits.
    pub fn new(stream: Connection, limits: Arc<SessionLimits>) -> Self {
        let (input, output) = (BytesMut::new(), Vec::new());
        Io { stream, deflate: None, input, output, next_read: READ_BYTES_MIN, flushes: 0, limits }
    }

    /// How long a client may be waited for that has not logged in since then.
    pub fn login_wait(&self, since: Instant) -> Duration {
        let altogether = SessionLimits::seconds(self.limits.login_seconds);
        SessionLimits::seconds(self.limits.login_pause_seconds).min(altogether.saturating_sub(since.elapsed()))
    }

    /// The connection, for what is not about bytes.
    pub fn connection(&self) -> &Connection {
        &self.stream
    }

    /// Where the client is.
    pub fn peer(&self) -> IpAddr {
        self.stream.peer()
    }

    /// Whether nobody can listen.
    pub fn is_encrypted(&self) -> bool {
        self.stream.is_encrypted()
    }

    /// What binds an authentication to this connection (RFC 9266).
    pub fn tls_exporter(&self) -> Option<&[u8; 32]> {
        self.stream.tls_exporter()
    }

    /// Whom a certificate of the client has named.
    pub fn client_addresses(&self) -> &[String] {
        self.stream.client_addresses()
    }

    /// Whether STARTTLS can be offered.
    pub fn can_upgrade(&self) -> bool {
        self.stream.can_start_tls()
    }

    /// Sends everything.
    pub async fn flush(&mut self) -> Result<(), Disconnect> {
        if self.output.is_empty() {
            return Ok(());
        }
        if let Some(deflate) = &mut self.deflate {
            self.output = deflate.pack(&self.output)?;
        }
        let (stream, output) = (&mut self.stream, &self.output);
        let write = async move {
            stream.write_all(output).await?;
            stream.flush().await
        };
        self.flushes += 1;
        timeout(SessionLimits::seconds(self.limits.unread_seconds), write).await.map_err(|_| Disconnect::Timeout)??;
        self.output.clear();
        if self.output.capacity() > OUTPUT_BYTES * 2 {
            self.output = Vec::new();
        }
        Ok(())
    }

    /// Sends if much is waiting; called between messages of a long answer.
    pub async fn flush_if_full(&mut self) -> Result<(), Disconnect> {
        if self.output.len() >= OUTPUT_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Sends everything and waits for more input.
    pub async fn fill(&mut self, wait: Duration) -> Result<(), Disconnect> {
        self.fill_or(wait, std::future::pending::<()>()).await.map(drop)
    }

    /// The same, or until something else happens: true then.
    pub async fn fill_or(&mut self, wait: Duration, other: impl Future<Output = ()>) -> Result<bool, Disconnect> {
        self.flush().await?;
        if self.input.is_empty() && self.next_read == READ_BYTES_MIN {
            self.input = BytesMut::new();
            self.output = Vec::new();
        }
        let target = match &mut self.deflate {
            Some(deflate) => {
                if deflate.unpack(&mut self.input)? > 0 {
                    return Ok(false);
                }
                if self.input.is_empty() {
                    deflate.rest();
                }
                &mut deflate.raw
            }
            None => &mut self.input,
        };
        target.reserve(self.next_read);
        let shutdown = self.stream.shutdown().clone();
        let read = self.stream.read_buf(target);
        let count = tokio::select! {
            biased;
            // The end of the node first: a client that never stops sending would not hear of it.
            () = shutdown.cancelled() => None,
            count = timeout(wait, read) => Some(count.map_err(|_| Disconnect::Timeout)??),
            () = other => return Ok(true),
        };
        let Some(count) = count else {
            return Err(if self.stream.is_node_ending() { Disconnect::Stopping } else { Disconnect::SignedOut });
        };
        if count == 0 {
            return Err(Disconnect::Closed);
        }
        self.next_read = if count >= self.next_read { READ_BYTES_MAX } else { READ_BYTES_MIN };
        if let Some(deflate) = &mut self.deflate {
            deflate.unpack(&mut self.input)?;
        }
        Ok(false)
    }

    /// The next line without its end, of an exchange outside commands.
    pub async fn line(&mut self, wait: Duration) -> Result<Vec<u8>, Disconnect> {
        loop {
            if let Some(line) = self.take_line()? {
                return Ok(line);
            }
            self.fill(wait).await?;
        }
    }

    /// The line that has come, of an exchange outside commands.
    ///
    /// # Errors
    /// When it is too long. What follows could not be told from commands: the session ends.
    pub fn take_line(&mut self) -> Result<Option<Vec<u8>>, Disconnect> {
        let end = memchr::memchr(b'\n', &self.input);
        if end.unwrap_or(self.input.len()) as u64 > self.limits.line_bytes {
            return Err(Disconnect::Hopeless("The line is too long"));
        }
        Ok(end.map(|at| {
            let line = self.input.split_to(at + 1);
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            line.strip_suffix(b"\r").unwrap_or(line).to_vec()
        }))
    }

    /// Takes up to that many bytes of a literal; waits for some if there are none.
    pub async fn literal_piece(&mut self, left: u64, wait: Duration) -> Result<bytes::Bytes, Disconnect> {
        if self.input.is_empty() {
            self.next_read = READ_BYTES_MAX;
            self.fill(wait).await?;
        }
        let length = left.min(self.input.remaining() as u64) as usize;
        Ok(self.input.split_to(length).freeze())
    }

    /// Whether COMPRESS is in force.
    pub fn is_compressed(&self) -> bool {
        self.deflate.is_some()
    }

    /// Sends what is waiting as it is, and compresses from there on, in both directions.
    pub async fn start_deflate(&mut self) -> Result<(), Disconnect> {
        self.flush().await?;
        self.deflate = Some(Box::new(Deflate::new(std::mem::take(&mut self.input))));
        Ok(())
    }

    /// Encrypts. What came before the handshake was sent in the clear and is dropped: it could be anybody's.
    pub async fn start_tls(&mut self) -> Result<(), Disconnect> {
        self.flush().await?;
        self.input.clear();
        self.stream.start_tls().await.map_err(|error| Disconnect::Io(std::io::Error::other(error)))
    }
}
