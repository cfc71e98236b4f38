//! The dialogs of RFC 5546 section 4, and what else two sides can say.

use std::sync::Arc;

use super::receive::{Effect, Ignored, Received};
use super::{Message, Method, NotAllowed, Role, attendee, organizer, role, set_status, status_of};
use crate::calendar::Calendar;
use crate::calendar::time::parse_utc;

const ANA: &str = "ana@x.test";
const BEN: &str = "ben@x.test";
const CLEO: &str = "cleo@y.test";

fn now() -> i64 {
    parse_utc("20250101T120000Z").unwrap()
}

fn own(address: &str) -> Vec<String> {
    vec![address.to_owned()]
}

fn parse(text: &str) -> Calendar {
    Calendar::parse(text.as_bytes()).unwrap()
}

/// A meeting of Ana's with Ben and Cleo: the lines of each component.
fn meeting(components: &[&str]) -> Calendar {
    let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\n".to_owned();
    for lines in components {
        text += "BEGIN:VEVENT\r\nUID:m\r\nDTSTAMP:20250101T000000Z\r\nORGANIZER:mailto:Ana@X.test\r\n\
                 ATTENDEE;PARTSTAT=ACCEPTED:mailto:ana@x.test\r\n";
        text += &lines.replace('\n', "\r\n");
        text += "\r\nBEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\nEND:VEVENT\r\n";
    }
    parse(&(text + "END:VCALENDAR\r\n"))
}

const BOTH: &str = "ATTENDEE;RSVP=TRUE:mailto:ben@x.test\nATTENDEE;RSVP=TRUE:mailto:cleo@y.test";
const WEEKLY: &str = "DTSTART:20250303T100000Z\nDTEND:20250303T110000Z\nRRULE:FREQ=WEEKLY;COUNT=10\nSUMMARY:Terns";

fn plan(old: Option<&Calendar>, new: Option<&Calendar>) -> super::Plan {
    organizer::plan(old, new, &own(ANA), false, now()).unwrap()
}

fn to<'a>(messages: &'a [Message], address: &str) -> Vec<&'a Message> {
    messages.iter().filter(|message| message.recipient == address).collect()
}

/// What becomes of a message at its recipient.
fn received(stored: Option<&Calendar>, message: &Message) -> Effect {
    let parsed = parse(&message.text());
    let own = own(&message.recipient);
    let (sender, recipient) = (&*message.sender, &*message.recipient);
    Received { stored, message: &parsed, sender, recipient, own: &own, now_s: now() }.effect()
}

fn put(effect: Effect) -> Calendar {
    match effect {
        Effect::Put(object) => Calendar::of(object),
        other => panic!("{other:?}"),
    }
}

/// Ben's answer, by a change of the copy that Ana's invitation made.
fn answered(copy: &Calendar, from: &str, to: &str) -> (Calendar, Vec<Message>) {
    let next = parse(&copy.text().replace("\r\n ", "").replace(from, to));
    let plan = attendee::plan(Some(copy), Some(&next), &own(BEN), true, now()).unwrap();
    (Calendar::of(plan.object.unwrap()), plan.messages)
}

#[test]
fn an_invitation_is_answered_and_the_answer_is_noted() {
    let new = meeting(&[&format!("DTSTART:20250303T100000Z\nDTEND:20250303T110000Z\n{BOTH}")]);
    let invited = plan(None, Some(&new));
    assert_eq!(invited.messages.len(), 2);
    let to_ben = to(&invited.messages, BEN)[0];
    assert_eq!((to_ben.method, to_ben.sender.as_str()), (Method::Request, ANA));
    assert!(!to_ben.text().contains("VALARM"), "{}", to_ben.text());
    assert!(to_ben.text().contains("DTSTAMP:20250101T120000Z"));

    let copy = put(received(None, to_ben));
    assert!(copy.root.property("METHOD").is_none());
    assert_eq!(role(&copy, &own(BEN)), Ok(Role::Attendee { own: BEN.into(), organizer: ANA.into() }));
    let (_, replies) = answered(&copy, "ATTENDEE;RSVP=TRUE:mailto:ben", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ben");
    let [reply] = &replies[..] else { panic!("{replies:?}") };
    assert_eq!((reply.method, reply.recipient.as_str()), (Method::Reply, ANA));
    assert!(!reply.text().contains("cleo") && reply.text().contains("REQUEST-STATUS:2.0;Success"), "{}", reply.text());

    let noted = put(received(Some(&new), reply));
    let text = noted.text().replace("\r\n ", "");
    assert!(text.contains("ATTENDEE;PARTSTAT=ACCEPTED;SCHEDULE-STATUS=2.0"), "{text}");
    assert!(text.contains("VALARM"), "the organizer's own alarm stays: {text}");
    // An older answer comes later.
    let mut older = reply.clone();
    Arc::make_mut(&mut older.calendar).components[0].set("DTSTAMP", "20250101T110000Z");
    assert_eq!(received(Some(&noted), &older), Effect::Nothing(Ignored::Stale));
}

#[test]
fn only_those_concerned_are_told_and_only_of_what_concerns_them() {
    let old = meeting(&[&format!("DTSTART:20250303T100000Z\nSUMMARY:a\n{BOTH}")]);
    assert_eq!(plan(Some(&old), Some(&old)).messages, []);
    // An alarm, an answer, a mark of a program: nobody is told.
    let own = meeting(&[
        &format!("DTSTART:20250303T100000Z\nSUMMARY:a\nX-MOZ:1\n{BOTH}").replace("RSVP=TRUE", "PARTSTAT=DECLINED")
    ]);
    assert_eq!(plan(Some(&old), Some(&own)).messages, []);
    // One comes, one goes.
    let other = meeting(&[
        "DTSTART:20250303T100000Z\nSUMMARY:a\nATTENDEE;RSVP=TRUE:mailto:ben@x.test\nATTENDEE:mailto:dan@x.test",
    ]);
    let changed = plan(Some(&old), Some(&other));
    let methods = |address| to(&changed.messages, address).iter().map(|message| message.method).collect::<Vec<_>>();
    assert_eq!(methods(CLEO), [Method::Cancel]);
    assert_eq!(methods("dan@x.test"), [Method::Request]);
    assert_eq!(methods(BEN), [Method::Request], "who else comes is a change, too");
    // Those who are told by the organizer's own program, or by nobody.
    let by_client = meeting(&["DTSTART:20250303T100000Z\nATTENDEE;SCHEDULE-AGENT=CLIENT:mailto:ben@x.test"]);
    assert_eq!(plan(None, Some(&by_client)).messages, []);
    let forced = meeting(&[&format!("DTSTART:20250303T100000Z\nSUMMARY:a\n{BOTH}")
        .replace("ATTENDEE;RSVP=TRUE:mailto:ben", "ATTENDEE;RSVP=TRUE;SCHEDULE-FORCE-SEND=REQUEST:mailto:ben")]);
    let forced = plan(Some(&old), Some(&forced));
    assert_eq!(forced.messages.iter().map(|message| message.recipient.as_str()).collect::<Vec<_>>(), [BEN]);
    assert!(!Calendar::of(forced.object.unwrap()).text().contains("FORCE"));
}

#[test]
fn another_time_is_asked_for_anew() {
    let accepted = BOTH.replace("RSVP=TRUE", "PARTSTAT=ACCEPTED");
    let old = meeting(&[&format!("DTSTART:20250303T100000Z\nSEQUENCE:2\n{accepted}")]);
    let new = meeting(&[&format!("DTSTART:20250303T120000Z\nSEQUENCE:2\n{accepted}")]);
    let moved = plan(Some(&old), Some(&new));
    let object = Calendar::of(moved.object.unwrap());
    assert_eq!(object.objects().next().unwrap().value("SEQUENCE"), Some("3"));
    assert_eq!(object.text().matches("PARTSTAT=NEEDS-ACTION").count(), 2);
    // The attendee's answer to the former time doesn't count; the alarm stays.
    let copy = put(received(None, to(&plan(None, Some(&old)).messages, BEN)[0]));
    let copy = meeting_with_alarm(&copy);
    let changed = put(received(Some(&copy), to(&moved.messages, BEN)[0]));
    let text = changed.text().replace("\r\n ", "");
    assert!(text.contains("PARTSTAT=NEEDS-ACTION:mailto:ben") && text.contains("VALARM"), "{text}");
    // An earlier invitation that comes late changes nothing.
    let late = to(&plan(None, Some(&old)).messages, BEN)[0].clone();
    assert_eq!(received(Some(&changed), &late), Effect::Nothing(Ignored::Stale));
}

fn meeting_with_alarm(copy: &Calendar) -> Calendar {
    parse(
        &copy.text().replace("END:VEVENT", "BEGIN:VALARM\r\nTRIGGER:-PT9M\r\nACTION:AUDIO\r\nEND:VALARM\r\nEND:VEVENT"),
    )
}

#[test]
fn single_times_are_cancelled_changed_and_answered() {
    let old = meeting(&[&format!("{WEEKLY}\n{BOTH}")]);
    let copy = put(received(None, to(&plan(None, Some(&old)).messages, BEN)[0]));
    // The organizer takes one out.
    let without = meeting(&[&format!("{WEEKLY}\nEXDATE:20250310T100000Z\n{BOTH}")]);
    let taken = plan(Some(&old), Some(&without));
    let [cancel] = to(&taken.messages, BEN)[..] else { panic!("{taken:?}") };
    assert_eq!(cancel.method, Method::Cancel);
    assert!(cancel.text().contains("RECURRENCE-ID:20250310T100000Z"), "{}", cancel.text());
    let left = put(received(Some(&copy), cancel));
    assert!(left.text().contains("EXDATE:20250310T100000Z"), "{}", left.text());

    // One is at another time, without Cleo.
    let single = "RECURRENCE-ID:20250317T100000Z\nDTSTART:20250317T150000Z\nDTEND:20250317T160000Z\nSUMMARY:Terns\n\
                  ATTENDEE;RSVP=TRUE:mailto:ben@x.test";
    let changed = meeting(&[&format!("{WEEKLY}\n{BOTH}"), single]);
    let changed = plan(Some(&old), Some(&changed));
    let [request] = to(&changed.messages, BEN)[..] else { panic!("{changed:?}") };
    assert_eq!(request.method, Method::Request);
    assert_eq!(request.text().matches("BEGIN:VEVENT").count(), 1, "only what is new: {}", request.text());
    let [gone] = to(&changed.messages, CLEO)[..] else { panic!("{changed:?}") };
    assert_eq!(gone.method, Method::Cancel);
    let after = put(received(Some(&copy), request));
    assert_eq!(after.objects().count(), 2);

    // Ben can't come once: by taking it out of his copy.
    let (_, replies) = answered(&copy, "RRULE:", "EXDATE:20250324T100000Z\r\nRRULE:");
    let [reply] = &replies[..] else { panic!("{replies:?}") };
    assert!(reply.text().contains("PARTSTAT=DECLINED") && reply.text().contains("RECURRENCE-ID:20250324T100000Z"));
    let noted = put(received(Some(&old), reply));
    assert_eq!(noted.objects().count(), 2, "{}", noted.text());
    let single = noted.objects().nth(1).unwrap();
    assert_eq!(single.value("DTEND"), Some("20250324T110000Z"));
    assert!(single.property("RRULE").is_none());
    // There is no such time.
    let mut nowhere = reply.clone();
    Arc::make_mut(&mut nowhere.calendar).components[0].set("RECURRENCE-ID", "20250325T100000Z");
    assert_eq!(received(Some(&old), &nowhere), Effect::Nothing(Ignored::Unknown));
}

#[test]
fn whoever_is_invited_to_one_time_only_gets_that_one() {
    let single = "RECURRENCE-ID:20250317T100000Z\nDTSTART:20250317T100000Z\nDTEND:20250317T110000Z\nSUMMARY:Terns\n\
                  ATTENDEE;RSVP=TRUE:mailto:ben@x.test\nATTENDEE;RSVP=TRUE:mailto:cleo@y.test";
    let new = meeting(&[&format!("{WEEKLY}\nATTENDEE;RSVP=TRUE:mailto:ben@x.test"), single]);
    let invited = plan(None, Some(&new));
    let [only] = to(&invited.messages, CLEO)[..] else { panic!("{invited:?}") };
    assert!(!only.text().contains("RRULE") && only.text().contains("RECURRENCE-ID"), "{}", only.text());
    let copy = put(received(None, only));
    // The rest follows later.
    let all = meeting(&[&format!("{WEEKLY}\n{BOTH}"), single]);
    let more = plan(Some(&new), Some(&all));
    let whole = put(received(Some(&copy), to(&more.messages, CLEO)[0]));
    assert_eq!(whole.objects().count(), 2);
}

#[test]
fn deletion_tells_the_other_side() {
    let old = meeting(&[&format!("{WEEKLY}\nSEQUENCE:4\n{BOTH}")]);
    let gone = plan(Some(&old), None);
    let [cancel] = to(&gone.messages, BEN)[..] else { panic!("{gone:?}") };
    assert!(gone.object.is_none() && cancel.text().contains("SEQUENCE:5") && !cancel.text().contains("cleo"));
    let copy = put(received(None, to(&plan(None, Some(&old)).messages, BEN)[0]));
    let off = put(received(Some(&copy), cancel));
    assert_eq!(off.objects().next().unwrap().value("STATUS"), Some("CANCELLED"));
    // What is off needs no refusal; what is not, does, unless silence is asked for.
    let silent =
        |calendar: &Calendar, replies| attendee::plan(Some(calendar), None, &own(BEN), replies, now()).unwrap();
    assert_eq!(silent(&off, true).messages, []);
    assert_eq!(silent(&copy, false).messages, []);
    assert!(silent(&copy, true).messages[0].text().contains("PARTSTAT=DECLINED"));
}

#[test]
fn attendees_change_nothing_but_their_own() {
    let old = meeting(&[&format!("{WEEKLY}\n{BOTH}")]);
    let copy = put(received(None, to(&plan(None, Some(&old)).messages, BEN)[0]));
    let tried = |from: &str, to: &str| {
        let next = parse(&copy.text().replace("\r\n ", "").replace(from, to));
        attendee::plan(Some(&copy), Some(&next), &own(BEN), true, now()).map(|plan| plan.messages.len())
    };
    assert_eq!(tried("SUMMARY:Terns", "SUMMARY:Terns!"), Ok(0));
    assert_eq!(tried("DTSTART:20250303T10", "DTSTART:20250303T11"), Err(NotAllowed::Attendee("when it is")));
    assert!(tried("ORGANIZER:mailto:Ana@X.test", "ORGANIZER:mailto:ben@x.test").is_err());
    assert!(tried("ATTENDEE;RSVP=TRUE:mailto:cleo@y.test", "ATTENDEE:mailto:eve@z.test").is_err());
    let other = meeting(&[&format!("{WEEKLY}\n{BOTH}")]);
    let stolen = parse(&other.text().replace("ORGANIZER:mailto:Ana@X.test", "ORGANIZER:mailto:eve@z.test"));
    let refused = organizer::plan(Some(&old), Some(&stolen), &own(ANA), false, now());
    assert_eq!(refused.unwrap_err(), NotAllowed::Organizer);
}

/// RFC 5546 section 4.2.5.
#[test]
fn somebody_else_comes_instead() {
    let old = meeting(&[&format!("DTSTART:20250303T100000Z\n{BOTH}")]);
    let copy = put(received(None, to(&plan(None, Some(&old)).messages, BEN)[0]));
    let (_, messages) = answered(
        &copy,
        "ATTENDEE;RSVP=TRUE:mailto:ben@x.test",
        "ATTENDEE;PARTSTAT=DELEGATED;DELEGATED-TO=\"mailto:eve@x.test\":mailto:ben@x.test\r\n\
         ATTENDEE;RSVP=TRUE;DELEGATED-FROM=\"mailto:ben@x.test\":mailto:eve@x.test",
    );
    let [reply] = to(&messages, ANA)[..] else { panic!("{messages:?}") };
    let [request] = to(&messages, "eve@x.test")[..] else { panic!("{messages:?}") };
    let noted = put(received(Some(&old), reply)).text().replace("\r\n ", "");
    assert!(noted.contains("PARTSTAT=DELEGATED") && noted.contains("mailto:eve@x.test"), "{noted}");
    // Eve takes the invitation from Ben; her answer goes to Ana.
    let eves = put(received(None, request));
    let next = parse(
        &eves
            .text()
            .replace("\r\n ", "")
            .replace("ATTENDEE;RSVP=TRUE;DELEGATED-FROM", "ATTENDEE;PARTSTAT=ACCEPTED;DELEGATED-FROM"),
    );
    let answer = attendee::plan(Some(&eves), Some(&next), &own("eve@x.test"), true, now()).unwrap().messages;
    let noted = put(received(Some(&parse(&noted)), &answer[0])).text().replace("\r\n ", "");
    assert!(noted.contains("PARTSTAT=ACCEPTED"), "{noted}");
    // A stranger can't hand anything on.
    let mut forged = request.clone();
    forged.sender = "mallory@z.test".into();
    assert_eq!(received(None, &forged), Effect::Nothing(Ignored::Stranger));
}

#[test]
fn strangers_have_no_say() {
    let old = meeting(&[&format!("DTSTART:20250303T100000Z\n{BOTH}")]);
    let invited = plan(None, Some(&old));
    let copy = put(received(None, to(&invited.messages, BEN)[0]));
    for method in [Method::Cancel, Method::Request, Method::Add, Method::DeclineCounter] {
        let mut forged = to(&invited.messages, BEN)[0].clone();
        forged.sender = "mallory@z.test".into();
        Arc::make_mut(&mut forged.calendar).set("METHOD", method.name());
        assert_eq!(received(Some(&copy), &forged), Effect::Nothing(Ignored::Stranger), "{method:?}");
    }
    let (_, replies) = answered(&copy, "ATTENDEE;RSVP=TRUE:mailto:ben", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ben");
    let mut forged = replies[0].clone();
    forged.sender = CLEO.into();
    assert_eq!(received(Some(&old), &forged), Effect::Nothing(Ignored::Stranger));
    // What is there already is not replaced by whoever claims to hand it on.
    let handed = |stored| {
        let mut forged = to(&invited.messages, BEN)[0].clone();
        forged.sender = "mallory@z.test".into();
        let text = forged.text().replace("\r\n ", "").replace("DTSTART:20250303", "DTSTART:20250404");
        let line = "ATTENDEE;DELEGATED-TO=\"mailto:ben@x.test\":mailto:mallory@z.test\r\nEND:VEVENT";
        let message = parse(&text.replace("END:VEVENT", line));
        let (sender, recipient, own) = ("mallory@z.test", BEN, own(BEN));
        Received { stored, message: &message, sender, recipient, own: &own, now_s: now() }.effect()
    };
    assert_eq!(handed(Some(&copy)), Effect::Nothing(Ignored::Stranger));
    assert!(matches!(handed(None), Effect::Put(_)));
    // Nobody answers for somebody else, the organizer neither.
    let said = parse(&to(&invited.messages, BEN)[0].text().replace("ATTENDEE;", "ATTENDEE;PARTSTAT=ACCEPTED;"));
    let (sender, recipient, ben) = (ANA, BEN, own(BEN));
    let taken = put(Received { stored: None, message: &said, sender, recipient, own: &ben, now_s: now() }.effect());
    assert!(super::is_open(&taken, BEN), "{}", taken.text());
    // Who was not invited, and comes through nobody who was.
    let crasher = parse(&replies[0].text().replace("\r\n ", "").replace("ben@x", "eve@x"));
    let own = own(ANA);
    let said = Received {
        stored: Some(&old),
        message: &crasher,
        sender: "eve@x.test",
        recipient: ANA,
        own: &own,
        now_s: now(),
    };
    assert_eq!(said.effect(), Effect::Nothing(Ignored::Stranger));
}

#[test]
fn a_group_is_invited_and_one_of_it_answers() {
    let old = meeting(&["DTSTART:20250303T100000Z\nATTENDEE;CUTYPE=GROUP;RSVP=TRUE:mailto:terns@x.test"]);
    let invited = plan(None, Some(&old));
    let message = parse(&invited.messages[0].text());
    let own_ben = own(BEN);
    let said = Received {
        stored: None,
        message: &message,
        sender: ANA,
        recipient: "terns@x.test",
        own: &own_ben,
        now_s: now(),
    };
    let copy = put(said.effect());
    let (_, replies) = answered(&copy, "PARTSTAT=NEEDS-ACTION", "PARTSTAT=ACCEPTED");
    let noted = put(received(Some(&old), &replies[0])).text().replace("\r\n ", "");
    assert!(noted.contains("mailto:ben@x.test") && noted.contains("PARTSTAT=ACCEPTED"), "{noted}");
}

#[test]
fn refresh_add_and_counter() {
    let old = meeting(&[&format!("{WEEKLY}\n{BOTH}")]);
    let copy = put(received(None, to(&plan(None, Some(&old)).messages, BEN)[0]));
    let more = meeting(&["SEQUENCE:1\nDTSTART:20250801T100000Z\nDTEND:20250801T110000Z\nATTENDEE:mailto:ben@x.test"]);
    let mut add =
        Message { method: Method::Add, sender: ANA.into(), recipient: BEN.into(), calendar: more.root.clone().into() };
    Arc::make_mut(&mut add.calendar).set("METHOD", "ADD");
    let added = put(received(Some(&copy), &add));
    assert!(added.text().contains("RDATE:20250801T100000Z") && added.objects().count() == 2, "{}", added.text());
    // Who lacks the series asks for it, and gets it.
    let Effect::Answered(refresh) = received(None, &add) else { panic!("no REFRESH") };
    assert_eq!((refresh.method, refresh.recipient.as_str()), (Method::Refresh, ANA));
    let Effect::Answered(again) = received(Some(&old), &refresh) else { panic!("no REQUEST") };
    assert_eq!((again.method, again.recipient.as_str()), (Method::Request, BEN));
    // Another time is proposed: the organizer decides.
    let mut counter = add.clone();
    (counter.method, counter.sender, counter.recipient) = (Method::Counter, BEN.into(), ANA.into());
    Arc::make_mut(&mut counter.calendar).set("METHOD", "COUNTER");
    assert_eq!(received(Some(&old), &counter), Effect::Shown);
    let declined = organizer::decline_counter(&parse(&counter.text()), BEN, now()).unwrap();
    assert_eq!(received(Some(&copy), &declined), Effect::Shown);
}

#[test]
fn what_became_of_it_is_noted_in_the_object() {
    let mut object = meeting(&[&format!("{WEEKLY}\n{BOTH}")]);
    set_status(&mut object.root, CLEO, "1.1");
    set_status(&mut object.root, "nobody@x.test", "1.1");
    assert_eq!(status_of(&object, CLEO).as_deref(), Some("1.1"));
    assert_eq!(status_of(&object, BEN), None);
    // It is not told to others.
    let told = plan(None, Some(&object));
    assert!(!told.messages[0].text().contains("SCHEDULE-STATUS"));
}

#[test]
fn tags_stay_while_others_answer() {
    let tag = |calendar: &Calendar| super::schedule_tag(calendar);
    let one = meeting(&[&format!("DTSTART:20250303T100000Z\n{BOTH}")]);
    let answered = meeting(&[&format!("DTSTART:20250303T100000Z\n{}", BOTH.replace("RSVP=TRUE", "PARTSTAT=ACCEPTED"))]);
    let moved = meeting(&[&format!("DTSTART:20250303T110000Z\n{BOTH}")]);
    assert!(tag(&one).is_some());
    assert_eq!(tag(&one), tag(&answered));
    assert_ne!(tag(&one), tag(&moved));
    assert_eq!(tag(&parse(&one.text().replace("ORGANIZER", "X-ORGANIZER"))), None);
}

#[test]
fn answers_since_then_stay_when_the_organizer_has_not_seen_them() {
    let stored =
        meeting(&[&format!("DTSTART:20250303T100000Z\nSUMMARY:a\n{}", BOTH.replace("RSVP=TRUE", "PARTSTAT=ACCEPTED"))]);
    let new = meeting(&[&format!("DTSTART:20250303T100000Z\nSUMMARY:b\n{BOTH}")]);
    let merged = organizer::plan(Some(&stored), Some(&new), &own(ANA), true, now()).unwrap();
    assert_eq!(Calendar::of(merged.object.unwrap()).text().matches("PARTSTAT=ACCEPTED").count(), 3);
    let not = organizer::plan(Some(&stored), Some(&new), &own(ANA), false, now()).unwrap();
    assert_eq!(Calendar::of(not.object.unwrap()).text().matches("PARTSTAT=ACCEPTED").count(), 1);
}

#[test]
fn what_is_the_attendees_own_stays_theirs() {
    let lines = "DTSTART:20250303T100000Z\nRRULE:FREQ=WEEKLY;COUNT=5\nSUMMARY:a\nCATEGORIES:Hers";
    let old = meeting(&[&format!("{lines}\n{BOTH}")]);
    let copy = put(received(None, to(&plan(None, Some(&old)).messages, BEN)[0]));
    let mine = copy.text().replace("CATEGORIES:Hers", "CATEGORIES:Mine\r\nCLASS:PRIVATE");
    let mine = meeting_with_alarm(&parse(&mine));
    let next = meeting(&[
        &format!("{lines}\nLOCATION:b\n{BOTH}"),
        &format!("RECURRENCE-ID:20250310T100000Z\nDTSTART:20250310T120000Z\nSUMMARY:a\n{BOTH}"),
    ]);
    // A sender whose program puts its own alarms into what it sends.
    let mut message = to(&plan(Some(&old), Some(&next)).messages, BEN)[0].clone();
    let alarm =
        parse("BEGIN:VCALENDAR\r\nBEGIN:VALARM\r\nACTION:EMAIL\r\nEND:VALARM\r\nEND:VCALENDAR\r\n").root.components;
    Arc::make_mut(&mut message.calendar)
        .components
        .iter_mut()
        .for_each(|component| component.components.extend(alarm.clone()));
    let changed = put(received(Some(&mine), &message));
    for component in changed.objects() {
        let text = Calendar::of(component.clone()).text();
        assert!(component.value("CATEGORIES") == Some("Mine") && component.value("CLASS") == Some("PRIVATE"), "{text}");
        assert!(!text.contains("ACTION:EMAIL") && text.matches("BEGIN:VALARM").count() == 1, "{text}");
    }
    assert_eq!(changed.objects().count(), 2);
    assert!(!put(received(None, &message)).text().contains("VALARM"), "nobody else's alarms ring");
}

#[test]
fn a_cancellation_has_the_time_at_which_it_was_said() {
    let old = meeting(&[&format!("DTSTART:20250303T100000Z\nSEQUENCE:1\n{BOTH}")]);
    let copy = put(received(None, to(&plan(None, Some(&old)).messages, BEN)[0]));
    let mut cancel = to(&plan(Some(&old), None).messages, BEN)[0].clone();
    Arc::make_mut(&mut cancel.calendar).components[0].set("DTSTAMP", "20250101T080000Z");
    let (uid, organizer, version) = super::whole(&parse(&cancel.text())).unwrap();
    assert_eq!((uid.as_str(), organizer.as_str(), version.sequence), ("m", ANA, 2));
    let off = put(received(Some(&copy), &cancel));
    assert!(
        off.text().contains("DTSTAMP:20250101T080000Z") && off.text().contains("STATUS:CANCELLED"),
        "{}",
        off.text()
    );
    // Ben is invited again, in the same version, a second later.
    let mut again = to(&plan(None, Some(&old)).messages, BEN)[0].clone();
    Arc::make_mut(&mut again.calendar).components[0].set("SEQUENCE", "2");
    Arc::make_mut(&mut again.calendar).components[0].set("DTSTAMP", "20250101T080001Z");
    assert!(!put(received(Some(&off), &again)).text().contains("CANCELLED"));
    Arc::make_mut(&mut again.calendar).components[0].set("DTSTAMP", "20250101T075959Z");
    assert_eq!(received(Some(&off), &again), Effect::Nothing(Ignored::Stale));
}

#[test]
fn those_who_are_told_the_same_share_it() {
    use std::fmt::Write as _;
    let mut lines = "DTSTART:20250303T100000Z\nSUMMARY:a".to_owned();
    for n in 0..super::ATTENDEES_MAX - 1 {
        write!(lines, "\nATTENDEE:mailto:p{n}@x.test").unwrap();
    }
    let old = meeting(&[&lines]);
    let invited = plan(None, Some(&old)).messages;
    assert_eq!(invited.len(), super::ATTENDEES_MAX - 1);
    assert!(invited.iter().all(|message| Arc::ptr_eq(&message.calendar, &invited[0].calendar)));
    assert_eq!(invited[7].recipient, "p7@x.test");
    // Who is not invited any more is told alone; the others share what they are told.
    let new = meeting(&[&lines.replace("\nATTENDEE:mailto:p7@x.test", "")]);
    let changed = plan(Some(&old), Some(&new)).messages;
    let gone = to(&changed, "p7@x.test");
    assert_eq!((changed.len(), gone.len(), gone[0].method), (super::ATTENDEES_MAX - 1, 1, Method::Cancel));
    assert_eq!(gone[0].calendar.components[0].all("ATTENDEE").count(), 1);
    let others: Vec<_> = changed.iter().filter(|message| message.method == Method::Request).collect();
    assert!(others.iter().all(|message| Arc::ptr_eq(&message.calendar, &others[0].calendar)));
    let off = plan(Some(&old), None).messages;
    assert!(off.iter().all(|message| message.calendar.components[0].all("ATTENDEE").count() == 1));
}
