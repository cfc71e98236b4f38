//! Command lines in a byte stream.

/// What the next bytes of a stream hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line; `text` bytes of content, `len` bytes with its ending.
    Complete {
        /// Bytes before the CRLF.
        text: usize,
        /// Bytes to consume.
        len: usize,
    },
    /// A line that ends with a bare LF; `len` bytes to consume. It is no command (RFC 5321 section 2.3.8), but waiting
    /// for a CRLF would leave its sender without an answer.
    BareLf {
        /// Bytes to consume.
        len: usize,
    },
    /// The line is longer than the limit and its end is not here yet: consume all, and ask again until it ends.
    TooLong,
    /// The end is not here yet.
    Incomplete,
}

/// Looks for a line that is at most `bytes_max` bytes long with its ending. A line over the limit whose end is already
/// in the buffer is `Complete`; the caller compares `len` with its limit.
pub fn next_line(buffer: &[u8], bytes_max: usize) -> Line {
    match memchr::memchr(b'\n', buffer) {
        Some(0) => Line::BareLf { len: 1 },
        Some(at) if buffer[at - 1] == b'\r' => Line::Complete { text: at - 1, len: at + 1 },
        Some(at) => Line::BareLf { len: at + 1 },
        None if buffer.len() >= bytes_max => Line::TooLong,
        None => Line::Incomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_crlf_ends_a_command() {
        assert_eq!(next_line(b"NOOP\r\nQUIT\r\n", 512), Line::Complete { text: 4, len: 6 });
        assert_eq!(next_line(b"NOOP\nQUIT\r\n", 512), Line::BareLf { len: 5 });
        assert_eq!(next_line(b"\n", 512), Line::BareLf { len: 1 });
        assert_eq!(next_line(b"NOOP\r", 512), Line::Incomplete);
        assert_eq!(next_line(b"NOOP\r", 5), Line::TooLong);
    }
}
