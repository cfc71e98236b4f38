//! Header fields as they stand: RFC 5322 section 2.2, and everything that is not quite that.

/// One header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name, without the colon.
    pub name: &'a [u8],
    /// What follows the colon, still folded, without its last line end.
    pub value: &'a [u8],
    /// The whole field with its last line end, as HEADER.FIELDS gives it.
    pub raw: &'a [u8],
}

impl Field<'_> {
    /// Whether the field has this name, in any case.
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value on one line, without blanks around it.
    pub fn unfolded(&self) -> Vec<u8> {
        unfold(self.value)
    }
}

/// The fields of a header. Lines that are no field (without a colon, mbox "From " lines) are passed over; the empty
/// line ends it.
pub fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = field_end(rest);
            let (raw, after) = rest.split_at(end);
            if matches!(raw, b"\r\n" | b"\n") {
                return None;
            }
            rest = after;
            if let Some(colon) = memchr::memchr(b':', raw) {
                let name = raw[..colon].trim_ascii_end();
                let named = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic());
                if named {
                    return Some(Field { name, value: without_line_end(&raw[colon + 1..]), raw });
                }
            }
        }
        None
    })
}

/// Where the field at the start ends: after the first line end that no blank follows.
fn field_end(text: &[u8]) -> usize {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'\n', &text[from..]) {
        let next = from + at + 1;
        let empty = matches!(&text[..next], b"\r\n" | b"\n");
        if empty || !matches!(text.get(next), Some(b' ' | b'\t')) {
            return next;
        }
        from = next;
    }
    text.len()
}

fn without_line_end(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// Removes the line ends inside a folded value (RFC 5322 section 2.2.3) and the blanks around it.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let kept: Vec<u8> = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)).collect();
    kept.trim_ascii().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_fields_stay_whole_and_lines_that_are_none_are_passed_over() {
        let header = b"From x\r\nA: one\r\n two\r\nno field\r\n b : three\nC:\r\n\r\nD: body\r\n";
        let found: Vec<_> = fields(header).map(|f| (f.name.to_vec(), f.unfolded())).collect();
        let expected: [(&[u8], &[u8]); 2] = [(b"A", b"one two"), (b"C", b"")];
        assert_eq!(found.len(), 2, "{found:?}");
        for ((name, value), (n, v)) in found.iter().zip(expected) {
            assert_eq!((name.as_slice(), value.as_slice()), (n, v));
        }
    }
}
