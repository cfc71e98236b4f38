//! Runs dialogs: `C:` lines are sent, `S:` lines must come back, in this order. `*` in an `S:` line matches anything;
//! `S: ...` skips lines up to the next one that is expected.

use std::any::Any;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sterna_account::local::LocalAccounts;
use sterna_account::scram::{ITERATIONS_MIN, ScramVerifier};
use sterna_account::service::{
    Accounts, Authenticator, BearerAttempt, ExternalAttempt, Login, LoginAttempt, LoginError, ScramAttempt,
    ScramChallenge,
};
use sterna_account::shares::{Owner, Shares, SharesError, Sharing, Who};
use sterna_account::{Identifier, Mutation, Rights};
use sterna_base::session_limits::{LiveSessionLimits, SessionLimits};
use sterna_base::{AccountId, ManualClock, OperationId, Secret, Timestamp};
use sterna_protocols::imap::{ImapConfig, ImapProtocol};
use sterna_protocols::listener::{Connection, Protocol};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream};

use crate::place::Place;

/// A server with one account, ana, password "pw", or with those of [`People`].
pub struct Server {
    protocol: Arc<ImapProtocol>,
    /// What the sessions are given.
    pub doors: Arc<dyn Accounts>,
    pub accounts: Arc<LocalAccounts>,
    pub elsewhere: Arc<LocalAccounts>,
    pub people: Arc<People>,
    _kept: Box<dyn Any + Send + Sync>,
}

pub const ANA: AccountId = AccountId(1);
pub const BOB: AccountId = AccountId(2);
pub const EVA: AccountId = AccountId(3);
/// A shared mailbox.
pub const INFO: AccountId = AccountId(4);
/// A group; bob is in it.
pub const STAFF: AccountId = AccountId(9);

/// A directory: who there is, and who shares with whom.
#[derive(Default)]
pub struct People {
    pub shares: Mutex<BTreeSet<(AccountId, Identifier)>>,
    /// The main node can't be reached.
    pub main_is_down: AtomicBool,
    /// Tokens are taken.
    pub tokens: AtomicBool,
    /// SCRAM is offered.
    pub scram: AtomicBool,
}

const ADDRESSES: [(&str, AccountId); 5] =
    [("ana@x.test", ANA), ("bob@x.test", BOB), ("eva@x.test", EVA), ("info@x.test", INFO), ("staff@x.test", STAFF)];

#[async_trait]
impl Authenticator for People {
    /// Two names are nobody's: who is too hasty, and whose directory is away.
    async fn authenticate(&self, attempt: LoginAttempt<'_>) -> Result<Login, LoginError> {
        match attempt.login {
            "hasty" => return Err(LoginError::TooMany { wait_ms: 1000 }),
            "away" => return Err(LoginError::Unavailable("the disk is full".into())),
            _ => {}
        }
        let users = ADDRESSES[..3].iter();
        let found = users.into_iter().find(|(address, _)| address.split('@').next() == Some(attempt.login));
        match found.filter(|_| attempt.password.expose() == "pw") {
            Some((address, account)) => {
                Ok(Login { account: *account, address: (*address).into(), is_sudo: false, app_password: None })
            }
            None => Err(LoginError::Invalid),
        }
    }

    async fn offers_bearer(&self) -> bool {
        self.tokens.load(Ordering::Relaxed)
    }

    /// Tokens are called by whose they are.
    async fn bearer(&self, attempt: BearerAttempt<'_>) -> Result<Login, LoginError> {
        let owner = attempt.token.expose().strip_prefix("token-of-").ok_or(LoginError::Invalid)?;
        if attempt.login.is_some_and(|login| login != owner) {
            return Err(LoginError::Invalid);
        }
        let (BearerAttempt { protocol, peer, .. }, password) = (attempt, Secret::new("pw"));
        self.authenticate(LoginAttempt { login: owner, password: &password, protocol, peer }).await
    }

    async fn external(&self, attempt: ExternalAttempt<'_>) -> Result<Login, LoginError> {
        let named = |address: &String| {
            let (user, domain) = address.split_once('@')?;
            (domain == "x.test").then(|| user.to_lowercase())
        };
        for user in attempt.addresses.iter().filter_map(named) {
            if attempt.authorize.is_some_and(|name| name != user) {
                continue;
            }
            let (password, protocol, peer) = (Secret::new("pw"), attempt.protocol, attempt.peer);
            let attempt = LoginAttempt { login: &user, password: &password, protocol, peer };
            if let Ok(login) = self.authenticate(attempt).await {
                return Ok(login);
            }
        }
        Err(LoginError::Invalid)
    }

    async fn offers_scram(&self) -> bool {
        self.scram.load(Ordering::Relaxed)
    }

    async fn scram_challenge(&self, _attempt: &ScramAttempt<'_>) -> Result<ScramChallenge, LoginError> {
        Ok(ScramChallenge { salt: SALT.to_vec(), iterations: ITERATIONS_MIN })
    }

    async fn scram_verify(
        &self,
        attempt: &ScramAttempt<'_>,
        auth_message: &[u8],
        proof: &[u8],
    ) -> Result<(Login, [u8; 32]), LoginError> {
        let signature = ScramVerifier::new("pw", SALT, ITERATIONS_MIN).verify(auth_message, proof);
        let password = Secret::new(if signature.is_some() { "pw" } else { "" });
        let ScramAttempt { login, protocol, peer } = *attempt;
        let login = self.authenticate(LoginAttempt { login, password: &password, protocol, peer }).await?;
        Ok((login, signature.ok_or(LoginError::Invalid)?))
    }
}

/// Of everybody's password.
pub const SALT: [u8; 16] = *b"0123456789abcdef";

#[async_trait]
impl Shares for People {
    async fn sharing(&self, account: AccountId) -> Result<Sharing, SharesError> {
        let groups: HashSet<AccountId> = [STAFF].into_iter().filter(|_| account == BOB).collect();
        let who = Who { account, groups: groups.clone(), domain: None };
        let shares = self.shares.lock().unwrap();
        let owners = ADDRESSES.into_iter().filter(|(_, owner)| {
            *owner != account && shares.iter().any(|(sharer, grantee)| sharer == owner && who.is(*grantee))
        });
        let owner = |(address, account): (&str, AccountId)| Owner {
            address: address.to_owned(),
            account,
            shared_mailbox: account == INFO,
        };
        Ok(Sharing { groups, domain: None, owners: owners.map(owner).collect() })
    }

    async fn entry(&self, address: &str) -> Result<Option<AccountId>, SharesError> {
        let found = ADDRESSES.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(address));
        Ok(found.map(|(_, account)| account))
    }

    async fn addresses(&self, ids: Vec<AccountId>) -> Result<HashMap<AccountId, String>, SharesError> {
        let known = ADDRESSES.into_iter().filter(|(_, account)| ids.contains(account));
        Ok(known.map(|(address, account)| (account, address.to_owned())).collect())
    }

    async fn set(&self, owner: AccountId, grantee: Identifier, shares: bool) -> Result<(), SharesError> {
        if self.main_is_down.load(Ordering::Relaxed) {
            return Err(SharesError::Unavailable("main is down".into()));
        }
        let mut known = self.shares.lock().unwrap();
        let _ = if shares { known.insert((owner, grantee)) } else { known.remove(&(owner, grantee)) };
        Ok(())
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With the accounts of bob, eva and info besides.
    pub async fn shared() -> Self {
        Self::with(&[BOB, EVA, INFO]).await
    }

    async fn with(others: &[AccountId]) -> Self {
        let Place { accounts, local, elsewhere, kept } = Place::of(ANA, others).await;
        let people = Arc::new(People::default());
        let protocol = Self::protocol(accounts.clone(), &people);
        Server { protocol, doors: accounts, accounts: local, elsewhere, people, _kept: kept }
    }

    fn protocol(accounts: Arc<dyn Accounts>, people: &Arc<People>) -> Arc<ImapProtocol> {
        let config = ImapConfig { plaintext_login: true };
        // As if it began to serve in 2100: what the dialogs put into mailboxes came before that, and is not recent.
        let later = ManualClock::at(Timestamp::from_seconds(4_102_444_800));
        let protocol = ImapProtocol::new(config, accounts, people.clone(), people.clone());
        Arc::new(protocol.with_clock(Arc::new(later)))
    }

    /// The same accounts, served since that time.
    pub fn restart_at(&mut self, clock: ManualClock) {
        self.protocol = Arc::new(self.protocol.with_clock(Arc::new(clock)));
    }

    /// The same accounts, served within these limits.
    pub fn within(&mut self, limits: SessionLimits) {
        let live = LiveSessionLimits::default();
        live.set(limits);
        self.protocol = Arc::new(self.protocol.with_limits(Arc::new(live)));
    }

    /// The same account behind other doors.
    pub fn through(&mut self, accounts: Arc<dyn Accounts>) {
        self.protocol = Self::protocol(accounts.clone(), &self.people);
        self.doors = accounts;
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

    /// A session of somebody else.
    pub async fn login_as(&self, user: &str) -> Client {
        let mut client = self.connect().await;
        client.say(&format!("C: l LOGIN {user} pw\nS: l OK *")).await;
        client
    }

    /// Rights on a mailbox of the shared mailbox, as an administrator gives them.
    pub async fn give_info(&self, mailbox: &str, who: AccountId, letters: &str) {
        let account = self.elsewhere.open(INFO).await.unwrap();
        let containers = account.containers().await.unwrap();
        let container = containers.iter().find(|container| container.name == mailbox).unwrap().id;
        let (identifier, rights) = (Identifier::Entry(who), Rights::parse(letters).unwrap());
        let step = Mutation::SetAcl { container, identifier, negative: false, rights };
        account.commit(OperationId::random(), vec![step]).await.unwrap();
        self.people.set(INFO, identifier, true).await.unwrap();
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
        for other in [BOB, EVA, INFO] {
            let Ok(account) = self.elsewhere.get(other).await else { continue };
            let findings = account.read(|read| check(read, Depth { contents: true })).await.unwrap();
            assert!(findings.is_empty(), "{findings:?}");
        }
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
            } else if let Some(expected) = step.strip_prefix("S:").map(str::trim_start) {
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
