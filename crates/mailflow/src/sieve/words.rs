//! Where words stand in a script, outside of strings and comments (RFC 5228 section 8.1).

/// The line of the first occurrence of a word, in any case.
pub fn line_of(text: &[u8], word: &str) -> Option<usize> {
    let (mut rest, mut line) = (text, 1);
    while let Some(&byte) = rest.first() {
        let length = match byte {
            b'#' => memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
            b'/' if rest.starts_with(b"/*") => memchr::memmem::find(rest, b"*/").map_or(rest.len(), |at| at + 2),
            b'"' => quoted(rest),
            byte if is_word(byte) => {
                let length = rest.iter().position(|&byte| !is_word(byte)).unwrap_or(rest.len());
                if rest[..length].eq_ignore_ascii_case(word.as_bytes()) {
                    return Some(line);
                }
                let is_multi_line = rest[..length].eq_ignore_ascii_case(b"text") && rest.get(length) == Some(&b':');
                if is_multi_line { multi_line(rest) } else { length }
            }
            _ => 1,
        };
        line += rest[..length].iter().filter(|&&byte| byte == b'\n').count();
        rest = &rest[length..];
    }
    None
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
    use super::line_of;

    #[test]
    fn words_in_strings_and_comments_are_none() {
        let text = b"# stop\n/* stop\n*/ keep \"stop\\\"\nstop\" text:\nstop\n.\n;stopped; STOP;";
        assert_eq!(line_of(text, "stop"), Some(7));
        assert_eq!(line_of(text, "keep"), Some(3));
        assert_eq!(line_of(text, "discard"), None);
        for cut in 0..text.len() {
            let _ = line_of(&text[..cut], "none");
        }
    }
}
