//! Header fields as filters word them, made fit for a message.

/// Longest name of a field, in bytes (RFC 5322 section 2.1.1 leaves no room for longer ones).
const NAME_BYTES_MAX: usize = 200;

/// Longest value of a field, in bytes.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// The field with its CRLF; `None` when that can't be a name. A value keeps its folding and nothing else that would end
/// it: no filter can write a second field, or the end of the header.
pub fn field(name: &str, value: &str) -> Option<Vec<u8>> {
    let good = |byte: u8| (33..127).contains(&byte) && byte != b':';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(good) || value.len() > VALUE_BYTES_MAX {
        return None;
    }
    let mut field = format!("{name}:").into_bytes();
    let lines = value.split(['\r', '\n']).filter(|line| !line.trim().is_empty());
    for (number, line) in lines.enumerate() {
        if number > 0 {
            field.extend_from_slice(b"\r\n");
            if !line.starts_with([' ', '\t']) {
                field.push(b'\t');
            }
        }
        field.extend(line.trim_end().bytes().filter(|&byte| byte == b'\t' || (byte >= 32 && byte != 127)));
    }
    field.extend_from_slice(b"\r\n");
    Some(field)
}

/// Others' words as part of a reply or a field of ours: one line of ASCII, and not too long.
pub fn words(text: &str, bytes_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line: String = line.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect();
    line.truncate(bytes_max);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, value: &str) -> Option<String> {
        field(name, value).map(|field| String::from_utf8(field).unwrap())
    }

    #[test]
    fn a_value_stays_one_field() {
        assert_eq!(text("X-A", " b").as_deref(), Some("X-A: b\r\n"));
        assert_eq!(text("X-A", " b\n\tc\r\n d\n").as_deref(), Some("X-A: b\r\n\tc\r\n d\r\n"));
        assert_eq!(text("X-A", " b\r\nBcc: c\r\n\r\nbody").as_deref(), Some("X-A: b\r\n\tBcc: c\r\n\tbody\r\n"));
        assert_eq!(text("X-A", " b\0\x7f\u{e9}").as_deref(), Some("X-A: b\u{e9}\r\n"));
        assert_eq!(text("X-A", "").as_deref(), Some("X-A:\r\n"));
    }

    #[test]
    fn a_name_is_one() {
        for name in ["", "X A", "X:", "X\r\nY", "Ä", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert_eq!(text(name, " b"), None, "{name:?}");
        }
    }

    #[test]
    fn words_of_others_are_one_line() {
        assert_eq!(words("a\r\n250 b\u{e9}\0", 100), "a 250 b??");
        assert_eq!(words("abcdef", 3), "abc");
    }
}
