//! mbsync, the synchroniser that keeps UIDs and flags of both sides.

use std::fs;

use sterna_testkit::binary::have;
use sterna_testkit::demo::{Demo, User};

use super::{count_messages, login, run};

#[test]
fn mbsync_carries_every_folder_both_ways() {
    if !have(&["mbsync"]) {
        return;
    }
    let demo = Demo::start();
    for user in &demo.at.users {
        let home = tempfile::tempdir().unwrap();
        let maildir = home.path().join("mail");
        fs::create_dir(&maildir).unwrap();
        let configuration = home.path().join("mbsyncrc");
        fs::write(&configuration, mbsyncrc(&demo, user, &maildir.to_string_lossy())).unwrap();
        let configuration = configuration.to_string_lossy().into_owned();
        run("mbsync", &["--config", &configuration, "--quiet", "demo"]);
        let fetched = count_messages(&maildir);
        assert!(fetched >= 200, "{} messages of {}", fetched, user.address);

        // What is written locally goes up, and what is flagged locally is flagged there.
        let new = maildir.join("INBOX/new/1.tern");
        fs::write(&new, "From: a@b.test\nSubject: written at home\n\nUp it goes.\n").unwrap();
        run("mbsync", &["--config", &configuration, "--quiet", "demo"]);
        let mut imap = login(&demo, user);
        imap.command("SELECT INBOX").unwrap();
        let found = imap.command("SEARCH SUBJECT \"written at home\"").unwrap();
        assert!(found.lines.iter().any(|line| line.starts_with("* SEARCH ")), "{found:?}");

        // A second run with nothing changed fetches nothing.
        let before = count_messages(&maildir);
        run("mbsync", &["--config", &configuration, "--quiet", "demo"]);
        assert_eq!(count_messages(&maildir), before);
    }
}

fn mbsyncrc(demo: &Demo, user: &User, maildir: &str) -> String {
    let (host, port) = (&demo.at.imap.host, demo.at.imap.port);
    let (address, password) = (&user.address, &user.password);
    format!(
        "IMAPAccount demo\nHost {host}\nPort {port}\nUser {address}\nPass \"{password}\"\nSSLType None\nAuthMechs LOGIN\n\n\
         IMAPStore far\nAccount demo\n\n\
         MaildirStore near\nPath {maildir}/\nInbox {maildir}/INBOX\nSubFolders Verbatim\n\n\
         Channel demo\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n"
    )
}
