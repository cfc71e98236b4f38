//! Decoded text, for searching: the only place that knows mail-parser.

use mail_parser::parsers::MessageStream;
use mail_parser::{HeaderValue, MessageParser, PartType};

/// The text of a header field's value, with the encoded words of RFC 2047 decoded.
pub fn header_text(value: &[u8]) -> String {
    let mut line = Vec::with_capacity(value.len() + 3);
    line.push(b' ');
    line.extend_from_slice(value);
    line.extend_from_slice(b"\r\n");
    match MessageStream::new(&line).parse_unstructured() {
        HeaderValue::Text(text) => text.into_owned(),
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}

/// The texts in a message's body: every text part, and those of messages inside, decoded. Blocking and in proportion to
/// the message.
pub fn body_texts(message: &[u8]) -> Vec<String> {
    let Some(parsed) = MessageParser::default().parse(message) else { return Vec::new() };
    let mut texts = Vec::new();
    collect(&parsed, &mut texts, 0);
    texts
}

/// Decodes quoted-printable (RFC 2045 section 6.7); what is no encoding stays as it is.
pub fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            decoded.push(byte);
            continue;
        }
        let hex = |at: usize| rest.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        if let (Some(high), Some(low)) = (hex(0), hex(1)) {
            decoded.push((high * 16 + low) as u8);
            rest = &rest[2..];
        } else if let Some(after) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) {
            rest = after;
        } else {
            decoded.push(byte);
        }
    }
    decoded
}

/// Deepest nesting of messages in messages that is looked into.
const DEPTH_MAX: usize = 20;

fn collect(message: &mail_parser::Message<'_>, texts: &mut Vec<String>, depth: usize) {
    for part in &message.parts {
        match &part.body {
            PartType::Text(text) | PartType::Html(text) => texts.push(text.to_string()),
            PartType::Message(inner) if depth < DEPTH_MAX => collect(inner, texts, depth + 1),
            _ => {}
        }
    }
}

/// The date of a Date field (RFC 5322 section 3.3, obsolete forms included), as the day that it names where it was
/// written.
pub fn sent_day(value: &[u8]) -> Option<(u16, u8, u8)> {
    let mut line = value.to_vec();
    line.extend_from_slice(b"\r\n");
    let date = MessageStream::new(&line).parse_date().into_datetime()?;
    Some((date.year, date.month, date.day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_bodies_are_decoded() {
        assert_eq!(
            header_text(b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= aus =?iso-8859-1?b?S/ZsbiA=?="),
            "Gr\u{fc}\u{df}e aus K\u{f6}ln "
        );
        let message =
            b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\
            \r\nK=F6ln\r\n";
        assert!(body_texts(message).iter().any(|text| text.contains("K\u{f6}ln")));
        assert_eq!(sent_day(b"Mon, 16 Nov 2026 23:30:00 -0500"), Some((2026, 11, 16)));
        assert_eq!(sent_day(b"no date"), None);
    }
}
