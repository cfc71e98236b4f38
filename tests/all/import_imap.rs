//! `sterna import imap` from Debian's Dovecot: numbers, flags, dates and names stay; each pass brings what changed;
//! what breaks in between goes on, and what the source can't give is named.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use serde_json::Value;
use sterna_testkit::dovecot::{Dovecot, MASTER, MASTER_PASSWORD};
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, errors};

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";

pub fn message(subject: &str, bytes: usize) -> Vec<u8> {
    let line = "0123456789 abcdefghijklmnopqrstuvwxyz\r\n";
    format!("From: a@x.test\r\nSubject: {subject}\r\n\r\n{}", line.repeat(bytes / line.len() + 1)).into_bytes()
}

pub fn login(port: u16, user: &str) -> Imap {
    Imap::login("127.0.0.1", port, user, "x").unwrap()
}

pub fn done(imap: &mut Imap, command: &str) {
    let answer = imap.command(command).unwrap();
    assert!(answer.ok(), "{command}: {}", answer.status);
}

/// A message with this date and flags.
pub fn append(imap: &mut Imap, mailbox: &str, options: &str, message: &[u8]) {
    let answer = imap.append(&format!("\"{mailbox}\" {options}"), message).unwrap();
    assert!(answer.ok(), "{mailbox}: {}", answer.status);
}

/// What there is to see of a mailbox: its numbers, and each message.
pub fn picture(imap: &mut Imap, mailbox: &str) -> Vec<String> {
    let status = imap.command(&format!("STATUS \"{mailbox}\" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")).unwrap();
    assert!(status.ok(), "{mailbox}: {}", status.status);
    let mut lines: Vec<String> =
        status.lines.iter().filter_map(|line| Some(line.split_once('(')?.1.to_owned())).collect();
    done(imap, &format!("EXAMINE \"{mailbox}\""));
    let answer = imap.command("UID FETCH 1:* (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)])");
    let answer = answer.unwrap();
    lines.extend(answer.literals.iter().map(|literal| String::from_utf8_lossy(literal).into_owned()));
    let fetched = answer.lines.iter().filter(|line| line.contains("FETCH"));
    // Servers order the parts of an answer as they like.
    lines.extend(fetched.map(|line| {
        let part =
            |name: &str| line.split(name).nth(1).unwrap_or_default().split(['(', ')', 'B']).next().unwrap().to_owned();
        let uid: String = part("UID ").split(' ').next().unwrap().to_owned();
        let date = line.split('"').nth(1).unwrap_or_default().trim().trim_start_matches('0').to_owned();
        format!("{uid} {date} {}", part("RFC822.SIZE ").split(' ').next().unwrap())
    }));
    let flags = imap.command("UID FETCH 1:* (UID FLAGS)").unwrap();
    lines.extend(flags.lines.iter().filter(|line| line.contains("FETCH")).map(|line| {
        let list = line.split("FLAGS (").nth(1).unwrap_or_default().split(')').next().unwrap();
        let mut flags: Vec<&str> = list.split(' ').filter(|flag| *flag != "\\Recent").collect();
        flags.sort_unstable();
        let uid = line.split("UID ").nth(1).unwrap_or_default();
        let uid: String = uid.chars().take_while(char::is_ascii_digit).collect();
        format!("{uid} {}", flags.join(" "))
    }));
    lines
}

/// Runs an import; what it printed.
fn import(installation: &Installation, port: u16, more: &[&str]) -> (Option<i32>, Value, String) {
    let port = port.to_string();
    let first = ["--json", "import", "imap", "--host", "127.0.0.1", "--port", &port, "--encryption", "none"];
    let output: Output = installation.admin("main", &[&first[..], more].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {}", errors(&output)));
    (output.status.code(), value, errors(&output))
}

fn password(installation: &Installation, password: &str) -> String {
    let path = installation.folder().join("source-password");
    fs::write(&path, password).unwrap();
    path.to_string_lossy().into_owned()
}

/// One account from Dovecot into ana's.
fn import_ana(installation: &Installation, port: u16, more: &[&str]) -> (Option<i32>, Value, String) {
    let file = password(installation, "x");
    import(installation, port, &[&["--login", "ana", "--to", ANA, "--password-file", &file], more].concat())
}

#[test]
fn an_account_comes_as_it_is_and_each_pass_brings_what_changed() {
    let Some(dovecot) = Dovecot::start() else { return };
    let mut there = login(dovecot.port, "ana");
    for name in ["Projects", "Projects/2024/Gr&APwA3w-e", "a &- b", "Gesendet", "Old", "To go"] {
        done(&mut there, &format!("CREATE \"{name}\""));
    }
    done(&mut there, "SUBSCRIBE \"Projects\"");
    for n in 0..40 {
        let flags = ["()", "(\\Seen)", "(\\Flagged $Forwarded NonJunk)", "(\\Answered \\Draft)"][n % 4];
        let date = format!("{flags} \"{:02}-Feb-2019 10:{:02}:07 +0000\"", n % 28 + 1, n);
        append(&mut there, "INBOX", &date, &message(&format!("inbox {n}"), 200));
    }
    append(&mut there, "Projects/2024/Gr&APwA3w-e", "(\\Seen)", &message("large", 400_000));
    append(&mut there, "Gesendet", "(\\Seen)", &message("sent", 100));
    append(&mut there, "Old", "()", &message("old", 100));
    append(&mut there, "To go", "()", &message("go", 100));
    done(&mut there, "SELECT INBOX");
    done(&mut there, "UID STORE 3,7:9,40 +FLAGS (\\Deleted)");
    done(&mut there, "EXPUNGE");

    let installation = Installation::standard();
    let (code, view, said) = import_ana(&installation, dovecot.port, &[]);
    assert_eq!((code, view["accounts"][0]["messages"].as_u64()), (Some(0), Some(39)), "{view} {said}");
    let mut here = installation.node("main").at.login(ANA).unwrap();
    let mailboxes = ["INBOX", "Projects", "Projects/2024/Gr&APwA3w-e", "a &- b", "Gesendet", "Old", "To go"];
    for name in mailboxes {
        assert_eq!(picture(&mut here, name), picture(&mut there, name), "{name}");
    }
    let uses = here.command("LIST \"\" \"*\" RETURN (SPECIAL-USE SUBSCRIBED)").unwrap().lines.join("\n");
    let line_of = |name: &str| uses.lines().find(|line| line.ends_with(name)).unwrap_or_default().to_owned();
    assert!(line_of("Gesendet").contains("\\Sent") && !uses.contains(" Sent"), "{uses}");
    assert!(line_of(" Projects").contains("\\Subscribed") && !line_of(" Old").contains("\\Subscribed"), "{uses}");

    // Nothing changed: nothing is done.
    let modseq = |installation: &Installation| {
        let mut here = installation.node("main").at.login(ANA).unwrap();
        here.command("STATUS INBOX (HIGHESTMODSEQ)").unwrap().lines.concat()
    };
    let before = modseq(&installation);
    let (code, view, said) = import_ana(&installation, dovecot.port, &[]);
    let count = |view: &Value, name: &str| view["accounts"][0][name].as_u64().unwrap();
    assert_eq!((code, count(&view, "messages"), count(&view, "flags")), (Some(0), 0, 0), "{view} {said}");
    assert_eq!(modseq(&installation), before);

    // The source goes on.
    done(&mut there, "SELECT INBOX");
    done(&mut there, "UID STORE 1 +FLAGS (\\Seen later)");
    done(&mut there, "UID STORE 4 FLAGS ()");
    done(&mut there, "UID STORE 5 +FLAGS (\\Deleted)");
    done(&mut there, "EXPUNGE");
    append(&mut there, "INBOX", "(\\Seen)", &message("new", 100));
    done(&mut there, "UNSELECT");
    done(&mut there, "RENAME Old \"Older/still\"");
    done(&mut there, "DELETE \"To go\"");
    let (code, view, said) = import_ana(&installation, dovecot.port, &[]);
    let counts = ["messages", "flags", "expunged"].map(|name| count(&view, name));
    assert_eq!((code, counts), (Some(0), [1, 2, 1]), "{view} {said}");
    for name in ["INBOX", "Older/still"] {
        assert_eq!(picture(&mut here, name), picture(&mut there, name), "{name}");
    }
    assert!(!here.command("STATUS \"To go\" (MESSAGES)").unwrap().ok());

    let (code, view, said) = import_ana(&installation, dovecot.port, &["--final"]);
    assert_eq!((code, count(&view, "compared")), (Some(0), 38), "{view} {said}");
    assert!(said.contains("the final pass"), "{said}");

    // What is changed here afterwards is found by a comparison, and not by a sweep.
    done(&mut here, "SELECT INBOX");
    done(&mut here, "UID STORE 1 +FLAGS (\\Deleted)");
    done(&mut here, "UID EXPUNGE 1");
    append(&mut here, "INBOX", "()", &message("own", 100));
    append(&mut there, "INBOX", "()", &message("late", 100));
    let (code, view, said) = import_ana(&installation, dovecot.port, &["--sweep"]);
    assert_eq!((code, count(&view, "messages"), count(&view, "expunged")), (Some(0), 1, 0), "{view} {said}");
    assert!(said.contains("sweep after the switch") && said.contains("other UIDs"), "{said}");
    let subjects = picture(&mut here, "INBOX").join("\n");
    assert!(subjects.contains("Subject: own") && subjects.contains("Subject: late"), "{subjects}");
    assert_eq!(import_ana(&installation, dovecot.port, &["--sweep"]).1["accounts"][0]["messages"], 0);
    let (code, view, _) = import_ana(&installation, dovecot.port, &["--final"]);
    assert_eq!(code, Some(1), "{view}");
    assert!(view["accounts"][0]["differences"].to_string().contains("INBOX;UID=1: it has not come"), "{view}");
    drop((there, here));
}

#[test]
fn a_source_is_known_again_at_another_address_and_folders_keep_what_is_below_them() {
    let Some(dovecot) = Dovecot::start() else { return };
    let mut there = login(dovecot.port, "ana");
    for name in ["Work", "Work/one"] {
        done(&mut there, &format!("CREATE \"{name}\""));
        append(&mut there, name, "()", &message(name, name.len() * 1000));
    }
    for n in 0..120 {
        append(&mut there, "INBOX", "()", &message(&format!("{n}"), 100));
    }
    let installation = Installation::standard();
    let first = import_ana(&installation, dovecot.port, &[]);
    assert_eq!((first.0, first.1["accounts"][0]["messages"].as_u64()), (Some(0), Some(122)), "{first:?}");

    // By another name it would be another one.
    let (code, view, said) = import_ana(&installation, dovecot.port, &["--source-name", "localhost"]);
    assert!(code == Some(1) && said.contains("--another-source"), "{view} {said}");
    let named = ["--source-name", "127.0.0.1"];
    let port = cutting_proxy(dovecot.port, u64::MAX, Arc::default());
    done(&mut there, "RENAME Work Play");
    let (code, view, said) = import_ana(&installation, port, &named);
    assert_eq!((code, view["accounts"][0]["messages"].as_u64()), (Some(0), Some(0)), "{view} {said}");
    let mut here = installation.node("main").at.login(ANA).unwrap();
    for name in ["Play", "Play/one", "INBOX"] {
        assert_eq!(picture(&mut here, name), picture(&mut there, name), "{name}");
    }
    assert!(!here.command("STATUS Work/one (MESSAGES)").unwrap().ok());

    // Nearly everything is gone there.
    done(&mut there, "SELECT INBOX");
    done(&mut there, "UID STORE 3:* +FLAGS (\\Deleted)");
    done(&mut there, "EXPUNGE");
    let (code, view, said) = import_ana(&installation, dovecot.port, &[]);
    assert!(code == Some(1) && said.contains("--allow-removals"), "{view} {said}");
    assert_eq!(view["accounts"][0]["expunged"], 0, "{view}");
    let (code, view, said) = import_ana(&installation, dovecot.port, &["--allow-removals"]);
    assert_eq!((code, view["accounts"][0]["expunged"].as_u64()), (Some(0), Some(118)), "{view} {said}");
}

/// Passes connections on to a port, and cuts each after so many bytes from there.
fn cutting_proxy(port: u16, bytes: u64, cuts: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let own = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
            let (mut to, mut from) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            let (cuts, mut client) = (cuts.clone(), client);
            thread::spawn(move || {
                let (mut left, mut buffer) = (bytes, [0; 4096]);
                loop {
                    let length = server.read(&mut buffer).unwrap_or(0);
                    let passed = length.min(usize::try_from(left).unwrap());
                    if length == 0 || client.write_all(&buffer[..passed]).is_err() {
                        break;
                    }
                    left -= passed as u64;
                    if left == 0 {
                        cuts.fetch_add(1, Ordering::Relaxed);
                        break;
                    }
                }
                let _ = client.shutdown(std::net::Shutdown::Both);
                let _ = server.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    own
}

#[test]
fn a_source_that_breaks_off_again_and_again_is_read_to_the_end() {
    let Some(dovecot) = Dovecot::start() else { return };
    let mut lines = String::from("# two of them\n");
    for (user, address) in [("ana", ANA), ("ben", BEN)] {
        let mut there = login(dovecot.port, user);
        for n in 0..120 {
            append(&mut there, "INBOX", "(\\Seen)", &message(&format!("{user} {n}"), 100_000));
        }
        lines.push_str(&format!("{user};;{address}\n"));
    }
    let installation = Installation::standard();
    let list = installation.folder().join("accounts");
    fs::write(&list, lines).unwrap();
    let file = password(&installation, MASTER_PASSWORD);
    let accounts = list.to_string_lossy().into_owned();
    let cuts = Arc::new(AtomicU64::new(0));
    // A batch has 8 MB: the first one arrives, the second one is cut.
    let port = cutting_proxy(dovecot.port, 9_500_000, cuts.clone());
    let who = ["--accounts", &accounts, "--master", MASTER, "--password-file", &file, "--parallel", "2"];
    let (code, view, said) = import(&installation, port, &who);
    assert_eq!(code, Some(0), "{view} {said}");
    assert!(cuts.load(Ordering::Relaxed) >= 2, "nothing was cut");
    for (user, address) in [("ana", ANA), ("ben", BEN)] {
        let (mut here, mut there) = (installation.node("main").at.login(address).unwrap(), login(dovecot.port, user));
        assert_eq!(picture(&mut here, "INBOX"), picture(&mut there, "INBOX"), "{user}");
    }
    let wrong = password(&installation, "wrong");
    let who = ["--accounts", &accounts, "--master", MASTER, "--password-file", &wrong];
    let (code, _, said) = import(&installation, dovecot.port, &who);
    assert!(code == Some(1) && said.contains("the log-in is refused"), "{said}");
}

#[test]
fn what_the_source_cannot_give_is_named_and_left_out_only_when_asked() {
    let Some(dovecot) = Dovecot::start() else { return };
    let mut there = login(dovecot.port, "ana");
    done(&mut there, "CREATE Fine");
    append(&mut there, "Fine", "()", &message("fine", 100));
    for n in 0..5 {
        append(&mut there, "INBOX", "()", &message(&format!("{n}"), 1000));
    }
    done(&mut there, "LOGOUT");
    let files = dovecot.files("ana", "INBOX");
    fs::write(&files[2], "this is no message of Dovecot\n").unwrap();

    let installation = Installation::standard();
    let (code, view, said) = import_ana(&installation, dovecot.port, &[]);
    assert_eq!(code, Some(1), "{view} {said}");
    assert!(view["accounts"][0]["damaged"].to_string().contains("INBOX"), "{view} {said}");
    let mut here = installation.node("main").at.login(ANA).unwrap();
    assert_eq!(picture(&mut here, "Fine")[0], picture(&mut login(dovecot.port, "ana"), "Fine")[0], "the others come");

    let (code, view, said) = import_ana(&installation, dovecot.port, &["--set-aside", "ana/INBOX"]);
    assert_eq!((code, view["accounts"][0]["set_aside"][0].as_str()), (Some(0), Some("INBOX")), "{view} {said}");
}
