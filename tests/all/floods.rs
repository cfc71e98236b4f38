//! Clients that stall, flood, and send what never ends: they are refused in the protocol's own words, and nobody else
//! notices them.

use std::fs;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use sterna_testkit::installation::{Doors, Installation, PASSWORD, Place};
use sterna_testkit::network::Network;
use sterna_testkit::raw::{Flood, Raw};
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const MESSAGE: &[u8] = b"Subject: in between\r\n\r\nThe terns are back.\r\n";

/// Clients of each kind that do the same at the same time.
const CLIENTS: usize = 40;

/// What others may wait meanwhile. A test machine is slow, but no timeout of a stalled client fits into this.
const AT_ONCE: Duration = Duration::from_secs(5);

/// More than any buffer between client and server holds.
const ENDLESS_BYTES: usize = 64 * 1024 * 1024;

/// What a flood may cost the edge in memory: a small part of what is sent to it.
const MEMORY_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The documented limit of connections from one address.
const CONNECTIONS_PER_PEER_MAX: usize = 200;

fn installation() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,data,edge", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "main");
    installation
}

fn is_served_at_once(edge: Doors) {
    let start = Instant::now();
    assert!(edge.lmtp().unwrap().send(&[ANA], MESSAGE, 1).unwrap()[0].starts_with("250"));
    let mut imap = edge.login(ANA).unwrap();
    assert!(imap.command("SELECT INBOX").unwrap().ok());
    assert!(imap.command("FETCH * (FLAGS ENVELOPE BODY.PEEK[])").unwrap().ok());
    assert!(start.elapsed() < AT_ONCE, "ana waited {:?}", start.elapsed());
}

fn imap_session(edge: Doors) -> Raw {
    let mut imap = Raw::connect(edge.host, edge.ports.imap).unwrap();
    imap.send(format!("l LOGIN {ANA} \"{PASSWORD}\"\r\n").as_bytes()).unwrap();
    imap.expect("l OK").unwrap();
    imap
}

/// What the node's process has in memory.
fn resident_bytes(installation: &Installation) -> usize {
    let path = format!("/proc/{}/status", installation.node("main").process_id());
    let status = fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn clients_that_stall_half_way_hold_up_nobody() {
    let installation = installation();
    let edge = installation.node("main").at;
    let Doors { host, ports, .. } = edge;
    let stalls: [(u16, &[u8]); 10] = [
        (ports.imap, b""),
        (ports.imap, b"a LOGIN ana"),
        (ports.imap, b"a LOGIN {13}\r\n"),
        (ports.imaps, b"\x16\x03\x01"),
        (ports.pop3, b"USER ana@tern.te"),
        (ports.pop3, b"STLS\r\n"),
        (ports.lmtp, b"LHLO client.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<ana@tern.test>\r\nDATA\r\nSubject: ha"),
        (ports.lmtp, b"LHLO client.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<ana@tern.test>\r\nBDAT 9999 LAST\r\nhalf"),
        (ports.smtp, b"EHLO client.te"),
        (ports.submission, b"EHLO client.test\r\nSTARTTLS\r\n"),
    ];
    let mut stalled = Vec::new();
    for (port, bytes) in stalls {
        for _ in 0..CLIENTS {
            let mut client = Raw::connect(host, port).unwrap();
            client.send(bytes).unwrap();
            stalled.push(client);
        }
    }
    let mut append = imap_session(edge);
    append.send(b"a APPEND INBOX {1000+}\r\nSubject: half").unwrap();
    is_served_at_once(edge);

    // Slow is not stalled: byte by byte it arrives, and is one message.
    let mut slow = Raw::connect(host, ports.lmtp).unwrap();
    let text = b"LHLO client.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<ana@tern.test>\r\nDATA\r\n";
    for byte in text.iter().chain(b"Subject: slow\r\n\r\nByte by byte.\r\n.\r\n") {
        slow.send(&[*byte]).unwrap();
    }
    assert!(slow.expect("250 2.").is_ok() && slow.send(b"QUIT\r\n").is_ok());
    let mut imap = edge.login(ANA).unwrap();
    let found = until("the slow message is there", AT_ONCE, || {
        imap.command("SELECT INBOX").unwrap();
        let answer = imap.command("SEARCH SUBJECT slow").unwrap();
        answer.lines.into_iter().find(|line| line.starts_with("* SEARCH "))
    });
    assert_eq!(found.0, "* SEARCH 2");
}

#[test]
fn lines_and_literals_without_end_are_refused_and_cost_little() {
    let installation = installation();
    let edge = installation.node("main").at;
    let Doors { host, ports, .. } = edge;
    let before = resident_bytes(&installation);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(move || {
                let mut imap = Raw::connect(host, ports.imap).unwrap();
                assert_eq!(imap.flood(&[b'x'; 16 * 1024], ENDLESS_BYTES), Flood::Closed);
            });
            for port in [ports.pop3, ports.smtp, ports.lmtp] {
                scope.spawn(move || {
                    let mut client = Raw::connect(host, port).unwrap();
                    assert_eq!(client.flood(&[b'x'; 16 * 1024], ENDLESS_BYTES), Flood::Closed);
                });
            }
        }
        is_served_at_once(edge);
    });

    // A line that is only too long is answered, and the next one is heard.
    let mut imap = Raw::connect(host, ports.imap).unwrap();
    imap.send(format!("a NOOP {}\r\nb NOOP\r\n", "x".repeat(200_000)).as_bytes()).unwrap();
    imap.expect("a BAD [TOOBIG]").unwrap();
    imap.expect("b OK").unwrap();
    // Before log-in nobody has business with large literals, announced or sent.
    let mut imap = Raw::connect(host, ports.imap).unwrap();
    imap.send(b"a LOGIN {99999999999}\r\n").unwrap();
    imap.expect("a BAD [TOOBIG]").unwrap();
    let mut imap = Raw::connect(host, ports.imap).unwrap();
    imap.send(b"a LOGIN {99999999999+}\r\n").unwrap();
    imap.expect("* BYE").unwrap();
    assert!(imap.is_closed().unwrap());
    // A message that is too large is refused before it is sent, and the session lives on.
    let mut imap = imap_session(edge);
    imap.send(b"a APPEND INBOX {99999999999}\r\nb NOOP\r\n").unwrap();
    imap.expect("a NO [TOOBIG]").unwrap();
    imap.expect("b OK").unwrap();
    imap.send(b"c APPEND INBOX {99999999999+}\r\n").unwrap();
    imap.expect("* BYE").unwrap();
    // And by mail.
    let mut lmtp = edge.lmtp().unwrap();
    let refused = lmtp.command("MAIL FROM:<a@b.test> SIZE=99999999999").unwrap();
    assert!(refused.starts_with("552 5.3.4"), "{refused}");
    assert!(lmtp.command("MAIL FROM:<a@b.test>").unwrap().starts_with("250"), "the connection goes on");
    assert!(lmtp.command(&format!("RCPT TO:<{ANA}>")).unwrap().starts_with("250"));
    let refused = lmtp.command("BDAT 99999999999 LAST").unwrap();
    assert!(refused.starts_with("552 5.3.4"), "{refused}");

    let grown = resident_bytes(&installation).saturating_sub(before);
    assert!(grown < MEMORY_BYTES_MAX, "the floods cost {grown} bytes");
    is_served_at_once(edge);
}

#[test]
fn who_asks_and_never_reads_is_not_read_any_more() {
    let installation = installation();
    let edge = installation.node("main").at;
    let before = resident_bytes(&installation);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let mut imap = imap_session(edge);
                let commands = b"a CAPABILITY\r\n".repeat(1000);
                assert_eq!(imap.flood(&commands, ENDLESS_BYTES), Flood::Blocked);
            });
            scope.spawn(move || {
                let mut smtp = Raw::connect(edge.host, edge.ports.smtp).unwrap();
                let commands = b"EHLO client.test\r\n".repeat(1000);
                assert_ne!(smtp.flood(&commands, ENDLESS_BYTES), Flood::Taken);
            });
        }
        is_served_at_once(edge);
    });
    let grown = resident_bytes(&installation).saturating_sub(before);
    assert!(grown < MEMORY_BYTES_MAX, "the floods cost {grown} bytes");
}

#[test]
fn nonsense_is_answered_a_few_times_and_then_not_any_more() {
    let installation = installation();
    let Doors { host, ports, .. } = installation.node("main").at;
    let nonsense = b"\x00\xff\xfe nonsense {\r\n".repeat(1000);
    for (port, answer, farewell) in
        [(ports.imap, "BAD", "* BYE"), (ports.smtp, "500", "421"), (ports.lmtp, "500", "421")]
    {
        let mut client = Raw::connect(host, port).unwrap();
        // It may hang up before everything is sent.
        let _ = client.send(&nonsense);
        assert!(client.expect(answer).is_ok(), "{port}");
        assert!(client.expect(farewell).is_ok(), "{port}");
        assert!(client.is_closed().unwrap());
    }
    is_served_at_once(installation.node("main").at);
}

#[test]
fn one_address_gets_so_many_connections_and_others_get_theirs() {
    let Some(network) = Network::new(&["main", "crowd", "ana"]) else { return };
    let mut installation = Installation::new();
    // It listens everywhere: for its own clients on loopback, for the others on its cable.
    let mut place = network.place("main");
    place.at = place.at.map(|at| Doors { host: IpAddr::from([0, 0, 0, 0]), ..at });
    installation.start_main("main,data,edge", place);
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "main");
    let edge = installation.node("main").at;
    let loopback = Doors { host: IpAddr::from([127, 0, 0, 1]), ..edge };
    let cable = Doors { host: edge.cluster.ip(), ..edge };

    for (port, greeting, busy) in
        [(cable.ports.imap, "* OK", "* BYE [UNAVAILABLE]"), (cable.ports.smtp, "220", "421 4.3.2")]
    {
        let mut crowd = network.inside("crowd", || {
            let connect = |_| Raw::connect(cable.host, port).unwrap();
            (0..CONNECTIONS_PER_PEER_MAX).map(connect).collect::<Vec<Raw>>()
        });
        for client in &mut crowd {
            client.expect(greeting).unwrap();
        }
        let log_before = installation.node("main").log().len();
        let mut one_more = network.inside("crowd", || Raw::connect(cable.host, port).unwrap());
        one_more.expect(busy).unwrap();
        assert!(one_more.is_closed().unwrap());
        let log = installation.node("main").log()[log_before..].to_owned();
        assert_eq!(log.matches("too many connections").count(), 1, "{log}");
        network.inside("ana", || Raw::connect(cable.host, port).unwrap().expect(greeting)).unwrap();
        let mut lmtp = network.inside("main", || loopback.lmtp()).unwrap();
        assert!(lmtp.send(&[ANA], MESSAGE, 1).unwrap()[0].starts_with("250"));
        // Whoever goes makes room.
        drop(crowd.pop());
        until("there is room again", AT_ONCE, || {
            network.inside("crowd", || Raw::connect(cable.host, port).unwrap().expect(greeting)).ok()
        });
    }
}
