//! What DAVx5 says, in its order and with its bodies: service detection, lists of collections, the sync of calendars,
//! task lists and address books, and its file provider. It runs on telephones only; this is its part of the dialog.

use sterna_testkit::http::Answer;
use sterna_testkit::installation::Installation;

use crate::dav_rights::Dav;

const ANA: &str = "ana@tern.test";
const XML: (&str, &str) = ("Content-Type", "application/xml; charset=utf-8");
const ICS: (&str, &str) = ("Content-Type", "text/calendar; charset=utf-8");
const VCF: (&str, &str) = ("Content-Type", "text/vcard; charset=utf-8");
const SPACES: &str = "xmlns=\"DAV:\" xmlns:CAL=\"urn:ietf:params:xml:ns:caldav\" \
    xmlns:CARD=\"urn:ietf:params:xml:ns:carddav\" xmlns:CS=\"http://calendarserver.org/ns/\" \
    xmlns:ICAL=\"http://apple.com/ns/ical/\" xmlns:OC=\"http://owncloud.org/ns\"";

struct Phone(Dav);

impl Phone {
    fn propfind(&mut self, path: &str, depth: &str, props: &[&str]) -> Answer {
        let props: String = props.iter().map(|name| format!("<{name} />")).collect();
        let body = format!("<?xml version='1.0' encoding='UTF-8' ?><propfind {SPACES}><prop>{props}</prop></propfind>");
        self.0.is(207, "PROPFIND", path, &[("Depth", depth), XML], &body)
    }

    /// sync-collection, page by page as the server wants: what is there with its tag, what is gone, and the next token.
    fn changes(&mut self, path: &str, token: &str) -> (Vec<(String, String)>, Vec<String>, String) {
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8' ?><sync-collection xmlns=\"DAV:\"><sync-token>{token}</sync-token>\
             <sync-level>1</sync-level><prop><getetag /></prop></sync-collection>"
        );
        let answer = self.0.is(207, "REPORT", path, &[("Depth", "0"), XML], &body);
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for told in answer.texts("D:response") {
            let href = told.split("<D:href>").nth(1).unwrap().split('<').next().unwrap().to_owned();
            match told.split("<D:getetag>").nth(1) {
                Some(tag) => there.push((href, tag.split('<').next().unwrap().replace("&quot;", "\""))),
                None => {
                    assert!(told.contains("404 Not Found"), "{told}");
                    gone.push(href);
                }
            }
        }
        there.sort();
        (there, gone, answer.texts("D:sync-token").pop().unwrap())
    }

    fn multiget(&mut self, path: &str, report: &str, props: &str, hrefs: &[&str]) -> Answer {
        let hrefs: String = hrefs.iter().map(|href| format!("<href>{href}</href>")).collect();
        let body =
            format!("<?xml version='1.0' encoding='UTF-8' ?><{report} {SPACES}><prop>{props}</prop>{hrefs}</{report}>");
        self.0.is(207, "REPORT", path, &[("Depth", "1"), XML], &body)
    }
}

const EVENTS: &str = "<getcontenttype /><getetag /><CAL:schedule-tag /><CAL:calendar-data \
    content-type=\"text/calendar\" version=\"2.0\" />";

fn calendar(component: &str, uid: &str, lines: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:+//IDN bitfire.at//DAVx5/4.4 ical4j/3.2\r\nBEGIN:{component}\r\n\
         DTSTAMP:20250301T120000Z\r\nUID:{uid}\r\n{lines}END:{component}\r\nEND:VCALENDAR\r\n"
    )
}

/// Finds the homes from the name of the server alone.
fn homes(phone: &mut Phone) -> (String, String) {
    let first = ["displayname", "resourcetype", "CAL:calendar-home-set", "current-user-principal"];
    let redirected = phone.0.is(301, "PROPFIND", "/.well-known/caldav", &[("Depth", "0"), XML], "");
    let start = redirected.header("location").unwrap().to_owned();
    let root = phone.propfind(&start, "0", &first);
    let principal = root.texts("D:current-user-principal")[0].replace("<D:href>", "").replace("</D:href>", "");
    let options = phone.0.is(200, "OPTIONS", &principal, &[], "");
    let offered = options.header("dav").unwrap();
    assert!(offered.contains("calendar-access") && offered.contains("addressbook"), "{options:?}");
    let asked = [
        "displayname",
        "CAL:calendar-home-set",
        "CARD:addressbook-home-set",
        "CAL:calendar-user-address-set",
        "CS:calendar-proxy-read-for",
        "CS:calendar-proxy-write-for",
        "group-membership",
    ];
    let told = phone.propfind(&principal, "0", &asked);
    assert!(told.body.contains("mailto:ana@tern.test"), "{told:?}");
    let home = |name: &str| told.texts(name)[0].replace("<D:href>", "").replace("</D:href>", "");
    (home("C:calendar-home-set"), home("A:addressbook-home-set"))
}

#[test]
fn davx5_finds_collections_and_keeps_events_in_step() {
    let installation = Installation::standard();
    let mut phone = Phone(Dav::of(&installation, ANA));
    let (calendars, _) = homes(&mut phone);
    let asked = [
        "resourcetype",
        "displayname",
        "owner",
        "current-user-privilege-set",
        "CAL:calendar-description",
        "ICAL:calendar-color",
        "CAL:calendar-timezone",
        "CAL:calendar-timezone-id",
        "CAL:supported-calendar-component-set",
        "CS:source",
    ];
    let listed = phone.propfind(&calendars, "1", &asked);
    let of_events = listed
        .texts("D:response")
        .into_iter()
        .find(|told| told.contains("<C:calendar/>") && told.contains("VEVENT") && told.contains("<D:write/>"));
    let path = of_events.unwrap().split("<D:href>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let known = phone.propfind(&path, "0", &["CS:getctag", "sync-token", "supported-report-set", "displayname"]);
    for part in ["sync-collection", "calendar-multiget", "urn:sterna:sync:"] {
        assert!(known.body.contains(part), "{part}: {known:?}");
    }
    let (there, _, token) = phone.changes(&path, "");
    assert_eq!(there, []);

    // A new event goes up; the server's tag is kept.
    let one = format!("{path}5d3b2a1e-7c1b-4f6e-9a57-1c5a0c6f5a11.ics");
    let text = calendar(
        "VEVENT",
        "5d3b2a1e",
        "DTSTART;TZID=Europe/Vienna:20250310T100000\r\nDTEND;TZID=Europe/Vienna:20250310T110000\r\nSUMMARY:Terns\r\n",
    );
    let made = phone.0.is(201, "PUT", &one, &[("If-None-Match", "*"), ICS], &text);
    phone.0.is(412, "PUT", &one, &[("If-None-Match", "*"), ICS], &text);
    let (there, _, token) = phone.changes(&path, &token);
    assert_eq!(there, [(one.clone(), made.etag())]);
    // Another program writes a second one and changes the first: both come down in one multiget.
    let mut other = Dav::of(&installation, ANA);
    let two = format!("{path}two.ics");
    other.is(201, "PUT", &two, &[ICS], &calendar("VEVENT", "two", "DTSTART;VALUE=DATE:20250401\r\nSUMMARY:Day\r\n"));
    let changed = other.is(204, "PUT", &one, &[("If-Match", &made.etag()), ICS], &text.replace("Terns", "Gulls"));
    let (there, gone, token) = phone.changes(&path, &token);
    assert_eq!((there.len(), gone.len()), (2, 0));
    let got = phone.multiget(&path, "CAL:calendar-multiget", EVENTS, &[&one, &two]);
    assert!(got.body.contains("SUMMARY:Gulls") && got.body.contains("SUMMARY:Day"), "{got:?}");
    assert_eq!(got.texts("D:getetag").len(), 2);
    // The phone changed the first one, too: it hears of the conflict, and the server's version wins.
    phone.0.is(412, "PUT", &one, &[("If-Match", &made.etag()), ICS], &text.replace("Terns", "Skuas"));
    let mine = phone.0.is(204, "PUT", &one, &[("If-Match", &changed.etag()), ICS], &text.replace("Terns", "Skuas"));
    phone.0.is(412, "DELETE", &two, &[("If-Match", "\"what-it-was\"")], "");
    let tag = there.iter().find(|(href, _)| *href == two).unwrap().1.clone();
    phone.0.is(204, "DELETE", &two, &[("If-Match", &tag)], "");
    let (there, gone, _) = phone.changes(&path, &token);
    assert_eq!((there, gone), (vec![(one.clone(), mine.etag())], vec![two.clone()]));
    // An href that is gone meanwhile is told as gone.
    let got = phone.multiget(&path, "CAL:calendar-multiget", EVENTS, &[&one, &two]);
    assert!(got.body.contains("404 Not Found") && got.body.contains("SUMMARY:Skuas"), "{got:?}");
    // With a limit on past events it asks by time instead.
    let query = format!(
        "<?xml version='1.0' encoding='UTF-8' ?><CAL:calendar-query {SPACES}><prop><getetag /></prop><CAL:filter>\
         <CAL:comp-filter name=\"VCALENDAR\"><CAL:comp-filter name=\"VEVENT\"><CAL:time-range \
         start=\"20250301T000000Z\" /></CAL:comp-filter></CAL:comp-filter></CAL:filter></CAL:calendar-query>"
    );
    let found = phone.0.is(207, "REPORT", &path, &[("Depth", "1"), XML], &query);
    assert_eq!(found.texts("D:href"), [one]);
    // A token that the server doesn't know makes it begin anew.
    let body = "<?xml version='1.0' encoding='UTF-8' ?><sync-collection xmlns=\"DAV:\"><sync-token>urn:sterna:sync:9999:1\
        </sync-token><sync-level>1</sync-level><prop><getetag /></prop></sync-collection>";
    let refused = phone.0.is(403, "REPORT", &path, &[("Depth", "0"), XML], body);
    assert!(refused.body.contains("valid-sync-token"), "{refused:?}");
    installation.is_sound();
}

#[test]
fn davx5_makes_task_lists_and_keeps_tasks() {
    let installation = Installation::standard();
    let mut phone = Phone(Dav::of(&installation, ANA));
    let (calendars, _) = homes(&mut phone);
    let path = format!("{calendars}9c1f6a3e-8d0a-4f1e-b7c4-2f6f9d1b7e10/");
    let body = format!(
        "<?xml version='1.0' encoding='UTF-8' ?><CAL:mkcalendar {SPACES}><set><prop><resourcetype><collection />\
         <CAL:calendar /></resourcetype><displayname>Errands</displayname><ICAL:calendar-color>#ff8800ff\
         </ICAL:calendar-color><CAL:calendar-timezone-id>Europe/Vienna</CAL:calendar-timezone-id>\
         <CAL:supported-calendar-component-set><CAL:comp name=\"VTODO\" /></CAL:supported-calendar-component-set>\
         </prop></set></CAL:mkcalendar>"
    );
    phone.0.is(201, "MKCALENDAR", &path, &[XML], &body);
    let told = phone.propfind(&path, "0", &["displayname", "CAL:supported-calendar-component-set", "sync-token"]);
    assert!(told.body.contains("Errands") && told.body.contains("VTODO") && !told.body.contains("VEVENT"), "{told:?}");
    let task = format!("{path}milk.ics");
    let text = calendar("VTODO", "milk", "DUE;VALUE=DATE:20250401\r\nSUMMARY:Milk\r\nSTATUS:NEEDS-ACTION\r\n");
    let made = phone.0.is(201, "PUT", &task, &[("If-None-Match", "*"), ICS], &text);
    let refused = phone.0.is(
        403,
        "PUT",
        &format!("{path}e.ics"),
        &[ICS],
        &calendar("VEVENT", "e", "DTSTART:20250401T100000Z\r\n"),
    );
    assert!(refused.body.contains("supported-calendar-component"), "{refused:?}");
    let done = text.replace("NEEDS-ACTION", "COMPLETED\r\nCOMPLETED:20250401T090000Z\r\nPERCENT-COMPLETE:100");
    phone.0.is(204, "PUT", &task, &[("If-Match", &made.etag()), ICS], &done);
    let query = format!(
        "<?xml version='1.0' encoding='UTF-8' ?><CAL:calendar-query {SPACES}><prop><getetag /></prop><CAL:filter>\
         <CAL:comp-filter name=\"VCALENDAR\"><CAL:comp-filter name=\"VTODO\" /></CAL:comp-filter></CAL:filter>\
         </CAL:calendar-query>"
    );
    let found = phone.0.is(207, "REPORT", &path, &[("Depth", "1"), XML], &query);
    assert_eq!(found.texts("D:href"), std::slice::from_ref(&task));
    let got = phone.multiget(&path, "CAL:calendar-multiget", EVENTS, &[&task]);
    assert!(got.body.contains("STATUS:COMPLETED"), "{got:?}");
    phone.0.is(204, "DELETE", &path, &[], "");
    phone.0.is(404, "PROPFIND", &path, &[("Depth", "0"), XML], "");
    installation.is_sound();
}

#[test]
fn davx5_keeps_contacts_and_groups_and_mounts_files() {
    let installation = Installation::standard();
    let mut phone = Phone(Dav::of(&installation, ANA));
    let (_, books) = homes(&mut phone);
    let asked = ["resourcetype", "displayname", "current-user-privilege-set", "CARD:addressbook-description"];
    let listed = phone.propfind(&books, "1", &asked);
    let own = listed
        .texts("D:response")
        .into_iter()
        .find(|told| told.contains("<A:addressbook/>") && told.contains("<D:write/>"));
    let path = own.unwrap().split("<D:href>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let known = phone.propfind(&path, "0", &["CARD:supported-address-data", "supported-report-set", "sync-token"]);
    assert!(known.body.contains("version=\"4.0\""), "{known:?}");
    let (_, _, token) = phone.changes(&path, "");
    let (contact, group) = (format!("{path}c.vcf"), format!("{path}g.vcf"));
    let card = "BEGIN:VCARD\r\nVERSION:4.0\r\nPRODID:ez-vcard 0.12.1\r\nUID:urn:uuid:c\r\nFN:Arctic Tern\r\nN:Tern;Arctic;;;\r\n\
        TEL;TYPE=cell:+43 1 234\r\nEND:VCARD\r\n";
    let made = phone.0.is(201, "PUT", &contact, &[("If-None-Match", "*"), VCF], card);
    let members =
        "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:urn:uuid:g\r\nKIND:group\r\nFN:Birds\r\nMEMBER:urn:uuid:c\r\nEND:VCARD\r\n";
    phone.0.is(201, "PUT", &group, &[("If-None-Match", "*"), VCF], members);
    let (there, _, token) = phone.changes(&path, &token);
    assert_eq!(there.iter().map(|(href, _)| href.as_str()).collect::<Vec<_>>(), [&contact, &group]);
    let props = "<getcontenttype /><getetag /><CARD:address-data content-type=\"text/vcard\" version=\"4.0\" />";
    let got = phone.multiget(&path, "CARD:addressbook-multiget", props, &[&contact, &group]);
    assert!(got.body.contains("FN:Arctic Tern") && got.body.contains("MEMBER:urn:uuid:c"), "{got:?}");
    phone.0.is(204, "DELETE", &contact, &[("If-Match", &made.etag())], "");
    let (there, gone, _) = phone.changes(&path, &token);
    assert_eq!((there, gone), (vec![], vec![contact]));

    // Its file provider: a listing, ranges, and writing under the tag that was read.
    let files = "/dav/files/ana@tern.test/";
    let asked = [
        "resourcetype",
        "displayname",
        "getetag",
        "getcontenttype",
        "getcontentlength",
        "getlastmodified",
        "quota-available-bytes",
        "quota-used-bytes",
        "current-user-privilege-set",
        "OC:permissions",
    ];
    phone.0.is(201, "MKCOL", &format!("{files}Photos/"), &[], "");
    let photo = format!("{files}Photos/tern.jpg");
    let made = phone.0.is(201, "PUT", &photo, &[("If-None-Match", "*"), ("Content-Type", "image/jpeg")], "0123456789");
    let listed = phone.propfind(&format!("{files}Photos/"), "1", &asked);
    assert!(listed.body.contains("tern.jpg") && listed.body.contains("<D:getcontentlength>10<"), "{listed:?}");
    phone.0.is(200, "HEAD", &photo, &[], "");
    let part = phone.0.is(206, "GET", &photo, &[("Range", "bytes=2-5"), ("If-Match", &made.etag())], "");
    assert_eq!(part.body, "2345");
    phone.0.is(204, "PUT", &photo, &[("If-Match", &made.etag())], "new");
    phone.0.is(412, "PUT", &photo, &[("If-Match", &made.etag())], "newer");
    phone.0.is(201, "MOVE", &photo, &[("Destination", &format!("{files}tern.jpg")), ("Overwrite", "F")], "");
    phone.0.is(204, "DELETE", &format!("{files}Photos/"), &[], "");
    installation.is_sound();
}
