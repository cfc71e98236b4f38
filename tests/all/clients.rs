//! Real clients read what real clients delivered, on both data servers.

use std::fs;
use std::process::Command;

use sterna_testkit::binary::have;
use sterna_testkit::demo::{Demo, User};

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}{errors}");
    text
}

#[test]
fn swaks_delivers_by_smtp_and_lmtp_and_curl_reads_it() {
    if !have(&["swaks", "curl"]) {
        return;
    }
    let demo = Demo::start();
    for (user, marker) in [(demo.user('a'), "tern-on-alpha"), (demo.user('b'), "tern-on-beta")] {
        swaks(&demo, user, "ESMTP", demo.at.smtp.port, &format!("{marker}-smtp"), &[]);
        swaks(&demo, user, "LMTP", demo.at.lmtp.port, &format!("{marker}-lmtp"), &[]);
        let login = ["--auth", "PLAIN", "--auth-user", &user.address, "--auth-password", &user.password, "--from"];
        let login = [&login[..], &[user.address.as_str()]].concat();
        swaks(&demo, user, "ESMTP", demo.at.submission.port, &format!("{marker}-submission"), &login);
        for way in ["smtp", "lmtp", "submission"] {
            let subject = format!("{marker}-{way}");
            let uids = curl(&demo, user, "INBOX", &["-X", &format!("UID SEARCH SUBJECT {subject}")]);
            let uid = uids.trim().rsplit(' ').next().unwrap_or_default().to_owned();
            assert!(uid.parse::<u32>().is_ok(), "{way}: {uids}");
            let message = curl(&demo, user, &format!("INBOX;UID={uid}"), &[]);
            assert!(message.contains(&format!("Subject: {subject}")), "{message}");
        }
    }
}

fn swaks(demo: &Demo, user: &User, protocol: &str, port: u16, subject: &str, more: &[&str]) {
    let header = format!("Subject: {subject}");
    let port = port.to_string();
    let mut arguments = vec!["--silent", "2", "--protocol", protocol, "--server", &demo.at.smtp.host, "--port", &port];
    arguments.extend(["--to", &user.address, "--header", &header, "--body", "The terns are back."]);
    if more.is_empty() {
        arguments.extend(["--from", "sender@elsewhere.test"]);
    }
    arguments.extend(more);
    run("swaks", &arguments);
}

fn curl(demo: &Demo, user: &User, path: &str, more: &[&str]) -> String {
    let url = format!("imap://{}:{}/{path}", demo.at.imap.host, demo.at.imap.port);
    let login = format!("{}:{}", user.address, user.password);
    run("curl", &[&["--silent", "--show-error", "--user", &login, &url], more].concat())
}

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
        let fetched = count_files(&maildir);
        assert!(fetched >= 200, "{} messages of {}", fetched, user.address);

        // What is written locally goes up, and what is flagged locally is flagged there.
        let new = maildir.join("INBOX/new/1.tern");
        fs::write(&new, "From: a@b.test\nSubject: written at home\n\nUp it goes.\n").unwrap();
        run("mbsync", &["--config", &configuration, "--quiet", "demo"]);
        let mut imap = imap(&demo, user);
        imap.command("SELECT INBOX").unwrap();
        let found = imap.command("SEARCH SUBJECT \"written at home\"").unwrap();
        assert!(found.lines.iter().any(|line| line.starts_with("* SEARCH ")), "{found:?}");

        // A second run with nothing changed fetches nothing.
        let before = count_files(&maildir);
        run("mbsync", &["--config", &configuration, "--quiet", "demo"]);
        assert_eq!(count_files(&maildir), before);
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

fn count_files(folder: &std::path::Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count_files(&path) } else { usize::from(is_message(&path)) }).sum()
}

fn is_message(path: &std::path::Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with("new") || folder.ends_with("cur"))
}

fn imap(demo: &Demo, user: &User) -> sterna_testkit::imap::Imap {
    let at = &demo.at.imap;
    sterna_testkit::imap::Imap::login(&at.host, at.port, &user.address, &user.password).unwrap()
}

#[test]
fn pythons_imaplib_uses_starttls_and_tls_and_sees_new_mail_in_idle_folders() {
    if !have(&["python3"]) {
        return;
    }
    let demo = Demo::start();
    for user in &demo.at.users {
        let (imap, imaps) = (demo.at.imap.port.to_string(), demo.at.imaps.port.to_string());
        let lmtp = demo.at.lmtp.port.to_string();
        run("python3", &["-c", IMAPLIB, &imap, &imaps, &lmtp, &user.address, &user.password]);
    }
}

/// Python's own clients: STARTTLS, implicit TLS, APPEND, SEARCH, STORE, COPY, EXPUNGE, and a delivery seen by NOOP.
const IMAPLIB: &str = r#"
import imaplib, smtplib, ssl, sys
imap, imaps, lmtp, user, password = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
trust = ssl.create_default_context(); trust.check_hostname = False; trust.verify_mode = ssl.CERT_NONE
a = imaplib.IMAP4('127.0.0.1', imap); a.starttls(trust); a.login(user, password)
b = imaplib.IMAP4_SSL('127.0.0.1', imaps, ssl_context=trust); b.login(user, password)
def ok(answer):
    assert answer[0] == 'OK', answer
    return answer[1]
ok(a.create('Python/Tern')); ok(a.subscribe('Python/Tern'))
assert any(b'Python/Tern' in line for line in ok(b.list('""', '*')))
ok(a.append('Python/Tern', r'(\Seen $Tern)', None, b'Subject: from python\r\n\r\nbody\r\n'))
assert ok(b.select('Python/Tern')) == [b'1']
assert ok(b.search(None, 'KEYWORD', '$Tern', 'SUBJECT', '"from python"')) == [b'1']
flags = ok(b.fetch('1', '(FLAGS UID RFC822.SIZE BODYSTRUCTURE ENVELOPE)'))[0]
assert b'\\Seen' in flags and b'$Tern' in flags, flags
before = int(ok(a.select('INBOX'))[0])
with smtplib.LMTP('127.0.0.1', lmtp) as l:
    l.sendmail('x@y.test', [user], b'Subject: while you wait\r\n\r\nhello\r\n')
ok(a.noop())
assert int(a.response('EXISTS')[1][-1] or 0) == before + 1
ok(b.copy('1', 'Trash')); ok(b.store('1', '+FLAGS', r'(\Deleted)')); assert ok(b.expunge()) == [b'1']
ok(b.unselect()); ok(b.delete('Python/Tern')); b.logout(); a.logout()
"#;
