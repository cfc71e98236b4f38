//! getmail, which keeps in mind what it has fetched by the unique ids of POP3.

use std::fs;

use sterna_testkit::binary::have;
use sterna_testkit::demo::Demo;
use sterna_testkit::imap::Imap;
use sterna_testkit::smtp::Smtp;

use super::{login, run};

/// What is there to fetch at first.
const MESSAGES: usize = 40;

#[test]
fn getmail_fetches_everything_once() {
    if !have(&["getmail"]) {
        return;
    }
    let demo = Demo::start();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("getmailrc"), getmailrc(&demo)).unwrap();
    let folder = format!("--getmaildir={}", home.path().display());
    let (mut ana, mut ben) = (login(&demo, demo.user('a')), login(&demo, demo.user('b')));
    // It passes on only what says whom it is from, which LMTP sees to and the demonstration's own mail does not.
    assert!(
        ana.command("SELECT INBOX").unwrap().ok() && ana.command("STORE 1:* +FLAGS.SILENT (\\Deleted)").unwrap().ok()
    );
    assert!(ana.command("CLOSE").unwrap().ok());
    deliver(&demo, MESSAGES);
    let before = count(&mut ben, "MESSAGES");
    let fetched = |ben: &mut Imap| count(ben, "MESSAGES") - before;

    run("getmail", &[&folder, "--quiet"]);
    assert_eq!(fetched(&mut ben), MESSAGES);
    assert_eq!((count(&mut ana, "MESSAGES"), count(&mut ana, "UNSEEN")), (MESSAGES, 0));

    run("getmail", &[&folder, "--quiet"]);
    assert_eq!(fetched(&mut ben), MESSAGES, "nothing is new");

    deliver(&demo, 1);
    run("getmail", &[&folder, "--quiet", "--delete"]);
    assert_eq!((fetched(&mut ben), count(&mut ana, "MESSAGES")), (MESSAGES + 1, 0));
}

/// Delivers to ana.
fn deliver(demo: &Demo, count: usize) {
    let (lmtp, ana) = (&demo.at.lmtp, demo.user('a').address.as_str());
    let mut lmtp = Smtp::connect(&lmtp.host, lmtp.port, "LHLO").unwrap();
    for number in 0..count {
        let message = format!("Subject: tern {number}\r\n\r\n{}", ".\r\nA tern.\r\n".repeat(number));
        assert!(lmtp.send(&[ana], message.as_bytes(), 1).unwrap()[0].starts_with("250"));
    }
}

/// A number of the INBOX.
fn count(imap: &mut Imap, name: &str) -> usize {
    let status = imap.command(&format!("STATUS INBOX ({name})")).unwrap();
    let number = status.lines.iter().find_map(|line| line.strip_suffix(')')?.rsplit(' ').next()?.parse().ok());
    number.unwrap_or_else(|| panic!("{status:?}"))
}

/// From ana's INBOX to ben's. LMTP is the one destination for which getmail makes no process for each message: it waits
/// for those in a way that misses some, and then for a minute.
fn getmailrc(demo: &Demo) -> String {
    let (ana, ben, pop3s, lmtp) = (demo.user('a'), demo.user('b'), &demo.at.pop3s, &demo.at.lmtp);
    format!(
        "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = {}\nport = {}\nusername = {}\npassword = {}\n\n\
         [destination]\ntype = MDA_lmtp\nhost = {}\nport = {}\noverride = {}\n\n\
         [options]\nread_all = false\ndelete = false\n",
        pop3s.host, pop3s.port, ana.address, ana.password, lmtp.host, lmtp.port, ben.address
    )
}
