//! Tokens of IMAP. Functions carry the names of the RFC's grammar.

use sterna_base::session_limits::SessionLimits;

/// Why a command could not be read: the words for BAD.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at position {position}")]
pub struct ParseError {
    /// What would have been right.
    pub expected: &'static str,
    /// After how many bytes of the command.
    pub position: usize,
}

pub type Result<T> = std::result::Result<T, ParseError>;

/// Reads a complete command with its literals inside.
pub struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether mailbox names are UTF-8 (UTF8=ACCEPT, IMAP4rev2) and not modified UTF-7.
    pub utf8: bool,
    /// What a command may have.
    pub limits: &'a SessionLimits,
}

impl<'a> Lexer<'a> {
    pub fn new(bytes: &'a [u8], utf8: bool) -> Self {
        Lexer::within(bytes, utf8, &SessionLimits::DEFAULT)
    }

    /// With other limits than the usual ones.
    pub fn within(bytes: &'a [u8], utf8: bool, limits: &'a SessionLimits) -> Self {
        Lexer { bytes, at: 0, utf8, limits }
    }

    /// A second reader at the same place, to look ahead.
    pub fn clone_position(&self) -> Lexer<'a> {
        Lexer { bytes: self.bytes, at: self.at, utf8: self.utf8, limits: self.limits }
    }

    pub fn error<T>(&self, expected: &'static str) -> Result<T> {
        Err(ParseError { expected, position: self.at })
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// Takes the byte if it is next.
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub fn byte(&mut self, byte: u8, expected: &'static str) -> Result<()> {
        if self.take(byte) { Ok(()) } else { self.error(expected) }
    }

    pub fn sp(&mut self) -> Result<()> {
        self.byte(b' ', "a space")
    }

    /// Passes over everything up to the end of the command.
    pub fn take_rest(&mut self) {
        self.at = self.bytes.len();
    }

    /// The end of the command.
    pub fn crlf(&mut self) -> Result<()> {
        if matches!(self.rest(), b"\r\n" | b"\n" | b"") { Ok(()) } else { self.error("the end of the line") }
    }

    /// Takes a word, in any case, if it is next and ends there.
    pub fn keyword(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let found = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
            && !rest.get(word.len()).is_some_and(|byte| byte.is_ascii_alphanumeric());
        if found {
            self.at += word.len();
        }
        found
    }

    pub fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self.rest().iter().take_while(|byte| keep(**byte)).count();
        let taken = &self.rest()[..length];
        self.at += length;
        taken
    }

    pub fn atom(&mut self) -> Result<&'a str> {
        let atom = self.take_while(is_atom_char);
        if atom.is_empty() { self.error("an atom") } else { self.text(atom) }
    }

    fn text(&self, bytes: &'a [u8]) -> Result<&'a str> {
        std::str::from_utf8(bytes).or_else(|_| self.error("UTF-8"))
    }

    /// 1*<any ASTRING-CHAR except "+">
    pub fn tag(&mut self) -> Result<&'a str> {
        let tag = self.take_while(|byte| (is_atom_char(byte) || byte == b']') && byte != b'+');
        if tag.is_empty() { self.error("a tag") } else { self.text(tag) }
    }

    pub fn number64(&mut self) -> Result<u64> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        number.filter(|number| *number <= i64::MAX as u64).map_or_else(|| self.error("a number"), Ok)
    }

    pub fn number(&mut self) -> Result<u32> {
        let start = self.at;
        let number = self.number64()?;
        u32::try_from(number).or_else(|_| {
            self.at = start;
            self.error("a number below 2^32")
        })
    }

    pub fn nz_number(&mut self) -> Result<u32> {
        match self.number()? {
            0 => self.error("a number above zero"),
            number => Ok(number),
        }
    }

    /// quoted / literal / literal8
    pub fn string(&mut self) -> Result<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{' | b'~') => self.literal(),
            _ => self.error("a string"),
        }
    }

    fn quoted(&mut self) -> Result<Vec<u8>> {
        self.at += 1;
        let mut value = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(value);
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(byte @ (b'"' | b'\\')) => value.push(byte),
                        _ => return self.error("a quote or backslash after a backslash"),
                    }
                }
                None | Some(b'\r' | b'\n' | 0) => return self.error("a closing quote"),
                Some(byte) => value.push(byte),
            }
            self.at += 1;
        }
    }

    fn literal(&mut self) -> Result<Vec<u8>> {
        let binary = self.take(b'~');
        self.byte(b'{', "a literal")?;
        let length = self.number64()?;
        self.take(b'+');
        self.byte(b'}', "a closing brace")?;
        self.take(b'\r');
        self.byte(b'\n', "a line end after the literal's length")?;
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let Some(bytes) = end.and_then(|end| self.bytes.get(self.at..end)) else { return self.error("the literal") };
        if !binary && bytes.contains(&0) {
            return self.error("a literal without NUL");
        }
        self.at += bytes.len();
        Ok(bytes.to_vec())
    }

    pub fn astring(&mut self) -> Result<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{' | b'~') => self.string(),
            _ => {
                let atom = self.take_while(|byte| is_atom_char(byte) || byte == b']');
                if atom.is_empty() { self.error("an atom or a string") } else { Ok(atom.to_vec()) }
            }
        }
    }

    pub fn nstring(&mut self) -> Result<Option<Vec<u8>>> {
        if self.keyword("NIL") { Ok(None) } else { self.string().map(Some) }
    }

    /// A mailbox name as UTF-8; INBOX in capitals.
    pub fn mailbox(&mut self) -> Result<String> {
        let name = self.astring()?;
        self.mailbox_name(name)
    }

    /// A name or a pattern of names.
    pub fn list_mailbox(&mut self) -> Result<String> {
        let name = match self.peek() {
            Some(b'"' | b'{' | b'~') => self.string()?,
            _ => {
                let is_list_char = |byte| is_atom_char(byte) || matches!(byte, b'%' | b'*' | b']');
                let atom = self.take_while(is_list_char);
                if atom.is_empty() {
                    return self.error("a mailbox pattern");
                }
                atom.to_vec()
            }
        };
        self.mailbox_name(name)
    }

    fn mailbox_name(&self, name: Vec<u8>) -> Result<String> {
        let decoded = match std::str::from_utf8(&name) {
            // Clients that write UTF-8 without having asked for it mean what they write.
            Ok(name) if self.utf8 || !name.is_ascii() => Some(name.to_owned()),
            // A name that is no modified UTF-7 is taken as it stands, so that "R&D" can be spoken of.
            Ok(text) => Some(crate::mutf7::decode(&name).unwrap_or_else(|_| text.to_owned())),
            Err(_) => None,
        };
        decoded.map_or_else(|| self.error("a mailbox name in UTF-8"), |name| Ok(with_inbox(name)))
    }

    /// `flag`, as written.
    pub fn flag(&mut self) -> Result<String> {
        let backslash = self.take(b'\\');
        let atom = self.atom()?;
        Ok(if backslash { format!("\\{atom}") } else { atom.to_owned() })
    }

    /// `flag-list`
    pub fn flag_list(&mut self) -> Result<Vec<String>> {
        self.list(|lexer| lexer.flag())
    }

    /// Something in parentheses, divided by spaces; may be empty.
    pub fn list<T>(&mut self, mut element: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.byte(b'(', "an opening parenthesis")?;
        let mut elements = Vec::new();
        while !self.take(b')') {
            if !elements.is_empty() {
                self.sp()?;
            }
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    pub fn sequence_set(&mut self) -> Result<super::SequenceSet> {
        if self.take(b'$') {
            return Ok(super::SequenceSet::Saved);
        }
        let mut ranges = Vec::new();
        loop {
            let from = self.seq_number()?;
            let to = if self.take(b':') { self.seq_number()? } else { from };
            ranges.push((from, to));
            if ranges.len() as u64 > self.limits.imap_set_ranges {
                return self.error("fewer ranges");
            }
            if !self.take(b',') {
                return Ok(super::SequenceSet::Ranges(ranges));
            }
        }
    }

    fn seq_number(&mut self) -> Result<Option<u32>> {
        if self.take(b'*') { Ok(None) } else { self.nz_number().map(Some) }
    }
}

/// A mailbox name with INBOX in capitals.
pub fn with_inbox(name: String) -> String {
    let is_inbox = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("INBOX"));
    match name.as_bytes().get(5) {
        None | Some(b'/') if is_inbox => format!("INBOX{}", &name[5..]),
        _ => name,
    }
}

/// ATOM-CHAR: any CHAR except "(", ")", "{", SP, CTL, "%", "*", DQUOTE, "\" and "]".
pub fn is_atom_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte)
}
