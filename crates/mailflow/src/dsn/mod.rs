//! Tells senders what became of their messages (RFC 3461 to 3464).

mod report;
#[cfg(test)]
mod tests;
mod texts;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use report::{Action, Report, Reported};
use sterna_account::service::{MessageBody, Rcpt};
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{BlobHash, Clock, OperationId};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

pub use texts::Language;

use crate::auth::Signers;
use crate::delivery::Keep;
use crate::outbound::Outbound;
use crate::provenance::Provenance;
use crate::queue::{Content, Delivered, Delivery, NewMessage, Notifier, Outcome, Queue, QueueId, QueuedEnvelope, Said};
use crate::sent_on::behind_return_path;

/// Largest message that comes back whole; of a larger one only the header does.
const WHOLE_BYTES_MAX: usize = 48 * 1024;

/// How much of a message is looked at for its header.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// Room for signatures: two keys need less.
const SIGNATURES_BYTES: usize = 4 * 1024;

/// Recipients that one notification tells of.
const REPORTED_MAX: usize = 200;

/// Writes notifications.
pub struct Dsn {
    queue: Arc<Queue>,
    outbound: Arc<Outbound>,
    clock: Arc<dyn Clock>,
    signers: Option<watch::Receiver<Signers>>,
}

impl Dsn {
    /// With what notifications need to get to senders.
    pub fn new(queue: Arc<Queue>, outbound: Arc<Outbound>, clock: Arc<dyn Clock>) -> Self {
        Dsn { queue, outbound, clock, signers: None }
    }

    /// With signatures of the domain that this host is of.
    pub fn with_signers(self, signers: watch::Receiver<Signers>) -> Self {
        Dsn { signers: Some(signers), ..self }
    }

    /// With the signatures of the domain of this host's name, or of the nearest one above it: they are in its name.
    /// Without a key they go all the same.
    async fn signed(&self, message: Bytes, own_name: &str) -> Bytes {
        let Some(signers) = &self.signers else { return message };
        let above = own_name.match_indices('.').map(|(at, _)| &own_name[at + 1..]);
        let signer = std::iter::once(own_name).chain(above).find_map(|name| signers.borrow().of(name));
        let Some(signer) = signer else { return message };
        let body = MessageBody::Inline(message.clone());
        match tokio::task::spawn_blocking(move || signer.sign(&body)).await {
            Ok(Ok(fields)) if message.len() + fields.len() <= INLINE_BLOB_BYTES_MAX => {
                behind_return_path(&message, &fields)
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "a notification could not be signed and goes without");
                message
            }
            _ => message,
        }
    }

    /// The beginning of the message, and whether it is all of it.
    async fn original(&self, delivery: &Delivery) -> (Vec<u8>, bool) {
        let content = match self.queue.content(delivery.message).await {
            Ok(Some(Content::Inline(bytes))) => bytes.to_vec(),
            Ok(Some(Content::File(path))) => beginning(&path).await.unwrap_or_default(),
            Ok(None) | Err(_) => Vec::new(),
        };
        let is_whole = content.len() as u64 == delivery.size_bytes
            && content.len() <= WHOLE_BYTES_MAX
            && !delivery.envelope.return_headers_only;
        if is_whole { (content, true) } else { (header(&content).to_vec(), false) }
    }
}

async fn beginning(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(HEADER_BYTES_MAX as u64).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// The header with its last CRLF.
fn header(content: &[u8]) -> &[u8] {
    let content = &content[..content.len().min(HEADER_BYTES_MAX)];
    let end = memchr::memmem::find(content, b"\r\n\r\n").map(|at| at + 2);
    // What was cut ends with a whole line.
    let end = end.or_else(|| memchr::memrchr(b'\n', content).map(|at| at + 1));
    &content[..end.unwrap_or(0)]
}

/// What is told of a recipient, if anything is (RFC 3461 section 4.1: without NOTIFY, failures and delays are).
fn action(rcpt: &Rcpt, result: &Delivered, warned: bool) -> Option<Action> {
    let wants = |keyword: &str, otherwise: bool| {
        rcpt.notify
            .as_ref()
            .map_or(otherwise, |notify| notify.split(',').any(|word| word.trim().eq_ignore_ascii_case(keyword)))
    };
    match result {
        Delivered::Failed(_) => wants("FAILURE", true).then_some(Action::Failed),
        Delivered::Deferred(_) => (warned && wants("DELAY", true)).then_some(Action::Delayed),
        Delivered::Done(_) => wants("SUCCESS", false).then_some(Action::Delivered),
        Delivered::Relayed { tells_sender, .. } => {
            (!tells_sender && wants("SUCCESS", false)).then_some(Action::Relayed)
        }
    }
}

fn said(result: &Delivered) -> &Said {
    match result {
        Delivered::Done(said)
        | Delivered::Relayed { said, .. }
        | Delivered::Deferred(said)
        | Delivered::Failed(said) => said,
    }
}

#[async_trait]
impl Notifier for Dsn {
    async fn notification(&self, delivery: &Delivery, outcomes: &[Outcome], warned: bool) -> Option<NewMessage> {
        let mut recipients: Vec<Reported<'_>> = delivery
            .recipients
            .iter()
            .zip(outcomes)
            .filter_map(|(recipient, outcome)| {
                let rcpt = &recipient.rcpt;
                let action = action(rcpt, &outcome.result, warned)?;
                let original = rcpt.original.as_deref();
                Some(Reported { address: &rcpt.address, original, action, said: said(&outcome.result) })
            })
            .collect();
        let unnamed = recipients.len().saturating_sub(REPORTED_MAX);
        recipients.truncate(REPORTED_MAX);
        if recipients.is_empty() {
            return None;
        }
        let sender = &delivery.envelope.mail_from;
        if sender.is_empty() {
            // A notification about a notification would never end (RFC 5321 section 6.1).
            tracing::warn!(queue_id = %delivery.message, "a notification could not be delivered; it is dropped");
            return None;
        }
        let now = self.clock.now();
        let rcpt = Rcpt { address: sender.clone(), notify: Some("NEVER".to_owned()), original: None };
        let expires = now.plus_ms(self.outbound.times().lifetime_ms);
        let deliveries = self.outbound.deliveries(vec![rcpt], now, expires).await;
        if deliveries.is_empty() {
            tracing::warn!(queue_id = %delivery.message, sender, "there is no way to the sender; nobody is notified");
            return None;
        }
        let (original, is_whole) = self.original(delivery).await;
        let id = QueueId(OperationId::random());
        let own_name = self.outbound.own_name();
        let report = Report {
            own_name: &own_name,
            id: id.to_string(),
            envelope: &delivery.envelope,
            recipients,
            unnamed,
            original: &original,
            is_whole,
            now,
            language: self.outbound.language(sender).await,
        };
        let message = Bytes::from(report.message_within(INLINE_BLOB_BYTES_MAX - SIGNATURES_BYTES));
        let message = self.signed(message, &own_name).await;
        let envelope = QueuedEnvelope {
            mail_from: String::new(),
            envelope_id: None,
            return_headers_only: true,
            eight_bit: true,
            utf8: delivery.envelope.utf8,
            keep: Keep::Inbox,
            provenance: Provenance::default(),
            origin: format!("notification about {}", delivery.message),
            received: now,
            expires,
        };
        let (size_bytes, hash) = (message.len() as u64, BlobHash::of(&message));
        Some(NewMessage { id, envelope, size_bytes, hash, body: MessageBody::Inline(message), deliveries })
    }
}
