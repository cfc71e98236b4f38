//! What is asked of messages.

use sterna_base::Timestamp;
use sterna_formats::imap::date::parse_date_time;

use super::client::{Session, SourceError};
use super::value::Value;
use crate::target::message::Body;

/// A message, as far as it was asked for.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Its UID.
    pub uid: u32,
    /// Its flags, if they were told.
    pub flags: Option<Vec<Vec<u8>>>,
    /// Its internal date.
    pub date: Option<Timestamp>,
    /// Its length in bytes.
    pub size: u64,
    /// Itself.
    pub body: Option<Body>,
}

/// What a `FETCH` answer says; `None` for other answers, and for those without a UID.
pub fn read(values: Vec<Value>) -> Option<Fetched> {
    let mut values = values.into_iter().skip(1);
    if !values.next()?.is("FETCH") {
        return None;
    }
    let Value::List(pairs) = values.next()? else { return None };
    let (mut fetched, mut pairs) = (Fetched::default(), pairs.into_iter());
    while let (Some(name), Some(value)) = (pairs.next(), pairs.next()) {
        match name.text().to_ascii_uppercase().as_str() {
            "UID" => fetched.uid = u32::try_from(value.number()?).ok()?,
            "FLAGS" => {
                fetched.flags = Some(value.list().iter().filter_map(|flag| Some(flag.bytes()?.to_vec())).collect());
            }
            "INTERNALDATE" => fetched.date = parse_date_time(value.text()),
            "RFC822.SIZE" => fetched.size = value.number()?,
            "BODY[]" => {
                fetched.body = match value {
                    Value::Body(body) => Some(body),
                    Value::Text(bytes) => Some(Body::Memory(bytes)),
                    _ => None,
                }
            }
            _ => {}
        }
    }
    (fetched.uid > 0).then_some(fetched)
}

/// Asks about messages, one by one; and which are gone, where the answer says so (`VANISHED`, RFC 7162 section 3.2.10).
///
/// # Errors
/// [`SourceError`]; the same holds for the other functions.
pub async fn each(
    session: &mut Session,
    text: &str,
    mut take: impl FnMut(Fetched),
) -> Result<Vec<(u32, u32)>, SourceError> {
    let (tag, mut codes, mut gone) = (session.send(text).await?, Vec::new(), Vec::new());
    while let Some(values) = session.next(&tag, text, &mut codes).await? {
        if values.first().is_some_and(|word| word.is("VANISHED")) {
            gone.extend(ranges(values.last().map_or("", Value::text)));
        } else if let Some(fetched) = read(values) {
            take(fetched);
        }
    }
    Ok(gone)
}

/// UID and length of the messages from this one on, by UID.
pub async fn sizes(session: &mut Session, from: u32) -> Result<Vec<(u32, u64)>, SourceError> {
    let mut found = Vec::new();
    // The last message always answers, also when its UID is smaller.
    let take = |fetched: Fetched| {
        if fetched.uid >= from {
            found.push((fetched.uid, fetched.size))
        }
    };
    each(session, &format!("UID FETCH {from}:* (UID RFC822.SIZE)"), take).await?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Whole messages.
pub async fn bodies(session: &mut Session, uids: &[u32]) -> Result<Vec<Fetched>, SourceError> {
    let mut found = Vec::with_capacity(uids.len());
    let text = format!("UID FETCH {} (UID FLAGS INTERNALDATE BODY.PEEK[])", set(uids));
    each(session, &text, |fetched| {
        if fetched.body.is_some() {
            found.push(fetched);
        }
    })
    .await?;
    found.sort_by_key(|fetched| fetched.uid);
    found.dedup_by_key(|fetched| fetched.uid);
    Ok(found)
}

/// `sequence-set` of UIDs that rise.
pub fn set(uids: &[u32]) -> String {
    let (mut text, mut at) = (String::new(), 0);
    while at < uids.len() {
        let mut end = at;
        while end + 1 < uids.len() && uids[end + 1] == uids[end] + 1 {
            end += 1;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&uids[at].to_string());
        if end > at {
            text.push_str(&format!(":{}", uids[end]));
        }
        at = end + 1;
    }
    text
}

/// The ranges of a `sequence-set`; what is none is passed over.
pub fn ranges(text: &str) -> Vec<(u32, u32)> {
    let one = |part: &str| {
        let (low, high) = part.split_once(':').unwrap_or((part, part));
        let (low, high): (u32, u32) = (low.parse().ok()?, high.parse().ok()?);
        Some((low.min(high), low.max(high)))
    };
    text.split(',').filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_written_and_read() {
        assert_eq!(set(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
        assert_eq!(ranges("1:3,7,10:9,x,"), [(1, 3), (7, 7), (9, 10)]);
    }
}
