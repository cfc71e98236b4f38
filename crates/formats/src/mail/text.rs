//! Decoded text, for searching.

use jiff::civil;
use jiff::tz::Offset;
use sterna_base::Timestamp;

use super::header::{fields, unfold};
use super::html::{self, Titles};
use super::{ContentType, Part, PartBody, Scanner, charset, encoded_word, transfer};

/// Deepest nesting of encoded messages in messages that is looked into. (Those that are not encoded are parts like any
/// other.)
const ENCODED_DEPTH_MAX: usize = 3;

/// The text of a header field's value, with the encoded words of RFC 2047 decoded.
pub fn header_text(value: &[u8]) -> String {
    encoded_word::decode(value)
}

/// The texts in a message's body, decoded: every text part, of HTML what a reader sees ([`html`]), and header fields
/// and texts of messages inside. Blocking and in proportion to the message.
pub fn body_texts(message: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    texts_inside(message, ENCODED_DEPTH_MAX, &mut texts);
    texts
}

fn texts_inside(message: &[u8], depth: usize, texts: &mut Vec<String>) {
    let mut scanner = Scanner::new();
    scanner.push(message);
    collect(message, &scanner.finish().root, depth, texts);
}

/// Nesting is limited by the scanner (its `DEPTH_MAX`).
fn collect(message: &[u8], part: &Part, depth: usize, texts: &mut Vec<String>) {
    match &part.body {
        PartBody::Multipart(parts) => parts.iter().for_each(|part| collect(message, part, depth, texts)),
        PartBody::Message(inner) => {
            header_texts(range(message, inner.1.header_start, inner.1.body_start), texts);
            collect(message, &inner.1, depth, texts);
        }
        PartBody::Single => {
            let kind = &part.content_type;
            let body = range(message, part.body_start, part.end);
            let decoded = transfer::decode(part.encoding.as_deref(), body);
            if kind.media_type.eq_ignore_ascii_case(b"text") {
                let text = characters(kind, &decoded);
                texts.push(if kind.is("text", "html") { html::text(&text, Titles::Kept) } else { text });
            } else if kind.is("message", "rfc822") || kind.is("message", "global") {
                // Encoded, though RFC 2046 section 5.2.1 forbids it.
                if depth > 0 {
                    texts_inside(&decoded, depth - 1, texts);
                }
            }
        }
    }
}

/// The characters of a decoded text part, HTML or not, in the charset that its header says, or else it says itself.
pub fn characters(kind: &ContentType, decoded: &[u8]) -> String {
    let declared = || kind.is("text", "html").then(|| html::declared_charset(decoded)).flatten();
    charset::decode(kind.parameter("charset").or_else(declared), decoded)
}

fn header_texts(header: &[u8], texts: &mut Vec<String>) {
    texts.extend(fields(header).map(|field| header_text(field.value)));
}

/// A range that the scanner found in this message.
fn range(message: &[u8], from: u64, to: u64) -> &[u8] {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    message.get(at(from)..at(to)).unwrap_or_default()
}

/// Month names of RFC 5322 section 3.3.
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// The date of a Date field (RFC 5322 section 3.3, obsolete forms included), as the day that it names where it was
/// written: year, month, day.
pub fn sent_day(value: &[u8]) -> Option<(u16, u8, u8)> {
    let text = String::from_utf8(unfold(value)).ok()?;
    let words: Vec<&str> = text.split([' ', '\t', ',', '-']).filter(|word| !word.is_empty()).take(4).collect();
    // The weekday may be missing.
    let [day, month, year] = *words.windows(3).find(|words| words[0].bytes().all(|b| b.is_ascii_digit()))? else {
        return None;
    };
    let month = MONTHS.iter().position(|name| month.get(..3).is_some_and(|m| m.eq_ignore_ascii_case(name)))?;
    let (day, month) = (day.parse::<u8>().ok()?, u8::try_from(month + 1).ok()?);
    let year = match (year.len(), year.parse::<u16>().ok()?) {
        // RFC 5322 section 4.3.
        (2, year @ 0..50) => 2000 + year,
        (2 | 3, year) => 1900 + year,
        (_, year) => year,
    };
    (1..=31).contains(&day).then_some((year, month, day))
}

/// The moment that a Date field names (RFC 5256 section 2.2): without a valid zone it is taken for UTC, without a valid
/// time for midnight; `None` without a day.
pub fn sent_time(value: &[u8]) -> Option<Timestamp> {
    let (year, month, day) = sent_day(value)?;
    let date = civil::Date::new(i16::try_from(year).ok()?, month.cast_signed(), day.cast_signed()).ok()?;
    let text = String::from_utf8(unfold(value)).ok()?;
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty()).skip_while(|word| !word.contains(':'));
    let time = words.next().and_then(time_of_day).unwrap_or_default();
    let offset_seconds = words.next().and_then(zone_seconds).unwrap_or_default();
    let moment = Offset::UTC.to_timestamp(date.to_datetime(time)).ok()?;
    Some(Timestamp::from_seconds(moment.as_second() - i64::from(offset_seconds)))
}

/// `hh:mm` or `hh:mm:ss`; a leap second is the one before it.
fn time_of_day(word: &str) -> Option<civil::Time> {
    let mut parts = word.splitn(3, ':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    civil::Time::new(hour, minute, if second == 60 { 59 } else { second }, 0).ok()
}

/// `zone` with the obsolete names of RFC 5322 section 4.3; those that nobody knows are UTC.
fn zone_seconds(word: &str) -> Option<i32> {
    let hours = match word.to_ascii_uppercase().as_str() {
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => {
            let sign = match word.as_bytes().first()? {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            let digits = word.get(1..5).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
            let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
            return (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60));
        }
    };
    Some(hours * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_decoded() {
        let message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
            Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nK=F6ln\r\n\
            --b\r\nContent-Type: text/html; charset=iso-2022-jp\r\n\r\n\x1b$BF|K\\\x1b(B\r\n\
            --b\r\nContent-Type: text/csv\r\nContent-Transfer-Encoding: BASE64\r\n\r\nR3LDvMOf\r\nZQ==\r\n\
            --b\r\nContent-Type: text/HTML\r\n\r\n<meta charset=koi8-r><p id=no>\xcb\xd2&auml;<b>\xc1</b><p>\xde\r\n\
            --b\r\nContent-Type: image/png\r\n\r\nno text\r\n\
            --b\r\nContent-Type: message/rfc822\r\n\r\nSubject: =?utf-8?q?=C3=A9t=C3=A9?=\r\n\r\ninside\r\n\
            --b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogcwoKaGlkZGVu\r\n\
            --b--\r\n";
        assert_eq!(body_texts(message), ["Köln", "日本", "Grüße", "крäа\nч", "été", "inside", "hidden"]);
    }

    #[test]
    fn days_are_read_as_people_write_them() {
        for (value, expected) in [
            ("Mon, 16 Nov 2026 23:30:00 -0500", Some((2026, 11, 16))),
            ("16 nov 2026 23:30 EST", Some((2026, 11, 16))),
            ("Mon,  6 November 26\r\n 23:30:00 GMT (a comment)", Some((2026, 11, 6))),
            ("Fri, 21-Nov-97 09:55:06 -0600", Some((1997, 11, 21))),
            ("1 Jan 102 00:00:00 +0000", Some((2002, 1, 1))),
            ("32 Jan 2026", None),
            ("0 Jan 2026", None),
            ("1 Foo 2026", None),
            ("no date", None),
            ("16", None),
            ("", None),
        ] {
            assert_eq!(sent_day(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn moments_are_read_with_their_zones() {
        for (value, expected) in [
            ("Mon, 16 Nov 2026 23:30:00 -0500", "2026-11-17T04:30:00Z"),
            ("16 nov 2026 23:30 EST", "2026-11-17T04:30:00Z"),
            ("16 Nov 2026 23:30:15 +0530 (IST)", "2026-11-16T18:00:15Z"),
            ("16 Nov 2026 23:30:60 GMT", "2026-11-16T23:30:59Z"),
            ("16 Nov 2026 23:30:00 NOWHERE", "2026-11-16T23:30:00Z"),
            ("16 Nov 2026 23:30:00 +9999", "2026-11-16T23:30:00Z"),
            ("16 Nov 2026 25:30:00 +0100", "2026-11-15T23:00:00Z"),
            ("16 Nov 2026", "2026-11-16T00:00:00Z"),
        ] {
            let found = sent_time(value.as_bytes()).map(|time| jiff::Timestamp::from_millisecond(time.0).unwrap());
            assert_eq!(found, Some(expected.parse().unwrap()), "{value}");
        }
        assert_eq!(sent_time(b"31 Feb 2026 10:00:00 +0000"), None);
        assert_eq!(sent_time(b"yesterday at 10:00"), None);
    }
}
