//! Sections of messages (RFC 9051 section 6.4.5.1): which bytes they are, and sending them.

use std::collections::HashSet;
use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use sterna_account::{Account, Item};
use sterna_formats::imap::command::{SectionFetch, SectionForm, SectionText};
use sterna_formats::imap::write::{self, number};
use sterna_formats::mail::{Field, Part, PartBody, Summary, fields};

use super::binary;
use crate::imap::limits::{DECODED_AT_ONCE_BYTES, HEADER_BYTES_MAX};
use crate::imap::reply::{Fail, Reply};
use crate::imap::session::Session;
pub use crate::message::{envelope, read, read_all, summary};

/// Writes one section as `BODY[..] {n} ..`; large ones go out while they are read.
pub async fn send(session: &mut Session, item: &Item, summary: &Summary, fetch: &SectionFetch) -> Result<(), Fail> {
    let account = session.selected_account()?;
    label(fetch, &mut session.io.output);
    if fetch.form == SectionForm::Binary {
        return binary::send(session, item, summary, fetch).await;
    }
    match extent(account.as_ref(), item, summary, fetch).await? {
        Some(Extent::Range(range)) => stream(session, account.as_ref(), item, range).await,
        Some(Extent::Bytes(bytes)) => {
            session.io.output.put_u8(b' ');
            literal(&bytes, &mut session.io.output);
            Ok(())
        }
        None => nil(session),
    }
}

/// The bytes of a section.
pub enum Extent {
    /// Where they stand in the message.
    Range(Range<u64>),
    /// They don't stand there in one piece.
    Bytes(Bytes),
}

/// Which bytes a section is; `None` when the message has no such section.
pub async fn extent(
    account: &dyn Account,
    item: &Item,
    summary: &Summary,
    fetch: &SectionFetch,
) -> Result<Option<Extent>, Fail> {
    let Some(part) = summary.section(&fetch.part) else { return Ok(None) };
    let SectionText::HeaderFields { names, not } = &fetch.text else {
        let range = range(part, &fetch.text, &fetch.part, summary);
        return Ok(range.map(|range| Extent::Range(cut(range, fetch.partial))));
    };
    let Some(inner) = header_owner(part, &fetch.part, summary) else { return Ok(None) };
    let whole = cut(inner.header_start..inner.body_start, Some((0, HEADER_BYTES_MAX)));
    let header = read_all(account, item, whole).await?;
    let names = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let kept = Bytes::from(select_fields(header, names, *not).await?);
    let cut = cut(0..kept.len() as u64, fetch.partial);
    Ok(Some(Extent::Bytes(kept.slice(cut.start as usize..cut.end as usize))))
}

fn nil(session: &mut Session) -> Result<(), Fail> {
    session.io.output.extend_from_slice(b" NIL");
    Ok(())
}

/// A message with NUL in it can't be a literal of RFC 3501; clients get the bytes all the same, as from every server.
fn literal(bytes: &[u8], out: &mut Vec<u8>) {
    write::literal_header(bytes.len() as u64, false, out);
    out.extend_from_slice(bytes);
}

async fn stream(session: &mut Session, account: &dyn Account, item: &Item, range: Range<u64>) -> Result<(), Fail> {
    // The first piece before the announcement: an error then still is an answer and not a broken literal.
    let mut piece = if range.is_empty() { Bytes::new() } else { read(account, item, range.clone()).await? };
    session.io.output.put_u8(b' ');
    write::literal_header(range.end - range.start, false, &mut session.io.output);
    let mut offset = range.start;
    loop {
        session.io.output.extend_from_slice(&piece);
        offset += piece.len() as u64;
        session.io.flush_if_full().await?;
        if offset >= range.end {
            return Ok(());
        }
        piece = match read(account, item, offset..range.end).await {
            Ok(piece) => piece,
            Err(error) => {
                tracing::warn!(account = %account.id(), blob = %item.blob, %error, "a message broke off while it was sent");
                return Err(crate::io::Disconnect::Hopeless("The message can't be read to its end").into());
            }
        };
    }
}

/// The bytes that a section is.
fn range(part: &Part, text: &SectionText, numbers: &[u32], summary: &Summary) -> Option<Range<u64>> {
    match text {
        SectionText::All => Some(content(part, numbers, summary)),
        SectionText::Mime => Some(part.header_start..part.body_start),
        SectionText::Header => header_owner(part, numbers, summary).map(|inner| inner.header_start..inner.body_start),
        SectionText::Text => header_owner(part, numbers, summary).map(|inner| inner.body_start..inner.end),
        SectionText::HeaderFields { .. } => None,
    }
}

/// The bytes of a part without its header, or of the message when no part is named.
pub fn content(part: &Part, numbers: &[u32], summary: &Summary) -> Range<u64> {
    if numbers.is_empty() { 0..summary.size } else { part.body_start..part.end }
}

/// HEADER and TEXT are of the message itself, or of the message inside a part.
fn header_owner<'a>(part: &'a Part, numbers: &[u32], summary: &'a Summary) -> Option<&'a Part> {
    match &part.body {
        _ if numbers.is_empty() => Some(&summary.root),
        PartBody::Message(inner) => Some(&inner.1),
        _ => None,
    }
}

/// The part of a range that a client asked for. Never turned around: a stored summary that is damaged may say that
/// something ends before it begins.
pub fn cut(range: Range<u64>, partial: Option<(u64, u64)>) -> Range<u64> {
    let (offset, length) = partial.unwrap_or((0, u64::MAX));
    let start = range.start.saturating_add(offset).min(range.end);
    start..start.saturating_add(length).min(range.end)
}

/// The fields of these names, or all others; a long header is taken apart on a blocking thread.
async fn select_fields(header: BytesMut, names: HashSet<Vec<u8>>, not: bool) -> Result<Vec<u8>, Fail> {
    let at_once = header.len() <= DECODED_AT_ONCE_BYTES;
    let select = move || {
        let named = |field: &Field<'_>| names.contains(&field.name.to_ascii_lowercase()) != not;
        let mut kept: Vec<u8> = fields(&header).filter(named).flat_map(|field| field.raw).copied().collect();
        kept.extend_from_slice(b"\r\n");
        kept
    };
    if at_once {
        return Ok(select());
    }
    let selected = tokio::task::spawn_blocking(select).await;
    selected.map_err(|_| Reply::no("The header can't be read").code("SERVERBUG").into())
}

/// The name of the data item in the response.
fn label(fetch: &SectionFetch, out: &mut Vec<u8>) {
    let name: &[u8] = match fetch.form {
        SectionForm::Rfc822 => return out.extend_from_slice(b"RFC822"),
        SectionForm::Rfc822Header => return out.extend_from_slice(b"RFC822.HEADER"),
        SectionForm::Rfc822Text => return out.extend_from_slice(b"RFC822.TEXT"),
        SectionForm::Body => b"BODY[",
        SectionForm::Binary => b"BINARY[",
    };
    out.extend_from_slice(name);
    for (at, part) in fetch.part.iter().enumerate() {
        if at > 0 {
            out.put_u8(b'.');
        }
        number(u64::from(*part), out);
    }
    let text: &[u8] = match &fetch.text {
        SectionText::All => b"",
        SectionText::Header => b"HEADER",
        SectionText::Text => b"TEXT",
        SectionText::Mime => b"MIME",
        SectionText::HeaderFields { not: false, .. } => b"HEADER.FIELDS ",
        SectionText::HeaderFields { not: true, .. } => b"HEADER.FIELDS.NOT ",
    };
    if !text.is_empty() && !fetch.part.is_empty() {
        out.put_u8(b'.');
    }
    out.extend_from_slice(text);
    if let SectionText::HeaderFields { names, .. } = &fetch.text {
        write::list(names, out, |name, out| {
            let atom = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
            if atom { out.extend_from_slice(name) } else { write::string(name, false, out) }
        });
    }
    out.put_u8(b']');
    if let Some((offset, _)) = fetch.partial {
        out.put_u8(b'<');
        number(offset, out);
        out.put_u8(b'>');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_off_lies_inside_and_never_backwards() {
        for (range, partial, expected) in [
            (10..20, None, 10..20),
            (10..20, Some((0, 5)), 10..15),
            (10..20, Some((5, 100)), 15..20),
            (10..20, Some((10, 1)), 20..20),
            (10..20, Some((u64::MAX, u64::MAX)), 20..20),
            (Range { start: 20, end: 10 }, None, 10..10),
            (Range { start: 20, end: 10 }, Some((3, 4)), 10..10),
        ] {
            assert_eq!(cut(range.clone(), partial), expected, "{range:?} {partial:?}");
        }
    }
}
