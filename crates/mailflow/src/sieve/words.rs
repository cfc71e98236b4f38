//! The words of a script (RFC 5228 section 8.1), as far as it takes to tell them from strings and comments.

/// What a piece of a script is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A command, a test, or what follows a colon.
    Word,
    /// A string with its quotes, or `text:` with all its lines.
    Text,
    /// Comments and white space.
    Blank,
    /// One character.
    Other,
}

/// A piece of a script.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a [u8],
    /// Where it begins, from 1.
    pub line: usize,
}

impl<'a> Token<'a> {
    /// It as text; empty where it is none.
    pub fn word(&self) -> &'a str {
        std::str::from_utf8(self.text).unwrap_or_default()
    }

    /// What is between its quotes, as it is written.
    pub fn quoted(&self) -> &'a str {
        let text = self.word();
        text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
    }
}

/// All pieces of a script, without gaps.
pub fn tokens(text: &[u8]) -> impl Iterator<Item = Token<'_>> {
    let (mut rest, mut line) = (text, 1);
    std::iter::from_fn(move || {
        let &byte = rest.first()?;
        let (kind, length) = match byte {
            b'#' => (Kind::Blank, memchr::memchr(b'\n', rest).unwrap_or(rest.len())),
            b'/' if rest.starts_with(b"/*") => {
                (Kind::Blank, memchr::memmem::find(rest, b"*/").map_or(rest.len(), |at| at + 2))
            }
            b'"' => (Kind::Text, quoted(rest)),
            byte if byte.is_ascii_whitespace() => (Kind::Blank, 1),
            byte if is_word(byte) => {
                let length = rest.iter().position(|&byte| !is_word(byte)).unwrap_or(rest.len());
                let is_multi_line = rest[..length].eq_ignore_ascii_case(b"text") && rest.get(length) == Some(&b':');
                if is_multi_line { (Kind::Text, multi_line(rest)) } else { (Kind::Word, length) }
            }
            _ => (Kind::Other, 1),
        };
        let (text, after) = rest.split_at(length.min(rest.len()));
        let token = Token { kind, text, line };
        line += text.iter().filter(|&&byte| byte == b'\n').count();
        rest = after;
        Some(token)
    })
}

/// The line of the first occurrence of a word, in any case.
pub fn line_of(text: &[u8], word: &str) -> Option<usize> {
    let is_it = |token: &Token<'_>| token.kind == Kind::Word && token.text.eq_ignore_ascii_case(word.as_bytes());
    tokens(text).find(is_it).map(|token| token.line)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$')
}

/// The length of a string with its quotes.
fn quoted(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The length of `text:` up to the line with a dot.
fn multi_line(text: &[u8]) -> usize {
    let ends = [b"\n.\r\n".as_slice(), b"\n.\n"];
    let found = ends.iter().filter_map(|end| memchr::memmem::find(text, end).map(|at| at + end.len())).min();
    found.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_strings_and_comments_are_none() {
        let text = b"# stop\n/* stop\n*/ keep \"stop\\\"\nstop\" text:\nstop\n.\n;stopped; STOP;";
        assert_eq!(line_of(text, "stop"), Some(7));
        assert_eq!(line_of(text, "keep"), Some(3));
        assert_eq!(line_of(text, "discard"), None);
        for cut in 0..text.len() {
            let pieces: Vec<u8> = tokens(&text[..cut]).flat_map(|token| token.text.to_vec()).collect();
            assert_eq!(pieces, text[..cut]);
        }
    }
}
