//! The content after DATA as a client sends it (RFC 5321 sections 4.1.1.4 and 4.5.2).

/// Doubles the dots at the beginnings of lines, and makes every line end with CRLF: a bare CR or LF would be taken for
/// the end of a line by some servers and not by others, which is how messages are smuggled.
#[derive(Debug)]
pub struct DotStuffer {
    /// The last two bytes were CRLF, or nothing was sent yet.
    at_line_start: bool,
    /// The last byte was a CR that is not written yet.
    after_cr: bool,
}

impl Default for DotStuffer {
    fn default() -> Self {
        DotStuffer { at_line_start: true, after_cr: false }
    }
}

impl DotStuffer {
    /// Appends the wire form of the next bytes.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.after_cr {
                self.after_cr = false;
                self.end_line(out);
                if bytes[0] == b'\n' {
                    bytes = &bytes[1..];
                    continue;
                }
            }
            if self.at_line_start && bytes[0] == b'.' {
                out.push(b'.');
            }
            let length = memchr::memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
            out.extend_from_slice(&bytes[..length]);
            self.at_line_start &= length == 0;
            match bytes.get(length) {
                Some(b'\r') => self.after_cr = true,
                Some(_) => self.end_line(out),
                None => return,
            }
            bytes = &bytes[length + 1..];
        }
    }

    /// Appends what ends the content.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if self.after_cr || !self.at_line_start {
            self.end_line(out);
        }
        out.extend_from_slice(b".\r\n");
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        self.at_line_start = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuffed(content: &[u8], step: usize) -> String {
        let (mut stuffer, mut out) = (DotStuffer::default(), Vec::new());
        content.chunks(step).for_each(|chunk| stuffer.push(chunk, &mut out));
        stuffer.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dots_are_doubled_and_lines_end_with_crlf() {
        for (content, wire) in [
            ("a\r\nb\r\n", "a\r\nb\r\n.\r\n"),
            (".\r\n..a\r\n", "..\r\n...a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("", ".\r\n"),
            ("a\n.\nb\r.\r\r\n", "a\r\n..\r\nb\r\n..\r\n\r\n.\r\n"),
            ("a\r", "a\r\n.\r\n"),
            ("a.b\r\n", "a.b\r\n.\r\n"),
        ] {
            for step in 1..5 {
                assert_eq!(stuffed(content.as_bytes(), step), wire, "{content:?} in steps of {step}");
            }
        }
    }

    /// What we send is what our own receiver reads, whatever the message has in it.
    #[test]
    fn the_receiver_gets_what_was_sent() {
        let content = b"first\r\n.hidden\r\n..two\r\nlast\r\n";
        let wire = stuffed(content, 3);
        let mut read = Vec::new();
        let progress = crate::smtp::DataReceiver::new().feed(wire.as_bytes(), |bytes| read.extend_from_slice(bytes));
        assert!(progress.done);
        assert_eq!(read, content);
    }
}
