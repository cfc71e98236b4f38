//! THREAD (RFC 5256 section 3): ORDEREDSUBJECT and REFERENCES.

use std::sync::Arc;

use bytes::Bytes;
use sterna_formats::imap::base_subject::{BaseSubject, base_subject, collation_key};
use sterna_formats::imap::command::{Thread, ThreadAlgorithm};
use sterna_formats::imap::thread::{MessageIds, REFERENCES_MAX, Threadable};
use sterna_formats::mail::Envelope;

use super::search::{self, Program};
use super::sorted;
use crate::imap::kept_threads::{ThreadsOf, write_sequences};
use crate::imap::picture::Picked;
use crate::imap::reply::{Fail, Outcome, Reply};
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
    let threads = threads(session, &found, algorithm).await?;
    let out = &mut session.io.output;
    out.extend_from_slice(b"* THREAD");
    if !found.is_empty() {
        out.extend_from_slice(b" ");
    }
    if uid {
        out.extend_from_slice(&threads);
    } else {
        write_sequences(&threads, &found, out);
    }
    out.extend_from_slice(b"\r\n");
    Ok(Reply::ok("Done"))
}

/// The threads of these messages, with UIDs, by what is kept of the last time.
async fn threads(session: &mut Session, found: &[Picked], algorithm: ThreadAlgorithm) -> Result<Bytes, Fail> {
    let selected = session.selected()?;
    let of: ThreadsOf = (selected.account.id(), selected.id, algorithm);
    let known = session.shared.kept_threads.get(&of);
    if let Some(answer) = known.answer(found) {
        return Ok(answer);
    }
    let missing = known.missing(found);
    let _held = sorted::hold(session, found.len() * VALUES).await?;
    let mut messages: Vec<Threadable> = Vec::with_capacity(missing.len());
    sorted::each(session, &missing, true, |picked, item, envelope| {
        let BaseSubject { text, is_reply_or_forward } = base_subject(envelope.subject.as_deref().unwrap_or_default());
        let subject = BaseSubject { text: collation_key(sorted::beginning(&text)), is_reply_or_forward };
        let (message_id, references) = match algorithm {
            ThreadAlgorithm::References => (message_id(&known.ids, envelope), references(&known.ids, envelope)),
            ThreadAlgorithm::OrderedSubject => (None, Vec::new()),
        };
        let (number, sent) = (picked.uid.0, sorted::sent(item, envelope));
        messages.push(Threadable { number, subject, sent, message_id, references });
    })
    .await?;
    let found = found.to_vec();
    let grow = move || {
        let threads = known.with(messages, &found, algorithm);
        (threads.answer(&found).unwrap_or_default(), threads)
    };
    let grown = tokio::task::spawn_blocking(grow).await;
    let (answer, threads) = grown.map_err(|_| Reply::no("The threads can't be made").code("SERVERBUG"))?;
    session.shared.kept_threads.keep(of, Arc::new(threads));
    Ok(answer)
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
