//! TEXT values (RFC 5545 section 3.3.11, RFC 6350 section 4).

/// A text without its escapes. An escape that means nothing stays as it is.
pub fn unescape(value: &str) -> String {
    if !value.contains('\\') {
        return value.to_owned();
    }
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 'N') => text.push('\n'),
            Some(c @ (',' | ';' | '\\' | ':')) => text.push(c),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

/// A text as a value.
pub fn escape(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ',' | ';' | '\\' => value.extend(['\\', c]),
            '\n' => value.push_str("\\n"),
            '\r' => {}
            c => value.push(c),
        }
    }
    value
}

/// Whether the byte at this place is escaped: whether an odd number of backslashes stands before it.
pub fn is_in_escape(value: &str, at: usize) -> bool {
    value.as_bytes()[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

/// The values of a list (`CATEGORIES:A,B\,C`), still escaped.
pub fn split_list(value: &str) -> impl Iterator<Item = &str> {
    split(value, ',')
}

/// The components of a structured value (`N:Family;Given;...`), still escaped.
pub fn split_structured(value: &str) -> impl Iterator<Item = &str> {
    split(value, ';')
}

fn split(value: &str, at: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.match_indices(at).map(|(end, _)| end).find(|end| !is_in_escape(text, *end));
        match end {
            Some(end) => {
                rest = Some(&text[end + at.len_utf8()..]);
                Some(&text[..end])
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\, b\; c\\ d\n\N\x"), "a, b; c\\ d\n\n\\x");
        assert_eq!(split_list(r"a\,b,c,,d\\,e").collect::<Vec<_>>(), [r"a\,b", "c", "", r"d\\", "e"]);
        assert_eq!(split_structured(";a;").collect::<Vec<_>>(), ["", "a", ""]);
    }
}
