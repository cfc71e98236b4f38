//! Messages that mean no good, or would go on for ever.

use std::time::Duration;

use sterna_testkit::binary::have_root;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::wait::until;

const ANA: &str = "ana@near.test";
const ZOE: &str = "zoe@far.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client reads of a message in one answer, at most: a bomb must not become larger on its way.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

fn count(imap: &mut Imap) -> usize {
    imap.command("SELECT INBOX").unwrap();
    let answer = imap.command("UID SEARCH ALL").unwrap();
    let line = answer.lines.iter().find(|line| line.starts_with("* ") && line.contains("SEARCH")).unwrap();
    line.split_whitespace().filter(|word| word.parse::<u32>().is_ok()).count()
}

fn one(domain: &str, user: &str, place: Place) -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", place);
    installation.admin_ok("main", &["domain", "create", domain]);
    installation.create_user(user, "main");
    installation
}

/// Messages whose structure, or header, is a bomb.
fn bombs() -> Vec<(&'static str, String)> {
    let nested = |number: usize| format!("Content-Type: multipart/mixed; boundary=b{number}\r\n\r\n--b{number}\r\n");
    let inside = "Content-Type: message/rfc822\r\n\r\n";
    let begin = "From: zoe@far.test\r\nSubject: bomb\r\nMIME-Version: 1.0\r\n";
    let mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    vec![
        ("parts in parts", format!("{begin}{}", (0..20_000).map(nested).collect::<String>())),
        ("messages in messages", format!("{begin}{}", inside.repeat(20_000))),
        ("many parts", format!("{begin}{mixed}{}", "--b\r\n\r\nx\r\n".repeat(200_000))),
        ("many addresses", format!("{begin}To: {}a@b.test\r\n\r\nx\r\n", "a@b.test,\r\n ".repeat(20_000))),
        ("many fields", format!("{begin}{}\r\nx\r\n", "X-A: b\r\n".repeat(20_000))),
        ("many words", format!("{begin}Subject: {}\r\n\r\nx\r\n", "=?utf-8?q?a?= ".repeat(20_000))),
        ("comments in comments", format!("{begin}To: {}\r\n\r\nx\r\n", "(".repeat(100_000))),
        ("parameters", format!("{begin}Content-Type: text/plain{}\r\n\r\nx\r\n", "; a*0*=b".repeat(20_000))),
    ]
}

#[test]
fn bombs_are_messages_like_others_or_refused_while_their_sender_waits() {
    let installation = one("near.test", ANA, Place::default());
    let at = installation.node("main").at;
    let mut imap = at.login(ANA).unwrap();
    let mut expected = 0;
    for (name, bomb) in bombs() {
        let reply = at.smtp().unwrap().deliver(ZOE, &[ANA], bomb.as_bytes()).unwrap();
        expected += usize::from(reply.starts_with("250"));
        assert!(reply.starts_with("250") || reply.starts_with("55"), "{name}: {reply}");
        assert_eq!(count(&mut imap), expected, "{name}");
        for item in ["ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[HEADER.FIELDS (SUBJECT)]"] {
            let answer = imap.command(&format!("FETCH * ({item})")).unwrap();
            let bytes: usize = answer.lines.iter().map(String::len).sum();
            assert!(answer.ok() && bytes < ANSWER_BYTES_MAX, "{name}: {item}: {bytes} bytes");
        }
        assert!(imap.command("SEARCH TEXT tern").unwrap().ok(), "{name}");
    }
    assert!(expected > 4, "most are messages: {expected}");
}

#[test]
fn what_two_servers_send_on_to_each_other_comes_to_an_end() {
    if !have_root() {
        return;
    }
    let mut near = Installation::new();
    let place = near.exchanger();
    near.dns.mx("near.test", 10, "mx.near.test");
    near.dns.address("mx.near.test", place.at.unwrap().host);
    near.start_main("main,edge,data", place);
    near.admin_ok("main", &["domain", "create", "near.test"]);
    near.create_user(ANA, "main");
    let mut far = Installation::new();
    far.set_nameserver(near.dns.address);
    let place = far.exchanger();
    near.dns.mx("far.test", 10, "mx.far.test");
    near.dns.address("mx.far.test", place.at.unwrap().host);
    far.start_main("main,edge,data", place);
    far.admin_ok("main", &["domain", "create", "far.test"]);
    far.create_user(ZOE, "main");
    near.admin_ok("main", &["user", "set", ANA, "--forward", ZOE]);
    far.admin_ok("main", &["user", "set", ZOE, "--forward", ANA]);

    let message = b"From: x@other.test\r\nSubject: round\r\n\r\nThe terns are back.\r\n";
    let mut smtp = near.node("main").at.smtp().unwrap();
    assert!(smtp.deliver("", &[ANA], message).unwrap().starts_with("250"));
    let (mut ana, mut zoe) = (near.node("main").at.login(ANA).unwrap(), far.node("main").at.login(ZOE).unwrap());
    let is_empty =
        |installation: &Installation| installation.admin_ok("main", &["--json", "queue", "list"]).trim() == "[]";
    until("the copy that came around", PATIENCE, || (count(&mut ana) == 2).then_some(()));
    until("empty queues", PATIENCE, || (is_empty(&near) && is_empty(&far)).then_some(()));
    assert_eq!((count(&mut ana), count(&mut zoe)), (2, 1));

    // Nobody keeps a copy, and nobody is to be told: it is refused where it has been, and that is all.
    near.admin_ok("main", &["user", "set", ANA, "--forward-only", "yes"]);
    far.admin_ok("main", &["user", "set", ZOE, "--forward-only", "yes"]);
    let id = "Message-ID: <again@other.test>\r\n";
    let again = [id.as_bytes(), message].concat();
    assert!(smtp.deliver("", &[ANA], &again).unwrap().starts_with("250"));
    let traced = || {
        let output = far.admin("main", &["--json", "trace", "<again@other.test>"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.contains("5.4.6").then_some(())
    };
    until("the refusal in the trace", PATIENCE, traced);
    until("empty queues", PATIENCE, || (is_empty(&near) && is_empty(&far)).then_some(()));
    assert_eq!((count(&mut ana), count(&mut zoe)), (2, 1));
}
