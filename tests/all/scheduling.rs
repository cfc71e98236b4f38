//! Invitations between people on different data servers, and with the world by mail.

use std::time::Duration;

use sterna_testkit::http::{Answer, Http};
use sterna_testkit::installation::Installation;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// A meeting of Ana's: the lines of its one component.
fn meeting(uid: &str, lines: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tests//EN\r\nBEGIN:VEVENT\r\nUID:{uid}\r\n\
         DTSTAMP:20250101T000000Z\r\nORGANIZER:mailto:{ANA}\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:{ANA}\r\n{lines}\r\n\
         END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
}

const WITH_BEN: &str = "ATTENDEE;RSVP=TRUE:mailto:ben@tern.test";

/// One user's connection.
struct Calendars {
    http: Http,
    user: &'static str,
}

impl Calendars {
    fn of(installation: &Installation, user: &'static str) -> Self {
        Calendars { http: installation.node("main").at.dav(user).unwrap(), user }
    }

    fn path(&self, rest: &str) -> String {
        format!("/dav/calendars/{}/{rest}", self.user)
    }

    fn is(&mut self, status: u16, method: &str, rest: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let path = self.path(rest);
        let answer = self.http.request(method, &path, headers, body).unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        answer
    }

    /// What is called so, unfolded.
    fn get(&mut self, rest: &str) -> String {
        self.is(200, "GET", rest, &[], "").body.replace("\r\n ", "")
    }

    /// The names in a collection.
    fn names(&mut self, collection: &str) -> Vec<String> {
        let body = "<propfind xmlns='DAV:'><prop><getetag/></prop></propfind>";
        let answer = self.is(207, "PROPFIND", collection, &[("Depth", "1")], body);
        let hrefs = answer.texts("D:href");
        hrefs.iter().map(|href| href.rsplit('/').next().unwrap().to_owned()).filter(|name| !name.is_empty()).collect()
    }

    /// The only object of the calendar: its path within the home, and its text.
    fn only(&mut self) -> (String, String) {
        let names = self.names("Calendar/");
        let [name] = &names[..] else { panic!("{}: {names:?}", self.user) };
        let rest = format!("Calendar/{name}");
        let text = self.get(&rest);
        (rest, text)
    }

    fn property(&mut self, path: &str, prop: &str) -> String {
        let body =
            format!("<propfind xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'><prop>{prop}</prop></propfind>");
        self.http.request("PROPFIND", path, &[("Depth", "0")], &body).unwrap().body
    }
}

#[test]
fn an_invitation_goes_to_another_server_and_the_answer_comes_back() {
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Calendars::of(&installation, ANA), Calendars::of(&installation, BEN));
    let told = ana.property(
        "/dav/principals/users/ana@tern.test/",
        "<C:schedule-inbox-URL/><C:schedule-outbox-URL/><C:calendar-user-type/><C:calendar-user-address-set/>",
    );
    for known in [
        "<C:schedule-inbox-URL><D:href>/dav/calendars/ana@tern.test/inbox/</D:href>",
        "<C:schedule-outbox-URL><D:href>/dav/calendars/ana@tern.test/outbox/</D:href>",
        "<C:calendar-user-type>INDIVIDUAL<",
        "mailto:ana@tern.test",
    ] {
        assert!(told.contains(known), "{known} in {told}");
    }
    let inbox =
        ana.property("/dav/calendars/ana@tern.test/inbox/", "<resourcetype/><C:schedule-default-calendar-URL/>");
    assert!(
        inbox.contains("<C:schedule-inbox/>") && inbox.contains("/dav/calendars/ana@tern.test/Calendar/"),
        "{inbox}"
    );

    let first =
        meeting("one", &format!("DTSTART:20250303T100000Z\r\nDTEND:20250303T110000Z\r\nSUMMARY:Terns\r\n{WITH_BEN}"));
    let made = ana.is(201, "PUT", "Calendar/one.ics", &[("If-None-Match", "*")], &first);
    let tag = made.header("schedule-tag").expect("a schedule tag").to_owned();
    assert_eq!(made.header("etag"), None, "what is stored is not what was sent");
    assert!(ana.get("Calendar/one.ics").contains("SCHEDULE-STATUS=1.2:mailto:ben@tern.test"));

    // Ben has it, and his programs are told.
    let (path, copy) = ben.only();
    assert!(copy.contains("SUMMARY:Terns") && !copy.contains("METHOD") && !copy.contains("SCHEDULE-STATUS"), "{copy}");
    let notes = ben.names("inbox/");
    assert_eq!(notes.len(), 1);
    assert!(ben.get(&format!("inbox/{}", notes[0])).contains("METHOD:REQUEST"));
    ben.is(204, "DELETE", &format!("inbox/{}", notes[0]), &[], "");

    // He can't move it, but answer.
    let moved = copy.replace("20250303T100000Z", "20250303T090000Z");
    let refused = ben.is(403, "PUT", &path, &[], &moved);
    assert!(refused.body.contains("allowed-attendee-scheduling-object-change"), "{refused:?}");
    let accepted = copy.replace("RSVP=TRUE:mailto:ben", "PARTSTAT=ACCEPTED:mailto:ben");
    assert_ne!(accepted, copy);
    ben.is(204, "PUT", &path, &[], &accepted);
    assert!(ben.get(&path).contains("ORGANIZER;SCHEDULE-STATUS=1.2:"), "{}", ben.get(&path));
    let got = ana.is(200, "GET", "Calendar/one.ics", &[], "");
    let text = got.body.replace("\r\n ", "");
    assert!(text.contains("SCHEDULE-STATUS=2.0;PARTSTAT=ACCEPTED"), "{text}");
    assert_eq!(got.header("schedule-tag"), Some(tag.as_str()), "an answer is no change of the meeting");
    assert_eq!(ana.names("inbox/").len(), 1);

    // Another time: Ana's program has not seen the answer, and need not.
    ana.is(412, "PUT", "Calendar/one.ics", &[("If-Schedule-Tag-Match", "\"other\"")], &first);
    let renamed = first.replace("SUMMARY:Terns", "SUMMARY:Terns and gulls");
    let changed = ana.is(204, "PUT", "Calendar/one.ics", &[("If-Schedule-Tag-Match", &tag)], &renamed);
    assert_ne!(changed.header("schedule-tag"), Some(tag.as_str()));
    assert!(ana.get("Calendar/one.ics").contains("PARTSTAT=ACCEPTED;SCHEDULE-STATUS=1.2"), "the answer stays");
    assert!(ben.get(&path).contains("SUMMARY:Terns and gulls"));
    assert!(ben.get(&path).contains("PARTSTAT=ACCEPTED:mailto:ben"), "{}", ben.get(&path));
    let later = renamed.replace("20250303T1", "20250304T1");
    ana.is(204, "PUT", "Calendar/one.ics", &[], &later);
    let asked = ben.get(&path);
    assert!(asked.contains("DTSTART:20250304T100000Z") && asked.contains("PARTSTAT=NEEDS-ACTION"), "{asked}");

    // The same meeting can't be in two calendars.
    let twice = ana.http.request("MKCALENDAR", "/dav/calendars/ana@tern.test/two/", &[], "").unwrap();
    assert_eq!(twice.status, 201);
    let refused = ana.is(403, "PUT", "two/one.ics", &[], &later);
    assert!(refused.body.contains("unique-scheduling-object-resource"), "{refused:?}");

    ana.is(204, "DELETE", "Calendar/one.ics", &[], "");
    assert!(ben.get(&path).contains("STATUS:CANCELLED"));
    // Nobody is told of what is off.
    let before = ana.names("inbox/").len();
    ben.is(204, "DELETE", &path, &[], "");
    assert_eq!(ana.names("inbox/").len(), before);
}

#[test]
fn single_times_go_and_come_on_their_own() {
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Calendars::of(&installation, ANA), Calendars::of(&installation, BEN));
    let weekly =
        format!("DTSTART:20250303T100000Z\r\nDTEND:20250303T110000Z\r\nRRULE:FREQ=WEEKLY;COUNT=9\r\n{WITH_BEN}");
    ana.is(201, "PUT", "Calendar/w.ics", &[], &meeting("w", &weekly));
    let (path, copy) = ben.only();
    // Ben is away once.
    ben.is(204, "PUT", &path, &[], &copy.replace("RRULE:", "EXDATE:20250310T100000Z\r\nRRULE:"));
    let text = ana.get("Calendar/w.ics");
    assert!(text.contains("RECURRENCE-ID:20250310T100000Z") && text.contains("PARTSTAT=DECLINED"), "{text}");
    // Ana takes one out.
    let out = text.replacen("RRULE:", "EXDATE:20250317T100000Z\r\nRRULE:", 1);
    ana.is(204, "PUT", "Calendar/w.ics", &[], &out);
    assert!(ben.get(&path).contains("EXDATE:20250317T100000Z"), "{}", ben.get(&path));
    // Silence, if it is asked for.
    let before = ana.get("Calendar/w.ics");
    ben.is(204, "DELETE", &path, &[("Schedule-Reply", "F")], "");
    assert_eq!(ana.get("Calendar/w.ics"), before);
}

#[test]
fn what_a_server_that_is_down_does_not_get_waits_for_it() {
    let mut installation = Installation::standard();
    let mut ana = Calendars::of(&installation, ANA);
    installation.kill("beta");
    ana.is(
        201,
        "PUT",
        "Calendar/one.ics",
        &[],
        &meeting("one", &format!("DTSTART:20250303T100000Z\r\n{WITH_BEN}\r\nATTENDEE:mailto:nobody@tern.test")),
    );
    let text = ana.get("Calendar/one.ics");
    assert!(text.contains("SCHEDULE-STATUS=1.0:mailto:ben@tern.test"), "{text}");
    assert!(text.contains("SCHEDULE-STATUS=3.7:mailto:nobody@tern.test"), "{text}");
    let busy = free_busy(&mut ana, &[ANA, BEN]);
    assert!(busy[0].contains("2.0;Success") && busy[1].contains("5.1;Service unavailable"), "{busy:?}");
    // The edge goes down, too: what it has taken over it still has.
    installation.kill("main");
    installation.serve("main");
    installation.serve("beta");
    let mut ben = Calendars::of(&installation, BEN);
    let place = ben.path("Calendar/");
    until("beta", PATIENCE, || {
        let answer = ben.http.request("PROPFIND", &place, &[("Depth", "0")], "").unwrap();
        (answer.status == 207).then_some(())
    });
    until("the invitation", PATIENCE, || (ben.names("Calendar/").len() == 1).then_some(()));
    let mut ana = Calendars::of(&installation, ANA);
    let known = || ana.get("Calendar/one.ics").contains("SCHEDULE-STATUS=1.2:mailto:ben@tern.test").then_some(());
    until("the news of it", PATIENCE, known);
    assert_eq!(ben.names("inbox/").len(), 1, "it is there once");
}

/// What is said of each of these.
fn free_busy(asking: &mut Calendars, whom: &[&str]) -> Vec<String> {
    let attendees: String = whom.iter().map(|address| format!("ATTENDEE:mailto:{address}\r\n")).collect();
    let body = format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tests//EN\r\nMETHOD:REQUEST\r\nBEGIN:VFREEBUSY\r\nUID:f\r\n\
         DTSTAMP:20250101T000000Z\r\nDTSTART:20250303T000000Z\r\nDTEND:20250304T000000Z\r\n\
         ORGANIZER:mailto:{}\r\n{attendees}END:VFREEBUSY\r\nEND:VCALENDAR\r\n",
        asking.user
    );
    let answer = asking.is(200, "POST", "outbox/", &[("Content-Type", "text/calendar")], &body);
    answer.texts("C:response").into_iter().map(|text| text.replace("&#13;\n ", "")).collect()
}

#[test]
fn free_time_is_known_across_servers() {
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Calendars::of(&installation, ANA), Calendars::of(&installation, BEN));
    let own = |uid: &str, hour: u8, more: &str| {
        meeting(uid, &format!("DTSTART:20250303T{hour:02}0000Z\r\nDTEND:20250303T{hour:02}3000Z{more}"))
            .replace("ORGANIZER:mailto:ana@tern.test\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:ana@tern.test\r\n", "")
    };
    for (uid, hour, more) in [
        ("a", 8, ""),
        ("b", 9, "\r\nSTATUS:TENTATIVE"),
        ("c", 10, "\r\nSTATUS:CANCELLED"),
        ("d", 11, "\r\nTRANSP:TRANSPARENT"),
    ] {
        ben.is(201, "PUT", &format!("Calendar/{uid}.ics"), &[], &own(uid, hour, more));
    }
    // A calendar that doesn't count.
    ben.is(201, "MKCALENDAR", "birthdays/", &[], "");
    ben.is(201, "PUT", "birthdays/e.ics", &[], &own("e", 12, ""));
    let transparent = "<propertyupdate xmlns='DAV:'><set><prop><schedule-calendar-transp \
        xmlns='urn:ietf:params:xml:ns:caldav'><transparent/></schedule-calendar-transp></prop></set></propertyupdate>";
    ben.is(207, "PROPPATCH", "birthdays/", &[], transparent);
    // A meeting that Ben has not answered, and one that he has declined.
    for (uid, hour) in [("m", 14), ("n", 15)] {
        let lines = format!("DTSTART:20250303T{hour}0000Z\r\nDTEND:20250303T{hour}3000Z\r\n{WITH_BEN}");
        ana.is(201, "PUT", &format!("Calendar/{uid}.ics"), &[], &meeting(uid, &lines));
    }
    let declined =
        ben.names("Calendar/").into_iter().find(|name| ben.get(&format!("Calendar/{name}")).contains("UID:n"));
    let declined = format!("Calendar/{}", declined.unwrap());
    let text = ben.get(&declined).replace("RSVP=TRUE:mailto:ben", "PARTSTAT=DECLINED:mailto:ben");
    ben.is(204, "PUT", &declined, &[], &text);

    let told = free_busy(&mut ana, &[BEN, "nobody@tern.test", "zoe@far.test"]);
    assert!(told[1].contains("3.7;") && told[2].contains("3.8;"), "{told:?}");
    let periods = |told: &str| {
        let lines = told.lines().filter(|line| line.starts_with("FREEBUSY"));
        lines.map(|line| line.trim_end_matches("&#13;").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        periods(&told[0]),
        [
            "FREEBUSY;FBTYPE=BUSY:20250303T080000Z/20250303T083000Z",
            "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20250303T090000Z/20250303T093000Z",
            "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20250303T140000Z/20250303T143000Z",
        ]
    );
    // When Ben can't be had at all.
    let hours = "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VAVAILABILITY\nUID:v\nBEGIN:AVAILABLE\nUID:w\n\
        DTSTART:20250303T070000Z\nDTEND:20250303T180000Z\nRRULE:FREQ=DAILY\nEND:AVAILABLE\nEND:VAVAILABILITY\nEND:VCALENDAR";
    let availability = format!(
        "<propertyupdate xmlns='DAV:'><set><prop><calendar-availability xmlns='urn:ietf:params:xml:ns:caldav'>{hours}\
         </calendar-availability></prop></set></propertyupdate>"
    );
    ben.is(207, "PROPPATCH", "inbox/", &[], &availability);
    let told = periods(&free_busy(&mut ana, &[BEN])[0]);
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(told[0], "FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20250303T000000Z/20250303T070000Z");
    // What calendars say of that is combined with it by what counts for more: away from nine, but for an hour at ten,
    // of which another one has half an hour.
    let away = |uid: &str, priority: u8, (from, before): (&str, &str), there: &str| {
        format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VAVAILABILITY\r\nUID:{uid}\r\n\
             DTSTAMP:20250101T000000Z\r\nPRIORITY:{priority}\r\nDTSTART:20250303T{from}Z\r\nDTEND:20250303T{before}Z\r\n\
             {there}END:VAVAILABILITY\r\nEND:VCALENDAR\r\n"
        )
    };
    let hour = "BEGIN:AVAILABLE\r\nUID:h\r\nDTSTAMP:20250101T000000Z\r\nDTSTART:20250303T100000Z\r\nDURATION:PT1H\r\n\
        END:AVAILABLE\r\n";
    // The one that counts for more is read first.
    let both = "<C:mkcalendar xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'><set><prop>\
        <C:supported-calendar-component-set><C:comp name='VEVENT'/><C:comp name='VAVAILABILITY'/>\
        </C:supported-calendar-component-set></prop></set></C:mkcalendar>";
    ben.is(201, "MKCALENDAR", "hours/", &[], both);
    ben.is(201, "PUT", "hours/x.ics", &[], &away("x", 2, ("103000", "110000"), ""));
    ben.is(201, "PUT", "hours/e.ics", &[], &own("h", 12, ""));
    ben.is(201, "PUT", "hours/y.ics", &[], &away("y", 5, ("090000", "170000"), hour));
    let absent = |periods: &[String]| {
        let kind = "FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:";
        periods.iter().filter_map(|line| Some(line.strip_prefix(kind)?.replace("20250303T", ""))).collect::<Vec<_>>()
    };
    let in_calendar = ["090000Z/100000Z", "103000Z/170000Z"];
    let altogether = ["000000Z/070000Z", "090000Z/100000Z", "103000Z/170000Z", "180000Z/20250304T000000Z"];
    assert_eq!(absent(&periods(&free_busy(&mut ana, &[BEN])[0])), altogether);
    let query = "<C:free-busy-query xmlns:C='urn:ietf:params:xml:ns:caldav'><C:time-range start='20250303T000000Z' \
        end='20250304T000000Z'/></C:free-busy-query>";
    let told = |ben: &mut Calendars, path: &str| periods(&ben.is(200, "REPORT", path, &[("Depth", "1")], query).body);
    // RFC 7953 section 7.2.3: that of one calendar is what is in it; that of all is when Ben can be had.
    let hours = told(&mut ben, "hours/");
    assert_eq!(absent(&hours), in_calendar);
    assert!(hours.contains(&"FREEBUSY;FBTYPE=BUSY:20250303T120000Z/20250303T123000Z".to_owned()), "{hours:?}");
    assert_eq!(absent(&told(&mut ben, "")), altogether);
    assert_eq!(absent(&told(&mut ben, "Calendar/")), Vec::<String>::new());
    // Nobody asks in somebody else's name.
    let body = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VFREEBUSY\r\nUID:f\r\nORGANIZER:mailto:ben@tern.test\r\n\
        DTSTART:20250303T000000Z\r\nDTEND:20250304T000000Z\r\nATTENDEE:mailto:ben@tern.test\r\nEND:VFREEBUSY\r\nEND:VCALENDAR\r\n";
    let refused = ana.is(403, "POST", "outbox/", &[("Content-Type", "text/calendar")], body);
    assert!(refused.body.contains("organizer-allowed"), "{refused:?}");
}

/// A message of Zoe's with an invitation, or an answer, in it.
fn by_mail(from: &str, method: &str, object: &str) -> Vec<u8> {
    let object = object.replace("VERSION:2.0\r\n", &format!("VERSION:2.0\r\nMETHOD:{method}\r\n"));
    format!(
        "From: Zoe <{from}>\r\nTo: <{ANA}>\r\nSubject: {method}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nText\r\n\
         --b\r\nContent-Type: text/calendar; charset=utf-8; method={method}\r\n\r\n{object}--b--\r\n"
    )
    .into_bytes()
}

/// The whole of what a message has in its calendar part.
fn calendar_of(message: &str) -> String {
    use base64::Engine as _;
    let part = message.split("text/calendar").nth(1).expect("a calendar part");
    let body = part.split("\n\n").nth(1).unwrap_or_else(|| part.split("\r\n\r\n").nth(1).unwrap());
    let encoded: String = body.lines().take_while(|line| !line.starts_with("--")).map(str::trim).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
    String::from_utf8(bytes).unwrap().replace("\r\n ", "")
}

#[test]
fn invitations_go_out_and_come_in_by_mail() {
    let Some((installation, postfix)) = crate::sending::world() else { return };
    installation.dns.txt("far.test", "v=spf1 ip4:127.0.0.0/8 ip6:::1 -all");
    let mut ana = Calendars::of(&installation, ANA);
    installation.admin_ok("main", &["config", "set", "language", "de"]);
    let lines = "DTSTART:20250303T100000Z\r\nDTEND:20250303T110000Z\r\nSUMMARY:Küche\r\n\
        ATTENDEE;RSVP=TRUE:mailto:zoe@far.test";
    ana.is(201, "PUT", "Calendar/one.ics", &[], &meeting("one", lines));
    assert!(ana.get("Calendar/one.ics").contains("SCHEDULE-STATUS=1.1:mailto:zoe@far.test"));
    let invited = postfix.wait_for("zoe", 1).remove(0);
    assert!(invited.contains("method=REQUEST") && invited.contains("<ana@tern.test>"), "{invited}");
    let object = calendar_of(&invited);
    assert!(object.contains("METHOD:REQUEST") && object.contains("SUMMARY:Küche"), "{object}");

    // Her answer; and one in her name by somebody else, which changes nothing.
    let answer = |partstat: &str| {
        meeting("one", &format!("ATTENDEE;PARTSTAT={partstat}:mailto:zoe@far.test\r\nDTSTART:20250303T100000Z"))
            .replace("ATTENDEE;PARTSTAT=ACCEPTED:mailto:ana@tern.test\r\n", "")
            .replace("20250101T000000Z", "20300101T000000Z")
    };
    postfix.submit("eve@far.test", ANA, &by_mail("eve@far.test", "REPLY", &answer("DECLINED")));
    // One with her address in it, for which her domain doesn't answer.
    postfix.submit("eve@other.test", ANA, &by_mail("zoe@far.test", "REPLY", &answer("TENTATIVE")));
    postfix.submit("zoe@far.test", ANA, &by_mail("zoe@far.test", "REPLY", &answer("ACCEPTED")));
    until("the answer", PATIENCE, || ana.get("Calendar/one.ics").contains("PARTSTAT=ACCEPTED;X-STERNA").then_some(()));
    let mut imap = installation.node("main").at.login(ANA).unwrap();
    let mails = |imap: &mut sterna_testkit::imap::Imap| {
        let answer = imap.command("STATUS INBOX (MESSAGES)").unwrap();
        answer.lines.iter().any(|line| line.contains("MESSAGES 3"))
    };
    until("all messages in the INBOX", PATIENCE, || mails(&mut imap).then_some(()));
    let noted = ana.get("Calendar/one.ics");
    assert!(
        !noted.contains("DECLINED") && !noted.contains("TENTATIVE") && noted.contains("PARTSTAT=ACCEPTED;X-STERNA")
    );

    // Her invitation comes in, not answered yet; Ana's answer goes back by mail.
    let hers = |uid: &str, sequence: u8| {
        meeting(uid, &format!("SEQUENCE:{sequence}\r\nDTSTART:2025031{sequence}T100000Z\r\nSUMMARY:{uid}"))
            .replace("ORGANIZER:mailto:ana@tern.test", "ORGANIZER:mailto:zoe@far.test")
            .replace("PARTSTAT=ACCEPTED", "PARTSTAT=NEEDS-ACTION;RSVP=TRUE")
    };
    postfix.submit("zoe@far.test", ANA, &by_mail("zoe@far.test", "REQUEST", &hers("two", 1)));
    let (names, _) = until("her invitation", PATIENCE, || {
        let names = ana.names("Calendar/");
        (names.len() == 2).then_some(names)
    });
    let name = names.into_iter().find(|name| name != "one.ics").unwrap();
    let path = format!("Calendar/{name}");
    let copy = ana.get(&path);
    assert!(copy.contains("SUMMARY:two") && copy.contains("PARTSTAT=NEEDS-ACTION"), "{copy}");
    ana.is(204, "PUT", &path, &[], &copy.replace("PARTSTAT=NEEDS-ACTION;RSVP=TRUE", "PARTSTAT=TENTATIVE"));
    let reply = postfix.wait_for("zoe", 2).into_iter().find(|text| text.contains("method=REPLY")).unwrap();
    assert!(calendar_of(&reply).contains("PARTSTAT=TENTATIVE"));

    // Only what is known changes from now on; then nothing.
    let policy = |word: &str| {
        format!(
            "<propertyupdate xmlns='DAV:'><set><prop><mail-invitations xmlns='urn:sterna:dav'>{word}</mail-invitations>\
             </prop></set></propertyupdate>"
        )
    };
    ana.is(207, "PROPPATCH", "inbox/", &[], &policy("update"));
    postfix.submit("zoe@far.test", ANA, &by_mail("zoe@far.test", "REQUEST", &hers("three", 1)));
    postfix.submit("zoe@far.test", ANA, &by_mail("zoe@far.test", "REQUEST", &hers("two", 2)));
    until("the change", PATIENCE, || ana.get(&path).contains("DTSTART:20250312T100000Z").then_some(()));
    assert_eq!(ana.names("Calendar/").len(), 2);
    ana.is(207, "PROPPATCH", "inbox/", &[], &policy("off"));
    postfix.submit("zoe@far.test", ANA, &by_mail("zoe@far.test", "REQUEST", &hers("two", 3)));
    let arrived = || {
        let answer = imap.command("STATUS INBOX (MESSAGES)").unwrap();
        answer.lines.iter().any(|line| line.contains("MESSAGES 7")).then_some(())
    };
    until("the message", PATIENCE, arrived);
    assert!(ana.get(&path).contains("DTSTART:20250312T100000Z"));

    // What was called off before the invitation came stays off; and what a script throws away is no invitation.
    ana.is(207, "PROPPATCH", "inbox/", &[], &policy("add"));
    let off = hers("four", 4).replace("SEQUENCE:4", "SEQUENCE:4\r\nSTATUS:CANCELLED");
    let inbox = |imap: &mut sterna_testkit::imap::Imap, count: usize| {
        let wanted = format!("MESSAGES {count})");
        until("the mailbox to grow", PATIENCE, || {
            let answer = imap.command("STATUS INBOX (MESSAGES)").unwrap();
            answer.lines.iter().any(|line| line.contains(&wanted)).then_some(())
        });
    };
    postfix.submit("zoe@far.test", ANA, &by_mail("zoe@far.test", "CANCEL", &off));
    inbox(&mut imap, 8);
    postfix.submit("zoe@far.test", ANA, &by_mail("zoe@far.test", "REQUEST", &hers("four", 4)));
    inbox(&mut imap, 9);
    let script = installation.folder().join("discard.sieve");
    std::fs::write(&script, "if header :contains \"subject\" \"unwanted\" { discard; }").unwrap();
    installation.admin_ok("main", &["sieve", "put", ANA, "rules", &script.to_string_lossy()]);
    installation.admin_ok("main", &["sieve", "activate", ANA, "rules"]);
    let unwanted = String::from_utf8(by_mail("zoe@far.test", "REQUEST", &hers("five", 5))).unwrap();
    let unwanted = unwanted.replace("Subject: REQUEST", "Subject: unwanted");
    postfix.submit("zoe@far.test", ANA, unwanted.as_bytes());
    postfix.submit("zoe@far.test", ANA, &by_mail("zoe@far.test", "REQUEST", &hers("six", 6)));
    let (names, _) = until("the last invitation", PATIENCE, || {
        let names = ana.names("Calendar/");
        names.iter().any(|name| ana.get(&format!("Calendar/{name}")).contains("SUMMARY:six")).then_some(names)
    });
    assert_eq!(names.len(), 3, "one, two and six: {names:?}");
}

#[test]
fn an_invitation_that_waited_for_its_account_is_taken_in() {
    let mut installation = Installation::standard();
    installation.dns.txt("far.test", "v=spf1 ip4:127.0.0.0/8 ip6:::1 -all");
    installation.kill("alpha");
    let hers = |uid: &str| {
        meeting(uid, &format!("DTSTART:20250311T100000Z\r\nSUMMARY:{uid}"))
            .replace("ORGANIZER:mailto:ana@tern.test", "ORGANIZER:mailto:zoe@far.test")
            .replace("PARTSTAT=ACCEPTED", "PARTSTAT=NEEDS-ACTION;RSVP=TRUE")
    };
    let mut smtp = installation.node("main").at.smtp().unwrap();
    // For the first of them nobody answers: it stays a message, now and later.
    for (from, uid) in [("eve@other.test", "forged"), ("zoe@far.test", "hers")] {
        let reply = smtp.deliver(from, &[ANA], &by_mail("zoe@far.test", "REQUEST", &hers(uid))).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
    }
    drop(smtp);
    // What was found out of them is known after the edge went down, too.
    installation.kill("main");
    installation.serve("main");
    installation.serve("alpha");
    let empty = || (installation.admin_ok("main", &["--json", "queue", "list"]).trim() == "[]").then_some(());
    until("an empty queue", PATIENCE, empty);
    let mut imap = installation.node("main").at.login(ANA).unwrap();
    let answer = imap.command("STATUS INBOX (MESSAGES)").unwrap();
    assert!(answer.lines.iter().any(|line| line.contains("MESSAGES 2")), "{answer:?}");
    let (_, text) = Calendars::of(&installation, ANA).only();
    assert!(text.contains("SUMMARY:hers") && text.contains("PARTSTAT=NEEDS-ACTION"), "{text}");
}

/// The day in a week from now, as iCalendar has it.
fn in_a_week() -> String {
    let date = std::process::Command::new("date").args(["-u", "-d", "+7 days", "+%Y%m%d"]).output().unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

#[test]
fn rooms_answer_by_their_rules_and_ask_their_managers() {
    let installation = Installation::standard();
    let room = "room@tern.test";
    let admin = |arguments: &[&str]| installation.admin_ok("main", arguments);
    let made = admin(&[
        "--json",
        "resource",
        "add",
        room,
        "--server",
        "beta",
        "--name",
        "Blue room",
        "--capacity",
        "3",
        "--hours",
        "mo-su 08:00-18:00 UTC",
        "--longest-minutes",
        "120",
        "--manager",
        BEN,
    ]);
    assert!(made.contains("\"kind\": \"resource\"") || made.contains("\"kind\":\"resource\""), "{made}");
    assert!(admin(&["resource", "list"]).contains(room));
    let (mut ana, mut ben) = (Calendars::of(&installation, ANA), Calendars::of(&installation, BEN));
    let kind = ana.property("/dav/principals/users/room@tern.test/", "<C:calendar-user-type/>");
    assert!(kind.contains(">ROOM<"), "{kind}");
    let search = "<principal-property-search xmlns='DAV:' test='anyof'><property-search><prop><displayname/></prop>\
        <match>blue</match></property-search><prop><displayname/></prop></principal-property-search>";
    let found = ana.http.request("REPORT", "/dav/principals/users/", &[("Depth", "0")], search).unwrap();
    assert!(found.body.contains("/dav/principals/users/room@tern.test/"), "{found:?}");

    let day = in_a_week();
    let mut book = |uid: &str, from: &str, until: &str, more: &str| {
        let lines = format!(
            "DTSTART:{day}T{from}00Z\r\nDTEND:{day}T{until}00Z\r\nATTENDEE;CUTYPE=ROOM;RSVP=TRUE:mailto:{room}{more}"
        );
        ana.is(201, "PUT", &format!("Calendar/{uid}.ics"), &[], &meeting(uid, &lines));
        let text = ana.get(&format!("Calendar/{uid}.ics"));
        let line = text.lines().find(|line| line.contains(room)).unwrap().to_owned();
        let answer = line.split("PARTSTAT=").nth(1).and_then(|rest| rest.split([';', ':']).next());
        answer.unwrap_or_else(|| panic!("{text}")).to_owned()
    };
    assert_eq!(book("one", "1000", "1100", ""), "ACCEPTED");
    assert_eq!(book("two", "1030", "1130", ""), "DECLINED", "it is taken");
    assert_eq!(book("three", "1100", "1200", ""), "ACCEPTED");
    assert_eq!(book("early", "0700", "0730", ""), "DECLINED", "outside of its hours");
    assert_eq!(book("long", "1300", "1530", ""), "DECLINED");
    let many: String = (1..4).map(|n| format!("\r\nATTENDEE:mailto:guest{n}@tern.test")).collect();
    assert_eq!(book("many", "1600", "1630", &many), "DECLINED", "there is no room for four");
    // What is called off is free again.
    let other = ana.http.request("DELETE", "/dav/calendars/ana@tern.test/Calendar/one.ics", &[], "").unwrap();
    assert_eq!(other.status, 204);
    let mut book = |uid: &str, from: &str, until: &str| {
        let lines = format!("DTSTART:{day}T{from}00Z\r\nDTEND:{day}T{until}00Z\r\nATTENDEE;RSVP=TRUE:mailto:{room}");
        ana.is(201, "PUT", &format!("Calendar/{uid}.ics"), &[], &meeting(uid, &lines));
        ana.get(&format!("Calendar/{uid}.ics"))
    };
    let again = book("again", "1000", "1100");
    assert_eq!(again.matches("PARTSTAT=ACCEPTED").count(), 2, "{again}");

    // From now on the manager decides.
    admin(&["resource", "set", room, "--answers", "managers"]);
    let asked = book("asked", "1400", "1500");
    assert!(asked.contains("PARTSTAT=TENTATIVE"), "{asked}");
    let mut mail = installation.node("main").at.login(BEN).unwrap();
    let told = until("a word to the manager", PATIENCE, || {
        mail.command("SELECT INBOX").unwrap();
        let answer = mail.command("FETCH 1:* BODY.PEEK[]").unwrap();
        let texts = answer.literals.iter().map(|text| String::from_utf8_lossy(text).into_owned());
        texts.into_iter().find(|text| text.contains("Blue room"))
    });
    assert!(told.0.contains("Subject: A booking to decide: Blue room"), "{}", told.0);
    let calendar = "/dav/calendars/room@tern.test/Calendar/";
    let listed = ben.http.request("PROPFIND", calendar, &[("Depth", "1")], "").unwrap();
    let hrefs = listed.texts("D:href");
    let mut decided = false;
    for href in hrefs.iter().filter(|href| href.ends_with(".ics")) {
        let got = ben.http.request("GET", href, &[], "").unwrap().body.replace("\r\n ", "");
        if got.contains("UID:asked") {
            let yes = got.replace("PARTSTAT=TENTATIVE", "PARTSTAT=ACCEPTED");
            assert_eq!(ben.http.request("PUT", href, &[], &yes).unwrap().status, 204);
            decided = true;
        }
    }
    assert!(decided, "{hrefs:?}");
    assert!(ana.get("Calendar/asked.ics").contains("PARTSTAT=ACCEPTED"));
}

#[test]
fn the_others_see_an_answer_and_a_calendar_that_goes_calls_its_meetings_off() {
    const CLEO: &str = "cleo@tern.test";
    let installation = Installation::standard();
    installation.create_user(CLEO, "beta");
    let (mut ana, mut ben) = (Calendars::of(&installation, ANA), Calendars::of(&installation, BEN));
    let mut cleo = Calendars::of(&installation, CLEO);
    let lines = |start: &str| {
        format!("DTSTART:{start}T100000Z\r\nDTEND:{start}T110000Z\r\nATTENDEE:mailto:{CLEO}\r\n{WITH_BEN}")
    };
    let mkcalendar = "<C:mkcalendar xmlns='DAV:' xmlns:C='urn:ietf:params:xml:ns:caldav'/>";
    ana.is(201, "MKCALENDAR", "work/", &[], mkcalendar);
    ana.is(201, "PUT", "work/one.ics", &[], &meeting("one", &lines("20990303")));
    let (path, text) = ben.only();
    let accepted = text.replace("ATTENDEE;RSVP=TRUE:mailto:ben", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ben");
    assert_ne!(accepted, text);
    ben.is(204, "PUT", &path, &[], &accepted);
    // Cleo sees it, without being told anything, and her own answer and alarm stay.
    let (_, hers) = cleo.only();
    assert!(hers.contains("PARTSTAT=ACCEPTED:mailto:ben"), "{hers}");
    assert_eq!(cleo.names("inbox/").len(), 1);
    let (place, text) = cleo.only();
    let alarm = "BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT5M\r\nDESCRIPTION:x\r\nEND:VALARM\r\nEND:VEVENT";
    let said = |what: &str| format!("ATTENDEE;PARTSTAT={what}:mailto:{CLEO}");
    let answered = text.replace(&said("NEEDS-ACTION"), &said("DECLINED"));
    assert_ne!(answered, text);
    cleo.is(204, "PUT", &place, &[], &answered.replace("END:VEVENT", alarm));
    let (path, text) = ben.only();
    assert!(text.contains(&format!("PARTSTAT=DECLINED:mailto:{CLEO}")), "{text}");
    ben.is(204, "PUT", &path, &[], &text.replace("PARTSTAT=ACCEPTED:mailto:ben", "PARTSTAT=TENTATIVE:mailto:ben"));
    let (_, hers) = cleo.only();
    assert!(hers.contains("PARTSTAT=TENTATIVE:mailto:ben") && hers.contains("VALARM"), "{hers}");
    assert!(hers.contains(&format!("PARTSTAT=DECLINED:mailto:{CLEO}")), "{hers}");

    // What is over is nobody's concern any more; the rest is called off.
    ana.is(201, "PUT", "work/past.ics", &[], &meeting("past", &lines("20010303")));
    assert_eq!(ben.names("Calendar/").len(), 2);
    ana.is(204, "DELETE", "work/", &[], "");
    let off: Vec<String> = ben.names("Calendar/").iter().map(|name| ben.get(&format!("Calendar/{name}"))).collect();
    let is_off = |uid: &str| {
        let text = off.iter().find(|text| text.contains(&format!("UID:{uid}"))).unwrap();
        text.contains("STATUS:CANCELLED")
    };
    assert!(is_off("one") && !is_off("past"), "{off:?}");
    installation.is_sound();
}
