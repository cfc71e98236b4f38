//! A session with a replica, as `sync_client` has it: log-in, questions (`GET`), what it shall become (`APPLY`).

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use sterna_base::Secret;

use crate::cyrus::dlist::{MapWriter, Step, Tokens, Value, put_atom};
use crate::cyrus::mailbox::list;
use crate::imap::client::{Encryption, Source, connect, encrypted};
use crate::imap::wire::Wire;
use crate::run::error::SourceError;
use crate::target::message::Body;

/// Bytes sent at once.
const SENT_BYTES: usize = 256 * 1024;
/// Answers to one question: mailboxes of a user and what else is known of them.
const ANSWERS_MAX: usize = 1_000_000;

/// See the module.
pub struct Replica {
    wire: Wire,
    input: BytesMut,
}

impl Replica {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`SourceError`]; the same holds for the other methods.
    pub async fn open(to: &Source, login: &str, password: &Secret) -> Result<Self, SourceError> {
        let mut replica = Replica { wire: connect(to).await?, input: BytesMut::new() };
        replica.answers("CONNECT").await?;
        if to.encryption == Encryption::Starttls {
            replica.command("STARTTLS", &[]).await?;
            if !replica.input.is_empty() {
                return Err(SourceError::Protocol("it said more before TLS than it may".to_owned()));
            }
            let stream = encrypted(to, replica.wire.into_stream()?).await?;
            replica = Replica { wire: Wire::new(stream), input: BytesMut::new() };
            replica.answers("STARTTLS").await?;
        }
        let plain = BASE64.encode(format!("\0{login}\0{}", password.expose()));
        match replica.command("AUTHENTICATE PLAIN", plain.as_bytes()).await {
            Ok(_) => Ok(replica),
            Err(SourceError::Refused { text, .. }) => Err(SourceError::Login(text)),
            Err(error) => Err(error),
        }
    }

    /// Asks something; the answers by their words.
    pub async fn get(&mut self, what: &str, argument: &str) -> Result<Vec<(String, Value)>, SourceError> {
        let mut words = Vec::new();
        put_atom(&mut words, argument.as_bytes());
        self.command(&format!("GET {what}"), &words).await
    }

    /// Says what shall become so.
    pub async fn apply(&mut self, what: &str, argument: &[u8]) -> Result<Vec<(String, Value)>, SourceError> {
        self.command(&format!("APPLY {what}"), argument).await
    }

    /// Which of these contents of a mailbox it has not.
    pub async fn missing(
        &mut self,
        partition: &str,
        mailbox: &str,
        guids: impl Iterator<Item = String>,
    ) -> Result<HashSet<String>, SourceError> {
        let mut name = Vec::new();
        put_atom(&mut name, mailbox.as_bytes());
        let map = MapWriter::default().text("PARTITION", partition).raw("MBOXNAME", &list([name].into_iter()));
        let map = map.raw("GUID", &list(guids.map(String::into_bytes)));
        let answers = self.apply("RESERVE", &map.end()).await?;
        let missing = answers.iter().filter(|(word, _)| word == "MISSING").flat_map(|(_, value)| value.list());
        Ok(missing.map(|guid| guid.text().to_ascii_lowercase()).collect())
    }

    /// Begins to send messages.
    pub fn messages(&mut self) -> Messages<'_> {
        Messages { replica: self, output: b"APPLY MESSAGE (".to_vec(), is_first: true }
    }

    /// Says good-bye; one that doesn't answer has heard it, too.
    pub async fn close(mut self) {
        let _ = self.command("EXIT", &[]).await;
    }

    async fn command(&mut self, words: &str, argument: &[u8]) -> Result<Vec<(String, Value)>, SourceError> {
        let blank: &[u8] = if argument.is_empty() { b"" } else { b" " };
        self.wire.send(&[words.as_bytes(), blank, argument, b"\r\n"].concat()).await?;
        self.answers(words).await
    }

    /// The answers up to the last one, which must be good.
    async fn answers(&mut self, words: &str) -> Result<Vec<(String, Value)>, SourceError> {
        let mut found = Vec::new();
        while found.len() < ANSWERS_MAX {
            let mut values = self.line().await?.into_iter();
            let first = values.next().map(|value| value.text()).unwrap_or_default();
            let second = values.next().map(|value| value.text()).unwrap_or_default();
            match (first.as_str(), second.as_str()) {
                // It would rather have waited for a literal.
                ("+", _) => {}
                ("OK", _) | ("*", "OK") => return Ok(found),
                ("*", "BYE") | ("BYE", _) => {
                    return Err(SourceError::Lost(values.map(|value| value.text()).collect::<Vec<_>>().join(" ")));
                }
                ("*", _) => found.extend(values.next().map(|value| (second, value))),
                ("NO" | "BAD", _) => {
                    let rest = values.map(|value| value.text());
                    let text: Vec<String> = std::iter::once(second).chain(rest).collect();
                    return Err(SourceError::Refused { command: words.to_owned(), text: text.join(" ") });
                }
                _ => return Err(SourceError::protocol(&first)),
            }
        }
        Err(SourceError::Protocol(format!("more than {ANSWERS_MAX} answers")))
    }

    async fn line(&mut self) -> Result<Vec<Value>, SourceError> {
        let mut tokens = Tokens::default();
        loop {
            match tokens.next(&mut self.input).map_err(|error| SourceError::Protocol(error.to_string()))? {
                Step::Command(values) => return Ok(values),
                Step::Continue => {}
                Step::More => {
                    let piece = self.wire.piece().await?;
                    self.input.extend_from_slice(&piece);
                }
                Step::File(..) => return Err(SourceError::Protocol("it sends a file".to_owned())),
            }
        }
    }
}

/// Messages on their way.
pub struct Messages<'a> {
    replica: &'a mut Replica,
    output: Vec<u8>,
    is_first: bool,
}

impl Messages<'_> {
    /// Sends a message, whose sum must be right: the other side ends the session otherwise.
    ///
    /// # Errors
    /// [`SourceError`]; a file that can't be read any more ends the session, too.
    pub async fn send(&mut self, partition: &str, guid: &str, body: Body) -> Result<(), SourceError> {
        if !std::mem::take(&mut self.is_first) {
            self.output.push(b' ');
        }
        self.output.extend_from_slice(b"%{");
        put_atom(&mut self.output, partition.as_bytes());
        self.output.extend_from_slice(format!(" {guid} {}}}\r\n", body.size()).as_bytes());
        match body {
            Body::Memory(bytes) => self.output.extend_from_slice(&bytes),
            Body::File(file, size) => self.file(file, size).await?,
        }
        if self.output.len() >= SENT_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn file(&mut self, mut file: File, mut left: u64) -> Result<(), SourceError> {
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(SENT_BYTES).min(SENT_BYTES);
            let reading = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; length];
                file.read_exact(&mut piece).map(|()| (file, piece))
            });
            let read = reading.await.map_err(|error| SourceError::OwnDisk(error.to_string()))?;
            let (same, piece) = read.map_err(|error| SourceError::OwnDisk(error.to_string()))?;
            file = same;
            self.output.extend_from_slice(&piece);
            self.flush().await?;
            left -= length as u64;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), SourceError> {
        let output = std::mem::take(&mut self.output);
        self.replica.wire.send(&output).await
    }

    /// All of them are sent.
    ///
    /// # Errors
    /// [`SourceError`].
    pub async fn end(mut self) -> Result<(), SourceError> {
        self.output.extend_from_slice(b")\r\n");
        self.flush().await?;
        self.replica.answers("APPLY MESSAGE").await.map(|_| ())
    }
}
