//! Address lists of RFC 5322 section 3.4, obsolete forms included, as IMAP's envelope shows them.

use serde::{Deserialize, Serialize};

/// Most addresses kept of one field; a group that is open there still gets its end.
pub const ADDRESSES_MAX: usize = 2000;

/// One `address` of IMAP's envelope (RFC 9051 section 7.5.2). The start of a group has a mailbox and no host, its end
/// has neither.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EnvelopeAddress {
    /// addr-name: the display name, not decoded.
    pub name: Option<Vec<u8>>,
    /// addr-adl: the obsolete route.
    pub adl: Option<Vec<u8>>,
    /// addr-mailbox: the local part, or the name of a group.
    pub mailbox: Option<Vec<u8>>,
    /// addr-host: the domain.
    pub host: Option<Vec<u8>>,
}

/// Reads a list; what is no address is kept as well as it can be, and nothing is an error.
pub fn address_list(value: &[u8]) -> Vec<EnvelopeAddress> {
    let mut reader = Reader { rest: value, list: Vec::new(), in_group: false };
    while reader.list.len() < ADDRESSES_MAX && reader.element() {}
    if reader.in_group {
        reader.list.push(EnvelopeAddress::default());
    }
    reader.list
}

enum Token {
    /// An atom, a quoted string or a domain literal.
    Word(Vec<u8>),
    /// A comment; the last one names an address that has no other name.
    Comment(Vec<u8>),
    /// One of `<>@,;:.`
    Special(u8),
}

struct Reader<'a> {
    rest: &'a [u8],
    list: Vec<EnvelopeAddress>,
    in_group: bool,
}

impl Reader<'_> {
    /// Reads up to the next comma or end of a group; false at the end of the text.
    fn element(&mut self) -> bool {
        let (mut words, mut comment, mut ended) = (Phrase::default(), None, false);
        let mut address: Option<EnvelopeAddress> = None;
        loop {
            match self.token() {
                None => {
                    ended = true;
                    break;
                }
                Some(Token::Word(word)) => words.word(&word),
                Some(Token::Comment(text)) => comment = Some(text),
                Some(Token::Special(b'<')) => {
                    let name = words.take_phrase();
                    address = Some(EnvelopeAddress { name, ..self.angle() });
                }
                Some(Token::Special(b':')) if !self.in_group => {
                    let group = words.take_phrase().unwrap_or_default();
                    self.list.push(EnvelopeAddress { mailbox: Some(group), ..Default::default() });
                    self.in_group = true;
                }
                Some(Token::Special(b',')) => break,
                Some(Token::Special(b';')) => {
                    self.push(address.take(), &mut words, comment.take());
                    if std::mem::take(&mut self.in_group) {
                        self.list.push(EnvelopeAddress::default());
                    }
                    break;
                }
                Some(Token::Special(other)) => words.special(other),
            }
        }
        self.push(address, &mut words, comment);
        !ended
    }

    fn push(&mut self, address: Option<EnvelopeAddress>, words: &mut Phrase, comment: Option<Vec<u8>>) {
        let address = match address {
            Some(address) => address,
            None if words.is_empty() => return,
            None => EnvelopeAddress { name: comment, ..words.take_address() },
        };
        self.list.push(address);
    }

    /// What stands between `<` and `>`.
    fn angle(&mut self) -> EnvelopeAddress {
        let (mut words, mut adl) = (Phrase::default(), None);
        loop {
            match self.token() {
                None | Some(Token::Special(b'>')) => break,
                Some(Token::Word(word)) => words.word(&word),
                Some(Token::Special(b':')) => adl = words.take_route(),
                Some(Token::Special(other)) => words.special(other),
                Some(Token::Comment(_)) => {}
            }
        }
        EnvelopeAddress { adl, ..words.take_address() }
    }

    fn token(&mut self) -> Option<Token> {
        self.rest = self.rest.trim_ascii_start();
        let (&first, after) = self.rest.split_first()?;
        let (token, used) = match first {
            b'"' => {
                let (text, used) = until(after, b'"', b'"');
                (Token::Word(text), used + 1)
            }
            b'(' => {
                let (text, used) = until(after, b'(', b')');
                (Token::Comment(text), used + 1)
            }
            b'[' => {
                let end = memchr::memchr(b']', self.rest).map_or(self.rest.len(), |at| at + 1);
                (Token::Word(self.rest[..end].to_vec()), end)
            }
            b'<' | b'>' | b'@' | b',' | b';' | b':' | b'.' => (Token::Special(first), 1),
            _ => {
                let is_atom = |byte: &u8| !byte.is_ascii_whitespace() && !b"<>@,;:.\"([".contains(byte);
                let length = self.rest.iter().take_while(|byte| is_atom(byte)).count().max(1);
                (Token::Word(self.rest[..length].iter().copied().filter(|&byte| byte != 0).collect()), length)
            }
        };
        self.rest = self.rest.get(used..).unwrap_or_default();
        Some(token)
    }
}

/// The text up to the closing byte, quoted pairs resolved, nested if the two bytes differ; and how many bytes it took.
fn until(text: &[u8], open: u8, close: u8) -> (Vec<u8>, usize) {
    let (mut value, mut depth, mut at) = (Vec::new(), 0_usize, 0);
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte == close && depth == 0 {
            break;
        } else if byte == b'\\' {
            value.extend(text.get(at));
            at += 1;
            continue;
        } else if byte == close {
            depth -= 1;
        } else if byte == open {
            depth += 1;
        }
        if !matches!(byte, b'\r' | b'\n' | 0) {
            value.push(byte);
        }
    }
    (value, at.min(text.len()))
}

/// Words and the specials between them, as far as they were read.
#[derive(Default)]
struct Phrase {
    text: Vec<u8>,
    at: Option<usize>,
    after_word: bool,
}

impl Phrase {
    fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    fn word(&mut self, word: &[u8]) {
        if self.after_word {
            self.text.push(b' ');
        }
        self.text.extend_from_slice(word);
        self.after_word = true;
    }

    fn special(&mut self, special: u8) {
        if special == b'@' {
            self.at = Some(self.text.len());
        }
        self.text.push(special);
        self.after_word = false;
    }

    fn take_phrase(&mut self) -> Option<Vec<u8>> {
        let phrase = std::mem::take(self).text;
        (!phrase.is_empty()).then_some(phrase)
    }

    /// `@a,@b` of an obsolete route.
    fn take_route(&mut self) -> Option<Vec<u8>> {
        self.take_phrase()
    }

    /// The last `@` divides local part and domain; without one everything is local part.
    fn take_address(&mut self) -> EnvelopeAddress {
        let Phrase { text, at, .. } = std::mem::take(self);
        let (mailbox, host) = match at {
            Some(at) => (text[..at].to_vec(), Some(text[at + 1..].to_vec())),
            None => (text, None),
        };
        // Clients read an address without host as the start of a group (RFC 9051 section 7.5.2): give it an empty one.
        EnvelopeAddress { mailbox: Some(mailbox), host: Some(host.unwrap_or_default()), ..Default::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(value: &[u8]) -> String {
        let part = |part: &Option<Vec<u8>>| part.as_ref().map_or("-".into(), |p| p.escape_ascii().to_string());
        let list = address_list(value);
        let one =
            |a: &EnvelopeAddress| format!("{}|{}|{}|{}", part(&a.name), part(&a.adl), part(&a.mailbox), part(&a.host));
        list.iter().map(one).collect::<Vec<_>>().join(" ; ")
    }

    #[test]
    fn lists_are_read_as_people_write_them() {
        for (value, expected) in [
            (&b"ana@x.test"[..], "-|-|ana|x.test"),
            (b"Ana T. <ana@x.test>, \"B, en\" <b.en@y.test>", "Ana T.|-|ana|x.test ; B, en|-|b.en|y.test"),
            (b"ana@x.test (Ana (the first))", "Ana (the first)|-|ana|x.test"),
            (b"Team: a@x, B <b@y>;, c@z", "-|-|Team|- ; -|-|a|x ; B|-|b|y ; -|-|-|- ; -|-|c|z"),
            (b"undisclosed-recipients:;", "-|-|undisclosed-recipients|- ; -|-|-|-"),
            (b"<@a,@b:ana@x.test>", "-|@a,@b|ana|x.test"),
            (b"<>", "-|-||"),
            (b"", ""),
            (b",, ,", ""),
            (b"\"a b\"@[127.0.0.1]", "-|-|a b|[127.0.0.1]"),
            (b"only words", "-|-|only words|"),
        ] {
            assert_eq!(show(value), expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn what_never_ends_ends() {
        for value in [&b"\"never"[..], b"(never", b"<never", b"Group: a@b", b"[never", b"\"a\\"] {
            assert!(address_list(value).len() <= 3, "{}", value.escape_ascii());
        }
    }
}
