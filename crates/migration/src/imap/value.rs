//! What servers answer, as far as an import must understand it: words, strings and lists. Tolerant where servers are
//! known to be careless, strict where numbers are taken from it.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::limits::DEPTH_MAX;
use crate::target::message::Body;

/// One value of an answer.
#[derive(Debug)]
pub enum Value {
    /// `NIL`
    Nil,
    /// A word: an atom, a number, a flag, `BODY[]`.
    Word(Bytes),
    /// A quoted string, or a short literal.
    Text(Bytes),
    /// A literal that may be long.
    Body(Body),
    /// A list.
    List(Vec<Value>),
}

impl Value {
    /// The bytes of a word or a string.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Word(bytes) | Value::Text(bytes) | Value::Body(Body::Memory(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// A word or a string as text; empty when it is neither, or no UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.bytes().unwrap_or_default()).unwrap_or_default()
    }

    /// A number.
    pub fn number(&self) -> Option<u64> {
        self.text().parse().ok()
    }

    /// The values of a list; none of anything else.
    pub fn list(&self) -> &[Value] {
        match self {
            Value::List(values) => values,
            _ => &[],
        }
    }

    /// Whether it is this word, in any case.
    pub fn is(&self, word: &str) -> bool {
        self.text().eq_ignore_ascii_case(word)
    }
}

/// Why an answer could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an answer that is no IMAP: expected {0}")]
pub struct Unreadable(pub &'static str);

/// Reads values from the lines of an answer and the literals between them.
pub struct Reader<'a> {
    lines: &'a [Vec<u8>],
    line: usize,
    at: usize,
    literals: VecDeque<Body>,
}

impl<'a> Reader<'a> {
    /// Of these lines, each but the last without its announcement of the literal that follows it.
    pub fn new(lines: &'a [Vec<u8>], literals: VecDeque<Body>) -> Self {
        Reader { lines, line: 0, at: 0, literals }
    }

    fn rest(&self) -> &'a [u8] {
        self.lines.get(self.line).map_or(&[], |line| &line[self.at..])
    }

    /// All values up to the end.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn all(mut self) -> Result<Vec<Value>, Unreadable> {
        self.values(None, 0)
    }

    fn values(&mut self, end: Option<u8>, depth: usize) -> Result<Vec<Value>, Unreadable> {
        if depth > DEPTH_MAX {
            return Err(Unreadable("fewer lists in lists"));
        }
        let mut values = Vec::new();
        loop {
            while self.rest().first() == Some(&b' ') {
                self.at += 1;
            }
            match self.rest().first() {
                None if self.line + 1 < self.lines.len() => {
                    let literal = self.literals.pop_front().ok_or(Unreadable("a literal"))?;
                    values.push(Value::Body(literal));
                    (self.line, self.at) = (self.line + 1, 0);
                }
                None if end.is_none() => return Ok(values),
                None => return Err(Unreadable("the end of a list")),
                Some(byte) if Some(*byte) == end => {
                    self.at += 1;
                    return Ok(values);
                }
                Some(b'(') => {
                    self.at += 1;
                    values.push(Value::List(self.values(Some(b')'), depth + 1)?));
                }
                Some(b')') => return Err(Unreadable("a value")),
                Some(b'"') => values.push(Value::Text(self.quoted()?)),
                Some(_) => values.push(self.word()),
            }
        }
    }

    fn quoted(&mut self) -> Result<Bytes, Unreadable> {
        let (rest, mut text) = (self.rest(), Vec::new());
        let mut bytes = rest.iter().enumerate().skip(1);
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.at += at + 1;
                    return Ok(text.into());
                }
                b'\\' => text.extend(bytes.next().map(|(_, byte)| *byte)),
                byte => text.push(*byte),
            }
        }
        Err(Unreadable("the end of a string"))
    }

    /// Up to a blank or a parenthesis; what stands in brackets belongs to it (`BODY[HEADER.FIELDS (FROM)]`).
    fn word(&mut self) -> Value {
        let (rest, mut is_inside) = (self.rest(), false);
        let ends = |byte: &u8| {
            match byte {
                b'[' => is_inside = true,
                b']' => is_inside = false,
                _ => {}
            }
            !is_inside && matches!(byte, b' ' | b'(' | b')')
        };
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        self.at += length;
        match &rest[..length] {
            word if word.eq_ignore_ascii_case(b"NIL") => Value::Nil,
            word => Value::Word(Bytes::copy_from_slice(word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str], literals: &[&'static str]) -> Result<String, Unreadable> {
        let lines: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        let literals = literals.iter().map(|text| Body::Memory(Bytes::from_static(text.as_bytes()))).collect();
        Ok(shown(&Reader::new(&lines, literals).all()?))
    }

    fn shown(values: &[Value]) -> String {
        let one = |value: &Value| match value {
            Value::Nil => "-".to_owned(),
            Value::List(values) => format!("[{}]", shown(values)),
            Value::Word(_) => value.text().to_owned(),
            _ => format!("<{}>", value.text()),
        };
        values.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn answers_are_words_strings_and_lists() {
        let fetch = ["12 FETCH (UID 7 FLAGS (\\Seen x) BODY[HEADER.FIELDS (A B)] NIL BODY[] ", " MODSEQ (9))"];
        let read_as = "12 FETCH [UID 7 FLAGS [\\Seen x] BODY[HEADER.FIELDS (A B)] - BODY[] <a)b> MODSEQ [9]]";
        assert_eq!(read(&fetch, &["a)b"]).unwrap(), read_as);
        assert_eq!(
            read(&["LIST (\\HasNoChildren) \"/\" \"a \\\"b\""], &[]).unwrap(),
            "LIST [\\HasNoChildren] </> <a \"b>"
        );
        for bad in ["(", ")", "\"a", "(\"a)"] {
            assert!(read(&[bad], &[]).is_err(), "{bad}");
        }
        assert!(read(&["a", "b"], &[]).is_err(), "a literal that did not come");
        assert_eq!(read(&[&"(".repeat(DEPTH_MAX + 2)], &[]), Err(Unreadable("fewer lists in lists")));
    }
}
