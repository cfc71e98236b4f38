//! "Where is my mail?": what this edge remembers of every message it took, sent or refused.
//!
//! Writing it down never makes mail wait: events go to a thread by a bounded queue, and are dropped and counted when
//! that is full. What is lost by a crash is at most the last moments; the queue knows what still has to be done.

mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sterna_account::service::{Envelope, Message, Refusal, Sender};
use sterna_account::trace::{TraceEvent, Traced};
use sterna_base::{Clock, OperationId, Timestamp};
use sterna_formats::mail::Summary;
use tokio::sync::mpsc;

use crate::queue::{Delivered, Delivery, Destination, NewMessage, Outcome};

pub use store::{TraceError, TraceStore};

/// Records that wait to be written down.
const WAITING_MAX: usize = 10_000;

/// How often it is said at most that records were dropped: one of so many.
const DROPPED_TOLD_EVERY: u64 = 10_000;

/// Longest text of an event, in bytes.
const TEXT_BYTES_MAX: usize = 1000;

/// Writes events down; cheap to clone.
#[derive(Clone)]
pub struct Trace(Option<Arc<Inner>>);

struct Inner {
    clock: Arc<dyn Clock>,
    records: mpsc::Sender<Record>,
    dropped: AtomicU64,
    /// Recipients that have their message, here or elsewhere, since the node started.
    delivered: AtomicU64,
}

/// What is written in one step.
#[derive(Debug)]
enum Record {
    Message(Accepted),
    Event(Option<OperationId>, TraceEvent),
}

/// A message that was taken.
#[derive(Debug)]
struct Accepted {
    id: OperationId,
    at: Timestamp,
    message_id: Option<String>,
    sender: String,
    origin: String,
    size_bytes: u64,
}

impl Trace {
    /// Writes nothing down.
    pub fn none() -> Self {
        Trace(None)
    }

    /// Recipients that have got a message by this edge, in accounts and at other servers, since it started.
    pub fn delivered_count(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.delivered.load(Ordering::Relaxed))
    }

    fn record(&self, record: impl FnOnce(Timestamp) -> Record) {
        let Some(inner) = &self.0 else { return };
        if inner.records.try_send(record(inner.clock.now())).is_err() {
            let dropped = inner.dropped.fetch_add(1, Ordering::Relaxed);
            if dropped.is_multiple_of(DROPPED_TOLD_EVERY) {
                tracing::warn!(dropped = dropped + 1, "the trace can't be written as fast as mail comes; it has gaps");
            }
        }
    }

    fn event(&self, id: Option<OperationId>, event: impl FnOnce(Timestamp) -> TraceEvent) {
        self.record(|now| {
            let mut event = event(now);
            if let (Traced::Delivered | Traced::Sent, Some(inner)) = (event.what, &self.0) {
                inner.delivered.fetch_add(1, Ordering::Relaxed);
            }
            event.detail = clean(&event.detail);
            event.host = clean(&event.host);
            event.recipient = clean(&event.recipient).to_ascii_lowercase();
            Record::Event(id, event)
        });
    }

    /// A message came in.
    pub fn accepted(&self, envelope: &Envelope, message: &Message) {
        self.record(|at| {
            Record::Message(Accepted {
                id: envelope.transaction,
                at,
                message_id: message_id(&message.summary),
                sender: clean(&envelope.mail_from).to_ascii_lowercase(),
                origin: clean(&origin(&envelope.sender)),
                size_bytes: message.size,
            })
        });
    }

    /// A message was put into the queue: one that came in, one that is sent on, or one of our own.
    pub fn enqueued(&self, message: &NewMessage, message_id: Option<String>) {
        self.record(|at| {
            Record::Message(Accepted {
                id: message.id.0,
                at,
                message_id: message_id.clone(),
                sender: clean(&message.envelope.mail_from).to_ascii_lowercase(),
                origin: clean(&message.envelope.origin),
                size_bytes: message.size_bytes,
            })
        });
        for delivery in &message.deliveries {
            for rcpt in &delivery.recipients {
                self.event(Some(message.id.0), |at| TraceEvent {
                    destination: delivery.destination.to_string(),
                    ..event(at, &rcpt.address, Traced::Queued)
                });
            }
        }
    }

    /// A message goes on from one of its recipients to somebody else, as a message of its own: whose business it is
    /// finds it by that name, and whoever sent it doesn't learn to whom.
    pub fn sent_on(&self, id: OperationId, from: &str, message: &NewMessage) {
        let detail = format!("sent on as {}", message.id);
        self.event(Some(id), |at| TraceEvent { detail, ..event(at, from, Traced::Queued) });
    }

    /// A recipient was refused before there was a message.
    pub fn refused_recipient(&self, sender: &Sender, address: &str, refusal: &Refusal) {
        self.event(None, |at| TraceEvent {
            detail: format!("{} (from {})", words(refusal), origin(sender)),
            ..event(at, address, Traced::Refused)
        });
    }

    /// A message, or a recipient of it, was refused; the sender knows.
    pub fn refused(&self, id: OperationId, address: &str, refusal: &Refusal) {
        self.event(Some(id), |at| TraceEvent { detail: words(refusal), ..event(at, address, Traced::Refused) });
    }

    /// What was found out about a message.
    pub fn verdict(&self, id: OperationId, what: String) {
        self.event(Some(id), |at| TraceEvent { detail: what, ..event(at, "", Traced::Verdict) });
    }

    /// A message is in an account.
    pub fn delivered(&self, id: OperationId, address: &str, destination: &Destination, detail: &str) {
        self.event(Some(id), |at| TraceEvent {
            destination: destination.to_string(),
            detail: detail.to_owned(),
            ..event(at, address, Traced::Delivered)
        });
    }

    /// What became of a try from the queue.
    pub fn tried(&self, delivery: &Delivery, outcomes: &[Outcome], next: Option<Timestamp>) {
        let is_account = matches!(delivery.destination, Destination::Account(_));
        for (outcome, recipient) in outcomes.iter().zip(&delivery.recipients) {
            let (what, said, next) = match &outcome.result {
                Delivered::Done(said) if is_account => (Traced::Delivered, said, None),
                Delivered::Done(said) | Delivered::Relayed { said, .. } => (Traced::Sent, said, None),
                Delivered::Deferred(said) => (Traced::Deferred, said, next),
                Delivered::Failed(said) => (Traced::Failed, said, None),
            };
            self.event(Some(delivery.message.0), |at| TraceEvent {
                destination: delivery.destination.to_string(),
                host: said.host.clone(),
                detail: said.text.clone(),
                next,
                ..event(at, &recipient.rcpt.address, what)
            });
        }
    }
}

fn event(at: Timestamp, recipient: &str, what: Traced) -> TraceEvent {
    let (destination, host, detail) = (String::new(), String::new(), String::new());
    TraceEvent { at, recipient: recipient.to_owned(), what, destination, host, detail, next: None }
}

fn words(refusal: &Refusal) -> String {
    let (class, subject, detail) = refusal.enhanced;
    let text = format!("{} {class}.{subject}.{detail} {}", refusal.code, refusal.text);
    match &refusal.cause {
        Some(cause) => format!("{text}: {cause}"),
        None => text,
    }
}

/// Who handed a message in, for people.
pub(crate) fn origin(sender: &Sender) -> String {
    match &sender.login {
        Some(login) => format!("{} from {}", login.address, sender.peer),
        None => format!("{} [{}]", sender.helo, sender.peer),
    }
}

/// What the message calls itself (Message-ID).
pub(crate) fn message_id(summary: &[u8]) -> Option<String> {
    let id = Summary::decode_envelope(summary).ok()?.message_id?;
    Some(clean(String::from_utf8_lossy(&id).trim()))
}

/// Others write these texts, and administrators read them in a terminal.
fn clean(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
