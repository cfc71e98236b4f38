//! Scripts over messages, without accounts.

mod corpus;
mod pigeonhole;

use super::dry_run::{DryRun, DryRunError, dry_run};
use super::program::{EXTENSIONS, compile};

const MESSAGE: &str = "Return-Path: <eve@other.test>\r\nReceived: by mx id 1\r\nFrom: Eve <eve@other.test>\r\n\
                       To: ana@demo.test\r\nSubject: Terns and other birds\r\nMessage-ID: <1@other.test>\r\n\
                       Date: Mon, 5 Oct 2026 10:00:00 +0200\r\nX-Spam-Status: Yes, score=7.5 required=5.0\r\n\
                       Content-Type: text/plain\r\n\r\nThey fly far.\r\n";

fn run(script: &str, message: &str) -> Result<Vec<String>, DryRunError> {
    let run = DryRun {
        message: message.to_owned().into(),
        mail_from: "eve@other.test".into(),
        rcpt_to: "ana@demo.test".into(),
        name: "Ana".into(),
        plus_separators: "+".into(),
    };
    dry_run(script.as_bytes(), &run)
}

#[test]
fn details_begin_where_the_domain_says() {
    let script = "require [\"fileinto\", \"subaddress\", \"envelope\", \"variables\", \"editheader\", \"copy\"];\r\n\
                  if envelope :detail \"to\" \"lists\" { fileinto :copy \"envelope\"; }\r\n\
                  if envelope :user [\"from\", \"to\"] \"ana\" { fileinto :copy \"user\"; }\r\n\
                  if envelope :detail :matches \"from\" \"*\" { fileinto :copy \"from ${1}\"; }\r\n\
                  set \"to\" \"to\";\r\n\
                  if address :detail [\"${to}\", \"x-for\"] \"lists\" { fileinto :copy \"field\"; }\r\n\
                  if address :user :matches \"x-for\" \"*\" { fileinto :copy \"for ${1}\"; }\r\n\
                  if address :all :matches \"x-for\" \"*\" { fileinto :copy \"all ${1}\"; }\r\n\
                  addheader \"X-Seen\" \"yes\";\r\n";
    let message = "From: Eve <eve@other.test>\r\nTo: Ana <ana-lists@demo.test>, b@c.test\r\nX-Sterna-User-Of-X-For: z\r\n\
                   X-For: ben=a@demo.test\r\n\r\nText.\r\n";
    let run = |mail_from: &str, rcpt_to: &str, separators: &str| {
        let run = DryRun {
            message: message.into(),
            mail_from: mail_from.into(),
            rcpt_to: rcpt_to.into(),
            name: "Ana".into(),
            plus_separators: separators.into(),
        };
        let done = dry_run(script.as_bytes(), &run).unwrap();
        done.iter().map(|line| line.replace("file into ", "").replace('"', "")).collect::<Vec<_>>().join(", ")
    };
    let kept = "keep in the INBOX, changed";
    let expected = format!("envelope, user, from x, field, for ben, all ben=a@demo.test, {kept}");
    assert_eq!(run("eve=x@other.test", "ana-lists@demo.test", "-="), expected);
    let plus = format!("for ben=a, all ben=a@demo.test, {kept}");
    assert_eq!(run("eve=x@other.test", "ana-lists@demo.test", "+"), plus);
    assert_eq!(run("eve+x@other.test", "ana-lists@demo.test", ""), plus);
}

fn done(script: &str) -> Vec<String> {
    run(script, MESSAGE).unwrap_or_else(|error| panic!("{error}\n{script}"))
}

#[test]
fn every_extension_that_is_offered_can_be_required() {
    for extension in EXTENSIONS {
        let script = format!("require \"{extension}\"; keep;");
        assert_eq!(done(&script), ["keep in the INBOX"], "{extension}");
    }
}

#[test]
fn an_explicit_keep_stays_whatever_follows() {
    let filed = "file into \"x\"";
    assert_eq!(done("require \"fileinto\"; keep; fileinto \"x\";"), ["keep in the INBOX", filed]);
    assert_eq!(done("require \"fileinto\"; fileinto \"x\"; keep;"), [filed, "keep in the INBOX"]);
    assert_eq!(done("keep; redirect \"b@c.test\";"), ["keep in the INBOX", "redirect to b@c.test"]);
    assert_eq!(done("keep; discard;"), ["keep in the INBOX"]);
    assert_eq!(done("require \"fileinto\"; fileinto \"x\";"), [filed]);
    assert_eq!(done("require [\"fileinto\",\"copy\"]; fileinto :copy \"x\";"), [filed, "keep in the INBOX"]);
    assert_eq!(done("discard;"), ["discard"]);
    assert_eq!(done(""), ["keep in the INBOX"]);
    let flags = "require [\"imap4flags\",\"fileinto\"]; addflag \"\\\\Seen\"; fileinto \"x\"; keep :flags \"$a\";";
    assert_eq!(done(flags), ["file into \"x\" with \\Seen", "keep in the INBOX with $a"]);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (script, line, what) in [
        ("keep;\nfileinto \"x\";\n", 2, "fileinto"),
        ("require \"fileinto\";\n\nfileinto \"x;\n", 3, ""),
        ("if header :contains \"a\" \"b\" {\n  keep;\n", 1, "block"),
        ("require\n[\"copy\",\n\"vnd.unknown\"];\n", 3, "vnd.unknown"),
        ("require \"extlists\";", 1, "extlists"),
        ("require \"include\";\ninclude :global \"x\";", 2, "global"),
        ("keep;\n\nfrobnicate;\n", 3, "frobnicate"),
        ("keep;\nif frobnicated { stop; }\n", 2, "frobnicated"),
    ] {
        let Err(fault) = compile(script.as_bytes()) else { panic!("{script}") };
        assert!(fault.line.abs_diff(line) <= 1, "{script}: {fault}");
        assert!(fault.text.contains(what), "{script}: {fault}");
    }
    assert!(compile(b"keep; # \xff").is_err());
    assert!(compile(&[b"# ".as_slice(), &[b'x'; 200_000]].concat()).is_err());
}

#[test]
fn a_script_that_fails_keeps_the_message() {
    for script in [
        "require \"reject\"; reject \"no\"; keep;",
        "redirect \"a@b.test\"; redirect \"c@b.test\"; redirect \"d@b.test\"; redirect \"e@b.test\"; redirect \"f@b.test\";",
        "require \"include\"; include :personal \"other\";",
    ] {
        let failed = run(script, MESSAGE);
        assert!(matches!(failed, Err(DryRunError::Failed(_) | DryRunError::Script(_))), "{script}: {failed:?}");
    }
    let steps = format!("require \"variables\"; {}", "set \"a\" \"b\";".repeat(10_001));
    assert!(matches!(run(&steps, MESSAGE), Err(DryRunError::Failed(_))), "it takes too many steps");
}

#[test]
fn answers_go_to_people_only() {
    let script = "require \"vacation\"; vacation :days 3 :subject \"Away\" \"I am away.\";";
    let answered = ["answer the sender: I am away.", "keep in the INBOX"];
    assert_eq!(done(script), answered);
    let to = |header: &str| run(script, &MESSAGE.replace("Subject:", &format!("{header}\r\nSubject:"))).unwrap();
    assert_eq!(to("X-Other: x"), answered);
    for header in ["List-Id: <a.b>", "Auto-Submitted: auto-replied", "Precedence: list", "List-Post: NO"] {
        assert_eq!(to(header), ["keep in the INBOX"], "{header}");
    }
    let not_to_me = run(script, &MESSAGE.replace("To: ana@demo.test", "To: staff@demo.test")).unwrap();
    assert_eq!(not_to_me, ["keep in the INBOX"]);
    let addresses = "require \"vacation\"; vacation :addresses [\"staff@demo.test\"] \"Away.\";";
    let to_staff = run(addresses, &MESSAGE.replace("To: ana@demo.test", "To: staff@demo.test")).unwrap();
    assert_eq!(to_staff, ["answer the sender: Away.", "keep in the INBOX"]);
}
