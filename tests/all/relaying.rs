//! Attempts to send to others through us, in every form that was ever tried.

use serde_json::Value;

const ANA: &str = "ana@tern.test";

/// Recipients that lead, or would lead a careless server, to zoe@far.test.
const RECIPIENTS: &[&str] = &[
    "<zoe@far.test>",
    "<zoe%far.test@tern.test>",
    "<zoe%far.test>",
    "<\"zoe@far.test\">",
    "<\"zoe@far.test\"@tern.test>",
    "<\"zoe%far.test\"@tern.test>",
    "<\"zoe%far.test\">",
    "<far.test!zoe>",
    "<far.test!zoe@tern.test>",
    "<tern.test!far.test!zoe>",
    "<@tern.test:zoe@far.test>",
    "<@tern.test,@far.test:zoe@far.test>",
    "<@tern.test:zoe%far.test>",
    "<@tern.test:ana@tern.test@far.test>",
    "<zoe@far.test@tern.test>",
    "<zoe@far.test@[127.0.0.1]>",
    "<zoe@far.test@>",
    "<zoe@[127.0.0.1]>",
    "<zoe%far.test@[127.0.0.1]>",
    "<zoe@far.test,ana@tern.test>",
    "<ana@tern.test,zoe@far.test>",
    "<ana@tern.test> <zoe@far.test>",
    "<ana@tern.test>\u{b}<zoe@far.test>",
    "<ana@tern.test\0@far.test>",
    "<ana@tern.test\t@far.test>",
    "<zoe@far.test.>",
    "<zoe@FAR.TEST>",
    "<zoe@far\u{2024}test>",
    "<zoe@far.test%20@tern.test>",
    "<+zoe@far.test>",
    "<:include:/etc/passwd@tern.test>",
    "<|/bin/sh@tern.test>",
    "</dev/null@tern.test>",
    "zoe@far.test",
    "<>",
    "<postmaster%far.test@tern.test>",
    "<SRS0=aaaa=AA=far.test=zoe@tern.test>",
    "<SRS0+aaaa=AA=far.test=zoe@tern.test>",
    "<SRS1=aaaa=far.test==aaaa=AA=far.test=zoe@tern.test>",
];

/// Senders that look like ours, or like nobody's.
const SENDERS: &[&str] = &["x@other.test", "", "ana@tern.test", "ana%tern.test", "ana@[127.0.0.1]", "postmaster"];

#[test]
fn nobody_sends_to_others_through_us() {
    let Some((installation, postfix)) = crate::sending::world() else { return };
    let at = installation.node("main").at;
    installation.admin_ok("main", &["domain", "set", "tern.test", "--postmaster", ANA]);
    // Neither plus-addresses nor a catch-all make a hole of these.
    installation.admin_ok("main", &["config", "set", "plus-separators", "+="]);
    for (number, sender) in SENDERS.iter().enumerate() {
        for recipient in RECIPIENTS {
            let mut smtp = at.smtp().unwrap();
            if !smtp.command(&format!("MAIL FROM:<{sender}>")).unwrap().starts_with("250") {
                break;
            }
            let reply = smtp.command(&format!("RCPT TO:{recipient}")).unwrap();
            assert!(reply.starts_with('5'), "sender {number} {sender:?} to {recipient:?}: {reply}");
            let reply = smtp.command("DATA").unwrap();
            assert!(reply.starts_with('5'), "{recipient:?}: {reply}");
        }
    }
    // Those of one of our domains go there, and nowhere else.
    installation.admin_ok("main", &["config", "set", "catch-all", ANA, "--domain", "tern.test"]);
    let mut smtp = at.smtp().unwrap();
    for recipient in ["zoe%far.test@tern.test", "far.test!zoe@tern.test"] {
        let reply = smtp.deliver("x@other.test", &[recipient], b"Subject: caught\r\n\r\nx\r\n").unwrap();
        assert!(reply.starts_with("250") || reply.starts_with("550"), "{recipient}: {reply}");
    }
    // A user without a log-in is nobody, also on the port of users.
    let mut stranger = sterna_testkit::smtp::Smtp::connect(&at.host.to_string(), at.ports.submission, "EHLO").unwrap();
    let reply = stranger.command(&format!("MAIL FROM:<{ANA}>")).unwrap();
    assert!(reply.starts_with("530 5.7.0"), "{reply}");

    let queue: Vec<Value> = serde_json::from_str(&installation.admin_ok("main", &["--json", "queue", "list"])).unwrap();
    assert!(queue.is_empty(), "{queue:?}");
    assert!(postfix.messages("zoe").is_empty());
}
