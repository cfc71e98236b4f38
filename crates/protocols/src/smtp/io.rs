//! Reading lines and content, writing replies in batches.
//!
//! Replies are collected and leave before the session waits for the client (RFC 2920 section 3.2): a pipelined group of
//! commands is answered with one packet.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use sterna_formats::smtp::{Line, Reply, next_line};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::listener::{Connection, HandshakeError};

/// How much one read of content may bring.
const CONTENT_READ_BYTES_MAX: usize = 64 * 1024;

/// How much one read of commands may bring. Small, because an idle session holds on to it.
const COMMAND_READ_BYTES_MAX: usize = 4 * 1024;

/// Replies that may wait before they are sent in any case.
const REPLIES_BYTES_MAX: usize = 16 * 1024;

/// Bytes of an oversized line that are read until its end before the client is given up.
const LONG_LINE_BYTES_MAX: usize = 256 * 1024;

/// How much of an oversized line is remembered: enough for the command's name.
const LINE_START_BYTES: usize = 16;

/// How long a client may leave our replies unread.
const WRITE_TIMEOUT: Duration = Duration::from_secs(180);

/// Why a session ends without QUIT.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Disconnect {
    #[error("the client closed the connection")]
    Closed,
    #[error("the client sent nothing for too long")]
    Timeout,
    #[error("the client floods: a line without end")]
    Flood,
    #[error("this server is stopping")]
    Shutdown,
    #[error("the session was ended")]
    SignedOut,
    #[error("{0}")]
    Handshake(#[from] HandshakeError),
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
}

/// A line of the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LineRead {
    /// Without its CRLF.
    Text(Bytes),
    /// It ended with a bare LF; without it.
    BareLf(Bytes),
    /// It was longer than allowed and has been passed over; how it began.
    TooLong(Bytes),
}

/// Both directions of a session.
pub(crate) struct Io {
    connection: Connection,
    input: BytesMut,
    output: Vec<u8>,
}

impl Io {
    pub fn new(connection: Connection) -> Self {
        Io { connection, input: BytesMut::new(), output: Vec::new() }
    }

    /// The connection, for what is not about bytes.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends what is queued, drops what was read in the clear, and encrypts.
    pub async fn start_tls(&mut self) -> Result<(), Disconnect> {
        self.flush().await?;
        self.input.clear();
        Ok(self.connection.start_tls().await?)
    }

    /// What has been read and not consumed.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    pub fn consume(&mut self, bytes: usize) {
        self.input.advance(bytes);
    }

    /// Queues a reply.
    pub fn reply(&mut self, reply: &Reply) {
        reply.write_to(&mut self.output);
    }

    /// Sends what is queued.
    pub async fn flush(&mut self) -> Result<(), Disconnect> {
        if self.output.is_empty() {
            return Ok(());
        }
        let (stream, output) = (&mut self.connection, &self.output);
        let write = async move {
            stream.write_all(output).await?;
            stream.flush().await
        };
        tokio::time::timeout(WRITE_TIMEOUT, write).await.map_err(|_| Disconnect::Timeout)??;
        self.output.clear();
        Ok(())
    }

    /// Waits for more content, after sending what is queued.
    pub async fn fill(&mut self, deadline: Instant) -> Result<(), Disconnect> {
        self.fill_some(CONTENT_READ_BYTES_MAX, deadline).await
    }

    async fn fill_some(&mut self, bytes_max: usize, deadline: Instant) -> Result<(), Disconnect> {
        self.flush().await?;
        self.input.reserve(bytes_max);
        let mut limited = (&mut self.connection).take(bytes_max as u64);
        let read = limited.read_buf(&mut self.input);
        match tokio::time::timeout_at(deadline, read).await.map_err(|_| Disconnect::Timeout)?? {
            0 => Err(Disconnect::Closed),
            _ => Ok(()),
        }
    }

    fn start_of_line(&self) -> Bytes {
        Bytes::copy_from_slice(&self.input[..self.input.len().min(LINE_START_BYTES)])
    }

    /// The next line, of at most `bytes_max` bytes with its CRLF. The time is for the whole line: a byte a minute
    /// doesn't prolong it.
    pub async fn line(&mut self, bytes_max: usize, timeout: Duration) -> Result<LineRead, Disconnect> {
        if self.output.len() > REPLIES_BYTES_MAX {
            self.flush().await?;
        }
        let deadline = Instant::now() + timeout;
        let (mut passed_over, mut start) = (0, Bytes::new());
        loop {
            match next_line(&self.input, bytes_max) {
                Line::Complete { len, .. } | Line::BareLf { len } if passed_over > 0 || len > bytes_max => {
                    if passed_over == 0 {
                        start = self.start_of_line();
                    }
                    self.input.advance(len);
                    return Ok(LineRead::TooLong(start));
                }
                Line::Complete { text, len } => {
                    let mut line = self.input.split_to(len);
                    line.truncate(text);
                    return Ok(LineRead::Text(line.freeze()));
                }
                Line::BareLf { len } => {
                    let mut line = self.input.split_to(len);
                    line.truncate(len - 1);
                    return Ok(LineRead::BareLf(line.freeze()));
                }
                Line::TooLong => {
                    if passed_over == 0 {
                        start = self.start_of_line();
                    }
                    passed_over += self.input.len();
                    // A CR at the end may be half of a CRLF; a lone LF after it ends the line all the same.
                    self.input.clear();
                    if passed_over > LONG_LINE_BYTES_MAX {
                        return Err(Disconnect::Flood);
                    }
                }
                Line::Incomplete => {}
            }
            // Between commands a session can end at any time; a client that is told so loses nothing.
            // Replies are sent before: a write that is broken off would be repeated by the good-bye.
            self.flush().await?;
            let shutdown = self.connection.shutdown().clone();
            tokio::select! {
                biased;
                filled = self.fill_some(COMMAND_READ_BYTES_MAX, deadline) => filled?,
                () = shutdown.cancelled() => {
                    let node_ends = self.connection.is_node_ending();
                    return Err(if node_ends { Disconnect::Shutdown } else { Disconnect::SignedOut });
                }
            }
        }
    }
}
