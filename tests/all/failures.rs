//! Processes that end, and what must still be there.

use std::process::Command;

use sterna_testkit::demo::{Demo, User};
use sterna_testkit::imap::Imap;
use sterna_testkit::smtp::Smtp;

const MESSAGE: &[u8] = b"Subject: one of many\r\n\r\nThe terns are back.\r\n";

/// The process that serves this node's folder.
fn process_of(demo: &Demo, node: &str) -> String {
    let pattern = format!("serve --dir {}", demo.folder().join(node).display());
    let output = Command::new("pgrep").args(["-f", &pattern]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().next().unwrap_or_else(|| panic!("no {pattern}")).to_owned()
}

fn signal(process: &str, name: &str) {
    assert!(Command::new("kill").args([name, process]).status().unwrap().success());
}

fn login(demo: &Demo, user: &User) -> std::io::Result<Imap> {
    Imap::login(&demo.at.imap.host, demo.at.imap.port, &user.address, &user.password)
}

fn messages(imap: &mut Imap) -> usize {
    let answer = imap.command("STATUS INBOX (MESSAGES)").unwrap();
    let line = answer.lines.iter().find(|line| line.contains("MESSAGES")).unwrap_or_else(|| panic!("{answer:?}"));
    line.trim_end_matches(')').rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn what_was_acknowledged_survives_the_kill_of_every_process() {
    let mut demo = Demo::start();
    let mut acknowledged = Vec::new();
    for initial in ['a', 'b'] {
        let user = demo.user(initial);
        let before = messages(&mut login(&demo, user).unwrap());
        let mut lmtp = Smtp::connect(&demo.at.lmtp.host, demo.at.lmtp.port, "LHLO").unwrap();
        for _ in 0..20 {
            assert!(lmtp.send(&[&user.address], MESSAGE, 1).unwrap()[0].starts_with("250"));
        }
        acknowledged.push((initial, before + 20));
    }
    let processes = ["main", "alpha", "beta"].map(|node| process_of(&demo, node));
    processes.iter().for_each(|process| signal(process, "-KILL"));
    assert!(!demo.restart(), "the demonstration ends badly without its nodes");
    for (initial, count) in acknowledged {
        assert_eq!(messages(&mut login(&demo, demo.user(initial)).unwrap()), count);
    }
}

#[test]
fn kept_data_is_there_again_after_ctrl_c() {
    let mut demo = Demo::start();
    let before = messages(&mut login(&demo, demo.user('a')).unwrap());
    assert!(demo.restart(), "nobody had to be killed");
    assert_eq!(messages(&mut login(&demo, demo.user('a')).unwrap()), before);
    assert!(demo.admin(&["account", "where", "ben@demo.test"]).contains("beta"));
}
