//! Meetings that go from one calendar to another, and the calendar that invitations go to.

use sterna_testkit::installation::Installation;

use crate::dav_rights::{Dav, event};

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const CAI: &str = "cai@tern.test";
const ANAS: &str = "/dav/calendars/ana@tern.test/";
const BENS: &str = "/dav/calendars/ben@tern.test/";
const CAIS: &str = "/dav/calendars/cai@tern.test/";

fn meeting(uid: &str) -> String {
    let people = format!("ORGANIZER:mailto:{ANA}\r\nATTENDEE:mailto:{ANA}\r\nATTENDEE:mailto:{BEN}\r\nSUMMARY");
    event(uid).replace("SUMMARY", &people)
}

/// The names in a collection.
fn names(user: &mut Dav, collection: &str) -> Vec<String> {
    let listed = user.propfind(collection, "1", "<getetag/>").texts("D:href");
    let names = listed.iter().map(|href| href.rsplit('/').next().unwrap().to_owned());
    names.filter(|name| !name.is_empty()).collect()
}

fn text(user: &mut Dav, path: &str) -> String {
    user.is(200, "GET", path, &[], "").body.replace("\r\n ", "")
}

/// All who may write a calendar besides its owner.
fn share(owner: &mut Dav, path: &str, with: &[&str]) {
    let ace = |user: &&str| {
        format!(
            "<ace><principal><href>/dav/principals/users/{user}/</href></principal><grant><privilege><read/></privilege>\
             <privilege><write/></privilege></grant></ace>"
        )
    };
    let aces: String = with.iter().map(ace).collect();
    owner.is(200, "ACL", path, &[], &format!("<acl xmlns='DAV:'>{aces}</acl>"));
}

#[test]
fn within_its_owners_calendars_a_meeting_stays_what_it_is() {
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    let one = format!("{ANAS}Calendar/one.ics");
    let two = format!("{ANAS}two/one.ics");
    ana.is(201, "MKCALENDAR", &format!("{ANAS}two/"), &[], "");
    ana.is(201, "PUT", &one, &[], &meeting("one"));
    let bens = format!("{BENS}Calendar/{}", names(&mut ben, &format!("{BENS}Calendar/"))[0]);
    let told = |ben: &mut Dav| names(ben, &format!("{BENS}inbox/")).len();
    assert_eq!(told(&mut ben), 1);

    let to_two = [("Destination", two.as_str())];
    let refused = ana.is(403, "COPY", &one, &to_two, "");
    assert!(refused.body.contains("unique-scheduling-object-resource") && refused.body.contains(&one), "{refused:?}");
    let whole = format!("{ANAS}three/");
    let refused = ana.is(403, "COPY", &format!("{ANAS}Calendar/"), &[("Destination", &whole)], "");
    assert!(refused.body.contains("unique-scheduling-object-resource"), "{refused:?}");
    ana.is(201, "MOVE", &one, &to_two, "");
    assert_eq!(told(&mut ben), 1, "nobody is told where it lies");
    assert!(!text(&mut ben, &bens).contains("CANCELLED"));
    // It is the same meeting still: its next change reaches Ben.
    let renamed = text(&mut ana, &two).replace("SUMMARY:", "SUMMARY:moved ");
    ana.is(204, "PUT", &two, &[], &renamed);
    assert!(text(&mut ben, &bens).contains("SUMMARY:moved "));
    let before = told(&mut ben);
    ana.is(201, "MOVE", &format!("{ANAS}two/"), &[("Destination", &whole)], "");
    assert_eq!(told(&mut ben), before, "nor of a calendar that is renamed");

    // What concerns nobody is copied; over another object nothing goes.
    let own = format!("{ANAS}Calendar/own.ics");
    ana.is(201, "PUT", &own, &[], &event("own"));
    ana.is(201, "COPY", &own, &[("Destination", &format!("{whole}own.ics"))], "");
    let refused = ana.is(403, "COPY", &own, &[("Destination", &format!("{whole}one.ics"))], "");
    assert!(refused.body.contains("no-uid-conflict"), "{refused:?}");
    ana.is(204, "MOVE", &own, &[("Destination", &format!("{whole}own.ics"))], "");
    installation.is_sound();
}

#[test]
fn into_somebody_elses_calendar_a_meeting_comes_anew() {
    let installation = Installation::standard();
    installation.create_user(CAI, "alpha");
    let [mut ana, mut ben, mut cai] = [ANA, BEN, CAI].map(|user| Dav::of(&installation, user));
    let one = format!("{ANAS}Calendar/one.ics");
    ana.is(201, "PUT", &one, &[], &meeting("one"));
    let bens = format!("{BENS}Calendar/{}", names(&mut ben, &format!("{BENS}Calendar/"))[0]);
    share(&mut ana, &format!("{ANAS}Calendar/"), &[BEN, CAI]);
    share(&mut cai, &format!("{CAIS}Calendar/"), &[ANA]);
    // Ben has it already, and has it once.
    let again = format!("{BENS}Calendar/again.ics");
    let refused = ben.is(403, "COPY", &one, &[("Destination", &again)], "");
    assert!(refused.body.contains("no-uid-conflict"), "{refused:?}");
    // In the calendar of somebody who is not invited it is a copy that says nothing to anybody.
    let told = names(&mut ben, &format!("{BENS}inbox/")).len();
    let cais = format!("{CAIS}Calendar/one.ics");
    cai.is(201, "COPY", &one, &[("Destination", &cais)], "");
    assert!(text(&mut cai, &cais).contains("UID:one"));
    cai.is(204, "DELETE", &cais, &[], "");
    assert_eq!(names(&mut ben, &format!("{BENS}inbox/")).len(), told);
    // Moved there, it is gone from its organizer's calendar: it is called off.
    ana.is(201, "MOVE", &one, &[("Destination", &cais)], "");
    ana.is(404, "GET", &one, &[], "");
    assert!(text(&mut cai, &cais).contains("UID:one"));
    assert!(text(&mut ben, &bens).contains("STATUS:CANCELLED"));
    // And in its organizer's calendar it is a meeting again.
    let back = text(&mut cai, &cais).replace("UID:one", "UID:back");
    cai.is(201, "PUT", &format!("{CAIS}Calendar/back.ics"), &[], &back);
    let before = names(&mut ben, &format!("{BENS}Calendar/")).len();
    let home = format!("{ANAS}Calendar/back.ics");
    cai.is(201, "MOVE", &format!("{CAIS}Calendar/back.ics"), &[("Destination", &home)], "");
    assert_eq!(names(&mut ben, &format!("{BENS}Calendar/")).len(), before + 1);
    assert!(text(&mut ana, &home).contains("SCHEDULE-STATUS=1.2:mailto:ben@tern.test"));
    installation.is_sound();
}

#[test]
fn invitations_have_a_place_to_go_to() {
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    let (inbox, first, second) = (format!("{ANAS}inbox/"), format!("{ANAS}Calendar/"), format!("{ANAS}two/"));
    let choose = |path: &str| {
        format!(
            "<propertyupdate xmlns='DAV:'><set><prop><C:schedule-default-calendar-URL \
             xmlns:C='urn:ietf:params:xml:ns:caldav'><href>{path}</href></C:schedule-default-calendar-URL></prop></set>\
             </propertyupdate>"
        )
    };
    let needed = |ana: &mut Dav, path: &str| {
        let refused = ana.is(403, "DELETE", path, &[], "");
        assert!(refused.body.contains("default-calendar-needed"), "{refused:?}");
    };
    ana.propfind(ANAS, "1", "<resourcetype/>");
    needed(&mut ana, &first);
    for wrong in ["/dav/calendars/ana@tern.test/Tasks/", "/dav/calendars/ben@tern.test/Calendar/", "/dav/", "x y"] {
        let refused = ana.is(207, "PROPPATCH", &inbox, &[], &choose(wrong));
        assert!(refused.body.contains("valid-schedule-default-calendar-URL"), "{wrong}: {refused:?}");
    }
    let refused = ana.is(207, "PROPPATCH", &first, &[], &choose(&first));
    assert!(refused.body.contains("403"), "{refused:?}");
    ana.is(201, "MKCALENDAR", &second, &[], "");
    let chosen = ana.is(207, "PROPPATCH", &inbox, &[], &choose(&second));
    assert!(chosen.body.contains("200 OK"), "{chosen:?}");
    needed(&mut ana, &second);
    let invited = meeting("one").replace(ANA, "x").replace(BEN, ANA).replace('x', BEN);
    ben.is(201, "PUT", &format!("{BENS}Calendar/one.ics"), &[], &invited);
    assert_eq!(names(&mut ana, &second).len(), 1);
    ana.is(204, "DELETE", &first, &[], "");
    needed(&mut ana, &second);

    // What lies in inbox and outbox is the server's matter; both stay.
    for (method, path, status) in [
        ("PUT", "inbox/x.ics", 403),
        ("PUT", "outbox/x.ics", 403),
        ("DELETE", "inbox/", 403),
        ("DELETE", "outbox/", 403),
        ("MKCALENDAR", "inbox/", 405),
        ("MKCALENDAR", "outbox/x/", 403),
        ("GET", "outbox/x.ics", 404),
        ("POST", "inbox/", 405),
        ("POST", "two/", 405),
    ] {
        let body = if method == "MKCALENDAR" { String::new() } else { event("x") };
        ana.is(status, method, &format!("{ANAS}{path}"), &[("Content-Type", "text/calendar")], &body);
    }
    for path in ["inbox/", "outbox/"] {
        ana.is(403, "MOVE", &format!("{ANAS}{path}"), &[("Destination", &format!("{ANAS}three/"))], "");
        let asked = "<C:free-busy-query xmlns:C='urn:ietf:params:xml:ns:caldav'><C:time-range \
            start='20250101T000000Z' end='20260101T000000Z'/></C:free-busy-query>";
        ana.is(403, "REPORT", &format!("{ANAS}{path}"), &[("Depth", "1")], asked);
        let into = format!("{ANAS}{path}x.ics");
        let object = format!("{second}{}", names(&mut ana, &second)[0]);
        ana.is(403, "MOVE", &object, &[("Destination", &into)], "");
        let sync = "<sync-collection xmlns='DAV:'><sync-token/><sync-level>1</sync-level><prop><getetag/></prop>\
            </sync-collection>";
        ana.is(207, "REPORT", &format!("{ANAS}{path}"), &[], sync);
        let may = ana.propfind(&format!("{ANAS}{path}"), "0", "<current-user-privilege-set/><supported-report-set/>");
        assert!(may.body.contains("C:schedule-") && !may.body.contains("free-busy-query"), "{may:?}");
        ben.is(404, "PROPFIND", &format!("{ANAS}{path}"), &[("Depth", "0")], "");
    }
    // A message that was read can be taken out of the inbox.
    let message = names(&mut ana, &inbox)[0].clone();
    ana.is(204, "DELETE", &format!("{inbox}{message}"), &[], "");
    installation.is_sound();
}
