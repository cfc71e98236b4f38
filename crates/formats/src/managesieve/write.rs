//! Strings as a server sends them.

use super::frame::QUOTED_BYTES_MAX;

/// Quoted where that can be, else a literal (RFC 5804 section 4: a server's literals have no `+`).
pub fn string(text: &[u8], output: &mut impl Extend<u8>) {
    let can_be_quoted = text.len() <= QUOTED_BYTES_MAX && !text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0));
    if !can_be_quoted {
        output.extend(format!("{{{}}}\r\n", text.len()).into_bytes());
        output.extend(text.iter().copied());
        return;
    }
    output.extend([b'"']);
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            output.extend([b'\\']);
        }
        output.extend([byte]);
    }
    output.extend([b'"']);
}

#[cfg(test)]
mod tests {
    use super::string;

    #[test]
    fn strings_are_quoted_where_they_can_be() {
        let written = |text: &[u8]| {
            let mut output = Vec::new();
            string(text, &mut output);
            String::from_utf8(output).unwrap()
        };
        assert_eq!(written(b"a \"b\" \\"), r#""a \"b\" \\""#);
        assert_eq!(written(b"a\r\nb"), "{4}\r\na\r\nb");
        assert!(written(&[b'x'; 2000]).starts_with("{2000}\r\n"));
    }
}
