//! OfflineIMAP, whose users keep whole accounts at home for years.

use std::fs;

use sterna_testkit::binary::have;
use sterna_testkit::demo::{Demo, User};

use super::{count_messages, login, run};

#[test]
fn offlineimap_takes_an_account_home_and_brings_changes_back() {
    if !have(&["offlineimap"]) {
        return;
    }
    let demo = Demo::start();
    for user in &demo.at.users {
        let home = tempfile::tempdir().unwrap();
        let (maildir, configuration) = (home.path().join("mail"), home.path().join("offlineimaprc"));
        fs::write(&configuration, offlineimaprc(&demo, user, &home.path().to_string_lossy())).unwrap();
        let configuration = configuration.to_string_lossy().into_owned();
        run("offlineimap", &["-c", &configuration, "-o"]);
        let fetched = count_messages(&maildir);
        assert!(fetched >= 200, "{fetched} messages of {}", user.address);

        let new = maildir.join("INBOX/new/1.1.tern");
        fs::write(&new, "From: a@b.test\nSubject: written at home\n\nUp it goes.\n").unwrap();
        run("offlineimap", &["-c", &configuration, "-o"]);
        let mut imap = login(&demo, user);
        imap.command("SELECT INBOX").unwrap();
        let found = imap.command("SEARCH SUBJECT \"written at home\"").unwrap();
        let number = found.lines.iter().find_map(|line| line.strip_prefix("* SEARCH ")).map(str::to_owned);
        let number = number.unwrap_or_else(|| panic!("{found:?}"));

        // A message deleted here goes there, and nothing else is touched.
        assert!(imap.command(&format!("STORE {number} +FLAGS (\\Deleted)")).unwrap().ok());
        assert!(imap.command("EXPUNGE").unwrap().ok());
        run("offlineimap", &["-c", &configuration, "-o"]);
        assert_eq!(count_messages(&maildir), fetched);
    }
}

fn offlineimaprc(demo: &Demo, user: &User, home: &str) -> String {
    let (host, port) = (&demo.at.imap.host, demo.at.imap.port);
    let (address, password) = (&user.address, &user.password);
    format!(
        "[general]\naccounts = demo\nmetadata = {home}/metadata\nui = quiet\n\n\
         [Account demo]\nlocalrepository = near\nremoterepository = far\n\n\
         [Repository near]\ntype = Maildir\nlocalfolders = {home}/mail\n\n\
         [Repository far]\ntype = IMAP\nremotehost = {host}\nremoteport = {port}\nssl = no\nstarttls = no\n\
         auth_mechanisms = PLAIN, LOGIN\nremoteuser = {address}\nremotepass = {password}\n"
    )
}
