//! NeoMutt, driven by keys: server-side patterns, tagging, flags, moving, and a header cache kept up with QRESYNC.

use std::fs;
use std::path::Path;
use std::process::Command;

use sterna_testkit::binary::have;
use sterna_testkit::demo::{Demo, User};
use sterna_testkit::imap::Imap;

use super::login;

#[test]
fn neomutt_tags_flags_moves_and_finds_changes_with_its_header_cache() {
    if !have(&["neomutt", "script"]) {
        return;
    }
    let demo = Demo::start();
    for user in &demo.at.users {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("neomuttrc"), neomuttrc(&demo, user, home.path())).unwrap();
        let mut imap = login(&demo, user);
        assert!(imap.command("CREATE Terns").unwrap().ok());
        for number in 0..30 {
            let text = format!(
                "From: Tern {number} <tern{number}@pole.test>\r\nTo: {}\r\nSubject: flight {number}\r\n\
                 Message-ID: <{number}@pole.test>\r\nDate: Mon, 1 Jan 2024 10:{number:02}:00 +0000\r\n\r\n\
                 It passed the {} pole.\r\n",
                user.address,
                if number % 3 == 0 { "south" } else { "north" }
            );
            assert!(imap.append("Terns", text.as_bytes()).unwrap().ok());
        }
        // What the server finds in bodies and headers is flagged, tagged and moved.
        press(home.path(), "<tag-pattern>=b \"south pole\"<enter><tag-prefix><set-flag>!<quit>");
        assert!(imap.command("SELECT Terns").unwrap().ok());
        assert_eq!(found(&mut imap, "FLAGGED"), found(&mut imap, "BODY south"));
        press(
            home.path(),
            "<tag-pattern>=h \"Subject: flight 29\"<enter><tag-prefix><save-message>=Archive<enter><quit>",
        );
        assert!(imap.command("NOOP").unwrap().ok());
        assert_eq!(found(&mut imap, "ALL").len(), 29);
        assert_eq!(found(&mut imap, "SUBJECT \"flight 29\""), [0; 0]);

        // Others change the mailbox; the cache hears of what changed only, and shows all of it.
        assert!(imap.command("STORE 1,4 -FLAGS (\\Flagged)").unwrap().ok());
        assert!(imap.command("STORE 7 +FLAGS (\\Deleted)").unwrap().ok());
        assert!(imap.command("EXPUNGE").unwrap().ok());
        assert!(imap.append("Terns", b"From: new@pole.test\r\nSubject: flight 99\r\n\r\nsouth\r\n").unwrap().ok());
        let seen = home.path().join("seen");
        let script = home.path().join("show");
        fs::write(&script, format!("grep -i ^subject: >> {}\n", seen.display())).unwrap();
        let pipe = format!(
            "<tag-pattern>~A<enter><tag-prefix><pipe-message>sh {}<enter>\
             <tag-pattern>~A<enter><tag-prefix><clear-flag>N<quit>",
            script.display()
        );
        press(home.path(), &pipe);
        let shown = fs::read_to_string(&seen).unwrap();
        let mut shown: Vec<&str> = shown.lines().map(|line| line.rsplit(' ').next().unwrap_or_default()).collect();
        shown.sort_unstable();
        assert!(imap.command("NOOP").unwrap().ok());
        assert_eq!(shown.len(), found(&mut imap, "ALL").len(), "{shown:?}");
        assert!(shown.contains(&"99") && !shown.contains(&"6") && !shown.contains(&"29"), "{shown:?}");
        let flagged = found(&mut imap, "FLAGGED").len();
        assert_eq!(flagged, found(&mut imap, "BODY south").len() - 3, "what others flagged stays");
    }
}

/// The numbers that a SEARCH finds.
fn found(imap: &mut Imap, keys: &str) -> Vec<u32> {
    let answer = imap.command(&format!("SEARCH {keys}")).unwrap();
    let line = answer.lines.iter().find_map(|line| line.strip_prefix("* SEARCH"));
    let line = line.unwrap_or_else(|| panic!("{answer:?}"));
    line.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// Opens the mailbox on a terminal and presses these keys.
fn press(home: &Path, keys: &str) {
    let rc = home.join("neomuttrc");
    fs::write(home.join("keys"), format!("push '{keys}'\n")).unwrap();
    let line = format!("neomutt -n -F {} -e 'source {}'", rc.display(), home.join("keys").display());
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.env("TERM", "xterm").env("HOME", home).env("LC_ALL", "C.UTF-8").stdin(std::process::Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{keys}: {}", String::from_utf8_lossy(&output.stdout));
}

fn neomuttrc(demo: &Demo, user: &User, home: &Path) -> String {
    let (host, port) = (&demo.at.imap.host, demo.at.imap.port);
    let (address, password, home) = (&user.address, &user.password, home.display());
    let cache = home.to_string() + "/cache/";
    fs::create_dir(&cache).unwrap();
    format!(
        "set imap_user = \"{address}\"\nset imap_pass = \"{password}\"\nset folder = imap://{host}:{port}/\n\
         set spoolfile = imap://{host}:{port}/Terns\nset ssl_starttls = no\nset ssl_force_tls = no\n\
         set header_cache = {cache}\nset imap_condstore = yes\nset imap_qresync = yes\nset message_cachedir = {cache}\n\
         set quit = yes\nset delete = yes\nset move = no\nset confirm_append = no\nset confirm_create = no\n\
         set wait_key = no\nset beep = no\nset mark_old = no\nset pipe_split = yes\nset pipe_decode = no\n\
         set imap_check_subscribed = no\nset mail_check_recent = no\nset sort = date\nset timeout = 5\n"
    )
}
