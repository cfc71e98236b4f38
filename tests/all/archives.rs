//! A whole account as files, which other programs read, and back again; Maildirs and mailboxes in one file.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use sterna_testkit::binary::have;
use sterna_testkit::dovecot::Dovecot;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, errors};

use crate::import_imap::{append, done, login, message, picture};

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const CARL: &str = "carl@tern.test";
const FOLDERS: [&str; 4] = ["INBOX", "Projects", "Projects/2024/Gr&APwA3w-e", "Gesendet"];

/// Messages, folders and flags of all sorts.
fn fill(imap: &mut Imap) {
    for name in ["Projects", "Projects/2024/Gr&APwA3w-e", "Gesendet"] {
        done(imap, &format!("CREATE \"{name}\""));
    }
    done(imap, "SUBSCRIBE \"Projects\"");
    for n in 0..30 {
        let flags = ["()", "(\\Seen)", "(\\Flagged $Forwarded NonJunk)", "(\\Answered \\Draft)"][n % 4];
        let date = format!("{flags} \"{:02}-Feb-2019 10:{:02}:07 +0000\"", n % 28 + 1, n);
        append(imap, "INBOX", &date, &message(&format!("inbox {n}"), 200));
    }
    // Who has a message twice has it twice.
    append(imap, "INBOX", "(\\Seen) \"01-Mar-2019 10:00:00 +0000\"", &message("inbox 0", 200));
    append(imap, "Projects/2024/Gr&APwA3w-e", "(\\Seen)", &message("large", 400_000));
    append(imap, "Gesendet", "(\\Seen)", &message("sent", 100));
    done(imap, "SELECT INBOX");
    done(imap, "UID STORE 3,7:9 +FLAGS (\\Deleted)");
    done(imap, "EXPUNGE");
}

fn pictures(imap: &mut Imap) -> Vec<Vec<String>> {
    FOLDERS.iter().map(|folder| picture(imap, folder)).collect()
}

/// Runs a command; its exit code, what it printed as JSON, and what it said.
fn run(installation: &Installation, arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output: Output = installation.admin("main", &[&["--json"][..], arguments].concat());
    let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), value, errors(&output))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn event(uid: &str, summary: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20250101T000000Z\r\n\
         DTSTART:20250101T100000Z\r\nSUMMARY:{summary}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

#[test]
fn an_account_goes_out_as_files_that_others_read_and_comes_back() {
    let installation = Installation::standard();
    installation.create_user(CARL, "alpha");
    let at = installation.node("main").at;
    let mut ana = at.login(ANA).unwrap();
    fill(&mut ana);
    let before = pictures(&mut ana);
    let mut dav = at.dav(ANA).unwrap();
    let mut is = |status: u16, method: &str, path: &str, body: &str| {
        let answer = dav.request(method, path, &[], body).unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    };
    let named = "<C:mkcalendar xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\"><D:set><D:prop>\
                 <D:displayname>Work &amp; play</D:displayname></D:prop></D:set></C:mkcalendar>";
    is(201, "MKCALENDAR", "/dav/calendars/ana@tern.test/work/", named);
    is(201, "PUT", "/dav/calendars/ana@tern.test/work/mine.ics", &event("one", "first"));
    let card = "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:card\r\nFN:Ben\r\nEND:VCARD\r\n";
    is(201, "PUT", "/dav/addressbooks/ana@tern.test/Contacts/ben.vcf", card);
    is(201, "MKCOL", "/dav/files/ana@tern.test/reports/", "");
    is(201, "PUT", "/dav/files/ana@tern.test/reports/2026.txt", "all well");
    let script = installation.folder().join("keep.sieve");
    fs::write(&script, "keep;\r\n").unwrap();
    installation.admin_ok("main", &["sieve", "put", ANA, "mine", &script.to_string_lossy(), "--activate"]);

    let share =
        |arguments: &[&str]| installation.admin_ok("main", &[&["account", "acl", "set", ANA], arguments].concat());
    share(&["@tern.test", "freebusy", "--calendar", "Calendar"]);
    share(&["ben@tern.test", "lr", "--mailbox", "Projects"]);
    share(&["ben@tern.test", "read", "--folder", "reports"]);
    let published = ["https://tern.invalid/holidays.ics", "--name", "Holidays", "--refresh", "720"];
    installation.admin_ok("main", &[&["calendar", "subscribe", ANA], &published[..]].concat());

    let folder = installation.folder().join("ana");
    let to = folder.to_string_lossy().into_owned();
    let (code, said, errors) = run(&installation, &["export", "account", ANA, "--to", &to]);
    assert_eq!(code, Some(0), "{errors}");
    let counts = ["messages", "objects", "files", "scripts"].map(|what| said[what].as_u64().unwrap());
    assert_eq!(counts, [29, 2, 1, 1], "{said}");
    assert_eq!(text(&folder.join("calendars/work/mine.ics")), event("one", "first"));
    assert_eq!(text(&folder.join("contacts/Contacts/ben.vcf")), card);
    assert_eq!(text(&folder.join("files/reports/2026.txt")), "all well");
    assert_eq!(text(&folder.join("sieve/mine.sieve")), "keep;\r\n");
    let again = run(&installation, &["export", "account", ANA, "--to", &to]);
    assert!(again.0 == Some(2) && again.2.contains("is there already"), "{again:?}");
    // Who takes an account along is recorded.
    let audit = installation.admin_ok("main", &["--json", "audit", "--about", ANA]);
    assert!(audit.contains("/archive"), "{audit}");

    // Another server reads the Maildir, with the same UIDs, flags and keywords.
    if let Some(dovecot) = Dovecot::with_maildirs() {
        dovecot.give_maildir("ana", &folder.join("mail"));
        let mut there = login(dovecot.port, "ana");
        for (name, picture_before) in FOLDERS.iter().zip(&before) {
            assert_eq!(&picture(&mut there, name), picture_before, "{name}: {}", dovecot.log());
        }
    }

    // All of it comes back, for somebody else here.
    let (code, said, errors) = run(&installation, &["import", "account", &to, "--to", CARL]);
    assert_eq!((code, said["refused_count"].as_u64()), (Some(0), Some(0)), "{said} {errors}");
    assert_eq!((&said["messages"], &said["renumbered"]), (&json!(29), &json!([])), "{said}");
    let mut carl = at.login(CARL).unwrap();
    assert_eq!(pictures(&mut carl), before);
    let uses = carl.command("LIST \"\" \"*\" RETURN (SPECIAL-USE SUBSCRIBED)").unwrap().lines.join("\n");
    let line_of = |name: &str| uses.lines().find(|line| line.ends_with(name)).unwrap_or_default().to_owned();
    assert!(line_of(" Projects").contains("\\Subscribed"), "{uses}");
    let mut dav = at.dav(CARL).unwrap();
    let mut get = |path: &str| dav.request("GET", path, &[], "").unwrap().body;
    assert_eq!(get("/dav/calendars/carl@tern.test/work/mine.ics"), event("one", "first"));
    assert_eq!(get("/dav/addressbooks/carl@tern.test/Contacts/ben.vcf"), card);
    assert_eq!(get("/dav/files/carl@tern.test/reports/2026.txt"), "all well");
    let asked = "<propfind xmlns=\"DAV:\"><prop><displayname/></prop></propfind>";
    let found = dav.request("PROPFIND", "/dav/calendars/carl@tern.test/work/", &[("Depth", "0")], asked).unwrap();
    assert!(found.body.contains("Work &amp; play"), "{}", found.body);
    let scripts = installation.admin_ok("main", &["sieve", "list", CARL]);
    assert!(scripts.contains("mine"), "{scripts}");

    let calendars = || installation.admin_ok("main", &["--json", "calendar", "list", CARL]);
    assert!(
        calendars().contains("https://tern.invalid/holidays.ics") && calendars().contains("720"),
        "{}",
        calendars()
    );
    // Rights come back only when somebody says so.
    let rights = || installation.admin_ok("main", &["--json", "account", "acl", "list", CARL]);
    assert_eq!(serde_json::from_str::<Value>(&rights()).unwrap(), json!([]));
    let with_rights = run(&installation, &["import", "account", &to, "--to", CARL, "--rights"]);
    assert_eq!(with_rights.0, Some(0), "{with_rights:?}");
    let given: Value = serde_json::from_str(&rights()).unwrap();
    let given: Vec<[&str; 3]> = given
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| ["mailbox", "identifier", "rights"].map(|name| entry[name].as_str().unwrap()))
        .collect();
    let expected = [
        ["Calendar", "@tern.test", "9"],
        ["files/reports", "ben@tern.test", "lr"],
        ["Projects", "ben@tern.test", "lr"],
    ];
    assert_eq!(given, expected);

    // Once more nothing is done; what is gone comes back, and what was changed since stays.
    assert_eq!(run(&installation, &["import", "account", &to, "--to", CARL, "--rights"]).0, Some(3), "nothing to do");
    assert_eq!(pictures(&mut carl), before);
    done(&mut carl, "SELECT INBOX");
    done(&mut carl, "UID STORE 5 +FLAGS (\\Deleted)");
    done(&mut carl, "EXPUNGE");
    let changed = event("one", "changed since");
    dav.request("PUT", "/dav/calendars/carl@tern.test/work/mine.ics", &[], &changed).unwrap();
    let (code, said, _) = run(&installation, &["import", "account", &to, "--to", CARL]);
    assert_eq!((code, &said["messages"], &said["objects"]), (Some(0), &json!(1), &json!(0)), "{said}");
    let kept = dav.request("GET", "/dav/calendars/carl@tern.test/work/mine.ics", &[], "").unwrap();
    assert_eq!(kept.body, changed);
    let status = carl.command("STATUS INBOX (MESSAGES)").unwrap().lines.concat();
    assert!(status.contains("MESSAGES 27"), "{status}");

    // Who says so has it as it is in the archive: what was changed is changed back, and what is not in it goes.
    dav.request("PUT", "/dav/calendars/carl@tern.test/work/later.ics", &[], &event("two", "since then")).unwrap();
    let (code, said, _) = run(&installation, &["import", "account", &to, "--to", CARL, "--follow"]);
    assert_eq!((code, &said["changed"], &said["removed"]), (Some(0), &json!(1), &json!(1)), "{said}");
    let mut get = |path: &str| dav.request("GET", path, &[], "").unwrap();
    assert_eq!(get("/dav/calendars/carl@tern.test/work/mine.ics").body, event("one", "first"));
    assert_eq!(get("/dav/calendars/carl@tern.test/work/later.ics").status, 404);
    assert_eq!(run(&installation, &["import", "account", &to, "--to", CARL, "--follow"]).0, Some(3), "nothing to do");
}

#[test]
fn an_archive_in_one_file_that_is_cut_off_says_so_and_goes_on_where_it_was() {
    let installation = Installation::standard();
    let at = installation.node("main").at;
    let mut ana = at.login(ANA).unwrap();
    fill(&mut ana);
    let before = pictures(&mut ana);
    let file = installation.folder().join("ana.tar");
    let to = file.to_string_lossy().into_owned();
    assert_eq!(run(&installation, &["export", "account", ANA, "--to", &to]).0, Some(0));
    let whole = fs::read(&file).unwrap();
    let cut = installation.folder().join("cut.tar");
    fs::write(&cut, &whole[..whole.len() / 2 + 100]).unwrap();
    let (code, _, said) = run(&installation, &["import", "account", &cut.to_string_lossy(), "--to", BEN]);
    assert!(code != Some(0) && said.contains("archive can't be read"), "{code:?} {said}");
    for (content, says) in [(&b"no tar at all"[..], "archive can't be read"), (b"", "does not begin with a manifest")] {
        fs::write(&cut, content).unwrap();
        let (code, _, said) = run(&installation, &["import", "account", &cut.to_string_lossy(), "--to", BEN]);
        assert!(code != Some(0) && said.contains(says), "{code:?} {said}");
    }
    let (code, said, errors) = run(&installation, &["import", "account", &to, "--to", BEN]);
    assert_eq!(code, Some(0), "{said} {errors}");
    assert_eq!(pictures(&mut at.login(BEN).unwrap()), before);
    assert_eq!(run(&installation, &["import", "account", &to, "--to", "nobody@tern.test"]).0, Some(1));
    // There is an end to what goes in.
    installation.admin_ok("main", &["user", "set", BEN, "--quota", "1M"]);
    let large = installation.folder().join("large.mbox");
    let body = String::from_utf8(message("large", 900_000)).unwrap();
    fs::write(&large, format!("From a@x Sat Jan  3 01:05:34 1996\n{body}\n")).unwrap();
    let (code, _, said) = run(&installation, &["import", "mbox", &large.to_string_lossy(), "--to", BEN]);
    assert!(code == Some(1) && said.contains("quota"), "{code:?} {said}");
}

#[test]
fn a_maildir_comes_with_the_numbers_that_its_server_gave() {
    let Some(dovecot) = Dovecot::with_maildirs() else { return };
    let mut there = login(dovecot.port, "ana");
    fill(&mut there);
    let installation = Installation::standard();
    let folder = dovecot.maildir("ana").to_string_lossy().into_owned();
    let (code, said, errors) = run(&installation, &["import", "maildir", &folder, "--to", ANA]);
    assert_eq!((code, &said["messages"]), (Some(0), &json!(29)), "{said} {errors}");
    let mut here = installation.node("main").at.login(ANA).unwrap();
    assert_eq!(pictures(&mut here), pictures(&mut there));
    assert_eq!(run(&installation, &["import", "maildir", &folder, "--to", ANA]).0, Some(3), "nothing to do");
    // What came since comes the next time.
    append(&mut there, "INBOX", "(\\Seen)", &message("new", 100));
    let (code, said, _) = run(&installation, &["import", "maildir", &folder, "--to", ANA]);
    assert_eq!((code, &said["messages"]), (Some(0), &json!(1)), "{said}");
    assert_eq!(pictures(&mut here), pictures(&mut there));
    let empty = installation.folder().join("empty");
    fs::create_dir(&empty).unwrap();
    let (code, _, said) = run(&installation, &["import", "maildir", &empty.to_string_lossy(), "--to", ANA]);
    assert!(code == Some(2) && said.contains("is no Maildir"), "{code:?} {said}");
}

#[test]
fn a_mailbox_in_one_file_comes_into_a_folder() {
    if !have(&["python3"]) {
        return;
    }
    let installation = Installation::standard();
    let file = installation.folder().join("old.mbox");
    let script = "import mailbox, sys\nbox = mailbox.mbox(sys.argv[1])\nfor n in range(3):\n  \
                  m = mailbox.mboxMessage('Subject: %d\\n\\nFrom here\\nbye\\n' % n)\n  m.set_flags('RF' if n else '')\n  \
                  m.set_from('ana@x', (2020, 5, n + 1, 10, 0, 0, 0, 0, 0))\n  box.add(m)\nbox.close()\n";
    let made = Command::new("python3").args(["-c", script, &file.to_string_lossy()]).output().unwrap();
    assert!(made.status.success(), "{}", errors(&made));
    let from = file.to_string_lossy().into_owned();
    let arguments = ["import", "mbox", &from, "--to", ANA, "--folder", "Old/2020"];
    let (code, said, errors) = run(&installation, &arguments);
    assert_eq!((code, &said["messages"]), (Some(0), &json!(3)), "{said} {errors}");
    assert_eq!(run(&installation, &arguments).0, Some(3), "nothing to do");
    let mut imap = installation.node("main").at.login(ANA).unwrap();
    done(&mut imap, "EXAMINE Old/2020");
    let flags = imap.command("UID FETCH 2 (FLAGS INTERNALDATE)").unwrap().lines.concat();
    assert!(flags.contains("\\Seen") && flags.contains("\\Flagged") && flags.contains(" 2-May-2020"), "{flags}");
    let body = imap.command("UID FETCH 1 (BODY.PEEK[TEXT])").unwrap();
    assert_eq!(String::from_utf8_lossy(&body.literals[0]), "From here\r\nbye\r\n");
}
