//! Reads a message while it comes in, in pieces of any length, and gives its [`Summary`].
//!
//! It works by lines. Bytes of headers are kept up to a limit, bytes of bodies never: of them only line ends and lines
//! that begin with `--` matter. Any bytes are a message; what goes beyond a limit is text of the part it stands in.

use super::address_list::{ADDRESSES_MAX, EnvelopeAddress, address_list};
use super::header::{Field, fields};
use super::media_type;
use super::{ContentType, Envelope, Part, PartBody, Summary};

/// Most bytes of one part's header that are looked at; fields beyond are part of the message, but of no summary.
pub const HEADER_BYTES_MAX: usize = 256 * 1024;

/// Deepest nesting of parts.
pub const DEPTH_MAX: usize = 100;

/// Most parts of one message.
pub const PARTS_MAX: usize = 10_000;

/// Longest boundary (RFC 2046 section 5.1.1 allows 70; some write more).
pub const BOUNDARY_BYTES_MAX: usize = 250;

/// How much of a line in a body is kept to compare it with boundaries: dashes, boundary, dashes, and some blanks.
const LINE_START_MAX: usize = BOUNDARY_BYTES_MAX + 64;

/// Reads one message.
pub struct Scanner {
    /// Bytes before the line that is being read.
    offset: u64,
    /// Bytes of the line that is being read, so far.
    line_length: u64,
    /// The start of the line that is being read: all of it in a header, enough for a boundary in a body.
    line: Vec<u8>,
    /// The last byte before the line feed.
    last_byte: u8,
    /// Length of the line end before the present line: what a boundary takes from the part before it.
    last_line_end: u64,
    /// Line ends so far.
    newlines: u64,
    /// Bytes that the lines so far lack to end with CRLF.
    lacking: u64,
    parts: usize,
    stack: Vec<Frame>,
}

/// A part that is still being read.
struct Frame {
    part: Part,
    /// Of its own header, if it is a message.
    envelope: Option<Envelope>,
    /// Of the message inside it.
    inner_envelope: Option<Envelope>,
    /// The header so far; `None` once it ended.
    header: Option<Vec<u8>>,
    /// What ends its children; kept after the closing boundary, which only stops new children.
    boundary: Option<Vec<u8>>,
    is_digest: bool,
    wants_envelope: bool,
    newlines_before_body: u64,
    children: Vec<Part>,
}

impl Default for Scanner {
    fn default() -> Self {
        Scanner::new()
    }
}

impl Scanner {
    /// At the start of a message.
    pub fn new() -> Self {
        let root = Frame::new(0, true);
        Scanner {
            offset: 0,
            line_length: 0,
            line: Vec::new(),
            last_byte: 0,
            last_line_end: 0,
            newlines: 0,
            lacking: 0,
            parts: 1,
            stack: vec![root],
        }
    }

    /// The next bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some(at) = memchr::memchr(b'\n', bytes) else {
                self.take(bytes);
                return;
            };
            let (line, rest) = bytes.split_at(at + 1);
            self.take(line);
            self.line_done(true);
            bytes = rest;
        }
    }

    /// The end of the message.
    pub fn finish(mut self) -> Summary {
        if self.line_length > 0 {
            self.line_done(false);
        }
        // The header of the innermost part may not have ended.
        self.end_header(self.offset);
        while self.stack.len() > 1 {
            self.close(self.offset, self.newlines);
        }
        let size = self.offset;
        let newlines = self.newlines;
        let crlf_size = size + self.lacking;
        let frame = self.stack.pop().unwrap_or_else(|| Frame::new(0, true));
        let (root, envelope) = frame.finish(size, newlines);
        Summary { size, crlf_size, envelope: envelope.unwrap_or_default(), root }
    }

    /// Takes bytes of the present line.
    fn take(&mut self, bytes: &[u8]) {
        let room = if self.in_header() { HEADER_BYTES_MAX } else { LINE_START_MAX };
        let in_header = self.in_header();
        // A body's line matters only if it begins with two dashes.
        let matters = in_header || self.line.len() < 2 || self.line.starts_with(b"--");
        if matters {
            let keep = bytes.len().min(room.saturating_sub(self.line.len()));
            let keep = if in_header || bytes.starts_with(b"-") || !self.line.is_empty() { keep } else { keep.min(2) };
            self.line.extend_from_slice(&bytes[..keep]);
        }
        self.line_length += bytes.len() as u64;
        match bytes {
            [b'\n'] => {}
            [.., before, b'\n'] => self.last_byte = *before,
            [.., last] => self.last_byte = *last,
            [] => {}
        }
    }

    fn in_header(&self) -> bool {
        self.stack.last().is_some_and(|frame| frame.header.is_some())
    }

    /// The present line is complete.
    fn line_done(&mut self, has_end: bool) {
        let start = self.offset;
        let line = std::mem::take(&mut self.line);
        if !(line.starts_with(b"--") && self.boundary_line(&line, start)) && self.in_header() {
            self.header_line(&line, has_end);
        }
        self.offset += self.line_length;
        self.newlines += u64::from(has_end);
        let with_return = self.line_length >= 2 && self.last_byte == b'\r';
        self.last_line_end = u64::from(has_end) + u64::from(has_end && with_return);
        self.lacking += 2 - self.last_line_end;
        self.start_pending_children();
        self.line_length = 0;
        self.line = line;
        self.line.clear();
    }

    fn header_line(&mut self, line: &[u8], has_end: bool) {
        let after = self.offset + self.line_length;
        if has_end && matches!(line, b"\r\n" | b"\n") {
            self.end_header(after);
            if let Some(frame) = self.stack.last_mut() {
                frame.newlines_before_body = self.newlines + 1;
            }
        } else if let Some(header) = self.stack.last_mut().and_then(|frame| frame.header.as_mut()) {
            let room = HEADER_BYTES_MAX.saturating_sub(header.len());
            header.extend_from_slice(&line[..line.len().min(room)]);
        }
    }

    /// The innermost part's header is complete; its body begins there.
    fn end_header(&mut self, body_start: u64) {
        let may_nest = self.stack.len() < DEPTH_MAX;
        let is_digest = self.stack.len() > 1 && self.stack[self.stack.len() - 2].is_digest;
        if let Some(frame) = self.stack.last_mut()
            && let Some(header) = frame.header.take()
        {
            frame.part.body_start = body_start;
            frame.part.end = body_start;
            frame.newlines_before_body = self.newlines;
            frame.read_header(&header, is_digest, may_nest);
        }
    }

    /// A message inside a part begins right where the part's body begins.
    fn start_pending_children(&mut self) {
        let begins = self.stack.last().is_some_and(|frame| {
            frame.header.is_none()
                && frame.children.is_empty()
                && frame.is_message()
                && frame.part.body_start == self.offset
        });
        if begins && self.parts < PARTS_MAX && self.stack.len() < DEPTH_MAX {
            self.parts += 1;
            self.stack.push(Frame::new(self.offset, true));
        }
    }

    /// Whether this line is a boundary of an open part; if so, acts on it.
    fn boundary_line(&mut self, line: &[u8], start: u64) -> bool {
        let found = self.stack.iter().enumerate().rev().find_map(|(depth, frame)| {
            let boundary = frame.boundary.as_ref()?;
            boundary_kind(line, boundary).map(|kind| (depth, kind))
        });
        let Some((depth, kind)) = found else { return false };
        let after = start + self.line_length;
        if kind == BoundaryKind::Next && self.parts >= PARTS_MAX {
            return false;
        }
        self.end_header(start);
        // The line end before the boundary belongs to it, unless it is the one that ends a header: a part's body can't
        // begin behind the end of the part above.
        let body_begins_here = self.stack.last().is_some_and(|frame| frame.part.body_start == start);
        let line_end = if body_begins_here { 0 } else { self.last_line_end };
        let end = start - line_end;
        let newlines = self.newlines - u64::from(line_end > 0);
        while self.stack.len() > depth + 1 {
            self.close(end, newlines);
        }
        match kind {
            BoundaryKind::Next => {
                self.parts += 1;
                self.stack.push(Frame::new(after, false));
            }
            BoundaryKind::Last => {
                if let Some(frame) = self.stack.last_mut() {
                    frame.boundary = None;
                }
            }
        }
        true
    }

    /// The innermost part ends there.
    fn close(&mut self, end: u64, newlines: u64) {
        if let Some(frame) = self.stack.pop() {
            let (part, envelope) = frame.finish(end, newlines);
            if let Some(above) = self.stack.last_mut() {
                above.inner_envelope = envelope;
                above.children.push(part);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum BoundaryKind {
    Next,
    Last,
}

/// `"--" boundary ["--"]` and nothing but blanks after it (RFC 2046 section 5.1.1).
fn boundary_kind(line: &[u8], boundary: &[u8]) -> Option<BoundaryKind> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let blank = |rest: &[u8]| rest.iter().all(u8::is_ascii_whitespace);
    match rest.strip_prefix(b"--") {
        Some(rest) if blank(rest) => Some(BoundaryKind::Last),
        _ => blank(rest).then_some(BoundaryKind::Next),
    }
}

impl Frame {
    fn new(start: u64, wants_envelope: bool) -> Self {
        let part = Part {
            header_start: start,
            body_start: start,
            end: start,
            lines: 0,
            content_type: ContentType::text_plain(),
            id: None,
            description: None,
            encoding: None,
            md5: None,
            disposition: None,
            language: Vec::new(),
            location: None,
            body: PartBody::Single,
        };
        Frame {
            part,
            envelope: None,
            inner_envelope: None,
            header: Some(Vec::new()),
            boundary: None,
            is_digest: false,
            wants_envelope,
            newlines_before_body: 0,
            children: Vec::new(),
        }
    }

    fn is_message(&self) -> bool {
        let content_type = &self.part.content_type;
        (content_type.is("message", "rfc822") || content_type.is("message", "global")) && self.is_plain()
    }

    /// Not encoded, so that what is inside can be read.
    fn is_plain(&self) -> bool {
        let encoding = self.part.encoding.as_deref().unwrap_or(b"7bit");
        [&b"7bit"[..], b"8bit", b"binary"].iter().any(|plain| encoding.eq_ignore_ascii_case(plain))
    }

    fn read_header(&mut self, header: &[u8], is_digest: bool, may_nest: bool) {
        let part = &mut self.part;
        let mut has_type = false;
        for field in fields(header) {
            if field.is(b"content-type") && !has_type {
                if let Some(found) = media_type::content_type(field.value) {
                    part.content_type = found;
                    has_type = true;
                }
            } else if field.is(b"content-transfer-encoding") {
                part.encoding = part.encoding.take().or_else(|| media_type::token(field.value));
            } else if field.is(b"content-disposition") {
                part.disposition = part.disposition.take().or_else(|| media_type::disposition(field.value));
            } else if field.is(b"content-id") {
                keep_first(&mut part.id, &field);
            } else if field.is(b"content-description") {
                keep_first(&mut part.description, &field);
            } else if field.is(b"content-md5") {
                keep_first(&mut part.md5, &field);
            } else if field.is(b"content-location") {
                keep_first(&mut part.location, &field);
            } else if field.is(b"content-language") && part.language.is_empty() {
                part.language = media_type::token_list(field.value);
            }
        }
        if !has_type && is_digest {
            part.content_type = ContentType::message_rfc822();
        }
        if self.wants_envelope {
            self.envelope = Some(envelope(header));
        }
        if may_nest && self.part.content_type.media_type.eq_ignore_ascii_case(b"multipart") {
            self.is_digest = self.part.content_type.subtype.eq_ignore_ascii_case(b"digest");
            let boundary = self.part.content_type.parameter("boundary").map(<[u8]>::trim_ascii_end);
            let usable = boundary.filter(|text| !text.is_empty() && text.len() <= BOUNDARY_BYTES_MAX);
            self.boundary = usable.map(<[u8]>::to_vec);
        }
    }

    /// The complete part, and the envelope of its own header if it is a message.
    fn finish(self, end: u64, newlines: u64) -> (Part, Option<Envelope>) {
        let is_message = self.is_message();
        let mut part = self.part;
        part.end = end.max(part.body_start);
        part.lines = newlines.saturating_sub(self.newlines_before_body);
        let mut children = self.children;
        if part.content_type.media_type.eq_ignore_ascii_case(b"multipart") {
            part.body = PartBody::Multipart(children);
        } else if is_message && let Some(inner) = children.pop() {
            part.body = PartBody::Message(Box::new((self.inner_envelope.unwrap_or_default(), inner)));
        }
        (part, self.envelope)
    }
}

fn keep_first(place: &mut Option<Vec<u8>>, field: &Field<'_>) {
    if place.is_none() {
        *place = Some(field.unfolded());
    }
}

fn envelope(header: &[u8]) -> Envelope {
    let mut envelope = Envelope::default();
    for field in fields(header) {
        let name = field.name.to_ascii_lowercase();
        if let Some(list) = addresses_of(&mut envelope, &name) {
            // A field that comes again goes on with the list, within its limit.
            if list.len() < ADDRESSES_MAX {
                list.extend(address_list(field.value));
            }
            continue;
        }
        let text = match name.as_slice() {
            b"date" => &mut envelope.date,
            b"subject" => &mut envelope.subject,
            b"in-reply-to" => &mut envelope.in_reply_to,
            b"message-id" => &mut envelope.message_id,
            b"references" => &mut envelope.references,
            _ => continue,
        };
        keep_first(text, &field);
    }
    envelope
}

fn addresses_of<'a>(envelope: &'a mut Envelope, name: &[u8]) -> Option<&'a mut Vec<EnvelopeAddress>> {
    match name {
        b"from" => Some(&mut envelope.from),
        b"sender" => Some(&mut envelope.sender),
        b"reply-to" => Some(&mut envelope.reply_to),
        b"to" => Some(&mut envelope.to),
        b"cc" => Some(&mut envelope.cc),
        b"bcc" => Some(&mut envelope.bcc),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(message: &[u8], chunk: usize) -> Summary {
        let mut scanner = Scanner::new();
        message.chunks(chunk.max(1)).for_each(|bytes| scanner.push(bytes));
        scanner.finish()
    }

    /// The tree with each part's body in brackets.
    fn show(message: &[u8], part: &Part) -> String {
        let range = |from: u64, to: u64| message[from as usize..to as usize].escape_ascii().to_string();
        let (kind, sub) = (&part.content_type.media_type, &part.content_type.subtype);
        let name = format!("{}/{}", kind.escape_ascii(), sub.escape_ascii());
        match &part.body {
            PartBody::Single => format!("{name}[{}]{}", range(part.body_start, part.end), part.lines),
            PartBody::Multipart(parts) => {
                format!("{name}({})", parts.iter().map(|part| show(message, part)).collect::<Vec<_>>().join(" "))
            }
            PartBody::Message(inner) => {
                let subject = inner.0.subject.clone().unwrap_or_default();
                format!("{name}<{}|{}>", subject.escape_ascii(), show(message, &inner.1))
            }
        }
    }

    const NESTED: &[u8] = b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n--a\r\n\r\n\
        one\r\n--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nContent-Type: multipart/alternative; \
        boundary=\"aa\"\r\n\r\n--aa\r\nContent-Type: text/html\r\n\r\n<p>\r\ntwo\r\n--aa--\r\nepilogue\r\n--a\r\n\
        Content-Type: image/png\r\n\r\n\r\n--a--\r\nend\r\n";

    #[test]
    fn structure_is_the_same_however_the_message_is_cut() {
        let expected = "multipart/mixed(text/plain[one]0 message/rfc822<inner|multipart/alternative(text/html[<p>\\r\\ntwo]1)> \
             image/png[]0)";
        for chunk in 1..NESTED.len() + 1 {
            let summary = scan(NESTED, chunk);
            assert_eq!(show(NESTED, &summary.root), expected, "in pieces of {chunk}");
            assert_eq!(summary.envelope.subject.as_deref(), Some(&b"outer"[..]));
            assert_eq!(summary.size, NESTED.len() as u64);
        }
    }

    #[test]
    fn any_bytes_are_a_message() {
        for (message, expected) in [
            (&b""[..], "text/plain[]0"),
            (b"\r\n", "text/plain[]0"),
            (b"no header here", "text/plain[]0"),
            (b"A: b\r\n", "text/plain[]0"),
            (b"A: b\r\n\r\nbody", "text/plain[body]0"),
            (b"A: b\n\nbody\nbody\n", "text/plain[body\\nbody\\n]2"),
            (b"Content-Type: multipart/mixed\r\n\r\nx", "multipart/mixed()"),
            (b"Content-Type: multipart/mixed; boundary=b\n\n--b\nx\n--b--", "multipart/mixed(text/plain[]0)"),
            (
                b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: s\r\n\r\nt\r\n--b--\r\n",
                "multipart/digest(message/rfc822<s|text/plain[t]0>)",
            ),
        ] {
            let summary = scan(message, 3);
            assert_eq!(show(message, &summary.root), expected, "{}", message.escape_ascii());
        }
    }

    #[test]
    fn sections_are_numbered_as_in_the_rfc() {
        let summary = scan(NESTED, 7);
        let range = |numbers: &[u32]| summary.section(numbers).map(|part| (part.body_start, part.end));
        let text = |numbers: &[u32]| range(numbers).map(|(a, b)| NESTED[a as usize..b as usize].to_vec());
        assert_eq!(text(&[1]).as_deref(), Some(&b"one"[..]));
        assert_eq!(text(&[2, 1]).as_deref(), Some(&b"<p>\r\ntwo"[..]));
        assert_eq!(text(&[3]).as_deref(), Some(&b""[..]));
        assert_eq!(range(&[4]), None);
        assert_eq!(range(&[1, 1]), None);
    }

    #[test]
    fn deep_nesting_and_many_parts_end_in_text() {
        let mut deep = Vec::new();
        for level in 0..200 {
            deep.extend_from_slice(
                format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n").as_bytes(),
            );
        }
        let many =
            [&b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"[..], &b"--b\r\n\r\nx\r\n".repeat(20_000)].concat();
        for message in [deep, many] {
            let summary = scan(&message, 4096);
            assert!(Summary::decode(&summary.encode()).is_ok_and(|read| read == summary));
        }
    }
}
