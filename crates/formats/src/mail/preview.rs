//! The beginning of a message's text, for a list of messages (PREVIEW, RFC 8970).

use std::ops::Range;

use super::html::{self, Titles};
use super::text::characters;
use super::{Part, PartBody, transfer};

/// Longest preview: RFC 8970 section 3.1 recommends up to 200 characters.
const CHARACTERS_MAX: usize = 200;

/// How much of a part is looked at, still encoded. What comes first in HTML is often long and no text.
const READ_BYTES_MAX: u64 = 48 * 1024;

/// The part whose text a preview shows: the first plain text, or else the first HTML, that is no attachment.
pub fn preview_part(root: &Part) -> Option<&Part> {
    find(root, "plain").or_else(|| find(root, "html"))
}

fn find<'a>(part: &'a Part, subtype: &str) -> Option<&'a Part> {
    let is_attached = part.disposition.as_ref().is_some_and(|found| found.kind.eq_ignore_ascii_case(b"attachment"));
    match &part.body {
        PartBody::Multipart(parts) => parts.iter().find_map(|part| find(part, subtype)),
        PartBody::Single if part.content_type.is("text", subtype) && !is_attached => Some(part),
        // A message inside is somebody else's words.
        _ => None,
    }
}

/// The bytes of the part that [`preview`] wants.
pub fn preview_range(part: &Part) -> Range<u64> {
    part.body_start..part.end.min(part.body_start.saturating_add(READ_BYTES_MAX))
}

/// The preview of the part whose beginning this is: text on one line, without quoted lines; empty when there is none.
pub fn preview(part: &Part, bytes: &[u8]) -> String {
    let kind = &part.content_type;
    let text = characters(kind, &transfer::decode(part.encoding.as_deref(), bytes));
    let text = if kind.is("text", "html") { html::text(&text, Titles::LeftOut) } else { own_lines(&text) };
    let text: String = text.chars().filter(|letter| !is_invisible(*letter)).collect();
    let mut shown = String::new();
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let mut left = CHARACTERS_MAX;
    for word in words.filter(|word| !word.is_empty()) {
        if !shown.is_empty() {
            shown.push(' ');
            left = left.saturating_sub(1);
        }
        shown.extend(word.chars().take(left));
        left = left.saturating_sub(word.chars().count());
        if left == 0 {
            break;
        }
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// What newsletters pad their beginning with, and what could not be decoded.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fffd}')
}

/// What the writer wrote: up to the signature, without what is quoted.
fn own_lines(text: &str) -> String {
    let lines = text.lines().take_while(|line| *line != "-- ").filter(|line| !line.starts_with('>'));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Scanner;

    fn of(message: &str) -> Option<String> {
        let mut scanner = Scanner::new();
        scanner.push(message.as_bytes());
        let summary = scanner.finish();
        let part = preview_part(&summary.root)?;
        let range = preview_range(part);
        Some(preview(part, &message.as_bytes()[range.start as usize..range.end as usize]))
    }

    #[test]
    fn the_writers_own_words_are_shown() {
        for (message, expected) in [
            ("\r\nHello\r\n\r\n  there \t you\r\n", Some("Hello there you")),
            ("\r\n> quoted\r\nanswer\r\n-- \r\nAna", Some("answer")),
            ("\r\n", Some("")),
            ("Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\u{fc}\u{df}e", Some("GrÃ¼Ã\u{178}e")),
            (
                "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
                 <html><head><title>no</title><style>p { }</style></head><!-- no --><p>One&nbsp;<b>t</b>wo &lt;3 &amp; \
                 &#228;=C3=A9</p><script>no()</script><br>three",
                Some("One two <3 & äé three"),
            ),
            ("Content-Type: text/html\r\n\r\n<style>never closed", Some("")),
            ("Content-Type: image/png\r\n\r\nno", None),
            (
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>html\r\n\
                 --b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nattached\r\n\
                 --b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\ncGxhaW4=\r\n--b--\r\n",
                Some("plain"),
            ),
        ] {
            assert_eq!(of(message).as_deref(), expected, "{message}");
        }
        let long = of(&format!("\r\n{}", "word ".repeat(100))).unwrap();
        assert!(long.chars().count() <= CHARACTERS_MAX && long.ends_with("word"), "{long}");
        assert_eq!(of(&format!("\r\n{}", "é".repeat(1000))).unwrap().chars().count(), CHARACTERS_MAX);
    }
}
