//! Archives out of mailboxes in one file (mbox, RFC 4155, in the form that quotes lines beginning with `From `).
//! Blocks.

use std::io::{self, BufRead, Write};

use jiff::civil::DateTime;
use sterna_base::Timestamp;
use sterna_formats::mail::text::sent_time;

use super::folder::append;
use super::manifest::{FORMAT, Folder, Manifest};
use super::{MAIL, MANIFEST};
use crate::limits::MESSAGE_BYTES_MAX;

/// What begins a message.
const FROM: &[u8] = b"From ";

/// The end of a header section that is looked through for flags.
const HEADER_LINES_MAX: usize = 2000;

/// Sends the messages of a file into one folder, whose path this is. Gives how many.
///
/// # Errors
/// When the file can't be read, has no message, or nobody takes what is sent.
pub fn send_mbox(source: impl BufRead, path: Vec<String>, sink: impl Write) -> io::Result<u64> {
    let folder = Folder { dir: MAIL.to_owned(), path, ..Folder::default() };
    let manifest = Manifest { format: FORMAT, folders: vec![folder], ..Manifest::default() };
    let mut tar = tar::Builder::new(sink);
    append(&mut tar, MANIFEST, &serde_json::to_vec(&manifest)?, 0)?;
    let (mut messages, mut count) = (Messages::new(source), 0);
    while let Some(message) = messages.next()? {
        count += 1;
        let name = format!("{MAIL}/cur/{count}.mbox:2,{}", message.flags());
        append(&mut tar, &name, &message.text, message.date().seconds())?;
    }
    if count == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no mbox: no line begins with “From ”"));
    }
    tar.into_inner()?.flush()?;
    Ok(count)
}

/// One message.
struct Message {
    /// The line before it.
    from: Vec<u8>,
    text: Vec<u8>,
}

impl Message {
    /// When it came: as the line before it says, else as it says itself.
    fn date(&self) -> Timestamp {
        from_date(&self.from)
            .or_else(|| self.field("date").and_then(|value| sent_time(value.as_bytes())))
            .unwrap_or(Timestamp(0))
    }

    /// The letters of a Maildir for what `Status` and `X-Status` say.
    fn flags(&self) -> String {
        let says = |name: &str, letter: char| self.field(name).is_some_and(|value| value.contains(letter));
        let mut flags = String::new();
        for (letter, name, here) in [
            ('T', "x-status", 'D'),
            ('F', "x-status", 'F'),
            ('A', "x-status", 'R'),
            ('R', "status", 'S'),
            ('D', "x-status", 'T'),
        ] {
            if says(name, letter) {
                flags.push(here);
            }
        }
        flags
    }

    /// The value of a header field, without folded lines.
    fn field(&self, name: &str) -> Option<String> {
        let lines = self.text.split(|byte| *byte == b'\n').take(HEADER_LINES_MAX);
        let head = lines.take_while(|line| !line.trim_ascii().is_empty());
        let mut values = head.filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let (found, value) = line.split_at_checked(colon)?;
            let is_it = found.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
            is_it.then(|| String::from_utf8_lossy(value.get(1..).unwrap_or_default()).trim().to_owned())
        });
        values.next()
    }
}

/// `From ana@example.org Sat Jan  3 01:05:34 1996`, perhaps with a zone that nobody agrees about.
fn from_date(line: &[u8]) -> Option<Timestamp> {
    let text = String::from_utf8_lossy(line);
    let words: Vec<&str> = text.split_whitespace().collect();
    for at in 1..words.len() {
        let Some([_, month, day, time, rest @ ..]) = words.get(at..) else { break };
        let year = rest.iter().find(|word| word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit()));
        let Some(year) = year else { continue };
        let seconds = if time.matches(':').count() == 1 { ":00" } else { "" };
        let parsed = DateTime::strptime("%b %d %H:%M:%S %Y", format!("{month} {day} {time}{seconds} {year}"));
        if let Ok(found) = parsed.and_then(|found| found.to_zoned(jiff::tz::TimeZone::UTC)) {
            return Some(Timestamp(found.timestamp().as_millisecond()));
        }
    }
    None
}

/// Reads message after message.
struct Messages<R> {
    source: R,
    /// The `From ` line of the next message, when it was read.
    next: Option<Vec<u8>>,
    is_begun: bool,
}

impl<R: BufRead> Messages<R> {
    fn new(source: R) -> Self {
        Messages { source, next: None, is_begun: false }
    }

    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        io::Read::take(&mut self.source, MESSAGE_BYTES_MAX).read_until(b'\n', &mut line)?;
        Ok((!line.is_empty()).then_some(line))
    }

    fn next(&mut self) -> io::Result<Option<Message>> {
        while !self.is_begun {
            match self.line()? {
                None => return Ok(None),
                Some(line) if line.starts_with(FROM) => (self.next, self.is_begun) = (Some(line), true),
                Some(line) if line.trim_ascii().is_empty() => {}
                Some(_) => return Ok(None),
            }
        }
        let Some(from) = self.next.take() else { return Ok(None) };
        let (mut text, mut was_empty) = (Vec::new(), false);
        while let Some(line) = self.line()? {
            // Some programs quote no line that begins so; what stands between messages has a date.
            if was_empty && line.starts_with(FROM) && from_date(&line).is_some() {
                self.next = Some(line);
                break;
            }
            was_empty = line.trim_ascii().is_empty();
            let quotes = line.iter().take_while(|byte| **byte == b'>').count();
            let is_quoted = quotes > 0 && line.get(quotes..).is_some_and(|rest| rest.starts_with(FROM));
            push(&mut text, line.get(usize::from(is_quoted)..).unwrap_or_default());
            if text.len() as u64 > MESSAGE_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
            }
        }
        // The empty line before the next one is not the message's.
        if was_empty {
            text.truncate(text.len().saturating_sub(2));
        }
        Ok(Some(Message { from, text }))
    }
}

/// Lines end with CRLF in mail (RFC 5322 section 2.1).
fn push(text: &mut Vec<u8>, line: &[u8]) {
    match line.strip_suffix(b"\n") {
        Some(line) => {
            text.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
            text.extend_from_slice(b"\r\n");
        }
        None => text.extend_from_slice(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_and_unquoted() {
        let mbox = "From ana@x Sat Jan  3 01:05:34 1996\nStatus: RO\nX-Status: AF\nSubject: one\n\n\
                    From here on\n>From there\n>>From far\n\n\
                    From ben@y Wed Feb 28 23:59 2024 +0100\nDate: Thu, 1 Jan 1970 00:00:10 +0000\n\nlast\n";
        let mut messages = Messages::new(mbox.as_bytes());
        let one = messages.next().unwrap().unwrap();
        assert_eq!(one.flags(), "FRS");
        assert_eq!(one.date(), Timestamp::from_seconds(820_631_134));
        assert!(one.text.ends_with(b"\r\n\r\nFrom here on\r\nFrom there\r\n>From far\r\n"), "{:?}", one.text);
        let last = messages.next().unwrap().unwrap();
        assert_eq!((last.flags().as_str(), last.date()), ("", Timestamp::from_seconds(1_709_164_740)));
        assert!(last.text.ends_with(b"\r\n\r\nlast\r\n"));
        assert!(messages.next().unwrap().is_none());
        let dated = Message { from: b"From nobody".to_vec(), text: last.text };
        assert_eq!(dated.date(), Timestamp::from_seconds(10));
    }

    #[test]
    fn what_is_no_mbox_is_refused() {
        for text in ["", "Subject: x\n\nFrom y\n", "\n\n"] {
            assert!(send_mbox(text.as_bytes(), vec!["INBOX".to_owned()], io::sink()).is_err(), "{text:?}");
        }
    }
}
