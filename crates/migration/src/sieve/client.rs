//! A session of ManageSieve at a source (RFC 5804).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use sterna_account::scripts::{SCRIPT_BYTES_MAX, SCRIPTS_MAX};
use sterna_formats::mail::encoded_word;

use crate::imap::client::{Credentials, Encryption, Source, connect, encrypted};
use crate::imap::wire::{Wire, announced};
use crate::run::error::SourceError;
use crate::target::message::Body;

/// Lines of one answer: scripts and capabilities.
const LINES_MAX: usize = SCRIPTS_MAX + 1000;

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// A string.
    Text(Bytes),
    /// A word.
    Word(String),
}

/// A script as the source lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name there.
    pub name: String,
    /// Whether it runs there.
    pub is_active: bool,
}

impl Listed {
    /// Its name for people: Cyrus tells one that isn't ASCII as an encoded word (RFC 2047), as it keeps it in a file.
    pub fn own_name(&self) -> String {
        match self.name.starts_with("=?") && self.name.ends_with("?=") {
            true => encoded_word::decode(self.name.as_bytes()),
            false => self.name.clone(),
        }
    }
}

/// See the module.
pub struct Session {
    wire: Wire,
}

impl Session {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`SourceError`]; the same holds for the other methods.
    pub async fn open(source: &Source, who: &Credentials) -> Result<Self, SourceError> {
        let mut session = Session { wire: connect(source).await? };
        session.answer("CONNECT").await?;
        if source.encryption == Encryption::Starttls {
            session.command("STARTTLS").await?;
            session =
                Session { wire: crate::imap::wire::Wire::new(encrypted(source, session.wire.into_stream()?).await?) };
            // Capabilities come once more; those of before may be anybody's.
            session.answer("STARTTLS").await?;
        }
        let (authorize, login) = match &who.master {
            Some(master) => (who.login.as_str(), master.as_str()),
            None => ("", who.login.as_str()),
        };
        let plain = BASE64.encode(format!("{authorize}\0{login}\0{}", who.password.expose()));
        session.send(&format!("AUTHENTICATE \"PLAIN\" \"{plain}\"")).await?;
        match session.answer("AUTHENTICATE").await {
            Ok(_) => Ok(session),
            Err(SourceError::Refused { text, .. }) => Err(SourceError::Login(text)),
            Err(error) => Err(error),
        }
    }

    /// All scripts.
    pub async fn list(&mut self) -> Result<Vec<Listed>, SourceError> {
        let lines = self.command("LISTSCRIPTS").await?;
        let listed = lines.iter().filter_map(|line| match line.split_first() {
            Some((Part::Text(name), rest)) => Some(Listed {
                name: String::from_utf8(name.to_vec()).ok()?,
                is_active: rest.iter().any(|part| matches!(part, Part::Word(word) if word == "ACTIVE")),
            }),
            _ => None,
        });
        let listed: Vec<Listed> = listed.collect();
        match listed.len() == lines.len() {
            true => Ok(listed),
            false => Err(SourceError::Protocol("it lists something that is no script".to_owned())),
        }
    }

    /// A script.
    pub async fn text(&mut self, name: &str) -> Result<Bytes, SourceError> {
        let lines = self.command(&format!("GETSCRIPT {}", string(name))).await?;
        match lines.into_iter().flatten().next() {
            Some(Part::Text(text)) => Ok(text),
            _ => Err(SourceError::Protocol(format!("it gives no text of {name}"))),
        }
    }

    /// Says good-bye; a source that doesn't answer has heard it, too.
    pub async fn close(mut self) {
        let _ = self.command("LOGOUT").await;
    }

    async fn command(&mut self, words: &str) -> Result<Vec<Vec<Part>>, SourceError> {
        self.send(words).await?;
        self.answer(words.split(' ').next().unwrap_or_default()).await
    }

    async fn send(&mut self, words: &str) -> Result<(), SourceError> {
        self.wire.send(format!("{words}\r\n").as_bytes()).await
    }

    /// The lines of an answer that ended well.
    async fn answer(&mut self, command: &str) -> Result<Vec<Vec<Part>>, SourceError> {
        let mut lines = Vec::new();
        while lines.len() < LINES_MAX {
            let line = self.parts().await?;
            let Some(Part::Word(word)) = line.first() else {
                lines.push(line);
                continue;
            };
            let texts = line.iter().filter_map(|part| match part {
                Part::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                Part::Word(_) => None,
            });
            let text = texts.collect::<Vec<_>>().join(" ");
            return match word.as_str() {
                "OK" => Ok(lines),
                "NO" => Err(SourceError::Refused { command: command.to_owned(), text }),
                "BYE" => Err(SourceError::Lost(text)),
                other => Err(SourceError::protocol(other)),
            };
        }
        Err(SourceError::Protocol(format!("an answer has more than {LINES_MAX} lines")))
    }

    /// One line, with the literals in it.
    async fn parts(&mut self) -> Result<Vec<Part>, SourceError> {
        let (mut parts, mut line) = (Vec::new(), self.wire.line().await?);
        while let Some((start, length)) = announced(&line) {
            parts.extend(words(&line[..start])?);
            if length > SCRIPT_BYTES_MAX {
                return Err(SourceError::Protocol(format!("a script of {length} bytes")));
            }
            match self.wire.literal(length).await? {
                Body::Memory(bytes) => parts.push(Part::Text(bytes)),
                Body::File(..) => return Err(SourceError::Protocol("a script that is too long".to_owned())),
            }
            line = self.wire.line().await?;
        }
        parts.extend(words(&line)?);
        Ok(parts)
    }
}

/// The words and quoted strings of a line. Codes in parentheses are words, too; nobody asks for them.
fn words(line: &[u8]) -> Result<Vec<Part>, SourceError> {
    let odd = || SourceError::protocol(&String::from_utf8_lossy(line));
    let (mut parts, mut at) = (Vec::new(), 0);
    while at < line.len() {
        match line[at] {
            b' ' | b'(' | b')' => at += 1,
            b'"' => {
                let mut text = Vec::new();
                at += 1;
                loop {
                    match line.get(at) {
                        Some(b'"') => break,
                        Some(b'\\') => {
                            text.push(*line.get(at + 1).ok_or_else(odd)?);
                            at += 2;
                        }
                        Some(byte) => {
                            text.push(*byte);
                            at += 1;
                        }
                        None => return Err(odd()),
                    }
                }
                at += 1;
                parts.push(Part::Text(text.into()));
            }
            _ => {
                let end = line[at..].iter().position(|byte| b" ()".contains(byte)).map_or(line.len(), |end| at + end);
                parts.push(Part::Word(String::from_utf8_lossy(&line[at..end]).to_ascii_uppercase()));
                at = end;
            }
        }
    }
    Ok(parts)
}

/// A string of a command. Cyrus takes what isn't ASCII only as a literal.
fn string(text: &str) -> String {
    match text.is_ascii() && !text.contains(['\r', '\n']) {
        true => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        false => format!("{{{}+}}\r\n{text}", text.len()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    async fn session(bytes: &'static [u8]) -> Session {
        let (mut other, own) = tokio::io::duplex(1 << 20);
        other.write_all(bytes).await.unwrap();
        // What is sent to it goes nowhere.
        tokio::spawn(async move { tokio::io::copy(&mut other, &mut tokio::io::sink()).await });
        Session { wire: Wire::new(Box::new(own)) }
    }

    #[tokio::test]
    async fn answers_are_taken_apart() {
        let mut one = session(
            b"\"a \\\"b\\\\\" ACTIVE\r\n{3}\r\nx\r\n\r\n\"last\"\r\nOK (WARNINGS) \"well\"\r\n{8}\r\nkeep;\r\n \r\nOK\r\nNO {4}\r\nnone\r\n",
        )
        .await;
        let names: Vec<_> = one.list().await.unwrap().into_iter().map(|one| (one.name, one.is_active)).collect();
        assert_eq!(names, [("a \"b\\".to_owned(), true), ("x\r\n".to_owned(), false), ("last".to_owned(), false)]);
        assert_eq!(one.text("last").await.unwrap(), "keep;\r\n ");
        let refused = SourceError::Refused { command: "GETSCRIPT".to_owned(), text: "none".to_owned() };
        assert_eq!(one.text("other").await, Err(refused));
    }

    #[tokio::test]
    async fn nonsense_is_no_answer() {
        for bytes in [&b"HELLO\r\n"[..], b"\"open\r\n", b"{99999999}\r\n", b"OK\r\n", b"MAYBE \"x\"\r\n"] {
            let mut one = session(bytes).await;
            assert!(one.text("x").await.is_err(), "{bytes:?}");
        }
    }
}
