//! InterIMAP, which keeps two servers the same and asks for nothing but what changed: QRESYNC in its purest form.

use std::fs;
use std::path::Path;
use std::process::Command;

use sterna_testkit::binary::have;
use sterna_testkit::demo::{Demo, User};
use sterna_testkit::imap::Imap;

use super::login;

#[test]
fn interimap_keeps_two_accounts_the_same_by_what_changed() {
    if !have(&["interimap"]) {
        return;
    }
    let demo = Demo::start();
    let home = tempfile::tempdir().unwrap();
    let configuration = home.path().join("config");
    fs::write(&configuration, interimaprc(&demo)).unwrap();
    let mut ana = login(&demo, demo.user('a'));
    let mut ben = login(&demo, demo.user('b'));
    assert!(ana.command("CREATE Both").unwrap().ok());
    for number in 0..20 {
        assert!(ana.append("Both", format!("Subject: tern {number}\r\n\r\nA tern.\r\n").as_bytes()).unwrap().ok());
    }
    synchronise(home.path(), &configuration);
    assert_eq!(shown(&mut ana), shown(&mut ben));
    assert_eq!(shown(&mut ben).len(), 20);

    // Changes on both sides, of which some meet.
    for (imap, commands) in [
        (&mut ana, &["UID STORE 3:5 +FLAGS (\\Deleted)", "EXPUNGE", "UID STORE 7,9 +FLAGS (\\Seen $Bird)"][..]),
        (&mut ben, &["UID STORE 5:6 +FLAGS (\\Deleted)", "EXPUNGE", "UID STORE 9,11 +FLAGS (\\Flagged)"][..]),
    ] {
        assert!(imap.append("Both", b"Subject: new\r\n\r\nOne more.\r\n").unwrap().ok());
        for command in commands {
            assert!(imap.command(command).unwrap().ok(), "{command}");
        }
    }
    synchronise(home.path(), &configuration);
    let (there, here) = (shown(&mut ana), shown(&mut ben));
    assert_eq!(there, here);
    assert_eq!(there.len(), 20 - 4 + 2);
    let of = |number: u32| there.iter().find(|(subject, _)| subject.ends_with(&format!("tern {number}")));
    assert!(of(8).is_some_and(|(_, flags)| flags == "$Bird \\Flagged \\Seen"), "{there:?}");
}

/// Subjects and flags of all messages, sorted.
fn shown(imap: &mut Imap) -> Vec<(String, String)> {
    assert!(imap.command("SELECT Both").unwrap().ok());
    let answer = imap.command("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").unwrap();
    let lines = answer.lines.iter().filter_map(|line| line.split_once("FLAGS (")?.1.split_once(')'));
    let flags = lines.map(|(flags, _)| {
        let mut flags: Vec<&str> = flags.split(' ').filter(|flag| *flag != "\\Recent").collect();
        flags.sort_unstable();
        flags.join(" ")
    });
    let subjects = answer.literals.iter().map(|subject| String::from_utf8_lossy(subject).trim().to_owned());
    let mut shown: Vec<(String, String)> = subjects.zip(flags).collect();
    shown.sort();
    shown
}

fn synchronise(home: &Path, configuration: &Path) {
    let mut command = Command::new("interimap");
    command.arg("--config").arg(configuration).env("HOME", home);
    fs::create_dir_all(home.join("data")).unwrap();
    command.env("XDG_DATA_HOME", home.join("data")).env("XDG_CONFIG_HOME", home);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
}

fn interimaprc(demo: &Demo) -> String {
    let side = |name: &str, user: &User| {
        format!(
            "[{name}]\ntype = imap\nhost = {}\nport = {}\nSTARTTLS = NO\nauth = PLAIN\nusername = {}\npassword = {}\n\n",
            demo.at.imap.host, demo.at.imap.port, user.address, user.password
        )
    };
    format!(
        "database = terns.db\nlist-mailbox = Both\n\n{}{}",
        side("local", demo.user('a')),
        side("remote", demo.user('b'))
    )
}
