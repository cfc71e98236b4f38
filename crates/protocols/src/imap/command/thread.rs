//! THREAD (RFC 5256 section 3): ORDEREDSUBJECT and REFERENCES.

use sterna_formats::imap::base_subject::{BaseSubject, base_subject, collation_key};
use sterna_formats::imap::command::{Thread, ThreadAlgorithm};
use sterna_formats::imap::thread::{self, MessageIds, REFERENCES_MAX, Threadable};
use sterna_formats::mail::Envelope;

use super::search::{self, Program};
use super::sorted;
use crate::imap::reply::{Outcome, Reply};
use crate::imap::session::Session;

/// Values that a message in a thread takes the place of, for the bounds on memory.
const VALUES: usize = 4;

pub async fn run(session: &mut Session, command: Thread) -> Outcome {
    let Thread { algorithm, search } = command;
    if let Some(refused) = search::refuse_charset(session, &search)? {
        return Ok(refused);
    }
    let uid = search.uid;
    let found = Program::new(session, search.keys)?.find(session).await?;
    let _held = sorted::hold(session, found.len() * VALUES).await?;
    let ids = MessageIds::default();
    let mut messages: Vec<Threadable> = Vec::with_capacity(found.len());
    sorted::each(session, &found, true, |picked, item, envelope| {
        let BaseSubject { text, is_reply_or_forward } = base_subject(envelope.subject.as_deref().unwrap_or_default());
        let subject = BaseSubject { text: collation_key(sorted::beginning(&text)), is_reply_or_forward };
        let (message_id, references) = match algorithm {
            ThreadAlgorithm::References => (message_id(&ids, envelope), references(&ids, envelope)),
            ThreadAlgorithm::OrderedSubject => (None, Vec::new()),
        };
        let number = if uid { picked.uid.0 } else { picked.sequence };
        messages.push(Threadable { number, subject, sent: sorted::sent(item, envelope), message_id, references });
    })
    .await?;
    let grow = move || {
        let forest = match algorithm {
            ThreadAlgorithm::OrderedSubject => thread::ordered_subject(&messages),
            ThreadAlgorithm::References => thread::references(&messages),
        };
        let mut line = bytes::BytesMut::from(&b"* THREAD"[..]);
        if !messages.is_empty() {
            line.extend_from_slice(b" ");
        }
        forest.write(&mut line);
        line.extend_from_slice(b"\r\n");
        line
    };
    let line = tokio::task::spawn_blocking(grow).await;
    let line = line.map_err(|_| Reply::no("The threads can't be made").code("SERVERBUG"))?;
    session.io.output.extend_from_slice(&line);
    Ok(Reply::ok("Done"))
}

fn message_id(ids: &MessageIds, envelope: &Envelope) -> Option<u64> {
    envelope.message_id.as_deref().and_then(|value| ids.of(value).first().copied())
}

/// Those of References, the last ones when there are very many; without any the first one of In-Reply-To.
fn references(ids: &MessageIds, envelope: &Envelope) -> Vec<u64> {
    let mut found = envelope.references.as_deref().map(|value| ids.of(value)).unwrap_or_default();
    if found.is_empty() {
        found = envelope.in_reply_to.as_deref().map(|value| ids.of(value)).unwrap_or_default();
        found.truncate(1);
    }
    found.drain(..found.len().saturating_sub(REFERENCES_MAX));
    found.shrink_to_fit();
    found
}
