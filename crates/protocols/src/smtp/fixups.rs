//! Fields that a submission server adds when the client left them out (RFC 6409 section 8): Date and Message-ID.
//! Nowhere else: a message that was on its way already is not ours to complete.

use sterna_base::{OperationId, Timestamp};
use sterna_formats::smtp::trace;

/// Longest header that is held back to look for the fields, in bytes. A longer one goes as it is.
const HEADER_BYTES_MAX: usize = 128 * 1024;

/// Holds the header back until its end.
#[derive(Default)]
pub(crate) struct Fixups {
    held: Vec<u8>,
}

impl Fixups {
    /// Takes content in. Gives all of it back once the header is complete, with what to put in front; then its work is
    /// done.
    pub fn push(&mut self, bytes: &[u8], id: OperationId, host: &str, now: Timestamp) -> Option<(String, Vec<u8>)> {
        // The end may begin in what was there before.
        let from = self.held.len().saturating_sub(3);
        self.held.extend_from_slice(bytes);
        let end = memchr::memmem::find(&self.held[from..], b"\r\n\r\n").is_some();
        if end || self.held.starts_with(b"\r\n") {
            return Some(self.finish(id, host, now));
        }
        (self.held.len() > HEADER_BYTES_MAX).then(|| (String::new(), std::mem::take(&mut self.held)))
    }

    /// At the end of the content: a message may be nothing but a header.
    pub fn finish(&mut self, id: OperationId, host: &str, now: Timestamp) -> (String, Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        let mut fields = String::new();
        if !has_field(&held, b"Date") {
            fields.push_str(&format!("Date: {}\r\n", trace::date(now)));
        }
        if !has_field(&held, b"Message-ID") {
            fields.push_str(&format!("Message-ID: <{id}@{host}>\r\n"));
        }
        (fields, held)
    }
}

/// Whether the header at the start of the content has the field.
fn has_field(content: &[u8], name: &[u8]) -> bool {
    let lines = content.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.take_while(|line| !line.is_empty()).any(|line| {
        line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            && line[name.len()..].iter().find(|b| !matches!(b, b' ' | b'\t')) == Some(&b':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(content: &str) -> String {
        let (mut fixups, id, now) = (Fixups::default(), OperationId([1; 16]), Timestamp(0));
        let mut result = String::new();
        let mut done = false;
        for byte in content.as_bytes() {
            if done {
                result.push(char::from(*byte));
            } else if let Some((fields, held)) = fixups.push(&[*byte], id, "h", now) {
                result = fields + std::str::from_utf8(&held).unwrap();
                done = true;
            }
        }
        if !done {
            let (fields, held) = fixups.finish(id, "h", now);
            result = fields + std::str::from_utf8(&held).unwrap();
        }
        result
    }

    #[test]
    fn only_what_is_missing() {
        let complete = "date : x\r\nMESSAGE-ID: <a@b>\r\n\r\nDate\r\n";
        assert_eq!(fixed(complete), complete);
        let id = format!("Message-ID: <{}@h>\r\n", OperationId([1; 16]));
        assert_eq!(fixed("Date: x\r\n\r\nMessage-ID: <a@b>\r\n"), format!("{id}Date: x\r\n\r\nMessage-ID: <a@b>\r\n"));
        let both = format!("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n{id}");
        assert_eq!(fixed("\r\nbody\r\n"), format!("{both}\r\nbody\r\n"));
        assert_eq!(fixed("Subject: x\r\n"), format!("{both}Subject: x\r\n"));
    }
}
