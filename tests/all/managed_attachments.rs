//! Attachments of calendar objects that the server keeps (RFC 8607), for those who are invited, too.

use base64::Engine as _;
use sterna_testkit::http::{Answer, Http};
use sterna_testkit::installation::{Installation, PASSWORD};
use sterna_testkit::raw::Raw;

use crate::dav_rights::{Dav, event};

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const ONE: &str = "/dav/calendars/ana@tern.test/Calendar/one.ics";
const TYPE: (&str, &str) = ("Content-Type", "text/html; charset=utf-8");
const NAME: (&str, &str) = ("Content-Disposition", "attachment; filename=\"agenda; new.html\"");

fn meeting(lines: &str) -> String {
    event("one").replace(
        "SUMMARY",
        &format!("ORGANIZER:mailto:{ANA}\r\nATTENDEE:mailto:{ANA}\r\nATTENDEE:mailto:{BEN}\r\n{lines}SUMMARY"),
    )
}

/// The ATTACH lines of an object, unfolded.
fn attached(answer: &Answer) -> Vec<String> {
    let body = answer.body.replace("\r\n ", "");
    body.lines().filter(|line| line.starts_with("ATTACH")).map(str::to_owned).collect()
}

/// The path in an ATTACH line.
fn path(line: &str) -> String {
    let url = &line[line.find("http").unwrap()..];
    format!("/share/{}", url.split_once("/share/").unwrap().1)
}

fn id(answer: &Answer) -> String {
    answer.header("cal-managed-id").unwrap_or_else(|| panic!("no Cal-Managed-ID: {answer:?}")).to_owned()
}

#[test]
fn attachments_are_added_replaced_and_removed() {
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    let at = installation.node("main").at;
    let mut stranger = Http::connect(at.host, at.ports.http, None).unwrap();
    let options = ana.is(200, "OPTIONS", "/dav/", &[], "");
    assert!(options.header("dav").unwrap().contains("calendar-managed-attachments"), "{options:?}");
    let limits = "<C:max-attachment-size/><C:max-attachments-per-resource/>";
    let limits = ana.propfind("/dav/calendars/ana@tern.test/Calendar/", "0", limits);
    assert!(limits.body.contains(">104857600<") && limits.body.contains(">50<"), "{limits:?}");

    ana.is(201, "PUT", ONE, &[], &meeting("RRULE:FREQ=WEEKLY;COUNT=3\r\n"));
    let add = format!("{ONE}?action=attachment-add");
    let added = ana.is(201, "POST", &add, &[TYPE, NAME], "<p>terns</p>");
    let first = id(&added);
    let [line] = &attached(&ana.is(200, "GET", ONE, &[], ""))[..] else { panic!("one attachment") };
    for part in [";MANAGED-ID=", ";FMTTYPE=text/html", ";SIZE=12", ";FILENAME=\"agenda; new.html\"", &first] {
        assert!(line.contains(part), "{part}: {line}");
    }
    // Whoever is invited has it, and needs no account to fetch it. It is no page of this server.
    let get = |stranger: &mut Http, line: &str| stranger.request("GET", &path(line), &[], "").unwrap();
    let bens = ben.propfind("/dav/calendars/ben@tern.test/Calendar/", "1", "<getetag/>");
    let copy = bens.texts("D:href").into_iter().find(|href| href.ends_with(".ics")).unwrap();
    assert_eq!(attached(&ben.is(200, "GET", &copy, &[], "")), std::slice::from_ref(line));
    let fetched = get(&mut stranger, line);
    assert_eq!((fetched.status, fetched.body.as_str()), (200, "<p>terns</p>"));
    assert_eq!(fetched.header("content-type"), Some("application/octet-stream"));
    assert!(fetched.header("content-disposition").unwrap().contains("agenda%3B%20new.html"), "{fetched:?}");
    // He answers, and may not name what is not there.
    let bens = ben.is(200, "GET", &copy, &[], "").body;
    let answer = bens.replace(&format!("ATTENDEE:mailto:{BEN}"), &format!("ATTENDEE;PARTSTAT=ACCEPTED:mailto:{BEN}"));
    ben.is(204, "PUT", &copy, &[], &answer);
    let forged =
        event("forged").replace("SUMMARY", "ATTACH;MANAGED-ID=AAAAAAAAAAAAAAAAAAAAAA:https://x.test/\r\nSUMMARY");
    let refused = ben.is(403, "PUT", "/dav/calendars/ben@tern.test/Calendar/forged.ics", &[], &forged);
    assert!(refused.body.contains("valid-managed-id"), "{refused:?}");

    // Another one for one time of the series only, then another file in the place of the first.
    let single = format!("{add}&rid=20250317T100000Z");
    let second = id(&ana.is(201, "POST", &single, &[TYPE], "two"));
    let object = ana.is(200, "GET", ONE, &[], "");
    assert_eq!(attached(&object).len(), 3, "{object:?}");
    assert!(object.body.contains("RECURRENCE-ID:20250317T100000Z"), "{object:?}");
    let before = line.clone();
    let update = format!("{ONE}?action=attachment-update&managed-id={first}");
    let updated = ana.is(204, "POST", &update, &[TYPE, NAME], "<p>more terns</p>");
    let third = id(&updated);
    assert_ne!(third, first);
    let lines = attached(&ana.is(200, "GET", ONE, &[], ""));
    assert_eq!(lines.iter().filter(|line| line.contains(&third)).count(), 2, "{lines:?}");
    assert_eq!(get(&mut stranger, &before).status, 404, "what no object has any more is gone");
    let now = lines.iter().find(|line| line.contains(&third)).unwrap();
    assert_eq!(get(&mut stranger, now).body, "<p>more terns</p>");
    let gone = ana.is(403, "POST", &update, &[TYPE], "x");
    assert!(gone.body.contains("valid-managed-id"), "{gone:?}");

    // It lives through a move of the account; what is removed from one time stays at the others.
    installation.move_to(ANA, "beta");
    assert_eq!(get(&mut stranger, now).body, "<p>more terns</p>");
    let remove = |id: &str, rid: &str| format!("{ONE}?action=attachment-remove&managed-id={id}{rid}");
    ana.is(204, "POST", &remove(&third, "&rid=M"), &[], "");
    assert_eq!(get(&mut stranger, now).status, 200);
    let refused = ana.is(403, "POST", &remove(&second, "&rid=20250318T100000Z"), &[], "");
    assert!(refused.body.contains("valid-rid"), "{refused:?}");
    ana.is(204, "POST", &remove(&third, ""), &[], "");
    assert_eq!(get(&mut stranger, now).status, 404);
    let left = attached(&ana.is(200, "GET", ONE, &[], ""));
    assert!(left.len() == 1 && left[0].contains(&second), "{left:?}");

    // A copy of the event keeps the file when the event goes; an event takes its own with it.
    let copied = event("two").replace("SUMMARY", &format!("{}\r\nSUMMARY", left[0]));
    let two = "/dav/calendars/ana@tern.test/Calendar/two.ics";
    ana.is(201, "PUT", two, &[], &copied);
    ana.is(204, "DELETE", ONE, &[], "");
    assert_eq!(get(&mut stranger, &left[0]).body, "two");
    let own = id(&ana.is(201, "POST", &format!("{two}?action=attachment-add"), &[TYPE], "own"));
    let lines = attached(&ana.is(200, "GET", two, &[], ""));
    let own = lines.into_iter().find(|line| line.contains(&own)).unwrap();
    ana.is(204, "DELETE", two, &[], "");
    assert_eq!(get(&mut stranger, &own).status, 404);
    // So does a whole calendar; what is in another one, too, stays.
    let (work, three) = ("/dav/calendars/ana@tern.test/work/", "/dav/calendars/ana@tern.test/work/three.ics");
    ana.is(201, "MKCALENDAR", work, &[], "");
    for name in ["three", "four"] {
        ana.is(201, "PUT", &three.replace("three", name), &[], &event(name));
        ana.is(201, "POST", &format!("{}?action=attachment-add", three.replace("three", name)), &[TYPE], name);
    }
    let lines: Vec<String> = ["three", "four"]
        .map(|name| attached(&ana.is(200, "GET", &three.replace("three", name), &[], "")).remove(0))
        .into();
    ana.is(201, "COPY", three, &[("Destination", ONE)], "");
    ana.is(204, "DELETE", work, &[], "");
    assert_eq!(get(&mut stranger, &lines[0]).body, "three");
    assert_eq!(get(&mut stranger, &lines[1]).status, 404);
    installation.is_sound();
}

#[test]
fn what_can_not_be_attached_is_refused_and_not_kept() {
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    let made = ana.is(201, "PUT", ONE, &[], &event("one"));
    let add = format!("{ONE}?action=attachment-add");
    let say = |answer: Answer, what: &str| assert!(answer.body.contains(what), "{what}: {answer:?}");
    say(ana.is(403, "POST", &format!("{ONE}?action=attachment-eat"), &[], "x"), "valid-action");
    say(ana.is(403, "POST", &format!("{add}&rid=20250317T100000Z"), &[TYPE], "x"), "valid-rid");
    ana.is(412, "POST", &add, &[TYPE, ("If-Match", "\"other\"")], "x");
    ana.is(201, "POST", &add, &[TYPE, ("If-Match", &made.etag())], "x");
    ana.is(404, "POST", "/dav/calendars/ana@tern.test/Calendar/none.ics?action=attachment-add", &[TYPE], "x");
    ana.is(405, "POST", "/dav/calendars/ana@tern.test/Calendar/?action=attachment-add", &[TYPE], "x");
    ben.is(409, "POST", &add, &[TYPE], "x");
    // What is too large is refused before it is sent.
    let at = installation.node("main").at;
    let mut raw = Raw::connect(at.host, at.ports.http).unwrap();
    let login = base64::engine::general_purpose::STANDARD.encode(format!("{ANA}:{PASSWORD}"));
    let head = format!(
        "POST {add} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\nContent-Length: {}\r\n\r\n",
        101 << 20
    );
    raw.send(head.as_bytes()).unwrap();
    assert!(raw.line().unwrap().unwrap().contains(" 403 "));
    assert!(raw.expect("max-attachment-size").is_ok());
    for _ in 1..50 {
        ana.is(201, "POST", &add, &[TYPE], "x");
    }
    say(ana.is(403, "POST", &add, &[TYPE], "x"), "max-attachments-per-resource");
    // The quota is the account's.
    installation.admin_ok("main", &["user", "set", ANA, "--quota", "50k"]);
    let left = "/dav/calendars/ana@tern.test/Calendar/left.ics";
    ana.is(201, "PUT", left, &[], &event("left"));
    let add = format!("{left}?action=attachment-add");
    ana.is(507, "POST", &add, &[TYPE], &"x".repeat(60 << 10));
    ana.is(201, "POST", &add, &[TYPE], &"x".repeat(20 << 10));
    installation.is_sound();
}
