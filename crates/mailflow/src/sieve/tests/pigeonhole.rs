//! The same scripts and messages for Debian's Pigeonhole and for us: both must do the same with each.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use bytes::Bytes;
use sterna_testkit::binary::have;

use crate::sieve::dry_run::{DryRun, DryRunError, dry_run};

const ANA: &str = "ana+birds@tern.test";
const ZOE: &str = "zoe@far.test";

/// What a script does with a message, without order: a line for each action.
type Done = Result<BTreeSet<String>, Failed>;

/// How a script comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failed {
    /// It is no script.
    Refused,
    /// It fails with this message, which is kept.
    Kept,
}

/// The scripts, each behind a line with its name.
const SCRIPTS: &str = include_str!("scripts.sieve");

/// Where the two may differ, by script and message (`*` is every one), and why.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("ereject", "*", "Debian's has no ereject"),
    ("environment", "*", "Debian's knows no phase"),
    ("vacation", "no header", WHEN_IT_SENDS),
    ("vacation", "a list", WHEN_IT_SENDS),
    ("vacation", "automatic", WHEN_IT_SENDS),
    ("vacation to others", "*", WHEN_IT_SENDS),
    ("vacation and file", "no header", WHEN_IT_SENDS),
    ("vacation and file", "a list", WHEN_IT_SENDS),
    ("vacation and file", "automatic", WHEN_IT_SENDS),
    ("vacation seconds", "no header", WHEN_IT_SENDS),
    ("vacation seconds", "a list", WHEN_IT_SENDS),
    ("vacation seconds", "automatic", WHEN_IT_SENDS),
    ("vacation twice", "no header", WHEN_IT_SENDS),
    ("vacation twice", "a list", WHEN_IT_SENDS),
    ("vacation twice", "automatic", WHEN_IT_SENDS),
];

/// `sieve-test` tells what was asked for; whether a message may be answered at all (RFC 5230 sections 4.5 and 4.6) is
/// looked at when the answer is sent, with us before.
const WHEN_IT_SENDS: &str = "Pigeonhole looks at it when it sends";

/// Messages by name.
fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.replace('\n', "\r\n").into_bytes();
    let plain = "From: Zoe <zoe@far.test>\nTo: Ana <ana@tern.test>\nSubject: The terns are back\n\
        Message-ID: <1@far.test>\nDate: Thu, 01 Jan 2026 00:30:00 +0000\n";
    vec![
        ("plain", text(&format!("{plain}\nOver the gulls.\n"))),
        ("no header", text("\nJust text.\n")),
        ("no body", text(plain)),
        (
            "a list",
            text(&format!(
                "Received: from a.far.test by b.far.test; Thu, 01 Jan 2026 00:31:00 +0000\n\
                 Received: from c.far.test by a.far.test; Thu, 01 Jan 2026 00:30:30 +0000\n{plain}\
                 List-Id: <birds.far.test>\nX-List: gulls\nPrecedence: list\n\nFor all.\n"
            )),
        ),
        ("automatic", text(&format!("{plain}Auto-Submitted: auto-replied\nX-Priority: 5\n\nI am away, too.\n"))),
        (
            "several addresses",
            text(
                "From: \"Zoe, of far\" <zoe@far.test>\nTo: birds: ben@tern.test, Cyd <cyd@tern.test>;,\n \
                 ana+lists@tern.test\nCc: Ben <BEN@TERN.TEST>\nSubject: =?utf-8?Q?Die_K=C3=BCche?= of terns\n\
                 X-Priority: 1 (highest)\nDate: Wed, 31 Dec 2025 23:30:00 -0100\n\nx\n",
            ),
        ),
        (
            "parts",
            text(&format!(
                "{plain}MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\nPreamble gulls\n--b\n\
                 Content-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: text/plain; charset=utf-8\n\
                 Content-Transfer-Encoding: quoted-printable\n\nDie K=C3=BCche\n--c\nContent-Type: text/html\n\
                 Content-Transfer-Encoding: base64\n\nPGI+dGVybnM8L2I+\n--c--\n--b\nContent-Type: image/png\n\
                 Content-Disposition: attachment; filename=\"gull.png\"\nContent-Transfer-Encoding: base64\n\n\
                 iVBORw0KGgo=\n--b--\n"
            )),
        ),
        ("large", text(&format!("{plain}\n{}", "Terns and gulls, line by line.\n".repeat(100)))),
        ("odd subject", text("From: zoe@far.test\nTo: ana@tern.test\nSubject: *literal*\n\nx\n")),
        ("folded", text("From: zoe@far.test\nTo:\n ana@tern.test\nSubject: The terns\n are back\nx-list:\n\nx\n")),
    ]
}

/// Settings of Pigeonhole: the extensions that have to be asked for.
const SETTINGS: &str = "mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
mail_location = maildir:~/mail
first_valid_gid = 1
log_path = /dev/stderr
postmaster_address = postmaster@tern.test
plugin {
  sieve_extensions = +editheader +vacation-seconds
}
";

/// Runs Debian's `sieve-test`.
fn pigeonhole(folder: &Path, script: &Path, message: &Path) -> Output {
    let mut command = Command::new("sieve-test");
    command
        .args(["-C", "-c"])
        .arg(folder.join("dovecot.conf"))
        .args(["-f", ZOE, "-r", ANA, "-a", ANA])
        .arg(script)
        .arg(message);
    command.env("USER", "ana").env("HOME", folder).current_dir(folder).output().unwrap()
}

/// What Pigeonhole says that it did.
fn theirs(output: &Output) -> Done {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() && errors.contains("failed to compile") {
        return Err(Failed::Refused);
    }
    if errors.contains("final result: failed") {
        return Err(Failed::Kept);
    }
    assert!(errors.contains("final result: success"), "{said}{errors}");
    let mut done = Vec::new();
    let mut is_text = false;
    for line in said.lines() {
        match line {
            "START MESSAGE" => is_text = true,
            "END MESSAGE" => is_text = false,
            text if is_text => done.last_mut().map(|action: &mut String| action.push_str(text)).unwrap_or_default(),
            _ => {}
        }
        if let Some(action) = line.strip_prefix(" * ") {
            done.push(their_action(action));
        } else if let Some(flags) = line.trim().strip_prefix("+ add IMAP flags: ") {
            let action = done.pop().unwrap_or_default();
            done.push(with_flags(&action, flags.split_whitespace()));
        } else if let Some(recipient) = line.trim().strip_prefix("+ To: ") {
            done.last_mut().map(|action: &mut String| action.push_str(recipient)).unwrap_or_default();
        }
    }
    Ok(done.into_iter().filter(|action| !action.is_empty()).collect())
}

fn their_action(action: &str) -> String {
    let strip = |prefix: &str| action.strip_prefix(prefix);
    if let Some(folder) = strip("store message in folder: ") {
        format!("file {folder}")
    } else if let Some(address) = strip("redirect message to: ") {
        format!("redirect {}", address.trim_matches(['<', '>']))
    } else if let Some(reason) = strip("reject message with reason: ") {
        format!("reject {reason}")
    } else if strip("send vacation message").is_some() {
        "answer ".to_owned()
    } else if let Some(method) = strip("send notification with method '") {
        format!("notify {}", method.trim_end_matches("':"))
    } else {
        // That it notes what it has seen is none of what becomes of the message.
        assert!(action == "discard" || action.starts_with("track duplicate"), "{action}");
        String::new()
    }
}

fn with_flags<'a>(action: &str, flags: impl Iterator<Item = &'a str>) -> String {
    let flags: BTreeSet<String> = flags.map(str::to_lowercase).collect();
    flags.iter().fold(action.to_owned(), |all, flag| all + " " + flag)
}

/// What we would do.
fn ours(script: &str, message: &[u8]) -> Done {
    let run = DryRun {
        message: Bytes::copy_from_slice(message),
        mail_from: ZOE.to_owned(),
        rcpt_to: ANA.to_owned(),
        name: String::new(),
        plus_separators: "+".to_owned(),
    };
    let done = dry_run(script.as_bytes(), &run).map_err(|error| match error {
        DryRunError::Script(_) => Failed::Refused,
        DryRunError::Failed(_) => Failed::Kept,
    })?;
    Ok(done.iter().map(|line| our_action(line)).filter(|action| !action.is_empty()).collect())
}

fn our_action(line: &str) -> String {
    // Theirs doesn't tell these two in the same way.
    let line = line.strip_suffix(", made if it isn't there").unwrap_or(line);
    let line = line.strip_suffix(", changed").unwrap_or(line);
    let (action, flags) = line.split_once(" with ").unwrap_or((line, ""));
    let strip = |prefix: &str| action.strip_prefix(prefix);
    let action = if action == "keep in the INBOX" {
        "file INBOX".to_owned()
    } else if let Some(folder) = strip("file into ") {
        format!("file {}", folder.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(folder))
    } else if let Some(address) = strip("redirect to ") {
        format!("redirect {address}")
    } else if let Some(reason) = strip("reject: ") {
        format!("reject {reason}")
    } else if let Some(text) = strip("answer the sender: ") {
        format!("answer {text}")
    } else if let Some(notified) = strip("notify ") {
        format!("notify {}", notified.split(": ").next().unwrap_or_default())
    } else {
        assert_eq!(action, "discard");
        String::new()
    };
    with_flags(&action, flags.split_whitespace())
}

#[test]
fn pigeonhole_does_the_same() {
    if !have(&["sieve-test"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("dovecot.conf"), SETTINGS).unwrap();
    let (script_file, message_file) = (folder.path().join("script.sieve"), folder.path().join("message"));
    let mut differences = Vec::new();
    let mut expected: BTreeSet<(&str, &str)> =
        DIFFERENT.iter().map(|(script, message, _)| (*script, *message)).collect();
    let messages = messages();
    for section in SCRIPTS.split("=== ").skip(1) {
        let (name, script) = section.split_once('\n').unwrap();
        fs::write(&script_file, script).unwrap();
        for (about, message) in &messages {
            fs::write(&message_file, message).unwrap();
            let output = pigeonhole(folder.path(), &script_file, &message_file);
            let (theirs, ours) = (theirs(&output), ours(script, message));
            let is_known = DIFFERENT.iter().any(|(known, with, _)| *known == name && (*with == "*" || with == about));
            if theirs == ours {
                continue;
            }
            if is_known {
                expected.retain(|(known, with)| *known != name || (*with != "*" && with != about));
            } else {
                differences.push(format!("{name} / {about}: Pigeonhole {theirs:?}, we {ours:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert!(expected.is_empty(), "these are the same by now: {expected:?}");
}
