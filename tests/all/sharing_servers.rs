//! Mailboxes of others when owner and reader live on different servers: who serves whom, and what is said while one of
//! them is away.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sterna_testkit::binary::have;
use sterna_testkit::imap::{Answer, Imap};
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const ANAS: &str = "\"Other users/ana@tern.test/INBOX\"";
const MESSAGE: &[u8] = b"From: x@y.test\r\nSubject: one of many\r\n\r\nThe terns are back.\r\n";

/// How long something may take that nobody has to wait for.
const AT_ONCE: Duration = Duration::from_secs(2);

/// How long a listing may take while a server of others is away: what it waits for them, and a second for two busy
/// cores.
const LISTED_WITHIN: Duration = Duration::from_secs(11);

/// How long a server may take until it serves again.
const SERVED_WITHIN: Duration = Duration::from_secs(20);

fn done(imap: &mut Imap, command: &str) -> Answer {
    let answer = imap.command(command).unwrap();
    assert!(answer.ok(), "{command}: {answer:?}");
    answer
}

fn has(answer: &Answer, text: &str) -> bool {
    answer.lines.iter().any(|line| line.contains(text))
}

/// Ana on alpha has two messages and shares INBOX with ben on beta.
fn shared() -> Installation {
    let installation = Installation::standard();
    let mut ana = installation.node("main").at.login(ANA).unwrap();
    for _ in 0..2 {
        assert!(ana.append("INBOX", MESSAGE).unwrap().ok());
    }
    done(&mut ana, &format!("SETACL INBOX {BEN} lrswite"));
    installation
}

#[test]
fn a_reader_on_another_server_does_all_that_the_rights_allow() {
    let installation = shared();
    let edge = installation.node("main").at;
    let (mut ana, mut ben) = (edge.login(ANA).unwrap(), edge.login(BEN).unwrap());
    assert!(has(&done(&mut ben, "LIST \"\" *"), ANAS));
    done(&mut ben, &format!("SELECT {ANAS}"));
    let fetched = done(&mut ben, "FETCH 1 (ENVELOPE BODY[])");
    assert_eq!(fetched.literals, [MESSAGE]);
    done(&mut ana, "SELECT INBOX");
    assert!(has(&done(&mut ana, "FETCH 1 FLAGS"), "\\Seen"));
    // From one server to the other, there and back.
    let moved = done(&mut ben, "UID MOVE 1 INBOX");
    assert!(has(&moved, "COPYUID") && has(&moved, "* 1 EXPUNGE"), "{moved:?}");
    assert!(has(&done(&mut ana, "NOOP"), "* 1 EXPUNGE"));
    done(&mut ben, "SELECT INBOX");
    assert_eq!(done(&mut ben, "FETCH 1 BODY.PEEK[]").literals, [MESSAGE]);
    done(&mut ben, &format!("COPY 1 {ANAS}"));
    until("ana hears of it", AT_ONCE, || has(&done(&mut ana, "NOOP"), "EXISTS").then_some(()));
    // A right that is taken away is gone in the session that is open.
    done(&mut ben, &format!("SELECT {ANAS}"));
    done(&mut ana, &format!("DELETEACL INBOX {BEN}"));
    until("ben is shut out", AT_ONCE, || {
        ben.command("FETCH 1 FLAGS").unwrap().status.starts_with("NO [NONEXISTENT]").then_some(())
    });
    assert!(!has(&done(&mut ben, "LIST \"\" *"), "Other users"));
}

#[test]
fn a_server_that_is_away_takes_its_own_mailboxes_with_it_and_no_others() {
    let mut installation = shared();
    let edge = installation.node("main").at;
    let mut ben = edge.login(BEN).unwrap();
    let mut open = edge.login(BEN).unwrap();
    assert!(has(&done(&mut ben, "LIST \"\" *"), ANAS));
    done(&mut open, &format!("SELECT {ANAS}"));
    for away in ["killed", "frozen"] {
        if away == "killed" {
            installation.kill("alpha")
        } else {
            installation.freeze("alpha")
        }
        let start = Instant::now();
        done(&mut ben, "LIST \"\" (INBOX Sent)");
        done(&mut ben, "SELECT INBOX");
        assert!(start.elapsed() < AT_ONCE, "ben's own mailboxes waited {:?} ({away})", start.elapsed());
        let start = Instant::now();
        let listed = done(&mut ben, "LIST \"\" * RETURN (STATUS (MESSAGES))");
        assert!(start.elapsed() < LISTED_WITHIN, "the listing took {:?} ({away})", start.elapsed());
        assert!(has(&listed, "LIST (\\HasNoChildren) \"/\" INBOX") && has(&listed, "STATUS INBOX"), "{listed:?}");
        // Told whose are missing, and not taken away from clients that keep what is listed.
        assert!(has(&listed, &format!("* NO [UNAVAILABLE] Mailboxes of {ANA}")), "{listed:?}");
        assert!(has(&listed, ANAS) && !has(&listed, &format!("STATUS {ANAS}")), "{listed:?}");
        for command in [format!("SELECT {ANAS}"), format!("STATUS {ANAS} (MESSAGES)"), format!("SETACL {ANAS} {BEN} l")]
        {
            let answer = ben.command(&command).unwrap();
            assert!(answer.status.starts_with("NO [UNAVAILABLE]"), "{command}: {answer:?}");
        }
        assert!(edge.login(ANA).unwrap().command("SELECT INBOX").unwrap().status.starts_with("NO [UNAVAILABLE]"));
        if away == "killed" {
            installation.serve("alpha")
        } else {
            installation.thaw("alpha")
        }
        until("the open session reads again", SERVED_WITHIN, || {
            let answer = open.command("FETCH 1:2 (FLAGS BODY.PEEK[])").unwrap();
            (answer.ok() && answer.literals.len() == 2).then_some(())
        });
        until("all are listed again", SERVED_WITHIN, || {
            (!has(&done(&mut ben, "LIST \"\" *"), "UNAVAILABLE")).then_some(())
        });
    }
}

#[test]
fn an_owner_moves_while_others_read_and_write() {
    let installation = shared();
    let edge = installation.node("main").at;
    let (mut ana, mut ben) = (edge.login(ANA).unwrap(), edge.login(BEN).unwrap());
    done(&mut ben, &format!("SELECT {ANAS}"));
    done(&mut ana, &format!("SETACL Sent {BEN} lr"));
    for server in ["beta", "alpha"] {
        let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = edge.login(BEN).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let appended = writer.append(ANAS, MESSAGE).unwrap();
                    assert!(appended.ok(), "{appended:?}");
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
            installation.admin_ok("main", &["account", "move", ANA, "--to", server]);
            stop.store(true, Ordering::Relaxed);
        });
        assert!(written.load(Ordering::Relaxed) > 0);
        assert!(installation.admin_ok("main", &["account", "where", ANA]).contains(server));
        // The session that was open counts every message once, and the rights came along.
        let all = done(&mut ben, "UID SEARCH RETURN (COUNT) ALL");
        let told = done(&mut ben, "UID SEARCH RETURN (COUNT) ALL");
        let count = done(&mut ben, &format!("STATUS {ANAS} (MESSAGES)"));
        let last = count.lines[0].trim_end_matches(')').rsplit(' ').next().unwrap().to_owned();
        assert!(has(&told, &format!("COUNT {last}")), "{all:?} {told:?} {count:?}");
        assert!(has(&done(&mut ana, "GETACL INBOX"), &format!("\"{BEN}\" \"lrswite")));
        assert!(has(&done(&mut ben, "LIST \"\" *"), "Other users/ana@tern.test/Sent"));
    }
}

#[test]
fn without_the_main_node_nothing_new_is_shared_and_what_is_shared_is_read() {
    let mut installation = shared();
    installation.join_and_serve("edge", "edge", Place::default());
    let edge = installation.node("edge").at;
    until("the edge knows ben", SERVED_WITHIN, || edge.login(BEN).ok().map(drop));
    let (mut ana, mut ben) = (edge.login(ANA).unwrap(), edge.login(BEN).unwrap());
    // A share that is made at one edge is seen there at once.
    done(&mut ana, &format!("SETACL Sent {BEN} lr"));
    done(&mut ana, "SETACL Drafts anyone l");
    assert!(has(&done(&mut ben, "LIST \"\" *"), "Other users/ana@tern.test/Drafts"));
    done(&mut ana, "DELETEACL Drafts anyone");
    installation.kill("main");
    let refused = ana.command("SETACL Drafts anyone lr").unwrap();
    assert!(refused.status.starts_with("NO [UNAVAILABLE]"), "{refused:?}");
    assert!(!has(&done(&mut ana, "GETACL Drafts"), "anyone"));
    done(&mut ben, &format!("SELECT {ANAS}"));
    assert!(has(&done(&mut ben, "LIST \"\" *"), ANAS));
    done(&mut ana, &format!("DELETEACL Sent {BEN}"));
    let gone = ben.command("SELECT \"Other users/ana@tern.test/Sent\"").unwrap();
    assert!(gone.status.starts_with("NO [NONEXISTENT]"), "{gone:?}");
    installation.serve("main");
    until("shares are taken again", SERVED_WITHIN, || {
        ana.command("SETACL Drafts anyone lr").unwrap().ok().then_some(())
    });
}

#[test]
fn real_clients_read_and_fill_a_folder_of_somebody_else() {
    let installation = shared();
    let at = installation.node("main").at;
    let port = at.ports.imap.to_string();
    if have(&["python3"]) {
        let mut python = Command::new("python3");
        python.args(["-c", IMAPLIB, &at.host.to_string(), &port, BEN, sterna_testkit::installation::PASSWORD]);
        let output = python.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    if !have(&["mbsync"]) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let maildir = home.path().join("mail");
    fs::create_dir(&maildir).unwrap();
    let (configuration, host) = (home.path().join("mbsyncrc"), at.host);
    let (path, password) = (maildir.display(), sterna_testkit::installation::PASSWORD);
    let text = format!(
        "IMAPAccount tern\nHost {host}\nPort {port}\nUser {BEN}\nPass \"{password}\"\nSSLType None\nAuthMechs LOGIN\n\n\
         IMAPStore far\nAccount tern\n\n\
         MaildirStore near\nPath {path}/\nInbox {path}/INBOX\nSubFolders Verbatim\n\n\
         Channel tern\nFar :far:\nNear :near:\nPatterns * \"Other users/*\"\nCreate Near\nSyncState *\n"
    );
    fs::write(&configuration, text).unwrap();
    let folder = maildir.join("Other users/ana@tern.test/INBOX");
    let mbsync = || {
        let output = Command::new("mbsync").arg("--config").arg(&configuration).args(["--quiet", "tern"]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let count = |part: &str| fs::read_dir(folder.join(part)).map_or(0, Iterator::count);
        count("new") + count("cur")
    };
    let first = mbsync();
    assert!(first >= 2, "{first} messages");
    fs::write(folder.join("new/1.tern"), "From: a@b.test\nSubject: from afar\n\nUp it goes.\n").unwrap();
    assert_eq!(mbsync(), first + 1);
    let mut ana = at.login(ANA).unwrap();
    done(&mut ana, "SELECT INBOX");
    let found = done(&mut ana, "SEARCH SUBJECT \"from afar\"");
    assert!(found.lines.iter().any(|line| line.starts_with("* SEARCH ")), "{found:?}");
}

/// Python's own client: rights, a listing, and a message that goes there and back.
const IMAPLIB: &str = r#"
import imaplib, sys
host, port, user, password = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
c = imaplib.IMAP4(host, port); c.login(user, password)
def ok(answer):
    assert answer[0] == 'OK', answer
    return answer[1]
box = '"Other users/ana@tern.test/INBOX"'
assert b'Other users/' in ok(c.namespace())[0]
assert any(box.encode() in line for line in ok(c.list('""', '*')))
assert b'lrswite' in ok(c.myrights(box))[0]
assert c.getacl(box)[0] == 'NO' and c.delete(box)[0] == 'NO'
before = int(ok(c.select(box))[0])
ok(c.append(box, r'(\Flagged)', None, b'Subject: from python\r\n\r\nbody\r\n'))
ok(c.noop())
found = ok(c.uid('SEARCH', 'SUBJECT', '"from python"'))[0]
assert found, found
ok(c.uid('COPY', found.decode(), 'INBOX')); ok(c.uid('STORE', found.decode(), '+FLAGS', r'(\Deleted)')); ok(c.expunge())
assert int(ok(c.select(box, readonly=True))[0]) == before
c.logout()
"#;
