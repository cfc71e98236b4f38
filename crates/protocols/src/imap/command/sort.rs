//! SORT (RFC 5256 section 3), with DISPLAYFROM and DISPLAYTO (RFC 5957) and with results (ESORT, RFC 5267).
//!
//! What is compared comes from the rows and from the summaries that were stored with the messages: no message is read.

use std::cmp::Ordering;
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
use crate::imap::picture::Picked;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

/// What one criterion compares of a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(i64),
    Text(Box<str>),
}

pub async fn run(session: &mut Session, sort: Sort) -> Outcome {
    let Sort { criteria, search } = sort;
    if let Some(refused) = search::refuse_charset(session, &search)? {
        return Ok(refused);
    }
    let (uid, returns) = (search.uid, search.returns);
    let program = Program::new(session, search.keys)?;
    let found = program.find(session).await?;
    let by_relevancy = criteria.iter().any(|criterion| criterion.key == SortKey::Relevancy);
    let relevancy = if by_relevancy { program.relevancy(session, &found).await? } else { HashMap::new() };
    let found = order(session, found, criteria, &relevancy).await?;
    let scores = search_result::scores(session, &program, returns, &found).await?;
    search_result::respond(session, "SORT", uid, returns, &found, scores, program.has_modseq)?;
    if returns.is_some_and(|returns| returns.update) {
        // RFC 5267 section 4.3.1; CONTEXT=SORT is not announced.
        session.refuse_context("Sorted results are not kept up to date");
    }
    Ok(Reply::ok("Done"))
}

/// The messages in the order of the criteria; equal ones stay in the order of the mailbox.
async fn order(
    session: &mut Session,
    found: Vec<Picked>,
    criteria: Vec<SortCriterion>,
    relevancy: &HashMap<Uid, u8>,
) -> Result<Vec<Picked>, Fail> {
    let is_narrow =
        |criterion: &SortCriterion| matches!(criterion.key, SortKey::Arrival | SortKey::Size | SortKey::Relevancy);
    let needs_envelope = !criteria.iter().all(is_narrow);
    let _held = sorted::hold(session, found.len() * criteria.len()).await?;
    let criteria = Arc::new(criteria);
    let mut rows: Vec<(Vec<Value>, Picked)> = Vec::with_capacity(found.len());
    sorted::each(session, &found, needs_envelope, |picked, item, envelope| {
        let score = relevancy.get(&picked.uid).copied().unwrap_or_default();
        let values = criteria.iter().map(|criterion| value(criterion.key, item, envelope, score)).collect();
        rows.push((values, *picked));
    })
    .await?;
    let sort = move || {
        rows.sort_by(|(a, _), (b, _)| compare(&criteria, a, b));
        rows.into_iter().map(|(_, picked)| picked).collect()
    };
    let sorted = tokio::task::spawn_blocking(sort).await;
    sorted.map_err(|_| Reply::no("The messages can't be sorted").code("SERVERBUG").into())
}

fn compare(criteria: &[SortCriterion], a: &[Value], b: &[Value]) -> Ordering {
    let pairs = criteria.iter().zip(a.iter().zip(b));
    let orders = pairs.map(|(criterion, (a, b))| if criterion.reverse { b.cmp(a) } else { a.cmp(b) });
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
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
    Value::Text(collation_key(sorted::beginning(text)).into())
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
