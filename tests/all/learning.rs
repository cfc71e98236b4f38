//! Debian's rspamd learns from what users put into Junk and take out of it.

use std::time::Duration;

use sterna_testkit::binary::have;
use sterna_testkit::filters::Rspamd;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

fn mail(number: u32) -> Vec<u8> {
    format!(
        "From: zoe@far.test\r\nMessage-ID: <{number}@far.test>\r\nSubject: journey {number}\r\n\r\n\
         Tern number {number} has flown over many seas{number} and rests now on a quiet stone{number} of the shore.\r\n"
    )
    .into_bytes()
}

fn imap(installation: &Installation) -> Imap {
    installation.node("main").at.login(ANA).unwrap()
}

fn done(imap: &mut Imap, line: &str) {
    let answer = imap.command(line).unwrap();
    assert!(answer.ok(), "{line}: {answer:?}");
}

#[test]
fn what_goes_into_junk_is_spam_and_what_comes_out_is_ham() {
    if !have(&["rspamd"]) {
        return;
    }
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation.create_user(ANA, "main");
    installation.admin_ok("main", &["config", "set", "mail.dmarc", "off"]);
    let mut rspamd = Rspamd::start();
    assert_eq!(rspamd.learned(), (0, 0));
    let at = installation.node("main").at;
    for number in 1..=3 {
        let reply = at.smtp().unwrap().deliver("zoe@far.test", &[ANA], &mail(number)).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    }
    let mut ana = imap(&installation);
    done(&mut ana, "SELECT INBOX");
    installation.admin_ok("main", &["config", "set", "rspamd.password", Rspamd::PASSWORD]);
    installation.admin_ok("main", &["config", "set", "rspamd.learn-address", &rspamd.http.to_string()]);
    // As soon as the settings are in force; the same message again is nothing new to learn.
    until("a message that is learned as spam", PATIENCE, || {
        done(&mut ana, "COPY 1 Junk");
        (rspamd.learned().0 == 1).then_some(())
    });
    assert_eq!(rspamd.learned(), (1, 0));

    // What a filter has put there says nothing; that a user takes it out does.
    let text = String::from_utf8(mail(4)).unwrap();
    done(&mut ana, &format!("APPEND Junk {{{}+}}\r\n{text}", text.len()));
    done(&mut ana, "SELECT Junk");
    done(&mut ana, "MOVE * INBOX");
    until("a message that is learned as ham", PATIENCE, || (rspamd.learned().1 == 1).then_some(()));
    assert_eq!(rspamd.learned(), (1, 1));

    // rspamd is down, then the node: the lesson waits.
    rspamd.stop();
    done(&mut ana, "SELECT INBOX");
    done(&mut ana, "MOVE 2 Junk");
    until("the lesson in its file", PATIENCE, || {
        let file = installation.node("main").dir.join("learning.sqlite");
        let waiting = std::process::Command::new("python3")
            .arg("-c")
            .arg("import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT COUNT(*) FROM lesson').fetchone()[0])")
            .arg(file)
            .output()
            .unwrap();
        (String::from_utf8_lossy(&waiting.stdout).trim() == "1").then_some(())
    });
    drop(ana);
    installation.kill("main");
    rspamd.serve();
    installation.serve("main");
    until("the lesson that waited", PATIENCE, || (rspamd.learned().0 == 2).then_some(()));
}
