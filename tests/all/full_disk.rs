//! A disk that is full: nothing is taken that can't be kept, what is there can be read, and space is all it takes to go
//! on.

use std::time::Duration;

use sterna_testkit::disk::Disk;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place, errors};
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const SMALL: &[u8] = b"From: sender@client.test\r\nSubject: small\r\n\r\nThe terns are back.\r\n";

/// Room for an empty account or two, and a few messages.
const DISK_BYTES: usize = 24 * 1024 * 1024;

/// Larger than what a session keeps in memory.
const LARGE_BYTES: usize = 2 * 1024 * 1024;

/// How long it may take until a disk with space is used again.
const SERVED_WITHIN: Duration = Duration::from_secs(20);

fn large() -> Vec<u8> {
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    while message.len() < LARGE_BYTES {
        message.extend_from_slice(b"Arctic terns see two summers a year, and more daylight than anybody else.\r\n");
    }
    message
}

fn count(imap: &mut Imap) -> usize {
    let answer = imap.command("SELECT INBOX").unwrap();
    let exists = answer.lines.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS"));
    exists.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

#[test]
fn a_data_server_with_a_full_disk_takes_nothing_loses_nothing_and_is_read() {
    let Some(disk) = Disk::new(DISK_BYTES) else { return };
    let mut installation = Installation::new();
    installation.start_main("main,edge", Place::default());
    installation.join_and_serve("alpha", "data", Place::default());
    let place = Place { dir: Some(disk.path().join("beta")), ..Place::default() };
    installation.join_and_serve("beta", "data", place);
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "alpha");
    installation.create_user(BEN, "beta");
    let edge = installation.node("main").at;
    let mut lmtp = edge.lmtp().unwrap();
    assert!(lmtp.send(&[BEN], SMALL, 1).unwrap()[0].starts_with("250"));
    let mut session = edge.login(BEN).unwrap();
    assert_eq!(count(&mut session), 1);

    disk.fill();
    // What still fits into a file that is there already may be taken; after that nothing is.
    let (refusal, _) = until("a small message is refused", SERVED_WITHIN, || {
        let replies = lmtp.send(&[ANA, BEN], SMALL, 2).unwrap();
        assert!(replies[0].starts_with("250"), "{replies:?}");
        replies.into_iter().nth(1).filter(|reply| !reply.starts_with("250"))
    });
    assert!(refusal.starts_with("452 4.3.1"), "{refusal}");
    for message in [SMALL, &large()] {
        let logs = ["main", "beta"].map(|node| installation.node(node).log().len());
        let replies = lmtp.send(&[ANA, BEN], message, 2).unwrap();
        assert!(replies[0].starts_with("250") && replies[1].starts_with("452 4.3.1"), "{replies:?}");
        // Both nodes say so in one line: the edge whose message it was, the server what it lacks.
        for (node, before) in ["main", "beta"].into_iter().zip(logs) {
            let log = installation.node(node).log();
            let lines = log[before..].lines().filter(|line| line.contains("disk is full")).count();
            assert_eq!(lines, 1, "{node}: {}", &log[before..]);
        }
    }
    let replies = edge.smtp().unwrap().send(&[BEN], SMALL, 1).unwrap();
    assert!(replies[0].starts_with("452 4.3.1"), "{replies:?}");

    let taken = count(&mut session);
    for command in ["STORE 1 +FLAGS (\\Flagged)", "CREATE Full"] {
        let answer = session.command(command).unwrap();
        assert!(answer.status.starts_with("NO [UNAVAILABLE]"), "{command}: {answer:?}");
    }
    for message in [SMALL, &large()] {
        let answer = session.append("INBOX", message).unwrap();
        assert!(answer.status.starts_with("NO [UNAVAILABLE]"), "{answer:?}");
    }
    for imap in [&mut session, &mut edge.login(BEN).unwrap()] {
        assert_eq!(count(imap), taken);
        let read = imap.command("FETCH 1 (FLAGS ENVELOPE BODY.PEEK[TEXT])").unwrap();
        assert_eq!(read.literals, [b"The terns are back.\r\n".to_vec()], "{read:?}");
    }
    // A new account has no room either, and the administrator is told why.
    let created = installation.admin("main", &["user", "create", "cyn@tern.test", "--server", "beta", "--no-password"]);
    assert!(!created.status.success());
    assert!(errors(&created).contains("node beta: the disk is full"), "{}", errors(&created));

    disk.free();
    until("space is used again", SERVED_WITHIN, || {
        lmtp.send(&[BEN], SMALL, 1).unwrap()[0].starts_with("250").then_some(())
    });
    assert!(lmtp.send(&[BEN], &large(), 1).unwrap()[0].starts_with("250"));
    assert!(session.append("INBOX", &large()).unwrap().ok());
    assert_eq!(count(&mut session), taken + 3);
    installation.create_user("cyn@tern.test", "beta");
    until("cyn is served", SERVED_WITHIN, || {
        edge.login("cyn@tern.test").is_ok_and(|mut cyn| count(&mut cyn) == 0).then_some(())
    });
}

#[test]
fn an_edge_with_a_full_disk_takes_what_needs_no_room_there() {
    let Some(disk) = Disk::new(DISK_BYTES) else { return };
    let mut installation = Installation::new();
    installation.start_main("main,edge", Place { dir: Some(disk.path().join("main")), ..Place::default() });
    installation.join_and_serve("alpha", "data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "alpha");
    let edge = installation.node("main").at;

    disk.fill();
    let mut lmtp = edge.lmtp().unwrap();
    let replies = lmtp.send(&[ANA], &large(), 1).unwrap();
    assert!(replies[0].starts_with("452 4.3.1"), "{replies:?}");
    assert!(lmtp.send(&[ANA], SMALL, 1).unwrap()[0].starts_with("250"), "the same connection goes on");
    let mut session = edge.login(ANA).unwrap();
    assert_eq!(count(&mut session), 1);
    assert!(session.command("STORE 1 +FLAGS (\\Flagged)").unwrap().ok(), "the data server has room");
    let refused = installation.admin("main", &["domain", "create", "other.test"]);
    assert!(!refused.status.success() && errors(&refused).contains("free space"), "{}", errors(&refused));
    let log = installation.node("main").log();
    assert!(log.lines().any(|line| line.contains("directory") && line.contains("disk is full")), "{log}");

    disk.free();
    assert!(lmtp.send(&[ANA], &large(), 1).unwrap()[0].starts_with("250"));
    assert_eq!(count(&mut session), 2);
    installation.admin_ok("main", &["domain", "create", "other.test"]);
}
