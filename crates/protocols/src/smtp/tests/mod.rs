//! Dialogs with a session over an in-memory connection, and a reception that does what addresses say.

mod auth;
mod bdat;
mod content;
mod dsn;
mod following;
mod limits;
mod lmtp;
mod loops;
mod order;
mod smuggling;
mod starttls;

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use sterna_account::service::{
    Authenticator, BearerAttempt, Envelope, Following, Login, LoginAttempt, LoginError, Message, MessageBody,
    Reception, Refusal, Sender,
};
use sterna_base::{AccountId, BlobHash, ManualClock, Timestamp};
use sterna_formats::mail::Summary;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio_util::sync::CancellationToken;

use crate::listener::{Connection, Protocol};

use super::{Limits, Service, SmtpConfig, SmtpProtocol};

/// What was handed over.
pub struct Taken {
    pub envelope: Envelope,
    pub body: Vec<u8>,
    pub spooled: bool,
}

impl Taken {
    /// The body without Return-Path and Received.
    pub fn content(&self) -> &[u8] {
        let text = self.body.windows(2).enumerate().filter(|(_, w)| *w == b"\r\n").map(|(at, _)| at + 2);
        // Return-Path has one line, Received three or four; the line that doesn't begin with a tab ends it.
        let mut ends = text.skip(1);
        let end = ends.find(|&end| self.body.get(end) != Some(&b'\t')).unwrap_or(self.body.len());
        &self.body[end..]
    }
}

/// `unknown@` is refused at RCPT, `flood@` ends the connection there, `spoofed@` at MAIL, `down@` and `gone@` at
/// delivery.
#[derive(Default)]
pub struct FakeReception {
    pub taken: Mutex<Vec<Taken>>,
    /// What those heard who followed a transaction.
    pub followed: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Reception for FakeReception {
    async fn recipient(&self, _: &Sender, _: &str, address: &str) -> Result<(), Refusal> {
        if address.starts_with("flood") {
            return Err(Refusal::new(421, (4, 7, 0), "Too much mail"));
        }
        if address.starts_with("unknown") {
            return Err(Refusal::new(550, (5, 1, 1), "No such address here"));
        }
        Ok(())
    }

    async fn sender(&self, _: &Sender, mail_from: &str) -> Result<(), Refusal> {
        if mail_from.starts_with("spoofed@") {
            return Err(Refusal::new(553, (5, 7, 1), "You may not send with this address"));
        }
        Ok(())
    }

    async fn begin(&self, envelope: &Envelope) -> Result<Option<Box<dyn Following>>, Refusal> {
        following::begin(&self.followed, envelope)
    }

    async fn deliver(&self, envelope: Envelope, message: Message) -> Vec<Result<(), Refusal>> {
        self.followed.lock().push("delivered".to_owned());
        let (body, spooled) = match &message.body {
            MessageBody::Inline(bytes) => (bytes.to_vec(), false),
            MessageBody::Spooled(file) => (std::fs::read(&file.path).unwrap(), true),
        };
        assert_eq!((body.len() as u64, BlobHash::of(&body)), (message.size, message.hash));
        assert!(Summary::decode(&message.summary).is_ok());
        let answer = |address: &str| match address.split('@').next() {
            Some("down") => Err(Refusal::new(451, (4, 3, 0), "Try again later").because("alpha is down")),
            Some("gone") => Err(Refusal::new(550, (5, 1, 1), "No such address here")),
            _ => Ok(()),
        };
        let answers = envelope.recipients.iter().map(|rcpt| answer(&rcpt.address)).collect();
        self.taken.lock().push(Taken { envelope, body, spooled });
        answers
    }
}

/// `ana` with `secret`; `slow` is throttled.
pub struct FakeAuthenticator;

#[async_trait]
impl Authenticator for FakeAuthenticator {
    async fn authenticate(&self, attempt: LoginAttempt<'_>) -> Result<Login, LoginError> {
        assert_eq!(attempt.protocol, "submission");
        match (attempt.login, attempt.password.expose()) {
            ("ana", "secret") => {
                Ok(Login { account: AccountId(1), address: "ana@demo.test".into(), is_sudo: false, app_password: None })
            }
            ("slow", _) => Err(LoginError::TooMany { wait_ms: 1500 }),
            ("broken", _) => Err(LoginError::Unavailable("no directory".into())),
            _ => Err(LoginError::Invalid),
        }
    }

    async fn offers_bearer(&self) -> bool {
        true
    }

    /// `token` is ana's.
    async fn bearer(&self, attempt: BearerAttempt<'_>) -> Result<Login, LoginError> {
        assert_eq!(attempt.protocol, "submission");
        match (attempt.login, attempt.token.expose()) {
            (None | Some("ana"), "token") => {
                Ok(Login { account: AccountId(1), address: "ana@demo.test".into(), is_sudo: false, app_password: None })
            }
            (_, "down") => Err(LoginError::Unavailable("no provider".into())),
            _ => Err(LoginError::Invalid),
        }
    }
}

/// A listener under test.
pub struct Server {
    pub protocol: SmtpProtocol,
    pub reception: Arc<FakeReception>,
    pub spool: tempfile::TempDir,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub shutdown: CancellationToken,
}

impl Server {
    pub fn new(service: Service) -> Self {
        Server::with(service, |_| {})
    }

    /// With settings of its own.
    pub fn with(service: Service, change: impl FnOnce(&mut SmtpConfig)) -> Self {
        let spool = tempfile::tempdir().unwrap();
        let mut config = SmtpConfig::new(service, "mx.demo.test", spool.path());
        change(&mut config);
        let reception = Arc::new(FakeReception::default());
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_000_000_000)));
        let protocol = SmtpProtocol::new(config, reception.clone(), Arc::new(FakeAuthenticator), clock);
        Server { protocol, reception, spool, tls: None, shutdown: CancellationToken::new() }
    }

    pub fn limited(service: Service, change: impl FnOnce(&mut Limits)) -> Self {
        Server::with(service, |config| change(&mut config.limits))
    }

    /// A connection to it.
    pub fn connect(&self) -> Client {
        self.connect_and_watch().0
    }

    /// A connection, and its session's end.
    pub fn connect_and_watch(&self) -> (Client, tokio::task::JoinHandle<()>) {
        let (client, server) = tokio::io::duplex(1 << 20);
        let connection = Connection::new(server, "192.0.2.7".parse().unwrap(), self.tls.clone());
        let (protocol, connection) = (self.protocol.clone(), connection.with_shutdown(self.shutdown.clone()));
        let session = tokio::spawn(async move { protocol.serve(connection).await });
        (Client { stream: BufReader::new(client) }, session)
    }

    /// Speaks a dialog: `C:` sends a line, `R:` raw text with `\r \n \0` escapes, `S:` expects a line that begins so,
    /// `S+` a whole reply with this code, `E` the end of the connection.
    pub async fn dialog(&self, script: &str) {
        let mut client = self.connect();
        client.speak(script).await;
    }

    pub fn taken(&self) -> parking_lot::MutexGuard<'_, Vec<Taken>> {
        self.reception.taken.lock()
    }

    /// Waits until the spool folder is empty, as it must be soon after everything is dropped.
    pub async fn until_nothing_is_spooled(&self) {
        let is_empty = || std::fs::read_dir(self.spool.path()).unwrap().next().is_none();
        let emptied = async {
            while !is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), emptied).await.expect("an empty spool");
    }
}

/// The client's side.
pub struct Client {
    pub stream: BufReader<DuplexStream>,
}

impl Client {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line.strip_suffix("\r\n").map(str::to_owned).unwrap_or_else(|| format!("no line: {line:?}"))
    }

    /// A whole reply; its lines without code.
    pub async fn reply(&mut self, code: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            assert!(line.starts_with(code), "{code} expected: {line}");
            lines.push(line[4..].to_owned());
            if line.as_bytes()[3] == b' ' {
                return lines;
            }
        }
    }

    /// Everything up to the end of the connection.
    pub async fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).await.unwrap();
        rest
    }

    pub async fn end(&mut self) {
        assert_eq!(self.rest().await, "");
    }

    pub async fn speak(&mut self, script: &str) {
        for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
            match step.split_at_checked(2) {
                Some(("C:", line)) => self.send(format!("{}\r\n", line.trim_start()).as_bytes()).await,
                Some(("R:", text)) => self.send(unescape(text.trim_start()).as_bytes()).await,
                Some(("S:", expected)) => {
                    let line = self.line().await;
                    assert!(line.starts_with(expected.trim_start()), "expected{expected}, got {line:?}");
                }
                Some(("S+", code)) => drop(self.reply(code.trim()).await),
                _ if step == "E" => self.end().await,
                _ => panic!("not a step: {step}"),
            }
        }
    }
}

fn unescape(text: &str) -> String {
    text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0")
}
