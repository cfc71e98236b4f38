//! Calendars and contacts from files and into files: what can't be read is told with its line, and doing it again
//! changes nothing.

use std::fs;
use std::process::Output;

use serde_json::Value;
use sterna_testkit::installation::{Installation, errors};

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";

fn event(uid: &str, lines: &str) -> String {
    format!("BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20250101T000000Z\r\n{lines}\r\nEND:VEVENT\r\n")
}

/// Runs an import of a file with this content.
fn import(installation: &Installation, kind: &str, text: &str, to: &str) -> Output {
    let path = installation.folder().join(format!("import.{kind}"));
    fs::write(&path, text).unwrap();
    installation.admin("main", &["--json", "import", kind, &path.to_string_lossy(), "--to", to])
}

/// What it did: created, changed, unchanged, failed.
fn counts(output: &Output) -> [u64; 4] {
    let text = String::from_utf8_lossy(&output.stdout);
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text} {}", errors(output)));
    ["created", "changed", "unchanged", "failed"].map(|name| value[name].as_u64().unwrap())
}

#[test]
fn a_calendar_comes_in_once_and_goes_out_whole() {
    let installation = Installation::standard();
    let zone = "BEGIN:VTIMEZONE\r\nTZID:Home\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0100\r\n\
                TZOFFSETTO:+0100\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n";
    let mut file = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:PUBLISH\r\n{zone}");
    for n in 0..250 {
        file.push_str(&event(&format!("uid-{n}"), &format!("DTSTART:20250101T{:02}0000Z\r\nSUMMARY:{n}", n % 24)));
    }
    file.push_str(&event("weekly", "DTSTART;TZID=Home:20250101T100000\r\nRRULE:FREQ=WEEKLY"));
    let bad = file.matches("\r\n").count() + 1;
    file.push_str(&event("bad", "SUMMARY:without a beginning"));
    file.push_str(&event("weekly", "RECURRENCE-ID;TZID=Home:20250108T100000\r\nDTSTART;TZID=Home:20250108T120000"));
    file.push_str("END:VCALENDAR\r\n");
    let first = import(&installation, "ics", &file, ANA);
    assert_eq!((counts(&first), first.status.code()), ([251, 0, 0, 1], Some(1)), "{}", errors(&first));
    assert!(errors(&first).contains(&format!("line {bad}: ")) && errors(&first).contains("DTSTART"), "{first:?}");
    let again = import(&installation, "ics", &file, ANA);
    assert_eq!(counts(&again), [0, 0, 251, 1]);
    let changed = file.replace("SUMMARY:7\r\n", "SUMMARY:seven\r\n");
    assert_eq!(counts(&import(&installation, "ics", &changed, ANA)), [0, 1, 250, 1]);

    // What a client has put there under its own name is the same object.
    let own = format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{}END:VCALENDAR\r\n",
        event("own", "DTSTART:20250101T000000Z")
    );
    let mut dav = installation.node("main").at.dav(ANA).unwrap();
    let put = dav.request("PUT", "/dav/calendars/ana@tern.test/Calendar/mine.ics", &[], &own).unwrap();
    assert_eq!(put.status, 201);
    assert_eq!(counts(&import(&installation, "ics", &own, ANA))[..2], [0, 1], "another PRODID");
    assert_eq!(counts(&import(&installation, "ics", &own, ANA)), [0, 0, 1, 0]);

    // All of it into another account, on another server, and back out the same.
    let out = installation.admin_ok("main", &["export", "ics", ANA]);
    assert_eq!((out.matches("BEGIN:VEVENT").count(), out.matches("BEGIN:VTIMEZONE").count()), (253, 1));
    assert_eq!(counts(&import(&installation, "ics", &out, BEN)), [252, 0, 0, 0]);
    assert_eq!(installation.admin_ok("main", &["export", "ics", BEN]).matches("BEGIN:VEVENT").count(), 253);
    let wrong = installation.admin("main", &["export", "ics", ANA, "--collection", "None"]);
    assert!(!wrong.status.success() && errors(&wrong).contains("None"));
}

#[test]
fn contacts_come_from_cards_and_directories() {
    let installation = Installation::standard();
    let cards = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:a\r\nFN:Ana\r\nN:;Ana;;;\r\nEMAIL:a@x.test\r\nEND:VCARD\r\n\
                 BEGIN:VCARD\r\nVERSION:2.1\r\nN:Old\r\nEND:VCARD\r\n\
                 BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Nameless\r\nEND:VCARD\r\n";
    let output = import(&installation, "vcf", cards, ANA);
    assert_eq!(counts(&output), [2, 0, 0, 1], "{}", errors(&output));
    assert!(errors(&output).contains("line 8: "), "{}", errors(&output));
    assert_eq!(counts(&import(&installation, "vcf", cards, ANA)), [0, 0, 2, 1]);

    let people = "version: 1\n\ndn: cn=Zoe Tern\nobjectclass: inetOrgPerson\ncn: Zoe Tern\nsn: Tern\nmail: zoe@x.test\n\n\
                  dn: cn=all\nobjectclass: groupOfNames\ncn: all\n";
    let output = import(&installation, "ldif", people, ANA);
    assert_eq!(counts(&output), [1, 0, 0, 1]);
    assert!(errors(&output).contains("line 9: "), "{}", errors(&output));
    let done = import(&installation, "ldif", people.split("dn: cn=all").next().unwrap(), ANA);
    assert_eq!((counts(&done), done.status.code()), ([0, 0, 1, 0], Some(3)));

    let vcf = installation.admin_ok("main", &["export", "vcf", ANA]);
    assert!(vcf.matches("BEGIN:VCARD").count() == 3 && vcf.contains("EMAIL:zoe@x.test"), "{vcf}");
    let ldif = installation.admin_ok("main", &["export", "ldif", ANA]);
    assert!(ldif.contains("dn: cn=Zoe Tern,mail=zoe@x.test\n") && ldif.contains("sn: Tern\n"), "{ldif}");
    assert_eq!(counts(&import(&installation, "ldif", &ldif, BEN)), [3, 0, 0, 0]);
}
