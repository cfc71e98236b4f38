//! An invitation as a message: a text for people, and the object for their programs (RFC 6047 section 2.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sterna_account::scheduling::Outgoing;
use sterna_base::Timestamp;
use sterna_formats::calendar::itip::{Method, address_of};
use sterna_formats::calendar::time::{Duration, Moment};
use sterna_formats::calendar::{Calendar, Zone};
use sterna_formats::content_line::{Component, Property};
use sterna_formats::smtp::trace;

use super::texts::{self, Texts};
use crate::dsn::Language;
use crate::sieve::compose::{mailbox, one_line, unstructured};

/// Characters of base 64 on a line (RFC 2045 section 6.8).
const BASE64_LINE_CHARS: usize = 76;

/// Characters of a description that people are shown.
const DESCRIPTION_CHARS_MAX: usize = 20_000;

/// What a message is made from.
pub struct Draft<'a> {
    /// What is said.
    pub message: &'a Outgoing,
    /// To which address.
    pub to: &'a str,
    /// The name of who says it; empty when it has none.
    pub name: &'a str,
    /// The language of the text.
    pub language: Language,
}

impl Draft<'_> {
    /// The message, from this host.
    pub fn compose(&self, own_name: &str, now: Timestamp) -> Vec<u8> {
        let texts = texts::of(self.language);
        let calendar = Calendar::parse(&self.message.text).ok();
        let method = calendar.as_ref().and_then(Method::of).unwrap_or(Method::Publish);
        let object = calendar.as_ref().and_then(|calendar| calendar.objects().next());
        let (subject, text) = match (&calendar, object) {
            (Some(calendar), Some(object)) => self.text(texts, calendar, object, method),
            _ => (texts.untitled.to_owned(), String::new()),
        };
        let (id, sender, date) = (self.message.id, one_line(&self.message.sender), trace::date(now));
        let boundary = format!("=_{id}");
        let mut out = format!("Return-Path: <{sender}>\r\nReceived: by {own_name} id {id};\r\n\t{date}\r\n");
        out += &format!("From: {}\r\nTo: <{}>\r\n", mailbox(self.name, &sender), one_line(self.to));
        out += &format!("Subject: {}\r\nDate: {date}\r\nMessage-ID: <{id}@{own_name}>\r\n", unstructured(&subject));
        if self.message.is_automatic {
            out += "Auto-Submitted: auto-replied\r\n";
        }
        out += "MIME-Version: 1.0\r\nContent-Class: urn:content-classes:calendarmessage\r\n";
        out += &format!("Content-Type: multipart/alternative; boundary=\"{boundary}\"\r\n\r\n");
        out += &format!("--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n");
        out += &format!("Content-Transfer-Encoding: base64\r\n\r\n{}", encoded(text.as_bytes()));
        out += &format!("--{boundary}\r\nContent-Type: text/calendar; charset=utf-8; method={};\r\n", method.name());
        out += &format!(" component={}\r\n", object.map_or("VEVENT", |object| object.name.as_str()));
        out += &format!("Content-Transfer-Encoding: base64\r\n\r\n{}", encoded(&self.message.text));
        out += &format!("--{boundary}--\r\n");
        out.into_bytes()
    }

    /// Subject and text.
    fn text(&self, texts: &Texts, calendar: &Calendar, object: &Component, method: Method) -> (String, String) {
        let line = object.all("ATTENDEE").find(|line| address_of(&line.value) == self.message.sender);
        let answer = line.and_then(|line| line.parameter_value("PARTSTAT")).unwrap_or_default().to_ascii_uppercase();
        let is_change = object.value("SEQUENCE").is_some_and(|sequence| sequence.trim() != "0");
        let (subject, sentence) = texts.said(method, &answer, is_change);
        let title = object.text("SUMMARY").map(|title| one_line(&title)).filter(|title| !title.is_empty());
        let title = title.unwrap_or_else(|| texts.untitled.to_owned());
        let who = if self.name.is_empty() { &self.message.sender } else { self.name };
        let mut text = format!("{}\r\n\r\n{title}\r\n", sentence.replace("{}", &one_line(who)));
        if let Some(when) = when(texts, calendar, object) {
            text += &format!("{}: {when}\r\n", texts.when);
        }
        if object.property("RRULE").is_some() {
            text += &format!("{}\r\n", texts.repeats);
        }
        if let Some(place) = object.text("LOCATION").filter(|place| !place.is_empty()) {
            text += &format!("{}: {}\r\n", texts.place, one_line(&place));
        }
        for name in ["COMMENT", "DESCRIPTION"] {
            if let Some(said) = object.text(name).filter(|said| !said.is_empty()) {
                let said: String = said.chars().take(DESCRIPTION_CHARS_MAX).collect();
                text += &format!("\r\n{}\r\n", said.replace('\n', "\r\n"));
            }
        }
        (subject.replace("{}", &title), text)
    }
}

/// A meeting in a few lines: its title, when and where.
pub fn summary(texts: &Texts, calendar: &Calendar) -> String {
    let Some(object) = calendar.objects().next() else { return String::new() };
    let title = object.text("SUMMARY").map(|title| one_line(&title)).unwrap_or_default();
    let mut text = format!("{title}\r\n");
    if let Some(when) = when(texts, calendar, object) {
        text += &format!("{}: {when}\r\n", texts.when);
    }
    if object.property("RRULE").is_some() {
        text += &format!("{}\r\n", texts.repeats);
    }
    text
}

/// When it is, on the clock that it was written on.
fn when(texts: &Texts, calendar: &Calendar, object: &Component) -> Option<String> {
    let start = object.property("DTSTART").or_else(|| object.property("DUE"))?;
    let from = Moment::of(start, &calendar.zones)?;
    let day = texts.day(from.civil);
    if from.is_date {
        return Some(day);
    }
    let end =
        object.property("DTEND").and_then(|end| Moment::of(end, &calendar.zones)).map(|end| end.instant(&Zone::Utc));
    let length = || object.value("DURATION").and_then(Duration::parse).map(|length| length.after(&from, &Zone::Utc));
    let end = end.or_else(length).map(|end| match &from.zone {
        Zone::Floating => Zone::Utc.civil(end),
        zone => zone.civil(end),
    });
    let clock = |at: jiff::civil::DateTime| format!("{:02}:{:02}", at.hour(), at.minute());
    let until = match end {
        Some(end) if end.date() == from.civil.date() => format!("–{}", clock(end)),
        Some(end) => format!(" – {}, {}", texts.day(end), clock(end)),
        None => String::new(),
    };
    Some(format!("{day}, {}{until}{}", clock(from.civil), zone_name(start, &from)))
}

fn zone_name(start: &Property, from: &Moment) -> String {
    match (&from.zone, start.parameter_value("TZID")) {
        (Zone::Utc, _) => " (UTC)".to_owned(),
        (_, Some(name)) => format!(" ({})", one_line(name)),
        _ => String::new(),
    }
}

fn encoded(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    let lines = text.as_bytes().chunks(BASE64_LINE_CHARS).map(String::from_utf8_lossy);
    lines.flat_map(|line| [line.into_owned(), "\r\n".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use sterna_base::OperationId;
    use sterna_formats::mail::text::body_texts;

    use super::*;

    fn composed(lines: &str, method: &str, language: Language) -> String {
        let text = format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:{method}\r\nBEGIN:VEVENT\r\nUID:1\r\nORGANIZER:mailto:ana@x.test\r\n\
             ATTENDEE;PARTSTAT=DECLINED:mailto:ben@x.test\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        );
        let sender = if method == "REPLY" { "ben@x.test" } else { "ana@x.test" };
        let (id, sender, recipient) = (OperationId([1; 16]), sender.to_owned(), "c@y.test".to_owned());
        let message = Outgoing { id, sender, recipient, text: text.into(), is_automatic: false };
        let draft = Draft { message: &message, to: "c@y.test", name: "Änne Tern", language };
        String::from_utf8(draft.compose("mx.x.test", Timestamp(0))).unwrap()
    }

    const BERLIN: &str = "DTSTART;TZID=Europe/Berlin:20250303T100000\r\nDTEND;TZID=Europe/Berlin:20250303T113000\r\n\
        SUMMARY:Küche\\, klein\r\nLOCATION:Saal 1";

    #[test]
    fn people_read_what_it_is_about() {
        let message = composed(BERLIN, "REQUEST", Language::German);
        assert!(message.is_ascii() && message.lines().all(|line| line.len() < 100), "{message}");
        assert!(message.contains("text/calendar; charset=utf-8; method=REQUEST;"), "{message}");
        let texts = body_texts(message.as_bytes());
        let text = &texts[0];
        assert!(text.contains("Änne Tern lädt Sie ein."), "{text}");
        assert!(text.contains("Wann: Montag, 3. März 2025, 10:00–11:30 (Europe/Berlin)"), "{text}");
        assert!(text.contains("Küche, klein") && text.contains("Wo: Saal 1"), "{text}");
        let refused = composed(BERLIN, "REPLY", Language::French);
        assert!(body_texts(refused.as_bytes())[0].contains("a refusé l’invitation"));
        let day = composed("DTSTART;VALUE=DATE:20250303\r\nSEQUENCE:1", "REQUEST", Language::English);
        let text = &body_texts(day.as_bytes())[0];
        assert!(text.contains("has changed this event") && text.contains("When: Monday, 3 March 2025\r\n"), "{text}");
    }

    #[test]
    fn titles_add_no_fields() {
        let message =
            composed("DTSTART:20250303T100000Z\r\nSUMMARY:a\\nBcc: victim@x.test", "REQUEST", Language::English);
        assert!(!message.contains("\nBcc:"), "{message}");
    }
}
