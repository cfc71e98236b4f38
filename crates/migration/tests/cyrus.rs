//! Debian's `sync_client` against the receiver: what Cyrus' own tools made arrives in accounts, sums agree, and a
//! second run finds nothing to do.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use async_trait::async_trait;
use sterna_account::local::LocalAccounts;
use sterna_account::service::Accounts;
use sterna_account::{Account, Container, ContainerKind, Identifier, ItemParts, Mutation, Rights, SystemFlag, UidSet};
use sterna_base::{AccountId, Epoch, OperationId, Secret, SystemClock};
use sterna_engines::sqlite::SqliteEngine;
use sterna_migration::cyrus::doors::{Arrival, Channel, Users};
use sterna_migration::cyrus::mirror::Mirror;
use sterna_migration::cyrus::session::Session;
use sterna_migration::cyrus::verify::{Comparison, compare};
use sterna_migration::imap::account::Identities;
use sterna_testkit::binary;
use sterna_testkit::cyrus::{ADMIN, Cyrus, wait_for};
use sterna_testkit::imap::Imap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const ANA: AccountId = AccountId(7);
const BEN: AccountId = AccountId(8);
const SHARED: AccountId = AccountId(9);

struct Here {
    accounts: HashMap<&'static str, Arc<dyn Account>>,
    /// They end with it.
    _local: LocalAccounts,
    is_closed: AtomicBool,
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
struct Receiver {
    here: Arc<Here>,
    mirror: Mirror,
    port: u16,
    runtime: tokio::runtime::Runtime,
    _folder: tempfile::TempDir,
}

impl Receiver {
    fn start() -> Self {
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

    fn account(&self, user: &str) -> Arc<dyn Account> {
        self.here.accounts[user].clone()
    }

    fn compare(&self, user: &str) -> Comparison {
        self.runtime.block_on(compare(self.account(user).as_ref(), &self.mirror, user)).unwrap()
    }

    /// The mail folders, by their paths.
    fn folders(&self, user: &str) -> HashMap<String, Container> {
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

fn done(imap: &mut Imap, command: &str) {
    let answer = imap.command(command).unwrap();
    assert!(answer.ok(), "{command}: {}", answer.status);
}

fn append(imap: &mut Imap, mailbox: &str, options: &str, text: &str) {
    let message = format!("From: a@x.test\r\nSubject: one\r\n\r\n{text}\r\n");
    let answer = imap.append(&format!("{mailbox} {options}"), message.as_bytes()).unwrap();
    assert!(answer.ok(), "{mailbox}: {}", answer.status);
}

/// What was told to the other side besides log-in and questions.
fn told(said: &str) -> Vec<&str> {
    let commands = said.lines().filter_map(|line| line.split_once('>')?.1.split_once('>').map(|(_, command)| command));
    commands.filter(|command| command.starts_with("APPLY") && !command.starts_with("APPLY CAP")).collect()
}

/// UIDVALIDITY and UIDNEXT of a mailbox there.
fn numbers(imap: &mut Imap, mailbox: &str) -> (u32, u32) {
    let answer = imap.command(&format!("STATUS {mailbox} (UIDVALIDITY UIDNEXT)")).unwrap();
    let text = answer.lines.concat();
    let number = |name: &str| {
        let rest = text.split(name).nth(1).unwrap_or_default().trim_start();
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    (number("UIDVALIDITY"), number("UIDNEXT"))
}

fn filled(cyrus: &Cyrus) -> Imap {
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

#[test]
fn an_old_server_brings_its_users_and_finds_nothing_to_do_afterwards() {
    if !binary::have_root() {
        return;
    }
    let receiver = Receiver::start();
    let cyrus = Cyrus::start(receiver.port, ("root", "secret"));
    let mut ana = filled(&cyrus);
    let mut ben = cyrus.login("ben");
    done(&mut ben, "SELECT \"Other Users/ana/Sent\"");

    let said = cyrus.replicate(&["-A"]);
    assert!(!told(&said).is_empty(), "{said}");
    for user in ["ana", "ben", "shared"] {
        let found = receiver.compare(user);
        assert!(found.differences.is_empty(), "{user}: {found:?} {said}");
    }
    assert_eq!(receiver.compare("ana").messages, 30 - 5 + 3 + 1, "{said}");
    assert_eq!(receiver.compare("ana").quota_bytes, Some(100_000 * 1024));
    assert_eq!(receiver.compare("shared").messages, 1);
    let folders = receiver.folders("ana");
    for (here, there) in [
        ("INBOX", "INBOX"),
        ("Sent", "Sent"),
        ("Sent/2024", "\"Sent/2024\""),
        ("Grüße", "Gr&APwA3w-e"),
        ("a.b", "a.b"),
        ("x y", "\"x y\""),
    ] {
        let container = folders.get(here).unwrap_or_else(|| panic!("{here} {:?}", folders.keys()));
        assert_eq!((container.uid_validity.0, container.uid_next.0), numbers(&mut ana, there), "{here}");
    }
    let sent = &folders["Sent"];
    assert_eq!(sent.acl.entries().len(), 1, "nobody is nobody here");
    assert_eq!(
        (sent.acl.entries()[0].identifier, sent.acl.entries()[0].rights),
        (Identifier::Entry(BEN), Rights::parse("lrs").unwrap())
    );
    assert!(receiver.compare("ana").troubles.iter().any(|text| text.contains("nobody")));
    let account = receiver.account("ana");
    let notes = receiver.runtime.block_on(async {
        let path = [ContainerKind::about(Some(sent.id))];
        let container = account.containers_on_path(ContainerKind::Metadata, &path).await.unwrap().remove(0);
        let parts = ItemParts { body: true, ..ItemParts::default() };
        account.items(container.id, &UidSet::all(), parts, 10).await.unwrap()
    });
    let notes: Vec<_> = notes.into_iter().map(|item| (item.name.unwrap(), item.body.unwrap())).collect();
    assert!(notes.contains(&("/shared/comment".to_owned(), "ours".into())), "{notes:?}");
    assert!(notes.contains(&(format!("{ANA}/private/comment"), "mine".into())), "{notes:?}");

    let again = cyrus.replicate(&["-A"]);
    assert_eq!(told(&again), Vec::<&str>::new(), "{again}");

    // What changes there comes, and only that.
    done(&mut ana, "SELECT INBOX");
    done(&mut ana, "UID STORE 3 +FLAGS (\\Answered)");
    done(&mut ana, "UID STORE 5 +FLAGS (\\Deleted)");
    done(&mut ana, "EXPUNGE");
    append(&mut ana, "INBOX", "()", "new");
    done(&mut ana, "RENAME a.b c.d");
    done(&mut ana, "DELETE \"x y\"");
    let said = cyrus.replicate(&["-u", "ana"]);
    let found = receiver.compare("ana");
    assert!(found.differences.is_empty(), "{found:?} {said}");
    assert_eq!(told(&said).iter().filter(|command| command.starts_with("APPLY MESSAGE")).count(), 1, "{said}");
    let folders = receiver.folders("ana");
    assert!(folders.contains_key("c.d") && !folders.contains_key("a.b") && !folders.contains_key("x y"), "{said}");
    assert_eq!(told(&cyrus.replicate(&["-u", "ana"])), Vec::<&str>::new());

    // A switched user is not touched any more.
    receiver.here.is_closed.store(false, Ordering::Relaxed);
    append(&mut ana, "INBOX", "()", "late");
    let output = cyrus.run("sync_client", &["-u", "ana"]);
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(receiver.compare("ana").messages, found.messages);
}

#[test]
fn a_rolling_replication_brings_what_happens() {
    if !binary::have_root() {
        return;
    }
    let receiver = Receiver::start();
    let cyrus = Cyrus::start(receiver.port, ("root", "secret"));
    let mut ana = filled(&cyrus);
    let mut rolling = cyrus.rolling();
    let messages = |count: u64| {
        let found = receiver.compare("ana");
        (found.messages == count && found.differences.is_empty()).then_some(())
    };
    wait_for("the first messages", || messages(29));
    append(&mut ana, "INBOX", "(\\Seen)", "rolling");
    wait_for("a message", || messages(30));
    done(&mut ana, "SELECT INBOX");
    done(&mut ana, "UID STORE 1:10 +FLAGS (\\Flagged)");
    let inbox = receiver.folders("ana")["INBOX"].id;
    wait_for("flags", || {
        let account = receiver.account("ana");
        let flags = receiver.runtime.block_on(account.item_flags(inbox, sterna_base::Uid(0), 5)).unwrap();
        flags.iter().all(|item| item.flags.has(SystemFlag::Flagged)).then_some(())
    });
    let _ = rolling.kill();
    let _ = rolling.wait();

    // Without the right password nothing is told and nothing is done. (`sync_client` would try again for ever.)
    let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, receiver.port)).unwrap();
    let commands = ["GET USER ana", "AUTHENTICATE PLAIN AHJvb3QAd3Jvbmc=", "APPLY UNUSER ana", "EXIT"];
    stream.write_all(format!("{}\r\n", commands.join("\r\n")).as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!(said.matches("NO IMAP_PERMISSION_DENIED").count(), 3, "{said}");
    assert!(!said.contains("MAILBOX"), "{said}");
}

#[test]
fn what_was_changed_here_meanwhile_is_found() {
    if !binary::have_root() {
        return;
    }
    let receiver = Receiver::start();
    let cyrus = Cyrus::start(receiver.port, ("root", "secret"));
    let _ana = filled(&cyrus);
    cyrus.replicate(&["-u", "ana"]);
    let (account, inbox) = (receiver.account("ana"), receiver.folders("ana")["INBOX"].id);
    let step = Mutation::Expunge { container: inbox, uids: UidSet::one(sterna_base::Uid(1)), deleted_only: false };
    receiver.runtime.block_on(account.commit(OperationId::random(), vec![step])).unwrap();
    let found = receiver.compare("ana");
    assert!(found.differences.iter().any(|text| text.contains("UID 1 has not come")), "{found:?}");
}
