//! What becomes of a message that could not be delivered at once to everybody.

use std::collections::BTreeMap;
use std::sync::Arc;

use sterna_account::service::{Envelope, InboundProtocol, Message, Rcpt, Refusal, Sender};
use sterna_base::{AccountId, OperationId, Timestamp};

use crate::delivery::Keep;
use crate::outbound::{Deliveries, Outbound};
use crate::queue::{Destination, NewDelivery, NewMessage, Queue, QueueError, QueueId, QueuedEnvelope};
use crate::refusals;
use crate::targets::{Delivered, Routed, Way};
use crate::trace::{self, Trace};

/// Where messages wait.
pub struct Waiting {
    /// The queue.
    pub queue: Arc<Queue>,
    /// The ways out.
    pub outbound: Arc<Outbound>,
    /// Where it is written down what waits.
    pub trace: Trace,
}

/// What was tried for a message.
pub struct Tried<'a> {
    /// The way of each recipient.
    pub routed: &'a [Routed],
    /// Under which transaction each account was asked.
    pub transactions: &'a BTreeMap<AccountId, OperationId>,
    /// What became of it.
    pub delivered: &'a BTreeMap<AccountId, Delivered>,
    /// Where accounts were to keep it.
    pub keep: Keep,
}

impl Waiting {
    /// Whether this sender's mail may leave: users', and that of hosts which administrators trust.
    pub fn may_relay(&self, sender: &Sender) -> bool {
        match sender.protocol {
            InboundProtocol::Submission => sender.login.is_some(),
            InboundProtocol::Smtp => self.outbound.is_trusted(sender.peer),
            InboundProtocol::Lmtp => false,
        }
    }

    /// Puts what leaves, and what waits for accounts, into the queue, and changes the answers of those recipients.
    pub async fn take_over(
        &self,
        envelope: &Envelope,
        message: &Message,
        tried: &Tried<'_>,
        answers: &mut [Result<(), Refusal>],
        now: Timestamp,
    ) {
        let external: Vec<_> =
            envelope.recipients.iter().zip(tried.routed).map(|(rcpt, routed)| self.external(rcpt, routed)).collect();
        // Members of a group can differ: one has the message, another's script sends it back.
        let any_done = tried.delivered.values().any(|result| *result == Delivered::Done);
        let taken = |(answer, leaves): (&Result<(), Refusal>, &Vec<_>)| answer.is_ok() || !leaves.is_empty();
        let any_taken = any_done || answers.iter().zip(&external).any(taken);
        let times = self.outbound.times();
        let expires = now.plus_ms(times.lifetime_ms);
        let none = || Deliveries::new(now, times.deadline(now, expires, false));
        let (mut deliveries, mut onward) = (none(), none());
        let reverse_path = self.reverse_path(envelope, tried, now).await;
        let mut concerned = vec![false; answers.len()];
        for (number, rcpt) in envelope.recipients.iter().enumerate() {
            let waits = tried.waits(envelope, number, &answers[number], any_taken);
            concerned[number] = !waits.is_empty() || !external[number].is_empty();
            waits.into_iter().for_each(|account| deliveries.add(Destination::Account(account), rcpt.clone()));
            for (destination, leaving) in &external[number] {
                let is_sent_on = reverse_path.is_some() && leaving.address != rcpt.address;
                let to = if is_sent_on { &mut onward } else { &mut deliveries };
                to.add(destination.clone(), leaving.clone());
            }
        }
        let whole = queued(envelope, tried.keep, now, expires);
        let sent_on =
            QueuedEnvelope { mail_from: reverse_path.unwrap_or_default(), envelope_id: None, ..whole.clone() };
        let (first, second) = (envelope.transaction, sent_on_id(envelope.transaction));
        let mut result = self.put(first, whole, message, deliveries.all()).await;
        if result.is_ok() {
            result = self.put(second, sent_on, message, onward.all()).await;
        }
        for (answer, _) in answers.iter_mut().zip(concerned).filter(|(_, concerned)| *concerned) {
            // An account's own refusal for good stays: nothing of it waits.
            let is_final = answer.as_ref().is_err_and(|refusal| !refusal.is_temporary()) && !any_taken;
            if !is_final {
                *answer = result.as_ref().map(drop).map_err(refusals::of_queue);
            }
        }
    }

    /// Puts a message in, if it has anywhere to go.
    async fn put(
        &self,
        id: OperationId,
        envelope: QueuedEnvelope,
        message: &Message,
        deliveries: Vec<NewDelivery>,
    ) -> Result<(), QueueError> {
        if deliveries.is_empty() {
            return Ok(());
        }
        let (body, size_bytes, hash) = (message.body.clone(), message.size, message.hash);
        let message = NewMessage { id: QueueId(id), envelope, body, size_bytes, hash, deliveries };
        self.queue.add(message.clone()).await?;
        self.trace.enqueued(&message);
        Ok(())
    }

    /// Under which reverse-path mail of somebody elsewhere is sent on; `None` when it keeps its own.
    async fn reverse_path(&self, envelope: &Envelope, tried: &Tried<'_>, now: Timestamp) -> Option<String> {
        let sends_on = |(rcpt, routed): &(&Rcpt, &Routed)| {
            routed.iter().any(|way| way.external.iter().any(|address| *address != rcpt.address))
        };
        let (rcpt, _) = envelope.recipients.iter().zip(tried.routed).find(sends_on)?;
        self.outbound.reverse_path(&envelope.mail_from, &rcpt.address, now).await
    }

    /// Those behind a recipient who are elsewhere: itself, or external members of a group.
    fn external(&self, rcpt: &Rcpt, routed: &Routed) -> Vec<(Destination, Rcpt)> {
        let addresses = routed.iter().flat_map(|way| &way.external);
        let way = |address: &String| {
            let destination = self.outbound.destination(address)?;
            Some((destination, Rcpt { address: address.clone(), ..rcpt.clone() }))
        };
        addresses.filter_map(way).collect()
    }
}

impl Tried<'_> {
    /// The accounts of a recipient for which the message waits here instead of at the sender. A user's program can't do
    /// better than wait, and another server would only wait for us; but who hands in by LMTP has a queue of its own and
    /// an answer for each recipient, and a full mailbox is the sender's to know of.
    fn waits(
        &self,
        envelope: &Envelope,
        number: usize,
        answer: &Result<(), Refusal>,
        any_taken: bool,
    ) -> Vec<AccountId> {
        let (Err(refusal), Ok(way)) = (answer, &self.routed[number]) else { return Vec::new() };
        let waits = match envelope.sender.protocol {
            InboundProtocol::Lmtp => false,
            // A script's own refusal, when others have the message already, is told by a notification.
            InboundProtocol::Smtp => refusals::is_outage(refusal) || (any_taken && self.is_rejected(way)),
            InboundProtocol::Submission => refusal.is_temporary() || any_taken,
        };
        let left = |account: &&AccountId| self.delivered.get(account) != Some(&Delivered::Done);
        let accounts: Vec<AccountId> = way.accounts.iter().filter(left).copied().collect();
        // An account that was asked under an earlier try's transaction must be asked under it again, which the queue
        // doesn't know: its sender comes again.
        let is_first = |account: &AccountId| self.transactions.get(account) == Some(&envelope.transaction);
        if waits && accounts.iter().all(is_first) { accounts } else { Vec::new() }
    }

    fn is_rejected(&self, way: &Way) -> bool {
        way.accounts.iter().any(|account| matches!(self.delivered.get(account), Some(Delivered::Rejected(_))))
    }
}

/// The id of what is sent on under another reverse-path: one message of the queue has one. The same for the same
/// transaction, so that a sender who comes again finds it there.
fn sent_on_id(transaction: OperationId) -> OperationId {
    let derived = blake3::derive_key("sterna mailflow sent on 1", &transaction.0);
    let mut id = [0; 16];
    id.copy_from_slice(&derived[..16]);
    OperationId(id)
}

fn queued(envelope: &Envelope, keep: Keep, received: Timestamp, expires: Timestamp) -> QueuedEnvelope {
    let origin = trace::origin(&envelope.sender);
    QueuedEnvelope {
        mail_from: envelope.mail_from.clone(),
        envelope_id: envelope.envelope_id.clone(),
        return_headers_only: envelope.return_headers_only,
        eight_bit: envelope.eight_bit,
        utf8: envelope.utf8,
        keep,
        origin,
        received,
        expires,
    }
}
