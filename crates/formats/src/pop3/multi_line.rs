//! A message as RETR and TOP send it (RFC 1939 section 3): lines that end with CRLF, those that begin with a dot with
//! one more in front, and a line with a dot behind the last.
//!
//! A message that came by IMAP's APPEND or as BINARYMIME may have bare line feeds. They are sent as CRLF: a client that
//! takes them for line ends would otherwise take a lone dot between two of them for the end, and what follows for the
//! server's answers. [`crate::mail::Summary::crlf_size`] is the length that comes of it.

use bytes::BufMut;

/// Takes the message in pieces of any length.
#[derive(Debug)]
pub struct MultiLine {
    /// Bytes of the line so far.
    line_bytes: u64,
    /// Whether the last of them is a carriage return.
    after_return: bool,
    /// The empty line after the header has not come yet.
    in_header: bool,
    /// Lines of the body that are still to be sent.
    lines_left: u64,
    done: bool,
}

impl MultiLine {
    /// All of a message: `RETR`.
    pub fn whole() -> Self {
        MultiLine::top(u64::MAX)
    }

    /// Its header and so many lines of its body: `TOP`.
    pub fn top(lines: u64) -> Self {
        MultiLine { line_bytes: 0, after_return: false, in_header: true, lines_left: lines, done: false }
    }

    /// Writes the next bytes; whether more of them are wanted.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> bool {
        out.reserve(bytes.len());
        while !self.done && !bytes.is_empty() {
            let end = memchr::memchr(b'\n', bytes);
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line_bytes == 0 && piece.first() == Some(&b'.') {
                out.put_u8(b'.');
            }
            out.extend_from_slice(piece);
            self.line_bytes += piece.len() as u64;
            if let Some(last) = piece.last() {
                self.after_return = *last == b'\r';
            }
            if end.is_none() {
                break;
            }
            self.line_end(out);
            bytes = &rest[1..];
        }
        !self.done
    }

    /// Writes what comes behind the last byte.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if self.line_bytes > 0 {
            // Not even a carriage return at the very end is the half of one.
            self.after_return = false;
            self.line_end(out);
        }
        out.extend_from_slice(b".\r\n");
    }

    fn line_end(&mut self, out: &mut Vec<u8>) {
        let has_return = self.line_bytes > 0 && self.after_return;
        out.extend_from_slice(if has_return { b"\n" } else { b"\r\n" });
        let is_empty = self.line_bytes == u64::from(has_return);
        if !self.in_header {
            self.lines_left -= 1;
        }
        self.in_header &= !is_empty;
        self.done = !self.in_header && self.lines_left == 0;
        self.line_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(mut lines: MultiLine, message: &[u8], chunk: usize) -> String {
        let mut out = Vec::new();
        for piece in message.chunks(chunk) {
            if !lines.push(piece, &mut out) {
                break;
            }
        }
        lines.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn every_line_ends_with_crlf_and_no_dot_stands_alone() {
        for (message, expected) in [
            ("", ".\r\n"),
            ("\r\n", "\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("a\r", "a\r\r\n.\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            (".\r\n..\r\n.a", "..\r\n...\r\n..a\r\n.\r\n"),
            ("a\n.\n+OK\n", "a\r\n..\r\n+OK\r\n.\r\n"),
            ("\n\r\n\r\r\n", "\r\n\r\n\r\r\n.\r\n"),
            ("a\r.\r\n", "a\r.\r\n.\r\n"),
        ] {
            for chunk in 1..=message.len().max(1) {
                assert_eq!(sent(MultiLine::whole(), message.as_bytes(), chunk), expected, "{message:?} by {chunk}");
            }
        }
    }

    #[test]
    fn the_top_is_the_header_and_some_lines() {
        let message = "A: b\r\n.c\r\n\r\none\r\n\r\n.three\r\nfour";
        for (lines, expected) in [
            (0, "A: b\r\n..c\r\n\r\n.\r\n"),
            (1, "A: b\r\n..c\r\n\r\none\r\n.\r\n"),
            (3, "A: b\r\n..c\r\n\r\none\r\n\r\n..three\r\n.\r\n"),
            (4, "A: b\r\n..c\r\n\r\none\r\n\r\n..three\r\nfour\r\n.\r\n"),
            (u64::MAX, "A: b\r\n..c\r\n\r\none\r\n\r\n..three\r\nfour\r\n.\r\n"),
        ] {
            for message in [message.to_owned(), message.replace("\r\n", "\n")] {
                for chunk in 1..=message.len() {
                    assert_eq!(sent(MultiLine::top(lines), message.as_bytes(), chunk), expected, "{lines} by {chunk}");
                }
            }
        }
        assert_eq!(sent(MultiLine::top(0), b"A: b\r\n", 3), "A: b\r\n.\r\n");
    }
}
