//! A calendar that somebody publishes as one file, taken apart into the objects that a calendar collection holds.

use std::collections::HashSet;
use std::io::{Cursor, ErrorKind};

use super::time::Duration;
use super::{Calendar, Facts};
use crate::content_line::{self, Component};
use crate::interchange::{Object, ics};

/// Most objects of one feed.
pub const FEED_OBJECTS_MAX: usize = 50_000;

/// Largest file that is read, in bytes.
pub const FEED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Most bytes of all its objects as they are stored, each with the zones that it names.
const TEXT_BYTES_MAX: usize = 2 * FEED_BYTES_MAX;

/// Longest name that a feed gives itself, in characters.
const NAME_CHARS_MAX: usize = 200;

/// How far the properties of the calendar itself are looked for, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What a file says.
#[derive(Debug, Default)]
pub struct Feed {
    /// What it calls itself (NAME, RFC 7986 section 5.1, or X-WR-CALNAME).
    pub name: Option<String>,
    /// How often it wants to be asked, in seconds (REFRESH-INTERVAL, RFC 7986 section 5.7, or X-PUBLISHED-TTL).
    pub refresh_s: Option<i64>,
    /// What is in it, each UID once.
    pub objects: Vec<FeedObject>,
    /// UIDs of those that are in it, too, but can't be stored.
    pub unstored: Vec<String>,
    /// Whether all objects are known; of a broken file nobody knows what is missing.
    pub is_whole: bool,
    /// How many objects can't be read or stored.
    pub unreadable: usize,
    /// Why, of the first of them: for people.
    pub first_fault: Option<String>,
}

/// One object of a feed.
#[derive(Clone, Debug)]
pub struct FeedObject {
    /// What is kept beside it.
    pub facts: Facts,
    /// As it is stored.
    pub text: String,
}

/// Why a file is no feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFeed {
    /// A page that says something else, mostly.
    #[error("there is no iCalendar file at that address")]
    NotCalendar,
    /// A part of one: what is missing must not be taken for deleted.
    #[error("the file has no end: it was cut off")]
    Truncated,
    /// More than [`FEED_OBJECTS_MAX`].
    #[error("there are more than {FEED_OBJECTS_MAX} objects in it")]
    TooMany,
    /// Its objects with their zones are longer than they may be together.
    #[error("its objects, with the time zones that they name, are more than {} MiB", TEXT_BYTES_MAX >> 20)]
    TooLarge,
    /// It has a line that nobody reads into memory.
    #[error("a line in it is longer than 10 MiB")]
    LongLine,
    /// The time for it is over.
    #[error("it takes too long to read")]
    TooSlow,
}

impl Feed {
    /// Reads a file, until `is_late` says to leave off, which is asked between two objects. Takes a while when it is
    /// long: not on an async worker.
    ///
    /// # Errors
    /// [`NoFeed`].
    pub fn parse(bytes: &[u8], is_late: impl Fn() -> bool) -> Result<Self, NoFeed> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
        if !bytes.get(..15).is_some_and(|start| start.eq_ignore_ascii_case(b"BEGIN:VCALENDAR")) {
            return Err(NoFeed::NotCalendar);
        }
        let end = bytes.len().saturating_sub(13);
        if !bytes[end..].eq_ignore_ascii_case(b"END:VCALENDAR") {
            return Err(NoFeed::Truncated);
        }
        // What is read is in memory: nothing else can fail.
        let index = ics::Index::of(bytes, FEED_OBJECTS_MAX).map_err(|error| match error.kind() {
            ErrorKind::FileTooLarge => NoFeed::TooMany,
            _ => NoFeed::LongLine,
        })?;
        let mut feed = Feed::of_head(bytes);
        (feed.is_whole, feed.unreadable) = (!index.is_broken, index.faults_count);
        feed.first_fault = index.faults.first().map(ToString::to_string);
        let (mut uids, mut text_bytes) = (HashSet::new(), 0);
        for (uid, found) in index.uids().zip(index.objects(&mut Cursor::new(bytes))) {
            if is_late() {
                return Err(NoFeed::TooSlow);
            }
            text_bytes += found.as_ref().map_or(0, |object| object.text.len());
            if text_bytes > TEXT_BYTES_MAX {
                return Err(NoFeed::TooLarge);
            }
            match found.map_err(|fault| fault.to_string()).and_then(stored) {
                Ok(object) if uids.insert(object.facts.uid.clone()) => feed.objects.push(object),
                Ok(object) => feed.note(format!("there are two objects with the UID {}", object.facts.uid)),
                Err(why) => {
                    feed.note(why);
                    feed.unstored.extend(uid.map(|uid| uid.trim().to_owned()));
                }
            }
        }
        Ok(feed)
    }

    fn note(&mut self, why: String) {
        self.unreadable += 1;
        self.first_fault.get_or_insert(why);
    }

    /// What the calendar says of itself, which stands before everything in it.
    fn of_head(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD_BYTES_MAX)]);
        let is_inner = |line: &&str| !line.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("BEGIN:"));
        let mut head = "BEGIN:VCALENDAR\r\n".to_owned();
        for line in text.lines().skip(1).take_while(is_inner).filter(|line| !line.is_empty()) {
            head.push_str(line.trim_end_matches('\r'));
            head.push_str("\r\n");
        }
        if !head.to_ascii_uppercase().contains("\nEND:VCALENDAR") {
            head.push_str("END:VCALENDAR\r\n");
        }
        let Some(root) = content_line::parse(head.as_bytes()).ok().and_then(|mut found| found.pop()) else {
            return Feed::default();
        };
        let name = ["NAME", "X-WR-CALNAME"].iter().find_map(|name| root.text(name));
        let name = name.map(|name| name.trim().chars().take(NAME_CHARS_MAX).collect::<String>());
        let refresh = ["REFRESH-INTERVAL", "X-PUBLISHED-TTL"].iter().find_map(|name| root.value(name));
        let refresh_s = refresh.and_then(Duration::parse).map(Duration::seconds_max).filter(|seconds| *seconds > 0);
        Feed { name: name.filter(|name| !name.is_empty()), refresh_s, ..Feed::default() }
    }
}

fn stored(object: Object) -> Result<FeedObject, String> {
    let why = |reason: String| format!("line {}: {reason}", object.line);
    let mut calendar = Calendar::parse(object.text.as_bytes()).map_err(|error| why(error.to_string()))?;
    let facts = Facts::of(&calendar).map_err(|refusal| why(refusal.to_string()))?;
    // Alarms of others ring for nobody else.
    let is_alarm = |component: &Component| component.name == "VALARM";
    if !calendar.objects().any(|inner| inner.components.iter().any(is_alarm)) {
        return Ok(FeedObject { facts, text: object.text });
    }
    calendar.root.components.iter_mut().for_each(|inner| inner.components.retain(|below| !is_alarm(below)));
    Ok(FeedObject { facts, text: calendar.text() })
}

/// Whether two objects say the same, whenever they were written: many servers stamp everything anew for each reader.
pub fn say_the_same(one: &[u8], other: &[u8]) -> bool {
    let unstamped = |bytes: &[u8]| {
        let mut root = Calendar::parse(bytes).ok()?.root;
        root.components.iter_mut().for_each(|inner| inner.remove("DTSTAMP"));
        Some(root)
    };
    let one = unstamped(one);
    one.is_some() && one == unstamped(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = "BEGIN:VEVENT\r\nUID:one\r\nDTSTAMP:20250101T000000Z\r\nDTSTART:20250601T100000Z\r\n\
        BEGIN:VALARM\r\nACTION:AUDIO\r\nEND:VALARM\r\nEND:VEVENT\r\n";

    fn file(head: &str, objects: &str) -> String {
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{head}{objects}END:VCALENDAR\r\n")
    }

    fn parse(bytes: &[u8]) -> Result<Feed, NoFeed> {
        Feed::parse(bytes, || false)
    }

    #[test]
    fn a_feed_says_what_it_is_called_and_how_often_it_changes() {
        let head = "X-WR-CALNAME:Holidays\\, all\r\nREFRESH-INTERVAL;VALUE=DURATION:PT12H\r\n";
        let feed = parse(format!("\u{feff}{}\r\n", file(head, EVENT)).as_bytes()).unwrap();
        assert_eq!((feed.name.as_deref(), feed.refresh_s), (Some("Holidays, all"), Some(43_200)));
        assert_eq!((feed.objects.len(), feed.unreadable), (1, 0), "{feed:?}");
        assert!(!feed.objects[0].text.contains("VALARM"), "{feed:?}");
        let older = parse(file("X-PUBLISHED-TTL:P1D\r\n", "").as_bytes()).unwrap();
        assert_eq!((older.refresh_s, older.objects.len()), (Some(86_400), 0));
        assert_eq!(parse(file("X-PUBLISHED-TTL:-P1D\r\n", "").as_bytes()).unwrap().refresh_s, None);
    }

    #[test]
    fn what_is_no_feed_is_told_from_what_has_a_bad_part() {
        assert_eq!(parse(b"<html></html>").unwrap_err(), NoFeed::NotCalendar);
        assert_eq!(parse(b"").unwrap_err(), NoFeed::NotCalendar);
        let whole = file("", EVENT);
        assert_eq!(parse(&whole.as_bytes()[..whole.len() - 20]).unwrap_err(), NoFeed::Truncated);
        let bad = EVENT.replace("UID:one", "UID:two").replace("DTSTART:20250601T100000Z\r\n", "");
        let feed = parse(file("", &format!("{EVENT}{bad}")).as_bytes()).unwrap();
        assert_eq!((feed.objects.len(), feed.unreadable), (1, 1));
        assert!(feed.first_fault.unwrap().contains("DTSTART"));
        let task = "BEGIN:VTODO\r\nUID:one\r\nEND:VTODO\r\n";
        let twice = parse(file("", &format!("{EVENT}{task}")).as_bytes()).unwrap();
        assert_eq!((twice.objects.len(), twice.unreadable), (1, 1));
    }

    #[test]
    fn what_cannot_be_stored_is_in_it_all_the_same() {
        let bad = EVENT.replace("UID:one", "UID:a\\,b").replace("DTSTART:20250601T100000Z\r\n", "");
        let feed = parse(file("", &format!("{EVENT}{bad}")).as_bytes()).unwrap();
        assert_eq!((feed.is_whole, feed.unstored, feed.unreadable), (true, vec!["a,b".to_owned()], 1));
        let broken = parse(file("", &format!("{EVENT}END:VTODO\r\n")).as_bytes()).unwrap();
        assert_eq!((broken.is_whole, broken.objects.len(), broken.unreadable), (false, 1, 1));
    }

    #[test]
    fn zones_that_many_objects_name_have_a_common_limit() {
        let zone = format!("BEGIN:VTIMEZONE\r\nTZID:Z\r\nX-A:{}\r\nEND:VTIMEZONE\r\n", "a".repeat(60_000));
        let event = |at: usize| format!("BEGIN:VEVENT\r\nUID:{at}\r\nX-A;TZID=Z:\r\nEND:VEVENT\r\n");
        let some = |count: usize| file("", &(zone.clone() + &(0..count).map(event).collect::<String>()));
        assert_eq!(parse(some(10).as_bytes()).unwrap().unreadable, 10);
        let small = some(TEXT_BYTES_MAX / 60_000 + 1);
        assert!(small.len() < 200_000);
        assert_eq!(parse(small.as_bytes()).unwrap_err(), NoFeed::TooLarge);
        assert_eq!(Feed::parse(small.as_bytes(), || true).unwrap_err(), NoFeed::TooSlow);
        let line = file("", &format!("X-A:{}\r\n", "a".repeat(11 << 20)));
        assert_eq!(parse(line.as_bytes()).unwrap_err(), NoFeed::LongLine);
    }

    #[test]
    fn a_new_stamp_is_no_change() {
        let (one, later) = (file("", EVENT), file("", &EVENT.replace("20250101T", "20250202T")));
        assert!(say_the_same(one.as_bytes(), later.as_bytes()));
        let moved = file("", &EVENT.replace("20250601T", "20250602T"));
        assert!(!say_the_same(one.as_bytes(), moved.as_bytes()) && !say_the_same(b"x", b"x"));
    }
}
