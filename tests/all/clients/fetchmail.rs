//! fetchmail, which takes mail away and hands it to a program.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sterna_testkit::binary::have;
use sterna_testkit::demo::Demo;

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
    let selected = imap.command("SELECT INBOX").unwrap();
    let exists = selected.lines.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS"));
    let exists: usize = exists.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{selected:?}"));

    let (rc, pid) = (configuration.to_string_lossy(), home.path().join("pid"));
    let arguments = ["--fetchmailrc", &rc, "--pidfile", &pid.to_string_lossy(), "--auth", "password", "--silent"];
    run("fetchmail", &arguments);
    let fetched = fs::read(&mbox).unwrap();
    let taken = fetched.split(|&byte| byte == b'\n').filter(|line| *line == b"From_").count();
    assert_eq!(taken, exists);
    let left = imap.command("NOOP").unwrap();
    assert_eq!(left.lines.iter().filter(|line| line.ends_with(" EXPUNGE")).count(), exists, "{left:?}");
}
