//! What administrators do with what waits, and a relay host that wants to know who asks.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::addresses;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, PASSWORD, Place};
use sterna_testkit::wait::until;

const ANA: &str = "ana@near.test";
const ZOE: &str = "zoe@far.test";
const BEN: &str = "ben@far.test";
const PATIENCE: Duration = Duration::from_secs(60);

fn set(installation: &Installation, name: &str, value: &str) {
    installation.admin_ok("main", &["config", "set", name, value]);
}

fn queue(near: &Installation, filter: &[&str]) -> Vec<Value> {
    let text = near.admin_ok("main", &[&["--json", "queue", "list"], filter].concat());
    serde_json::from_str(&text).unwrap()
}

fn send(near: &Installation, to: &str) {
    let message = format!("From: {ANA}\r\nTo: {to}\r\nSubject: for {to}\r\n\r\nThe terns are back.\r\n");
    let mut smtp = near.node("main").at.submission(ANA).unwrap();
    assert!(smtp.deliver(ANA, &[to], message.as_bytes()).unwrap().starts_with("250"));
}

fn count(imap: &mut Imap) -> usize {
    imap.command("SELECT INBOX").unwrap();
    let answer = imap.command("UID SEARCH ALL").unwrap();
    let line = answer.lines.iter().find(|line| line.starts_with("* ") && line.contains("SEARCH")).unwrap();
    line.split_whitespace().filter(|word| word.parse::<u32>().is_ok()).count()
}

#[test]
fn what_waits_is_held_rerouted_and_let_go_by_a_relay_host_with_a_password() {
    let mut near = Installation::new();
    near.start_main("main,edge,data", Place::default());
    near.admin_ok("main", &["domain", "create", "near.test"]);
    near.create_user(ANA, "main");
    // The relay host takes mail of those who log in, and nobody else's.
    let mut far = Installation::new();
    far.start_main("main,edge,data", Place::default());
    for domain in ["far.test", "near.test"] {
        far.admin_ok("main", &["domain", "create", domain]);
    }
    for user in [ANA, ZOE, BEN] {
        far.create_user(user, "main");
    }
    let at = far.node("main").at;
    let relay = format!("{}:{}", at.host, at.ports.submission);

    // Nobody is there.
    let [closed] = addresses::free(Ipv4Addr::LOCALHOST);
    set(&near, "relay.host", &closed.to_string());
    until("the relay host in force", PATIENCE, || {
        send(&near, ZOE);
        let all = queue(&near, &[]);
        all.iter().any(|item| item["destination"] == format!("host:{closed}").as_str()).then_some(())
    });
    near.admin_ok("main", &["queue", "delete", "--sender", "ana@*", "--yes"]);
    assert!(queue(&near, &[]).is_empty());
    for to in [ZOE, BEN, "nobody@far.test"] {
        send(&near, to);
    }
    let why = || queue(&near, &["--recipient", "ben@*"]).pop()?["last_reply"].as_str().map(str::to_owned);
    until("a reason", PATIENCE, || why().filter(|why| !why.is_empty()));

    // Held by recipient, deleted by recipient, and the rest by what is not held.
    near.admin_ok("main", &["queue", "hold", "--recipient", "zoe@*"]);
    let held = queue(&near, &["--held"]);
    assert_eq!((held.len(), &held[0]["recipients"][0]), (1, &Value::from(ZOE)));
    near.admin_ok("main", &["queue", "delete", "--recipient", "nobody@*", "--yes"]);
    assert_eq!(queue(&near, &["--destination", &format!("host:{closed}")]).len(), 2);

    // With a wrong password nothing goes, and it is said.
    for (name, value) in [("relay.user", ANA), ("relay.password", "wrong"), ("relay.tls", "encrypt")] {
        set(&near, name, value);
    }
    set(&near, "relay.host", &relay);
    near.admin_ok("main", &["queue", "reroute", "--to", &relay, "--sender", "ana@*"]);
    let refused = || why().filter(|why| why.contains("535") || why.contains("log in"));
    until("the refusal of the password", PATIENCE, || {
        near.admin_ok("main", &["queue", "retry", "--recipient", "ben@*"]);
        refused()
    });
    let mut ben = at.login(BEN).unwrap();
    let mut zoe = at.login(ZOE).unwrap();
    assert_eq!((count(&mut ben), count(&mut zoe)), (0, 0));

    set(&near, "relay.password", PASSWORD);
    until("ben's message", PATIENCE, || {
        near.admin_ok("main", &["queue", "retry", "--destination", &format!("host:{relay}")]);
        (count(&mut ben) == 1).then_some(())
    });
    assert_eq!((count(&mut zoe), queue(&near, &["--held"]).len()), (0, 1), "what is held is not tried");
    near.admin_ok("main", &["queue", "release", "--sender", "ana@*"]);
    until("zoe's message", PATIENCE, || (count(&mut zoe) == 1).then_some(()));
    until("an empty queue", PATIENCE, || queue(&near, &[]).is_empty().then_some(()));
    assert_eq!((count(&mut ben), count(&mut zoe)), (1, 1), "once each");
    // Nobody is shown the password, or finds it in the history.
    let told = near.admin_ok("main", &["config", "list"]) + &near.admin_ok("main", &["config", "history"]);
    assert!(!told.contains(PASSWORD), "{told}");
}

/// A server that keeps silent at the end of each content, until it is told what to say; nothing is that it hangs up.
struct Silent {
    address: SocketAddr,
    /// The messages that it has and has said nothing of.
    has: Receiver<String>,
    say: Sender<Option<&'static str>>,
}

impl Silent {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let ((got, has), (say, said)) = (channel(), channel());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever hangs up first ends the session.
                let _ = session(&stream, &got, &said);
            }
        });
        Silent { address, has, say }
    }
}

fn session(
    mut stream: &std::net::TcpStream,
    got: &Sender<String>,
    said: &Receiver<Option<&'static str>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    stream.write_all(b"220 silent\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        if line != "DATA" {
            stream.write_all(b"250 go on\r\n")?;
            continue;
        }
        stream.write_all(b"354 go on\r\n")?;
        let mut content = String::new();
        while let Some(line) = lines.next().transpose()?.filter(|line| line != ".") {
            content.push_str(&line);
        }
        got.send(content).unwrap();
        match said.recv() {
            Ok(Some(reply)) => stream.write_all(reply.as_bytes())?,
            _ => break,
        }
    }
    Ok(())
}

#[test]
fn what_another_server_has_in_hands_is_neither_rerouted_nor_deleted() {
    let mut near = Installation::new();
    near.start_main("main,edge,data", Place::default());
    near.admin_ok("main", &["domain", "create", "near.test"]);
    near.create_user(ANA, "main");
    let mut far = Installation::new();
    far.start_main("main,edge,data", Place::default());
    far.admin_ok("main", &["domain", "create", "far.test"]);
    far.create_user(ZOE, "main");
    let at = far.node("main").at;
    let other = format!("{}:{}", at.host, at.ports.smtp);
    let silent = Silent::start();
    set(&near, "mail.routes", &format!("far.test={}", silent.address));
    set(&near, "relay.tls", "never");
    until("the route in force", PATIENCE, || {
        send(&near, ZOE);
        let all = queue(&near, &[]);
        let routed = all.iter().any(|item| item["destination"] == format!("host:{}", silent.address).as_str());
        if !routed {
            near.admin_ok("main", &["queue", "delete", "--all", "--yes"]);
        }
        routed.then_some(())
    });
    let content = silent.has.recv_timeout(PATIENCE).unwrap();
    assert!(content.contains("The terns are back."), "{content}");

    // The server may have it, and says nothing. Nobody knows, so nothing is done, and it is said what to do.
    for action in [&["queue", "reroute", "--to", &other, "--all"][..], &["queue", "delete", "--all", "--yes"]] {
        let output = near.admin("main", action);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{action:?}");
        assert!(said.contains("under way") && said.contains("sterna queue hold"), "{said}");
    }
    let mut zoe = at.login(ZOE).unwrap();
    assert_eq!((queue(&near, &[]).len(), count(&mut zoe)), (1, 0));

    // It hangs up: now the message goes the other way, once.
    silent.say.send(None).unwrap();
    until("the end of the try", PATIENCE, || {
        near.admin("main", &["queue", "reroute", "--to", &other, "--all"]).status.success().then_some(())
    });
    until("the message", PATIENCE, || (count(&mut zoe) == 1).then_some(()));
    until("an empty queue", PATIENCE, || queue(&near, &[]).is_empty().then_some(()));

    // It takes the message while the administrator waits: there is nothing to reroute any more.
    send(&near, ZOE);
    silent.has.recv_timeout(PATIENCE).unwrap();
    let waiting = near.admin_command("main", &["queue", "reroute", "--to", &other, "--all"]).spawn().unwrap();
    silent.say.send(Some("250 taken\r\n")).unwrap();
    let output = waiting.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "nothing to do");
    until("an empty queue", PATIENCE, || queue(&near, &[]).is_empty().then_some(()));
    assert_eq!(count(&mut zoe), 1, "once");
}
