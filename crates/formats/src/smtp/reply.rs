//! Replies (RFC 5321 section 4.2, RFC 2034, RFC 3463).

use std::borrow::Cow;

/// Longest reply line, in bytes with its CRLF (RFC 5321 section 4.5.3.1.5).
pub const REPLY_LINE_BYTES_MAX: usize = 512;

/// One reply of one or more lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<(u8, u16, u16)>,
    lines: Vec<Cow<'static, str>>,
}

impl Reply {
    /// A reply with an enhanced status code.
    pub fn new(code: u16, enhanced: (u8, u16, u16), text: impl Into<Cow<'static, str>>) -> Self {
        Reply { code, enhanced: Some(enhanced), lines: vec![text.into()] }
    }

    /// A reply without one: the greeting, EHLO, and the intermediate replies 334 and 354 have none (RFC 2034 section
    /// 4).
    pub fn plain(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Reply { code, enhanced: None, lines: vec![text.into()] }
    }

    /// One more line.
    pub fn line(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.lines.push(text.into());
        self
    }

    /// The reply code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// 2xx or 3xx.
    pub fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// All text in one line, for the log.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// Writes the reply. Whatever the text has in it, the reply stays the lines that it is: control characters become
    /// spaces, and a line is cut to [`REPLY_LINE_BYTES_MAX`].
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for (n, line) in self.lines.iter().enumerate() {
            let start = out.len();
            out.extend_from_slice(self.code.to_string().as_bytes());
            out.push(if n + 1 == self.lines.len() { b' ' } else { b'-' });
            if let Some((class, subject, detail)) = self.enhanced {
                out.extend_from_slice(format!("{class}.{subject}.{detail} ").as_bytes());
            }
            for c in line.chars() {
                let c = if c.is_control() { ' ' } else { c };
                if out.len() - start + c.len_utf8() + 2 > REPLY_LINE_BYTES_MAX {
                    break;
                }
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_line_has_its_code() {
        let reply = Reply::new(214, (2, 0, 0), "one").line("two");
        assert_eq!(written(&reply), "214-2.0.0 one\r\n214 2.0.0 two\r\n");
        assert_eq!(written(&Reply::plain(354, "go")), "354 go\r\n");
    }

    #[test]
    fn text_can_not_make_lines() {
        assert_eq!(written(&Reply::plain(550, "a\r\n250 ok")), "550 a  250 ok\r\n");
        assert_eq!(written(&Reply::plain(550, "ä".repeat(400))).len(), REPLY_LINE_BYTES_MAX);
    }
}
