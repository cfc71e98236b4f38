//! SORT (RFC 5256 section 3), with DISPLAYFROM and DISPLAYTO (RFC 5957) and with results (ESORT, RFC 5267).
//!
//! What is compared comes from the rows and from the summaries that were stored with the messages: no message is read.

use std::collections::HashMap;
use std::sync::Arc;

use sterna_account::Item;
use sterna_base::Uid;
use sterna_formats::imap::base_subject::{base_subject, collation_key};
use sterna_formats::imap::command::{Sort, SortCriterion, SortKey};
use sterna_formats::mail::text::header_text;
use sterna_formats::mail::{Envelope, EnvelopeAddress};

use super::search::{self, Program};
use super::search_result;
use super::sorted;
use crate::imap::kept_sorts::OrderOf;
use crate::imap::order::{Key, Order};
use crate::imap::picture::Picked;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

/// What one criterion compares of a message.
enum Value {
    Number(i64),
    Text(String),
}

pub async fn run(session: &mut Session, sort: Sort) -> Outcome {
    let Sort { criteria, search } = sort;
    if let Some(refused) = search::refuse_charset(session, &search)? {
        return Ok(refused);
    }
    let (uid, returns, criteria): (_, _, Arc<[SortCriterion]>) = (search.uid, search.returns, criteria.into());
    let updates = returns.is_some_and(|returns| returns.update);
    let tag = session.tag.clone();
    if updates && session.selected()?.has_context(&tag) {
        return Ok(Reply::bad("A search of this tag is kept up to date already"));
    }
    let program = Program::new(session, search.keys)?;
    let found = program.find(session).await?;
    let by_relevancy = criteria.iter().any(|criterion| criterion.key == SortKey::Relevancy);
    if !updates && !by_relevancy {
        let found = kept_order(session, found, criteria).await?;
        let scores = search_result::scores(session, &program, returns, &found).await?;
        search_result::respond(session, "SORT", uid, returns, &found, scores, program.has_modseq)?;
        return Ok(Reply::ok("Done"));
    }
    let relevancy = if by_relevancy { program.relevancy(session, &found).await? } else { HashMap::new() };
    let sorted = order(session, &found, criteria.clone(), &relevancy).await?;
    let found: Vec<Picked> = sorted.iter().map(|(_, picked)| *picked).collect();
    let scores = search_result::scores(session, &program, returns, &found).await?;
    search_result::respond(session, "SORT", uid, returns, &found, scores, program.has_modseq)?;
    if updates && by_relevancy {
        // What a word is worth changes with every message that has it.
        session.refuse_context("Results that are sorted by relevancy are not kept up to date");
    } else if updates {
        match Order::new(&session.shared.context_memory, criteria, sorted) {
            Some(order) => session.keep_context(program, uid, search.update_items, &found, Some(order))?,
            None => session.refuse_context("The sorted results that are kept up to date are too long already"),
        }
    }
    Ok(Reply::ok("Done"))
}

/// The messages in the order of the criteria, by what is kept of the last time.
async fn kept_order(
    session: &mut Session,
    found: Vec<Picked>,
    criteria: Arc<[SortCriterion]>,
) -> Result<Vec<Picked>, Fail> {
    let selected = session.selected()?;
    let of: OrderOf = (selected.account.id(), selected.id, criteria.clone());
    let is_all = found.len() == selected.view.picture().count(selected.position) as usize;
    let Some(known) = session.shared.kept_sorts.get(&of, found.len()) else {
        let sorted = order(session, &found, criteria, &HashMap::new()).await?;
        return Ok(sorted.into_iter().map(|(_, picked)| picked).collect());
    };
    let missing = known.missing(&found);
    let _held = sorted::hold(session, missing.len() * criteria.len()).await?;
    let keys = keys(session, &missing, criteria, &HashMap::new()).await?;
    let has_news = !keys.is_empty();
    let sort = move || {
        let sorted = if has_news { Arc::new(known.with(keys, is_all.then_some(&found[..]))) } else { known };
        let picked = sorted.pick(&found);
        (sorted, picked)
    };
    let sorted = tokio::task::spawn_blocking(sort).await;
    let (sorted, picked) = sorted.map_err(|_| Reply::no("The messages can't be sorted").code("SERVERBUG"))?;
    if has_news {
        session.shared.kept_sorts.keep(of, sorted);
    }
    Ok(picked)
}

/// The messages in the order of the criteria; equal ones stay in the order of the mailbox.
async fn order(
    session: &mut Session,
    found: &[Picked],
    criteria: Arc<[SortCriterion]>,
    relevancy: &HashMap<Uid, u8>,
) -> Result<Vec<(Key, Picked)>, Fail> {
    let _held = sorted::hold(session, found.len() * criteria.len()).await?;
    let mut keys = keys(session, found, criteria, relevancy).await?;
    let sort = move || {
        keys.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        keys
    };
    let sorted = tokio::task::spawn_blocking(sort).await;
    sorted.map_err(|_| Reply::no("The messages can't be sorted").code("SERVERBUG").into())
}

/// What the criteria compare of these messages, as bytes to be compared. Those that were expunged meanwhile are left
/// out.
///
/// # Errors
/// When the account can't be read.
pub async fn keys(
    session: &mut Session,
    messages: &[Picked],
    criteria: Arc<[SortCriterion]>,
    relevancy: &HashMap<Uid, u8>,
) -> Result<Vec<(Key, Picked)>, Fail> {
    let is_narrow =
        |criterion: &SortCriterion| matches!(criterion.key, SortKey::Arrival | SortKey::Size | SortKey::Relevancy);
    let needs_envelope = !criteria.iter().all(is_narrow);
    let mut keys: Vec<(Key, Picked)> = Vec::with_capacity(messages.len());
    let mut key = Vec::new();
    sorted::each(session, messages, needs_envelope, |picked, item, envelope| {
        let score = relevancy.get(&picked.uid).copied().unwrap_or_default();
        key.clear();
        for criterion in criteria.iter() {
            push(&mut key, value(criterion.key, item, envelope, score), criterion.reverse);
        }
        key.extend_from_slice(&picked.uid.0.to_be_bytes());
        keys.push((Key::from(key.as_slice()), *picked));
    })
    .await?;
    Ok(keys)
}

/// Appends a value so that bytes compare as values do.
fn push(key: &mut Vec<u8>, value: Value, reverse: bool) {
    let start = key.len();
    match value {
        Value::Number(number) => key.extend_from_slice(&(number.cast_unsigned() ^ 1 << 63).to_be_bytes()),
        Value::Text(text) => {
            // 0 ends it, so that a text comes before those that go on after it.
            key.extend(text.bytes().map(|byte| byte.max(1)));
            key.push(0);
        }
    }
    if reverse {
        key[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

fn value(key: SortKey, item: &Item, envelope: &Envelope, score: u8) -> Value {
    match key {
        // The best first (RFC 6203 section 5).
        SortKey::Relevancy => Value::Number(-i64::from(score)),
        SortKey::Arrival => Value::Number(item.internal_date.0),
        SortKey::Size => Value::Number(item.size.cast_signed()),
        SortKey::Date => Value::Number(sorted::sent(item, envelope).0),
        SortKey::Subject => {
            let subject = envelope.subject.as_deref().unwrap_or_default();
            text(&base_subject(subject).text)
        }
        SortKey::From => mailbox(&envelope.from),
        SortKey::To => mailbox(&envelope.to),
        SortKey::Cc => mailbox(&envelope.cc),
        SortKey::DisplayFrom => display(&envelope.from),
        SortKey::DisplayTo => display(&envelope.to),
    }
}

fn text(text: &str) -> Value {
    Value::Text(collation_key(sorted::beginning(text)))
}

/// `addr-mailbox` of the first address.
fn mailbox(addresses: &[EnvelopeAddress]) -> Value {
    let mailbox = addresses.first().and_then(|address| address.mailbox.as_deref()).unwrap_or_default();
    text(&String::from_utf8_lossy(mailbox))
}

/// The display name of the first address, or the address itself.
fn display(addresses: &[EnvelopeAddress]) -> Value {
    let Some(first) = addresses.first() else { return text("") };
    let name = first.name.as_deref().map(header_text).filter(|name| !name.is_empty());
    let part = |part: &Option<Vec<u8>>| String::from_utf8_lossy(part.as_deref().unwrap_or_default()).into_owned();
    let shown = name.unwrap_or_else(|| match &first.host {
        Some(_) => format!("{}@{}", part(&first.mailbox), part(&first.host)),
        None => part(&first.mailbox),
    });
    text(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_compare_as_values_do() {
        let bytes = |value: Value, reverse| {
            let mut key = Vec::new();
            push(&mut key, value, reverse);
            key
        };
        let numbers = [i64::MIN, -5, -1, 0, 1, 256, i64::MAX];
        let texts = ["", "\0", "a", "a b", "aa", "b", "\u{e9}"];
        for reverse in [false, true] {
            for keys in [
                numbers.map(|number| bytes(Value::Number(number), reverse)),
                texts.map(|text| bytes(Value::Text(text.into()), reverse)),
            ] {
                let is_sorted = keys.is_sorted_by(|a, b| if reverse { a > b } else { a < b });
                assert!(is_sorted, "{keys:?}");
            }
        }
    }
}
