//! What browsers send: forms, queries and cookies, with limits, and digits of any script.

use http::{HeaderMap, header};
use sterna_base::Secret;
use unicode_normalization::UnicodeNormalization as _;

/// Fields of one form.
const FIELDS_MAX: usize = 200;

/// The first digit of each run of ten decimal digits that people type (Unicode, general category Nd), beside ASCII.
const ZEROS: [char; 12] = [
    '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}', '\u{e50}',
    '\u{ed0}', '\u{1040}',
];

/// A form (application/x-www-form-urlencoded) or a query. Prints without values: there may be passwords in it.
#[derive(Clone, Default)]
pub struct Form(Vec<(String, String)>);

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Form {
    /// From what was sent; `None` when it is no form in UTF-8, has a NUL, or too many fields.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut fields = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            fields.push((decoded(name)?, decoded(value)?));
            if fields.len() > FIELDS_MAX {
                return None;
            }
        }
        Some(Form(fields))
    }

    /// A field as it was typed, if it was in the form.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A field of one line: without spaces around it, in composed form (NFC), with ASCII digits; empty when missing.
    pub fn line(&self, name: &str) -> String {
        self.get(name).map(tidied).unwrap_or_default()
    }

    /// A password: exactly what was typed.
    pub fn secret(&self, name: &str) -> Secret {
        Secret::new(self.get(name).unwrap_or_default())
    }

    /// All values of a field with several.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| tidied(value)).collect()
    }

    /// Whether nothing was sent: the page is shown for the first time.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// See [`Form::line`].
pub fn tidied(text: &str) -> String {
    text.trim().nfc().map(ascii_digit).collect()
}

fn ascii_digit(character: char) -> char {
    let wide = matches!(character, '\u{ff10}'..='\u{ff19}').then_some('\u{ff10}');
    let zero = wide.or_else(|| ZEROS.into_iter().find(|zero| (*zero..=plus_nine(*zero)).contains(&character)));
    let digit = zero.and_then(|zero| char::from_digit(u32::from(character) - u32::from(zero), 10));
    digit.unwrap_or(character)
}

fn plus_nine(zero: char) -> char {
    char::from_u32(u32::from(zero) + 9).unwrap_or(zero)
}

fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut found = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let escaped = escaped.and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match (byte, escaped) {
            (b'+', _) => found.push(b' '),
            (_, Some(0)) => return None,
            (_, Some(escaped)) => {
                found.push(escaped);
                at += 2;
            }
            (byte, None) => found.push(*byte),
        }
        at += 1;
    }
    String::from_utf8(found).ok()
}

/// A cookie's value (RFC 6265 section 4.2).
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_arrives() {
        let form = Form::parse(b"name=Ana+%C3%89x&pass=%20a%26b%20&x&x=2&%3d=%").unwrap();
        assert_eq!(form.line("name"), "Ana Éx");
        assert_eq!(form.secret("pass").expose(), " a&b ");
        assert_eq!((form.all("x"), form.get("="), form.get("y")), (vec![String::new(), "2".into()], Some("%"), None));
        assert!(!format!("{form:?}").contains("a&b"));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        assert!(Form::parse(b"a=%ff").is_none() && Form::parse(b"a=%00").is_none() && Form::parse(b"\xff").is_none());
        assert!(Form::parse("a&".repeat(FIELDS_MAX + 1).as_bytes()).is_none());
        assert!(Form::parse(b"").unwrap().is_empty());
    }

    #[test]
    fn digits_of_other_scripts_are_digits() {
        for typed in ["٨٤٤٣", "۸۴۴۳", "८४४३", "８４４３", " 8443 "] {
            assert_eq!(tidied(typed), "8443", "{typed}");
        }
        assert_eq!(tidied("e\u{301}"), "é");
    }
}
