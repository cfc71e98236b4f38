//! Collections of others in the home of whoever they are shared with, while their owner's server is up, moved from, or
//! away; and public links.

use std::fs;
use std::path::Path;
use std::process::Command;

use sterna_testkit::binary::have;
use sterna_testkit::http::{Answer, Http};
use sterna_testkit::installation::{Installation, PASSWORD};
use sterna_testkit::wait::until;

use crate::dav_rights::{Dav, acl, event};

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const CALENDAR: &str = "/dav/calendars/ana@tern.test/Calendar/";
const HOME: &str = "/dav/calendars/ben@tern.test/";
const BOOKS: &str = "/dav/addressbooks/ben@tern.test/";

/// How long a server may take until it serves again.
const SERVED_WITHIN: std::time::Duration = std::time::Duration::from_secs(20);

/// Ana on alpha lets ben on beta write her calendar, and read her book.
fn shared() -> (Installation, Dav, Dav) {
    let installation = Installation::standard();
    let (mut ana, ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    ana.is(201, "PUT", &format!("{CALENDAR}one.ics"), &[], &event("one"));
    let set = |value: &str| {
        format!(
            "<propertyupdate xmlns='DAV:' xmlns:I='http://apple.com/ns/ical/'><set><prop>{value}</prop></set>\
            </propertyupdate>"
        )
    };
    ana.is(
        207,
        "PROPPATCH",
        CALENDAR,
        &[],
        &set("<displayname>Anas</displayname><I:calendar-color>#111111\
        </I:calendar-color>"),
    );
    for (option, name, level) in [("--calendar", "Calendar", "write"), ("--address-book", "Contacts", "read")] {
        installation.admin_ok("main", &["account", "acl", "set", ANA, BEN, level, option, name]);
    }
    (installation, ana, ben)
}

const PROPS: &str = "<displayname/><resourcetype/><I:calendar-color/><sync-token/><S:getctag/><owner/>";

/// The path of what is shared in ben's home.
fn mounted(home: &str, listed: &Answer) -> String {
    let prefix = format!("{home}shared-");
    let is_one = |href: &String| href.starts_with(&prefix) && !href.ends_with("shared-directory/");
    let found: Vec<String> = listed.texts("D:href").into_iter().filter(is_one).collect();
    assert_eq!(found.len(), 1, "{listed:?}");
    found[0].clone()
}

/// What is told of one path.
fn response(listed: &Answer, path: &str) -> String {
    let is_it = |response: &String| response.contains(&format!("<D:href>{path}</D:href>"));
    listed.texts("D:response").into_iter().find(is_it).unwrap_or_else(|| panic!("{path}: {listed:?}"))
}

fn set(value: &str) -> String {
    format!(
        "<propertyupdate xmlns='DAV:' xmlns:I='http://apple.com/ns/ical/'><set><prop>{value}</prop></set>\
        </propertyupdate>"
    )
}

/// Names that changed since a token, and the next one.
fn sync(dav: &mut Dav, path: &str, token: &str) -> (Vec<String>, String) {
    let body = format!(
        "<sync-collection xmlns='DAV:'><sync-token>{token}</sync-token><sync-level>1</sync-level>\
        <prop><getetag/></prop></sync-collection>"
    );
    let answer = dav.is(207, "REPORT", path, &[], &body);
    (answer.texts("D:href"), answer.texts("D:sync-token").remove(0))
}

#[test]
fn what_others_share_is_in_ones_own_home() {
    let (installation, mut ana, mut ben) = shared();
    let listed = ben.propfind(HOME, "1", PROPS);
    let path = mounted(HOME, &listed);
    let told = response(&listed, &path);
    for part in
        ["Anas (ana@tern.test)", "<C:calendar/>", "#111111", "principals/users/ana@tern.test/", "urn:sterna:sync"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    let book = mounted(BOOKS, &ben.propfind(BOOKS, "1", PROPS));
    ben.is(
        403,
        "PUT",
        &format!("{book}x.vcf"),
        &[],
        "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:x\r\nFN:x\r\nN:x;;;;\r\nEND:VCARD\r\n",
    );
    // It is the same collection, with the same tags and tokens, by another path.
    let one = ben.is(200, "GET", &format!("{path}one.ics"), &[], "");
    assert_eq!(one.etag(), ana.is(200, "GET", &format!("{CALENDAR}one.ics"), &[], "").etag());
    let (hrefs, token) = sync(&mut ben, &path, "");
    assert_eq!(hrefs, [format!("{path}one.ics")]);
    ben.is(201, "PUT", &format!("{path}two.ics"), &[], &event("two"));
    ana.is(200, "GET", &format!("{CALENDAR}two.ics"), &[], "");
    ana.is(204, "DELETE", &format!("{CALENDAR}one.ics"), &[], "");
    let (mut hrefs, _) = sync(&mut ben, &path, &token);
    hrefs.sort();
    assert_eq!(hrefs, [format!("{path}one.ics"), format!("{path}two.ics")]);
    let conflict = ben.is(403, "PUT", &format!("{path}again.ics"), &[], &event("two"));
    assert!(conflict.body.contains(&format!("{path}two.ics")), "{conflict:?}");
    // A lock is one, whichever path it is taken by.
    let lock = "<lockinfo xmlns='DAV:'><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>";
    let locked = ben.is(200, "LOCK", &format!("{path}two.ics"), &[("Timeout", "Second-60")], lock);
    ana.is(423, "PUT", &format!("{CALENDAR}two.ics"), &[], &event("two"));
    let token = locked.header("lock-token").unwrap().to_owned();
    ben.is(204, "PUT", &format!("{path}two.ics"), &[("If", &format!("({token})"))], &event("two"));
    ben.is(204, "UNLOCK", &format!("{path}two.ics"), &[("Lock-Token", &token)], "");
    // Name and colour are each user's own.
    let mine = set("<displayname>Boss</displayname><I:calendar-color>#222222</I:calendar-color>");
    ben.is(207, "PROPPATCH", &path, &[], &mine);
    let told = response(&ben.propfind(HOME, "1", PROPS), &path);
    assert!(told.contains(">Boss<") && told.contains("#222222"), "{told}");
    let anas = ana.propfind(CALENDAR, "0", PROPS);
    assert!(anas.body.contains(">Anas<") && anas.body.contains("#111111"), "{anas:?}");
    // A calendar with the name of a shared one can't be made, nor one moved away from its owner.
    ben.is(403, "MOVE", &path, &[("Destination", &format!("http://test{HOME}mine/"))], "");
    let away = ben.ask("MKCALENDAR", &format!("{HOME}shared-9999-1/"), &[], "");
    assert!(away.status >= 400, "{away:?}");
    // Whoever takes it out of the home takes nothing from its owner; given anew it is there again.
    ben.is(204, "DELETE", &path, &[], "");
    assert!(!ben.propfind(HOME, "1", PROPS).body.contains(&path));
    ana.is(200, "GET", &format!("{CALENDAR}two.ics"), &[], "");
    ana.is(200, "ACL", CALENDAR, &[], &acl(""));
    assert!(!ben.propfind(HOME, "1", PROPS).body.contains(&path));
    ben.is(404, "PROPFIND", &path, &[("Depth", "0")], "");
    installation.admin_ok("main", &["account", "acl", "set", ANA, "@tern.test", "read", "--calendar", "Calendar"]);
    let again = response(&ben.propfind(HOME, "1", PROPS), &path);
    assert!(again.contains("Anas (ana@tern.test)") && !again.contains("#222222"), "{again}");
}

#[test]
fn what_is_shared_stays_listed_while_its_server_is_away() {
    let (mut installation, _, mut ben) = shared();
    let path = mounted(HOME, &ben.propfind(HOME, "1", PROPS));
    let before = response(&ben.propfind(HOME, "1", PROPS), &path);
    installation.kill("alpha");
    // Also by an edge that has never seen it: what was seen is in ben's account.
    installation.kill("main");
    installation.serve("main");
    let (mut ben, _) = until("ben is let in again", SERVED_WITHIN, || {
        let mut ben = Dav::of(&installation, BEN);
        let answer = ben.ask("PROPFIND", HOME, &[("Depth", "0")], "");
        (answer.status == 207).then_some(ben)
    });
    let listed = ben.propfind(HOME, "1", PROPS);
    let told = response(&listed, &path);
    for part in ["Anas (ana@tern.test)", "<C:calendar/>", "#111111", "503 Service Unavailable"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("urn:sterna:sync"), "{told}");
    assert!(listed.body.contains(&format!("{HOME}Calendar/")), "one's own are there");
    let refused = ben.is(503, "PROPFIND", &path, &[("Depth", "1")], "");
    assert!(refused.header("retry-after").is_some());
    ben.is(503, "PUT", &format!("{path}three.ics"), &[], &event("three"));
    installation.serve("alpha");
    until("it is whole again", SERVED_WITHIN, || {
        let listed = ben.propfind(HOME, "1", PROPS);
        (response(&listed, &path) == before).then_some(())
    });
}

#[test]
fn a_sharee_keeps_in_step_while_the_owner_moves() {
    let (installation, mut ana, mut ben) = shared();
    let path = mounted(HOME, &ben.propfind(HOME, "1", PROPS));
    let (_, mut token) = sync(&mut ben, &path, "");
    let mut written = Vec::new();
    for to in ["beta", "alpha"] {
        installation.begin_move(ANA, to);
        for n in 0..10 {
            let name = format!("{to}-{n}");
            ben.is(201, "PUT", &format!("{path}{name}.ics"), &[], &event(&name));
            assert_eq!(mounted(HOME, &ben.propfind(HOME, "1", PROPS)), path);
            written.push(format!("{path}{name}.ics"));
        }
        installation.is_moved(ANA, to);
        let (mut hrefs, next) = sync(&mut ben, &path, &token);
        hrefs.sort();
        written.sort();
        assert_eq!(hrefs, written);
        (token, written) = (next, Vec::new());
    }
    ana.is(200, "GET", &format!("{CALENDAR}beta-3.ics"), &[], "");
}

/// As Apple's Calendar does: it asks whose delegate somebody is, and then works in that person's own home.
#[test]
fn a_delegate_works_in_the_owners_home_while_the_owner_moves() {
    const EXPAND: &str = "<expand-property xmlns='DAV:'><property name='calendar-proxy-write-for' \
        namespace='http://calendarserver.org/ns/'><property name='calendar-home-set' \
        namespace='urn:ietf:params:xml:ns:caldav'/></property></expand-property>";
    const ANAS_HOME: &str = "/dav/calendars/ana@tern.test/";
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    let member = "<group-member-set><href>/dav/principals/users/ben@tern.test/</href></group-member-set>";
    let delegates = "/dav/principals/users/ana@tern.test/calendar-proxy-write/";
    assert!(ana.is(207, "PROPPATCH", delegates, &[], &set(member)).body.contains("200 OK"));
    ben.is(201, "PUT", &format!("{CALENDAR}kept.ics"), &[], &event("kept"));
    let tag = ana.is(200, "GET", &format!("{CALENDAR}kept.ics"), &[], "").etag();
    let (_, mut token) = sync(&mut ben, CALENDAR, "");
    for to in ["beta", "alpha"] {
        installation.begin_move(ANA, to);
        let mut written = Vec::new();
        for n in 0..10 {
            let told = ben.is(207, "REPORT", "/dav/principals/users/ben@tern.test/", &[], EXPAND);
            assert!(told.body.contains(ANAS_HOME), "{told:?}");
            let home = ben.propfind(ANAS_HOME, "1", "<current-user-privilege-set/><S:getctag/>");
            assert!(response(&home, CALENDAR).contains("<D:write-content/>"), "{home:?}");
            written.push(format!("{CALENDAR}{to}-{n}.ics"));
            ben.is(201, "PUT", &written[n], &[], &event(&format!("{to}-{n}")));
        }
        installation.is_moved(ANA, to);
        assert_eq!(ben.is(200, "GET", &format!("{CALENDAR}kept.ics"), &[], "").etag(), tag);
        let (mut hrefs, next) = sync(&mut ben, CALENDAR, &token);
        hrefs.sort();
        assert_eq!(hrefs, written);
        token = next;
    }
    // Who is a delegate no more is none at once, also where the owner lives now.
    assert!(ana.is(207, "PROPPATCH", delegates, &[], &set("<group-member-set/>")).body.contains("200 OK"));
    ben.is(404, "GET", &format!("{CALENDAR}kept.ics"), &[], "");
    installation.is_sound();
}

fn run(home: &Path, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).env("HOME", home).env("LC_ALL", "C.UTF-8");
    let output = command.env("PYTHONWARNINGS", "ignore").env_remove("XDG_CONFIG_HOME").output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    said
}

#[test]
fn vdirsyncer_carries_what_is_shared_both_ways() {
    if !have(&["vdirsyncer"]) {
        return;
    }
    let (installation, mut ana, mut ben) = shared();
    let path = mounted(HOME, &ben.propfind(HOME, "1", PROPS));
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap();
    let (home, at) = (tempfile::tempdir().unwrap(), installation.node("main").at);
    let (folder, base) = (home.path().display().to_string(), format!("http://{}:{}/", at.host, at.ports.http));
    let config = format!(
        "[general]\nstatus_path = \"{folder}/status\"\n[pair c]\na = \"here\"\nb = \"there\"\n\
         collections = [\"from b\"]\n[storage here]\ntype = \"filesystem\"\npath = \"{folder}/c\"\nfileext = \".ics\"\n\
         [storage there]\ntype = \"caldav\"\nurl = \"{base}\"\nusername = \"{BEN}\"\npassword = \"{PASSWORD}\"\n"
    );
    let file = home.path().join("config");
    fs::write(&file, config).unwrap();
    let file = file.display().to_string();
    run(home.path(), "sh", &["-c", &format!("yes | vdirsyncer -c '{file}' discover")]);
    run(home.path(), "vdirsyncer", &["-c", &file, "sync"]);
    let local = home.path().join("c").join(name);
    assert!(fs::read_to_string(local.join("one.ics")).unwrap().contains("secret one"));
    fs::write(local.join("by-ben.ics"), event("by-ben")).unwrap();
    run(home.path(), "vdirsyncer", &["-c", &file, "sync"]);
    let all = ana.propfind(CALENDAR, "1", "<getetag/>");
    assert_eq!(all.texts("D:getetag").len(), 2, "{all:?}");
}

const PYTHON: &str = r#"
import sys, caldav
url, user, password = sys.argv[1:]
principal = caldav.DAVClient(url=url, username=user, password=password).principal()
shared = [c for c in principal.calendars() if "shared-" in str(c.url)]
assert len(shared) == 1, principal.calendars()
events = shared[0].events()
assert len(events) == 1 and "secret one" in events[0].data, events
shared[0].save_event(events[0].data.replace("UID:one", "UID:by-python"))
assert len(shared[0].events()) == 2
print("done")
"#;

#[test]
fn pythons_caldav_finds_what_is_shared() {
    if !have(&["python3"]) {
        return;
    }
    let (installation, ..) = shared();
    let (home, at) = (tempfile::tempdir().unwrap(), installation.node("main").at);
    let url = format!("http://{}:{}/dav/", at.host, at.ports.http);
    let said = run(home.path(), "/usr/bin/python3", &["-c", PYTHON, &url, BEN, PASSWORD]);
    assert!(said.contains("done"), "{said}");
}

#[test]
fn a_link_is_read_by_whoever_knows_it_until_it_is_revoked() {
    let (installation, mut ana, _) = shared();
    let private = event("private").replace("SUMMARY:", "CLASS:PRIVATE\r\nSUMMARY:");
    ana.is(201, "PUT", &format!("{CALENDAR}private.ics"), &[], &private);
    let made = |level: &str| {
        let made =
            installation.admin_ok("main", &["--json", "account", "link", "add", ANA, "Calendar", "--level", level]);
        let id = made.split("\"id\":").nth(1).unwrap().split('"').nth(1).unwrap().to_owned();
        assert!(made.contains(&format!("/share/{id}/calendar.ics")), "{made}");
        id
    };
    let (full, busy) = (made("full"), made("freebusy"));
    let at = installation.node("main").at;
    let mut nobody = Http::connect(at.host, at.ports.http, None).unwrap();
    let mut get = |id: &str, headers: &[(&str, &str)]| {
        nobody.request("GET", &format!("/share/{id}/calendar.ics"), headers, "").unwrap()
    };
    let read = get(&full, &[]);
    assert_eq!(read.status, 200, "{read:?}");
    assert_eq!(read.header("content-type"), Some("text/calendar; charset=utf-8"));
    assert!(read.body.contains("secret one") && read.body.contains("X-WR-CALNAME:Anas"), "{read:?}");
    assert!(!read.body.contains("secret private") && read.body.contains("SUMMARY:Busy"), "{read:?}");
    let times = get(&busy, &[]);
    assert!(times.body.contains("20250310T100000Z") && !times.body.contains("secret"), "{times:?}");
    assert_ne!(times.etag(), read.etag());
    // Nothing is sent again until something changed, and a move changes nothing.
    assert_eq!(get(&full, &[("If-None-Match", &read.etag())]).status, 304);
    installation.begin_move(ANA, "beta");
    installation.is_moved(ANA, "beta");
    assert_eq!(get(&full, &[("If-None-Match", &read.etag())]).status, 304);
    ana.is(201, "PUT", &format!("{CALENDAR}two.ics"), &[], &event("two"));
    let changed = get(&full, &[("If-None-Match", &read.etag())]);
    assert!(changed.status == 200 && changed.body.contains("secret two"), "{changed:?}");
    // What is no link, and what was one, look the same.
    let (account, secret) = full.split_once('.').unwrap();
    let other = if secret.starts_with('A') { 'B' } else { 'A' };
    let missing = get(&format!("{account}.{other}{}", &secret[1..]), &[]);
    assert_eq!(missing.status, 404);
    let listed = installation.admin_ok("main", &["account", "link", "list", ANA]);
    assert!(listed.contains(&full) && listed.contains(&busy), "{listed}");
    installation.admin_ok("main", &["account", "link", "remove", ANA, &full, "--yes"]);
    let revoked = get(&full, &[]);
    assert_eq!((revoked.status, &revoked.body), (404, &missing.body));
    assert_eq!(get(&busy, &[]).status, 200);
    let written = nobody.request("PUT", &format!("/share/{busy}/calendar.ics"), &[], "x").unwrap();
    assert_eq!(written.status, 403);
}
