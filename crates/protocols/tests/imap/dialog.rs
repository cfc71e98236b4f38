//! Runs dialogs: `C:` lines are sent, `S:` lines must come back, in this order. `*` in an `S:` line matches anything;
//! `S: ...` skips lines up to the next one that is expected.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::local::LocalAccounts;
use sterna_account::service::{Accounts, Authenticator, Login, LoginAttempt, LoginError};
use sterna_base::AccountId;
use sterna_protocols::imap::{ImapConfig, ImapProtocol};
use sterna_protocols::listener::{Connection, Protocol};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream};

use crate::place::Place;

/// A server with one account, ana, password "pw".
pub struct Server {
    protocol: Arc<ImapProtocol>,
    pub accounts: Arc<LocalAccounts>,
    _kept: Box<dyn Any + Send + Sync>,
}

pub const ANA: AccountId = AccountId(1);

struct OnlyAna;

#[async_trait]
impl Authenticator for OnlyAna {
    async fn authenticate(&self, attempt: LoginAttempt<'_>) -> Result<Login, LoginError> {
        let right = attempt.login == "ana" && attempt.password.expose() == "pw";
        if right { Ok(Login { account: ANA, address: "ana@x.test".into() }) } else { Err(LoginError::Invalid) }
    }
}

impl Server {
    pub async fn start() -> Self {
        let Place { accounts, local, kept } = Place::of(ANA).await;
        Server { protocol: Self::protocol(accounts), accounts: local, _kept: kept }
    }

    fn protocol(accounts: Arc<dyn Accounts>) -> Arc<ImapProtocol> {
        Arc::new(ImapProtocol::new(ImapConfig { plaintext_login: true }, accounts, Arc::new(OnlyAna)))
    }

    /// The same account behind other doors.
    pub fn through(&mut self, accounts: Arc<dyn Accounts>) {
        self.protocol = Self::protocol(accounts);
    }

    /// A connection that was greeted.
    pub async fn connect(&self) -> Client {
        self.connect_as(|connection| connection, None).await
    }

    /// The same, with a certificate or with the token that ends the node.
    pub async fn connect_as(
        &self,
        prepare: impl FnOnce(Connection) -> Connection,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let protocol = self.protocol.clone();
        let connection = prepare(Connection::new(theirs, [127, 0, 0, 1].into(), tls));
        tokio::spawn(async move { protocol.serve(connection).await });
        let mut client = Client { stream: BufReader::new(ours) };
        assert!(client.line().await.starts_with("* OK"));
        client
    }

    /// A session that is logged in.
    pub async fn login(&self) -> Client {
        let mut client = self.connect().await;
        client.say("C: l LOGIN ana pw\nS: l OK *").await;
        client
    }

    /// Runs one dialog in a session of its own, and checks the account at its end.
    pub async fn dialog(&self, dialog: &str) {
        self.login().await.say(dialog).await;
        self.check().await;
    }

    /// Every invariant of the account.
    pub async fn check(&self) {
        use sterna_account::check::{Depth, check};
        let account = self.accounts.get(ANA).await.unwrap();
        let findings = account.read(|read| check(read, Depth { contents: true })).await.unwrap();
        assert!(findings.is_empty(), "{findings:?}");
    }
}

pub struct Client<S = DuplexStream> {
    pub stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Plays a dialog.
    pub async fn say(&mut self, dialog: &str) {
        let mut skipping = false;
        for step in dialog.lines().map(str::trim).filter(|step| !step.is_empty()) {
            if let Some(line) = step.strip_prefix("C: ") {
                self.send(format!("{}\r\n", unescape(line)).as_bytes()).await;
            } else if let Some(text) = step.strip_prefix("C+ ") {
                self.send(unescape(text).as_bytes()).await;
            } else if step == "S: ..." {
                skipping = true;
            } else if let Some(expected) = step.strip_prefix("S: ") {
                loop {
                    let line = self.line().await;
                    if matches(expected, &line) {
                        break;
                    }
                    assert!(skipping, "expected {expected:?}, got {line:?}");
                }
                skipping = false;
            } else {
                panic!("not a step: {step}");
            }
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next bytes.
    pub async fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = tokio::time::timeout(std::time::Duration::from_secs(20), self.stream.read_exact(&mut bytes));
        read.await.expect("an answer in time").unwrap();
        bytes
    }

    /// Everything until the server closes the connection. Waits as long as it takes, so that a test whose clock is
    /// paused sees the server's own limits.
    pub async fn rest(mut self) -> String {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.unwrap();
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// The next line without its end; a literal is shown as `{n}` and its text behind it.
    pub async fn line(&mut self) -> String {
        let mut text = String::new();
        loop {
            let mut line = Vec::new();
            let read =
                tokio::time::timeout(std::time::Duration::from_secs(20), self.stream.read_until(b'\n', &mut line));
            assert!(read.await.expect("an answer in time").unwrap() > 0, "the connection ended after {text:?}");
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            text.push_str(&line);
            let length = line.strip_suffix('}').and_then(|l| l.rsplit_once('{')).and_then(|(_, n)| n.parse().ok());
            let Some(length) = length else { return text };
            let mut literal = vec![0; length];
            self.stream.read_exact(&mut literal).await.unwrap();
            text.push_str(&String::from_utf8_lossy(&literal).escape_debug().to_string());
        }
    }
}

fn unescape(text: &str) -> String {
    text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0")
}

fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('*');
    // A leading `* ` is IMAP's own star.
    let (first, mut rest) = match pattern.strip_prefix("* ") {
        Some(after) => {
            let Some(line) = line.strip_prefix("* ") else { return false };
            parts = after.split('*');
            (parts.next().unwrap_or_default(), line)
        }
        None => (parts.next().unwrap_or_default(), line),
    };
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
