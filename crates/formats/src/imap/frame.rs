//! Cuts what a client sends into commands: lines with the literals inside them.
//!
//! Sans-I/O: the session feeds bytes and is told what to do next. The literal of an APPEND is not collected; the
//! session streams it and then goes on here. Each byte is looked at once, however the client cuts its packets.

use bytes::{Bytes, BytesMut};
use sterna_base::Timestamp;

use super::date::parse_date_time;
use super::lexer::Lexer;

/// Most bytes of one command without the literals in it.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// Most bytes of all literals of one command, except the message of an APPEND.
pub const LITERAL_BYTES_MAX: u64 = 256 * 1024;

/// Most literals of one command.
pub const LITERALS_MAX: usize = 256;

/// Most bytes of one command that are passed over before the stream is given up.
pub const PASSED_OVER_BYTES_MAX: u64 = 32 * LITERAL_BYTES_MAX;

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
    /// An APPEND up to its message; that many bytes of message follow, which the session takes, then
    /// [`Framer::append_end`] tells when the line is complete.
    Append(AppendStart),
    /// A command beyond the limits; it was passed over as far as the stream stays in step. Answer its tag with BAD.
    TooLong {
        /// The tag, if it could be read.
        tag: Option<String>,
        /// The stream can't be followed any further: end the session.
        hopeless: bool,
    },
}

/// The beginning of an APPEND.
#[derive(Clone, Debug, PartialEq)]
pub struct AppendStart {
    /// Its tag.
    pub tag: String,
    /// The mailbox; or what was expected instead.
    pub arguments: Result<AppendArguments, String>,
    /// Length of the message.
    pub size: u64,
    /// Whether the client waits for a continuation before it sends.
    pub synchronising: bool,
    /// Whether it is a literal8, which may contain NUL (RFC 9051 section 4.3).
    pub binary: bool,
}

/// What an APPEND says before its message.
#[derive(Clone, Debug, PartialEq)]
pub struct AppendArguments {
    /// Where.
    pub mailbox: String,
    /// Flags as written.
    pub flags: Vec<String>,
    /// The internal date.
    pub date: Option<Timestamp>,
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
    /// More than the line's end came after the message of an APPEND.
    append_failed: bool,
    /// The message of an APPEND stands in parentheses (RFC 6855 section 4).
    append_wrapped: bool,
    /// Whether mailbox names are UTF-8.
    pub utf8: bool,
}

/// A literal's announcement at the end of a line.
struct Announcement {
    length: u64,
    synchronising: bool,
    binary: bool,
    start: usize,
}

impl Framer {
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
                if self.line_bytes > LINE_BYTES_MAX {
                    let end = input.len();
                    self.skip_line(input, end);
                    continue;
                }
                return Frame::More;
            };
            let end = self.seen + at + 1;
            self.line_bytes += at + 1;
            if self.line_bytes > LINE_BYTES_MAX {
                self.skip_line(input, end);
                continue;
            }
            self.seen = end;
            let Some(literal) = announcement(&input[self.line_start..end]) else {
                let command = input.split_to(end).freeze();
                self.reset();
                return Frame::Command(command);
            };
            if let Some(frame) = self.literal(input, &literal) {
                return frame;
            }
        }
    }

    /// After the message of an APPEND: whether the rest of its line has come, and whether it was empty. What else
    /// stands there, further literals too, is passed over first, so that none of it is taken for a command.
    pub fn append_end(&mut self, input: &mut BytesMut) -> Option<bool> {
        loop {
            if !self.skip_bytes(input) {
                return None;
            }
            let Some(at) = memchr::memchr(b'\n', input) else {
                if input.len() > LINE_BYTES_MAX {
                    self.append_failed = true;
                    self.drop_front(input, input.len() - ANNOUNCEMENT_BYTES_MAX);
                }
                return None;
            };
            let rest = input.split_to(at + 1);
            self.passed_over += rest.len() as u64;
            match announcement(&rest) {
                Some(literal) if !literal.synchronising => {
                    self.append_failed = true;
                    self.skip = literal.length;
                }
                _ => {
                    let rest = if self.append_wrapped { rest.strip_prefix(b")").unwrap_or(b")") } else { &rest[..] };
                    let empty = !self.append_failed && matches!(rest, b"\r\n" | b"\n");
                    self.reset();
                    return Some(empty);
                }
            }
        }
    }

    /// Whether more was passed over than anybody sends by mistake: end the session.
    pub fn is_hopeless(&self) -> bool {
        self.passed_over > PASSED_OVER_BYTES_MAX
    }

    fn literal(&mut self, input: &mut BytesMut, literal: &Announcement) -> Option<Frame> {
        let text_end = self.line_start + literal.start;
        if let Some((tag, arguments)) = self.append(&input[..text_end]) {
            let wrapped = input[..text_end].ends_with(b"(");
            let _ = input.split_to(self.seen);
            self.reset();
            self.append_wrapped = wrapped;
            let &Announcement { length: size, synchronising, binary, .. } = literal;
            return Some(Frame::Append(AppendStart { tag, arguments, size, synchronising, binary }));
        }
        self.literals += 1;
        self.literal_bytes = self.literal_bytes.saturating_add(literal.length);
        if self.literals > LITERALS_MAX || self.literal_bytes > LITERAL_BYTES_MAX {
            self.skipped_tag = super::tag_of(input).map(str::to_owned);
            let _ = input.split_to(self.seen);
            if literal.synchronising {
                // Refused before it is sent: nothing to pass over.
                return Some(self.too_long(false));
            }
            if literal.length > 16 * LITERAL_BYTES_MAX {
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

    /// `APPEND` and everything before its message, if that is what this is.
    fn append(&self, text: &[u8]) -> Option<(String, Result<AppendArguments, String>)> {
        let mut lexer = Lexer::new(text, self.utf8);
        let tag = lexer.tag().ok()?.to_owned();
        lexer.sp().ok()?;
        if !lexer.keyword("APPEND") || !lexer.take(b' ') || lexer.peek().is_none() {
            return None;
        }
        let mut read = || {
            let mailbox = lexer.mailbox()?;
            lexer.sp()?;
            let mut flags = Vec::new();
            if lexer.peek() == Some(b'(') {
                flags = lexer.flag_list()?;
                lexer.sp()?;
            }
            let mut date = None;
            if lexer.peek() == Some(b'"') {
                let text = lexer.string()?;
                date = std::str::from_utf8(&text).ok().and_then(parse_date_time);
                if date.is_none() {
                    return lexer.error("a date and time");
                }
                lexer.sp()?;
            }
            if self.utf8 && lexer.keyword("UTF8") {
                // `UTF8 (~{n}..)` of RFC 6855: for us a message is a message.
                lexer.sp()?;
                lexer.byte(b'(', "an opening parenthesis")?;
            }
            lexer.crlf()?;
            Ok(AppendArguments { mailbox, flags, date })
        };
        Some((tag, read().map_err(|error: super::ParseError| error.to_string())))
    }

    /// Begins to pass over a command whose text is too long; `end` is how much of the input belongs to it. The tail
    /// stays, because it may be the announcement of a literal.
    fn skip_line(&mut self, input: &mut BytesMut, end: usize) {
        self.skipped_tag = super::tag_of(input).map(str::to_owned);
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
            Some(literal) if !literal.synchronising && literal.length <= 16 * LITERAL_BYTES_MAX => {
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
        *self = Framer { utf8: self.utf8, ..Framer::default() };
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
                    Frame::Append(append) => found.push(format!("{} APPEND {}", append.tag, append.size)),
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
            assert_eq!(framer.append_end(&mut input), None);
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
    fn the_message_of_an_append_is_left_to_the_session() {
        let mut input =
            BytesMut::from(&b"a APPEND {5}\r\nINBOX (\\Seen) \" 1-Feb-2026 10:00:00 +0000\" {4+}\r\nbody\r\nb "[..]);
        let mut framer = Framer::default();
        assert_eq!(framer.next(&mut input), Frame::Continue);
        let Frame::Append(append) = framer.next(&mut input) else { panic!("an APPEND") };
        let arguments = append.arguments.unwrap();
        assert_eq!((arguments.mailbox.as_str(), append.size, append.synchronising), ("INBOX", 4, false));
        assert!(arguments.date.is_some());
        let _ = input.split_to(4);
        assert_eq!(framer.append_end(&mut input), Some(true));
        assert_eq!(&input[..], b"b ");
    }

    #[test]
    fn a_message_in_parentheses_ends_with_one() {
        for (utf8, end, expected) in
            [(true, &b")\r\n"[..], Some(true)), (true, b"\r\n", Some(false)), (false, b")\r\n", None)]
        {
            let mut input = BytesMut::from(&b"a APPEND INBOX UTF8 (~{4+}\r\nbody"[..]);
            let mut framer = Framer { utf8, ..Framer::default() };
            let Frame::Append(append) = framer.next(&mut input) else { panic!("an APPEND") };
            assert_eq!((append.arguments.is_ok(), append.binary), (utf8, true));
            let _ = input.split_to(4);
            input.extend_from_slice(end);
            let complete = framer.append_end(&mut input);
            assert!(expected.is_none() || complete == expected, "{complete:?}");
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
