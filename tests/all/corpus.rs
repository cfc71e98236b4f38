//! Awkward messages go in and come out byte for byte, through every door, on the same node and on another one.

use sterna_testkit::demo::{Demo, User};
use sterna_testkit::imap::Imap;
use sterna_testkit::smtp::Smtp;
use sterna_testkit::zoo;

#[test]
fn awkward_messages_come_out_as_they_went_in() {
    let demo = Demo::start();
    for user in &demo.at.users {
        let mut imap = login(&demo, user);
        assert!(imap.command("CREATE Zoo").unwrap().ok());
        for (name, message) in zoo::zoo() {
            appended_is_unchanged(&mut imap, name, &message);
            delivered_is_unchanged(&demo, user, &mut imap, name, &message);
        }
    }
}

#[test]
fn fifty_megabytes_come_out_as_they_went_in() {
    let demo = Demo::start();
    let message = zoo::fifty_megabytes();
    for user in &demo.at.users {
        let mut imap = login(&demo, user);
        assert!(imap.command("CREATE Zoo").unwrap().ok());
        appended_is_unchanged(&mut imap, "fifty megabytes", &message);
        delivered_is_unchanged(&demo, user, &mut imap, "fifty megabytes", &message);
    }
}

fn login(demo: &Demo, user: &User) -> Imap {
    Imap::login(&demo.at.imap.host, demo.at.imap.port, &user.address, &user.password).unwrap()
}

/// APPEND has rules of its own: no NUL (RFC 9051 section 4.3: literal8 is for those).
fn appended_is_unchanged(imap: &mut Imap, name: &str, message: &[u8]) {
    let appended = imap.append("Zoo", message).unwrap();
    if message.contains(&0) && !appended.ok() {
        return;
    }
    assert!(appended.ok(), "{name}: {}", appended.status);
    assert_eq!(newest(imap, "Zoo", name), message, "{name} through APPEND");
}

/// A delivered message gets trace fields in front, and nothing else is touched.
fn delivered_is_unchanged(demo: &Demo, user: &User, imap: &mut Imap, name: &str, message: &[u8]) {
    let mut lmtp = Smtp::connect(&demo.at.lmtp.host, demo.at.lmtp.port, "LHLO").unwrap();
    let replies = lmtp.send(&[&user.address], message, 1).unwrap();
    if !replies[0].starts_with("250") {
        assert!(replies[0].starts_with("55"), "{name}: {replies:?}");
        assert!(has_bare_line_ends(message), "{name}: {replies:?}");
        return;
    }
    let stored = newest(imap, "INBOX", name);
    assert!(stored.ends_with(message), "{name} through LMTP");
    let trace = String::from_utf8(stored[..stored.len() - message.len()].to_vec()).unwrap();
    assert!(trace.starts_with("Return-Path: <sender@client.test>\r\n") && trace.ends_with("\r\n"), "{name}: {trace}");
}

/// What RFC 5321 section 2.3.8 forbids and we refuse, because other servers would read another message in it.
fn has_bare_line_ends(message: &[u8]) -> bool {
    let bare = |at: usize| match message[at] {
        b'\n' => at == 0 || message[at - 1] != b'\r',
        b'\r' => message.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    (0..message.len()).any(bare)
}

/// The last message of a mailbox; asking for its structure must not fail, whatever the message is.
fn newest(imap: &mut Imap, mailbox: &str, name: &str) -> Vec<u8> {
    assert!(imap.command(&format!("SELECT {mailbox}")).unwrap().ok());
    let shown = imap.command("FETCH * (UID FLAGS ENVELOPE BODYSTRUCTURE BODY RFC822.SIZE)").unwrap();
    assert!(shown.ok(), "{name}: {}", shown.status);
    let mut fetched = imap.command("FETCH * (BODY.PEEK[])").unwrap();
    assert!(fetched.ok(), "{name}: {}", fetched.status);
    fetched.literals.pop().unwrap_or_default()
}
