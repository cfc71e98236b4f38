//! A session at a source.

use std::collections::HashSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use sterna_base::Secret;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::value::Value;
use super::wire::{Answer, Status, Stream, Wire};
pub use crate::run::error::SourceError;

use crate::limits::{ANSWERS_MAX, CONNECT_MAX};

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS.
    Starttls,
    /// None: passwords travel in the clear.
    None,
}

/// A server that mail comes from.
#[derive(Clone)]
pub struct Source {
    /// Its name or address.
    pub host: String,
    /// Where it listens.
    pub port: u16,
    /// How.
    pub encryption: Encryption,
    /// Whom to trust.
    pub tls: Arc<ClientConfig>,
}

/// Who reads.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Whose mail is read.
    pub login: String,
    /// Who logs in for that one, with a right to do so (SASL PLAIN with another authorization identity, RFC 4616);
    /// `None` when it is the same.
    pub master: Option<String>,
    /// The password of whoever logs in.
    pub password: Secret,
}

/// A session that is logged in.
pub struct Session {
    wire: Wire,
    tag: u64,
    capabilities: HashSet<String>,
}

/// Everything that a command was answered with.
#[derive(Debug, Default)]
pub struct Answers {
    /// The data.
    pub data: Vec<Vec<Value>>,
    /// The codes of untagged and tagged status answers.
    pub codes: Vec<String>,
}

impl Answers {
    /// The rest of the first code that begins with this word.
    pub fn code(&self, word: &str) -> Option<&str> {
        self.codes.iter().find_map(|code| {
            let (first, rest) = code.split_once(' ').unwrap_or((code, ""));
            first.eq_ignore_ascii_case(word).then_some(rest)
        })
    }
}

impl Session {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`SourceError`]; the same holds for the other methods.
    pub async fn open(source: &Source, who: &Credentials) -> Result<Self, SourceError> {
        let mut session = Session::connect(source).await?;
        session.log_in(who).await?;
        if session.has("ENABLE") && session.has("QRESYNC") {
            session.command("ENABLE QRESYNC").await?;
        }
        Ok(session)
    }

    async fn connect(source: &Source) -> Result<Self, SourceError> {
        let mut session = Session { wire: connect(source).await?, tag: 0, capabilities: HashSet::new() };
        match session.wire.answer().await? {
            Answer::Status(status) if status.word == "OK" || status.word == "PREAUTH" => session.note(&status),
            Answer::Status(status) => return Err(SourceError::Lost(status.text)),
            other => return Err(SourceError::protocol(&format!("{other:?}"))),
        }
        if source.encryption == Encryption::Starttls {
            session.command("STARTTLS").await?;
            let stream = encrypted(source, session.wire.into_stream()?).await?;
            // What was said before may be anybody's.
            session = Session { wire: Wire::new(stream), tag: session.tag, capabilities: HashSet::new() };
        }
        if session.capabilities.is_empty() {
            session.ask_capabilities().await?;
        }
        Ok(session)
    }

    async fn log_in(&mut self, who: &Credentials) -> Result<(), SourceError> {
        self.capabilities.clear();
        let plain =
            |authorize: &str, login: &str| BASE64.encode(format!("{authorize}\0{login}\0{}", who.password.expose()));
        let response = match &who.master {
            Some(master) => plain(&who.login, master),
            None => plain("", &who.login),
        };
        let tag = self.send("AUTHENTICATE PLAIN").await?;
        match self.wire.answer().await? {
            Answer::Continue(_) => self.wire.send(format!("{response}\r\n").as_bytes()).await?,
            // Not this way, then: LOGIN is older.
            Answer::Tagged(_, status) if who.master.is_none() => {
                tracing::debug!(text = status.text, "no AUTHENTICATE PLAIN");
                return self.log_in_old(who).await;
            }
            Answer::Tagged(_, status) => return Err(SourceError::Login(status.text)),
            other => return Err(SourceError::protocol(&format!("{other:?}"))),
        }
        match self.finish(tag, "AUTHENTICATE").await {
            Ok(_) => {}
            Err(SourceError::Refused { text, .. }) => return Err(SourceError::Login(text)),
            Err(error) => return Err(error),
        }
        self.ask_capabilities().await
    }

    async fn log_in_old(&mut self, who: &Credentials) -> Result<(), SourceError> {
        let words = format!("LOGIN {} {}", quoted(who.login.as_bytes()), quoted(who.password.expose().as_bytes()));
        let tag = self.send(&words).await?;
        match self.finish(tag, "LOGIN").await {
            Ok(_) => self.ask_capabilities().await,
            Err(SourceError::Refused { text, .. }) => Err(SourceError::Login(text)),
            Err(error) => Err(error),
        }
    }

    async fn ask_capabilities(&mut self) -> Result<(), SourceError> {
        if !self.capabilities.is_empty() {
            return Ok(());
        }
        let answers = self.command("CAPABILITY").await?;
        for values in answers.data.iter().filter(|values| values.first().is_some_and(|word| word.is("CAPABILITY"))) {
            self.capabilities.extend(values.iter().skip(1).map(|value| value.text().to_ascii_uppercase()));
        }
        Ok(())
    }

    fn note(&mut self, status: &Status) {
        let Some(code) = &status.code else { return };
        if let Some(words) = code.strip_prefix("CAPABILITY ") {
            self.capabilities = words.split(' ').map(str::to_ascii_uppercase).collect();
        }
    }

    /// Whether the server says that it can this.
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }

    /// Does a command, and gives all that it was answered with.
    pub async fn command(&mut self, text: &str) -> Result<Answers, SourceError> {
        let tag = self.send(text).await?;
        self.finish(tag, text).await
    }

    async fn finish(&mut self, tag: String, text: &str) -> Result<Answers, SourceError> {
        let mut answers = Answers::default();
        while let Some(values) = self.next(&tag, text, &mut answers.codes).await? {
            if answers.data.len() >= ANSWERS_MAX {
                return Err(SourceError::Protocol(format!("more than {ANSWERS_MAX} answers to one command")));
            }
            answers.data.push(values);
        }
        Ok(answers)
    }

    /// Sends a command; its tag.
    pub async fn send(&mut self, text: &str) -> Result<String, SourceError> {
        self.tag += 1;
        let tag = format!("i{}", self.tag);
        self.wire.send(format!("{tag} {text}\r\n").as_bytes()).await?;
        Ok(tag)
    }

    /// The next data of the command that was sent last; `None` when it has ended well.
    pub async fn next(
        &mut self,
        tag: &str,
        text: &str,
        codes: &mut Vec<String>,
    ) -> Result<Option<Vec<Value>>, SourceError> {
        loop {
            match self.wire.answer().await? {
                Answer::Data(values) => return Ok(Some(values)),
                Answer::Status(status) if status.word == "BYE" => return Err(SourceError::Lost(status.text)),
                Answer::Status(status) => {
                    self.note(&status);
                    codes.extend(status.code);
                }
                Answer::Tagged(of, status) if of == tag => {
                    self.note(&status);
                    if !status.is_ok() {
                        let command: Vec<&str> = text.split(' ').take(2).collect();
                        let (command, text) = (command.join(" "), status.text);
                        return Err(SourceError::Refused { command, text });
                    }
                    codes.extend(status.code);
                    return Ok(None);
                }
                other => return Err(SourceError::protocol(&format!("{other:?}"))),
            }
        }
    }

    /// Ends the session.
    pub async fn close(mut self) {
        // It is over either way.
        let _ = self.command("LOGOUT").await;
    }
}

/// A quoted string (RFC 9051 section 9). What it has no room for is left out: no server takes it in a name.
pub fn quoted(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0')).collect();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Connects; over TLS where that is from the first byte.
///
/// # Errors
/// [`SourceError`]
pub async fn connect(source: &Source) -> Result<Wire, SourceError> {
    let address = format!("{}:{}", source.host, source.port);
    let unreachable = |cause: String| SourceError::Unreachable { address: address.clone(), cause };
    let connecting = TcpStream::connect((source.host.as_str(), source.port));
    let stream = timeout(CONNECT_MAX, connecting).await.map_err(|_| unreachable("no answer".to_owned()))?;
    let stream = stream.map_err(|error| unreachable(error.to_string()))?;
    let _ = stream.set_nodelay(true);
    let mut stream: Box<dyn Stream> = Box::new(stream);
    if source.encryption == Encryption::Tls {
        stream = encrypted(source, stream).await?;
    }
    Ok(Wire::new(stream))
}

/// The same stream with TLS.
///
/// # Errors
/// [`SourceError::Tls`]
pub async fn encrypted(source: &Source, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, SourceError> {
    let name = ServerName::try_from(source.host.clone()).map_err(|error| SourceError::Tls(error.to_string()))?;
    let connecting = TlsConnector::from(source.tls.clone()).connect(name, stream);
    let stream = timeout(CONNECT_MAX, connecting).await.map_err(|_| SourceError::Silent)?;
    Ok(Box::new(stream.map_err(|error| SourceError::Tls(error.to_string()))?))
}
