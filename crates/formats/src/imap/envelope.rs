//! ENVELOPE, BODY and BODYSTRUCTURE from a summary (RFC 9051 section 7.5.2).

use bytes::BufMut;

use super::write::{list, nstring, number, string};
use crate::mail::{ContentType, Disposition, Envelope, EnvelopeAddress, Parameter, Part, PartBody};

/// `envelope`
pub fn envelope(envelope: &Envelope, utf8: bool, out: &mut Vec<u8>) {
    out.put_u8(b'(');
    nstring(envelope.date.as_deref(), utf8, out);
    out.put_u8(b' ');
    nstring(envelope.subject.as_deref(), utf8, out);
    let or_from = |list| if <[EnvelopeAddress]>::is_empty(list) { envelope.from.as_slice() } else { list };
    let (sender, reply_to) = (or_from(&envelope.sender), or_from(&envelope.reply_to));
    let lists: [&[EnvelopeAddress]; 6] = [&envelope.from, sender, reply_to, &envelope.to, &envelope.cc, &envelope.bcc];
    for field in lists {
        out.put_u8(b' ');
        addresses(field, utf8, out);
    }
    out.put_u8(b' ');
    nstring(envelope.in_reply_to.as_deref(), utf8, out);
    out.put_u8(b' ');
    nstring(envelope.message_id.as_deref(), utf8, out);
    out.put_u8(b')');
}

fn addresses(addresses: &[EnvelopeAddress], utf8: bool, out: &mut Vec<u8>) {
    if addresses.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.put_u8(b'(');
    for address in addresses {
        let parts = [&address.name, &address.adl, &address.mailbox, &address.host];
        list(parts, out, |part, out| nstring(part.as_deref(), utf8, out));
    }
    out.put_u8(b')');
}

/// `body`: with `extended`, BODYSTRUCTURE.
pub fn body(part: &Part, extended: bool, utf8: bool, out: &mut Vec<u8>) {
    out.put_u8(b'(');
    match &part.body {
        PartBody::Multipart(parts) => multipart(part, parts, extended, utf8, out),
        _ => single(part, extended, utf8, out),
    }
    out.put_u8(b')');
}

fn multipart(part: &Part, parts: &[Part], extended: bool, utf8: bool, out: &mut Vec<u8>) {
    for part in parts {
        body(part, extended, utf8, out);
    }
    if parts.is_empty() {
        // The grammar asks for one part; RFC 2046 section 5.1.1 takes an empty one as plain text.
        out.extend_from_slice(b"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0");
        out.extend_from_slice(if extended { b" NIL NIL NIL NIL)" } else { b")" });
    }
    out.put_u8(b' ');
    string(&part.content_type.subtype, utf8, out);
    if extended {
        out.put_u8(b' ');
        parameters(&part.content_type.parameters, utf8, out);
        extension(part, utf8, out);
    }
}

fn single(part: &Part, extended: bool, utf8: bool, out: &mut Vec<u8>) {
    let ContentType { media_type, subtype, parameters: given } = &part.content_type;
    // A message that can't be looked into (encoded, too deep) has no envelope to show: it is bytes to a client.
    let opaque = part.content_type.is("message", "rfc822") && !matches!(part.body, PartBody::Message(_));
    let (media_type, subtype): (&[u8], &[u8]) =
        if opaque { (b"application", b"octet-stream") } else { (media_type, subtype) };
    string(media_type, utf8, out);
    out.put_u8(b' ');
    string(subtype, utf8, out);
    out.put_u8(b' ');
    parameters(given, utf8, out);
    for field in [part.id.as_deref(), part.description.as_deref()] {
        out.put_u8(b' ');
        nstring(field, utf8, out);
    }
    out.put_u8(b' ');
    string(part.encoding.as_deref().unwrap_or(b"7bit"), utf8, out);
    out.put_u8(b' ');
    number(part.body_size(), out);
    if let PartBody::Message(inner) = &part.body {
        out.put_u8(b' ');
        envelope(&inner.0, utf8, out);
        out.put_u8(b' ');
        body(&inner.1, extended, utf8, out);
    }
    if matches!(part.body, PartBody::Message(_)) || media_type.eq_ignore_ascii_case(b"text") {
        out.put_u8(b' ');
        number(part.lines, out);
    }
    if extended {
        out.put_u8(b' ');
        nstring(part.md5.as_deref(), utf8, out);
        extension(part, utf8, out);
    }
}

/// Disposition, language and location.
fn extension(part: &Part, utf8: bool, out: &mut Vec<u8>) {
    out.put_u8(b' ');
    match &part.disposition {
        None => out.extend_from_slice(b"NIL"),
        Some(Disposition { kind, parameters: given }) => {
            out.put_u8(b'(');
            string(kind, utf8, out);
            out.put_u8(b' ');
            parameters(given, utf8, out);
            out.put_u8(b')');
        }
    }
    out.put_u8(b' ');
    match part.language.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        languages => list(languages, out, |language, out| string(language, utf8, out)),
    }
    out.put_u8(b' ');
    nstring(part.location.as_deref(), utf8, out);
}

fn parameters(parameters: &[Parameter], utf8: bool, out: &mut Vec<u8>) {
    if parameters.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    list(parameters, out, |parameter, out| {
        string(&parameter.name, utf8, out);
        out.put_u8(b' ');
        string(&parameter.value, utf8, out);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Scanner;

    fn show(message: &[u8]) -> (String, String) {
        let mut scanner = Scanner::new();
        scanner.push(message);
        let summary = scanner.finish();
        let (mut one, mut two) = (Vec::new(), Vec::new());
        envelope(&summary.envelope, false, &mut one);
        body(&summary.root, true, false, &mut two);
        (String::from_utf8_lossy(&one).into_owned(), String::from_utf8_lossy(&two).into_owned())
    }

    #[test]
    fn a_message_with_parts() {
        let (envelope, structure) = show(
            b"From: Ana <ana@x.test>\r\nSubject: hi\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
              \r\n--b\r\n\r\none\r\n--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=a.png\r\n\
              Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n",
        );
        assert_eq!(
            envelope,
            "(NIL \"hi\" ((\"Ana\" NIL \"ana\" \"x.test\")) ((\"Ana\" NIL \"ana\" \"x.test\")) \
             ((\"Ana\" NIL \"ana\" \"x.test\")) NIL NIL NIL NIL NIL)"
        );
        assert_eq!(
            structure,
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0 NIL NIL NIL NIL)\
             (\"image\" \"png\" NIL NIL NIL \"base64\" 4 NIL (\"attachment\" (\"filename\" \"a.png\")) NIL NIL) \
             \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)"
        );
    }

    #[test]
    fn a_multipart_without_parts_shows_an_empty_one() {
        let (_, structure) = show(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n");
        assert_eq!(
            structure,
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) \
             \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)"
        );
    }

    #[test]
    fn nothing_is_still_a_message() {
        let (envelope, structure) = show(b"");
        assert_eq!(envelope, "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
        assert_eq!(structure, "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL)");
    }
}
