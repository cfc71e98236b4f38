//! Who may do what with the calendars, books and files of others: each method with each level of rights, and how rights
//! are given (RFC 3744). The owner and whoever shares are on different data servers.

use sterna_testkit::http::{Answer, Http};
use sterna_testkit::installation::Installation;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const CALENDAR: &str = "/dav/calendars/ana@tern.test/Calendar/";
const BENS: &str = "/dav/calendars/ben@tern.test/Calendar/";
const PRINCIPAL: &str = "/dav/principals/users/ben@tern.test/";

/// A dialog with one user's connection.
pub struct Dav(Http);

impl Dav {
    pub fn of(installation: &Installation, user: &str) -> Self {
        Dav(installation.node("main").at.dav(user).unwrap())
    }

    pub fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.0.request(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Asks, and expects this status.
    pub fn is(&mut self, status: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = self.ask(method, path, headers, body);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        answer
    }

    pub fn propfind(&mut self, path: &str, depth: &str, props: &str) -> Answer {
        self.is(207, "PROPFIND", path, &[("Depth", depth)], &find(props))
    }
}

const SPACES: &str = "xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav' xmlns:A='urn:ietf:params:xml:ns:carddav' \
    xmlns:S='http://calendarserver.org/ns/' xmlns:I='http://apple.com/ns/ical/'";

fn find(props: &str) -> String {
    format!("<propfind {SPACES}><prop>{props}</prop></propfind>")
}

pub fn event(uid: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tests//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\n\
         DTSTAMP:20250101T000000Z\r\nDTSTART:20250310T100000Z\r\nDTEND:20250310T110000Z\r\nSUMMARY:secret {uid}\r\n\
         END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

/// An entry that grants (or denies) somebody privileges.
fn ace(who: &str, word: &str, privileges: &[&str]) -> String {
    let privileges: String = privileges.iter().map(|name| format!("<privilege><{name}/></privilege>")).collect();
    format!("<ace><principal>{who}</principal><{word}>{privileges}</{word}></ace>")
}

fn grant(path: &str, privileges: &[&str]) -> String {
    ace(&format!("<href>{path}</href>"), "grant", privileges)
}

pub fn acl(aces: &str) -> String {
    format!("<acl {SPACES}>{aces}</acl>")
}

const BUSY: &str = "<C:free-busy-query xmlns:C='urn:ietf:params:xml:ns:caldav'>\
    <C:time-range start='20250301T000000Z' end='20250401T000000Z'/></C:free-busy-query>";

/// What the answers to each request are with one level of rights.
struct Level {
    privileges: &'static [&'static str],
    /// PROPFIND of the calendar, and LOCK, PROPPATCH, DELETE of an event that is there.
    seen: u16,
    read: u16,
    busy: u16,
    write: u16,
    manage: u16,
}

const LEVELS: [Level; 5] = [
    Level { privileges: &[], seen: 404, read: 404, busy: 404, write: 409, manage: 404 },
    Level { privileges: &["C:read-free-busy"], seen: 404, read: 404, busy: 200, write: 409, manage: 404 },
    Level { privileges: &["read"], seen: 207, read: 200, busy: 200, write: 403, manage: 403 },
    Level { privileges: &["read", "write"], seen: 207, read: 200, busy: 200, write: 201, manage: 403 },
    Level { privileges: &["all"], seen: 207, read: 200, busy: 200, write: 201, manage: 200 },
];

#[test]
fn every_method_asks_for_the_right_that_it_needs() {
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    let one = format!("{CALENDAR}one.ics");
    ana.is(201, "PUT", &one, &[], &event("one"));
    for (n, level) in LEVELS.iter().enumerate() {
        let given = if n == 0 { String::new() } else { grant(PRINCIPAL, level.privileges) };
        ana.is(200, "ACL", CALENDAR, &[], &acl(&given));
        let name = format!("level {:?}", level.privileges);
        let mut is = |expected: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
            let answer = ben.ask(method, path, headers, body);
            assert_eq!(answer.status, expected, "{name}: {method} {path}: {answer:?}");
            // What may not be known is in no answer, whatever its status.
            assert!(expected < 300 || !answer.body.contains("secret"), "{name}: {answer:?}");
            answer
        };
        let may_write = level.write == 201;
        // Of an event that is there: who may not see it finds nothing.
        let there = |yes: u16| if may_write { yes } else { level.write.min(if level.read == 404 { 404 } else { 403 }) };
        is(level.seen, "PROPFIND", CALENDAR, &[("Depth", "1")], &find("<displayname/>"));
        is(level.seen, "PROPFIND", &one, &[("Depth", "0")], &find("<getetag/>"));
        is(level.read, "GET", &one, &[], "");
        is(level.read, "HEAD", &one, &[], "");
        let query = format!(
            "<C:calendar-query {SPACES}><prop><C:calendar-data/></prop><C:filter><C:comp-filter name='VCALENDAR'/>\
             </C:filter></C:calendar-query>"
        );
        let report = if level.read == 200 { 207 } else { 404 };
        let told = is(report, "REPORT", CALENDAR, &[("Depth", "1")], &query);
        assert_eq!(told.body.contains("secret one"), level.read == 200, "{name}: {told:?}");
        let sync = "<sync-collection xmlns='DAV:'><sync-token/><sync-level>1</sync-level><prop><getetag/></prop>\
            </sync-collection>";
        is(report, "REPORT", CALENDAR, &[], sync);
        let get = format!(
            "<C:calendar-multiget {SPACES}><prop><C:calendar-data/></prop><href>{one}</href>\
            </C:calendar-multiget>"
        );
        let told = is(207, "REPORT", "/dav/calendars/ben@tern.test/", &[], &get);
        assert_eq!(told.body.contains("secret one"), level.read == 200, "{name}: {told:?}");
        let busy = is(level.busy, "REPORT", CALENDAR, &[("Depth", "1")], BUSY);
        assert_eq!(busy.body.contains("20250310T100000Z/"), level.busy == 200, "{name}: {busy:?}");
        assert!(!busy.body.contains("secret"), "{name}: {busy:?}");
        let home = is(if level.busy == 200 { 200 } else { 403 }, "REPORT", "/dav/calendars/ana@tern.test/", &[], BUSY);
        assert_eq!(home.body.contains("20250310T100000Z/"), level.busy == 200, "{name}: {home:?}");

        let two = format!("{CALENDAR}two.ics");
        is(level.write, "PUT", &two, &[], &event("two"));
        // Over what is there, also for who can't know that it is.
        let over = if may_write { 204 } else { level.write };
        is(over, "PUT", &one, &[], &event("one"));
        let patch = format!(
            "<propertyupdate {SPACES}><set><prop><I:calendar-order>3</I:calendar-order></prop></set>\
            </propertyupdate>"
        );
        is(there(207), "PROPPATCH", &one, &[], &patch);
        is(there(207), "PROPPATCH", CALENDAR, &[], &patch);
        let lock = "<lockinfo xmlns='DAV:'><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>";
        // What is not there can be locked, if what it would be in is (RFC 4918 section 9.10.6).
        let locked =
            is(if level.read == 404 { 409 } else { there(200) }, "LOCK", &one, &[("Timeout", "Second-60")], lock);
        if let Some(token) = locked.header("lock-token").map(str::to_owned) {
            is(204, "UNLOCK", &one, &[("Lock-Token", &token)], "");
        }
        let copy = format!("http://test{BENS}copied-{n}.ics");
        is(if level.read == 200 { 201 } else { 404 }, "COPY", &one, &[("Destination", &copy)], "");
        if level.read == 200 {
            is(204, "DELETE", &format!("{BENS}copied-{n}.ics"), &[], "");
        }
        is(201, "PUT", &format!("{BENS}own-{n}.ics"), &[], &event(&format!("own-{n}")));
        let into = format!("http://test{CALENDAR}own-{n}.ics");
        is(level.write, "COPY", &format!("{BENS}own-{n}.ics"), &[("Destination", &into)], "");
        if may_write {
            let back = format!("http://test{BENS}back-{n}.ics");
            is(204, "DELETE", &format!("{BENS}own-{n}.ics"), &[], "");
            is(201, "MOVE", &format!("{CALENDAR}own-{n}.ics"), &[("Destination", &back)], "");
            is(204, "DELETE", &two, &[], "");
        } else {
            let away = format!("http://test{BENS}stolen.ics");
            is(there(0), "MOVE", &one, &[("Destination", &away)], "");
            is(there(0), "DELETE", &one, &[], "");
        }
        is(level.manage, "ACL", CALENDAR, &[], &acl(&given));
        let named = format!("<acl-principal-prop-set {SPACES}><prop><displayname/></prop></acl-principal-prop-set>");
        let named = is(
            match level.manage {
                200 => 207,
                other => other,
            },
            "REPORT",
            CALENDAR,
            &[],
            &named,
        );
        assert_eq!(named.body.contains(PRINCIPAL), level.manage == 200, "{named:?}");
        is(if level.read == 404 { 403 } else { 405 }, "MKCALENDAR", &made(level.read), &[], "");
        let renamed = ("Destination", "http://test/dav/calendars/ana@tern.test/Renamed/");
        is(if level.read == 404 { 404 } else { 403 }, "MOVE", CALENDAR, &[renamed], "");
        if level.manage == 200 {
            is(204, "DELETE", CALENDAR, &[], "");
        } else {
            is(level.manage, "DELETE", CALENDAR, &[], "");
        }
    }
}

/// Where a calendar of somebody else's can't be made: there is one, or it would be a new one.
fn made(read: u16) -> String {
    if read == 404 { "/dav/calendars/ana@tern.test/new/".to_owned() } else { CALENDAR.to_owned() }
}

#[test]
fn rights_are_given_to_users_groups_and_domains_and_read_again() {
    let installation = Installation::standard();
    installation.admin_ok("main", &["group", "create", "staff@tern.test", "--member", BEN]);
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    let (staff, domain) = ("/dav/principals/groups/staff@tern.test/", "/dav/principals/domains/tern.test/");
    let one = format!("{CALENDAR}one.ics");
    ana.is(201, "PUT", &one, &[], &event("one"));
    let authenticated = ace("<authenticated/>", "grant", &["C:read-free-busy"]);
    let all = [grant(staff, &["read", "write"]), grant(domain, &["read"]), authenticated].concat();
    ana.is(200, "ACL", CALENDAR, &[], &acl(&all));
    let told = ana.propfind(CALENDAR, "0", "<acl/><acl-restrictions/><supported-privilege-set/>");
    for part in [staff, domain, "<D:authenticated/>", "<D:write/>", "<C:read-free-busy/>", "<D:protected/>"] {
        assert!(told.body.contains(part), "{part}: {told:?}");
    }
    let listed = installation.admin_ok("main", &["account", "acl", "list", ANA]);
    assert!(
        listed.contains("staff@tern.test") && listed.contains("@tern.test") && listed.contains("lrwite"),
        "{listed}"
    );
    // What was read can be written again, and changes nothing.
    let inner = told.texts("D:acl").remove(0);
    let again = format!("<D:acl xmlns:D='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'>{inner}</D:acl>");
    ana.is(200, "ACL", CALENDAR, &[], &again);
    assert_eq!(installation.admin_ok("main", &["account", "acl", "list", ANA]), listed);
    ben.is(204, "PUT", &one, &[], &event("one"));
    let mine = ben.propfind(CALENDAR, "0", "<current-user-privilege-set/><acl/>");
    assert!(mine.body.contains("<D:write/>") && mine.body.contains("<C:schedule-send/>"), "{mine:?}");
    assert!(!mine.body.contains("<D:ace>") && !mine.body.contains("<D:write-acl/>"), "{mine:?}");
    // What is taken away counts more than what any group gives.
    let denied = ace(&format!("<href>{PRINCIPAL}</href>"), "deny", &["write"]);
    ana.is(200, "ACL", CALENDAR, &[], &acl(&(denied.clone() + &all)));
    ben.is(403, "PUT", &one, &[], &event("one"));
    ben.is(200, "GET", &one, &[], "");
    // Who is out of the group has what the domain has.
    ana.is(200, "ACL", CALENDAR, &[], &acl(&grant(domain, &["read"])));
    ben.is(403, "PUT", &one, &[], &event("one"));
    ben.is(200, "GET", &one, &[], "");
    ana.is(200, "ACL", CALENDAR, &[], &acl(""));
    ben.is(404, "GET", &one, &[], "");

    let refused = |aces: String, condition: &str, ana: &mut Dav| {
        let answer = ana.is(403, "ACL", CALENDAR, &[], &acl(&aces));
        assert!(answer.body.contains(condition), "{condition}: {answer:?}");
    };
    refused(grant("/dav/principals/users/nobody@tern.test/", &["read"]), "recognized-principal", &mut ana);
    refused(ace("<all/>", "grant", &["read"]), "allowed-principal", &mut ana);
    refused(grant(PRINCIPAL, &["read-acl"]), "no-abstract", &mut ana);
    refused(grant(PRINCIPAL, &["C:fly"]), "not-supported-privilege", &mut ana);
    refused(grant(PRINCIPAL, &["read"]) + &denied, "deny-before-grant", &mut ana);
    let from_owner = ace("<property><owner/></property>", "deny", &["write"]);
    refused(from_owner, "no-protected-ace-conflict", &mut ana);
    let inverted = format!(
        "<ace><invert><principal><href>{PRINCIPAL}</href></principal></invert>\
        <grant><privilege><read/></privilege></grant></ace>"
    );
    refused(inverted, "no-invert", &mut ana);
    let answer = ana.is(403, "ACL", &one, &[], &acl(""));
    assert!(answer.body.contains("no-inherited-ace-conflict"), "{answer:?}");
}

#[test]
fn folders_are_shared_with_what_is_in_them() {
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    let root = "/dav/files/ana@tern.test/";
    for folder in ["project/", "project/notes/", "private/"] {
        ana.is(201, "MKCOL", &format!("{root}{folder}"), &[], "");
    }
    ana.is(201, "PUT", &format!("{root}project/notes/a.txt"), &[], "a");
    ana.is(201, "PUT", &format!("{root}private/b.txt"), &[], "b");
    ben.is(404, "GET", &format!("{root}project/notes/a.txt"), &[], "");
    ana.is(200, "ACL", &format!("{root}project/"), &[], &acl(&grant(PRINCIPAL, &["read"])));
    ben.is(200, "GET", &format!("{root}project/notes/a.txt"), &[], "");
    ben.is(404, "GET", &format!("{root}private/b.txt"), &[], "");
    ben.is(404, "PROPFIND", root, &[("Depth", "1")], "");
    ben.is(403, "MKCOL", &format!("{root}project/new/"), &[], "");
    ben.is(403, "DELETE", &format!("{root}project/notes/"), &[], "");
    ana.is(200, "ACL", &format!("{root}project/"), &[], &acl(&grant(PRINCIPAL, &["read", "write"])));
    // Who may write in a folder makes folders in it and takes them away, but not the folder itself.
    ben.is(201, "MKCOL", &format!("{root}project/new/"), &[], "");
    ben.is(201, "PUT", &format!("{root}project/new/c.txt"), &[], "c");
    ben.is(204, "DELETE", &format!("{root}project/notes/"), &[], "");
    ben.is(403, "DELETE", &format!("{root}project/"), &[], "");
    ana.is(200, "GET", &format!("{root}project/new/c.txt"), &[], "");
    let listed = installation.admin_ok("main", &["account", "acl", "list", ANA]);
    assert!(listed.contains("files/project/new"), "{listed}");
    // The same from the command line.
    let revoke = ["account", "acl", "delete", ANA, BEN, "--folder", "project"];
    installation.admin_ok("main", &revoke);
    ben.is(404, "GET", &format!("{root}project/new/c.txt"), &[], "");
    installation.admin_ok("main", &["account", "acl", "set", ANA, BEN, "write", "--calendar", "Calendar"]);
    ben.is(201, "PUT", &format!("{CALENDAR}by-ben.ics"), &[], &event("by-ben"));
    installation.admin_ok("main", &["account", "acl", "set", ANA, "@tern.test", "freebusy", "--calendar", "Calendar"]);
    installation.admin_ok("main", &["account", "acl", "delete", ANA, BEN, "--calendar", "Calendar"]);
    ben.is(404, "GET", &format!("{CALENDAR}by-ben.ics"), &[], "");
    assert!(ben.is(200, "REPORT", CALENDAR, &[], BUSY).body.contains("20250310T100000Z/"));
}

#[test]
fn delegates_are_those_who_have_the_rights() {
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    let anas = "/dav/principals/users/ana@tern.test/";
    let write = format!("{anas}calendar-proxy-write/");
    let set = |members: &str| {
        format!(
            "<propertyupdate {SPACES}><set><prop><group-member-set>{members}</group-member-set></prop></set>            </propertyupdate>"
        )
    };
    let member = format!("<href>{PRINCIPAL}</href>");
    ben.is(403, "PROPPATCH", &write, &[], &set(&member));
    assert!(ana.is(207, "PROPPATCH", &write, &[], &set(&member)).body.contains("200 OK"));
    let told = ana.propfind(anas, "1", "<group-member-set/><resourcetype/>");
    assert!(told.body.contains("<S:calendar-proxy-write/>") && told.body.contains(PRINCIPAL), "{told:?}");
    // What Apple's clients ask.
    let expand = "<expand-property xmlns='DAV:'><property name='calendar-proxy-write-for'         namespace='http://calendarserver.org/ns/'><property name='displayname' namespace='DAV:'/>        <property name='calendar-home-set' namespace='urn:ietf:params:xml:ns:caldav'/></property>        <property name='calendar-proxy-read-for' namespace='http://calendarserver.org/ns/'/></expand-property>";
    let told = ben.is(207, "REPORT", PRINCIPAL, &[], expand);
    assert!(told.body.contains("/dav/calendars/ana@tern.test/"), "{told:?}");
    let others = ben.propfind(anas, "0", "<current-user-privilege-set/>");
    assert!(others.body.contains("<C:schedule-send-invite/>"), "{others:?}");
    ben.is(201, "PUT", &format!("{CALENDAR}for-ana.ics"), &[], &event("for-ana"));
    ben.is(207, "PROPFIND", "/dav/calendars/ana@tern.test/Tasks/", &[("Depth", "0")], "");
    assert!(ana.is(207, "PROPPATCH", &write, &[], &set("")).body.contains("200 OK"));
    ben.is(404, "GET", &format!("{CALENDAR}for-ana.ics"), &[], "");
    let told = ben.is(207, "REPORT", PRINCIPAL, &[], expand);
    assert!(!told.body.contains("/dav/calendars/ana@tern.test/"), "{told:?}");
}
