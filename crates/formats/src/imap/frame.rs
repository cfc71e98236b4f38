//! Cuts what a client sends into commands: lines with the literals inside them.
//!
//! Sans-I/O: the session feeds bytes and is told what to do next. The literals of an APPEND that belong to its messages
//! are not collected; the session streams them and goes on here behind each. Each byte is looked at once, however the
//! client cuts its packets.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sterna_base::session_limits::SessionLimits;

use super::append::{self, Append, AppendLiteral, AppendNext, AppendStart, Stop};
use super::lexer::Lexer;

/// Most bytes of one command that are passed over before the stream is given up, in times of what its literals may
/// have.
const PASSED_OVER_LITERALS: u64 = 32;

/// Longest literal that is passed over, in the same measure.
const LITERAL_PASSED_OVER_LITERALS: u64 = 16;

/// Longest announcement of a literal that is looked for at the end of a line that is passed over: `~{n+}` and the line
/// end, with room for leading zeros.
const ANNOUNCEMENT_BYTES_MAX: usize = 64;

/// What comes next.
#[derive(Debug, PartialEq)]
pub enum Frame {
    /// More bytes are needed.
    More,
    /// The client waits for leave to send a literal: send a continuation.
    Continue,
    /// A complete command.
    Command(Bytes),
    /// An APPEND or REPLACE up to its first message. If it has a literal, the session takes that many bytes and asks
    /// for the next frame: an [`Frame::AppendNext`].
    Append(AppendStart),
    /// What follows a message, up to the next one or to the end of the command.
    AppendNext(AppendNext),
    /// A command beyond the limits; it was passed over as far as the stream stays in step. Answer its tag with BAD.
    TooLong {
        /// The tag, if it could be read.
        tag: Option<String>,
        /// The stream can't be followed any further: end the session.
        hopeless: bool,
    },
}

/// Follows one client's stream.
#[derive(Debug, Default)]
pub struct Framer {
    /// How many bytes of the input belong to the command that is being collected.
    seen: usize,
    /// Bytes of a literal that are still to come.
    literal_left: u64,
    literals: usize,
    literal_bytes: u64,
    line_bytes: usize,
    /// Where the present line begins.
    line_start: usize,
    /// Bytes of an oversized literal or line to be passed over.
    skip: u64,
    skipping_line: bool,
    /// Bytes of the present command that were passed over.
    passed_over: u64,
    skipped_tag: Option<String>,
    /// The APPEND whose message the session has just taken.
    append: Option<Append>,
    /// Whether mailbox names are UTF-8.
    pub utf8: bool,
    /// What a command may have.
    limits: Arc<SessionLimits>,
}

/// A literal's announcement at the end of a line.
struct Announcement {
    length: u64,
    synchronising: bool,
    binary: bool,
    start: usize,
}

impl Framer {
    /// For a session with these limits.
    pub fn new(limits: Arc<SessionLimits>) -> Self {
        Framer {
            seen: 0,
            literal_left: 0,
            literals: 0,
            literal_bytes: 0,
            line_bytes: 0,
            line_start: 0,
            skip: 0,
            skipping_line: false,
            passed_over: 0,
            skipped_tag: None,
            append: None,
            utf8: false,
            limits,
        }
    }

    fn literal_passed_over_max(&self) -> u64 {
        LITERAL_PASSED_OVER_LITERALS * self.limits.imap_literal_bytes
    }

    fn is_too_long(&self) -> bool {
        self.line_bytes as u64 > self.limits.imap_line_bytes
    }

    /// Looks at what has come; takes complete commands off the input.
    pub fn next(&mut self, input: &mut BytesMut) -> Frame {
        loop {
            if self.skip > 0 || self.skipping_line {
                match self.pass_over(input) {
                    Some(frame) => return frame,
                    None => continue,
                }
            }
            if self.literal_left > 0 {
                let here = (input.len() - self.seen) as u64;
                let taken = here.min(self.literal_left);
                self.seen += taken as usize;
                self.literal_left -= taken;
                if self.literal_left > 0 {
                    return Frame::More;
                }
                self.line_start = self.seen;
            }
            let Some(at) = memchr::memchr(b'\n', &input[self.seen..]) else {
                self.line_bytes += input.len() - self.seen;
                self.seen = input.len();
                if self.is_too_long() {
                    let end = input.len();
                    self.skip_line(input, end);
                    continue;
                }
                return Frame::More;
            };
            let end = self.seen + at + 1;
            self.line_bytes += at + 1;
            if self.is_too_long() {
                self.skip_line(input, end);
                continue;
            }
            self.seen = end;
            let Some(literal) = announcement(&input[self.line_start..end]) else {
                let found = self.append(&input[..end], None);
                let command = input.split_to(end).freeze();
                self.reset();
                return found.map_or(Frame::Command(command), |(frame, _)| frame);
            };
            if let Some(frame) = self.literal(input, &literal) {
                return frame;
            }
        }
    }

    /// Behind a message of an APPEND that is refused: whether the rest of the command has come. All of it is passed
    /// over, further literals too, so that none of it is taken for a command.
    pub fn append_is_over(&mut self, input: &mut BytesMut) -> bool {
        loop {
            if !self.skip_bytes(input) {
                return false;
            }
            let Some(at) = memchr::memchr(b'\n', input) else {
                if input.len() as u64 > self.limits.imap_line_bytes {
                    self.drop_front(input, input.len() - ANNOUNCEMENT_BYTES_MAX);
                }
                return false;
            };
            let rest = input.split_to(at + 1);
            self.passed_over += rest.len() as u64;
            match announcement(&rest) {
                Some(literal) if !literal.synchronising => self.skip = literal.length,
                _ => {
                    self.reset();
                    return true;
                }
            }
        }
    }

    /// An APPEND is refused instead of the continuation that its client waits for: nothing more of it comes.
    pub fn append_refused(&mut self) {
        self.reset();
    }

    /// Whether more was passed over than anybody sends by mistake: end the session.
    pub fn is_hopeless(&self) -> bool {
        self.passed_over > PASSED_OVER_LITERALS * self.limits.imap_literal_bytes
    }

    fn literal(&mut self, input: &mut BytesMut, literal: &Announcement) -> Option<Frame> {
        let text_end = self.line_start + literal.start;
        if let Some((frame, append)) = self.append(&input[..text_end], Some(literal)) {
            let _ = input.split_to(self.seen);
            self.reset();
            self.append = append;
            return Some(frame);
        }
        self.literals += 1;
        self.literal_bytes = self.literal_bytes.saturating_add(literal.length);
        let limits = &self.limits;
        if self.literals as u64 > limits.imap_literals || self.literal_bytes > limits.imap_literal_bytes {
            self.skipped_tag = self.tag(input);
            let _ = input.split_to(self.seen);
            if literal.synchronising {
                // Refused before it is sent: nothing to pass over.
                return Some(self.too_long(false));
            }
            if literal.length > self.literal_passed_over_max() {
                return Some(self.too_long(true));
            }
            self.seen = 0;
            self.skip = literal.length;
            self.skipping_line = true;
            return None;
        }
        self.literal_left = literal.length;
        self.line_start = self.seen;
        literal.synchronising.then_some(Frame::Continue)
    }

    /// The frame of an APPEND or REPLACE up to a literal of its messages or to its end, if that is what this is, and
    /// how it goes on behind the literal.
    fn append(&self, text: &[u8], literal: Option<&Announcement>) -> Option<(Frame, Option<Append>)> {
        let mut lexer = Lexer::within(text, self.utf8, &self.limits);
        let open = literal.is_some();
        let literal = literal.map(|&Announcement { length: size, synchronising, binary, .. }| AppendLiteral {
            size,
            synchronising,
            binary,
        });
        if let Some(before) = &self.append {
            let read = append::next(lexer, before, open);
            if let Ok((_, Stop::Argument)) = read {
                return None;
            }
            let then = read.as_ref().ok().and_then(|(_, stop)| behind(before, *stop));
            let steps = read.map(|(steps, _)| steps).map_err(|error| error.to_string());
            return Some((Frame::AppendNext(AppendNext { steps, literal }), then));
        }
        let (tag, verb) = append::head(&mut lexer)?;
        let read = append::arguments(lexer, verb, open);
        if let Ok((_, Stop::Argument)) = read {
            return None;
        }
        let before = Append { tag: tag.clone(), verb, place: append::Place::Message };
        let then = read.as_ref().ok().and_then(|(_, stop)| behind(&before, *stop));
        let arguments = read.map(|(arguments, _)| arguments).map_err(|error| error.to_string());
        Some((Frame::Append(AppendStart { tag, verb, arguments, literal }), then))
    }

    /// The tag of the command that is being collected.
    fn tag(&self, input: &[u8]) -> Option<String> {
        match &self.append {
            Some(append) => Some(append.tag.clone()),
            None => super::tag_of(input).map(str::to_owned),
        }
    }

    /// Begins to pass over a command whose text is too long; `end` is how much of the input belongs to it. The tail
    /// stays, because it may be the announcement of a literal.
    fn skip_line(&mut self, input: &mut BytesMut, end: usize) {
        self.skipped_tag = self.tag(input);
        let tail = self.line_start.max(end.saturating_sub(ANNOUNCEMENT_BYTES_MAX));
        let _ = input.split_to(tail);
        self.seen = 0;
        self.skipping_line = true;
    }

    /// Passes over the bytes of a literal; whether all of them have come.
    fn skip_bytes(&mut self, input: &mut BytesMut) -> bool {
        let taken = self.skip.min(input.len() as u64);
        self.drop_front(input, taken as usize);
        self.skip -= taken;
        self.skip == 0
    }

    fn drop_front(&mut self, input: &mut BytesMut, length: usize) {
        let _ = input.split_to(length);
        self.passed_over = self.passed_over.saturating_add(length as u64);
    }

    /// Passes over the rest of a command beyond the limits.
    fn pass_over(&mut self, input: &mut BytesMut) -> Option<Frame> {
        let literal_is_over = self.skip_bytes(input);
        if self.is_hopeless() {
            return Some(self.too_long(true));
        }
        if !literal_is_over {
            return Some(Frame::More);
        }
        let Some(at) = memchr::memchr(b'\n', input) else {
            self.drop_front(input, input.len().saturating_sub(ANNOUNCEMENT_BYTES_MAX));
            return Some(Frame::More);
        };
        let line = input.split_to(at + 1);
        self.passed_over += line.len() as u64;
        match announcement(&line) {
            Some(literal) if !literal.synchronising && literal.length <= self.literal_passed_over_max() => {
                self.skip = literal.length;
                None
            }
            Some(literal) => Some(self.too_long(!literal.synchronising)),
            None => Some(self.too_long(false)),
        }
    }

    fn too_long(&mut self, hopeless: bool) -> Frame {
        let tag = self.skipped_tag.take();
        self.reset();
        Frame::TooLong { tag, hopeless }
    }

    fn reset(&mut self) {
        *self = Framer { utf8: self.utf8, ..Framer::new(self.limits.clone()) };
    }
}

/// How an APPEND goes on behind the literal at which its text stopped.
fn behind(append: &Append, stop: Stop) -> Option<Append> {
    match stop {
        Stop::Body(place) => Some(Append { place, ..append.clone() }),
        Stop::Argument | Stop::End => None,
    }
}

/// `{n}`, `{n+}` or `~{n}` before the line end.
fn announcement(line: &[u8]) -> Option<Announcement> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', line)?;
    let digits = &line[open + 1..];
    let (digits, synchronising) = digits.strip_suffix(b"+").map_or((digits, true), |digits| (digits, false));
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // More than 64 bits is still an announcement, of more than anybody takes.
    let digit = |length: u64, digit: &u8| length.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    let length = digits.iter().fold(0, digit);
    let binary = open > 0 && line[open - 1] == b'~';
    Some(Announcement { length, synchronising, binary, start: open - usize::from(binary) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE_BYTES_MAX: usize = SessionLimits::DEFAULT.imap_line_bytes as usize;
    const PASSED_OVER_BYTES_MAX: u64 = PASSED_OVER_LITERALS * SessionLimits::DEFAULT.imap_literal_bytes;

    /// All frames of a stream that comes in pieces.
    fn frames(stream: &[u8], piece: usize) -> Vec<String> {
        let (mut framer, mut input, mut found) = (Framer::default(), BytesMut::new(), Vec::new());
        for bytes in stream.chunks(piece) {
            input.extend_from_slice(bytes);
            loop {
                match framer.next(&mut input) {
                    Frame::More => break,
                    Frame::Continue => {} // asked once for each literal, wherever the packets end
                    Frame::Command(command) => found.push(command.escape_ascii().to_string()),
                    Frame::Append(append) => found.push(format!("{append:?}")),
                    Frame::AppendNext(next) => found.push(format!("{next:?}")),
                    Frame::TooLong { tag, hopeless } => found.push(format!("too long {tag:?} {hopeless}")),
                }
            }
        }
        found
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let line = vec![b'x'; PASSED_OVER_BYTES_MAX as usize + 2 * LINE_BYTES_MAX];
        assert_eq!(frames(&line, 8192)[0], "too long None true");
        let literals = b"a X {300000+}\r\n".to_vec();
        let next = [&b"z".repeat(300_000)[..], b" {300000+}\r\n"].concat();
        let stream = [literals, next.repeat(PASSED_OVER_BYTES_MAX as usize / 300_000 + 1)].concat();
        assert_eq!(frames(&stream, 8192)[0], "too long Some(\"a\") true");

        let (mut framer, mut input) = (Framer::default(), BytesMut::new());
        for bytes in stream[15..].chunks(8192) {
            input.extend_from_slice(bytes);
            assert!(!framer.append_is_over(&mut input));
        }
        assert!(framer.is_hopeless() && input.len() <= LINE_BYTES_MAX);
    }

    #[test]
    fn commands_are_cut_the_same_however_they_arrive() {
        let stream = b"a NOOP\r\nb LOGIN {3}\r\nana {2+}\r\npw\r\nc SELECT {5}\r\na\r\nb{\r\nd X {x}\r\n";
        for piece in 1..stream.len() {
            let expected = [
                "a NOOP\\r\\n",
                "b LOGIN {3}\\r\\nana {2+}\\r\\npw\\r\\n",
                "c SELECT {5}\\r\\na\\r\\nb{\\r\\n",
                "d X {x}\\r\\n",
            ];
            assert_eq!(frames(stream, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_too_long_is_passed_over_and_the_stream_stays_in_step() {
        let long_line = [b"a LOGIN ", &b"x".repeat(LINE_BYTES_MAX)[..], b"\r\nb NOOP\r\n"].concat();
        let long_literal =
            [b"a LOGIN {300000+}\r\n", &b"\n".repeat(300_000)[..], b" {2+}\r\nab\r\nb NOOP\r\n"].concat();
        let refused = b"a LOGIN {300000}\r\nb NOOP\r\n".to_vec();
        for stream in [long_line, long_literal, refused] {
            for piece in [1000, 70_000, 1_000_000] {
                assert_eq!(frames(&stream, piece), ["too long Some(\"a\") false", "b NOOP\\r\\n"]);
            }
        }
        assert_eq!(frames(b"a LOGIN {999999999999+}\r\n", 100), ["too long Some(\"a\") true"]);
    }
}
