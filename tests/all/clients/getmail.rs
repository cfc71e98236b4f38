//! getmail, which keeps in mind what it has fetched by the unique ids of POP3.

use std::fs;
use std::path::Path;

use sterna_testkit::binary::have;
use sterna_testkit::demo::{Demo, User};

use super::{login, run};

#[test]
fn getmail_fetches_everything_once() {
    if !have(&["getmail"]) {
        return;
    }
    let demo = Demo::start();
    for (user, encrypted) in [(demo.user('a'), true), (demo.user('b'), false)] {
        let home = tempfile::tempdir().unwrap();
        let mail = home.path().join("mail");
        fs::create_dir(&mail).unwrap();
        fs::write(home.path().join("getmailrc"), getmailrc(&demo, user, &mail.to_string_lossy(), encrypted)).unwrap();
        let folder = format!("--getmaildir={}", home.path().display());
        run("getmail", &[&folder, "--quiet"]);
        let fetched = messages(&mail);
        let mut imap = login(&demo, user);
        let status = imap.command("STATUS INBOX (MESSAGES UNSEEN)").unwrap();
        assert!(status.lines[0].ends_with(&format!("(MESSAGES {fetched} UNSEEN 0)")), "{fetched}: {status:?}");

        run("getmail", &[&folder, "--quiet"]);
        assert_eq!(messages(&mail), fetched, "nothing is new");

        assert!(imap.append("INBOX", b"Subject: one more\r\n\r\nA tern.\r\n").unwrap().ok());
        run("getmail", &[&folder, "--quiet", "--delete"]);
        assert_eq!(messages(&mail), fetched + 1);
        let status = imap.command("STATUS INBOX (MESSAGES)").unwrap();
        assert!(status.lines[0].ends_with("(MESSAGES 0)"), "{status:?}");
    }
}

fn messages(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// With a program that takes the mail: getmail's own mailboxes refuse root, as which CI runs.
fn getmailrc(demo: &Demo, user: &User, mail: &str, encrypted: bool) -> String {
    let (retriever, at) =
        if encrypted { ("SimplePOP3SSLRetriever", &demo.at.pop3s) } else { ("SimplePOP3Retriever", &demo.at.pop3) };
    let (host, port, address, password) = (&at.host, at.port, &user.address, &user.password);
    format!(
        "[retriever]\ntype = {retriever}\nserver = {host}\nport = {port}\nusername = {address}\n\
         password = {password}\n\n[destination]\ntype = MDA_external\npath = /bin/sh\n\
         arguments = (\"-c\", \"cat > $(mktemp {mail}/XXXXXXXX)\")\nallow_root_commands = true\n\n\
         [options]\nread_all = false\ndelete = false\n"
    )
}
