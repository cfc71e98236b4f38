//! The demo's mail is what it promises: the same every time, in many languages, with attachments and real threads.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sterna_formats::mail::text::{body_texts, header_text, sent_day};
use sterna_formats::mail::{Part, PartBody, Scanner, Summary};

use super::corpus::{DemoMessage, MESSAGES, TEXTS, messages};

fn all(user: &str, seed: u64) -> Vec<DemoMessage> {
    messages(user, "demo.test", seed).collect()
}

fn summary(message: &DemoMessage) -> Summary {
    let mut scanner = Scanner::new();
    scanner.push(&message.bytes);
    scanner.finish()
}

fn text(bytes: &Option<Vec<u8>>) -> String {
    String::from_utf8(bytes.clone().unwrap_or_default()).unwrap()
}

/// All parts, also those of messages inside.
fn parts<'a>(part: &'a Part, found: &mut Vec<&'a Part>) {
    found.push(part);
    match &part.body {
        PartBody::Single => {}
        PartBody::Multipart(children) => children.iter().for_each(|child| parts(child, found)),
        PartBody::Message(inner) => parts(&inner.1, found),
    }
}

#[test]
fn the_same_seed_gives_the_same_mail_and_every_user_other_mail() {
    let bytes = |user, seed| all(user, seed).into_iter().map(|message| message.bytes).collect::<Vec<_>>();
    assert_eq!(bytes("ana", 1), bytes("ana", 1));
    assert_ne!(bytes("ana", 1), bytes("ben", 1));
    assert_ne!(bytes("ana", 1), bytes("ana", 2));
    assert_eq!(bytes("ana", 1).len() as u64, MESSAGES);
}

#[test]
fn every_message_is_well_formed() {
    let mut ids = BTreeSet::new();
    for message in all("ana", 1).iter().chain(&all("ben", 1)) {
        let Summary { envelope, root, .. } = summary(message);
        let id = text(&envelope.message_id);
        let bare = message.bytes.iter().enumerate().any(|(at, &byte)| match byte {
            b'\n' => at == 0 || message.bytes[at - 1] != b'\r',
            b'\r' => message.bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        assert!(!bare, "{id}: a bare CR or LF");
        assert!(message.bytes.split(|&byte| byte == b'\n').all(|line| line.len() <= 999), "{id}: a line too long");
        assert!(message.bytes[..root.body_start as usize].is_ascii(), "{id}: a header that is not ASCII");
        assert_eq!((envelope.from.len(), envelope.to.len()), (1, 1), "{id}");
        let day = jiff::Timestamp::from_millisecond(message.date.0).unwrap().to_zoned(jiff::tz::TimeZone::UTC).date();
        let expected = (day.year() as u16, day.month() as u8, day.day() as u8);
        assert_eq!(envelope.date.as_deref().and_then(sent_day), Some(expected), "{id}");
        assert!(ids.insert(id), "one id twice: {:?}", envelope.message_id);
    }
    assert!(ids.iter().all(|id| id.starts_with('<') && id.ends_with("@demo.test>")), "{ids:?}");
}

#[test]
fn every_language_can_be_read_in_its_charset() {
    for user in ["ana", "ben"] {
        let (mut charsets, mut subjects, mut bodies) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for message in all(user, 1) {
            let summary = summary(&message);
            let mut found = Vec::new();
            parts(&summary.root, &mut found);
            let named = found.iter().filter_map(|part| part.content_type.parameter("charset"));
            charsets.extend(named.map(|name| String::from_utf8_lossy(name).to_ascii_lowercase()));
            subjects.insert(header_text(summary.envelope.subject.as_deref().unwrap_or_default()));
            let texts = body_texts(&message.bytes);
            // Lines of HTML end without CR.
            let whole = |text: &String| !text.contains('\u{fffd}') && !text.replace("\r\n", "").contains('\r');
            assert!(texts.iter().all(whole), "{texts:?}");
            bodies.extend(texts);
        }
        for charset in ["utf-8", "iso-8859-1", "iso-2022-jp", "gbk", "big5", "koi8-r"] {
            assert!(charsets.contains(charset), "{user}: {charset} of {charsets:?}");
        }
        for (charset, subject, body) in TEXTS {
            assert!(subjects.contains(*subject), "{user}: no message about {subject}");
            let body = body.replace('\n', "\r\n");
            let found = bodies.iter().any(|text| text.contains(body.trim_end()));
            assert!(found, "{user}: nobody can read {subject} in {}", charset.name());
        }
    }
}

#[test]
fn there_are_attachments_of_many_kinds() {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for message in all("ana", 1) {
        let summary = summary(&message);
        let mut found = Vec::new();
        parts(&summary.root, &mut found);
        for part in found {
            let kind = &part.content_type;
            let name = [kind.media_type.as_slice(), b"/", &kind.subtype].concat();
            *kinds.entry(String::from_utf8(name).unwrap()).or_default() += 1;
            if let Some(disposition) = &part.disposition {
                names.extend(disposition.parameters.iter().map(|p| String::from_utf8_lossy(&p.value).into_owned()));
            }
            if let PartBody::Message(inner) = &part.body {
                assert_eq!(text(&inner.0.subject), "Two beds left in the hut");
                assert!(inner.0.message_id.is_some() && inner.1.body_size() > 0);
            }
            if let PartBody::Multipart(children) = &part.body {
                assert!(children.len() >= 2, "a multipart of one");
            }
        }
    }
    for kind in [
        "text/plain",
        "text/html",
        "text/csv",
        "text/calendar",
        "image/png",
        "application/pdf",
        "message/rfc822",
        "multipart/mixed",
        "multipart/alternative",
        "multipart/related",
    ] {
        assert!(kinds.get(kind).is_some_and(|&count| count >= 5), "{kind} of {kinds:?}");
    }
    assert!(names.contains("map.png") && names.contains("rings.csv"), "{names:?}");
    assert!(names.iter().any(|name| name.contains("bersicht") && name.is_ascii()), "no encoded name in {names:?}");
}

#[test]
fn threads_are_really_there() {
    for user in ["ana", "ben"] {
        let mut seen: HashMap<String, (String, i64, BTreeSet<Option<Vec<u8>>>)> = HashMap::new();
        let mut threads: BTreeMap<String, usize> = BTreeMap::new();
        for message in all(user, 1) {
            let envelope = summary(&message).envelope;
            let id = text(&envelope.message_id);
            let subject = header_text(envelope.subject.as_deref().unwrap_or_default());
            let references: Vec<String> = text(&envelope.references).split_whitespace().map(str::to_owned).collect();
            let parent = text(&envelope.in_reply_to);
            assert_eq!(references.last().cloned().unwrap_or_default(), parent, "{id}");
            let people: BTreeSet<_> = envelope.from.iter().chain(&envelope.to).map(|one| one.mailbox.clone()).collect();
            assert!(people.contains(&Some(user.as_bytes().to_vec())) && people.len() == 2, "{id}: {people:?}");
            for reference in &references {
                let (about, date, others) = seen.get(reference).expect("an answer to a message that isn't there");
                assert_eq!(subject.strip_prefix("Re: "), Some(about.trim_start_matches("Re: ")), "{id}");
                assert_eq!(others, &people, "{id}");
                assert!(*date < message.date.0, "{id} is older than what it answers");
            }
            *threads.entry(references.first().unwrap_or(&id).clone()).or_default() += 1;
            seen.insert(id, (subject, message.date.0, people));
        }
        let long = threads.values().filter(|&&messages| messages == 3).count();
        assert_eq!(long as u64, MESSAGES / 4, "{user}");
    }
}

#[test]
fn folders_and_flags_are_of_many_kinds() {
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    let mut flags: BTreeMap<&str, usize> = BTreeMap::new();
    for message in all("ana", 1) {
        *folders.entry(message.folder).or_default() += 1;
        message.flags.iter().for_each(|flag| *flags.entry(flag).or_default() += 1);
        let distinct: BTreeSet<_> = message.flags.iter().collect();
        assert_eq!(distinct.len(), message.flags.len(), "a flag twice");
    }
    assert_eq!(
        folders.keys().copied().collect::<Vec<_>>(),
        ["Archive/2025", "Drafts", "INBOX", "Lists", "Projects/Tern", "Sent"]
    );
    assert!(folders.values().all(|&count| count >= 10), "{folders:?}");
    for flag in ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "Tern"] {
        assert!(flags.contains_key(flag), "{flag} of {flags:?}");
    }
    assert!(flags["\\Seen"] < MESSAGES as usize, "something is left to be read");
}
