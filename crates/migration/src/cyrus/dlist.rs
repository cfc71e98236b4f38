//! DList, the values of Cyrus replication: atoms, strings and literals as in IMAP, lists, key-value lists (`%(..)`) and
//! files (`%{partition sha1 size}` and their bytes).
//!
//! [`Tokens`] takes bytes as they come, so that files of any length stream past; [`Value`] is what one command makes of
//! them.

use std::fmt::Write as _;

use bytes::{Buf, Bytes, BytesMut};

/// Longest command without its files, in bytes: records of a batch of messages (`sync_batchsize`, 8192 by default), of
/// which one has some 500.
pub const COMMAND_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest literal that is no file, in bytes: an annotation, a script.
pub const LITERAL_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest line between literals, in bytes.
pub const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest file: a message.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// How deep lists may stand in lists.
pub const DEPTH_MAX: usize = 16;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An atom, a string or a literal.
    Atom(Bytes),
    /// `NIL`
    Nil,
    /// `(a b)`
    List(Vec<Value>),
    /// `%(k v)`
    Map(Vec<(Bytes, Value)>),
    /// A file that was taken in, by its SHA-1.
    File {
        /// Its SHA-1 in hexadecimal, as it was announced.
        guid: String,
        /// Its length.
        size: u64,
    },
}

/// Why bytes are no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct Malformed(pub &'static str);

impl Value {
    /// Text; empty when it is none.
    pub fn text(&self) -> String {
        match self {
            Value::Atom(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        }
    }

    /// The bytes of an atom.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Value::Atom(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The values of a list.
    pub fn list(&self) -> &[Value] {
        match self {
            Value::List(values) => values,
            _ => &[],
        }
    }

    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(pairs) => {
                pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(key.as_bytes())).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The text of this key.
    ///
    /// # Errors
    /// When it isn't there; the same holds for the next ones.
    pub fn text_of(&self, key: &'static str) -> Result<String, Malformed> {
        self.get(key).filter(|value| matches!(value, Value::Atom(_))).map(Value::text).ok_or(Malformed(key))
    }

    /// The number of this key.
    pub fn number_of(&self, key: &'static str) -> Result<u64, Malformed> {
        self.text_of(key)?.parse().map_err(|_| Malformed(key))
    }

    /// A number that may be left out, which is zero then.
    pub fn number_or_zero(&self, key: &'static str) -> Result<u64, Malformed> {
        if self.get(key).is_some() { self.number_of(key) } else { Ok(0) }
    }

    /// A number of 32 bits.
    pub fn small_of(&self, key: &'static str) -> Result<u32, Malformed> {
        u32::try_from(self.number_of(key)?).map_err(|_| Malformed(key))
    }
}

/// What comes next of a command.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes are needed.
    More,
    /// A synchronising literal was announced: the client waits for `+`.
    Continue,
    /// A file begins, with this SHA-1 and length; its bytes are taken from the input next ([`Tokens::file_done`]).
    File(String, u64),
    /// The whole command: its first words and values.
    Command(Vec<Value>),
}

enum Piece {
    Line(Bytes),
    Literal(Bytes),
    File(String, u64),
}

/// Puts commands together from bytes.
#[derive(Default)]
pub struct Tokens {
    pieces: Vec<Piece>,
    bytes: usize,
    literal: Option<usize>,
    scanned: usize,
}

impl Tokens {
    /// Takes what is there.
    ///
    /// # Errors
    /// [`Malformed`]; what follows can't be understood then.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Step, Malformed> {
        loop {
            if let Some(length) = self.literal {
                if input.len() < length {
                    return Ok(Step::More);
                }
                self.pieces.push(Piece::Literal(input.split_to(length).freeze()));
                self.literal = None;
            }
            let Some(end) = memchr(input, self.scanned) else {
                self.scanned = input.len();
                return if input.len() > LINE_BYTES_MAX { Err(Malformed("a shorter line")) } else { Ok(Step::More) };
            };
            self.scanned = 0;
            let mut line = input.split_to(end).freeze();
            input.advance(1);
            if line.ends_with(b"\r") {
                line.truncate(line.len() - 1);
            }
            self.bytes += line.len();
            match announced(&line)? {
                None => {
                    self.pieces.push(Piece::Line(line));
                    let pieces = std::mem::take(&mut self.pieces);
                    *self = Tokens::default();
                    return Ok(Step::Command(Parser::new(pieces).all()?));
                }
                Some(Announced::Literal { start, length, waits }) => {
                    self.bytes += length;
                    if length > LITERAL_BYTES_MAX {
                        return Err(Malformed("a shorter literal"));
                    }
                    self.pieces.push(Piece::Line(line.slice(..start)));
                    self.literal = Some(length);
                    self.check()?;
                    if waits {
                        return Ok(Step::Continue);
                    }
                }
                Some(Announced::File { start, guid, size }) => {
                    if size > FILE_BYTES_MAX {
                        return Err(Malformed("a shorter file"));
                    }
                    self.pieces.push(Piece::Line(line.slice(..start)));
                    self.check()?;
                    return Ok(Step::File(guid, size));
                }
            }
        }
    }

    /// The bytes of the file were taken; the command goes on.
    pub fn file_done(&mut self, guid: String, size: u64) {
        self.pieces.push(Piece::File(guid, size));
    }

    fn check(&self) -> Result<(), Malformed> {
        if self.bytes > COMMAND_BYTES_MAX { Err(Malformed("a shorter command")) } else { Ok(()) }
    }
}

fn memchr(input: &[u8], from: usize) -> Option<usize> {
    input.get(from..)?.iter().position(|byte| *byte == b'\n').map(|at| from + at)
}

enum Announced {
    Literal { start: usize, length: usize, waits: bool },
    File { start: usize, guid: String, size: u64 },
}

/// What the end of a line says that follows it.
fn announced(line: &[u8]) -> Result<Option<Announced>, Malformed> {
    let Some(inner) = line.strip_suffix(b"}") else { return Ok(None) };
    let Some(open) = inner.iter().rposition(|byte| *byte == b'{') else { return Ok(None) };
    let Ok(text) = std::str::from_utf8(&inner[open + 1..]) else { return Ok(None) };
    if open > 0 && line[open - 1] == b'%' {
        let mut words = text.split(' ').skip(1);
        let (guid, size) = (words.next().unwrap_or_default(), words.next().and_then(|size| size.parse().ok()));
        let is_guid = guid.len() == 40 && guid.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (Some(size), true) = (size, is_guid) else { return Err(Malformed("a file with its SHA-1 and its length")) };
        return Ok(Some(Announced::File { start: open - 1, guid: guid.to_ascii_lowercase(), size }));
    }
    let (digits, waits) = text.strip_suffix('+').map_or((text, true), |digits| (digits, false));
    let Ok(length) = digits.parse() else { return Ok(None) };
    Ok(Some(Announced::Literal { start: open, length, waits }))
}

struct Parser {
    pieces: Vec<Piece>,
    piece: usize,
    at: usize,
}

impl Parser {
    fn new(pieces: Vec<Piece>) -> Self {
        Parser { pieces, piece: 0, at: 0 }
    }

    fn line(&self) -> &[u8] {
        match self.pieces.get(self.piece) {
            Some(Piece::Line(line)) => &line[self.at..],
            _ => &[],
        }
    }

    fn all(mut self) -> Result<Vec<Value>, Malformed> {
        let mut values = Vec::new();
        loop {
            self.blanks();
            if self.line().is_empty() && !self.is_between() {
                return Ok(values);
            }
            values.push(self.value(0)?);
        }
    }

    /// Whether the line ended and a literal or a file comes.
    fn is_between(&self) -> bool {
        self.line().is_empty() && matches!(self.pieces.get(self.piece + 1), Some(Piece::Literal(_) | Piece::File(..)))
    }

    fn blanks(&mut self) {
        while self.line().first() == Some(&b' ') {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        if depth > DEPTH_MAX {
            return Err(Malformed("fewer lists in lists"));
        }
        self.blanks();
        if self.is_between() {
            let value = match &self.pieces[self.piece + 1] {
                Piece::Literal(bytes) => Value::Atom(bytes.clone()),
                Piece::File(guid, size) => Value::File { guid: guid.clone(), size: *size },
                Piece::Line(_) => return Err(Malformed("a value")),
            };
            (self.piece, self.at) = (self.piece + 2, 0);
            return Ok(value);
        }
        match self.line() {
            [b'(', ..] => {
                self.at += 1;
                let mut values = Vec::new();
                while !self.closes()? {
                    values.push(self.value(depth + 1)?);
                }
                Ok(Value::List(values))
            }
            [b'%', b'(', ..] => {
                self.at += 2;
                let mut pairs = Vec::new();
                while !self.closes()? {
                    let Value::Atom(key) = self.value(depth + 1)? else { return Err(Malformed("a key")) };
                    pairs.push((key, self.value(depth + 1)?));
                }
                Ok(Value::Map(pairs))
            }
            [b'"', ..] => self.quoted(),
            [] => Err(Malformed("a value")),
            rest => {
                let length = rest.iter().position(|byte| b" ()\"".contains(byte)).unwrap_or(rest.len());
                if length == 0 {
                    return Err(Malformed("a value"));
                }
                let word = Bytes::copy_from_slice(&rest[..length]);
                self.at += length;
                Ok(if word.eq_ignore_ascii_case(b"NIL") { Value::Nil } else { Value::Atom(word) })
            }
        }
    }

    /// Takes the end of a list, if it comes.
    fn closes(&mut self) -> Result<bool, Malformed> {
        self.blanks();
        match self.line() {
            [b')', ..] => {
                self.at += 1;
                Ok(true)
            }
            [] if !self.is_between() => Err(Malformed("the end of a list")),
            _ => Ok(false),
        }
    }

    fn quoted(&mut self) -> Result<Value, Malformed> {
        let (mut text, mut length, mut is_closed) = (Vec::new(), 1, false);
        let mut bytes = self.line()[1..].iter();
        while let Some(byte) = bytes.next() {
            length += 1;
            match byte {
                b'"' => {
                    is_closed = true;
                    break;
                }
                b'\\' => {
                    length += 1;
                    text.push(*bytes.next().ok_or(Malformed("the end of a string"))?);
                }
                byte => text.push(*byte),
            }
        }
        if !is_closed {
            return Err(Malformed("the end of a string"));
        }
        self.at += length;
        Ok(Value::Atom(text.into()))
    }
}

/// Writes a value as an atom where it can be one, else as a string or a literal.
pub fn put_atom(out: &mut Vec<u8>, bytes: &[u8]) {
    let is_atom = |byte: &u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(byte);
    let is_quoted = |byte: &u8| (b' '..0x7f).contains(byte) && !b"\"\\".contains(byte) || *byte == b'\t';
    if !bytes.is_empty() && bytes.iter().all(is_atom) && !bytes.eq_ignore_ascii_case(b"NIL") {
        out.extend_from_slice(bytes);
    } else if bytes.iter().all(is_quoted) {
        out.push(b'"');
        out.extend_from_slice(bytes);
        out.push(b'"');
    } else {
        out.extend_from_slice(format!("{{{}}}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
    }
}

/// A key-value list in the making.
pub struct MapWriter(Vec<u8>);

impl Default for MapWriter {
    fn default() -> Self {
        MapWriter(b"%(".to_vec())
    }
}

impl MapWriter {
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if self.0.len() > 2 {
            self.0.push(b' ');
        }
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b' ');
        &mut self.0
    }

    /// A text.
    pub fn text(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        put_atom(self.key(key), value.as_ref());
        self
    }

    /// A number.
    pub fn number(mut self, key: &str, value: impl Into<u64>) -> Self {
        let mut text = String::new();
        let _ = write!(text, "{}", value.into());
        self.key(key).extend_from_slice(text.as_bytes());
        self
    }

    /// What is written already.
    pub fn raw(mut self, key: &str, value: &[u8]) -> Self {
        self.key(key).extend_from_slice(value);
        self
    }

    /// The whole.
    pub fn end(mut self) -> Vec<u8> {
        self.0.push(b')');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All commands of these bytes, however they are cut.
    fn commands(bytes: &[u8], chunk: usize) -> Result<Vec<Vec<Value>>, Malformed> {
        let (mut tokens, mut input, mut found) = (Tokens::default(), BytesMut::new(), Vec::new());
        let mut rest = bytes.chunks(chunk);
        loop {
            match tokens.next(&mut input)? {
                Step::More => match rest.next() {
                    Some(more) => input.extend_from_slice(more),
                    None => return Ok(found),
                },
                Step::Continue => {}
                Step::File(guid, size) => {
                    while (input.len() as u64) < size {
                        input.extend_from_slice(rest.next().ok_or(Malformed("the file"))?);
                    }
                    input.advance(size as usize);
                    tokens.file_done(guid, size);
                }
                Step::Command(values) => found.push(values),
            }
        }
    }

    const GUID: &str = "f8ba08d1b9d19d2550b1da5e0a2f9b3e472aec8c";

    #[test]
    fn commands_are_read_however_they_are_cut() {
        let text = format!(
            "GET USER ana\r\nAPPLY MESSAGE (%{{default {GUID} 5}}\r\na\r\n)( %{{default {GUID} 1}}\r\n))\r\n\
             APPLY X %(MBOXNAME \"user.x y\" ACL \"a\tlrs\t\" E NIL V {{3+}}\r\n\")( L (%(A 1) (\\Seen $F)))\r\nNOOP\r\n"
        );
        for chunk in [1, 2, 7, 1000] {
            let found = commands(text.as_bytes(), chunk).unwrap();
            assert_eq!(found.len(), 4);
            let file = |size| Value::File { guid: GUID.to_owned(), size };
            assert_eq!(found[1][2], Value::List(vec![file(5), file(1)]));
            let map = &found[2][2];
            assert_eq!((map.text_of("MBOXNAME").unwrap(), map.get("E")), ("user.x y".to_owned(), Some(&Value::Nil)));
            assert_eq!((map.text_of("ACL").unwrap(), map.text_of("V").unwrap()), ("a\tlrs\t".into(), "\")(".into()));
            assert_eq!(map.get("L").unwrap().list()[0].number_of("A"), Ok(1));
            assert_eq!(map.get("L").unwrap().list()[1].list()[0].text(), "\\Seen");
        }
    }

    #[test]
    fn what_is_no_command_is_refused() {
        let deep = "(".repeat(DEPTH_MAX + 2);
        for bad in ["A (", "A )", "A %(K)", "A %((a) b)", "A \"x", "A %{x y 3}", &deep, "A {999999999+}"] {
            assert!(commands(format!("{bad}\r\n").as_bytes(), 100).is_err(), "{bad}");
        }
    }

    #[test]
    fn answers_are_read_as_they_were_written() {
        let texts: [&[u8]; 6] = [b"a", b"", b"a b\tc", b"q\"\\", b"\xff\r\n\0", b"NIL"];
        let mut writer = MapWriter::default();
        for text in texts {
            writer = writer.text("K", text);
        }
        let line = [writer.number("N", 7_u64).end(), b"\r\n".to_vec()].concat();
        let found = commands(&line, 3).unwrap();
        let Value::Map(pairs) = &found[0][0] else { panic!("{found:?}") };
        let read: Vec<&[u8]> = pairs.iter().filter_map(|(_, value)| Some(&value.bytes()?[..])).collect();
        assert_eq!(read, [&texts[..], &[b"7"]].concat());
    }
}
