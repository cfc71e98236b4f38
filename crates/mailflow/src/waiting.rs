//! What becomes of a message that could not be delivered at once to everybody.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sterna_account::service::{Envelope, InboundProtocol, Message, Rcpt, Refusal, Sender};
use sterna_base::{AccountId, OperationId, Timestamp};

use crate::delivery::Keep;
use crate::limits::REPEATS_RETENTION_MS;
use crate::outbound::{Deliveries, Outbound};
use crate::provenance::Provenance;
use crate::queue::{Destination, NewMessage, Queue, QueueError, QueueId, QueuedEnvelope};
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
    /// What was found out of the message.
    pub provenance: &'a Provenance,
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

    /// Puts what leaves, and what waits for accounts, into the queue, and changes the answers of those recipients. A
    /// recipient is taken over whole or not at all: nothing of it leaves while its sender is told to come again.
    pub async fn take_over(
        &self,
        envelope: &Envelope,
        message: &Message,
        tried: &Tried<'_>,
        answers: &mut [Result<(), Refusal>],
        now: Timestamp,
    ) {
        let any_taken = tried.any_taken(answers);
        let mut taken: Vec<Option<Taken>> = Vec::with_capacity(answers.len());
        for (number, rcpt) in envelope.recipients.iter().enumerate() {
            let share = match &tried.routed[number] {
                Ok(way) if tried.waits(envelope, way, &answers[number], any_taken) => {
                    self.share(rcpt, way, tried.left(way))
                }
                _ => Ok(None),
            };
            taken.push(share.unwrap_or_else(|refusal| {
                answers[number] = Err(refusal);
                None
            }));
        }
        let comes_again = answers.iter().zip(&taken).any(|(answer, taken)| answer.is_err() && taken.is_none());
        let reverse_path = self.reverse_path(envelope, tried, now).await;
        let times = self.outbound.times();
        let expires = now.plus_ms(times.lifetime_ms);
        let whole = queued(envelope, tried, now, expires);
        let mut messages = Messages::new(whole, reverse_path, comes_again);
        let none = || Deliveries::new(now, times.deadline(now, expires, false));
        let mut names: Vec<Vec<OperationId>> = vec![Vec::new(); answers.len()];
        for (number, taken) in taken.into_iter().enumerate() {
            let Some(taken) = taken else { continue };
            names[number] = messages.add(envelope, &envelope.recipients[number], taken, none);
        }
        let mut failed: BTreeMap<OperationId, Refusal> = BTreeMap::new();
        for (id, part) in messages.by_id {
            let whole = match &part.sent_on_from {
                Some(from) => self.outbound.sent_on(from, message, tried.provenance.is_verified).await,
                None => Ok(message.clone()),
            };
            let put = match whole {
                Ok(whole) => self
                    .put((envelope.transaction, id), part, &whole, now)
                    .await
                    .map_err(|error| refusals::of_queue(&error)),
                Err(error) => Err(refusals::of_spool(&error)),
            };
            if let Err(refusal) = put {
                failed.insert(id, refusal);
            }
        }
        for (answer, names) in answers.iter_mut().zip(names).filter(|(_, names)| !names.is_empty()) {
            *answer = names.iter().find_map(|id| failed.get(id)).cloned().map_or(Ok(()), Err);
        }
    }

    /// What of a recipient goes into the queue; `None` when nothing does.
    fn share(&self, rcpt: &Rcpt, way: &Way, accounts: Vec<AccountId>) -> Result<Option<Taken>, Refusal> {
        let external = self.external(rcpt, way)?;
        let is_any = !accounts.is_empty() || !external.is_empty();
        Ok(is_any.then_some(Taken { accounts, external, transaction: way.transaction }))
    }

    /// Puts a part in, from now on or for ever.
    async fn put(
        &self,
        (transaction, id): (OperationId, OperationId),
        part: Part,
        message: &Message,
        now: Timestamp,
    ) -> Result<(), QueueError> {
        let (body, size_bytes, hash) = (message.body.clone(), message.size, message.hash);
        let (message_id, sent_on_from) = (trace::message_id(&message.summary), part.sent_on_from);
        let deliveries = part.deliveries.all();
        let message = NewMessage { id: QueueId(id), envelope: part.envelope, body, size_bytes, hash, deliveries };
        if part.is_once {
            self.queue.add_once(message.clone(), now, now.plus_ms(REPEATS_RETENTION_MS)).await?;
        } else {
            self.queue.add(message.clone()).await?;
        }
        if let Some(from) = sent_on_from {
            self.trace.sent_on(transaction, &from, &message);
        }
        self.trace.enqueued(&message, message_id);
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

    /// Those behind a recipient who are elsewhere: itself, external members of a group, whom its mail is sent on to.
    fn external(&self, rcpt: &Rcpt, way: &Way) -> Result<Vec<(Destination, Rcpt)>, Refusal> {
        let onward = |address: &String| {
            let destination = self.outbound.destination(address)?;
            Some((destination, Rcpt { address: address.clone(), ..rcpt.clone() }))
        };
        let found: Vec<_> = way.external.iter().filter_map(onward).collect();
        if found.is_empty() && !way.external.is_empty() {
            return Err(Refusal::new(553, (5, 1, 2), "There is no way to that address"));
        }
        Ok(found)
    }
}

impl Tried<'_> {
    /// The accounts of a recipient that don't have the message.
    fn left(&self, way: &Way) -> Vec<AccountId> {
        way.accounts.iter().filter(|account| self.delivered.get(account) != Some(&Delivered::Done)).copied().collect()
    }

    /// Whether somebody has the message already, or will have it whatever becomes of the others.
    fn any_taken(&self, answers: &[Result<(), Refusal>]) -> bool {
        // Members of a group can differ: one has the message, another's script sends it back.
        let any_done = self.delivered.values().any(|result| *result == Delivered::Done);
        let leaves = |routed: &Routed| routed.as_ref().is_ok_and(|way| !way.external.is_empty());
        any_done || answers.iter().any(Result::is_ok) || self.routed.iter().any(leaves)
    }

    /// Whether what a recipient's accounts didn't take waits here instead of at the sender; true when nothing is left.
    /// A user's program can't do better than wait, and another server would only wait for us; but who hands in by LMTP
    /// has a queue of its own and an answer for each recipient, and a full mailbox is the sender's to know of. Where it
    /// goes elsewhere, too, it can't come again without going there twice.
    fn waits(&self, envelope: &Envelope, way: &Way, answer: &Result<(), Refusal>, any_taken: bool) -> bool {
        let Err(refusal) = answer else { return true };
        // An account that was asked under an earlier try's transaction must be asked under it again, which the queue
        // doesn't know: its sender comes again.
        let is_first = |account: &AccountId| self.transactions.get(account) == Some(&envelope.transaction);
        if !self.left(way).iter().all(is_first) {
            return false;
        }
        if !way.external.is_empty() {
            return true;
        }
        match envelope.sender.protocol {
            InboundProtocol::Lmtp => false,
            // A script's own refusal, when others have the message already, is told by a notification.
            InboundProtocol::Smtp => refusals::is_outage(refusal) || (any_taken && self.is_rejected(way)),
            InboundProtocol::Submission => refusal.is_temporary() || any_taken,
        }
    }

    fn is_rejected(&self, way: &Way) -> bool {
        way.accounts.iter().any(|account| matches!(self.delivered.get(account), Some(Delivered::Rejected(_))))
    }
}

/// What of one recipient goes into the queue.
struct Taken {
    accounts: Vec<AccountId>,
    external: Vec<(Destination, Rcpt)>,
    transaction: OperationId,
}

/// A message of the queue that a part of what was handed in becomes.
struct Part {
    envelope: QueuedEnvelope,
    deliveries: Deliveries,
    /// Whether it is remembered for long, so that a sender who comes again doesn't send it twice.
    is_once: bool,
    /// The address of ours that it goes on from.
    sent_on_from: Option<String>,
}

/// The messages of the queue that one message becomes: one has one reverse-path and one content.
struct Messages {
    whole: QueuedEnvelope,
    reverse_path: Option<String>,
    /// Whether the sender comes again with all of it: what leaves now must not leave then.
    comes_again: bool,
    by_id: BTreeMap<OperationId, Part>,
    /// Where it goes on to, and in which message: several recipients can lead to one address.
    sent_on: HashMap<(Destination, String), OperationId>,
}

impl Messages {
    fn new(whole: QueuedEnvelope, reverse_path: Option<String>, comes_again: bool) -> Self {
        Messages { whole, reverse_path, comes_again, by_id: BTreeMap::new(), sent_on: HashMap::new() }
    }

    /// Adds a recipient; gives the ids of the messages that it is in. What a sender may come again with leaves under an
    /// id of its own for each recipient, because another try may have other recipients left; and so does what is sent
    /// on, because it says from whom.
    fn add(
        &mut self,
        envelope: &Envelope,
        rcpt: &Rcpt,
        taken: Taken,
        none: impl Fn() -> Deliveries,
    ) -> Vec<OperationId> {
        let mut ids = Vec::new();
        for account in taken.accounts {
            let whole =
                || Part { envelope: self.whole.clone(), deliveries: none(), is_once: false, sent_on_from: None };
            let part = self.by_id.entry(envelope.transaction).or_insert_with(whole);
            part.deliveries.add(Destination::Account(account), rcpt.clone());
            ids.push(envelope.transaction);
        }
        let is_once = self.comes_again || taken.transaction != envelope.transaction;
        for (destination, leaving) in taken.external {
            let is_sent_on = leaving.address != rcpt.address;
            let id = match (is_once, is_sent_on) {
                (false, false) => envelope.transaction,
                (false, true) => derived(envelope.transaction, &rcpt.address),
                (true, _) => derived(taken.transaction, &rcpt.address),
            };
            if is_sent_on && !is_once {
                let first = *self.sent_on.entry((destination.clone(), leaving.address.clone())).or_insert(id);
                if first != id {
                    ids.push(first);
                    continue;
                }
            }
            let sent_on_from = is_sent_on.then(|| rcpt.address.clone());
            let part = || Part {
                envelope: self.envelope(envelope.transaction, id, is_sent_on),
                deliveries: none(),
                is_once,
                sent_on_from,
            };
            let new = (!self.by_id.contains_key(&id)).then(part);
            if let Some(part) = new {
                self.by_id.insert(id, part);
            }
            if let Some(part) = self.by_id.get_mut(&id) {
                part.deliveries.add(destination, leaving);
            }
            ids.push(id);
        }
        ids.dedup();
        ids
    }

    /// What is said about the part with this id.
    fn envelope(&self, transaction: OperationId, id: OperationId, is_sent_on: bool) -> QueuedEnvelope {
        let mut envelope = self.whole.clone();
        if id != transaction {
            envelope.origin = format!("{}, sent on from {transaction}", envelope.origin);
        }
        if let Some(path) = self.reverse_path.as_ref().filter(|_| is_sent_on) {
            envelope.mail_from.clone_from(path);
            envelope.envelope_id = None;
        }
        envelope
    }
}

/// The id of a part of what was handed in. The same for the same transaction, so that a sender who comes again finds it
/// there.
fn derived(transaction: OperationId, recipient: &str) -> OperationId {
    let mut hasher = blake3::Hasher::new_derive_key("sterna mailflow sent on 1");
    hasher.update(&transaction.0).update(recipient.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    OperationId(id)
}

fn queued(envelope: &Envelope, tried: &Tried<'_>, received: Timestamp, expires: Timestamp) -> QueuedEnvelope {
    let origin = trace::origin(&envelope.sender);
    QueuedEnvelope {
        mail_from: envelope.mail_from.clone(),
        envelope_id: envelope.envelope_id.clone(),
        return_headers_only: envelope.return_headers_only,
        eight_bit: envelope.eight_bit,
        utf8: envelope.utf8,
        keep: tried.keep,
        provenance: tried.provenance.clone(),
        origin,
        received,
        expires,
    }
}
