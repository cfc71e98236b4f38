//! BINARY and BINARY.SIZE (RFC 3516, RFC 9051 section 6.4.5): contents without their transfer encoding.
//!
//! A literal is announced with its length, so a large part is decoded twice: once to count, once to send. What is held
//! is one chunk, whatever the size of the part.

use std::ops::Range;

use bytes::{BufMut, Bytes};
use sterna_account::{Account, Item};
use sterna_formats::imap::command::{FetchItem, SectionFetch, SectionForm};
use sterna_formats::imap::write;
use sterna_formats::mail::transfer::{Base64Decoder, quoted_printable};
use sterna_formats::mail::{Part, Summary};

use super::section;
use crate::imap::limits::DECODED_AT_ONCE_BYTES;
use crate::imap::reply::{Fail, Reply};
use crate::imap::session::Session;
use crate::io::Disconnect;

/// A transfer encoding that can be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Base64,
    QuotedPrintable,
}

impl Encoding {
    /// Of the content of a part; `None` when nobody here knows it.
    fn of(part: &Part, numbers: &[u32]) -> Option<Self> {
        if numbers.is_empty() {
            return Some(Encoding::Identity);
        }
        let encoding = part.encoding.as_deref().unwrap_or(b"7bit").to_ascii_lowercase();
        match encoding.as_slice() {
            b"7bit" | b"8bit" | b"binary" => Some(Encoding::Identity),
            b"base64" => Some(Encoding::Base64),
            b"quoted-printable" => Some(Encoding::QuotedPrintable),
            _ => None,
        }
    }
}

/// Undoes an encoding piece by piece.
struct Decoder {
    encoding: Encoding,
    base64: Base64Decoder,
    /// The beginning of something quoted that the next piece completes.
    held: Vec<u8>,
}

impl Decoder {
    fn new(encoding: Encoding) -> Self {
        Decoder { encoding, base64: Base64Decoder::default(), held: Vec::new() }
    }

    fn push(&mut self, piece: &[u8], last: bool) -> Vec<u8> {
        match self.encoding {
            Encoding::Identity => piece.to_vec(),
            Encoding::Base64 => self.base64.push(piece),
            Encoding::QuotedPrintable => self.quoted_printable(piece, last),
        }
    }

    fn quoted_printable(&mut self, piece: &[u8], last: bool) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        // An equals sign needs the two bytes behind it.
        let tail = self.held.len().saturating_sub(2);
        let open = self.held[tail..].iter().position(|byte| *byte == b'=').filter(|_| !last);
        let take = open.map_or(self.held.len(), |at| tail + at);
        let decoded = quoted_printable(&self.held[..take]);
        self.held.drain(..take);
        decoded
    }
}

/// Reads a part and undoes its encoding.
struct Decoding<'a> {
    account: &'a dyn Account,
    item: &'a Item,
    range: Range<u64>,
    /// `None` after the end.
    decoder: Option<Decoder>,
}

impl<'a> Decoding<'a> {
    fn new(account: &'a dyn Account, item: &'a Item, range: Range<u64>, encoding: Encoding) -> Self {
        Decoding { account, item, range, decoder: Some(Decoder::new(encoding)) }
    }

    /// The next piece, which may be empty; `None` at the end.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Fail> {
        let Some(mut decoder) = self.decoder.take() else { return Ok(None) };
        let piece = if self.range.is_empty() {
            Bytes::new()
        } else {
            section::read(self.account, self.item, self.range.clone()).await?
        };
        self.range.start += piece.len() as u64;
        let last = self.range.is_empty();
        let decoded = if piece.len() <= DECODED_AT_ONCE_BYTES || decoder.encoding == Encoding::Identity {
            decoder.push(&piece, last)
        } else {
            let decode = move || {
                let decoded = decoder.push(&piece, last);
                (decoder, decoded)
            };
            let decoded = tokio::task::spawn_blocking(decode).await;
            let broken = |_| Fail::Reply(Reply::no("The part can't be decoded").code("SERVERBUG"));
            let decoded = decoded.map_err(broken)?;
            decoder = decoded.0;
            decoded.1
        };
        self.decoder = Some(decoder).filter(|_| !last);
        Ok(Some(decoded))
    }
}

/// Writes the value of BINARY[..]: its content as a literal, or NIL when there is no such part.
pub async fn send(session: &mut Session, item: &Item, summary: &Summary, fetch: &SectionFetch) -> Result<(), Fail> {
    let account = session.selected_account()?;
    let found = summary.section(&fetch.part).and_then(|part| Some((part, Encoding::of(part, &fetch.part)?)));
    let Some((part, encoding)) = found else {
        session.io.output.extend_from_slice(b" NIL");
        return Ok(());
    };
    let range = section::cut(section::content(part, &fetch.part, summary), None);
    let (mut length, mut has_nul, mut pieces, mut kept) = (0, false, 0, Vec::new());
    let mut counting = Decoding::new(account.as_ref(), item, range.clone(), encoding);
    while let Some(piece) = counting.next().await? {
        length += piece.len() as u64;
        has_nul |= memchr::memchr(0, &piece).is_some();
        pieces += 1;
        kept = piece;
    }
    let cut = section::cut(0..length, fetch.partial);
    session.io.output.put_u8(b' ');
    write::literal_header(cut.end - cut.start, has_nul, &mut session.io.output);
    if pieces == 1 {
        session.io.output.extend_from_slice(&kept[cut.start as usize..cut.end as usize]);
        return Ok(());
    }
    let mut sending = Decoding::new(account.as_ref(), item, range, encoding);
    let mut offset = 0;
    while offset < cut.end {
        let Ok(Some(piece)) = sending.next().await else {
            tracing::error!(account = %account.id(), blob = %item.blob, "a part broke off while it was sent");
            return Err(Disconnect::Hopeless("The message can't be read to its end").into());
        };
        let (start, end) = (cut.start.saturating_sub(offset), (cut.end - offset).min(piece.len() as u64));
        session.io.output.extend_from_slice(piece.get(start as usize..end as usize).unwrap_or_default());
        offset += piece.len() as u64;
        session.io.flush_if_full().await?;
    }
    Ok(())
}

/// Bytes of a decoded part, for BINARY.SIZE; zero when there is no such part.
pub async fn size(account: &dyn Account, item: &Item, summary: &Summary, numbers: &[u32]) -> Result<u64, Fail> {
    let found = summary.section(numbers).and_then(|part| Some((part, Encoding::of(part, numbers)?)));
    let Some((part, encoding)) = found else { return Ok(0) };
    let range = section::cut(section::content(part, numbers, summary), None);
    if encoding == Encoding::Identity {
        return Ok(range.end - range.start);
    }
    let mut decoding = Decoding::new(account, item, range, encoding);
    let mut length = 0;
    while let Some(piece) = decoding.next().await? {
        length += piece.len() as u64;
    }
    Ok(length)
}

/// Whether this item asks for the content of a part whose transfer encoding nobody here knows.
pub fn is_undecodable(item: &FetchItem, summary: &Summary) -> bool {
    let numbers = match item {
        FetchItem::BinarySize(numbers) => numbers,
        FetchItem::Section(SectionFetch { form: SectionForm::Binary, part, .. }) => part,
        _ => return false,
    };
    summary.section(numbers).is_some_and(|part| Encoding::of(part, numbers).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: Encoding, text: &[u8], piece: usize) -> Vec<u8> {
        let mut decoder = Decoder::new(encoding);
        let mut out: Vec<u8> = text.chunks(piece).flat_map(|piece| decoder.push(piece, false)).collect();
        out.extend(decoder.push(b"", true));
        out
    }

    #[test]
    fn contents_are_the_same_in_whatever_pieces_they_come() {
        use Encoding::{Base64, Identity, QuotedPrintable};
        for (encoding, text, expected) in [
            (Base64, &b"aGVs\r\nbG8g d29y\r\nbGQ=\r\n"[..], &b"hello world"[..]),
            (Base64, b"aGVsbG8", b"hello"),
            (Base64, b"aGVsbG8=IQ==", b"hello!"),
            (Base64, b"aGVsb", b"hel"),
            (Base64, b"", b""),
            (QuotedPrintable, b"a=3Db=\r\nc=\nd==41=zz=", b"a=bcd=A=zz="),
            (Identity, b"a=3D\r\n", b"a=3D\r\n"),
        ] {
            for piece in 1..=text.len().max(1) {
                let got = decoded(encoding, text, piece);
                assert_eq!(got.escape_ascii().to_string(), expected.escape_ascii().to_string(), "in pieces of {piece}");
            }
        }
    }
}
