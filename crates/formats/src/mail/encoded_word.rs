//! Encoded words in header fields (RFC 2047), and what stands between them.

use super::header::unfold;
use super::{charset, transfer};

/// Longest text of one encoded word that is decoded. RFC 2047 section 2 allows 75 with everything; some programs put a
/// whole field into one.
pub const ENCODED_TEXT_BYTES_MAX: usize = 8 * 1024;

/// Longest name of a charset, with its language (RFC 2231 section 5).
const CHARSET_BYTES_MAX: usize = 80;

/// The text of a field's value, on one line.
pub fn decode(value: &[u8]) -> String {
    let value = unfold(value);
    let (mut text, mut words, mut rest) = (String::with_capacity(value.len()), Words::default(), &value[..]);
    while let Some(at) = memchr::memmem::find(rest, b"=?") {
        let (before, candidate) = rest.split_at(at);
        let Some((word, after)) = encoded_word(candidate) else {
            words.end(&mut text);
            text.push_str(&charset::decode(None, &rest[..at + 2]));
            rest = &rest[at + 2..];
            continue;
        };
        // Blanks between two encoded words are no text (RFC 2047 section 6.2).
        if !(words.is_open() && before.iter().all(u8::is_ascii_whitespace)) {
            words.end(&mut text);
            text.push_str(&charset::decode(None, before));
        }
        words.push(word, &mut text);
        rest = after;
    }
    words.end(&mut text);
    text.push_str(&charset::decode(None, rest));
    text
}

/// An encoded word, decoded to the bytes of its charset.
struct Word<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
}

/// The encoded word at the start, and what follows it.
fn encoded_word(text: &[u8]) -> Option<(Word<'_>, &[u8])> {
    let rest = text.strip_prefix(b"=?")?;
    let end = memchr::memchr(b'?', &rest[..rest.len().min(CHARSET_BYTES_MAX)])?;
    let (charset, rest) = (&rest[..end], &rest[end + 1..]);
    let charset = charset.split(|&byte| byte == b'*').next().unwrap_or_default();
    let [encoding, b'?', rest @ ..] = rest else { return None };
    let end = memchr::memmem::find(&rest[..rest.len().min(ENCODED_TEXT_BYTES_MAX)], b"?=")?;
    let (encoded, after) = (&rest[..end], &rest[end + 2..]);
    let bytes = match encoding {
        b'B' | b'b' => transfer::base64(encoded),
        b'Q' | b'q' => {
            let blanks: Vec<u8> = encoded.iter().map(|&byte| if byte == b'_' { b' ' } else { byte }).collect();
            transfer::quoted_printable(&blanks)
        }
        _ => return None,
    };
    (!charset.is_empty()).then_some((Word { charset, bytes }, after))
}

/// Neighbours of one charset are decoded together: RFC 2047 section 5 forbids to cut a character in two, and programs
/// do it all the same.
#[derive(Default)]
struct Words {
    charset: Option<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Words {
    fn is_open(&self) -> bool {
        self.charset.is_some()
    }

    fn push(&mut self, word: Word<'_>, text: &mut String) {
        if self.charset.as_deref().is_some_and(|charset| !charset.eq_ignore_ascii_case(word.charset)) {
            self.end(text);
        }
        self.charset.get_or_insert_with(|| word.charset.to_vec());
        self.bytes.extend_from_slice(&word.bytes);
    }

    fn end(&mut self, text: &mut String) {
        if let Some(charset) = self.charset.take() {
            text.push_str(&charset::decode(Some(&charset), &std::mem::take(&mut self.bytes)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_decoded_as_they_come() {
        for (value, expected) in [
            (&b" plain text "[..], "plain text"),
            (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= aus =?iso-8859-1?b?S/ZsbiA=?=", "Grüße aus Köln "),
            (b"=?utf-8?Q?a_b?=\r\n =?UTF-8?Q?_c?=", "a b c"),
            (b"=?utf-8?b?4piD?= =?iso-8859-1?q?=FC?=", "☃ü"),
            // A character cut in two.
            (b"=?utf-8?b?4pg=?= =?utf-8?b?gw==?=", "☃"),
            (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?= (x)", "日本 (x)"),
            (b"=?utf-8*de?q?=C3=BC?=", "ü"),
            (b"x=?utf-8?q?y?=z", "xyz"),
            (b"=?utf-8?q?with blanks?=", "with blanks"),
            // No encoded words.
            (b"=?utf-8?x?y?=", "=?utf-8?x?y?="),
            (b"=?utf-8?q?never", "=?utf-8?q?never"),
            (b"=??q?y?=", "=??q?y?="),
            (b"=?", "=?"),
            (b"raw \xc3\xbc", "raw ü"),
            (b"raw \xfc", "raw ü"),
        ] {
            assert_eq!(decode(value), expected, "{}", value.escape_ascii());
        }
    }
}
