//! Accounts and a listener that takes replication, and a Cyrus with users.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use sterna_account::local::LocalAccounts;
use sterna_account::service::Accounts;
use sterna_account::{Account, Container, ContainerKind, Identifier};
use sterna_base::{AccountId, Epoch, OperationId, Secret, SystemClock};
use sterna_engines::sqlite::SqliteEngine;
use sterna_migration::cyrus::doors::{Arrival, Channel, Users};
use sterna_migration::cyrus::mirror::Mirror;
use sterna_migration::cyrus::session::Session;
use sterna_migration::cyrus::verify::{Comparison, compare};
use sterna_migration::imap::account::Identities;
use sterna_testkit::cyrus::{ADMIN, Cyrus};
use sterna_testkit::imap::Imap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

pub const ANA: AccountId = AccountId(7);
pub const BEN: AccountId = AccountId(8);
pub const SHARED: AccountId = AccountId(9);

pub struct Here {
    pub accounts: HashMap<&'static str, Arc<dyn Account>>,
    /// They end with it.
    _local: LocalAccounts,
    pub is_closed: AtomicBool,
}

#[async_trait]
impl Identities for Here {
    async fn identify(&self, _owner: AccountId, name: &str) -> Option<Identifier> {
        self.accounts.get(name).map(|account| Identifier::Entry(account.id()))
    }
}

#[async_trait]
impl Users for Here {
    async fn arrival(&self, user: &str) -> Result<Arrival, String> {
        let account = self.accounts.get(user).ok_or("no such user")?.clone();
        let is_closed = self.is_closed.load(Ordering::Relaxed);
        Ok(Arrival { account, address: format!("{user}@x.test"), is_closed })
    }

    async fn may_replicate(&self, login: &str, password: &Secret, _peer: IpAddr) -> Result<(), String> {
        if login == "root" && password.expose() == "secret" { Ok(()) } else { Err("no".to_owned()) }
    }
}

struct Plain(TcpStream);

impl AsyncRead for Plain {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[async_trait]
impl Channel for Plain {
    fn peer(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }
    fn is_private(&self) -> bool {
        true
    }
    fn can_start_tls(&self) -> bool {
        false
    }
    async fn start_tls(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Accounts, a mirror and a listener.
pub struct Receiver {
    pub here: Arc<Here>,
    pub mirror: Mirror,
    pub port: u16,
    pub runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Receiver {
    pub fn start() -> Self {
        // A test that fails is understood from it.
        let _ = tracing_subscriber::fmt().with_ansi(false).try_init();
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let (here, mirror, port) = runtime.block_on(async {
            let mirror = Mirror::open(&folder.path().join("cyrus.sqlite")).unwrap();
            let (accounts, local) = accounts(folder.path()).await;
            let here = Arc::new(Here { accounts, _local: local, is_closed: AtomicBool::new(true) });
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let (served, told) = (here.clone(), mirror.clone());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (served, told) = (served.clone(), told.clone());
                    tokio::spawn(async move {
                        let _ = Session::serve(&mut Plain(stream), &told, served.as_ref(), "here").await;
                    });
                }
            });
            (here, mirror, port)
        });
        Receiver { here, mirror, port, runtime, _folder: folder }
    }

    pub fn account(&self, user: &str) -> Arc<dyn Account> {
        self.here.accounts[user].clone()
    }

    pub fn compare(&self, user: &str) -> Comparison {
        self.runtime.block_on(compare(self.account(user).as_ref(), &self.mirror, user)).unwrap()
    }

    /// The mail folders, by their paths.
    pub fn folders(&self, user: &str) -> HashMap<String, Container> {
        let all = self.runtime.block_on(self.account(user).containers()).unwrap();
        let by_id: HashMap<_, _> = all.iter().map(|container| (container.id, container.clone())).collect();
        let path = |container: &Container| {
            let (mut names, mut at) = (vec![container.name.clone()], container.parent);
            while let Some(id) = at {
                names.push(by_id[&id].name.clone());
                at = by_id[&id].parent;
            }
            names.reverse();
            names.join("/")
        };
        let mail = all.iter().filter(|container| container.kind == ContainerKind::Mail);
        mail.map(|container| (path(container), container.clone())).collect()
    }
}

async fn accounts(folder: &Path) -> (HashMap<&'static str, Arc<dyn Account>>, LocalAccounts) {
    let engine = Arc::new(SqliteEngine::new(folder.join("accounts")));
    let local = LocalAccounts::new(engine, Arc::new(SystemClock));
    let mut found = HashMap::new();
    for (name, id) in [("ana", ANA), ("ben", BEN), ("shared", SHARED)] {
        local.create(id, Epoch(1)).await.unwrap();
        let account = local.open(id).await.unwrap();
        let first = sterna_account::first_containers::mutations();
        account.commit(OperationId::random(), first).await.unwrap();
        found.insert(name, account);
    }
    (found, local)
}

pub fn done(imap: &mut Imap, command: &str) {
    let answer = imap.command(command).unwrap();
    assert!(answer.ok(), "{command}: {}", answer.status);
}

pub fn append(imap: &mut Imap, mailbox: &str, options: &str, text: &str) {
    let message = format!("From: a@x.test\r\nSubject: one\r\n\r\n{text}\r\n");
    let answer = imap.append(&format!("{mailbox} {options}"), message.as_bytes()).unwrap();
    assert!(answer.ok(), "{mailbox}: {}", answer.status);
}

/// UIDVALIDITY and UIDNEXT of a mailbox there.
pub fn numbers(imap: &mut Imap, mailbox: &str) -> (u32, u32) {
    let answer = imap.command(&format!("STATUS {mailbox} (UIDVALIDITY UIDNEXT)")).unwrap();
    let text = answer.lines.concat();
    let number = |name: &str| {
        let rest = text.split(name).nth(1).unwrap_or_default().trim_start();
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    (number("UIDVALIDITY"), number("UIDNEXT"))
}

pub fn filled(cyrus: &Cyrus) -> Imap {
    let mut admin = cyrus.login(ADMIN);
    for command in [
        "CREATE user/ana",
        "CREATE user/ben",
        "CREATE shared",
        "SETACL shared anyone lrsip",
        "SETQUOTA user/ana (STORAGE 100000)",
    ] {
        done(&mut admin, command);
    }
    append(&mut admin, "shared", "()", "shared");
    let mut ana = cyrus.login("ana");
    for name in ["Sent", "\"Sent/2024\"", "Gr&APwA3w-e", "a.b", "\"x y\"", "\"Old\""] {
        done(&mut ana, &format!("CREATE {name}"));
    }
    for n in 0..30 {
        let flags = ["()", "(\\Seen $Forwarded)", "(\\Flagged NonJunk)"][n % 3];
        append(&mut ana, "INBOX", &format!("{flags} \"{:02}-Feb-2019 10:00:07 +0000\"", n % 28 + 1), &format!("m{n}"));
    }
    let large = "0123456789 abcdefghijklmnopqrstuvwxyz\r\n".repeat(10_000);
    append(&mut ana, "\"Sent/2024\"", "(\\Seen)", &large);
    // The same message in two mailboxes.
    done(&mut ana, "SELECT INBOX");
    done(&mut ana, "UID COPY 4:6 Gr&APwA3w-e");
    done(&mut ana, "UID STORE 2,9:11,30 +FLAGS (\\Deleted)");
    done(&mut ana, "EXPUNGE");
    for command in [
        "SUBSCRIBE Sent",
        "SETACL Sent ben lrs",
        "SETACL Sent nobody lr",
        "SETMETADATA Sent (/private/comment \"mine\" /shared/comment \"ours\")",
        "SETMETADATA Sent (/private/specialuse \"\\\\Sent\")",
        "UID STORE 1 ANNOTATION (/comment (value.priv \"note\"))",
    ] {
        done(&mut ana, command);
    }
    ana
}
