//! Cuts a client's stream into commands: tokens up to the end of a line, with strings that are quoted or literals
//! (RFC 5804 section 4). What is too long is passed over, so that the stream stays in step, until it is hopeless.

use bytes::BytesMut;

/// Longest line of a command without its literals, in bytes.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Longest quoted string (RFC 5804 section 4: 1024 octets).
pub const QUOTED_BYTES_MAX: usize = 1024;

/// Tokens of one command; none of ours has more.
const TOKENS_MAX: usize = 8;

/// How many bytes too many are passed over before the client is given up.
const PASSED_OVER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Longest announcement of a literal, with blanks to spare.
const ANNOUNCEMENT_BYTES_MAX: usize = 64;

/// One word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A keyword, in upper case.
    Atom(String),
    /// A string.
    String(Vec<u8>),
    /// A number.
    Number(u64),
}

/// What has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Not a whole command yet.
    More,
    /// A command.
    Command(Vec<Token>),
    /// A line that is none; it was passed over.
    Malformed(&'static str),
    /// A command that is too long was passed over; its keyword, if it had one.
    TooLong(Option<String>),
    /// The stream can't be followed any further: end the session.
    Hopeless,
}

/// Follows one client's stream.
#[derive(Debug)]
pub struct Framer {
    /// Most bytes of the literals of one command.
    pub literal_bytes_max: u64,
    /// How long the input must be before it is worth looking again.
    wanted: usize,
    /// Bytes of a literal that are passed over.
    skip: u64,
    /// What is said when the line that is passed over has ended.
    skipping_line: Option<Frame>,
    /// Bytes of the present command that were passed over.
    passed_over: u64,
}

impl Framer {
    /// With so many bytes of literals in one command.
    pub fn new(literal_bytes_max: u64) -> Self {
        Framer { literal_bytes_max, wanted: 0, skip: 0, skipping_line: None, passed_over: 0 }
    }

    /// Looks at what has come; takes complete commands off the input.
    pub fn next(&mut self, input: &mut BytesMut) -> Frame {
        if self.skip > 0 || self.skipping_line.is_some() {
            return self.pass_over(input);
        }
        if input.len() < self.wanted {
            return Frame::More;
        }
        self.wanted = 0;
        let mut reader = Reader { text: input, at: 0, literal_bytes: 0, tokens: Vec::new() };
        match reader.command(self.literal_bytes_max) {
            Ok(()) => {
                let (at, tokens) = (reader.at, reader.tokens);
                let _ = input.split_to(at);
                // An empty line is nothing at all.
                if tokens.is_empty() { self.next(input) } else { Frame::Command(tokens) }
            }
            Err(Stop::More(wanted)) => {
                if input.len() as u64 - reader.literal_bytes.min(input.len() as u64) > LINE_BYTES_MAX as u64 {
                    return self.give_up(input, 0, Frame::TooLong(None));
                }
                self.wanted = wanted;
                Frame::More
            }
            Err(Stop::Malformed(why)) => {
                let at = reader.at;
                self.give_up(input, at, Frame::Malformed(why))
            }
            Err(Stop::TooLong { literal }) => {
                let (at, verb) = (reader.at, reader.verb());
                self.skip = literal;
                self.give_up(input, at, Frame::TooLong(verb))
            }
        }
    }

    /// Passes over what has come of the command, and the rest of its line.
    fn give_up(&mut self, input: &mut BytesMut, at: usize, then: Frame) -> Frame {
        let _ = input.split_to(at);
        self.passed_over = 0;
        self.skipping_line = Some(then);
        self.pass_over(input)
    }

    fn pass_over(&mut self, input: &mut BytesMut) -> Frame {
        let taken = self.skip.min(input.len() as u64);
        let _ = input.split_to(taken as usize);
        self.skip -= taken;
        self.passed_over += taken;
        if self.passed_over.saturating_add(self.skip) > PASSED_OVER_BYTES_MAX {
            return Frame::Hopeless;
        }
        if self.skip > 0 {
            return Frame::More;
        }
        let Some(end) = memchr::memchr(b'\n', input) else {
            // The line may end with the announcement of a literal.
            let dropped = input.len().saturating_sub(ANNOUNCEMENT_BYTES_MAX);
            let _ = input.split_to(dropped);
            self.passed_over += dropped as u64;
            return if self.passed_over > PASSED_OVER_BYTES_MAX { Frame::Hopeless } else { Frame::More };
        };
        let line = input.split_to(end + 1);
        self.passed_over += line.len() as u64;
        if let Some(length) = announcement(&line) {
            self.skip = length;
            return self.pass_over(input);
        }
        self.skipping_line.take().unwrap_or(Frame::More)
    }
}

/// The length of a literal that the line announces at its end.
fn announcement(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line).strip_suffix(b"+}")?;
    let open = memchr::memrchr(b'{', line)?;
    number(&line[open + 1..])
}

fn number(digits: &[u8]) -> Option<u64> {
    let good = !digits.is_empty() && digits.len() <= 20 && digits.iter().all(u8::is_ascii_digit);
    let digit = |value: u64, digit: &u8| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    good.then(|| digits.iter().fold(0, digit))
}

enum Stop {
    /// There must be so much before it is worth looking again.
    More(usize),
    Malformed(&'static str),
    TooLong {
        /// Bytes of the literal that is too long, which are still to come.
        literal: u64,
    },
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    literal_bytes: u64,
    tokens: Vec<Token>,
}

impl Reader<'_> {
    fn verb(&self) -> Option<String> {
        match self.tokens.first() {
            Some(Token::Atom(verb)) => Some(verb.clone()),
            _ => None,
        }
    }

    fn command(&mut self, literal_bytes_max: u64) -> Result<(), Stop> {
        loop {
            while self.text.get(self.at) == Some(&b' ') {
                self.at += 1;
            }
            match self.peek()? {
                b'\n' => {
                    self.at += 1;
                    return Ok(());
                }
                b'\r' => match self.text.get(self.at + 1) {
                    Some(b'\n') => {
                        self.at += 2;
                        return Ok(());
                    }
                    Some(_) => return Err(Stop::Malformed("A line ends with CR LF")),
                    None => return Err(Stop::More(0)),
                },
                _ if self.tokens.len() >= TOKENS_MAX => return Err(Stop::Malformed("There are too many arguments")),
                b'"' => self.quoted()?,
                b'{' => self.literal(literal_bytes_max)?,
                byte if byte.is_ascii_digit() => self.number()?,
                byte if byte.is_ascii_alphabetic() => self.atom()?,
                _ => return Err(Stop::Malformed("That is no command")),
            }
            if !matches!(self.text.get(self.at), None | Some(b' ' | b'\r' | b'\n')) {
                return Err(Stop::Malformed("A space must be between arguments"));
            }
        }
    }

    fn peek(&self) -> Result<u8, Stop> {
        self.text.get(self.at).copied().ok_or(Stop::More(0))
    }

    fn quoted(&mut self) -> Result<(), Stop> {
        let (mut value, mut at) = (Vec::new(), self.at + 1);
        loop {
            match self.text.get(at) {
                None if at - self.at > 2 * QUOTED_BYTES_MAX => {
                    return Err(Stop::Malformed("A quoted string has at most 1024 octets"));
                }
                None => return Err(Stop::More(0)),
                Some(b'"') => break,
                Some(b'\\') => match self.text.get(at + 1) {
                    None => return Err(Stop::More(0)),
                    Some(&byte @ (b'"' | b'\\')) => {
                        value.push(byte);
                        at += 2;
                    }
                    Some(_) => return Err(Stop::Malformed("Only \\ and \" are written with a \\")),
                },
                Some(b'\r' | b'\n' | 0) => return Err(Stop::Malformed("A quoted string ends on its line")),
                Some(&byte) => {
                    value.push(byte);
                    at += 1;
                }
            }
        }
        if value.len() > QUOTED_BYTES_MAX {
            return Err(Stop::Malformed("A quoted string has at most 1024 octets"));
        }
        self.at = at + 1;
        self.tokens.push(Token::String(value));
        Ok(())
    }

    fn literal(&mut self, literal_bytes_max: u64) -> Result<(), Stop> {
        let Some(end) = memchr::memchr(b'\n', &self.text[self.at..]) else {
            return if self.text.len() - self.at > 32 {
                Err(Stop::Malformed("A literal is announced as {number+}"))
            } else {
                Err(Stop::More(0))
            };
        };
        let announced = announcement(&self.text[self.at..=self.at + end]);
        let Some(length) = announced else { return Err(Stop::Malformed("A literal is announced as {number+}")) };
        let start = self.at + end + 1;
        if length.saturating_add(self.literal_bytes) > literal_bytes_max {
            self.at = start;
            return Err(Stop::TooLong { literal: length });
        }
        self.literal_bytes += length;
        let stop = start + length as usize;
        let Some(value) = self.text.get(start..stop) else { return Err(Stop::More(stop)) };
        self.tokens.push(Token::String(value.to_vec()));
        self.at = stop;
        // What stands behind a literal must have come, too.
        self.peek().map(drop)
    }

    fn number(&mut self) -> Result<(), Stop> {
        let digits = self.word(|byte| byte.is_ascii_digit())?;
        let value = number(digits).ok_or(Stop::Malformed("The number is too large"))?;
        self.tokens.push(Token::Number(value));
        Ok(())
    }

    fn atom(&mut self) -> Result<(), Stop> {
        let word = self.word(|byte| byte.is_ascii_alphanumeric())?;
        let word = String::from_utf8_lossy(word).to_ascii_uppercase();
        self.tokens.push(Token::Atom(word));
        Ok(())
    }

    /// A word whose end has come.
    fn word(&mut self, is_part: impl Fn(u8) -> bool) -> Result<&[u8], Stop> {
        let rest = &self.text[self.at..];
        let length = rest.iter().position(|byte| !is_part(*byte)).ok_or(Stop::More(0))?;
        self.at += length;
        Ok(&rest[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(stream: &[u8], piece: usize) -> Vec<Frame> {
        let (mut framer, mut input, mut found) = (Framer::new(100), BytesMut::new(), Vec::new());
        for bytes in stream.chunks(piece) {
            input.extend_from_slice(bytes);
            loop {
                match framer.next(&mut input) {
                    Frame::More => break,
                    Frame::Hopeless => {
                        found.push(Frame::Hopeless);
                        return found;
                    }
                    frame => found.push(frame),
                }
            }
        }
        found
    }

    fn atom(text: &str) -> Token {
        Token::Atom(text.into())
    }

    fn string(text: &str) -> Token {
        Token::String(text.into())
    }

    #[test]
    fn commands_are_cut_the_same_however_they_arrive() {
        let stream =
            b"noop\r\n\r\nPUTSCRIPT \"a \\\"b\\\"\" {9+}\r\nkeep;\r\n\"\n\r\nhavespace  \"x\" 12\nx \"a\nlogout\r\n";
        let expected = [
            Frame::Command(vec![atom("NOOP")]),
            Frame::Command(vec![atom("PUTSCRIPT"), string("a \"b\""), string("keep;\r\n\"\n")]),
            Frame::Command(vec![atom("HAVESPACE"), string("x"), Token::Number(12)]),
            Frame::Malformed("A quoted string ends on its line"),
            Frame::Command(vec![atom("LOGOUT")]),
        ];
        for piece in 1..stream.len() {
            assert_eq!(frames(stream, piece), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_is_too_long_is_passed_over() {
        let long = [b"PUTSCRIPT \"a\" {200+}\r\n".as_slice(), &[b'\n'; 200], b"\r\nNOOP\r\n"].concat();
        let twice = [b"X {60+}\r\n".as_slice(), &[b'a'; 60], b" {60+}\r\n", &[b'b'; 60], b"\r\nNOOP\r\n"].concat();
        let line = [b"X \"".as_slice(), &[b'a'; 20_000], b"\"\r\nNOOP\r\n"].concat();
        for piece in [1, 7, 1000, 100_000] {
            let noop = Frame::Command(vec![atom("NOOP")]);
            assert_eq!(frames(&long, piece), [Frame::TooLong(Some("PUTSCRIPT".into())), noop.clone()]);
            assert_eq!(frames(&twice, piece), [Frame::TooLong(Some("X".into())), noop.clone()]);
            let found = frames(&line, piece);
            assert_eq!((found.len(), &found[1]), (2, &noop), "{found:?}");
        }
    }

    #[test]
    fn what_never_ends_is_given_up() {
        assert_eq!(frames(b"X {99999999999+}\r\n", 100), [Frame::Hopeless]);
        let endless = vec![b'x'; 20 * 1024 * 1024];
        assert_eq!(frames(&endless, 8192).last(), Some(&Frame::Hopeless));
        for wrong in [b"X {12}\r\n".as_slice(), b"X {+}\r\n", b"X {1\r\n", b"X \"\\n\"\r\n", b"\x00\r\n", b"X\"a\"\r\n"]
        {
            assert!(matches!(frames(wrong, 100)[..], [Frame::Malformed(_)]), "{}", wrong.escape_ascii());
        }
    }
}
