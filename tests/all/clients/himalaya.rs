//! Himalaya: what scripts and editors read mail with, and a client of ManageSieve that is not ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sterna_testkit::binary::have;
use sterna_testkit::demo::{Demo, User};

use super::login;

/// Where `cargo xtask test` puts it: Debian has no package of it.
fn program() -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/bin/himalaya");
    if ours.exists() {
        return Some(ours);
    }
    have(&["himalaya"]).then(|| "himalaya".into())
}

#[test]
fn himalaya_lists_reads_flags_moves_and_looks_after_scripts() {
    let Some(program) = program() else { return };
    let demo = Demo::start();
    for user in &demo.at.users {
        let home = tempfile::tempdir().unwrap();
        let configuration = home.path().join("himalaya.toml");
        fs::write(&configuration, himalaya_toml(&demo, user)).unwrap();
        let himalaya = |arguments: &[&str]| {
            let mut command = Command::new(&program);
            command.arg("-c").arg(&configuration).args(arguments).env("HOME", home.path());
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
            said
        };
        let mailboxes = himalaya(&["mailbox", "list"]);
        for mailbox in ["Inbox", "Archive", "Drafts", "Junk", "Sent", "Trash"] {
            assert!(mailboxes.contains(mailbox), "{mailboxes}");
        }
        let mut imap = login(&demo, user);
        let text = "From: Tern <t@pole.test>\r\nSubject: southwards\r\n\r\nThere will be krill.\r\n";
        assert!(imap.append("INBOX", text.as_bytes()).unwrap().ok());
        assert!(imap.command("SELECT INBOX").unwrap().ok());
        let uid = uid(&mut imap, "SUBJECT southwards");

        assert!(himalaya(&["envelope", "list"]).contains("southwards"));
        assert!(himalaya(&["message", "read", &uid]).contains("There will be krill."));
        himalaya(&["flag", "add", "--flag", "flagged", &uid]);
        assert!(imap.command("NOOP").unwrap().ok());
        assert_eq!(self::uid(&mut imap, "FLAGGED SUBJECT southwards"), uid);
        himalaya(&["message", "move", "--from", "INBOX", "--to", "Archive", &uid]);
        assert!(imap.command("SELECT Archive").unwrap().ok());
        self::uid(&mut imap, "FLAGGED SUBJECT southwards");

        let script = home.path().join("filter.sieve");
        fs::write(&script, "require \"fileinto\";\nfileinto \"Archive\";\n").unwrap();
        let script = script.to_string_lossy();
        himalaya(&["sieve", "check", "--script-file", &script]);
        himalaya(&["sieve", "put", "birds", "--script-file", &script]);
        himalaya(&["sieve", "activate", "birds"]);
        assert!(himalaya(&["sieve", "list"]).contains("birds"));
    }
}

/// The UID of the one message that a search finds.
fn uid(imap: &mut sterna_testkit::imap::Imap, keys: &str) -> String {
    let answer = imap.command(&format!("UID SEARCH {keys}")).unwrap();
    let found = answer.lines.iter().find_map(|line| line.strip_prefix("* SEARCH ")).map(str::to_owned);
    found.filter(|uid| !uid.contains(' ')).unwrap_or_else(|| panic!("{keys}: {answer:?}"))
}

fn himalaya_toml(demo: &Demo, user: &User) -> String {
    let (imap, sieve) = (&demo.at.imap, &demo.at.managesieve);
    let (address, password) = (&user.address, &user.password);
    format!(
        "[accounts.demo]\ndefault = true\nemail = \"{address}\"\nimap.server = \"imap://{}:{}\"\n\
         imap.sasl.plain.username = \"{address}\"\nimap.sasl.plain.password.raw = \"{password}\"\n\
         sieve.server = \"sieve://{}:{}\"\nsieve.starttls = false\nsieve.allow-cleartext-auth = true\n\
         sieve.sasl.plain.username = \"{address}\"\n\
         sieve.sasl.plain.password.raw = \"{password}\"\n",
        imap.host, imap.port, sieve.host, sieve.port
    )
}
