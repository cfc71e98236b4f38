//! Content-Type, Content-Disposition and their parameters (RFC 2045 section 5.1, RFC 2183), read with patience.

use super::{ContentType, Disposition, Parameter};

/// Most parameters kept of one field.
pub const PARAMETERS_MAX: usize = 64;

/// Longest value of one parameter that is kept, in bytes.
pub const PARAMETER_BYTES_MAX: usize = 8 * 1024;

/// Reads a Content-Type; `None` when there is no type and subtype in it.
pub fn content_type(value: &[u8]) -> Option<ContentType> {
    let mut words = Words(value);
    let media_type = words.token()?;
    words.special(b'/')?;
    let subtype = words.token()?;
    Some(ContentType { media_type, subtype, parameters: parameters(&mut words) })
}

/// Reads a Content-Disposition.
pub fn disposition(value: &[u8]) -> Option<Disposition> {
    let mut words = Words(value);
    let kind = words.token()?;
    Some(Disposition { kind, parameters: parameters(&mut words) })
}

/// Reads a list of tokens, as in Content-Language.
pub fn token_list(value: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Words(value);
    let mut tokens = Vec::new();
    while tokens.len() < PARAMETERS_MAX {
        match words.token() {
            Some(token) => tokens.push(token),
            None => break,
        }
        if words.special(b',').is_none() {
            break;
        }
    }
    tokens
}

/// One token, for example a transfer encoding.
pub fn token(value: &[u8]) -> Option<Vec<u8>> {
    Words(value).token()
}

fn parameters(words: &mut Words<'_>) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    while parameters.len() < PARAMETERS_MAX && words.skip_past(b';') {
        let Some(name) = words.token() else { continue };
        if words.special(b'=').is_none() {
            continue;
        }
        let value = words.quoted().or_else(|| words.token_value()).or_else(|| words.loose_value());
        let value = value.unwrap_or_default();
        if value.len() <= PARAMETER_BYTES_MAX {
            parameters.push(Parameter { name, value });
        }
    }
    parameters
}

/// Takes words off the front of a value.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    /// Blanks, line ends and comments, nested to any depth that fits.
    fn skip_blanks(&mut self) {
        let mut depth = 0_usize;
        while let Some((&byte, rest)) = self.0.split_first() {
            match byte {
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                b'\\' if depth > 0 => {
                    self.0 = rest.get(1..).unwrap_or_default();
                    continue;
                }
                b' ' | b'\t' | b'\r' | b'\n' | 0 => {}
                _ if depth > 0 => {}
                _ => return,
            }
            self.0 = rest;
        }
    }

    fn token(&mut self) -> Option<Vec<u8>> {
        self.skip_blanks();
        let is_token = |byte: &u8| *byte > b' ' && *byte != 127 && !b"()<>@,;:\\\"/[]?=".contains(byte);
        self.take_while(is_token)
    }

    /// A value that is a token with nothing but blanks and comments behind it.
    fn token_value(&mut self) -> Option<Vec<u8>> {
        let mut ahead = Words(self.0);
        let value = ahead.token()?;
        ahead.skip_blanks();
        let ends = ahead.0.is_empty() || ahead.0.starts_with(b";");
        ends.then(|| {
            self.0 = ahead.0;
            value
        })
    }

    /// A value without quotes that breaks the grammar (a file name with blanks or slashes): up to the next semicolon.
    fn loose_value(&mut self) -> Option<Vec<u8>> {
        self.skip_blanks();
        let value = self.take_while(|byte| !matches!(byte, b';' | b'\r' | b'\n'))?;
        Some(value.trim_ascii_end().to_vec())
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.skip_blanks();
        let mut rest = self.0.strip_prefix(b"\"")?.iter().enumerate();
        let mut value = Vec::new();
        let text = &self.0[1..];
        while let Some((at, &byte)) = rest.next() {
            match byte {
                b'"' => {
                    self.0 = &text[at + 1..];
                    return Some(value);
                }
                b'\\' => value.extend(rest.next().map(|(_, &escaped)| escaped)),
                b'\r' | b'\n' => {}
                _ => value.push(byte),
            }
        }
        self.0 = &[];
        Some(value)
    }

    fn special(&mut self, special: u8) -> Option<()> {
        self.skip_blanks();
        self.0 = self.0.strip_prefix(&[special])?;
        Some(())
    }

    fn skip_past(&mut self, special: u8) -> bool {
        self.skip_blanks();
        match memchr::memchr(special, self.0) {
            Some(at) => {
                self.0 = &self.0[at + 1..];
                true
            }
            None => false,
        }
    }

    fn take_while(&mut self, keep: impl Fn(&u8) -> bool) -> Option<Vec<u8>> {
        let length = self.0.iter().take_while(|byte| keep(byte)).count();
        let (word, rest) = self.0.split_at(length);
        self.0 = rest;
        (length > 0).then(|| word.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(value: &[u8]) -> String {
        let Some(found) = content_type(value) else { return "-".into() };
        let mut text = format!("{}/{}", found.media_type.escape_ascii(), found.subtype.escape_ascii());
        for parameter in found.parameters {
            text += &format!(" {}={}", parameter.name.escape_ascii(), parameter.value.escape_ascii());
        }
        text
    }

    #[test]
    fn types_are_read_as_people_write_them() {
        for (value, expected) in [
            (&b" text/plain; charset=utf-8"[..], "text/plain charset=utf-8"),
            (b"text/plain (a (nested) comment);\r\n charset=\"us-\\ascii\"", "text/plain charset=us-ascii"),
            (b"multipart/mixed; boundary=\"a b;c\"; x", "multipart/mixed boundary=a b;c"),
            (b"application/pdf; name=my file.pdf; a=b", "application/pdf name=my file.pdf a=b"),
            (b"image/png; name=a/b", "image/png name=a/b"),
            (b"text/calendar; method=REQUEST (a comment); charset=utf-8", "text/calendar method=REQUEST charset=utf-8"),
            (b"image/png; name=tern (1).png; a=b(c)", "image/png name=tern (1).png a=b"),
            (b"text", "-"),
            (b"", "-"),
            (b"text/html; charset=\"never ends", "text/html charset=never ends"),
        ] {
            assert_eq!(show(value), expected, "{}", value.escape_ascii());
        }
    }
}
