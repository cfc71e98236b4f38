//! fetchmail, which takes mail away and hands it to a program.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sterna_testkit::binary::have;
use sterna_testkit::demo::Demo;
use sterna_testkit::imap::Imap;

use super::{login, run};

#[test]
fn fetchmail_takes_a_whole_inbox_away() {
    if !have(&["fetchmail"]) {
        return;
    }
    let demo = Demo::start();
    let user = demo.user('b');
    let home = tempfile::tempdir().unwrap();
    let (mbox, configuration) = (home.path().join("mbox"), home.path().join("fetchmailrc"));
    let (host, port) = (&demo.at.imap.host, demo.at.imap.port);
    let (address, password, target) = (&user.address, &user.password, mbox.display());
    let text = format!(
        "poll {host} port {port} proto imap user \"{address}\" password \"{password}\" sslproto \"\" \
         mda \"(echo From_; cat) >> {target}\" fetchall no keep\n"
    );
    fs::write(&configuration, text).unwrap();
    fs::set_permissions(&configuration, fs::Permissions::from_mode(0o600)).unwrap();
    let mut imap = login(&demo, user);
    let exists = exists(&mut imap);

    let (rc, pid) = (configuration.to_string_lossy(), home.path().join("pid"));
    let arguments = ["--fetchmailrc", &rc, "--pidfile", &pid.to_string_lossy(), "--auth", "password", "--silent"];
    run("fetchmail", &arguments);
    let fetched = fs::read(&mbox).unwrap();
    let taken = fetched.split(|&byte| byte == b'\n').filter(|line| *line == b"From_").count();
    assert_eq!(taken, exists);
    let left = imap.command("NOOP").unwrap();
    assert_eq!(left.lines.iter().filter(|line| line.ends_with(" EXPUNGE")).count(), exists, "{left:?}");
}

#[test]
fn fetchmail_leaves_by_pop3_what_it_has_seen() {
    if !have(&["fetchmail"]) {
        return;
    }
    let demo = Demo::start();
    for user in &demo.at.users {
        let home = tempfile::tempdir().unwrap();
        let (mbox, configuration) = (home.path().join("mbox"), home.path().join("fetchmailrc"));
        let (host, port) = (&demo.at.pop3.host, demo.at.pop3.port);
        let (address, password, target) = (&user.address, &user.password, mbox.display());
        // With STLS; the certificate is the node's own.
        let text = format!(
            "poll {host} service {port} proto pop3 uidl user \"{address}\" password \"{password}\" sslproto tls1.2+ \
             no sslcertck mda \"(echo From_; cat) >> {target}\" keep\n"
        );
        fs::write(&configuration, text).unwrap();
        fs::set_permissions(&configuration, fs::Permissions::from_mode(0o600)).unwrap();
        let (rc, pid, ids) = (
            configuration.to_string_lossy().into_owned(),
            home.path().join("pid").to_string_lossy().into_owned(),
            home.path().join("ids").to_string_lossy().into_owned(),
        );
        let arguments = ["--fetchmailrc", &rc, "--pidfile", &pid, "--idfile", &ids, "--silent"];
        run("fetchmail", &arguments);
        let fetched = || {
            let mbox = fs::read(&mbox).unwrap();
            mbox.split(|&byte| byte == b'\n').filter(|line| *line == b"From_").count()
        };
        let mut imap = login(&demo, user);
        assert_eq!(fetched(), exists(&mut imap), "{address}");

        // Only what is new comes the next time, and what is gone there is missed by nobody.
        assert!(imap.append("INBOX", b"Subject: one more\r\n\r\nA tern.\r\n").unwrap().ok());
        assert!(imap.command("STORE 2 +FLAGS (\\Deleted)").unwrap().ok());
        assert!(imap.command("EXPUNGE").unwrap().ok());
        let before = fetched();
        run("fetchmail", &arguments);
        assert_eq!(fetched(), before + 1, "{address}");
    }
}

/// Opens the INBOX; how many messages there are.
fn exists(imap: &mut Imap) -> usize {
    let selected = imap.command("SELECT INBOX").unwrap();
    let exists = selected.lines.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS"));
    exists.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{selected:?}"))
}
