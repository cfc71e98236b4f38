//! Scripts of users: stored by ManageSieve and by administrators, run where mail arrives, on its way to a Postfix too.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sterna_testkit::installation::{Installation, PASSWORD};
use sterna_testkit::raw::Raw;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

fn put(installation: &Installation, user: &str, script: &str) {
    let file = installation.folder().join("script.sieve");
    std::fs::write(&file, script).unwrap();
    installation.admin_ok("main", &["sieve", "put", user, "main", &file.to_string_lossy(), "--activate"]);
}

fn message(from: &str, to: &str, subject: &str) -> Vec<u8> {
    let id = subject.replace(' ', "-");
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{id}@far.test>\r\n\r\nThe terns are back.\r\n"
    )
    .into_bytes()
}

/// The text of all messages in a mailbox, with their flags.
fn mailbox(installation: &Installation, user: &str, name: &str) -> Vec<String> {
    let mut imap = installation.node("main").at.login(user).unwrap();
    if !imap.command(&format!("SELECT \"{name}\"")).unwrap().ok() {
        return Vec::new();
    }
    let answer = imap.command("FETCH 1:* (FLAGS BODY.PEEK[])").unwrap();
    let flags = answer.lines.iter().filter(|line| line.contains("FETCH"));
    flags.zip(&answer.literals).map(|(line, text)| format!("{line}\n{}", String::from_utf8_lossy(text))).collect()
}

#[test]
fn mail_is_filed_and_refused_as_its_recipient_wants() {
    let installation = Installation::standard();
    let at = installation.node("main").at;
    put(
        &installation,
        ANA,
        "require [\"fileinto\", \"imap4flags\", \"mailbox\", \"reject\", \"subaddress\", \"envelope\"];\n\
         if header :contains \"subject\" \"no thanks\" { reject \"Not this, please\"; stop; }\n\
         if envelope :detail \"to\" \"lists\" { fileinto :create :flags \"\\\\Flagged\" \"Lists/Birds\"; }\n",
    );
    let (mut lmtp, mut smtp) = (at.lmtp().unwrap(), at.smtp().unwrap());
    let far = "zoe@far.test";
    assert!(lmtp.deliver(far, &["ana+lists@tern.test"], &message(far, ANA, "by lmtp")).unwrap().starts_with("250"));
    assert!(smtp.deliver(far, &["ana+lists@tern.test"], &message(far, ANA, "by smtp")).unwrap().starts_with("250"));
    assert!(smtp.deliver(far, &[ANA], &message(far, ANA, "usual")).unwrap().starts_with("250"));
    let reply = smtp.deliver(far, &[ANA], &message(far, ANA, "no thanks")).unwrap();
    assert!(reply.starts_with("550 5.7.1 Not this, please"), "{reply}");
    let filed = mailbox(&installation, ANA, "Lists/Birds");
    assert_eq!(filed.len(), 2);
    assert!(filed.iter().all(|text| text.contains("\\Flagged")) && filed[1].contains("Subject: by smtp"), "{filed:?}");
    assert_eq!(mailbox(&installation, ANA, "INBOX").len(), 1);
    // A script that fails keeps the mail, and tells why.
    put(&installation, ANA, "require \"fileinto\";\nfileinto \"Nowhere\";\n");
    assert!(smtp.deliver(far, &[ANA], &message(far, ANA, "kept")).unwrap().starts_with("250"));
    assert_eq!(mailbox(&installation, ANA, "INBOX").len(), 2);
    let shown: Value = serde_json::from_str(&installation.admin_ok("main", &["--json", "sieve", "show", ANA])).unwrap();
    assert_eq!(shown["trouble"], "there is no mailbox \"Nowhere\"", "{shown}");
    // What is no script is not stored.
    let file = installation.folder().join("script.sieve");
    std::fs::write(&file, "keep;\nfrobnicate;\n").unwrap();
    let output = installation.admin("main", &["sieve", "put", ANA, "bad", &file.to_string_lossy()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("line 2"), "{said}");
    installation.admin_ok("main", &["sieve", "deactivate", ANA]);
    assert!(smtp.deliver(far, &[ANA], &message(far, ANA, "without")).unwrap().starts_with("250"));
    assert_eq!(mailbox(&installation, ANA, "INBOX").len(), 3);
}

/// What separates an address from its detail is one setting for everything: who gets it, what scripts see of it, whom
/// they answer, and who may send with it.
#[test]
fn details_are_separated_everywhere_as_the_domain_says() {
    let installation = Installation::standard();
    let at = installation.node("main").at;
    installation.admin_ok("main", &["domain", "set", "tern.test", "--plus-separators", "-="]);
    put(
        &installation,
        ANA,
        "require [\"fileinto\", \"mailbox\", \"subaddress\", \"envelope\", \"variables\", \"vacation\"];\n\
         vacation :from \"Ana <ana-away@tern.test>\" \"Back in May.\";\n\
         if envelope :detail :matches \"to\" \"*\" { set \"detail\" \"${1}\"; }\n\
         if address :user \"to\" \"ana\" { fileinto :create \"To/${detail}\"; }\n",
    );
    let far = "zoe@far.test";
    let mut smtp = at.smtp().unwrap();
    for detail in ["-lists", "=shop-2"] {
        let to = format!("ana{detail}@tern.test");
        let reply = smtp.deliver(far, &[&to], &message(far, &to, "x")).unwrap();
        assert!(reply.starts_with("250"), "{to}: {reply}");
    }
    let reply = smtp.deliver(far, &["ana+lists@tern.test"], &message(far, ANA, "x")).unwrap();
    assert!(reply.starts_with("550 5.1.1"), "{reply}");
    let filed = ["lists", "shop-2"].map(|detail| mailbox(&installation, ANA, &format!("To/{detail}")).len());
    assert_eq!(filed, [1, 1], "{:?}", mailbox(&installation, ANA, "INBOX"));
    // The sender was answered as from the address that was written to, and once.
    let (answered, _) = until("the answer is handed in", Duration::from_secs(60), || {
        let text = installation.admin_ok("main", &["trace", far]);
        text.contains("handed in by vacation of ana-lists@tern.test").then_some(text)
    });
    assert!(!answered.contains("vacation of ana=shop-2"), "{answered}");
    // And ana sends with such addresses, and with no others.
    let own = message("ana-away@tern.test", BEN, "own");
    let mut submission = at.submission(ANA).unwrap();
    assert!(submission.deliver("ana-away@tern.test", &[BEN], &own).unwrap().starts_with("250"));
    let mut submission = at.submission(ANA).unwrap();
    let reply = submission.deliver("ana+away@tern.test", &[BEN], &own).unwrap();
    assert!(reply.starts_with("553") || reply.starts_with("550"), "{reply}");
}

#[test]
fn the_scripts_of_a_domain_run_around_those_of_users() {
    let installation = Installation::standard();
    let file = installation.folder().join("before.sieve");
    let script =
        "require [\"fileinto\",\"mailbox\"];\nif header :is \"x-spam-flag\" \"yes\" { fileinto :create \"Spam\"; }\n";
    std::fs::write(&file, script).unwrap();
    let file = file.to_string_lossy().into_owned();
    installation.admin_ok("main", &["sieve", "domain", "before", &file, "--domain", "tern.test"]);
    put(&installation, ANA, "require [\"fileinto\",\"mailbox\"];\nfileinto :create \"Mine\";\n");
    let mut lmtp = installation.node("main").at.lmtp().unwrap();
    let far = "zoe@far.test";
    let spam = [b"X-Spam-Flag: YES\r\n".as_slice(), &message(far, ANA, "spam")].concat();
    until("the domain's script", PATIENCE, || {
        assert!(lmtp.deliver(far, &[BEN], &spam).unwrap().starts_with("250"));
        (!mailbox(&installation, BEN, "Spam").is_empty()).then_some(())
    });
    assert!(lmtp.deliver(far, &[ANA], &spam).unwrap().starts_with("250"));
    assert!(lmtp.deliver(far, &[ANA], &message(far, ANA, "ham")).unwrap().starts_with("250"));
    assert_eq!((mailbox(&installation, ANA, "Spam").len(), mailbox(&installation, ANA, "Mine").len()), (1, 1));
}

#[test]
fn a_script_comes_by_managesieve() {
    let installation = Installation::standard();
    let at = installation.node("main").at;
    let mut sieve = Raw::connect(at.host, at.ports.managesieve).unwrap();
    sieve.expect("OK \"Sterna ready\"").unwrap();
    let plain = STANDARD.encode(format!("\0{BEN}\0{PASSWORD}"));
    let script = "require [\"fileinto\",\"mailbox\"];\r\nfileinto :create \"Sieved\";\r\n";
    let say = |sieve: &mut Raw, line: String, answer: &str| {
        sieve.send(format!("{line}\r\n").as_bytes()).unwrap();
        sieve.expect(answer).unwrap()
    };
    say(&mut sieve, format!("AUTHENTICATE \"PLAIN\" \"{plain}\""), "OK");
    say(&mut sieve, "CHECKSCRIPT {11+}\r\nkeep;\r\nx y;".to_owned(), "NO \"line 2");
    say(&mut sieve, format!("PUTSCRIPT \"mine\" {{{}+}}\r\n{script}", script.len()), "OK");
    say(&mut sieve, "SETACTIVE \"mine\"".to_owned(), "OK");
    say(&mut sieve, "LISTSCRIPTS".to_owned(), "\"mine\" ACTIVE");
    sieve.expect("OK").unwrap();
    let mut lmtp = at.lmtp().unwrap();
    let far = "zoe@far.test";
    assert!(lmtp.deliver(far, &[BEN], &message(far, BEN, "x")).unwrap().starts_with("250"));
    assert_eq!(mailbox(&installation, BEN, "Sieved").len(), 1);
    // The account moves, and the session lives on.
    installation.admin_ok("main", &["account", "move", BEN, "--to", "alpha"]);
    say(&mut sieve, "SETACTIVE \"\"".to_owned(), "OK");
    assert!(lmtp.deliver(far, &[BEN], &message(far, BEN, "y")).unwrap().starts_with("250"));
    assert_eq!(mailbox(&installation, BEN, "INBOX").len(), 1);
}

#[test]
fn mail_is_sent_on_and_answered_through_a_postfix() {
    let Some((installation, postfix)) = crate::sending::world() else { return };
    put(
        &installation,
        ANA,
        "require [\"vacation\", \"copy\"];\nredirect :copy \"zoe@far.test\";\n\
         vacation :subject \"I am away\" \"Back in May.\";\n",
    );
    let from = "zoe@far.test";
    for subject in ["first", "second"] {
        postfix.submit(from, ANA, &message(from, ANA, subject));
    }
    let received = postfix.wait_for("zoe", 3);
    let (answers, redirected): (Vec<_>, Vec<_>) =
        received.iter().partition(|text| text.contains("Auto-Submitted: auto-replied"));
    assert_eq!((answers.len(), redirected.len()), (1, 2), "answered once: {received:?}");
    assert!(answers[0].contains("Subject: I am away") && answers[0].contains("Return-Path: <>"), "{}", answers[0]);
    for text in redirected {
        let return_path = text.lines().find(|line| line.starts_with("Return-Path:")).unwrap();
        assert!(return_path.contains("SRS0=") && return_path.contains("=far.test=zoe@tern.test"), "{text}");
        assert!(text.contains("Delivered-To: ana@tern.test"), "{text}");
    }
    until("both messages", PATIENCE, || (mailbox(&installation, ANA, "INBOX").len() == 2).then_some(()));
    // Where it went is found by what came, and so is the answer by whom it is for.
    let traced = || {
        let text = installation.admin_ok("main", &["trace", "<first@far.test>"]);
        (text.contains("queued  ana@tern.test: sent on as ") && text.contains("  sent  zoe@far.test -> ")).then_some(())
    };
    until("the redirect in the trace", PATIENCE, traced);
    let traced = || {
        let text = installation.admin_ok("main", &["trace", "zoe@far.test"]);
        text.contains("handed in by vacation of ana@tern.test").then_some(())
    };
    until("the answer in the trace", PATIENCE, traced);
}
