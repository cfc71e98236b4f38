//! Lines and literals of a connection to a source.

use std::collections::VecDeque;
use std::io::Write as _;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use super::client::SourceError;
use super::value::{Reader, Value};
use crate::limits::{LINE_BYTES_MAX, LITERAL_MEMORY_BYTES_MAX, LITERALS_MAX, MESSAGE_BYTES_MAX, SILENCE_MAX};
use crate::target::message::Body;

/// Bytes read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// What a connection runs over.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// How a command, or a part of an answer, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `OK`, `NO`, `BAD`, `BYE`, `PREAUTH`.
    pub word: String,
    /// What stands in brackets, without them.
    pub code: Option<String>,
    /// The rest.
    pub text: String,
}

impl Status {
    fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let word = word.to_ascii_uppercase();
        if !["OK", "NO", "BAD", "BYE", "PREAUTH"].contains(&word.as_str()) {
            return None;
        }
        let coded = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (code, text) = match coded {
            Some((code, text)) => (Some(code.to_owned()), text.trim_start()),
            None => (None, rest),
        };
        Some(Status { word, code, text: text.to_owned() })
    }

    /// Whether it went well.
    pub fn is_ok(&self) -> bool {
        self.word == "OK"
    }
}

/// One answer of a server.
#[derive(Debug)]
pub enum Answer {
    /// `* OK [..] ..` and the like.
    Status(Status),
    /// `* 12 FETCH ..`, `* LIST ..`
    Data(Vec<Value>),
    /// `+ ..`: it waits for more.
    Continue(String),
    /// The end of the command with this tag.
    Tagged(String, Status),
}

/// A connection.
pub struct Wire {
    stream: BufReader<Box<dyn Stream>>,
}

impl Wire {
    /// Over this stream.
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Wire { stream: BufReader::with_capacity(BUFFER_BYTES, stream) }
    }

    /// The stream once more, for TLS. What was read ahead is refused: it came before TLS, from anybody.
    ///
    /// # Errors
    /// [`SourceError::Protocol`].
    pub fn into_stream(self) -> Result<Box<dyn Stream>, SourceError> {
        match self.stream.buffer().is_empty() {
            true => Ok(self.stream.into_inner()),
            false => Err(SourceError::Protocol("it said more before TLS than it may".to_owned())),
        }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection is lost; the same holds for the other methods.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(SILENCE_MAX, sent).await.map_err(|_| SourceError::Silent)?.map_err(SourceError::lost)
    }

    /// The next answer.
    pub async fn answer(&mut self) -> Result<Answer, SourceError> {
        let first = self.line().await?;
        let text = String::from_utf8_lossy(&first).into_owned();
        if let Some(rest) = text.strip_prefix('+') {
            return Ok(Answer::Continue(rest.trim_start().to_owned()));
        }
        let (tag, rest) = text.split_once(' ').ok_or_else(|| SourceError::protocol(&text))?;
        let status = Status::parse(rest);
        if tag != "*" {
            let status = status.ok_or_else(|| SourceError::protocol(&text))?;
            return Ok(Answer::Tagged(tag.to_owned(), status));
        }
        if let Some(status) = status {
            return Ok(Answer::Status(status));
        }
        let (mut lines, mut literals) = (vec![first[2..].to_vec()], VecDeque::new());
        while let Some((start, length)) = lines.last().and_then(|line| announced(line)) {
            if literals.len() >= LITERALS_MAX {
                return Err(SourceError::Protocol("too many literals in one answer".to_owned()));
            }
            if let Some(line) = lines.last_mut() {
                line.truncate(start);
            }
            literals.push_back(self.literal(length).await?);
            lines.push(self.line().await?);
        }
        let values = Reader::new(&lines, literals).all().map_err(|error| SourceError::Protocol(error.to_string()))?;
        Ok(Answer::Data(values))
    }

    /// What has come, at least a byte.
    pub async fn piece(&mut self) -> Result<Bytes, SourceError> {
        let filled = timeout(SILENCE_MAX, self.stream.fill_buf()).await.map_err(|_| SourceError::Silent)?;
        let piece = Bytes::copy_from_slice(filled.map_err(SourceError::lost)?);
        if piece.is_empty() {
            return Err(SourceError::Lost("it closed the connection".to_owned()));
        }
        self.stream.consume(piece.len());
        Ok(piece)
    }

    /// A line without its end.
    pub async fn line(&mut self) -> Result<Vec<u8>, SourceError> {
        let mut line = Vec::new();
        loop {
            let filled = timeout(SILENCE_MAX, self.stream.fill_buf()).await.map_err(|_| SourceError::Silent)?;
            let buffer = filled.map_err(SourceError::lost)?;
            if buffer.is_empty() {
                return Err(SourceError::Lost("it closed the connection".to_owned()));
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(buffer.len(), |end| end + 1);
            line.extend_from_slice(&buffer[..taken]);
            self.stream.consume(taken);
            if line.len() > LINE_BYTES_MAX {
                return Err(SourceError::Protocol(format!("a line longer than {LINE_BYTES_MAX} bytes")));
            }
            if end.is_some() {
                let length = line.len() - 1 - usize::from(line.ends_with(b"\r\n"));
                line.truncate(length);
                return Ok(line);
            }
        }
    }

    /// So many bytes, a lot of them through a temporary file.
    pub async fn literal(&mut self, length: u64) -> Result<Body, SourceError> {
        if length > MESSAGE_BYTES_MAX {
            return Err(SourceError::Protocol(format!("a message of {length} bytes")));
        }
        if length <= LITERAL_MEMORY_BYTES_MAX {
            let mut bytes = vec![0; length as usize];
            let read = timeout(SILENCE_MAX, self.stream.read_exact(&mut bytes)).await;
            read.map_err(|_| SourceError::Silent)?.map_err(SourceError::lost)?;
            return Ok(Body::Memory(Bytes::from(bytes)));
        }
        let own_disk = |error: std::io::Error| SourceError::OwnDisk(error.to_string());
        let mut file = tempfile::tempfile().map_err(own_disk)?;
        let mut left = length;
        while left > 0 {
            let filled = timeout(SILENCE_MAX, self.stream.fill_buf()).await.map_err(|_| SourceError::Silent)?;
            let buffer = filled.map_err(SourceError::lost)?;
            if buffer.is_empty() {
                return Err(SourceError::Lost("it closed the connection within a message".to_owned()));
            }
            let taken = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            // Into the system's memory: a temporary file is never flushed.
            file.write_all(&buffer[..taken]).map_err(own_disk)?;
            self.stream.consume(taken);
            left -= taken as u64;
        }
        Ok(Body::File(file, length))
    }
}

/// Where the announcement of a literal begins at the end of a line, and how long the literal is (`~{n}` of RFC 3516
/// too).
pub fn announced(line: &[u8]) -> Option<(usize, u64)> {
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|byte| *byte == b'{')?;
    let digits = std::str::from_utf8(&inner[open + 1..]).ok()?;
    let length = digits.parse().ok()?;
    let start = if open > 0 && line[open - 1] == b'~' { open - 1 } else { open };
    Some((start, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answers(bytes: &'static [u8]) -> Vec<String> {
        let (mut other, own) = tokio::io::duplex(1 << 20);
        other.write_all(bytes).await.unwrap();
        drop(other);
        let (mut wire, mut found) = (Wire::new(Box::new(own)), Vec::new());
        loop {
            match wire.answer().await {
                Ok(answer) => found.push(format!("{answer:?}")),
                Err(error) => {
                    found.push(error.to_string());
                    return found;
                }
            }
        }
    }

    #[tokio::test]
    async fn answers_are_taken_apart() {
        let bytes = b"* OK [CAPABILITY IMAP4rev1 X] hi {5}\r\n* 1 FETCH (BODY[] {3}\r\na\r\n UID 4)\r\n+ go\r\na1 NO [NOPERM] x\r\n";
        let found = answers(bytes).await;
        assert!(found[0].contains("CAPABILITY IMAP4rev1 X") && found[0].contains("hi {5}"), "{found:?}");
        assert!(found[1].contains("b\"a\\r\\n\"") && found[1].contains("UID"), "{found:?}");
        assert!(found[2].contains("go") && found[3].contains("NOPERM"), "{found:?}");
        assert!(found[4].contains("closed"), "{found:?}");
    }

    #[tokio::test]
    async fn nonsense_is_no_answer() {
        for bytes in [&b"hello\r\n"[..], b"a1 WELL done\r\n", b"* 1 FETCH (\r\n", b"* 1 FETCH {99999999999}\r\n"] {
            let found = answers(bytes).await;
            assert_eq!(found.len(), 1, "{found:?}");
        }
    }
}
