//! The beginning of a message's text, for a list of messages (PREVIEW, RFC 8970).

use std::ops::Range;

use super::{Part, PartBody, charset, transfer};

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
    let decoded = match part.encoding.as_deref().map(<[u8]>::to_ascii_lowercase).as_deref() {
        Some(b"base64") => transfer::base64(bytes),
        Some(b"quoted-printable") => transfer::quoted_printable(bytes),
        _ => bytes.to_vec(),
    };
    let text = charset::decode(part.content_type.parameter("charset"), &decoded);
    let is_html = part.content_type.subtype.eq_ignore_ascii_case(b"html");
    let text = if is_html { html_text(&text) } else { own_lines(&text) };
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

/// The text of HTML: tags are left out, with all that stands in those which hold no text. No parser: nothing is shown
/// as HTML, and what is no HTML costs no more than its length.
fn html_text(html: &str) -> String {
    let (mut text, mut rest) = (String::new(), html);
    while let Some(at) = rest.find('<') {
        text.push_str(&entities(&rest[..at]));
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let is_end = rest[1..].starts_with('/');
        let name = rest[1..].trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric);
        let name: String = name.collect();
        let end = rest.find('>').map_or(rest.len(), |end| end + 1);
        rest = &rest[end..];
        if !is_end && ["script", "style", "head", "title"].iter().any(|hidden| name.eq_ignore_ascii_case(hidden)) {
            rest = after_end_tag(rest, &name);
        }
        if !["a", "b", "i", "u", "em", "strong", "span", "font"].iter().any(|inline| name.eq_ignore_ascii_case(inline))
        {
            text.push(' ');
        }
    }
    text.push_str(&entities(rest));
    text
}

fn after_end_tag<'a>(html: &'a str, name: &str) -> &'a str {
    let bytes = html.as_bytes();
    let is_end = |at: &usize| {
        let named = bytes.get(at + 2..at + 2 + name.len());
        bytes[*at..].starts_with(b"</") && named.is_some_and(|named| named.eq_ignore_ascii_case(name.as_bytes()))
    };
    let Some(at) = memchr::memchr_iter(b'<', bytes).find(is_end) else { return "" };
    html[at..].find('>').map_or("", |end| &html[at + end + 1..])
}

/// Character references: by number, and those by name that stand in ordinary mail.
fn entities(text: &str) -> String {
    let (mut decoded, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name = rest.split_once(';').map(|(name, _)| name).filter(|name| name.len() <= 8);
        match name.and_then(entity) {
            Some(letter) => {
                decoded.push(letter);
                rest = &rest[name.map_or(0, str::len) + 1..];
            }
            None => decoded.push('&'),
        }
    }
    decoded.push_str(rest);
    decoded
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let hex = number.strip_prefix(['x', 'X']);
        let code = hex.map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())?;
        return char::from_u32(code);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "zwnj" | "zwj" | "shy" => '\u{200b}',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        "egrave" => 'è',
        "agrave" => 'à',
        "ccedil" => 'ç',
        "euro" => '€',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        "rsquo" => '’',
        _ => return None,
    })
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
